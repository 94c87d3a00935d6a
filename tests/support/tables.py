"""What a lake's tables hold, apart from ids and times: the same after a quiet run and after one that was killed and went on."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.contracts import ISSUES, SOURCE_HEALTH, TOKENS
from pipeline.lake.batches import Lake, Manifest

VOLATILE = {"batch_id", "issues_batch", "mlflow_run", "published_at", "release_id"}
Content = dict[str, Any]


def ingested(lake: Lake) -> Content:
    """Of every day the rows of its issues, its verdict and its tokens: those of the batches that its pointers name."""
    found: Content = {}
    for table in (ISSUES.name, SOURCE_HEALTH.name, TOKENS.name):
        for day in lake.days(table):
            current = lake.current(table, {"day": day})
            found[f"{table} {day}"] = batch(lake, current) if current else None
    return found


def differences(found: Content, expected: Content) -> set[str]:
    return {name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)}


def batch(lake: Lake, manifest: Manifest) -> Content:
    return {file.name: read(lake, manifest, file.name) for file in manifest.files}


def read(lake: Lake, manifest: Manifest, name: str) -> Any:
    """A file's rows; of a network its weights' digest; else the file's digest, which is held against the manifest."""
    file = next(file for file in manifest.files if file.name == name)
    data = lake.read_file(manifest, file)
    path = Path(lake.path(manifest.folder), name)
    if name.endswith(".parquet"):
        return without_volatile(pq.read_table(path).to_pylist())
    if name.endswith(".keras"):  # an archive that says when it was made
        with zipfile.ZipFile(path) as archive:
            data = archive.read("model.weights.h5")
    return hashlib.sha256(data).hexdigest()


def without_volatile(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in VOLATILE} for row in rows]
