"""Finds an issue in the releases of a lake, and says where it is if a release does not have it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contracts import ISSUES, QUARANTINE, SEGMENTS
from pipeline.errors import LakeError, TitlerError, UsageError
from pipeline.index.segmented_index import open_segments
from pipeline.lake.batches import Lake
from pipeline.lake.day_catalogue import Catalogue
from pipeline.lake.issue_ids import days_of_issue
from pipeline.lake.manifest import Manifest, origin_of_folder
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.lake.plan import PinnedDay, Plan
from pipeline.releases.completeness import require_plan
from pipeline.releases.current import current_release_id
from pipeline.releases.records import RECORD
from pipeline.serving.addresses import issue_url
from pipeline.settings import Settings

_ID = re.compile(r"[0-9]{1,18}")
"""The form of an id. More digits do not fit into a column of 64-bit integers."""
DAYS_LISTED = 10
"""Largest number of days that an error lists."""


@dataclass(frozen=True)
class IssueName:
    """How a user names an issue: by its address, or by its id at GitHub. `text` is what the user typed."""

    text: str
    url: str | None
    issue_id: int | None

    @classmethod
    def parse(cls, text: str) -> IssueName:
        """Parses what a user typed as the name of an issue. Raises UsageError if `text` is neither an address
        nor an id."""
        text = text.strip()
        if _ID.fullmatch(text):
            return cls(text, None, int(text))
        url = issue_url(text)
        if url is None:
            raise UsageError(
                f"{text or 'An empty text'} is neither the address nor the id of an issue.",
                "Give the address as https://github.com/OWNER/REPO/issues/NUMBER or OWNER/REPO#NUMBER, "
                "or the id of the issue at GitHub, which is a number.",
            )
        return cls(text, url, None)

    def rows(self, issues: pa.Table) -> pa.Table:
        """Returns the rows of issues_v1 that belong to this issue."""
        if self.url is None:
            return issues.filter(pc.equal(issues.column("issue_id"), self.issue_id))
        return issues.filter(pc.equal(pc.utf8_lower(issues.column("issue_url")), self.url.lower()))


@dataclass(frozen=True)
class Opening:
    """An `opened` event of an issue in a release: its day, its row of issues_v1, and whether it `counts`. If
    an issue has several openings, only the earliest one counts: a release ignores the others."""

    day: PinnedDay
    row: dict[str, Any]
    counts: bool


class Openings:
    """Finds the openings (`opened` events) of one issue in the releases of a lake. Reads only as much of
    the lake as it needs."""

    def __init__(self, lake: Lake, settings: Settings, name: IssueName) -> None:
        self._lake = lake
        self._settings = settings
        self._name = name
        self._rows: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self._without: set[str] = set()
        self._seen_days: set[str] = set()

    def require(self, release: Pinned) -> list[Opening]:
        """Returns the openings of the issue in a release. If there are several, the one that the release uses
        (`counts`) comes first. Raises UsageError if the release does not have the issue. The error says
        where the issue is."""
        release.require_open()
        openings = self._find(release)
        if not openings:
            raise self._missing(release)
        return openings

    def _find(self, release: Pinned) -> list[Opening]:
        """Returns the openings of the issue in a release. Looks into the lists of ids and the index first,
        and only then into the issues of all days."""
        issue_id = self._located(release) if self._name.issue_id is None else self._name.issue_id
        openings = [] if issue_id is None else self.openings(release, issue_id)
        if openings:
            return openings
        issue_id = self._scan(day.issues for day in reversed(release.plan.days))
        return [] if issue_id is None else self.openings(release, issue_id)

    def openings(self, release: Pinned, issue_id: int) -> list[Opening]:
        """Returns the openings of the issue with this id in a release. If there are several, the one that the
        release uses (`counts`) comes first."""
        openings = [
            Opening(day, row, issue_id not in plan.superseded.get(day.day, ()))
            for plan in [self._plan(release, self._days(issue_id))]
            for day in plan.days
            for row in self._rows_of(day.issues, issue_id)
        ]
        return sorted(openings, key=lambda opening: (not opening.counts, opening.day.day))

    def other_releases(self, release: Pinned, issue_id: int) -> tuple[list[Pinned], dict[str, str]]:
        """Returns the other releases that have the issue, and a dict of the releases that cannot be read
        and may have it. The dict maps the name of such a release to the message of its error."""
        with_issue, problems = [], {}
        for candidate in self._other_releases(release):
            try:
                if candidate.notes[RECORD] is not None:
                    require_plan(candidate)
                if candidate.is_open() and self.openings(candidate, issue_id):
                    with_issue.append(candidate)
            except TitlerError as error:
                problems[candidate.name] = error.message
        return with_issue, problems

    def _other_releases(self, release: Pinned) -> Iterator[Pinned]:
        for name in reversed(pinned_names(self._lake, "releases")):
            if name != release.name:
                yield Pinned(self._lake, "releases", name)

    def _days(self, issue_id: int) -> set[str] | None:
        """Returns the days on which an issue was opened, or None if the lake has no list of ids. Adds the
        days on which `_located` or `_scan` found the issue. They may be missing from the list, because it
        describes only current batches, and a release may have an earlier batch of a day."""
        if self._catalogue is None:
            return None
        return {*days_of_issue(self._lake, self._catalogue.ids.values(), issue_id), *self._seen_days}

    @cached_property
    def _catalogue(self) -> Catalogue | None:
        return Catalogue.read(self._lake)

    def _plan(self, release: Pinned, days: set[str] | None) -> Plan:
        """Returns the plan of a release, reduced to `days`. Reads only the pages of the plan that may have
        these days. If `days` is None, returns the whole plan."""
        if days is None:
            return release.plan
        if not release.day_pages:  # Titler 0.1 wrote all days into plan.json
            plan = release.plan
        else:
            periods = {day[:4] for day in days} | {day[:7] for day in days}
            pages = {period: page for period, page in release.day_pages.items() if period in periods}
            plan = Plan.of_pages(self._lake, pages, {}, release.opened_at)
        days_of_plan = tuple(day for day in plan.days if day.day in days)
        return Plan(days_of_plan, plan.superseded, plan.facts, plan.opened_at)

    def _rows_of(self, folder: str, issue_id: int) -> list[dict[str, Any]]:
        """Returns the rows of an issue in a batch of issues_v1. A batch is read once."""
        key = (folder, issue_id)
        if key not in self._rows:
            rows = self._lake.read(self._lake.manifest(folder), ISSUES)
            own = IssueName("", None, issue_id).rows(rows)
            self._rows[key] = ISSUES.add_missing_columns(own).to_pylist()
        return self._rows[key]

    def _located(self, release: Pinned) -> int | None:
        """Returns the id of the issue from the index of a release, or None if the index does not have it."""
        if SEGMENTS.name not in release.members:
            return None
        issue = open_segments(release, self._settings).find_in_index(str(self._name.url))
        if issue is None:
            return None
        self._seen_days.add(str(issue.day))
        return issue.issue_id

    def _scan(self, folders: Iterable[str]) -> int | None:
        """Returns the id of the issue from the first batch of issues_v1 that has it, or None. Leaves out the
        batches that were removed or are damaged. No batch is read twice."""
        for folder in folders:
            if folder in self._without:
                continue
            try:
                issues = self._lake.read(self._lake.manifest(folder), ISSUES, ["issue_id", "issue_url"])
            except LakeError:
                self._without.add(folder)
                continue
            rows = self._name.rows(issues)
            if len(rows):
                self._seen_days.add(str(origin_of_folder(folder)[0]))
                return int(rows.column("issue_id")[0].as_py())
            self._without.add(folder)
        return None

    def _missing(self, release: Pinned) -> UsageError:
        """Returns the error for an issue that a release does not have. It says where the issue is."""
        text = self._name.text
        is_current = release.name == current_release_id(self._lake)
        release_text = f"the current release {release.name}" if is_current else f"release {release.name}"
        for candidate in self._other_releases(release):
            if self._is_in(candidate):
                return UsageError(
                    f"The issue {text} is not in {release_text}, but it is in release {candidate.name}.",
                    f"To explain it in that release: titler explain {text} --release {candidate.name}",
                )
        current = self._current_batches
        for manifest in reversed(current):
            if self._scan([manifest.folder]) is not None:
                return UsageError(
                    f"The lake has the issue {text} (day {manifest.day}), but no release has it yet.",
                    f"Make a release with this day: titler run --day {manifest.day}",
                )
        return self._unknown(release_text)

    def _is_in(self, release: Pinned) -> bool:
        try:
            return release.is_open() and bool(self._find(release))
        except TitlerError:
            return False

    @cached_property
    def _current_batches(self) -> list[Manifest]:
        """The current batches of issues_v1 of all days of the lake, without damaged ones."""
        days = self._lake.days(ISSUES.name)
        return [batch for batch in map(self._current_batch, days) if batch]

    def _current_batch(self, day: str) -> Manifest | None:
        try:
            return self._lake.current(ISSUES.name, {"day": day})
        except LakeError:
            return None

    def _unknown(self, release_text: str) -> UsageError:
        """Returns the error for an issue that is not in the lake."""
        days = [batch.day for batch in self._current_batches]
        span = f" ({days[0]} to {days[-1]})" if days else ""
        return UsageError(
            f"The issue {self._name.text} is not in {release_text}. None of the {len(days):,} days of the "
            f"lake{span} has it.{self._malformed()}",
            "Check the address. To list the days: titler status\n"
            "If the issue was opened on another day, extract that day: titler run --day DAY",
        )

    def _malformed(self) -> str:
        """Returns a text that lists the days with malformed lines that open an issue. The text is empty if
        there are no such lines. Only the beginning of a malformed line is stored, so it is not known which
        issue the line opens."""
        counts = {
            batch.day: batch.figures["malformed_issues"]
            for batch in self._current_batches
            if batch.figures.get(QUARANTINE) and batch.figures.get("malformed_issues")
        }
        if not counts:
            return ""
        days = ", ".join(f"{day} ({count:,})" for day, count in list(counts.items())[:DAYS_LISTED])
        suffix = " ..." if len(counts) > DAYS_LISTED else ""
        return f" Its event may be in a malformed line. Malformed lines that open an issue: {days}{suffix}."
