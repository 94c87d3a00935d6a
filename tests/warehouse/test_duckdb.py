"""What is the embedded warehouse's own: a file of views, never written to, replaced whole."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from pipeline.contracts import TITLE_PREDICTIONS
from pipeline.errors import TitlerError, UsageError
from pipeline.settings import Settings
from pipeline.settings import Warehouse as WarehouseSettings
from pipeline.warehouse import Batch, Query, connect
from pipeline.warehouse.duckdb import DuckDBWarehouse
from tests.warehouse.events import DAY, Lake, prediction, release


def publish(path: Path, lake: Lake, release_id: str = "r1") -> None:
    with DuckDBWarehouse(str(path)).stage(*lake.release(release(release_id))) as staged:
        staged.make_current()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "o'brien" / "warehouse.duckdb"


def test_who_has_the_old_release_open_goes_on_reading_it(path: Path, tmp_path: Path) -> None:
    publish(path, Lake(tmp_path / "1").add(TITLE_PREDICTIONS, "t1", [prediction(1)]))
    reader = duckdb.connect(str(path), read_only=True)
    publish(path, Lake(tmp_path / "2").add(TITLE_PREDICTIONS, "t2", [prediction(2)], release_id="r2"), "r2")
    new = DuckDBWarehouse(str(path))
    assert reader.execute("SELECT issue_id FROM title_predictions").fetchall() == [(1,)]
    assert (new.current_release(), new.query(Query("q", "SELECT issue_id FROM title_predictions")).to_pylist()) == ("r2", [{"issue_id": 2}])
    reader.close()


def test_the_file_can_be_opened_from_any_folder(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    publish(path, Lake(Path("relative")).add(TITLE_PREDICTIONS, "t1", [prediction(1)]))
    monkeypatch.chdir(path.parent)
    connection = duckdb.connect("warehouse.duckdb", read_only=True)
    assert connection.execute("SELECT title FROM title_predictions").fetchall() == [("it fails",)]
    connection.close()


def test_nothing_is_left_beside_the_file(path: Path, tmp_path: Path) -> None:
    publish(path, Lake(tmp_path))
    with DuckDBWarehouse(str(path)).stage(*Lake(tmp_path).release()) as staged:
        staged.check()
    releases, members, _ = Lake(tmp_path).release()
    gone = Batch("b", DAY, 1, (str(tmp_path / "b" / "gone.parquet"),))
    with pytest.raises(TitlerError, match=r"cannot be shown as a release: .*gone\.parquet"):
        DuckDBWarehouse(str(path)).stage(releases, members, {"title_predictions_v1": [gone]})
    assert [file.name for file in path.parent.iterdir()] == ["warehouse.duckdb"]


def test_files_elsewhere_are_refused(path: Path, tmp_path: Path) -> None:
    releases, members, _ = Lake(tmp_path).release()
    with pytest.raises(UsageError, match=r"found gs://bucket/t1/part-0\.parquet"):
        DuckDBWarehouse(str(path)).stage(
            releases, members, {"title_predictions_v1": [Batch("t1", DAY, 1, ("gs://bucket/t1/part-0.parquet",))]}
        )


def test_a_warehouse_in_a_bucket_is_refused() -> None:
    with pytest.raises(UsageError, match="lies on this machine"):
        connect(Settings(warehouse=WarehouseSettings(path="gs://bucket/warehouse.duckdb")), "publish")


def test_a_file_that_is_no_warehouse_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"x" * 5000)
    with pytest.raises(TitlerError, match=r"warehouse\.duckdb is not a warehouse file"):
        DuckDBWarehouse(str(path)).current_release()


def test_what_a_killed_publication_left_beside_the_file_is_collected_once_it_is_old(path: Path) -> None:
    path.parent.mkdir()
    old, young = (path.with_name(f"{path.name}.{name}.tmp") for name in ("0ld", "y0ung"))
    for file in (path, old, young):
        file.touch()
    os.utime(old, (0, 0))
    DuckDBWarehouse(str(path)).collect({})
    assert sorted(path.parent.iterdir()) == [path, young]
