"""The catalogue of days: the source days that a release can use, with their batches.

The stage `plan` keeps the catalogue up to date. A day whose batches have changed has a mark
(`pipeline.lake.changed_days`). So `plan` reads only the days that have a mark, and not the whole history. The
catalogue is stored as pages (`pipeline.lake.pages`), and the plan of a release has only the names of these
pages. While a day is being ingested again, the catalogue keeps the day's earlier batches until all stages of
the day have run.

    ROOT/days/catalogue.json, changed/DAY,TABLE,BATCH

If `catalogue.json` is deleted, the next plan makes it again from the pointers of all days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from pydantic import ConfigDict

from pipeline.contracts import DUPLICATE_MARKS, ISSUES, SOURCE_HEALTH
from pipeline.errors import LakeError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.changed_days import Change, delete_changes, list_changes, mark_change
from pipeline.lake.issue_ids import IdPage, id_range, parse_ids, update_ids, update_superseded
from pipeline.lake.json_documents import Document, delete_and_run
from pipeline.lake.manifest import Manifest
from pipeline.lake.members import MANIFEST_PAGE
from pipeline.lake.pages import (
    PageNames,
    group_by_period,
    periods_within,
    read_page_files,
    read_pages,
    write_pages,
)
from pipeline.lake.pinned import pin_day
from pipeline.lake.plan import PinnedDay, Plan, day_pages

CATALOGUE = "days/catalogue.json"
CATALOGUED_TABLES = (ISSUES.name, SOURCE_HEALTH.name, DUPLICATE_MARKS.name)
"""The tables whose manifests are in the catalogue."""
MARKS_KEPT = timedelta(hours=1)
"""How long a mark is kept if its batch is not the current batch."""


@dataclass(frozen=True)
class Catalogue:
    """The names of the catalogue's pages (see `pipeline.lake.pages`). A page covers one period (a month or a
    year), and there are three kinds of pages. `days` are the pages that list the days. They have the same
    content as the pages of a plan. `manifests` maps each table to the pages with the manifests of the days'
    batches. `ids` are the pages with the ids of all issues."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    days: PageNames
    manifests: Mapping[str, PageNames]
    ids: Mapping[str, IdPage]

    def __post_init__(self) -> None:
        of_tables = {f"manifests.{table}": self.manifests.get(table, {}) for table in CATALOGUED_TABLES}
        for name, pages in {"ids": self.ids, **of_tables}.items():
            # days of earlier versions of Titler have no duplicate marks
            missing = set() if name.endswith(DUPLICATE_MARKS.name) else self.days.keys() - pages.keys()
            if missing or pages.keys() - self.days.keys():
                raise ValueError(f"the pages of `{name}` and of `days` are not of the same periods")

    @classmethod
    def empty(cls) -> Catalogue:
        """Returns a catalogue without days."""
        return cls({}, {}, {})

    @classmethod
    def read(cls, lake: Lake) -> Catalogue | None:
        """Returns the catalogue of a lake, or None if it has none yet."""
        return lake.get_json(CATALOGUE, CATALOGUE_DOCUMENT)

    def plan(self, lake: Lake) -> Plan:
        """Returns a `Plan` with the days of the catalogue and no facts (such as settings)."""
        return Plan.of_pages(lake, self.days, {}, "")

    def check_ids(self, lake: Lake) -> None:
        """Reads all pages with ids. Raises LakeError if one is missing or damaged, or has other ids than the
        catalogue says."""
        pages = list(self.ids.values())
        for page, data in zip(pages, read_page_files(lake, [page.page for page in pages]), strict=True):
            first, last = id_range(parse_ids(data))
            if (first, last) != (page.first, page.last):
                raise LakeError(
                    f"The file {lake.path(CATALOGUE)} is damaged: it says that the page {page.page} has the "
                    f"ids {page.first} to {page.last}, but this page has the ids {first} to {last}.",
                    CATALOGUE_DOCUMENT.remedy(lake.root, CATALOGUE),
                )


CATALOGUE_DOCUMENT: Document[Catalogue] = Document(
    Catalogue,
    "the catalogue of days: an object with the keys days, manifests and ids",
    delete_and_run("titler plan"),
)


