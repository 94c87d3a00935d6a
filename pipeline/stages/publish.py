"""publish: audits a release, then makes it current in one step. rollback is the same step for an earlier one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline import warehouse
from pipeline.contracts import RELEASE_MEMBERS, RELEASES, SOURCE_HEALTH, TABLES
from pipeline.errors import StoppedError, UsageError
from pipeline.lake.batches import Lake, Manifest
from pipeline.lake.pinned import Pinned
from pipeline.provenance import user_name
from pipeline.releases.release import (
    EMBEDDINGS_TABLE,
    PUBLISHED_TABLES,
    RECORD,
    Members,
    point,
    published,
    record,
    record_of,
    releases_table,
)
from pipeline.settings import Settings
from pipeline.stages.index import INDEX, check_recall

VERBS = {
    "source_health_v1": "plan",
    "title_predictions_v1": "predict",
    "similar_issues_v1": "index",
    "embeddings_v1": "embed",
}


def current(lake: Lake, settings: Settings) -> str | None:
    """The release that readers of the warehouse see. Sets its record and the lake's pointer where a crash left them behind."""
    with warehouse.connect(settings, "publish").alone():
        return settled(lake, settings)


def settled(lake: Lake, settings: Settings) -> str | None:
    """As `current`, for who is `alone` in the warehouse."""
    house = warehouse.connect(settings, "publish")
    name = house.current_release()
    if name is not None:
        row = next(row for row in house.records(RELEASES) if row["release_id"] == name)
        if record(lake, name) != record_of(row):
            Pinned(lake, "releases", name).note(RECORD, record_of(row))
        point(lake, name)
    return name


def acceptances(
    lake: Lake, settings: Settings, release: Pinned, accepted: Mapping[str, str]
) -> list[dict[str, str]]:
    """Who took which collapsed day of the release, when and why: now, or for an earlier release that had the day with the same figures."""
    digests = {day.day: day.health_digest for day in release.plan().days}
    found = {
        entry["day"]: entry
        for row in published(lake, settings)
        for entry in json.loads(row["accepted"])
        if digests.get(entry["day"]) == entry["health"]
    }
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for day, reason in accepted.items():
        if day not in digests:
            raise UsageError(
                f"{day} is not in release {release.name}, so there is nothing to accept.",
                "titler status shows the days.",
            )
        found[day] = {"day": day, "because": reason, "by": user_name(), "at": now, "health": digests[day]}
    return [found[day] for day in sorted(found)]


def audit(lake: Lake, settings: Settings, release: Pinned, accepted: Mapping[str, str]) -> dict[str, Any]:
    """The release's row. Raises StoppedError for a collapsed day that nobody accepted, or a recall that is too low."""
    plan = release.plan()
    taken = acceptances(lake, settings, release, accepted)
    days_taken = {entry["day"] for entry in taken}
    members = release.members(SOURCE_HEALTH.name, "plan")
    collapsed = [
        manifest
        for manifest in members
        if manifest.figures["verdict"] == "collapsed" and manifest.day not in days_taken
    ]
    if collapsed:
        raise _stopped(release, collapsed)
    index = release.members(INDEX, "index")[0]
    check_recall(release, index, settings.index)
    superseded = sum(len(ids) for ids in plan.superseded.values())
    return {
        "release_id": release.name,
        "published_by": user_name(),
        "model": plan.facts["model"],
        "model_version": plan.facts["model_version"],
        "vocabulary": plan.facts["vocabulary"],
        "mlflow_run": plan.facts["mlflow_run"],
        "days": len(plan.days),
        "issues": sum(manifest.rows for manifest in release.members("title_predictions_v1", "predict"))
        - superseded,
        "index_items": index.figures["items"],
        "recall_at_10": index.figures["recall_at_10"],
        "accepted": json.dumps(taken, ensure_ascii=False),
    }


def _stopped(release: Pinned, collapsed: Sequence[Manifest]) -> StoppedError:
    """What to say of collapsed days, the first of them in full."""
    first, *others = collapsed
    health = first.figures
    # days judged by an older Titler were held against their events alone, and say no reason
    why = health.get("reason") or f"{health['events']:,} events where {health['usual_events']:,} are usual"
    more = f"\nCollapsed as well: {', '.join(manifest.day for manifest in others)}." if others else ""
    accept = " ".join(f"--accept {manifest.day}" for manifest in collapsed)
    return StoppedError(
        f"{first.day}: {why} ({health['hours_found']} of 24 hours found), so the day has collapsed and stops release {release.name}.{more}",
        f"See what the source gave:  titler status --day {first.day}\n"
        f"Fetch it again:            titler extract --day {first.day} --again; then clean it and plan another release\n"
        f'Accept it as it is:        titler publish --release {release.name} {accept} --because "..."',
        # one message, though each release until then is stopped by the same days: a backfill makes many
        event="stopped/" + ",".join(f"{manifest.day}={manifest.figures['events']}" for manifest in collapsed),
    )


