"""What to type after a verification has found a damaged batch."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

from pipeline.contracts import (
    DUPLICATE_MARKS,
    ISSUES,
    PREDICTOR,
    QUARANTINE,
    SOURCE_HEALTH,
    TOKENS,
    VOCABULARY,
)
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import File
from pipeline.lake.members import made_by_command
from pipeline.releases.members import PUBLISHED_TABLES

_OF_EARLIER_RELEASES = (
    "Nothing can be done, unless a backup has the file: the day has another batch now. Releases that need "
    "the damaged one may not be explained completely, and the warehouse leaves them out if it shows this "
    "batch. Models that need it cannot be trained again. A night removes these releases when newer ones are "
    "kept."
)


def batch_remedy(folder: str, used_by: Collection[str], current: str | None, last_day: str) -> str:
    """Returns what to type so that the current release and the models no longer need a damaged batch.

    `folder` is the folder of the batch, `used_by` are the releases, models and days that need it, `last_day`
    is the last day of the lake, and `current` is the name of the current release.
    """
    table, _, partition = folder.partition("/")
    of_day = table in (ISSUES.name, SOURCE_HEALTH.name, DUPLICATE_MARKS.name, QUARANTINE, TOKENS.name)
    if of_day and not any(name.startswith("day ") or name == f"release {current}" for name in used_by):
        return _OF_EARLIER_RELEASES
    if table in (ISSUES.name, SOURCE_HEALTH.name, DUPLICATE_MARKS.name, QUARANTINE):
        return _of_day(partition, extract=True)
    if table == TOKENS.name:
        return _of_day(partition, extract=False)
    if table in (PREDICTOR, VOCABULARY):
        return (
            "Restore the file from a backup. If there is none, the trained network is lost. "
            f"Then train another model: titler run --retrain --from {last_day} --to {last_day}"
        )
    subjects = [name.split(" ", 1) for name in sorted(used_by)]
    commands = [
        made_by_command(table, f"{kind}s", name) for kind, name in subjects if kind in ("release", "model")
    ]
    if table in PUBLISHED_TABLES and current:
        commands.append(f"titler publish --release {current}")
    return "Run: " + "\nThen: ".join(commands)


def restore_from_mlflow(lake: Lake, folder: str, file: File) -> str:
    """Returns the message with the command that replaces a damaged file of a predictor with MLflow's copy.
    Looks for the copy in the folder of MLflow's files, which is in the lake's folder. Returns an empty string
    if the batch is not a predictor, if there is no intact copy, or if the lake is a bucket."""
    if not folder.startswith(f"{PREDICTOR}/") or "://" in lake.root.removeprefix("file://"):
        return ""
    for path in sorted(Path(lake.path("mlflow").removeprefix("file://")).rglob(file.name)):
        if path.stat().st_size == file.bytes and sha256(path.read_bytes()).hexdigest() == file.sha256:
            return f"MLflow has an intact copy: cp {path} {lake.path(folder)}/{file.name}"
    return ""


def _of_day(partition: str, *, extract: bool) -> str:
    day = partition.partition("/")[0].removeprefix("day=")
    if not extract:
        return f"Run: titler run --from {day} --to {day}"
    return (
        f"Run: titler extract --day {day} --again\n"
        f"Then: titler run --from {day} --to {day}\n"
        "If the source does not have this day any more, restore the file from a backup instead."
    )
