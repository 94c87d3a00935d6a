"""GH Archive's data set on the emulator: one table per day, filled from hour files, and a view."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from tests.support.emulator import SOURCE_PROJECT, Emulator

DATASET = f"{SOURCE_PROJECT}.day"
VIEW = "yesterday"  # a wildcard that matches a view fails on the real service, which has this one
_PERSON = [
    bigquery.SchemaField("id", "INTEGER"),
    bigquery.SchemaField("login", "STRING"),
    bigquery.SchemaField("gravatar_id", "STRING"),
    bigquery.SchemaField("avatar_url", "STRING"),
    bigquery.SchemaField("url", "STRING"),
]
_REPO = [
    bigquery.SchemaField("id", "INTEGER"),
    bigquery.SchemaField("name", "STRING"),
    bigquery.SchemaField("url", "STRING"),
]
SCHEMA = [
    bigquery.SchemaField("type", "STRING"),
    bigquery.SchemaField("public", "BOOLEAN"),
    bigquery.SchemaField("payload", "STRING"),
    bigquery.SchemaField("repo", "RECORD", fields=_REPO),
    bigquery.SchemaField("actor", "RECORD", fields=_PERSON),
    bigquery.SchemaField("org", "RECORD", fields=_PERSON),
    bigquery.SchemaField("created_at", "TIMESTAMP"),
    bigquery.SchemaField("id", "STRING"),
    bigquery.SchemaField("other", "STRING"),
]


def load_day(emulator: Emulator, day: date, files: Iterable[Path]) -> int:
    """Loads a day's hour files into the day's table, and creates the view VIEW beside it.

    Returns the number of events.
    """
    client = bigquery.Client(
        project=SOURCE_PROJECT,
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=emulator.endpoint),
    )
    rows = [_row(line, event) for path in files for line, event in events(path)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    config = bigquery.LoadJobConfig(schema=SCHEMA, source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON)
    table = f"{DATASET}.{day:%Y%m%d}"
    client.load_table_from_file(io.BytesIO(text.encode()), table, job_config=config).result()
    if VIEW not in {table.table_id for table in client.list_tables(DATASET)}:
        view = bigquery.Table(f"{DATASET}.{VIEW}")
        view.view_query = f"SELECT * FROM `{table}`"
        client.create_table(view)
    return len(rows)


def events(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The lines of an hour file that are events: GH Archive's data set has no other lines."""
    for line in gzip.decompress(path.read_bytes()).splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield line, value


def _row(line: bytes, event: dict[str, Any]) -> dict[str, Any]:
    columns = {field.name for field in SCHEMA}
    other_values = {name: value for name, value in event.items() if name not in columns}
    return {
        "type": event["type"],
        "public": event["public"],
        "payload": json.dumps(event["payload"], ensure_ascii=line.isascii(), separators=(",", ":")),
        "repo": _record(event["repo"], _REPO),
        "actor": _record(event["actor"], _PERSON),
        "org": _record(event["org"], _PERSON) if event.get("org") else None,
        "created_at": event["created_at"],
        "id": event["id"],
        "other": json.dumps(other_values) if other_values else None,
    }


def _record(value: dict[str, Any], fields: list[bigquery.SchemaField]) -> dict[str, Any]:
    return {field.name: value.get(field.name) for field in fields}
