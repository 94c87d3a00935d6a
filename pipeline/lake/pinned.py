"""What a model or a release is made of, fixed when it is opened: days, batches, and the batches that its stages add.

`titler vocab` opens a model and `titler plan` a release. Both pin the batch of every day, so that a backfill or another
promotion in between mixes nothing; every later stage reads only what is pinned here.

    ROOT/models/MODEL/plan.json, members/TABLE.json
    ROOT/releases/RELEASE/plan.json, members/TABLE.json
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from pipeline.contracts import ISSUES, SOURCE_HEALTH, TOKENS
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake, Manifest

Kind = Literal["models", "releases"]
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def new_id() -> str:
    """The time now, as an id: 20150104T031200Z."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


@dataclass(frozen=True)
class PinnedDay:
    """A source day: the folders of its batches of issues, tokens and health, and what stands for their content.

    Of a file that a model learns from (`pipeline.stages.extract_file`) `day` is what stands for the file, and there is no health.
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
        """The same for the same content, whichever batches hold it."""
        return self.day, self.issues_digest, self.tokens_digest, self.health_digest


@dataclass(frozen=True)
class Plan:
    """What was fixed. `superseded` are issues whose earlier `opened` event stands in another of the days."""

    days: tuple[PinnedDay, ...]
    superseded: dict[str, list[int]]
    facts: dict[str, Any]
    opened_at: str


class Pinned:
    """A model or a release in the lake: its plan, and the batches its stages have added so far."""

    def __init__(self, lake: Lake, kind: Kind, name: str) -> None:
        if not ID.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name for one of the {kind}: letters, digits, '_', '.' and '-' only.", f"For example {new_id()}."
            )
        self.lake = lake
        self.kind = kind
        self.name = name

    def _file(self, name: str) -> str:
        return posixpath.join(self.kind, self.name, name)

    def open(self, days: Sequence[PinnedDay], facts: dict[str, Any]) -> Plan:
        """Fixes the plan; one that is there already stays as it is."""
        if not self.is_open():
            plan = Plan(tuple(days), superseded(self.lake, days), facts, datetime.now(UTC).isoformat(timespec="seconds"))
            self.lake.put_json(self._file("plan.json"), asdict(plan))
        return self.plan()

    def is_open(self) -> bool:
        return self.lake.get(self._file("plan.json")) is not None

    def plan(self) -> Plan:
        """Raises UsageError where nothing was opened under this name."""
        values = self.lake.get_json(self._file("plan.json"))
        if values is None:
            known = ", ".join([name for name in self.lake.names(self.kind) if not name.endswith(".json")][-5:]) or "none"
            opener = "titler vocab MODEL" if self.kind == "models" else "titler plan --release RELEASE"
            raise UsageError(
                f"{self.name}: nothing was opened under this name among the {self.kind} (latest: {known}).", f"Open it: {opener}"
            )
        days = tuple(PinnedDay(**day) for day in values.pop("days"))
        return Plan(days=days, **values)

    def issues(self, day: PinnedDay) -> Manifest:
        return self.lake.manifest(day.issues)

    def tokens(self, day: PinnedDay) -> Manifest:
        return self.lake.manifest(day.tokens)

    def set_members(self, table: str, manifests: Iterable[Manifest]) -> None:
        """Records the batches of `table` that belong here, one a day."""
        self.lake.put_json(self._file(f"members/{table}.json"), [manifest.folder for manifest in manifests])

    def has_members(self, table: str) -> bool:
        return self.lake.get(self._file(f"members/{table}.json")) is not None

    def member_folders(self, table: str) -> list[str]:
        folders = self.lake.get_json(self._file(f"members/{table}.json"))
        return list(folders or [])

    def members(self, table: str, verb: str) -> list[Manifest]:
        """The batches of `table` that belong here. Raises UsageError, naming the verb that makes them, where there are none yet."""
        if not self.has_members(table):
            option = f"--release {self.name}" if self.kind == "releases" else f"{'--model ' if verb == 'vectorize' else ''}{self.name}"
            raise UsageError(f"{self.name} has no {table} yet.", f"Make them first: titler {verb} {option}")
        return [self.lake.manifest(folder) for folder in self.member_folders(table)]

    def note(self, name: str, value: Any) -> None:
        """Keeps a small JSON value beside the plan."""
        self.lake.put_json(self._file(f"{name}.json"), value)

    def noted(self, name: str) -> Any:
        return self.lake.get_json(self._file(f"{name}.json"))


def pin(lake: Lake, days: Iterable[str]) -> list[PinnedDay]:
    """The current batches of these days. Raises UsageError for a day that was not extracted and cleaned."""
    pinned = []
    for day in days:
        issues = lake.current(ISSUES.name, {"day": day})
        tokens = lake.current(TOKENS.name, {"day": day})
        health = lake.current(SOURCE_HEALTH.name, {"day": day})
        if issues is None or health is None or issues.digest not in health.inputs:
            raise UsageError(
                f"{day} has no current {'issues' if issues is None else 'verdict'}.", f"Make it first: titler extract --day {day}"
            )
        if tokens is None or issues.digest not in tokens.inputs:
            raise UsageError(f"{day} has no current tokens.", f"Make them first: titler clean --day {day}")
        digests = (issues.digest, tokens.digest, health.digest)
        pinned.append(PinnedDay(day, issues.folder, tokens.folder, health.folder, *digests))
    return pinned


def superseded(lake: Lake, days: Sequence[PinnedDay]) -> dict[str, list[int]]:
    """Per day, the issues whose earliest `opened` event (by time, then event id) stands in another day."""
    columns = ["issue_id", "created_at", "event_id"]
    tables = []
    for position, day in enumerate(days):
        table = lake.read(lake.manifest(day.issues), ISSUES, columns)
        tables.append(table.append_column("position", pa.array(np.full(len(table), position, dtype=np.int32))))
    if not tables:
        return {}
    rows = pa.concat_tables(tables)
    ids = rows.column("issue_id").to_numpy()
    if len(np.unique(ids)) == len(ids):
        return {}
    rows = rows.sort_by([("issue_id", "ascending"), ("created_at", "ascending"), ("event_id", "ascending")])
    ids = rows.column("issue_id").to_numpy()
    later = np.concatenate([[False], ids[1:] == ids[:-1]])
    result: dict[str, list[int]] = {}
    for issue_id, position in zip(ids[later].tolist(), rows.column("position").to_numpy()[later].tolist(), strict=True):
        result.setdefault(days[position].day, []).append(issue_id)
    return {day: sorted(set(found)) for day, found in sorted(result.items())}


def keep_mask(plan: Plan, day: str, issue_ids: Any) -> Any:
    """True for the issues of `day` that are not superseded; shape as `issue_ids`."""
    return ~np.isin(issue_ids, np.asarray(plan.superseded.get(day, []), dtype=np.int64))


def check_days(lake: Lake, first: str | None, last: str | None) -> list[str]:
    """The cleaned days within [first, last]. Raises UsageError for a range backwards, and where there is none."""
    if first and last and first > last:
        raise UsageError(f"--from {first} comes after --to {last}.", f"Turn them round: --from {last} --to {first}")
    days = [day for day in lake.days(TOKENS.name) if (first or "") <= day <= (last or "9999")]
    if not days:
        raise UsageError(
            f"No cleaned days{f' from {first}' if first else ''}{f' to {last}' if last else ''} in {lake.root}.",
            "Ingest some first: titler run --from 2015-01-01 --to 2015-01-01",
        )
    return days
