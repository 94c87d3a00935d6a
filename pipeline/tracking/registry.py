"""Trainings' runs, the registered model's versions, and its aliases."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stderr
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import LakeError, UsageError
from pipeline.tracking.card import EXPERIMENT_TAGS, MODEL_NOTE, MODEL_TAG, NOTE_TAG, card
from pipeline.tracking.faults import check_listening, of_mlflow
from pipeline.tracking.pictures import Row
from pipeline.tracking.run import Run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from pipeline.lake.batches import Lake
    from pipeline.settings import Settings

CHAMPION = "champion"
PREVIOUS = "previous"
VARIANT_TAG = "titler.variant"
BECAUSE_TAG = "titler.promoted_because"
BACKENDS = ("tensorflow-cpu", "tensorflow", "jax", "torch")
REQUIREMENTS = (
    "mlflow",
    "numpy",
    "pandas",
    "tokenizers",
    "keras",
    *BACKENDS,
    "ftfy",
    "unidecode",
    "more-itertools",
)
"""What the registered model needs of what is installed here. Its own code travels with it.

The last three are for text.engine = ktext. ktext and textacy themselves are left out: ktext 0.40 pins keras 2.2.4, and
textacy 0.6.2 ftfy below 5 and numpy below 2, so pip finds no versions that go together. A model of that engine therefore
loads only where Titler's own lock is installed, which sets those pins aside.
"""


@dataclasses.dataclass(frozen=True)
class Version:
    """A registered version: the model's name in the lake, its number in the registry, the run that trained it."""

    model: str
    version: str
    run_id: str
    variant: str


