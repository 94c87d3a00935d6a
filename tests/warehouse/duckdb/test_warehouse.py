"""The embedded warehouse: a file of views that is never changed, only replaced."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import duckdb
import pytest

from pipeline.contracts import TITLE_PREDICTIONS
from pipeline.errors import LakeError, TitlerError, UsageError
from pipeline.settings import Settings
from pipeline.settings import Warehouse as WarehouseSettings
from pipeline.warehouse import Batch, Query, connect
from pipeline.warehouse.duckdb import DuckDBWarehouse
from tests.support import stores
from tests.warehouse.events import DAY, Lake, prediction, release
from tests.warehouse.events import publish as publish_checked
from tests.warehouse.test_contract import VIEWS, release_to_read


def publish(path: Path, lake: Lake, release_id: str = "r1") -> None:
    with DuckDBWarehouse(str(path)).stage(*lake.release(release(release_id))) as staged:
        staged.make_current()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "o'brien" / "warehouse.duckdb"


def test_a_reader_with_the_old_release_open_keeps_reading_it(path: Path, tmp_path: Path) -> None:
    publish(path, Lake(tmp_path / "1").add(TITLE_PREDICTIONS, "t1", [prediction(1)]))
    reader = duckdb.connect(str(path), read_only=True)
    publish(path, Lake(tmp_path / "2").add(TITLE_PREDICTIONS, "t2", [prediction(2)], release_id="r2"), "r2")
    new = DuckDBWarehouse(str(path))
    assert reader.execute("SELECT issue_id FROM title_predictions").fetchall() == [(1,)]
    assert (
        new.current_release(),
        new.query(Query("q", "SELECT issue_id FROM title_predictions")).to_pylist(),
    ) == ("r2", [{"issue_id": 2}])
    reader.close()


def test_the_file_can_be_opened_from_any_folder(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    publish(path, Lake(Path("relative")).add(TITLE_PREDICTIONS, "t1", [prediction(1)]))
    monkeypatch.chdir(path.parent)
    connection = duckdb.connect("warehouse.duckdb", read_only=True)
    assert connection.execute("SELECT title FROM title_predictions").fetchall() == [("it fails",)]
    connection.close()


def test_the_examples_run_in_duckdb_as_they_are_written(path: Path, tmp_path: Path) -> None:
    record = release("r1", min_probability=0.75, cluster_probability=0.5)
    publish_checked(DuckDBWarehouse(str(path)), release_to_read(tmp_path), record)
    only_bigquery = {"nearest_issues"}
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = {
            query.stem: connection.sql(query.sql.replace("@repo", "'a/b'")).to_arrow_table().num_rows
            for query in Query.folder("examples")
            if query.stem not in only_bigquery
        }
    assert [name for name, count in rows.items() if count == 0] == ["cost_by_month"]  # only BigQuery bills


def test_every_table_view_function_and_column_has_a_comment(path: Path, tmp_path: Path) -> None:
    publish(path, Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(1)]))
    with duckdb.connect(str(path), read_only=True) as connection:
        uncommented = connection.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL "
            "UNION ALL SELECT table_name, '' FROM duckdb_tables() WHERE comment IS NULL "
            "UNION ALL SELECT view_name, '' FROM duckdb_views() WHERE NOT internal AND comment IS NULL "
            "UNION ALL SELECT function_name, '' FROM duckdb_functions() "
            "WHERE NOT internal AND comment IS NULL"
        ).fetchall()
        comments = connection.execute(
            "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'similar_issues' "
            "AND column_name IN ('rank', 'suggested') ORDER BY column_name"
        ).fetchall()
    assert uncommented == []
    assert comments == [
        ("rank", "1 for the most probable duplicate of the list, 2 for the next, and so on"),
        ("suggested", "whether the probability is at least the release's min_probability"),
    ]


def test_python_reads_all_rows_of_every_view(path: Path, tmp_path: Path) -> None:
    publish_checked(DuckDBWarehouse(str(path)), release_to_read(tmp_path))
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = {view: connection.execute(f"FROM {view}").fetchall() for view in VIEWS}
    assert [view for view, of_view in rows.items() if not of_view] == ["duplicate_clusters"]


def test_nothing_is_left_beside_the_file(path: Path, tmp_path: Path) -> None:
    publish(path, Lake(tmp_path))
    with DuckDBWarehouse(str(path)).stage(*Lake(tmp_path).release()) as staged:
        staged.check()
    tables, _ = Lake(tmp_path).release()
    missing_batch = Batch("b", DAY, 1, (str(tmp_path / "b" / "gone.parquet"),))
    with pytest.raises(TitlerError, match=r"The batches of the release cannot be read: .*gone\.parquet"):
        DuckDBWarehouse(str(path)).stage(tables, {"title_predictions_v1": [missing_batch]})
    assert [file.name for file in path.parent.iterdir()] == ["warehouse.duckdb"]


@pytest.fixture
def of_a_bucket(path: Path, object_stores: stores.Stores, monkeypatch: pytest.MonkeyPatch) -> DuckDBWarehouse:
    """A warehouse whose lake is a bucket."""
    monkeypatch.setattr(Lake, "bucket", f"s3://{stores.BUCKET}/{uuid.uuid4().hex}")
    return DuckDBWarehouse(str(path))


def copies(path: Path) -> list[str]:
    folder = path.with_name("warehouse.duckdb.files")
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def test_files_of_a_bucket_are_copied_beside_the_file_once(
    of_a_bucket: DuckDBWarehouse, path: Path, tmp_path: Path
) -> None:
    lake = Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(1)])
    publish_checked(of_a_bucket, lake)
    copied = path.parent / "warehouse.duckdb.files/title_predictions_v1/day=2015-01-03/t1/part-0.parquet"
    first_stat = copied.stat()
    publish_checked(of_a_bucket, lake)
    assert copied.stat() == first_stat
    assert copies(path) == ["title_predictions_v1/day=2015-01-03/t1/part-0.parquet"]
    connection = duckdb.connect(
        str(path), read_only=True
    )  # as an analyst opens it, without credentials for the bucket
    assert connection.execute("SELECT issue_id, batch_id FROM title_predictions").fetchall() == [(1, "t1")]
    connection.close()


def test_unused_copies_are_deleted_once_they_are_old_or_at_once(
    of_a_bucket: DuckDBWarehouse, path: Path, tmp_path: Path
) -> None:
    lake = Lake(tmp_path)
    for batch_id in ("kept", "0ld", "y0ung"):
        lake.add(TITLE_PREDICTIONS, batch_id, [prediction(1)])
    of_a_bucket.load(TITLE_PREDICTIONS, lake.batches["title_predictions_v1"])
    of_the_day = path.parent / "warehouse.duckdb.files/title_predictions_v1/day=2015-01-03"
    for batch_id in ("kept", "0ld"):
        os.utime(of_the_day / batch_id, (0, 0))
    of_a_bucket.delete_batches_except({"title_predictions_v1": {"kept"}})
    assert copies(path) == [
        "title_predictions_v1/day=2015-01-03/kept/part-0.parquet",
        "title_predictions_v1/day=2015-01-03/y0ung/part-0.parquet",
    ]
    of_a_bucket.delete_batches_except({"title_predictions_v1": {"kept"}}, at_once=True)
    assert copies(path) == ["title_predictions_v1/day=2015-01-03/kept/part-0.parquet"]


def test_a_file_that_is_missing_in_the_bucket_is_named(of_a_bucket: DuckDBWarehouse, path: Path) -> None:
    missing_batch = Batch("t1", DAY, 1, (f"{Lake.bucket}/t1/part-0.parquet",))
    with pytest.raises(LakeError, match=rf"{Lake.bucket}/t1/part-0\.parquet does not exist"):
        of_a_bucket.load(TITLE_PREDICTIONS, [missing_batch])
    assert copies(path) == []


def test_a_warehouse_in_a_bucket_is_refused() -> None:
    with pytest.raises(UsageError, match="must be on this machine"):
        connect(Settings(warehouse=WarehouseSettings(path="gs://bucket/warehouse.duckdb")), "publish")


def test_a_file_that_is_not_a_warehouse_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"x" * 5000)
    with pytest.raises(TitlerError, match=r"warehouse\.duckdb is not a warehouse file"):
        DuckDBWarehouse(str(path)).current_release()


def test_a_new_file_that_cannot_be_removed_does_not_stop_a_publication(path: Path, tmp_path: Path) -> None:
    lake = Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(1)])
    with DuckDBWarehouse(str(path)).stage(*lake.release(release("r1"))) as staged:
        staged.make_current()
        staged.staged_path.mkdir()  # a folder cannot be removed like a file
    assert DuckDBWarehouse(str(path)).current_release() == "r1"


def test_files_of_a_killed_publication_are_deleted_once_they_are_old(path: Path) -> None:
    path.parent.mkdir()
    old, young = (path.with_name(f"{path.name}.{name}.tmp") for name in ("0ld", "y0ung"))
    for file in (path, old, young):
        file.touch()
    os.utime(old, (0, 0))
    DuckDBWarehouse(str(path)).delete_batches_except({})
    assert sorted(path.parent.iterdir()) == [path, young]


def test_the_lock_excludes_another_process_until_it_is_released(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = (
        "import sys; from pipeline.warehouse.duckdb import DuckDBWarehouse\n"
        "with DuckDBWarehouse(sys.argv[1]).exclusive_lock('publish'):\n"
        "    print('locked', flush=True); sys.stdin.read()"
    )
    monkeypatch.setattr("pipeline.warehouse.duckdb.warehouse.LOCK_TIMEOUT", 0)
    command = [sys.executable, "-c", holder, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with (
            pytest.raises(TitlerError, match=r"another process holds the lock .*warehouse\.duckdb\.lock"),
            DuckDBWarehouse(str(path)).exclusive_lock("publish"),
        ):
            pass
        process.kill()  # the lock of a process that died is free
    with DuckDBWarehouse(str(path)).exclusive_lock("publish"):
        pass
