"""Where the bytes of a lake are stored: a local folder, or a bucket of S3, Google Cloud Storage or anything
else fsspec opens.

The lake relies on single objects only: an object is replaced as a whole, in one step, and every later read
returns the new content. Buckets guarantee this; a folder achieves it by writing to another name and renaming.
No object of a bucket is ever renamed or copied. A listing only shows what there is to look at or to sweep: if
it lacks the newest objects, work is left for the next time and nothing breaks.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import LakeError

UNFINISHED = ".aside"
"""The folder in which a file is written before it is renamed into place. Readers never list it."""
FREE_SPACE_HINT = "Free disk space or grant permissions there, then run the same command again."
CHECK_HINT = "Check lake.root: titler doctor"

# A cached listing would hide objects that other processes wrote.
_OPTIONS = {"use_listings_cache": False}
# One request per read. With more, s3fs asks for an object's size first and searches a listing if it does not
# exist.
_S3_OPTIONS = {"max_concurrency": 1}


class Store(Protocol):
    """What a lake needs from its storage. Paths are relative to the root. Every failure is a LakeError."""

    @property
    def folder(self) -> Path | None:
        """The folder on this machine, or None for a bucket."""
        ...

    def put(self, path: str, data: bytes) -> None:
        """Writes or replaces one object in one step."""
        ...

    def get(self, path: str) -> bytes | None:
        """The content of an object, or None if there is no such object."""
        ...

    def delete(self, path: str) -> None:
        """Deletes one object if it exists, without a listing."""
        ...

    def names(self, folder: str) -> list[str]:
        """The sorted names that a listing of a folder shows; empty if there is no folder."""
        ...

    def modified(self, folder: str) -> datetime | None:
        """When the newest listed object of a folder was written, or None if none is listed."""
        ...

    def delete_folder(self, folder: str) -> None:
        """Deletes the listed objects of a folder."""
        ...


def open_store(root: str) -> Store:
    """The store at an absolute path or a bucket's address. Raises LakeError if nothing can open the
    address."""
    from pipeline.lake.bucket_store import BucketStore
    from pipeline.lake.folder_store import FolderStore

    try:
        protocol = root.partition("://")[0]
        options = {**_OPTIONS, **(_S3_OPTIONS if protocol in ("s3", "s3a") else {})}
        filesystem, base = fsspec.core.url_to_fs(root, **options)
    except (ValueError, ImportError) as error:
        hint = "Set lake.root to a folder, s3://BUCKET/... or gs://BUCKET/..."
        raise LakeError(f"{root} is neither a folder nor a bucket: {error}", hint) from None
    if isinstance(filesystem, LocalFileSystem):
        return FolderStore(Path(base))
    return BucketStore(root, filesystem, base)


def read(address: str) -> bytes:
    """The object at an address, or the file at a path. Raises LakeError if it does not exist or cannot be
    read."""
    folder, _, name = address.rpartition("/")
    data = open_store(folder or "/").get(name)
    if data is None:
        raise LakeError(f"{address} does not exist.", CHECK_HINT)
    return data
