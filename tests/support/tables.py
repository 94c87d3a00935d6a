"""The rows of a lake's tables, without ids and times, so that two runs over the same days can be compared."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.contracts import ISSUES, SOURCE_HEALTH, TOKENS
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest

VOLATILE = {"batch_id", "issues_batch", "mlflow_run", "published_at", "release_id"}
Content = dict[str, Any]


def ingested(lake: Lake) -> Content:
    """Per table and day the rows of the current batch: issues, source health and tokens."""
    content: Content = {}
    for table in (ISSUES.name, SOURCE_HEALTH.name, TOKENS.name):
        for day in lake.days(table):
            current = lake.current(table, {"day": day})
            content[f"{table} {day}"] = batch(lake, current) if current else None
    return content


def differences(content: Content, expected: Content) -> set[str]:
    """The names of the entries that differ or are in one of them alone."""
    names = content.keys() | expected.keys()
    return {name for name in names if content.get(name) != expected.get(name)}


def batch(lake: Lake, manifest: Manifest) -> Content:
    return {file.name: read(lake, manifest, file.name) for file in manifest.files}


def read(lake: Lake, manifest: Manifest, name: str) -> Any:
    """A Parquet file's rows, or the digest of a network's weights or of any other file."""
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
