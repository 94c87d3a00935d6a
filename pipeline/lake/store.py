"""The interface between a lake and its storage: a local folder or a bucket. Both hold objects (files).

The lake needs one guarantee: an object is replaced as a whole, in one step, and every later read returns the
new content. Buckets give this guarantee. In a folder, a file is written under another name and then renamed.
Objects of a bucket are never renamed or copied.

The listing of a bucket may lack the newest objects. So a listing is used only where a missing object does no
harm, such as to show days or to remove old batches. A later command handles objects that were not listed yet.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol

UNFINISHED = ".aside"
"""The subfolder in which a file is written before it is renamed into place. Readers never list it."""
CHECK_HINT = "Check the lake and the setting lake.root: titler doctor"


class Store(Protocol):
    """The storage of a lake: a local folder or a bucket. All paths are relative to the root of the lake.
    Every method raises LakeError if the storage fails."""

    @property
    def folder(self) -> Path | None:
        """The local folder that holds the lake, or None for a bucket."""
        ...

    def put(self, path: str, data: bytes) -> None:
        """Writes an object (file). If the object exists already, replaces it in one step."""
        ...

    def get(self, path: str) -> bytes | None:
        """Returns the content of an object (file), or None if the object does not exist."""
        ...

    def delete(self, path: str) -> None:
        """Deletes one object (file), without listing its folder. Does nothing if the object does not
        exist."""
        ...

    def names(self, folder: str) -> list[str]:
        """Returns the sorted names of the objects (files) and folders directly in a folder. The listing of a
        bucket may lack the newest objects. Returns an empty list if the folder does not exist."""
        ...

    def modified(self, folder: str) -> datetime | None:
        """Returns the UTC time at which the newest object (file) in a folder was written. If a local folder
        has no files, returns the time at which the folder itself was changed. Returns None if the folder does
        not exist, or if a bucket lists no objects in it."""
        ...

    def written(self, folder: str) -> dict[str, datetime]:
        """Returns a dict from the name of each object (file) directly in a folder to the UTC time at which it
        was written. The listing of a bucket may lack the newest objects. Returns an empty dict if the folder
        does not exist."""
        ...

    def delete_folder(self, folder: str) -> None:
        """Deletes a folder and its objects (files). Does nothing if the folder does not exist. In a bucket,
        the newest objects can remain, because the listing may lack them."""
        ...
