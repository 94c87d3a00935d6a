"""Reports to OpenLineage which datasets a task read and wrote. The task's `titler` command lists them.

Reports nothing if Airflow's OpenLineage provider is not installed, or if it has no transport (where to
send events) in the section [openlineage] of Airflow's configuration. See docs/lineage.md.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Context

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.facet_v2 import DatasetFacet
    from openlineage.client.generated.base_subset_dataset import BaseSubsetCondition

LINEAGE_FILE_VARIABLE = "TITLER_LINEAGE__FILE"


def lineage_enabled() -> bool:
    """Returns whether Airflow's OpenLineage provider is installed and has a transport to send events."""
    try:
        from airflow.providers.openlineage.conf import is_disabled
    except ImportError:
        return False
    return not is_disabled()


class BashOperatorWithLineage(BashOperator):
    """A BashOperator whose command writes a JSON file. The file lists the datasets that the command read and
    wrote.

    The command gets the path of the file from the environment variable TITLER_LINEAGE__FILE.
    """

    lineage_json = b""

    def execute(self, context: Context) -> Any:
        if not lineage_enabled():
            return super().execute(context)
        with tempfile.TemporaryDirectory(prefix="titler-") as folder:
            file = Path(folder, "lineage.json")
            self.env = {**(self.env or {}), LINEAGE_FILE_VARIABLE: str(file)}
            try:
                return super().execute(context)
            finally:
                self.lineage_json = file.read_bytes() if file.exists() else b""

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any]:
        """Returns the datasets that the task read and wrote, as objects of OpenLineage.

        The OpenLineage provider calls this method when the task has ended, successfully or not. Raises
        ValueError if the command's JSON file is incomplete.
        """
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.event_v2 import InputDataset, OutputDataset
        from openlineage.client.facet_v2 import base_subset_dataset as subset
        from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

        datasets: dict[str, list[dict[str, Any]]] = json.loads(
            self.lineage_json or b'{"inputs": [], "outputs": []}'
        )
        inputs, outputs = [], []
        for dataset in datasets["inputs"]:
            condition = subset_condition(dataset)
            input_facets: dict[str, Any] = (
                {"subset": subset.InputSubsetInputDatasetFacet(condition)} if condition else {}
            )
            inputs.append(
                InputDataset(
                    dataset["namespace"],
                    dataset["name"],
                    facets=dataset_facets(dataset),
                    inputFacets=input_facets,
                )
            )
        for dataset in datasets["outputs"]:
            output_facets: dict[str, Any] = {}
            if condition := subset_condition(dataset):
                output_facets["subset"] = subset.OutputSubsetOutputDatasetFacet(condition)
            if "statistics" in dataset:
                output_facets["outputStatistics"] = statistics.OutputStatisticsOutputDatasetFacet(
                    **dataset["statistics"]
                )
            outputs.append(
                OutputDataset(
                    dataset["namespace"],
                    dataset["name"],
                    facets=dataset_facets(dataset),
                    outputFacets=output_facets,
                )
            )
        return OperatorLineage(inputs=inputs, outputs=outputs)


def dataset_facets(dataset: dict[str, Any]) -> dict[str, DatasetFacet]:
    """Returns the OpenLineage facets (properties) that a dataset has as an input and as an output: its
    version, its documentation and its schema."""
    from openlineage.client.facet_v2 import dataset_version_dataset, documentation_dataset, schema_dataset

    facets: dict[str, DatasetFacet] = {}
    if "version" in dataset:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(dataset["version"])
    if "description" in dataset:
        facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(dataset["description"])
    if "schema" in dataset:
        fields = [schema_dataset.SchemaDatasetFacetFields(**column) for column in dataset["schema"]]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields)
    return facets


def subset_condition(dataset: dict[str, Any]) -> BaseSubsetCondition | None:
    """Returns OpenLineage's description of the subset of a dataset that was read or written.

    The subset is a list of partitions, a list of files, or a range of values per column. Returns None if the
    whole dataset was read or written.
    """
    from openlineage.client.facet_v2 import base_subset_dataset as subset

    if "partitions" in dataset:
        partitions = [subset.Partition(**partition) for partition in dataset["partitions"]]
        return subset.PartitionSubsetCondition(partitions)
    if "locations" in dataset:
        return subset.LocationSubsetCondition(dataset["locations"])
    condition: BaseSubsetCondition | None = None
    for column, (lowest, highest) in dataset.get("between", {}).items():
        comparisons = (
            {"EQUAL": lowest}
            if lowest == highest
            else {"GREATER_EQUAL_THAN": lowest, "LESS_EQUAL_THAN": highest}
        )
        for comparison, value in comparisons.items():
            field, literal = subset.FieldBaseCompareExpression(column), subset.LiteralCompareExpression(value)
            compared = subset.CompareSubsetCondition(field, literal, comparison)
            condition = subset.BinarySubsetCondition(condition, compared, "AND") if condition else compared
    return condition
