"""Unpacks a lake from an archive of `tests/upgrade`, and makes it belong to the folder where it is now."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

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
    """Unpacks the archive into a folder. Absolute paths in its databases and settings are changed to that
    folder."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    before = json.loads((folder / "expected.json").read_text())["root"]
    for pattern in TEXT_FILES:
        for path in folder.rglob(pattern):
            text = path.read_text(encoding="utf-8")
            if before in text and path.name != "manifest.json":
                path.write_text(text.replace(before, str(folder)), encoding="utf-8")
    _move_mlflow(folder / "lake" / "mlflow.db", before, str(folder))
    _move_warehouse(folder / "lake" / "warehouse.duckdb", before, str(folder))
    return UnpackedLake(folder, json.loads((folder / "expected.json").read_text()))


def _move_mlflow(path: Path, before: str, after: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for column in [row[1] for row in database.execute(f"PRAGMA table_info('{table}')")]:
                replacement = f'REPLACE("{column}", ?, ?) WHERE INSTR("{column}", ?) > 0'
                change = f'UPDATE "{table}" SET "{column}" = {replacement}'
                database.execute(change, (before, after, before))


def _move_warehouse(path: Path, before: str, after: str) -> None:
    """Its views show Parquet files by their absolute paths: they are created again, in the same order."""
    with duckdb.connect(str(path)) as connection:
        views = connection.sql(
            "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal ORDER BY view_oid"
        ).fetchall()
        for name, sql in views:
            if before in sql:
                connection.execute(f'DROP VIEW "{name}"')
                connection.execute(sql.replace(before, after))
