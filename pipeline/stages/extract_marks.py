"""Part of the stage `extract`: finds the duplicate marks of a day in its comments, and writes the table
duplicate_marks_v1.

The batch of marks belongs to the day's batch of issues, which was extracted in the same pass: the figures of
the issues name it. So the marks of a day are from the same source as its issues.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipeline.contracts import DUPLICATE_MARKS
from pipeline.lake.batches import Lake
from pipeline.lake.changed_days import make_current
from pipeline.lake.draft import Draft
from pipeline.lake.manifest import Manifest
from pipeline.text import duplicate_marks
from pipeline.warehouse import Query

REQUIRED = tuple(field.name for field in DUPLICATE_MARKS.schema if not field.nullable)


def find_marks(comments: pa.Table) -> tuple[pa.Table, int]:
    """Returns the marks among comments as rows of the table duplicate_marks_v1, and the number of marks that
    were left out because their event lacks a required value, such as the issue's id.

    `comments` are those that may mark a duplicate, with the columns of sql/extract_duplicate_marks.sql. They
    have the column `source` if it is known where they are from.
    """
    marks, incomplete = [], 0
    for comment in comments.to_pylist():
        repo, number = comment["repo"] or "", comment["number"] or 0
        marked = duplicate_marks.find_mark(comment["body"], repo, number)
        if marked is None:
            continue
        row = {**comment, "duplicate_of_repo": marked.repo, "duplicate_of_number": marked.number}
        if any(row[name] is None for name in REQUIRED):
            incomplete += 1
        else:
            marks.append({name: row.get(name) for name in DUPLICATE_MARKS.schema.names})
    return pa.Table.from_pylist(marks, schema=DUPLICATE_MARKS.schema), incomplete


def write_marks(lake: Lake, issues: Draft, comments: pa.Table) -> dict[str, Any]:
    """Writes the batch of the marks among `comments`. `issues` is the unfinished batch of the day's issues.

    Returns figures for the batch of issues: the folder of the batch of marks (`batch`), and the numbers of
    marks, of comments that were read, and of marks that lack a required value (`incomplete`).
    """
    query = Query.from_file("extract_duplicate_marks")
    parameters = {
        "issues_batch": issues.batch_id,
        "query": query.digest,
        "reading": duplicate_marks.VERSION,
    }
    draft = lake.draft(DUPLICATE_MARKS.name, issues.partition, (), parameters)
    marks, incomplete = find_marks(comments)
    if len(marks):
        draft.write_table("part-00000.parquet", marks, DUPLICATE_MARKS)
    counted = {"marks": len(marks), "comments": len(comments), "incomplete": incomplete}
    return {"batch": draft.commit(counted).folder, **counted}


def make_marks_current(lake: Lake, issues: Manifest) -> None:
    """Makes the marks that belong to a batch of issues the current ones of their day, unless an earlier
    version of Titler extracted the issues without marks."""
    if marks := issues.figures.get(DUPLICATE_MARKS.name):
        make_current(lake, lake.manifest(marks["batch"]))
