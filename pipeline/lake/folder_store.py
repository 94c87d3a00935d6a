"""Stores a lake in a local folder."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import LakeError, disk_advice
from pipeline.lake.store import CHECK_HINT, UNFINISHED


class FolderStore:
    """The storage of a lake in a local folder. Implements `Store`. To replace a file in one step, a new
    version is first written to the subfolder UNFINISHED and then renamed to its final path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, path: str, data: bytes) -> None:
        target, unfinished = self.folder / path, self.folder / UNFINISHED / uuid.uuid4().hex
        with _translated_errors(target, "written"):
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished.parent.mkdir(exist_ok=True)
            try:
                unfinished.write_bytes(data)
                os.replace(unfinished, target)
            finally:
                unfinished.unlink(missing_ok=True)

    def get(self, path: str) -> bytes | None:
        try:
            return (self.folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _lake_error(self.folder / path, "read", error, CHECK_HINT) from error

    def delete(self, path: str) -> None:
        with _translated_errors(self.folder / path, "deleted"):
            (self.folder / path).unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(self.folder / folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _lake_error(self.folder / folder, "listed", error, CHECK_HINT) from error

    def written(self, folder: str) -> dict[str, datetime]:
        try:
            with os.scandir(self.folder / folder) as entries:
                times = {}
                for entry in entries:
                    with suppress(FileNotFoundError):  # another process has deleted it in the meantime
                        if entry.is_file():
                            times[entry.name] = datetime.fromtimestamp(entry.stat().st_mtime, UTC)
                return times
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise _lake_error(self.folder / folder, "listed", error, CHECK_HINT) from error

    def modified(self, folder: str) -> datetime | None:
        """Returns the time at which the newest file in a folder was written, or None if the folder does not
        exist. For a folder without files, returns the time at which the folder itself was changed."""
        top = self.folder / folder
        files = [path for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file()]
        times = [path.stat().st_mtime for path in files]
        if not times and top.exists():
            times = [top.stat().st_mtime]
        return datetime.fromtimestamp(max(times), UTC) if times else None

    def delete_folder(self, folder: str) -> None:
        with _translated_errors(self.folder / folder, "deleted"):
            if (self.folder / folder).exists():
                shutil.rmtree(self.folder / folder)


def _lake_error(path: Path, action: str, error: OSError, hint: str) -> LakeError:
    """Returns a LakeError that says why the file or folder at `path` cannot be accessed. `action` is what
    failed: "read", "listed", "written" or "deleted"."""
    return LakeError(f"{path} cannot be {action}: {error.strerror or error}.", hint)


@contextmanager
def _translated_errors(path: Path, action: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _lake_error(path, action, error, disk_advice(error)) from error
