"""Decides which issues are trainable.

An issue is trainable if its title and body are neither too short nor too long. Models learn only from
trainable issues.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from pipeline.settings import Text

REASONS = ("no_body", "short_body", "short_title", "long_title", "long_body")
"""The reasons why an issue is not trainable, in the order in which they are checked."""


def thresholds(text: Text) -> dict[str, int]:
    """Returns the limits on the length of titles and bodies, by name: the settings `text.min_*` and
    `text.max_*`.

    The parameters of the query `sql/extract_issues.sql` have the same names.
    """
    return {
        "min_body_words": text.min_body_words,
        "min_title_words": text.min_title_words,
        "max_title_characters": text.max_title_characters,
        "max_body_characters": text.max_body_characters,
    }


def untrainable_reason(title: str, body: str, limits: Mapping[str, int]) -> str:
    """Returns why an issue is not trainable, for example "short_body". Returns an empty string if it is
    trainable.

    The reasons are checked in the order of REASONS; the first that applies is returned. `limits` is the
    return value of `thresholds`.
    """
    if not body.strip():
        return "no_body"
    if len(body.split()) < limits["min_body_words"]:
        return "short_body"
    if len(title.split()) < limits["min_title_words"]:
        return "short_title"
    if len(title) > limits["max_title_characters"]:
        return "long_title"
    return "long_body" if len(body) > limits["max_body_characters"] else ""


def count_untrainable(issues: pa.Table, limits: Mapping[str, int]) -> dict[str, int]:
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