@dataclass(frozen=True)
class CatalogueUpdate:
    """The result of updating the catalogue. `catalogue` is the catalogue after the update, and `plan` has its
    days as a `Plan`. `days_as_before` are days that are being ingested again: for these days, the catalogue
    still has the earlier batches. `days_not_ready` are new days that are not in the catalogue, because not
    all their stages have run yet."""

    catalogue: Catalogue
    plan: Plan
    days_as_before: tuple[str, ...]
    days_not_ready: tuple[str, ...]


def update_catalogue(
    lake: Lake,
    days_before: Callable[[], Sequence[PinnedDay]],
    changes: Sequence[Change],
    judged_again: Iterable[str] = (),
) -> CatalogueUpdate:
    """Brings the catalogue up to date with the current batches of all days, and returns it.

    `changes` are the marks of changed days. `judged_again` are the days whose verdicts changed when the
    caller computed them again. (A verdict says how complete a day is.) The caller must list the marks before
    it computes the verdicts. Marks that are written after the listing are left for the next plan.

    `days_before` returns the days of the current release. It is called only if there is no catalogue yet.
    If one of these days is being ingested again, the new catalogue gets the batches that the current release
    has for the day.

    Only one process at a time may call this function.
    """
    stored = Catalogue.read(lake)
    plan_before = stored.plan(lake) if stored else Plan((), {}, {}, "")
    days_known = {day.day: day for day in (plan_before.days if stored else days_before())}
    marked = {*judged_again, *(change.day for change in changes)}
    candidates = sorted(marked if stored else {*marked, *lake.days(ISSUES.name), *days_known})
    current = lake.for_each(lambda day: _current_batches(lake, day), candidates)
    ready = {day: batches for day, batches in zip(candidates, current, strict=True) if batches is not None}
    catalogued = set(plan_before.days)
    changed = {day: batches for day, batches in ready.items() if batches.pinned not in catalogued}
    if stored is None:
        for day in days_known.keys() - ready.keys():
            changed[day] = _batches_of(lake, days_known[day])
    plan, catalogue = plan_before, stored or Catalogue.empty()
    if changed:
        plan, catalogue = _changed_catalogue(lake, catalogue, plan_before, changed)
        lake.put_json(CATALOGUE, asdict(catalogue))
    _delete_marks(lake, changes, ready)
    waiting = [day for day in candidates if day not in ready]
    if stored is None:  # an earlier version of Titler has left no marks
        for day in set(waiting) - marked:
            mark_change(lake, day, ISSUES.name, "waiting")
    return CatalogueUpdate(
        catalogue,
        plan,
        tuple(day for day in waiting if day in days_known),
        tuple(day for day in waiting if day not in days_known),
    )


@dataclass(frozen=True)
class _DayBatches:
    """The current batches of a day. `manifests` maps the name of a table to the manifest of its batch. It
    has only tables of CATALOGUED_TABLES."""

    pinned: PinnedDay
    manifests: Mapping[str, Manifest]

    @classmethod
    def of(cls, pinned: PinnedDay, manifests: Iterable[Manifest]) -> _DayBatches:
        return cls(pinned, {manifest.table: manifest for manifest in manifests})


def _current_batches(lake: Lake, day: str) -> _DayBatches | None:
    """Returns the current batches of a day, or None if the day is not ready for a release."""
    try:
        return _DayBatches.of(*pin_day(lake, day))
    except UsageError:
        return None


def _batches_of(lake: Lake, day: PinnedDay) -> _DayBatches:
    return _DayBatches.of(
        day, [lake.manifest(folder) for folder in (day.issues, day.health, day.duplicate_marks) if folder]
    )


def _delete_marks(lake: Lake, changes: Sequence[Change], batches: Mapping[str, _DayBatches]) -> None:
    """Deletes the marks of batches that are in the catalogue now.

    The marks of a day that is not ready stay. If a mark names a batch that is not the current batch, the
    pointer to this batch may be about to be written. So the mark stays until it is old.
    """
    oldest = datetime.now(UTC) - MARKS_KEPT
    in_catalogue = [
        change
        for change in changes
        if change.day in batches
        and (change.batch_id in batches[change.day].pinned.batch_ids or change.marked_at < oldest)
    ]
    delete_changes(lake, in_catalogue)


