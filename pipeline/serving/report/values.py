"""The values of a report about a release. They are plain numbers and texts; `page` decides how they look.

A single value that the release lacks is None. A tuple is empty if the release has no values for it. The page
leaves out such values. Shares and probabilities are 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.usage import Usage

HourStatus = Literal["counted", "found", "missing", "unreadable"]
"""Whether the source had events in an hour. `found` means that an earlier version of Titler did not count
them."""
Outcome = Literal["passed", "accepted", "failed", "not measured", "not compared"]
Unit = Literal["count", "share", "decimal", "score", "characters", "bytes", "seconds", "text"]


@dataclass(frozen=True)
class Comparison:
    """A value of a release, beside the same value of the previous release."""

    name: str
    unit: Unit
    value: float | str
    previous: float | str | None

    @property
    def change(self) -> float | None:
        """The difference between the two values. It is None if one of them is a text, or if there is no
        previous value."""
        if isinstance(self.value, str) or isinstance(self.previous, str | None):
            return None
        return self.value - self.previous


@dataclass(frozen=True)
class StoredTable:
    """The size of a table of a release. `new_batches` is the number of batches that were written after the
    previous release was published. It is None if that time is unknown."""

    name: str
    batches: int
    rows: int
    bytes: int
    new_batches: int | None


@dataclass(frozen=True)
class ChangedDays:
    """The numbers of source days that were added, changed or removed since the previous release."""

    added: int
    changed: int
    removed: int
    examples: tuple[str, ...]
    """the latest days that were added or changed"""


@dataclass(frozen=True)
class Hour:
    """An hour of a source day. `events` is None if the events were not counted."""

    status: HourStatus
    events: int | None = None


@dataclass(frozen=True)
class SourceDay:
    """A source day: whether it is complete (`verdict`), the `reason` if it is not, and its 24 hours (UTC)."""

    day: str
    verdict: str
    reason: str | None
    hours: tuple[Hour, ...]
    events: int
    issues: int
    malformed: int


@dataclass(frozen=True)
class SourceHealth:
    """The source days of a release. `days` are the latest days. `earlier_incomplete_days` is the number of
    incomplete days before `days`. `earlier_incomplete` has the latest of these incomplete days, at most
    `source_days.EARLIER_DAYS`."""

    verdicts: tuple[tuple[str, int], ...]
    """number of days of the release per verdict"""
    days: tuple[SourceDay, ...]
    earlier_incomplete: tuple[SourceDay, ...]
    earlier_incomplete_days: int


@dataclass(frozen=True)
class Check:
    """A check before the publication: what was measured, and what was allowed."""

    name: str
    figure: str
    threshold: str
    outcome: Outcome
    remark: str = ""


@dataclass(frozen=True)
class Score:
    """A score of a model on its held-out issues, beside the floor: the score of a method without a model."""

    name: str
    explanation: str
    model: float
    floor: float | None
    floor_name: str
    best: float
    """the highest possible value"""


@dataclass(frozen=True)
class CurvePoint:
    """A bin of a reliability curve. `estimated` is the mean of the probabilities that were estimated for its
    cases, and `observed` is the share of these cases that turned out true. `count` is the number of cases."""

    estimated: float
    observed: float
    count: float


@dataclass(frozen=True)
class Issue:
    """An issue as its author wrote it. All texts are untrusted."""

    url: str
    repo: str
    title: str


@dataclass(frozen=True)
class TitleSample:
    """A predicted title beside the author's. `rouge` (ROUGE-L, 0 to 100) is None if the model gave no
    title."""

    issue: Issue
    body: str
    predicted: str
    confidence: float
    probability: float | None
    rouge: float | None


@dataclass(frozen=True)
class SampleGroup:
    """A group of sample titles that were chosen by the same rule, such as the best titles."""

    name: str
    explanation: str
    samples: tuple[TitleSample, ...]


@dataclass(frozen=True)
class TitleQuality:
    """How good the titles of a release's model are. The samples are titles of the day `samples_of`, which is
    the last day that has titles."""

    held_out_issues: int | None
    scores: tuple[Score, ...]
    withheld: str | None
    curve: tuple[CurvePoint, ...]
    calibration_error: float | None
    samples_of: str | None
    sample_groups: tuple[SampleGroup, ...]


@dataclass(frozen=True)
class Cluster:
    """Issues of a repository that probably report the same problem. `issues` begin with the oldest one."""

    issues: tuple[Issue, ...]
    probability: float
    """the lowest probability by which an issue joined"""


@dataclass(frozen=True)
class Suggestion:
    """A similar older issue. `is_suggested` says whether its probability is high enough to suggest it."""

    issue: Issue
    list: str
    probability: float
    words_in_common: str
    age_days: int
    is_suggested: bool


@dataclass(frozen=True)
class Neighbourhood:
    """An issue with its similar issues."""

    issue: Issue
    suggestions: tuple[Suggestion, ...]


@dataclass(frozen=True)
class Neighbours:
    """The similar issues of a release. `cluster_count` is the number of clusters to which at least one
    issue was added in the days from `first_day` to `last_day` (both included). `clusters` are the largest of
    these clusters."""

    first_day: str
    last_day: str
    clusters: tuple[Cluster, ...]
    cluster_count: int
    clustered_issues: int
    ordering: str | None
    curve: tuple[CurvePoint, ...]
    neighbourhoods: tuple[Neighbourhood, ...]


@dataclass(frozen=True)
class Drift:
    """The values of a figure, such as the mean confidence, for each of the last days of a release. `is_new`
    says for each day whether it is new in this release. `new` is the median of the new days. `earlier` is the
    median of the last days of the previous release."""

    name: str
    explanation: str
    unit: Unit
    days: tuple[str, ...]
    values: tuple[float | None, ...]
    is_new: tuple[bool, ...]
    new: float | None
    earlier: float | None


@dataclass(frozen=True)
class VerbUsage:
    """The time and the memory that a verb (a `titler` command) used for a release, when it last ran."""

    verb: str
    usage: Usage


@dataclass(frozen=True)
class ExtractionCost:
    """What BigQuery billed for the days of a release that are new or were extracted again: the number of
    these days, the bytes, and the price when the days were extracted."""

    days: int
    bytes: int
    usd: float


@dataclass(frozen=True)
class ReleaseValues:
    """All values of a report about a release. `published_at` is in UTC. `previous` is the name of the
    previous release, if its record is still in the lake."""

    release_id: str
    published_at: str
    published_by: str
    previous: str | None
    issues: int
    days: int
    first_day: str
    last_day: str
    model: str
    comparisons: tuple[Comparison, ...]
    changed_days: ChangedDays | None
    tables: tuple[StoredTable, ...]
    health: SourceHealth | None
    checks: tuple[Check, ...]
    titles: TitleQuality | None
    neighbours: Neighbours | None
    drift: tuple[Drift, ...]
    verbs: tuple[VerbUsage, ...]
    extraction: ExtractionCost | None
