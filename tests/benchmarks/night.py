"""What a night costs in lakes of different sizes: processor time, memory, store operations, bytes; by verb.

    PYTHONPATH=. TITLER_TEST_DATA=FOLDER .venv/bin/python tests/benchmarks/night.py --model DIR
    ... --issues 10000,1000000,5000000 --folder DIR     other lakes, made in DIR/issues-10000, ...
    ... --json                                          a list with one object per lake

Each lake has its issues in the same 120 months, and a published release of them. The night brings a day of
5,000 new issues and runs all verbs, each in a process of its own, as the command does. Making a lake is not
measured (tests/support/issue_history.py); its second release is a night before, so that nothing is done for
the first time. The lake is a folder, which is deleted after it was measured. With --folder, a lake whose
making was interrupted is continued.

The texts are real issues of GitHub from TITLER_TEST_DATA, or generated ones without it. The model is the one
in DIR; without it, a `copy` of the default size with fresh weights, which is slower because its titles never
end early.

Processor time is user and system time of the process and its children, which compute with one thread per
process. It hardly depends on other programs on the machine; elapsed time does. The memory is the highest sum
over a verb's processes, memory-mapped files of the index included. Store operations are counted as requests
to a bucket would be. They include reading the pages of lists, which a machine keeps in its local cache if the
lake is in a bucket. The bytes are what the verb writes into the lake, `warehouse.duckdb` included.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import sample
from tests.benchmarks.parts import GITHUB, read, test_data

NIGHT, NIGHT_BEFORE = date(2024, 12, 31), date(2024, 12, 30)
POOL = 20_000
"""Largest number of different issues in a history. A larger history repeats them."""
GENERATED = 5_000
"""Number of issues that are generated if there are no real ones."""
SEED = 7
FIRST_NEW_NUMBER = 1_000_000_000
"""The number of the first new issue, which is larger than those of a history."""
MODEL = "model"
FOR_RELEASE = ("plan", "vectorize", "embed", "predict", "index", "publish")
TITLES = "predict"
"""The verb that predicts titles."""
SAMPLED_EVERY = 0.1
"""Seconds between two measurements of the memory of all processes of a verb."""
Text = Mapping[str, Any]
"""An issue: `repo`, `title` and `body`."""


@dataclass(frozen=True)
class LakePlan:
    """Where a lake is made, and how: its number of issues, and the new issues of the night."""

    folder: Path
    issues: int
    months: int
    new: int
    model: Path | None

    @property
    def environment(self) -> dict[str, str]:
        """The environment of all commands."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("TITLER_")}
        return {
            **others,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "TITLER_SOURCE__HOURS": str(self.folder / "hours"),
            "TITLER_LAKE__ROOT": str(self.folder / "lake"),
            "TITLER_LAKE__CACHE": str(self.folder / "cache"),
            "TITLER_INDEX__MIN_RECALL": "0",
            "TITLER_RELEASE__KEEP": "1",  # so the night removes a release, as every night does
            "TITLER_RELEASE__MAX_ABSTAINED_RISE": "1",
        }


@dataclass(frozen=True)
class Cost:
    """What a verb cost, or all verbs together."""

    cpu_seconds: float
    wall_seconds: float
    peak_mib: float
    store_operations: int
    bytes_written: int

    @classmethod
    def of_all(cls, costs: Sequence[Cost]) -> Cost:
        """Returns the sum of the costs. The memory is the highest of them."""
        return cls(
            sum(cost.cpu_seconds for cost in costs),
            sum(cost.wall_seconds for cost in costs),
            max(cost.peak_mib for cost in costs),
            sum(cost.store_operations for cost in costs),
            sum(cost.bytes_written for cost in costs),
        )


def verbs_of_night(day: date, release: str) -> list[tuple[str, ...]]:
    """Returns the commands of a night: each is a verb with its options."""
    daily = [(verb, "--day", str(day)) for verb in ("extract", "clean")]
    return [*daily, *((verb, "--release", release) for verb in FOR_RELEASE), ("collect",)]


def texts(count: int) -> list[Text]:
    """Returns up to `count` issues in a random order that is always the same."""
    issues = _real_texts() if os.environ.get("TITLER_TEST_DATA") else _generated_texts()
    order = np.random.default_rng(SEED).permutation(len(issues))[:count]
    rows: list[Text] = issues.take(order).to_pylist()
    return rows


def _real_texts() -> pa.Table:
    issues = read(test_data())
    is_issue = pc.and_(pc.starts_with(issues["url"], GITHUB), pc.equal(issues["kind"], "issue"))
    has_title = pc.greater(pc.utf8_length(issues["title"]), 0)
    return issues.filter(pc.and_(is_issue, has_title)).select(["repo", "title", "body"])


