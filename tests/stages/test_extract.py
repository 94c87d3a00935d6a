"""extract: issues are written in parts of equal size, and a day whose source has lost data stays as it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import sample
from pipeline.cli import stage_reports
from pipeline.contracts import DUPLICATE_MARKS, ISSUES
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.settings import Compute, LakeSettings, Settings, Source
from pipeline.stages import extract
from pipeline.stages.extract_marks import find_marks
from pipeline.stages.lost_data import lost_data
from pipeline.warehouse.protocol import COMMENT_SCHEMA
from tests.warehouse.events import commented, opened, write_hour

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
    return Path(settings.source.bases[0].base) / f"2024-01-01-{hour}.json.gz"


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
        "    2024-01-01: the stored data of this day was kept, because the source has lost data since the "
        "extraction. The source now has only 23 of the 24 hours.",
        "    To extract the day anyway: titler extract --day 2024-01-01 --again",
    ]

    outcome, health = extract.run(lake, settings, [DAY], again=True)
    assert (outcome.made, outcome.unchanged_days, health[0]["verdict"]) == (1, {}, "partial")


def comment_row(body: str, **values: object) -> dict[str, object]:
    """A row of sql/extract_duplicate_marks.sql."""
    row = {
        "event_id": "1", "comment_url": None, "issue_id": 7, "issue_url": "https://github.com/o/r/issues/34",
        "repo": "o/r", "number": 34, "author": None, "said_by": None,
        "created_at": datetime(2024, 1, 1, tzinfo=UTC), "body": body,
    }  # fmt: skip
    return {**row, **values}


def test_a_mark_names_both_issues_and_has_no_text() -> None:
    comments = pa.Table.from_pylist(
        [
            comment_row("Duplicate of x/y#12", author="someone", said_by="member"),
            comment_row("Not a dup of #1"),
        ],
        COMMENT_SCHEMA,
    )
    marks, incomplete = find_marks(comments)
    assert (marks.to_pylist(), incomplete) == (
        [
            {
                "event_id": "1",
                "comment_url": None,
                "issue_id": 7,
                "issue_url": "https://github.com/o/r/issues/34",
                "repo": "o/r",
                "number": 34,
                "duplicate_of_repo": "x/y",
                "duplicate_of_number": 12,
                "author": "someone",
                "said_by": "member",
                "created_at": datetime(2024, 1, 1, tzinfo=UTC),
                "source": None,
            }
        ],
        0,
    )


@pytest.mark.parametrize("missing", ["event_id", "issue_id", "issue_url", "repo", "number", "created_at"])
def test_a_mark_without_a_required_value_is_counted(missing: str) -> None:
    comments = pa.Table.from_pylist([comment_row("Duplicate of x/y#12", **{missing: None})], COMMENT_SCHEMA)
    marks, incomplete = find_marks(comments)
    assert (marks.num_rows, incomplete) == (0, 1)


@pytest.fixture
def marked_hours(tmp_path: Path) -> Settings:
    """A source whose day has one issue and the hours 0 and 1; in each a comment marks a duplicate."""
    for hour in (0, 1):
        lines = (
            commented("Duplicate of #12", event_id=str(hour), at=f"2024-01-01T0{hour}:00:00Z"),
            commented("Not a duplicate of #12", event_id=f"9{hour}"),
            opened(7),
        )
        (path,) = write_hour(tmp_path, *lines)
        path.rename(tmp_path / f"2024-01-01-{hour}.json.gz")
    return Settings(
        source=Source(hours=str(tmp_path)),
        lake=LakeSettings(root=str(tmp_path / "lake")),
        compute=Compute(workers=1),
    )


def marks_of(lake: Lake, issues: Manifest) -> list[str]:
    manifest = lake.manifest(issues.figures[DUPLICATE_MARKS.name]["batch"])
    assert manifest == lake.current(DUPLICATE_MARKS.name, {"day": str(DAY)})
    return [str(event_id) for event_id in lake.read(manifest, DUPLICATE_MARKS).column("event_id").to_pylist()]


def test_marks_are_extracted_with_the_issues(
    marked_hours: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(marked_hours.lake.root)
    outcome, health = extract.run(lake, marked_hours, [DAY])
    assert marks_of(lake, outcome.manifests[0]) == ["0", "1"]
    counted = dict(outcome.manifests[0].figures[DUPLICATE_MARKS.name])
    assert (counted.pop("batch") != "", counted) == (True, {"marks": 2, "comments": 4, "incomplete": 0})
    stage_reports.extracted(lake, marked_hours, outcome, health)
    assert "    comments that call an issue a duplicate of another one: 2\n" in capsys.readouterr().out


def test_the_current_marks_are_those_of_the_current_issues(marked_hours: Settings) -> None:
    lake, hours = Lake(marked_hours.lake.root), Path(marked_hours.source.bases[0].base)
    (hours / "2024-01-01-1.json.gz").rename(hours / "late")
    (first,) = extract.run(lake, marked_hours, [DAY])[0].manifests
    (hours / "2024-01-01-0.json.gz").rename(hours / "lost")
    (hours / "late").rename(hours / "2024-01-01-1.json.gz")
    (second,) = extract.run(lake, marked_hours, [DAY])[0].manifests
    assert marks_of(lake, second) == ["1"]
    (hours / "2024-01-01-1.json.gz").rename(hours / "late")
    (hours / "lost").rename(hours / "2024-01-01-0.json.gz")  # as at first: the batch of then is reused
    outcome, _ = extract.run(lake, marked_hours, [DAY])
    assert (outcome.made, outcome.manifests) == (0, (first,))
    assert marks_of(lake, first) == ["0"]


def test_a_day_that_was_extracted_without_marks_gets_them_only_if_told_to(
    marked_hours: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(marked_hours.lake.root)
    (issues,) = extract.run(lake, marked_hours, [DAY])[0].manifests
    figures = {name: value for name, value in issues.figures.items() if name != DUPLICATE_MARKS.name}
    lake.put(f"{issues.folder}/manifest.json", replace(issues, figures=figures).to_json().encode())
    outcome, health = extract.run(lake, marked_hours, [DAY])
    stage_reports.extracted(lake, marked_hours, outcome, health)
    assert outcome.made == 0
    assert (
        "    1 day in the lake has no duplicate marks, because it was extracted by an earlier version of "
        "Titler. To add the marks: titler extract --day 2024-01-01 --again\n"
    ) in capsys.readouterr().out
    outcome, _ = extract.run(lake, marked_hours, [DAY], again=True)
    assert marks_of(lake, outcome.manifests[0]) == ["0", "1"]


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
    assert lost_data(before, now) == still_available
