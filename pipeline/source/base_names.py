"""Gives names to bases: the folders and addresses from which hour files are read.

The names are stored in rows and in batches. The name of a base on a web server or in a bucket is its address.
The name of a local folder is only the last part of its path, because a folder may be moved or mounted
elsewhere. So the same files give the same rows and the same batches wherever the folder is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from pipeline.settings import HourBase, public_address


def base_name(base: str) -> str:
    """Returns the name of a base of hour files. For an address, this is the address without user, password
    and query. For a local folder, it is the last part of the path."""
    protocol, separator, path = base.partition("://")
    if separator and protocol != "file":
        return str(public_address(base)).rstrip("/")
    return Path(os.path.abspath(path if separator else base)).name or "/"


def base_names(bases: Sequence[HourBase]) -> list[str]:
    """Returns the names of several bases of hour files, in the same order.

    If several local folders have the same last part, such as `hours`, all but the first get a number:
    `hours (2)`, `hours (3)` and so on.
    """
    names: list[str] = []
    for base in bases:
        name = base_name(base.base)
        numbered = (f"{name} ({number})" for number in count(2))
        names.append(next(each for each in chain([name], numbered) if each not in names))
    return names


def name_bases(files: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Returns `files` with the base of each file replaced by the base's name.

    `files` are the identities of hour files (`ChosenFile.identity`). A base is the folder or address that has
    the file. The function is needed for batches of earlier versions of Titler, which stored the whole path of
    a local folder as the base.
    """
    return [[*file[:3], *map(base_name, file[3:])] for file in files]


def with_base_names(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the parameters of a batch of issues, with each base of hour files replaced by its name."""
    return {**parameters, "hours": name_bases(parameters["hours"])} if "hours" in parameters else parameters
