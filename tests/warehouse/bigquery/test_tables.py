"""Tables are created from the contracts, gain nullable columns, and each batch is loaded once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.cloud import bigquery

from pipeline.contracts import (
    EMBEDDINGS,
    RELEASE_MEMBERS,
    RELEASES,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TABLES,
    TITLE_PREDICTIONS,
    column,
)
from pipeline.errors import WarehouseError
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse import Query
from pipeline.warehouse.bigquery import BigQueryWarehouse
from pipeline.warehouse.bigquery.errors import refusal
from pipeline.warehouse.bigquery.tables import columns_of, quote
from pipeline.warehouse.protocol import WAREHOUSE_TABLES
from pipeline.warehouse.view_columns import columns_of as columns_of_view
from tests.support.emulator import Answer, Emulator, Request
from tests.warehouse.bigquery.conversation import jobs_started
from tests.warehouse.conftest import new_data_set, new_emulator
from tests.warehouse.events import Lake, neighbour, prediction, publish, query_rows

NEXT_DAY = date(2015, 1, 4)


def stored_table(warehouse: BigQueryWarehouse, name: str) -> bigquery.Table:
    return warehouse.jobs.client.get_table(warehouse.tables.address(name))


def stored_issues(warehouse: BigQueryWarehouse, name: str) -> list[int]:
    """The sorted ids of the issues in a table, which no release has to show."""
    rows = warehouse.jobs.client.list_rows(warehouse.tables.address(name))
    return sorted(row["issue_id"] for row in rows)


def uploads(emulator: Emulator, table: str) -> list[dict[str, Any]]:
    """The load jobs that the client started for a table."""
    requests = [
        request.json for request in emulator.proxy.requests if "/upload/" in request.path and request.json
    ]
    return [job for job in requests if job["configuration"]["load"]["destinationTable"]["tableId"] == table]


def definitions(emulator: Emulator) -> list[list[str]]:
    """The statements of each job that created views."""
    return [
        job["configuration"]["query"]["query"].split(";\n")
        for job in jobs_started(emulator, "CREATE OR REPLACE ")
    ]


def test_a_table_has_its_contracts_columns_prose_partition_and_clusters(
    bigquery_warehouse: BigQueryWarehouse,
) -> None:
    bigquery_warehouse.tables.ensure(SIMILAR_ISSUES)
    table = stored_table(bigquery_warehouse, "similar_issues_v2")
    assert [(field.name, field.field_type, field.mode) for field in table.schema[-3:]] == [
        ("group_size", "INT64", "REQUIRED"),
        ("source_day", "DATE", "REQUIRED"),
        ("batch_id", "STRING", "REQUIRED"),
    ]
    assert table.schema[0].description == "GitHub's id of the issue, unique among all issues"
    assert (table.description, table.labels) == (SIMILAR_ISSUES.prose, {"app": "titler"})
    assert table.time_partitioning.field == "source_day"
    assert table.clustering_fields == ["batch_id", "issue_id", "list", "rank"]


@pytest.mark.parametrize(
    ("table", "column", "kind", "mode"),
    [
        (EMBEDDINGS, "embedding", "FLOAT64", "REPEATED"),
        (SOURCE_HEALTH, "hours_missing", "INT64", "REPEATED"),
        (SOURCE_HEALTH, "usual_events", "INT64", "NULLABLE"),
        (TITLE_PREDICTIONS, "created_at", "TIMESTAMP", "REQUIRED"),
        (RELEASES, "recall_at_10", "FLOAT64", "REQUIRED"),
    ],
)
def test_a_contracts_type_is_bigquerys(table: Any, column: str, kind: str, mode: str) -> None:
    field = next(field for field in columns_of(table) if field.name == column)
    assert (field.field_type, field.mode) == (kind, mode)


def test_a_batch_in_several_files_is_one_job_and_comes_once(
    bigquery_warehouse: BigQueryWarehouse, emulator: Emulator, tmp_path: Path
) -> None:
    lake = (
        Lake(tmp_path)
        .add(TITLE_PREDICTIONS, "t1", [prediction(1)])
        .add(TITLE_PREDICTIONS, "t2", [prediction(2)])
    )
    bigquery_warehouse.load(TITLE_PREDICTIONS, lake.batches["title_predictions_v1"])
    bigquery_warehouse.load(TITLE_PREDICTIONS, lake.batches["title_predictions_v1"])
    (job,) = uploads(emulator, "title_predictions_v1")
    load = job["configuration"]["load"]
    assert (load["sourceFormat"], load["writeDisposition"], load["createDisposition"]) == (
        "PARQUET",
        "WRITE_APPEND",
        "CREATE_NEVER",
    )
    assert job["configuration"]["labels"] == {"app": "titler", "verb": "test"}


def test_missing_rows_are_loaded_again_although_their_job_has_finished(
    bigquery_warehouse: BigQueryWarehouse, emulator: Emulator, tmp_path: Path
) -> None:
    lake = Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(1)])
    publish(bigquery_warehouse, lake)
    # as if the table had been renamed
    bigquery_warehouse.jobs.client.delete_table(bigquery_warehouse.tables.address("title_predictions_v1"))
    later = BigQueryWarehouse(bigquery_warehouse.settings, "test")
    later.load(TITLE_PREDICTIONS, lake.batches["title_predictions_v1"])
    assert stored_issues(later, "title_predictions_v1") == [1]
    staged = later.stage(*lake.release())
    assert "title_predictions_key" in {check.stem for check in staged.checks}  # what was loaded is checked
    names = [job["jobReference"]["jobId"] for job in uploads(emulator, "title_predictions_v1")]
    assert names == [names[0], f"{names[0]}_1"]


def test_a_night_looks_for_no_batch_that_is_published(
    bigquery_warehouse: BigQueryWarehouse, emulator: Emulator, tmp_path: Path
) -> None:
    lake = Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(1)])
    publish(bigquery_warehouse, lake)
    lake.share("t1", "r2").add(TITLE_PREDICTIONS, "t2", [prediction(2)], release_id="r2", day=NEXT_DAY)
    bigquery_warehouse.load(TITLE_PREDICTIONS, lake.batches["title_predictions_v1"])
    assert jobs_started(emulator, "SELECT DISTINCT batch_id") == []
    assert stored_issues(bigquery_warehouse, "title_predictions_v1") == [1, 2]


def test_after_a_failed_publication_only_the_days_of_its_batches_are_searched(
    bigquery_warehouse: BigQueryWarehouse, emulator: Emulator, tmp_path: Path
) -> None:
    lake = Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(1)])
    publish(bigquery_warehouse, lake)
    second = [prediction(2, source_day=NEXT_DAY)]
    lake.add(TITLE_PREDICTIONS, "t2", second, release_id="r2", day=NEXT_DAY)
    for _ in range(2):
        bigquery_warehouse.load(TITLE_PREDICTIONS, lake.batches["title_predictions_v1"])
    (search,) = jobs_started(emulator, "SELECT DISTINCT batch_id")
    days, batches = search["configuration"]["query"]["queryParameters"]
    assert [value["value"] for value in days["parameterValue"]["arrayValues"]] == ["2015-01-04"]
    assert [value["value"] for value in batches["parameterValue"]["arrayValues"]] == ["t2"]
    assert stored_issues(bigquery_warehouse, "title_predictions_v1") == [1, 2]


def test_batches_are_deleted_with_their_days_and_leave_the_lists_of_releases(
    bigquery_warehouse: BigQueryWarehouse, emulator: Emulator, tmp_path: Path
) -> None:
    lake = Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(1)])
    lake.add(TITLE_PREDICTIONS, "t2", [prediction(2, source_day=NEXT_DAY)], day=NEXT_DAY)
    publish(bigquery_warehouse, lake)
    assert bigquery_warehouse.delete_batches_except({"title_predictions_v1": {"t1"}}) == 1
    assert jobs_started(emulator, "GROUP BY batch_id, day") == []  # the table was not listed
    assert [row["batch_id"] for row in bigquery_warehouse.records(RELEASE_MEMBERS)] == ["t1"]
    (deletion,) = jobs_started(emulator, "title_predictions_v1` WHERE source_day IN UNNEST(@days)")
    days = deletion["configuration"]["query"]["queryParameters"][1]["parameterValue"]["arrayValues"]
    assert [value["value"] for value in days] == ["2015-01-04"]


def test_a_new_nullable_column_is_added(bigquery_warehouse: BigQueryWarehouse, emulator: Emulator) -> None:
    bigquery_warehouse.tables.ensure(RELEASES)
    grown = replace(
        RELEASES,
        schema=pa.schema([*RELEASES.schema, column("weather", pa.string(), "how it was", null=True)]),
    )
    BigQueryWarehouse(bigquery_warehouse.settings, "test").tables.ensure(grown)
    (job,) = jobs_started(emulator, "ALTER TABLE")
    address = bigquery_warehouse.tables.address("releases_v1")
    expected = (
        f"ALTER TABLE `{address}` ADD COLUMN IF NOT EXISTS `weather` STRING "
        "OPTIONS (description = 'how it was')"
    )
    assert job["configuration"]["query"]["query"] == expected


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (lambda fields: fields[1:], r"column release_id \(STRING, REQUIRED\) is missing"),
        (
            lambda fields: [*fields, bigquery.SchemaField("mine", "STRING")],
            "column mine is unexpected; the expected columns are",
        ),
        (
            lambda fields: [bigquery.SchemaField("release_id", "INT64", "REQUIRED"), *fields[1:]],
            "column release_id is INT64 REQUIRED, expected STRING REQUIRED",
        ),
        (
            lambda fields: [bigquery.SchemaField("release_id", "STRING", "NULLABLE"), *fields[1:]],
            "column release_id is STRING NULLABLE, expected STRING REQUIRED",
        ),
    ],
)
def test_a_table_that_someone_changed_is_named_and_not_written(
    bigquery_warehouse: BigQueryWarehouse, schema: Any, message: str
) -> None:
    address = bigquery_warehouse.tables.address("releases_v1")
    bigquery_warehouse.jobs.client.create_table(bigquery.Table(address, schema=schema(columns_of(RELEASES))))
    with pytest.raises(WarehouseError, match=message) as raised:
        bigquery_warehouse.tables.ensure(RELEASES)
    assert f"ALTER TABLE {address} RENAME TO" in raised.value.hint


def test_a_missing_data_set_is_reported_with_the_command_that_creates_it(
    bigquery_warehouse: BigQueryWarehouse,
) -> None:
    settings = bigquery_warehouse.settings.model_copy(update={"dataset": "nowhere"})
    with pytest.raises(WarehouseError, match="nowhere") as raised:
        BigQueryWarehouse(settings, "test").current_release()
    assert f"bq --location=US mk --dataset {settings.project}:nowhere" in raised.value.hint


def test_a_data_set_that_is_not_found_may_be_the_one_for_views() -> None:
    settings = Settings(kind="bigquery", project="p", dataset="tables", views_dataset="views")
    assert refusal(settings, "creating the views", "notFound", "Dataset p:views").hint.splitlines() == [
        "If a data set does not exist, create it:",
        "    bq --location=US mk --dataset p:tables",
        "    bq --location=US mk --dataset p:views",
        "To see what else is missing: titler doctor",
    ]


def test_a_publication_that_fails_replaces_nothing(
    bigquery_warehouse: BigQueryWarehouse, emulator: Emulator, tmp_path: Path
) -> None:
    publish(bigquery_warehouse, Lake(tmp_path / "1").add(TITLE_PREDICTIONS, "t1", [prediction(1)]))
    second = Lake(tmp_path / "2").add(TITLE_PREDICTIONS, "t2", [prediction(2)])
    denied = Answer.error(
        403,
        "accessDenied",
        "Access Denied: Permission bigquery.tables.updateData denied on table releases_v1",
    )

    def deny(request: Request, forward: Any) -> Answer | None:
        return denied if request.json and "BEGIN TRANSACTION" in str(request.json) else None

    with emulator.proxy.intervene(deny), pytest.raises(WarehouseError, match=r"bigquery\.tables\.updateData"):
        publish(bigquery_warehouse, second)
    assert query_rows(bigquery_warehouse, "SELECT issue_id FROM title_predictions") == [{"issue_id": 1}]
    publish(bigquery_warehouse, second)
    assert query_rows(bigquery_warehouse, "SELECT issue_id FROM title_predictions") == [{"issue_id": 2}]


def test_only_batches_that_are_not_retained_are_deleted(
    bigquery_warehouse: BigQueryWarehouse, tmp_path: Path
) -> None:
    lake = (
        Lake(tmp_path)
        .add(TITLE_PREDICTIONS, "t1", [prediction(1), prediction(2)])
        .add(SIMILAR_ISSUES, "s1", [neighbour(2, 1)])
    )
    for table in (TITLE_PREDICTIONS, SIMILAR_ISSUES):
        bigquery_warehouse.load(table, lake.batches[table.name])
    assert (
        bigquery_warehouse.delete_batches_except(
            {"title_predictions_v1": {"t1"}, "similar_issues_v2": {"s1"}}
        )
        == 0
    )
    assert bigquery_warehouse.delete_batches_except({"title_predictions_v1": {"t1"}}) == 1
    assert stored_issues(bigquery_warehouse, "similar_issues_v2") == []
    assert stored_issues(bigquery_warehouse, "title_predictions_v1") == [1, 2]


def test_the_lease_excludes_a_second_publication(
    bigquery_warehouse: BigQueryWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.warehouse.bigquery.lease.TIMEOUT", 0)
    monkeypatch.setattr("pipeline.warehouse.bigquery.lease.POLL_INTERVAL", 0)
    with bigquery_warehouse.exclusive_lock("publish"):
        second_warehouse = BigQueryWarehouse(bigquery_warehouse.settings, "plan")
        with (
            pytest.raises(WarehouseError, match=r"titler_alone is still held by .*titler test\.") as raised,
            second_warehouse.exclusive_lock("publish"),
        ):
            pass
    assert "bq rm -f -t" in raised.value.hint
    with BigQueryWarehouse(bigquery_warehouse.settings, "plan").exclusive_lock("publish"):
        pass


def test_the_vector_index_is_created_once_there_are_enough_rows(
    bigquery_warehouse: BigQueryWarehouse,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def answer(request: Request, forward: Any) -> Answer | None:  # the emulator has no CREATE VECTOR INDEX
        if not (request.json and "VECTOR INDEX" in str(request.json)):
            return None
        return Answer.of(
            {
                **request.json,
                "status": {"state": "DONE"},
                "statistics": {"query": {"statementType": "CREATE_INDEX"}},
            }
        )

    bigquery_warehouse.tables.ensure(EMBEDDINGS)
    bigquery_warehouse.create_vector_index()
    assert (
        "no vector index was created, because embeddings_v1 has only 0 rows and BigQuery needs at least 5,000"
        in capsys.readouterr().out
    )
    assert jobs_started(emulator, "VECTOR INDEX") == []
    monkeypatch.setattr("pipeline.warehouse.bigquery.warehouse.VECTOR_INDEX_ROWS", 0)
    with emulator.proxy.intervene(answer):
        bigquery_warehouse.create_vector_index()
    (job,) = jobs_started(emulator, "VECTOR INDEX")
    address = bigquery_warehouse.tables.address("embeddings_v1")
    assert job["configuration"]["query"]["query"] == (
        f"CREATE VECTOR INDEX IF NOT EXISTS embeddings_v1_embedding ON `{address}`(embedding) "
        "OPTIONS (index_type = 'IVF', distance_type = 'COSINE')"
    )


class StoredDefinitions:
    """Answers for BigQuery with the views and functions of a publication: the emulator rewrites views and
    returns no functions.
    """

    def __init__(self, definitions: list[str]) -> None:
        views, functions = Query.folder("views"), Query.folder("functions")
        self.views = {
            view.stem: (view.prose, text.partition(" AS\n")[2])
            for view, text in zip(views, definitions, strict=False)
        }
        self.functions = {
            query.stem: text for query, text in zip(functions, definitions[len(views) :], strict=True)
        }
        self.descriptions = {
            view.stem: {name: column.prose for name, column in columns_of_view(view).items()}
            for view in views
        }
        self.updates: list[tuple[str, Any]] = []

    def __call__(self, request: Request, forward: Any) -> Answer | None:
        name = request.path.partition("?")[0].rpartition("/")[2]
        if request.method == "PATCH":
            self.updates.append((name, request.json))
            reference = {"projectId": "p", "datasetId": "d", "tableId": name}
            return Answer.of({**request.json, "tableReference": reference})
        if request.method != "GET" or name not in {*self.views, *self.functions}:
            return None
        dataset = {"projectId": "p", "datasetId": "d"}
        if name in self.views:
            prose, sql = self.views[name]
            reference = {**dataset, "tableId": name}
            fields = [
                {"name": column, "type": "STRING", "description": description}
                for column, description in self.descriptions[name].items()
            ]
            view = {"description": prose, "schema": {"fields": fields}, "view": {"query": sql}}
            return Answer.of({"tableReference": reference, **view})
        head, _, body = self.functions[name].partition(" AS\n")
        arguments = [{"name": word} for word in re.findall(r"(\w+) STRING", head)]
        reference = {**dataset, "routineId": name}
        return Answer.of({"routineReference": reference, "definitionBody": body, "arguments": arguments})


@dataclass(frozen=True)
class Publication:
    """A warehouse with one release, and the definitions of its views and functions."""

    emulator: Emulator
    warehouse: BigQueryWarehouse
    definitions: list[str]

    def defined_anew(self, stored: StoredDefinitions) -> list[list[str]]:
        """The statements that replace views and functions if BigQuery has these definitions stored."""
        before = len(definitions(self.emulator))
        with self.emulator.proxy.intervene(stored):
            self.warehouse.create_views()
        return definitions(self.emulator)[before:]


@pytest.fixture(scope="module")
def publication(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publication]:
    """The tests replace views only by the same views."""
    folder = tmp_path_factory.mktemp("publication")
    with new_emulator(folder / "emulator") as emulator, new_data_set(emulator) as settings:
        warehouse = BigQueryWarehouse(settings, "test")
        publish(warehouse, Lake(folder).add(TITLE_PREDICTIONS, "t1", [prediction(1)]))
        (first,) = definitions(emulator)
        yield Publication(emulator, warehouse, first)


@pytest.fixture
def stored(publication: Publication) -> StoredDefinitions:
    """The definitions of the publication, for a test that changes them."""
    return StoredDefinitions(publication.definitions)


def test_unchanged_views_and_functions_are_not_replaced(
    publication: Publication, stored: StoredDefinitions
) -> None:
    assert (publication.defined_anew(stored), stored.updates) == ([], [])


def test_another_comment_or_layout_does_not_replace_a_view_or_function(
    publication: Publication, stored: StoredDefinitions
) -> None:
    for name, (prose, sql) in stored.views.items():
        stored.views[name] = (prose, "-- an older comment\n" + sql.replace("  ", "    "))
    stored.functions = {name: f"{text}\n-- an older comment" for name, text in stored.functions.items()}
    assert (publication.defined_anew(stored), stored.updates) == ([], [])


def test_another_description_is_set_without_replacing_the_view(
    publication: Publication, stored: StoredDefinitions
) -> None:
    stored.views["releases"] = ("an older description", stored.views["releases"][1])
    assert publication.defined_anew(stored) == []
    ((name, update),) = stored.updates
    assert (name, update["description"]) == ("releases", Query.from_file("views/releases").prose)


def test_another_description_of_a_column_is_set_without_replacing_the_view(
    publication: Publication, stored: StoredDefinitions
) -> None:
    stored.descriptions["releases"]["days"] = ""
    assert publication.defined_anew(stored) == []
    ((name, update),) = stored.updates
    fields = {field["name"]: field["description"] for field in update["schema"]["fields"]}
    assert (name, fields["days"]) == ("releases", "number of source days in the release")


def test_every_table_view_and_column_is_described(publication: Publication) -> None:
    for name in sorted(WAREHOUSE_TABLES):
        table = stored_table(publication.warehouse, name)
        assert table.description == TABLES[name].prose
        assert [field.name for field in table.schema if not field.description] == []
    for view, statement in zip(Query.folder("views"), publication.definitions, strict=False):
        head = statement.partition(" AS\n")[0]
        described = re.findall(r"(\w+) OPTIONS \(description = '(?:\\.|[^'\\])+'\)[,)]", head)
        assert described == list(columns_of_view(view)), view.name
        assert head.endswith(f" OPTIONS (description = {quote(view.prose)})")


def test_a_changed_view_or_function_is_replaced_and_no_other(
    publication: Publication, stored: StoredDefinitions
) -> None:
    prose, sql = stored.views["source_health"]
    stored.views["source_health"] = (prose, sql.replace("'current'", "'published'"))
    stored.functions["what_changed"] = stored.functions["what_changed"].replace("before", "earlier")
    (statements,) = publication.defined_anew(stored)
    pattern = r"^CREATE OR REPLACE (?:VIEW|TABLE FUNCTION) `[^`]*\.(\w+)`"
    assert [re.findall(pattern, text)[0] for text in statements] == ["source_health", "what_changed"]


def test_an_analysts_query_has_labels_and_a_byte_limit(publication: Publication) -> None:
    publication.warehouse.query(Query("ask", "SELECT release_id FROM releases"))
    job = jobs_started(publication.emulator, "SELECT release_id FROM")[-1]["configuration"]
    assert (job["labels"]["verb"], int(job["query"]["maximumBytesBilled"]) > 0) == ("test", True)


def test_views_and_functions_are_in_the_data_set_for_them(
    bigquery_settings: Settings, emulator: Emulator, tmp_path: Path
) -> None:
    settings = bigquery_settings.model_copy(update={"views_dataset": "views_of_titler"})
    warehouse = BigQueryWarehouse(settings, "test")
    warehouse.jobs.client.create_dataset(f"{settings.project}.views_of_titler")
    publish(warehouse, Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(1)]))
    (statements,) = definitions(emulator)
    heads = [
        re.match(r"CREATE OR REPLACE (?:VIEW|TABLE FUNCTION) `[\w-]+\.(\w+)\.", text) for text in statements
    ]
    assert {head and head[1] for head in heads} == {"views_of_titler"}
    assert f"`{settings.project}.{settings.dataset}.title_predictions_v1`" in statements[0] + statements[-1]
    counted = warehouse.run_query(Query("issues", "SELECT COUNT(*) AS number FROM title_predictions"))
    assert counted.column("number").to_pylist() == [1]
