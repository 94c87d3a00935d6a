"""`titler cost` estimates the cost of a backfill, and starts no query."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import query_reports
from pipeline.lake.batches import Lake
from pipeline.serving import source_checks
from pipeline.settings import LakeSettings
from pipeline.settings import Settings as AllSettings
from pipeline.settings import Warehouse as Settings
from pipeline.stages import extract
from tests.support.emulator import Emulator
from tests.warehouse.bigquery.conversation import billing, jobs_started, source_tables
from tests.warehouse.events import DAY, opened, write_hour
from tests.warehouse.source import load_day

NEXT_DAY, THIRD_DAY = DAY + timedelta(1), DAY + timedelta(2)
TIB = 2**40
TABLE_BYTES = 30 * 10**9


def row(day: date, **values: Any) -> dict[str, Any]:
    """The row of a day in an estimate."""
    return {"day": str(day), "in_lake": False, "bytes": 0, "usd": 0.0, "lacks_marks": False, **values}


@pytest.fixture
def settings(bigquery_settings: Settings, tmp_path: Path) -> AllSettings:
    return AllSettings(lake=LakeSettings(root=str(tmp_path / "lake")), warehouse=bigquery_settings)


def test_each_day_has_a_price_and_days_in_the_lake_are_free(
    settings: AllSettings, emulator: Emulator, tmp_path: Path
) -> None:
    lake = Lake(settings.lake.root)
    hours = write_hour(tmp_path, opened(7))
    load_day(emulator, DAY, hours)
    load_day(emulator, NEXT_DAY, hours)  # THIRD_DAY has no table
    extract.run(lake, settings, [DAY])
    started = len(jobs_started(emulator, "SELECT"))
    with emulator.proxy.intervene(
        billing(TIB, "WITH issues AS"), billing(0, "EXTRACT(HOUR"), source_tables(numBytes=str(TABLE_BYTES))
    ):
        estimate = source_checks.cost(lake, settings, [DAY, NEXT_DAY, THIRD_DAY])
    assert estimate == {
        "days": [
            row(DAY, in_lake=True, table_bytes=TABLE_BYTES),
            row(NEXT_DAY, bytes=TIB, usd=6.25, table_bytes=TABLE_BYTES),
            row(THIRD_DAY, table_bytes=None),
        ],
        "bytes": TIB,
        "usd": 6.25,
        "max_bytes_per_run": 100 * 10**9,
        "max_bytes_per_day": 200 * 10**9,
        "eras": [
            {
                "era": "all events",
                "span": "2015-01-01 to 2025-04-30",
                "days": 1,
                "bytes": TIB,
                "usd": 6.25,
                "usd_per_year": 365 * 6.25,
            }
        ],
    }
    assert len(jobs_started(emulator, "SELECT")) == started  # only dry runs


def test_extracting_days_of_the_lake_again_has_a_price(
    settings: AllSettings, emulator: Emulator, tmp_path: Path
) -> None:
    lake = Lake(settings.lake.root)
    load_day(emulator, DAY, write_hour(tmp_path, opened(7)))
    extract.run(lake, settings, [DAY])
    with emulator.proxy.intervene(
        billing(TIB, "WITH issues AS"), billing(0, "EXTRACT(HOUR"), source_tables(numBytes=str(TABLE_BYTES))
    ):
        (day,) = source_checks.cost(lake, settings, [DAY], again=True)["days"]
    assert day == row(DAY, in_lake=True, bytes=TIB, usd=6.25, table_bytes=TABLE_BYTES)


IN_LAKE = row(DAY, in_lake=True, lacks_marks=True, table_bytes=TABLE_BYTES)


@pytest.mark.parametrize(
    ("again", "day", "output"),
    [
        (
            False,
            IN_LAKE,
            "cost: BigQuery would bill 0 B, $0.00 for 0 days; days already in the lake, which cost "
            "nothing: 1\n"
            "    2015-01-03  in the lake\n"
            "    1 day in the lake has no duplicate marks, because it was extracted by an earlier version "
            "of Titler. To see the price of adding the marks: titler cost --day 2015-01-03 --again\n",
        ),
        (
            True,
            {**IN_LAKE, "bytes": 15 * 10**9, "usd": 0.09},
            "cost: BigQuery would bill 15.0 GB, $0.09 for 1 day\n"
            "    2015-01-03  15.0 GB, $0.09; the whole table has 30.0 GB\n",
        ),
    ],
    ids=["in the lake", "again"],
)
def test_cost_says_what_adding_duplicate_marks_costs(
    capsys: pytest.CaptureFixture[str], again: bool, day: dict[str, Any], output: str
) -> None:
    value = {"days": [day], "bytes": day["bytes"], "usd": day["usd"]}
    value |= {"max_bytes_per_run": 100 * 10**9, "max_bytes_per_day": 200 * 10**9, "eras": []}
    query_reports.cost(AllSettings(warehouse=Settings(kind="bigquery")), value, False, again=again)
    assert capsys.readouterr().out == output


ERA = {"era": "all events", "span": "2015-01-01 to 2025-04-30", "days": 2, "usd": 0.85, "usd_per_year": 155.6}


@pytest.mark.parametrize(
    ("sizes", "refusal"),
    [
        (
            (75, 75),
            "    The extraction would be refused, because BigQuery would bill more than "
            "warehouse.max_bytes_per_run = 100,000,000,000 bytes (100.0 GB)\n",
        ),
        (
            (30, 120),
            "    These days would be refused, because each alone needs more than "
            "warehouse.max_bytes_per_run = 100,000,000,000 bytes (100.0 GB): 2015-01-04\n",
        ),
    ],
)
def test_an_estimate_over_a_budget_says_so(
    capsys: pytest.CaptureFixture[str], sizes: tuple[int, int], refusal: str
) -> None:
    days = [
        row(day, bytes=size * 10**9, table_bytes=2 * size * 10**9)
        for day, size in zip((DAY, NEXT_DAY), sizes, strict=True)
    ]
    value = {
        "days": days,
        "bytes": 150 * 10**9,
        "usd": 0.85,
        "max_bytes_per_run": 100 * 10**9,
        "max_bytes_per_day": 200 * 10**9,
        "eras": [{**ERA, "bytes": 150 * 10**9}],
    }
    query_reports.cost(AllSettings(warehouse=Settings(kind="bigquery")), value, as_json=False)
    total, first, _, era, *rest = capsys.readouterr().out.splitlines(keepends=True)
    assert (total, "".join(rest)) == ("cost: BigQuery would bill 150.0 GB, $0.85 for 2 days\n", refusal)
    assert first.endswith(f"; the whole table has {2 * sizes[0]}.0 GB\n")
    assert era == (
        "    2015-01-01 to 2025-04-30 (all events): 2 days, 150.0 GB, $0.85; 365 days of this era "
        "cost $155.60\n"
    )


def test_hour_files_cost_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = AllSettings(lake=LakeSettings(root=str(tmp_path)))
    value = source_checks.cost(Lake(settings.lake.root), settings, [DAY])
    assert (value["bytes"], value["days"][0]["in_lake"]) == (0, False)
    query_reports.cost(settings, value, as_json=False)
    assert "hour files, which are free" in capsys.readouterr().out
