"""Decides which issues are trainable.

An issue is trainable if its title and body are neither too short nor too long. Models learn only from
trainable issues.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa

from pipeline.settings import Text

REASONS = ("no_body", "short_body", "short_title", "long_title", "long_body")
"""The reasons why an issue is not trainable, in the order in which they are checked."""


WORD = "word"
"""The parameter that says what a word is. Batches of earlier versions of Titler lack it: their words were
separated by white space only."""

_WHITE_SPACE = "\\t-\\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # Unicode's White_Space
_EAST_ASIAN = (
    "\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff"
)
"""Han, Hiragana and Katakana. Hangul is not among them, because Korean has blanks between words."""
_SOUTH_EAST_ASIAN = "\u0e01-\u0e4e\u0e81-\u0ecd\u1000-\u103e\u1780-\u17d3"
"""Thai, Lao, Burmese and Khmer. They are alphabets, so their words have more characters."""
_OTHER_THAN_WORDS = re.compile("[\x1c-\x1f]")  # white space for str.split, but not for Unicode


def word_pattern(characters_per_word: int) -> str:
    """Returns a regular expression that matches each word of a text, in the syntax that RE2 and Python share.

    A word is a run of characters without white space. In scripts without blanks between words, a word ends
    after `characters_per_word` characters of Chinese or Japanese, or after twice as many characters of Thai,
    Lao, Burmese or Khmer. Such a word may also contain other characters, such as punctuation, but these are
    not counted.
    """
    spaced = f"[^{_WHITE_SPACE}{_EAST_ASIAN}{_SOUTH_EAST_ASIAN}]"
    unit = f"(?:[{_EAST_ASIAN}]|[{_SOUTH_EAST_ASIAN}]{{1,2}})"
    return f"{spaced}*(?:{unit}{spaced}*){{1,{characters_per_word}}}|{spaced}+"


def thresholds(text: Text) -> dict[str, Any]:
    """Returns the limits on the lengths of titles and bodies, and the regular expression that defines what
    a word is.

    Each limit is one of the settings `text.min_*` and `text.max_*`. Its key is the name of the setting
    without `text.`. The key of the regular expression is WORD. The query `sql/extract_issues.sql` has
    parameters with these names.
    """
    return {
        "min_body_words": text.min_body_words,
        "min_title_words": text.min_title_words,
        "max_title_characters": text.max_title_characters,
        "max_body_characters": text.max_body_characters,
        WORD: word_pattern(text.characters_per_word),
    }


def without_word(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters of a batch without the regular expression that defines what a word is. The
    result can be compared with the parameters from earlier versions of Titler, which lack this expression."""
    return {name: value for name, value in parameters.items() if name != WORD}


def count_words(text: str, word: str) -> int:
    """Returns the number of words in a text. `word` is a regular expression that matches one word."""
    if text.isascii() and not _OTHER_THAN_WORDS.search(text):
        return len(text.split())  # the same number, six times as fast
    return len(_compiled(word).findall(text))


@lru_cache(maxsize=8)
def _compiled(word: str) -> re.Pattern[str]:
    return re.compile(word)


def is_trainable(title: str, body: str | None, limits: Mapping[str, Any]) -> bool:
    """Returns whether an issue is trainable, by the same rules as `sql/extract_issues.sql`. `limits` is the
    return value of `thresholds`."""
    return (
        body is not None
        and len(title) <= limits["max_title_characters"]
        and len(body) <= limits["max_body_characters"]
        and count_words(title, limits[WORD]) >= limits["min_title_words"]
        and count_words(body, limits[WORD]) >= limits["min_body_words"]
    )


def untrainable_reason(title: str, body: str, limits: Mapping[str, Any]) -> str:
    """Returns why an issue is not trainable, for example "short_body". Returns an empty string if it is
    trainable.

    The reasons are checked in the order of REASONS; the first that applies is returned. `limits` is the
    return value of `thresholds`.
    """
    if not body.strip():
        return "no_body"
    if count_words(body, limits[WORD]) < limits["min_body_words"]:
        return "short_body"
    if count_words(title, limits[WORD]) < limits["min_title_words"]:
        return "short_title"
    if len(title) > limits["max_title_characters"]:
        return "long_title"
    return "long_body" if len(body) > limits["max_body_characters"] else ""


def count_untrainable(issues: pa.Table, limits: Mapping[str, Any]) -> dict[str, int]:
    """Counts the issues that are not trainable. Returns a number for each reason in REASONS, such as
    "short_body".

    If several reasons apply to an issue, the issue is counted for the first reason only. `issues` has the
    columns title and body, and `limits` is the return value of `thresholds`.
    """
    counts = dict.fromkeys(REASONS, 0)
    titles, bodies = (issues.column(name).to_pylist() for name in ("title", "body"))
    for title, body in zip(titles, bodies, strict=True):
        if reason := untrainable_reason(title, body or "", limits):
            counts[reason] += 1
    return counts
