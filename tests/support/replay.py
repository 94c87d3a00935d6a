"""Real days as hour files, made of the real issues that TITLER_TEST_DATA names."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest


def replay(folder: Path, first: date, last: date) -> Path:
    """Writes every hour of these days into `folder`, and returns it. Skips the test where the real issues are not there."""
    data = os.environ.get("TITLER_TEST_DATA")
    program = Path(data or "", os.pardir, "tools", "replay_hours.py")
    if data is None or not program.is_file():
        pytest.skip(
            "needs real issues and what replays them: set TITLER_TEST_DATA to a folder beside tools/replay_hours.py"
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
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder
