"""Part of the stage `forget`: replaces all references to old batches by references to the new batches.

The references are in pointers, in pages, and in two documents of each release and model: its plan, and the
list of its batches.

Every step can be repeated. If the command is interrupted, the next run repeats all of them.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.contracts import SEGMENTS, TITLE_PREDICTIONS
from pipeline.errors import DamagedBatchError
from pipeline.lake.batches import CURRENT_POINTER, KEY_POINTER, MANIFEST_DOCUMENT, Lake
from pipeline.lake.changed_days import make_current
from pipeline.lake.day_catalogue import CATALOGUE
from pipeline.lake.forgotten import Matcher
from pipeline.lake.issue_ids import parse_ids, write_ids
from pipeline.lake.json_documents import Document
from pipeline.lake.manifest import CURRENT, KEYS, Manifest, Pointer
from pipeline.lake.pages import PAGES, page_remedy, write_page
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.progress import say
from pipeline.releases.index_figures import INDEX_FIGURES, index_figures
from pipeline.releases.records import RECORD
from pipeline.releases.stops import STOPPED
from pipeline.stages.forget_batches import Rewriting
from pipeline.stages.rechecked_days import FOLDER as UNUSED_EXTRACTIONS

ANY_JSON: Document[Any] = Document(Any, "a JSON value", page_remedy)


@dataclass
class References:
    """Updates the references to replaced batches in pointers, in pages, and in documents of models and
    releases.

    A page is a file with a part of a long list, either of batches or of the ids of issues. `old_pages` are
    the pages to which nothing refers any more. `id_pages` maps the name of each changed page of ids to the
    new page.
    """

    rewriting: Rewriting
    old_pages: list[str] = field(default_factory=list)
    id_pages: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        """The lake whose references are updated."""
        return self.rewriting.lake

    def rewrite(self, replaced: Sequence[Manifest]) -> None:
        """Updates all pointers, pages and documents, so that they refer to the new batches.

        `replaced` are the batches that were replaced by new ones.
        """
        self._pages()
        for kind in ("models", "releases"):
            for name in pinned_names(self.lake, kind):
                self._documents(posixpath.join(kind, name))
        self._document(CATALOGUE)
        for name in self.lake.names(UNUSED_EXTRACTIONS):
            self._document(posixpath.join(UNUSED_EXTRACTIONS, name))
        for batch in replaced:
            self._pointers(batch)

    def _pages(self) -> None:
        """Writes each changed page under a new name, and adds the name to `self.rewriting.names`."""
        for name in self.lake.names(PAGES):
            data = self.lake.get(posixpath.join(PAGES, name))
            if data is None:
                continue
            new = self._ids_page(name, data) if name.endswith(".parquet") else self._json_page(name, data)
            if new != name:
                self.rewriting.names[name] = new
                self.old_pages.append(name)

    def _json_page(self, name: str, data: bytes) -> str:
        value = ANY_JSON.parse(data, self.lake.root, posixpath.join(PAGES, name))
        new = [self._manifest(entry) for entry in value] if isinstance(value, list) else value
        new = self.rewriting.renamed(new)
        if new == value:
            return name
        return write_page(self.lake, json.dumps(new, ensure_ascii=False).encode(), "json")

    def _manifest(self, entry: Any) -> Any:
        """Returns an entry of a page of manifests, updated to the batch's new manifest."""
        data = json.dumps(entry, ensure_ascii=False).encode()
        batch = MANIFEST_DOCUMENT.parse(data, self.lake.root, PAGES)
        new = self.rewriting.new.get(batch.folder) or self.rewriting.renewed(batch)
        return entry if new == batch else self.rewriting.renamed(asdict(new))

    def _ids_page(self, name: str, data: bytes) -> str:
        ids = parse_ids(data)
        matches = self.rewriting.matcher.mask(ids)
        if not matches.any():
            return name
        page = write_ids(self.lake, ids.filter(~matches))
        self.id_pages[name] = asdict(page)
        return page.page

    def _documents(self, folder: str) -> None:
        """Updates the documents of a model or a release."""
        files = [name for name in self.lake.names(folder) if name.endswith(".json")]
        members = [f"members/{name}" for name in self.lake.names(posixpath.join(folder, "members"))]
        for name in (*files, *members):
            self._document(posixpath.join(folder, name))

    def _document(self, path: str) -> None:
        """Updates a document if it refers to a replaced batch or page."""
        data = self.lake.get(path)
        if data is None:
            return
        value = ANY_JSON.parse(data, self.lake.root, path)
        new = self.rewriting.renamed(self._with_id_pages(value))
        if new != value:
            self.lake.put_json(path, new)

    def _with_id_pages(self, value: Any) -> Any:
        """Returns the content of a document, with new pages of ids in place of the changed ones. The
        catalogue of days lists such pages, each with its name, first id and last id."""
        if not isinstance(value, dict) or not isinstance(value.get("ids"), dict):
            return value
        ids = {period: self.id_pages.get(page["page"], page) for period, page in value["ids"].items()}
        return {**value, "ids": ids}

    def _pointers(self, batch: Manifest) -> None:
        """Makes the pointers to a replaced batch refer to its new batch."""
        partition, new = posixpath.dirname(batch.folder), self.rewriting.new[batch.folder]
        for name in self.lake.names(posixpath.join(partition, KEYS)):
            path = posixpath.join(partition, KEYS, name)
            if self.lake.get_json(path, KEY_POINTER) != Pointer(batch.batch_id):
                continue
            # another key is of the same inputs with other parameters: it is known only if the inputs stay
            renamed = new.key if name == f"{batch.key}.json" else name.removesuffix(".json")
            if renamed == new.key or batch.inputs == new.inputs:
                new_path = posixpath.join(partition, KEYS, f"{renamed}.json")
                self.lake.put_json(new_path, {"batch_id": new.batch_id})
                if new_path != path:
                    self.lake.delete(path)
            else:
                self.lake.delete(path)
        current = posixpath.join(partition, CURRENT)
        if self.lake.get_json(current, CURRENT_POINTER) == Pointer(batch.batch_id):
            make_current(self.lake, new)


