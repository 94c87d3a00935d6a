"""`titler status` reports source days with their verdicts, the champion and the current release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import SOURCE_HEALTH
from pipeline.errors import LakeError
from pipeline.lake.batches import Lake
from pipeline.lake.local_cache import LocalCache
from pipeline.lake.pinned import Pinned
from pipeline.releases.current import point_to
from pipeline.releases.records import RECORD
from pipeline.serving.status import status, verdict_reasons
from pipeline.settings import LakeSettings, Settings
from tests.support.release_records import release_record

COUNTS = {"hours_found": 24, "events": 9, "malformed": 0, "issues": 5, "trainable": 3}


def write_health(lake: Lake, day: str, **figures: Any) -> None:
    draft = lake.draft(SOURCE_HEALTH.name, {"day": day})
    draft.commit({"day": day, **COUNTS, "verdict": "complete", **figures})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(lake=LakeSettings(root=str(tmp_path)))


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings.lake.root)


def test_the_status_of_an_empty_lake_is_empty(lake: Lake, settings: Settings) -> None:
    assert status(lake, settings) == {"days": [], "model": None, "release": None}


def test_days_are_listed_with_counts_and_verdict(lake: Lake, settings: Settings) -> None:
    write_health(lake, "2015-01-01", usual_events=10)
    assert status(lake, settings)["days"] == [{"day": "2015-01-01", **COUNTS, "verdict": "complete"}]


@pytest.mark.parametrize(
    ("first", "last", "listed"),
    [
        (None, None, [1, 2, 3]),
        ("2015-01-02", None, [2, 3]),
        (None, "2015-01-02", [1, 2]),
        ("2015-01-02", "2015-01-02", [2]),
    ],
)
def test_only_days_from_the_first_to_the_last_are_listed(
    lake: Lake, settings: Settings, first: str | None, last: str | None, listed: list[int]
) -> None:
    for number in (1, 2, 3):
        write_health(lake, f"2015-01-0{number}")
    days = [day["day"] for day in status(lake, settings, first, last)["days"]]
    assert days == [f"2015-01-0{number}" for number in listed]


def test_days_without_a_stored_reason_are_left_out(lake: Lake) -> None:
    write_health(lake, "2015-01-01", verdict="partial", reason="23 of 24 hours found")
    write_health(lake, "2015-01-02", verdict="collapsed")  # written by an older version
    days = ["2015-01-01", "2015-01-02", "2015-01-03"]
    assert verdict_reasons(lake, days) == {"2015-01-01": "23 of 24 hours found"}


def test_the_current_release_has_its_figures_and_its_age(lake: Lake, settings: Settings) -> None:
    published_at = "2015-01-04T03:12:00+00:00"
    Pinned(lake, "releases", "r").notes[RECORD] = release_record("r", published_at, issues=3, index_items=2)
    with pytest.raises(LakeError, match="is missing, but releases were published: r"):
        status(lake, settings)
    point_to(lake, "r")
    release = status(lake, settings)["release"]
    assert release.pop("age_hours") > 24 * 365
    assert release == {
        "id": "r",
        "issues": 3,
        "index_items": 2,
        "recall_at_10": 1.0,
        "published_at": published_at,
        "stale": True,
        "titles_withheld": None,  # of a record from before titles could be withheld
    }


def test_a_bucket_without_the_address_of_mlflow_has_no_model(tmp_path: Path) -> None:
    lake = Lake("memory://status", LocalCache(str(tmp_path)))
    published_at = "2015-01-04T03:12:00+00:00"
    Pinned(lake, "releases", "r").notes[RECORD] = release_record("r", published_at)
    point_to(lake, "r")
    assert status(lake, Settings(lake=LakeSettings(root=lake.root)))["model"] is None
