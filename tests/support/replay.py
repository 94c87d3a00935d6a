"""Hour files of real days, written from the real issues in the folder TITLER_TEST_DATA."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest


def replay(folder: Path, first: date, last: date) -> Path:
    """Writes all hours of these days into `folder`, and returns it. Skips the test without real issues.

    An hour in which no issue was opened has one event of another type. GH Archive has no hour without events.
    """
    data = os.environ.get("TITLER_TEST_DATA")
    program = Path(data or "", os.pardir, "tools", "replay_hours.py")
    if data is None or not program.is_file():
        pytest.skip(
            "needs real issues and the program that replays them: "
            "set TITLER_TEST_DATA to a folder beside tools/replay_hours.py"
        )
    command = [
        sys.executable,
        str(program),
        str(folder),
        "--from",
        str(first),
        "--to",
        str(last),
        "--every-hour",
        "--fill",
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder
