"""How much faster two Dask workers are than one, per verb: clean, vectorize, embed, index and predict.

    PYTHONPATH=. .venv/bin/python tests/benchmarks/dask_speed.py [--issues 60000] [--titles 2000] [--rounds 3]
    ... --verbs clean                                  only some verbs, in the order clean, vectorize, ...

The issues are generated, in days of one file each: two days in each month of a year. The network is `copy`
of the default size, with fresh weights. `predict` gets fewer issues than the other verbs, because a title
takes much longer.

Each run has a scheduler and one or two workers, as processes that speak TCP. Every worker is pinned to a core
of its own, and computes with one thread: BLAS, OpenMP and TensorFlow are limited to one. The client and the
scheduler are pinned to the last core. Before the clock starts, every verb runs once on a few issues, so that
the workers have imported all libraries and loaded the model. Runs with one and two workers take turns. The
fastest round counts, because other load on the machine only makes a round slower.

Elapsed times mean something only on a machine that does nothing else. So the processor time of all workers
together is also given, which hardly depends on other load. The speed-up beside it is that of two workers that
never wait: it says how much processor time two workers need in addition.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from distributed import Client

from pipeline.contracts import ISSUES, PREDICTOR, SOURCE_HEALTH
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, pin_days
from pipeline.settings import Compute, Index, Settings
from pipeline.stages import clean, embed, index, predict, vectorize
from tests.support.fresh_model import fresh_model

ROOT = Path(__file__).parents[2]
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)
WORDS = [f"{first}{second}" for first in ("cra", "win", "err", "the", "bui") for second in "abcdefghijklmnop"]
SEED = 7
DAYS_OF_MONTH = (1, 15)
DAYS = 12 * len(DAYS_OF_MONTH)
"""Number of days of a release. Each of two workers gets the same number."""
WORKERS = (1, 2)
SMALL, LARGE, TITLES = "small", "large", "titles"
"""The releases: for warming up, for all verbs except predict, and for predict."""
YEARS = {SMALL: 2015, LARGE: 2016, TITLES: 2017}


def issues_of(day: date, count: int, dice: random.Random) -> pa.Table:
    """Generated issues of a day, with bodies of 10 to 200 words."""
    rows = [
        {
            "issue_id": day.toordinal() * 1_000_000 + number,
            "issue_url": f"https://github.com/a/b/issues/{number}",
            "repo": f"a/b{number % 97}",
            "number": number,
            "author": "someone",
            "title": " ".join(dice.choices(WORDS, k=8)),
            "body": " ".join(dice.choices(WORDS, k=dice.randint(10, 200))),
            "created_at": pa.scalar(day).cast(pa.timestamp("us", "UTC")).as_py(),
            "event_id": str(number),
            "trainable": True,
        }
        for number in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=ISSUES.schema)


def add_release(lake: Lake, name: str, issues: int, predictor: Any) -> None:
    """A release of DAYS days of its year with so many issues in all. Its days are cleaned, because a plan
    pins tokens."""
    days = [date(YEARS[name], month, day) for month in range(1, 13) for day in DAYS_OF_MONTH]
    dice, batches = random.Random(SEED), []
    for day in days:
        draft = lake.draft(ISSUES.name, {"day": day.isoformat()})
        draft.write_table("part-00000.parquet", issues_of(day, issues // DAYS, dice), ISSUES)
        batches.append(draft.commit())
        lake.draft(SOURCE_HEALTH.name, {"day": day.isoformat()}, [batches[-1].digest]).commit()
    clean.run(lake, Settings(), [day.isoformat() for day in days])
    facts = {
        **{"model": "m", "model_version": "1", "vocabulary": "v", "mlflow_run": "r"},
        **{"predictor": predictor.folder, "predictor_digest": predictor.digest},
        **{"neighbours": 10, "near_duplicate_distance": 0.7},
    }
    release = Pinned(lake, "releases", name)
    release.open(pin_days(lake, [day.isoformat() for day in days]), facts)
    release.members.put(ISSUES.name, batches)


def make_lake(root: Path, issues: int, titles: int) -> None:
    """A lake with three releases, of a model with fresh weights."""
    dice, settings = random.Random(SEED), Settings()
    texts = [" ".join(dice.choices(WORDS, k=50)) for _ in range(500)]
    predictor = fresh_model(texts, settings, SEED)
    lake = Lake(str(root))
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        predictor.save(Path(folder))
        draft = lake.draft(PREDICTOR, {"model": "m"})
        draft.write_folder(Path(folder))
        manifest = draft.commit({"vocabulary": "v", "hidden_size": settings.model.hidden_size})
    for name, count in ((SMALL, 2 * DAYS), (LARGE, issues), (TITLES, titles)):
        add_release(lake, name, count, manifest)


class Verb(NamedTuple):
    """A verb, the release that it is measured on, and how it is run."""

    name: str
    release: str
    run: Callable[[Lake, Settings, Pinned], Any]


def run_clean(lake: Lake, settings: Settings, release: Pinned) -> Any:
    """Cleans the days of a release."""
    return clean.run(lake, settings, [day.day for day in release.plan.days])


def run_index(lake: Lake, settings: Settings, release: Pinned) -> Any:
    """Builds the segments and finds the neighbours of a release."""
    return index.run(lake, release, settings)


VERBS = (
    Verb("clean", LARGE, run_clean),
    Verb("vectorize", LARGE, vectorize.run),
    Verb("embed", LARGE, embed.run),
    Verb("index", LARGE, run_index),
    Verb("predict", TITLES, predict.run),
)


class Took(NamedTuple):
    """Elapsed seconds of a verb, and processor seconds of all workers together."""

    elapsed: float
    processor: float


@contextlib.contextmanager
def cluster(workers: int, cores: Sequence[int]) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler's address, and its workers, each pinned to a core."""
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        file = Path(folder, "scheduler.json")

        def start(program: str, core: int, *options: str) -> subprocess.Popen[bytes]:
            module = [sys.executable, "-m", f"distributed.cli.{program}"]
            command = ["taskset", "-c", str(core), *module, "--scheduler-file", str(file), *options]
            return subprocess.Popen(
                [*command, "--no-dashboard"],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

        scheduler = start("dask_scheduler", cores[-1], "--host", "127.0.0.1", "--port", "0")
        processes = [start("dask_worker", core, "--no-nanny", "--nthreads", "1") for core in cores[:workers]]
        try:
            with Client(scheduler_file=str(file), timeout=60) as client:
                client.wait_for_workers(workers)
                address = client.scheduler_info()["address"]
            yield address, processes
        finally:
            for process in (*processes, scheduler):
                process.kill()
                process.wait()


def processor_seconds(processes: Sequence[subprocess.Popen[bytes]]) -> float:
    """User and system time of all threads of the processes."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(root: Path, workers: int, cores: Sequence[int], verbs: Sequence[Verb]) -> dict[str, Took]:
    """What each verb takes on a copy of the lake."""
    took = {}
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        copy = Path(folder, "lake")
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns("tokens_v1"))
        lake = Lake(str(copy))
        with cluster(workers, cores) as (address, processes):
            settings = Settings(compute=Compute(scheduler_address=address), index=Index(min_recall=0))
            small, titles = (Pinned(lake, "releases", name) for name in (SMALL, TITLES))
            if any(verb.release == TITLES for verb in verbs):
                vectorize.run(lake, settings, titles)
            for verb in verbs:
                verb.run(lake, settings, small)
            for verb in verbs:
                before, began = processor_seconds(processes), time.perf_counter()
                verb.run(lake, settings, Pinned(lake, "releases", verb.release))
                elapsed = time.perf_counter() - began
                took[verb.name] = Took(elapsed, processor_seconds(processes) - before)
    return took


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--issues", type=int, default=60_000, help="issues of all verbs but predict")
    parser.add_argument("--titles", type=int, default=2_000, help="issues of predict")
    parser.add_argument("--rounds", type=int, default=3)
    names = [verb.name for verb in VERBS]
    parser.add_argument("--verbs", nargs="+", choices=names, default=names, help="the verbs to measure")
    arguments = parser.parse_args()
    verbs = [verb for verb in VERBS if verb.name in arguments.verbs]
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("This benchmark needs two cores.")
    os.sched_setaffinity(0, {cores[-1]})
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        root = Path(folder, "lake")
        make_lake(root, arguments.issues, arguments.titles)
        rounds = [
            {workers: measure(root, workers, cores, verbs) for workers in WORKERS}
            for _ in range(arguments.rounds)
        ]
    counts = f"{arguments.issues:,} issues, {arguments.titles:,} titles, {DAYS} days"
    print(f"{counts}, the fastest of {arguments.rounds} rounds; seconds")
    print(f"{'':10} {'elapsed':^31} {'processor, all workers':^31}")
    print(f"{'verb':10}" + f" {'1 worker':>10} {'2 workers':>10} {'speed-up':>9}" * 2)
    for verb in verbs:
        line = f"{verb.name:10}"
        for figure in ("elapsed", "processor"):
            one, two = (
                min(getattr(each[workers][verb.name], figure) for each in rounds) for workers in WORKERS
            )
            speed_up = one / two if figure == "elapsed" else 2 * one / two
            line += f" {one:10.2f} {two:10.2f} {speed_up:9.2f}"
        print(line)


if __name__ == "__main__":
    main()
