"""The settings: one frozen, typed `Settings`.

The defaults suit one laptop; a TOML file or the environment changes them.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from pipeline.errors import UsageError

PREFIX = "TITLER_"
DOCUMENTED = "All settings and their defaults: docs/settings.md"
TEST_VARIABLES = {"TITLER_TEST_DATA", "TITLER_TEST_BIGQUERY_PROJECT"}  # only the tests read these
SECRET = "alerts.webhook_url"  # whoever has it can post to the channel


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Section):
    """Where the hour files are."""

    hours: str = Field(
        default="https://data.gharchive.org",
        description="folder or base address (file://, gs://, https://) of hour files",
    )


class LakeSettings(_Section):
    """Where the lake is."""

    root: str = Field(
        default="./lake", description="folder, s3://BUCKET/... or gs://BUCKET/... (docs/lake.md)"
    )


class Warehouse(_Section):
    """Where analysts run queries, and with BigQuery also where issues are extracted from."""

    kind: Literal["duckdb", "bigquery"] = Field(default="duckdb", description="duckdb (embedded) or bigquery")
    path: str = Field(
        default="",
        description="DuckDB's file, on this machine; empty: warehouse.duckdb in the lake, if it is a folder",
    )
    project: str = Field(default="", description="BigQuery: project of the data set; it pays for queries")
    dataset: str = Field(default="titler", description="BigQuery: the data set; it must exist")
    location: str = Field(default="US", description="BigQuery: the data set's location; GH Archive's is US")
    credentials_file: str = Field(
        default="",
        description="BigQuery: key file of a service account; empty: application default credentials",
    )
    max_bytes_per_run: int = Field(
        default=100 * 10**9, ge=0, description="BigQuery: most bytes billed per command"
    )
    max_bytes_per_day: int = Field(
        default=200 * 10**9, ge=0, description="BigQuery: most bytes billed per UTC day"
    )
    usd_per_tib: float = Field(
        default=6.25, ge=0, description="BigQuery: USD per 2^40 bytes billed (US, on demand)"
    )
    timeout: int = Field(default=1800, ge=1, description="BigQuery: longest time for one job, in seconds")
    embeddings: bool = Field(default=False, description="publish the embeddings too: about 2.4 kB per issue")
    vector_index: bool = Field(default=False, description="BigQuery: maintain an index for VECTOR_SEARCH")
    endpoint: str = Field(
        default="", description="BigQuery: an emulator's address, no credentials; empty: Google's"
    )
    storage_endpoint: str = Field(default="", description="BigQuery: HOST:PORT of the emulator's Storage API")


class Tracking(_Section):
    """Where training runs and models are recorded."""

    uri: str = Field(default="", description="MLflow's address; empty: SQLite in the lake, if it is a folder")
    experiment: str = Field(default="titler", description="MLflow's experiment")
    model_name: str = Field(default="titler", description="name of the registered model")


class Compute(_Section):
    """Where parallel work runs."""

    scheduler_address: str = Field(default="", description="existing Dask scheduler; empty: local cluster")
    workers: int = Field(default=0, ge=0, description="processes of the local cluster; 0: one per core")


class Text(_Section):
    """How text becomes ids: subwords for the network `copy`, words for the article's networks.

    The sizes for words are the article's.
    """

    subwords: int = Field(
        default=8000,
        ge=257,
        description="units in the vocabulary that bodies and titles share; 256 of them are the single bytes",
    )
    body_units: int = Field(default=256, ge=1, description="ids per body of subwords")
    title_units: int = Field(default=24, ge=3, description="ids per title of subwords with _start_ and _end_")
    engine: Literal["titler", "ktext"] = Field(
        default="titler",
        description="what splits text into words: our own code, or ktext 0.40 from PyPI (same words, slower)",
    )
    body_words: int = Field(default=8000, ge=1, description="words in the vocabulary of bodies")
    title_words: int = Field(default=4500, ge=1, description="words in the vocabulary of titles")
    body_length: int = Field(default=70, ge=1, description="ids per body of words")
    title_length: int = Field(default=12, ge=3, description="ids per title of words, with _start_ and _end_")
    min_body_words: int = Field(
        default=6, ge=0, description="trainable: fewest words, split at white space, in a body"
    )
    min_title_words: int = Field(
        default=3, ge=0, description="trainable: fewest words, split at white space, in a title"
    )
    max_title_characters: int = Field(default=400, ge=1, description="trainable: most characters in a title")
    max_body_characters: int = Field(default=2000, ge=1, description="trainable: most characters in a body")


class Model(_Section):
    """Which network is trained, and how. The sizes are the article's."""

    variant: str = Field(
        default="copy",
        description="the network: copy; gru (the article's); gru_cudnn (the same for cuDNN on a GPU)",
    )
    embedding_size: int = Field(
        default=300, ge=1, description="size of a word's or unit's vector; copy: same as hidden_size"
    )
    hidden_size: int = Field(default=300, ge=1, description="size of an issue's embedding")
    learning_rate: float = Field(
        default=0.001,
        gt=0,
        description="Nadam's initial learning rate; for copy it falls over the second half of the epochs",
    )
    batch_size: int = Field(default=64, ge=1, description="issues per training batch; for a large GPU: 1200")
    epochs: int = Field(default=7, ge=1, description="most epochs of training")
    patience: int = Field(
        default=2, ge=1, description="epochs without a lower validation loss, then it stops"
    )
    contrast_epochs: int = Field(
        default=6, ge=1, description="copy: epochs of training its embedding, which come first"
    )
    inference_batch_size: int = Field(default=512, ge=1, description="issues decoded together")
    beam_width: int = Field(
        default=0,
        ge=0,
        description="candidates kept at each step of decoding; 0: the network's default (gru 1, copy 4)",
    )
    promotion_margin: float = Field(
        default=0.5, ge=0, description="largest allowed drop in ROUGE-L (0 to 100) compared with the champion"
    )
    promotion_retrieval_margin: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="largest allowed drop in R@10 (0 to 1) compared with the champion",
    )
    abstain_below: float = Field(
        default=0.0, ge=0, le=1, description="confidence below which it predicts no title"
    )
    abstain_precision: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="training raises abstain_below until this share of validation titles has ROUGE-L > 0.3",
    )
    seed: int = Field(default=42, ge=0, description="random seed of the initial weights and of shuffling")
    sample_titles: int = Field(default=50, ge=0, description="predicted validation titles logged to MLflow")


NOT_TRAINING_SETTINGS = frozenset(
    {"promotion_margin", "promotion_retrieval_margin", "sample_titles", "inference_batch_size", "beam_width"}
)
"""Settings under `model.*` that training does not read. They are not parameters of its run in MLflow."""


class Index(_Section):
    """The search for similar issues."""

    trees: int = Field(default=50, ge=1, description="Annoy's trees; more: better recall, a larger file")
    search_k: int = Field(
        default=10_000,
        ge=-1,
        description="nodes inspected per query; more: better recall, slower; -1: trees x neighbours",
    )
    neighbours: int = Field(default=10, ge=1, description="similar issues stored per issue")
    near_duplicate_distance: float = Field(
        default=0,
        ge=0,
        description="angular distance below which issues are near-duplicates; 0: gru 0.35, copy 0.7",
    )
    min_recall: float = Field(default=0.8, ge=0, le=1, description="recall@10 below which a release stops")
    seed: int = Field(default=42, ge=0, description="random seed of Annoy's planes")


class Release(_Section):
    """How long releases are kept."""

    keep: int = Field(
        default=3, ge=1, description="published releases that `collect` keeps, including the current one"
    )


class Alerts(_Section):
    """Who is alerted if something needs a person."""

    kind: Literal["log", "webhook", "email"] = Field(
        default="log", description="log (one line on standard error), webhook or email"
    )
    webhook_url: SecretStr = Field(
        default=SecretStr(""),
        description="webhook: address that gets a POST with JSON; a secret, so set it in the environment",
    )
    email_to: str = Field(default="", description="email: recipients, separated by commas")
    email_from: str = Field(default="", description="email: the sender's address")
    smtp: str = Field(
        default="localhost:25",
        pattern=r"^.+:\d+$",
        description="email: HOST:PORT of an SMTP relay that needs no login",
    )
    link: str = Field(default="", description="link in an alert; the DAGs set it to the task's log")
    task: str = Field(
        default="",
        description="the task that runs the command: its failure is not alerted twice; the DAGs set it",
    )
    stale_after_hours: float = Field(
        default=30,
        ge=0,
        description="age of the current release from which `titler status` exits with 1; 0: never",
    )

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        """Refuses a notifier without an address when settings are read, not when an alert is due."""
        if self.kind == "webhook" and not self.webhook_url.get_secret_value().startswith(
            ("https://", "http://")
        ):
            raise ValueError(
                "kind = webhook needs alerts.webhook_url, an address that starts with https:// or http://"
            )
        if self.kind == "email" and not (self.email_to and self.email_from):
            raise ValueError("kind = email needs alerts.email_to and alerts.email_from")
        return self


