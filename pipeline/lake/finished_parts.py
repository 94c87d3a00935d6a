"""Records of the finished files of batches that are not complete yet.

A batch exists only when its manifest is written, after all its files. If the command is killed before that,
the files that were finished are still in the folder of the batch. Each finished file has a record, so that
the next run of the command need not make the file again.

    ROOT/TABLE/day=2015-01-01/parts/KEY/part-00000.parquet.json

KEY is the key of the batch: the fingerprint of its inputs and parameters. So a record is valid only for a
batch that is made from the same inputs with the same parameters.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pyarrow.parquet as pq

from pipeline.contracts import TABLES
from pipeline.lake.draft import Draft
from pipeline.lake.files import LakeFiles
from pipeline.lake.json_documents import BatchFolder, Document, delete_and_repeat
from pipeline.lake.manifest import PARTS, File, partition_folder


@dataclass(frozen=True)
class FinishedPart:
    """A finished file of a batch that is not complete: its entry for the manifest, and its counts. The
    manifest of the batch has the sums of the counts of all files."""

    file: File
    counts: dict[str, int]


@dataclass(frozen=True)
class _Record:
    """The content of a record: the folder in which the file is, its entry for the manifest, its counts."""

    folder: BatchFolder
    file: File
    counts: dict[str, int]


RECORD: Document[_Record] = Document(
    _Record,
    "the record of a finished file: an object with the keys folder, file and counts",
    delete_and_repeat,
)


@dataclass(frozen=True)
class FinishedParts:
    """The records of the finished files of one batch that is being written. The files are written into
    `folder`. Their records are in the folder `records`."""

    lake: LakeFiles
    table: str
    folder: str
    records: str

    @classmethod
    def of(cls, draft: Draft) -> FinishedParts:
        """Returns the records of the batch that is being written as `draft`."""
        partition = partition_folder(draft.table, draft.partition)
        return cls(draft.lake, draft.table, draft.folder, posixpath.join(partition, PARTS, draft.key))

    def add(self, part: FinishedPart) -> None:
        """Records that a file of the batch is finished."""
        self.lake.put_json(self._path(part.file.name), asdict(_Record(self.folder, part.file, part.counts)))

    def take(self, name: str) -> FinishedPart | None:
        """Takes over the file `name` from an earlier command that finished this file, but not the batch:
        copies the file into the folder of the new batch. Returns the entry and the counts of the file.

        Returns None if there is no record of the file, or if the file is missing or damaged. The original
        file is not deleted, because the earlier command may still be running: two processes may make the same
        batch at the same time, each in a folder of its own.
        """
        record = self.lake.get_json(self._path(name), RECORD)
        if record is None:
            return None
        part = FinishedPart(record.file, record.counts)
        if record.folder != self.folder:
            data = self.lake.get(posixpath.join(record.folder, name))
            if data is None or hashlib.sha256(data).hexdigest() != part.file.sha256:
                return None
            return FinishedPart(self._copy(part.file, data), part.counts)
        return part

    def _copy(self, file: File, data: bytes) -> File:
        """Writes the content `data` of a file into the draft. Returns the entry of the new file. If the rows
        of the file have a batch id, the rows of the new file have the id of the draft instead."""
        contract = TABLES[self.table]
        if not contract.with_warehouse_columns:
            self.lake.write_file(self.folder, file.name, data, file.rows)
            return file
        rows = pq.read_table(io.BytesIO(data), columns=contract.schema.names)
        return self.lake.write_table(self.folder, file.name, rows, contract)

    def forget(self, names: Iterable[str]) -> None:
        """Deletes the records of these files. The records are of no use once the batch is complete."""
        for name in names:
            self.lake.delete(self._path(name))

    def _path(self, name: str) -> str:
        return posixpath.join(self.records, f"{name}.json")
