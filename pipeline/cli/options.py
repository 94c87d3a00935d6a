"""What all commands share: the Typer application, options, and the context with the settings and the lake."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline import settings
from pipeline.cli import console
from pipeline.cli.lineage import LineageFile
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.local_cache import LocalCache
from pipeline.lake.pinned import Pinned
from pipeline.releases.moved_lake import adopt_moved_lake

if TYPE_CHECKING:
    from pipeline.stages.teach import TeacherRequest

app = typer.Typer(
    name="titler",
    help="Turns GitHub's public issues into a nightly data product: titles, embeddings, similar issues.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

Day = Annotated[
    str | None, typer.Option("--day", metavar="DATE", help="One source day, for example 2015-01-01.")
]
First = Annotated[str | None, typer.Option("--from", metavar="DATE", help="First source day.")]
Last = Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last source day (included).")]
Again = Annotated[
    bool, typer.Option("--again", help="Extract the days again even if they are already in the lake.")
]
FailIfMissing = Annotated[
    bool,
    typer.Option(
        "--fail-if-missing",
        help="If the source has no readable data for a day, exit with code 3. The day is recorded as missing "
        "with or without this option.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON value.")]
ReleaseId = Annotated[
    str,
    typer.Option("--release", metavar="RELEASE", help="Name of a release that `titler plan` created."),
]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")]
Variant = Annotated[
    str | None,
    typer.Option(
        help='Name of the network: "copy", "gru", "gru_cudnn" or "pretrained". The default is the setting '
        "model.variant."
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(min=1, help="Maximum number of training epochs. The default is the setting model.epochs."),
]
Embedding = Annotated[
    Literal["champion", "new"] | None,
    typer.Option(
        metavar="champion|new",
        help="Where the model's embedding network comes from. "
        'With "new", a new network is trained. With "champion", the new model takes the network of the '
        "champion (the model in use). If there is no champion, or if the champion's embedding size, hidden "
        "size or text settings differ from those of the new model, a new network is trained instead. "
        "The default is the setting model.embedding.",
    ),
]
Teacher = Annotated[
    str | None,
    typer.Option(
        "--teacher",
        metavar="MODEL|FILE",
        help="Teacher: a model, or a file with titles and bodies. The new model learns from the teacher's "
        "titles in addition to the authors' titles. The teacher's titles are used only if they are better "
        "than the champion's titles and better than the first words of the body.",
    ),
]
TeacherWeight = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        max=1,
        help="Probability (0.01 to 1) with which the teacher's title replaces the author's title. It applies "
        "to each issue in each training epoch. The default is 0.5.",
    ),
]
Accept = Annotated[
    bool,
    typer.Option(
        "--accept",
        help="Show the model's titles in views and commands even if they score no better than the body's "
        "first words.",
    ),
]
AcceptFaults = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="DATE|abstained|recall",
        help="Publish although the release has the given fault. DATE: this day has lost nearly all of its "
        "data. abstained: more issues than before have no title. recall: the lists of similar issues "
        "have fewer marked duplicates than before. For several faults, repeat the option.",
    ),
]
Because = Annotated[
    str,
    typer.Option(
        "--because",
        metavar="REASON",
        help="Reason for using the result although a check refuses it. The reason is recorded.",
    ),
]


class Context:
    """The settings, the lake and the lineage file of a running command.

    Settings are read when they are first used, so that `--help` works even with invalid settings. If `timed`
    is True, every stage prints its duration and peak memory.
    """

    def __init__(self, settings_file: Path | None) -> None:
        self._settings_file = settings_file
        self.timed = False

    @classmethod
    def of(cls, values: settings.Settings) -> Context:
        """Returns a context with the given settings. The context reads no settings file."""
        context = cls(None)
        context.settings = values
        return context

    @cached_property
    def settings(self) -> settings.Settings:
        """The settings from the settings file and the environment. Raises UsageError if they are invalid."""
        return settings.load(self._settings_file)

    @cached_property
    def lake(self) -> Lake:
        """The lake at the address of the setting `lake.root`. If the lake is a folder that was moved or
        copied, the first use of this property changes the warehouse and MLflow's database in this folder, so
        that they refer to the files in the new place."""
        section = self.settings.lake
        lake = Lake(section.root, LocalCache(section.cache, int(section.cache_gib * 2**30)))
        if note := adopt_moved_lake(lake, self.settings):
            console.error(note)
        return lake

    @cached_property
    def lineage(self) -> LineageFile:
        """The file in which this command records what its stages read and wrote."""
        return LineageFile(self.lake, self.settings)

    def model(self, name: str) -> Pinned:
        """Returns the lake's model of this name, with its plan, its members (batches) and its notes. The
        model need not exist yet."""
        return Pinned(self.lake, "models", name)

    def release(self, name: str) -> Pinned:
        """Returns the lake's release of this name, with its plan, its members (batches) and its notes. The
        release need not exist yet."""
        return Pinned(self.lake, "releases", name)


CURRENT: ContextVar[Context] = ContextVar("context")


def context() -> Context:
    """Returns the context of the running command, through which it gets its settings and its lake."""
    return CURRENT.get()


def parse_day(text: str, option: str) -> date:
    """Parses the value of an option as a day. Raises UsageError if the value does not have the form
    YYYY-MM-DD, or if the day is in the future."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text} is not a day.", "Write days as YYYY-MM-DD, for example 2015-01-01."
        ) from None
    if day > date.today():
        raise UsageError(
            f"{option} {text} is in the future; today is {date.today()}.", "Give an earlier day."
        )
    return day


