"""A shell script that replaces the `titler` command, to test its callers: arguments and exit codes."""

from __future__ import annotations

import sys
from pathlib import Path


def fake_titler(folder: Path, script: str) -> str:
    """Writes `script` to `folder/bin/titler`. Returns a PATH that starts with `folder/bin`.

    The PATH continues with the programs of this virtual environment and of the system.
    """
    titler = folder / "bin" / "titler"
    titler.parent.mkdir(parents=True)
    titler.write_text(f"#!/bin/bash\n{script}")
    titler.chmod(0o755)
    return f"{titler.parent}:{Path(sys.executable).parent}:/usr/bin:/bin"
