"""The lake: batches, their manifests, and the pointers to them, in a folder or in a bucket.

A batch is a folder of files with its own id. `manifest.json` is written last: a batch without a manifest does
not exist. A batch never changes. Two kinds of small file point to batches: `current.json` names the current
batch of a partition, and `keys/KEY.json` names the batch that was made from these inputs with these
parameters. Nothing depends on listing or renaming a folder: only single small files are replaced, each in one
step (`pipeline/lake/stores.py`).

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

from pipeline.contracts import Table
from pipeline.errors import LakeError
from pipeline.lake import stores
from pipeline.lake.fingerprint import content_digest, fingerprint
from pipeline.lake.manifest import MANIFEST, File, Manifest, partition_folder
from pipeline.lake.store import FREE_SPACE_HINT

ROWS_PER_ROW_GROUP = 50_000
CURRENT = "current.json"
KEYS = "keys"


def read_parquet(path: str) -> pa.Table:
    """The Parquet file at a path or address from `Lake.path`. Raises LakeError if it cannot be read."""
    return pq.read_table(io.BytesIO(stores.read(path)))


class Lake:
    """A folder or a bucket. Small and picklable, so that every worker gets its own copy.

    Every method that reads or writes a file raises LakeError if the lake cannot be read or written: disk
    full, read-only, no such bucket, no permission.
    """

    def __init__(self, root: str) -> None:
        self.root = root if "://" in root else str(Path(root).absolute())
        self._store = stores.open_store(self.root)

    def __reduce__(self) -> tuple[type[Lake], tuple[str]]:
        return Lake, (self.root,)

    def path(self, relative: str) -> str:
        """The full path or address of something in the lake."""
        return posixpath.join(self.root, relative)

    # Files

    def put(self, relative: str, data: bytes) -> None:
        """Writes or replaces one file in one step: readers see either the old content or the new."""
        self._store.put(relative, data)

    def get(self, relative: str) -> bytes | None:
        """The content of a file, or None if there is no such file."""
        return self._store.get(relative)

    def delete(self, relative: str) -> None:
        """Deletes one file if it exists."""
        self._store.delete(relative)

    def names(self, relative: str) -> list[str]:
        """The sorted names in a folder, or an empty list if there is no folder. A bucket may not list the
        newest files yet."""
        return self._store.names(relative)

    def modified(self, relative: str) -> datetime | None:
        """When the newest file of a folder was written, or None if no file is listed."""
        return self._store.modified(relative)

    def delete_folder(self, relative: str) -> None:
        """Deletes a folder and everything that is listed in it, if it exists."""
        self._store.delete_folder(relative)

    def put_json(self, relative: str, value: Any) -> None:
        """Writes or replaces a JSON file in one step."""
        self.put(relative, (json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode())

    def get_json(self, relative: str) -> Any:
        """The value of a JSON file, or None if there is no such file. Raises LakeError if the file is
        damaged."""
        data = self.get(relative)
        if data is None:
            return None
        try:
            return json.loads(data)
        except ValueError:
            raise LakeError(
                f"{self.path(relative)} is not valid JSON.",
                "Delete that file, then run the stage that writes it again.",
            ) from None

    # Batches

    def find(
        self, table: str, partition: Mapping[str, str], inputs: Iterable[str], parameters: Mapping[str, Any]
    ) -> Manifest | None:
        """The existing batch that was made from these inputs with these parameters, or None."""
        key = fingerprint(table, partition, inputs, parameters)
        folder = partition_folder(table, partition)
        pointer = self.get_json(posixpath.join(folder, KEYS, f"{key}.json"))
        return None if pointer is None else self._read_manifest(posixpath.join(folder, pointer["batch_id"]))

    def reuse(
        self, table: str, partition: Mapping[str, str], inputs: Iterable[str], parameters: Mapping[str, Any]
    ) -> Manifest | None:
        """Like `find`, and makes the existing batch the partition's current one, as if it had just been
        made."""
        existing = self.find(table, partition, inputs, parameters)
        if existing is not None:
            pointer = posixpath.join(partition_folder(table, partition), CURRENT)
            if self.get_json(pointer) != {"batch_id": existing.batch_id}:
                self.put_json(pointer, {"batch_id": existing.batch_id})
        return existing

    def current(self, table: str, partition: Mapping[str, str]) -> Manifest | None:
        """The current batch of a partition, or None if the partition has no batch yet."""
        folder = partition_folder(table, partition)
        pointer = self.get_json(posixpath.join(folder, CURRENT))
        return None if pointer is None else self.manifest(posixpath.join(folder, pointer["batch_id"]))

    def days(self, table: str) -> list[str]:
        """The days that have a partition, for a table that is partitioned by day alone."""
        return [name.removeprefix("day=") for name in self.names(table) if name.startswith("day=")]

    def manifest(self, folder: str) -> Manifest:
        """The manifest of the batch in `folder`. Raises LakeError if there is none."""
        manifest = self._read_manifest(folder)
        if manifest is None:
            raise LakeError(
                f"{self.path(folder)} has no manifest: the batch was never finished, or `titler collect` "
                "removed it.",
                "Run the stage that writes it again; `titler status` lists what the lake holds.",
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
                f"{self.path(folder)}/{MANIFEST} is damaged ({error}).",
                "Delete that folder, then run the stage again.",
            ) from None

    def draft(
        self,
        table: str,
        partition: Mapping[str, str],
        inputs: Iterable[str] = (),
        parameters: Mapping[str, Any] | None = None,
    ) -> Draft:
        """A new batch to write files into. It does not exist for readers until it is committed."""
        return Draft(self, table, dict(partition), tuple(inputs), dict(parameters or {}))

    # Files of batches

    def write_table(self, folder: str, name: str, table: pa.Table, contract: Table) -> File:
        """Writes one Parquet file. Raises ContractError if the rows do not conform to the contract."""
        buffer = io.BytesIO()
        rows = _without_descriptions(contract.conform(table))
        pq.write_table(rows, buffer, compression="zstd", row_group_size=ROWS_PER_ROW_GROUP)
        return self.write_file(folder, name, buffer.getvalue(), table.num_rows)

    def write_file(self, folder: str, name: str, data: bytes, rows: int = 0) -> File:
        """Writes one file; returns its entry for the manifest."""
        self.put(posixpath.join(folder, name), data)
        return File(name, rows, len(data), hashlib.sha256(data).hexdigest())

    def read_part(self, manifest: Manifest, file: File, columns: list[str] | None = None) -> pa.Table:
        """One Parquet file of a batch. Raises LakeError if it is missing or differs from its manifest
        entry."""
        return pq.read_table(io.BytesIO(self.read_file(manifest, file)), columns=columns)

    def read_file(self, manifest: Manifest, file: File) -> bytes:
        """One file of a batch, checked against its digest. Raises LakeError if it is missing or damaged."""
        data = self.get(posixpath.join(manifest.folder, file.name))
        if data is None or len(data) != file.bytes or hashlib.sha256(data).hexdigest() != file.sha256:
            state = "missing" if data is None else f"{len(data)} bytes with another digest"
            raise self._damaged(manifest, file, state)
        return data

    def _damaged(self, manifest: Manifest, file: File, state: str) -> LakeError:
        return LakeError(
            f"{self.path(manifest.folder)}/{file.name} is {state}; its manifest says {file.bytes} bytes.",
            f"Delete {self.path(manifest.folder)}, then run the stage that writes {manifest.table} again.",
        )

    def read(self, manifest: Manifest, contract: Table, columns: list[str] | None = None) -> pa.Table:
        """All rows of a batch."""
        parts = [self.read_part(manifest, file, columns) for file in manifest.files]
        if not parts:
            empty = contract.empty()
            return empty if columns is None else empty.select(columns)
        return pa.concat_tables(parts)

    def parts(self, manifests: Iterable[Manifest]) -> Iterator[tuple[Manifest, File]]:
        """Every file of every batch, in order."""
        for manifest in manifests:
            for file in manifest.files:
                yield manifest, file

    @contextmanager
    def local_copy(self, manifest: Manifest) -> Iterator[Path]:
        """A local folder with a batch's files, for libraries that open paths: the batch itself if the lake is
        a folder.

        Raises LakeError if a file is missing or its size differs from the manifest's.
        """
        if self._store.folder is not None:
            folder = self._store.folder / manifest.folder
            for file in manifest.files:
                path = folder / file.name
                if not path.is_file() or path.stat().st_size != file.bytes:
                    state = f"{path.stat().st_size} bytes" if path.is_file() else "missing"
                    raise self._damaged(manifest, file, state)
            yield folder
            return
        with tempfile.TemporaryDirectory(prefix="titler-") as copy:
            for file in manifest.files:
                (Path(copy) / file.name).write_bytes(self.read_file(manifest, file))
            yield Path(copy)

    def scratch(self, relative: str) -> Path:
        """A local folder for work that may be interrupted: inside a local lake, otherwise in the temporary
        folder.

        Raises LakeError if it cannot be created.
        """
        if self._store.folder:
            folder = self._store.folder / relative
        else:
            folder = Path(tempfile.gettempdir(), "titler", relative)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LakeError(
                f"{folder} cannot be written: {error.strerror or error}.", FREE_SPACE_HINT
            ) from error
        return folder


def _without_descriptions(table: pa.Table) -> pa.Table:
    """Removes the descriptions of the columns, so that a better description changes no batch's digest."""
    schema = pa.schema([field.remove_metadata() for field in table.schema])
    return pa.Table.from_arrays(table.columns, schema=schema)


