"""The names that hour files have in GH Archive and in its mirrors.

GH Archive's name of an hour file is `2024-02-01-7.json.gz`. A mirror may write the hour with two digits,
leave the files uncompressed (`.json`) or compress them with Zstandard (`.json.zst`), and may have a folder
per day: `2024-02-01/` or `2024/02/01/`. In such a folder, the name may lack the day: `07.json.gz`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

HOURS = range(24)
ENDINGS = (".json.gz", ".json.zst", ".json")
EXAMPLE = "2015-01-01-3.json.gz"

_NAME = re.compile(r"(?:(\d{4}-\d{2}-\d{2})-)?(\d{1,2})(\.json(?:\.gz|\.zst)?)")
_DAY_FOLDER = re.compile(r"\d{4}(?:-\d{2}-\d{2})?")


class NameForm(NamedTuple):
    """A way to name hour files. `folder` is the day's folder, with a slash at its end; it is empty if the
    files are directly in the base. `has_day` says whether a file's name, without the folder, contains the
    day. `ending` is one of ENDINGS."""

    folder: str
    has_day: bool
    ending: str


def standard_name(day: date, hour: int) -> str:
    """Returns the name that GH Archive gives an hour file: `2024-02-01-7.json.gz`."""
    return f"{day}-{hour}.json.gz"


def day_folders(day: date) -> tuple[str, str]:
    """Returns the folders that may have the hour files of a day: `2024-02-01/` and `2024/02/01/`."""
    return (f"{day}/", f"{day:%Y/%m/%d}/")


def name_forms(day: date) -> list[NameForm]:
    """Returns all ways to name the hour files of a day. The first one is GH Archive's."""
    places = [("", True), *((folder, has_day) for folder in day_folders(day) for has_day in (True, False))]
    return [NameForm(folder, has_day, ending) for folder, has_day in places for ending in ENDINGS]


def names_of(form: NameForm, day: date, hour: int) -> list[str]:
    """Returns the names that an hour file may have in this form. Hours below 10 have two names, with `7` and
    with `07`; other hours have one."""
    prefix = f"{form.folder}{day}-" if form.has_day else form.folder
    return [f"{prefix}{digits}{form.ending}" for digits in dict.fromkeys((f"{hour}", f"{hour:02}"))]


def choose_names(names: Iterable[str], day: date) -> dict[int, str]:
    """Chooses the hour files of `day` among `names`. Returns a dict from each hour that has a file to the
    file's name.

    Names are relative to the base (the folder or address with the hour files). If an hour has several files,
    the one whose form comes first in `name_forms` is chosen.
    """
    existing = set(names)
    chosen: dict[int, str] = {}
    for hour, name in _all_names(day):
        if hour not in chosen and name in existing:
            chosen[hour] = name
    return chosen


def _all_names(day: date) -> Iterator[tuple[int, str]]:
    """Yields the hours of a day with each name that the hour's file may have, GH Archive's form first."""
    for form in name_forms(day):
        for hour in HOURS:
            for name in names_of(form, day, hour):
                yield hour, name


def is_hour_file(name: str) -> bool:
    """Returns whether `name`, without a folder, is the name of an hour file of any day."""
    match = _NAME.fullmatch(name)
    return match is not None and match[1] is not None and int(match[2]) in HOURS


def is_day_folder(name: str) -> bool:
    """Returns whether `name` may be a folder with hour files: the folder of a day, or of a year."""
    return _DAY_FOLDER.fullmatch(name) is not None
