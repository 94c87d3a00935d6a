"""Opens the storage of a lake: a local folder or a bucket.

The bucket may be in S3, in Google Cloud Storage or in another object store that the library fsspec supports.
"""

from __future__ import annotations

from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import LakeError
from pipeline.lake.bucket_store import BucketStore
from pipeline.lake.folder_store import FolderStore
from pipeline.lake.store import CHECK_HINT, Store

# A cached listing would hide objects that other processes have written since.
_OPTIONS = {"use_listings_cache": False}
# Makes s3fs read an object with one request. Otherwise, s3fs first asks for the object's size, and searches a
# listing if the object does not exist.
_S3_OPTIONS = {"max_concurrency": 1}


def open_store(root: str) -> Store:
    """Returns the storage of the lake at `root`, which is an absolute path or the address of a bucket. Raises
    LakeError if fsspec does not support the address."""
    try:
        protocol = root.partition("://")[0]
        options = {**_OPTIONS, **(_S3_OPTIONS if protocol in ("s3", "s3a") else {})}
        filesystem, base = fsspec.core.url_to_fs(root, **options)
    except (ValueError, ImportError) as error:
        hint = "Set lake.root to a folder, s3://BUCKET/... or gs://BUCKET/... Then check: titler doctor"
        message = f"The lake {root} is neither a folder nor a bucket that Titler can open: {error}"
        raise LakeError(message, hint) from None
    if isinstance(filesystem, LocalFileSystem):
        return FolderStore(Path(base))
    return BucketStore(root, filesystem, base)


def read(address: str) -> bytes:
    """Returns the content of a file. `address` is the path of a local file, or the address of an object in a
    bucket. Raises LakeError if the file does not exist or cannot be read."""
    folder, _, name = address.rpartition("/")
    data = open_store(folder or "/").get(name)
    if data is None:
        raise LakeError(f"The lake's file {address} does not exist.", CHECK_HINT)
    return data
