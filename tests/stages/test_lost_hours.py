"""A day that was taken stays as it is when its source loses hours afterwards; with `again` it is taken as the source has it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipeline import sample
from pipeline.cli import stage_reports
from pipeline.contracts import ISSUES
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.settings import Compute, LakeSettings, Settings, Source
from pipeline.stages import extract

DAY = date(2024, 1, 1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A source that lacks hour 3 of the day; it comes later."""
    sample.write(tmp_path / "hours", days=2, issues_per_day=60)
    (tmp_path / "hours" / "2024-01-01-3.json.gz").rename(tmp_path / "late")
    return Settings(
        source=Source(hours=str(tmp_path / "hours")),
        lake=LakeSettings(root=str(tmp_path / "lake")),
        compute=Compute(workers=1),
    )


def hour(settings: Settings, number: int) -> Path:
    return Path(settings.source.hours) / f"2024-01-01-{number}.json.gz"


def current(settings: Settings) -> Manifest:
    manifest = Lake(settings.lake.root).current(ISSUES.name, {"day": str(DAY)})
    assert manifest is not None
    return manifest


def test_an_hour_that_comes_is_taken_and_one_that_goes_is_kept(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(settings.lake.root)
    extract.run(lake, settings, [DAY])
    without = current(settings)
    (tmp_path / "late").rename(hour(settings, 3))
    extract.run(lake, settings, [DAY])
    whole = current(settings)
    assert (without.figures["hours_missing"], whole.figures["hours_missing"]) == ([3], [])

    hour(settings, 3).rename(tmp_path / "late")  # the source is as it was at first, of which there is a batch
    outcome, health = extract.run(lake, settings, [DAY])
    assert (outcome.made, outcome.unchanged_days, current(settings)) == (
        0,
        {"2024-01-01": "23 of the 24 hours"},
        whole,
    )
    assert health[0]["verdict"] == "complete"
    stage_reports.extracted(lake, settings, outcome, health)
    assert [line for line in capsys.readouterr().out.splitlines() if "quarantine" not in line][-2:] == [
        "    2024-01-01 stays as it is: the source has 23 of the 24 hours that it was taken with.",
        "    Take it nonetheless: titler extract --day 2024-01-01 --again",
    ]

    outcome, health = extract.run(lake, settings, [DAY], again=True)
    assert (outcome.made, outcome.unchanged_days, health[0]["verdict"]) == (1, {}, "partial")


@pytest.mark.parametrize(
    ("then", "now", "left"),
    [
        ({"table_rows": 9, "query": "a"}, {"table_rows": 10, "query": "a"}, ""),
        ({"table_rows": 1000, "query": "a"}, {"table_rows": 999, "query": "a"}, "999 of the 1,000 events"),
        ({"table_rows": 10, "query": "a"}, {"table_rows": None, "query": "a"}, "0 of the 10 events"),
        (
            {"table_rows": 10, "query": "a"},
            {"table_rows": 9, "query": "b"},
            "",
        ),  # another question has another answer
        (
            {"table_rows": 10, "query": "a"},
            {"hours": [[0, 1, "x"]], "query": "a"},
            "",
        ),  # another kind of source
        (
            {"hours": [[0, 1, "x"], [1, 1, "x"]]},
            {"hours": [[0, 1, "x"], [2, 1, "x"]]},
            "",
        ),  # not less, but other hours
    ],
)
def test_what_is_lost(then: dict[str, object], now: dict[str, object], left: str) -> None:
    assert extract.lost_data(then, now) == left
