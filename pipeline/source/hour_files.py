"""Finds GH Archive's hour files of a day, and downloads them. An hour file has one hour of events on
GitHub."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.core import url_to_fs

from pipeline.errors import SourceError

HOURS = range(24)
CONNECTIONS = 8
EXAMINED_CHUNK = 2**16
EXAMINED_BYTES = 2**26  # decompressed; an hour file's first event is looked for in this many bytes

_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-(1?\d|2[0-3])\.json\.gz")
_STAMPS = (
    "ETag",
    "etag",
    "generation",
    "md5Hash",
    "Content-MD5",
    "Last-Modified",
    "LastModified",
    "updated",
    "mtime",
)
"""Names of file properties that change when the file changes, the most reliable first. Each file system
reports some of these properties."""
_NOT_FOUND = (404, 410)
"""HTTP status codes of a file that does not exist."""
_PROTOCOLS = ("file", "gs", "https", "http")
_CHECK_HINT = "Check source.hours and the network: titler doctor"


@dataclass(frozen=True)
class HourFile:
    """One hour file. `path` is its path or its address.

    `size` is the number of bytes, or 0 if the server does not report it. `stamp` is a text that changes when
    the file changes, such as an ETag. It is empty if the server reports no such text.
    """

    day: date
    hour: int
    path: str
    size: int
    stamp: str


@dataclass(frozen=True)
class SourceDay:
    """The hour files of a source day (UTC), in the order of the hours, and the hours that have no file."""

    day: date
    files: tuple[HourFile, ...]
    missing: tuple[int, ...]


def find_hours(base: str, day: date) -> SourceDay:
    """Finds the hour files of a day in `base`: a folder, or an address with file://, gs://, https:// or
    http://.

    Raises SourceError if `base` is an address of another kind, does not exist, cannot be reached, or has no
    hour file of any day. On a web server, only the files of `day` are looked for, and it is no error if there
    are none.
    """
    filesystem, root = _open(base)
    names = {hour: f"{day:%Y-%m-%d}-{hour}.json.gz" for hour in HOURS}
    if _is_web(filesystem):

        def web_info(hour: int) -> dict[str, Any] | None:
            return _web_info(filesystem, base, f"{root}/{names[hour]}")

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            infos = dict(zip(HOURS, pool.map(web_info, HOURS), strict=True))
    else:
        # Checks 24 names instead of listing the folder. A folder with years of hour files takes longer to
        # list than a day takes to read.
        paths = {hour: f"{root}/{name}" for hour, name in names.items()}
        infos = {
            hour: filesystem.info(path) if filesystem.isfile(path) else None for hour, path in paths.items()
        }
        if not any(infos.values()):
            _check_folder(filesystem, base, root)
    files = []
    for hour, info in infos.items():
        if info:
            path = filesystem.unstrip_protocol(f"{root}/{names[hour]}")
            files.append(HourFile(day, hour, path, int(info.get("size") or 0), _stamp(info)))
    return SourceDay(day, tuple(files), tuple(hour for hour in HOURS if not infos[hour]))


def fetch(day: SourceDay, folder: Path) -> list[Path]:
    """Downloads the day's hour files to `folder` and returns their paths, in the order of the hours.

    Local hour files are not copied; their own paths are returned. Raises SourceError if a file cannot be
    downloaded completely.
    """
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return list(pool.map(lambda file: _fetch(file, folder), day.files))


def has_event(file: HourFile) -> bool:
    """Returns whether an event can be read from an hour file. Reads only the start of the file.

    Raises SourceError if the file cannot be reached.
    """
    filesystem, path = url_to_fs(file.path)
    try:
        with filesystem.open(path, "rb") as stream:
            return any(map(_is_event, _first_lines(stream)))
    except (zlib.error, EOFError):
        return False
    except Exception as error:  # every remote file system has exceptions of its own
        raise SourceError(f"The hour file {file.path} cannot be reached: {error}", _CHECK_HINT) from None


def _first_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yields the lines of a gzip stream until EXAMINED_BYTES of its content are read. Raises zlib.error if
    the stream is damaged."""
    member, pending, size = zlib.decompressobj(wbits=31), b"", 0
    while size < EXAMINED_BYTES and (chunk := stream.read(EXAMINED_CHUNK)):
        while chunk:
            if member.eof:
                member = zlib.decompressobj(wbits=31)
            data = member.decompress(chunk, EXAMINED_CHUNK)
            size += len(data)
            *lines, pending = (pending + data).split(b"\n")
            yield from lines
            chunk = member.unused_data if member.eof else member.unconsumed_tail
    yield pending


