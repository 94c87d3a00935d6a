"""The programs that infra/install_lint.sh installs, for tests; they are skipped, saying so, where it was
not run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"


def programs() -> Path:
    """The folder of the programs. Skips the test where there is none."""
    found = subprocess.run([INFRA / "install_lint.sh", "--find"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.skip("needs infra/install_lint.sh")
    return Path(found.stdout.strip())


def program(name: str) -> Path:
    """One of them. Skips the test where it is missing."""
    path = programs() / name
    if not path.exists():
        pytest.skip(f"needs {name}: Go, then infra/install_lint.sh")
    return path


def run(*command: str | Path) -> None:
    """Runs a linter in the repository, whose complaints are the assertion's message."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
