"""A lake in a folder of this machine."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import LakeError
from pipeline.lake.store import CHECK_HINT, FREE_SPACE_HINT, UNFINISHED


class FolderStore:
    """A `Store` in a folder. A file is written in the folder UNFINISHED and then renamed into place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, path: str, data: bytes) -> None:
        target, unfinished = self.folder / path, self.folder / UNFINISHED / uuid.uuid4().hex
        with _writing(target):
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
            raise _unreadable(self.folder / path, error) from error

    def delete(self, path: str) -> None:
        with _writing(self.folder / path):
            (self.folder / path).unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(self.folder / folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(self.folder / folder, error) from error

    def modified(self, folder: str) -> datetime | None:
        """When the newest file was written. For a folder without files, when the folder was created."""
        top = self.folder / folder
        files = [path for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file()]
        times = [path.stat().st_mtime for path in files]
        if not times and top.exists():
            times = [top.stat().st_mtime]
        return datetime.fromtimestamp(max(times), UTC) if times else None

    def delete_folder(self, folder: str) -> None:
        with _writing(self.folder / folder):
            if (self.folder / folder).exists():
                shutil.rmtree(self.folder / folder)


def _unreadable(path: Path, error: OSError) -> LakeError:
    return LakeError(f"{path} cannot be read: {error.strerror or error}.", CHECK_HINT)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LakeError(f"{path} cannot be written: {error.strerror or error}.", FREE_SPACE_HINT) from error
