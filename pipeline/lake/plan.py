"""The plan of a model or a release: the source days that it uses, with their batches, and further facts.

The file `plan.json` has these facts. The days are in separate files, called pages (`pipeline.lake.pages`).
There is one page per period (a month or a year), and `plan.json` has the names of the pages. Two releases
share the page of a period if they use the same batches for all its days.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from pipeline.lake.files import LakeFiles
from pipeline.lake.json_documents import ABSENT, BatchFolder, Document, KnownKeys, Name, Time, object_with
from pipeline.lake.pages import PageNames, group_by_period, page_remedy, read_pages


@dataclass(frozen=True)
class PinnedDay:
    """One day in the plan of a model or a release: the folders and the content digests of the day's batches
    in the lake. The day has one batch of each of the tables issues_v1, tokens_v1 and source_health_v1. It
    also has a batch of duplicate_marks_v1, unless an earlier version of Titler extracted the day.

    The plan of a model that learns from a user's file has one `PinnedDay` for the file. Its `day` is the
    file's identifier, and its fields about source health and duplicate marks are empty.
    """

    day: str
    issues: str
    tokens: str
    health: str
    issues_digest: str
    tokens_digest: str
    health_digest: str
    duplicate_marks: str = ""
    duplicate_marks_digest: str = ""

    @property
    def content(self) -> tuple[str, ...]:
        """The day, and the content digests of its batches. If two `PinnedDay`s have equal values, their data
        are the same."""
        return (
            self.day,
            self.issues_digest,
            self.tokens_digest,
            self.health_digest,
            self.duplicate_marks_digest,
        )

    @property
    def folders(self) -> list[str]:
        """The folders of the day's batches."""
        return [folder for folder in (self.issues, self.tokens, self.health, self.duplicate_marks) if folder]

    @property
    def batch_ids(self) -> set[str]:
        """The ids of the day's batches."""
        return {folder.rpartition("/")[2] for folder in self.folders}

    def to_json(self) -> dict[str, str]:
        """Returns the fields as a dict. If the day has no batch of duplicate marks, leaves out the two fields
        about it. Earlier versions of Titler did not write these fields. So if a page of such a version is
        written again, its content and its digest stay the same."""
        values = asdict(self)
        if not self.duplicate_marks:
            del values["duplicate_marks"], values["duplicate_marks_digest"]
        return values


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

    @classmethod
    def read(cls, lake: LakeFiles, stored: PlanFile) -> Plan:
        """Returns the plan whose file `plan.json` has the content `stored`. Raises LakeError if a page with
        days of the plan is missing or damaged."""
        if stored.days is not None:  # Titler 0.1 wrote all days into plan.json
            return cls(stored.days, dict(stored.superseded or {}), stored.facts, stored.opened_at)
        return cls.of_pages(lake, stored.day_pages or {}, stored.facts, stored.opened_at)

    @classmethod
    def of_pages(cls, lake: LakeFiles, names: PageNames, facts: dict[str, Any], opened_at: str) -> Plan:
        """Returns the plan whose days are on the pages `names`. Raises LakeError if a page is missing or
        damaged."""
        pages = read_pages(lake, names.values(), DAY_PAGE)
        days = tuple(day for page in pages for day in page.days)
        superseded = {day: ids for page in pages for day, ids in page.superseded.items()}
        return cls(days, superseded, facts, opened_at)


@dataclass(frozen=True)
class DayPage:
    """A page of a plan: the days of a period, and the ids of the issues to skip on each of them."""

    days: tuple[PinnedDay, ...]
    superseded: dict[str, list[int]]


DAY_PAGE: Document[DayPage] = Document(
    DayPage, "a page of a plan: an object with the keys days and superseded", page_remedy
)


@dataclass(frozen=True)
class PlanFile:
    """The content of plan.json. `facts` are the facts of the plan. `opened_at` is the time at which the plan
    was written. `name` is the name of the model or release. In the plan of a release, `base` is the name of
    the release that was current when this one was planned.

    `day_pages` are the names of the pages that list the plan's days. A plan of Titler 0.1 has the keys `days`
    and `superseded` instead of `day_pages`, and has no key `name`.
    """

    facts: dict[str, Any]
    opened_at: Time
    name: Name | None = None
    base: Name | None = None
    day_pages: PageNames | None = None
    days: tuple[PinnedDay, ...] | None = None
    superseded: dict[str, list[int]] | None = None

    def __post_init__(self) -> None:
        if (self.day_pages is None) == (self.days is None):
            raise ValueError("a plan must have either the key day_pages or the key days")
        if self.days is not None and self.superseded is None:
            raise ValueError("a plan with the key days must also have the key superseded")


class _EmbeddingFact(KnownKeys):
    model: Name
    predictor: BatchFolder
    digest: str


class _ModelFacts(KnownKeys):
    """The facts of a model. A plan may lack any of them. If code reads a fact that the plan lacks,
    LakeError is raised."""

    asked: dict[str, Any] = ABSENT
    text: dict[str, Any] = ABSENT
    model: dict[str, Any] = ABSENT
    embedding: _EmbeddingFact = ABSENT
    new_embedding_because: str = ABSENT


class _ReleaseFacts(KnownKeys):
    """The facts of a release. A plan may lack any of them. If code reads a fact that the plan lacks,
    LakeError is raised."""

    model: Name = ABSENT
    model_version: str = ABSENT
    mlflow_run: str = ABSENT
    vocabulary: str = ABSENT
    predictor: BatchFolder = ABSENT
    predictor_digest: str = ABSENT
    neighbours: int = ABSENT
    near_duplicate_distance: float = ABSENT
    min_probability: float = ABSENT
    cluster_probability: float = ABSENT
    ordering: Name = ABSENT
    embedding: _EmbeddingFact = ABSENT
    kept_titles: dict[str, BatchFolder] = ABSENT
    titles_withheld: str = ABSENT
    titles_accepted: dict[str, str] = ABSENT


@dataclass(frozen=True)
class _ModelPlanFile(PlanFile):
    facts: object_with(_ModelFacts)  # type: ignore[valid-type]  # a form, made by a function


@dataclass(frozen=True)
class _ReleasePlanFile(PlanFile):
    facts: object_with(_ReleaseFacts)  # type: ignore[valid-type]  # a form, made by a function


def _plan_remedy(root: str, relative: str) -> str:
    kind, name, _ = relative.split("/")
    folder = posixpath.join(root, kind, name)
    restore = f"Restore it from a backup. If there is none, delete the folder {folder}"
    if kind == "releases":
        return f"{restore}, then run: titler plan"
    return (
        f"{restore}, then run: titler vocab {name}\n"
        f"Then make the rest of the model again: titler vectorize --model {name}; titler train {name}; "
        f"titler evaluate {name}; titler promote {name}"
    )


_PLAN = "a plan: an object with the keys facts, opened_at and day_pages"
PLAN_FILES: Mapping[str, Document[PlanFile]] = MappingProxyType(
    {
        "models": Document(_ModelPlanFile, _PLAN, _plan_remedy),
        "releases": Document(_ReleasePlanFile, _PLAN, _plan_remedy),
    }
)
"""The document plan.json of models, and the document plan.json of releases."""


def day_pages(days: Sequence[PinnedDay], superseded: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Returns the contents of the pages of a plan, by period. `days` are sorted."""
    return {
        period: {
            "days": [day.to_json() for day in days[positions]],
            "superseded": {
                day.day: list(superseded[day.day]) for day in days[positions] if superseded.get(day.day)
            },
        }
        for period, positions in group_by_period([day.day for day in days])
    }
