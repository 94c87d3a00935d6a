"""Dask: results come back in the order of the shards, whichever process made them."""

import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np  # noqa: F401 - its threads are counted
import pytest
from threadpoolctl import threadpool_info

from pipeline.compute.cluster import check_scheduler, is_dask_worker, map_shards
from pipeline.errors import TitlerError
from pipeline.settings import Compute
from tests.support.dask_cluster import Cluster, dask_cluster


def _functions() -> tuple[Callable[..., Any], ...]:
    """Defined in a function, so that they are pickled by value: workers cannot import the tests."""

    def add(shard: int, offset: int) -> tuple[int, int]:
        """The sum, and the id of the process that computed it."""
        return shard + offset, os.getpid()

    def fail(shard: int) -> int:
        raise TitlerError(f"shard {shard} is broken", "repair it")

    def end_process(shard: int, *arguments: str) -> None:
        os._exit(1)

    def in_worker(shard: int) -> bool:
        return is_dask_worker()

    def blas_threads(shard: int) -> set[int]:
        """The numbers of threads of the BLAS libraries that are loaded."""
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    return add, fail, end_process, in_worker, blas_threads


add, fail, end_process, in_worker, blas_threads = _functions()


def test_shards_are_processed_in_other_processes_and_results_are_in_order():
    results = map_shards(add, [3, 1, 2], 10, label="test", compute=Compute(workers=2))
    assert [value for value, _ in results] == [13, 11, 12]
    assert os.getpid() not in {process for _, process in results}


def test_one_shard_is_processed_in_this_process():
    assert map_shards(add, [5], 1, label="test", compute=Compute()) == [(6, os.getpid())]


def test_work_that_is_not_worth_a_cluster_is_done_in_this_process():
    results = map_shards(add, [5, 6], 1, label="test", compute=Compute(), worth_a_cluster=False)
    assert results == [(6, os.getpid()), (7, os.getpid())]


def test_numpy_has_one_thread_while_a_shard_is_processed_in_this_process_and_its_own_threads_afterwards():
    before = blas_threads(0)
    assert map_shards(blas_threads, [1], label="test", compute=Compute()) == [{1}]
    with pytest.raises(TitlerError, match="shard 1 is broken"):
        map_shards(fail, [1], label="test", compute=Compute())
    assert blas_threads(0) == before


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


def test_results_are_reported_while_other_shards_are_waiting():
    reported: list[tuple[int, list[int]]] = []
    pending: list[int] = []

    def work(shard: int) -> int:
        pending.append(shard)
        return 10 * shard

    map_shards(
        work,
        [3, 1],
        label="test",
        compute=Compute(),
        worth_a_cluster=False,
        on_result=lambda position, result: reported.append((result, list(pending))),
    )
    assert reported == [(30, [3]), (10, [3, 1])]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with dask_cluster() as cluster:
        yield cluster


def test_an_existing_scheduler_over_tcp_does_the_work(cluster: Cluster):
    positions: list[int] = []
    results = map_shards(
        add,
        list(range(20)),
        100,
        label="test",
        compute=Compute(scheduler_address=cluster.address),
        on_result=lambda position, result: positions.append(position),
    )
    assert [value for value, _ in results] == list(range(100, 120))
    assert {process for _, process in results} <= {process.pid for process in cluster.workers}
    assert sorted(positions) == list(range(20))


def test_work_that_ends_every_worker_is_one_clear_error(cluster: Cluster):
    cluster.add_workers(3)
    with pytest.raises(TitlerError, match="the same part of the work killed several Dask workers"):
        map_shards(end_process, [1], label="test", compute=Compute(scheduler_address=cluster.address))


def test_if_the_only_worker_dies_with_the_copies_of_the_arguments_the_error_is_clear():
    with dask_cluster(1) as cluster:
        compute = Compute(scheduler_address=cluster.address)
        with pytest.raises(TitlerError, match="test: all Dask workers ended before the work was done"):
            map_shards(end_process, [1, 2, 3], "argument", label="test", compute=compute)


def test_a_command_does_not_wait_for_ever_for_new_workers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.compute.cluster.WORKERLESS_SECONDS", 0.3)
    with dask_cluster(1) as cluster:
        compute = Compute(scheduler_address=cluster.address)
        with pytest.raises(TitlerError, match="test: all Dask workers ended before the work was done"):
            map_shards(end_process, [1, 2, 3], label="test", compute=compute)


def test_a_scheduler_without_workers_is_one_clear_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.compute.cluster.WORKERLESS_SECONDS", 0.3)
    with dask_cluster(0) as cluster:
        compute = Compute(scheduler_address=cluster.address)
        with pytest.raises(TitlerError, match="test: the Dask scheduler has no workers"):
            map_shards(add, [1, 2], 10, label="test", compute=compute)


def test_code_knows_whether_a_dask_worker_runs_it():
    assert not is_dask_worker()
    assert map_shards(in_worker, [1, 2], label="test", compute=Compute(workers=1)) == [True, True]