def _changed_catalogue(
    lake: Lake, stored: Catalogue, plan_before: Plan, changed: Mapping[str, _DayBatches]
) -> tuple[Plan, Catalogue]:
    """Returns the plan and the catalogue with the new batches of the days in `changed`. Writes the pages that
    are new."""
    entries = {day.day: day for day in plan_before.days}
    entries |= {day: of_day.pinned for day, of_day in changed.items()}
    days = [entries[day] for day in sorted(entries)]
    issues = {day: of_day.manifests[ISSUES.name] for day, of_day in changed.items()}
    ids = update_ids(lake, stored.ids, sorted(entries), issues)
    superseded = update_superseded(lake, plan_before.superseded, ids, {day.day: day.issues for day in days})
    pages = write_pages(lake, day_pages(days, superseded), set(stored.days.values()))
    manifests = {
        table: _changed_manifests(
            lake,
            stored.manifests.get(table, {}),
            sorted(entries),
            {day: of_day.manifests.get(table) for day, of_day in changed.items()},
        )
        for table in CATALOGUED_TABLES
    }
    return Plan(tuple(days), superseded, {}, ""), Catalogue(pages, manifests, ids.pages)


def _changed_manifests(
    lake: Lake, pages: PageNames, days: Sequence[str], changed: Mapping[str, Manifest | None]
) -> dict[str, str]:
    """Updates a table's pages of manifests for the days in `changed`. Writes the pages that are new, and
    returns the names of all pages.

    `changed` maps each changed day to the manifest of its batch, or to None if it has no batch in the table.
    A period without any batch has no page.
    """
    names: dict[str, str] = {}
    contents = {}
    for period, positions in group_by_period(days):
        names[period] = pages.get(period, "")
        changed_days = [day for day in days[positions] if day in changed]
        if names[period] and not changed_days:
            continue
        pages_before = [pages[earlier] for earlier in periods_within(period, pages)]
        manifests: dict[str, Manifest | None] = {
            manifest.day: manifest
            for page in read_pages(lake, pages_before, MANIFEST_PAGE)
            for manifest in page
        }
        manifests |= {day: changed[day] for day in changed_days}
        contents[period] = [asdict(batch) for day in days[positions] if (batch := manifests.get(day))]
    written = write_pages(lake, {period: content for period, content in contents.items() if content})
    names |= {period: written.get(period, "") for period in contents}
    return {period: name for period, name in names.items() if name}


class CurrentHealth(Mapping[str, Manifest]):
    """Maps each day of the lake to the manifest of the day's current batch of the table source_health_v1,
    which says how complete the day is.

    If a day has not changed since the last plan, its manifest is read from a page of the catalogue.
    `changed_days` are the days that have changed, or all days if the lake has no catalogue yet. The manifest
    of each of these days is read through the day's own pointer. `changes` are the marks of changed days, if
    the caller has already listed them.
    """

    def __init__(self, lake: Lake, changes: Sequence[Change] | None = None) -> None:
        self._lake = lake
        # The marks are read first. A plan that finishes in between deletes marks, and then changes nothing
        # that the catalogue does not have.
        marked = {change.day for change in (list_changes(lake) if changes is None else changes)}
        catalogue = Catalogue.read(lake)
        self._pages: PageNames = catalogue.manifests.get(SOURCE_HEALTH.name, {}) if catalogue else {}
        self.changed_days = marked if catalogue else {*marked, *lake.days(SOURCE_HEALTH.name)}
        self._manifests: dict[str, Manifest | None] = {}
        self._read: set[str] = set()

    def __getitem__(self, day: str) -> Manifest:
        if day not in self._manifests:
            if day in self.changed_days:
                self._look_up([day])
            else:
                self._read_pages({name for name in (day[:4], day[:7]) if name in self._pages})
        manifest = self._manifests.get(day)
        if manifest is None:
            raise KeyError(day)
        return manifest

    def __iter__(self) -> Iterator[str]:
        self._look_up(sorted(self.changed_days - self._manifests.keys()))
        self._read_pages(self._pages)
        return iter(sorted(day for day, manifest in self._manifests.items() if manifest))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _look_up(self, days: Sequence[str]) -> None:
        manifests = self._lake.for_each(
            lambda day: self._lake.current(SOURCE_HEALTH.name, {"day": day}), days
        )
        self._manifests.update(zip(days, manifests, strict=True))

    def _read_pages(self, periods: Iterable[str]) -> None:
        names = [self._pages[period] for period in periods if self._pages[period] not in self._read]
        self._read.update(names)
        for page in read_pages(self._lake, names, MANIFEST_PAGE):
            for manifest in page:
                if manifest.day not in self.changed_days:
                    self._manifests[manifest.day] = manifest
