"""Lines of an hour file that DuckDB could not read: mended where that can be done, else the reason why not."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

TIMELINE = "an event of the Timeline API, GH Archive's form before 2015-01-01"
UNREADABLE = "JSON that DuckDB does not read"

LONGEST_LINE = 32 * 2**20
LARGEST_HOUR = 4 * 2**30  # bytes inflated; real hours hold a quarter of it
MOST_LINES = 2_000_000  # real hours have a tenth of it
MOST_INFLATED = 100  # times; real hours inflate eightfold
ALWAYS_INFLATED = 256 * 2**20  # bytes: below it a file may inflate as it likes

_CHUNK = 16 * 1024
_PIECE = 64  # a damaged file loses at most what one of these held
_INFLATED = 2**20
_BOM = b"\xef\xbb\xbf"
# one escape after another, so that the backslash of `\\ud83d` is not taken for the start of `\ud83d`
_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}(\\u[dD][c-fC-F][0-9a-fA-F]{2})?|(u[dD][c-fC-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_HALVES = re.compile(rb"\\u[dD][89a-fA-F]")


class OversizedError(Exception):
    """A file that holds more than an hour of GH Archive can."""


class DamagedError(Exception):
    """A file whose compressed stream is cut or broken: `reason`, and `rest`, what came after the last whole line."""

    def __init__(self, reason: str, rest: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.rest = rest


def gauge(path: Path) -> None:
    """Reads a gzip file to its end and keeps nothing of it. Raises OversizedError, and DamagedError where it is cut or broken.

    What inflates a thousandfold is found out before a reader takes it into memory; so is what fails gzip's checksum.
    """
    packed = path.stat().st_size
    limit = min(LARGEST_HOUR, max(ALWAYS_INFLATED, MOST_INFLATED * packed))
    size = lines = 0
    for chunk in _inflated(path):
        size += len(chunk)
        lines += chunk.count(b"\n")
        if size > limit:
            raise OversizedError(
                f"the file inflates from {packed:,} bytes to more than {limit:,}, expected an hour of GH Archive"
            )
        if lines > MOST_LINES:
            raise OversizedError(
                f"the file has more than {MOST_LINES:,} lines, expected an hour of GH Archive"
            )


def whole_lines(path: Path, compression: str) -> Iterator[bytes]:
    """The lines of a file that are not blank, without their ends; of one that is longer than LONGEST_LINE, about as much as that.

    Raises DamagedError after the last whole one when the file is.
    """
    pending: list[bytes] = []
    held = 0
    try:
        for chunk in _inflated(path) if compression == "gzip" else _plain(path):
            first, *others = chunk.split(b"\n")
            if held <= LONGEST_LINE:
                pending.append(first)
                held += len(first)
            for other in others:
                line = b"".join(pending)
                if line.strip():
                    yield line
                pending, held = [other], len(other)
    except DamagedError as damage:
        raise DamagedError(damage.reason, b"".join(pending)) from None
    if (line := b"".join(pending)).strip():
        yield line


def examine(line: bytes) -> tuple[bytes, str]:
    """A line to read again, lone surrogates, a byte order mark and broken UTF-8 mended, or (empty, the reason why there is none)."""
    mended = _mend(line)
    try:
        event = json.loads(mended)
    except RecursionError:
        return b"", "not JSON: nested too deep"
    except ValueError as error:
        return b"", TIMELINE if _begins_as_timeline(mended) else f"not JSON: {error}"
    reason = _reason(event)
    return (b"", reason) if reason else (mended, "")


def _mend(line: bytes) -> bytes:
    line = line.removeprefix(_BOM).decode("utf-8", "replace").encode()
    return _ESCAPES.sub(_mend_escape, line) if _HALVES.search(line) else line


def _mend_escape(found: re.Match[bytes]) -> bytes:
    escape = found.group()
    high_alone = len(escape) == 6 and found.group(1) is None
    return rb"\ufffd" if high_alone or found.group(2) else escape


def _reason(event: Any) -> str:
    """Why a JSON value is not an event; empty where it is."""
    if not isinstance(event, dict):
        return f"not an object but {_kind(event)}"
    if _is_timeline(event):
        return TIMELINE
    for key in ("id", "type", "created_at", "payload"):
        if event.get(key) is None:
            return f"{key} is missing"
    if not isinstance(event["payload"], dict):
        return f"payload is {_kind(event['payload'])}, expected an object"
    try:
        datetime.fromisoformat(str(event["created_at"]))
    except ValueError:
        return f"created_at is not a time: {str(event['created_at'])[:40]!r}"
    return ""


def _is_timeline(event: dict[str, Any]) -> bool:
    return isinstance(event.get("actor"), str) and "id" not in event


def _begins_as_timeline(line: bytes) -> bool:
    """Hours of 2011 and 2012 have their events behind one another without line ends."""
    try:
        event, _ = json.JSONDecoder().raw_decode(line.decode().lstrip())
    except (ValueError, RecursionError):
        return False
    return isinstance(event, dict) and _is_timeline(event)


def _kind(value: Any) -> str:
    return {list: "an array", dict: "an object", str: "a string", bool: "a boolean", type(None): "null"}.get(
        type(value), "a number"
    )


def _plain(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_INFLATED):
            yield chunk


def _inflated(path: Path) -> Iterator[bytes]:
    """A gzip file's content, one member after another. Raises DamagedError where it is not whole."""
    with path.open("rb") as file:
        member, inflated = zlib.decompressobj(wbits=31), 0
        while chunk := file.read(_CHUNK):
            while chunk:
                if member.eof:
                    chunk = chunk.lstrip(b"\0")  # padding after the last member is allowed
                    if not chunk:
                        break
                    member = zlib.decompressobj(wbits=31)
                before = member.copy()
                try:
                    data = member.decompress(chunk, _INFLATED)
                except zlib.error as error:
                    yield from _up_to_damage(before, chunk)
                    strange = not inflated and "header check" in str(error)
                    raise DamagedError(
                        f"the file is {'not gzip' if strange else 'damaged here'}: {error}"
                    ) from None
                inflated += len(data)
                if data:
                    yield data
                chunk = member.unused_data if member.eof else member.unconsumed_tail
        if not member.eof:
            raise DamagedError(
                "the file is cut here: its gzip stream has no end"
                if file.tell()
                else "the file is empty: no gzip stream"
            )


def _up_to_damage(member: Any, chunk: bytes) -> Iterator[bytes]:
    """What a decompressor gives of a chunk that breaks it, piece by piece until it breaks."""
    with suppress(zlib.error):
        for start in range(0, len(chunk), _PIECE):
            yield member.decompress(chunk[start : start + _PIECE])
