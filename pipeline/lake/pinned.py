"""What a model or a release is made of: the batches that were pinned when it was opened, and those its stages
added.

`titler vocab` opens a model and `titler plan` opens a release. Both pin the batch of every day. Every later
stage reads only pinned batches, so a backfill or a promotion that happens in between changes nothing.

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
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from pipeline.contracts import (
    EMBEDDINGS,
    INDEX,
    ISSUES,
    PREDICTOR,
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
        SIMILAR_ISSUES.name: "index",
    }
)
"""The verb that adds the batches of a table to a model or a release."""
LATEST_LISTED = 5


def new_id() -> str:
    """A name for a new model or release: the current time, 20150104T031200Z."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


@dataclass(frozen=True)
class PinnedDay:
    """A source day: the folders of its pinned batches, and their content digests.

    A model that learns from a user's file has one "day", named by the file's identifier and without source
    health.
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
        """Equal for equal content, whichever batches hold it."""
        return self.day, self.issues_digest, self.tokens_digest, self.health_digest


@dataclass(frozen=True)
class Plan:
    """What was pinned when a model or a release was opened.

    `superseded` lists, per day, the issues to skip because their earliest `opened` event is in another pinned
    day.
    """

    days: tuple[PinnedDay, ...]
    superseded: dict[str, list[int]]
    facts: dict[str, Any]
    opened_at: str

    def keep_mask(self, day: str, issue_ids: Any) -> Any:
        """A boolean array like `issue_ids`: True for the issues of `day` that are not superseded."""
        return ~np.isin(issue_ids, np.asarray(self.superseded.get(day, []), dtype=np.int64))


class Notes:
    """Small JSON values beside the plan of a model or a release, by name. A note that was never set is
    None."""

    def __init__(self, pinned: Pinned) -> None:
        self._pinned = pinned

    def __getitem__(self, name: str) -> Any:
        return self._pinned.lake.get_json(self._pinned.file(f"{name}.json"))

    def __setitem__(self, name: str, value: Any) -> None:
        self._pinned.lake.put_json(self._pinned.file(f"{name}.json"), value)


class Members(Mapping[str, Sequence[Manifest]]):
    """The batches that belong to a model or a release, by table name. Each table is read once and remembered.

    Releases that are opened with the same `manifests` share them, so that each is read once.
    """

    def __init__(self, pinned: Pinned, manifests: dict[str, Manifest]) -> None:
        self._pinned = pinned
        self._by_folder = manifests
        self._manifests: dict[str, Sequence[Manifest]] = {}

    def __getitem__(self, table: str) -> Sequence[Manifest]:
        """One manifest per day or file. Raises UsageError, naming the verb to run, if the table has no
        batches yet."""
        if table not in self._manifests:
            folders = self._pinned.lake.get_json(self._file(table))
            if folders is None:
                self._pinned.require_open()
                raise UsageError(
                    f"{self._pinned.name} has no {table} yet.", f"Run first: {self._command(table)}"
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
        """The folders of a table's batches; empty if its stage has not run. Reads no manifest."""
        return list(self._pinned.lake.get_json(self._file(table)) or [])

    def put(self, table: str, manifests: Iterable[Manifest]) -> None:
        """Records the batches of a table, replacing those recorded before."""
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
    """A model or a release in the lake: its plan, and the batches that belong to it.

    `plan` and `members` are read when they are first used and remembered; `notes` are read every time.
    `manifests` are those that were read already, by folder.
    """

    def __init__(
        self, lake: Lake, kind: Kind, name: str, manifests: dict[str, Manifest] | None = None
    ) -> None:
        if not NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is not a valid {kind.removesuffix('s')} name: "
                "use letters, digits, '_', '.' and '-' only.",
                f"For example {new_id()}.",
            )
        self.lake = lake
        self.kind = kind
        self.name = name
        self.members = Members(self, {} if manifests is None else manifests)
        self.notes = Notes(self)

    def file(self, name: str) -> str:
        """The path of one of its files, relative to the root of the lake."""
        return posixpath.join(self.kind, self.name, name)

    def open(self, days: Sequence[PinnedDay], facts: dict[str, Any]) -> Plan:
        """Writes the plan; a plan that exists already stays as it is."""
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
        """Whether it has a plan."""
        return self.lake.get(self.file("plan.json")) is not None

    def require_open(self) -> None:
        """Raises UsageError if there is no model or release of this name."""
        if not self.is_open():
            raise self._unknown()

    def _unknown(self) -> UsageError:
        kind = self.kind.removesuffix("s")
        latest = ", ".join(pinned_names(self.lake, self.kind)[-LATEST_LISTED:]) or "none"
        opener = "titler vocab MODEL" if self.kind == "models" else "titler plan --release RELEASE"
        return UsageError(f"No {kind} is named {self.name} (latest: {latest}).", f"Open it first: {opener}")

    @cached_property
    def plan(self) -> Plan:
        """The plan. Raises UsageError if there is none under this name."""
        values = self.lake.get_json(self.file("plan.json"))
        if values is None:
            raise self._unknown()
        days = tuple(PinnedDay(**day) for day in values.pop("days"))
        return Plan(days=days, **values)

    def issues(self, day: PinnedDay) -> Manifest:
        """The pinned batch of issues of a day."""
        return self.lake.manifest(day.issues)

    def tokens(self, day: PinnedDay) -> Manifest:
        """The pinned batch of tokens of a day."""
        return self.lake.manifest(day.tokens)

    def scratch_folder(self, name: str) -> Path:
        """A local folder for interruptible work on it, such as a training's checkpoint."""
        return self.lake.scratch(self.file(name))

    def delete(self, first: str = "") -> None:
        """Deletes it. The batches stay. The note `first` is deleted before everything else."""
        if first:
            self.lake.delete(self.file(f"{first}.json"))
        self.lake.delete_folder(posixpath.join(self.kind, self.name))


