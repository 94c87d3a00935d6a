"""`titler` in this process, where a test needs no process of its own: imports take longer than most verbs."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout

import pytest

from pipeline.cli import main


def titler(
    *arguments: str, environment: Mapping[str, str] | None = None, given: bytes = b""
) -> subprocess.CompletedProcess[str]:
    """Runs `titler ARGUMENTS` with variables added to the environment, and `given` on standard input."""
    printed, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(errors):
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["titler", *arguments])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        with pytest.raises(SystemExit) as ended:
            main()
    return subprocess.CompletedProcess(
        ["titler", *arguments], int(ended.value.code or 0), printed.getvalue(), errors.getvalue()
    )
