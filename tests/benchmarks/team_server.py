"""Days of hour files through a team's server, infra/compose.yaml, its services as plain processes of this
machine: how long, how much.

    PYTHONPATH=.:infra .venv/bin/python tests/benchmarks/team_server.py HOURS \\
        --from 2015-06-01 --to 2015-08-29

The days are ingested by Airflow's own backfill, a model learns for an epoch, a release is published. The lake
and MLflow's files lie in the object store, metadata in PostgreSQL, shards are worked on by two Dask workers.
Prints what each step took, the release, and what is stored.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_airflow import exit_on_signals
from tests.support.compose import Server

SETTINGS = {
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",  # the clock would ask for yesterday
    "TITLER_MODEL__EPOCHS": "1",
}
TASKS = "airflow-scheduler"


@contextmanager
def timed(step: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    print(f"{step:40} {(time.perf_counter() - began) / 60:8.1f} min", flush=True)


def stored(bucket: Path) -> Iterator[tuple[str, int, int]]:
    """Objects and bytes below each folder of the bucket and of the lake in it."""
    folders = [
        folder
        for folder in [*bucket.iterdir(), *(bucket / "lake").iterdir()]
        if folder.is_dir() and folder.name != "lake"
    ]
    for folder in sorted(folders):
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        yield folder.relative_to(bucket).as_posix(), len(sizes), sum(sizes)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("hours", type=Path, help="a folder of hour files")
    parser.add_argument("--from", dest="first", required=True, help="first day")
    parser.add_argument("--to", dest="last", required=True, help="last day, included")
    chosen = parser.parse_args()
    exit_on_signals()
    with tempfile.TemporaryDirectory(prefix="titler-server-") as folder:
        began = time.perf_counter()
        with Server(
            Path(folder), {**SETTINGS, "TITLER_SOURCE__HOURS": str(chosen.hours.resolve())}
        ) as server:
            print(f"{'all services healthy':40} {(time.perf_counter() - began) / 60:8.1f} min", flush=True)
            with timed("titler_ingest, a backfill"):
                span = ("--from-date", chosen.first, "--to-date", chosen.last)
                server.run(TASKS, "airflow", "backfill", "create", "--dag-id", "titler_ingest", *span)
                server.finish("titler_ingest")
            for dag in ("titler_train", "titler_refresh"):
                with timed(dag):
                    server.run(TASKS, "airflow", "dags", "trigger", dag)
                    server.finish(dag)
            with timed("titler_refresh, nothing new"):
                server.run(TASKS, "airflow", "dags", "trigger", "titler_refresh")
                server.finish("titler_refresh")
            status = json.loads(server.run(TASKS, "titler", "status", "--json"))
            print(
                f"\n{len(status['days'])} days: {sorted({day['verdict'] for day in status['days']})}, "
                f"release {status['release']}\n"
            )
            print(f"{'in the object store':40} {'objects':>8} {'bytes':>14}")
            for name, objects, size in stored(server.home / "volumes" / "minio" / "titler"):
                print(f"{name:40} {objects:8,} {size:14,}")


if __name__ == "__main__":
    main()
