"""Keeps local copies of immutable files of a bucket, and records which local files were checked.

A batch never changes, so its files are downloaded and checked against their digests only once. The copies are
in a folder of a limited size: the least recently used copies are removed first. A database in the same folder
has the path, the size, the time of the last change and the inode of each file that was checked. If one of
these values has changed, the file is checked again.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import LakeError

FileState = tuple[int, int, int]
DATABASE = "checked.sqlite"
UNFINISHED = "unfinished"
"""The folder of copies that are being written. A killed command leaves its copy there."""
IN_USE = 3600
"""Seconds after its last use for which a copy is never removed, because a command may still read it."""


@dataclass(frozen=True)
class LocalCache:
    """A folder with local copies of files. Old copies are removed if all copies together exceed `max_bytes`.
    If `folder` is empty, a folder of this user in the system's folder for temporary files is used."""

    folder: str = ""
    max_bytes: int = 20 * 2**30

    @property
    def path(self) -> Path:
        """The folder's path."""
        return Path(self.folder or f"{tempfile.gettempdir()}/titler-{os.getuid()}").absolute()

    def is_checked(self, path: Path) -> bool:
        """Returns whether a local file exists, was checked, and has not changed since."""
        try:
            state = file_state(path)
        except OSError:
            return False
        with self._database() as database:
            row = database.execute(
                "SELECT size, changed, inode, used FROM files WHERE path = ?", (str(path),)
            ).fetchone()
            if row is None or row[:3] != state:
                return False
            if time.time() - row[3] > IN_USE / 2:
                database.execute("UPDATE files SET used = ? WHERE path = ?", (time.time(), str(path)))
        return True

    def remember(self, path: Path, state: FileState, *, is_copy: bool = False) -> None:
        """Records that a local file was checked. `state` is what `file_state` returned before the check. If
        `is_copy` is true, the file is a copy in this folder, and may be removed to make space."""
        with self._database() as database:
            database.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)",
                (str(path), *state, time.time(), is_copy),
            )

    def store(self, name: str, data: bytes) -> Path:
        """Stores `data` as a copy and returns its path. `name` is the path relative to the folder. Also
        removes the unfinished copies of killed commands. If all copies together are too large, removes old
        ones. Raises LakeError if the folder cannot be written."""
        path = self.path / name
        unfinished = self.path / UNFINISHED / uuid.uuid4().hex
        try:
            unfinished.parent.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(data)
            os.replace(unfinished, path)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            raise _unusable(self.path, error.strerror or str(error)) from error
        self.remember(path, file_state(path), is_copy=True)
        self._remove_unfinished_copies()
        self._remove_old_copies()
        return path

    def _remove_unfinished_copies(self) -> None:
        for path in (self.path / UNFINISHED).iterdir():
            with suppress(FileNotFoundError):  # another command finished or removed it
                if path.stat().st_mtime < time.time() - IN_USE:
                    path.unlink()

    def _remove_old_copies(self) -> None:
        with self._database() as database:
            size = database.execute("SELECT SUM(size) FROM files WHERE is_copy").fetchone()[0] or 0
            if size <= self.max_bytes:
                return
            copies = database.execute(
                "SELECT path, size FROM files WHERE is_copy AND used < ? ORDER BY used",
                (time.time() - IN_USE,),
            ).fetchall()
            for path, bytes_of_copy in copies:
                if size <= self.max_bytes:
                    break
                Path(path).unlink(missing_ok=True)
                database.execute("DELETE FROM files WHERE path = ?", (path,))
                size -= bytes_of_copy

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.stat().st_uid != os.getuid():
                raise _unusable(self.path, "the folder belongs to another user")
            with closing(self._connect()) as connection, connection:
                yield connection
        except (OSError, sqlite3.Error) as error:
            raise _unusable(self.path, str(error)) from error

    def _connect(self) -> sqlite3.Connection:
        """Opens the database. If it is damaged, it is replaced by an empty database, and all files are
        checked again."""
        path = self.path / DATABASE
        try:
            return _open_database(path)
        except sqlite3.OperationalError:  # for example a full disk
            raise
        except sqlite3.DatabaseError:
            path.unlink(missing_ok=True)
            return _open_database(path)


def _open_database(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=60)
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, "
            "inode INTEGER, used REAL, is_copy INTEGER)"
        )
    except BaseException:
        connection.close()
        raise
    return connection


def file_state(path: Path) -> FileState:
    """Returns the size of a file, the time of its last change in nanoseconds, and its inode."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _unusable(folder: Path, problem: str) -> LakeError:
    return LakeError(
        f"The folder {folder} for local copies of the lake's files cannot be used: {problem}.",
        "Set lake.cache to a folder that this user can write, then run the same command again.",
    )
