"""Part of the stage `extract`: finds a day's comments that call an issue a duplicate (duplicate marks), and
writes them to the table duplicate_marks_v1.

The marks are extracted in the same pass as the day's issues, so both come from the same source. The manifest
of the batch of issues has the folder of the batch of marks among its figures.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipeline.contracts import DUPLICATE_MARKS
from pipeline.lake.batches import Lake
from pipeline.lake.changed_days import make_current
from pipeline.lake.draft import Draft
from pipeline.lake.forgotten import Matcher
from pipeline.lake.manifest import Manifest
from pipeline.text import duplicate_marks
from pipeline.warehouse import Query

REQUIRED = tuple(field.name for field in DUPLICATE_MARKS.schema if not field.nullable)


def find_marks(comments: pa.Table) -> tuple[pa.Table, int]:
    """Finds the comments that mark a duplicate. Returns rows of the table duplicate_marks_v1, and the number
    of marks that were left out because their event lacks a required value, such as the issue's id.

    `comments` are comments that may mark a duplicate, with the columns of sql/extract_duplicate_marks.sql.
    They also have the column `source` if their origin is known.
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


def write_marks(
    lake: Lake, issues: Draft, comments: pa.Table, matcher: Matcher | None = None
) -> dict[str, Any]:
    """Finds the duplicate marks in `comments`, and writes them as a batch of the table duplicate_marks_v1.

    Marks that `matcher` recognises as forgotten are left out. `issues` is the unfinished batch of the day's
    issues.

    Returns figures for the batch of issues: the folder of the batch of marks (`batch`), the number of marks
    (`marks`), the number of comments that were read (`comments`), and the number of marks that were left out
    because they lack a required value (`incomplete`).
    """
    query = Query.from_file("extract_duplicate_marks")
    parameters = {
        "issues_batch": issues.batch_id,
        "query": query.digest,
        "reading": duplicate_marks.VERSION,
    }
    draft = lake.draft(DUPLICATE_MARKS.name, issues.partition, (), parameters)
    marks, incomplete = find_marks(comments)
    if matcher is not None:
        marks = marks.filter(pa.array(~matcher.mask(marks)))
    if len(marks):
        draft.write_table("part-00000.parquet", marks, DUPLICATE_MARKS)
    counted = {"marks": len(marks), "comments": len(comments), "incomplete": incomplete}
    return {"batch": draft.commit(counted).folder, **counted}


def make_marks_current(lake: Lake, issues: Manifest) -> None:
    """Makes the batch of marks that belongs to the batch `issues` the current batch of its day. Does nothing
    if an earlier version of Titler extracted the issues without marks."""
    if marks := issues.figures.get(DUPLICATE_MARKS.name):
        make_current(lake, lake.manifest(marks["batch"]))
