"""Titler's settings. The defaults suit one laptop; a TOML file or environment variables change them."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from pipeline.errors import UsageError
from pipeline.settings.model import ADDED_SETTINGS, NOT_TRAINING_SETTINGS, Model
from pipeline.settings.section import Section

__all__ = [
    "ADDED_SETTINGS",
    "NOT_TRAINING_SETTINGS",
    "PREFIX",
    "Alerts",
    "Compute",
    "Index",
    "LakeSettings",
    "Lineage",
    "Model",
    "Release",
    "Settings",
    "Source",
    "Text",
    "Tracking",
    "Warehouse",
    "load",
]
PREFIX = "TITLER_"
DOCUMENTED = "docs/settings.md lists all settings and their defaults."
TEST_VARIABLES = {"TITLER_TEST_DATA", "TITLER_TEST_BIGQUERY_PROJECT"}  # only the tests read these
SECRET = "alerts.webhook_url"  # anybody who knows this address can post to the channel


class Source(Section):
    """Where GH Archive's hour files are read from. An hour file has all events of one hour on GitHub."""

    hours: str = Field(
        default="https://data.gharchive.org",
        description="folder that contains the hour files, or its file://, gs:// or https:// address",
    )


class LakeSettings(Section):
    """Where the lake is stored: the tables, models and search indexes that Titler writes."""

    root: str = Field(
        default="./lake", description="folder, s3://BUCKET/... or gs://BUCKET/... of the lake (docs/lake.md)"
    )


class Warehouse(Section):
    """The SQL database for analysts. With BigQuery it is also where issues are extracted from."""

    kind: Literal["duckdb", "bigquery"] = Field(
        default="duckdb", description="the database: duckdb (a file) or bigquery"
    )
    path: str = Field(
        default="",
        description="DuckDB: path of its file; empty: warehouse.duckdb in the lake, if the lake is a folder",
    )
    project: str = Field(
        default="", description="BigQuery: Google Cloud project of the data set, which pays for queries"
    )
    dataset: str = Field(default="titler", description="BigQuery: name of an existing data set")
    location: str = Field(default="US", description="BigQuery: location of the data set; GH Archive's is US")
    credentials_file: str = Field(
        default="", description="BigQuery: service account's key file; empty: application default credentials"
    )
    max_bytes_per_run: int = Field(
        default=100 * 10**9, ge=0, description="BigQuery: maximum number of bytes billed per command"
    )
    max_bytes_per_day: int = Field(
        default=200 * 10**9, ge=0, description="BigQuery: maximum number of bytes billed per UTC day"
    )
    usd_per_tib: float = Field(
        default=6.25, ge=0, description="BigQuery: price in USD per 2^40 bytes billed; default: on demand, US"
    )
    timeout: int = Field(default=1800, ge=1, description="BigQuery: maximum seconds per job")
    embeddings: bool = Field(default=False, description="whether to publish embeddings too: 2.4 kB per issue")
    vector_index: bool = Field(
        default=False,
        description="BigQuery: whether to maintain an index on the embeddings for VECTOR_SEARCH",
    )
    endpoint: str = Field(
        default="", description="BigQuery: address of an emulator, used without credentials; empty: Google"
    )
    storage_endpoint: str = Field(default="", description="BigQuery: HOST:PORT of the emulator's Storage API")


class Tracking(Section):
    """MLflow, which records training runs and registers models."""

    uri: str = Field(
        default="",
        description="MLflow's tracking URI; empty: SQLite file mlflow.db in the lake, if that is a folder",
    )
    experiment: str = Field(default="titler", description="name of the MLflow experiment for training runs")
    model_name: str = Field(default="titler", description="name of the registered model in MLflow")


class Compute(Section):
    """Dask, which runs tasks in parallel."""

    scheduler_address: str = Field(
        default="", description="address of an existing Dask scheduler; empty: start a local cluster"
    )
    workers: int = Field(default=0, ge=0, description="processes of the local cluster; 0: one per core")


