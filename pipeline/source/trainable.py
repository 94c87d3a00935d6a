"""Which issues a model may learn from: those with a title and a body that are long enough and short
enough."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from pipeline.settings import Text

REASONS = ("no_body", "short_body", "short_title", "long_title", "long_body")
"""Why an issue may not be trainable, in the order in which the thresholds are checked."""


def thresholds(text: Text) -> dict[str, int]:
    """The thresholds of the settings, named as the parameters of `sql/extract_issues.sql`."""
    return {
        "min_body_words": text.min_body_words,
        "min_title_words": text.min_title_words,
        "max_title_characters": text.max_title_characters,
        "max_body_characters": text.max_body_characters,
    }


def untrainable_reason(title: str, body: str, limits: Mapping[str, int]) -> str:
    """The first of REASONS that keeps an issue from being trainable, or an empty string if it is
    trainable."""
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
    """How many issues each of REASONS keeps from being trainable. An issue counts once, for its first
    reason."""
    counts = dict.fromkeys(REASONS, 0)
    titles, bodies = (issues.column(name).to_pylist() for name in ("title", "body"))
    for title, body in zip(titles, bodies, strict=True):
        if reason := untrainable_reason(title, body or "", limits):
            counts[reason] += 1
    return counts
