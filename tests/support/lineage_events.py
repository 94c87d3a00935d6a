"""OpenLineage's events of Airflow's tasks, in the file that its file transport writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LineageEvents:
    """The events in `file`. `short_names` replaces the beginning of an address `NAMESPACE NAME`."""

    file: Path
    short_names: Mapping[str, str]

    def of_kind(self, kind: str) -> dict[str, dict[str, Any]]:
        """The events of a kind, such as COMPLETE, by task, such as titler_ingest.extract; oldest first."""
        lines = self.file.read_text().splitlines(keepends=True) if self.file.exists() else []
        events = [json.loads(line) for line in lines if line.endswith("\n")]  # the last one may be incomplete
        return {
            event["job"]["name"]: event
            for event in sorted(events, key=lambda event: str(event["eventTime"]))
            if event["eventType"] == kind and "." in event["job"]["name"]  # a name without it is a DAG's
        }

    def name(self, dataset: Mapping[str, Any]) -> str:
        """A dataset's namespace and name, with the beginning replaced as `short_names` says."""
        full_name = f"{dataset['namespace']} {dataset['name']}"
        for beginning, short_name in self.short_names.items():
            if full_name.startswith(beginning):
                return short_name + full_name.removeprefix(beginning)
        return full_name

    def steps(self) -> set[tuple[str, str]]:
        """Each pair of a dataset that a task has read and a dataset that the same task has written."""
        return {
            (self.name(read), self.name(written))
            for event in self.of_kind("COMPLETE").values()
            for read in event["inputs"]
            for written in event["outputs"]
        }


def batches(datasets: Sequence[Mapping[str, Any]], namespace: str) -> set[str]:
    """The batches of the datasets in a namespace, which are one side of an event."""
    identifiers = set()
    for dataset in datasets:
        if dataset["namespace"] == namespace:
            subset = (dataset.get("inputFacets") or dataset["outputFacets"])["subset"]
            condition = subset.get("inputCondition") or subset["outputCondition"]
            identifiers |= {partition["identifier"] for partition in condition["partitions"]}
    return identifiers
