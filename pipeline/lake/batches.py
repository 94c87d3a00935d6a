"""The lake: batches, their manifests, and the pointers to them, in a folder or in a bucket.

A batch is a folder of files with its own id. Its `manifest.json` is written last: a folder without a manifest
is not a batch. A finished batch never changes. Small JSON files, called pointers, contain the id of a batch.
There are two kinds of pointers:

- `current.json` points to the current batch of a source day or of a user's file. Any other partition,
  such as one for a model and a day, has no such pointer, because no command asks for its current batch.
- `keys/KEY.json` points to the batch that was made from certain inputs with certain parameters. KEY is the
  fingerprint of these inputs and parameters.

The lake never relies on listing or renaming a folder. Only small files are replaced, each in one step (see
`pipeline/lake/store.py`).

    ROOT/TABLE/day=2015-01-01/BATCH/part-00000.parquet, manifest.json
    ROOT/TABLE/day=2015-01-01/current.json, keys/KEY.json
"""

from __future__ import annotations

import hashlib
import io
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts import DUPLICATE_MARKS, ISSUES, SOURCE_HEALTH, TOKENS, Table
from pipeline.errors import DamagedBatchError, LakeError
from pipeline.lake.changed_days import make_current
from pipeline.lake.damaged_batches import mark_damaged
from pipeline.lake.draft import Draft
from pipeline.lake.draft_records import record_draft
from pipeline.lake.files import LakeFiles
from pipeline.lake.fingerprint import fingerprint
from pipeline.lake.json_documents import Document, delete_and_repeat
from pipeline.lake.local_cache import FileState, file_state
from pipeline.lake.manifest import (
    CURRENT,
    KEYS,
    MANIFEST,
    File,
    Manifest,
    Pointer,
    has_current_batch,
    partition_folder,
)


