"""The lake: what is not committed does not exist; what is committed never changes."""

import pickle
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from pipeline.contracts import EMBEDDINGS, SOURCE_HEALTH, TOKENS
from pipeline.errors import ContractError, LakeError
from pipeline.lake import Lake

DAY = {"day": "2015-01-01"}
ROWS = pa.table({"issue_id": [7], "repo": ["a/b"], "trainable": [True], "body": [["one", "two"]], "title": [["three"]]})


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(str(tmp_path / "lake"))


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


def test_a_truncated_file_is_refused(lake, tmp_path):
    manifest = written(lake).commit()
    path = tmp_path / "lake" / manifest.folder / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(LakeError, match=r"part-00000.parquet is \d+ bytes with another digest, expected"):
        lake.read(manifest, TOKENS)


def test_a_damaged_manifest_is_refused(lake, tmp_path):
    manifest = written(lake).commit()
    (tmp_path / "lake" / manifest.folder / "manifest.json").write_text('{"table": "tok')
    with pytest.raises(LakeError, match=r"manifest\.json is damaged"):
        lake.current(TOKENS.name, DAY)


def test_a_lake_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "lake").write_text("a file where the folder should be")
    with pytest.raises(LakeError, match="cannot be written"):
        Lake(str(tmp_path / "lake")).put("x.json", b"{}")


def test_replacing_a_file_leaves_nothing_beside_it(lake, tmp_path):
    lake.put("pointer.json", b"old")
    lake.put("pointer.json", b"new")
    assert lake.get("pointer.json") == b"new"
    assert [path.name for path in (tmp_path / "lake").rglob("*") if path.is_file()] == ["pointer.json"]


def test_a_lake_travels_to_a_worker(lake):
    manifest = written(lake).commit()
    assert pickle.loads(pickle.dumps(lake)).current(TOKENS.name, DAY) == manifest


def test_the_same_batches_work_in_an_object_store():
    lake = Lake("memory://lake")
    manifest = written(lake).commit()
    assert lake.current(TOKENS.name, DAY) == manifest
    with lake.local_copy(manifest) as folder:
        assert [path.name for path in folder.iterdir()] == ["part-00000.parquet"]
    lake.delete("tokens_v1")
    assert lake.days(TOKENS.name) == []


def test_a_contract_names_table_column_and_types():
    with pytest.raises(ContractError, match=r"tokens_v1: column 'issue_id' is string, expected int64"):
        TOKENS.conform(ROWS.set_column(0, "issue_id", pa.array(["seven"])))
    with pytest.raises(ContractError, match=r"tokens_v1: column 'title' \(list<item: string>\) is missing"):
        TOKENS.conform(ROWS.drop_columns(["title"]))
    with pytest.raises(ContractError, match=r"tokens_v1: column 'extra' is not in the contract"):
        TOKENS.conform(ROWS.append_column("extra", pa.array([1])))
    with pytest.raises(ContractError, match=r"tokens_v1: column 'repo' \(string\) has 1 NULLs, expected none"):
        TOKENS.conform(ROWS.set_column(1, "repo", pa.array([None], pa.string())))


def test_a_contract_casts_only_without_loss():
    assert EMBEDDINGS.conform(pa.table({"issue_id": [1], "embedding": [[0.5, 2.0]]})).schema == EMBEDDINGS.schema
    with pytest.raises(ContractError, match="does not cast"):
        TOKENS.conform(ROWS.set_column(0, "issue_id", pa.array([0.5])))


def test_every_column_of_every_table_has_a_line_of_prose():
    assert all(field.metadata[b"description"] for field in SOURCE_HEALTH.schema)


def test_a_folder_that_holds_nothing_yet_is_as_old_as_it_is(lake, tmp_path):
    (tmp_path / "lake" / "tokens_v1" / "draft").mkdir(parents=True)
    assert lake.modified("tokens_v1/draft") > datetime.now(UTC) - timedelta(days=1)
    assert lake.modified("tokens_v1/none") == datetime.min.replace(tzinfo=UTC)
