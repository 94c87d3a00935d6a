"""Dask: results come back in the order of the shards, whichever process made them."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from pipeline.compute.cluster import check_scheduler, map_shards
from pipeline.errors import TitlerError
from pipeline.settings import Compute


def _functions() -> tuple[Callable[[int, int], tuple[int, int]], Callable[[int], int]]:
    """Defined in a function, so that they are pickled by value: workers cannot import the tests."""

    def add(shard: int, offset: int) -> tuple[int, int]:
        """The sum, and the id of the process that computed it."""
        return shard + offset, os.getpid()

    def fail(shard: int) -> int:
        raise TitlerError(f"shard {shard} is broken", "repair it")

    return add, fail


add, fail = _functions()


def test_shards_are_processed_in_other_processes_and_results_are_in_order():
    results = map_shards(add, [3, 1, 2], 10, label="test", compute=Compute(workers=2))
    assert [value for value, _ in results] == [13, 11, 12]
    assert os.getpid() not in {process for _, process in results}


def test_one_shard_is_processed_in_this_process():
    assert map_shards(add, [5], 1, label="test", compute=Compute()) == [(6, os.getpid())]


def test_work_that_is_not_worth_a_cluster_is_done_in_this_process():
    results = map_shards(add, [5, 6], 1, label="test", compute=Compute(), worth_a_cluster=False)
    assert results == [(6, os.getpid()), (7, os.getpid())]


def test_no_shards_have_no_results():
    assert map_shards(add, [], 1, label="test", compute=Compute()) == []


def test_an_error_in_a_worker_is_passed_on_unchanged():
    with pytest.raises(TitlerError, match="shard 1 is broken\nrepair it"):
        map_shards(fail, [1, 1], label="test", compute=Compute(workers=1))


def test_a_scheduler_that_does_not_answer_is_one_clear_error():
    with pytest.raises(TitlerError, match=r"^No Dask scheduler answers at tcp://127\.0\.0\.1:9 \("):
        map_shards(add, [1], 1, label="test", compute=Compute(scheduler_address="tcp://127.0.0.1:9"))


def test_check_scheduler_needs_something_that_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_scheduler(f"tcp://127.0.0.1:{server.getsockname()[1]}")
    with pytest.raises(TitlerError, match=r"^No Dask scheduler answers at tcp://127\.0\.0\.1:9 \("):
        check_scheduler("tcp://127.0.0.1:9")


def test_an_existing_scheduler_over_tcp_does_the_work(tmp_path):
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
            add, list(range(20)), 100, label="test", compute=Compute(scheduler_address=address)
        )
        assert [value for value, _ in results] == list(range(100, 120))
        assert {process for _, process in results} <= {process.pid for process in processes[1:]}
    finally:
        for process in processes:
            process.terminate()
            process.wait()