def parse_acceptances(release: str, accept: Sequence[str], because: str) -> dict[str, str]:
    """Returns a dict that maps each value of --accept of `titler publish`, a day or one of ACCEPTED_WORDS, to
    the reason in `because`. `release` is the name of the release. Raises UsageError if only one of the two
    options is given, or if a value is neither a day nor one of the words."""
    from pipeline.releases.audit import ACCEPTED_WORDS

    if bool(accept) != bool(because.strip()):
        values = accept or ["|".join(("DATE", *ACCEPTED_WORDS))]
        options = " ".join(f"--accept {value}" for value in values)
        raise UsageError(
            "--accept and --because must be given together.",
            f'Give both: titler publish --release {release} {options} --because "..."',
        )
    acceptances = {}
    for value in accept:
        try:
            accepted = value if value in ACCEPTED_WORDS else parse_day(value, "--accept").isoformat()
        except UsageError as error:
            words = " or ".join(f"--accept {word}" for word in ACCEPTED_WORDS)
            raise UsageError(error.message, f"{error.hint}\nTo accept another fault: {words}") from None
        acceptances[accepted] = because
    return acceptances


def parse_days(day: str | None, first: str | None, last: str | None) -> list[date]:
    """Returns the selected days in order: the day of --day, or the days from --from to --to (included).

    The user must give either --day alone, or both --from and --to. Raises UsageError for any other
    combination, for a value that is not a day or is in the future, and if --from comes after --to.
    """
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


def refuse_options_of_creation(*options: object) -> None:
    """Raises UsageError if --variant, --epochs or --embedding is given for a model that exists already."""
    if any(option is not None for option in options):
        raise UsageError(
            "The variant, the epochs and the embedding network of a model are fixed when it is created.",
            "To use other values, create another model: titler vocab --variant VARIANT --epochs N "
            "--embedding new",
        )


def teacher_request(source: str | None, weight: float | None) -> TeacherRequest | None:
    """Returns the values of the options --teacher and --teacher-weight, or None if neither is given. The
    new model also learns from the titles of the teacher, which is a model or a file. If only the teacher is
    given, the default weight is used. Raises UsageError if only the weight is given."""
    if source is not None:
        from pipeline.stages.teach import DEFAULT_WEIGHT, TeacherRequest

        return TeacherRequest(source, DEFAULT_WEIGHT if weight is None else weight)
    if weight is not None:
        raise UsageError(
            "--teacher-weight needs --teacher.",
            "Give both: titler train MODEL --teacher MODEL|FILE --teacher-weight 0.5",
        )
    return None
