"""The plan of a model or a release: the source days that it uses, with their batches, and further facts.

The file `plan.json` has the facts and names the pages (`pipeline.lake.pages`) with the days. Two releases
share the pages of the periods in which their days are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.lake.files import LakeFiles
from pipeline.lake.pages import group_by_period, read_pages


@dataclass(frozen=True)
class PinnedDay:
    """One day in the plan of a model or a release: the folders and the content digests of the day's batches
    in the lake. There is one batch of each of the tables issues_v1, tokens_v1 and source_health_v1, and one
    of duplicate_marks_v1, unless an earlier version of Titler extracted the day.

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
    duplicate_marks: str = ""
    duplicate_marks_digest: str = ""

    @property
    def content(self) -> tuple[str, ...]:
        """The day, and the content digests of its batches. Two days with equal values have the same data."""
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
        """Returns the fields. Leaves out those about duplicate marks if there are none, so that the pages of
        earlier versions keep their digests."""
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
    def read(cls, lake: LakeFiles, stored: Mapping[str, Any]) -> Plan:
        """Returns the plan whose file `plan.json` has the value `stored`. Raises LakeError if a page of its
        days is missing or damaged."""
        if "days" in stored:  # Titler 0.1 wrote all days into plan.json
            days, superseded = stored["days"], dict(stored["superseded"])
        else:
            pages = read_pages(lake, stored["day_pages"].values())
            days = [day for page in pages for day in page["days"]]
            superseded = {day: ids for page in pages for day, ids in page["superseded"].items()}
        pinned_days = tuple(PinnedDay(**day) for day in days)
        return cls(pinned_days, superseded, stored["facts"], stored["opened_at"])


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
