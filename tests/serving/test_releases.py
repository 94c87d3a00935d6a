"""`titler releases`: one row per release, with its figures, its changes, and why it was not published."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import (
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    ISSUES,
    SEGMENTS,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    VECTORS,
)
from pipeline.errors import StoppedError
from pipeline.evaluation.model_figures import EVALUATION
from pipeline.lake.batches import Lake
from pipeline.lake.pages import write_pages
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import PinnedDay, day_pages
from pipeline.releases.current import POINTER, point_to
from pipeline.releases.index_figures import INDEX_FIGURES
from pipeline.releases.records import RECORD
from pipeline.releases.stops import recording_stop
from pipeline.serving.releases import KEYS, releases
from tests.support.release_records import release_record

FACTS = {"model": "m", "model_version": "3", "vocabulary": "v", "mlflow_run": "run"}
LISTS_OF_STAGES = (
    VECTORS.name,
    EMBEDDINGS.name,
    TITLE_PREDICTIONS.name,
    SEGMENTS.name,
    SIMILAR_ISSUES.name,
    DUPLICATE_PAIRS.name,
)
FIRST = {"2015-01-01": b"one", "2015-01-02": b"two"}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def plan_release(
    lake: Lake,
    name: str,
    opened_at: str,
    days: Mapping[str, bytes],
    base: str | None = None,
    facts: Mapping[str, Any] = FACTS,
    *,
    is_complete: bool = False,
) -> Pinned:
    """A release of these days. Each has one issue, and a file with these bytes. If `is_complete` is true, it
    also has the lists that the later stages write, without batches."""
    batches, pinned = [], []
    for day, content in days.items():
        if (batch := lake.find(ISSUES.name, {"day": day}, [content.decode()], {})) is None:
            draft = lake.draft(ISSUES.name, {"day": day}, [content.decode()])
            draft.write_file("part-00000.parquet", content, rows=1)
            batch = draft.commit()
        batches.append(batch)
        pinned.append(PinnedDay(day, batch.folder, "", "", batch.digest, "", ""))
    release = Pinned(lake, "releases", name)
    pages = write_pages(lake, day_pages(pinned, {}))
    lake.put_json(
        release.file("plan.json"),
        {"facts": dict(facts), "opened_at": opened_at, "base": base, "day_pages": pages},
    )
    release.members.put(ISSUES.name, batches)
    release.members.put(SOURCE_HEALTH.name, [])
    for table in LISTS_OF_STAGES if is_complete else ():
        release.members.put(table, [])
    return Pinned(lake, "releases", name)


def test_a_lake_without_releases_has_no_rows(lake: Lake) -> None:
    assert releases(lake) == []


def test_a_published_release_has_the_figures_of_its_record_and_of_its_model(lake: Lake) -> None:
    release = plan_release(lake, "r", "2015-01-03T03:00:00+00:00", FIRST, is_complete=True)
    release.notes[RECORD] = release_record(
        "r",
        "2015-01-03T04:00:00+00:00",
        days=2,
        issues=2,
        marked_duplicates='{"pairs": 8, "recall_at_10": 0.5}',
    )
    evaluation = {"issues": 9, "rougeL": 38.1, "lead_rougeL": 15.6, "champion": None}
    Pinned(lake, "models", "m").notes[EVALUATION] = evaluation
    point_to(lake, "r")
    assert releases(lake) == [
        {
            "id": "r",
            "status": "current",
            "current": True,
            "opened_at": "2015-01-03T03:00:00+00:00",
            "published_at": "2015-01-03T04:00:00+00:00",
            "published_by": "a test",
            "model": {"name": "m", "version": "3"},
            "issues": 2,
            "days": 2,
            "recall_at_10": 1.0,
            "duplicates": {"pairs": 8, "recall_at_10": 0.5},
            "titles": {"rougeL": 38.1, "floor_rougeL": 15.6, "withheld": None},
            "changes": None,
            "bytes": 6,
            "stopped": None,
            "next": None,
            "problem": None,
        }
    ]


def test_the_newest_release_comes_first_with_what_changed_since_the_one_before(lake: Lake) -> None:
    plan_release(lake, "a", "2015-01-03T03:00:00+00:00", {**FIRST, "2014-12-31": b"zero"})
    days = {"2015-01-01": b"one", "2015-01-02": b"again", "2015-01-03": b"three"}
    withheld = {"titles_withheld": "ROUGE-L 2.98, first words 15.6"}
    plan_release(lake, "b", "2015-01-04T03:00:00+00:00", days, "a", {**FACTS, "model": "n", **withheld})
    newest, oldest = releases(lake)
    assert (newest["id"], oldest["id"]) == ("b", "a")
    assert newest["changes"] == {
        "since": "a",
        "days_added": ["2015-01-03"],
        "days_replaced": ["2015-01-02"],
        "days_removed": ["2014-12-31"],
        "model": {"name": "m", "version": "3"},
    }
    assert newest["titles"]["withheld"] == "ROUGE-L 2.98, first words 15.6"


def test_pages_of_days_that_two_releases_share_are_not_read(lake: Lake) -> None:
    earlier = {"2014-12-30": b"a", "2014-12-31": b"b"}
    base = plan_release(lake, "a", "2015-01-02T03:00:00+00:00", {**earlier, "2015-01-01": b"one"})
    release = plan_release(
        lake, "b", "2015-01-03T03:00:00+00:00", {**earlier, **FIRST}, "a", is_complete=True
    )
    for each, time in ((base, "2015-01-02T04:00:00+00:00"), (release, "2015-01-03T04:00:00+00:00")):
        each.notes[RECORD] = release_record(each.name, time)
    point_to(lake, "b")
    lake.delete(f"pages/{release.day_pages['2014']}")
    newest = releases(lake)[0]
    assert (newest["changes"]["days_added"], newest["problem"]) == (["2015-01-02"], None)


def test_a_release_whose_base_was_removed_has_no_changes(lake: Lake) -> None:
    plan_release(lake, "b", "2015-01-04T03:00:00+00:00", FIRST, "a")
    (row,) = releases(lake)
    assert (row["changes"], row["problem"]) == (None, None)


def test_an_unfinished_release_names_the_command_that_continues_it(lake: Lake) -> None:
    release = plan_release(lake, "r", "2015-01-03T03:00:00+00:00", FIRST)
    (row,) = releases(lake)
    assert (row["status"], row["issues"], row["days"]) == ("unfinished", 2, 2)
    assert row["next"] == "titler vectorize --release r"
    release.members.put(VECTORS.name, [])
    assert releases(lake)[0]["next"] == "titler embed --release r"


def test_a_stopped_release_says_what_stopped_it(lake: Lake) -> None:
    release = plan_release(lake, "r", "2015-01-03T03:00:00+00:00", FIRST)
    with pytest.raises(StoppedError), recording_stop(release):
        raise StoppedError("2015-01-02: 31 issues where 412 are usual", "Accept it: titler publish ...")
    (row,) = releases(lake)
    assert row["status"] == "stopped"
    assert row["stopped"]["reason"] == "2015-01-02: 31 issues where 412 are usual"


def test_a_release_whose_plan_is_being_written_is_unfinished(lake: Lake) -> None:
    release = plan_release(lake, "r", "2015-01-03T03:00:00+00:00", FIRST)
    lake.delete(release.file(f"members/{ISSUES.name}.json"))
    (row,) = releases(lake)
    assert (row["status"], row["issues"], row["days"]) == ("unfinished", None, 2)
    assert (row["next"], row["problem"]) == ("titler plan --release r", None)


def test_segments_without_their_figures_are_indexed_again(lake: Lake) -> None:
    release = plan_release(lake, "r", "2015-01-03T03:00:00+00:00", FIRST)
    for table in (VECTORS, EMBEDDINGS, SEGMENTS, TITLE_PREDICTIONS):
        release.members.put(table.name, [])
    assert releases(lake)[0]["next"] == "titler index --release r"
    figures = {"items": 2, "recall_at_10": 1.0, "recall_queries": 2, "parameters": {}}
    release.notes[INDEX_FIGURES] = figures
    assert releases(lake)[0]["next"] == "titler publish --release r"


@pytest.mark.parametrize("file", ["stopped.json", "index.json", "members/vectors_v1.json"])
def test_an_unpublished_release_with_a_damaged_file_is_damaged(lake: Lake, file: str) -> None:
    release = plan_release(lake, "r", "2015-01-03T03:00:00+00:00", FIRST)
    lake.put(release.file(file), b"[1]")
    (row,) = releases(lake)
    assert (row["status"], row["opened_at"]) == ("damaged", "2015-01-03T03:00:00+00:00")
    assert f"The file {lake.path(release.file(file))} is damaged" in row["problem"]
    assert "Delete this file, then run: titler" in row["problem"]


def test_files_of_other_programs_are_no_releases(lake: Lake) -> None:
    lake.put("releases/.DS_Store", b"")
    assert releases(lake) == []


def test_a_stop_that_cannot_be_stored_still_stops(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    release = plan_release(lake, "r", "2015-01-03T03:00:00+00:00", FIRST)
    Path(lake.path(release.file("stopped.json"))).mkdir()
    with pytest.raises(StoppedError, match="the day has collapsed"), recording_stop(release):
        raise StoppedError("the day has collapsed", "Accept it: titler publish ...")
    assert "could not store why the release was stopped: " in capsys.readouterr().out


@pytest.mark.parametrize("file", ["plan.json", "release.json"])
def test_a_release_with_a_damaged_file_is_a_row_that_says_so(lake: Lake, file: str) -> None:
    release = plan_release(lake, "r", "2015-01-03T03:00:00+00:00", FIRST, is_complete=True)
    release.notes[RECORD] = release_record("r", "2015-01-03T04:00:00+00:00")
    point_to(lake, "r")
    lake.put(release.file(file), b"{")
    (row,) = releases(lake)
    assert tuple(row) == KEYS
    assert row["status"] == "damaged"
    assert row["problem"].startswith(
        f"The file {lake.path(release.file(file))} is damaged: it is not valid JSON"
    )


def test_a_release_without_a_plan_is_a_row_that_says_so(lake: Lake) -> None:
    Pinned(lake, "releases", "r").notes[RECORD] = release_record("r", "2015-01-03T04:00:00+00:00")
    point_to(lake, "r")
    (row,) = releases(lake)
    assert (row["status"], row["problem"]) == (
        "damaged",
        f"The file {lake.path('releases/r/plan.json')} is missing. Restore it from a backup. If "
        f"there is none, delete the folder {lake.path('releases/r')}",
    )


def test_the_current_release_is_listed_even_if_the_folder_lacks_it(lake: Lake) -> None:
    point_to(lake, "r")
    (row,) = releases(lake)
    assert (row["id"], row["current"], row["status"]) == ("r", True, "damaged")
    assert row["problem"].startswith(f"The file {lake.path('releases/r/plan.json')} is missing.")


def test_a_damaged_pointer_or_page_is_a_problem_of_a_row_that_has_all_else(lake: Lake) -> None:
    release = plan_release(lake, "r", "2015-01-03T03:00:00+00:00", FIRST, is_complete=True)
    release.notes[RECORD] = release_record("r", "2015-01-03T04:00:00+00:00")
    lake.put(POINTER, b"{")
    (page,) = release.members.pages(ISSUES.name).values()
    lake.delete(f"pages/{page}")
    (row,) = releases(lake)
    assert (row["status"], row["issues"], row["bytes"]) == ("published", 1, None)
    assert f"The file {lake.path(POINTER)} is damaged: it is not valid JSON" in row["problem"]
    assert f"The file {lake.path(f'pages/{page}')} is missing" in row["problem"]
