"""One frozen, typed `Settings`. Its defaults are one laptop; a TOML file or the environment says what differs."""

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
NO_SETTINGS = {"TITLER_TEST_DATA", "TITLER_TEST_BIGQUERY_PROJECT"}  # the tests' own
SECRET = "alerts.webhook_url"  # whoever knows it can write into the channel


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Section):
    """Where the hour files are."""

    hours: str = Field(
        default="https://data.gharchive.org", description="folder, file://, gs:// or https base of hour files"
    )


class LakeSettings(_Section):
    """Where the lake is."""

    root: str = Field(
        default="./lake", description="folder, s3://BUCKET/... or gs://BUCKET/... (docs/lake.md)"
    )


class Warehouse(_Section):
    """Where analysts query, and for BigQuery where issues come from."""

    kind: Literal["duckdb", "bigquery"] = Field(
        default="duckdb", description="the embedded warehouse, or Google's"
    )
    path: str = Field(
        default="",
        description="DuckDB's file, on this machine; empty: warehouse.duckdb inside the lake, a folder",
    )
    project: str = Field(
        default="", description="BigQuery: the project that holds the data set and pays for queries"
    )
    dataset: str = Field(default="titler", description="BigQuery: the data set; it must exist")
    location: str = Field(
        default="US", description="BigQuery: where the data set lies; GH Archive's lies in US"
    )
    credentials_file: str = Field(
        default="", description="BigQuery: a service account's file; empty: application default credentials"
    )
    max_bytes_per_run: int = Field(
        default=100 * 10**9, ge=0, description="BigQuery: bytes that one command may have billed"
    )
    max_bytes_per_day: int = Field(
        default=200 * 10**9,
        ge=0,
        description="BigQuery: bytes that all commands of a UTC day may have billed",
    )
    usd_per_tib: float = Field(
        default=6.25, ge=0, description="BigQuery: price of 2^40 bytes billed; on-demand, US"
    )
    timeout: int = Field(default=1800, ge=1, description="BigQuery: seconds for one job")
    embeddings: bool = Field(default=False, description="publish embeddings, too: about 2.4 kB an issue")
    vector_index: bool = Field(
        default=False, description="BigQuery: keep a vector index on the embeddings, for VECTOR_SEARCH"
    )
    endpoint: str = Field(
        default="", description="BigQuery: address of an emulator, without credentials; empty: Google's"
    )
    storage_endpoint: str = Field(
        default="", description="BigQuery: HOST:PORT of that emulator's Storage API"
    )


class Tracking(_Section):
    """Where runs and models are recorded."""

    uri: str = Field(default="", description="MLflow's address; empty: SQLite inside the lake")
    experiment: str = Field(default="titler", description="MLflow's experiment")
    model_name: str = Field(default="titler", description="the registered model's name")


class Compute(_Section):
    """Where shards are worked on."""

    scheduler_address: str = Field(
        default="", description="an existing Dask scheduler; empty: a local cluster"
    )
    workers: int = Field(default=0, ge=0, description="worker processes of the local cluster; 0: one a core")


class Text(_Section):
    """What text becomes: units of subwords for the network `copy`, words for the article's, in the article's numbers."""

    subwords: int = Field(
        default=8000,
        ge=257,
        description="units kept, the same for bodies and titles; 256 of them are the bytes",
    )
    body_units: int = Field(default=256, ge=1, description="ids a body there")
    title_units: int = Field(default=24, ge=3, description="ids a title there, _start_ and _end_ included")
    engine: Literal["titler", "ktext"] = Field(
        default="titler",
        description="what cleans text into words: our ktext, or PyPI's ktext 0.40 (slower; the judge)",
    )
    body_words: int = Field(default=8000, ge=1, description="words kept in the bodies' vocabulary")
    title_words: int = Field(default=4500, ge=1, description="words kept in the titles' vocabulary")
    body_length: int = Field(default=70, ge=1, description="ids a body of words")
    title_length: int = Field(
        default=12, ge=3, description="ids a title of words, _start_ and _end_ included"
    )
    min_body_words: int = Field(
        default=6, ge=0, description="trainable: at least so many runs of non-white-space in the body"
    )
    min_title_words: int = Field(default=3, ge=0, description="trainable: at least so many in the title")
    max_title_characters: int = Field(
        default=400, ge=1, description="trainable: at most so many characters in the title"
    )
    max_body_characters: int = Field(
        default=2000, ge=1, description="trainable: at most so many characters in the body"
    )


class Model(_Section):
    """What learns, and how. Sizes are the article's."""

    variant: str = Field(
        default="copy",
        description="the network: copy; gru, the article's; gru_cudnn, the same with cuDNN's gates",
    )
    embedding_size: int = Field(
        default=300, ge=1, description="numbers a unit or a word; copy: the same as hidden_size"
    )
    hidden_size: int = Field(default=300, ge=1, description="numbers an issue: the embedding")
    learning_rate: float = Field(
        default=0.001, gt=0, description="Nadam's; copy's falls over the second half of the epochs"
    )
    batch_size: int = Field(
        default=64, ge=1, description="issues a training step; a large GPU wants 1200, the article's"
    )
    epochs: int = Field(default=7, ge=1, description="at most")
    patience: int = Field(
        default=2, ge=1, description="epochs without a better validation loss before training stops"
    )
    contrast_epochs: int = Field(
        default=6, ge=1, description="copy: epochs in which the embedding is learned, before titles are"
    )
    inference_batch_size: int = Field(default=512, ge=1, description="issues decoded together")
    beam_width: int = Field(
        default=0,
        ge=0,
        description="titles followed while one is written; 0: the variant's own (gru 1, copy 4)",
    )
    promotion_margin: float = Field(
        default=0.5, ge=0, description="ROUGE-L points a challenger may be under the champion"
    )
    promotion_retrieval_margin: float = Field(
        default=0.02, ge=0, le=1, description="R@10, 0 to 1, it may be under the champion"
    )
    abstain_below: float = Field(
        default=0.0, ge=0, le=1, description="confidence under which no title is given"
    )
    abstain_precision: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="training raises abstain_below until this share of titles has ROUGE-L over 0.3 on validation",
    )
    seed: int = Field(default=42, ge=0, description="of initial weights and shuffling")
    sample_titles: int = Field(default=50, ge=0, description="validation titles logged to MLflow")


class Index(_Section):
    """Similar issues."""

    trees: int = Field(default=50, ge=1, description="Annoy's trees; more: better recall, a larger file")
    search_k: int = Field(
        default=10_000,
        ge=-1,
        description="nodes inspected a query; more: better recall, slower; -1: trees x neighbours",
    )
    neighbours: int = Field(default=10, ge=1, description="neighbours stored an issue")
    near_duplicate_distance: float = Field(
        default=0,
        ge=0,
        description="angular distance under which issues are near-duplicates; 0: the variant's own (gru 0.35, copy 0.7)",
    )
    min_recall: float = Field(
        default=0.8, ge=0, le=1, description="recall@10 under which a release is stopped"
    )
    seed: int = Field(default=42, ge=0, description="of Annoy's random planes")


class Release(_Section):
    """What is kept."""

    keep: int = Field(
        default=3, ge=1, description="published releases that `collect` keeps, the current one included"
    )


class Alerts(_Section):
    """Who is told when something needs a person."""

    kind: Literal["log", "webhook", "email"] = Field(
        default="log", description="log: a line on standard error"
    )
    webhook_url: SecretStr = Field(
        default=SecretStr(""),
        description="webhook: takes a POST of JSON; a secret, so set it in the environment",
    )
    email_to: str = Field(default="", description="email: who gets it; several with commas")
    email_from: str = Field(default="", description="email: the sender's address")
    smtp: str = Field(
        default="localhost:25",
        pattern=r"^.+:\d+$",
        description="email: HOST:PORT of a relay that asks this machine for no login",
    )
    link: str = Field(default="", description="where a message leads; the DAGs set it to the task's log")
    task: str = Field(
        default="",
        description="the task that runs the command, so that its failure is not told twice; the DAGs set it",
    )
    stale_after_hours: float = Field(
        default=30, ge=0, description="age of the current release at which `titler status` exits 1; 0: never"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """A notifier that lacks its address is found out now, not at night."""
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
    """Who is told what a verb read and wrote."""

    file: str = Field(
        default="",
        description="a file that a verb writes it into, as JSON; the DAGs set it; empty: nobody is told",
    )


class Settings(BaseSettings):
    """Every setting of Titler. Only `cli.py` builds one.

    Order: environment (`TITLER_LAKE__ROOT=...`), then the TOML file, then the defaults.
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
        """MLflow's address, with the default worked out. Raises UsageError where it must be set: the lake is no folder."""
        return (
            self.tracking.uri
            or f"sqlite:///{self._folder('tracking.uri', 'an MLflow server, like http://mlflow:5000')}/mlflow.db"
        )

    @property
    def warehouse_name(self) -> str:
        """The warehouse, as a person would call it."""
        if self.warehouse.kind == "bigquery":
            return f"BigQuery, {self.warehouse.project}.{self.warehouse.dataset}"
        return self.warehouse_path

    @property
    def warehouse_path(self) -> str:
        """DuckDB's file, with the default worked out. Raises UsageError where it must be set: the lake is no folder."""
        return (
            self.warehouse.path
            or f"{self._folder('warehouse.path', 'a file on this machine')}/warehouse.duckdb"
        )

    def public(self) -> dict[str, Any]:
        """Every setting by section, as JSON has them, without what lets somebody in: secrets, and logins and queries in addresses."""
        return {
            section: {name: _public(value) for name, value in values.items()}
            for section, values in self.model_dump(mode="json").items()
        }

    def _folder(self, setting: str, value: str) -> str:
        """The lake's folder, absolute. Raises UsageError where it is none, so that `setting` has no default."""
        root = self.lake.root.removeprefix("file://")
        if "://" in root:
            raise UsageError(
                f"lake.root = {root} is not a folder, so {setting} has no default.",
                f"Set {setting} to {value}.",
            )
        return str(Path(root).absolute())


def _public(value: Any) -> Any:
    """An address loses user, password, query and fragment; anything else stays."""
    if not isinstance(value, str) or "://" not in value:
        return value
    address = urlsplit(value)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"


def load(path: Path | None = None) -> Settings:
    """Settings from a TOML file, the environment and the defaults.

    Raises UsageError, naming it, for a key or a `TITLER_` variable that is unknown or of the wrong type.
    """
    if path is not None and not path.is_file():
        raise UsageError(
            f"{path}: no such settings file.",
            "Give a TOML file like infra/cloud.toml, or leave --settings out.",
        )

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=path)

    sections = {name: type(field.default) for name, field in Settings.model_fields.items()}
    known = [
        f"{PREFIX}{name}__{key}".upper() for name, section in sections.items() for key in section.model_fields
    ]
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in {*known, *NO_SETTINGS}:
            nearest = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0)[0]
            raise UsageError(
                f"{name}: no such setting; the nearest is {nearest}.",
                "All settings and their defaults: docs/settings.md",
            )
    try:
        return FromFile()
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "extra_forbidden":
                lines.append(f"{key}: no such setting.")
            else:
                found = "" if SECRET.startswith(key) else f" = {problem['input']!r}"
                lines.append(f"{key}{found}: {problem['msg'].removeprefix('Value error, ')}.")
        raise UsageError("\n".join(lines), "All settings and their defaults: docs/settings.md") from None
    except ValueError as error:  # tomllib.TOMLDecodeError
        raise UsageError(f"{path} is not TOML: {error}", "See infra/cloud.toml for the form.") from None
