"""A training's run: figures, tables, pictures and files."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking import pictures
from pipeline.tracking.pictures import Epoch, Row, Validated

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Run:
    """A training's run, to be written to while it goes on."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client = client
        self.id = run_id

    def metrics(self, figures: Mapping[str, float], step: int = 0) -> None:
        """Numbers by name, at an epoch."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(
            self.id, metrics=[Metric(name, float(value), now, step) for name, value in figures.items()]
        )

    def epoch(self, figures: Epoch) -> None:
        """An epoch's figures as train/NAME, or what its group is, and validation/NAME: MLflow gives every group a section of its own.

        Validation comes first: what is logged first is what a comparison of runs shows first. How many issues an epoch saw
        does not change: it is a parameter of the run.
        """
        groups: dict[str, dict[str, float]] = {"validation": {}, figures.group: {}}
        for name, value in dataclasses.asdict(figures).items():
            if name not in ("epoch", "issues"):
                groups["validation" if name.startswith("validation_") else figures.group][
                    name.removeprefix("validation_")
                ] = value
        self.metrics(
            {f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()},
            figures.epoch,
        )

    def total(self, name: str) -> float:
        """The sum of a figure over its epochs: of one that was told twice, for the training was killed, the later."""
        return sum(
            {told.step: told.value for told in self._client.get_metric_history(self.id, name)}.values()
        )

    def dataset(self, name: str, digest: str, **profile: int) -> None:
        """What the run learned from, for the column Dataset of the list of runs; `profile` are its sizes."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        found = Dataset(
            name, digest[:8], "titler", json.dumps({"days": "days.json"}), profile=json.dumps(profile)
        )
        self._client.log_inputs(self.id, [DatasetInput(found, [InputTag("mlflow.data.context", "training")])])

    def loss_picture(self, history: Sequence[Validated]) -> None:
        """losses.png: every loss by epoch, the best epoch marked."""
        self._client.log_figure(self.id, pictures.losses(history), "losses.png")

    def confidence_picture(self, bins: Sequence[Row]) -> None:
        """confidence.png: what share of titles is alike their authors', by confidence; see `pictures.confidence`."""
        self._client.log_figure(self.id, pictures.confidence(bins), "confidence.png")

    def json(self, file: str, value: Row) -> None:
        """A JSON object as an artifact."""
        self._client.log_dict(self.id, dict(value), file)

    def table(self, file: str, rows: Sequence[Row]) -> None:
        """Rows of the same keys as one of MLflow's tables, `file`.json; one of the same name is replaced."""
        columns = list(rows[0]) if rows else []
        self._client.log_dict(
            self.id, {"columns": columns, "data": [[row[name] for name in columns] for row in rows]}, file
        )
        tables = json.loads(self._client.get_run(self.id).data.tags.get("mlflow.loggedArtifacts", "[]"))
        if (entry := {"path": file, "type": "table"}) not in tables:
            self._client.set_tag(self.id, "mlflow.loggedArtifacts", json.dumps([*tables, entry]))

    def artifacts(self, directory: Path, name: str) -> None:
        """A folder's files, under `name`."""
        self._client.log_artifacts(self.id, str(directory), name)
