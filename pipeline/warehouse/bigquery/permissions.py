"""Checks what Titler is permitted to do in BigQuery, for `titler doctor`.

Each operation is tried in a way that leaves nothing behind. The findings list the missing permissions.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeAlias

from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import types

from pipeline.errors import Finding, TitlerError
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse.bigquery.client import REQUEST_TIMEOUT, connect_storage, credentials_of
from pipeline.warehouse.bigquery.errors import translated_errors
from pipeline.warehouse.bigquery.gh_archive import SOURCE_TABLES
from pipeline.warehouse.bigquery.jobs import Jobs, Statement
from pipeline.warehouse.query import Query, table_suffix

LISTED_DATASETS = 20
Attempt: TypeAlias = tuple[str, Callable[[Jobs], str], str, str]
"""A check: its subject, the function that makes it, the permission that it needs, and how to get that."""


def check_permissions(settings: Settings) -> Iterator[Finding]:
    """Checks the project, the account and each permission that Titler needs. Yields one finding per check.

    Raises UsageError if the project is not set, or if there are no credentials that can be used.
    """
    jobs = Jobs(settings, "doctor", "")
    yield Finding("bigquery", True, f"project {settings.project}, as {identity(settings)}")
    attempts: list[Attempt] = [
        (
            "data sets",
            _list_datasets,
            "bigquery.datasets.get",
            "Grant: roles/bigquery.metadataViewer on the project",
        ),
        ("queries", _run_query, "bigquery.jobs.create", "Grant: roles/bigquery.jobUser on the project"),
        *_dataset_attempts(settings, settings.dataset, "data set", "tables"),
        (
            "source",
            _read_source,
            "bigquery.tables.getData on githubarchive",
            "GH Archive's data set is public, in the location US: check the setting warehouse.location",
        ),
        (
            "results",
            _open_read_session,
            "bigquery.readsessions.create",
            "Grant: roles/bigquery.readSessionUser on the project",
        ),
    ]
    if settings.views_dataset:
        attempts += _dataset_attempts(settings, settings.views_dataset, "views data set", "views")
    for subject, attempt, permission, remedy in attempts:
        try:
            yield Finding(subject, True, attempt(jobs))
        except TitlerError as error:
            yield Finding(subject, False, error.message, f"Needs {permission}. {remedy}")


def identity(settings: Settings) -> str:
    """Returns the name of the account whose permissions are used. The name contains no secret."""
    if settings.endpoint and not settings.credentials_file:
        return f"no account (an emulator at {settings.endpoint})"
    credentials = credentials_of(settings)
    email = getattr(credentials, "service_account_email", None) or getattr(credentials, "account", None)
    return str(email or "application default credentials")


def _list_datasets(jobs: Jobs) -> str:
    with translated_errors(jobs.settings, "listing data sets"):
        datasets = jobs.client.list_datasets(max_results=LISTED_DATASETS, timeout=REQUEST_TIMEOUT)
        names = [dataset.dataset_id for dataset in datasets]
    return ", ".join(names) or "the project has none"


def _run_query(jobs: Jobs) -> str:
    jobs.estimate(Statement("running a query", "SELECT 1 AS one"))
    return "may be run"


def _dataset_attempts(settings: Settings, name: str, subject: str, contents: str) -> list[Attempt]:
    """Returns two checks of the data set `name`: does it exist, and can its `contents` ("tables" or "views")
    be changed? Even for views, the second check changes a table, because views need the same permissions."""
    dataset = f"{settings.project}:{name}"
    address = f"{settings.project}.{name}"
    create_dataset = f"Create the data set: bq --location={settings.location} mk --dataset {dataset}"
    grant = f"Grant: roles/bigquery.dataEditor on {dataset}"
    return [
        (subject, partial(_find_dataset, address), "bigquery.datasets.get", create_dataset),
        (contents, partial(_change_tables, address), "bigquery.tables.create, .update, .delete", grant),
    ]


def _find_dataset(address: str, jobs: Jobs) -> str:
    with translated_errors(jobs.settings, "looking for the data set"):
        dataset = jobs.client.get_dataset(address, timeout=REQUEST_TIMEOUT)
    return f"{address}{f' in {dataset.location}' if dataset.location else ''}"


def _change_tables(dataset: str, jobs: Jobs) -> str:
    table = bigquery.Table(
        f"{dataset}.titler_doctor_{uuid.uuid4().hex[:8]}",
        schema=[bigquery.SchemaField("nothing", "STRING")],
    )
    table.expires = datetime.now(UTC) + timedelta(hours=1)
    with translated_errors(jobs.settings, "creating a table"):
        created_table = jobs.client.create_table(table, timeout=REQUEST_TIMEOUT)
    with translated_errors(jobs.settings, "changing a table"):
        created_table.description = "created by titler doctor"
        jobs.client.update_table(created_table, ["description"], timeout=REQUEST_TIMEOUT)
    with translated_errors(jobs.settings, "deleting a table"):
        jobs.client.delete_table(created_table, timeout=REQUEST_TIMEOUT)
    return "may be created, changed and deleted"


def _read_source(jobs: Jobs) -> str:
    day = datetime.now(UTC).date() - timedelta(days=2)
    bounds = {"first_suffix": table_suffix(day), "last_suffix": table_suffix(day)}
    jobs.estimate(Statement("reading GH Archive", Query.from_file("source_hours").sql, bounds))
    return f"{SOURCE_TABLES}* may be read"


def _open_read_session(jobs: Jobs) -> str:
    storage = connect_storage(jobs.settings)
    if storage is None:
        return "come as pages of JSON: warehouse.storage_endpoint is empty"
    with translated_errors(jobs.settings, "opening a read session"):
        items = jobs.client.list_tables(jobs.dataset)
        table = next((item.reference for item in items if item.table_type == "TABLE"), None)
        if table is None:
            return "not checked: the data set has no table yet that could be read"
        session = types.ReadSession(table=table.to_bqstorage(), data_format=types.DataFormat.ARROW)
        storage.create_read_session(
            parent=f"projects/{jobs.settings.project}", read_session=session, max_stream_count=1
        )
    return "come through the Storage Read API"