class Lineage(_Section):
    """Where a verb records what it read and wrote."""

    file: str = Field(default="", description="file for the lineage (JSON); the DAGs set it; empty: none")


class Settings(BaseSettings):
    """Every setting of Titler. `load` reads them for a command; tests build them directly.

    The environment (`TITLER_LAKE__ROOT=...`) overrides the TOML file, which overrides the defaults.
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
        """MLflow's address, with the default filled in.

        Raises UsageError if it has no default: the lake is a bucket.
        """
        example = "an MLflow server, like http://mlflow:5000"
        return self.tracking.uri or f"sqlite:///{self._lake_folder('tracking.uri', example)}/mlflow.db"

    @property
    def warehouse_name(self) -> str:
        """The warehouse's name in messages: project and data set, or DuckDB's file."""
        if self.warehouse.kind == "bigquery":
            return f"BigQuery, {self.warehouse.project}.{self.warehouse.dataset}"
        return self.warehouse_path

    @property
    def warehouse_path(self) -> str:
        """DuckDB's file, with the default filled in.

        Raises UsageError if it has no default: the lake is a bucket.
        """
        example = "a file on this machine"
        return self.warehouse.path or f"{self._lake_folder('warehouse.path', example)}/warehouse.duckdb"

    def public(self) -> dict[str, Any]:
        """Every setting by section, as JSON values, without credentials: secrets, and logins and queries in
        addresses.
        """
        return {
            section: {name: _public(value) for name, value in values.items()}
            for section, values in self.model_dump(mode="json").items()
        }

    def _lake_folder(self, setting: str, example: str) -> str:
        """The lake's folder, absolute.

        Raises UsageError, which asks to set `setting`, if the lake is not a folder.
        """
        root = self.lake.root.removeprefix("file://")
        if "://" in root:
            raise UsageError(
                f"lake.root = {root} is not a folder, so {setting} has no default.",
                f"Set {setting} to {example}.",
            )
        return str(Path(root).absolute())


def _public(value: Any) -> Any:
    """An address without user, password, query and fragment; any other value unchanged."""
    if not isinstance(value, str) or "://" not in value:
        return value
    address = urlsplit(value)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"


def load(path: Path | None = None) -> Settings:
    """Reads the settings from a TOML file, the environment and the defaults.

    Raises UsageError, which names the key or the `TITLER_` variable, if one is unknown or has the wrong type.
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
    """Raises UsageError for a `TITLER_` variable that is not a setting. pydantic-settings ignores such a
    variable.
    """
    sections = {name: type(field.default) for name, field in Settings.model_fields.items()}
    variables = [
        f"{PREFIX}{name}__{key}".upper() for name, section in sections.items() for key in section.model_fields
    ]
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in {*variables, *TEST_VARIABLES}:
            nearest = difflib.get_close_matches(name.upper(), variables, n=1, cutoff=0)[0]
            raise UsageError(f"{name}: no such setting; the nearest is {nearest}.", DOCUMENTED)
