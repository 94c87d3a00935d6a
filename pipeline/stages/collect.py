"""Stage `collect`: removes old releases and models, and batches of the lake that nothing uses any more.

A batch is still used if a release or a model that is kept refers to it, or if it is the current batch of a
day. A batch is also kept if it is so new that a running command may use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline import warehouse
from pipeline.contracts import (
    EMBEDDINGS,
    INDEX,
    ISSUES,
    PREDICTOR,
    QUARANTINE,
    SEGMENTS,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    TOKENS,
    VECTORS,
    VOCABULARY,
)
from pipeline.lake.batches import Lake
from pipeline.lake.embedding_network import taken_network
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.lake.sweep import sweep_batches, sweep_unfinished_files
from pipeline.releases.current import reconcile_current
from pipeline.releases.kept_titles import kept_titles
from pipeline.releases.records import RECORD, read_record
from pipeline.releases.retention import retained_releases
from pipeline.settings import Settings
from pipeline.tracking import open_tracking

GRACE_PERIOD = timedelta(days=2)
"""Unpublished releases, models, batches and unfinished files are not removed while they are younger than
this, because a running command may still use them."""
TABLES_BY_DAY = (ISSUES.name, SOURCE_HEALTH.name, TOKENS.name, QUARANTINE)
TABLES_BY_OWNER = (
    VECTORS.name,
    EMBEDDINGS.name,
    TITLE_PREDICTIONS.name,
    SIMILAR_ISSUES.name,
    SEGMENTS.name,
    INDEX,
    VOCABULARY,
    PREDICTOR,
)


@dataclass(frozen=True)
class Collected:
    """What one run of `collect` removed: the names of the releases, the names of the models, and the number
    of batches."""

    releases: tuple[str, ...]
    models: tuple[str, ...]
    batches: int


def run(lake: Lake, settings: Settings, now: datetime | None = None) -> Collected:
    """Removes old releases and models, and the batches that nothing refers to any more.

    The following is kept:

    - the current release and the latest other published releases, up to `release.keep` releases in all
    - the models of the kept releases, the champion and the previous champion
    - unpublished releases, models and batches that are younger than GRACE_PERIOD, because a running command
      may still use them

    While it runs, no other process can plan or publish a release, because it holds the publish lock.
    """
    now = now or datetime.now(UTC)
    with warehouse.connect(settings, "collect").exclusive_lock():
        releases, removed_releases = _sort_releases(lake, settings, now)
        models, removed_models = _sort_models(lake, settings, releases, now)
        referenced = {folder for pinned in (*releases, *models) for folder in _referenced_folders(pinned)}
        for pinned in removed_releases:
            # The record is removed first, because a release with a record must also have a plan.
            pinned.delete(first=RECORD)
        for pinned in removed_models:
            pinned.delete()
        tables = (*TABLES_BY_DAY, *TABLES_BY_OWNER)
        batches = sweep_batches(lake, tables, referenced, GRACE_PERIOD, now, keep_current_of=TABLES_BY_DAY)
        sweep_unfinished_files(lake, GRACE_PERIOD, now)
        retained: dict[str, set[str]] = {}
        for folder in referenced:
            retained.setdefault(folder.split("/", 1)[0], set()).add(folder.rsplit("/", 1)[1])
        warehouse.connect(settings, "collect").delete_batches_except(retained)
    return Collected(
        tuple(sorted(pinned.name for pinned in removed_releases)),
        tuple(sorted(pinned.name for pinned in removed_models)),
        batches,
    )


def _sort_releases(lake: Lake, settings: Settings, now: datetime) -> tuple[list[Pinned], list[Pinned]]:
    """Returns two lists: the releases to keep and the releases to remove.

    A recent release that was never published is kept, because the run that builds it may not have finished.
    """
    retained = set(retained_releases(lake, settings, reconcile_current(lake, settings)))
    keep: list[Pinned] = []
    remove: list[Pinned] = []
    for name in sorted({*pinned_names(lake, "releases"), *retained}):
        release = Pinned(lake, "releases", name)
        unpublished = read_record(lake, name) is None
        retain = name in retained or (unpublished and _is_young(release, now))
        (keep if retain else remove).append(release)
    return keep, remove


def _sort_models(
    lake: Lake, settings: Settings, releases: list[Pinned], now: datetime
) -> tuple[list[Pinned], list[Pinned]]:
    """Returns two lists: the models to keep and the models to remove. A recent model is kept, because its
    training may not have finished."""
    in_use = {release.plan.facts["model"] for release in releases}
    in_use |= {version.model for version in open_tracking(settings, lake).champion_and_previous()}
    keep: list[Pinned] = []
    remove: list[Pinned] = []
    for name in sorted({*pinned_names(lake, "models"), *in_use}):
        model = Pinned(lake, "models", name)
        (keep if name in in_use or _is_young(model, now) else remove).append(model)
    return keep, remove


def _is_young(pinned: Pinned, now: datetime) -> bool:
    """Returns whether a model or a release may still be in the making: it was opened recently, or one of its
    files is new. A long training writes a checkpoint after each epoch."""
    if not pinned.is_open():
        return False
    if now - datetime.fromisoformat(pinned.plan.opened_at) < GRACE_PERIOD:
        return True
    modified = pinned.lake.modified(pinned.file(""))
    return modified is not None and now - modified < GRACE_PERIOD


def _referenced_folders(pinned: Pinned) -> set[str]:
    """Returns the folders of all batches that a model or a release refers to.

    A model that took its embedding network from another model refers to the predictor of that model. So the
    predictor is kept, even if the other model is removed.
    """
    if not pinned.is_open():
        return set()
    plan = pinned.plan
    folders = {folder for day in plan.days for folder in (day.issues, day.tokens, day.health) if folder}
    if pinned.kind == "releases":
        folders.update([plan.facts["predictor"], *kept_titles(plan).values()])
    if embedding_network := taken_network(plan):
        folders.add(embedding_network.predictor)
    # Each table's file is read by its name: a bucket's listing may lack files that were just written.
    for table in (*TABLES_BY_DAY, *TABLES_BY_OWNER):
        folders.update(pinned.members.folders(table))
    return folders
