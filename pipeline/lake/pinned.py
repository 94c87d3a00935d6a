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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from pipeline.contracts import (
    EMBEDDINGS,
    INDEX,
    ISSUES,
    PREDICTOR,
    SEGMENTS,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    TOKENS,
    VECTORS,
    VOCABULARY,
)
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.duplicate_openings import duplicate_openings
from pipeline.lake.manifest import Manifest
from pipeline.lake.work_folder import WorkFolder

Kind = Literal["models", "releases"]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
MADE_BY: Mapping[str, str] = MappingProxyType(
    {
        ISSUES.name: "plan",
        SOURCE_HEALTH.name: "plan",
        VOCABULARY: "vocab",
        VECTORS.name: "vectorize",
        PREDICTOR: "train",
        EMBEDDINGS.name: "embed",
        TITLE_PREDICTIONS.name: "predict",
        INDEX: "index",
        SEGMENTS.name: "index",
        SIMILAR_ISSUES.name: "index",
    }
)
"""Maps each table to the `titler` command (verb) that adds its batches to a model or a release."""
LATEST_LISTED = 5
"""Maximum number of existing names in the error message about an unknown name."""


def new_id() -> str:
    """Returns a name for a new model or release: the current UTC time, such as 20150104T031200Z."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


@dataclass(frozen=True)
class PinnedDay:
    """One day in the plan of a model or a release: the folders and the content digests of the day's batches
    in the lake. There is one batch of each of the tables issues_v1, tokens_v1 and source_health_v1.

    The plan of a model that learns from a user's file has one `PinnedDay` for the file. Its `day` is the
    file's identifier, and its fields about source health are empty.
    """

    day: str
    issues: str
    tokens: str
    health: str
    issues_digest: str
    tokens_digest: str
    health_digest: str

    @property
    def content(self) -> tuple[str, ...]:
        """The day, and the content digests of its three batches. Two days with equal values have the same
        data."""
        return self.day, self.issues_digest, self.tokens_digest, self.health_digest


@dataclass(frozen=True)
class Plan:
    """What is recorded when a model or a release is created: the days with their batches, and further facts.
    A plan never changes.

    `superseded` maps each day to the ids of the issues to skip on that day: their earliest `opened` event is
    in another day of the plan. `facts` are other recorded values, such as settings or the release's model.
    """

    days: tuple[PinnedDay, ...]
    superseded: dict[str, list[int]]
    facts: dict[str, Any]
    opened_at: str

    def keep_mask(self, day: str, issue_ids: Any) -> Any:
        """Returns a boolean array with one value per issue in `issue_ids`. The value is False if the plan
        says to skip the issue on `day`."""
        return ~np.isin(issue_ids, np.asarray(self.superseded.get(day, []), dtype=np.int64))


class Notes:
    """Small JSON values that are stored with a model or a release, such as the figures of an evaluation.

    Each value is called a note and has a name. The note NAME is stored in the file NAME.json, in the same
    folder as the plan. If no note of a name was stored, its value is None.
    """

    def __init__(self, pinned: Pinned) -> None:
        self._pinned = pinned

    def __getitem__(self, name: str) -> Any:
        return self._pinned.lake.get_json(self._pinned.file(f"{name}.json"))

    def __setitem__(self, name: str, value: Any) -> None:
        self._pinned.lake.put_json(self._pinned.file(f"{name}.json"), value)


class Members(Mapping[str, Sequence[Manifest]]):
    """The batches that belong to a model or a release. Maps the name of each table to the manifests of its
    batches.

    The manifests of a table are read from the lake only once. `manifests` has the manifests that were already
    read, by their folders. Several releases can share this dict, so that no manifest is read twice.
    """

    def __init__(self, pinned: Pinned, manifests: dict[str, Manifest]) -> None:
        self._pinned = pinned
        self._by_folder = manifests
        self._manifests: dict[str, Sequence[Manifest]] = {}

    def __getitem__(self, table: str) -> Sequence[Manifest]:
        """Returns the manifests of a table's batches: one per day of the plan, one per segment for the table
        `segments_v1`, or a single one for the tables `vocabulary`, `predictor` and `index`.

        Raises UsageError if the model or release does not exist, or has no batches of the table yet. The
        error names the `titler` command to run.
        """
        if table not in self._manifests:
            folders = self._pinned.lake.get_json(self._file(table))
            if folders is None:
                self._pinned.require_open()
                raise UsageError(
                    f"{self._pinned.noun.capitalize()} {self._pinned.name} has no {table} yet.",
                    f"Run first: {self._command(table)}",
                )
            for folder in folders:
                if folder not in self._by_folder:
                    self._by_folder[folder] = self._pinned.lake.manifest(folder)
            self._manifests[table] = [self._by_folder[folder] for folder in folders]
        return self._manifests[table]

    def __contains__(self, table: object) -> bool:
        return table in self._manifests or self._pinned.lake.get(self._file(str(table))) is not None

    def __iter__(self) -> Iterator[str]:
        return (table for table in MADE_BY if table in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def folders(self, table: str) -> list[str]:
        """Returns the folders of a table's batches, without reading the manifests. Returns an empty list if
        no batches of the table were recorded yet."""
        return list(self._pinned.lake.get_json(self._file(table)) or [])

    def put(self, table: str, manifests: Iterable[Manifest]) -> None:
        """Records that these batches of a table belong to the model or release. Replaces an earlier
        record."""
        self._manifests[table] = list(manifests)
        folders = [manifest.folder for manifest in self._manifests[table]]
        self._pinned.lake.put_json(self._file(table), folders)

    def _file(self, table: str) -> str:
        return self._pinned.file(f"members/{table}.json")

    def _command(self, table: str) -> str:
        verb, name = MADE_BY[table], self._pinned.name
        if self._pinned.kind == "releases":
            return f"titler {verb} --release {name}"
        return f"titler {verb} {'--model ' if verb == 'vectorize' else ''}{name}"


class Pinned:
    """A model or a release in the lake, with its plan, its members (batches) and its notes (small JSON
    files). The model or release need not exist yet.

    `plan` and `members` are read from the lake once, when they are first used. `notes` are read at every use.
    `manifests` may contain manifests that were already read, by their folders. Raises UsageError if the name
    is not valid.
    """

    def __init__(
        self, lake: Lake, kind: Kind, name: str, manifests: dict[str, Manifest] | None = None
    ) -> None:
        if not NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is not a valid {kind.removesuffix('s')} name. A name has 1 to 100 letters, "
                "digits, '_', '.' and '-', and starts with a letter or a digit.",
                f"Choose another name, for example {new_id()}.",
            )
        self.lake = lake
        self.kind = kind
        self.name = name
        self.members = Members(self, {} if manifests is None else manifests)
        self.notes = Notes(self)

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
            opened_at = datetime.now(UTC).isoformat(timespec="seconds")
            plan = Plan(
                tuple(days),
                duplicate_openings(self.lake, [(day.day, day.issues) for day in days]),
                facts,
                opened_at,
            )
            self.lake.put_json(self.file("plan.json"), asdict(plan))
        return self.plan

    def is_open(self) -> bool:
        """Returns whether the model or release exists, that is, whether its plan is in the lake."""
        return self.lake.get(self.file("plan.json")) is not None

    def require_open(self) -> None:
        """Raises UsageError if the model or release does not exist."""
        if not self.is_open():
            raise self._unknown()

    def _unknown(self) -> UsageError:
        latest = ", ".join(pinned_names(self.lake, self.kind)[-LATEST_LISTED:]) or "none"
        command = "titler vocab" if self.kind == "models" else "titler plan --release"
        return UsageError(
            f"No {self.noun} is named {self.name} (latest {self.kind}: {latest}).",
            f"Use the name of an existing {self.noun}, or create this one: {command} {self.name}",
        )

    @cached_property
    def plan(self) -> Plan:
        """The plan of this model or release: which days it uses, and with which settings. Raises UsageError
        if the model or release does not exist."""
        values = self.lake.get_json(self.file("plan.json"))
        if values is None:
            raise self._unknown()
        days = tuple(PinnedDay(**day) for day in values.pop("days"))
        return Plan(days=days, **values)

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

    def delete(self, first: str = "") -> None:
        """Deletes the files of a model or a release, but not its batches.

        The file `first`.json in its folder is deleted before its other files. So an interrupted deletion
        never leaves this file without the plan. If `first` is empty, the files are deleted in any order.
        """
        if first:
            self.lake.delete(self.file(f"{first}.json"))
        self.lake.delete_folder(posixpath.join(self.kind, self.name))


def pinned_names(lake: Lake, kind: Kind) -> list[str]:
    """Returns the names of all models, or of all releases, in the lake, sorted. `kind` is "models" or
    "releases"."""
    return [name for name in lake.names(kind) if not name.endswith(".json")]


def pin_days(lake: Lake, days: Iterable[str]) -> list[PinnedDay]:
    """Returns one `PinnedDay` per day (YYYY-MM-DD), in the same order. It records the current batches of the
    day.

    Raises UsageError in three cases: a day was not extracted, it has no verdict on its data, or it was not
    cleaned since its last extraction.
    """
    pinned = []
    for day in days:
        issues = lake.current(ISSUES.name, {"day": day})
        tokens = lake.current(TOKENS.name, {"day": day})
        health = lake.current(SOURCE_HEALTH.name, {"day": day})
        if issues is None or health is None or issues.digest not in health.inputs:
            unfinished = "has no verdict yet: its last extraction did not finish"
            problem = "was not extracted" if issues is None else unfinished
            raise UsageError(f"Day {day} {problem}.", f"Run first: titler extract --day {day}")
        if tokens is None or issues.digest not in tokens.inputs:
            raise UsageError(
                f"Day {day} was not cleaned since it was last extracted.",
                f"Run first: titler clean --day {day}",
            )
        digests = (issues.digest, tokens.digest, health.digest)
        pinned.append(PinnedDay(day, issues.folder, tokens.folder, health.folder, *digests))
    return pinned


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
