"""Examines the lines of an hour file that DuckDB could not read.

A line is repaired if possible. Otherwise the module says why the line is malformed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.decompression import Compression, DamagedError, decompressed_chunks

TIMELINE = "an event of the Timeline API, GH Archive's form before 2015-01-01"
UNREADABLE = "JSON that DuckDB does not read"

MOST_EXAMINED = 100_000
"""Lines per hour file that Python examines, because DuckDB cannot read them. For a short line, this takes
many times as long as DuckDB takes to read it. Further lines count as malformed."""
NOT_EXAMINED = f"not examined: the file has more than {MOST_EXAMINED:,} lines that DuckDB does not read"

LONGEST_LINE = 32 * 2**20
LIMITED_TYPES = ("IssuesEvent", "IssueCommentEvent")
LONGEST_PAYLOAD = 2**20
"""Bytes of the payload of events that are read, those of LIMITED_TYPES. GitHub accepts 65,536 characters in a
body, each of which has up to four bytes, and a comment's event has two bodies. So only hour files that are
not GH Archive's have longer ones, and extraction in BigQuery needs no limit."""
LARGEST_HOUR = 4 * 2**30  # decompressed bytes per hour file; real hour files have a quarter of this
MOST_LINES = 2_000_000  # lines per hour file; real hour files have a tenth of this
MOST_COMPRESSION = 100  # decompressed bytes per compressed byte; real hour files have eight
ALWAYS_ALLOWED = 256 * 2**20  # decompressed bytes; for smaller files the compression is not limited

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)
"""An event's time must be between these. Times in nanoseconds since 1970, which readers of Parquet files use,
end in 2262."""

