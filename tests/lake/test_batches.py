"""The lake: what is not committed does not exist; what is committed never changes. The same in a folder, in S3 and in Google's storage."""

import pickle
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.contracts import EMBEDDINGS, SOURCE_HEALTH, TOKENS
from pipeline.errors import ContractError, LakeError
from pipeline.lake.batches import Lake

DAY = {"day": "2015-01-01"}
ROWS = pa.table(
    {"issue_id": [7], "repo": ["a/b"], "trainable": [True], "body": [["one", "two"]], "title": [["three"]]}
)


def written(lake: Lake, rows: pa.Table = ROWS, inputs: tuple[str, ...] = ("abc",)):
    draft = lake.draft(TOKENS.name, DAY, inputs, {"engine": "titler"})
    draft.write_table("part-00000.parquet", rows, TOKENS)
    return draft


def test_a_committed_batch_is_current_and_reads_back(lake):
    manifest = written(lake).commit()
    assert lake.current(TOKENS.name, DAY) == manifest
    assert lake.read(manifest, TOKENS).to_pylist() == [
        {"issue_id": 7, "repo": "a/b", "trainable": True, "body": ["one", "two"], "title": ["three"]}
    ]


def test_a_draft_does_not_exist(lake):
    draft = written(lake)
    assert lake.current(TOKENS.name, DAY) is None
    assert lake.find(TOKENS.name, DAY, ("abc",), {"engine": "titler"}) is None
    with pytest.raises(LakeError, match="never finished"):
        lake.manifest(draft.folder)


def test_a_batch_is_found_by_its_inputs_and_parameters(lake):
    manifest = written(lake).commit()
    assert lake.find(TOKENS.name, DAY, ("abc",), {"engine": "titler"}) == manifest
    assert lake.find(TOKENS.name, DAY, ("other",), {"engine": "titler"}) is None
    assert lake.find(TOKENS.name, DAY, ("abc",), {"engine": "ktext"}) is None


def test_a_rerun_swaps_the_pointer_and_leaves_the_old_batch_readable(lake):
    old = written(lake).commit()
    new = written(lake, ROWS.slice(0, 0), inputs=("def",)).commit()
    assert lake.current(TOKENS.name, DAY) == new
    assert lake.read(old, TOKENS).num_rows == 1


def test_a_batch_that_is_made_again_is_current_again(lake):
    old = written(lake).commit()
    written(lake, ROWS.slice(0, 0), inputs=("def",)).commit()
    assert lake.reuse(TOKENS.name, DAY, ("abc",), {"engine": "titler"}) == old
    assert lake.current(TOKENS.name, DAY) == old


def test_the_digest_stands_for_the_content_alone(lake):
    one, two = written(lake, inputs=("abc",)).commit(), written(lake, inputs=("def",)).commit()
    assert one.batch_id != two.batch_id
    assert one.digest == two.digest
    assert written(lake, ROWS.slice(0, 0)).commit().digest != one.digest


def test_a_truncated_file_is_refused(lake):
    manifest = written(lake).commit()
    part = f"{manifest.folder}/part-00000.parquet"
    lake.put(part, lake.get(part)[:-10])
    with pytest.raises(LakeError, match=r"part-00000.parquet is \d+ bytes with another digest, expected"):
        lake.read(manifest, TOKENS)


def test_a_file_that_is_gone_is_named(lake):
    manifest = written(lake).commit()
    lake.delete(f"{manifest.folder}/part-00000.parquet")
    with pytest.raises(LakeError, match=r"part-00000.parquet is missing, expected \d+ bytes"):
        lake.read(manifest, TOKENS)


def test_a_damaged_manifest_is_refused(lake):
    manifest = written(lake).commit()
    lake.put(f"{manifest.folder}/manifest.json", b'{"table": "tok')
    with pytest.raises(LakeError, match=r"manifest\.json is damaged"):
        lake.current(TOKENS.name, DAY)


def test_a_lake_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "lake").write_text("a file where the folder should be")
    with pytest.raises(LakeError, match="cannot be written"):
        Lake(str(tmp_path / "lake")).put("x.json", b"{}")


