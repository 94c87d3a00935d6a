"""The night that tests disturb: its commands, on a small lake, and what the lake holds afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from pathlib import Path

import duckdb

from pipeline.contracts import ISSUES
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.releases.current import current_release_id
from pipeline.releases.records import RECORD
from tests.support.tables import Content, batch, ingested, without_volatile

SMALL = {
    "TITLER_TEXT__SUBWORDS": "600",
    "TITLER_TEXT__BODY_UNITS": "64",
    "TITLER_MODEL__EMBEDDING_SIZE": "16",
    "TITLER_MODEL__HIDDEN_SIZE": "16",
    "TITLER_MODEL__CONTRAST_EPOCHS": "1",
    "TITLER_MODEL__EPOCHS": "2",
    "TITLER_MODEL__BATCH_SIZE": "1024",
    "TITLER_MODEL__LEARNING_RATE": "0.01",
    "TITLER_INDEX__TREES": "10",
    "TITLER_RELEASE__KEEP": "1",
}
DAYS = ["--from", "2024-01-02", "--to", "2024-01-03"]
PREPARED = [
    ["extract", "--day", "2024-01-01"],
    ["clean", "--day", "2024-01-01"],
    ["vocab", "m1"],
    ["vectorize", "--model", "m1"],
    ["train", "m1"],
    ["evaluate", "m1"],
    ["promote", "m1"],
    ["plan", "--release", "r1"],
    ["vectorize", "--release", "r1"],
    *([verb, "--release", "r1"] for verb in ("embed", "predict", "index", "publish")),
]
"""The commands that create model m1 and release r1, before any verb is killed."""
VERBS = {
    "extract": ["extract", *DAYS],
    "clean": ["clean", *DAYS],
    "vocab": ["vocab", "m2"],
    "vectorize": ["vectorize", "--model", "m2"],
    "train": ["train", "m2"],
    "plan": ["plan", "--release", "r2"],
    "release": ["vectorize", "--release", "r2"],
    "embed": ["embed", "--release", "r2"],
    "predict": ["predict", "--release", "r2"],
    "index": ["index", "--release", "r2"],
    "publish": ["publish", "--release", "r2"],
    "collect": ["collect"],
}
"""The commands to kill, in this order. Readers see release r1 before `publish`, and r2 afterwards."""
LONG_AGO = time.time() - 30 * 24 * 3600

RELEASE_IN_VIEWS = """
SELECT
    (SELECT ANY_VALUE(release_id) FROM releases WHERE status = 'current'),
    (SELECT COUNT(*) FROM title_predictions),
    (SELECT COUNT(DISTINCT issue_id) FROM similar_issues),
    (SELECT COUNT(DISTINCT release_id) FROM title_predictions)
"""


def make_old(lake: Lake, root: Path) -> None:
    """Adds a batch that was never committed, and makes all files of the lake one month old. The files of the
    lake are in the folder `root`, also if the lake is a bucket."""
    draft = lake.draft(ISSUES.name, {"day": "2024-01-01"})
    draft.write_file("part-00000.parquet", b"never committed")
    for path in [*root.glob("models/*/plan.json"), *root.glob("releases/*/plan.json")]:
        plan = json.loads(path.read_text())
        lake.put_json(str(path.relative_to(root)), {**plan, "opened_at": "2024-01-05T00:00:00+00:00"})
    for path in root.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))


def content_of_folder(lake: Lake) -> Content:
    """Returns what a lake in a folder holds, with its warehouse and MLflow's database."""
    return content(lake, Path(lake.root, "mlflow.db"), Path(lake.root, "warehouse.duckdb"))


def content(lake: Lake, mlflow: Path, warehouse: Path | None) -> Content:
    """Returns what a lake holds, without ids and times: the rows of all current and pinned batches and of the
    views of a warehouse, and the runs, metrics and model versions of MLflow. `lake` is in a folder."""
    result = ingested(lake)
    for kind in ("models", "releases"):
        for name in lake.names(kind):
            if not name.endswith(".json"):
                result[f"{kind} {name}"] = pinned(
                    Pinned(lake, "models" if kind == "models" else "releases", name)
                )
    result["current release"] = current_release_id(lake)
    if warehouse is not None:
        result |= _views(warehouse)
    with contextlib.closing(sqlite3.connect(mlflow)) as database:
        result["runs"] = database.execute("SELECT name, status FROM runs ORDER BY name").fetchall()
        metrics = (
            "SELECT DISTINCT r.name, m.key, m.step, m.value FROM metrics AS m JOIN runs AS r USING (run_uuid)"
        )
        reproducible = [
            row
            for row in database.execute(metrics).fetchall()
            if not row[1].startswith("usage/") and not row[1].endswith("seconds")
        ]
        result["metrics"] = sorted(reproducible)
        versions = (
            "SELECT v.version, r.name FROM model_versions AS v JOIN runs AS r ON r.run_uuid = v.run_id "
            "ORDER BY v.version"
        )
        result["versions"] = database.execute(versions).fetchall()
    return result


def _views(warehouse: Path) -> Content:
    result: Content = {}
    with contextlib.closing(duckdb.connect(str(warehouse), read_only=True)) as connection:
        for (view,) in connection.sql("SELECT DISTINCT table_name FROM information_schema.tables").fetchall():
            rows = without_volatile(connection.sql(f"SELECT * FROM {view}").to_arrow_table().to_pylist())
            result[f"view {view}"] = sorted(rows, key=repr)
    return result


def pinned(item: Pinned) -> Content:
    """Returns the member batches, pinned days, file names and publication record of a model or a release."""
    members = [name.removesuffix(".json") for name in item.lake.names(f"{item.kind}/{item.name}/members")]
    result: Content = {
        table: [batch(item.lake, manifest) for manifest in item.members[table]] for table in members
    }
    result["days"] = [(day.day, day.issues_digest, day.tokens_digest) for day in item.plan.days]
    result["names"] = item.lake.names(f"{item.kind}/{item.name}")
    row = item.notes[RECORD]
    result["record"] = row and without_volatile([row])
    return result
