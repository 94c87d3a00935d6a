"""Who runs the command, and which Titler it is: the installed version and, in a git checkout, the commit."""

from __future__ import annotations

import getpass
import importlib.metadata
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


def user_name() -> str:
    """The name of the user who runs this process, or `uid 1000` where the system has no name for it, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


@dataclass(frozen=True)
class Revision:
    """What can be told of the code that runs."""

    version: str
    """the package's; `none` where it is not installed"""
    commit: str = ""
    """40 hex digits; empty where `pipeline` does not lie at the top of a git checkout, or git is not there"""
    changed: bool = False
    """whether files that git knows differ from the commit"""


def revision(package: Path = Path(__file__).parent) -> Revision:
    """The revision of the code in a folder `pipeline`. An installed package inside somebody else's checkout is none of its commits."""
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
    """What git prints; None where it is not installed, refuses, or does not answer."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
