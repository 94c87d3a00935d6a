"""Collects the values of a report about a release from the lake.

The figures come from records and manifests. Only the rows of the last days are read, so the cost of a
report does not depend on the length of the release's history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pipeline.contracts import (
    DUPLICATE_MARKS,
    DUPLICATE_PAIRS,
    ISSUES,
    SEGMENTS,
    SIMILAR_ISSUES,
    SIMILAR_ISSUES_V1,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
)
from pipeline.errors import UsageError
from pipeline.evaluation.model_figures import EVALUATION
from pipeline.lake.pinned import Pinned
from pipeline.releases.abstained_share import ABSTAINED
from pipeline.releases.index_figures import index_figures
from pipeline.releases.records import RECORD, marked_figures
from pipeline.serving.report.checks import publication_checks
from pipeline.serving.report.cost_values import extraction_cost, verb_usages
from pipeline.serving.report.day_figures import DayFigures, drift, figures_of_last_days, stored_figures
from pipeline.serving.report.neighbour_values import neighbours
from pipeline.serving.report.release_rows import ReleaseRows
from pipeline.serving.report.source_days import source_health
from pipeline.serving.report.title_values import title_quality
from pipeline.serving.report.values import ChangedDays, Comparison, ReleaseValues, StoredTable
from pipeline.settings import Settings

SHOWN_TABLES = (
    ISSUES,
    SOURCE_HEALTH,
    DUPLICATE_MARKS,
    TITLE_PREDICTIONS,
    SIMILAR_ISSUES,
    SIMILAR_ISSUES_V1,
    DUPLICATE_PAIRS,
    SEGMENTS,
)
EXAMPLES = 5
"""Maximum number of changed days that are named."""


def collect_values(settings: Settings, release: Pinned) -> tuple[ReleaseValues, list[DayFigures]]:
    """Returns the values of a report about a release, and the figures of its last days.

    The thresholds of the checks are taken from `settings`. Raises UsageError if the release does not exist or
    was never published, and LakeError if a file is missing or damaged.
    """
    release.require_open()
    lake, record = release.lake, release.notes[RECORD]
    if record is None:
        raise UsageError(
            f"Release {release.name} was never published, so there is no report about it.",
            f"Publish the release: titler publish --release {release.name}",
        )
    base = release.base
    previous = base.notes[RECORD] if base else None
    rows = ReleaseRows(release)
    earlier_figures = stored_figures(base)
    # `titler collect` may have removed the release before since this release stored its own figures.
    figures = figures_of_last_days(release, rows, earlier_figures or stored_figures(release))
    model = Pinned(lake, "models", record["model"])
    evaluation, index = model.notes[EVALUATION], index_figures(release)
    health = source_health(release.members[SOURCE_HEALTH.name])
    collapsed = dict(health.verdicts).get("collapsed", 0) if health else 0
    values = ReleaseValues(
        release_id=release.name,
        published_at=record["published_at"],
        published_by=record["published_by"],
        previous=base.name if base and previous else None,
        issues=record["issues"],
        days=record["days"],
        first_day=release.plan.days[0].day,
        last_day=release.plan.days[-1].day,
        model=record["model"],
        comparisons=_comparisons(record, previous, figures, earlier_figures),
        changed_days=_changed_days(release, base) if base and previous else None,
        tables=_tables(release, previous),
        health=health,
        checks=publication_checks(settings, record, previous, index, evaluation, collapsed),
        titles=title_quality(release, rows, record, evaluation),
        neighbours=neighbours(release, rows, record),
        drift=drift(figures, earlier_figures),
        verbs=verb_usages(release),
        extraction=extraction_cost(release, base if previous else None),
    )
    return values, figures


def _comparisons(
    record: Mapping[str, Any],
    previous: Mapping[str, Any] | None,
    figures: Sequence[DayFigures],
    earlier: Sequence[DayFigures],
) -> tuple[Comparison, ...]:
    """Returns the figures of a release beside those of the previous release."""
    previous_values = previous or {}
    rows = [
        Comparison("Source days", "count", record["days"], previous_values.get("days")),
        Comparison("Issues", "count", record["issues"], previous_values.get("issues")),
    ]
    if figures:
        of_last_day = earlier[-1].repositories if earlier else None
        rows.append(
            Comparison("Repositories on the last day", "count", figures[-1].repositories, of_last_day)
        )
    rows += [
        Comparison("Items in the index", "count", record["index_items"], previous_values.get("index_items")),
        Comparison(
            "Recall@10 of the index", "decimal", record["recall_at_10"], previous_values.get("recall_at_10")
        ),
    ]
    if ABSTAINED in record:
        rows.append(
            Comparison("Issues without a title", "share", record[ABSTAINED], previous_values.get(ABSTAINED))
        )
    if marked := marked_figures(record):
        previous_marked = marked_figures(previous_values) or {}
        rows.append(
            Comparison(
                "Marked duplicates among similar issues",
                "share",
                marked["recall_at_10"],
                previous_marked.get("recall_at_10"),
            )
        )
    names = {
        "Model": "model",
        "Version of the model": "model_version",
        "Vocabulary": "vocabulary",
        "MLflow run": "mlflow_run",
        "Ordering of similar issues": "ordering",
    }
    return (
        *rows,
        *(
            Comparison(title, "text", str(record[name]), previous_values.get(name))
            for title, name in names.items()
            if record.get(name)
        ),
    )


def _changed_days(release: Pinned, base: Pinned) -> ChangedDays | None:
    """Returns how many days were added, changed or removed since the previous release `base`, and the latest
    of the added or changed days. Returns None if `base` is no longer stored."""
    if not base.is_open():
        return None
    content = {day.day: day.content for day in release.plan.days}
    base_content = {day.day: day.content for day in base.plan.days}
    added = [day for day in content if day not in base_content]
    changed = [day for day in content if day in base_content and content[day] != base_content[day]]
    removed = sum(day not in content for day in base_content)
    return ChangedDays(len(added), len(changed), removed, tuple(sorted([*added, *changed])[-EXAMPLES:]))


def _tables(release: Pinned, previous: Mapping[str, Any] | None) -> tuple[StoredTable, ...]:
    """Returns the sizes of the tables of a release."""
    published_before = datetime.fromisoformat(previous["published_at"]) if previous else None
    tables = []
    has_similar = SIMILAR_ISSUES.name in release.members
    for table in SHOWN_TABLES:
        # A release has one of the two tables of similar issues, so the other one costs no request.
        if (table is SIMILAR_ISSUES_V1 and has_similar) or table.name not in release.members:
            continue
        batches = release.members[table.name]
        is_new = (
            None
            if published_before is None
            else sum(datetime.fromisoformat(batch.created_at) > published_before for batch in batches)
        )
        size = sum(file.bytes for batch in batches for file in batch.files)
        tables.append(
            StoredTable(table.name, len(batches), sum(batch.rows for batch in batches), size, is_new)
        )
    return tuple(tables)
