"""GH Archive's hour files in DuckDB: the events that a condition keeps, and every line that is not an event.

DuckDB parses; where a line gave it nothing, that line alone is looked at in Python. A lone surrogate (or bytes that are not UTF-8)
becomes U+FFFD and the line is read again; what is broken goes to quarantine. A file that is cut or damaged gives its whole lines.
A file that holds more than an hour can is not read at all; memory stays bounded whatever a file holds.
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

from pipeline.errors import SourceError, TitlerError
from pipeline.warehouse import MALFORMED, MALFORMED_KEPT, TEXT_KEPT
from pipeline.warehouse.lines import (
    LONGEST_LINE,
    TIMELINE,
    UNREADABLE,
    DamagedError,
    OversizedError,
    examine,
    gauge,
    whole_lines,
)

GROUP_BYTES = 128 * 2**20  # compressed; DuckDB reads a group's files side by side
MENDED = "mended.jsonl"
READ_TOGETHER = 4

_EVENTS = """
CREATE OR REPLACE TEMP TABLE events (
  file VARCHAR, line BIGINT, id VARCHAR, type VARCHAR, created_at TIMESTAMPTZ, payload JSON,
  repo STRUCT(id BIGINT, name VARCHAR, url VARCHAR), actor STRUCT(id BIGINT, login VARCHAR, url VARCHAR), _TABLE_SUFFIX VARCHAR
)
"""

_REPO = "{'id': TRY_CAST(raw_repo ->> '$.id' AS BIGINT), 'name': raw_repo ->> '$.name', 'url': raw_repo ->> '$.url'}"
_ACTOR = "{'id': TRY_CAST(raw_actor ->> '$.id' AS BIGINT), 'login': raw_actor ->> '$.login', 'url': raw_actor ->> '$.url'}"

# one row a line, in the files' order; only what is kept is held whole. The structs of the inner SELECT are for conditions that name
# them: DuckDB leaves out what is not named, and a CASE works out only the rows that it takes
_LINES = """
CREATE OR REPLACE TEMP TABLE lines AS
SELECT
  filename,
  sound,
  CASE WHEN sound THEN COALESCE({condition}, FALSE) ELSE FALSE END AS kept,
  CASE WHEN kept THEN id END AS id,
  CASE WHEN kept THEN type END AS type,
  CASE WHEN kept THEN created_at END AS created_at,
  CASE WHEN kept THEN payload END AS payload,
  CASE WHEN kept THEN {repo} END AS repo,
  CASE WHEN kept THEN {actor} END AS actor