_CHUNK = 2**20
_BOM = b"\xef\xbb\xbf"
# Matches every escape in turn, so that the second backslash of `\\ud83d` is not read as the start of
# `\ud83d`.
_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}(\\u[dD][c-fC-F][0-9a-fA-F]{2})?|(u[dD][c-fC-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_OPENED = (re.compile(rb'"type"\s*:\s*"IssuesEvent"'), re.compile(rb'"action"\s*:\s*"opened"'))
_SURROGATES = re.compile(rb"\\u[dD][89a-fA-F]")


class OversizedError(Exception):
    """Raised for a file that is too large to be an hour of GH Archive."""


def check_file(path: Path) -> None:
    """Decompresses a file to its end and discards the content.

    Raises OversizedError if the content is too large. So a small file with an enormous content is refused
    before the content is loaded into memory. Raises DamagedError if the file is cut off or broken, or if its
    checksum is wrong.
    """
    compressed = path.stat().st_size
    limit = min(LARGEST_HOUR, max(ALWAYS_ALLOWED, MOST_COMPRESSION * compressed))
    size = lines = 0
    for chunk in _decompressed_chunks(path):
        size += len(chunk)
        lines += chunk.count(b"\n")
        if size > limit:
            raise OversizedError(
                f"the file has {compressed:,} bytes, and more than {limit:,} bytes after decompression, "
                "which is too much for an hour of GH Archive"
            )
        if lines > MOST_LINES:
            raise OversizedError(
                f"the file has more than {MOST_LINES:,} lines, which is too many for an hour of GH Archive"
            )


def find_damage(path: Path) -> OversizedError | DamagedError | None:
    """Returns the error that `check_file` raises for a file, or None if the file is intact."""
    try:
        check_file(path)
    except (OversizedError, DamagedError) as damage:
        return damage
    return None


def whole_lines(path: Path, compression: Compression) -> Iterator[bytes]:
    """Yields the lines of a file, without the line breaks at their ends. Skips blank lines.

    A line longer than LONGEST_LINE bytes is cut to about that length. If the file is damaged, first yields
    its complete lines, then raises DamagedError.
    """
    pending: list[bytes] = []
    length = 0
    try:
        for chunk in _chunks(path) if compression == "none" else _decompressed_chunks(path):
            first, *following = chunk.split(b"\n")
            if length <= LONGEST_LINE:
                pending.append(first)
                length += len(first)
            for start in following:
                line = b"".join(pending)
                if line.strip():
                    yield line
                pending, length = [start], len(start)
    except DamagedError as damage:
        raise DamagedError(damage.reason, b"".join(pending)) from None
    if (line := b"".join(pending)).strip():
        yield line


def repair(line: bytes) -> tuple[bytes, str]:
    """Repairs a line that may have unpaired surrogates, a byte order mark or bytes that are not UTF-8.

    Returns (repaired line, "") if the repaired line is an event. Otherwise returns (b"", reason), where the
    reason says why the line is not an event.
    """
    repaired = _repair_characters(line)
    try:
        event = json.loads(repaired)
    except RecursionError:
        return b"", "not JSON: nested too deep"
    except ValueError as error:
        return b"", TIMELINE if _begins_with_timeline_event(repaired) else f"not JSON: {error}"
    reason = _malformed_reason(event) or _excess(event, len(repaired))
    return (b"", reason) if reason else (repaired, "")


def opens_issue(line: bytes) -> bool:
    """Returns whether a line appears to be an event that opens an issue. The line need not be valid JSON."""
    return all(pattern.search(line) for pattern in _OPENED)


def _repair_characters(line: bytes) -> bytes:
    line = line.removeprefix(_BOM).decode("utf-8", "replace").encode()
    return _ESCAPES.sub(_repair_escape, line) if _SURROGATES.search(line) else line


def _repair_escape(match: re.Match[bytes]) -> bytes:
    escape = match.group()
    is_lone_high_surrogate = len(escape) == 6 and match.group(1) is None
    return rb"\ufffd" if is_lone_high_surrogate or match.group(2) else escape


def _malformed_reason(event: Any) -> str:
    """Returns why a JSON value is not an event, or an empty string if it is an event."""
    if not isinstance(event, dict):
        return f"not an object but {_kind(event)}"
    if _is_timeline(event):
        return TIMELINE
    for key in ("id", "type", "created_at", "payload"):
        if event.get(key) is None:
            return f"{key} is missing"
    if not isinstance(event["payload"], dict):
        return f"payload is {_kind(event['payload'])}, expected an object"
    if not isinstance(event["type"], str):
        return f"type is {_kind(event['type'])}, expected text"
    try:
        created_at = datetime.fromisoformat(str(event["created_at"]))
    except ValueError:
        return f"created_at is not a time: {str(event['created_at'])[:40]!r}"
    if not EARLIEST < created_at.replace(tzinfo=created_at.tzinfo or UTC) < LATEST:
        return f"created_at is not between {EARLIEST:%Y} and {LATEST:%Y}: {str(event['created_at'])[:40]!r}"
    return ""


def _excess(event: Any, line_length: int) -> str:
    """If an event has one of the LIMITED_TYPES and its payload has more than LONGEST_PAYLOAD bytes, returns
    why it is malformed. Otherwise returns an empty string. `line_length` is the number of bytes of the whole
    event."""
    if line_length <= LONGEST_PAYLOAD or event["type"] not in LIMITED_TYPES:
        return ""
    size = len(json.dumps(event["payload"], ensure_ascii=False, separators=(",", ":")).encode())
    return (
        f"payload has {size:,} bytes, expected at most {LONGEST_PAYLOAD:,}" if size > LONGEST_PAYLOAD else ""
    )


def _is_timeline(event: dict[str, Any]) -> bool:
    """Returns whether an event has the format from before 2015.

    An event has this format if `payload.issue` is a number, as in 2011 and early 2012. An event without an
    id also has this format if `actor` is text or `created_at` is before 2015. `actor` alone is not enough:
    in 2011 and early 2012, it could be an object.
    """
    payload = event.get("payload")
    if isinstance(payload, dict) and type(payload.get("issue")) is int:
        return True
    year = str(event.get("created_at"))[:4]
    return "id" not in event and (isinstance(event.get("actor"), str) or (year.isdecimal() and year < "2015"))


def _begins_with_timeline_event(line: bytes) -> bool:
    """Returns whether the first JSON value of a line is an event of the Timeline API, which GH Archive used
    before 2015.

    A line may have several such events, because hour files of 2011 and 2012 lack line breaks between events.
    """
    try:
        event, _ = json.JSONDecoder().raw_decode(line.decode().lstrip())
    except (ValueError, RecursionError):
        return False
    return isinstance(event, dict) and _is_timeline(event)


def _kind(value: Any) -> str:
    return {list: "an array", dict: "an object", str: "a string", bool: "a boolean", type(None): "null"}.get(
        type(value), "a number"
    )


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _decompressed_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from decompressed_chunks(file)
