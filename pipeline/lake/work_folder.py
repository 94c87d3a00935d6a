"""A folder in the lake for work that can be resumed, such as the checkpoint of a training."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from pipeline.lake.batches import Lake


@dataclass(frozen=True)
class WorkFolder:
    """A folder of the lake. `relative` is its path relative to the root.

    The folder is in the lake and not on this machine's disk, so that another machine can resume the work.
    """

    lake: Lake
    relative: str

    def put(self, name: str, data: bytes) -> None:
        """Writes or replaces a file in one step: readers see either the old or the new content."""
        self.lake.put(posixpath.join(self.relative, name), data)

    def get(self, name: str) -> bytes | None:
        """Returns the content of a file, or None if the file does not exist."""
        return self.lake.get(posixpath.join(self.relative, name))

    def path(self, name: str) -> str:
        """Returns the full path or address of a file, for messages."""
        return self.lake.path(posixpath.join(self.relative, name))

    def subfolder(self, name: str) -> WorkFolder:
        """Returns the folder `name` in this folder."""
        return WorkFolder(self.lake, posixpath.join(self.relative, name))

    def delete(self) -> None:
        """Deletes the folder with all files that are listed in it. Does nothing if it does not exist."""
        self.lake.delete_folder(self.relative)
