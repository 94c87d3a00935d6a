"""Access to MLflow: the experiment with its runs, and the registered model with its versions and aliases."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import LakeError, UsageError
from pipeline.tracking.card import ACCEPTED_TAG, MODEL_TAG, WITHHELD_TAG, card, model_note
from pipeline.tracking.experiments import NOTE_TAG, RELEASES_SUFFIX, RELEASES_TAGS, TRAININGS_TAGS
from pipeline.tracking.figures import Row
from pipeline.tracking.mlflow_errors import check_listening, explain
from pipeline.tracking.requirements import requirements
from pipeline.tracking.run import Run
from pipeline.tracking.sqlite_aliases import aliased_version, open_sqlite

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from pipeline.lake.batches import Lake
    from pipeline.settings import Settings

SQLITE = "sqlite:///"
CHAMPION = "champion"
PREVIOUS = "previous"
VARIANT_TAG = "titler.variant"
BECAUSE_TAG = "titler.promoted_because"
ORDERING_TAG = "titler.ordering"
RELEASE_TAG = "titler.release"
TEACHER_USED = "teacher_used"
"""The parameter of a run that says whether a model also learned from the titles of a teacher."""


@dataclasses.dataclass(frozen=True)
class Version:
    """A version of the registered model in MLflow.

    `version` is the version's number. `model` is the name of the trained model in the lake. `run_id` is the
    id of the training's run in MLflow. `variant` is the variant of the network.
    """

    model: str
    version: str
    run_id: str
    variant: str


class Tracking:
    """One experiment and one registered model, on an MLflow server or in a SQLite file.

    A new experiment stores its files in `artifacts`: a folder, or an address such as gs://bucket/mlflow. The
    constructor does not contact MLflow; the first method call does.
    """

    def __init__(self, uri: str, experiment: str, model_name: str, artifacts: str) -> None:
        self.uri = uri
        self.experiment = experiment
        self.model_name = model_name
        self._artifacts = artifacts if "://" in artifacts else Path(artifacts).absolute().as_uri()

    @contextmanager
    def training_run(self, name: str, parameters: Row, tags: Mapping[str, str]) -> Iterator[Run]:
        """Yields the MLflow run of the model `name`. Use it in a `with` statement around the training.

        If the model already has a run of the same training, continues this run. So a training that was
        killed and restarted has only one run. The run's final status is FAILED after an exception, KILLED
        after an interrupt, and otherwise FINISHED.
        """
        from mlflow.entities import Param, RunTag

        values = {key: str(value) for key, value in parameters.items()}
        run_id = self._resume_run(name, values) or self._create_run(name)
        self._client.log_batch(
            run_id,
            params=[Param(key, value) for key, value in values.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        with self._terminated(run_id):
            yield Run(self._client, run_id)

    @contextmanager
    def ordering_run(self, version: str, parameters: Row) -> Iterator[Run]:
        """Yields a new MLflow run for an ordering: learned weights for the probability that issues are
        duplicates.

        Use it in a `with` statement. `version` is the ordering's version. The final status of the run is
        explained at `training_run`.
        """
        from mlflow.entities import Param

        tags = {ORDERING_TAG: version, **_source("titler learn-ordering")}
        run = self._client.create_run(self._experiment_id(), run_name=f"ordering {version}", tags=tags)
        run_id = str(run.info.run_id)
        self._client.log_batch(run_id, params=[Param(key, str(value)) for key, value in parameters.items()])
        with self._terminated(run_id):
            yield Run(self._client, run_id)

    @contextmanager
    def release_run(self, release: str, parameters: Row, description: str) -> Iterator[Run]:
        """Yields the MLflow run of a release. Use it in a `with` statement.

        The runs of releases have their own experiment. If the release already has a run, continues that run.
        The final status of the run is explained at `training_run`.
        """
        from mlflow.entities import Param, RunTag

        experiment = self._experiment_id(self.experiment + RELEASES_SUFFIX, RELEASES_TAGS)
        tags = {RELEASE_TAG: release, **_source(f"titler publish --release {release}")}
        runs = self._client.search_runs([experiment], f"tags.`{RELEASE_TAG}` = '{release}'", max_results=1)
        run = runs[0] if runs else self._client.create_run(experiment, run_name=release, tags=tags)
        run_id = str(run.info.run_id)
        params = [Param(key, str(value)) for key, value in parameters.items()]
        self._client.log_batch(run_id, params=params, tags=[RunTag(NOTE_TAG, description)])
        with self._terminated(run_id):
            yield Run(self._client, run_id)

    @contextmanager
    def _terminated(self, run_id: str) -> Iterator[None]:
        """Sets the final status of a run when the `with` statement ends."""
        try:
            yield
        except BaseException as error:
            self._client.set_terminated(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        self._client.set_terminated(run_id, "FINISHED")

    def _resume_run(self, name: str, parameters: Mapping[str, str]) -> str | None:
        """Finds an earlier run of the model `name`, and sets its status to RUNNING. Returns the run's id, or
        None if no run fits.

        A run fits if it belongs to a training with these `parameters`: see `_is_same_training`.
        """
        for run in self._client.search_runs([self._experiment_id()], f"tags.`{MODEL_TAG}` = '{name}'"):
            if _is_same_training(run.data.params, parameters):
                self._client.update_run(run.info.run_id, status="RUNNING")
                return str(run.info.run_id)
        return None

    def _create_run(self, name: str) -> str:
        tags = {MODEL_TAG: name, **_source(f"titler train {name}")}
        run = self._client.create_run(self._experiment_id(), run_name=name, tags=tags)
        return str(run.info.run_id)

    def register(self, run_id: str, directory: Path, model: str) -> str:
        """Registers the trained model in the folder `directory` as a new version in MLflow. Returns the
        version's number.

        MLflow stores the model's files together with its code (`pipeline/predictor/mlflow_model.py`), not as
        a Python pickle. If the run of the training already has a version, registers nothing and returns the
        number of that version.
        """
        for version in self._versions(f"run_id = '{run_id}'"):
            return str(version.version)
        number = self._log_and_register(run_id, directory, model)
        if not self._client.get_registered_model(self.model_name).description:
            self._client.update_registered_model(self.model_name, model_note(self.uri, self.model_name))
        self.write_card(run_id)
        return number

    def _log_and_register(self, run_id: str, directory: Path, model: str) -> str:
        import mlflow
        import pandas as pd
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, DataType, Schema
        from mlflow.types.schema import AnyType, Array

        package = Path(__file__).parents[1]
        # No name, so that a list is accepted, too. With the type string, MLflow would turn null into the word
        # "None" and numbers into words. The model itself checks the type.
        inputs = Schema([ColSpec(AnyType())])
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
                pip_requirements=requirements(run.data.params.get("variant", "")),
            )
        tags = {MODEL_TAG: model, VARIANT_TAG: run.data.params.get("variant", "")}
        with redirect_stderr(StringIO()):  # MLflow reports success on standard error
            return str(mlflow.register_model(logged.model_uri, self.model_name, tags=tags).version)

    def write_card(self, run_id: str) -> None:
        """Writes a model's card (its description) to the MLflow run, and to the model version of the run, if
        there is one.

        The card (see `tracking.card`) is made from what the run has logged so far.
        """
        text = card(self._client.get_run(run_id).data)
        self._client.set_tag(run_id, NOTE_TAG, text)
        for version in self._versions(f"run_id = '{run_id}'"):
            self._client.update_model_version(self.model_name, version.version, text)

    def version_of(self, model: str) -> Version | None:
        """Returns a model's newest registered version, or None if the model has none."""
        versions = self._versions(f"tag.`{MODEL_TAG}` = '{model}'")
        return _version(max(versions, key=lambda version: int(version.version))) if versions else None

    def check(self) -> None:
        """Raises TitlerError (see `mlflow_errors.explain`) if MLflow does not answer."""
        _ = self._client

    def champion(self) -> Version | None:
        """Returns the version that nightly releases use, or None before the first promotion."""
        return self._by_alias(CHAMPION)

    def champion_and_previous(self) -> list[Version]:
        """Returns a list of the versions with the aliases `champion` and `previous` (the former champion).
        If an alias does not exist, the list is shorter."""
        return [version for alias in (CHAMPION, PREVIOUS) if (version := self._by_alias(alias)) is not None]

    def promote(self, model: str, because: str = "") -> str:
        """Makes a model's newest version the champion. Returns the version's number.

        The former champion gets the alias `previous`. `because` is the reason for the promotion. If it is not
        empty, it is stored in a tag of the version. If the version is already the champion, nothing changes.
        Raises UsageError if the model has no version.
        """
        version = self.version_of(model)
        if version is None:
            raise UsageError(
                f"The model {model} is not registered in MLflow at {self.uri} as a version of "
                f"{self.model_name!r}.",
                f"Train the model:  titler train {model}",
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

    def tag_titles(self, version: str, run_id: str, withheld: str, accepted_because: str) -> None:
        """Records in MLflow why a model's titles are withheld, or why a user accepted them.

        `withheld` and `accepted_because` are the two reasons. Each is stored in a tag of the model version
        and in a tag of the run. If a reason is empty, its tags are removed. The model's card, which mentions
        the reasons, is then written again.
        """
        for tag, text in ((WITHHELD_TAG, withheld), (ACCEPTED_TAG, accepted_because)):
            if text:
                self._client.set_tag(run_id, tag, text)
                self._client.set_model_version_tag(self.model_name, version, tag, text)
                continue
            if tag in self._client.get_run(run_id).data.tags:
                self._client.delete_tag(run_id, tag)
            if tag in self._client.get_model_version(self.model_name, version).tags:
                self._client.delete_model_version_tag(self.model_name, version, tag)
        self.write_card(run_id)

    def run(self, run_id: str) -> Run:
        """Returns the existing run `run_id`, so that more metrics can be logged to it. The run may be
        finished."""
        return Run(self._client, run_id)

    def all_runs(self, suffix: str = "") -> list[Run]:
        """Returns all runs of an experiment, including deleted runs. The experiment's name is that of the
        trainings' experiment, followed by `suffix`. If it does not exist, returns an empty list."""
        if self.uri.startswith(SQLITE) and not Path(self.uri.removeprefix(SQLITE)).exists():
            return []
        from mlflow.entities import ViewType

        experiment = self._client.get_experiment_by_name(self.experiment + suffix)
        if experiment is None:
            return []
        runs: list[Run] = []
        token: str | None = None
        while token is None or token:
            page = self._client.search_runs([experiment.experiment_id], "", ViewType.ALL, page_token=token)
            runs += [Run(self._client, str(run.info.run_id)) for run in page]
            token = page.token or ""
        return runs

    @cached_property
    def _client(self) -> MlflowClient:
        """MLflow's client. Raises TitlerError (see `mlflow_errors.explain`) if MLflow does not answer."""
        from mlflow import MlflowClient

        for library in ("mlflow", "alembic"):  # they log the traceback of every error that they raise
            logging.getLogger(library).setLevel(logging.CRITICAL)
        try:
            check_listening(self.uri)
            if self.uri.startswith(SQLITE):
                open_sqlite(Path(self.uri.removeprefix(SQLITE)))
            client = MlflowClient(self.uri, self.uri)
            client.get_experiment_by_name(self.experiment)
        except Exception as error:  # MlflowException, or any error of the database or the connection
            raise explain(f"MLflow at {self.uri}", error) from error
        return client

    def _experiment_id(self, name: str = "", tags: Mapping[str, str] = TRAININGS_TAGS) -> str:
        """Returns the id of the experiment `name`. If `name` is empty, returns the id of the trainings'
        experiment. If the experiment does not exist, creates it with `tags`.

        Raises LakeError if somebody deleted the experiment in MLflow.
        """
        name = name or self.experiment
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            return str(self._client.create_experiment(name, self._artifacts, tags=dict(tags)))
        if experiment.lifecycle_stage != "active":
            raise LakeError(
                f"MLflow's experiment {name!r} was deleted.",
                "Restore the experiment in MLflow, or choose another name:  "
                "TITLER_TRACKING__EXPERIMENT=titler2",
            )
        for key, value in tags.items():  # missing if somebody else created the experiment
            if key not in experiment.tags:
                self._client.set_experiment_tag(experiment.experiment_id, key, value)
        return str(experiment.experiment_id)

    def _by_alias(self, alias: str) -> Version | None:
        if self.uri.startswith(SQLITE):  # spares the import of MLflow
            path = Path(self.uri.removeprefix(SQLITE))
            if not path.exists():  # MLflow would create it
                return None
            stored = aliased_version(path, self.model_name, alias)
            if stored is not None and stored.tags.keys() >= {MODEL_TAG, VARIANT_TAG}:
                return Version(
                    stored.tags[MODEL_TAG], stored.version, stored.run_id, stored.tags[VARIANT_TAG]
                )
        client = self._client
        from mlflow.exceptions import MlflowException

        try:
            return _version(client.get_model_version_by_alias(self.model_name, alias))
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None  # there is no such model, or no such alias
            raise

    def _versions(self, condition: str) -> list[ModelVersion]:
        return list(self._client.search_model_versions(f"name = '{self.model_name}' and {condition}"))


def open_tracking(settings: Settings, lake: Lake) -> Tracking:
    """Returns the experiment and the registered model whose names are in `settings.tracking`.

    A new experiment stores its files in the folder `mlflow` of the lake. Raises UsageError if tracking.uri is
    empty and the lake is a bucket.
    """
    names = settings.tracking
    return Tracking(settings.tracking_uri, names.experiment, names.model_name, lake.path("mlflow"))


def _source(command: str) -> dict[str, str]:
    """Returns the tags of a run that say which command made it."""
    return {"mlflow.source.name": command, "mlflow.source.type": "LOCAL"}


def _is_same_training(logged: Mapping[str, str], parameters: Mapping[str, str]) -> bool:
    """Returns whether a run belongs to a training with these `parameters`.

    `logged` are the parameters that the run has logged. Each must be in `parameters`, with the same value.
    `logged` may lack some of the `parameters`: a training that was killed early may have logged none, and an
    earlier version of Titler logged fewer.

    There is one exception. A run that has logged other parameters but not `teacher_used` had no teacher. If
    the training learns from a teacher, such a run does not belong to it.
    """
    is_taught = parameters.get(TEACHER_USED) == "True"
    if is_taught and logged and TEACHER_USED not in logged:
        return False
    return logged.items() <= parameters.items()


def _version(entity: ModelVersion) -> Version:
    tags = entity.tags
    return Version(tags[MODEL_TAG], str(entity.version), str(entity.run_id), tags[VARIANT_TAG])
