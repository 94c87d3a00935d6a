"""`titler ready` checks whether the source has the last hour of a day; `titler cost` estimates prices."""

from __future__ import annotations

import gzip
import json
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pipeline import sample
from pipeline.lake.batches import Lake
from pipeline.serving.source_checks import cost, has_last_hour, ready
from pipeline.settings import LakeSettings, Settings, Source
from pipeline.warehouse import SourceTable
from tests.warehouse.events import event

END_OF_DAY = datetime(2015, 1, 2, tzinfo=UTC)
TABLE = "githubarchive.day.20150101"


@pytest.mark.parametrize(
    ("table", "has_hour"),
    [
        (SourceTable(TABLE, 10, END_OF_DAY + timedelta(minutes=8)), True),
        (SourceTable(TABLE, 10, END_OF_DAY - timedelta(minutes=52)), False),  # the table has hours up to 22
        (SourceTable(TABLE, 0, END_OF_DAY + timedelta(minutes=8)), False),
        (SourceTable(TABLE, None), False),
    ],
)
def test_the_last_hour_is_found_in_the_table(table: SourceTable, has_hour: bool) -> None:
    assert has_last_hour(table, date(2015, 1, 1)) is has_hour


EVENT = json.dumps(event("WatchEvent")).encode()


@pytest.mark.parametrize(
    ("content", "has_hour"),
    [
        (gzip.compress(EVENT), True),
        (gzip.compress(b"not json\n\n" + EVENT + b"\n"), True),
        (gzip.compress(b"\n") + gzip.compress(EVENT), True),  # two members
        (gzip.compress(EVENT + b"\n" + random.Random(1).randbytes(10**5))[: -(10**4)], True),  # cut off late
        (b"", False),
        (gzip.compress(b""), False),
        (gzip.compress(EVENT)[:12], False),
        (b"<!doctype html><p>Too many requests", False),
        (EVENT, True),  # a web server has decompressed the file
        (gzip.compress(b"[]\n{}\n\xff"), False),
    ],
    ids=[
        *("one event", "an event after a malformed line", "two members", "cut off late"),
        *("empty", "gzip of nothing", "cut after 12 bytes", "a web page", "not compressed", "no event"),
    ],
)
def test_the_last_hour_is_there_if_an_event_can_be_read_from_its_file(
    tmp_path: Path, content: bytes, has_hour: bool
) -> None:
    (tmp_path / "2015-01-01-23.json.gz").write_bytes(content)  # the other hours will not arrive any more
    assert ready(Settings(source=Source(hours=str(tmp_path))), date(2015, 1, 1))["ready"] is has_hour


def test_ready_names_the_hour_and_the_source(tmp_path: Path) -> None:
    sample.write(tmp_path, days=2, issues_per_day=60)
    settings = Settings(source=Source(hours=str(tmp_path)))
    source = f"hour 23 in {tmp_path}"
    assert ready(settings, date(2024, 1, 1)) == {"day": "2024-01-01", "ready": True, "source": source}
    assert ready(settings, date(2024, 1, 9)) == {"day": "2024-01-09", "ready": False, "source": source}


def test_hour_files_cost_nothing(tmp_path: Path) -> None:
    settings = Settings(lake=LakeSettings(root=str(tmp_path)))
    value = cost(Lake(str(tmp_path)), settings, [date(2015, 1, 1)])
    free = {"in_lake": False, "bytes": 0, "usd": 0, "lacks_marks": False, "table_bytes": None}
    assert value["days"] == [{"day": "2015-01-01", **free}]
    assert (value["bytes"], value["usd"], value["eras"]) == (0, 0, [])
