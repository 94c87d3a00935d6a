"""Stage `collect`: removes old releases and models, and batches of the lake that nothing uses any more.

A batch is still used if a release or a model that is kept refers to it, if it is in the catalogue of days
(from which the next release takes its batches), or if it is the current batch of a day. Files that were
written since the oldest running command began are not removed either: see `pipeline.lake.leases`.

The stage does not search the whole lake. It looks at the batches of the releases and models that it removes,
and at the recorded batches to which nothing refers yet (`pipeline.lake.draft_records`). Only the first run in
a lake searches all folders, because an earlier version of Titler may have written batches without recording
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pipeline import warehouse
from pipeline.contracts import (
    DUPLICATE_MARKS,
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    INDEX,
    ISSUES,
    PREDICTOR,
    QUARANTINE,
    RELEASES,
    SEGMENTS,
    SIMILAR_ISSUES,
    SIMILAR_ISSUES_V1,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    TOKENS,
    VECTORS,
    VOCABULARY,
)
from pipeline.errors import LakeError
from pipeline.lake.batches import Lake
from pipeline.lake.damaged_batches import forget_damaged_batches
from pipeline.lake.day_catalogue import Catalogue
from pipeline.lake.draft_records import DRAFTS, UNUSED, forget_batches, record_batches, recorded_batches
from pipeline.lake.embedding_network import taken_network
from pipeline.lake.forgotten import refuse_while_forgetting
from pipeline.lake.json_documents import ABSENT, Document, KnownKeys, Time, delete_and_run, object_with
from pipeline.lake.leases import Lease, valid_leases
from pipeline.lake.members import EARLIER_TABLES, MANIFEST_PAGE, MEMBER_TABLES, SharedPages
from pipeline.lake.pages import delete_pages_except, read_pages
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.lake.sweep import is_current, remove_batch, sweep_batches, sweep_unfinished_files
from pipeline.progress import say
from pipeline.releases.current import reconcile_current
from pipeline.releases.kept_titles import kept_titles
from pipeline.releases.records import RECORD, published_records
from pipeline.releases.retention import retained_releases
from pipeline.settings import Settings
from pipeline.tracking import open_tracking

GRACE_PERIOD = timedelta(days=2)
"""Unpublished releases, models, batches and unfinished files are not removed while they are younger than
this, because a running command may still use them."""


class _CollectedKeys(KnownKeys):
    all_batches_recorded: Literal[True]
    at: Time = ABSENT


COLLECTED = "collected.json"
"""This file exists if every batch of the lake has a draft record, or is referred to by a model, a release or
the catalogue. It says when batches were last removed, or could have been."""
COLLECTED_DOCUMENT: Document[Any] = Document(
    object_with(_CollectedKeys),
    'the mark {"all_batches_recorded": true}',
    delete_and_run("titler collect"),
)
TABLES_BY_DAY = (ISSUES.name, SOURCE_HEALTH.name, DUPLICATE_MARKS.name, TOKENS.name, QUARANTINE)
TABLES_BY_OWNER = (
    VECTORS.name,
    EMBEDDINGS.name,
    TITLE_PREDICTIONS.name,
    SIMILAR_ISSUES.name,
    SIMILAR_ISSUES_V1.name,
    DUPLICATE_PAIRS.name,
    SEGMENTS.name,
    INDEX,
    VOCABULARY,
    PREDICTOR,
)


@dataclass(frozen=True)
class Collected:
    """The result of `collect`: the names of the removed releases and models, and the number of removed
    batches."""

    releases: tuple[str, ...]
    models: tuple[str, ...]
    batches: int


def run(lake: Lake, settings: Settings, current_time: datetime | None = None) -> Collected:
    """Removes old releases and models, and the batches that nothing refers to any more.

    The following is kept:

    - the current release and the latest other published releases, up to `release.keep` releases in all
    - the champion, the previous champion, and the models of the kept releases
    - other models, and releases that were never published, if a command works on them or if their last change
      is younger than GRACE_PERIOD
    - batches that nothing refers to, if one of their files is younger than GRACE_PERIOD or was written since
      the oldest running command began

    Raises TitlerError while `titler forget` runs, or after it was interrupted.

    Holds the plan lock all the time, so that no other process can plan a release. Holds the publish lock only
    while it removes releases, and while it deletes rows from the warehouse.
    """
    collected = lake.get_json(COLLECTED, COLLECTED_DOCUMENT)
    clock_time = current_time or datetime.now(UTC)
    current_time = _earliest_time(clock_time, collected)
    connection = warehouse.connect(settings, "collect")
    with connection.exclusive_lock("plan"):
        refuse_while_forgetting(lake)
        leases = valid_leases(lake, clock_time)
        sparing = min([current_time - GRACE_PERIOD, *(lease.began for lease in leases)])
        sweep_unfinished_files(lake, GRACE_PERIOD, current_time)
        drafts, all_recorded = recorded_batches(lake, DRAFTS), collected is not None
        with connection.exclusive_lock("publish"):
            current = reconcile_current(lake, settings)
            published = connection.records(RELEASES)
            releases, removed_releases = _sort_releases(lake, settings, current, leases, current_time)
            models, removed_models = _sort_models(lake, settings, releases, leases, current_time)
            removed = (*removed_releases, *removed_models)
            begun_before = {folder for folder, began in drafts.items() if began < sparing}
            if all_recorded and not (removed or begun_before or recorded_batches(lake, UNUSED)):
                if current_time < clock_time:
                    _record_time(lake, clock_time)
                return Collected((), (), 0)
            retained = RetainedBatches.of(lake, [*releases, *models])
            _remove_subjects(lake, removed, retained)
        if all_recorded:
            batches = _remove_batches(lake, retained, drafts, sparing)
        else:
            batches = _sweep(lake, retained, drafts, sparing)
        _record_time(lake, clock_time)
        delete_pages_except(lake, retained.pages, sparing)
        forget_damaged_batches(lake, retained.folders)
        with connection.exclusive_lock("publish"):
            folders = retained.folders
            current_meanwhile = reconcile_current(lake, settings)
            if (current_meanwhile, connection.records(RELEASES)) != (current, published):
                releases, _ = _sort_releases(lake, settings, current_meanwhile, leases, current_time)
                folders |= RetainedBatches.of(lake, releases).folders
            connection.delete_batches_except(_by_table(folders))
    return Collected(
        tuple(sorted(release.name for release in removed_releases)),
        tuple(sorted(model.name for model in removed_models)),
        batches,
    )


def _earliest_time(clock_time: datetime, collected: Mapping[str, Any] | None) -> datetime:
    """Returns the time that is used as the present to compute the ages of files. This is `clock_time` or
    GRACE_PERIOD after the time that an earlier run stored in `collected`, whichever is earlier.

    Without this limit, a clock that was moved forward would make new files look old, and `collect` would
    remove files that a command may still use.
    """
    if not collected or "at" not in collected:
        return clock_time
    return min(clock_time, datetime.fromisoformat(str(collected["at"])) + GRACE_PERIOD)


def _record_time(lake: Lake, clock_time: datetime) -> None:
    lake.put_json(COLLECTED, {"all_batches_recorded": True, "at": clock_time.isoformat()})


@dataclass(frozen=True)
class RetainedBatches:
    """The batches and pages that must not be removed.

    - `referenced`: the folders of the batches that kept releases and models refer to.
    - `catalogued`: the folders of the batches in the catalogue of days, which the next release can use.
    - `pages`: the names of the pages (files with parts of long lists) of the kept releases and models, and of
      the catalogue.
    """

    referenced: frozenset[str]
    catalogued: frozenset[str]
    pages: frozenset[str]

    @property
    def folders(self) -> frozenset[str]:
        """The folders of all batches that must not be removed."""
        return self.referenced | self.catalogued

    @classmethod
    def of(cls, lake: Lake, subjects: Sequence[Pinned]) -> RetainedBatches:
        """Returns the batches and pages to keep. These are the ones that `subjects` refer to, and the ones
        that the next release needs. `subjects` are the releases and models to keep."""
        catalogue = Catalogue.read(lake) or Catalogue.empty()
        references = [_references(subject) for subject in subjects]
        return cls(
            frozenset(folder for folders, _ in references for folder in folders),
            frozenset(_catalogued_folders(lake, catalogue)),
            frozenset(_catalogued_pages(catalogue)).union(*(pages for _, pages in references)),
        )


def _remove_subjects(lake: Lake, removed: Iterable[Pinned], retained: RetainedBatches) -> None:
    """Removes releases and models. First writes a record of the kind UNUSED (`pipeline.lake.draft_records`)
    for each of their batches that no kept release or model refers to."""
    no_longer_used: set[str] = set()
    removed = list(removed)
    for subject in removed:
        try:
            folders, _ = _references(subject)
            no_longer_used |= folders - retained.referenced
        except LakeError as error:
            say(f"    {subject.noun} {subject.name} is removed, but its batches are not: {error.message}")
    record_batches(lake, UNUSED, no_longer_used)
    for subject in removed:
        # Without its record, no rollback can make a release current any more.
        lake.delete(subject.file(RECORD.file))
        subject.delete()


def _remove_batches(
    lake: Lake, retained: RetainedBatches, drafts: Mapping[str, datetime], sparing: datetime
) -> int:
    """Removes each batch that has a record of the kind UNUSED, or a draft record from before the time
    `sparing`. Keeps batches in `retained`, and those for which `_is_spared` returns True. Returns the number
    of removed batches.

    `drafts` has the time of each draft record, by the batch's folder (`pipeline.lake.draft_records`).
    """
    no_longer_used = recorded_batches(lake, UNUSED).keys()
    begun_before = {folder for folder, began in drafts.items() if began < sparing}
    unused = (no_longer_used | begun_before) - retained.folders
    removed = {folder for folder in unused if not _is_spared(lake, folder, sparing)}
    batches = sum(remove_batch(lake, folder) for folder in sorted(removed))
    # A batch that is spared, or that only the catalogue refers to, is looked at again later.
    record_batches(lake, DRAFTS, no_longer_used - retained.referenced - removed - drafts.keys())
    forget_batches(lake, UNUSED, no_longer_used)
    forget_batches(lake, DRAFTS, drafts.keys() & (retained.referenced | removed))
    return batches


def _sweep(lake: Lake, retained: RetainedBatches, drafts: Mapping[str, datetime], sparing: datetime) -> int:
    """Searches the whole lake, and removes all batches that are not in `retained`. Spares the current batch
    of each day, and batches with a file that was written at the time `sparing` or later. Returns the number
    of removed batches.

    Writes draft records for the spared batches, and for those that only the catalogue refers to, so that a
    later run looks at them again. `drafts` are the batches that already have a draft record.
    """
    tables = (*TABLES_BY_DAY, *TABLES_BY_OWNER)
    swept = sweep_batches(lake, tables, retained.folders, sparing, keep_current_of=TABLES_BY_DAY)
    only_catalogued = retained.catalogued - retained.referenced
    record_batches(lake, DRAFTS, {*swept.spared, *only_catalogued} - drafts.keys())
    return swept.removed


def _by_table(folders: Iterable[str]) -> dict[str, set[str]]:
    """Returns a dict from the name of each table to the ids of its batches. `folders` are the folders of all
    these batches."""
    ids: dict[str, set[str]] = {}
    for folder in folders:
        ids.setdefault(folder.split("/", 1)[0], set()).add(folder.rsplit("/", 1)[1])
    return ids


def _is_spared(lake: Lake, folder: str, sparing: datetime) -> bool:
    """Returns whether a batch must stay for now, although nothing refers to it. This is so if it is the
    current batch of a day, or if one of its files was written at the time `sparing` or later."""
    of_day = folder.partition("/")[0] in TABLES_BY_DAY and "/day=" in folder
    if of_day and is_current(lake, folder):
        return True
    written = lake.modified(folder)
    return written is not None and written >= sparing


def _sort_releases(
    lake: Lake, settings: Settings, current: str | None, leases: Sequence[Lease], current_time: datetime
) -> tuple[list[Pinned], list[Pinned]]:
    """Returns two lists: the releases to keep and the releases to remove. `current` is the current release.

    A release that was never published is kept while it may still be in the making.
    """
    listed = pinned_names(lake, "releases")
    records = published_records(lake, settings, listed=listed)
    published = {record["release_id"] for record in records}
    retained = set(retained_releases(records, current, settings.release.keep))
    shared_pages: SharedPages = {}
    keep: list[Pinned] = []
    remove: list[Pinned] = []
    for name in sorted({*listed, *retained}):
        release = Pinned(lake, "releases", name, shared_pages)
        in_the_making = name not in published and _is_in_the_making(release, leases, current_time)
        retain = name in retained or in_the_making
        (keep if retain else remove).append(release)
    return keep, remove


def _sort_models(
    lake: Lake, settings: Settings, releases: list[Pinned], leases: Sequence[Lease], current_time: datetime
) -> tuple[list[Pinned], list[Pinned]]:
    """Returns two lists: the models to keep and the models to remove. A model is kept while it may still be
    in the making."""
    in_use = {release.facts["model"] for release in releases if release.is_open()}
    in_use |= {version.model for version in open_tracking(settings, lake).champion_and_previous()}
    keep: list[Pinned] = []
    remove: list[Pinned] = []
    for name in sorted({*pinned_names(lake, "models"), *in_use}):
        model = Pinned(lake, "models", name)
        (keep if name in in_use or _is_in_the_making(model, leases, current_time) else remove).append(model)
    return keep, remove


def _is_in_the_making(pinned: Pinned, leases: Sequence[Lease], current_time: datetime) -> bool:
    """Returns whether a model or a release may still be in the making. This is so if a command that works on
    it is running, or if one of its files was written less than GRACE_PERIOD ago. Even a long training writes
    files often enough: a checkpoint after each epoch."""
    if not pinned.is_open():
        return False
    if any(lease.subject == pinned.name for lease in leases):
        return True
    modified = pinned.lake.modified(pinned.file(""))
    return modified is not None and current_time - modified < GRACE_PERIOD


def _references(pinned: Pinned) -> tuple[set[str], set[str]]:
    """Returns the folders of all batches that a model or a release refers to, and the names of its pages.

    A model that took its embedding network from another model refers to the predictor of that model. So the
    predictor is kept, even if the other model is removed.
    """
    if not pinned.is_open():
        return set(), set()
    plan, pages = pinned.plan, set(pinned.day_pages.values())
    folders = {folder for day in plan.days for folder in day.folders}
    if pinned.kind == "releases":
        folders.update([plan.facts["predictor"], *kept_titles(plan).values()])
    if embedding_network := taken_network(plan):
        folders.add(embedding_network.predictor)
    # Each table's file is read by its name: a bucket's listing may lack files that were just written.
    tables = MEMBER_TABLES[pinned.kind]
    replaced = {old for new, old in EARLIER_TABLES.items() if new in tables and new in pinned.members}
    for table in tables:
        if table in replaced:  # its file does not exist, so it is not looked for
            continue
        of_table = pinned.members.folders(table)
        folders.update(of_table)
        if of_table:  # otherwise the file that does not exist would be looked for again
            pages.update(pinned.members.pages(table).values())
    if pinned.kind == "releases" and pinned.members.pages(ISSUES.name):
        quarantined = (batch.figures.get(QUARANTINE) for batch in pinned.members[ISSUES.name])
        folders.update(filter(None, quarantined))
    return folders, pages


def _catalogued_folders(lake: Lake, catalogue: Catalogue) -> set[str]:
    """Returns the folders of all batches in the catalogue of days, and the folders with the malformed lines
    of the days in the catalogue. The next release may use all these folders."""
    folders = {folder for day in catalogue.plan(lake).days for folder in day.folders}
    for page in read_pages(lake, catalogue.manifests.get(ISSUES.name, {}).values(), MANIFEST_PAGE):
        folders.update(filter(None, (manifest.figures.get(QUARANTINE) for manifest in page)))
    return folders


def _catalogued_pages(catalogue: Catalogue) -> set[str]:
    """Returns the names of all pages of the catalogue of days."""
    pages = {*catalogue.days.values(), *(page.page for page in catalogue.ids.values())}
    for of_table in catalogue.manifests.values():
        pages.update(of_table.values())
    return pages
