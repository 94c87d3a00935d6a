"""Audits a release before it is published.

A release passes under four conditions. A person has accepted every day that collapsed (lost nearly all of its
data). The recall of the index is high enough. The share of issues without a title has not risen much, or a
person has accepted the rise. The recall of marked duplicates has not fallen significantly, or a person has
accepted the fall.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.contracts import DUPLICATE_PAIRS, SIMILAR_ISSUES, SOURCE_HEALTH, TITLE_PREDICTIONS
from pipeline.errors import StoppedError, UsageError
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.provenance import user_name
from pipeline.releases.abstained_share import ABSTAINED, abstained_share, check_abstention
from pipeline.releases.index_figures import (
    CLUSTER_PROBABILITY,
    MARKED,
    MIN_PROBABILITY,
    ORDERING,
    index_figures,
)
from pipeline.releases.marked_recall import ACCEPTED_FALL, RECALL, check_marked_recall
from pipeline.releases.records import MARKED_DUPLICATES
from pipeline.releases.withheld_titles import ACCEPTED, WITHHELD
from pipeline.settings import Index, Settings

ACCEPTED_WORDS = (ABSTAINED, RECALL)
"""The faults that a user accepts by a word, not by a day."""


def audit(
    settings: Settings,
    release: Pinned,
    accepted: Mapping[str, str],
    published: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Audits a release. Returns the release's record, without the time of publication.

    `accepted` maps each fault that a user accepts to the user's reason. The key says which fault it is:

    - A day: the day collapsed (lost nearly all of its data).
    - ABSTAINED: the share of issues without a title has risen too much.
    - RECALL: the recall of marked duplicates has fallen significantly.

    `published` are the records of all published releases.

    Raises StoppedError if a fault was not accepted, or if the recall of the index is too low. Raises
    UsageError if a day in `accepted` is not in the release, or if a stage of the release has not run yet.
    """
    plan = release.plan
    days = {day: because for day, because in accepted.items() if day not in ACCEPTED_WORDS}
    acceptances = collect_acceptances(release, days, published)
    accepted_days = {entry["day"] for entry in acceptances}
    collapsed = [
        manifest
        for manifest in release.members[SOURCE_HEALTH.name]
        if manifest.figures["verdict"] == "collapsed" and manifest.day not in accepted_days
    ]
    if collapsed:
        raise _stopped_by_days(release.name, collapsed)
    index = index_figures(release)
    check_recall(release.name, index, settings.index)
    share = abstained_share(release)
    acceptance = check_abstention(
        release.name, share, published, settings.release.max_abstained_rise, accepted.get(ABSTAINED, "")
    )
    marked = index.get(MARKED)
    accepted_fall = check_marked_recall(
        release.name, marked, published, settings.release.min_marks, accepted.get(RECALL, "")
    )
    superseded = sum(len(issue_ids) for issue_ids in plan.superseded.values())
    titled = sum(manifest.rows for manifest in release.members[TITLE_PREDICTIONS.name])
    return {
        "release_id": release.name,
        "published_by": user_name(),
        "model": plan.facts["model"],
        "model_version": plan.facts["model_version"],
        "vocabulary": plan.facts["vocabulary"],
        "mlflow_run": plan.facts["mlflow_run"],
        "days": len(plan.days),
        "issues": titled - superseded,
        "index_items": index["items"],
        "recall_at_10": index["recall_at_10"],
        "accepted": json.dumps(acceptances, ensure_ascii=False),
        **_segments(index),
        **_suggestions(release, settings),
        **_ordering(index),
        **_agreement_with_marks(marked, accepted_fall),
        **_titles(release, share, acceptance),
    }


