"""The lake: batches, manifests and pointers, in a folder or a bucket.

A batch is a folder of files under an id of its own, with `manifest.json` written last; what has no manifest does not
exist. A batch never changes. Two kinds of small file point at batches: `current.json`, a partition's batch, and
`keys/KEY.json`, the batch made of these inputs with these parameters. Nothing relies on a listing or on renaming a folder: a
single small file is replaced in one step (pipeline/lake/stores.py).

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
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lake import stores
from pipeline.contracts import Table
from pipeline.errors import LakeError

MANIFEST = "manifest.json"
ROWS_A_GROUP = 50_000


@dataclass(frozen=True)
class File:
    """A file of a batch. `rows` is 0 for one that is not a table."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a batch is: its files, and what it was made of.

    `inputs` are the digests of the manifests it was made of; `key` stands for inputs, parameters and table version;
    `digest` stands for the content, and is the same for the same files whenever they were written.
    """

    table: str
    partition: dict[str, str]
    batch_id: str
    key: str
    digest: str
    rows: int
    files: tuple[File, ...]
    inputs: tuple[str, ...]
    parameters: dict[str, Any]
    figures: dict[str, Any]
    created_at: str

    @property
    def folder(self) -> str:
        """The batch's folder, relative to the lake's root."""
        return posixpath.join(_partition_folder(self.table, self.partition), self.batch_id)

    @property
    def day(self) -> str:
        """The source day it belongs to; of a file that a model learns from, what stands for the file."""
        return self.partition.get("day") or self.partition["file"]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Raises ValueError, TypeError or KeyError for anything but a manifest."""
        values = json.loads(text)
        values["files"] = tuple(File(**file) for file in values["files"])
        values["inputs"] = tuple(values["inputs"])
        return cls(**values)


def _partition_folder(table: str, partition: Mapping[str, str]) -> str:
    return posixpath.join(table, *(f"{name}={value}" for name, value in partition.items()))


def fingerprint(table: str, partition: Mapping[str, str], inputs: Iterable[str], parameters: Mapping[str, Any]) -> str:
    """32 hex digits that stand for what a batch is made of."""
    made_of = json.dumps([table, dict(partition), list(inputs), dict(parameters)], sort_keys=True)
    return hashlib.sha256(made_of.encode()).hexdigest()[:32]


def read_parquet(path: str) -> pa.Table:
    """A Parquet file by what `Lake.path` gave for it. Raises LakeError where it cannot be read."""
    return pq.read_table(io.BytesIO(stores.read(path)))


