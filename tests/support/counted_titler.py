"""Runs `titler` in this process, and writes down which operations it asked of the store.

    python -m tests.support.counted_titler FILE VERB [OPTION ...]

FILE gets a JSON object: `operations`, by the kind of request that a bucket would get, and `bytes_written`.
The lake must be a folder. As an object store bills it, a listing is a request per 1,000 names. Files that are
opened by their path, such as those of segments, are not operations: a machine has them in its local cache.
Operations of Dask workers are not counted.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.cli import main
from pipeline.lake.folder_store import FolderStore

NAMES_PER_REQUEST = 1000
KINDS = {
    "put": "PUT",
    "get": "GET",
    "delete": "DELETE",
    "names": "LIST",
    "written": "LIST",
    "modified": "LIST",
    "delete_folder": "LIST",
}
"""The methods of a store, and the kind of request that each sends to a bucket."""


class CountedOperations:
    """What a process has asked of its lake's store since `start`."""

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.bytes_written = 0

    def start(self) -> None:
        """Counts all calls of all stores in folders from now on."""
        for method, kind in KINDS.items():
            setattr(FolderStore, method, self._counting(getattr(FolderStore, method), kind))

    def _counting(self, method: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def counted(store: FolderStore, path: str, *arguments: Any) -> Any:
            if method.__name__ == "delete_folder":  # a bucket deletes the listed objects one by one
                files = sum(len(names) for _, _, names in os.walk(store.folder / path))
                self.operations["DELETE"] += files
            result = method(store, path, *arguments)
            listed = len(result) if isinstance(result, list | dict) else 0
            self.operations[kind] += max(1, -(-listed // NAMES_PER_REQUEST))
            self.bytes_written += sum(len(data) for data in arguments if method.__name__ == "put")
            return result

        return counted

    def write(self, path: Path) -> None:
        """Writes the counts as JSON."""
        path.write_text(
            json.dumps({"operations": dict(self.operations), "bytes_written": self.bytes_written})
        )


if __name__ == "__main__":
    counted = CountedOperations()
    counted.start()
    file, *sys.argv[1:] = sys.argv[1:]
    exit_code = 0
    try:
        main()
    except SystemExit as error:
        exit_code = error.code if isinstance(error.code, int) else 1
    counted.write(Path(file))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)  # skips C++ destructors, as the command does
