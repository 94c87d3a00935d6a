"""Local copies of single files of batches, for libraries that open files by path."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest


class LocalFiles:
    """Provides the files of batches at local paths, until the `with` block ends.

    If the lake is a folder, a path is that of the lake's own file. If the lake is a bucket, a file is
    downloaded when it is first asked for.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._stack = ExitStack()
        self._paths: dict[tuple[str, str], Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def path(self, manifest: Manifest, name: str) -> Path:
        """Returns the local path of the file `name` of a batch. Raises LakeError if the file is missing or
        does not match its manifest entry."""
        key = (manifest.folder, name)
        if key not in self._paths:
            file = next(file for file in manifest.files if file.name == name)
            folder = self._stack.enter_context(self._lake.local_copy(replace(manifest, files=(file,))))
            self._paths[key] = folder / name
        return self._paths[key]
