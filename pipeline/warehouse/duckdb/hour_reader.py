"""Reads GH Archive's hour files into DuckDB. Stores the events that meet a condition, and lists malformed
lines.

DuckDB parses the files. Python examines only the lines that DuckDB cannot read. In these lines, U+FFFD
replaces unpaired surrogates and bytes that are not UTF-8. DuckDB then reads the repaired lines. Lines that
cannot be repaired are quarantined, that is, listed as malformed. Of a damaged file, the complete lines before
the damage are read. A file that is too large for an hour of GH Archive is not read. Memory use is bounded.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.errors import TitlerError
from pipeline.warehouse.duckdb.malformed_lines import (
    LONGEST_LINE,
    TIMELINE,
    UNREADABLE,
    DamagedError,
    OversizedError,
    find_damage,
    opens_issue,
    repair,
    whole_lines,
)
from pipeline.warehouse.protocol import (
    MALFORMED_PER_FILE,
    MALFORMED_SCHEMA,
    MALFORMED_TEXT_LENGTH,
    timeline_error,
)

GROUP_BYTES = 128 * 2**20  # compressed bytes of a group of files, which DuckDB reads in parallel
REPAIRED_FILE = "repaired.jsonl"
CHECK_THREADS = 4

_EVENTS = """
CREATE OR REPLACE TEMP TABLE events (
  file VARCHAR, line BIGINT, id VARCHAR, type VARCHAR, created_at TIMESTAMPTZ, payload JSON,
  repo STRUCT(id BIGINT, name VARCHAR, url VARCHAR), actor STRUCT(id BIGINT, login VARCHAR, url VARCHAR),
  _TABLE_SUFFIX VARCHAR
)
"""

_REPO = (
    "{'id': TRY_CAST(raw_repo ->> '$.id' AS BIGINT),"
    " 'name': CASE WHEN JSON_TYPE(raw_repo, '$.name') = 'VARCHAR' THEN raw_repo ->> '$.name' END,"
    " 'url': raw_repo ->> '$.url'}"
)
_ACTOR = (
    "{'id': TRY_CAST(raw_actor ->> '$.id' AS BIGINT),"
    " 'login': CASE WHEN JSON_TYPE(raw_actor, '$.login') = 'VARCHAR' THEN raw_actor ->> '$.login' END,"
    " 'url': raw_actor ->> '$.url'}"
)

# One row per line, in the order of the files. CASE computes values only for the selected rows. The inner
# SELECT has the structs `repo` and `actor`, because the condition may use them. If the condition does not,
# DuckDB does not compute them.
_LINES = """
CREATE OR REPLACE TEMP TABLE lines AS
SELECT
  filename,
  well_formed,
  CASE WHEN well_formed THEN COALESCE({condition}, FALSE) ELSE FALSE END AS selected,
  CASE WHEN selected THEN id END AS id,
  CASE WHEN selected THEN type END AS type,
  CASE WHEN selected THEN created_at END AS created_at,
  CASE WHEN selected THEN payload END AS payload,
  CASE WHEN selected THEN {repo} END AS repo,
  CASE WHEN selected THEN {actor} END AS actor
