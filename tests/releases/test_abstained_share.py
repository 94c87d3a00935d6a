"""The share of issues without a title, and a rise of it, which stops a release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import TITLE_PREDICTIONS
from pipeline.errors import StoppedError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.provenance import user_name
from pipeline.releases.abstained_share import abstained_share, check_abstention

BEFORE = [
    {"release_id": "q", "abstained": 0.5},
    {"release_id": "r", "abstained": 0.1},
    {"release_id": "s", "abstained": 0.9, "rolled_back": True},
]


def release_of(folder: Path, *batches: tuple[int, dict[str, Any]]) -> Pinned:
    """A release whose titles are in batches of so many rows with these figures."""
    release = Pinned(Lake(str(folder)), "releases", "t")
    manifests = []
    for number, (rows, figures) in enumerate(batches):
        draft = release.lake.draft(TITLE_PREDICTIONS.name, {"model": "m", "day": f"2015-01-0{number + 1}"})
        draft.write_file("part-00000.parquet", b"", rows=rows)
        manifests.append(draft.commit(figures))
    release.members.put(TITLE_PREDICTIONS.name, manifests)
    return release


@pytest.mark.parametrize(
    ("batches", "share"),
    [
        ([(3, {"abstained": 1}), (5, {"abstained": 3})], 0.5),
        ([(3, {"abstained": 1}), (5, {})], None),  # an earlier version wrote the second batch
        ([(0, {"abstained": 0})], None),
    ],
)
def test_the_share_is_of_all_issues_of_the_release(
    tmp_path: Path, batches: list[tuple[int, dict[str, Any]]], share: float | None
) -> None:
    assert abstained_share(release_of(tmp_path, *batches)) == share


@pytest.mark.parametrize(
    ("share", "published"),
    [
        (0.2, BEFORE),
        (0.0, BEFORE),
        (1.0, []),  # the first release
        (1.0, [{"release_id": "r"}]),  # published by an earlier version
        (None, BEFORE),
    ],
)
def test_a_share_that_has_not_risen_much_passes(share: float | None, published: list[dict[str, Any]]) -> None:
    assert check_abstention("t", share, published, 0.1, "") is None


def test_a_rise_stops_the_release_with_the_command_that_accepts_it() -> None:
    with pytest.raises(StoppedError) as raised:
        check_abstention("t", 0.25, BEFORE, 0.1, "")
    first, *_, last = str(raised.value).splitlines()
    assert first == (
        "Release t is stopped: 25.0% of the issues have no title, compared with 10.0% in release r. The "
        "share of issues without a title may rise by at most 0.1 (release.max_abstained_rise)."
    )
    assert last.endswith('titler publish --release t --accept abstained --because "..."')
    assert raised.value.event == "release/t/abstained"


def test_a_rise_is_accepted_for_a_reason() -> None:
    acceptance = check_abstention("t", 0.25, BEFORE, 0.1, "a test")
    assert acceptance is not None
    assert (acceptance["titles"], acceptance["because"], acceptance["by"]) == (
        "25.0% of the issues have no title, compared with 10.0% in release r",
        "a test",
        user_name(),
    )