def _segments(index: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a release's record that are about the segments of its index. Returns no fields
    for an index that Titler 0.1 made."""
    if "segments" not in index:
        return {}
    return {
        "segments": json.dumps(index["segments"]),
        "days_with_other_history": index["days_with_other_history"],
    }


def _suggestions(release: Pinned, settings: Settings) -> dict[str, float]:
    """Returns two fields of a release's record: the smallest probability with which a similar issue is
    suggested, and the smallest probability with which an issue joins a cluster of duplicates. Leaves out a
    field if the release lacks the table that the field is about."""
    of_tables = {
        SIMILAR_ISSUES.name: (MIN_PROBABILITY, settings.similar.min_probability),
        DUPLICATE_PAIRS.name: (CLUSTER_PROBABILITY, settings.similar.cluster_probability),
    }
    return {
        name: release.facts.get(name, default)
        for table, (name, default) in of_tables.items()
        if table in release.members
    }


def _ordering(index: Mapping[str, Any]) -> dict[str, str]:
    """Returns the fields of a release's record that are about the ordering of its similar issues. Returns no
    fields for an index that an earlier version of Titler made."""
    if ORDERING not in index:
        return {}
    learned = index[ORDERING].get("learned")
    calibration = {"ordering_calibration": json.dumps(learned["calibration"])} if learned else {}
    return {ORDERING: index[ORDERING]["version"], **calibration}


def _agreement_with_marks(
    marked: Mapping[str, Any] | None, accepted_fall: Mapping[str, str] | None
) -> dict[str, str]:
    """Returns one field of a release's record: how well the release's similar issues agree with duplicate
    marks. Returns no field if this was not measured. `accepted_fall` says who accepted a fall, when and
    why."""
    if marked is None:
        return {}
    figures = {**marked, ACCEPTED_FALL: accepted_fall} if accepted_fall else marked
    return {MARKED_DUPLICATES: json.dumps(figures, ensure_ascii=False)}


def _titles(
    release: Pinned, share: float | None, acceptance: Mapping[str, str] | None
) -> dict[str, float | str]:
    """Returns the fields of a release's record that are about titles. Leaves out fields without a value.

    `share` is the share of issues without a title. `acceptance` says who accepted a rise of this share, when
    and why.
    """
    facts = release.facts
    accepted = [entry for entry in (facts.get(ACCEPTED), acceptance) if entry]
    predictor = release.lake.manifest(facts["predictor"]) if "predictor" in facts else None
    calibration = predictor.figures.get("calibration") if predictor else None
    values = {
        WITHHELD: facts.get(WITHHELD),
        ACCEPTED: json.dumps(accepted, ensure_ascii=False) if accepted else None,
        ABSTAINED: share,
        "calibration": json.dumps(calibration) if calibration else None,
    }
    return {name: value for name, value in values.items() if value is not None}


def collect_acceptances(
    release: Pinned, accepted: Mapping[str, str], published: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """Returns one entry per accepted day of a release: who accepted the day, when and why.

    Only days that collapsed (lost nearly all of their data) need to be accepted. `accepted` maps the days
    that the user accepts now to the user's reasons. `published` are the records of earlier releases. A day
    that was accepted for an earlier release need not be accepted again if its verdict, and the counts that
    the verdict is based on, are the same. Raises UsageError if a day in `accepted` is not in the release.
    """
    digests = {day.day: day.health_digest for day in release.plan.days}
    acceptances = {
        entry["day"]: entry
        for record in published
        for entry in json.loads(record["accepted"])
        if digests.get(entry["day"]) == entry["health"]
    }
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for day, reason in accepted.items():
        if day not in digests:
            raise UsageError(
                f"The day {day} is not in release {release.name}, so it cannot be accepted.",
                "Accept only days of the release: "
                f'titler publish --release {release.name} --accept DAY --because "..."\n'
                "To list all days of the lake with their verdicts: titler status",
            )
        acceptances[day] = {
            "day": day,
            "because": reason,
            "by": user_name(),
            "at": now,
            "health": digests[day],
        }
    return [acceptances[day] for day in sorted(acceptances)]


def check_recall(release_id: str, index: Mapping[str, Any], settings: Index) -> None:
    """Raises StoppedError if the measured recall@10 of a release's index, or of one of its segments, is below
    `index.min_recall`. `index` are the figures of the index."""
    recall, of_what = index["recall_at_10"], f"over {index['recall_queries']} issues"
    lowest = min(index.get("segments", ()), key=lambda segment: segment["recall_at_10"], default=None)
    if lowest and recall >= settings.min_recall:
        recall, of_what = lowest["recall_at_10"], f"in the segment {lowest['period']}"
    if recall < settings.min_recall:
        raise StoppedError(
            f"Release {release_id} is stopped: recall@10 {of_what} is "
            f"{recall:.3f}, expected at least {settings.min_recall} (index.min_recall).",
            f"More trees raise the recall: TITLER_INDEX__TREES={settings.trees * 2} "
            f"titler index --release {release_id}",
            event=f"release/{release_id}/recall",
        )


def _stopped_by_days(release_id: str, collapsed: Sequence[Manifest]) -> StoppedError:
    """Returns the error that stops a release with collapsed days, which lost nearly all of their data. The
    message describes the first of these days in full and names the others."""
    first, *more_days = collapsed
    health = first.figures
    # Older versions of Titler judged a day by its events only, and stored no reason.
    reason = health.get("reason") or f"{health['events']:,} events where {health['usual_events']:,} are usual"
    also = f"\nAlso collapsed: {', '.join(manifest.day for manifest in more_days)}." if more_days else ""
    accept = " ".join(f"--accept {manifest.day}" for manifest in collapsed)
    return StoppedError(
        f"{first.day}: {reason} ({health['hours_found']} of 24 hours found), so the day has collapsed and "
        f"stops release {release_id}.{also}",
        f"See what the source gave:  titler status --day {first.day}\n"
        f"Fetch it again:            titler extract --day {first.day} --again; "
        "then clean it and plan another release\n"
        f'Accept it as it is:        titler publish --release {release_id} {accept} --because "..."',
        # The event does not depend on the release: a backfill may plan many releases, and the same collapsed
        # days stop all of them, but a person needs only one alert.
        event="stopped/" + ",".join(f"{manifest.day}={manifest.figures['events']}" for manifest in collapsed),
    )
