"""What OpenLineage is told of a task: the datasets that its `titler` read and wrote, by titler's own account.

Without the provider, or with no transport in `[openlineage]`, titler is not asked and nobody is told: docs/lineage.md.
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

FILE = "TITLER_LINEAGE__FILE"


def wanted() -> bool:
    """Whether the provider is installed and has someone to tell."""
    try:
        from airflow.providers.openlineage.conf import is_disabled
    except ImportError:
        return False
    return not is_disabled()


class BashOperatorWithLineage(BashOperator):
    """A BashOperator whose command writes what it read and wrote into the file that FILE names, for OpenLineage's events."""

    account = b""

    def execute(self, context: Context) -> Any:
        if not wanted():
            return super().execute(context)
        with tempfile.TemporaryDirectory(prefix="titler-") as folder:
            file = Path(folder, "lineage.json")
            self.env = {**(self.env or {}), FILE: str(file)}
            try:
                return super().execute(context)
            finally:
                self.account = file.read_bytes() if file.exists() else b""

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any]:
        """What the provider asks for when the task has ended, well or not. Raises ValueError for an account that was left unfinished."""
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.event_v2 import InputDataset, OutputDataset
        from openlineage.client.facet_v2 import base_subset_dataset as subset
        from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

        account: dict[str, list[dict[str, Any]]] = json.loads(
            self.account or b'{"inputs": [], "outputs": []}'
        )
        inputs, outputs = [], []
        for told in account["inputs"]:
            part = condition(told)
            of_input: dict[str, Any] = {"subset": subset.InputSubsetInputDatasetFacet(part)} if part else {}
            inputs.append(
                InputDataset(told["namespace"], told["name"], facets=facets(told), inputFacets=of_input)
            )
        for told in account["outputs"]:
            of_output: dict[str, Any] = {}
            if part := condition(told):
                of_output["subset"] = subset.OutputSubsetOutputDatasetFacet(part)
            if "statistics" in told:
                of_output["outputStatistics"] = statistics.OutputStatisticsOutputDatasetFacet(
                    **told["statistics"]
                )
            outputs.append(
                OutputDataset(told["namespace"], told["name"], facets=facets(told), outputFacets=of_output)
            )
        return OperatorLineage(inputs=inputs, outputs=outputs)


def facets(told: dict[str, Any]) -> dict[str, DatasetFacet]:
    """What is the same of a dataset wherever it is read or written."""
    from openlineage.client.facet_v2 import dataset_version_dataset, documentation_dataset, schema_dataset

    found: dict[str, DatasetFacet] = {}
    if "version" in told:
        found["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(told["version"])
    if "description" in told:
        found["documentation"] = documentation_dataset.DocumentationDatasetFacet(told["description"])
    if "schema" in told:
        fields = [schema_dataset.SchemaDatasetFacetFields(**column) for column in told["schema"]]
        found["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields)
    return found


def condition(told: dict[str, Any]) -> BaseSubsetCondition | None:
    """Which part of a dataset it was: partitions, files, or columns between two values; None for all of it."""
    from openlineage.client.facet_v2 import base_subset_dataset as subset

    if "partitions" in told:
        return subset.PartitionSubsetCondition([subset.Partition(**part) for part in told["partitions"]])
    if "locations" in told:
        return subset.LocationSubsetCondition(told["locations"])
    found: BaseSubsetCondition | None = None
    for column, (least, greatest) in told.get("between", {}).items():
        sides = (
            {"EQUAL": least}
            if least == greatest
            else {"GREATER_EQUAL_THAN": least, "LESS_EQUAL_THAN": greatest}
        )
        for comparison, value in sides.items():
            field, literal = subset.FieldBaseCompareExpression(column), subset.LiteralCompareExpression(value)
            compared = subset.CompareSubsetCondition(field, literal, comparison)
            found = subset.BinarySubsetCondition(found, compared, "AND") if found else compared
    return found
