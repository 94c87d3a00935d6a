"""How the search for neighbours is divided into tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.index import neighbour_batches
from pipeline.index.neighbour_batches import DayDrafts, group_shards
from pipeline.lake.batches import Lake
from tests.index.test_neighbours import planned


def test_small_days_of_a_month_are_searched_together_and_each_shard_of_a_large_day_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbour_batches, "ISSUES_PER_TASK", 10)
    monkeypatch.setattr(neighbour_batches, "ISSUES_PER_SHARD", 6)
    days = planned({"2015-01-01": 4, "2015-01-02": 6, "2015-01-03": 1, "2015-01-04": 13, "2015-02-01": 1})
    drafts = [DayDrafts(Lake(str(tmp_path)), day, "m") for day in days.values()]
    tasks = [
        [f"{shard.day.day.day[5:]} {shard.number}" for shard in task]
        for task in group_shards([shard for draft in drafts for shard in draft.shards])
    ]
    assert tasks == [
        ["01-01 0", "01-02 0"],
        ["01-03 0"],
        ["01-04 0"],
        ["01-04 1"],
        ["01-04 2"],
        ["02-01 0"],
    ]
