"""What OpenLineage is told of a task, by the provider's own code: what the task's command wrote down, and
nothing unless someone listens.

The three DAGs' own events are in tests/infra/test_compose.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

TRANSPORT = "AIRFLOW__OPENLINEAGE__TRANSPORT"
ISSUES = {
    "namespace": "gs://bucket",
    "name": "lake/issues_v1",
    "version": "90e6779a0f1e",
    "description": "An issue as it was opened.",
    "schema": [{"name": "issue_id", "type": "int64", "description": "its identity"}],
    "partitions": [{"dimensions": {"day": "2015-01-01"}, "identifier": "90e6779a0f1e"}],
}
HOURS = {
    "namespace": "https://data.gharchive.org",
    "name": "2015-01-01",
    "locations": ["2015-01-01-0.json.gz"],
}


def told(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], code: int = 0) -> tuple[Any, Any]:
    """What the provider takes for inputs and outputs of a task whose command writes these down and ends
    with `code`."""
    from airflow.providers.openlineage.extractors.base import DefaultExtractor

    from _titler_task import TitlerOperator

    account = json.dumps({"inputs": inputs, "outputs": outputs})
    stage = TitlerOperator(
        task_id="a", bash_command='cat > "$TITLER_LINEAGE__FILE" <<< "$ACCOUNT"; exit $CODE', append_env=True
    )
    stage.env = {"ACCOUNT": account, "CODE": str(code)}
    if code:
        with pytest.raises(AirflowFailException):
            stage.execute({})
        lineage = DefaultExtractor(stage).extract_on_failure(None)
    else:
        stage.execute({})
        lineage = DefaultExtractor(stage).extract_on_complete(None)
    assert lineage is not None
    return lineage.inputs, lineage.outputs


@pytest.fixture
def _listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRANSPORT, '{"type": "console"}')


@pytest.mark.usefixtures("_listened_to")
def test_a_dataset_has_its_name_its_batch_its_columns_and_its_partitions() -> None:
    ((issues,), _) = told([ISSUES], [])
    assert (issues.namespace, issues.name) == ("gs://bucket", "lake/issues_v1")
    assert issues.facets["version"].datasetVersion == "90e6779a0f1e"
    assert issues.facets["documentation"].description == "An issue as it was opened."
    (column,) = issues.facets["schema"].fields
    assert (column.name, column.type, column.description) == ("issue_id", "int64", "its identity")
    (partition,) = issues.inputFacets["subset"].inputCondition.partitions
    assert (partition.dimensions, partition.identifier) == ({"day": "2015-01-01"}, "90e6779a0f1e")


@pytest.mark.usefixtures("_listened_to")
def test_an_output_has_what_there_is_of_it() -> None:
    (_, (issues,)) = told([], [{**ISSUES, "statistics": {"rowCount": 120, "size": 30144, "fileCount": 1}}])
    counted = issues.outputFacets["outputStatistics"]
    assert (counted.rowCount, counted.size, counted.fileCount) == (120, 30144, 1)
    assert issues.outputFacets["subset"].outputCondition.type == "partition"


@pytest.mark.usefixtures("_listened_to")
def test_a_source_day_has_its_hour_files() -> None:
    ((day,), _) = told([HOURS], [])
    assert day.inputFacets["subset"].inputCondition.locations == ["2015-01-01-0.json.gz"]
    assert day.facets == {}


@pytest.mark.usefixtures("_listened_to")
def test_many_partitions_are_a_condition_on_their_columns() -> None:
    (_, (titles,)) = told(
        [],
        [
            {
                "namespace": "file",
                "name": "/t",
                "between": {"model": ["m", "m"], "day": ["2015-01-01", "2023-03-19"]},
            }
        ],
    )

    def written(condition: Any) -> str:
        if condition.type == "binary":
            return f"{written(condition.left)} {condition.operator} {written(condition.right)}"
        return f"{condition.left.field} {condition.comparison} {condition.right.value}"

    assert written(titles.outputFacets["subset"].outputCondition) == (
        "model EQUAL m AND day GREATER_EQUAL_THAN 2015-01-01 AND day LESS_EQUAL_THAN 2023-03-19"
    )


@pytest.mark.usefixtures("_listened_to")
def test_a_task_that_failed_names_what_it_was_to_read() -> None:
    ((issues,), outputs) = told([ISSUES], [], code=3)
    assert (issues.name, outputs) == ("lake/issues_v1", [])


@pytest.mark.usefixtures("_listened_to")
def test_a_command_that_tells_nothing_has_no_datasets() -> None:
    from _titler_task import TitlerOperator

    stage = TitlerOperator(task_id="a", bash_command="true")
    stage.execute({})
    lineage = stage.get_openlineage_facets_on_complete(None)
    assert (lineage.inputs, lineage.outputs) == ([], [])


@pytest.mark.usefixtures("_listened_to")
def test_an_account_that_was_left_unfinished_changes_nothing_about_the_task() -> None:
    from airflow.providers.openlineage.extractors.base import DefaultExtractor

    from _titler_task import TitlerOperator

    stage = TitlerOperator(task_id="a", bash_command='printf "{" > "$TITLER_LINEAGE__FILE"; exit 3')
    with pytest.raises(AirflowFailException, match="exit code 3"):
        stage.execute({})
    assert DefaultExtractor(stage).extract_on_failure(None) is None


@pytest.mark.parametrize("provider", ["without the provider", "without a transport"])
def test_a_command_is_asked_for_nothing_where_nobody_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    from _titler_task import TitlerOperator

    if provider == "without the provider":
        monkeypatch.setenv(TRANSPORT, '{"type": "console"}')
        monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.conf", None)
    TitlerOperator(
        task_id="a", bash_command=f'echo "${{TITLER_LINEAGE__FILE-not asked}}" > {tmp_path}/asked'
    ).execute({})
    assert (tmp_path / "asked").read_text() == "not asked\n"


@pytest.mark.parametrize("dag_id", ["titler_ingest", "titler_train", "titler_refresh"])
def test_every_task_has_an_account_to_give(airflow_dags: Any, dag_id: str) -> None:
    from airflow.providers.openlineage.extractors.base import DefaultExtractor
    from airflow.providers.openlineage.extractors.manager import ExtractorManager

    tasks = airflow_dags[dag_id].tasks
    assert [ExtractorManager().get_extractor_class(task) for task in tasks] == [DefaultExtractor] * len(tasks)
