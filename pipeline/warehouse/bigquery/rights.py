"""What Titler can do in BigQuery with the rights that it has: each is tried, harmlessly, and what is missing is named."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import types

from pipeline.errors import TitlerError
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse import Query, suffix
from pipeline.warehouse.bigquery import client as google
from pipeline.warehouse.bigquery.jobs import Jobs, Statement
from pipeline.warehouse.bigquery.source import SOURCE

DATASETS_LISTED = 20


@dataclass(frozen=True)
class Probe:
    """What was tried: `found` is what came of it, `advice` what to do about it."""

    subject: str
    good: bool
    found: str
    advice: str = ""


def look(settings: Settings) -> Iterator[Probe]:
    """Project, identity and data sets, then every permission that Titler needs. Raises UsageError without project or credentials."""
    jobs = Jobs(settings, "doctor", "")
    yield Probe("bigquery", True, f"project {settings.project}, as {identity(settings)}")
    place = f"{settings.project}:{settings.dataset}"
    tries: list[tuple[str, str, str, Callable[[], str]]] = [
        (
            "data sets",
            "bigquery.datasets.get",
            "roles/bigquery.metadataViewer on the project",
            lambda: _datasets(jobs),
        ),
        ("queries", "bigquery.jobs.create", "roles/bigquery.jobUser on the project", lambda: _queries(jobs)),
        (
            "data set",
            "bigquery.datasets.get",
            f"bq --location={settings.location} mk --dataset {place}",
            lambda: _dataset(jobs),
        ),
        (
            "tables",
            "bigquery.tables.create, .update, .delete",
            f"roles/bigquery.dataEditor on {place}",
            lambda: _tables(jobs),
        ),
        (
            "source",
            "bigquery.tables.getData on githubarchive",
            "GH Archive is public: see warehouse.location (US)",
            lambda: _source(jobs),
        ),
        (
            "results",
            "bigquery.readsessions.create",
            "roles/bigquery.readSessionUser on the project",
            lambda: _sessions(jobs),
        ),
    ]
    for subject, permission, grant, attempt in tries:
        try:
            yield Probe(subject, True, attempt())
        except TitlerError as error:
            yield Probe(
                subject,
                False,
                error.message,
                f"Needs {permission}. {grant if ' mk ' in grant else f'Grant: {grant}'}",
            )


def identity(settings: Settings) -> str:
    """Whose rights they are; never a secret."""
    if settings.endpoint and not settings.credentials_file:
        return f"nobody (an emulator at {settings.endpoint})"
    credentials = google.credentials_of(settings)
    email = getattr(credentials, "service_account_email", None) or getattr(credentials, "account", None)
    return str(email or "application default credentials")


def _datasets(jobs: Jobs) -> str:
    with google.told(jobs.settings, "listing data sets"):
        names = [
            found.dataset_id
            for found in jobs.client.list_datasets(max_results=DATASETS_LISTED, timeout=google.REQUEST)
        ]
    return ", ".join(names) or "the project has none"


def _queries(jobs: Jobs) -> str:
    jobs.estimate(Statement("a query", "SELECT 1 AS one"))
    return "may be run"


def _dataset(jobs: Jobs) -> str:
    with google.told(jobs.settings, "looking at the data set"):
        found = jobs.client.get_dataset(jobs.dataset, timeout=google.REQUEST)
    return f"{jobs.dataset}{f' in {found.location}' if found.location else ''}"


def _tables(jobs: Jobs) -> str:
    table = bigquery.Table(
        f"{jobs.dataset}.titler_doctor_{uuid.uuid4().hex[:8]}",
        schema=[bigquery.SchemaField("nothing", "STRING")],
    )
    table.expires = datetime.now(UTC) + timedelta(hours=1)
    with google.told(jobs.settings, "making a table"):
        made = jobs.client.create_table(table, timeout=google.REQUEST)
    with google.told(jobs.settings, "changing a table"):
        made.description = "made by titler doctor"
        jobs.client.update_table(made, ["description"], timeout=google.REQUEST)
    with google.told(jobs.settings, "removing a table"):
        jobs.client.delete_table(made, timeout=google.REQUEST)
    return "may be made, changed and removed"


def _source(jobs: Jobs) -> str:
    day = datetime.now(UTC).date() - timedelta(days=2)
    bounds = {"first_suffix": suffix(day), "last_suffix": suffix(day)}
    jobs.estimate(Statement("GH Archive", Query.from_file("source_hours").sql, bounds))
    return f"{SOURCE}* may be read"


def _sessions(jobs: Jobs) -> str:
    storage = google.connect_storage(jobs.settings)
    if storage is None:
        return "come as pages of JSON: warehouse.storage_endpoint is empty"
    with google.told(jobs.settings, "opening a read session"):
        tables = (
            found.reference for found in jobs.client.list_tables(jobs.dataset) if found.table_type == "TABLE"
        )
        table = next(tables, None)
        if table is not None:
            wanted = types.ReadSession(table=table.to_bqstorage(), data_format=types.DataFormat.ARROW)
            storage.create_read_session(
                parent=f"projects/{jobs.settings.project}", read_session=wanted, max_stream_count=1
            )
    return (
        "come through the Storage Read API"
        if table is not None
        else "no table to try the Storage Read API on yet"
    )
