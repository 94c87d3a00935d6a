"""Where the bytes of a lake lie: a folder, or a bucket of S3, of Google Cloud Storage, or of whatever else fsspec opens.

What has to be right stands on single objects alone: one is put whole, in one step, and whoever gets it later gets that one. That is what
a bucket promises, and a folder keeps it by writing aside and renaming. No object of a bucket is ever renamed or copied, and a listing only
says what there is to look at or to sweep: one that lacks the newest objects leaves work for the next time, and breaks nothing.
"""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import LakeError

ASIDE = ".aside"
"""Where a folder's file is written before it is renamed into its place: what a killed process leaves there, no reader lists."""
FREE = "Free space or rights there, then run the same command again."
CHECK = "Check lake.root: titler doctor"

# Listings that were kept would show what was there once; nobody else's objects would be found.
_OPTIONS = {"use_listings_cache": False}
# One request a read. With more s3fs asks for an object's size first, and looks for it in a listing where there is none.
_OF_S3 = {"max_concurrency": 1}

_CREDENTIALS = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_ENDPOINT_URL for a server of yours), or give this machine a role.",
    "gs": "Log in: gcloud auth application-default login; or give this machine a service account.",
}


class Store(Protocol):
    """What a lake asks of where it lies. Paths are relative to its root. Whatever goes wrong is a LakeError of one line."""

    @property
    def folder(self) -> Path | None:
        """Where it lies on this machine; None for a bucket."""
        ...

    def put(self, path: str, data: bytes) -> None:
        """Writes or replaces one object in one step."""
        ...

    def get(self, path: str) -> bytes | None:
        """An object's bytes; None where there is none."""
        ...

    def delete(self, path: str) -> None:
        """Deletes one object, where there is one. Asks no listing."""
        ...

    def names(self, folder: str) -> list[str]:
        """Names in a folder, sorted, as a listing has them; none where there is no folder."""
        ...

    def modified(self, folder: str) -> datetime | None:
        """When the newest object of a folder was written, as a listing has it; None where that has none."""
        ...

    def delete_folder(self, folder: str) -> None:
        """Deletes what a listing has of a folder."""
        ...


def open_store(root: str) -> Store:
    """The store at a folder's absolute path or at a bucket's address. Raises LakeError for an address that nothing opens."""
    try:
        protocol = root.partition("://")[0]
        filesystem, base = fsspec.core.url_to_fs(root, **_OPTIONS, **(_OF_S3 if protocol in ("s3", "s3a") else {}))
    except (ValueError, ImportError) as error:
        hint = "Set lake.root to a folder, s3://BUCKET/... or gs://BUCKET/..."
        raise LakeError(f"{root} is no folder and no bucket: {error}", hint) from None
    if isinstance(filesystem, LocalFileSystem):
        return Folder(Path(base))
    return Bucket(root, filesystem, base)


def read(address: str) -> bytes:
    """An object by its address, or a file by its path. Raises LakeError where it is not there or cannot be read."""
    folder, _, name = address.rpartition("/")
    data = open_store(folder or "/").get(name)
    if data is None:
        raise LakeError(f"{address} is not there.", CHECK)
    return data


