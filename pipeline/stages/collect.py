"""Stage `collect`: removes old releases and models, and batches of the lake that nothing uses any more.

A batch is still used if a release or a model that is kept refers to it, or if it is the current batch of a
day. What a running command may still use is not removed either: see `pipeline.lake.leases`.

The stage does not search the whole lake. It looks at the batches of the releases and models that it removes,
and at the batches that were begun and that nothing refers to yet (`pipeline.lake.draft_records`). Only the
first run in a lake searches all folders, because an earlier version of Titler may have written there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
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
from pipeline.lake.day_catalogue import Catalogue
from pipeline.lake.draft_records import forget_drafts, record_draft, recorded_drafts
from pipeline.lake.embedding_network import taken_network
from pipeline.lake.leases import Lease, valid_leases
from pipeline.lake.members import MEMBER_TABLES, SharedPages
from pipeline.lake.pages import delete_pages_except, read_pages
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.lake.sweep import is_current, remove_batch, sweep_batches, sweep_unfinished_files
from pipeline.releases.current import reconcile_current
from pipeline.releases.kept_titles import kept_titles
from pipeline.releases.records import RECORD, read_record
from pipeline.releases.retention import retained_releases
from pipeline.settings import Settings
from pipeline.tracking import open_tracking

GRACE_PERIOD = timedelta(days=2)
"""Unpublished releases, models, batches and unfinished files are not removed while they are younger than
this, because a running command may still use them."""
COLLECTED = "collected.json"
"""This file exists if every batch of the lake is recorded as a draft, or is referred to."""
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


def run(lake: Lake, settings: Settings, current_time: datetime | None = None) -> Collected:
    """Removes old releases and models, and the batches that nothing refers to any more.

    The following is kept:

    - the current release and the latest other published releases, up to `release.keep` releases in all
    - the models of the kept releases, the champion and the previous champion
    - unpublished releases and models, and batches, that are younger than GRACE_PERIOD or that a running
      command may still use

    While it runs, no other process can plan a release, because it holds the lock for that. It holds the lock
    for publishing only while it decides which releases to remove, so that a rollback need not wait.
    """
    current_time = current_time or datetime.now(UTC)
    connection = warehouse.connect(settings, "collect")
    with connection.exclusive_lock("plan"):
        leases = valid_leases(lake, current_time)
        with connection.exclusive_lock("publish"):
            releases, removed_releases = _sort_releases(lake, settings, leases, current_time)
            for release in removed_releases:
                # Without its record, no rollback can make the release current any more.
                lake.delete(release.file(f"{RECORD}.json"))
        models, removed_models = _sort_models(lake, settings, releases, leases, current_time)
        sparing = min([current_time - GRACE_PERIOD, *(lease.began for lease in leases)])
        sweep_unfinished_files(lake, GRACE_PERIOD, current_time)
        batches = _remove_unused(
            lake, connection, [*releases, *models], [*removed_releases, *removed_models], sparing
        )
    return Collected(
        tuple(sorted(pinned.name for pinned in removed_releases)),
        tuple(sorted(pinned.name for pinned in removed_models)),
        batches,
    )


def _remove_unused(
    lake: Lake,
    connection: warehouse.Warehouse,
    kept_subjects: Sequence[Pinned],
    removed: Sequence[Pinned],
    sparing: datetime,
) -> int:
    """Removes the files of removed releases and models, and the batches and pages that nothing refers to any
    more. Returns the number of removed batches. Files that were written at the time `sparing` or later are
    spared."""
    recorded, all_recorded = recorded_drafts(lake), lake.get_json(COLLECTED) is not None
    if all_recorded and not removed and all(began >= sparing for began in recorded.values()):
        return 0
    catalogue = Catalogue.read(lake) or Catalogue()
    referenced = _catalogued_folders(lake, catalogue)
    for pinned in kept_subjects:
        referenced |= _referenced_folders(pinned)
    if all_recorded:
        batches = _remove_batches(lake, removed, referenced, recorded, sparing)
    else:
        tables = (*TABLES_BY_DAY, *TABLES_BY_OWNER)
        swept = sweep_batches(lake, tables, referenced, sparing, keep_current_of=TABLES_BY_DAY)
        _record_drafts(lake, set(swept.spared) - recorded.keys())
        lake.put_json(COLLECTED, {"all_batches_recorded": True})
        batches = swept.removed
    for pinned in removed:
        pinned.delete()
    delete_pages_except(lake, _referenced_pages(catalogue, kept_subjects), sparing)
    retained: dict[str, set[str]] = {}
    for folder in referenced:
        retained.setdefault(folder.split("/", 1)[0], set()).add(folder.rsplit("/", 1)[1])
    connection.delete_batches_except(retained)
    return batches


def _remove_batches(
    lake: Lake,
    removed: Iterable[Pinned],
    referenced: AbstractSet[str],
    recorded: Mapping[str, datetime],
    sparing: datetime,
) -> int:
    """Removes the batches of removed releases and models, and the recorded drafts, unless they are referenced
    or spared. Returns the number of removed batches."""
    no_longer_used = {folder for pinned in removed for folder in _referenced_folders(pinned)}
    begun_before = {folder for folder, began in recorded.items() if began < sparing}
    unused = (no_longer_used | begun_before) - referenced
    spared = {folder for folder in unused if _is_spared(lake, folder, sparing)}
    batches = sum(remove_batch(lake, folder) for folder in sorted(unused - spared))
    _record_drafts(lake, spared - recorded.keys())
    forget_drafts(lake, sorted(recorded.keys() & (referenced | (unused - spared))))
    return batches


def _is_spared(lake: Lake, folder: str, sparing: datetime) -> bool:
    """Returns whether a batch that nothing refers to is not removed yet: it is the current batch of a day, or
    one of its files was written at the time `sparing` or later."""
    of_day = folder.partition("/")[0] in TABLES_BY_DAY and "/day=" in folder
    if of_day and is_current(lake, folder):
        return True
    written = lake.modified(folder)
    return written is not None and written >= sparing


def _record_drafts(lake: Lake, folders: Iterable[str]) -> None:
    lake.for_each(lambda folder: record_draft(lake, folder), sorted(folders))


def _sort_releases(
    lake: Lake, settings: Settings, leases: Sequence[Lease], current_time: datetime
) -> tuple[list[Pinned], list[Pinned]]:
    """Returns two lists: the releases to keep and the releases to remove.

    A release that was never published is kept while it may still be in the making.
    """
    retained = set(retained_releases(lake, settings, reconcile_current(lake, settings)))
    shared_pages: SharedPages = {}
    keep: list[Pinned] = []
    remove: list[Pinned] = []
    for name in sorted({*pinned_names(lake, "releases"), *retained}):
        release = Pinned(lake, "releases", name, shared_pages)
        unpublished = read_record(lake, name) is None
        retain = name in retained or (unpublished and _is_in_the_making(release, leases, current_time))
        (keep if retain else remove).append(release)
    return keep, remove


def _sort_models(
    lake: Lake, settings: Settings, releases: list[Pinned], leases: Sequence[Lease], current_time: datetime
) -> tuple[list[Pinned], list[Pinned]]:
    """Returns two lists: the models to keep and the models to remove. A model is kept while it may still be
    in the making."""
    in_use = {release.facts["model"] for release in releases}
    in_use |= {version.model for version in open_tracking(settings, lake).champion_and_previous()}
    keep: list[Pinned] = []
    remove: list[Pinned] = []
    for name in sorted({*pinned_names(lake, "models"), *in_use}):
        model = Pinned(lake, "models", name)
        (keep if name in in_use or _is_in_the_making(model, leases, current_time) else remove).append(model)
    return keep, remove


def _is_in_the_making(pinned: Pinned, leases: Sequence[Lease], current_time: datetime) -> bool:
    """Returns whether a model or a release may still be in the making: a command that works on it is running,
    or ran lately. A long training writes a checkpoint after each epoch."""
    if not pinned.is_open():
        return False
    if any(lease.subject == pinned.name for lease in leases):
        return True
    modified = pinned.lake.modified(pinned.file(""))
    return modified is not None and current_time - modified < GRACE_PERIOD


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
    for table in MEMBER_TABLES[pinned.kind]:
        folders.update(pinned.members.folders(table))
    if ISSUES.name in MEMBER_TABLES[pinned.kind] and ISSUES.name in pinned.members:
        quarantined = (batch.figures.get(QUARANTINE) for batch in pinned.members[ISSUES.name])
        folders.update(filter(None, quarantined))
    return folders


def _catalogued_folders(lake: Lake, catalogue: Catalogue) -> set[str]:
    """Returns the folders of all batches in the catalogue of days, which the next release may use, and of
    these days' malformed lines."""
    folders = {
        folder
        for day in catalogue.plan(lake).days
        for folder in (day.issues, day.tokens, day.health)
        if folder
    }
    for page in read_pages(lake, catalogue.manifests.get(ISSUES.name, {}).values()):
        folders.update(filter(None, (manifest["figures"].get(QUARANTINE) for manifest in page)))
    return folders


def _referenced_pages(catalogue: Catalogue, kept_subjects: Iterable[Pinned]) -> set[str]:
    """Returns the names of all pages of the kept models and releases, and of the catalogue of days."""
    pages = {*catalogue.days.values(), *(page.page for page in catalogue.ids.values())}
    for of_table in catalogue.manifests.values():
        pages.update(of_table.values())
    for pinned in kept_subjects:
        if pinned.is_open():
            pages.update(pinned.day_pages.values())
            for table in MEMBER_TABLES[pinned.kind]:
                pages.update(pinned.members.pages(table).values())
    return pages
