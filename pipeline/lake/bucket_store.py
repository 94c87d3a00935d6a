"""Stores a lake in a bucket, which is accessed through the library fsspec."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pipeline.errors import LakeError
from pipeline.lake.store import CHECK_HINT

_CREDENTIALS_HINTS = {
    "s3": "Set the environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine "
    "an IAM role. For a server other than Amazon's, also set AWS_ENDPOINT_URL. Then check: titler doctor",
    "gs": "Give this machine a service account, or log in: gcloud auth application-default login",
}


class BucketStore:
    """The storage of a lake in a bucket, or in a folder of a bucket. Implements `Store`.

    `root` is the address, such as s3://BUCKET/FOLDER. `filesystem` is fsspec's object for access to this
    storage. `base` is the root in fsspec's notation: BUCKET/FOLDER.
    """

    folder = None

    def __init__(self, root: str, filesystem: Any, base: str) -> None:
        self.root = root.rstrip("/")
        self._filesystem = filesystem
        self._base = base.rstrip("/")
        self._bucket_exists = False
        # gcsfs logs every error that it raises, with a traceback.
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)

    def put(self, path: str, data: bytes) -> None:
        with self._translated_errors(path, "written"):
            self._filesystem.pipe_file(self._full_path(path), data)

    def get(self, path: str) -> bytes | None:
        with self._translated_errors(path, "read"):
            try:
                return bytes(self._filesystem.cat_file(self._full_path(path)))
            except FileNotFoundError:
                self._check_bucket()
                return None

    def delete(self, path: str) -> None:
        with self._translated_errors(path, "deleted"):
            try:
                self._filesystem.rm_file(self._full_path(path))
            except FileNotFoundError:
                self._check_bucket()

    def names(self, folder: str) -> list[str]:
        top = self._full_path(folder)
        with self._translated_errors(folder, "listed"):
            try:
                paths = self._filesystem.ls(top, detail=False)
            except FileNotFoundError:
                self._check_bucket()
                return []
        return sorted({path.rstrip("/").rpartition("/")[2] for path in paths if path.rstrip("/") != top})

    def written(self, folder: str) -> dict[str, datetime]:
        with self._translated_errors(folder, "listed"):
            try:
                entries = self._filesystem.ls(self._full_path(folder), detail=True)
            except FileNotFoundError:
                self._check_bucket()
                return {}
        return {
            str(entry["name"]).rpartition("/")[2]: _written_at(entry)
            for entry in entries
            if entry["type"] == "file"
        }

    def modified(self, folder: str) -> datetime | None:
        with self._translated_errors(folder, "listed"):
            return max((_written_at(info) for info in self._objects(folder).values()), default=None)

    def delete_folder(self, folder: str) -> None:
        with self._translated_errors(folder, "deleted"):
            paths = sorted(self._objects(folder))
        for path in paths:
            self.delete(path.removeprefix(f"{self._base}/"))

    def _objects(self, folder: str) -> dict[str, Mapping[str, Any]]:
        entries = self._filesystem.find(self._full_path(folder), detail=True)
        # A server that stores its objects in a file system may list folders as well.
        return {path: info for path, info in entries.items() if info["type"] == "file"}

    def _full_path(self, path: str) -> str:
        return f"{self._base}/{path}" if path else self._base

    def _check_bucket(self) -> None:
        """Raises FileNotFoundError if the bucket does not exist. Without this check, a missing bucket would
        look like an empty lake. If the bucket was found before, it is not checked again."""
        if not self._bucket_exists:
            self._filesystem.info(self._base.partition("/")[0])
            self._bucket_exists = True

    @contextmanager
    def _translated_errors(self, path: str, action: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each library behind fsspec has its own exception classes
            raise self._explain(f"{self.root}/{path}".rstrip("/"), action, error) from error

    def _explain(self, address: str, action: str, error: Exception) -> LakeError:
        """Returns a LakeError that says why an object cannot be accessed, and what to do next. `address` is
        the object's address. `action` is what failed: "read", "written", "listed" or "deleted"."""
        bucket = self._base.partition("/")[0]
        kind, protocol = type(error).__name__, self.root.partition("://")[0]
        reason = (str(error).strip() or kind).splitlines()[0].rstrip(".")
        failure = f"{address} cannot be {action}"
        if isinstance(error, FileNotFoundError):
            return LakeError(
                f"{failure}: the bucket {bucket} does not exist.",
                "Create the bucket, or set lake.root to an existing bucket. Then check: titler doctor",
            )
        if "Credentials" in kind or "DefaultCredentialsError" in kind:
            return LakeError(f"{failure}: {reason}.", _CREDENTIALS_HINTS.get(protocol, CHECK_HINT))
        if isinstance(error, PermissionError) or "Forbidden" in reason:
            return LakeError(
                f"{failure}: the object store refuses access: {reason}.",
                f"Give Titler's credentials permission to list the bucket {bucket} and to read, write and "
                "delete its objects. Then check: titler doctor",
            )
        if isinstance(error, ConnectionError) or any(
            word in kind for word in ("Connect", "Timeout", "Endpoint")
        ):
            return LakeError(
                f"{failure}: the object store does not answer: {reason}.",
                "Run the same command again later. To check the connection: titler doctor",
            )
        return LakeError(f"{failure}: {kind}: {reason}.", CHECK_HINT)


def _written_at(info: Mapping[str, Any]) -> datetime:
    """Returns the time at which an object was written. `info` is the dict in which fsspec
    describes the object. S3, Google Cloud Storage and fsspec's memory file system use different keys for the
    time. If the time is unknown, returns the latest possible time, so that the object is never removed as
    old."""
    value = info.get("LastModified") or info.get("updated") or info.get("created")
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(time, datetime):
        return datetime.max.replace(tzinfo=UTC)  # unknown time: counts as new, so it is never removed
    return time if time.tzinfo else time.replace(tzinfo=UTC)
