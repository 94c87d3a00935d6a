"""Determines what the neighbours (the most similar older issues) of a day's issues depend on.

The neighbours are stored in a batch of similar_issues_v2 per day. The key of this batch contains everything
that the neighbours depend on:

- the issues, the embeddings and the duplicate openings (issues that an earlier day already has) of the day
- the same data of each day of the release that is at most `similar.recompute_days` days earlier
- the number of neighbours per list, the distance below which an issue is a near-duplicate, and the number of
  months that the search of all repositories goes back
- the version of the ordering (the weights that give a pair of issues its probability), and the version of the
  rules by which issues are split into terms (words)

If a new ordering is learned later, a day keeps its earlier ordering. The day gets the new ordering when it is
searched again for another reason, or when a new version of Titler cannot use the earlier ordering.

The key does not contain `similar.min_probability`: this setting is used only when neighbours are shown.

The search also covers days that are not in the key. If such a day is ingested later or again, the batch stays
as it is. To make such changes visible, the figures of the batch record how many days and issues were
searched:

- HISTORY_DAYS and HISTORY_ISSUES: in the search of all repositories, which goes back some months
- ALL_DAYS and ALL_ISSUES: in the search of an issue's own repository, which covers all earlier days

From these figures, a release can count the days whose neighbours were searched before an earlier day changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any

import numpy as np

from pipeline.index.duplicate_pairs import PAIR_PROBABILITY
from pipeline.index.ordering import DEFAULT_ORDERING
from pipeline.index.queries import months_before
from pipeline.index.release_days import IndexedDay
from pipeline.index.segment_terms import TERMS_VERSION
from pipeline.index.stored_orderings import is_of_this_version
from pipeline.lake.manifest import Manifest

HISTORY_DAYS, HISTORY_ISSUES = "history_days", "history_issues"
"""Figures of a day's batch: how many days and issues the search of all repositories covered, including the
day itself."""
ALL_DAYS, ALL_ISSUES = "all_days", "all_issues"
"""Figures of a day's batch: how many days and issues the release had up to the day. The search of the issue's
own repository covered all of them."""


@dataclass(frozen=True)
class SearchParameters:
    """The parameters of the search for neighbours (similar older issues).

    `neighbours` is the number of neighbours per list. An issue is a near-duplicate if its angular distance is
    below `near_duplicate_distance`. `months` says how many months the search of all repositories goes back.
    `ordering` is the version of the ordering, which gives a pair of issues its probability.
    """

    neighbours: int
    near_duplicate_distance: float
    months: int
    ordering: str = DEFAULT_ORDERING.version


@dataclass(frozen=True)
class NeighbourDay:
    """A day whose neighbours (similar older issues) a release needs.

    `inputs` and `parameters` form the key of the day's batch of similar_issues_v2. `figures` say how many
    days and issues are searched, including this day.
    """

    day: IndexedDay
    inputs: tuple[str, ...]
    parameters: dict[str, Any]
    figures: dict[str, int]

    @property
    def pair_parameters(self) -> dict[str, Any]:
        """The parameters of the day's batch of duplicate_pairs_v1."""
        return {**self.parameters, "pair_probability": PAIR_PROBABILITY}

    def with_ordering(self, version: str) -> NeighbourDay:
        """Returns a copy of this day whose neighbours are ordered by the ordering `version`."""
        return replace(self, parameters={**self.parameters, "ordering": version})

    def partition(self, owner: str) -> dict[str, str]:
        """The partition of the day's batches. `owner` is the model that trained the embedding network."""
        return {"model": owner, "day": self.day.day}


def plan_neighbours(
    days: Sequence[IndexedDay],
    parameters: SearchParameters,
    recompute_days: int,
    earlier_orderings: Mapping[str, str] = MappingProxyType({}),
) -> list[NeighbourDay]:
    """Returns a `NeighbourDay` for each day of a release, with the key of the day's batch. The key contains
    everything that the day's neighbours depend on.

    `days` are all days of the release, in order. The key of a day also contains the inputs of the
    `recompute_days` days before it. `earlier_orderings` maps each day that keeps an earlier ordering to the
    version of this ordering.
    """
    names = [day.day for day in days]
    ordinals = np.array([date.fromisoformat(name).toordinal() for name in names], dtype=np.int64)
    window_starts = np.searchsorted(ordinals, ordinals - recompute_days)
    epoch = date(1970, 1, 1)
    oldest = [str(epoch + timedelta(microseconds=months_before(name, parameters.months))) for name in names]
    history_starts = np.searchsorted(np.array(names), np.array(oldest))
    issues = np.concatenate([[0], np.cumsum([day.issue_count for day in days])])
    planned = []
    for position, day in enumerate(days):
        window = days[window_starts[position] : position + 1]
        start = history_starts[position]
        planned.append(
            NeighbourDay(
                day,
                tuple(digest for each in window for digest in (each.issues.digest, each.embeddings.digest)),
                {
                    "neighbours": parameters.neighbours,
                    "near_duplicate_distance": parameters.near_duplicate_distance,
                    "months": parameters.months,
                    "ordering": earlier_orderings.get(day.day, parameters.ordering),
                    "terms": TERMS_VERSION,
                    "superseded": {each.day: list(each.superseded) for each in window if each.superseded},
                },
                {
                    HISTORY_DAYS: position + 1 - int(start),
                    HISTORY_ISSUES: int(issues[position + 1] - issues[start]),
                    ALL_DAYS: position + 1,
                    ALL_ISSUES: int(issues[position + 1]),
                },
            )
        )
    return planned


def earlier_orderings(batches: Iterable[Manifest]) -> dict[str, str]:
    """Returns, for each day, the version of the ordering by which its neighbours were ordered.

    `batches` are the batches of the previous release. Days are left out if this version of Titler cannot use
    their ordering. This is so if the features of a pair, the default weights, or the rules by which issues
    are split into terms have changed since.
    """
    versions = {batch.day: str(batch.parameters.get("ordering")) for batch in batches}
    return {day: version for day, version in versions.items() if is_of_this_version(version)}


def days_with_other_history(days: Sequence[NeighbourDay], manifests: Sequence[Manifest]) -> int:
    """Returns the number of days whose neighbours were searched before an earlier day changed.

    `manifests` are the batches of the days, in the same order. A day is counted if one of its figures (the
    numbers of days and issues that are searched) differs from the figure in its batch. Batches that an
    earlier version of Titler made may lack a figure, which is then not compared.
    """
    return sum(
        any(manifest.figures.get(name, value) != value for name, value in day.figures.items())
        for day, manifest in zip(days, manifests, strict=True)
    )
