"""The figures of a release's index: its size and its recall, as a whole and per segment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import NonNegativeInt

from pipeline.contracts import INDEX
from pipeline.lake.json_documents import ABSENT, KnownKeys, delete_and_run, object_with
from pipeline.lake.pinned import Note, Pinned


class _SegmentKeys(KnownKeys):
    period: str
    repositories: str
    items: NonNegativeInt
    recall_at_10: float


class _MarkedKeys(KnownKeys):
    pairs: NonNegativeInt
    recall_at_10: float


class _OrderingKeys(KnownKeys):
    version: str
    learned: dict[str, Any] = ABSENT


class _FigureKeys(KnownKeys):
    """The keys that Titler reads in the figures of an index. Figures that an earlier version of Titler wrote
    may lack the keys that have a default here."""

    items: NonNegativeInt
    recall_at_10: float
    recall_queries: NonNegativeInt
    parameters: dict[str, Any]
    segments: list[_SegmentKeys] = ABSENT
    days_with_other_history: NonNegativeInt = ABSENT
    marked: _MarkedKeys = ABSENT
    ordering: _OrderingKeys = ABSENT


INDEX_FIGURES = Note(
    "index",
    object_with(_FigureKeys),
    "the figures of an index",
    delete_and_run("titler index --release NAME"),
)
"""The note with the figures: the file index.json beside the release's plan."""

MARKED = "marked"
"""Key of the figures that say how well the similar issues agree with duplicate marks
(`pipeline.index.marked_duplicates`)."""
ORDERING = "ordering"
"""Key of the figures that say which ordering estimates the probabilities, and how good a learned one is."""
MIN_PROBABILITY = "min_probability"
"""Name of the fact in a release's plan, and of the field of its record: the setting
`similar.min_probability`."""
CLUSTER_PROBABILITY = "cluster_probability"
"""The same for the setting `similar.cluster_probability`."""


def index_figures(release: Pinned) -> Mapping[str, Any]:
    """Returns the figures of a release's index.

    The dict always has the keys `items`, `recall_at_10` and `recall_queries`. It has no other keys if Titler
    0.1 made the index. Raises UsageError if the stage `index` has not run for the release.
    """
    figures: Mapping[str, Any] | None = release.notes[INDEX_FIGURES]
    return release.members[INDEX][0].figures if figures is None else figures