class Text(Section):
    """How text is converted to ids: to subwords for the network `copy`, to words for the `gru` networks.

    Settings that begin with "training:" limit which issues are used for training. The default sizes for words
    are those of the article that Titler grew out of.
    """

    subwords: int = Field(
        default=8000,
        ge=257,
        description="copy: maximum number of subwords in its vocabulary, including 256 for single bytes",
    )
    body_units: int = Field(default=256, ge=1, description="copy: subword ids per body; a longer body is cut")
    title_units: int = Field(
        default=24, ge=3, description="copy: subword ids per title with _start_ and _end_; the rest is cut"
    )
    engine: Literal["titler", "ktext"] = Field(
        default="titler",
        description="what splits text into words: titler (our code) or "
        "ktext (0.40 from PyPI; same words, slower)",
    )
    body_words: int = Field(default=8000, ge=1, description="gru: maximum words in the vocabulary of bodies")
    title_words: int = Field(default=4500, ge=1, description="gru: maximum words in the vocabulary of titles")
    body_length: int = Field(default=70, ge=1, description="gru: word ids per body; a longer body is cut")
    title_length: int = Field(
        default=12, ge=3, description="gru: word ids per title with _start_ and _end_; the rest is cut"
    )
    min_body_words: int = Field(
        default=6, ge=0, description="training: minimum number of words (split at white space) in a body"
    )
    min_title_words: int = Field(
        default=3, ge=0, description="training: minimum number of words (split at white space) in a title"
    )
    max_title_characters: int = Field(
        default=400, ge=1, description="training: maximum characters in a title"
    )
    max_body_characters: int = Field(default=2000, ge=1, description="training: maximum characters in a body")


class Index(Section):
    """The Annoy index, which finds similar issues."""

    trees: int = Field(
        default=50,
        ge=1,
        description="number of Annoy's trees; more: better recall, larger file",
    )
    search_k: int = Field(
        default=10_000,
        ge=-1,
        description="Annoy nodes inspected per query; more: better recall, slower; -1: trees x neighbours",
    )
    neighbours: int = Field(default=10, ge=1, description="number of similar issues stored per issue")
    near_duplicate_distance: float = Field(
        default=0,
        ge=0,
        description="angular distance below which two issues are near-duplicates; 0: gru 0.35, copy 0.7",
    )
    min_recall: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="minimum recall@10 of an index; below it, the release is stopped",
    )
    seed: int = Field(default=42, ge=0, description="random seed of Annoy's planes")


class Release(Section):
    """Which titles a release predicts again, when it is stopped, and how many releases are kept."""

    keep: int = Field(
        default=3,
        ge=1,
        description="number of published releases that `titler collect` keeps, including the current one",
    )
    retitle_days: int = Field(
        default=0,
        ge=0,
        description="number of last days whose titles are predicted again after a promotion; earlier days "
        "keep the titles of earlier champions; 0: all days",
    )
    max_abstained_rise: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="largest allowed rise of the share of issues without a title (0 to 1) over the previous "
        "release; above it, the release is stopped",
    )


class Alerts(Section):
    """Where alerts are sent. An alert reports a failure or a problem that needs a person."""

    kind: Literal["log", "webhook", "email"] = Field(
        default="log", description="where alerts go: log (one line on standard error), webhook or email"
    )
    webhook_url: SecretStr = Field(
        default=SecretStr(""),
        description="webhook: URL that receives a POST with JSON; a secret, so set it in the environment",
    )
    email_to: str = Field(default="", description="email: recipients' addresses, separated by commas")
    email_from: str = Field(default="", description="email: the sender's address")
    smtp: str = Field(
        default="localhost:25",
        pattern=r"^.+:\d+$",
        description="email: HOST:PORT of a mail server without login",
    )
    link: str = Field(default="", description="link to add to an alert; the DAGs set it to the task's log")
    task: str = Field(
        default="",
        description="task that runs the command, so that one failure sends one alert; the DAGs set it",
    )
    stale_after_hours: float = Field(
        default=30,
        ge=0,
        description="hours; `titler status` exits with code 1 if the current release is older; 0: never",
    )

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        """Raises ValueError if `kind` needs an address that is not set. So the error occurs when the settings
        are read, not when the first alert is sent."""
        if self.kind == "webhook" and not self.webhook_url.get_secret_value().startswith(
            ("https://", "http://")
        ):
            raise ValueError(
                "kind = webhook needs alerts.webhook_url, an address that starts with https:// or http://"
            )
        if self.kind == "email" and not (self.email_to and self.email_from):
            raise ValueError("kind = email needs alerts.email_to and alerts.email_from")
        return self


