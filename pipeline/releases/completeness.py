"""Checks that a published release has complete lists of its batches. A list that is missing or too short
counts as damaged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.contracts import (
    DUPLICATE_MARKS,
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    INDEX,
    ISSUES,
    SEGMENTS,
    SIMILAR_ISSUES,
    SIMILAR_ISSUES_V1,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    VECTORS,
)
from pipeline.errors import LakeError
from pipeline.lake.manifest import Manifest
from pipeline.lake.members import made_by_command
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import PLAN_FILES
from pipeline.releases.index_figures import CLUSTER_PROBABILITY, MIN_PROBABILITY, index_figures
from pipeline.releases.withheld_titles import WITHHELD

FACTS_OF_RECORD = (
    *("model", "model_version", "vocabulary", "mlflow_run"),
    *(MIN_PROBABILITY, CLUSTER_PROBABILITY, WITHHELD),
)
"""The facts of a release's plan that its record has, too."""


def check_complete(release: Pinned, record: Mapping[str, Any]) -> None:
    """Raises LakeError if a published release lacks its plan or one of its lists of batches. Also raises it
    if the plan or a list disagrees with `record`, which was stored when the release was published. Reads no
    batches.

    Each table that is partitioned by day must have one batch per day in its list. The segments of the index
    must have as many issues as the record says.
    """
    check_published_tables(release, record)
    _check_tables(release, (VECTORS.name, EMBEDDINGS.name))
    _check_index(release, record)


def check_lists_exist(release: Pinned) -> None:
    """Raises LakeError if a published release lacks the list of batches of one of its tables. Does not check
    what the lists contain."""
    index = INDEX if INDEX in release.members else SEGMENTS.name
    for table in (*_tables_shown(release), VECTORS.name, EMBEDDINGS.name, index):
        _require_list(release, table)


def check_published_tables(release: Pinned, record: Mapping[str, Any]) -> None:
    """Does the checks of `check_complete` for the plan and for the tables that the warehouse shows. Does not
    check the index and the other tables."""
    require_plan(release)
    days = release.plan.days
    if len(days) != record["days"]:
        raise _damaged(
            release, f"the plan has {len(days)} days, but the record of the release says {record['days']}"
        )
    for name in FACTS_OF_RECORD:
        if name in record and name in release.facts and record[name] != release.facts[name]:
            raise _damaged(
                release,
                f"the plan has {name} = {release.facts[name]}, but the record of the "
                f"release has {name} = {record[name]}",
            )
    _check_tables(release, _tables_shown(release))
    for table, folders in (
        (ISSUES.name, [day.issues for day in days]),
        (SOURCE_HEALTH.name, [day.health for day in days]),
        (DUPLICATE_MARKS.name, [day.duplicate_marks for day in days if day.duplicate_marks]),
    ):
        if folders and [batch.folder for batch in _members(release, table)] != folders:
            raise _damaged(
                release,
                f"the batches in the list of {table} are not the batches in the plan of the release",
                table,
            )
    titled = sum(batch.rows for batch in _members(release, TITLE_PREDICTIONS.name))
    issues = titled - sum(map(len, release.plan.superseded.values()))
    if issues != record["issues"]:
        raise _damaged(
            release, f"the release has titles of {issues:,} issues, but its record says {record['issues']:,}"
        )


def require_plan(release: Pinned) -> None:
    """Raises LakeError if a published release has no plan."""
    if not release.is_open():
        lake, path = release.lake, release.file("plan.json")
        raise LakeError(
            f"The file {lake.path(path)} is missing, but release {release.name} was published.",
            PLAN_FILES["releases"].remedy(lake.root, path),
        )


def _check_tables(release: Pinned, tables: Iterable[str]) -> None:
    """Checks that a release has one batch per day of each table."""
    days = [day.day for day in release.plan.days]
    for table in tables:
        batches = _members(release, table)
        if [batch.day for batch in batches] != days:
            raise _damaged(
                release,
                f"the release has {len(batches)} batches of {table} for {len(days)} days. Expected "
                "one batch per day",
                table,
            )


def _tables_shown(release: Pinned) -> Iterable[str]:
    """Returns the tables that the warehouse shows and that have one batch per day of a release. A release of
    Titler 0.1 has the table similar_issues_v1 in place of similar_issues_v2 and duplicate_pairs_v1."""
    tables = [ISSUES.name, SOURCE_HEALTH.name, TITLE_PREDICTIONS.name]
    if SIMILAR_ISSUES.name not in release.members and SIMILAR_ISSUES_V1.name in release.members:
        return [*tables, SIMILAR_ISSUES_V1.name]
    return [*tables, SIMILAR_ISSUES.name, DUPLICATE_PAIRS.name]


def _check_index(release: Pinned, record: Mapping[str, Any]) -> None:
    """Checks that the segments have as many issues as the record and the figures of the index say. An index
    of Titler 0.1 has no segments."""
    if SEGMENTS.name not in release.members and INDEX in release.members:
        return
    items = sum(int(segment.figures["items"]) for segment in _members(release, SEGMENTS.name))
    for name, expected in (
        ("record of the release", record["index_items"]),
        ("figures of the index", index_figures(release)["items"]),
    ):
        if items != expected:
            raise _damaged(
                release,
                f"the segments of the index have {items:,} issues. Expected {expected:,}, as in the {name}",
                SEGMENTS.name,
            )


def _members(release: Pinned, table: str) -> Sequence[Manifest]:
    _require_list(release, table)
    return release.members[table]


def _require_list(release: Pinned, table: str) -> None:
    if table not in release.members:
        path = release.lake.path(release.file(f"members/{table}.json"))
        raise LakeError(
            f"The file {path} is missing, but release {release.name} was published.",
            _rewrite_command(release, table),
        )


def _damaged(release: Pinned, difference: str, table: str | None = None) -> LakeError:
    """Returns the error about a release whose lists do not agree with its record. `table` is the table whose
    list is wrong, if that is known."""
    folder = release.lake.path(release.file(""))
    restore = (
        f"Restore the folder {folder} from a backup. If there is none, plan another release: titler plan"
    )
    remedy = (
        f"Delete the file {folder}members/{table}.json\n{_rewrite_command(release, table)}"
        if table
        else restore
    )
    return LakeError(f"The lists of release {release.name} are damaged: {difference}.", remedy)


def _rewrite_command(release: Pinned, table: str) -> str:
    return f"Run: {made_by_command(table, 'releases', release.name)}"
