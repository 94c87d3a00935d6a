"""A Dask scheduler and its workers, as processes that speak TCP: what `compute.scheduler_address` is for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from distributed import Client

ROOT = Path(__file__).parents[2]
ENDS_WITH_PARENT = ["setpriv", "--pdeathsig=KILL"]


@dataclass
class Cluster:
    """A running scheduler at `address`, and its worker processes."""

    address: str
    scheduler: subprocess.Popen[str]
    workers: list[subprocess.Popen[str]] = field(default_factory=list)

    def add_workers(self, number: int, *options: str, **variables: str) -> None:
        """Starts this number of workers with one thread each, and waits until the scheduler knows them. They
        can import the tests. `options` are added to their commands, `variables` to their environment."""
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self.address]
        command += ["--no-nanny", "--nthreads", "1", "--no-dashboard", *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        self.workers += [
            subprocess.Popen(
                [*ENDS_WITH_PARENT, *command], env=environment, stderr=subprocess.DEVNULL, text=True
            )
            for _ in range(number)
        ]
        with Client(self.address) as client:
            client.wait_for_workers(sum(worker.poll() is None for worker in self.workers))


@contextmanager
def dask_cluster(workers: int = 2) -> Iterator[Cluster]:
    """Provides a scheduler with this number of workers. All processes end with the `with` block."""
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    scheduler = subprocess.Popen(
        [*ENDS_WITH_PARENT, *command, "--no-dashboard"], stderr=subprocess.PIPE, text=True
    )
    processes = [scheduler]
    try:
        assert scheduler.stderr is not None
        cluster = Cluster(
            next(line.split("at:")[1].strip() for line in scheduler.stderr if "Scheduler at:" in line),
            scheduler,
        )
        processes = cluster.workers
        if workers:
            cluster.add_workers(workers)
        yield cluster
    finally:
        for process in {scheduler, *processes}:
            process.kill()
            process.wait()
