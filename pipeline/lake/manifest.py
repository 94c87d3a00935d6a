"""The manifest of a batch: it lists the batch's files, inputs, parameters and figures."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from pydantic import ConfigDict, NonNegativeInt

from pipeline.lake.json_documents import AnyObject, Name, Time

MANIFEST = "manifest.json"
CURRENT = "current.json"
KEYS = "keys"
RECHECKED = "rechecked"
"""A figure of issues that were extracted because their day was checked again. The stage `clean` cleans such a
day together with the next one."""
PARTS = "parts"
"""The folder of a partition with the records of `pipeline.lake.finished_parts`."""


@dataclass(frozen=True)
class File:
    """The entry of one file in a manifest.

    `rows` is the number of rows, or 0 if the file is not a table. `columns` is a short
    digest of the names and types of the file's columns (`Table.file_columns`). It is empty if the file is not
    a table, or if an earlier version of Titler wrote the file.

    Some files have additional columns for the warehouse, such as the batch id. For these files, `rows_sha256`
    is the SHA-256 that the file would have without these columns. For all other files it is empty.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    rows: NonNegativeInt
    bytes: NonNegativeInt
    sha256: str
    columns: str = ""
    rows_sha256: str = ""

    @property
    def content_sha256(self) -> str:
        """The SHA-256 of the file's content, without the columns for the warehouse, such as the batch id. So
        files with equal rows have the same value, even if they are in different batches."""
        return self.rows_sha256 or self.sha256


@dataclass(frozen=True)
class Manifest:
    """The description of a finished batch, as stored in its `manifest.json`.

    `inputs` are the digests of the batches from which this batch was made. `key` is the fingerprint of table,
    partition, inputs and parameters, and `digest` identifies the content (see
    `pipeline/lake/fingerprint.py`). `rows` is the total number of rows. `figures` are counts and measurements
    of the batch. They are in the manifest so that later stages and reports need not open the batch's files.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    table: str
    partition: dict[str, str]
    batch_id: str
    key: str
    digest: str
    rows: NonNegativeInt
    files: tuple[File, ...]
    inputs: tuple[str, ...]
    parameters: dict[str, Any]
    figures: AnyObject
    created_at: Time

    @property
    def folder(self) -> str:
        """The path of the batch's folder, relative to the root of the lake."""
        return posixpath.join(partition_folder(self.table, self.partition), self.batch_id)

    @property
    def day(self) -> str:
        """The source day of the batch (YYYY-MM-DD). A batch made from a user's file has no day; then the
        value is the beginning of the file's SHA-256. Raises KeyError for other batches without a day."""
        return self.partition.get("day") or self.partition["file"]

    def to_json(self) -> str:
        """Returns this manifest as JSON text, to be written to `manifest.json`."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)


@dataclass(frozen=True)
class Pointer:
    """The content of a pointer: the id of a batch. A pointer is a small JSON file of a partition. It names
    a batch of the same partition."""

    batch_id: Name


def partition_folder(table: str, partition: Mapping[str, str]) -> str:
    """Returns the path of a partition's folder, such as issues_v1/day=2015-01-01. It is relative to the root
    of the lake."""
    return posixpath.join(table, *(f"{name}={value}" for name, value in partition.items()))


def origin_of_folder(folder: str) -> tuple[date, str]:
    """Returns the source day and the batch id that are in the path of a batch's folder. The batch's table
    must be partitioned by day."""
    *_, partition, batch_id = folder.split("/")
    return date.fromisoformat(partition.removeprefix("day=")), batch_id


def has_current_batch(partition: Mapping[str, str]) -> bool:
    """Returns whether a partition can have a current batch. Only a partition with a single value can: a
    source day or a user's file. A partition that also has a second value, such as a model, cannot."""
    return len(partition) == 1 and next(iter(partition)) in ("day", "file")
