"""What the index of a release costs as history grows: the figures of docs/costs.md.

    PYTHONPATH=. .venv/bin/python tests/benchmarks/segments.py \\
        [--months 1 12 60 120] [--issues 2000] [--new 500]

Makes a lake of invented issues with clustered vectors per length of history, publishes nothing, and indexes
two releases: one of the history, and one of the next night, which adds a day. All figures of processor time
are seconds of this process, which runs BLAS with one thread. The time to list and to read manifests of all
days is part of `night`; `night: segment` and `night: neighbours` leave it out.

The first question is asked by a new process, which has imported what it needs. `not merged` has
one segment per month, as before a year is closed.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import usage
from pipeline.contracts import EMBEDDINGS, ISSUES, PREDICTOR, SEGMENTS, Table
from pipeline.index import neighbour_batches
from pipeline.index.neighbour_batches import make_neighbours
from pipeline.index.neighbour_rows import find_lists
from pipeline.index.neighbours import SearchParameters, plan_neighbours
from pipeline.index.queries import Ages, Queries, months_before
from pipeline.index.release_days import days_of_release, read_items
from pipeline.index.segment import Segment, days_since_1970, microseconds
from pipeline.index.segment_build import SegmentToBuild, build_segment
from pipeline.index.segment_plan import plan_segments
from pipeline.index.segment_search import search
from pipeline.index.segmented_index import Search, open_segments
from pipeline.lake.batches import Lake
from pipeline.lake.list_columns import list_column
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import PinnedDay
from pipeline.progress import say
from pipeline.settings import Index, LakeSettings, Settings
from pipeline.stages import index

SIZE, CLUSTERS, REPOSITORIES, SEED = 300, 2000, 500, 7
NIGHT = date(2024, 12, 28)
"""The day that a night adds. History ends the day before."""
DAYS_PER_MONTH = 28


class InventedLake:
    """A lake with issues and embeddings of many days, made from a random seed."""

    def __init__(self, root: Path) -> None:
        self.lake = Lake(str(root))
        self._random = np.random.default_rng(SEED)
        self._centres = self._random.standard_normal((CLUSTERS, SIZE), dtype=np.float32)
        self._next_id = 1
        self.predictor = self.lake.draft(PREDICTOR, {"model": "m"}).commit({"hidden_size": SIZE})

    def add_day(self, day: date, issues: int) -> tuple[PinnedDay, Manifest]:
        """Writes a day with this number of issues."""
        ids = np.arange(self._next_id, self._next_id + issues)
        self._next_id += issues
        repos = [f"owner/repository-{number}" for number in self._random.integers(0, REPOSITORIES, issues)]
        seconds = np.sort(self._random.integers(0, 86_400, issues)).tolist()
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        table = pa.table(
            {
                "issue_id": ids,
                "issue_url": [
                    f"https://github.com/{repo}/issues/{id_}" for repo, id_ in zip(repos, ids, strict=True)
                ],
                "repo": repos,
                "number": ids,
                "author": pa.nulls(issues, pa.string()),
                "title": [f"Something is broken in part {number}" for number in ids],
                "body": pa.nulls(issues, pa.string()),
                "created_at": [midnight + timedelta(seconds=second) for second in seconds],
                "event_id": [str(number) for number in ids],
                "trainable": pa.repeat(True, issues),
            }
        )
        noise = self._random.standard_normal((issues, SIZE), dtype=np.float32)
        vectors = self._centres[self._random.integers(0, CLUSTERS, issues)] + noise
        embeddings = pa.table({"issue_id": ids, "embedding": list_column(vectors.astype(np.float16))})
        batch = self._write(ISSUES, {"day": str(day)}, table)
        pinned = PinnedDay(str(day), batch.folder, "", "", batch.digest, "", "")
        return pinned, self._write(EMBEDDINGS, {"model": "m", "day": str(day)}, embeddings)

    def _write(self, contract: Table, partition: dict[str, str], table: pa.Table) -> Manifest:
        draft = self.lake.draft(contract.name, partition)
        draft.write_table("part-00000.parquet", table, contract)
        return draft.commit()

    def release(self, name: str, days: list[tuple[PinnedDay, Manifest]]) -> Pinned:
        """Opens a release of these days."""
        facts = {
            "model": "m",
            "predictor": self.predictor.folder,
            "predictor_digest": self.predictor.digest,
            "neighbours": 10,
            "near_duplicate_distance": 0.7,
        }
        release = Pinned(self.lake, "releases", name)
        release.open([pinned for pinned, _ in days], facts)
        release.members.put(ISSUES.name, [self.lake.manifest(pinned.issues) for pinned, _ in days])
        release.members.put(EMBEDDINGS.name, [embeddings for _, embeddings in days])
        return release


def days_before(night: date, months: int) -> Iterator[date]:
    """Yields DAYS_PER_MONTH days of each of the last `months` months, up to the day before `night`."""
    for number in range(months - 1, -1, -1):
        year, month = divmod(night.year * 12 + night.month - 1 - number, 12)
        for day in range(1, DAYS_PER_MONTH + 1):
            if date(year, month + 1, day) < night:
                yield date(year, month + 1, day)


def processor_time(work: Callable[[], Any]) -> tuple[float, Any]:
    """Returns the seconds of processor time that `work` takes, and its result."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def first_question(root: Path, release: str) -> dict[str, float]:
    """Answers the first questions in a new process: milliseconds, and MiB of memory beyond the imports."""
    command = [sys.executable, __file__, "--ask", str(root), release]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def ask(root: str, name: str) -> None:
    """Prints how long the first questions took, as JSON."""
    lake, settings = Lake(root), Settings(lake=LakeSettings(root=root))
    release = Pinned(lake, "releases", name)
    last_day = lake.read(lake.manifest(release.plan.days[-1].issues), ISSUES, ["issue_url"])
    url = last_day.column("issue_url").to_pylist()[-1]
    usage.reset_peak()
    before, began, processor = usage.peak_mib(), time.perf_counter(), time.process_time()
    opened = open_segments(release, settings)
    issue = opened.find(url)
    assert len(opened.similar(issue, Search(None, everywhere=True, count=10))) == 10
    anywhere, processor_anywhere = time.perf_counter(), time.process_time()
    assert opened.similar(issue, Search(issue.repo, everywhere=False, count=10))
    repository, processor_repository = time.perf_counter(), time.process_time()
    figures = {
        "question: anywhere, ms": 1000 * (anywhere - began),
        "question: anywhere, ms of processor time": 1000 * (processor_anywhere - processor),
        "question: repository, ms": 1000 * (repository - anywhere),
        "question: repository, ms of processor time": 1000 * (processor_repository - processor_anywhere),
        "question: memory, MiB": usage.peak_mib() - before,
    }
    print(json.dumps(figures))


