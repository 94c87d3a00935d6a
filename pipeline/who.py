"""Who runs the command."""

from __future__ import annotations

import getpass
import os


def who() -> str:
    """The user's name; `uid 1000` where the machine knows none, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
