"""Models and releases in the lake, and the batches that belong to them.

`titler vocab` creates a model, and `titler plan` creates a release. Both write a plan, which records (pins)
the current batches of the days to use. Later stages read only the pinned batches. So a later backfill or
promotion does not change the model or release. Each later stage also records the batches that it makes for
the model or release. These batches are called members.

    ROOT/models/MODEL/plan.json, members/TABLE.json
    ROOT/releases/RELEASE/plan.json, members/TABLE.json
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

from pipeline.contracts import DUPLICATE_MARKS, ISSUES, SOURCE_HEALTH, TOKENS
from pipeline.errors import LakeError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.damaged_batches import damaged_batches
from pipeline.lake.duplicate_openings import duplicate_openings
from pipeline.lake.fingerprint import fingerprint
from pipeline.lake.json_documents import Document, Remedy
from pipeline.lake.manifest import Manifest
from pipeline.lake.members import Members, SharedPages, made_by_command
from pipeline.lake.pages import PageNames, write_pages
from pipeline.lake.plan import PLAN_FILES, PinnedDay, Plan, PlanFile, day_pages
from pipeline.lake.work_folder import WorkFolder

Kind = Literal["models", "releases"]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
LATEST_LISTED = 5
"""Maximum number of existing names in the error message about an unknown name."""


def new_id() -> str:
    """Returns a name for a new model or release: the current UTC time, such as 20150104T031200Z."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


@dataclass(frozen=True)
class BatchKey:
    """Identifies a batch by its table, its partition, and what it is made from. `Lake.find` takes the same
    values as arguments."""

    table: str
    partition: Mapping[str, str]
    inputs: tuple[str, ...]
    parameters: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the four fields. The manifest of the batch has it as `key`."""
        return fingerprint(self.table, self.partition, self.inputs, self.parameters)


@dataclass(frozen=True)
class Note:
    """A kind of small JSON object that is stored with a model or a release, such as the figures of an
    evaluation. It is stored in the file NAME.json, in the same folder as the plan. `form`, `expected` and
    `remedy` have the same meaning as in `Document`."""

    name: str
    form: Any
    expected: str
    remedy: Remedy

    @property
    def file(self) -> str:
        """The name of the note's file."""
        return f"{self.name}.json"

    @cached_property
    def document(self) -> Document[Any]:
        """The kind of JSON document that the file contains."""
        return Document(self.form, self.expected, self.remedy)


class Notes:
    """The notes of a model or a release. `notes[kind]` is the stored note of the kind `kind` (a `Note`), or
    None if there is no such note."""

    def __init__(self, pinned: Pinned) -> None:
        self._pinned = pinned

    def __getitem__(self, note: Note) -> Any:
        return self._pinned.lake.get_json(self._pinned.file(note.file), note.document)

    def __setitem__(self, note: Note, value: Mapping[str, Any]) -> None:
        self._pinned.lake.put_json(self._pinned.file(note.file), value)


