"""Extracts whole hour files with DuckDB and with GoogleSQL's evaluator, and compares the rows.

    PYTHONPATH=.:dags:infra .venv/bin/python -m tests.sql.whole_hours FILE ...

Each FILE is an hour of GH Archive (.json.gz). Prints a table, and exits with 1 if the two engines give
different rows. `test_real_hours.py` compares the same engines on a part of an hour, because GoogleSQL's
evaluator takes half a minute for a whole one.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.sql.engines import DuckDB, Engine, Evaluator, Events
from tests.sql.googlesql import GoogleSQL, Row


def extracted(engine: Engine, events: Events) -> tuple[dict[str, list[Row]], float]:
    """The issues, the malformed events and the comments with duplicate marks, and the seconds it took."""
    began = time.monotonic()
    rows = {
        "issues": engine.issues(events),
        "malformed": engine.malformed(events),
        "marks": engine.comments(events),
    }
    return rows, time.monotonic() - began


def main(paths: Sequence[str]) -> int:
    if not paths:
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    widths = {"issues": 7, "malformed": 9, "marks": 6}
    columns = " ".join(f"{name:>{width}}" for name, width in widths.items())
    print(f"{'hour':24} {'events':>8} {columns} {'DuckDB s':>9} {'GoogleSQL s':>11}  rows")
    is_equal = []
    with tempfile.TemporaryDirectory() as folder:
        duckdb, googlesql = DuckDB(Path(folder)), Evaluator(GoogleSQL.of_titler())
        for path in map(Path, paths):
            events = gzip.decompress(path.read_bytes()).splitlines()
            (ours, seconds), (expected, expected_seconds) = (
                extracted(engine, events) for engine in (duckdb, googlesql)
            )
            differing = [name for name, rows in ours.items() if rows != expected[name]]
            is_equal.append(not differing)
            numbers = " ".join(f"{len(ours[name]):>{width}}" for name, width in widths.items())
            print(
                f"{path.name:24} {len(events):>8} {numbers} {seconds:>9.1f} {expected_seconds:>11.1f}  "
                + (f"different: {', '.join(differing)}" if differing else "equal"),
                flush=True,
            )
    return 0 if all(is_equal) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