class Lake(LakeFiles):
    """The lake at `root`, with its batches."""

    def find(
        self, table: str, partition: Mapping[str, str], inputs: Iterable[str], parameters: Mapping[str, Any]
    ) -> Manifest | None:
        """Returns the manifest of the existing batch that was made from these inputs with these parameters.
        Returns None if there is no such batch, or if its manifest is damaged. In both cases, the caller makes
        the batch.

        `inputs` are the digests of the batches from which the batch was made. Their order matters.
        """
        key = fingerprint(table, partition, inputs, parameters)
        folder = partition_folder(table, partition)
        pointer = self.get_json(posixpath.join(folder, KEYS, f"{key}.json"), KEY_POINTER)
        if pointer is None:
            return None
        batch = posixpath.join(folder, pointer.batch_id)
        data = self.get(posixpath.join(batch, MANIFEST))
        with suppress(LakeError):
            return None if data is None else self._parse_manifest(batch, data)
        return None

    def reuse(
        self, table: str, partition: Mapping[str, str], inputs: Iterable[str], parameters: Mapping[str, Any]
    ) -> Manifest | None:
        """Finds an existing batch as `find` does. If its partition is a source day or a user's file, makes it
        the partition's current batch. Returns its manifest, or None if there is no such batch."""
        existing = self.find(table, partition, inputs, parameters)
        if existing is not None and has_current_batch(partition):
            pointer = posixpath.join(partition_folder(table, partition), CURRENT)
            if self.get_json(pointer, CURRENT_POINTER) != Pointer(existing.batch_id):
                make_current(self, existing)
        return existing

    def add_key(self, batch: Manifest, parameters: Mapping[str, Any]) -> None:
        """Makes `find` return `batch` also for `parameters`, although `batch` was made with different ones.
        The inputs must be those of `batch`. The caller must know that the content of `batch` would be the
        same with `parameters`."""
        key = fingerprint(batch.table, batch.partition, batch.inputs, parameters)
        folder = partition_folder(batch.table, batch.partition)
        self.put_json(posixpath.join(folder, KEYS, f"{key}.json"), {"batch_id": batch.batch_id})

    def current(self, table: str, partition: Mapping[str, str]) -> Manifest | None:
        """Returns the manifest of the partition's current batch, or None if the partition has none.
        Raises LakeError if the manifest is missing or damaged."""
        folder = partition_folder(table, partition)
        pointer = self.get_json(posixpath.join(folder, CURRENT), CURRENT_POINTER)
        return None if pointer is None else self.manifest(posixpath.join(folder, pointer.batch_id))

    def days(self, table: str) -> list[str]:
        """Returns the days (YYYY-MM-DD) for which a table has a partition, sorted. The table must be
        partitioned by day alone."""
        return [name.removeprefix("day=") for name in self.names(table) if name.startswith("day=")]

    def manifest(self, folder: str) -> Manifest:
        """Returns the manifest of the batch in `folder`. Raises DamagedBatchError if the manifest is missing
        or damaged."""
        data = self.get(posixpath.join(folder, MANIFEST))
        if data is None:
            mark_damaged(self, folder)
            raise DamagedBatchError(
                f"The batch {self.path(folder)} has no {MANIFEST}: the batch was never finished, or it was "
                "removed, for example by `titler collect`.",
                _manifest_hint(self.root, folder),
            )
        return self._parse_manifest(folder, data)

    def _parse_manifest(self, folder: str, data: bytes) -> Manifest:
        """Returns the manifest of the batch in `folder` from the content of its file. Marks the batch and
        raises LakeError if the manifest is damaged."""
        path = posixpath.join(folder, MANIFEST)
        try:
            manifest = MANIFEST_DOCUMENT.parse(data, self.root, path)
            if manifest.folder != folder:
                raise LakeError(
                    f"The file {self.path(path)} is damaged: it describes the batch "
                    f"{manifest.folder}. Expected the manifest of the batch in the same folder.",
                    _manifest_hint(self.root, folder),
                )
        except LakeError as error:
            mark_damaged(self, folder)
            raise DamagedBatchError(error.message, error.hint) from None
        return manifest

    def draft(
        self,
        table: str,
        partition: Mapping[str, str],
        inputs: Iterable[str] = (),
        parameters: Mapping[str, Any] | None = None,
    ) -> Draft:
        """Returns a new, empty batch to write files into. Readers see the batch only after its `commit`.
        After that, a call of `find` with the same `inputs` and `parameters` returns the batch."""
        draft = Draft(self, table, dict(partition), tuple(inputs), dict(parameters or {}))
        record_draft(self, draft.folder)
        return draft

    def read_part(self, manifest: Manifest, file: File, columns: list[str] | None = None) -> pa.Table:
        """Returns the rows of one Parquet file of a batch. `columns` names the columns to return; None means
        all. Raises LakeError if the file is missing or does not match its manifest entry."""
        return pq.read_table(io.BytesIO(self.read_file(manifest, file)), columns=columns)

    def read_file(self, manifest: Manifest, file: File) -> bytes:
        """Returns the content of one file of a batch. Raises DamagedBatchError if the file is missing or
        does not match its manifest entry."""
        data = self.get(posixpath.join(manifest.folder, file.name))
        if data is None or len(data) != file.bytes:
            raise self._damaged(manifest, file, None if data is None else len(data))
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise self._damaged(manifest, file, len(data))
        return data

    def _damaged(self, manifest: Manifest, file: File, size: int | None) -> DamagedBatchError:
        """Returns the error about a damaged or missing file. `size` is the number of bytes in the file, or
        None if the file is missing. Marks the batch as damaged, and deletes the batch's key. So `find` does
        not return the batch, and the stage makes it again."""
        mark_damaged(self, manifest.folder)
        self._forget_key(manifest)
        if size is None:
            problem = "is missing"
        elif size == file.bytes:
            problem = "is damaged: its SHA-256 is not the one in the batch's manifest"
        else:
            problem = (
                f"is damaged: it has {size:,} bytes instead of the {file.bytes:,} in the batch's manifest"
            )
        return DamagedBatchError(
            f"The file {self.path(manifest.folder)}/{file.name} {problem}.",
            rewrite_hint(manifest.folder),
        )

    def _forget_key(self, manifest: Manifest) -> None:
        """Deletes the pointer `keys/KEY.json` if it names this batch. Does nothing if this process may not
        write to the lake."""
        path = _key_path(manifest)
        with suppress(LakeError):
            if self.get_json(path, KEY_POINTER) == Pointer(manifest.batch_id):
                self.delete(path)

    def restore_key(self, manifest: Manifest) -> None:
        """Makes `find` return a batch again, after somebody has restored the batch's damaged files. Does
        nothing if a new batch has taken its place meanwhile, or if this process may not write to the lake."""
        path = _key_path(manifest)
        with suppress(LakeError):
            if self.get(path) is None:
                self.put_json(path, {"batch_id": manifest.batch_id})

    def verify_file(self, manifest: Manifest, file: File) -> None:
        """Reads one file of a batch, and raises LakeError if it is missing or does not match its manifest
        entry. Reads the file even if it was checked before."""
        if self._store.folder is None:
            self.read_file(manifest, file)
            return
        path = self._local_path(posixpath.join(manifest.folder, file.name))
        self.cache.remember(path, self._checked_state(manifest, file, path))

    def _checked_state(self, manifest: Manifest, file: File, path: Path) -> FileState:
        """Checks a local file, and returns the state that the file had just before the check. Raises
        LakeError if the file is missing or does not match its manifest entry."""
        try:
            state = file_state(path) if path.is_file() else None
            if state is None or state[0] != file.bytes or _sha256(path) != file.sha256:
                raise self._damaged(manifest, file, state[0] if state else None)
        except OSError as error:
            raise LakeError(
                f"The file {path} cannot be read: {error.strerror or error}.",
                "Check the disk and the permissions, then run the same command again.",
            ) from error
        return state

    def read(self, manifest: Manifest, contract: Table, columns: list[str] | None = None) -> pa.Table:
        """Returns all rows of a batch. `columns` names the columns to return; None means all columns of the
        contract that the files have. Raises LakeError if a file is missing or does not match its manifest
        entry."""
        parts = [self.read_part(manifest, file, columns) for file in manifest.files]
        if not parts:
            empty = contract.empty()
            return empty if columns is None else empty.select(columns)
        rows = pa.concat_tables(parts)
        return rows.select([name for name in rows.column_names if name in contract.schema.names])

    def parts(self, manifests: Iterable[Manifest]) -> Iterator[tuple[Manifest, File]]:
        """Yields every file of the batches, in order. Each file is a pair: the manifest of the batch that has
        the file, and the file's entry in this manifest."""
        for manifest in manifests:
            for file in manifest.files:
                yield manifest, file

    def local_copy(self, manifest: Manifest) -> Path:
        """Returns a local folder that contains the batch's files, for libraries that open files by path. See
        `local_file`."""
        for file in manifest.files:
            self.local_file(manifest, file.name)
        return self._local_path(manifest.folder)

    def local_file(self, manifest: Manifest, name: str) -> Path:
        """Returns the local path of the file `name` of a batch, for libraries that open files by path.

        If the lake is a folder, it is the path of the lake's own file. If the lake is a bucket, it is the
        path of a copy. The file is checked against the manifest, unless it was checked before and has not
        changed. Raises LakeError if the file is missing or does not match its manifest entry.
        """
        path = self._local_path(posixpath.join(manifest.folder, name))
        if self.cache.is_checked(path):
            return path
        file = next(file for file in manifest.files if file.name == name)
        if self._store.folder is None:
            return self.cache.store(
                self._name_of_copy(f"{manifest.folder}/{name}"), self.read_file(manifest, file)
            )
        self.cache.remember(path, self._checked_state(manifest, file, path))
        return path

    def _local_path(self, relative: str) -> Path:
        if self._store.folder is not None:
            return self._store.folder / relative
        return self.cache.path / self._name_of_copy(relative)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _key_path(manifest: Manifest) -> str:
    folder = partition_folder(manifest.table, manifest.partition)
    return posixpath.join(folder, KEYS, f"{manifest.key}.json")


