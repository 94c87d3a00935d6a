"""GH Archive's hour files: which of a day exist, which are missing, and a local path to each."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from pipeline.errors import SourceError

HOURS = range(24)
CONNECTIONS = 8

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
_ABSENT = (404, 410)
_PROTOCOLS = ("file", "gs", "https", "http")


@dataclass(frozen=True)
class HourFile:
    """One hour file. `size` is in bytes (0 where a server does not tell); `stamp` changes when the file does."""

    day: date
    hour: int
    path: str
    size: int
    stamp: str


@dataclass(frozen=True)
class SourceDay:
    """The hour files of a UTC day, by hour, and the hours without one."""

    day: date
    found: tuple[HourFile, ...]
    missing: tuple[int, ...]


def look(base: str, day: date) -> SourceDay:
    """Which of a day's 24 hour files there are under `base`: a folder, file://, gs://, https:// or http://.

    Raises SourceError when the base is another kind of address, does not exist or cannot be reached, or is a folder without any hour file.
    """
    filesystem, root = _open(base)
    names = {hour: f"{day:%Y-%m-%d}-{hour}.json.gz" for hour in HOURS}
    if _is_web(filesystem):
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            infos = dict(
                zip(
                    HOURS,
                    pool.map(lambda hour: _ask(filesystem, base, f"{root}/{names[hour]}"), HOURS),
                    strict=True,
                )
            )
    else:
        # asked by name: a folder may hold years of hours, and listing it for each day would cost more than reading the day
        infos = {
            hour: filesystem.info(f"{root}/{name}") if filesystem.isfile(f"{root}/{name}") else None
            for hour, name in names.items()
        }
        if not any(infos.values()):
            _list(filesystem, base, root)
    found = []
    for hour, info in infos.items():
        if info:
            path = filesystem.unstrip_protocol(f"{root}/{names[hour]}")
            found.append(HourFile(day, hour, path, int(info.get("size") or 0), _stamp(info)))
    return SourceDay(day, tuple(found), tuple(hour for hour in HOURS if not infos[hour]))


def fetch(day: SourceDay, folder: Path) -> list[Path]:
    """Local paths of the day's hour files, by hour: as they are where the base is local, else downloaded into `folder`.

    Raises SourceError when a file cannot be had whole.
    """
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return list(pool.map(lambda file: _fetch(file, folder), day.found))


def _open(base: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        protocol, separator, _ = base.partition("://")
        if separator and protocol not in _PROTOCOLS:
            raise ValueError(f"{protocol}:// is not read")
        filesystem, root = url_to_fs(base)
    except (ValueError, ImportError) as error:
        hint = "Set source.hours to a folder, file://, gs://, https:// or http://."
        raise SourceError(f"{base}: not an address of hour files: {error}", hint) from None
    return filesystem, str(root).rstrip("/")


def _is_web(filesystem: fsspec.AbstractFileSystem) -> bool:
    protocol = filesystem.protocol
    return "https" in ((protocol,) if isinstance(protocol, str) else protocol)


def _list(filesystem: fsspec.AbstractFileSystem, base: str, root: str) -> dict[str, dict[str, Any]]:
    """Hour files in a folder by name. Never from a cache: a backfill may look again minutes later."""
    filesystem.invalidate_cache()
    try:
        entries = filesystem.ls(root, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(
            f"{base}: no such folder of hour files.", "Set source.hours, or make a sample: titler sample DIR"
        ) from None
    except Exception as error:  # each remote filesystem raises its own
        raise SourceError(
            f"{base} cannot be reached: {error}", "Check source.hours and the network: titler doctor"
        ) from None
    listed = {entry["name"].rstrip("/").rsplit("/", 1)[-1]: entry for entry in entries}
    hours = {
        name: entry for name, entry in listed.items() if _NAME.fullmatch(name) and entry["type"] == "file"
    }
    if not hours:
        raise SourceError(
            f"{base} holds no hour files: {len(listed)} entries, none named like 2015-01-01-3.json.gz.",
            "Set source.hours to the folder that holds them, or make a sample: titler sample DIR",
        )
    return hours


def _ask(filesystem: fsspec.AbstractFileSystem, base: str, url: str) -> dict[str, Any] | None:
    """What a web server says of a file; None where it has none."""
    try:
        return dict(filesystem.info(url))
    except FileNotFoundError as error:
        # fsspec says "not found" for whatever goes wrong; what did is the cause
        cause = error.__cause__
        if cause is None or getattr(cause, "status", None) in _ABSENT:
            return None
        raise SourceError(
            f"{base} cannot be reached: {cause}", "Check source.hours and the network: titler doctor"
        ) from None


def _stamp(info: dict[str, Any]) -> str:
    return next((str(info[name]) for name in _STAMPS if info.get(name)), "")


def _fetch(file: HourFile, folder: Path) -> Path:
    filesystem, path = url_to_fs(file.path)
    if "file" in filesystem.protocol:
        return Path(path)
    target = folder / path.rsplit("/", 1)[-1]
    aside = target.with_suffix(".part")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        filesystem.get_file(path, str(aside))
    except Exception as error:  # each remote filesystem raises its own
        aside.unlink(missing_ok=True)
        raise SourceError(
            f"{file.path} did not come whole: {error or type(error).__name__}", "Try again later."
        ) from None
    aside.replace(target)
    return target
