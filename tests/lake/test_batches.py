"""Batches: a draft is invisible until it is committed, and a committed batch never changes.

The tests run on a folder, on S3 and on Google Cloud Storage.
"""

import pickle
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.contracts import TOKENS, Table
from pipeline.errors import LakeError
from pipeline.lake.batches import Draft, Lake

DAY = {"day": "2015-01-01"}
ROWS = pa.table(
    {"issue_id": [7], "repo": ["a/b"], "trainable": [True], "body": [["one", "two"]], "title": [["three"]]}
)


def draft_tokens(lake: Lake, rows: pa.Table = ROWS, inputs: tuple[str, ...] = ("abc",)) -> Draft:
    """A draft of a day's tokens with one file."""
    draft = lake.draft(TOKENS.name, DAY, inputs, {"engine": "titler"})
    draft.write_table("part-00000.parquet", rows, TOKENS)
    return draft


def test_a_committed_batch_is_current_and_reads_back(lake):
    manifest = draft_tokens(lake).commit()
    assert lake.current(TOKENS.name, DAY) == manifest
    assert lake.read(manifest, TOKENS).to_pylist() == [
        {"issue_id": 7, "repo": "a/b", "trainable": True, "body": ["one", "two"], "title": ["three"]}
    ]


def test_a_draft_is_invisible(lake):
    draft = draft_tokens(lake)
    assert lake.current(TOKENS.name, DAY) is None
    assert lake.find(TOKENS.name, DAY, ("abc",), {"engine": "titler"}) is None
    with pytest.raises(LakeError, match="never finished"):
        lake.manifest(draft.folder)


def test_find_needs_the_same_inputs_and_the_same_parameters(lake):
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


def test_a_truncated_file_is_refused(lake):
    manifest = draft_tokens(lake).commit()
    part = f"{manifest.folder}/part-00000.parquet"
    lake.put(part, lake.get(part)[:-10])
    with pytest.raises(
        LakeError, match=r"part-00000.parquet is \d+ bytes with another digest; its manifest says \d+ bytes"
    ):
        lake.read(manifest, TOKENS)


def test_a_missing_file_is_named(lake):
    manifest = draft_tokens(lake).commit()
    lake.delete(f"{manifest.folder}/part-00000.parquet")
    with pytest.raises(LakeError, match=r"part-00000.parquet is missing; its manifest says \d+ bytes"):
        lake.read(manifest, TOKENS)


def test_a_damaged_manifest_is_refused(lake):
    manifest = draft_tokens(lake).commit()
    lake.put(f"{manifest.folder}/manifest.json", b'{"table": "tok')
    with pytest.raises(LakeError, match=r"manifest\.json is damaged"):
        lake.current(TOKENS.name, DAY)


def test_a_lake_that_cannot_be_written_is_a_lake_error(tmp_path):
    (tmp_path / "lake").write_text("a file where the folder should be")
    with pytest.raises(LakeError, match="cannot be written"):
        Lake(str(tmp_path / "lake")).put("x.json", b"{}")


def test_a_file_is_replaced_as_a_whole(lake):
    lake.put("pointers/pointer.json", b"old")
    lake.put("pointers/pointer.json", b"new")
    assert lake.get("pointers/pointer.json") == b"new"
    assert lake.names("pointers") == ["pointer.json"]


def test_writing_to_a_folder_leaves_no_temporary_file(tmp_path):
    Lake(str(tmp_path)).put("pointer.json", b"new")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["pointer.json"]


def test_deleting_a_file_twice_is_no_error(lake):
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
    assert [name for name in lake.names("") if not name.startswith(".")] == ["tokens_v1_of_others"]


def test_names_are_sorted_and_of_one_folder_only(lake):
    for name in ("day=2015-01-02/b.json", "day=2015-01-01/a.json", "day=2015-01-01/keys/k.json"):
        lake.put(f"tokens_v1/{name}", b"{}")
    assert lake.days(TOKENS.name) == ["2015-01-01", "2015-01-02"]
    assert lake.names("tokens_v1/day=2015-01-01") == ["a.json", "keys"]
    assert lake.names("tokens_v2") == []


def test_a_local_copy_has_the_files_of_a_batch(lake):
    manifest = draft_tokens(lake).commit()
    with lake.local_copy(manifest) as folder:
        assert pq.read_table(folder / "part-00000.parquet").num_rows == 1


def test_a_lake_can_be_pickled(lake):
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


def test_another_description_of_a_column_changes_no_byte(lake):
    digests = set()
    for prose in ("the number of the day", "which day it is"):
        schema = pa.schema([pa.field("n", pa.int64(), nullable=False, metadata={"description": prose})])
        contract = Table("numbers_v1", "numbers", schema, ("n",), ("day",), ("lake",))
        file = lake.write_table("numbers_v1", "part.parquet", pa.table({"n": [1, 2]}), contract)
        digests.add(file.sha256)
    assert len(digests) == 1
