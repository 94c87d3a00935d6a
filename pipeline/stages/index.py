"""Stage `index`: builds the index of a release, and finds the neighbours (most similar older issues) of its
issues.

The index is a list of segments, which are built from embeddings_v1. A segment has the issues of one month.
The months of a year can share a segment if the release has days of a later year. A release reuses the
segments whose issues and embeddings have not changed. So a nightly run usually builds only the segment of the
current month.

The stage measures the recall of the whole index: the share of the exact nearest neighbours that a search
finds. Then it handles the days whose neighbours are not stored yet: it writes the neighbours to
similar_issues_v2, and the probable duplicates to duplicate_pairs_v1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.compute.cluster import map_shards
from pipeline.contracts import DUPLICATE_PAIRS, INDEX, SEGMENTS, SIMILAR_ISSUES, SIMILAR_ISSUES_V1
from pipeline.index.marked_duplicates import measure_release
from pipeline.index.neighbour_batches import make_neighbours
from pipeline.index.neighbours import (
    NeighbourDay,
    SearchParameters,
    days_with_other_history,
    earlier_orderings,
    plan_neighbours,
)
from pipeline.index.ordering import DEFAULT_ORDERING, Ordering
from pipeline.index.ordering_examples import is_held_out
from pipeline.index.queries import months_before
from pipeline.index.recall import RECALL_QUERIES, measure_recall
from pipeline.index.release_days import days_of_release
from pipeline.index.segment import Segment
from pipeline.index.segment_build import SegmentToBuild, build_segment
from pipeline.index.segment_plan import SegmentPlan, plan_segments
from pipeline.index.stored_orderings import stored_ordering_of_release
from pipeline.lake.batches import Lake
from pipeline.lake.embedding_network import network_of_release
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import BatchKey, Pinned
from pipeline.releases.audit import check_recall
from pipeline.releases.index_figures import INDEX_FIGURES, MARKED, MIN_PROBABILITY, ORDERING, index_figures
from pipeline.releases.stops import recording_stop
from pipeline.settings import Settings
from pipeline.telemetry import step

ITEMS_WORTH_A_CLUSTER = 100_000
"""If more items than this are to be put into segments, a local Dask cluster saves time."""


@dataclass(frozen=True)
class IndexOutcome:
    """The index of a release: the batches of its segments, and its figures (size and recall).

    `segments_built` is the number of segments that are new, and `days_searched` the number of days whose
    neighbours are new.
    """

    segments: tuple[Manifest, ...]
    figures: Mapping[str, Any]
    segments_built: int = 0
    days_searched: int = 0


def run(lake: Lake, release: Pinned, settings: Settings) -> IndexOutcome:
    """Builds the segments that a release needs and that do not exist yet, and stores the neighbours of its
    issues. Then measures how many marked duplicates are among the neighbours.

    If an earlier version of Titler indexed the release, the stored neighbours are kept, and only missing
    segments and figures are made. Raises UsageError if the stage `embed` has not run for the release. Raises
    StoppedError, and stores no neighbours, if the recall of the index or of a segment is below
    `index.min_recall`.
    """
    is_earlier = SIMILAR_ISSUES_V1.name in release.members
    if is_earlier and (stored := _stored_index(release)):
        return stored
    days = days_of_release(release)
    owner = network_of_release(release.plan).model
    size = int(lake.manifest(release.facts["predictor"]).figures["hidden_size"])
    if is_earlier and SEGMENTS.name in release.members:
        segments, built = list(release.members[SEGMENTS.name]), 0
    else:
        segments, built = _segments(release, owner, size, plan_segments(days, settings.index), settings)
    with step("recall"):
        figures, searched = _measured(lake, release, segments, settings), 0
    with recording_stop(release):
        check_recall(release.name, figures, settings.index)
    learned = stored_ordering_of_release(release)
    ordering = learned.ordering if learned else DEFAULT_ORDERING
    neighbour_days = plan_neighbours(
        days,
        SearchParameters(
            release.facts["neighbours"],
            release.facts["near_duplicate_distance"],
            settings.similar.months,
            ordering.version,
        ),
        settings.similar.recompute_days,
        _earlier_orderings(release),
    )
    if is_earlier:
        neighbours = list(release.members[SIMILAR_ISSUES_V1.name])
    else:
        of_days, searched = _neighbours(release, owner, size, neighbour_days, segments, settings, ordering)
        neighbours = [similar for similar, _ in of_days]
        figures[ORDERING] = {"version": ordering.version, **({"learned": learned.figures} if learned else {})}
        with step("marked duplicates"):
            marked = _agreement_with_marks(release, segments, neighbours, settings)
        if marked:
            figures[MARKED] = marked
        release.members.put(DUPLICATE_PAIRS.name, [pairs for _, pairs in of_days])
        release.members.put(SIMILAR_ISSUES.name, neighbours)
    figures["days_with_other_history"] = days_with_other_history(neighbour_days, neighbours)
    release.members.put(SEGMENTS.name, segments)
    if release.notes[INDEX_FIGURES] != figures:
        release.notes[INDEX_FIGURES] = figures
    return IndexOutcome(tuple(segments), figures, built, searched)


def _stored_index(release: Pinned) -> IndexOutcome | None:
    """Returns the index of a release that an earlier version of Titler indexed, or None if its segments or
    its figures are missing. A release that Titler 0.1 indexed has no segments."""
    has_segments = SEGMENTS.name in release.members
    if INDEX not in release.members and not (has_segments and release.notes[INDEX_FIGURES] is not None):
        return None
    segments = tuple(release.members[SEGMENTS.name]) if has_segments else ()
    return IndexOutcome(segments, index_figures(release))


def _segments(
    release: Pinned, owner: str, size: int, plans: Sequence[SegmentPlan], settings: Settings
) -> tuple[list[Manifest], int]:
    """Returns the batches of the segments, and how many of them are new."""
    existing = release.find_all(
        [
            BatchKey(SEGMENTS.name, plan.partition(owner), tuple(plan.inputs), plan.parameters)
            for plan in plans
        ]
    )
    earlier = _segments_of_base(release)
    missing = [
        SegmentToBuild(plan, earlier.get(tuple(plan.partition(owner).values())))
        for plan, manifest in zip(plans, existing, strict=True)
        if manifest is None
    ]
    items = sum(day.issue_count for segment in missing for day in segment.plan.days)
    built = map_shards(
        build_segment,
        missing,
        release.lake,
        owner,
        size,
        settings.index,
        label="segments",
        compute=settings.compute,
        worth_a_cluster=items > ITEMS_WORTH_A_CLUSTER,
        partitions=[segment.plan.partition(owner) for segment in missing],
    )
    new = iter(built)
    return [manifest or next(new) for manifest in existing], len(built)


def _segments_of_base(release: Pinned) -> dict[tuple[str, ...], Manifest]:
    """Returns the segments of the previous release, by the values of their partitions."""
    if release.base is None or SEGMENTS.name not in release.base.members:
        return {}
    return {tuple(segment.partition.values()): segment for segment in release.base.members[SEGMENTS.name]}


def _measured(
    lake: Lake, release: Pinned, segments: Sequence[Manifest], settings: Settings
) -> dict[str, Any]:
    """Returns the figures of the index, such as its recall.

    To measure the recall, only the issues of the last `similar.months` months are searched. The recall of an
    earlier measurement, for this or the previous release, is used again if the settings and the segments are
    the same. This comparison ignores segments without an Annoy index: they are searched exactly, so they do
    not lower the recall. It also ignores the segments of the last period (month or year), because every
    nightly run builds them again and measures the recall of each.
    """
    index, months = settings.index, settings.similar.months
    last_period = segments[-1].partition["period"] if segments else ""
    parameters = {
        "segments": [
            manifest.digest
            for manifest in segments
            if manifest.figures["annoy"] and manifest.partition["period"] != last_period
        ],
        **{name: getattr(index, name) for name in ("search_k", "exact_items", "seed")},
        "months": months,
    }
    measured = _measured_before(release, parameters)
    if measured is None:
        opened = [Segment.of_batch(lake, manifest) for manifest in segments]
        days = release.plan.days
        since = months_before(days[-1].day, months) if days else None
        measured = measure_recall(opened, index, since)
    recall, queries = measured
    return {
        "items": sum(manifest.figures["items"] for manifest in segments),
        "recall_at_10": recall,
        "recall_queries": queries,
        "segments": [
            {
                "period": manifest.partition["period"],
                "repositories": manifest.partition["repositories"],
                "items": manifest.figures["items"],
                "recall_at_10": manifest.figures["recall_at_10"],
            }
            for manifest in segments
        ],
        "parameters": parameters,
    }


def _agreement_with_marks(
    release: Pinned,
    segments: Sequence[Manifest],
    neighbours: Sequence[Manifest],
    settings: Settings,
) -> dict[str, Any] | None:
    """Returns how well the stored similar issues agree with duplicate marks, or None if no marked pair can be
    measured. An issue may be marked long after it was opened, so this is measured for every release."""
    similar = settings.similar
    return measure_release(
        release,
        [Segment.of_batch(release.lake, manifest) for manifest in segments],
        neighbours,
        similar.marked_months,
        release.facts.get(MIN_PROBABILITY, similar.min_probability),
        is_held_out,
    )


def _measured_before(release: Pinned, parameters: Mapping[str, Any]) -> tuple[float, int] | None:
    """Returns the recall that was measured with these parameters for this release or for the previous
    release, and the number of queries (issues whose neighbours were searched). Returns None if no recall was
    measured with these parameters, or if there were fewer than RECALL_QUERIES queries."""
    for earlier in (release, release.base):
        figures = earlier.notes[INDEX_FIGURES] if earlier else None
        if figures and figures.get("parameters") == parameters:
            queries = int(figures["recall_queries"])
            return (figures["recall_at_10"], queries) if queries >= RECALL_QUERIES else None
    return None


def _earlier_orderings(release: Pinned) -> dict[str, str]:
    """Maps each day of the previous release to the version of its ordering."""
    if release.base is None or SIMILAR_ISSUES.name not in release.base.members:
        return {}
    return earlier_orderings(release.base.members[SIMILAR_ISSUES.name])


def _neighbours(
    release: Pinned,
    owner: str,
    size: int,
    days: Sequence[NeighbourDay],
    segments: Sequence[Manifest],
    settings: Settings,
    ordering: Ordering,
) -> tuple[list[tuple[Manifest, Manifest]], int]:
    """Returns one batch of similar_issues_v2 and one batch of duplicate_pairs_v1 per day, and the number of
    days whose batches are new.

    A day keeps its earlier ordering if its batches with that ordering exist. Otherwise the day gets the
    ordering of the release, and is searched again if it has no batches with this ordering.
    """
    existing = _stored_neighbours(release, owner, days)
    renewed = [
        day if stored else day.with_ordering(ordering.version)
        for day, stored in zip(days, existing, strict=True)
    ]
    if renewed != list(days):
        existing = _stored_neighbours(release, owner, renewed)
    missing = [day for day, stored in zip(renewed, existing, strict=True) if stored is None]
    new = make_neighbours(release.lake, owner, size, missing, segments, settings, ordering)
    new_by_day = {similar.day: (similar, pairs) for similar, pairs in new}
    batches = [stored or new_by_day[day.day.day] for day, stored in zip(renewed, existing, strict=True)]
    return batches, len(missing)


def _stored_neighbours(
    release: Pinned, owner: str, days: Sequence[NeighbourDay]
) -> list[tuple[Manifest, Manifest] | None]:
    """Returns, for each day, its existing batches of similar_issues_v2 and duplicate_pairs_v1, or None if one
    of the two does not exist."""
    similar = release.find_all(
        [BatchKey(SIMILAR_ISSUES.name, day.partition(owner), day.inputs, day.parameters) for day in days]
    )
    pairs = release.find_all(
        [
            BatchKey(DUPLICATE_PAIRS.name, day.partition(owner), day.inputs, day.pair_parameters)
            for day in days
        ]
    )
    return [
        (of_lists, of_pairs) if of_lists and of_pairs else None
        for of_lists, of_pairs in zip(similar, pairs, strict=True)
    ]
