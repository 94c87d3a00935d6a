"""extract: issues are written in parts of equal size, and a day whose source has lost data stays as it is."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import sample
from pipeline.cli import stage_reports
from pipeline.contracts import ISSUES
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.settings import Compute, LakeSettings, Settings, Source
from pipeline.stages import extract

DAY = date(2024, 1, 1)


@pytest.mark.parametrize(
    ("batches", "parts"),
    [
        ([], []),
        ([0, 0], []),
        ([3], [3]),
        ([4], [4]),
        ([2, 2, 1], [4, 1]),
        ([1, 10, 2], [4, 4, 4, 1]),  # a record batch that is longer than a part
    ],
)
def test_a_stream_of_issues_is_cut_into_parts(
    monkeypatch: pytest.MonkeyPatch, batches: list[int], parts: list[int]
) -> None:
    monkeypatch.setattr(extract, "ROWS_PER_PART", 4)
    numbers = iter(range(100))
    stream = [
        pa.record_batch({"number": pa.array([next(numbers) for _ in range(rows)], pa.int64())})
        for rows in batches
    ]
    tables = list(extract.split_into_parts(stream))
    assert [len(table) for table in tables] == parts
    in_order = [number for table in tables for number in table.column("number").to_pylist()]
    assert in_order == list(range(sum(batches)))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A source that lacks hour 3 of the day. The hour's file is in `late`."""
    sample.write(tmp_path / "hours", days=2, issues_per_day=60)
    (tmp_path / "hours" / "2024-01-01-3.json.gz").rename(tmp_path / "late")
    return Settings(
        source=Source(hours=str(tmp_path / "hours")),
        lake=LakeSettings(root=str(tmp_path / "lake")),
        compute=Compute(workers=1),
    )


def hour_file(settings: Settings, hour: int) -> Path:
    return Path(settings.source.hours) / f"2024-01-01-{hour}.json.gz"


def current_batch(settings: Settings) -> Manifest:
    manifest = Lake(settings.lake.root).current(ISSUES.name, {"day": str(DAY)})
    assert manifest is not None
    return manifest


def test_a_day_is_extracted_again_when_an_hour_arrives_but_not_when_one_is_lost(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(settings.lake.root)
    extract.run(lake, settings, [DAY])
    partial = current_batch(settings)
    (tmp_path / "late").rename(hour_file(settings, 3))
    extract.run(lake, settings, [DAY])
    whole = current_batch(settings)
    assert (partial.figures["hours_missing"], whole.figures["hours_missing"]) == ([3], [])

    hour_file(settings, 3).rename(tmp_path / "late")  # as at first, so the lake has a batch of these hours
    outcome, health = extract.run(lake, settings, [DAY])
    assert (outcome.made, outcome.unchanged_days) == (0, {"2024-01-01": "23 of the 24 hours"})
    assert current_batch(settings) == whole
    assert health[0]["verdict"] == "complete"
    stage_reports.extracted(lake, settings, outcome, health)
    assert [line for line in capsys.readouterr().out.splitlines() if "quarantine" not in line][-2:] == [
        "    2024-01-01: the existing data of this day was kept, because the source now has only 23 of the "
        "24 hours that it had at the extraction.",
        "    To extract the day anyway: titler extract --day 2024-01-01 --again",
    ]

    outcome, health = extract.run(lake, settings, [DAY], again=True)
    assert (outcome.made, outcome.unchanged_days, health[0]["verdict"]) == (1, {}, "partial")


HOURS_0_AND_1 = {"hours": [[0, 1, "x"], [1, 1, "x"]]}
HOURS_0_AND_2 = {"hours": [[0, 1, "x"], [2, 1, "x"]]}


@pytest.mark.parametrize(
    ("before", "now", "still_available"),
    [
        ({"table_rows": 9, "query": "a"}, {"table_rows": 10, "query": "a"}, ""),
        ({"table_rows": 1000, "query": "a"}, {"table_rows": 999, "query": "a"}, "999 of the 1,000 events"),
        ({"table_rows": 10, "query": "a"}, {"table_rows": None, "query": "a"}, "0 of the 10 events"),
        ({"table_rows": 10, "query": "a"}, {"table_rows": 9, "query": "b"}, ""),
        ({"table_rows": 10, "query": "a"}, {"hours": [[0, 1, "x"]], "query": "a"}, ""),
        (HOURS_0_AND_1, HOURS_0_AND_2, ""),
        (HOURS_0_AND_1, {"hours": [[1, 2, "y"]]}, "1 of the 2 hours"),
    ],
    ids=[
        *("more events", "fewer events", "no table", "another query", "another kind of source"),
        *("other hours", "fewer hours"),
    ],
)
def test_what_a_source_still_has_if_it_has_lost_data(
    before: dict[str, object], now: dict[str, object], still_available: str
) -> None:
    assert extract.lost_data(before, now) == still_available
