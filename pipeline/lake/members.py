"""The members of a model or a release: the batches that belong to it.

    ROOT/models/MODEL/members/TABLE.json
    ROOT/releases/RELEASE/members/TABLE.json

If a table has one batch per day or per period, its file lists the pages (`pipeline.lake.pages`) that contain
the manifests of the batches. Otherwise its file lists the folders of the batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from pipeline.contracts import (
    DUPLICATE_MARKS,
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    INDEX,
    ISSUES,
    PREDICTOR,
    SEGMENTS,
    SIMILAR_ISSUES,
    SIMILAR_ISSUES_V1,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    VECTORS,
    VOCABULARY,
)
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.json_documents import UNION_TAG, BatchFolder, Document
from pipeline.lake.manifest import Manifest
from pipeline.lake.pages import PageNames, group_by_period, page_remedy, read_pages, write_pages
from pipeline.usage import Stopwatch, Usage

MADE_BY: Mapping[str, str] = MappingProxyType(
    {
        ISSUES.name: "plan",
        SOURCE_HEALTH.name: "plan",
        DUPLICATE_MARKS.name: "plan",
        VOCABULARY: "vocab",
        VECTORS.name: "vectorize",
        PREDICTOR: "train",
        EMBEDDINGS.name: "embed",
        TITLE_PREDICTIONS.name: "predict",
        INDEX: "index",
        SEGMENTS.name: "index",
        SIMILAR_ISSUES.name: "index",
        DUPLICATE_PAIRS.name: "index",
        SIMILAR_ISSUES_V1.name: "index",
    }
)
"""Maps each table to the `titler` command (verb) that adds its batches to a model or a release."""
EARLIER_TABLES: Mapping[str, str] = MappingProxyType(
    {SIMILAR_ISSUES.name: SIMILAR_ISSUES_V1.name, SEGMENTS.name: INDEX}
)
"""Maps a table to the table that releases of earlier versions of Titler have in its place."""
MEMBER_TABLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "models": (VOCABULARY, VECTORS.name, PREDICTOR),
        "releases": tuple(table for table in MADE_BY if table not in (VOCABULARY, PREDICTOR)),
    }
)
"""The tables of which a model or a release has batches."""
SharedPages = dict[str, Sequence[Manifest]]
"""The manifests on pages that were already read, by the name of the page."""


@dataclass(frozen=True)
class MemberPages:
    """The content of the file `members/TABLE.json`, if the table has one batch per day or per period. `pages`
    maps each period (a month or a year) to the name of the page with the period's manifests.

    `usage` is the time and the memory that a command had used when it recorded the batches. It is None if the
    two were not measured.
    """

    pages: PageNames
    usage: Usage | None = None


MembersFile = MemberPages | list[str]
"""The content of a table's file: pages of manifests, or the folders of the batches."""


def _members_remedy(root: str, relative: str) -> str:
    kind, name, _, file = relative.split("/")
    command = made_by_command(file.removesuffix(".json"), kind, name)
    return f"Delete this file, then run: {command}"


_LIST, _PAGES = f"{UNION_TAG}list", f"{UNION_TAG}pages"
MEMBERS_DOCUMENT: Document[MembersFile] = Document(
    Annotated[
        # A table without batches is written as an object without pages, so an empty list is damage.
        Annotated[list[BatchFolder], Field(min_length=1), Tag(_LIST)] | Annotated[MemberPages, Tag(_PAGES)],
        Discriminator(lambda value: _LIST if isinstance(value, list) else _PAGES),
    ],
    "a list of members: the folders of at least one batch, or an object with the key pages",
    _members_remedy,
)
MANIFEST_PAGE: Document[Sequence[Manifest]] = Document(
    list[Manifest], "a page of the manifests of batches", page_remedy
)


def made_by_command(table: str, kind: str, name: str) -> str:
    """Returns the command that adds the batches of a table to the model or the release `name`. `kind` is
    "models" or "releases"."""
    verb = MADE_BY.get(table, "plan")
    option = "--release " if kind == "releases" else "--model " if verb == "vectorize" else ""
    return f"titler {verb} {option}{name}"


