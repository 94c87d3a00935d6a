"""The files of the lake, in a folder or in a bucket."""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts import Table
from pipeline.errors import LakeError
from pipeline.lake import stores
from pipeline.lake.json_documents import Document
from pipeline.lake.local_cache import LocalCache
from pipeline.lake.manifest import File, origin_of_folder

Item = TypeVar("Item")
Value = TypeVar("Value")

REQUESTS = 16
"""Maximum number of requests that one command sends to a bucket at the same time."""


def parquet_bytes(table: pa.Table, contract: Table) -> bytes:
    """Returns `table` as the content of a Parquet file. Raises ContractError if the rows do not conform to
    the contract."""
    return _content(contract.conform(table), contract.rows_per_row_group)


def _content(rows: pa.Table, rows_per_row_group: int) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(
        _without_descriptions(rows),
        buffer,
        compression="zstd",
        row_group_size=rows_per_row_group,
        write_page_checksum=True,  # for readers that are not Titler, which checks whole files
    )
    return buffer.getvalue()


def read_parquet(path: str, digest: str) -> pa.Table:
    """Returns the rows of a Parquet file. The arguments and the errors are those of `read_checked`."""
    return pq.read_table(io.BytesIO(read_checked(path, digest)))


def read_checked(path: str, digest: str) -> bytes:
    """Returns the content of a file. `path` is a path or an address that `Lake.path` returned. `digest` is
    the SHA-256 that the file must have, or empty if it is not known. Raises LakeError if the file does not
    exist, cannot be read or is damaged."""
    data = stores.read(path)
    if digest and not _has_digest(data, digest):
        raise LakeError(
            f"The file {path} is damaged: its SHA-256 is not the one in the batch's manifest.",
            "To see which releases use this batch, and what to do about each of them: titler verify",
        )
    return data


