"""Divides batches (sets of Parquet files) into groups. One load job loads all batches of a group.

This keeps the number of load jobs small. BigQuery allows 1,500 load jobs per table and day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pipeline import contracts
from pipeline.warehouse.protocol import Batch

PARTITIONS_PER_JOB = 4000  # BigQuery's limit; each day is a partition
FILES_PER_JOB = 10_000  # BigQuery's limit for a job that reads files from a bucket
ROWS_PER_UPLOAD = 500_000  # a job that uploads rows has about as many
UPLOADS = 100  # a publication uploads a table in at most about as many jobs; then each has more rows


def groups_of_uploads(batches: Sequence[Batch]) -> Iterator[list[Batch]]:
    """Divides the batches into groups, and keeps their order. One job per group uploads the group's rows.

    A group has about ROWS_PER_UPLOAD rows, or more if there would otherwise be more than UPLOADS groups.
    """
    rows_per_upload = max(ROWS_PER_UPLOAD, -(-sum(batch.rows for batch in batches) // UPLOADS))
    return _groups(batches, lambda batch: batch.rows, rows_per_upload)


def groups_of_files(batches: Sequence[Batch]) -> Iterator[list[Batch]]:
    """Divides the batches into groups, and keeps their order. One job per group loads the group's files,
    which BigQuery itself reads. A group has at most FILES_PER_JOB files."""
    return _groups(batches, lambda batch: len(batch.files), FILES_PER_JOB)


def is_read_by_bigquery(table: contracts.Table, batch: Batch) -> bool:
    """Returns whether BigQuery itself can read the files of a batch. It can if they are in Google Cloud
    Storage and have all columns of the warehouse's table."""
    has_warehouse_columns = table.with_warehouse_columns and batch.has_all_columns
    return has_warehouse_columns and all(file.startswith("gs://") for file in batch.files)


def _groups(batches: Sequence[Batch], size: Callable[[Batch], int], limit: int) -> Iterator[list[Batch]]:
    group: list[Batch] = []
    total = 0
    for batch in batches:
        if group and (total + size(batch) > limit or len(group) == PARTITIONS_PER_JOB):
            yield group
            group, total = [], 0
        group.append(batch)
        total += size(batch)
    if group:
        yield group