def rewrite_hint(folder: str) -> str:
    """Returns the text that tells a user how to replace the batch in `folder`. One of the batch's files is
    missing or damaged."""
    table, _, day = posixpath.dirname(folder).partition("/day=")
    if table == TOKENS.name:
        return f"Run: titler clean --day {day}\n{_NEXT}"
    if table in (ISSUES.name, SOURCE_HEALTH.name, DUPLICATE_MARKS.name):
        return f"Run: titler extract --day {day} --again\nThen: titler clean --day {day}\n{_NEXT}"
    return _NEXT


_NEXT = "To see which releases and models use this batch, and what to do about each of them: titler verify"


def _manifest_hint(root: str, folder: str) -> str:
    """Returns the text that tells a user how to replace the batch in `folder`, whose manifest is missing or
    damaged."""
    partition = posixpath.dirname(folder)
    table, _, day = partition.partition("/day=")
    if table not in (ISSUES.name, SOURCE_HEALTH.name, TOKENS.name):
        return rewrite_hint(folder)
    # A pointer to a missing batch is an error, so the pointer is deleted as well.
    command = f"titler {'clean' if table == TOKENS.name else 'extract'} --day {day}"
    return (
        f"Delete the folder {posixpath.join(root, folder)} and the file "
        f"{posixpath.join(root, partition, CURRENT)}, then run `{command}`.\n{_NEXT}"
    )


def _current_pointer_remedy(root: str, relative: str) -> str:
    """Returns the text that tells a user how to replace the damaged pointer to the current batch of a day."""
    table, _, day = posixpath.dirname(relative).partition("/day=")
    if table not in (ISSUES.name, SOURCE_HEALTH.name, TOKENS.name):
        return delete_and_repeat(root, relative)
    verb = "clean" if table == TOKENS.name else "extract"
    return f"Delete this file, then run: titler {verb} --day {day}"


_POINTER = 'a pointer to a batch: an object with the key batch_id, such as {"batch_id": "0123456789ab"}'
CURRENT_POINTER: Document[Pointer] = Document(Pointer, _POINTER, _current_pointer_remedy)
KEY_POINTER: Document[Pointer] = Document(Pointer, _POINTER, delete_and_repeat)
MANIFEST_DOCUMENT: Document[Manifest] = Document(
    Manifest,
    "the manifest of a batch",
    lambda root, relative: _manifest_hint(root, posixpath.dirname(relative)),
)
