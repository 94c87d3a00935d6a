"""A batch that is being written."""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.contracts import Table
from pipeline.lake.changed_days import make_current
from pipeline.lake.files import LakeFiles
from pipeline.lake.fingerprint import content_digest, fingerprint
from pipeline.lake.manifest import KEYS, MANIFEST, File, Manifest, has_current_batch, partition_folder


@dataclass
class Draft:
    """A batch that is being written. Readers do not see the batch before `commit`."""

    lake: LakeFiles
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

    def write_file(self, name: str, data: bytes, rows: int = 0, *, keep_copy: bool = False) -> None:
        """Writes a file into the batch. `rows` is 0 if the file is not a table. If the lake is a bucket and
        `keep_copy` is true, a local copy is kept, because the file will soon be opened by its path."""
        self.files.append(self.lake.write_file(self.folder, name, data, rows, keep_copy=keep_copy))

    def write_folder(self, folder: Path) -> None:
        """Writes a copy of every file of a local folder into the batch."""
        for path in sorted(folder.iterdir()):
            self.write_file(path.name, path.read_bytes())

    def discard(self) -> None:
        """Deletes the files that were written into the batch so far."""
        self.lake.delete_folder(self.folder)
        self.files.clear()

    def commit(self, figures: Mapping[str, Any] | None = None) -> Manifest:
        """Finishes the batch and returns its manifest. If the partition is a source day or a user's file, the
        batch becomes the current batch of the partition.

        `figures` are counts and measurements to record in the manifest. The manifest is written first. Then
        the pointers to the batch are written.
        """
        manifest = self.finish(figures)
        folder = partition_folder(self.table, self.partition)
        self.lake.put_json(posixpath.join(folder, KEYS, f"{manifest.key}.json"), {"batch_id": self.batch_id})
        if has_current_batch(self.partition):
            make_current(self.lake, manifest)
        return manifest

    def finish(self, figures: Mapping[str, Any] | None = None) -> Manifest:
        """Writes the manifest of the batch and returns it. The pointers to it are written by `commit`."""
        files = tuple(sorted(self.files, key=lambda file: file.name))
        contents = {file.name: file.content_sha256 for file in files}
        manifest = Manifest(
            table=self.table,
            partition=self.partition,
            batch_id=self.batch_id,
            key=self.key,
            digest=content_digest(self.table, self.partition, contents),
            rows=sum(file.rows for file in files),
            files=files,
            inputs=self.inputs,
            parameters=self.parameters,
            figures=dict(figures or {}),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self.lake.put(posixpath.join(self.folder, MANIFEST), manifest.to_json().encode())
        return manifest
