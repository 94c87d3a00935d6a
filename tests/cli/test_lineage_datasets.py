"""Datasets of the lineage graph: their names by OpenLineage's conventions, partitions and versions."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipeline.cli import lineage_datasets
from pipeline.cli.lineage_datasets import Dataset, Partition
from pipeline.contracts import EMBEDDINGS, SIMILAR_ISSUES, SOURCE_HEALTH, TITLE_PREDICTIONS
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.settings import LakeSettings, Settings, Tracking, Warehouse

BIGQUERY = Warehouse(kind="bigquery", project="my-project")


@pytest.mark.parametrize(
    ("address", "namespace", "name"),
    [
        ("/data/lake/issues_v1", "file", "/data/lake/issues_v1"),
        ("file:///data/hours", "file", "/data/hours"),
        ("gs://bucket/lake/issues_v1", "gs://bucket", "lake/issues_v1"),
        ("gcs://bucket/issues_v1", "gs://bucket", "issues_v1"),
        ("s3://bucket", "s3://bucket", "/"),
        ("https://data.gharchive.org/2015-01-01", "https://data.gharchive.org", "2015-01-01"),
        (
            "https://me:secret@mirror:8443/gh/2015-01-01?signature=secret",
            "https://mirror:8443",
            "gh/2015-01-01",
        ),
    ],
)
def test_an_address_is_split_into_namespace_and_name(address: str, namespace: str, name: str) -> None:
    assert lineage_datasets.split_address(address) == (namespace, name)


def test_a_source_day_is_its_hour_files_of_each_base() -> None:
    files = [
        [0, 17, "stamp"],
        [23, 4, "stamp"],
        [5, 9, "stamp", "https://mirror"],
        [24, 9, "", "https://mirror"],
    ]
    datasets = lineage_datasets.source_days(Settings(), date(2015, 1, 1), files)
    assert [dataset.to_json() for dataset in datasets] == [
        {
            "namespace": "https://data.gharchive.org",
            "name": "2015-01-01",
            "locations": ["2015-01-01-0.json.gz", "2015-01-01-23.json.gz"],
        },
        {
            "namespace": "https://mirror",
            "name": "2015-01-01",
            "locations": ["2015-01-01-5.json.gz"],
        },
        {
            "namespace": "https://mirror",
            "name": "2015-01-02",
            "locations": ["2015-01-02-0.json.gz"],
        },
    ]


def test_a_source_day_in_bigquery_is_its_table() -> None:
    (day,) = lineage_datasets.source_days(Settings(warehouse=BIGQUERY), date(2015, 1, 1))
    assert day.to_json() == {"namespace": "bigquery", "name": "githubarchive.day.20150101"}


def test_a_registered_model_has_mlflows_address_without_credentials() -> None:
    settings = Settings(tracking=Tracking(uri="postgresql://me:secret@mlflow:5432/runs?sslkey=secret"))
    assert lineage_datasets.registered_model(settings, "m", "3", "run").to_json() == {
        "namespace": "postgresql://mlflow:5432/runs",
        "name": "models:/titler",
        "version": "run",
        "partitions": [{"dimensions": {"model": "m", "version": "3"}, "identifier": "run"}],
    }


def embeddings_of(days: int) -> Dataset:
    """Embeddings of this many days from 2015-01-01; their batches are batch-0, batch-1 and so on."""
    first = date(2015, 1, 1).toordinal()
    partitions = [
        Partition({"model": "m", "day": str(date.fromordinal(first + number))}, f"batch-{number}")
        for number in range(days)
    ]
    return Dataset("file", "/lake/embeddings_v1", tuple(partitions))


def test_a_month_of_partitions_is_listed_one_by_one() -> None:
    values = embeddings_of(31).to_json()
    assert len(values["partitions"]) == 31
    assert values["partitions"][30] == {
        "dimensions": {"model": "m", "day": "2015-01-31"},
        "identifier": "batch-30",
    }
    assert "between" not in values


def test_more_partitions_are_given_by_the_lowest_and_the_highest() -> None:
    values = embeddings_of(3000).to_json()
    assert values["between"] == {"model": ["m", "m"], "day": ["2015-01-01", "2023-03-19"]}
    assert "partitions" not in values


def test_the_version_stands_for_all_batches() -> None:
    one, two, three = (embeddings_of(days).version for days in (1, 2, 3))
    assert one == "batch-0"
    assert len(two) == len(three) == 12
    assert two != three


def test_the_version_does_not_depend_on_the_order_of_the_batches() -> None:
    dataset = embeddings_of(2)
    reverse = Dataset(dataset.namespace, dataset.name, dataset.partitions[::-1])
    assert reverse.version == dataset.version


def test_the_version_is_unknown_if_a_batch_is_unknown() -> None:
    partitions = (Partition({"day": "2015-01-01"}, "b"), Partition({"day": "2015-01-02"}))
    assert Dataset("file", "/lake/issues_v1", partitions).version == ""


def test_the_partition_of_a_batch_is_in_its_folder() -> None:
    partition = Partition.of_folder("vectors_v1/vocabulary=v/day=2015-01-01/b")
    assert partition == Partition({"vocabulary": "v", "day": "2015-01-01"}, "b")


def write_batch(lake: Lake, table: str, day: str) -> Manifest:
    draft = lake.draft(table, {"day": day})
    draft.write_file("part-00000.parquet", b"12345", rows=2)
    return draft.commit()


def test_batches_of_a_table_have_its_columns_and_their_rows_bytes_and_files(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    manifests = [write_batch(lake, EMBEDDINGS.name, day) for day in ("2015-01-01", "2015-01-02")]
    (dataset,) = lineage_datasets.table_of_manifests(lake, manifests)
    values = dataset.to_json()
    assert (values["namespace"], values["name"]) == ("file", lake.path("embeddings_v1"))
    assert values["description"] == EMBEDDINGS.prose
    assert [(column["name"], column["type"]) for column in values["schema"]] == [
        ("issue_id", "int64"),
        ("embedding", "list<item: halffloat>"),
    ]
    descriptions = [column["description"] for column in values["schema"]]
    assert descriptions == [column.metadata[b"description"].decode() for column in EMBEDDINGS.schema]
    assert values["partitions"] == [
        {"dimensions": {"day": manifest.day}, "identifier": manifest.batch_id} for manifest in manifests
    ]
    assert values["statistics"] == {"rowCount": 4, "size": 10, "fileCount": 2}


def test_no_batches_are_no_table(tmp_path: Path) -> None:
    assert lineage_datasets.table_of_manifests(Lake(str(tmp_path)), []) == []


@pytest.fixture
def release(tmp_path: Path) -> Pinned:
    """A release of two days."""
    release = Pinned(Lake(str(tmp_path)), "releases", "r")
    for table in (SOURCE_HEALTH, TITLE_PREDICTIONS, SIMILAR_ISSUES, EMBEDDINGS):
        days = ("2015-01-01", "2015-01-02")
        release.members.put(table.name, [write_batch(release.lake, table.name, day) for day in days])
    return release


def test_bigquerys_tables_have_bigquerys_columns(release: Pinned) -> None:
    settings = Settings(warehouse=BIGQUERY.model_copy(update={"embeddings": True}))
    tables = [dataset.to_json() for dataset in lineage_datasets.warehouse_tables(settings, release)]
    assert [table["name"] for table in tables] == [
        "my-project.titler.source_health_v1",
        "my-project.titler.duplicate_marks_v1",
        "my-project.titler.title_predictions_v1",
        "my-project.titler.similar_issues_v2",
        "my-project.titler.duplicate_pairs_v1",
        "my-project.titler.embeddings_v1",
        "my-project.titler.releases_v1",
        "my-project.titler.release_members_v1",
    ]
    assert {table["namespace"] for table in tables} == {"bigquery"}
    assert [partition["dimensions"] for partition in tables[5]["partitions"]] == [
        {"source_day": "2015-01-01"},
        {"source_day": "2015-01-02"},
    ]
    assert [(column["name"], column["type"]) for column in tables[5]["schema"]] == [
        ("issue_id", "INT64"),
        ("embedding", "ARRAY<FLOAT64>"),
        ("source_day", "DATE"),
        ("batch_id", "STRING"),
    ]


def test_duckdbs_tables_are_one_file(release: Pinned) -> None:
    settings = Settings(lake=LakeSettings(root=release.lake.root))
    (file,) = lineage_datasets.warehouse_tables(settings, release)
    assert (file.namespace, file.name) == ("file", f"{release.lake.root}/warehouse.duckdb")
    assert file.version == "r"
