"""The command `titler serve`: the address of its page."""

from __future__ import annotations

import pytest

from pipeline.cli.serve_command import _page


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("http://0.0.0.0:8001", "http://127.0.0.1:8001/"),
        ("http://[::]:8001", "http://[::1]:8001/"),
        ("http://10.0.0.0:8001", "http://10.0.0.0:8001/"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/"),
    ],
)
def test_the_page_has_an_address_that_a_browser_can_open(address: str, page: str) -> None:
    assert _page(address) == page