class Lineage(Section):
    """Where a command records which data it read and wrote (its lineage)."""

    file: str = Field(
        default="", description="JSON file for the lineage; empty: not written; the DAGs set it"
    )


class Settings(BaseSettings):
    """Every setting of Titler. A command gets them from `load`; tests construct them directly.

    Environment variables (`TITLER_LAKE__ROOT=...`) override the TOML file, which overrides the defaults.
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
    release: Release = Release()
    alerts: Alerts = Alerts()
    lineage: Lineage = Lineage()

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
        """MLflow's tracking URI. Raises UsageError if `tracking.uri` is empty and the lake is a bucket."""
        example = "an MLflow server, like http://mlflow:5000"
        return self.tracking.uri or f"sqlite:///{self._lake_folder('tracking.uri', example)}/mlflow.db"

    @property
    def warehouse_name(self) -> str:
        """The warehouse's name in messages: "BigQuery, PROJECT.DATASET", or the path of DuckDB's file."""
        if self.warehouse.kind == "bigquery":
            return f"BigQuery, {self.warehouse.project}.{self.warehouse.dataset}"
        return self.warehouse_path

    @property
    def warehouse_path(self) -> str:
        """DuckDB's file. Raises UsageError if `warehouse.path` is empty and the lake is a bucket."""
        example = "a file on this machine"
        return self.warehouse.path or f"{self._lake_folder('warehouse.path', example)}/warehouse.duckdb"

    def public(self) -> dict[str, Any]:
        """All settings by section, as JSON values without secrets. URLs are without login and query."""
        return {
            section: {name: _public(value) for name, value in values.items()}
            for section, values in self.model_dump(mode="json").items()
        }

    def _lake_folder(self, setting: str, example: str) -> str:
        """The absolute path of the lake's folder. If the lake is a bucket, raises a UsageError that names
        `setting`, because this setting then has no default."""
        root = self.lake.root.removeprefix("file://")
        if "://" in root:
            raise UsageError(
                f"lake.root is {root}, not a folder, and therefore {setting} has no default.",
                f"Set {setting} to {example}.",
            )
        return str(Path(root).absolute())


def _public(value: Any) -> Any:
    """Removes user, password, query and fragment from a URL. Returns any other value unchanged."""
    if not isinstance(value, str) or "://" not in value:
        return value
    address = urlsplit(value)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"


def load(path: Path | None = None) -> Settings:
    """Reads the settings: environment variables override the TOML file `path`, which overrides the defaults.

    Raises UsageError, which names the key or the `TITLER_` variable, if one is unknown or has a wrong value.
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
        return FromFile()
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "extra_forbidden":
                lines.append(f"{key}: no such setting.")
            else:
                value = "" if SECRET.startswith(key) else f" = {problem['input']!r}"
                lines.append(f"{key}{value}: {problem['msg'].removeprefix('Value error, ')}.")
        raise UsageError("\n".join(lines), DOCUMENTED) from None
    except ValueError as error:  # tomllib.TOMLDecodeError
        raise UsageError(f"{path} is not TOML: {error}", "See infra/cloud.toml for an example.") from None


def _check_variables() -> None:
    """Raises UsageError for a `TITLER_` variable that is not a setting. pydantic-settings would ignore it."""
    sections = {name: type(field.default) for name, field in Settings.model_fields.items()}
    variables = [
        f"{PREFIX}{name}__{key}".upper() for name, section in sections.items() for key in section.model_fields
    ]
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in {*variables, *TEST_VARIABLES}:
            nearest = difflib.get_close_matches(name.upper(), variables, n=1, cutoff=0)[0]
            raise UsageError(f"{name}: no such setting; the nearest is {nearest}.", DOCUMENTED)