class Pinned:
    """A model or a release in the lake, with its plan, its members (batches) and its notes (small JSON
    files). The model or release need not exist yet.

    `plan` and `members` are read from the lake once, when they are first used. `notes` are read at every use.
    The dict `shared_pages` holds the pages of `members` that were already read. If several releases use this
    dict, a page that they share is read only once. The constructor raises UsageError if `name` is invalid.
    """

    def __init__(self, lake: Lake, kind: Kind, name: str, shared_pages: SharedPages | None = None) -> None:
        if not NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is not a valid {kind.removesuffix('s')} name. A name has 1 to 100 letters, "
                "digits, '_', '.' and '-', and starts with a letter or a digit.",
                f"Choose another name, for example {new_id()}.",
            )
        self.lake = lake
        self.kind = kind
        self.name = name
        self._shared_pages: SharedPages = {} if shared_pages is None else shared_pages
        self.members = Members(lake, self.file, self._no_members, self._shared_pages, self._members_of_base)
        self.notes = Notes(self)
        self._plan_file: PlanFile | None = None

    @property
    def noun(self) -> str:
        """The word for this object in messages: "model" or "release"."""
        return self.kind.removesuffix("s")

    def file(self, name: str) -> str:
        """Returns the path of a file of this model or release, relative to the root of the lake."""
        return posixpath.join(self.kind, self.name, name)

    def open(self, days: Sequence[PinnedDay], facts: dict[str, Any]) -> Plan:
        """Creates the model or release by writing its plan, and returns the plan. If the model or release
        exists already, returns its stored plan and ignores the arguments."""
        if not self.is_open():
            superseded = duplicate_openings(self.lake, [(day.day, day.issues) for day in days])
            self.open_pages(write_pages(self.lake, day_pages(days, superseded)), facts)
        return self.plan

    def open_pages(self, pages: PageNames, facts: dict[str, Any], base: str | None = None) -> None:
        """Creates the model or release by writing its plan. `pages` are the names of the pages that list its
        days. `facts` are further entries of the plan.

        If this is a release, `base` is the name of the release that is current while this one is planned. It
        is None for a model, if no release is current, or if the plan of the current release is missing.
        """
        opened_at = datetime.now(UTC).isoformat(timespec="seconds")
        plan = {"facts": facts, "opened_at": opened_at, "base": base, "day_pages": dict(pages)}
        self.lake.put_json(self.file("plan.json"), {"name": self.name, **plan})

    def is_open(self) -> bool:
        """Returns whether the model or release exists, that is, whether its plan is in the lake. Raises
        LakeError if the plan is damaged, or is the plan of another model or release."""
        if self._plan_file is None:  # a plan never changes, so it is read only once
            path, document = self.file("plan.json"), PLAN_FILES[self.kind]
            plan = self.lake.get_json(path, document)
            if plan is not None and plan.name not in (None, self.name):
                raise LakeError(
                    f"The file {self.lake.path(path)} is damaged: it is the plan of the {self.noun} "
                    f"{plan.name}. Expected the plan of {self.name}.",
                    document.remedy(self.lake.root, path),
                )
            self._plan_file = plan
        return self._plan_file is not None

    def require_open(self, hint: str = "") -> None:
        """Raises UsageError if the model or release does not exist. `hint` is the error's hint, which says
        what the user can do. The default hint proposes to create the model or release. A command that only
        reads should pass another hint, because a new, empty model or release is of no use to it."""
        if not self.is_open():
            raise self._unknown(hint)

    def _members_of_base(self) -> Members | None:
        return self.base.members if self.base else None

    def _no_members(self, table: str) -> UsageError:
        """Returns the error for a table without batches. It names the command to run."""
        if not self.is_open():
            return self._unknown()
        return UsageError(
            f"{self.noun.capitalize()} {self.name} has no {table} yet.",
            f"Run first: {made_by_command(table, self.kind, self.name)}",
        )

    def _unknown(self, hint: str = "") -> UsageError:
        latest = ", ".join(pinned_names(self.lake, self.kind)[-LATEST_LISTED:]) or "none"
        command = "titler vocab" if self.kind == "models" else "titler plan --release"
        return UsageError(
            f"No {self.noun} is named {self.name} (latest {self.kind}: {latest}).",
            hint or f"Use the name of an existing {self.noun}, or create this one: {command} {self.name}",
        )

    @property
    def _stored_plan(self) -> PlanFile:
        """The content of plan.json. Raises UsageError if the model or release does not exist."""
        self.is_open()
        if self._plan_file is None:
            raise self._unknown()
        return self._plan_file

    @cached_property
    def plan(self) -> Plan:
        """The plan of this model or release: which days it uses, and with which settings. Raises UsageError
        if the model or release does not exist."""
        return Plan.read(self.lake, self._stored_plan)

    @property
    def facts(self) -> Mapping[str, Any]:
        """The facts of the plan, such as settings. Does not read the plan's days. Raises UsageError if the
        model or release does not exist."""
        return self._stored_plan.facts

    @property
    def opened_at(self) -> str:
        """When the model or release was created, in UTC, such as 2015-01-04T03:12:00+00:00. Raises UsageError
        if it does not exist."""
        return self._stored_plan.opened_at

    @property
    def day_pages(self) -> PageNames:
        """The names of the pages that list the plan's days, by period. The dict is empty if Titler 0.1 wrote
        the plan."""
        return self._stored_plan.day_pages or {}

    @cached_property
    def base(self) -> Pinned | None:
        """The release that was current when this release was planned. None for a model, and for a
        release that does not exist yet. Also None if no release was current, or if the plan of the current
        release was missing."""
        name = self._stored_plan.base if self.is_open() else None
        return Pinned(self.lake, "releases", name, self._shared_pages) if name else None

    def find_all(self, keys: Sequence[BatchKey]) -> list[Manifest | None]:
        """Returns one item per key: the manifest of the existing batch with this key, or None if there is no
        such batch. All keys must be of the same table.

        First searches the members of `base`, the previous release. These members are read only once. If a
        key is not found there, looks it up in the lake, which costs further requests. Raises LakeError if a
        file that is read for this is damaged.
        """
        of_base: dict[str, Manifest] = {}
        if keys and self.base and keys[0].table in self.base.members:
            of_base = {
                manifest.key: manifest
                for manifest in self.base.members[keys[0].table]
                if manifest.folder not in self._damaged
            }
        existing = [of_base.get(key.fingerprint) for key in keys]
        missing = [key for key, manifest in zip(keys, existing, strict=True) if manifest is None]
        looked_up = iter(
            self.lake.for_each(
                lambda key: self.lake.find(key.table, key.partition, key.inputs, key.parameters), missing
            )
        )
        return [manifest or next(looked_up) for manifest in existing]

    @cached_property
    def _damaged(self) -> set[str]:
        """The folders of the batches that are marked as damaged."""
        return damaged_batches(self.lake)

    def issues(self, day: PinnedDay) -> Manifest:
        """Returns the manifest of the batch of the table issues_v1 that the plan records for a day. Raises
        LakeError if the manifest is missing or damaged."""
        return self.lake.manifest(day.issues)

    def tokens(self, day: PinnedDay) -> Manifest:
        """Returns the manifest of the batch of the table tokens_v1 that the plan records for a day. Raises
        LakeError if the manifest is missing or damaged."""
        return self.lake.manifest(day.tokens)

    def work_folder(self, name: str) -> WorkFolder:
        """Returns a folder in the lake for unfinished work, such as the checkpoint from which an interrupted
        training resumes."""
        return WorkFolder(self.lake, self.file(name))

    def delete_work_folders(self, prefix: str) -> None:
        """Deletes all folders for unfinished work whose names start with `prefix`."""
        for name in self.lake.names(posixpath.join(self.kind, self.name)):
            if name.startswith(prefix):
                self.work_folder(name).delete()

    def delete(self) -> None:
        """Deletes the files of a model or a release, but not its batches."""
        self.lake.delete_folder(posixpath.join(self.kind, self.name))
        self._plan_file = None


