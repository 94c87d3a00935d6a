"""Opens the storage of a lake: a local folder, or a bucket of S3, Google Cloud Storage or anything else
fsspec opens."""

from __future__ import annotations

from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import LakeError
from pipeline.lake.bucket_store import BucketStore
from pipeline.lake.folder_store import FolderStore
from pipeline.lake.store import CHECK_HINT, Store

# A cached listing would hide objects that other processes wrote.
_OPTIONS = {"use_listings_cache": False}
# One request per read. With more, s3fs asks for an object's size first and searches a listing if it does not
# exist.
_S3_OPTIONS = {"max_concurrency": 1}


def open_store(root: str) -> Store:
    """The store at an absolute path or a bucket's address. Raises LakeError if nothing can open the
    address."""
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
