"""The views of a DuckDB file that was moved together with the Parquet files of its lake."""

from __future__ import annotations

from pathlib import Path

import duckdb

from pipeline.contracts import TITLE_PREDICTIONS
from pipeline.warehouse.duckdb import DuckDBWarehouse
from pipeline.warehouse.duckdb.moved_file import move_views
from tests.warehouse.events import Lake, prediction, release


def test_the_views_of_a_moved_file_read_the_new_folder_and_are_moved_once(tmp_path: Path) -> None:
    former, moved = tmp_path / "lake", tmp_path / "lake2"
    rows = Lake(former).add(TITLE_PREDICTIONS, "t1", [prediction(1)])
    with DuckDBWarehouse(str(former / "warehouse.duckdb")).stage(*rows.release(release("r1"))) as staged:
        staged.make_current()
    former.rename(moved)
    file = moved / "warehouse.duckdb"
    assert move_views(file, moved)
    assert not move_views(file, moved)  # as a second process that waited for the lock
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.execute("SELECT issue_id FROM title_predictions").fetchall() == [(1,)]
        assert connection.execute(
            "SELECT COUNT(*) FROM duckdb_columns() WHERE NOT internal AND comment IS NULL"
        ).fetchall() == [(0,)]
