"""Reads the rows of a user's file: JSON lines, a JSON array, Parquet, CSV or TSV, each of them plain or
compressed with gzip or Zstandard.

The ending of the file's name, in upper or lower case, decides the format. The content decides how the file is
compressed. A text file is UTF-8, with or without a byte order mark.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any, TextIO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.decompression import GZIP, is_zstandard
from pipeline.errors import UsageError

FORMATS = (
    "JSON lines or a JSON array, Parquet (.parquet), CSV (.csv) or TSV (.tsv), also with gzip (.gz) or "
    "Zstandard (.zst)"
)
ROWS_IN_MEMORY = 10_000
MAX_FIELD_BYTES = 2**31 - 1

_COMPRESSIONS = (".gz", ".gzip", ".zst", ".zstd")
_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}
_CORRECT_ROW = "Correct the row, or write the file again, for example as JSON lines or Parquet."
_QUOTES = (
    'A quote inside a quoted field must be written twice (""), and not with a backslash (\\"). '
    'Spark writes such files with .option("escape", \'"\'). JSON lines and Parquet files need no quotes.'
)


def read_rows(path: Path, columns: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yields each row of a file, as a dict from the names of columns to the row's values.

    `columns` are the columns that the caller needs. A row may lack some of them. Rows of a text file can have
    other columns as well. From a Parquet file, only `columns` are read.

    A Parquet file is read ROWS_IN_MEMORY rows at a time. JSON lines, CSV and TSV are read line by line. A
    JSON array or a compressed Parquet file is read into memory as a whole.

    Raises UsageError if the content does not have the format that the ending of the file's name stands for.
    For malformed JSON, CSV or TSV, the error says in which line. Raises OSError if the file cannot be read.
    """
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] in _COMPRESSIONS:
        endings.pop()
    ending = endings[-1] if endings else ""
    try:
        with _open(path) as file:
            if ending == ".parquet":
                yield from _parquet_rows(path, file, columns)
            else:
                with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
                    if ending in _DELIMITERS:
                        yield from _delimited_rows(path, text, _DELIMITERS[ending], columns)
                    else:
                        yield from _json_rows(path, text)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} cannot be read as a file of issues: it is not UTF-8 text ({error.reason}).",
            "Write the file again as UTF-8. In Excel, save it in the format `CSV UTF-8`.\n"
            f"Other formats: {FORMATS}.",
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _unreadable(path, f"its gzip data is damaged or incomplete ({error})") from None
    except (pa.ArrowException, OverflowError) as error:
        raise _unreadable(path, str(error)) from None


def _open(path: Path) -> IO[bytes]:
    """Opens a file for reading. The first bytes decide whether the file is decompressed."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(GZIP):
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if is_zstandard(magic):
        return cast("IO[bytes]", pa.input_stream(str(path), compression="zstd"))
    return path.open("rb")


def _parquet_rows(path: Path, file: IO[bytes], columns: Collection[str]) -> Iterator[dict[str, Any]]:
    is_plain = isinstance(file, io.BufferedReader)
    with pq.ParquetFile(path if is_plain else pa.BufferReader(file.read())) as parquet:
        names = [name for name in parquet.schema_arrow.names if name in columns]
        for batch in parquet.iter_batches(ROWS_IN_MEMORY, columns=names):
            yield from pa.table(
                [_in_microseconds(column) for column in batch.columns], names=batch.schema.names
            ).to_pylist()


def _in_microseconds(column: pa.Array) -> pa.Array:
    """Rounds times down to microseconds, because Python's datetime has no nanoseconds."""
    if not pa.types.is_timestamp(column.type):
        return column
    return pc.cast(column, pa.timestamp("us", column.type.tz), safe=False)


def _json_rows(path: Path, text: TextIO) -> Iterator[Any]:
    """Yields the values of JSON lines, or of a JSON array if the first character is a square bracket."""
    is_first = True
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        if is_first and line.lstrip().startswith("["):
            yield from _parse_json(path, line + text.read(), number)
            return
        is_first = False
        yield _parse_json(path, line, number)