class Folder:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, path: str, data: bytes) -> None:
        target, aside = self.folder / path, self.folder / ASIDE / uuid.uuid4().hex
        with _writing(str(target)):
            target.parent.mkdir(parents=True, exist_ok=True)
            aside.parent.mkdir(exist_ok=True)
            try:
                aside.write_bytes(data)
                os.replace(aside, target)
            finally:
                aside.unlink(missing_ok=True)

    def get(self, path: str) -> bytes | None:
        try:
            return (self.folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise LakeError(f"{self.folder / path} cannot be read: {error.strerror or error}.", CHECK) from error

    def delete(self, path: str) -> None:
        with _writing(str(self.folder / path)):
            (self.folder / path).unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(self.folder / folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise LakeError(f"{self.folder / folder} cannot be read: {error.strerror or error}.", CHECK) from error

    def modified(self, folder: str) -> datetime | None:
        """For a folder that holds no file yet, when it was made."""
        top = self.folder / folder
        times = [path.stat().st_mtime for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file()]
        if not times and top.exists():
            times = [top.stat().st_mtime]
        return datetime.fromtimestamp(max(times), UTC) if times else None

    def delete_folder(self, folder: str) -> None:
        with _writing(str(self.folder / folder)):
            if (self.folder / folder).exists():
                shutil.rmtree(self.folder / folder)


@contextmanager
def _writing(address: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LakeError(f"{address} cannot be written: {error.strerror or error}.", FREE) from error


class Bucket:
    """A bucket, or a folder in one. `filesystem` is fsspec's, `base` the root as that calls it."""

    folder = None

    def __init__(self, root: str, filesystem: Any, base: str) -> None:
        self.root = root.rstrip("/")
        self._fs = filesystem
        self._base = base.rstrip("/")
        self._there = False
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it logs what it raises, with a traceback

    def put(self, path: str, data: bytes) -> None:
        with self._asked(path, "written"):
            self._fs.pipe_file(self._at(path), data)

    def get(self, path: str) -> bytes | None:
        with self._asked(path, "read"):
            try:
                return bytes(self._fs.cat_file(self._at(path)))
            except FileNotFoundError:
                self._be_there()
                return None

    def delete(self, path: str) -> None:
        with self._asked(path, "deleted"):
            try:
                self._fs.rm_file(self._at(path))
            except FileNotFoundError:
                self._be_there()

    def names(self, folder: str) -> list[str]:
        with self._asked(folder, "listed"):
            try:
                found = self._fs.ls(self._at(folder), detail=False)
            except FileNotFoundError:
                self._be_there()
                return []
        names = {path.rstrip("/").rpartition("/")[2] for path in found if path.rstrip("/") != self._at(folder)}
        return sorted(names)

    def modified(self, folder: str) -> datetime | None:
        with self._asked(folder, "listed"):
            return max((_written(info) for info in self._found(folder).values()), default=None)

    def delete_folder(self, folder: str) -> None:
        with self._asked(folder, "deleted"):
            found = sorted(self._found(folder))
        for path in found:
            self.delete(path.removeprefix(f"{self._base}/"))

    def _found(self, folder: str) -> dict[str, Mapping[str, Any]]:
        found = self._fs.find(self._at(folder), detail=True)
        return {path: info for path, info in found.items() if info["type"] == "file"}  # a server over a folder may list its folders

    def _at(self, path: str) -> str:
        return f"{self._base}/{path}" if path else self._base

    def _be_there(self) -> None:
        """Raises FileNotFoundError where an object is missing since its whole bucket is: it would pass for an empty lake. Asked once."""
        if not self._there:
            self._fs.info(self._base.partition("/")[0])
            self._there = True

    @contextmanager
    def _asked(self, path: str, done: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each library behind fsspec has its own
            raise self._told(f"{self.root}/{path}".rstrip("/"), done, error) from error

    def _told(self, address: str, done: str, error: Exception) -> LakeError:
        """What a store answered, for a person."""
        bucket = self._base.partition("/")[0]
        kind, protocol = type(error).__name__, self.root.partition("://")[0]
        words = (str(error).strip() or kind).splitlines()[0].rstrip(".")
        if isinstance(error, FileNotFoundError):
            return LakeError(
                f"{address} cannot be {done}: there is no bucket {bucket}.", "Make the bucket, or set lake.root to another: titler doctor"
            )
        if "Credentials" in kind or "DefaultCredentialsError" in kind:
            return LakeError(f"{address} cannot be {done}: {words}.", _CREDENTIALS.get(protocol, CHECK))
        if isinstance(error, PermissionError) or "Forbidden" in words:
            return LakeError(
                f"{address} cannot be {done}: the store refuses it: {words}.",
                f"Let this identity list the bucket {bucket}, and read, write and delete in it; then: titler doctor",
            )
        if isinstance(error, ConnectionError) or any(word in kind for word in ("Connect", "Timeout", "Endpoint")):
            return LakeError(f"{address} cannot be {done}: its store does not answer: {words}.", "Run the same command again once it does.")
        return LakeError(f"{address} cannot be {done}: {kind}: {words}.", CHECK)


def _written(info: Mapping[str, Any]) -> datetime:
    """When an object was written, by fsspec's information on it: S3's, Google's or that of fsspec's own memory."""
    found = info.get("LastModified") or info.get("updated") or info.get("created")
    when = datetime.fromisoformat(found) if isinstance(found, str) else found
    if not isinstance(when, datetime):
        return datetime.max.replace(tzinfo=UTC)  # a store that does not tell: nothing there is old enough to be swept
    return when if when.tzinfo else when.replace(tzinfo=UTC)
