"""Where an engine's result differs from BigQuery's, and why that is accepted.

Everywhere else the three agree.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tests.warehouse.events import opened


class Difference(NamedTuple):
    reason: str
    expected: Any


DIFFERENCES: dict[tuple[str, str], Difference] = {  # (engine, case)
    ("googlesql", "escaped pairs of surrogates"): Difference(
        "the package decodes each half of an escaped pair by itself, where BigQuery gives the character",
        [
            {
                "issue_id": 7,
                "issue_url": "https://github.com/a/b/issues/1",
                "repo": "a/b",
                "number": 1,
                "author": "someone",
                "title": "it \ufffd\ufffd starts",
                "body": "one two three four five six",
                "created_at": datetime(2015, 1, 3, 5, tzinfo=UTC),
                "event_id": "100",
                "trainable": True,
                "author_association": None,
            }
        ],
    ),
    ("emulator", "text as issue"): Difference(
        "a JSON path into a string returns the string itself on the emulator: it sees a pull request, "
        "BigQuery sees nothing",
        None,
    ),
    ("emulator", "a number as issue"): Difference("the same holds for a JSON path into a number", None),
    ("emulator", "a confidence that is no number"): Difference(
        "the emulator's SQLite has no NaN and keeps NULL, which no check calls wrong", []
    ),
    ("emulator", "a distance that is no number"): Difference("as above", []),
    ("emulator", "JSON_EXTRACT compared with text"): Difference(
        "its JSON_EXTRACT of a STRING returns JSON, which it does not compare with text: "
        "re.sub replaces the call",
        (r"JSON_EXTRACT\((payload, '[^']+')\)", r"NULLIF(TO_JSON_STRING(JSON_EXTRACT(\1)), 'null')"),
    ),
    ("duckdb", "an event without an id"): Difference(
        "the embedded warehouse quarantines the whole line without an id before any SQL reads it",
        [{"event_id": None, "reason": "id is missing", "text": json.dumps({**opened(7), "id": None})}],
    ),
    ("duckdb", "an event without a time"): Difference(
        "nor is a line without a time",
        [
            {
                "event_id": "100",
                "reason": "created_at is missing",
                "text": json.dumps({**opened(7), "created_at": None}),
            }
        ],
    ),
    **{
        ("duckdb", f"an event of {year}"): Difference(
            "nor is a line with an implausible time",
            [
                {
                    "event_id": "100",
                    "reason": f"created_at is not between 1970 and 2262: '{year}-01-01T00:00:00Z'",
                    "text": json.dumps(opened(7, at=f"{year}-01-01T00:00:00Z")),
                }
            ],
        )
        for year in (1970, 2262)
    },
}


def accepted(engine: str, case: str, expected: Any) -> Any:
    """The result that `engine` must return for `case`."""
    difference = DIFFERENCES.get((engine, case))
    return expected if difference is None else difference.expected
