"""The manifest of a batch: its folder, its day and its JSON."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pipeline.errors import LakeError
from pipeline.lake.batches import MANIFEST_DOCUMENT
from pipeline.lake.manifest import File, Manifest, partition_folder

MANIFEST = Manifest(
    table="vectors_v1",
    partition={"vocabulary": "v", "day": "2015-01-01"},
    batch_id="b",
    key="k",
    digest="d",
    rows=3,
    files=(File("part-00000.parquet", 3, 12, "ff"),),
    inputs=("i",),
    parameters={"x": 1},
    figures={"n": 2},
    created_at="2015-01-02T00:00:00+00:00",
)


def parse(text: str) -> Manifest:
    return MANIFEST_DOCUMENT.parse(text.encode(), "lake", f"{MANIFEST.folder}/manifest.json")


def test_a_manifest_written_as_json_is_read_back_unchanged() -> None:
    assert parse(MANIFEST.to_json()) == MANIFEST


def test_the_json_keys_of_a_manifest_stay_the_same() -> None:
    values = json.loads(MANIFEST.to_json())
    assert list(values) == [
        *("table", "partition", "batch_id", "key", "digest", "rows", "files", "inputs"),
        *("parameters", "figures", "created_at"),
    ]
    assert values["files"] == [
        {
            **{"name": "part-00000.parquet", "rows": 3, "bytes": 12, "sha256": "ff"},
            **{"columns": "", "rows_sha256": ""},
        }
    ]


def test_a_manifest_of_an_earlier_version_is_read() -> None:
    values = json.loads(MANIFEST.to_json())
    for name in ("columns", "rows_sha256"):
        del values["files"][0][name]
    assert parse(json.dumps(values)) == MANIFEST


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"files": [], "inputs": []}', '{"files": [{}], "inputs": []}']
)
def test_text_that_is_not_a_manifest_is_refused(text: str) -> None:
    with pytest.raises(LakeError, match=r"manifest\.json is damaged"):
        parse(text)


def test_the_folder_of_a_batch_consists_of_table_partition_and_batch_id() -> None:
    assert MANIFEST.folder == "vectors_v1/vocabulary=v/day=2015-01-01/b"
    assert partition_folder("issues_v1", {"day": "2015-01-01"}) == "issues_v1/day=2015-01-01"


def test_the_day_of_a_batch_made_from_a_users_file_is_the_identifier_of_the_file() -> None:
    assert MANIFEST.day == "2015-01-01"
    assert dataclasses.replace(MANIFEST, partition={"file": "abc"}).day == "abc"
