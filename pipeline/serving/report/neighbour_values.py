"""Collects what a report shows about the similar issues of a release."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contracts import (
    DUPLICATE_PAIRS,
    EVERYWHERE_LIST,
    REPOSITORY_LIST,
    SIMILAR_ISSUES,
    TITLE_PREDICTIONS,
)
from pipeline.lake.pinned import Pinned
from pipeline.releases.index_figures import CLUSTER_PROBABILITY, MIN_PROBABILITY, ORDERING
from pipeline.serving.report.clusters import find_clusters
from pipeline.serving.report.release_rows import ReleaseRows
from pipeline.serving.report.values import (
    Cluster,
    CurvePoint,
    Issue,
    Neighbourhood,
    Neighbours,
    Suggestion,
)

CLUSTER_DAYS = 7
CLUSTERS = 10
"""Maximum number of clusters that are shown."""
CLUSTER_ISSUES = 10
"""Maximum number of issues of a cluster that are shown."""
NEIGHBOURHOODS = 3
LISTED = 3
"""Maximum number of similar issues per list of a neighbourhood."""


def neighbours(release: Pinned, rows: ReleaseRows, record: Mapping[str, Any]) -> Neighbours | None:
    """Returns what a report shows of the similar issues of a release.

    Reads the probable duplicates of the last CLUSTER_DAYS days, and the similar issues of the last day that
    has similar issues. Returns None if an earlier version of Titler made the release and stored no
    probabilities.
    """
    if SIMILAR_ISSUES.name not in release.members:
        return None
    last_day = release.plan.days[-1].day
    week_before = date.fromisoformat(last_day) - timedelta(days=CLUSTER_DAYS - 1)
    first_day = max(str(week_before), release.plan.days[0].day)
    clusters = _clusters(release, rows, record, first_day)
    calibration = json.loads(record.get("ordering_calibration") or "{}")
    return Neighbours(
        first_day,
        last_day,
        tuple(clusters[:CLUSTERS]),
        len(clusters),
        sum(len(cluster.issues) for cluster in clusters),
        record.get(ORDERING),
        tuple(curve_point(point) for point in calibration.get("reliability", ())),
        _neighbourhoods(release, rows, record),
    )


def curve_point(point: Mapping[str, Any]) -> CurvePoint:
    """Returns a point of the report's reliability curve. `point` is a row that
    `duplicate_calibration.reliability` has returned: one bin of the curve."""
    return CurvePoint(point["probability"], point["marked"], point["pairs"])


def _clusters(release: Pinned, rows: ReleaseRows, record: Mapping[str, Any], first_day: str) -> list[Cluster]:
    if DUPLICATE_PAIRS.name not in release.members or CLUSTER_PROBABILITY not in record:
        return []
    pairs = []
    for batch in release.members[DUPLICATE_PAIRS.name][-CLUSTER_DAYS:]:
        if batch.rows and batch.day >= first_day:
            source_day = date.fromisoformat(batch.day)
            pairs += [
                {**row, "source_day": source_day} for row in rows.read(batch, DUPLICATE_PAIRS).to_pylist()
            ]
    return find_clusters(pairs, record[CLUSTER_PROBABILITY])


def _neighbourhoods(
    release: Pinned, rows: ReleaseRows, record: Mapping[str, Any]
) -> tuple[Neighbourhood, ...]:
    batches = [batch for batch in release.members[SIMILAR_ISSUES.name] if batch.rows]
    if not batches or MIN_PROBABILITY not in record:
        return ()
    similar, min_probability = rows.read(batches[-1], SIMILAR_ISSUES), record[MIN_PROBABILITY]
    chosen = choose_issues(similar, min_probability, release.name)
    batch = next(batch for batch in release.members[TITLE_PREDICTIONS.name] if batch.day == batches[-1].day)
    issues = {
        row["issue_id"]: Issue(row["issue_url"], row["repo"], row["title"])
        for row in _of_issues(rows.read(batch, TITLE_PREDICTIONS), chosen)
    }
    similar_rows = _of_issues(similar, chosen)
    return tuple(
        Neighbourhood(issues[issue_id], suggestions_of(similar_rows, issue_id, min_probability))
        for issue_id in chosen
    )


def _of_issues(rows: pa.Table, issue_ids: list[int]) -> list[dict[str, Any]]:
    """Returns the rows of the issues `issue_ids`."""
    chosen = pc.is_in(rows.column("issue_id"), pa.array(issue_ids, pa.int64()))
    of_issues: list[dict[str, Any]] = rows.filter(chosen).to_pylist()
    return of_issues


def choose_issues(similar: pa.Table, min_probability: float, seed: str) -> list[int]:
    """Chooses up to NEIGHBOURHOODS issues, and returns their ids. `similar` has the similar issues of all
    issues: rows of the table similar_issues_v2.

    The issues are drawn at random from those that have a similar issue with a probability of at least
    `min_probability`. If there are fewer than NEIGHBOURHOODS of them, other issues are added, beginning
    with the issue whose similar issue has the highest probability."""
    highest = similar.group_by("issue_id").aggregate([("probability", "max")])
    in_order = highest.sort_by([("probability_max", "descending"), ("issue_id", "ascending")])
    ids = in_order.column("issue_id").to_pylist()
    suggested = pc.sum(pc.greater_equal(in_order.column("probability_max"), min_probability)).as_py() or 0
    drawn = random.Random(seed).sample(sorted(ids[:suggested]), min(NEIGHBOURHOODS, suggested))
    return [*drawn, *ids[suggested:][: NEIGHBOURHOODS - len(drawn)]]


def suggestions_of(
    rows: Sequence[Mapping[str, Any]], issue_id: int, min_probability: float
) -> tuple[Suggestion, ...]:
    """Returns the first similar issues of an issue: up to LISTED from the list of its repository, then
    up to LISTED others from the list of all repositories. `rows` are rows of the table similar_issues_v2."""
    of_issue = sorted((row for row in rows if row["issue_id"] == issue_id), key=lambda row: row["rank"])
    chosen: dict[int, Mapping[str, Any]] = {}
    for name in (REPOSITORY_LIST, EVERYWHERE_LIST):
        unlisted = [row for row in of_issue if row["list"] == name and row["similar_issue_id"] not in chosen]
        chosen |= {row["similar_issue_id"]: row for row in unlisted[:LISTED]}
    return tuple(
        Suggestion(
            Issue(row["similar_issue_url"], repository_of(row["similar_issue_url"]), row["similar_title"]),
            row["list"],
            row["probability"],
            row["words_in_common"],
            row["age_days"],
            row["probability"] >= min_probability,
        )
        for row in chosen.values()
    )


def repository_of(url: str) -> str:
    """Returns OWNER/NAME from the address of an issue."""
    return "/".join(url.split("/")[3:5])
