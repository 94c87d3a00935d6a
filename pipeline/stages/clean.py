"""clean: issues_v1 -> tokens_v1, a part of a day a task."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from pipeline.contracts import ISSUES, TOKENS
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake, Manifest
from pipeline.settings import Settings
from pipeline.stages import Job, Outcome, map_batches
from pipeline.text.engine import Engine, tokenizer


def clean_part(issues: pa.Table, engine: Engine) -> pa.Table:
    """Issues in, their tokens out, row for row."""
    tokens = tokenizer(engine)
    return pa.table(
        {
            "issue_id": issues.column("issue_id"),
            "repo": issues.column("repo"),
            "trainable": issues.column("trainable"),
            "body": tokens([body or "" for body in issues.column("body").to_pylist()]),
            "title": tokens(issues.column("title").to_pylist()),
        },
        schema=TOKENS.schema,
    )


def run(lake: Lake, settings: Settings, days: Sequence[str]) -> Outcome:
    """Cleans the current issues of these days. Raises UsageError for a day that was not extracted."""
    found = []
    for day in days:
        issues = lake.current(ISSUES.name, {"day": day})
        if issues is None:
            raise UsageError(f"{day} was not extracted.", f"Extract it first: titler extract --day {day}")
        found.append(issues)
    return clean_batches(lake, settings, found)


def clean_batches(lake: Lake, settings: Settings, found: Sequence[Manifest]) -> Outcome:
    """Cleans these batches of issues, of days or of a file, each into the partition of its name."""
    jobs = [
        Job(issues, issues.partition, (issues.digest,), {"engine": settings.text.engine}) for issues in found
    ]
    return map_batches(
        lake, TOKENS, jobs, clean_part, settings.text.engine, label="clean", compute=settings.compute
    )
