"""Finds the hour files of a day in GH Archive or in a mirror of it, and downloads them. An hour file has one
hour of events on GitHub."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from pipeline.decompression import DamagedError, decompressed_chunks
from pipeline.errors import SourceError
from pipeline.settings import public_address
from pipeline.settings.source import GH_ARCHIVE
from pipeline.source.hour_names import (
    EXAMPLE,
    HOURS,
    choose_names,
    day_folders,
    is_day_folder,
    is_hour_file,
    name_forms,
    names_of,
    standard_name,
)
from pipeline.source.hour_requests import CHECK_HINT, open_address, request_all

EXAMINED_BYTES = 2**26  # decompressed; an hour file's first event is looked for in this many bytes

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


@dataclass(frozen=True)
class HourFile:
    """One hour file. `path` is its path or its address, and `name` its path relative to the base.

    The base is the folder or address at which the hour files are. `size` is the number of bytes, or 0 if the
    server does not report it. `stamp` is a string that changes when the file changes, such as an ETag. It is
    empty if the server reports none.
    """

    day: date
    hour: int
    path: str
    name: str
    size: int
    stamp: str


@dataclass(frozen=True)
class SourceDay:
    """The hour files of a source day (UTC), in the order of the hours. `missing` are the hours with no file.

    `other_names` are files in the same folder that appear to be of the day, but do not have valid names of
    hour files. They are not read. `other_names` is empty for a web server, which does not list its files.
    If a web server gave no answer about an hour, `failed` maps this hour to the error. These hours are also
    in `missing`.
    """

    day: date
    files: tuple[HourFile, ...]
    missing: tuple[int, ...]
    other_names: tuple[str, ...] = ()
    failed: Mapping[int, SourceError] = field(default_factory=dict)


def find_hours(base: str, day: date, hours: Collection[int] = HOURS) -> SourceDay:
    """Finds the hour files of a day in `base`: a folder, or an address with file://, gs://, https:// or
    http://. Files may have any name that the module `hour_names` describes. `hours` are the hours to look
    for.

    Raises SourceError if `base` is an address of another kind, does not exist, cannot be reached, or has no
    hour file of any day. On a web server, only the files of `day` are looked for, and it is no error if there
    are none. If a web server gives no answer about some hours, their errors are in the result's `failed`.
    """
    filesystem, root = open_address(base)
    root, base = root.rstrip("/"), str(public_address(base))  # errors must not name a password
    other_names: tuple[str, ...] = ()
    failed: dict[int, SourceError] = {}
    if _is_web(filesystem):
        infos, failed = _web_infos(filesystem, base, root, day, hours)
    else:
        listed = _list_day(filesystem, base, root, day, hours)
        if not listed:
            _check_folder(filesystem, base, root)
        infos = {hour: listed[name] for hour, name in choose_names(listed, day).items() if hour in hours}
        if {*hours} == {*HOURS}:
            read = set(choose_names(listed, day).values())
            other_names = tuple(sorted(listed.keys() - read))
    files = [
        HourFile(
            day,
            hour,
            filesystem.unstrip_protocol(info["name"]),
            info["name"].removeprefix(f"{root}/"),
            int(info.get("size") or 0),
            _stamp(info),
        )
        for hour, info in sorted(infos.items())
    ]
    missing = tuple(hour for hour in HOURS if hour in hours and hour not in infos)
    return SourceDay(day, tuple(files), missing, other_names, failed)


def _list_day(
    filesystem: fsspec.AbstractFileSystem, base: str, root: str, day: date, hours: Collection[int]
) -> dict[str, dict[str, Any]]:
    """Returns the properties of all files in a folder or a bucket that appear to be of `day`, by their path
    relative to `root`. Lists only names that begin with the day, and the day's own folders.

    If a local folder has the files of all `hours` under GH Archive's names, only these files are returned.
    The folder is not listed then, because it may have the files of many years.

    Raises SourceError if the folder cannot be read.
    """
    try:
        if "file" not in filesystem.protocol:
            listed: dict[str, dict[str, Any]] = filesystem.find(root, prefix=str(day), detail=True)
            if len(choose_names(_relative(listed, root), day)) < len(HOURS):
                listed |= filesystem.find(f"{root}/{day_folders(day)[1]}", detail=True)
            return _relative(listed, root)
        names = [standard_name(day, hour) for hour in hours]
        if not all(os.path.isfile(f"{root}/{name}") for name in names):
            names = [name for name in _local_names(root) if name.startswith(str(day))]
            for folder in day_folders(day):
                names += [f"{folder}{name}" for name in _local_names(f"{root}/{folder}")]
        paths = [f"{root}/{name}" for name in names if os.path.isfile(f"{root}/{name}")]
        return _relative({path: filesystem.info(path) for path in paths}, root)
    except Exception as error:  # every remote file system has exceptions of its own
        raise SourceError(f"The hour files at {base} cannot be reached: {error}", CHECK_HINT) from None


def _relative(files: Mapping[str, dict[str, Any]], root: str) -> dict[str, dict[str, Any]]:
    return {path.removeprefix(f"{root}/"): info for path, info in files.items()}


def _local_names(folder: str) -> list[str]:
    """Returns the names in a local folder, or none if it does not exist."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _web_infos(
    filesystem: fsspec.AbstractFileSystem, base: str, root: str, day: date, hours: Collection[int]
) -> tuple[dict[int, dict[str, Any]], dict[int, SourceError]]:
    """Requests the properties of the hour files of a day from a web server. Returns them by hour, and the
    errors of the hours about which the server gave no answer.

    A web server does not list its files. So their names are tried in these steps:

    1. GH Archive's names are requested. If the server is GH Archive itself, this is the only step.
    2. If some of these files exist, the missing hours below 10 are requested with two digits, such as `07`.
    3. If none exists, all other names of one hour in the middle of `hours` are requested, to find out which
       form of names the server uses. Then the files of all `hours` are requested in this form. No files are
       found if the server lacks the file of the middle hour.

    Raises SourceError if there are errors and no file.
    """
    failed: dict[int, SourceError] = {}

    def request_infos(names: Mapping[str, int]) -> dict[int, dict[str, Any]]:
        responses = request_all(lambda name: _web_info(filesystem, base, f"{root}/{name}"), list(names))
        infos: dict[int, dict[str, Any]] = {}
        for hour, response in zip(names.values(), responses, strict=True):
            if isinstance(response, SourceError):
                failed[hour] = response
            elif response:
                infos.setdefault(hour, response)  # the first name of an hour counts
        for hour in infos:
            failed.pop(hour, None)
        return infos

    infos = request_infos({standard_name(day, hour): hour for hour in hours})
    _check_any_answer(infos, failed)
    if base.rstrip("/") == GH_ARCHIVE:
        return infos, failed
    standard = name_forms(day)[0]
    if infos:
        missing = [hour for hour in hours if hour not in infos and hour not in failed]
        padded = {names_of(standard, day, hour)[-1]: hour for hour in missing if hour < 10}
        return infos | request_infos(padded), failed
    probed_hour = sorted(hours)[len(hours) // 2]
    names = {name: probed_hour for form in name_forms(day) for name in names_of(form, day, probed_hour)}
    del names[standard_name(day, probed_hour)]
    answered = {info["name"].removeprefix(f"{root}/") for info in request_infos(names).values()}
    for form in name_forms(day):
        if answered.intersection(names_of(form, day, probed_hour)):
            infos = request_infos({name: hour for hour in hours for name in names_of(form, day, hour)})
            break
    _check_any_answer(infos, failed)
    return infos, failed


def _check_any_answer(infos: Mapping[int, Any], failed: Mapping[int, SourceError]) -> None:
    if failed and not infos:
        raise next(iter(failed.values()))


def fetch(files: Sequence[HourFile], folder: Path) -> list[Path | SourceError]:
    """Downloads hour files to `folder`. Returns the path of each file, in the same order. If a file cannot be
    downloaded completely, its error is returned instead of a path.

    Local hour files are not copied; their own paths are returned.
    """
    return request_all(lambda file: _fetch(file, folder / str(file.day)), files)


def has_event(file: HourFile) -> bool:
    """Returns whether an event can be read from an hour file. Reads only the start of the file.

    Raises SourceError if the file cannot be reached.
    """
    filesystem, path = open_address(file.path)
    try:
        with filesystem.open(path, "rb") as stream:
            return any(map(_is_event, _first_lines(stream)))
    except DamagedError:
        return False
    except Exception as error:  # every remote file system has exceptions of its own
        raise SourceError(
            f"The hour file {public_address(file.path)} cannot be reached: {error}", CHECK_HINT
        ) from None


def _first_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yields the lines of an hour file until EXAMINED_BYTES of its content are read. Raises DamagedError if
    the file is damaged."""
    pending: list[bytes] = []  # the chunks of a line are joined once, because a line may be very long
    size = 0
    for chunk in decompressed_chunks(stream):
        size += len(chunk)
        first, *following = chunk.split(b"\n")
        pending.append(first)
        for start in following:
            yield b"".join(pending)
            pending = [start]
        if size >= EXAMINED_BYTES:
            break
    yield b"".join(pending)


def _is_event(line: bytes) -> bool:
    try:
        event = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return False
    return isinstance(event, dict) and {"type", "created_at", "payload"} <= event.keys()


def _is_web(filesystem: fsspec.AbstractFileSystem) -> bool:
    protocol = filesystem.protocol
    return "https" in ((protocol,) if isinstance(protocol, str) else protocol)


def _check_folder(filesystem: fsspec.AbstractFileSystem, base: str, root: str) -> None:
    """Raises SourceError unless the folder `base` exists and has an hour file, or a folder, of any day.

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
        raise SourceError(f"The hour files at {base} cannot be reached: {error}", CHECK_HINT) from None
    names = {entry["name"].rstrip("/").rsplit("/", 1)[-1]: entry["type"] for entry in entries}
    if not any(is_hour_file(name) if kind == "file" else is_day_folder(name) for name, kind in names.items()):
        other_entries = (
            f"Other files and folders: {len(names)}, such as {min(names)}." if names else "It is empty."
        )
        raise SourceError(
            f"{base} has no hour files. {other_entries} Expected names like {EXAMPLE}.",
            "Set source.hours to a folder with hour files, or create sample hour files: titler sample DIR",
        )


def _web_info(filesystem: fsspec.AbstractFileSystem, base: str, url: str) -> dict[str, Any] | None:
    """Requests the properties of a file, such as its size, from a web server. Returns None if the file does
    not exist."""
    try:
        return {**filesystem.info(url), "name": url}
    except FileNotFoundError as error:
        # fsspec raises FileNotFoundError for every failure. The actual error is its cause.
        cause = error.__cause__
        if cause is None or getattr(cause, "status", None) in _NOT_FOUND:
            return None
        raise SourceError(f"The hour files at {base} cannot be reached: {cause}", CHECK_HINT) from None


def _stamp(info: dict[str, Any]) -> str:
    return next((str(info[name]) for name in _STAMPS if info.get(name)), "")


def _fetch(file: HourFile, folder: Path) -> Path:
    filesystem, path = open_address(file.path, for_download=True)
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
            f"The hour file {public_address(file.path)} was not downloaded completely: {reason}",
            "Run the same command again later.",
        ) from None
    unfinished.replace(target)
    return target
