"""publish: audits a release, then makes it current in one step. rollback is the same step for an earlier one."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline import warehouse
from pipeline.contracts import SOURCE_HEALTH, TABLES
from pipeline.errors import TitlerError, UsageError
from pipeline.lake import Lake
from pipeline.pins import Pinned
from pipeline.release import PUBLISHED_TABLES, RECORD, current, members_table, point, published, record, releases_table
from pipeline.settings import Settings
from pipeline.stages.index import INDEX

VERBS = {"source_health_v1": "plan", "title_predictions_v1": "predict", "similar_issues_v1": "index"}


class StoppedError(TitlerError):
    """A release that its audit keeps from being published."""


def audit(lake: Lake, settings: Settings, release: Pinned, accepted: Mapping[str, str]) -> dict[str, Any]:
    """The release's figures. Raises StoppedError for a collapsed day that nobody accepted, or a recall that is too low."""
    plan = release.plan()
    for manifest in release.members(SOURCE_HEALTH.name, "plan"):
        health = manifest.figures
        if health["verdict"] == "collapsed" and manifest.day not in accepted:
            raise StoppedError(
                f"{manifest.day}: {health['events']} events where {health['usual_events']} are usual "
                f"({health['hours_found']} of 24 hours found), "
                f"so the day has collapsed and stops release {release.name}.",
                f"See what the source gave:  titler status --day {manifest.day}\n"
                f"Fetch it again:            titler extract --day {manifest.day} --again\n"
                f'Accept it as it is:        titler publish --release {release.name} --accept {manifest.day} --because "..."',
            )
    index = release.members(INDEX, "index")[0]
    figures = index.figures
    if figures["recall_at_10"] < settings.index.min_recall:
        raise StoppedError(
            f"Release {release.name}: recall@10 is {figures['recall_at_10']:.3f} over {figures['recall_queries']} issues, "
            f"expected at least {settings.index.min_recall} (index.min_recall), so the release is stopped.",
            f"More trees find more: TITLER_INDEX__TREES={settings.index.trees * 2} titler index --release {release.name}",
        )
    return {
        "release_id": release.name,
        "published_by": getpass.getuser(),
        "model": plan.facts["model"],
        "model_version": plan.facts["model_version"],
        "vocabulary": plan.facts["vocabulary"],
        "mlflow_run": plan.facts["mlflow_run"],
        "days": len(plan.days),
        "issues": sum(manifest.rows for manifest in release.members("title_predictions_v1", "predict"))
        - sum(len(ids) for ids in plan.superseded.values()),
        "index_items": figures["items"],
        "recall_at_10": figures["recall_at_10"],
    }


def make_current(lake: Lake, settings: Settings, row: dict[str, Any]) -> None:
    """The one step: every table of the release is checked aside, then one swap makes it visible, then the pointer follows.

    Raises StoppedError, naming the first check in sql/checks that finds something, and its first row.
    """
    release = Pinned(lake, "releases", row["release_id"])
    house = warehouse.connect(settings.warehouse, settings.warehouse_path)
    files: dict[str, list[str]] = {}
    for table in PUBLISHED_TABLES:
        files[table] = []
        for manifest in release.members(table, VERBS[table]):
            paths = [lake.path(f"{manifest.folder}/{file.name}") for file in manifest.files]
            house.load(TABLES[table], manifest.batch_id, paths)
            files[table] += paths
    row = {**row, "rolled_back": False, "published_at": datetime.now(UTC).isoformat(timespec="microseconds")}
    records = [found for found in published(lake) if found["release_id"] != row["release_id"]] + [row]
    with house.stage(releases_table(records, row["release_id"]), members_table(lake, [row["release_id"]]), files) as staged:
        for failure in staged.check():
            raise StoppedError(
                f"Release {row['release_id']}: {failure.count} rows fail the check {failure.check} ({failure.prose}); the first: "
                f"{failure.rows.slice(0, 1).to_pylist()[0]}.",
                f"What was current stays current. The check: sql/checks/{failure.check}.sql",
            )
        release.note(RECORD, row)
        staged.make_current()
    point(lake, row["release_id"])


def run(lake: Lake, settings: Settings, release: Pinned, accepted: Mapping[str, str]) -> dict[str, Any]:
    """Publishes a release, once; returns its row. `accepted` are collapsed days with the reasons for taking them."""
    house = warehouse.connect(settings.warehouse, settings.warehouse_path)
    done = record(lake, release.name)
    if done is not None and house.current_release() == release.name:
        point(lake, release.name)  # the row decides; a pointer lost to a crash is set again
        return done
    row = audit(lake, settings, release, accepted)
    row["accepted"] = json.dumps([{"day": day, "because": reason, "by": row["published_by"]} for day, reason in accepted.items()])
    make_current(lake, settings, row)
    return dict(release.noted(RECORD))


def rollback(lake: Lake, settings: Settings, release_id: str) -> dict[str, Any]:
    """Makes an earlier release current again. Raises UsageError for one that was never published."""
    row = record(lake, release_id)
    if row is None:
        known = ", ".join(found["release_id"] for found in published(lake)) or "none"
        raise UsageError(f"{release_id} was never published (published: {known}).", "titler rollback RELEASE, one of those.")
    if current(lake) != release_id:
        for later in published(lake):
            if later["published_at"] > row["published_at"]:
                Pinned(lake, "releases", later["release_id"]).note(RECORD, {**later, "rolled_back": True})
        make_current(lake, settings, row)
    return dict(Pinned(lake, "releases", release_id).noted(RECORD))
