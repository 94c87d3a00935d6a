"""Source days that look complete but are not: what the hours contain decides the verdict."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from datetime import date
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.lake.batches import Lake
from pipeline.settings import Compute, LakeSettings, Settings, Source
from pipeline.stages import extract
from tests.warehouse.events import event, opened

DAY = date(2015, 1, 3)


def settings_of(folder: Path, hours: str) -> Settings:
    return Settings(
        source=Source(hours=hours),
        lake=LakeSettings(root=str(folder / "lake")),
        compute=Compute(workers=1),
    )


def write_day(folder: Path, issues_per_hour: int = 1, **issue: Any) -> Path:
    """A day of 24 hour files. Each has an event of another type and `issues_per_hour` opened issues; `issue`
    overrides their values."""
    folder.mkdir()
    for hour in range(24):
        at = f"2015-01-03T{hour:02}:10:00Z"
        first = 1 + hour * issues_per_hour
        events = [event("WatchEvent", event_id=f"9{hour:03}", at=at)]
        events += [
            opened(number, event_id=str(number), at=at, **issue)
            for number in range(first, first + issues_per_hour)
        ]
        write(folder, hour, gzip.compress("\n".join(map(json.dumps, events)).encode()))
    return folder


def write(folder: Path, hour: int, content: bytes) -> None:
    (folder / f"2015-01-03-{hour}.json.gz").write_bytes(content)


def judged(folder: Path, hours: str) -> dict[str, Any]:
    """Extracts the day from `hours`. Returns its row of source_health_v1."""
    settings = settings_of(folder, hours)
    _, (row,) = extract.run(Lake(settings.lake.root), settings, [DAY])
    return row


DAMAGED = {
    2: b"<!doctype html><p>404",
    5: b"",
    9: gzip.compress(b'{"id": "1"}')[:12],
    11: gzip.compress(b""),
    13: gzip.compress(b"not an event\n[]\n"),
}


def test_five_files_without_a_readable_event_are_five_missing_hours(tmp_path: Path) -> None:
    hours = write_day(tmp_path / "hours", issues_per_hour=10)
    for hour, content in DAMAGED.items():
        write(hours, hour, content)
    row = judged(tmp_path, str(hours))
    assert (row["hours_found"], row["hours_missing"], row["hours_unreadable"], row["verdict"]) == (
        19,
        [2, 5, 9, 11, 13],
        [2, 5, 9, 11, 13],
        "partial",
    )
    assert (
        row["reason"]
        == "19 of 24 hours found, no event could be read from the files of hours 2, 5, 9, 11, 13"
    )
    assert row["events_per_hour"] == [0 if hour in DAMAGED else 11 for hour in range(24)]


def test_files_that_were_damaged_after_the_extraction_do_not_replace_the_day(tmp_path: Path) -> None:
    hours = write_day(tmp_path / "hours", issues_per_hour=10)
    settings = settings_of(tmp_path, str(hours))
    lake = Lake(settings.lake.root)
    whole, _ = extract.run(lake, settings, [DAY])
    for hour, content in DAMAGED.items():
        write(hours, hour, content)
    outcome, (row,) = extract.run(lake, settings, [DAY])
    assert (outcome.manifests, outcome.unchanged_days) == (whole.manifests, {str(DAY): "19 of the 24 hours"})
    assert row["verdict"] == "complete"
    _, (row,) = extract.run(lake, settings, [DAY], again=True)
    assert row["verdict"] == "partial"


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_day_of_such_files_is_missing(tmp_path: Path, content: bytes) -> None:
    hours = write_day(tmp_path / "hours")
    for hour in range(24):
        write(hours, hour, content)
    row = judged(tmp_path, str(hours))
    assert (row["hours_found"], row["verdict"], row["issues"]) == (0, "missing", 0)


def test_a_damaged_file_with_readable_events_is_a_found_hour(tmp_path: Path) -> None:
    hours = write_day(tmp_path / "hours", issues_per_hour=50)
    path = hours / "2015-01-03-7.json.gz"
    path.write_bytes(path.read_bytes()[:-20])
    row = judged(tmp_path, str(hours))
    assert (row["hours_found"], row["malformed"], row["verdict"]) == (24, 1, "complete")


class _PagesInsteadOfErrors(SimpleHTTPRequestHandler):
    """Answers with a page and the status 200 if a file does not exist, as some mirrors do."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(b"<!doctype html><p>Not found, but try our other pages!")

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A mirror of the day that lacks the hours 3 and 20."""
    folder = write_day(tmp_path / "hours")
    for hour in (3, 20):
        (folder / f"2015-01-03-{hour}.json.gz").unlink()
    handler = partial(_PagesInsteadOfErrors, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_web_page_with_the_status_200_is_not_an_hour(tmp_path: Path, mirror: str) -> None:
    row = judged(tmp_path, mirror)
    assert (row["hours_found"], row["hours_unreadable"], row["verdict"]) == (22, [3, 20], "partial")


@pytest.mark.parametrize(
    ("unreadable", "verdict", "reason"),
    [
        (9, "complete", None),
        (210, "partial", "210 of 240 opened issues malformed"),
        (240, "collapsed", "240 of 240 opened issues malformed"),
    ],
)
@pytest.mark.parametrize("fault", ["no address", "an impossible time", "not JSON"])
def test_unreadable_issues_are_held_against_the_opened_issues(
    tmp_path: Path, unreadable: int, verdict: str, reason: str | None, fault: str
) -> None:
    hours = write_day(tmp_path / "hours", issues_per_hour=0)
    issues = [opened(number, event_id=str(number)) for number in range(1, 241)]
    lines = [json.dumps(issue) for issue in issues]
    for number, issue in enumerate(issues[:unreadable]):
        if fault == "no address":
            issue["payload"]["issue"]["html_url"] = None
        elif fault == "an impossible time":
            issue["created_at"] = "infinity"
        lines[number] = json.dumps(issue)[: -40 if fault == "not JSON" else None]
    lines += [json.dumps(event("PushEvent", event_id=str(number))) for number in range(10_000, 17_000)]
    write(hours, 5, gzip.compress("\n".join(lines).encode()))
    row = judged(tmp_path, str(hours))
    assert (row["malformed_issues"], row["issues"]) == (unreadable, 240 - unreadable)
    assert (row["verdict"], row["reason"]) == (verdict, reason)
