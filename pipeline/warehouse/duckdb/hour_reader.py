"""Reads GH Archive's hour files into DuckDB. Stores the events that meet a condition, and lists malformed
lines.

DuckDB parses the files. Python examines only the lines that DuckDB cannot read. In these lines, U+FFFD
replaces unpaired surrogates and bytes that are not UTF-8. DuckDB then reads the repaired lines. Lines that
cannot be repaired are quarantined, that is, listed as malformed. If a file is damaged, the complete lines
before the damage are read. A file that is too large for an hour of GH Archive is not read. Memory use is
bounded.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.decompression import Compression, DamagedError, compression_of
from pipeline.warehouse.duckdb import hour_statements as statements
from pipeline.warehouse.duckdb.connection import out_of_space
from pipeline.warehouse.duckdb.malformed_lines import (
    LIMITED_TYPES,
    LONGEST_LINE,
    LONGEST_PAYLOAD,
    MOST_EXAMINED,
    NOT_EXAMINED,
    TIMELINE,
    UNREADABLE,
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
    SourceFile,
    timeline_error,
)

GROUP_BYTES = 128 * 2**20  # compressed bytes of a group of files, which DuckDB reads in parallel
REPAIRED_FILE = "repaired.jsonl"
WHOLE_LINES_FILE = "whole_lines.jsonl"
START_BYTES = 4096  # of a file; they show how it is compressed
CHECK_THREADS = 4
_FILE_NAMES = pa.schema([("path", pa.string()), ("file", pa.string())])


class HourReader:
    """Reads hour files into the temporary table `events`.

    The table has GH Archive's columns, and the file and line of each event. It has only events that meet
    `condition` (SQL in DuckDB's dialect). `parameters` has the values of the condition's `$` parameters.

    Attributes: `events_per_file` maps the label of a file to its number of well-formed events, stored or not.
    `crawled_per_hour` maps a base (an address or a folder of files) to the number of its well-formed events
    in each hour that is read. It omits files whose `hours` are None. An event that is in several files of a
    base is counted once. `omitted_malformed` counts the malformed lines that `malformed()` does not list.
    `malformed_issues` counts all malformed lines that open an issue.
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
        self.crawled_per_hour: dict[str, dict[int, int]] = {}
        self.omitted_malformed = 0
        self.malformed_issues = 0
        self._malformed: list[dict[str, Any]] = []
        self._malformed_per_file: Counter[str] = Counter()
        self._repaired: list[tuple[str, int]] = []  # file and line of each line of REPAIRED_FILE
        self._group = _Group("gzip", "", None)
        self._following: set[str] = set()

    def read(self, files: Sequence[SourceFile]) -> None:
        """Reads hour files. If several files have the same event, it is stored once, from the first of these
        files.

        A file with `is_following` is read only for late events of earlier hours, so its malformed lines are
        not listed. Raises SourceError if one of the files is from before 2015.
        """
        self.connection.execute(statements.EVENTS)
        self.connection.execute(statements.CRAWLED)
        self._following = {file.label for file in files if file.is_following}
        with (
            tempfile.TemporaryDirectory(prefix="titler-hours-") as name,
            ThreadPoolExecutor(CHECK_THREADS) as pool,
        ):
            folder = Path(name)
            for self._group, group in _groups(files):
                labels = {file.path: file.label for file in group}
                damages = dict(zip(labels, pool.map(find_damage, labels), strict=True))
                intact = {str(path): labels[path] for path, damage in damages.items() if damage is None}
                self._read(intact, folder, self._group.compression)
                for path, damage in damages.items():
                    if isinstance(damage, OversizedError):
                        self._quarantine(labels[path], 1, str(damage), b"")
                    elif damage is not None:
                        self._read_whole_lines(str(path), labels[path], folder)
                self._read_repaired(folder)
        self.connection.execute("DROP TABLE IF EXISTS lines")
        if len({file.base for file in files}) > 1 or any(file.hours is not None for file in files):
            self._delete_repeated(files)
        for base, hour, events in self.connection.execute(statements.COUNT_CRAWLED).fetchall():
            self.crawled_per_hour.setdefault(base, {})[hour] = events
        self.connection.execute("DROP TABLE crawled")

    def labels(self) -> dict[str, str]:
        """Returns a dict from the id of each stored event to the label of the file that it is from."""
        return dict(self.connection.execute("SELECT id, file FROM events").fetchall())

    def malformed(self) -> pa.Table:
        """Returns the malformed lines as a table with MALFORMED_SCHEMA, sorted by file and line.

        The table has at most MALFORMED_PER_FILE lines of each file.
        """
        rows = sorted(self._malformed, key=lambda row: (row["file"], row["line"]))
        return pa.Table.from_pylist(rows, schema=MALFORMED_SCHEMA)

    def _read(
        self, names: Mapping[str, str], folder: Path, compression: Compression, *, rewritten: bool = False
    ) -> None:
        """Adds the events of hour files to the table `events`. `names` maps the path of each hour file to the
        label that is stored with its events. `rewritten` says that `_read_whole_lines` wrote the files."""
        if not names:
            return
        try:
            self._fill_lines(list(names), compression)
        except duckdb.Error as error:
            self._read_refused(names, folder, compression, error, rewritten)
            return
        counts = self.connection.execute(statements.LINE_COUNTS).fetchall()
        line_counts = {path: lines for path, lines, _ in counts}
        with_malformed = {path for path, _, malformed in counts if malformed}
        events, damaged = Counter(line_counts), dict[str, str]()
        for path, name in names.items():
            if path not in with_malformed:
                continue
            lines = np.asarray(
                self.connection.execute(statements.MALFORMED_LINES, {"path": path}).fetchnumpy()["line"],
                dtype=np.int64,
            )
            saved_state = self._save_state(folder)
            try:
                self._repair_or_quarantine(
                    _Lines(Path(path), name, compression, rewritten, line_counts[path]), lines, folder
                )
            except DamagedError:
                self._restore_state(saved_state, folder)
                damaged[path] = name
            events[path] -= len(lines)
        readable = {path: name for path, name in names.items() if path not in damaged}
        for path, name in readable.items():
            self.events_per_file[name] += events[path]
        file_names = pa.table({"path": list(readable), "file": list(readable.values())}, _FILE_NAMES)
        self._insert(statements.INSERT, "file_names", file_names)
        for path in damaged:
            self.connection.execute("DELETE FROM lines WHERE filename = $path", {"path": path})
        self._count_crawled()
        for path, name in damaged.items():
            self._read_whole_lines(path, name, folder)

    def _read_refused(
        self,
        names: Mapping[str, str],
        folder: Path,
        compression: Compression,
        error: duckdb.Error,
        rewritten: bool,
    ) -> None:
        """Reads hour files again after DuckDB could not read at least one of them. Reads each file alone, to
        find out which one it was.

        Raises TitlerError if DuckDB failed because memory or disk space ran out.
        """
        if isinstance(error, duckdb.OutOfMemoryException) or "No space left" in str(error):
            raise out_of_space(", ".join(names.values()), error) from None
        if len(names) > 1:  # read them one by one to find the refused file
            for path, name in names.items():
                self._read({path: name}, folder, compression)
        elif not rewritten:
            self._read_whole_lines(*next(iter(names.items())), folder)
        else:
            self._quarantine(next(iter(names.values())), 1, f"{UNREADABLE}: {error}", b"")

    def _repair_or_quarantine(self, file: _Lines, lines: npt.NDArray[np.int64], folder: Path) -> None:
        """Repairs lines of a file and appends them to REPAIRED_FILE. Lines that cannot be repaired are
        quarantined, that is, listed as malformed.

        `lines` has the numbers of the lines, in ascending order. Raises DamagedError if the file is damaged,
        and SourceError if most of its lines are from before 2015.
        """
        with (folder / REPAIRED_FILE).open("ab") as repaired_file:
            for line, text, repaired, reason in _repair_lines(file, lines):
                if repaired:
                    repaired_file.write(repaired + b"\n")
                    self._repaired.append((file.label, line))
                else:
                    self._quarantine(file.label, line, reason, text)

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
        whole_lines_file = folder / WHOLE_LINES_FILE
        count = 0
        with whole_lines_file.open("wb") as file:
            try:
                for line in whole_lines(Path(path), self._group.compression):
                    count += 1
                    # a line that is too long for DuckDB is cut, so that it is quarantined as malformed
                    file.write((line if len(line) < LONGEST_LINE else line[:MALFORMED_TEXT_LENGTH]) + b"\n")
            except DamagedError as damage:
                self._quarantine(name, count + 1, damage.reason, damage.remainder)
        if count:
            self._read({str(whole_lines_file): name}, folder, "none", rewritten=True)
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
        self._insert(statements.INSERT_REPAIRED, "repaired", pa.Table.from_pylist(rows, schema=schema))
        self._count_crawled()
        path.unlink()
        self._repaired.clear()

    def _fill_lines(self, paths: list[str], compression: Compression) -> None:
        """Replaces the temporary table `lines` with the lines of the files `paths`."""
        hour, in_window = "NULL", "TRUE"
        if self._group.hours is not None:
            start = datetime.strptime(f"20{self.suffix}+0000", "%Y%m%d%z").timestamp()
            hours = ", ".join(map(str, sorted(self._group.hours))) or "NULL"
            hour, in_window = statements.HOUR.format(start=int(start), hours=hours), "hour IS NOT NULL"
        sql = statements.LINES.format(
            condition=self.condition,
            compression=compression,
            longest=LONGEST_LINE,
            limited_types=", ".join(f"'{kind}'" for kind in LIMITED_TYPES),
            longest_payload=LONGEST_PAYLOAD,
            repo=statements.REPO,
            actor=statements.ACTOR,
            hour=hour,
            in_window=in_window,
        )
        self.connection.execute(sql, {**self.parameters, "suffix": self.suffix, "paths": paths})

    def _insert(self, sql: str, name: str, table: pa.Table) -> None:
        """Runs an INSERT statement on the connection. The statement reads the Arrow table `table` under the
        name `name`."""
        self.connection.register(name, table)
        self.connection.execute(sql, {"suffix": self.suffix})
        self.connection.unregister(name)

    def _count_crawled(self) -> None:
        if self._group.hours is not None:
            self.connection.execute(statements.INSERT_CRAWLED, {"base": self._group.base})

    def _delete_repeated(self, files: Sequence[SourceFile]) -> None:
        ranks = {"file": [file.label for file in files], "rank": list(range(len(files)))}
        self.connection.register("file_ranks", pa.table(ranks))
        self.connection.execute(statements.DELETE_REPEATED)
        self.connection.unregister("file_ranks")

    def _quarantine(self, name: str, line: int, reason: str, text: bytes) -> None:
        if name in self._following:
            return
        self.malformed_issues += opens_issue(text)
        if self._malformed_per_file[name] == MALFORMED_PER_FILE:
            self.omitted_malformed += 1
            return
        self._malformed_per_file[name] += 1
        start = text[: 4 * MALFORMED_TEXT_LENGTH].decode("utf-8", "replace")[:MALFORMED_TEXT_LENGTH]
        self._malformed.append({"file": name, "line": line, "reason": reason, "text": start})


class _Group(NamedTuple):
    """The properties that files must have in common to be read together."""

    compression: Compression
    base: str
    hours: frozenset[int] | None


class _Lines(NamedTuple):
    """An hour file or its rewritten copy. `line_count` is the number of lines that DuckDB read from it.
    `rewritten` says that the file is the copy that `_read_whole_lines` wrote."""

    path: Path
    label: str
    compression: Compression
    rewritten: bool
    line_count: int


def _repair_lines(file: _Lines, lines: npt.NDArray[np.int64]) -> Iterator[tuple[int, bytes, bytes, str]]:
    """Tries to repair some lines of a file. `lines` has the numbers of these lines, in ascending order.

    Yields four values per line:

    - its number
    - its text
    - its repaired text, or b"" if the repair failed
    - why the repair failed, or "" if it succeeded

    Raises DamagedError if the file is damaged. Raises SourceError if most of its lines are from before 2015.
    """
    timeline_count = number = examined = 0
    numbers = iter(lines.tolist())
    next_number = next(numbers)
    for number, text in enumerate(whole_lines(file.path, file.compression), 1):
        if number == next_number:
            repaired, reason = repair(text) if examined < MOST_EXAMINED else (b"", NOT_EXAMINED)
            examined += 1
            timeline_count += reason == TIMELINE
            yield number, text, repaired, reason
            next_number = next(numbers, 0)
    if 2 * timeline_count * len(lines) > file.line_count * min(len(lines), MOST_EXAMINED):
        raise timeline_error(f"Most events of {file.label}")
    if number != file.line_count and not file.rewritten:
        raise DamagedError(f"DuckDB read {file.line_count} lines, but the file has {number} lines")


def _groups(files: Sequence[SourceFile]) -> Iterator[tuple[_Group, list[SourceFile]]]:
    """Yields the files in order, in groups that can be read together (see `_Group`). A group has at most
    GROUP_BYTES. A file with more than GROUP_BYTES is a group of its own."""
    for common, files_read_alike in itertools.groupby(files, key=_group_of):
        group: list[SourceFile] = []
        total = 0
        for file in files_read_alike:
            size = file.path.stat().st_size
            if group and total + size > GROUP_BYTES:
                yield common, group
                group, total = [], 0
            group.append(file)
            total += size
        yield common, group


def _group_of(file: SourceFile) -> _Group:
    with file.path.open("rb") as stream:
        return _Group(compression_of(stream.read(START_BYTES)), file.base, file.hours)
