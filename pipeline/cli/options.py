"""What verbs share: the application, its settings, the options for days, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from pipeline import settings
from pipeline.cli import lineage
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned

app = typer.Typer(
    name="titler",
    help="GitHub's public issues as a nightly data product: titles, embeddings, similar issues.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

Day = Annotated[
    str | None, typer.Option("--day", metavar="DATE", help="One source day, for example 2015-01-01.")
]
First = Annotated[str | None, typer.Option("--from", metavar="DATE", help="First source day.")]
Last = Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last source day, included.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value and nothing else.")]
ReleaseId = Annotated[
    str, typer.Option("--release", metavar="RELEASE", help="The release, by the name it was planned under.")
]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="The model, by the name it was opened under.")]
Variant = Annotated[str | None, typer.Option(help="The network; default: the setting model.variant.")]
Epochs = Annotated[
    int | None, typer.Option(min=1, help="At most so many epochs; default: the setting model.epochs.")
]
Because = Annotated[str, typer.Option("--because", metavar="REASON", help="Why; it is recorded.")]


class Context:
    """What every verb works with. Settings are read when first asked for, so that `--help` never fails."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._settings: settings.Settings | None = None

    @property
    def settings(self) -> settings.Settings:
        if self._settings is None:
            self._settings = settings.load(self._path)
        return self._settings

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake.root)

    def model(self, name: str) -> Pinned:
        return Pinned(self.lake, "models", name)

    def release(self, name: str) -> Pinned:
        return Pinned(self.lake, "releases", name)

    def told(self, verb: str, about: Pinned | Sequence[date]) -> AbstractContextManager[lineage.Kept]:
        """Around a stage: what it is given to keep, and what it is about, says what it read and wrote."""
        return lineage.told(verb, self.lake, self.settings, about)


CURRENT: ContextVar[Context] = ContextVar("context")


def context() -> Context:
    return CURRENT.get()


def parse_day(text: str, option: str) -> date:
    """A day as it was typed. Raises UsageError for anything but a past day written YYYY-MM-DD."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text}: not a day.", "Days are written YYYY-MM-DD, for example 2015-01-01."
        ) from None
    if day > date.today():
        raise UsageError(
            f"{option} {text} is in the future; today is {date.today()}.", "Ask for days that are over."
        )
    return day


def parse_days(day: str | None, first: str | None, last: str | None) -> list[date]:
    """The days asked for, by --day or by --from and --to. Raises UsageError for neither, for both, and for a range backwards."""
    if day and not first and not last:
        return [parse_day(day, "--day")]
    if day or not (first and last):
        raise UsageError("Which days?", "Give --day 2015-01-01, or --from 2015-01-01 --to 2015-01-07.")
    start, stop = parse_day(first, "--from"), parse_day(last, "--to")
    if start > stop:
        raise UsageError(
            f"--from {start} comes after --to {stop}.", f"Turn them round: --from {stop} --to {start}"
        )
    return [date.fromordinal(number) for number in range(start.toordinal(), stop.toordinal() + 1)]
