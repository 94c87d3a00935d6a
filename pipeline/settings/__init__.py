"""Titler's settings. The defaults suit one laptop; a TOML file or environment variables change them."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from pipeline.errors import UsageError
from pipeline.printed_text import register_addresses, register_secret
from pipeline.settings.alerts import Alerts
from pipeline.settings.lake import LakeSettings
from pipeline.settings.model import ADDED_SETTINGS, NOT_TRAINING_SETTINGS, PRESET_SETTINGS, Model
from pipeline.settings.section import Section
from pipeline.settings.serve import Serve
from pipeline.settings.source import HourBase, Source
from pipeline.settings.text import Text
from pipeline.settings.warehouse import Warehouse

__all__ = [
    "ADDED_SETTINGS",
    "NOT_TRAINING_SETTINGS",
    "PREFIX",
    "PRESET_SETTINGS",
    "Alerts",
    "Compute",
    "HourBase",
    "Index",
    "LakeSettings",
    "Lineage",
    "Model",
    "Release",
    "Serve",
    "Settings",
    "Similar",
    "Source",
    "Telemetry",
    "Text",
    "Tracking",
    "Warehouse",
    "load",
    "public_address",
]
PREFIX = "TITLER_"
DOCUMENTED = "docs/settings.md lists all settings and their defaults."
TEST_VARIABLES = {"TITLER_TEST_DATA", "TITLER_TEST_BIGQUERY_PROJECT"}  # only the tests read these
SECRETS = (
    "alerts.webhook_url",  # anybody who knows this address can post to the channel
    "serve.token",
)


class Tracking(Section):
    """MLflow, which records training runs and registers models."""

    uri: str = Field(
        default="",
        description="MLflow's tracking URI. If this setting is empty, MLflow uses the SQLite file mlflow.db "
        "in the lake. If the lake is a bucket, the URI must be set",
    )
    experiment: str = Field(
        default="titler", description="name of the MLflow experiment in which training runs are recorded"
    )
    model_name: str = Field(
        default="titler", description="name under which trained models are registered in MLflow"
    )


class Compute(Section):
    """Dask, which runs tasks in parallel."""

    scheduler_address: str = Field(
        default="",
        description="address of an existing Dask scheduler. If this setting is empty, the command starts a "
        "local Dask cluster",
    )
    workers: int = Field(
        default=0,
        ge=0,
        description="number of processes of the local Dask cluster. Set to 0 for one process per CPU core",
    )


class Index(Section):
    """The index, which finds similar issues. It consists of segments. Each segment has issues of one month,
    or of one closed year (a year before the last year of a release)."""

    segment_items: int = Field(
        default=500_000,
        ge=1,
        description="largest number of issues per segment. If a month or a closed year has more, its issues "
        "are split by repository into several segments",
    )
    exact_items: int = Field(
        default=50_000,
        ge=0,
        description="largest size, in issues, of a segment without an Annoy index. Such a segment is "
        "searched exactly, by comparing every vector",
    )

    trees: int = Field(
        default=50,
        ge=1,
        description="number of trees in an Annoy index. More trees improve the recall but make the file "
        "larger",
    )
    search_k: int = Field(
        default=10_000,
        ge=-1,
        description="number of tree nodes that a query inspects per segment. More nodes improve the recall "
        "but take longer. Set to -1 for the number of trees times the number of issues to find",
    )
    neighbours: int = Field(
        default=10, ge=1, description="number of similar issues that are stored for each issue"
    )
    near_duplicate_distance: float = Field(
        default=0,
        ge=0,
        description="two issues are near-duplicates if the angular distance of their embeddings is less than "
        "this value. Set to 0 for the network's default: 0.35 for gru and gru_cudnn, otherwise 0.7",
    )
    min_recall: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="minimum recall@10 of the index and of each segment: the share (0 to 1) of the ten "
        "nearest issues that a search finds. A release with a lower recall is not published",
    )
    seed: int = Field(default=42, ge=0, description="random seed with which Annoy builds its trees")


class Similar(Section):
    """Similar issues: which are suggested, which form clusters of duplicates, how many months a search looks
    back, when a day's similar issues are searched again, and which are compared with marked duplicates."""

    min_probability: float = Field(
        default=0.35,
        ge=0,
        le=1,
        description="a similar issue is suggested if the probability that the two issues are duplicates is "
        "at least this value. All similar issues are stored; `titler similar` shows less probable issues "
        "only with --all",
    )
    cluster_probability: float = Field(
        default=0.2,
        ge=0.2,
        le=1,
        description="an issue can join a cluster of duplicates, in the view duplicate_clusters, if "
        "the probability that it duplicates an issue of the cluster is at least this value. The value must "
        "be at least 0.2. A new value applies to the next release, without a new search for similar issues",
    )
    months: int = Field(
        default=24,
        ge=1,
        description="number of months that a search for similar issues looks back, in addition to the "
        "month of the issue. A search in the issue's own repository has no such limit",
    )
    recompute_days: int = Field(
        default=31,
        ge=0,
        description="if a day is ingested late or again: number of following days whose lists of similar "
        "issues are made again. Later days keep their lists",
    )
    marked_months: int = Field(
        default=3,
        ge=0,
        description="a release records how many pairs of issues that people marked as duplicates are listed "
        "as similar issues, and how many are suggested. A pair is measured only if its newer issue was "
        "opened in the month of the release's last day, or in this number of months before that month",
    )
    min_marks: int = Field(
        default=1000,
        ge=1,
        description="minimum number of pairs of marked duplicates that `titler learn-ordering` learns from. "
        "Pairs in repositories that are held out for evaluation do not count. If there are "
        "fewer pairs, the command learns nothing",
    )


