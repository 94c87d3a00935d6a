"""Results as Arrow, in order and in bounded memory: the Storage Read API, or pages of JSON where an emulator has none."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from google.cloud import bigquery
from google.cloud.bigquery.job import QueryJob
from google.cloud.bigquery_storage_v1 import BigQueryReadClient, types

PAGE = 5000  # rows


def batches(
    client: bigquery.Client, storage: BigQueryReadClient | None, job: QueryJob
) -> Iterator[pa.RecordBatch]:
    """The rows of a finished query. A stream that breaks is taken up again where it broke."""
    if storage is None:
        yield from client.list_rows(job.destination, page_size=PAGE).to_arrow_iterable()
        return
    wanted = types.ReadSession(table=job.destination.to_bqstorage(), data_format=types.DataFormat.ARROW)
    session = storage.create_read_session(
        parent=f"projects/{client.project}", read_session=wanted, max_stream_count=1
    )
    schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
    for (
        stream
    ) in session.streams:  # one, so that rows come in the query's order; none where there are no rows
        for answer in storage.read_rows(stream.name):
            # messages, not one message: the emulator sends its schema before each batch
            for message in pa.ipc.MessageReader.open_stream(
                pa.py_buffer(answer.arrow_record_batch.serialized_record_batch)
            ):
                if message.type == "record batch":
                    yield pa.ipc.read_record_batch(message, schema)
