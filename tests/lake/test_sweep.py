"""Sweeping: batches that are not used any more are removed with their pointers; all others are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pipeline.contracts import TOKENS, VECTORS
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.store import UNFINISHED
from pipeline.lake.sweep import sweep_batches, sweep_unfinished_files

DAY = {"day": "2015-01-01"}
GRACE_PERIOD = timedelta(days=2)


def later() -> datetime:
    """Returns a time at which every batch of a test is older than the grace period."""
    return datetime.now(UTC) + timedelta(days=3)


def commit(lake: Lake, key: str, table: str = TOKENS.name, partition: dict[str, str] = DAY) -> Manifest:
    """Commits a batch of one file; its only input is the digest `key`."""
    draft = lake.draft(table, partition, (key,))
    draft.write_file("part-00000.parquet", key.encode())
    return draft.commit()


def sweep(lake: Lake, *referenced: Manifest, now: datetime | None = None, keep_current: bool = True) -> int:
    """Sweeps tokens_v1 and vectors_v1; returns the number of removed batches."""
    return sweep_batches(
        lake,
        (TOKENS.name, VECTORS.name),
        {manifest.folder for manifest in referenced},
        (now or later()) - GRACE_PERIOD,
        keep_current_of=(TOKENS.name, VECTORS.name) if keep_current else (),
    ).removed


def test_a_batch_that_nothing_refers_to_is_removed_with_its_key_pointer(lake: Lake) -> None:
    old, current = commit(lake, "old"), commit(lake, "current")
    assert sweep(lake) == 1
    assert lake.names("tokens_v1/day=2015-01-01") == sorted([current.batch_id, "current.json", "keys"])
    assert lake.names("tokens_v1/day=2015-01-01/keys") == [f"{current.key}.json"]
    assert lake.find(TOKENS.name, DAY, ("old",), {}) is None
    assert lake.get(f"{old.folder}/manifest.json") is None


def test_the_current_batch_is_kept(lake: Lake) -> None:
    current = commit(lake, "current")
    assert sweep(lake) == 0
    assert lake.current(TOKENS.name, DAY) == current


def test_the_current_batch_is_removed_with_its_pointer_if_its_table_is_not_in_keep_current_of(
    lake: Lake,
) -> None:
    commit(lake, "current")
    assert sweep(lake, keep_current=False) == 1
    assert lake.current(TOKENS.name, DAY) is None
    assert lake.get("tokens_v1/day=2015-01-01/current.json") is None


def test_the_current_batch_of_a_users_file_is_removed(lake: Lake) -> None:
    commit(lake, "current", partition={"file": "abc"})
    assert sweep(lake) == 1
    assert lake.current(TOKENS.name, {"file": "abc"}) is None


def test_a_referenced_batch_is_kept(lake: Lake) -> None:
    old, _ = commit(lake, "old"), commit(lake, "current")
    assert sweep(lake, old) == 0
    assert lake.find(TOKENS.name, DAY, ("old",), {}) == old


def test_a_batch_younger_than_the_grace_period_is_kept(lake: Lake) -> None:
    old, _ = commit(lake, "old"), commit(lake, "current")
    assert sweep(lake, now=datetime.now(UTC) + GRACE_PERIOD - timedelta(minutes=1)) == 0
    assert lake.find(TOKENS.name, DAY, ("old",), {}) == old


def test_a_draft_is_removed_only_after_the_grace_period(lake: Lake) -> None:
    draft = lake.draft(TOKENS.name, DAY)
    draft.write_file("part-00000.parquet", b"never committed")
    assert sweep(lake, now=datetime.now(UTC)) == 0
    assert lake.get(f"{draft.folder}/part-00000.parquet") == b"never committed"
    assert sweep(lake) == 1
    assert lake.get(f"{draft.folder}/part-00000.parquet") is None


def test_partitions_by_vocabulary_and_day_are_swept(lake: Lake) -> None:
    partition = {"vocabulary": "v", **DAY}
    commit(lake, "old", VECTORS.name, partition)
    kept = commit(lake, "kept", VECTORS.name, partition)
    assert sweep(lake, kept) == 1
    assert lake.find(VECTORS.name, partition, ("old",), {}) is None
    assert lake.find(VECTORS.name, partition, ("kept",), {}) == kept


def test_other_tables_are_not_swept(lake: Lake) -> None:
    old = commit(lake, "old", "others_v1")
    commit(lake, "current", "others_v1")
    assert sweep(lake) == 0
    assert lake.find("others_v1", DAY, ("old",), {}) == old


def test_unfinished_files_are_removed_after_the_grace_period(lake: Lake) -> None:
    lake.put(f"{UNFINISHED}/half", b"half a file")
    sweep_unfinished_files(lake, GRACE_PERIOD, datetime.now(UTC))
    assert lake.get(f"{UNFINISHED}/half") == b"half a file"
    sweep_unfinished_files(lake, GRACE_PERIOD, later())
    assert lake.get(f"{UNFINISHED}/half") is None