FROM (
  SELECT
    filename, id, type, TRY_CAST(created_at AS TIMESTAMPTZ) AS created_at, payload, $suffix AS _TABLE_SUFFIX,
    raw_repo, {repo} AS repo, raw_actor, {actor} AS actor,
    id IS NOT NULL AND type IS NOT NULL AND TRY_CAST(created_at AS TIMESTAMPTZ) IS NOT NULL
      AND COALESCE(STARTS_WITH(CAST(payload AS VARCHAR), '{{'), FALSE) AS sound
  FROM
    READ_JSON(
      $paths, format = 'newline_delimited', compression = '{compression}', ignore_errors = TRUE, filename = TRUE,
      maximum_object_size = {longest},
      columns = {{'id': 'VARCHAR', 'type': 'VARCHAR', 'created_at': 'VARCHAR', 'payload': 'JSON', 'repo': 'JSON', 'actor': 'JSON'}}
    ) AS raw (id, type, created_at, payload, raw_repo, raw_actor, filename)
)
"""

_SIZES = "SELECT filename, COUNT(*) FROM lines GROUP BY filename"

# a line's place in its file is its row's distance from the file's first row
_UNSOUND = """
SELECT rowid - (SELECT MIN(rowid) FROM lines WHERE filename = $path) + 1 AS line
FROM lines
WHERE filename = $path AND NOT sound
ORDER BY line
"""

_KEEP = """
INSERT INTO events
SELECT n.file, l.rowid - f.first + 1, l.id, l.type, l.created_at, l.payload, l.repo, l.actor, $suffix
FROM lines AS l
JOIN (SELECT filename, MIN(rowid) AS first FROM lines GROUP BY filename) AS f USING (filename)
JOIN arrived AS n ON n.path = l.filename
WHERE l.kept
"""

_KEEP_MENDED = """
INSERT INTO events
SELECT m.file, m.line, l.id, l.type, l.created_at, l.payload, l.repo, l.actor, $suffix
FROM lines AS l JOIN arrived AS m ON m.place = l.rowid
WHERE l.kept
"""


class HourReader:
    """Reads hour files into the temporary table `events`: `githubarchive`'s columns and each event's file and line.

    `condition` (DuckDB's dialect, with the values of its `$` parameters) says which events are held there. `events` counts the
    well-formed ones of all types.
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
        self.events = 0
        self.left_out = 0
        self._broken: list[dict[str, Any]] = []
        self._kept: Counter[str] = Counter()
        self._mended: list[tuple[str, int]] = []

    def read(self, files: Sequence[Path]) -> None:
        """Reads all of `files`. Raises SourceError for one of before 2015."""
        self.connection.execute(_EVENTS)
        with (
            tempfile.TemporaryDirectory(prefix="titler-hours-") as name,
            ThreadPoolExecutor(READ_TOGETHER) as pool,
        ):
            folder = Path(name)
            for group in _groups(files):
                damages = dict(zip(group, pool.map(_damage, group), strict=True))
                self._read(
                    {str(path): path.name for path, damage in damages.items() if damage is None}, folder
                )
                for path, damage in damages.items():
                    if isinstance(damage, OversizedError):
                        self._quarantine(path.name, 1, str(damage), b"")
                    elif damage is not None:
                        self._salvage(str(path), path.name, folder)
                self._read_mended(folder)
        self.connection.execute("DROP TABLE IF EXISTS lines")

    def malformed(self) -> pa.Table:
        """The lines that are not events, the first MALFORMED_KEPT of each file: schema `MALFORMED`, in the order of files and lines."""
        rows = sorted(self._broken, key=lambda row: (row["file"], row["line"]))
        return pa.Table.from_pylist(rows, schema=MALFORMED)

    def _read(self, names: Mapping[str, str], folder: Path, compression: str = "gzip") -> None:
        """Adds the events of files, given as path to read and name to report."""
        if not names:
            return
        try:
            self._fill_lines(list(names), compression)
        except duckdb.Error as error:
            if isinstance(error, duckdb.OutOfMemoryException) or "No space left" in str(
                error
            ):  # no fault of the file's
                raise TitlerError(
                    f"DuckDB could not hold {', '.join(names.values())}: {error}",
                    f"Free memory, or space in {tempfile.gettempdir()}, or point TMPDIR to where there is some; then run the same again.",
                ) from None
            if len(names) > 1:  # which one?
                for path, name in names.items():
                    self._read({path: name}, folder, compression)
            elif compression == "gzip":
                self._salvage(*next(iter(names.items())), folder)
            else:
                self._quarantine(next(iter(names.values())), 1, f"{UNREADABLE}: {error}", b"")
            return
        sizes = dict(self.connection.execute(_SIZES).fetchall())
        unsound, before = 0, self._mark(folder)
        for path, name in names.items():
            places = np.asarray(
                self.connection.execute(_UNSOUND, {"path": path}).fetchnumpy()["line"], dtype=np.int64
            )
            if not len(places):
                continue
            try:
                self._look_at(Path(path), name, places, sizes[path], compression, folder)
            except DamagedError:
                self._back_to(before, folder)
                self._salvage(path, name, folder)
                self._read({other: name for other, name in names.items() if other != path}, folder)
                return
            unsound += len(places)
        self.events += sum(sizes.values()) - unsound
        self._keep(_KEEP, pa.table({"path": list(names), "file": list(names.values())}))

    def _look_at(
        self, path: Path, name: str, places: npt.NDArray[np.int64], size: int, compression: str, folder: Path
    ) -> None:
        """Quarantines the lines of a file at `places`, or sets them aside mended. Raises DamagedError and SourceError as `_inspect`."""
        with (folder / MENDED).open("ab") as aside:
            for line, text, mended, reason in _inspect(path, name, places, size, compression):
                if mended:
                    aside.write(mended + b"\n")
                    self._mended.append((name, line))
                else:
                    self._quarantine(name, line, reason, text)

    def _mark(self, folder: Path) -> tuple[int, Counter[str], int, int, int]:
        aside = folder / MENDED
        aside.touch()
        return len(self._broken), self._kept.copy(), self.left_out, len(self._mended), aside.stat().st_size

    def _back_to(self, mark: tuple[int, Counter[str], int, int, int], folder: Path) -> None:
        """Forgets what was found since `mark`."""
        broken, self._kept, self.left_out, mended, size = mark
        del self._broken[broken:], self._mended[mended:]
        os.truncate(folder / MENDED, size)

    def _salvage(self, path: str, name: str, folder: Path) -> None:
        """Reads what is whole of a file that DuckDB refuses or that proved damaged."""
        whole = folder / f"{name}.ndjson"
        count = 0
        with whole.open("wb") as file:
            try:
                for line in whole_lines(Path(path), "gzip"):
                    count += 1
                    # what is too long for DuckDB is quarantined by what is left of it
                    file.write((line if len(line) < LONGEST_LINE else line[:TEXT_KEPT]) + b"\n")
            except DamagedError as damage:
                self._quarantine(name, count + 1, damage.reason, damage.rest)
        if count:
            self._read({str(whole): name}, folder, "none")
        whole.unlink()

    def _read_mended(self, folder: Path) -> None:
        """Adds the mended lines that wait in `folder`."""
        if not self._mended:
            return
        path = folder / MENDED
        self._fill_lines([str(path)], "none")
        sound = (
            self.connection.execute("SELECT sound FROM lines ORDER BY rowid").fetchnumpy()["sound"].tolist()
        )
        places = []
        with path.open("rb") as file:
            for place, ((name, line), good, text) in enumerate(zip(self._mended, sound, file, strict=True)):
                if good:
                    places.append({"place": place, "file": name, "line": line})
                else:
                    self._quarantine(name, line, UNREADABLE, text.rstrip(b"\n"))
        self.events += len(places)
        schema = pa.schema([("place", pa.int64()), ("file", pa.string()), ("line", pa.int64())])
        self._keep(_KEEP_MENDED, pa.Table.from_pylist(places, schema=schema))
        path.unlink()
        self._mended.clear()

    def _fill_lines(self, paths: list[str], compression: str) -> None:
        sql = _LINES.format(
            condition=self.condition, compression=compression, longest=LONGEST_LINE, repo=_REPO, actor=_ACTOR
        )
        self.connection.execute(sql, {**self.parameters, "suffix": self.suffix, "paths": paths})

    def _keep(self, sql: str, arrived: pa.Table) -> None:
        self.connection.register("arrived", arrived)
        self.connection.execute(sql, {"suffix": self.suffix})
        self.connection.unregister("arrived")

    def _quarantine(self, name: str, line: int, reason: str, text: bytes) -> None:
        if self._kept[name] == MALFORMED_KEPT:
            self.left_out += 1
            return
        self._kept[name] += 1
        kept = text[: 4 * TEXT_KEPT].decode("utf-8", "replace")[:TEXT_KEPT]
        self._broken.append({"file": name, "line": line, "reason": reason, "text": kept})


def _damage(path: Path) -> OversizedError | DamagedError | None:
    try:
        gauge(path)
    except (OversizedError, DamagedError) as damage:
        return damage
    return None


def _inspect(
    path: Path, name: str, places: npt.NDArray[np.int64], size: int, compression: str
) -> Iterator[tuple[int, bytes, bytes, str]]:
    """The lines at `places` (ascending): place, text, mended text or nothing, reason.

    Raises DamagedError when the file is, and SourceError when most of its `size` lines are of before 2015.
    """
    timeline = count = 0
    wanted = iter(places.tolist())
    place = next(wanted)
    for count, line in enumerate(whole_lines(path, compression), 1):
        if count == place:
            mended, reason = examine(line)
            timeline += reason == TIMELINE
            yield count, line, mended, reason
            place = next(wanted, 0)
    if 2 * timeline > size:
        raise SourceError(
            f"{name} has {TIMELINE}, without titles or bodies: the first day that can be read is 2015-01-01.",
            "Ask for days from then on: titler extract --from 2015-01-01 --to 2015-01-07",
            final=True,
        )
    if count != size and compression == "gzip":
        raise DamagedError(f"{size} lines where {count} are")


def _groups(files: Sequence[Path]) -> Iterator[list[Path]]:
    """The files in order, so many at a time as `GROUP_BYTES` allow."""
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
