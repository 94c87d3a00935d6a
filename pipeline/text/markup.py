"""Prepares an issue's raw text for subwords. Removes GitHub's markup, and shortens code and machine output.

    prepare("### Bug\\r\\n<!-- Describe it -->\\nSee **`TreeView`** at https://example.com/a/b")
    -> "bug\\nsee tree\\u2060view at url"

The character U+2060 (JOINER) shows where the word `TreeView` was split.

A network reads only a few hundred subwords. The author's own words are few, but templates, logs and stack
traces are long. So text that repeats in thousands of issues is removed, and text that is specific to the
issue is kept. Line breaks are kept, because the first line of an issue is often its summary.

For any text, the time of every function is linear in the length of the text. Each pattern begins at a rare
character. It stops at the next such character, or after a bounded number of characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from pipeline.text.code_lines import LETTER_OR_DIGIT, with_short_code, without_frames
from pipeline.text.problem_first import author_lines

JOINER: Final = "\u2060"
"""U+2060 WORD JOINER. `prepare` inserts it where a word such as camelCase is split without a blank. If the
author's text contains this character, it is removed first."""


ORIGINAL_PREPARATION: Final = 1
"""The number of the preparation of bodies that keeps all lines in order.

Stored vocabularies without a field `preparation` were made with this one.
"""
PROBLEM_FIRST: Final = 2
"""The number of the preparation of bodies that puts the problem first and leaves out an issue template's
lines."""
LATEST_PREPARATION: Final = PROBLEM_FIRST
"""The number of the preparation that new models use.

A number never changes its meaning, because a model always needs the preparation it was trained with.
"""


def prepare(text: str) -> str:
    """Returns `text` in lower case, without markup and machine output. Never raises an exception.

    Line breaks are kept, but lines without letters and digits are removed. JOINER is inserted where the
    case changes in a word such as camelCase. URLs become `url`. Long numbers, hashes, dates and times become
    `0`. Characters are normalised to Unicode NFKC. All titles are prepared by this function. Bodies are
    prepared by it if the model has the preparation ORIGINAL_PREPARATION.
    """
    lines = _lines(text)
    if any("```" in line or "~~~" in line for line in lines):
        lines = list(with_short_code(lines))
    return _plain_words(lines)


def prepare_body(text: str, preparation: int) -> str:
    """Prepares the body of an issue for subwords: removes markup and shortens machine output.

    There are two ways to prepare a body. `preparation` is the number of one of them: ORIGINAL_PREPARATION, or
    PROBLEM_FIRST, which also moves the problem to the front and removes the lines of an issue template. If no
    line would remain, PROBLEM_FIRST keeps all lines, in their order.
    """
    if preparation == ORIGINAL_PREPARATION:
        return prepare(text)
    return _plain_words(_author_lines(text) or _lines(text))


def author_text(body: str) -> str:
    """Returns what the author of an issue wrote, without the lines of an issue template and without markup.

    Code and logs are shortened. Letter case and numbers are kept. Returns "" if the author wrote nothing into
    the issue template.
    """
    return _without_markup("\n".join(without_frames(_author_lines(body))))


@lru_cache(maxsize=1)  # a query's ids and its terms are both made from them
def _author_lines(body: str) -> list[str]:
    return author_lines(_lines(body))


def plain_title(title: str) -> str:
    """Returns a title without markup and invisible characters. Letter case and numbers are kept."""
    return _without_markup(_plain_characters(title))


def _lines(text: str) -> list[str]:
    """Splits a text into lines. Removes invisible characters and HTML comments."""
    text = _plain_characters(text)
    return (_without_comments(text) if "<!--" in text else text).split("\n")


def _plain_words(lines: Sequence[str]) -> str:
    text = "\n".join(without_frames(lines))
    text = _without_markup(text)
    text = _without_numbers(text)
    text = _BEFORE_CAPITAL.sub(_with_joiner, text).lower()
    return "\n".join(
        line
        for line in (" ".join(line.split()) for line in text.split("\n"))
        if LETTER_OR_DIGIT.search(line) and line != _NO_ANSWER
    )


_NO_ANSWER: Final = "no response"  # GitHub writes this for an empty field of an issue form
_BEFORE_CAPITAL: Final = re.compile(r"[A-Z](?:(?<=[a-z0-9].)|(?<=[A-Z].)(?=[a-z]))")  # treeView, HTTPServer


def _with_joiner(capital: re.Match[str]) -> str:
    return JOINER + capital[0]


# --- characters
# ---------------------------------------------------------------------------------------------------

_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ud800-\udfff]+"
)
_INVISIBLE_ASCII: Final = {code: None for code in range(128) if _INVISIBLE.fullmatch(chr(code))}
_EMPTY_LINES: Final = re.compile(r"\n\n\n++")
_MAX_MARKS: Final = 30
_MARKS: Final = re.compile(rf"([^\w\s\x00-\x7f]{{{_MAX_MARKS}}})[^\w\s\x00-\x7f]+")


