"""One MLflow run, the record of one training: metrics, tables, figures and files."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking import figures
from pipeline.tracking.figures import Epoch, Row, ValidatedEpoch

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Run:
    """An MLflow run. It can be written to while the training runs and after it has finished."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client = client
        self.id = run_id

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Logs numbers by name. `step` is the epoch, 0 for numbers of the whole run."""
        from mlflow.entities import Metric

        milliseconds = int(time.time() * 1000)
        self._client.log_batch(
            self.id,
            metrics=[Metric(name, float(value), milliseconds, step) for name, value in metrics.items()],
        )

    def log_epoch(self, epoch: Epoch) -> None:
        """Logs an epoch's numbers as GROUP/NAME, or as validation/NAME if their name starts with
        `validation_`.

        MLflow shows one section per group. Validation is logged first because a comparison of runs shows
        first what was logged first. The number of issues is left out: it is the same in every epoch, and a
        parameter.
        """
        groups: dict[str, dict[str, float]] = {"validation": {}, epoch.group: {}}
        for name, value in dataclasses.asdict(epoch).items():
            if name not in ("epoch", "issues"):
                group = "validation" if name.startswith("validation_") else epoch.group
                groups[group][name.removeprefix("validation_")] = value
        self.log_metrics(
            {f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()},
            epoch.epoch,
        )

    def sum_over_epochs(self, name: str) -> float:
        """The sum of a metric over the epochs.

        An epoch that was logged twice, because the training was killed and resumed, counts once, with its
        later value.
        """
        by_epoch = {metric.step: metric.value for metric in self._client.get_metric_history(self.id, name)}
        return sum(by_epoch.values())

    def log_dataset(self, name: str, digest: str, **sizes: int) -> None:
        """Logs the training data, for the column Dataset of MLflow's list of runs."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"days": "days.json"})
        dataset = Dataset(name, digest[:8], "titler", source, profile=json.dumps(sizes))
        self._client.log_inputs(
            self.id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
        )

    def log_loss_figure(self, history: Sequence[ValidatedEpoch]) -> None:
        """Writes losses.png: every loss by epoch, with the best epoch marked."""
        self._client.log_figure(self.id, figures.losses(history), "losses.png")

    def log_confidence_figure(self, bins: Sequence[Row]) -> None:
        """Writes confidence.png: how good titles are, by confidence; see `figures.confidence`."""
        self._client.log_figure(self.id, figures.confidence(bins), "confidence.png")

    def log_json(self, file: str, value: Row) -> None:
        """Writes a JSON object as an artifact."""
        self._client.log_dict(self.id, dict(value), file)

    def log_table(self, file: str, rows: Sequence[Row]) -> None:
        """Writes rows with the same keys as one of MLflow's tables, artifact `file`. Replaces a table of that
        name."""
        columns = list(rows[0]) if rows else []
        data = [[row[name] for name in columns] for row in rows]
        self._client.log_dict(self.id, {"columns": columns, "data": data}, file)
        tables = json.loads(self._client.get_run(self.id).data.tags.get("mlflow.loggedArtifacts", "[]"))
        if (entry := {"path": file, "type": "table"}) not in tables:
            self._client.set_tag(self.id, "mlflow.loggedArtifacts", json.dumps([*tables, entry]))

    def log_folder(self, directory: Path, name: str) -> None:
        """Copies a folder's files into the artifact folder `name`."""
        self._client.log_artifacts(self.id, str(directory), name)
