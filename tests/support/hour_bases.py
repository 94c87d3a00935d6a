"""Two bases of hour files with the same hours: GH Archive's, and one that is filed by crawl time."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pipeline.cli import stage_reports
from pipeline.contracts import ISSUES, Table
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.settings import Compute, HourBase, LakeSettings, Settings, Source
from pipeline.source.base_names import base_names
from pipeline.source.verdict_history import VerdictHistory, judge_day
from pipeline.stages import extract
from tests.warehouse.events import event, opened

DAY = date(2015, 1, 10)
NEXT = DAY + timedelta(days=1)
USUAL = 60  # events per hour of the earlier days


class Bases(NamedTuple):
    """Settings with two bases, and the folders of the bases."""

    settings: Settings
    archive: Path
    crawled: Path

    def address(self, rank: int) -> str:
        return self.settings.source.bases[rank].base

    def name(self, rank: int) -> str:
        return base_names(self.settings.source.bases)[rank]

    def extract(self, *days: date, again: bool = False) -> list[dict[str, Any]]:
        """Extracts days, and reports it. Returns their rows of source_health_v1."""
        lake = Lake(self.settings.lake.root)
        outcome, health = extract.run(lake, self.settings, days or [DAY], again=again)
        stage_reports.extracted(lake, self.settings, outcome, health)
        return health

    def rows(self, table: Any) -> list[dict[str, Any]]:
        return list(Lake(self.settings.lake.root).read(self.current(table), table).to_pylist())

    def current(self, table: Table = ISSUES) -> Manifest:
        """The current batch of DAY."""
        manifest = Lake(self.settings.lake.root).current(table.name, {"day": str(DAY)})
        assert manifest is not None
        return manifest


class FailingHandler(SimpleHTTPRequestHandler):
    """Serves a folder. `failing` maps the end of a path to what the server does instead of sending the file:
    `503`, `no answer` (503 also when its size is asked for) or `cut` (it sends only the beginning)."""

    failing: ClassVar[dict[str, str]] = {}

    def log_message(self, format: str, *args: object) -> None: ...

    def do_HEAD(self) -> None:
        if self._failure() == "no answer":
            self.send_error(503)
        else:
            super().do_HEAD()

    def do_GET(self) -> None:
        failure = self._failure()
        if failure is None:
            super().do_GET()
        elif failure == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
        else:
            self.send_error(503)

    def _failure(self) -> str | None:
        return next((failure for end, failure in self.failing.items() if self.path.endswith(end)), None)


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serves a folder with FailingHandler. Yields the address."""
    handler = partial(FailingHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def settings_of(root: Path | str, lake: Path) -> Settings:
    """Settings with the bases `archive` and `crawled` below `root`, a folder or an address."""
    hours = (HourBase(base=f"{root}/archive"), HourBase(base=f"{root}/crawled", kind="crawl-time"))
    return Settings(
        source=Source(hours=hours, late_hours=2),
        lake=LakeSettings(root=str(lake)),
        compute=Compute(workers=1),
    )


def two_bases(folder: Path) -> Bases:
    """Writes two bases, each with all hours of DAY, and one event in each hour."""
    archive, crawled = folder / "archive", folder / "crawled"
    for base in (archive, crawled):
        base.mkdir()
        for hour in range(24):
            write(base, DAY, hour, watched(hour, 1))
        for hour in range(6):
            write(base, NEXT, hour, watched(24 + hour, 1))
    return Bases(settings_of(folder, folder / "lake"), archive, crawled)


def at(hour: int, minute: int = 0) -> str:
    """A time in an hour, counted from the start of DAY."""
    return f"{DAY + timedelta(days=hour // 24)}T{hour % 24:02}:{minute:02}:00Z"


def watched(hour: int, count: int, first: int = 0) -> list[dict[str, Any]]:
    """`count` events that open no issue."""
    return [
        event("WatchEvent", event_id=f"9{hour:02}{number:03}", at=at(hour, number % 60))
        for number in range(first, first + count)
    ]


def issue(number: int, hour: int) -> dict[str, Any]:
    return opened(number, event_id=str(number), at=at(hour), number=number)


def write(folder: Path, day: date, hour: int, events: list[dict[str, Any]]) -> None:
    lines = "\n".join(map(json.dumps, events)).encode()
    (folder / f"{day}-{hour}.json.gz").write_bytes(gzip.compress(lines, mtime=0))


def usual_days(settings: Settings) -> None:
    """Stores seven complete days before DAY, each with USUAL events in each hour."""
    lake = Lake(settings.lake.root)
    history = VerdictHistory({})  # type: ignore[arg-type]  # a mapping without days
    for number in range(7, 0, -1):
        draft = lake.draft(ISSUES.name, {"day": str(DAY - timedelta(days=number))})
        figures = {"hours_found": 24, "hours_missing": [], "malformed": 0, "trainable": 0}
        manifest = draft.commit(
            {**figures, "events": 24 * USUAL, "events_per_hour": [USUAL] * 24, "malformed_issues": 0}
        )
        judge_day(lake, manifest, history)