class Lake:
    """A folder or a bucket. Small and picklable: workers get one each."""

    def __init__(self, root: str) -> None:
        self.root = root if "://" in root else str(Path(root).absolute())
        self._store = stores.open_store(self.root)

    def __reduce__(self) -> tuple[type[Lake], tuple[str]]:
        return Lake, (self.root,)

    def path(self, relative: str) -> str:
        """The full path or address of something in the lake."""
        return posixpath.join(self.root, relative)

    # Files. Each raises LakeError where the lake cannot be read or written: full, read-only, gone, no such bucket, no rights.

    def put(self, relative: str, data: bytes) -> None:
        """Writes or replaces one file in one step: readers see the old one or the new one."""
        self._store.put(relative, data)

    def get(self, relative: str) -> bytes | None:
        """A file's bytes; None where there is none."""
        return self._store.get(relative)

    def delete(self, relative: str) -> None:
        """Deletes one file, where there is one."""
        self._store.delete(relative)

    def names(self, relative: str) -> list[str]:
        """Names in a folder, sorted; none where there is no folder. A bucket's may lack what was written just now."""
        return self._store.names(relative)

    def modified(self, relative: str) -> datetime | None:
        """When the newest file of a folder was written; None where none is listed."""
        return self._store.modified(relative)

    def delete_folder(self, relative: str) -> None:
        """Deletes a folder and all that is listed in it; nothing where there is none."""
        self._store.delete_folder(relative)

    def put_json(self, relative: str, value: Any) -> None:
        self.put(relative, (json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode())

    def get_json(self, relative: str) -> Any:
        """A JSON file's value; None where there is none. Raises LakeError for one that is damaged."""
        data = self.get(relative)
        if data is None:
            return None
        try:
            return json.loads(data)
        except ValueError:
            raise LakeError(f"{self.path(relative)} is not JSON.", "Delete that file, then run the stage that writes it again.") from None

    # Batches

    def find(self, table: str, partition: Mapping[str, str], inputs: Iterable[str], parameters: Mapping[str, Any]) -> Manifest | None:
        """The batch already made of these inputs with these parameters."""
        key = fingerprint(table, partition, inputs, parameters)
        folder = _partition_folder(table, partition)
        pointer = self.get_json(posixpath.join(folder, "keys", f"{key}.json"))
        return None if pointer is None else self._manifest(posixpath.join(folder, pointer["batch_id"]))

    def reuse(self, table: str, partition: Mapping[str, str], inputs: Iterable[str], parameters: Mapping[str, Any]) -> Manifest | None:
        """As `find`; the batch it finds is the partition's current one from here on, as if it had just been made."""
        found = self.find(table, partition, inputs, parameters)
        if found is not None:
            self._point(_partition_folder(table, partition), found.batch_id)
        return found

    def _point(self, folder: str, batch_id: str) -> None:
        pointer = posixpath.join(folder, "current.json")
        if self.get_json(pointer) != {"batch_id": batch_id}:
            self.put_json(pointer, {"batch_id": batch_id})

    def current(self, table: str, partition: Mapping[str, str]) -> Manifest | None:
        """The batch that the partition's pointer names."""
        folder = _partition_folder(table, partition)
        pointer = self.get_json(posixpath.join(folder, "current.json"))
        return None if pointer is None else self.manifest(posixpath.join(folder, pointer["batch_id"]))

    def days(self, table: str) -> list[str]:
        """Days that have a partition of a table that is partitioned by day alone."""
        return [name.removeprefix("day=") for name in self.names(table) if name.startswith("day=")]

    def manifest(self, folder: str) -> Manifest:
        """The manifest of the batch in `folder`. Raises LakeError where there is none."""
        manifest = self._manifest(folder)
        if manifest is None:
            raise LakeError(
                f"{self.path(folder)} has no manifest: the batch was never finished, or was collected.",
                "Run the stage that writes it again; `titler status` lists what is there.",
            )
        return manifest

    def _manifest(self, folder: str) -> Manifest | None:
        data = self.get(posixpath.join(folder, MANIFEST))
        if data is None:
            return None
        try:
            return Manifest.from_json(data.decode())
        except (ValueError, TypeError, KeyError) as error:
            raise LakeError(
                f"{self.path(folder)}/{MANIFEST} is damaged ({error}).", "Delete that folder, then run the stage again."
            ) from None

    def draft(
        self, table: str, partition: Mapping[str, str], inputs: Iterable[str] = (), parameters: Mapping[str, Any] | None = None
    ) -> Draft:
        """Opens a batch that does not exist until it is committed."""
        return Draft(self, table, dict(partition), tuple(inputs), dict(parameters or {}))

    # Tables in batches

    def write_table(self, folder: str, name: str, table: pa.Table, contract: Table) -> File:
        """Writes one Parquet file that keeps to its contract. Raises ContractError, LakeError."""
        buffer = io.BytesIO()
        pq.write_table(contract.conform(table), buffer, compression="zstd", row_group_size=ROWS_A_GROUP)
        return self.write_file(folder, name, buffer.getvalue(), table.num_rows)

    def write_file(self, folder: str, name: str, data: bytes, rows: int = 0) -> File:
        self.put(posixpath.join(folder, name), data)
        return File(name, rows, len(data), hashlib.sha256(data).hexdigest())

    def read_part(self, manifest: Manifest, file: File, columns: list[str] | None = None) -> pa.Table:
        """One Parquet file of a batch. Raises LakeError where it is missing or not what the manifest says."""
        return pq.read_table(io.BytesIO(self.read_file(manifest, file)), columns=columns)

    def read_file(self, manifest: Manifest, file: File) -> bytes:
        """One file of a batch, held against its digest."""
        data = self.get(posixpath.join(manifest.folder, file.name))
        if data is None or len(data) != file.bytes or hashlib.sha256(data).hexdigest() != file.sha256:
            found = "missing" if data is None else f"{len(data)} bytes with another digest"
            raise self._another(manifest, file, found)
        return data

    def _another(self, manifest: Manifest, file: File, found: str) -> LakeError:
        return LakeError(
            f"{self.path(manifest.folder)}/{file.name} is {found}, expected {file.bytes} bytes as in its manifest.",
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
        """Every file of every batch, in order: the shards."""
        for manifest in manifests:
            for file in manifest.files:
                yield manifest, file

    @contextmanager
    def local_copy(self, manifest: Manifest) -> Iterator[Path]:
        """A local folder with a batch's files, for libraries that open paths: the batch itself where the lake is local.

        Raises LakeError where a file is missing or of another size than the manifest says.
        """
        if self._store.folder is not None:
            folder = self._store.folder / manifest.folder
            for file in manifest.files:
                path = folder / file.name
                if not path.is_file() or path.stat().st_size != file.bytes:
                    raise self._another(manifest, file, f"{path.stat().st_size} bytes" if path.is_file() else "missing")
            yield folder
            return
        with tempfile.TemporaryDirectory(prefix="titler-") as copy:
            for file in manifest.files:
                (Path(copy) / file.name).write_bytes(self.read_file(manifest, file))
            yield Path(copy)

    def scratch(self, relative: str) -> Path:
        """A local folder for work that may be interrupted: inside a local lake, else in the machine's temporary folder.

        Raises LakeError where it cannot be made.
        """
        folder = self._store.folder / relative if self._store.folder else Path(tempfile.gettempdir(), "titler", relative)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LakeError(f"{folder} cannot be written: {error.strerror or error}.", stores.FREE) from error
        return folder


@dataclass
class Draft:
    """A batch being written. Nothing of it exists for readers before `commit`."""

    lake: Lake
    table: str
    partition: dict[str, str]
    inputs: tuple[str, ...]
    parameters: dict[str, Any]
    batch_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    files: list[File] = field(default_factory=list)

    @property
    def folder(self) -> str:
        return posixpath.join(_partition_folder(self.table, self.partition), self.batch_id)

    def write_table(self, name: str, table: pa.Table, contract: Table) -> None:
        self.files.append(self.lake.write_table(self.folder, name, table, contract))

    def write_file(self, name: str, data: bytes, rows: int = 0) -> None:
        self.files.append(self.lake.write_file(self.folder, name, data, rows))

    def commit(self, figures: Mapping[str, Any] | None = None) -> Manifest:
        """Writes the manifest, then the two pointers. The batch exists from here on."""
        files = tuple(sorted(self.files, key=lambda file: file.name))
        content = json.dumps([self.table, self.partition, [[file.name, file.sha256] for file in files]], sort_keys=True)
        key = fingerprint(self.table, self.partition, self.inputs, self.parameters)
        manifest = Manifest(
            table=self.table,
            partition=self.partition,
            batch_id=self.batch_id,
            key=key,
            digest=hashlib.sha256(content.encode()).hexdigest(),
            rows=sum(file.rows for file in files),
            files=files,
            inputs=self.inputs,
            parameters=self.parameters,
            figures=dict(figures or {}),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self.lake.put(posixpath.join(self.folder, MANIFEST), manifest.to_json().encode())
        folder = _partition_folder(self.table, self.partition)
        self.lake.put_json(posixpath.join(folder, "keys", f"{key}.json"), {"batch_id": self.batch_id})
        self.lake.put_json(posixpath.join(folder, "current.json"), {"batch_id": self.batch_id})
        return manifest