class LakeFiles:
    """The files of the lake at `root`: a folder's path, or a bucket's address such as s3://BUCKET/FOLDER.
    `cache` is where files of a bucket are copied to.

    An object of this class holds no data and can be pickled, so every worker process gets a copy. Arguments
    called `relative` or `folder` are paths relative to the root. Every method that reads or writes a file
    raises LakeError if the storage fails, for example if the disk is full or a permission is missing.
    """

    def __init__(self, root: str, cache: LocalCache | None = None) -> None:
        self.cache = cache or LocalCache()
        self.root = root if "://" in root else str(Path(root).absolute())
        self._store = stores.open_store(self.root)

    def __reduce__(self) -> tuple[type[Self], tuple[str, LocalCache]]:
        return type(self), (self.root, self.cache)

    def path(self, relative: str) -> str:
        """Returns the full path or address of a file or folder in the lake."""
        return posixpath.join(self.root, relative)

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

    def written(self, relative: str) -> dict[str, datetime]:
        """Returns a dict from the name of each file directly in a folder to the UTC time at which it was
        written. The listing of a bucket may lack the newest files."""
        return self._store.written(relative)

    def modified(self, relative: str) -> datetime | None:
        """Returns the UTC time at which the newest file in a folder was written. If a local folder has no
        files, returns the time at which the folder itself was changed. Returns None if the folder does not
        exist, or if a bucket lists no files in it."""
        return self._store.modified(relative)

    def delete_folder(self, relative: str) -> None:
        """Deletes a folder and its files. Does nothing if the folder does not exist. In a bucket, the newest
        files can remain, because the listing may lack them."""
        self._store.delete_folder(relative)

    def for_each(self, read: Callable[[Item], Value], items: Sequence[Item]) -> list[Value]:
        """Returns `read(item)` for each item, in the order of `items`. If the lake is a bucket, up to
        REQUESTS calls of `read` run at the same time, so no call may depend on another call."""
        if self._store.folder is not None or len(items) < 2:
            return [read(item) for item in items]
        with ThreadPoolExecutor(REQUESTS) as executor:
            return list(executor.map(read, items))

    def get_immutable(self, digests: Mapping[str, str]) -> list[bytes | None]:
        """Returns the contents of files that never change. None stands for a file that is missing or damaged.

        `digests` maps the paths of the files to their SHA-256. The contents are in the order of this dict. If
        the lake is a bucket, a local copy of each file is kept.
        """
        return self.for_each(lambda item: self._get_immutable(*item), list(digests.items()))

    def put_immutable(self, relative: str, data: bytes) -> None:
        """Writes a file that never changes. If the lake is a bucket, keeps a local copy of the file, because
        later commands read it."""
        self.put(relative, data)
        if self._store.folder is None:
            self.cache.store(self._name_of_copy(relative), data)

    def delete_local_copies(self) -> None:
        """Deletes the copies of the lake's files that are on this machine. If the lake is a folder, there are
        no copies."""
        if self._store.folder is None:
            shutil.rmtree(self.cache.path / self._name_of_copy(""), ignore_errors=True)

    def _get_immutable(self, relative: str, digest: str) -> bytes | None:
        copy = self.cache.path / self._name_of_copy(relative)
        if self._store.folder is None and self.cache.is_checked(copy):
            data = copy.read_bytes()
            if _has_digest(data, digest):
                return data
        stored = self.get(relative)
        if stored is None or not _has_digest(stored, digest):
            return None
        if self._store.folder is None:
            self.cache.store(self._name_of_copy(relative), stored)
        return stored

    def _name_of_copy(self, relative: str) -> str:
        """Returns the path of a file's copy, relative to the folder of the cache. The path starts with a hash
        of the lake's root, because the cache may have copies of files of several lakes."""
        return posixpath.join(hashlib.sha256(self.root.encode()).hexdigest()[:16], relative)

    def put_json(self, relative: str, value: Any) -> None:
        """Writes `value` to a JSON file, or replaces that file, in one step."""
        self.put(relative, (json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode())

    def get_json(self, relative: str, document: Document[Value]) -> Value | None:
        """Returns the value of a JSON document, or None if the file does not exist. Raises LakeError if the
        file is not valid JSON, or does not have the form of `document`."""
        data = self.get(relative)
        return None if data is None else document.parse(data, self.root, relative)

    def write_table(self, folder: str, name: str, table: pa.Table, contract: Table) -> File:
        """Writes `table` as the Parquet file `name` in `folder`, the folder of a batch. Returns the file's
        entry for the manifest. Raises ContractError if the rows do not conform to the contract."""
        rows = contract.conform(table)
        data, rows_sha256 = _content(rows, contract.rows_per_row_group), ""
        if contract.with_warehouse_columns:
            rows_sha256 = hashlib.sha256(data).hexdigest()
            rows = contract.add_warehouse_columns(rows, *origin_of_folder(folder))
            data = _content(rows, contract.rows_per_row_group)
        file = self.write_file(folder, name, data, len(rows))
        return replace(file, columns=contract.file_columns, rows_sha256=rows_sha256)

    def write_file(
        self, folder: str, name: str, data: bytes, rows: int = 0, *, keep_copy: bool = False
    ) -> File:
        """Writes the file `name` in `folder`. Returns the file's entry for the manifest. `rows` is 0 if the
        file is not a table. If the lake is a bucket and `keep_copy` is true, keeps a local copy, so that a
        command that soon opens the file by its path need not download it."""
        put = self.put_immutable if keep_copy else self.put
        put(posixpath.join(folder, name), data)
        return File(name, rows, len(data), hashlib.sha256(data).hexdigest())


def _has_digest(data: bytes, digest: str) -> bool:
    return hashlib.sha256(data).hexdigest() == digest


def _without_descriptions(table: pa.Table) -> pa.Table:
    """Returns the table without the descriptions of its columns. With them, a changed description would
    change a batch's digest."""
    schema = pa.schema([field.remove_metadata() for field in table.schema])
    return pa.Table.from_arrays(table.columns, schema=schema)