@dataclass
class Draft:
    """A batch that is being written. Readers see nothing of it before `commit`."""

    lake: Lake
    table: str
    partition: dict[str, str]
    inputs: tuple[str, ...]
    parameters: dict[str, Any]
    batch_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    files: list[File] = field(default_factory=list)

    @property
    def folder(self) -> str:
        """The batch's folder, relative to the root of the lake."""
        return posixpath.join(partition_folder(self.table, self.partition), self.batch_id)

    def write_table(self, name: str, table: pa.Table, contract: Table) -> None:
        """Adds a Parquet file. Raises ContractError if the rows do not conform to the contract."""
        self.files.append(self.lake.write_table(self.folder, name, table, contract))

    def write_file(self, name: str, data: bytes, rows: int = 0) -> None:
        """Adds a file."""
        self.files.append(self.lake.write_file(self.folder, name, data, rows))

    def write_folder(self, folder: Path) -> None:
        """Adds every file of a local folder."""
        for path in sorted(folder.iterdir()):
            self.write_file(path.name, path.read_bytes())

    def discard(self) -> None:
        """Deletes what was written so far."""
        self.lake.delete_folder(self.folder)
        self.files.clear()

    def commit(self, figures: Mapping[str, Any] | None = None) -> Manifest:
        """Writes the manifest, then the two pointers. From then on the batch exists."""
        files = tuple(sorted(self.files, key=lambda file: file.name))
        key = fingerprint(self.table, self.partition, self.inputs, self.parameters)
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
