"""What all verbs share: the application, the context with settings and lake, and the options for days."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer

from pipeline import settings
from pipeline.cli.lineage import LineageFile
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
    int | None, typer.Option(min=1, help="Maximum number of epochs; default: the setting model.epochs.")
]
Because = Annotated[str, typer.Option("--because", metavar="REASON", help="The reason; it is recorded.")]


class Context:
    """What every verb works with. Settings are read when they are first used, so that `--help` never fails.

    `timed` makes every stage print its time and memory.
    """

    def __init__(self, settings_file: Path | None) -> None:
        self._settings_file = settings_file
        self.timed = False

    @classmethod
    def of(cls, values: settings.Settings) -> Context:
        """A context with settings that were built elsewhere."""
        context = cls(None)
        context.settings = values
        return context

    @cached_property
    def settings(self) -> settings.Settings:
        """The settings. Raises UsageError if they are not valid."""
        return settings.load(self._settings_file)

    @cached_property
    def lake(self) -> Lake:
        """The lake of the settings."""
        return Lake(self.settings.lake.root)

    @cached_property
    def lineage(self) -> LineageFile:
        """Where this command records what its stages read and wrote."""
        return LineageFile(self.lake, self.settings)

    def model(self, name: str) -> Pinned:
        """The model of this name."""
        return Pinned(self.lake, "models", name)

    def release(self, name: str) -> Pinned:
        """The release of this name."""
        return Pinned(self.lake, "releases", name)


CURRENT: ContextVar[Context] = ContextVar("context")


def context() -> Context:
    """The context of the running command."""
    return CURRENT.get()


def parse_day(text: str, option: str) -> date:
    """The day in an option's value. Raises UsageError unless it is a past day, written YYYY-MM-DD."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text}: not a day.", "Write days as YYYY-MM-DD, for example 2015-01-01."
        ) from None
    if day > date.today():
        raise UsageError(
            f"{option} {text} is in the future; today is {date.today()}.", "Give a day that is over."
        )
    return day


def parse_days(day: str | None, first: str | None, last: str | None) -> list[date]:
    """The days of --day or of --from and --to. Raises UsageError for neither, for both, and if --from comes
    after --to."""
    if day and not first and not last:
        return [parse_day(day, "--day")]
    if day or not (first and last):
        raise UsageError(
            "Give either --day or both --from and --to.",
            "For example: --day 2015-01-01, or --from 2015-01-01 --to 2015-01-07",
        )
    start, stop = parse_day(first, "--from"), parse_day(last, "--to")
    if start > stop:
        raise UsageError(f"--from {start} comes after --to {stop}.", f"Swap them: --from {stop} --to {start}")
    return [date.fromordinal(number) for number in range(start.toordinal(), stop.toordinal() + 1)]
