"""The commands and queries that read a lake, each in a process of its own, and their answers."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support import titler_in_process

_VARIABLE = re.compile(r'"(age_hours|stale|seconds)": [^,\n]+')


@dataclass(frozen=True)
class Answer:
    """What a command printed, and how it ended. `code` is negative if a signal ended the process."""

    code: int
    output: str
    errors: str

    @property
    def value(self) -> str:
        """The output without values that change with the time."""
        return _VARIABLE.sub("", self.output)


Reader = Callable[[], None]
"""Prints an answer on standard output, and ends with `SystemExit`."""


IMPORTED_BY_READERS = (
    "duckdb",
    "pyarrow.dataset",
    "pipeline.index.segmented_index",
    "pipeline.networks.in_numpy.implementations",
    "pipeline.predictor.loading",
    "pipeline.releases.publication",
    "pipeline.serving.explain",
    "pipeline.serving.queries",
    "pipeline.serving.report.stored_report",
    "pipeline.serving.status",
    "pipeline.serving.verification.verify",
    "pipeline.stages.plan",
    "pipeline.stages.publish",
    "pipeline.warehouse.duckdb",
    "rich.table",
    "sqlglot.dialects.bigquery",
    "sqlglot.dialects.duckdb",
)


def import_for_readers() -> None:
    """Imports what most readers need, before their processes are forked."""
    for name in IMPORTED_BY_READERS:
        importlib.import_module(name)


def answer(read: Reader, limit: int = 120) -> Answer:
    """Runs a reader in a process of its own, so that a crash is seen and nothing is left in memory."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")  # pytest has replaced them
            signal.alarm(limit)
            code = 70
            try:
                read()
                code = 0
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 1
            except BaseException as error:
                print(f"Traceback: {type(error).__name__}: {error}", file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        errors.seek(0)
        code = os.waitstatus_to_exitcode(status)
        return Answer(
            code, output.read().decode("utf-8", "replace"), errors.read().decode("utf-8", "replace")
        )


def run_titler(arguments: str) -> Reader:
    """A reader that runs `titler ARGUMENTS`."""

    def read() -> None:
        done = titler_in_process.titler(*arguments.split("|"))
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        raise SystemExit(done.returncode)

    return read


def run_query(warehouse: Path, sql: str) -> Reader:
    """A reader that asks DuckDB alone, as an analyst does."""

    def read() -> None:
        import duckdb

        try:
            with duckdb.connect(str(warehouse), read_only=True) as connection:
                print(json.dumps(connection.sql(sql).fetchall(), default=str))
        except duckdb.Error as error:
            print(f"{type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr)
            raise SystemExit(1) from None

    return read


@dataclass(frozen=True)
class Question:
    """The issue and the releases that the readers ask about."""

    url: str
    earlier_release: str


def readers(root: Path, question: Question, out: Path) -> dict[str, Reader]:
    """The readers by name. The last ones write to the lake."""
    warehouse = root / "warehouse.duckdb"
    text = "similar|The program crashes with a segmentation fault when the configuration file is empty|--json"
    return {
        "status": run_titler("status|--json"),
        "releases": run_titler("releases|--json"),
        "title": run_titler(
            "title|The program crashes when the configuration file is empty and no log|--json"
        ),
        "similar text": run_titler(text),
        "similar url": run_titler(f"similar|{question.url}|--json"),
        "explain": run_titler(f"explain|{question.url}|--json"),
        "query titles": run_query(warehouse, "SELECT COUNT(*), SUM(HASH(COLUMNS(*))) FROM title_predictions"),
        "query similar": run_query(warehouse, "SELECT COUNT(*), SUM(HASH(COLUMNS(*))) FROM similar_issues"),
        "verify": run_titler("verify|--json"),
        "report": run_titler(f"report|--out|{out}"),
        "plan": run_titler("plan"),
        "rollback": run_titler(f"rollback|{question.earlier_release}"),
    }


QUERIES = ("query titles", "query similar")
"""The readers that are DuckDB alone. It does not check Parquet files."""
WRITERS = ("plan", "rollback")
"""The readers that write to the lake, which run last, on a copy of their own."""