FROM (
  SELECT
    filename, id, type, TRY_CAST(created_at AS TIMESTAMPTZ) AS created_at, payload, $suffix AS _TABLE_SUFFIX,
    raw_repo, {repo} AS repo, raw_actor, {actor} AS actor,
    -- digits are less than 'A': a number is no type. The times are EARLIEST and LATEST of malformed_lines.
    COALESCE(
      id IS NOT NULL AND type >= 'A'
        AND TRY_CAST(created_at AS TIMESTAMPTZ) > TIMESTAMPTZ '1970-01-01 00:00:00+00'
        AND TRY_CAST(created_at AS TIMESTAMPTZ) < TIMESTAMPTZ '2262-01-01 00:00:00+00'
        AND STARTS_WITH(CAST(payload AS VARCHAR), '{{'),
      FALSE
    ) AS well_formed
  FROM
    READ_JSON(
      $paths, format = 'newline_delimited', compression = '{compression}', ignore_errors = TRUE,
      filename = TRUE, maximum_object_size = {longest},
      columns = {{
        'id': 'VARCHAR', 'type': 'VARCHAR', 'created_at': 'VARCHAR', 'payload': 'JSON',
        'repo': 'JSON', 'actor': 'JSON'
      }}
    ) AS raw (id, type, created_at, payload, raw_repo, raw_actor, filename)
)
"""

_LINE_COUNTS = """
SELECT filename, COUNT(*), COUNT_IF(NOT well_formed) FROM lines GROUP BY filename
"""

# A line's number in its file, counted from 1, is the distance of its row from the file's first row, plus 1.
_MALFORMED_LINES = """
SELECT rowid - (SELECT MIN(rowid) FROM lines WHERE filename = $path) + 1 AS line
FROM lines
WHERE filename = $path AND NOT well_formed
ORDER BY line
"""

_INSERT = """
INSERT INTO events
SELECT n.file, l.rowid - f.first + 1, l.id, l.type, l.created_at, l.payload, l.repo, l.actor, $suffix
FROM lines AS l
JOIN (SELECT filename, MIN(rowid) AS first FROM lines GROUP BY filename) AS f USING (filename)
JOIN file_names AS n ON n.path = l.filename
WHERE l.selected
"""

_INSERT_REPAIRED = """
INSERT INTO events
SELECT m.file, m.line, l.id, l.type, l.created_at, l.payload, l.repo, l.actor, $suffix
FROM lines AS l JOIN repaired AS m ON m.position = l.rowid
WHERE l.selected
"""


class HourReader:
    """Reads hour files into the temporary table `events`.

    The table has GH Archive's columns, and the file and line of each event. Only events that meet
    `condition`, SQL in DuckDB's dialect, are stored. `parameters` has the values of the `$` parameters in
    this condition.

    The attribute `events_per_file` counts the well-formed events of all types, stored or not, per name of a
    file. `omitted_malformed` counts the malformed lines that `malformed()` does not list, and
    `malformed_issues` counts those of all malformed lines that open an issue.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        condition: str,
        parameters: Mapping[str, Any],
        suffix: str,
    ) -> None:
        self.connection = connection
        self.condition = condition
        self.parameters = dict(parameters)
        self.suffix = suffix
        self.events_per_file: Counter[str] = Counter()
        self.omitted_malformed = 0
        self.malformed_issues = 0
        self._malformed: list[dict[str, Any]] = []
        self._malformed_per_file: Counter[str] = Counter()
        self._repaired: list[tuple[str, int]] = []  # file and line of each line of REPAIRED_FILE

    def read(self, files: Sequence[Path]) -> None:
        """Reads the hour files `files`. Raises SourceError if one of them is from before 2015."""
        self.connection.execute(_EVENTS)
        with (
            tempfile.TemporaryDirectory(prefix="titler-hours-") as name,
            ThreadPoolExecutor(CHECK_THREADS) as pool,
        ):
            folder = Path(name)
            for group in _groups(files):
                damages = dict(zip(group, pool.map(find_damage, group), strict=True))
                intact = {str(path): path.name for path, damage in damages.items() if damage is None}
                self._read(intact, folder)
                for path, damage in damages.items():
                    if isinstance(damage, OversizedError):
                        self._quarantine(path.name, 1, str(damage), b"")
                    elif damage is not None:
                        self._read_whole_lines(str(path), path.name, folder)
                self._read_repaired(folder)
        self.connection.execute("DROP TABLE IF EXISTS lines")

    def malformed(self) -> pa.Table:
        """Returns the malformed lines as a table with MALFORMED_SCHEMA, sorted by file and line.

        The table has at most MALFORMED_PER_FILE lines of each file.
        """
        rows = sorted(self._malformed, key=lambda row: (row["file"], row["line"]))
        return pa.Table.from_pylist(rows, schema=MALFORMED_SCHEMA)

    def _read(self, names: Mapping[str, str], folder: Path, compression: str = "gzip") -> None:
        """Adds the events of hour files to the table `events`. `names` maps the path of each hour file to the
        name that is stored with its events."""
        if not names:
            return
        try:
            self._fill_lines(list(names), compression)
        except duckdb.Error as error:
            self._read_refused(names, folder, compression, error)
            return
        counts = self.connection.execute(_LINE_COUNTS).fetchall()
        line_counts = {path: lines for path, lines, _ in counts}
        with_malformed = {path for path, _, malformed in counts if malformed}
        events, saved_state = Counter(line_counts), self._save_state(folder)
        for path, name in names.items():
            if path not in with_malformed:
                continue
            lines = np.asarray(
                self.connection.execute(_MALFORMED_LINES, {"path": path}).fetchnumpy()["line"], dtype=np.int64
            )
            try:
                self._repair_or_quarantine(Path(path), name, lines, line_counts[path], compression, folder)
            except DamagedError:
                self._restore_state(saved_state, folder)
                self._read_whole_lines(path, name, folder)
                remaining = {file: name for file, name in names.items() if file != path}
                self._read(remaining, folder)
                return
            events[path] -= len(lines)
        for path, name in names.items():
            self.events_per_file[name] += events[path]
        file_names = pa.table({"path": list(names), "file": list(names.values())})
        self._insert(_INSERT, "file_names", file_names)

    def _read_refused(
        self, names: Mapping[str, str], folder: Path, compression: str, error: duckdb.Error
    ) -> None:
        """Reads hour files again after DuckDB could not read at least one of them. Reads each file alone, to
        find out which one it was.

        Raises TitlerError if DuckDB failed because memory or disk space ran out.
        """
        if isinstance(error, duckdb.OutOfMemoryException) or "No space left" in str(error):
            raise TitlerError(
                f"DuckDB ran out of space while reading {', '.join(names.values())}: {error}",
                f"Free memory, or disk space in {tempfile.gettempdir()}, or set TMPDIR to a folder with more "
                "space. Then run the same command again.",
            ) from None
        if len(names) > 1:  # read them one by one to find the refused file
            for path, name in names.items():
                self._read({path: name}, folder, compression)
        elif compression == "gzip":
            self._read_whole_lines(*next(iter(names.items())), folder)
        else:
            self._quarantine(next(iter(names.values())), 1, f"{UNREADABLE}: {error}", b"")

    def _repair_or_quarantine(
        self,
        path: Path,
        name: str,
        lines: npt.NDArray[np.int64],
        line_count: int,
        compression: str,
        folder: Path,
    ) -> None:
        """Repairs lines of a file and appends them to REPAIRED_FILE. Lines that cannot be repaired are
        quarantined, that is, listed as malformed.

        `lines` has the numbers of the lines, in ascending order. Raises DamagedError if the file is damaged,
        and SourceError if most of its lines are from before 2015.
        """
        with (folder / REPAIRED_FILE).open("ab") as repaired_file:
            for line, text, repaired, reason in _repair_lines(path, name, lines, line_count, compression):
                if repaired:
                    repaired_file.write(repaired + b"\n")
                    self._repaired.append((name, line))
                else:
                    self._quarantine(name, line, reason, text)

    def _save_state(self, folder: Path) -> tuple[int, Counter[str], int, int, int, int]:
        repaired_file = folder / REPAIRED_FILE
        repaired_file.touch()
        return (
            len(self._malformed),
            self._malformed_per_file.copy(),
            self.omitted_malformed,
            self.malformed_issues,
            len(self._repaired),
            repaired_file.stat().st_size,
        )

    def _restore_state(self, state: tuple[int, Counter[str], int, int, int, int], folder: Path) -> None:
        """Discards the malformed and repaired lines that were added after `_save_state` returned `state`."""
        malformed, self._malformed_per_file, self.omitted_malformed, self.malformed_issues, repaired, size = (
            state
        )
        del self._malformed[malformed:], self._repaired[repaired:]
        os.truncate(folder / REPAIRED_FILE, size)

    def _read_whole_lines(self, path: str, name: str, folder: Path) -> None:
        """Reads an hour file line by line, because it is damaged or DuckDB cannot read it. If the last line
        is incomplete, it is listed as malformed."""
        whole_lines_file = folder / f"{name}.ndjson"
        count = 0
        with whole_lines_file.open("wb") as file:
            try:
                for line in whole_lines(Path(path), "gzip"):
                    count += 1
                    # a line that is too long for DuckDB is cut, so that it is quarantined as malformed
                    file.write((line if len(line) < LONGEST_LINE else line[:MALFORMED_TEXT_LENGTH]) + b"\n")
            except DamagedError as damage:
                self._quarantine(name, count + 1, damage.reason, damage.remainder)
        if count:
            self._read({str(whole_lines_file): name}, folder, "none")
        whole_lines_file.unlink()

    def _read_repaired(self, folder: Path) -> None:
        """Adds the events in REPAIRED_FILE to the table `events`, and deletes the file."""
        if not self._repaired:
            return
        path = folder / REPAIRED_FILE
        self._fill_lines([str(path)], "none")
        well_formed = self.connection.execute("SELECT well_formed FROM lines ORDER BY rowid").fetchnumpy()
        rows: list[dict[str, Any]] = []
        with path.open("rb") as file:
            lines = zip(self._repaired, well_formed["well_formed"].tolist(), file, strict=True)
            for position, ((name, line), is_well_formed, text) in enumerate(lines):
                if is_well_formed:
                    rows.append({"position": position, "file": name, "line": line})
                else:
                    self._quarantine(name, line, UNREADABLE, text.rstrip(b"\n"))
        self.events_per_file.update(row["file"] for row in rows)
        schema = pa.schema([("position", pa.int64()), ("file", pa.string()), ("line", pa.int64())])
        self._insert(_INSERT_REPAIRED, "repaired", pa.Table.from_pylist(rows, schema=schema))
        path.unlink()
        self._repaired.clear()

    def _fill_lines(self, paths: list[str], compression: str) -> None:
        """Replaces the temporary table `lines` with the lines of the files `paths`."""
        sql = _LINES.format(
            condition=self.condition, compression=compression, longest=LONGEST_LINE, repo=_REPO, actor=_ACTOR
        )
        self.connection.execute(sql, {**self.parameters, "suffix": self.suffix, "paths": paths})

    def _insert(self, sql: str, name: str, table: pa.Table) -> None:
        """Runs an INSERT statement on the connection. The statement reads the Arrow table `table` under the
        name `name`."""
        self.connection.register(name, table)
        self.connection.execute(sql, {"suffix": self.suffix})
        self.connection.unregister(name)

    def _quarantine(self, name: str, line: int, reason: str, text: bytes) -> None:
        self.malformed_issues += opens_issue(text)
        if self._malformed_per_file[name] == MALFORMED_PER_FILE:
            self.omitted_malformed += 1
            return
        self._malformed_per_file[name] += 1
        start = text[: 4 * MALFORMED_TEXT_LENGTH].decode("utf-8", "replace")[:MALFORMED_TEXT_LENGTH]
        self._malformed.append({"file": name, "line": line, "reason": reason, "text": start})