def _is_event(line: bytes) -> bool:
    try:
        event = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return False
    return isinstance(event, dict) and {"type", "created_at", "payload"} <= event.keys()


def _open(base: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        protocol, separator, _ = base.partition("://")
        if separator and protocol not in _PROTOCOLS:
            raise ValueError(f"{protocol}:// is not supported")
        filesystem, root = url_to_fs(base)
    except (ValueError, ImportError) as error:
        hint = "Set source.hours to a folder, file://, gs://, https:// or http://, then check: titler doctor"
        raise SourceError(f"{base} is not an address of hour files: {error}.", hint) from None
    return filesystem, str(root).rstrip("/")


def _is_web(filesystem: fsspec.AbstractFileSystem) -> bool:
    protocol = filesystem.protocol
    return "https" in ((protocol,) if isinstance(protocol, str) else protocol)


def _check_folder(filesystem: fsspec.AbstractFileSystem, base: str, root: str) -> None:
    """Raises SourceError unless the folder `base` exists and has an hour file of any day.

    fsspec caches lists of files. The cache is not used here, because files may have been added since the last
    check.
    """
    filesystem.invalidate_cache()
    try:
        entries = filesystem.ls(root, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(
            f"{base} is not a folder or does not exist; expected a folder of hour files (source.hours).",
            "Set source.hours to the folder, or create sample hour files: titler sample DIR",
        ) from None
    except Exception as error:  # every remote file system has exceptions of its own
        raise SourceError(f"The hour files at {base} cannot be reached: {error}", _CHECK_HINT) from None
    names = {entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in entries if entry["type"] == "file"}
    if not any(_NAME.fullmatch(name) for name in names):
        raise SourceError(
            f"{base} has no hour files. Found {len(entries)} other entries, expected names like "
            "2015-01-01-3.json.gz.",
            "Set source.hours to a folder with hour files, or create sample hour files: titler sample DIR",
        )


def _web_info(filesystem: fsspec.AbstractFileSystem, base: str, url: str) -> dict[str, Any] | None:
    """Asks a web server for the properties of a file, such as its size. Returns None if the file does not
    exist."""
    try:
        return dict(filesystem.info(url))
    except FileNotFoundError as error:
        # fsspec raises FileNotFoundError for every failure. The actual error is its cause.
        cause = error.__cause__
        if cause is None or getattr(cause, "status", None) in _NOT_FOUND:
            return None
        raise SourceError(f"The hour files at {base} cannot be reached: {cause}", _CHECK_HINT) from None


def _stamp(info: dict[str, Any]) -> str:
    return next((str(info[name]) for name in _STAMPS if info.get(name)), "")


def _fetch(file: HourFile, folder: Path) -> Path:
    filesystem, path = url_to_fs(file.path)
    if "file" in filesystem.protocol:
        return Path(path)
    target = folder / path.rsplit("/", 1)[-1]
    unfinished = target.with_suffix(".part")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        filesystem.get_file(path, str(unfinished))
    except Exception as error:  # every remote file system has exceptions of its own
        unfinished.unlink(missing_ok=True)
        reason = str(error) or type(error).__name__
        raise SourceError(
            f"The hour file {file.path} was not downloaded completely: {reason}",
            "Run the same command again later.",
        ) from None
    unfinished.replace(target)
    return target