def recount(lake: Lake) -> None:
    """Counts the issues of all releases again, and updates the numbers in their records and index figures.

    A release with an unreadable batch is left out. It cannot be published again either.
    """
    for name in pinned_names(lake, "releases"):
        release = Pinned(lake, "releases", name)
        if not release.is_open():  # its plan was damaged and deleted, so nothing can be counted
            continue
        try:
            _recount_release(release)
        except DamagedBatchError as error:  # its lists have folders, and no manifests: Titler 0.1 wrote them
            say(f"    the issues of release {name} are not counted again: {error.message}")


def _recount_release(release: Pinned) -> None:
    figures = release.notes[INDEX_FIGURES]
    if figures is not None and SEGMENTS.name in release.members:
        items = _items_of_segments(release)
        segments = [
            {**segment, "items": items[segment["period"], segment["repositories"]]}
            for segment in figures.get("segments", ())
        ]
        counted = {**figures, "items": sum(items.values()), "segments": segments}
        if counted != figures:
            release.notes[INDEX_FIGURES] = counted
    record = release.notes[RECORD]
    if record is not None and TITLE_PREDICTIONS.name in release.members:
        counted = {**record, **_counts(release)}
        if counted != record:
            release.notes[RECORD] = counted


def _items_of_segments(release: Pinned) -> dict[tuple[str, str], int]:
    return {
        (segment.partition["period"], segment.partition["repositories"]): segment.figures["items"]
        for segment in release.members[SEGMENTS.name]
    }


def _counts(release: Pinned) -> dict[str, Any]:
    """Returns the fields of a release's record that count issues."""
    titled = sum(manifest.rows for manifest in release.members[TITLE_PREDICTIONS.name])
    superseded = sum(len(issue_ids) for issue_ids in release.plan.superseded.values())
    figures = index_figures(release)
    segments = {"segments": json.dumps(figures["segments"])} if "segments" in figures else {}
    return {"issues": titled - superseded, "index_items": figures["items"], **segments}


def delete_stops(lake: Lake, matcher: Matcher) -> int:
    """Deletes those notes about stopped releases that contain forgotten data. Returns how many were deleted.

    Such a note says why the release was stopped, and may quote a row about a forgotten issue.
    """
    deleted = 0
    for name in pinned_names(lake, "releases"):
        release = Pinned(lake, "releases", name)
        stopped = release.notes[STOPPED]
        if stopped is not None and matcher.is_in_text(stopped["reason"]):
            lake.delete(release.file(STOPPED.file))
            deleted += 1
    return deleted