def pinned_names(lake: Lake, kind: Kind) -> list[str]:
    """The names of all models or releases that were opened, sorted."""
    return [name for name in lake.names(kind) if not name.endswith(".json")]


def pin_days(lake: Lake, days: Iterable[str]) -> list[PinnedDay]:
    """The current batches of these days. Raises UsageError for a day that was not extracted and cleaned."""
    pinned = []
    for day in days:
        issues = lake.current(ISSUES.name, {"day": day})
        tokens = lake.current(TOKENS.name, {"day": day})
        health = lake.current(SOURCE_HEALTH.name, {"day": day})
        if issues is None or health is None or issues.digest not in health.inputs:
            missing = "issues" if issues is None else "verdict"
            raise UsageError(f"{day} has no current {missing}.", f"Run first: titler extract --day {day}")
        if tokens is None or issues.digest not in tokens.inputs:
            raise UsageError(f"{day} has no current tokens.", f"Run first: titler clean --day {day}")
        digests = (issues.digest, tokens.digest, health.digest)
        pinned.append(PinnedDay(day, issues.folder, tokens.folder, health.folder, *digests))
    return pinned


def cleaned_days(lake: Lake, first: str | None, last: str | None) -> list[str]:
    """The cleaned days within [first, last]. Raises UsageError if there is none, or if first comes after
    last."""
    if first and last and first > last:
        raise UsageError(f"--from {first} comes after --to {last}.", f"Swap them: --from {last} --to {first}")
    days = [day for day in lake.days(TOKENS.name) if (first or "") <= day <= (last or "9999")]
    if not days:
        span = f"{f' from {first}' if first else ''}{f' to {last}' if last else ''}"
        raise UsageError(
            f"The lake {lake.root} has no cleaned days{span}.",
            "Ingest some first: titler run --from 2015-01-01 --to 2015-01-01",
        )
    return days
