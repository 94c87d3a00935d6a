"""Local copies of a bucket's files, and which local files were checked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import LakeError
from pipeline.lake import local_cache
from pipeline.lake.batches import Lake
from pipeline.lake.local_cache import LocalCache, file_state
from pipeline.lake.manifest import Manifest


@pytest.fixture
def cache(tmp_path: Path) -> LocalCache:
    return LocalCache(str(tmp_path / "cache"))


def test_a_stored_copy_is_checked_until_it_changes(cache: LocalCache) -> None:
    path = cache.store("lake/a/b.npy", b"123")
    assert path.read_bytes() == b"123"
    assert cache.is_checked(path)
    path.write_bytes(b"124")
    assert not cache.is_checked(path)
    path.unlink()
    assert not cache.is_checked(path)


def test_a_file_with_the_same_size_and_time_but_another_inode_is_not_checked(
    cache: LocalCache, tmp_path: Path
) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"1")
    cache.remember(path, file_state(path))
    assert cache.is_checked(path)
    other.write_bytes(b"2")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert not cache.is_checked(path)


def test_the_copies_that_were_not_used_for_the_longest_time_are_removed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    cache, own_file = LocalCache(str(tmp_path / "cache"), max_bytes=20), tmp_path / "own"
    own_file.write_bytes(b"a file of the lake itself")
    cache.remember(own_file, file_state(own_file))
    first, second = (cache.store(name, b"ten bytes.") for name in ("first", "second"))
    now += 2 * local_cache.IN_USE
    assert cache.is_checked(first)  # it is used again
    third = cache.store("third", b"ten bytes.")
    assert [path.exists() for path in (first, second, third, own_file)] == [True, False, True, True]


def test_what_a_killed_command_left_unfinished_is_removed_an_hour_later(cache: LocalCache) -> None:
    cache.store("first", b"1")
    running, killed = (cache.path / local_cache.UNFINISHED / name for name in ("running", "killed"))
    for path in (running, killed):
        path.write_bytes(b"half a fi")
    changed = killed.stat().st_mtime - local_cache.IN_USE - 1
    os.utime(killed, (changed, changed))
    cache.store("second", b"2")
    assert [path.exists() for path in (running, killed)] == [True, False]


def test_a_copy_that_is_in_use_is_kept_although_there_are_too_many(tmp_path: Path) -> None:
    cache = LocalCache(str(tmp_path / "cache"), max_bytes=15)
    assert all(cache.store(name, b"ten bytes.").exists() for name in ("first", "second"))
    assert (cache.path / "first").exists()


def test_a_folder_that_cannot_be_written_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        LakeError, match=r"local copies of the lake's files cannot be used.*\nSet lake\.cache"
    ):
        LocalCache(str(tmp_path / "file")).store("a", b"")


def test_a_damaged_database_is_replaced_and_the_files_are_checked_again(cache: LocalCache) -> None:
    path = cache.store("a", b"1")
    (cache.path / local_cache.DATABASE).write_bytes(b"this is no database, but it is long enough to be one")
    assert not cache.is_checked(path)
    assert cache.is_checked(cache.store("a", b"1"))


def batch(lake: Lake) -> Manifest:
    draft = lake.draft("segments_v1", {"model": "m"}, ["i"])
    draft.write_file("vectors.npy", b"1234")
    return draft.commit()


def test_a_file_of_a_batch_is_downloaded_once(root: str, cache: LocalCache) -> None:
    lake = Lake(root, cache)
    manifest = batch(lake)
    path = lake.local_file(manifest, "vectors.npy")
    assert path.read_bytes() == b"1234"
    if "://" in root:
        lake.delete_folder(manifest.folder)
        assert lake.local_file(manifest, "vectors.npy") == path


@pytest.mark.parametrize("flipped", [b"1235", b"12345", None], ids=["a bit", "a byte more", "missing"])
def test_a_damaged_file_is_never_used(root: str, cache: LocalCache, flipped: bytes | None) -> None:
    lake = Lake(root, cache)
    manifest = batch(lake)
    lake.delete(f"{manifest.folder}/vectors.npy")
    if flipped:
        lake.put(f"{manifest.folder}/vectors.npy", flipped)
    with pytest.raises(LakeError, match=r"vectors\.npy is (damaged|missing)"):
        lake.local_file(manifest, "vectors.npy")


def test_a_file_that_is_damaged_after_it_was_checked_is_not_used(tmp_path: Path, cache: LocalCache) -> None:
    lake = Lake(str(tmp_path / "lake"), cache)
    manifest = batch(lake)
    lake.local_file(manifest, "vectors.npy").write_bytes(b"1235")
    with pytest.raises(LakeError, match=r"is damaged: its SHA-256 is not the one in the batch's manifest"):
        lake.local_file(manifest, "vectors.npy")
