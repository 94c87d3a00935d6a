"""What a night costs in processor time and in storage, on real issues: the figures of docs/costs.md.

    TITLER_TEST_DATA=FOLDER PYTHONPATH=. .venv/bin/python tests/benchmarks/costs.py \\
        [--first 10000] [--night 1000] [--variant gru]

A day of so many real issues is ingested, a network learns from it for one epoch, and a release is published;
then a night comes with a second day. Each verb is a process of its own, whose processor time (user and
system, its children's included) is what is printed, beside the memory of the largest of its processes: with
the first day's and the night's issues, what a verb takes to start and what an issue takes can be told apart.
Not so of `index`, which also depends on the months that a search looks back: `segments.py` measures it. Here
Annoy is measured by itself, on vectors that are drawn.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.index import annoy_index
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.settings import Index, Model
from tests.benchmarks.parts import GITHUB, read, test_data

FIRST, NIGHT = date(2015, 1, 1), date(2015, 1, 2)
RELEASES = ("first", "night")
SEED = 7
QUERIES = 200
FOOTER = ("current.json", "keys", "manifest.json")


def days(first: int, night: int) -> dict[date, list[dict[str, Any]]]:
    """Real issues of GitHub, drawn: so many for each day."""
    table = read(test_data())
    rows = [
        row
        for row in table.to_pylist()
        if (row["url"] or "").startswith(GITHUB) and row["kind"] == "issue" and row["title"]
    ]
    if len(rows) < first + night:
        sys.exit(
            f"{len(rows)} issues of GitHub in {test_data()}, expected {first + night}: "
            "ask for fewer (--first, --night)."
        )
    order = np.random.default_rng(SEED).permutation(len(rows))[: first + night]
    chosen = [rows[position] for position in order]
    return {FIRST: chosen[:first], NIGHT: chosen[first:]}


def write_days(folder: Path, first: int, night: int) -> None:
    """The hour files of both."""
    for number, (day, issues) in enumerate(days(first, night).items()):
        write(folder, day, issues, 1 + number * first)


def write(folder: Path, day: date, issues: list[dict[str, Any]], begin: int) -> None:
    """A day's 24 hour files, the issues spread over them."""
    hours: dict[int, list[str]] = {hour: [] for hour in range(24)}
    for number, row in enumerate(issues):
        at = datetime(day.year, day.month, day.day) + timedelta(seconds=number * 86_000 // len(issues))
        issue = {
            "id": begin + number,
            "number": number + 1,
            "html_url": row["url"],
            "title": row["title"],
            "body": row["body"],
        }
        event = {
            "id": str(begin + number),
            "type": "IssuesEvent",
            "actor": {"id": 1, "login": "someone"},
            "repo": {"id": 2, "name": row["repo"]},
            "payload": {"action": "opened", "issue": issue},
            "created_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        }
        hours[at.hour].append(json.dumps(event))
    for hour, lines in hours.items():
        (folder / f"{day}-{hour}.json.gz").write_bytes(gzip.compress("\n".join(lines).encode()))


class Took(NamedTuple):
    """A verb's processor seconds, and the peak of the largest of its processes in MiB."""

    seconds: float
    memory: float


def titler(environment: dict[str, str], *arguments: str) -> Took:
    """What a verb takes. Ends the process, with what the verb said, where it fails."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("titler"), *arguments], env=environment, stdout=said, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            sys.exit(f"titler {' '.join(arguments)}: exit code {process.returncode}\n{said.read().decode()}")
    return Took(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def run(environment: dict[str, str]) -> dict[str, dict[str, Took]]:
    """What each verb took for the first day and for the night."""
    took: dict[str, dict[str, Took]] = {release: {} for release in RELEASES}
    training = (
        ("vocab", "model"),
        ("vectorize", "--model", "model"),
        ("train", "model"),
        ("evaluate", "model"),
    )
    for release, day in zip(RELEASES, (FIRST, NIGHT), strict=True):
        for verb in ("extract", "clean"):
            took[release][verb] = titler(environment, verb, "--day", str(day))
        if release == RELEASES[0]:
            for verb, *rest in training:
                took[release][f"{verb} (training)"] = titler(environment, verb, *rest)
            titler(environment, "promote", "model", "--force", "--because", "a benchmark")
        for verb in ("plan", "vectorize", "embed", "predict", "index", "publish", "collect"):
            option = () if verb == "collect" else ("--release", release)
            took[release][verb] = titler(environment, verb, *option)
    return took


def stored(lake: Lake) -> dict[str, tuple[int, int, int]]:
    """Rows, bytes and files by table, over the batches of the last release: Parquet, JSON and index, with
    manifests and pointers."""
    release = Pinned(lake, "releases", RELEASES[1])
    plan = release.plan
    folders = [folder for day in plan.days for folder in (day.issues, day.tokens, day.health)]
    for name in lake.names(f"releases/{release.name}/members"):
        folders += release.members.folders(name.removesuffix(".json"))
    found: dict[str, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    for folder in dict.fromkeys([*folders, plan.facts["predictor"]]):
        manifest = lake.manifest(folder)
        rows, size, files = found[manifest.table]
        more = sum(file.bytes for file in manifest.files)
        found[manifest.table] = (rows + manifest.rows, size + more, files + len(manifest.files) + len(FOOTER))
    return dict(found)


def indexed(count: int) -> tuple[float, int, float]:
    """Of an index of `count` drawn vectors: processor seconds to build it, its bytes, and processor
    seconds of a query."""
    size, settings = Model().hidden_size, Index()
    vectors = np.random.default_rng(SEED).standard_normal((count, size), dtype=np.float32)
    with tempfile.TemporaryDirectory(prefix="titler-costs-") as folder:
        path = Path(folder, "issues.ann")
        began = time.process_time()
        annoy_index.build([vectors], size, path, trees=settings.trees, seed=SEED)
        built = time.process_time()
        index = annoy_index.Index(path, size)
        for vector in vectors[:QUERIES]:
            index.nearest(vector, settings.neighbours, settings.search_k)
        return built - began, path.stat().st_size, (time.process_time() - built) / QUERIES


def main() -> None:
    """Prints three tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=int, default=10_000, help="issues of the first day")
    parser.add_argument("--night", type=int, default=1_000, help="issues of the night's day")
    parser.add_argument("--variant", default=Model().variant, help="the network")
    parser.add_argument(
        "--indexed", type=int, nargs="*", default=[10_000, 100_000], help="vectors in an index"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="titler-costs-") as folder:
        hours = Path(folder, "hours")
        hours.mkdir()
        # in a process of its own: a child's peak begins with the memory of the one that started it
        reader = multiprocessing.get_context("spawn").Process(
            target=write_days, args=(hours, chosen.first, chosen.night)
        )
        reader.start()
        reader.join()
        if reader.exitcode:
            sys.exit(reader.exitcode)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TITLER_")}
        settings = {
            "TITLER_SOURCE__HOURS": str(hours),
            "TITLER_LAKE__ROOT": f"{folder}/lake",
            "TITLER_MODEL__VARIANT": chosen.variant,
            "TITLER_MODEL__EPOCHS": "1",
            "TITLER_INDEX__MIN_RECALL": "0",
        }
        took = run({**kept, **settings})
        tables = stored(Lake(f"{folder}/lake"))
        size = Path(folder, "lake", "warehouse.duckdb").stat().st_size
    print(
        f"{chosen.first:,} issues on the first day, {chosen.night:,} in the night, {chosen.variant}; "
        "processor seconds"
    )
    print(
        f"{'verb':24} {'first day':>10} {'night':>10} {'to start':>10} {'1,000 issues':>13} {'peak MiB':>9}"
    )
    for verb, first in took[RELEASES[0]].items():
        night = took[RELEASES[1]].get(verb)
        if night is None:
            print(f"{verb:24} {first.seconds:10.1f} {'':35} {first.memory:9,.0f}")
            continue
        an_issue = max(0.0, (first.seconds - night.seconds) / (chosen.first - chosen.night))
        to_start = max(0.0, night.seconds - an_issue * chosen.night)
        times = f"{first.seconds:10.1f} {night.seconds:10.1f} {to_start:10.1f} {1000 * an_issue:13.2f}"
        print(f"{verb:24} {times} {max(first.memory, night.memory):9,.0f}")
    print(f"\n{'table':24} {'rows':>10} {'bytes':>12} {'bytes a row':>12} {'objects':>8}")
    for table, (rows, total, files) in sorted(tables.items()):
        print(f"{table:24} {rows:10,} {total:12,} {total / max(rows, 1):12.1f} {files:8}")
    print(f"{'warehouse.duckdb':24} {'':10} {size:12,}")
    print(f"\n{'vectors indexed':>15} {'s to build':>11} {'bytes a vector':>15} {'ms a query':>11}")
    for count in chosen.indexed:
        built, total, query = indexed(count)
        print(f"{count:15,} {built:11.1f} {total / count:15.0f} {1000 * query:11.2f}")


if __name__ == "__main__":
    main()