def make_current(lake: Lake, settings: Settings, row: dict[str, Any]) -> dict[str, Any]:
    """The one step: the release is checked aside, one swap makes it visible, record and pointer follow. Returns its row.

    Raises StoppedError, naming the first check in sql/checks that finds something, and its first row.
    """
    release = Pinned(lake, "releases", row["release_id"])
    house = warehouse.connect(settings, "publish", release_id=release.name)
    row = {**row, "rolled_back": False, "published_at": datetime.now(UTC).isoformat(timespec="microseconds")}
    records = [found for found in published(lake, settings) if found["release_id"] != row["release_id"]] + [
        row
    ]
    kept = [found["release_id"] for found in records]
    members = Members(lake)
    batches = {table: members.batches(kept, table) for table in _tables(settings)}
    for table, found in batches.items():
        release.members(table, VERBS[table])  # all of it is there
        house.load(TABLES[table], found)
    with house.stage(
        releases_table(records, row["release_id"]), members.table(kept, _tables(settings)), batches
    ) as staged:
        for failure in staged.check():
            raise StoppedError(
                f"Release {row['release_id']}: {failure.count} rows fail the check {failure.check} ({failure.prose}); the first: "
                f"{failure.rows.slice(0, 1).to_pylist()[0]}.",
                f"What was current stays current. The check: sql/checks/{failure.check}.sql",
                event=f"release/{row['release_id']}/{failure.check}",
            )
        staged.make_current()
    release.note(RECORD, row)
    point(lake, row["release_id"])
    return row


def _tables(settings: Settings) -> tuple[str, ...]:
    return (*PUBLISHED_TABLES, EMBEDDINGS_TABLE) if settings.warehouse.embeddings else PUBLISHED_TABLES


def run(lake: Lake, settings: Settings, release: Pinned, accepted: Mapping[str, str]) -> dict[str, Any]:
    """Publishes a release, once unless its batches have changed; returns its row. `accepted` are collapsed days with why they are taken.

    Raises UsageError for a release that was current before and is no more: that is what rollback is for.
    """
    with warehouse.connect(settings, "publish").alone():
        now, done = settled(lake, settings), record(lake, release.name)
        if done is not None and now == release.name and _shows_members(lake, settings, release):
            return done
        if done is not None and now != release.name:
            raise UsageError(
                f"Release {release.name} was published {done['published_at'][:19]} UTC, and {now} has followed it.",
                f"To go back: titler rollback {release.name}",
            )
        return make_current(lake, settings, audit(lake, settings, release, accepted))


def _shows_members(lake: Lake, settings: Settings, release: Pinned) -> bool:
    """Whether the warehouse shows the very batches that belong to the current release: another process may have made some again, and
    publishing embeddings is a setting."""
    columns = ["table_name", "day", "batch_id"]
    shown = warehouse.connect(settings, "publish").records(RELEASE_MEMBERS)
    sides = [
        [row for row in shown if row["release_id"] == release.name],
        Members(lake).table([release.name], _tables(settings)).to_pylist(),
    ]
    shown_rows, member_rows = (
        sorted(tuple(str(row[name]) for name in columns) for row in rows) for rows in sides
    )
    return shown_rows == member_rows


def rollback(lake: Lake, settings: Settings, release_id: str) -> dict[str, Any]:
    """Makes an earlier release current again. Raises UsageError for one that was never published."""
    with warehouse.connect(settings, "publish").alone():
        return _roll_back(lake, settings, release_id)


def _roll_back(lake: Lake, settings: Settings, release_id: str) -> dict[str, Any]:
    row = record(lake, release_id)
    if row is None:
        known = ", ".join(found["release_id"] for found in published(lake, settings)) or "none"
        raise UsageError(
            f"{release_id} was never published (published: {known}).",
            "titler rollback RELEASE, one of those.",
        )
    if settled(lake, settings) == release_id:
        return row
    later = [found for found in published(lake, settings) if found["published_at"] > row["published_at"]]
    for found in later:
        Pinned(lake, "releases", found["release_id"]).note(RECORD, {**found, "rolled_back": True})
    try:
        return make_current(lake, settings, row)
    except BaseException:
        for found in later:
            Pinned(lake, "releases", found["release_id"]).note(RECORD, found)
        raise
