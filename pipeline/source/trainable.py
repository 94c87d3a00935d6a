"""Decides which issues are trainable.

A model may learn from an issue if its title and body are neither too short nor too long. Such an issue is
called trainable.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from pipeline.settings import Text

REASONS = ("no_body", "short_body", "short_title", "long_title", "long_body")
"""The reasons why an issue is not trainable, in the order in which they are checked."""


def thresholds(text: Text) -> dict[str, int]:
    """Returns the limits of length in the settings `text.*`. They are named like the parameters of
    `sql/extract_issues.sql`."""
    return {
        "min_body_words": text.min_body_words,
        "min_title_words": text.min_title_words,
        "max_title_characters": text.max_title_characters,
        "max_body_characters": text.max_body_characters,
    }


def untrainable_reason(title: str, body: str, limits: Mapping[str, int]) -> str:
    """Returns the first of REASONS that applies to an issue. Returns an empty string if the issue is
    trainable.

    `limits` is the result of `thresholds`.
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
    """Returns, for each of REASONS, the number of issues that are not trainable for that reason.

    If several reasons apply to an issue, it is counted for the first one only. `issues` has the columns title
    and body; `limits` is the result of `thresholds`.
    """
    counts = dict.fromkeys(REASONS, 0)
    titles, bodies = (issues.column(name).to_pylist() for name in ("title", "body"))
    for title, body in zip(titles, bodies, strict=True):
        if reason := untrainable_reason(title, body or "", limits):
            counts[reason] += 1
    return counts
