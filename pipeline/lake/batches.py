"""The lake: batches, their manifests, and the pointers to them, in a folder or in a bucket.

A batch is a folder of files with its own id. Its `manifest.json` is written last: a folder without a manifest
is not a batch. A finished batch never changes. Small JSON files, called pointers, name a batch. There are two
kinds:

- `current.json` names the current batch of a partition (a part of a table, such as one day).
- `keys/KEY.json` names the batch that was made from certain inputs with certain parameters. KEY is their
  fingerprint.

The lake never relies on listing or renaming a folder. Only small files are replaced, each in one step (see
`pipeline/lake/store.py`).

    ROOT/TABLE/day=2015-01-01/BATCH/part-00000.parquet, manifest.json
    ROOT/TABLE/day=2015-01-01/current.json, keys/KEY.json
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts import ISSUES, SOURCE_HEALTH, TOKENS, Table
from pipeline.errors import LakeError
from pipeline.lake import stores
from pipeline.lake.fingerprint import content_digest, fingerprint
from pipeline.lake.manifest import MANIFEST, File, Manifest, partition_folder

ROWS_PER_ROW_GROUP = 50_000
CURRENT = "current.json"
KEYS = "keys"
PARTS = "parts"
"""The folder of a partition with the records of `pipeline.lake.finished_parts`."""


def read_parquet(path: str) -> pa.Table:
    """Returns the rows of a Parquet file. `path` is a path or an address that `Lake.path` returned. Raises
    LakeError if the file does not exist or cannot be read."""
    return pq.read_table(io.BytesIO(stores.read(path)))


class Lake:
    """The lake at `root`: a folder's path, or a bucket's address such as s3://BUCKET/FOLDER.

    A `Lake` object holds no data and can be pickled, so every worker process gets a copy. Arguments called
    `relative` or `folder` are paths relative to the root. Every method that reads or writes a file raises
    LakeError if the storage fails, for example if the disk is full or a permission is missing.
    """

    def __init__(self, root: str) -> None:
        self.root = root if "://" in root else str(Path(root).absolute())
        self._store = stores.open_store(self.root)

    def __reduce__(self) -> tuple[type[Lake], tuple[str]]:
        return Lake, (self.root,)

    def path(self, relative: str) -> str:
        """Returns the full path or address of a file or folder in the lake."""
        return posixpath.join(self.root, relative)

    # Files

    def put(self, relative: str, data: bytes) -> None:
        """Writes or replaces one file in one step: readers see either the old or the new content."""
        self._store.put(relative, data)

    def get(self, relative: str) -> bytes | None:
        """Returns the content of a file, or None if the file does not exist."""
        return self._store.get(relative)

    def delete(self, relative: str) -> None:
        """Deletes one file. Does nothing if the file does not exist."""
        self._store.delete(relative)

    def names(self, relative: str) -> list[str]:
        """Returns the sorted names of the files and folders directly in a folder, or an empty list if the
        folder does not exist. The listing of a bucket may lack the newest files."""
        return self._store.names(relative)

    def modified(self, relative: str) -> datetime | None:
        """Returns the UTC time at which the newest file of a folder was written. For a local folder without
        files, returns the time at which the folder was changed. Returns None if the storage lists nothing."""
        return self._store.modified(relative)

    def delete_folder(self, relative: str) -> None:
        """Deletes a folder and every file that is listed in it. Does nothing if the folder does not exist."""
        self._store.delete_folder(relative)

    def put_json(self, relative: str, value: Any) -> None:
        """Writes `value` to a JSON file, or replaces that file, in one step."""
        self.put(relative, (json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode())

    def get_json(self, relative: str) -> Any:
        """Returns the value of a JSON file, or None if the file does not exist. Raises LakeError if the file
        is not valid JSON."""
        data = self.get(relative)
        if data is None:
            return None
        try:
            return json.loads(data)
        except ValueError:
            raise LakeError(
                f"The file {self.path(relative)} is damaged: it is not valid JSON.",
                "Delete this file, then run the same command again.",
            ) from None

    # Batches

    def find(
        self, table: str, partition: Mapping[str, str], inputs: Iterable[str], parameters: Mapping[str, Any]
    ) -> Manifest | None:
        """Returns the manifest of the existing batch that was made from these inputs with these parameters.
        Returns None if there is no such batch.

        `inputs` are the digests of the batches from which the batch was made. Their order matters. Raises
        LakeError if the manifest is damaged.
        """
        key = fingerprint(table, partition, inputs, parameters)
        folder = partition_folder(table, partition)
        pointer = self.get_json(posixpath.join(folder, KEYS, f"{key}.json"))
        return None if pointer is None else self._read_manifest(posixpath.join(folder, pointer["batch_id"]))

    def reuse(
        self, table: str, partition: Mapping[str, str], inputs: Iterable[str], parameters: Mapping[str, Any]
    ) -> Manifest | None:
        """Finds an existing batch as `find` does, and makes it the current batch of its partition. Returns
        the manifest of the batch, or None if there is no such batch."""
        existing = self.find(table, partition, inputs, parameters)
        if existing is not None:
            pointer = posixpath.join(partition_folder(table, partition), CURRENT)
            if self.get_json(pointer) != {"batch_id": existing.batch_id}:
                self.put_json(pointer, {"batch_id": existing.batch_id})
        return existing

    def current(self, table: str, partition: Mapping[str, str]) -> Manifest | None:
        """Returns the manifest of the partition's current batch, or None if the partition has no batch.
        Raises LakeError if the manifest is missing or damaged."""
        folder = partition_folder(table, partition)
        pointer = self.get_json(posixpath.join(folder, CURRENT))
        return None if pointer is None else self.manifest(posixpath.join(folder, pointer["batch_id"]))

    def days(self, table: str) -> list[str]:
        """Returns the days (YYYY-MM-DD) of which a table has a partition, sorted. The table must be
        partitioned by day alone."""
        return [name.removeprefix("day=") for name in self.names(table) if name.startswith("day=")]

    def manifest(self, folder: str) -> Manifest:
        """Returns the manifest of the batch in `folder`. Raises LakeError if the manifest is missing or
        damaged."""
        manifest = self._read_manifest(folder)
        if manifest is None:
            raise LakeError(
                f"The batch {self.path(folder)} has no {MANIFEST}: the batch was never finished, or it was "
                "removed, for example by `titler collect`.",
                _rewrite_hint(self.root, folder),
            )
        return manifest

    def _read_manifest(self, folder: str) -> Manifest | None:
        data = self.get(posixpath.join(folder, MANIFEST))
        if data is None:
            return None
        try:
            return Manifest.from_json(data.decode())
        except (ValueError, TypeError, KeyError) as error:
            raise LakeError(
                f"The file {self.path(folder)}/{MANIFEST} is damaged: it is not the manifest of a batch "
                f"({error}).",
                _rewrite_hint(self.root, folder),
            ) from None

    def draft(
        self,
        table: str,
        partition: Mapping[str, str],
        inputs: Iterable[str] = (),
        parameters: Mapping[str, Any] | None = None,
    ) -> Draft:
        """Returns a new, empty batch to write files into. Readers see the batch only after its `commit`.
        After that, a call of `find` with the same `inputs` and `parameters` returns the batch."""
        return Draft(self, table, dict(partition), tuple(inputs), dict(parameters or {}))

    # Files of batches

    def write_table(self, folder: str, name: str, table: pa.Table, contract: Table) -> File:
        """Writes `table` as the Parquet file `name` in `folder`. Returns the file's entry for the manifest.
        Raises ContractError if the rows do not conform to the contract."""
        buffer = io.BytesIO()
        rows = _without_descriptions(contract.conform(table))
        pq.write_table(rows, buffer, compression="zstd", row_group_size=ROWS_PER_ROW_GROUP)
        return self.write_file(folder, name, buffer.getvalue(), table.num_rows)

    def write_file(self, folder: str, name: str, data: bytes, rows: int = 0) -> File:
        """Writes the file `name` in `folder`. Returns the file's entry for the manifest. `rows` is 0 if the
        file is not a table."""
        self.put(posixpath.join(folder, name), data)
        return File(name, rows, len(data), hashlib.sha256(data).hexdigest())

    def read_part(self, manifest: Manifest, file: File, columns: list[str] | None = None) -> pa.Table:
        """Returns the rows of one Parquet file of a batch. `columns` names the columns to return; None means
        all. Raises LakeError if the file is missing or does not match its manifest entry."""
        return pq.read_table(io.BytesIO(self.read_file(manifest, file)), columns=columns)

    def read_file(self, manifest: Manifest, file: File) -> bytes:
        """Returns the content of one file of a batch. Raises LakeError if the file is missing or does not
        match its manifest entry."""
        data = self.get(posixpath.join(manifest.folder, file.name))
        if data is None or len(data) != file.bytes:
            raise self._damaged(manifest, file, None if data is None else len(data))
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise self._damaged(manifest, file, len(data))
        return data

    def _damaged(self, manifest: Manifest, file: File, size: int | None) -> LakeError:
        """Returns the error for a damaged or missing file. `size` is the number of bytes in the file, or None
        if the file is missing."""
        if size is None:
            problem = "is missing"
        elif size == file.bytes:
            problem = "is damaged: its SHA-256 is not the one in the batch's manifest"
        else:
            problem = (
                f"is damaged: it has {size:,} bytes instead of the {file.bytes:,} in the batch's manifest"
            )
        return LakeError(
            f"The file {self.path(manifest.folder)}/{file.name} {problem}.",
            _rewrite_hint(self.root, manifest.folder),
        )

    def read(self, manifest: Manifest, contract: Table, columns: list[str] | None = None) -> pa.Table:
        """Returns all rows of a batch. `columns` names the columns to return; None means all. Raises
        LakeError if a file is missing or does not match its manifest entry."""
        parts = [self.read_part(manifest, file, columns) for file in manifest.files]
        if not parts:
            empty = contract.empty()
            return empty if columns is None else empty.select(columns)
        return pa.concat_tables(parts)

    def parts(self, manifests: Iterable[Manifest]) -> Iterator[tuple[Manifest, File]]:
        """Yields every file of the batches, in order. Each file comes with the manifest of its batch."""
        for manifest in manifests:
            for file in manifest.files:
                yield manifest, file

    @contextmanager
    def local_copy(self, manifest: Manifest) -> Iterator[Path]:
        """Provides a local folder that contains the batch's files, for libraries that open files by path.

        If the lake is a folder, yields the batch's own folder and checks only the sizes of its files. If the
        lake is a bucket, downloads the files into a temporary folder. Raises LakeError if a file is missing
        or does not match its manifest entry.
        """
        if self._store.folder is not None:
            folder = self._store.folder / manifest.folder
            for file in manifest.files:
                path = folder / file.name
                if not path.is_file() or path.stat().st_size != file.bytes:
                    raise self._damaged(manifest, file, path.stat().st_size if path.is_file() else None)
            yield folder
            return
        with tempfile.TemporaryDirectory(prefix="titler-") as copy:
            for file in manifest.files:
                (Path(copy) / file.name).write_bytes(self.read_file(manifest, file))
            yield Path(copy)


def _without_descriptions(table: pa.Table) -> pa.Table:
    """Returns the table without the descriptions of its columns. With them, a changed description would
    change a batch's digest."""
    schema = pa.schema([field.remove_metadata() for field in table.schema])
    return pa.Table.from_arrays(table.columns, schema=schema)