def test_replacing_a_file_leaves_nothing_beside_it(lake):
    lake.put("pointers/pointer.json", b"old")
    lake.put("pointers/pointer.json", b"new")
    assert lake.get("pointers/pointer.json") == b"new"
    assert lake.names("pointers") == ["pointer.json"]


def test_what_is_written_aside_in_a_folder_is_gone(tmp_path):
    Lake(str(tmp_path)).put("pointer.json", b"new")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["pointer.json"]


def test_a_file_is_deleted_once_and_again(lake):
    lake.put("pointers/pointer.json", b"old")
    lake.delete("pointers/pointer.json")
    lake.delete("pointers/pointer.json")
    assert lake.get("pointers/pointer.json") is None


def test_a_folder_is_deleted_with_all_in_it_and_nothing_beside_it(lake):
    manifest = written(lake).commit()
    lake.put("tokens_v1_of_others/x.json", b"{}")
    lake.delete_folder(TOKENS.name)
    lake.delete_folder(TOKENS.name)
    assert lake.days(TOKENS.name) == []
    assert lake.get(f"{manifest.folder}/manifest.json") is None
    assert [name for name in lake.names("") if not name.startswith(".")] == ["tokens_v1_of_others"]


def test_names_are_sorted_and_of_one_folder_alone(lake):
    for name in ("day=2015-01-02/b.json", "day=2015-01-01/a.json", "day=2015-01-01/keys/k.json"):
        lake.put(f"tokens_v1/{name}", b"{}")
    assert lake.days(TOKENS.name) == ["2015-01-01", "2015-01-02"]
    assert lake.names("tokens_v1/day=2015-01-01") == ["a.json", "keys"]
    assert lake.names("tokens_v2") == []


def test_a_batch_has_a_local_copy_for_what_opens_paths(lake):
    manifest = written(lake).commit()
    with lake.local_copy(manifest) as folder:
        assert pq.read_table(folder / "part-00000.parquet").num_rows == 1


def test_a_lake_travels_to_a_worker(lake):
    manifest = written(lake).commit()
    assert pickle.loads(pickle.dumps(lake)).current(TOKENS.name, DAY) == manifest


def test_a_contract_names_table_column_and_types():
    with pytest.raises(ContractError, match=r"tokens_v1: column 'issue_id' is string, expected int64"):
        TOKENS.conform(ROWS.set_column(0, "issue_id", pa.array(["seven"])))
    with pytest.raises(ContractError, match=r"tokens_v1: column 'title' \(list<item: string>\) is missing"):
        TOKENS.conform(ROWS.drop_columns(["title"]))
    with pytest.raises(ContractError, match=r"tokens_v1: column 'extra' is not in the contract"):
        TOKENS.conform(ROWS.append_column("extra", pa.array([1])))
    with pytest.raises(
        ContractError, match=r"tokens_v1: column 'repo' \(string\) has 1 NULLs, expected none"
    ):
        TOKENS.conform(ROWS.set_column(1, "repo", pa.array([None], pa.string())))


def test_a_contract_casts_only_without_loss():
    assert (
        EMBEDDINGS.conform(pa.table({"issue_id": [1], "embedding": [[0.5, 2.0]]})).schema == EMBEDDINGS.schema
    )
    with pytest.raises(ContractError, match="does not cast"):
        TOKENS.conform(ROWS.set_column(0, "issue_id", pa.array([0.5])))


def test_every_column_of_every_table_has_a_line_of_prose():
    assert all(field.metadata[b"description"] for field in SOURCE_HEALTH.schema)


def test_a_folder_is_as_old_as_its_newest_file(lake):
    written(lake).commit()
    assert lake.modified("tokens_v1") > datetime.now(UTC) - timedelta(days=1)
    assert lake.modified("tokens_v2") is None


def test_a_folder_that_holds_nothing_yet_is_as_old_as_it_is(tmp_path):
    (tmp_path / "lake" / "tokens_v1" / "draft").mkdir(parents=True)
    modified = Lake(str(tmp_path / "lake")).modified("tokens_v1/draft")
    assert modified is not None
    assert modified > datetime.now(UTC) - timedelta(days=1)