def _generated_texts() -> pa.Table:
    rows = []
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        sample.write(Path(folder), days=1, issues_per_day=GENERATED)
        for path in sorted(Path(folder).glob("*.json.gz")):
            for line in gzip.decompress(path.read_bytes()).splitlines():
                with suppress(ValueError, KeyError, TypeError):  # malformed lines, or events of other types
                    event = json.loads(line)
                    issue = event["payload"]["issue"]
                    if event["type"] == "IssuesEvent" and issue["title"]:
                        values = (event["repo"]["name"], issue["title"], issue["body"] or "")
                        rows.append([text.encode(errors="replace").decode() for text in values])
    repos, titles, bodies = zip(*rows, strict=True)
    return pa.table({"repo": repos, "title": titles, "body": bodies})


def make_lake(plan: LakePlan) -> None:
    """Makes a lake with two releases, `first` and `before`, and the hour files of the night. Continues a lake
    whose making was interrupted."""
    from pipeline.lake.batches import Lake
    from pipeline.lake.local_cache import LocalCache
    from pipeline.predictor.loading import load_faster
    from pipeline.settings import load
    from tests.benchmarks.costs import write
    from tests.support.issue_history import IssueHistory, Pool, add_champion, issues_per_day

    os.environ.update(plan.environment)
    settings = load()
    lake = Lake(settings.lake.root, LocalCache(settings.lake.cache))
    counts = issues_per_day(plan.issues, plan.months, NIGHT_BEFORE)
    usual = max(1, counts.pop(str(NIGHT_BEFORE)))
    rows = texts(POOL + usual + plan.new)
    new = [rows[number % len(rows)] for number in range(-usual - plan.new, 0)]
    pooled = rows[: min(plan.issues, max(1, len(rows) - len(new)))]
    model = plan.model or plan.folder / "model"
    if plan.model is None:
        from tests.support.fresh_model import fresh_model  # imports Keras, which takes seconds

        model.mkdir(exist_ok=True)
        fresh_model([row["body"] or "" for row in pooled[:500]], settings).save(model)
    predictor = add_champion(lake, settings, MODEL, model)
    history = IssueHistory(lake, settings, Pool.of(pooled, load_faster(model)), predictor)
    for day, count in counts.items():
        if count:
            history.add_day(day, count)
    history.add_segments(str(NIGHT_BEFORE))
    history.add_neighbours()
    dice = np.random.default_rng(SEED)
    copies = dice.integers(0, -(-plan.issues // len(pooled)), len(new)).tolist()
    opened = [
        _opened(text, copy, number) for number, (text, copy) in enumerate(zip(new, copies, strict=True))
    ]
    if not (plan.folder / "hours").exists():
        (plan.folder / "hours").mkdir()
        write(plan.folder / "hours", NIGHT_BEFORE, opened[:usual], history.issues + 1)
        write(plan.folder / "hours", NIGHT, opened[usual:], history.issues + usual + 1)
    for arguments in (*verbs_of_night(NIGHT_BEFORE, "first")[2:], *verbs_of_night(NIGHT_BEFORE, "before")):
        run_here(arguments)


def _opened(text: Text, copy: int, number: int) -> dict[str, Any]:
    """Returns a new issue of a repository of the history."""
    repo = f"{text['repo']}-{copy}"
    return {**text, "repo": repo, "url": f"https://github.com/{repo}/issues/{FIRST_NEW_NUMBER + number}"}


def run_here(arguments: Sequence[str]) -> None:
    """Runs a verb in this process. Ends the process if the verb fails."""
    from tests.support.titler_in_process import titler

    result = titler(*arguments)
    if result.returncode:
        sys.exit(f"titler {' '.join(arguments)}: exit code {result.returncode}\n{result.stderr}")


def measure_verb(plan: LakePlan, arguments: Sequence[str]) -> Cost:
    """Runs a verb in a process of its own. Ends this process if the verb fails."""
    counts, warehouse = plan.folder / "counts.json", plan.folder / "lake" / "warehouse.duckdb"
    command = [sys.executable, "-m", "tests.support.counted_titler", str(counts), *arguments]
    published_before = warehouse.stat().st_mtime_ns
    began, peak, status = time.perf_counter(), 0.0, None
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(command, env=plan.environment, stdout=printed, stderr=printed)
        while status is None:
            time.sleep(SAMPLED_EVERY)
            peak = max(peak, resident_mib(process.pid))
            ended, status_or_zero, usage = os.wait4(process.pid, os.WNOHANG)
            status = status_or_zero if ended else None
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            printed.seek(0)
            message = printed.read().decode(errors="replace")
            sys.exit(f"titler {' '.join(arguments)}: exit code {process.returncode}\n{message}")
    counted = json.loads(counts.read_text())
    is_published = warehouse.stat().st_mtime_ns != published_before
    return Cost(
        usage.ru_utime + usage.ru_stime,
        time.perf_counter() - began,
        max(peak, usage.ru_maxrss / 1024),
        sum(counted["operations"].values()),
        counted["bytes_written"] + (warehouse.stat().st_size if is_published else 0),
    )


def resident_mib(pid: int) -> float:
    """Returns the resident memory of a process and all its children, in MiB. 0 if it has ended."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += each.memory_info().rss
    return total / 2**20


def measure_night(plan: LakePlan) -> dict[str, Cost]:
    """Makes a lake, and returns the cost of each verb of the night."""
    # In a process of its own: the peak of a child begins with the memory of the process that started it.
    maker = multiprocessing.get_context("spawn").Process(target=make_lake, args=(plan,))
    maker.start()
    maker.join()
    if maker.exitcode:
        sys.exit(maker.exitcode)
    return {arguments[0]: measure_verb(plan, arguments) for arguments in verbs_of_night(NIGHT, "night")}


def as_json(issues: int, costs: Mapping[str, Cost]) -> dict[str, Any]:
    """Returns the figures of a lake as one object."""
    verbs = {verb: asdict(cost) for verb, cost in costs.items()}
    return {"issues": issues, **asdict(Cost.of_all(list(costs.values()))), "verbs": verbs}


def print_table(nights: Mapping[int, Mapping[str, Cost]]) -> None:
    """Prints one table: a row per lake and verb."""
    print("| issues | verb | CPU s | elapsed s | peak MiB | store operations | MiB written |")
    print("|---:|---|---:|---:|---:|---:|---:|")
    for issues, costs in nights.items():
        without_titles = [cost for verb, cost in costs.items() if verb != TITLES]
        rows = {
            **{verb: cost for verb, cost in costs.items() if verb != TITLES},
            "all but titles": Cost.of_all(without_titles),
            f"titles ({TITLES})": costs[TITLES],
            "all": Cost.of_all(list(costs.values())),
        }
        for name, cost in rows.items():
            figures = (
                f"{cost.cpu_seconds:.1f} | {cost.wall_seconds:.1f} | {cost.peak_mib:,.0f} | "
                f"{cost.store_operations:,} | {cost.bytes_written / 2**20:,.1f}"
            )
            print(f"| {issues:,} | {name} | {figures} |")


def main() -> None:
    """Prints one table, or one JSON value."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--issues", default="10000,100000,1000000", help="sizes of the lakes, with commas")
    parser.add_argument("--new", type=int, default=5000, help="new issues of the night")
    parser.add_argument("--months", type=int, default=120, help="months that a lake spans")
    parser.add_argument("--model", type=Path, metavar="DIR", help="folder of a saved model")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="where lakes are made (default: temporary)"
    )
    parser.add_argument("--keep", action="store_true", help="do not delete the lakes; needs --folder")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    chosen = parser.parse_args()
    if chosen.keep and not chosen.folder:
        parser.error("--keep needs --folder, where the lakes stay")
    nights: dict[int, dict[str, Cost]] = {}
    for issues in map(int, chosen.issues.split(",")):
        if chosen.folder:
            chosen.folder.mkdir(parents=True, exist_ok=True)
        folder = chosen.folder / f"issues-{issues}" if chosen.folder else Path(tempfile.mkdtemp())
        folder.mkdir(exist_ok=True)
        is_done = False
        if (folder / "lake" / "releases" / "night").exists():
            sys.exit(f"A night has begun in {folder}/lake, so it can't be measured. Delete {folder}")
        try:
            plan = LakePlan(folder, issues, chosen.months, chosen.new, chosen.model)
            nights[issues] = measure_night(plan)
            is_done = True
        finally:
            if not (chosen.keep or (chosen.folder and not is_done)):
                shutil.rmtree(folder)
        # The next lake may take long to make, so this lake's figures are printed at once.
        print(json.dumps(as_json(issues, nights[issues])), file=sys.stderr, flush=True)
    if chosen.json:
        print(json.dumps([as_json(issues, costs) for issues, costs in nights.items()], indent=1))
    else:
        print_table(nights)


if __name__ == "__main__":
    main()