class Members(Mapping[str, Sequence[Manifest]]):
    """The batches that belong to a model or a release. Maps the name of each table to the manifests of the
    table's batches. The manifests of a table are read from the lake only once.

    `path`, `missing` and `base` are functions. `path` takes the name of a file in the folder of the model or
    release, and returns the file's path. `missing` takes the name of a table without batches, and returns the
    error for it. `base` returns the members of the previous release, or None if there is no such release. If
    the previous release already has a page, the page is not written again.

    `shared_pages` holds the pages that were already read. If several releases use the same dict, a page that
    they share is read only once. If a `stopwatch` is set, its measurements are recorded with the batches.
    """

    stopwatch: Stopwatch | None = None

    def __init__(
        self,
        lake: Lake,
        path: Callable[[str], str],
        missing: Callable[[str], UsageError],
        shared_pages: SharedPages,
        base: Callable[[], Members | None],
    ) -> None:
        self._lake = lake
        self._path = path
        self._missing = missing
        self._shared_pages = shared_pages
        self._base = base
        self._manifests: dict[str, Sequence[Manifest]] = {}
        self._files: dict[str, MembersFile] = {}

    def __getitem__(self, table: str) -> Sequence[Manifest]:
        """Returns the manifests of a table's batches. `segments_v1` has one batch per segment. `vocabulary`,
        `predictor` and `index` have a single batch. Every other table has one batch per day of the plan. But
        if an earlier version of Titler extracted a day, `duplicate_marks_v1` has no batch for this day.

        Raises UsageError if the model or release does not exist, or has no batches of the table yet. The
        error names the `titler` command to run.
        """
        if table not in self._manifests:
            stored = self._stored(table)
            if stored is None:
                raise self._missing(table)
            if isinstance(stored, MemberPages):
                self._manifests[table] = self._read_pages(stored.pages)
            else:
                self._manifests[table] = self._lake.for_each(self._lake.manifest, stored)
        return self._manifests[table]

    def __contains__(self, table: object) -> bool:
        return self._stored(str(table)) is not None

    def __iter__(self) -> Iterator[str]:
        return (table for table in MADE_BY if table in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def folders(self, table: str) -> list[str]:
        """Returns the folders of a table's batches. Returns an empty list if no batches of the table were
        recorded yet. The batches themselves need not exist any more."""
        stored = self._stored(table)
        return _folders(self[table]) if isinstance(stored, MemberPages) else list(stored or ())

    def pages(self, table: str) -> PageNames:
        """Returns the names of the pages with the manifests of a table, by period. Returns an empty dict if
        there are no pages."""
        stored = self._stored(table)
        return stored.pages if isinstance(stored, MemberPages) else {}

    def usage(self, table: str) -> Usage | None:
        """Returns the time and the memory that a command had used when it recorded a table's batches. Returns
        None if no batches were recorded yet, or if time and memory were not measured."""
        stored = self._stored(table)
        return stored.usage if isinstance(stored, MemberPages) else None

    def put(self, table: str, manifests: Iterable[Manifest]) -> None:
        """Records that these batches of a table belong to the model or release. Replaces an earlier
        record."""
        in_order = list(manifests)
        periods = [_period(manifest) for manifest in in_order]
        if any(period is None for period in periods):
            self._put(table, _folders(in_order))
            self._manifests[table] = in_order
            return
        grouped = {
            period: in_order[positions]
            for period, positions in group_by_period([str(period) for period in periods])
        }
        names = dict.fromkeys(grouped, "") | self._pages_of_base(table, grouped)
        changed = {
            period: [asdict(manifest) for manifest in grouped[period]]
            for period, name in names.items()
            if not name
        }
        self.put_pages(table, names | write_pages(self._lake, changed))
        self._manifests[table] = in_order

    def put_pages(self, table: str, names: PageNames) -> None:
        """Records that the batches whose manifests are on these pages belong to the model or release."""
        self._put(table, MemberPages(dict(names), self.stopwatch.usage() if self.stopwatch else None))
        self._manifests.pop(table, None)

    def _pages_of_base(self, table: str, grouped: Mapping[str, Sequence[Manifest]]) -> dict[str, str]:
        """Returns the names of the previous release's pages that can be used again, by period. `grouped` maps
        each period to its manifests. A page can be used again if `grouped` has exactly the same batches for
        the period of the page."""
        base = self._base()
        names = {} if base is None else base.pages(table)
        candidates = {period: name for period, name in names.items() if period in grouped}
        self._read_pages(candidates)
        return {
            period: name
            for period, name in candidates.items()
            if _folders(self._shared_pages[name]) == _folders(grouped[period])
        }

    def _read_pages(self, names: PageNames) -> list[Manifest]:
        unread = [name for name in names.values() if name not in self._shared_pages]
        self._shared_pages.update(zip(unread, read_pages(self._lake, unread, MANIFEST_PAGE), strict=True))
        return [manifest for name in names.values() for manifest in self._shared_pages[name]]

    def _stored(self, table: str) -> MembersFile | None:
        """Returns the content of a table's file, or None if there is no such file yet."""
        if table not in self._files:
            content = self._lake.get_json(self._file(table), MEMBERS_DOCUMENT)
            if content is None:
                return None
            self._files[table] = content
        return self._files[table]

    def _put(self, table: str, content: MembersFile) -> None:
        value: Any = content
        if isinstance(content, MemberPages):
            value = {name: value for name, value in asdict(content).items() if value is not None}
        self._lake.put_json(self._file(table), value)
        self._files[table] = content

    def _file(self, table: str) -> str:
        return self._path(f"members/{table}.json")


def _period(manifest: Manifest) -> str | None:
    """Returns the source day of a batch. If its table has batches per period instead, returns the period.
    Returns None if the batch has neither."""
    return manifest.partition.get("day") or manifest.partition.get("period")


def _folders(manifests: Sequence[Manifest]) -> list[str]:
    return [manifest.folder for manifest in manifests]
