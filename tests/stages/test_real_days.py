"""Six weeks of real days, with Christmas.

One day lost hours and one most of its issues: their verdicts, and what happens to the release.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.cli import query_reports, stage_reports, whole_job
from pipeline.cli.options import Context
from pipeline.errors import StoppedError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.releases.current import current_release_id
from pipeline.serving import status as serving_status
from pipeline.settings import Settings
from pipeline.stages import extract, publish
from tests.support import lakes
from tests.support.lakes import query
from tests.support.replay import replay

FIRST, LAST = date(2019, 12, 2), date(2020, 1, 12)  # a Monday, a Sunday
DAYS = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
LOST, EMPTIED, AFTER = date(2020, 1, 8), date(2020, 1, 9), date(2020, 1, 10)


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hour files of the days. A Wednesday lacks three hours; on a Thursday all but the first issue became
    pushes."""
    folder = replay(tmp_path_factory.mktemp("hours"), FIRST, LAST)
    for hour in (3, 4, 17):
        (folder / f"{LOST}-{hour}.json.gz").unlink()
    first = True
    for hour in range(24):
        path = folder / f"{EMPTIED}-{hour}.json.gz"
        events = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        kept = events[:1] if first else []
        first = first and not events
        pushed = [{**event, "type": "PushEvent", "payload": {}} for event in events[len(kept) :]]
        path.write_bytes(
            gzip.compress("".join(json.dumps(event) + "\n" for event in [*kept, *pushed]).encode())
        )
    return folder


@pytest.fixture(scope="module")
def settings(hours: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return lakes.small_settings(hours, tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def lake(settings: Settings) -> Lake:
    return Lake(settings.lake.root)


@pytest.fixture(scope="module")
def error(lake: Lake, settings: Settings) -> str:
    """The error of `titler run` over the last week, after the other days were extracted."""
    extract.run(lake, settings, DAYS[:-7])
    with pytest.raises(StoppedError) as stopped:
        whole_job.run(Context.of(settings), DAYS[-7:], retrain=False, variant=None, epochs=None)
    return str(stopped.value)


def test_the_release_is_stopped_with_the_reason_and_the_next_commands(error: str, lake: Lake) -> None:
    (name,) = pinned_names(lake, "releases")
    assert error.splitlines() == [
        "2020-01-09: 1 issue where 27 are usual for a Thursday (24 of 24 hours found), so the day has "
        f"collapsed and stops release {name}.",
        "See what the source gave:  titler status --day 2020-01-09",
        "Fetch it again:            titler extract --day 2020-01-09 --again; then clean it and plan another "
        "release",
        f'Accept it as it is:        titler publish --release {name} --accept 2020-01-09 --because "..."',
    ]
    assert current_release_id(lake) is None


def test_all_other_days_are_complete(error: str, lake: Lake, settings: Settings) -> None:
    verdicts = {day["day"]: day["verdict"] for day in serving_status.status(lake, settings)["days"]}
    assert (len(verdicts), {day: verdict for day, verdict in verdicts.items() if verdict != "complete"}) == (
        42,
        {"2020-01-08": "partial", "2020-01-09": "collapsed"},
    )
    assert serving_status.verdict_reasons(lake, verdicts) == {
        "2020-01-08": "21 of 24 hours found",
        "2020-01-09": "1 issue where 27 are usual for a Thursday",
    }


def test_extract_and_status_print_the_reasons(
    error: str, lake: Lake, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    stage_reports.extracted(lake, settings, *extract.run(lake, settings, [LOST, EMPTIED, AFTER]))
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "    2020-01-08 is partial: 21 of 24 hours found",
        "    2020-01-09 is collapsed: 1 issue where 27 are usual for a Thursday (24 of 24 hours found)",
    ]
    query_reports.status(
        serving_status.status(lake, settings, str(EMPTIED), str(EMPTIED)),
        False,
        serving_status.verdict_reasons(lake, [str(EMPTIED)]),
    )
    assert capsys.readouterr().out.splitlines()[:3] == [
        "days      1 collapsed",
        "          day         hours  events  malformed  issues  trainable  verdict",
        "          2020-01-09  24/24      40          0       1          0  collapsed: "
        "1 issue where 27 are usual for a Thursday",
    ]


def test_an_accepted_day_is_published_and_every_row_has_the_verdict_of_its_day(
    error: str, settings: Settings, tmp_path: Path
) -> None:
    settings = lakes.copy_lake(settings, tmp_path / "copied")
    lake = Lake(settings.lake.root)
    (name,) = pinned_names(lake, "releases")
    row = publish.run(lake, settings, Pinned(lake, "releases", name), {str(EMPTIED): "the source lost them"})
    (acceptance,) = json.loads(row["accepted"])
    assert (current_release_id(lake), acceptance["day"], acceptance["because"]) == (
        name,
        "2020-01-09",
        "the source lost them",
    )
    assert datetime.now(UTC) - datetime.fromisoformat(acceptance["at"]) < timedelta(minutes=1)
    columns = "day, verdict, usual_events, usual_issues, compared_with, reason"
    assert query(
        settings, f"SELECT {columns} FROM source_health WHERE day BETWEEN '{LOST}' AND '{AFTER}' ORDER BY day"
    ) == [
        (LOST, "partial", 30, 26, "weekday", "21 of 24 hours found"),
        (EMPTIED, "collapsed", 36, 27, "weekday", "1 issue where 27 are usual for a Thursday"),
        (AFTER, "complete", 34, 25, "weekday", None),
    ]
    titles = (
        "SELECT verdict, COUNT(*) FROM title_predictions AS t JOIN source_health AS h ON h.day = t.source_day"
    )
    assert dict(
        query(settings, f"{titles} WHERE day BETWEEN '{EMPTIED}' AND '{AFTER}' GROUP BY verdict")
    ) == {
        "collapsed": 1,
        "complete": 25,
    }
    assert query(
        settings,
        "SELECT COUNT(*) FROM title_predictions WHERE source_day NOT IN (SELECT day FROM source_health)",
    ) == [(0,)]