class Tracking:
    """One experiment and one registered model of an MLflow server, or of its SQLite file.

    `artifacts` is where a new experiment keeps its files: a folder, or an address such as gs://bucket/mlflow.
    """

    def __init__(self, uri: str, experiment: str, model_name: str, artifacts: str) -> None:
        self.uri = uri
        self.experiment = experiment
        self.model_name = model_name
        self._artifacts = artifacts if "://" in artifacts else Path(artifacts).absolute().as_uri()

    @contextmanager
    def training_run(self, name: str, parameters: Row, tags: Mapping[str, str]) -> Iterator[Run]:
        """The run of the model called `name`; it ends as finished, or as failed with whatever was raised.

        One of that name with the same parameters goes on, so a killed training stays one run.
        """
        from mlflow.entities import Param, RunTag

        wanted = {key: str(value) for key, value in parameters.items()}
        experiment = self._experiment_id()
        for found in self._client.search_runs([experiment], f"tags.`{MODEL_TAG}` = '{name}'"):
            if (
                found.data.params.items() <= wanted.items()
            ):  # fewer where it was killed before it had told them all
                run_id = found.info.run_id
                self._client.update_run(run_id, status="RUNNING")
                break
        else:
            source = {"mlflow.source.name": f"titler train {name}", "mlflow.source.type": "LOCAL"}
            run_id = self._client.create_run(
                experiment, run_name=name, tags={MODEL_TAG: name, **source}
            ).info.run_id
        told = [Param(key, value) for key, value in wanted.items()]
        self._client.log_batch(run_id, params=told, tags=[RunTag(key, value) for key, value in tags.items()])
        try:
            yield Run(self._client, run_id)
        except BaseException as error:
            self._client.set_terminated(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        self._client.set_terminated(run_id, "FINISHED")

    def register(self, run_id: str, directory: Path, model: str) -> str:
        """Registers a predictor's folder as the run's model, as code (`pipeline/predictor/mlflow_model.py`) with files; its version.

        A run has one version: asked again, that one is given.
        """
        for found in self._versions(f"run_id = '{run_id}'"):
            return str(found.version)
        import mlflow
        import pandas as pd
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, DataType, Schema
        from mlflow.types.schema import Array

        package = Path(__file__).parents[1]
        inputs = Schema([ColSpec(DataType.string)])  # without a name: takes a list as well as a column
        outputs = Schema(
            [
                ColSpec(DataType.string, "title"),
                ColSpec(DataType.double, "confidence"),
                ColSpec(DataType.boolean, "abstained"),
                ColSpec(Array(DataType.float), "embedding"),
            ]
        )
        mlflow.set_tracking_uri(self.uri)
        with mlflow.start_run(run_id=run_id) as run:
            logged = mlflow.pyfunc.log_model(
                name="predictor",
                python_model=str(package / "predictor" / "mlflow_model.py"),
                artifacts={"predictor": str(directory)},
                code_paths=[str(package)],
                signature=ModelSignature(inputs, outputs),
                input_example=pd.DataFrame({"body": ["The window closes when I press Enter twice."]}),
                pip_requirements=_requirements(),
            )
        tags = {MODEL_TAG: model, VARIANT_TAG: run.data.params.get("variant", "")}
        with redirect_stderr(StringIO()):  # it tells of its success there
            version = str(mlflow.register_model(logged.model_uri, self.model_name, tags=tags).version)
        if not self._client.get_registered_model(self.model_name).description:
            note = MODEL_NOTE.replace("ADDRESS", self.uri).replace("NAME", self.model_name)
            self._client.update_registered_model(self.model_name, note)
        self.describe(run_id)
        return version

    def describe(self, run_id: str) -> None:
        """Writes the model's card, made of what the run holds by now, as the description of the run and of its version."""
        written = card(self._client.get_run(run_id).data)
        self._client.set_tag(run_id, NOTE_TAG, written)
        for version in self._versions(f"run_id = '{run_id}'"):
            self._client.update_model_version(self.model_name, version.version, written)

    def version_of(self, model: str) -> Version | None:
        """The newest registered version of a model; None where it has none."""
        found = self._versions(f"tag.`{MODEL_TAG}` = '{model}'")
        return _version(max(found, key=lambda version: int(version.version))) if found else None

    def champion(self) -> Version | None:
        """The model that the nights use; None before the first promotion."""
        return self._by_alias(CHAMPION)

    def aliased(self) -> list[Version]:
        """The champion and its predecessor, as far as there are any."""
        return [version for alias in (CHAMPION, PREVIOUS) if (version := self._by_alias(alias)) is not None]

    def promote(self, model: str, because: str = "") -> str:
        """Makes a model's newest version the champion, and the former champion `previous`; gives that version.

        `because` is kept with the version. The champion itself stays as it is. Raises UsageError for a model without a version.
        """
        version = self.version_of(model)
        if version is None:
            raise UsageError(
                f"{model} has no version of {self.model_name!r} in MLflow at {self.uri}.",
                f"Train it:  titler train {model}",
            )
        champion = self.champion()
        if champion is not None and champion.version == version.version:
            return version.version
        if because:
            self._client.set_model_version_tag(self.model_name, version.version, BECAUSE_TAG, because)
        if champion is not None:
            self._client.set_registered_model_alias(self.model_name, PREVIOUS, champion.version)
        self._client.set_registered_model_alias(self.model_name, CHAMPION, version.version)
        return version.version

    def run(self, run_id: str) -> Run:
        """A run to add to, finished or not."""
        return Run(self._client, run_id)

    def log_metrics(self, run_id: str, figures: Mapping[str, float]) -> None:
        """Adds figures to a run, finished or not."""
        self.run(run_id).metrics(figures)

    def log_table(self, run_id: str, rows: Sequence[Row], file: str) -> None:
        """Adds a table to a run, finished or not."""
        self.run(run_id).table(file, rows)

    @cached_property
    def _client(self) -> MlflowClient:
        """Raises TitlerError where MLflow is not to be had: see `faults.of_mlflow`."""
        from mlflow import MlflowClient

        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.CRITICAL)  # it logs the traceback of what it raises
        try:
            check_listening(self.uri)
            if self.uri.startswith("sqlite:///"):
                _open_sqlite(Path(self.uri.removeprefix("sqlite:///")))
            client = MlflowClient(self.uri, self.uri)
            client.get_experiment_by_name(self.experiment)
        except Exception as error:  # MlflowException, or whatever the database or the connection raises
            raise of_mlflow(f"MLflow at {self.uri}", error) from error
        return client

    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self.experiment)
        if found is None:
            return str(self._client.create_experiment(self.experiment, self._artifacts, tags=EXPERIMENT_TAGS))
        if found.lifecycle_stage != "active":
            raise LakeError(
                f"MLflow's experiment {self.experiment!r} was deleted.",
                "Name another one:  TITLER_TRACKING__EXPERIMENT=titler2",
            )
        for key, value in EXPERIMENT_TAGS.items():  # one that was made in MLflow, or by an earlier Titler
            if key not in found.tags:
                self._client.set_experiment_tag(found.experiment_id, key, value)
        return str(found.experiment_id)

    def _by_alias(self, alias: str) -> Version | None:
        client = self._client
        from mlflow.exceptions import MlflowException

        try:
            return _version(client.get_model_version_by_alias(self.model_name, alias))
        except MlflowException as error:
            if error.error_code in (
                "RESOURCE_DOES_NOT_EXIST",
                "INVALID_PARAMETER_VALUE",
            ):  # no such model; no such alias
                return None
            raise

    def _versions(self, which: str) -> list[ModelVersion]:
        return list(self._client.search_model_versions(f"name = '{self.model_name}' and {which}"))


def open_tracking(settings: Settings, lake: Lake) -> Tracking:
    """The experiment and the registered model that `settings.tracking` names. New artifacts go to `mlflow` in the lake.

    Nothing is contacted before the first call. Raises UsageError if tracking.uri is needed: see `Settings.tracking_uri`.
    """
    names = settings.tracking
    return Tracking(settings.tracking_uri, names.experiment, names.model_name, lake.path("mlflow"))


def _version(found: ModelVersion) -> Version:
    return Version(found.tags[MODEL_TAG], str(found.version), str(found.run_id), found.tags[VARIANT_TAG])


def _open_sqlite(path: Path) -> None:
    """Fails at once where MLflow would try again for minutes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA schema_version")


def _requirements() -> list[str]:
    requirements = []
    for name in REQUIREMENTS:
        try:
            requirements.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return requirements
