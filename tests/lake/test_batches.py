"""Batches: readers see no draft before its commit, and a committed batch never changes.

Tests with the fixture `lake` run on a folder, on an S3 server and on a server of Google Cloud Storage's API.
"""

import os
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.contracts import TOKENS, Table
from pipeline.errors import LakeError
from pipeline.lake.batches import Lake
from pipeline.lake.draft import Draft

DAY = {"day": "2015-01-01"}
ROWS = pa.table(
    {"issue_id": [7], "repo": ["a/b"], "trainable": [True], "body": [["one", "two"]], "title": [["three"]]}
)


def draft_tokens(lake: Lake, rows: pa.Table = ROWS, inputs: tuple[str, ...] = ("abc",)) -> Draft:
    """Returns a draft of a day's tokens_v1, with `rows` in one file."""
    draft = lake.draft(TOKENS.name, DAY, inputs, {"engine": "titler"})
    draft.write_table("part-00000.parquet", rows, TOKENS)
    return draft


def test_a_committed_batch_becomes_current_and_contains_the_rows_that_were_written(lake):
    manifest = draft_tokens(lake).commit()
    assert lake.current(TOKENS.name, DAY) == manifest
    assert lake.read(manifest, TOKENS).to_pylist() == [
        {"issue_id": 7, "repo": "a/b", "trainable": True, "body": ["one", "two"], "title": ["three"]}
    ]


def test_readers_do_not_see_a_draft(lake):
    draft = draft_tokens(lake)
    assert lake.current(TOKENS.name, DAY) is None
    assert lake.find(TOKENS.name, DAY, ("abc",), {"engine": "titler"}) is None
    with pytest.raises(LakeError, match="never finished"):
        lake.manifest(draft.folder)


def test_a_batch_is_found_only_by_the_same_inputs_and_the_same_parameters(lake):
    manifest = draft_tokens(lake).commit()
    assert lake.find(TOKENS.name, DAY, ("abc",), {"engine": "titler"}) == manifest
    assert lake.find(TOKENS.name, DAY, ("other",), {"engine": "titler"}) is None
    assert lake.find(TOKENS.name, DAY, ("abc",), {"engine": "ktext"}) is None


def test_a_new_batch_becomes_current_and_the_old_one_stays_readable(lake):
    old = draft_tokens(lake).commit()
    new = draft_tokens(lake, ROWS.slice(0, 0), inputs=("def",)).commit()
    assert lake.current(TOKENS.name, DAY) == new
    assert lake.read(old, TOKENS).num_rows == 1


def test_a_reused_batch_becomes_current_again(lake):
    old = draft_tokens(lake).commit()
    draft_tokens(lake, ROWS.slice(0, 0), inputs=("def",)).commit()
    assert lake.reuse(TOKENS.name, DAY, ("abc",), {"engine": "titler"}) == old
    assert lake.current(TOKENS.name, DAY) == old


def test_the_digest_depends_only_on_the_content(lake):
    one, two = draft_tokens(lake, inputs=("abc",)).commit(), draft_tokens(lake, inputs=("def",)).commit()
    assert one.batch_id != two.batch_id
    assert one.digest == two.digest
    assert draft_tokens(lake, ROWS.slice(0, 0)).commit().digest != one.digest


def test_the_error_about_a_truncated_file_says_both_sizes_and_how_to_write_the_batch_again(lake):
    manifest = draft_tokens(lake).commit()
    part = f"{manifest.folder}/part-00000.parquet"
    lake.put(part, lake.get(part)[:-10])
    size = manifest.files[0].bytes
    with pytest.raises(LakeError) as raised:
        lake.read(manifest, TOKENS)
    assert str(raised.value) == (
        f"The file {lake.path(part)} is damaged: it has {size - 10:,} bytes instead of the {size:,} in the "
        "batch's manifest.\nRun: titler clean --day 2015-01-01\n"
        "To see which releases and models use this batch, and what to do about each of them: titler verify"
    )


def test_a_changed_file_of_the_same_size_is_refused(lake):
    manifest = draft_tokens(lake).commit()
    lake.put(f"{manifest.folder}/part-00000.parquet", bytes(manifest.files[0].bytes))
    with pytest.raises(LakeError, match=r"part-00000.parquet is damaged: its SHA-256 is not the one in"):
        lake.read(manifest, TOKENS)


def test_the_error_about_a_batch_of_a_model_names_the_command_that_finds_the_model(lake):
    draft = lake.draft("vectors_v1", {"vocabulary": "v", **DAY})
    with pytest.raises(LakeError, match=r"and what to do about each of them: titler verify$"):
        lake.manifest(draft.folder)


def test_a_batch_with_a_damaged_file_is_not_reused(lake):
    manifest = draft_tokens(lake).commit()
    inputs, parameters = manifest.inputs, manifest.parameters
    assert lake.find(TOKENS.name, DAY, inputs, parameters) == manifest
    lake.delete(f"{manifest.folder}/part-00000.parquet")
    with pytest.raises(LakeError):
        lake.read(manifest, TOKENS)
    assert lake.find(TOKENS.name, DAY, inputs, parameters) is None


