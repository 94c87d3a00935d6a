"""Where the server may listen."""

from __future__ import annotations

import socket

import pytest

from pipeline.errors import UsageError
from pipeline.serving.http.gate import host_name, is_loopback
from pipeline.serving.http.server import check_host, listen


def test_loopback_addresses() -> None:
    hosts = ("127.0.0.1", "127.8.0.1", "::1", "localhost", "0.0.0.0", "::", "10.0.0.1", "titler.example")
    assert [host for host in hosts if is_loopback(host)] == ["127.0.0.1", "127.8.0.1", "::1", "localhost"]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("127.0.0.2:8000", "127.0.0.2"),
        ("LOCALHOST", "localhost"),
        ("[::1]", "::1"),
        ("[::1]:8000", "::1"),
        ("127.0.0.1.evil.example:80", "127.0.0.1.evil.example"),
        ("", ""),
    ],
)
def test_the_host_of_a_request_has_no_port_and_no_brackets(header: str, name: str) -> None:
    assert host_name(header) == name


def test_another_address_than_a_loopback_one_needs_a_token() -> None:
    check_host("0.0.0.0", has_token=True)
    with pytest.raises(UsageError, match=r"--host 0\.0\.0\.0 is not a loopback .*\n.*TITLER_SERVE__TOKEN="):
        check_host("0.0.0.0", has_token=False)


def test_a_port_in_use_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1, port {port}: Address already in use"):
            listen("127.0.0.1", port)


def test_a_name_that_cannot_be_a_host_is_a_clear_error() -> None:
    with pytest.raises(UsageError, match=r"The server cannot listen on a{64}, port 0: "):
        listen("a" * 64, 0)
