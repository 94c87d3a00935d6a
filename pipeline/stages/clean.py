"""Stage `clean`: splits titles and bodies of issues into tokens.

It reads the table issues_v1 and writes the table tokens_v1, with one Dask task per Parquet file.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pyarrow as pa

from pipeline.compute.derived_batches import Derivation, Outcome, derive_batches
from pipeline.contracts import ISSUES, TOKENS
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.changed_days import list_changes
from pipeline.lake.manifest import RECHECKED, Manifest
from pipeline.settings import Settings
from pipeline.text.engine import Engine, tokenizer


def clean_part(issues: pa.Table, engine: Engine) -> pa.Table:
    """Splits the titles and bodies of `issues` into tokens. Returns one row of the table tokens_v1 per
    issue."""
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
    """Splits the issues of the given days (YYYY-MM-DD) into tokens. Reads each day's current batch of the
    table issues_v1, and returns one batch of the table tokens_v1 per day. Raises UsageError if a day was not
    extracted.

    Also splits the issues of earlier days that `extract` has checked and extracted again.
    """
    batches = rechecked_batches(lake, settings, days)
    for day in days:
        issues = lake.current(ISSUES.name, {"day": day})
        if issues is None:
            raise UsageError(f"{day} was not extracted.", f"Run first: titler extract --day {day}")
        batches.append(issues)
    return clean_batches(lake, settings, batches)


def rechecked_batches(lake: Lake, settings: Settings, days: Sequence[str]) -> list[Manifest]:
    """Looks at the `source.recheck_days` days before the first of `days`. If `extract` has checked and
    extracted some of them again since a release was last planned, returns their batches of issues."""
    if not days:
        return []
    first = date.fromisoformat(min(days))
    oldest = str(first - timedelta(days=settings.source.recheck_days))
    changed = {change.day for change in list_changes(lake) if change.table == ISSUES.name}
    recent = sorted(day for day in changed if oldest <= day < str(first))
    current = lake.for_each(lambda day: lake.current(ISSUES.name, {"day": day}), recent)
    return [issues for issues in current if issues is not None and RECHECKED in issues.figures]


def clean_batches(lake: Lake, settings: Settings, batches: Sequence[Manifest]) -> Outcome:
    """Splits the issues of each given batch of the table issues_v1 into tokens.

    Returns one batch of the table tokens_v1 for each of them. It is in the same partition as the batch of
    issues, such as `day=2015-01-01`.
    """
    engine = settings.text.engine
    derivations = [
        Derivation(issues, issues.partition, (issues.digest,), {"engine": engine}) for issues in batches
    ]
    return derive_batches(
        lake, TOKENS, derivations, clean_part, engine, label="clean", compute=settings.compute
    )
