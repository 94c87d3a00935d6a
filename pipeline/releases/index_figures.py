"""The figures of a release's index: its size and its recall, as a whole and per segment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.contracts import INDEX
from pipeline.lake.pinned import Pinned

INDEX_FIGURES = "index"
"""Name of the note with the figures: the file index.json beside the release's plan."""

MIN_PROBABILITY = "min_probability"
"""Name of the fact in a release's plan, and of the field of its record: the setting
`similar.min_probability`."""


def index_figures(release: Pinned) -> Mapping[str, Any]:
    """Returns the figures of a release's index.

    These keys are always there: `items`, `recall_at_10` and `recall_queries`. For a release that Titler 0.1
    indexed, there are no others. Raises UsageError if the stage `index` has not run for the release.
    """
    figures: Mapping[str, Any] | None = release.notes[INDEX_FIGURES]
    return release.members[INDEX][0].figures if figures is None else figures
