"""The user who runs the command, and the revision of the code: installed version and, in a git checkout,
commit."""

from __future__ import annotations

import getpass
import importlib.metadata
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


def user_name() -> str:
    """The name of the user who runs this process; `uid 1000`, for example, if the user has no name, as in a
    container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


@dataclass(frozen=True)
class Revision:
    """The revision of the code that runs."""

    version: str
    """version of the installed package; `none` if it is not installed"""
    commit: str = ""
    """40 hex digits; empty if `pipeline` is not at the top of a git checkout, or git is not installed"""
    changed: bool = False
    """whether tracked files differ from the commit"""


def revision(package: Path = Path(__file__).parent) -> Revision:
    """The revision of the code in a folder `pipeline`.

    An installed package inside another project's checkout has no commit.
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
    """The output of git; None if git is not installed, fails or does not answer within 10 seconds."""
    try:
        process = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