class Release(Section):
    """Which titles a new release predicts again, when a release is not published, and how many releases are
    kept."""

    keep: int = Field(
        default=3,
        ge=1,
        description="number of published releases that `titler collect` keeps, including the current one",
    )
    retitle_days: int = Field(
        default=0,
        ge=0,
        description="number of the latest days whose titles are predicted again after a model has become "
        "the champion. Earlier days keep their titles, which earlier champions predicted. Set to 0 to "
        "predict the titles of all days again",
    )
    max_abstained_rise: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="largest allowed rise of the share (0 to 1) of issues without a title, compared with the "
        "previous release. A release with a larger rise is not published until a person accepts it",
    )
    min_marks: int = Field(
        default=200,
        ge=1,
        description="minimum number of measured pairs of marked duplicates. If the new or the previous "
        "release has fewer, the recall@10 of these pairs is not compared. If it falls significantly, "
        "the new release is not published until a person accepts the fall",
    )


class Lineage(Section):
    """The file in which a command lists the data that it read and the data that it wrote (its lineage)."""

    file: str = Field(
        default="",
        description="path of the file in which a command lists, as JSON, the data that it read and the data "
        "that it wrote. If the path is empty, no file is written. Airflow's DAGs set the path",
    )


class Telemetry(Section):
    """The OpenTelemetry collector that metrics and traces of the verbs (`titler` commands) are sent to."""

    otlp_endpoint: str = Field(
        default="",
        pattern=r"^(https?://.+)?$",
        description="address of an OpenTelemetry collector that accepts OTLP over HTTP, such as "
        "http://localhost:4318. If this setting is empty, nothing is sent. Headers with credentials belong "
        "in the environment variable OTEL_EXPORTER_OTLP_HEADERS",
    )


