"""Computes the share of a release's issues for which the model gave no title. A release is stopped if this
share is much higher than in the previous release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.contracts import TITLE_PREDICTIONS
from pipeline.errors import StoppedError
from pipeline.lake.pinned import Pinned
from pipeline.provenance import user_name

ABSTAINED = "abstained"
"""The word for issues without a title. In a release's record it is the key of their share, and in a batch's
figures the key of their number. `titler publish --accept abstained` accepts a rise of the share."""


def abstained_share(release: Pinned) -> float | None:
    """Returns the share (0 to 1) of a release's issues for which the model gave no title.

    Returns None if the share is unknown: if the release has no predictions, or if an earlier version of
    Titler wrote some of them.
    """
    batches = release.members[TITLE_PREDICTIONS.name]
    rows = sum(batch.rows for batch in batches)
    if not rows or any(ABSTAINED not in batch.figures for batch in batches):
        return None
    return float(sum(batch.figures[ABSTAINED] for batch in batches) / rows)


def check_abstention(
    release_id: str,
    share: float | None,
    published: Sequence[Mapping[str, Any]],
    max_rise: float,
    because: str,
) -> dict[str, str] | None:
    """Checks that the share of issues without a title has not risen by more than `max_rise` since the
    previous release.

    `share` is the share in this release. `published` are the records of all published releases, in order of
    publication. Releases that were rolled back and this release itself are ignored. The last of the others is
    the previous release. `because` is a user's reason for accepting a larger rise, or an empty string.

    If the rise is too large and `because` is empty, raises StoppedError. If the rise is too large and
    `because` gives a reason, returns a dict that says who accepted the rise, when and why. Returns None if
    the rise is small enough, or if one of the two shares is unknown.
    """
    earlier_releases = [
        record for record in published if record["release_id"] != release_id and not record.get("rolled_back")
    ]
    earlier = earlier_releases[-1].get(ABSTAINED) if earlier_releases else None
    if share is None or earlier is None or share - earlier <= max_rise:
        return None
    name = earlier_releases[-1]["release_id"]
    rise = f"{share:.1%} of the issues have no title, compared with {earlier:.1%} in release {name}"
    if because:
        accepted_at = datetime.now(UTC).isoformat(timespec="seconds")
        return {"titles": rise, "because": because, "by": user_name(), "at": accepted_at}
    raise StoppedError(
        f"Release {release_id} is stopped: {rise}. The share of issues without a title may rise by at most "
        f"{max_rise:g} (release.max_abstained_rise).",
        "Show the current model:       titler status\n"
        'Go back to an earlier model:  titler promote MODEL --force --because "..."\n'
        f"Accept the higher share:      titler publish --release {release_id} --accept {ABSTAINED} "
        '--because "..."',
        event=f"release/{release_id}/{ABSTAINED}",
    )
