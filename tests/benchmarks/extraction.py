"""What it costs to extract a day from each kind of base: the figures of docs/sources.md.

    TITLER_TEST_DATA=FOLDER PYTHONPATH=. .venv/bin/python tests/benchmarks/extraction.py \\
        [--events 8000] [--late 5]

Writes a source day of real events: the lines of the hours in FOLDER/gharchive, with new ids and times, so
many per hour. In the base of the kind `gharchive`, every event is in the file of its own hour. In the base of
the kind `crawl-time`, `--late` percent of the events are in one of the six files after it, and the first six
hours of the next day are read as well. The third row has both bases: the first one lacks four hours.

Each extraction runs in a process of its own. The processor time is that of the extraction, user and system,
without the start of the process.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.lake.batches import Lake
from pipeline.settings import Compute, HourBase, LakeSettings, Settings, Source
from pipeline.stages import extract
from tests.benchmarks.parts import test_data

DAY = date(2024, 1, 10)
HOURS, LATE_HOURS = 24, 6
LACKED = (3, 9, 15, 21)
"""The hours that the first of two bases lacks."""


class Cost(NamedTuple):
    """What the extraction of the day needed: the number of its files and of the events in them, the events
    and issues of the day, and processor seconds."""

    bases: str
    files: int
    read: int
    events: int
    issues: int
    seconds: float


def table(costs: Sequence[Cost]) -> str:
    """Returns a table with a row per extraction."""
    lines = [
        f"{'bases':40} {'files':>5} {'events read':>11} {'events':>8} {'issues':>7} {'CPU s':>7} "
        f"{'CPU s per million events':>24}"
    ]
    lines += [
        f"{cost.bases:40} {cost.files:5} {cost.read:11,} {cost.events:8,} {cost.issues:7,} "
        f"{cost.seconds:7.2f} {1e6 * cost.seconds / cost.events:24.1f}"
        for cost in costs
    ]
    return "\n".join(lines)


def moved(line: bytes, number: int, hour: int, second: int) -> bytes:
    """Returns an event with another id and time. `hour` counts from the start of DAY. Its issue, if it has
    one, gets another id, too: otherwise most issues would be stored once only."""
    event: dict[str, Any] = json.loads(line)
    event["id"] = str(number)
    day, of_day = DAY + timedelta(hour // HOURS), hour % HOURS
    event["created_at"] = f"{day}T{of_day:02}:{second // 60:02}:{second % 60:02}Z"
    if isinstance(issue := event["payload"].get("issue"), dict):
        issue["id"] = number
    return json.dumps(event).encode() + b"\n"


def write_bases(lines: Sequence[bytes], per_hour: int, late: float, root: Path) -> None:
    """Writes the bases `gharchive`, `crawl-time` and `lacking` below `root`. `late` is the share of late
    events, 0 to 1."""
    random = np.random.default_rng(0)
    for name in ("gharchive", "crawl-time", "lacking"):
        (root / name).mkdir()
    source = cycle(lines)
    crawled: list[list[bytes]] = [[] for _ in range(HOURS + 2 * LATE_HOURS)]
    for hour in range(HOURS + LATE_HOURS):
        own = [
            moved(line, hour * per_hour + place + 1, hour, 3600 * place // per_hour)
            for place, line in enumerate(islice(source, per_hour))
        ]
        is_late = random.random(per_hour) < late
        delays = random.integers(1, LATE_HOURS + 1, per_hour) * is_late
        for line, delay in zip(own, delays.tolist(), strict=True):
            crawled[hour + delay].append(line)
        name = f"{DAY + timedelta(hour // HOURS)}-{hour % HOURS}.json.gz"
        for base, hour_lines in (("gharchive", own), ("crawl-time", crawled[hour])):
            (root / base / name).write_bytes(gzip.compress(b"".join(hour_lines), 1))
        if hour not in LACKED:
            os.link(root / "gharchive" / name, root / "lacking" / name)
        crawled[hour] = []


def measure(bases: Sequence[HourBase], root: Path) -> Cost:
    """Extracts DAY from these bases into an empty lake."""
    with tempfile.TemporaryDirectory(dir=root) as lake:
        settings = Settings(
            source=Source(hours=tuple(bases), late_hours=LATE_HOURS, recheck_days=0),
            lake=LakeSettings(root=lake),
            compute=Compute(workers=1),
        )
        before = os.times()
        outcome, (health,) = extract.run(Lake(lake), settings, [DAY])
        after = os.times()
    seconds = after.user + after.system - before.user - before.system
    seconds += after.children_user + after.children_system - before.children_user - before.children_system
    (manifest,) = outcome.manifests
    files = manifest.figures.get("files", manifest.parameters["hours"])
    names = " + ".join(Path(base.base).name for base in bases)
    read = sum(
        _count_lines(root / (Path(bases[0].base).name if len(file) == 3 else file[3]), file[0])
        for file in files
    )
    return Cost(names, len(files), read, health["events"], health["issues"], seconds)


def _count_lines(base: Path, hour: int) -> int:
    name = f"{DAY + timedelta(hour // HOURS)}-{hour % HOURS}.json.gz"
    return gzip.decompress((base / name).read_bytes()).count(b"\n")


def main() -> None:
    """Writes the bases, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=8000, help="events per hour")
    parser.add_argument("--late", type=float, default=5, help="percent of the events that are late")
    arguments = parser.parse_args()
    paths = sorted((test_data() / "gharchive").glob("*.json.gz"))
    lines = [line for path in paths for line in gzip.decompress(path.read_bytes()).splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_bases(lines, arguments.events, arguments.late / 100, root)
        archive, lacking = (HourBase(base=str(root / name)) for name in ("gharchive", "lacking"))
        crawled = HourBase(base=str(root / "crawl-time"), kind="crawl-time")
        jobs = [((base,), root) for base in (archive, crawled)] + [((lacking, crawled), root)]
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            print(table(pool.starmap(measure, jobs, chunksize=1)))


if __name__ == "__main__":
    main()
