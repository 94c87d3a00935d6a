"""A drawn sample of disturbed nights, one fault of each kind. `python -m tests.faults.nights` draws as many
as you like."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.fault_kinds import ERRORS
from tests.faults.system_calls import MISSING_COMPILER, has_compiler

ROOT = Path(__file__).parents[2]
SEED = 2
IN_FOLDER = "^(?!store|warehouse|Dask)"
"""All kinds but those that need servers, whose nights take minutes."""


@pytest.mark.skipif(not has_compiler(), reason=MISSING_COMPILER)
def test_the_same_command_again_leads_to_the_same_lake(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.faults.nights", "--count", "10", "--seed", str(SEED)]
    command += ["--only", IN_FOLDER]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f".{os.pathsep}infra"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 faults" in done.stdout
    assert all(kind in done.stdout for kind in ERRORS)
