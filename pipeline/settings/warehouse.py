"""The section `warehouse` of the settings: the database for analysts, and the limits on BigQuery's costs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.settings.section import Section


class Warehouse(Section):
    """The SQL database for analysts. If it is BigQuery, it also extracts issues from GH Archive's
    tables."""

    kind: Literal["duckdb", "bigquery"] = Field(
        default="duckdb", description="which database to use: duckdb (a local file) or bigquery"
    )
    path: str = Field(
        default="",
        description="path of DuckDB's file. If this setting is empty, the file is warehouse.duckdb in the "
        "lake, which must then be a folder, not a bucket",
    )
    memory_gib: float = Field(
        default=0,
        ge=0,
        description="for DuckDB: maximum memory, in GiB, for reading the hour files of a day. Data that does "
        "not fit is written to temporary files. If that is not possible, the command fails. Set to 0 for "
        "DuckDB's default, 80% of the machine's memory",
    )
    project: str = Field(
        default="",
        description="for BigQuery: Google Cloud project that stores the data set and pays for the queries",
    )
    dataset: str = Field(
        default="titler",
        description="for BigQuery: name of the data set for the published tables; it must exist",
    )
    views_dataset: str = Field(
        default="",
        description="for BigQuery: name of the data set for the views and table functions. It must "
        "exist, and the data set of the tables must authorise it. Analysts then need access only to this "
        "data set. If this setting is empty, the views are in the data set "
        "`warehouse.dataset`",
    )
    location: str = Field(
        default="US",
        description="for BigQuery: location of the data set. To extract issues, set it to US, because "
        "GH Archive's tables are there",
    )
    credentials_file: str = Field(
        default="",
        description="for BigQuery: path of a service account's key file. If this setting is empty, Google's "
        "application default credentials are used",
    )
    max_bytes_per_run: int = Field(
        default=100 * 10**9,
        ge=0,
        description="for BigQuery: maximum number of bytes that may be billed for all queries of one command",
    )
    max_bytes_per_day: int = Field(
        default=200 * 10**9,
        ge=0,
        description="for BigQuery: maximum number of bytes that may be billed for all queries of one day "
        "(UTC). If a command needs more, run it again on the next day. Airflow does this by itself",
    )
    usd_per_tib: float = Field(
        default=6.25,
        ge=0,
        description="for BigQuery: price in USD of 2^40 billed bytes (1 TiB). The default is the on-demand "
        "price in the US",
    )
    timeout: int = Field(
        default=1800,
        ge=1,
        description="for BigQuery: number of seconds after which a command stops waiting for a job. The job "
        "continues to run",
    )
    embeddings: bool = Field(
        default=False,
        description="whether to also publish a table with the issues' embeddings. The table needs 2.4 kB per "
        "issue",
    )
    vector_index: bool = Field(
        default=False,
        description="for BigQuery: whether to maintain a vector index on the published embeddings, which "
        "makes VECTOR_SEARCH faster",
    )
    endpoint: str = Field(
        default="",
        description="for BigQuery: address of an emulator, which needs no credentials. If this setting is "
        "empty, Google's service is used",
    )
    storage_endpoint: str = Field(
        default="",
        description="for BigQuery: HOST:PORT of the emulator's Storage API, if an emulator is used",
    )
