"""Removes forgotten issues from the artifacts that MLflow runs have logged.

Forgotten issues are those that `titler forget` removes. They can be in two kinds of artifacts. A table with a
column `url`, such as sample_titles.json, has one issue per row. The report of a release shows some issues.
Other artifacts contain no issues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pipeline.tracking.experiments import RELEASES_SUFFIX
from pipeline.tracking.figures import Row
from pipeline.tracking.run import Run

if TYPE_CHECKING:
    from pipeline.tracking.registry import Tracking

URL = "url"
REPORT = "report.html"
REMOVED_REPORT = """<!doctype html>
<meta charset="utf-8">
<title>Removed</title>
<p>This report was removed, because it may have shown an issue that <code>titler forget</code> removed.
To write it into the lake again: <code>titler report RELEASE</code></p>
"""


def tables_with(
    tracking: Tracking, is_forgotten: Callable[[str], bool]
) -> Iterator[tuple[Run, str, list[Row], int]]:
    """Yields a tuple for each logged table that has forgotten issues: the run, the name of the file, the rows
    that remain, and the number of rows about forgotten issues.

    `is_forgotten` takes the URL of an issue. All runs of the experiment are searched, including deleted ones.
    """
    for run in tracking.all_runs():
        for file in run.table_files():
            rows = run.read_table(file)
            remaining = [row for row in rows if not is_forgotten(str(row.get(URL) or ""))]
            if len(remaining) < len(rows):
                yield run, file, remaining, len(rows) - len(remaining)


def count_forgotten(tracking: Tracking, is_forgotten: Callable[[str], bool]) -> int:
    """Returns the number of rows about forgotten issues in all logged tables."""
    return sum(count for *_, count in tables_with(tracking, is_forgotten))


def remove_forgotten(tracking: Tracking, is_forgotten: Callable[[str], bool]) -> int:
    """Removes the rows about forgotten issues from all logged tables. Returns the number of removed rows."""
    removed = 0
    for run, file, remaining, count in list(tables_with(tracking, is_forgotten)):
        run.log_table(file, remaining)
        removed += count
    return removed


def replace_reports(tracking: Tracking) -> int:
    """Replaces the report of every release with a page that says why the report was removed.

    Returns the number of replaced reports.
    """
    runs = tracking.all_runs(RELEASES_SUFFIX)
    for run in runs:
        run.log_text(REPORT, REMOVED_REPORT)
    return len(runs)
