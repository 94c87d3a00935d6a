"""The members of a model or a release: the batches that belong to it.

    ROOT/models/MODEL/members/TABLE.json
    ROOT/releases/RELEASE/members/TABLE.json

If a table has a batch per day, or per period, the file names pages (`pipeline.lake.pages`) with the manifests
of the batches. Otherwise it lists the folders of the batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from pipeline.contracts import (
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
from pipeline.lake.manifest import Manifest
from pipeline.lake.pages import PageNames, group_by_period, read_pages, write_pages

MADE_BY: Mapping[str, str] = MappingProxyType(
    {
        ISSUES.name: "plan",
        SOURCE_HEALTH.name: "plan",
        VOCABULARY: "vocab",
        VECTORS.name: "vectorize",
        PREDICTOR: "train",
        EMBEDDINGS.name: "embed",
        TITLE_PREDICTIONS.name: "predict",
        INDEX: "index",
        SEGMENTS.name: "index",
        SIMILAR_ISSUES.name: "index",
        SIMILAR_ISSUES_V1.name: "index",
    }
)
"""Maps each table to the `titler` command (verb) that adds its batches to a model or a release."""
MEMBER_TABLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "models": (VOCABULARY, VECTORS.name, PREDICTOR),
        "releases": tuple(table for table in MADE_BY if table not in (VOCABULARY, PREDICTOR)),
    }
)
"""The tables of which a model or a release has batches."""
SharedPages = dict[str, Sequence[Manifest]]
"""The manifests on pages that were already read, by the name of the page."""


class Members(Mapping[str, Sequence[Manifest]]):
    """The batches that belong to a model or a release. Maps the name of each table to the manifests of its
    batches.

    `path` returns the path of a file of the model or release, and `missing` the error for a table without
    batches. The manifests of a table are read from the lake only once. Several releases can have the same
    `shared_pages`, so that no page is read twice. `base` are the members of the release before, whose pages
    need not be written again.
    """

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
        self._files: dict[str, Any] = {}

    def __getitem__(self, table: str) -> Sequence[Manifest]:
        """Returns the manifests of a table's batches: one per day of the plan, one per segment for the table
        `segments_v1`, or a single one for the tables `vocabulary`, `predictor` and `index`.

        Raises UsageError if the model or release does not exist, or has no batches of the table yet. The
        error names the `titler` command to run.
        """
        if table not in self._manifests:
            stored = self._stored(table)
            if stored is None:
                raise self._missing(table)
            if isinstance(stored, list):
                self._manifests[table] = self._lake.for_each(self._lake.manifest, stored)
            else:
                self._manifests[table] = self._read_pages(stored["pages"])
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
        if stored is None or isinstance(stored, list):
            return list(stored or [])
        return _folders(self[table])

    def pages(self, table: str) -> PageNames:
        """Returns the names of the pages with the manifests of a table, by period. Returns an empty dict if
        there are no pages."""
        stored = self._stored(table)
        return stored["pages"] if isinstance(stored, dict) else {}

    def put(self, table: str, manifests: Iterable[Manifest]) -> None:
        """Records that these batches of a table belong to the model or release. Replaces an earlier
        record."""
        in_order = list(manifests)
        periods = [_period(manifest) for manifest in in_order]
        if not in_order or any(period is None for period in periods):
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
        self._put(table, {"pages": dict(names)})
        self._manifests.pop(table, None)

    def _pages_of_base(self, table: str, grouped: Mapping[str, Sequence[Manifest]]) -> dict[str, str]:
        """Returns the pages of the release before that have exactly the manifests in `grouped`, by period."""
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
        for name, page in zip(unread, read_pages(self._lake, unread), strict=True):
            self._shared_pages[name] = [Manifest.from_values(values) for values in page]
        return [manifest for name in names.values() for manifest in self._shared_pages[name]]

    def _stored(self, table: str) -> Any:
        """Returns the content of a table's file, or None if there is no such file yet."""
        if self._files.get(table) is None:
            self._files[table] = self._lake.get_json(self._file(table))
        return self._files[table]

    def _put(self, table: str, content: Any) -> None:
        self._lake.put_json(self._file(table), content)
        self._files[table] = content

    def _file(self, table: str) -> str:
        return self._path(f"members/{table}.json")


def _period(manifest: Manifest) -> str | None:
    """Returns the day or the period of a batch, or None if it has neither."""
    return manifest.partition.get("day") or manifest.partition.get("period")


def _folders(manifests: Sequence[Manifest]) -> list[str]:
    return [manifest.folder for manifest in manifests]