def _repair_lines(
    path: Path, name: str, lines: npt.NDArray[np.int64], line_count: int, compression: str
) -> Iterator[tuple[int, bytes, bytes, str]]:
    """Tries to repair some lines of a file. `lines` has the numbers of these lines, in ascending order.

    Yields four values per line:

    - its number
    - its text
    - its repaired text, or b"" if the repair failed
    - why the repair failed, or "" if it succeeded

    Raises DamagedError if the file is damaged. `line_count` is the number of all lines of the file. Raises
    SourceError if most of them are from before 2015.
    """
    timeline_count = number = 0
    numbers = iter(lines.tolist())
    next_number = next(numbers)
    for number, text in enumerate(whole_lines(path, compression), 1):
        if number == next_number:
            repaired, reason = repair(text)
            timeline_count += reason == TIMELINE
            yield number, text, repaired, reason
            next_number = next(numbers, 0)
    if 2 * timeline_count > line_count:
        raise timeline_error(f"Most events of {name} have")
    if number != line_count and compression == "gzip":
        raise DamagedError(f"DuckDB read {line_count} lines, but the file has {number} lines")


def _groups(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Yields the files in order, in groups of at most GROUP_BYTES. A larger file forms its own group."""
    group: list[Path] = []
    total = 0
    for path in files:
        size = path.stat().st_size
        if group and total + size > GROUP_BYTES:
            yield group
            group, total = [], 0
        group.append(path)
        total += size
    if group:
        yield group
