"""Excerpts of bodies: masked, then cut."""

from __future__ import annotations

import pytest

from pipeline.text.excerpt import excerpt


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "See https://example.com/a?token=1 or write to jane@example.com\r\n\r\ncall 555-123-4567, 3 x",
            "See *URL* or write to *EMAIL* call *PHONE*, *NUMBER* x",
        ),
        ("a" * 279 + " https://example.com/secret", "a" * 279),
        ("x" * 275 + " jane@example.com", "x" * 275 + " *EMA"),
        (("secret@example.com " * 120)[:2003], ("*EMAIL* " * 35).strip()),
        ("p" * 2005, None),  # one word, which might be half of an address
        ("置" * 2005, "置" * 280),
        ("Die App stürzt ab: 设置页面", "Die App stürzt ab: 设置页面"),
        (" \r\n ", None),
        (None, None),
    ],
    ids=[
        "masks",
        "cut before a URL",
        "cut in a mark",
        "cut in an address",
        "one word",
        "no blanks",
        "scripts",
        "blank",
        "none",
    ],
)
def test_an_excerpt_is_masked_before_it_is_cut(body: str | None, expected: str | None) -> None:
    assert excerpt(body) == expected