def _rewrite_hint(root: str, folder: str) -> str:
    """Returns the text that tells a user how to replace a missing or damaged batch. `folder` is the folder of
    the batch."""
    partition = posixpath.dirname(folder)
    table, _, day = partition.partition("/day=")
    pointer, command = "", f"run the stage that writes {table.partition('/')[0]}"
    if table in (ISSUES.name, SOURCE_HEALTH.name, TOKENS.name):
        # A pointer to a missing batch is an error, so the pointer is deleted as well.
        pointer = f" and the file {posixpath.join(root, partition, CURRENT)}"
        command = f"run `titler {'clean' if table == TOKENS.name else 'extract'} --day {day}`"
    return (
        f"Delete the folder {posixpath.join(root, folder)}{pointer}, then {command}. "
        "If a model or a release used this batch, create another one: `titler vocab` or `titler plan`."
    )


@dataclass
class Draft:
    """A batch that is being written. Readers do not see the batch before `commit`."""

    lake: Lake
    table: str
    partition: dict[str, str]
    inputs: tuple[str, ...]
    parameters: dict[str, Any]
    batch_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    files: list[File] = field(default_factory=list)

    @property
    def folder(self) -> str:
        """The path of the batch's folder, relative to the root of the lake."""
        return posixpath.join(partition_folder(self.table, self.partition), self.batch_id)

    @property
    def key(self) -> str:
        """The fingerprint of the batch's inputs and parameters."""
        return fingerprint(self.table, self.partition, self.inputs, self.parameters)

    def write_table(self, name: str, table: pa.Table, contract: Table) -> None:
        """Writes `table` into the batch as the Parquet file `name`. Raises ContractError if the rows do not
        conform to the contract."""
        self.files.append(self.lake.write_table(self.folder, name, table, contract))

    def write_file(self, name: str, data: bytes, rows: int = 0) -> None:
        """Writes a file into the batch. `rows` is 0 if the file is not a table."""
        self.files.append(self.lake.write_file(self.folder, name, data, rows))

    def write_folder(self, folder: Path) -> None:
        """Writes a copy of every file of a local folder into the batch."""
        for path in sorted(folder.iterdir()):
            self.write_file(path.name, path.read_bytes())

    def discard(self) -> None:
        """Deletes the files that were written into the batch so far."""
        self.lake.delete_folder(self.folder)
        self.files.clear()

    def commit(self, figures: Mapping[str, Any] | None = None) -> Manifest:
        """Finishes the batch and makes it the current batch of its partition. Returns the batch's manifest.

        `figures` are counts and measurements to record in the manifest. The manifest is written first. Then
        the two pointers that name the batch are written.
        """
        files = tuple(sorted(self.files, key=lambda file: file.name))
        key = self.key
        manifest = Manifest(
            table=self.table,
            partition=self.partition,
            batch_id=self.batch_id,
            key=key,
            digest=content_digest(self.table, self.partition, {file.name: file.sha256 for file in files}),
            rows=sum(file.rows for file in files),
            files=files,
            inputs=self.inputs,
            parameters=self.parameters,
            figures=dict(figures or {}),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self.lake.put(posixpath.join(self.folder, MANIFEST), manifest.to_json().encode())
        folder = partition_folder(self.table, self.partition)
        self.lake.put_json(posixpath.join(folder, KEYS, f"{key}.json"), {"batch_id": self.batch_id})
        self.lake.put_json(posixpath.join(folder, CURRENT), {"batch_id": self.batch_id})
        return manifest
