"""Texts of strangers as HTML."""

from __future__ import annotations

import pytest

from pipeline.serving.report.issue_text import is_github_address, shown_text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain", "<bdi>plain</bdi>"),
        ("<b>&\"'", "<bdi>&lt;b&gt;&amp;&#34;&#39;</bdi>"),
        ("two\r\nlines\tand a tab", "<bdi>two lines and a tab</bdi>"),
        ("a\x00b", '<bdi>a<span class="code">U+0000</span>b</bdi>'),
        ("\u202egnp", '<bdi><span class="code">U+202E</span>gnp</bdi>'),
        ("\u2067x\u2069", '<bdi><span class="code">U+2067</span>x<span class="code">U+2069</span></bdi>'),
        ("\u200f\ufeff", '<bdi><span class="code">U+200F</span><span class="code">U+FEFF</span></bdi>'),
        ("\ud800", '<bdi><span class="code">U+D800</span></bdi>'),
        ("\N{MAN}\u200d\N{WOMAN} caf\u00e9", "<bdi>\N{MAN}\u200d\N{WOMAN} caf\u00e9</bdi>"),
    ],
)
def test_a_text_is_escaped_and_isolated_and_its_invisible_characters_are_codes(text: str, html: str) -> None:
    assert shown_text(text, 100) == html


def test_a_long_text_is_cut_and_its_length_is_shown() -> None:
    assert shown_text("W" * 10_000, 3) == '<bdi>WWW</bdi><span class="cut">… (10,000 characters)</span>'


def test_a_text_that_is_just_short_enough_is_not_cut() -> None:
    assert shown_text("abc", 3) == "<bdi>abc</bdi>"


@pytest.mark.parametrize(
    ("url", "is_link"),
    [
        ("https://github.com/a/b/issues/1", True),
        ("http://github.com/a/b/issues/1", False),
        ("https://github.com.evil.example/a", False),
        ("https://github.com@evil.example/", False),
        ("javascript:alert(1)", False),
        ('https://github.com/a" onclick="alert(1)', False),
        ("https://github.com/a/b/issues/1\n", False),
        ("", False),
    ],
)
def test_only_an_address_of_github_becomes_a_link(url: str, is_link: bool) -> None:
    assert is_github_address(url) == is_link