def test_a_file_is_read_again_although_it_was_checked_before(lake):
    manifest = draft_tokens(lake).commit()
    (file,) = manifest.files
    path = lake.local_file(manifest, file.name)
    lake.verify_file(manifest, file)
    before = path.stat()
    part = f"{manifest.folder}/{file.name}"
    content = lake.get(part)
    if path == Path(lake.path(part)):  # in a folder, as a failing disk changes a file: no time changes
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        lake.put(part, content[:-1] + bytes([content[-1] ^ 1]))
    assert lake.local_file(manifest, file.name) == path
    with pytest.raises(LakeError, match=r"is damaged: its SHA-256"):
        lake.verify_file(manifest, file)


def test_the_error_about_a_missing_file_names_the_file(lake):
    manifest = draft_tokens(lake).commit()
    lake.delete(f"{manifest.folder}/part-00000.parquet")
    with pytest.raises(LakeError, match=r"The file .*/part-00000.parquet is missing\."):
        lake.read(manifest, TOKENS)


def test_a_damaged_manifest_is_refused(lake):
    manifest = draft_tokens(lake).commit()
    lake.put(f"{manifest.folder}/manifest.json", b'{"table": "tok')
    with pytest.raises(LakeError, match=r"manifest\.json is damaged"):
        lake.current(TOKENS.name, DAY)


def test_writing_to_a_lake_that_cannot_be_written_raises_a_lake_error(tmp_path):
    (tmp_path / "lake").write_text("a file where the folder should be")
    with pytest.raises(LakeError, match="cannot be written"):
        Lake(str(tmp_path / "lake")).put("x.json", b"{}")


def test_a_second_write_replaces_the_whole_file(lake):
    lake.put("pointers/pointer.json", b"old")
    lake.put("pointers/pointer.json", b"new")
    assert lake.get("pointers/pointer.json") == b"new"
    assert lake.names("pointers") == ["pointer.json"]


def test_writing_to_a_folder_leaves_no_temporary_file(tmp_path):
    Lake(str(tmp_path)).put("pointer.json", b"new")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["pointer.json"]


def test_deleting_a_file_twice_raises_no_error(lake):
    lake.put("pointers/pointer.json", b"old")
    lake.delete("pointers/pointer.json")
    lake.delete("pointers/pointer.json")
    assert lake.get("pointers/pointer.json") is None


def test_deleting_a_folder_deletes_everything_in_it_and_nothing_else(lake):
    manifest = draft_tokens(lake).commit()
    lake.put("tokens_v1_of_others/x.json", b"{}")
    lake.delete_folder(TOKENS.name)
    lake.delete_folder(TOKENS.name)
    assert lake.days(TOKENS.name) == []
    assert lake.get(f"{manifest.folder}/manifest.json") is None
    assert [name for name in lake.names("") if not name.startswith(".")] == [
        "days",
        "drafts",
        "tokens_v1_of_others",
    ]


def test_a_listing_is_sorted_and_leaves_out_subfolders(lake):
    for name in ("day=2015-01-02/b.json", "day=2015-01-01/a.json", "day=2015-01-01/keys/k.json"):
        lake.put(f"tokens_v1/{name}", b"{}")
    assert lake.days(TOKENS.name) == ["2015-01-01", "2015-01-02"]
    assert lake.names("tokens_v1/day=2015-01-01") == ["a.json", "keys"]
    assert lake.names("tokens_v2") == []


def test_a_local_copy_contains_the_files_of_a_batch(lake):
    manifest = draft_tokens(lake).commit()
    folder = lake.local_copy(manifest)
    assert pq.read_table(folder / "part-00000.parquet").num_rows == 1


def test_a_pickled_lake_reads_the_same_batches(lake):
    manifest = draft_tokens(lake).commit()
    assert pickle.loads(pickle.dumps(lake)).current(TOKENS.name, DAY) == manifest


def test_a_folder_was_modified_when_its_newest_file_was_written(lake):
    draft_tokens(lake).commit()
    assert lake.modified("tokens_v1") > datetime.now(UTC) - timedelta(days=1)
    assert lake.modified("tokens_v2") is None


def test_an_empty_folder_was_modified_when_it_was_created(tmp_path):
    (tmp_path / "lake" / "tokens_v1" / "draft").mkdir(parents=True)
    modified = Lake(str(tmp_path / "lake")).modified("tokens_v1/draft")
    assert modified is not None
    assert modified > datetime.now(UTC) - timedelta(days=1)


def test_the_description_of_a_column_does_not_change_the_written_file(lake):
    digests = set()
    for description in ("the number of the day", "which day it is"):
        metadata = {"description": description}
        schema = pa.schema([pa.field("n", pa.int64(), nullable=False, metadata=metadata)])
        contract = Table("numbers_v1", "numbers", schema, ("n",), ("day",), ("lake",))
        file = lake.write_table("numbers_v1", "part.parquet", pa.table({"n": [1, 2]}), contract)
        digests.add(file.sha256)
    assert len(digests) == 1
