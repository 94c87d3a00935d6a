"""Stops a release whose recall@10 of marked duplicates is significantly lower than the previous release's.

A marked duplicate is a pair of issues that somebody called duplicates in a comment. Recall@10 is the share of
these pairs whose older issue is among the ten similar issues that are published for the newer one. It is
measured for each release, on the pairs whose newer issue was opened in the last months of the release (see
`pipeline.index.marked_duplicates`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.errors import StoppedError
from pipeline.provenance import user_name
from pipeline.releases.records import marked_figures
from pipeline.tracking.figures import wilson_interval

RECALL = "recall"
"""The word with which a user accepts a fall: `titler publish --accept recall`."""
ACCEPTED_FALL = "accepted"
"""Key of the figures that says who accepted a fall, when and why."""


def check_marked_recall(
    release_id: str,
    marked: Mapping[str, Any] | None,
    published: Sequence[Mapping[str, Any]],
    min_marks: int,
    because: str,
) -> dict[str, str] | None:
    """Checks that the recall@10 of marked duplicates has not fallen significantly since the previous release.

    `marked` are the figures of this release, or None if no pair could be measured. `published` are the
    records of all published releases, in order of publication. The previous release is the last
    release in `published` that is not this release and was not rolled back. `because` is a user's reason for
    accepting a fall, or an empty string.

    Two releases are compared only if both were measured on all repositories, or both on the held-out ones. A
    fall is significant if at least `min_marks` pairs were measured for each of the two releases, and if the
    whole 95% interval of the fall is above zero.

    If the fall is significant and `because` is empty, raises StoppedError. If it is significant and `because`
    gives a reason, returns a dict that says who accepted the fall, when and why. Otherwise returns None.
    """
    earlier = [
        record for record in published if record["release_id"] != release_id and not record.get("rolled_back")
    ]
    previous_figures = marked_figures(earlier[-1]) if earlier else None
    if (
        marked is None
        or previous_figures is None
        or marked.get("repositories") != previous_figures.get("repositories")
    ):
        return None
    current, previous = (
        (figures["recall_at_10"], figures["pairs"]) for figures in (marked, previous_figures)
    )
    if min(current[1], previous[1]) < min_marks or smallest_fall(previous, current) <= 0:
        return None
    fall = (
        f"of {current[1]:,} pairs of issues that somebody marked as duplicates, {current[0]:.1%} are listed, "
        f"compared with {previous[0]:.1%} of {previous[1]:,} in release {earlier[-1]['release_id']}"
    )
    if because:
        accepted_at = datetime.now(UTC).isoformat(timespec="seconds")
        return {"fall": fall, "because": because, "by": user_name(), "at": accepted_at}
    raise StoppedError(
        f"Release {release_id} is stopped: {fall}. A fall of this size is unlikely to be chance.",
        "See what has changed: the model, the settings index.* and similar.*, or the days of the release.\n"
        f'Publish it nevertheless: titler publish --release {release_id} --accept {RECALL} --because "..."',
        event=f"release/{release_id}/{RECALL}-of-duplicates",
    )


def accepted_fall(record: Mapping[str, Any]) -> dict[str, str] | None:
    """Returns who accepted a fall of the recall of marked duplicates, when and why. `record` is the record of
    a release. Returns None if nobody accepted a fall."""
    return (marked_figures(record) or {}).get(ACCEPTED_FALL)


def smallest_fall(previous: tuple[float, int], current: tuple[float, int]) -> float:
    """Returns the lower end of the 95% interval of the fall from the share `previous` to the share `current`.
    It is above zero if the fall is significant.

    Each argument is a share (0 to 1) and the number of pairs that it was measured on. Source: method 10 of
    Newcombe 1998, for shares of independent samples. The two releases have most pairs in common, so the
    interval is wider than necessary.
    """
    (earlier, _), (later, _) = previous, current
    low, high = wilson_interval(*previous)[0], wilson_interval(*current)[1]
    return earlier - later - math.hypot(earlier - low, high - later)
