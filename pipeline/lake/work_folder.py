"""A folder in the lake for unfinished work, such as the checkpoint from which a training resumes."""

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
        """Deletes the folder and its files. Does nothing if the folder does not exist. In a bucket, the
        newest files can remain, because the listing may lack them."""
        self.lake.delete_folder(self.relative)