def measured(root: Path, months: int, issues: int, new: int) -> dict[str, float]:
    """Returns the figures of a night after `months` months of history."""
    invented, settings = InventedLake(root), Settings(lake=LakeSettings(root=str(root)))
    history = [invented.add_day(day, issues // DAYS_PER_MONTH) for day in days_before(NIGHT, months)]
    built, outcome = processor_time(
        lambda: index.run(invented.lake, invented.release("history", history), settings)
    )
    days = [*history, invented.add_day(NIGHT, new)]
    night = invented.release("night", days)
    took, outcome = processor_time(lambda: index.run(invented.lake, night, settings))
    size_on_disk = sum(file.bytes for manifest in outcome.segments for file in manifest.files)
    return {
        "items": outcome.figures["items"],
        "segments": len(outcome.segments),
        "index, MiB": size_on_disk / 2**20,
        "history, s": built,
        "night, s": took,
        **_parts_of_the_night(invented.lake, night, settings),
        **first_question(root, "night"),
    }


def _parts_of_the_night(lake: Lake, night: Pinned, settings: Settings) -> dict[str, float]:
    """Measures the parts of a night again, one by one."""
    days, size = days_of_release(night), SIZE
    last = plan_segments(days, settings.index)[-1]
    segment, _ = processor_time(lambda: build_segment(SegmentToBuild(last), lake, "m", size, settings.index))
    manifests = list(night.members[SEGMENTS.name])
    planned = plan_neighbours(days, SearchParameters(10, 0.7, settings.similar.months), 31)
    neighbours, _ = processor_time(
        lambda: make_neighbours(lake, "m", size, planned[-1:], manifests, settings)
    )
    issues, vectors = read_items(lake, days[-1:], size, with_bodies=True)
    ages = Ages(
        microseconds(issues.column("created_at")),
        issues.column("issue_id").to_numpy(),
        days_since_1970(issues.column("day")),
    )
    queries = Queries(vectors.astype(np.float32), months_before(days[-1].day, settings.similar.months), ages)
    segments = [Segment.of_batch(lake, manifest) for manifest in manifests]
    anywhere, _ = processor_time(lambda: search(segments, queries, 10, settings.index))
    lists, _ = processor_time(
        lambda: find_lists(segments, issues, vectors, int(queries.opened_since or 0), 10, settings.index)
    )
    return {
        "night: segment, s": segment,
        "night: neighbours, s": neighbours,
        "ten nearest anywhere, ms per issue": 1000 * anywhere / len(issues),
        "both lists, ms per issue": 1000 * lists / len(issues),
    }


def unmerged(root: Path, issues: int) -> dict[str, float]:
    """Indexes the last release of a lake again, without merging months into years, and asks it."""
    lake = Lake(str(root))
    night = Pinned(lake, "releases", "night")
    settings = Settings(
        lake=LakeSettings(root=str(root)),
        index=Index(segment_items=issues // DAYS_PER_MONTH * DAYS_PER_MONTH),
    )
    manifests = [
        build_segment(SegmentToBuild(plan), lake, "m", SIZE, settings.index)
        for plan in plan_segments(days_of_release(night), settings.index)
    ]
    night.members.put(SEGMENTS.name, manifests)
    return {"segments": len(manifests), **first_question(root, "night")}


def main() -> None:
    """Prints one table: a row per figure, a column per length of history."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--months", type=int, nargs="*", default=[1, 12, 60, 120], help="lengths of history")
    parser.add_argument("--issues", type=int, default=2000, help="issues per month")
    parser.add_argument("--new", type=int, default=500, help="new issues of the night")
    parser.add_argument("--ask", nargs=2, metavar=("ROOT", "RELEASE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.ask:
        ask(*chosen.ask)
        return
    # Work of a cluster's processes would not count.
    index.ITEMS_WORTH_A_CLUSTER = neighbour_batches.ISSUES_WORTH_A_CLUSTER = sys.maxsize
    columns: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="titler-segments-") as folder:
        for months in chosen.months:
            root = Path(folder, str(months))
            columns[f"{months} months"] = measured(root, months, chosen.issues, chosen.new)
        longest = Path(folder, str(chosen.months[-1]))
        columns[f"{chosen.months[-1]} months, not merged"] = unmerged(longest, chosen.issues)
    say("| | " + " | ".join(columns) + " |")
    say("|---" * (len(columns) + 1) + "|")
    for figure in columns[f"{chosen.months[0]} months"]:
        values = [f"{column[figure]:,.4g}" if figure in column else "" for column in columns.values()]
        say(f"| {figure} | " + " | ".join(values) + " |")


if __name__ == "__main__":
    main()