def pinned_names(lake: Lake, kind: Kind) -> list[str]:
    """Returns the names of all models, or of all releases, in the lake, sorted. `kind` is "models" or
    "releases". Leaves out files of other programs, such as .DS_Store."""
    return [name for name in lake.names(kind) if NAME.fullmatch(name) and not name.endswith(".json")]


def pin_days(lake: Lake, days: Iterable[str]) -> list[PinnedDay]:
    """Returns one `PinnedDay` per day (YYYY-MM-DD), in the same order. Each `PinnedDay` records the current
    batches of its day.

    Raises UsageError in three cases: a day was not extracted, it has no verdict on its data, or it was not
    cleaned since its last extraction.
    """
    return [pinned for pinned, _ in lake.for_each(lambda day: pin_day(lake, day), list(days))]


def pin_day(lake: Lake, day: str) -> tuple[PinnedDay, list[Manifest]]:
    """Returns a `PinnedDay`, which records the current batches of a day, and the manifests of some of these
    batches: those of issues_v1, of source_health_v1 and, if the day has one, of duplicate_marks_v1. Raises
    UsageError in the same cases as `pin_days`."""
    issues = lake.current(ISSUES.name, {"day": day})
    tokens = lake.current(TOKENS.name, {"day": day})
    health = lake.current(SOURCE_HEALTH.name, {"day": day})
    if issues is None or health is None or issues.digest not in health.inputs:
        unfinished = "has no verdict yet: its last extraction did not finish"
        problem = "was not extracted" if issues is None else unfinished
        raise UsageError(f"Day {day} {problem}.", f"Run first: titler extract --day {day}")
    if tokens is None or issues.digest not in tokens.inputs:
        raise UsageError(
            f"Day {day} has not been cleaned since it was last extracted.",
            f"Run first: titler clean --day {day}",
        )
    digests = (issues.digest, tokens.digest, health.digest)
    pinned = PinnedDay(day, issues.folder, tokens.folder, health.folder, *digests)
    if not (extracted := issues.figures.get(DUPLICATE_MARKS.name)):
        return pinned, [issues, health]
    marks = lake.manifest(extracted["batch"])
    pinned = replace(pinned, duplicate_marks=marks.folder, duplicate_marks_digest=marks.digest)
    return pinned, [issues, health, marks]


def cleaned_days(lake: Lake, first: str | None, last: str | None) -> list[str]:
    """Returns the cleaned days (YYYY-MM-DD) from `first` to `last`, including both. If `first` is None,
    begins with the earliest day. If `last` is None, ends with the latest day. Raises UsageError if there is
    no such day, or if `first` comes after `last`."""
    if first and last and first > last:
        raise UsageError(f"--from {first} comes after --to {last}.", f"Swap them: --from {last} --to {first}")
    days = [day for day in lake.days(TOKENS.name) if (first or "") <= day <= (last or "9999")]
    if not days:
        span = f"{f' from {first}' if first else ''}{f' to {last}' if last else ''}"
        options = f"--from {first or last or '2015-01-01'} --to {last or first or '2015-01-01'}"
        raise UsageError(
            f"The lake {lake.root} has no cleaned days{span}.",
            f"Extract and clean days first: titler extract {options}; titler clean {options}",
        )
    return days