class Settings(BaseSettings):
    """All settings of Titler. A command reads them with `load`; tests construct them directly.

    The value of a setting comes from its environment variable (`TITLER_LAKE__ROOT=...`). If this is not set,
    the value comes from the TOML file. If the file lacks it too, the setting has its default.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    source: Source = Source()
    lake: LakeSettings = LakeSettings()
    warehouse: Warehouse = Warehouse()
    tracking: Tracking = Tracking()
    compute: Compute = Compute()
    text: Text = Text()
    model: Model = Model()
    index: Index = Index()
    similar: Similar = Similar()
    release: Release = Release()
    alerts: Alerts = Alerts()
    serve: Serve = Serve()
    lineage: Lineage = Lineage()
    telemetry: Telemetry = Telemetry()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def tracking_uri(self) -> str:
        """The address of MLflow's server or database. Raises UsageError if the setting `tracking.uri` is
        empty and the lake is a bucket."""
        example = "an MLflow server, like http://mlflow:5000"
        return self.tracking.uri or f"sqlite:///{self._lake_folder('tracking.uri', example)}/mlflow.db"

    @property
    def warehouse_name(self) -> str:
        """The text that names the warehouse in messages: "BigQuery, PROJECT.DATASET", or the path of DuckDB's
        file."""
        if self.warehouse.kind == "bigquery":
            return f"BigQuery, {self.warehouse.project}.{self.warehouse.dataset}"
        return self.warehouse_path

    @property
    def warehouse_path(self) -> str:
        """The path of DuckDB's file. Raises UsageError if the setting `warehouse.path` is empty and the lake
        is a bucket."""
        example = "a file on this machine"
        return self.warehouse.path or f"{self._lake_folder('warehouse.path', example)}/warehouse.duckdb"

    def public(self) -> dict[str, Any]:
        """Returns all settings by section, as JSON values. Secrets are masked, and URLs have no user,
        password, query or fragment."""
        return {
            section: {name: public_address(value) for name, value in values.items()}
            for section, values in self.model_dump(mode="json").items()
        }

    def _lake_folder(self, setting: str, example: str) -> str:
        """Returns the absolute path of the lake's folder. `setting` is the name of a setting whose default is
        a file in this folder. Raises UsageError if the lake is a bucket, because the setting then has no
        default. The hint of the error suggests the value `example`."""
        root = self.lake.root.removeprefix("file://")
        if "://" in root:
            raise UsageError(
                f"{setting} is empty. It has a default only if lake.root is a folder, but lake.root is "
                f"{root}.",
                f"Set {setting} to {example}.",
            )
        return str(Path(root).absolute())


def public_address(value: Any) -> Any:
    """Removes user, password, query and fragment from a URL, and from all URLs in a list or an object.
    Returns any other value unchanged."""
    if isinstance(value, list):
        return [public_address(element) for element in value]
    if isinstance(value, dict):
        return {name: public_address(element) for name, element in value.items()}
    if not isinstance(value, str) or "://" not in value:
        return value
    try:
        address = urlsplit(value)
    except ValueError:  # what follows `://` is no host, and errors say so with this address
        scheme, _, location = value.partition("://")
        return f"{scheme}://{location.partition('?')[0].partition('#')[0].rpartition('@')[2]}"
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"


def load(path: Path | None = None) -> Settings:
    """Reads all settings from environment variables and from the TOML file `path`, and returns them.

    If both have a setting, the value of the environment variable is used. If neither has it, the default is
    used. Raises UsageError if a key of the file or a `TITLER_` variable is unknown or has a wrong value. The
    error names the key or the variable.
    """
    if path is not None and not path.is_file():
        raise UsageError(
            f"{path}: no such settings file.",
            "Give a TOML file like infra/cloud.toml, or omit --settings.",
        )

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=path)

    _check_variables()
    try:
        settings = FromFile()
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            register_addresses(str(problem["input"]))
            key = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "extra_forbidden":
                lines.append(f"{key}: no such setting.")
            else:
                is_secret = any(secret.startswith(key) for secret in SECRETS)
                value = "" if is_secret else f" = {problem['input']!r}"
                lines.append(f"{key}{value}: {problem['msg'].removeprefix('Value error, ')}.")
        raise UsageError("\n".join(lines), DOCUMENTED) from None
    except ValueError as error:  # tomllib.TOMLDecodeError
        raise UsageError(f"{path} is not TOML: {error}", "See infra/cloud.toml for an example.") from None
    _register_secrets(settings)
    return settings


def _register_secrets(settings: Settings) -> None:
    """Registers the secrets in the settings, such as passwords in addresses, so that they are masked in all
    that is printed."""
    register_addresses(str(settings.model_dump(mode="json")))
    for secret in SECRETS:
        section, name = secret.split(".")
        register_secret(getattr(getattr(settings, section), name).get_secret_value())


def _check_variables() -> None:
    """Raises UsageError for an environment variable that starts with `TITLER_` but is not a setting. Without
    this check, pydantic-settings would ignore such a variable."""
    sections = {name: type(field.default) for name, field in Settings.model_fields.items()}
    variables = [
        f"{PREFIX}{name}__{key}".upper() for name, section in sections.items() for key in section.model_fields
    ]
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in {*variables, *TEST_VARIABLES}:
            nearest = difflib.get_close_matches(name.upper(), variables, n=1, cutoff=0)[0]
            raise UsageError(f"{name}: no such setting; the nearest is {nearest}.", DOCUMENTED)
