"""One MLflow run: the metrics, tables, figures and files of a training, an ordering or a release.

An ordering is a set of learned weights for the probability that two issues are duplicates.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking import figures
from pipeline.tracking.figures import Epoch, Row, ValidatedEpoch

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Run:
    """An MLflow run. Metrics and files can be logged during the training and after its end."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client = client
        self.id = run_id

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Logs metrics: names with their values. `step` is the number of the epoch, or 0 for metrics of the
        whole run."""
        from mlflow.entities import Metric

        milliseconds = int(time.time() * 1000)
        self._client.log_batch(
            self.id,
            metrics=[Metric(name, float(value), milliseconds, step) for name, value in metrics.items()],
        )

    def log_epoch(self, epoch: Epoch) -> None:
        """Logs the measurements of an epoch as metrics. For example, `loss` becomes train/loss for the group
        `train`, and `validation_loss` becomes validation/loss.

        MLflow shows one section per group. Validation metrics are logged first, because MLflow lists metrics
        in the order of logging when it compares runs. The number of issues is not logged, because it is
        already a parameter of the run.
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
        """Returns the sum of the metric `name` over all epochs.

        A training that was killed and resumed may have logged an epoch twice. Then only the later value of
        the epoch counts.
        """
        by_epoch = {metric.step: metric.value for metric in self._client.get_metric_history(self.id, name)}
        return sum(by_epoch.values())

    def log_dataset(self, name: str, digest: str, **sizes: int) -> None:
        """Logs which data the model is trained on: the name of the data, sizes such as the number of issues,
        and the first 8 digits of `digest`, the SHA-256 of the data.

        MLflow shows these values in the column Dataset.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"days": "days.json"})
        dataset = Dataset(name, digest[:8], "titler", source, profile=json.dumps(sizes))
        self._client.log_inputs(
            self.id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
        )

    def log_loss_figure(self, history: Sequence[ValidatedEpoch]) -> None:
        """Logs the artifact losses.png: a curve of each loss over the epochs (see `figures.losses`)."""
        self._client.log_figure(self.id, figures.losses(history), "losses.png")

    def log_confidence_figure(self, bins: Sequence[Row]) -> None:
        """Logs the artifact confidence.png: how the quality of titles depends on the confidence (see
        `figures.confidence`)."""
        self._client.log_figure(self.id, figures.confidence(bins), "confidence.png")

    def log_reliability_figure(self, curve: Sequence[Row]) -> None:
        """Logs the artifact reliability.png: how the quality of titles depends on the probability that a
        predicted title is close to the author's title."""
        self._client.log_figure(self.id, figures.confidence(curve, "probability"), "reliability.png")

    def log_duplicates_figure(self, curve: Sequence[Row]) -> None:
        """Logs the artifact reliability.png: the share of pairs of issues that are marked as duplicates, for
        each range of the predicted probability (see `figures.duplicates`)."""
        self._client.log_figure(self.id, figures.duplicates(curve), "reliability.png")

    def log_json(self, file: str, value: Row) -> None:
        """Logs a JSON object as the artifact `file`."""
        self._client.log_dict(self.id, dict(value), file)

    def log_table(self, file: str, rows: Sequence[Row]) -> None:
        """Logs rows as the artifact `file`, which MLflow shows as a table. All rows must have the same keys.

        If there is an artifact of that name, it is replaced.
        """
        columns = list(rows[0]) if rows else []
        data = [[row[name] for name in columns] for row in rows]
        self._client.log_dict(self.id, {"columns": columns, "data": data}, file)
        tables = json.loads(self._client.get_run(self.id).data.tags.get("mlflow.loggedArtifacts", "[]"))
        if (entry := {"path": file, "type": "table"}) not in tables:
            self._client.set_tag(self.id, "mlflow.loggedArtifacts", json.dumps([*tables, entry]))

    def log_text(self, file: str, text: str) -> None:
        """Logs a text, such as an HTML page, as the artifact `file`. Replaces an artifact with the same
        name."""
        self._client.log_text(self.id, text, file)

    def table_files(self) -> list[str]:
        """Returns the names of the artifacts that `log_table` logged."""
        tables = json.loads(self._client.get_run(self.id).data.tags.get("mlflow.loggedArtifacts", "[]"))
        return [table["path"] for table in tables]

    def read_table(self, file: str) -> list[Row]:
        """Returns the rows that `log_table` logged as the artifact `file`."""
        with tempfile.TemporaryDirectory(prefix="titler-") as folder:
            table = json.loads(Path(self._client.download_artifacts(self.id, file, folder)).read_text())
        return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]

    def log_folder(self, directory: Path, name: str) -> None:
        """Logs the files of the folder `directory` as artifacts, in the artifact folder `name`."""
        self._client.log_artifacts(self.id, str(directory), name)
