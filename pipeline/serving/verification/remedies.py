"""What to type after a verification has found a damaged batch."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.contracts import (
    DUPLICATE_MARKS,
    ISSUES,
    PREDICTOR,
    QUARANTINE,
    SOURCE_HEALTH,
    TOKENS,
    VOCABULARY,
)
from pipeline.lake.members import made_by_command
from pipeline.releases.members import PUBLISHED_TABLES


def batch_remedy(folder: str, used_by: Iterable[str], current: str | None, last_day: str) -> str:
    """Returns the commands after which no current release or model needs a damaged batch any more.

    `folder` is the folder of the batch, `used_by` names what needs it, `last_day` is the last day of the
    lake, and `current` is the name of the current release.
    """
    table, _, rest = folder.partition("/")
    if table in (ISSUES.name, SOURCE_HEALTH.name, DUPLICATE_MARKS.name, QUARANTINE):
        return _of_day(rest, extract=True)
    if table == TOKENS.name:
        return _of_day(rest, extract=False)
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


def _of_day(rest: str, *, extract: bool) -> str:
    day = rest.partition("/")[0].removeprefix("day=")
    if not extract:
        return f"Run: titler run --from {day} --to {day}"
    return (
        f"Run: titler extract --day {day} --again\n"
        f"Then: titler run --from {day} --to {day}\n"
        "If the source does not have this day any more, restore the file from a backup instead."
    )
