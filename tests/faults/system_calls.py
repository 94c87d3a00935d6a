"""Lets system calls fail in this process, or kills the process at them: see system_calls.c.

A process must be started with the compiled library in LD_PRELOAD: `restart_with_library` does that. Nothing
happens until `watch` names a folder.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("system_calls.c")
GROUPS = ("create", "write", "rename", "delete", "sync", "read")
"""The groups of calls, as in the enumeration `group` of system_calls.c: opening a file to write it and making
a folder; writing; renaming and linking; deleting; flushing to the disk; reading."""
ACTIONS = ("fail", "kill before", "kill during", "kill after")
PRELOAD = "LD_PRELOAD"
MISSING_COMPILER = "needs Linux and a C compiler (cc)"


def compile_library(folder: Path) -> Path:
    """Compiles the library into `folder`, unless it is there, and returns its path."""
    library = folder / "system_calls.so"
    if not library.exists():
        command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)
    return library


def has_compiler() -> bool:
    """Returns whether the library can be compiled."""
    return sys.platform == "linux" and shutil.which("cc") is not None


def is_loaded() -> bool:
    """Returns whether this process was started with the library."""
    return SOURCE.with_suffix(".so").name in os.environ.get(PRELOAD, "")


def restart_with_library(folder: Path) -> None:
    """Replaces this process by one with the same command line that has the library loaded."""
    os.environ[PRELOAD] = str(compile_library(folder))
    os.execv(sys.executable, sys.orig_argv)


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None)  # the functions of this process, including those of the library


def watch(folder: Path) -> None:
    """Counts the calls on files below this folder from now on."""
    _library().fault_watch(os.fsencode(folder))


def counts() -> dict[str, int]:
    """Returns how many calls of each group there were."""
    return {group: int(_library().fault_count(number)) for number, group in enumerate(GROUPS)}


def arm(
    group: str, number: int, action: str, error: int = 0, *, lasts: bool = False, victim: int = 0
) -> None:
    """Lets one call fail with `error`, or kills the process at it: the call with this number in its group. If
    `lasts` is true, all later calls that change files fail as well. "kill before" kills the process `victim`
    instead, if it is not 0."""
    _library().fault_victim(victim)
    _library().fault_arm(GROUPS.index(group), ctypes.c_long(number), ACTIONS.index(action), error, int(lasts))


def move_clock(seconds: int) -> None:
    """Moves the clock of this process."""
    _library().fault_clock(ctypes.c_long(seconds))
