"""Reads what a release has stored about one issue: its predicted title and its similar issues."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.contracts import SIMILAR_ISSUES, TITLE_PREDICTIONS
from pipeline.errors import LakeError, UsageError
from pipeline.index.segmented_index import QueryIssue
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.releases.index_figures import MIN_PROBABILITY
from pipeline.releases.withheld_titles import WITHHELD
from pipeline.settings import Settings

SIMILAR_COLUMNS = (
    "list",
    "rank",
    "distance",
    "near_duplicate",
    "probability",
    "words_in_common",
    "title_overlap",
    "age_days",
    "similar_text",
    "group_size",
)

TABLES_REMEMBERED, LARGEST_REMEMBERED = 16, 4 * 2**20
"""Number of tables that stay in memory, each with some columns of a row group, and the largest size of such
a table in bytes. Many requests are about issues of the same few days."""
_remembered: dict[tuple[Path, int, tuple[str, ...]], pa.Table] = {}
"""The tables by file, row group and columns. The one that was read last is the last one."""


def stored_issue(release: Pinned, settings: Settings, issue: QueryIssue) -> dict[str, Any]:
    """Returns what a release has stored about an issue that is in its index.

    The keys are `issue_url`, `repo`, `title`, `opened_at`, `predicted_title`, `confidence`, `probability`,
    `abstained`, `withheld`, `source_day`, `model`, `release`, and `similar`. `similar` has a dict for each
    similar older issue, with `rank` and the keys that `queries.similar` returns. If the release
    withholds the titles of its model, and this model made the title, `predicted_title` is empty, as in the
    warehouse's views. Raises UsageError if an earlier version of Titler made the release, and LakeError if a
    file is missing or damaged.
    """
    if issue.day is None or SIMILAR_ISSUES.name not in release.members:
        raise UsageError(
            f"Release {release.name} was made by an earlier version of Titler, so its similar issues cannot "
            "be looked up for a single issue.",
            "Publish a new release with one more day: titler run --day DAY",
        )
    batch = _of_day(release, TITLE_PREDICTIONS.name, issue.day)
    rows = issue_rows(open_files(release.lake, batch), issue.issue_id)
    if not rows:
        raise LakeError(
            f"The batch {release.lake.path(batch.folder)} has no row of the issue {issue.issue_id}."
        )
    row = rows[0]
    withheld = release.facts.get(WITHHELD) if row["model"] == release.facts["model"] else None
    return {
        "issue_url": row["issue_url"],
        "repo": row["repo"],
        "title": row["title"],
        "opened_at": row["created_at"].isoformat(),
        "predicted_title": "" if withheld else row["predicted_title"],
        "confidence": row["confidence"],
        "probability": row.get("probability"),
        "abstained": bool(withheld or row["abstained"]),
        "withheld": withheld,
        "source_day": str(row["source_day"]),
        "model": row["model"],
        "release": release.name,
        "similar": _similar(release, settings, issue),
    }


def _similar(release: Pinned, settings: Settings, issue: QueryIssue) -> list[dict[str, Any]]:
    batch = _of_day(release, SIMILAR_ISSUES.name, str(issue.day))
    rows = issue_rows(open_files(release.lake, batch), issue.issue_id)
    limit = release.facts.get(MIN_PROBABILITY, settings.similar.min_probability)
    return [
        {
            "issue_url": row["similar_issue_url"],
            "title": row["similar_title"],
            **{name: row[name] for name in SIMILAR_COLUMNS},
            "suggested": row["probability"] >= limit,
        }
        for row in sorted(rows, key=lambda row: (row["list"] != "repository", row["rank"]))
    ]


class OpenFile(NamedTuple):
    """A Parquet file that is open for reading. `names` are the names of its columns."""

    path: Path
    parquet: pq.ParquetFile
    names: tuple[str, ...]

    @classmethod
    def of(cls, path: Path) -> OpenFile:
        """Opens the file at `path`."""
        parquet = pq.ParquetFile(path, memory_map=True)
        return cls(path, parquet, tuple(parquet.schema_arrow.names))


def open_files(lake: Lake, batch: Manifest) -> list[OpenFile]:
    """Opens the files of a batch, which must be a table. Raises LakeError if a file is missing or damaged."""
    paths = (lake.local_file(batch, file.name) for file in batch.files)
    return [OpenFile.of(path) for path in paths]


def issue_rows(
    files: Sequence[OpenFile], issue_id: int, columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Returns the rows of a table that belong to an issue. `files` are the files of the table. `columns` are
    the columns to return; None means all columns. Reads only the row groups that may have the issue."""
    rows: list[dict[str, Any]] = []
    for file in files:
        metadata, id_column = file.parquet.metadata, file.names.index("issue_id")
        for group in range(metadata.num_row_groups):
            limits = metadata.row_group(group).column(id_column)
            if limits.is_stats_set and not limits.statistics.min <= issue_id <= limits.statistics.max:
                continue
            ids = _row_group(file, group, ("issue_id",)).column(0)
            places = pc.indices_nonzero(pc.equal(ids, issue_id))
            if len(places):
                names = file.names if columns is None else tuple(columns)
                rows += _row_group(file, group, names).take(places).to_pylist()
    return rows


def _row_group(file: OpenFile, group: int, columns: tuple[str, ...]) -> pa.Table:
    """Returns some columns of a row group. Keeps them in memory if they are small. They cannot become
    outdated, because a file of a batch never changes."""
    key = (file.path, group, columns)
    table = _remembered.pop(key, None)
    if table is None:
        table = file.parquet.read_row_group(group, list(columns), use_threads=False)
    if table.nbytes <= LARGEST_REMEMBERED:
        if len(_remembered) >= TABLES_REMEMBERED:
            del _remembered[next(iter(_remembered))]
        _remembered[key] = table
    return table


def _of_day(release: Pinned, table: str, day: str) -> Manifest:
    return next(batch for batch in release.members[table] if batch.day == day)
