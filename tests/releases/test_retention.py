"""`titler collect` retains the current release and the latest others."""

from __future__ import annotations

import pytest

from pipeline.releases.retention import retained_releases


@pytest.mark.parametrize(
    ("current", "keep", "retained"),
    [
        ("b", 10, ["b", "a", "c"]),
        ("b", 2, ["b", "a"]),
        ("b", 1, ["b"]),
        ("c", 2, ["c", "b"]),
        (None, 2, ["b"]),
    ],
)
def test_the_current_release_and_the_latest_others_are_retained(
    current: str | None, keep: int, retained: list[str]
) -> None:
    records = [{"release_id": name} for name in ("c", "a", "b")]  # as they became current
    assert retained_releases(records, current, keep) == retained
