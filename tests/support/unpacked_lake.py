"""Unpacks a lake from an archive of `tests/upgrade`, and makes it belong to the folder where it is now."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.lake.batches import Lake
from pipeline.releases.moved_lake import adopt_moved_lake
from pipeline.settings import LakeSettings, Settings

TEXT_FILES = ("*.toml", "MLmodel", "*.yaml", "*.yml", "*.json")


@dataclass(frozen=True)
class UnpackedLake:
    """Hour files, a lake, two settings files, and what the verbs of its version answered."""

    folder: Path
    expected: dict[str, Any]

    def manifests(self) -> set[str]:
        """The folders of all finished batches."""
        lake = self.folder / "lake"
        return {str(path.parent.relative_to(lake)) for path in lake.rglob("manifest.json")}


def unpack(archive: Path, folder: Path) -> UnpackedLake:
    """Unpacks the archive into a folder. Titler changes the absolute paths in the lake's databases to that
    folder, as after a move, and this function those in other files."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    before = json.loads((folder / "expected.json").read_text())["root"]
    for pattern in TEXT_FILES:
        for path in folder.rglob(pattern):
            text = path.read_text(encoding="utf-8")
            if before in text and path.name != "manifest.json":
                path.write_text(text.replace(before, str(folder)), encoding="utf-8")
    root = str(folder / "lake")
    adopt_moved_lake(Lake(root), Settings(lake=LakeSettings(root=root)))
    return UnpackedLake(folder, json.loads((folder / "expected.json").read_text()))
