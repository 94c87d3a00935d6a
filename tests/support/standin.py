"""A shell script in the place of `titler`, for the tests of who types what, and of what becomes of it."""

from __future__ import annotations

import sys
from pathlib import Path


def stand_in(folder: Path, script: str) -> str:
    """Writes `titler` into `folder/bin`; returns a PATH on which it comes first, before the programs of this environment."""
    titler = folder / "bin" / "titler"
    titler.parent.mkdir(parents=True)
    titler.write_text(f"#!/bin/bash\n{script}")
    titler.chmod(0o755)
    return f"{titler.parent}:{Path(sys.executable).parent}:/usr/bin:/bin"
