"""Determines which user runs a command, and which code runs: the installed version, and the commit of a git
checkout."""

from __future__ import annotations

import getpass
import importlib.metadata
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


def user_name() -> str:
    """Returns the name of the user who runs this process.

    A user in a container may have no name. In that case, returns the user id, for example `uid 1000`.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


@dataclass(frozen=True)
class Revision:
    """Identifies the code that runs: its version, and its git commit."""

    version: str
    """version of the installed package `titler`; `none` if it is not installed"""
    commit: str = ""
    """40 hex digits; empty if git is not installed, or if `pipeline` is not at the top of a git checkout"""
    changed: bool = False
    """whether files that git tracks differ from the commit"""


def revision(package: Path = Path(__file__).parent) -> Revision:
    """Returns the version and the git commit of the code in the folder `package`.

    The commit is empty if the folder is not in Titler's own git checkout, for example if Titler is installed
    in a virtual environment inside another project.
    """
    try:
        version = importlib.metadata.version("titler")
    except importlib.metadata.PackageNotFoundError:
        version = "none"
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top) != package.resolve().parent or not _git(package, "ls-files", "__init__.py"):
        return Revision(version)
    commit = _git(package, "rev-parse", "HEAD")
    return Revision(
        version, commit or "", bool(commit and _git(package, "status", "--porcelain", "--untracked-files=no"))
    )


def _git(folder: Path, *arguments: str) -> str | None:
    """Returns the output of a git command. Returns None if git is not installed, if the command fails, or if
    it takes more than 10 seconds."""
    try:
        process = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
