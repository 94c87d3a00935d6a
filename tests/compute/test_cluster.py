"""Dask: results in the order of the shards, wherever they were worked on."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from pipeline.compute.cluster import map_shards
from pipeline.errors import TitlerError
from pipeline.settings import Compute


def work() -> tuple[Callable[[int, int], tuple[int, int]], Callable[[int], int]]:
    """Made in a function, so that they travel by value: a worker need not be able to import the tests."""

    def where(shard: int, offset: int) -> tuple[int, int]:
        return shard + offset, os.getpid()

    def fail(shard: int) -> int:
        raise TitlerError(f"shard {shard} is broken", "mend it")

    return where, fail


where, fail = work()


def test_shards_are_worked_on_in_other_processes_and_come_back_in_order():
    results = map_shards(where, [3, 1, 2], 10, label="test", compute=Compute(workers=2))
    assert [value for value, _ in results] == [13, 11, 12]
    assert os.getpid() not in {process for _, process in results}


def test_one_shard_needs_no_cluster():
    assert map_shards(where, [5], 1, label="test", compute=Compute()) == [(6, os.getpid())]


def test_nothing_to_do_is_nothing_done():
    assert map_shards(where, [], 1, label="test", compute=Compute()) == []


def test_an_error_in_a_worker_comes_through_as_it_is():
    with pytest.raises(TitlerError, match="shard 1 is broken\nmend it"):
        map_shards(fail, [1, 1], label="test", compute=Compute(workers=1))


def test_a_scheduler_that_is_not_there_is_one_clear_error():
    with pytest.raises(TitlerError, match="no Dask scheduler answers there"):
        map_shards(where, [1], 1, label="test", compute=Compute(scheduler_address="tcp://127.0.0.1:9"))


def test_an_existing_cluster_over_tcp_does_the_work(tmp_path):
    processes = []
    try:
        command = [
            sys.executable,
            "-m",
            "distributed.cli.dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
        ]
        scheduler = subprocess.Popen(
            [*command, "--scheduler-file", str(tmp_path / "s.json")], stderr=subprocess.PIPE, text=True
        )
        processes.append(scheduler)
        assert scheduler.stderr is not None
        address = next(line.split("at:")[1].strip() for line in scheduler.stderr if "Scheduler at:" in line)
        worker = [
            sys.executable,
            "-m",
            "distributed.cli.dask_worker",
            address,
            "--no-nanny",
            "--nthreads",
            "1",
            "--no-dashboard",
        ]
        processes += [subprocess.Popen(worker, stderr=subprocess.DEVNULL, text=True) for _ in range(2)]
        results = map_shards(
            where, list(range(20)), 100, label="test", compute=Compute(scheduler_address=address)
        )
        assert [value for value, _ in results] == list(range(100, 120))
        assert {process for _, process in results} <= {process.pid for process in processes[1:]}
    finally:
        for process in processes:
            process.terminate()
            process.wait()