def _parse_json(path: Path, text: str, first_line: int) -> Any:
    """Returns the value of a JSON text, which begins in the line `first_line` of the file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line, problem = first_line + error.lineno - 1, f"is not JSON: {error.msg} (column {error.colno})"
    except RecursionError:
        line, problem = first_line, "is nested too deeply"
    except ValueError as error:  # such as a number with thousands of digits
        line, problem = first_line, f"cannot be read: {error}"
    raise UsageError(
        f"{path}, line {line} {problem}. Expected one JSON object per line, or a JSON array of objects.",
        _CORRECT_ROW,
    )


class _RecordedLines:
    """Iterates over the lines of a text, and records the lines that were read since the last call of
    `take`."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._lines: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._text)
        self._lines.append(line)
        return line

    def take(self) -> str:
        """Returns the lines that were read since the last call of this method, as one text."""
        text = "".join(self._lines)
        self._lines.clear()
        return text


def _delimited_rows(
    path: Path, text: TextIO, delimiter: str, columns: Collection[str]
) -> Iterator[dict[str, Any]]:
    """Yields the rows of CSV or TSV as RFC 4180 describes it. Empty lines are not rows.

    A file whose quotes are escaped by a backslash is refused, because programs that write such files disagree
    about what a backslash means before other characters. Python's reader refuses most of these files: it
    takes the escaped quote as the closing quote, and then finds text instead of a delimiter.

    This function detects the other files by a quote inside an unquoted field. Such a quote is an error in
    the first row that has a backslash before a quote, and in all later rows. In earlier rows, it is text.
    """
    csv.field_size_limit(MAX_FIELD_BYTES)
    lines = _RecordedLines(text)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    field = rf'(?:"(?:[^"]|"")*+"|[^"{delimiter}\r\n]*+)'
    well_quoted = re.compile(rf"{field}(?:{delimiter}{field})*+[\r\n]*")
    header: list[str] = []
    has_backslash = False
    while True:
        place = f"{path}, line {rows.line_num + 1}"
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise _quoting_error(place, str(error)) from None
        if row is None:
            return
        record = lines.take()
        if not row:
            continue
        has_backslash = has_backslash or '\\"' in record
        if has_backslash and not well_quoted.fullmatch(record):
            raise _quoting_error(place, "")
        if not header:
            header = [name.strip() for name in row]
            _refuse_other_delimiter(place, header, delimiter)
            _refuse_repeated_columns(place, header, columns)
            continue
        if len(row) != len(header):
            raise UsageError(
                f"{place}: the row has a different number of fields ({len(row)}) than the first line "
                f"({len(header)}).",
                f"A field with a delimiter or a line break must be in quotes. {_QUOTES}\n{_CORRECT_ROW}",
            )
        yield dict(zip(header, row, strict=True))


def _quoting_error(place: str, reason: str) -> UsageError:
    """Returns the error for a row that begins at `place` and whose quotes are wrong. `reason` is the message
    of Python's reader."""
    if reason == "unexpected end of data":
        problem = "the row has a quoted field that does not end before the end of the file"
    else:
        problem = "the row has a quote in the middle of a field"
    return UsageError(f"{place}: {problem}.", f"{_QUOTES}\n{_CORRECT_ROW}")


def _refuse_other_delimiter(place: str, header: list[str], delimiter: str) -> None:
    """Raises UsageError if the first line has only one column, and this column's name has another delimiter.
    For example, Excel separates columns with semicolons in countries where the decimal sign is a comma."""
    other_delimiters = [each for each in _DELIMITER_NAMES if each != delimiter and each in header[0]]
    if len(header) == 1 and other_delimiters:
        raise UsageError(
            f"{place}: the columns are separated by {_DELIMITER_NAMES[other_delimiters[0]]}. The "
            f"ending of the file's name requires {_DELIMITER_NAMES[delimiter]}.",
            "Write the file again with commas (.csv) or tabs (.tsv) between the columns, or as JSON lines or "
            "Parquet.",
        )


def _refuse_repeated_columns(place: str, header: list[str], columns: Collection[str]) -> None:
    repeated = sorted({name for name in header if name in columns and header.count(name) > 1})
    if repeated:
        raise UsageError(
            f"{place}: several columns have the name {repeated[0]}.", "Rename or remove all but one of them."
        )


def _unreadable(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"{path} cannot be read as a file of issues: {reason}.",
        f"Give a file in one of these formats: {FORMATS}.",
    )
