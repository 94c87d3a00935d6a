"""Reads query results as Arrow record batches, in order and in bounded memory.

BigQuery sends results through its Storage Read API. An emulator without that API sends pages of JSON.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from google.cloud import bigquery
from google.cloud.bigquery.job import QueryJob
from google.cloud.bigquery_storage_v1 import BigQueryReadClient, types

PAGE_ROWS = 5000


def read_record_batches(
    client: bigquery.Client, storage: BigQueryReadClient | None, job: QueryJob
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a finished query as record batches.

    If `storage` is None, reads pages of JSON. Otherwise reads with the client `storage`, which resumes at the
    same row if the connection breaks.
    """
    if storage is None:
        yield from client.list_rows(job.destination, page_size=PAGE_ROWS).to_arrow_iterable()
        return
    request = types.ReadSession(table=job.destination.to_bqstorage(), data_format=types.DataFormat.ARROW)
    # one stream, so that rows come in the query's order; a result without rows has no stream
    session = storage.create_read_session(
        parent=f"projects/{client.project}", read_session=request, max_stream_count=1
    )
    schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
    for stream in session.streams:
        for response in storage.read_rows(stream.name):
            # an emulator sends its schema before each record batch, so a response may have several messages
            for message in pa.ipc.MessageReader.open_stream(
                pa.py_buffer(response.arrow_record_batch.serialized_record_batch)
            ):
                if message.type == "record batch":
                    yield pa.ipc.read_record_batch(message, schema)
