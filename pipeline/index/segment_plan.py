"""Divides the issues of a release into the segments of its index.

A segment has issues of one month. The segments of a closed year are merged into fewer and larger ones, so
that the number of segments stays small. A year is closed if the release has a day of a later year. Only a
backfill changes a closed year. An open year is not merged, because the nightly run that adds a day would have
to build the whole year again, instead of one month.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pipeline.index.release_days import IndexedDay
from pipeline.index.segment_terms import TERMS_VERSION
from pipeline.settings import Index


@dataclass(frozen=True)
class SegmentPlan:
    """A segment that a release needs.

    `period` is a month (2015-01) or a year (2015). If there are many issues, the repositories are divided
    into groups, and each group has its own segment of the period. `groups` is how many groups there are, and
    `group` says which of them (from 0) this segment has. `annoy` has the settings of the Annoy index, or is
    None if the segment is small enough to be searched exactly.
    """

    period: str
    group: int
    groups: int
    days: tuple[IndexedDay, ...]
    annoy: Mapping[str, int] | None

    def partition(self, owner: str) -> dict[str, str]:
        """The partition of the segment's batch. `owner` is the model that trained the embedding network."""
        return {
            "model": owner,
            "period": self.period,
            "repositories": f"{self.group + 1}-of-{self.groups}",
        }

    @property
    def inputs(self) -> list[str]:
        """The digests of the batches that the segment is made from."""
        return [digest for day in self.days for digest in (day.issues.digest, day.embeddings.digest)]

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the segment's batch."""
        superseded = {day.day: list(day.superseded) for day in self.days if day.superseded}
        annoy = dict(self.annoy) if self.annoy else None
        return {"superseded": superseded, "annoy": annoy, "terms": TERMS_VERSION}


def plan_segments(days: Sequence[IndexedDay], settings: Index) -> list[SegmentPlan]:
    """Returns the segments that a release with these days needs, in the order of their periods.

    The months of a closed year are merged only if this reduces the number of segments. If each month has
    about `index.segment_items` issues or more, merging does not reduce it.
    """
    segments: list[SegmentPlan] = []
    for year, days_of_year in groupby(days, key=lambda day: day.day[:4]):
        of_year = list(days_of_year)
        monthly = [
            segment
            for month, of_month in groupby(of_year, key=lambda day: day.day[:7])
            for segment in _segments_of_period(month, tuple(of_month), settings)
        ]
        is_closed = year < days[-1].day[:4]
        yearly = _segments_of_period(year, tuple(of_year), settings) if is_closed else monthly
        segments += yearly if len(yearly) < len(monthly) else monthly
    return segments


def _segments_of_period(period: str, days: tuple[IndexedDay, ...], settings: Index) -> list[SegmentPlan]:
    items = sum(day.issue_count for day in days)
    groups = math.ceil(items / settings.segment_items)
    annoy = None
    if groups and items / groups > settings.exact_items:
        annoy = {"trees": settings.trees, "search_k": settings.search_k, "seed": settings.seed}
    return [SegmentPlan(period, group, groups, days, annoy) for group in range(groups)]