def _plain_characters(text: str) -> str:
    """Normalises text to Unicode NFKC and to one kind of line break, and removes invisible characters.

    Normalisation sorts the combining marks of a letter, which takes quadratic time. To limit the time, a long
    run of marks or of other symbols is shortened first. Runs of empty lines are shortened too, because later
    steps handle each line separately.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = text.replace("\u2028", "\n").replace("\u2029", "\n")
        if len(text) - len(text.encode("ascii", "ignore")) > _MAX_MARKS:
            text = _MARKS.sub(r"\1", text)
        text = unicodedata.normalize("NFKC", text)
    if "\n\n\n" in text:
        text = _EMPTY_LINES.sub("\n\n", text)
    if text.isascii():  # quicker than the pattern
        return text.translate(_INVISIBLE_ASCII)
    return _INVISIBLE.sub("", text)


# --- comments
# ---------------------------------------------------------------------------------------------------


def _without_comments(text: str) -> str:
    """Removes HTML comments `<!-- ... -->`, in which issue templates give instructions to the author.

    A comment without `-->` ends at the end of its paragraph.
    """
    parts: list[str] = []
    copied = 0
    last_end = text.rfind("-->")
    while (begin := text.find("<!--", copied)) >= 0:
        parts.append(text[copied:begin])
        if begin < last_end and (end := text.find("-->", begin + 4)) >= 0:
            copied = end + 3
        else:
            end = text.find("\n\n", begin)
            copied = end if end >= 0 else len(text)
    return "".join([*parts, text[copied:]])


# --- markup
# ---------------------------------------------------------------------------------------------------------

_TAG_NAMES: Final = (
    "details|summary|br|hr|p|div|span|img|a|b|i|u|s|em|strong|code|pre|kbd|samp|var|tt|ul|ol|li|dl|dt|dd|h[1-6]|table|thead|tbody"
    "|tr|td|th|sub|sup|blockquote|center|font|del|ins|small|big|input|picture|source|video|section|article|align|g-emoji"
)
_TAG: Final = re.compile(rf"<(?:/|(?=[a-z]))(?:{_TAG_NAMES})(?:[\s/][^<>]*+)?>", re.IGNORECASE)
_LINK: Final = re.compile(r"!?\[([^\[\]\n]*+)\]\([^()\n]*+\)")
_ADDRESS: Final = re.compile(
    r"(?:https?|ftp|file)://[^\s<>()\[\]\"'`|]*+|(?<![\w.])www\.[^\s<>()\[\]\"'`|]++", re.IGNORECASE
)
_LINE_START: Final = re.compile(
    r"^[ \t]*+(?:>[ \t]*+)*+(?:#{1,6}[ \t]++|[-*+•][ \t]++)?+(?:\[[ xX]?\](?!\()[ \t]*+)?+", re.MULTILINE
)
_STARS: Final = re.compile(  # neither a*b nor *.py
    r"\*(?:(?<![\w*]\*)\**+(?=[^\s*./])|(?<=[^\s*]\*)\**+(?!\w|[./]\w))"
)
_UNDERSCORES: Final = re.compile(r"_(?<!\w_)([^_\s][^_\n]*+)_(?!\w)")
_RUN: Final = re.compile(r"([\W_])(?<=\S)\1\1++")
_ENTITIES: Final = {
    "&lt;": "<",
    "&gt;": ">",
    "&quot;": '"',
    "&#39;": "'",
    "&nbsp;": " ",
    "&amp;": "&",
}  # &amp; last: &amp;lt; is &lt;


def _without_markup(text: str) -> str:
    """Removes the markup of Markdown and HTML, but keeps the text inside it. URLs become `url`."""
    if "<" in text:
        text = _TAG.sub(" ", text)
    if "](" in text:
        text = _LINK.sub(r"\1", _LINK.sub(r"\1", text))  # twice, because a badge is an image in a link
    if "://" in text or "www." in text:
        text = "\n".join(
            _ADDRESS.sub("url", line) if "://" in line or "www." in line.lower() else line
            for line in text.split("\n")
        )
    if "&" in text:
        for entity, character in _ENTITIES.items():
            text = text.replace(entity, character)
    text = _LINE_START.sub("", text)
    text = text.replace("`", "").replace("~~", "")
    if "*" in text:
        text = _STARS.sub("", text)
    if "_" in text:
        text = _UNDERSCORES.sub(r"\1", text)
    return _RUN.sub(" ", text)


# --- numbers
# --------------------------------------------------------------------------------------------------------

_HASH: Final = re.compile(
    r"[0-9a-f](?<![\w.].)(?:(?<=0)x[0-9a-f]++|(?:(?<=\d)|(?=[a-f]*+\d))[0-9a-f]{6,}+(?:-[0-9a-f]{4}){0,3}(?:-[0-9a-f]{12})?)(?!\w)",
    re.IGNORECASE,
)
_DATE_OR_TIME: Final = re.compile(
    r"\d(?<!\d.)(?:\d{3}[-/]\d\d?[-/]\d\d?(?!\d)(?:[T ]\d\d?:\d\d)?|\d?:\d\d(?=:\d\d)|\d?/\d\d?/\d{4}(?!\d))"
    r"(?:(?::\d\d)*+(?:[.,]\d++)?(?: ?[AP]M\b|Z|[+-]\d\d:?\d\d)?+)",
    re.IGNORECASE,
)
_LONG_NUMBER: Final = re.compile(r"\d(?<![\d.].)(?:\d*+\.)?+\d{4,}+(?!\.?\d)")


def _without_numbers(text: str) -> str:
    """Replaces hashes, memory addresses, dates, times and numbers of five digits or more by `0`.

    These strings are replaced because few of them occur in more than one issue. Versions (1.2.3), codes (404)
    and years are kept, because they name something.
    """
    return _LONG_NUMBER.sub("0", _HASH.sub("0", _DATE_OR_TIME.sub("0", text)))
