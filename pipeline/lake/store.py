"""What a lake needs from its storage, whatever that is.

The lake relies on single objects only: an object is replaced as a whole, in one step, and every later read
returns the new content. Buckets guarantee this; a folder achieves it by writing to another name and
renaming. No object of a bucket is ever renamed or copied. A listing only shows what there is to look at or
to sweep: if it lacks the newest objects, work is left for the next time and nothing breaks.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol

UNFINISHED = ".aside"
"""The folder in which a file is written before it is renamed into place. Readers never list it."""
FREE_SPACE_HINT = "Free disk space or grant permissions there, then run the same command again."
CHECK_HINT = "Check lake.root: titler doctor"


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
