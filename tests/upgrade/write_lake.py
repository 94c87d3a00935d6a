"""Writes an archive with a lake of this version of Titler, for `test_upgrade.py` of later versions.

    PYTHONPATH=. python tests/upgrade/write_lake.py tests/upgrade/lake-0.1.0.tar.xz

Run this program once per published version, with that version's code, and commit the archive.
`test_upgrade.py` reads all archives.

An archive holds hour files, a lake with its warehouse and its MLflow database, the settings with which they
were made, and `expected.json`: what `titler status`, `title`, `similar` and `evaluate` printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from datetime import date
from pathlib import Path

from pipeline import sample

SETTINGS = """\
[source]
hours = "{root}/hours"

[lake]
root = "{root}/lake"

[compute]
workers = 1

[text]
subwords = 400
body_units = 48
body_words = 300
title_words = 200

[model]
embedding_size = 10
hidden_size = 10
contrast_epochs = 1
epochs = 1
batch_size = 64
learning_rate = 0.01
sample_titles = 5
{variant}
[index]
trees = 10
"""
WORDS = 'variant = "gru"\n'
BODY = "the scheduler crashes after the upgrade and nothing helps"
COMMANDS = (
    ("settings.toml", "run --from 2024-01-01 --to 2024-01-02 --accept --because tiny"),
    ("settings.toml", "run --day 2024-01-03"),
    ("settings.toml", "train --from-file {root}/issues.jsonl"),
    ("words.toml", "vocab words"),
    ("words.toml", "vectorize --model words"),
    ("words.toml", "train words"),
    ("words.toml", "evaluate words"),
)
ANSWERS = {
    "status": ["status", "--json"],
    "title": ["title", BODY, "--json"],
    "similar": ["similar", BODY, "-k", "5", "--json"],
    "evaluate": ["evaluate", "--json"],
}


def titler(root: Path, settings: str, *arguments: str) -> str:
    """Runs `titler ARGUMENTS` with the settings file `settings` in `root`; returns what the command prints.
    Raises CalledProcessError if the command fails."""
    command = [sys.executable, "-m", "pipeline.cli", "--settings", str(root / settings), *arguments]
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ).stdout


def main(archive: Path) -> None:
    """Runs COMMANDS in a temporary folder; packs that folder and the output of ANSWERS into `archive`."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sample.write(root / "hours", days=3, seed=3, issues_per_day=60)
        for file in root.glob("hours/*.gz"):
            os.utime(file, (1_704_240_000, 1_704_240_000))  # whole seconds: a tar archive keeps them exactly
        (root / "settings.toml").write_text(SETTINGS.format(root=root, variant=""))
        (root / "words.toml").write_text(SETTINGS.format(root=root, variant=WORDS))
        issues = [
            {
                "title": f"the parser fails on input {n}",
                "body": f"parser number {n} stops with an error and prints nothing",
            }
            for n in range(60)
        ]
        (root / "issues.jsonl").write_text("".join(json.dumps(issue) + "\n" for issue in issues))
        for settings, command in COMMANDS:
            print(f"titler {command}")
            print(titler(root, settings, *command.format(root=root).split()))
        expected = {
            name: json.loads(titler(root, "settings.toml", *arguments)) for name, arguments in ANSWERS.items()
        }
        (root / "expected.json").write_text(
            json.dumps({"root": str(root), "written": str(date.today()), **expected}, indent=1)
        )
        with tarfile.open(archive, "w:xz", format=tarfile.PAX_FORMAT, preset=9) as tar:
            for path in sorted(root.rglob("*")):
                tar.add(path, path.relative_to(root), recursive=False)
    print(f"{archive}: {archive.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
