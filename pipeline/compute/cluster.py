"""Runs work in parallel with Dask, on a local cluster or on an existing scheduler."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlsplit

from pipeline.errors import TitlerError
from pipeline.progress import track
from pipeline.settings import Compute, public_address
from pipeline.telemetry import record_part
from pipeline.threads import no_blas_threads, use_one_thread

if TYPE_CHECKING:
    from distributed import Client, Future

Shard = TypeVar("Shard")
Result = TypeVar("Result")
CONNECT_TIMEOUT = 10  # seconds
DEFAULT_PORT = 8786
WORKERLESS_SECONDS = 300.0
"""After this time without any worker, a command stops waiting for new ones."""
CHECKS_PER_WAIT = 30


def map_shards(
    work: Callable[..., Result],
    shards: Sequence[Shard],
    *arguments: Any,
    label: str,
    compute: Compute,
    worth_a_cluster: bool = True,
    on_result: Callable[[int, Result], None] = lambda position, result: None,
    partitions: Sequence[Mapping[str, str]] = (),
) -> list[Result]:
    """Calls `work(shard, *arguments)` for every shard (part of the work), in Dask tasks. Returns the results
    in the order of the shards.

    As soon as a shard is done, `on_result` is called in this process, with the position of the shard and its
    result. Shards are started in their order, but they may be done in another order.

    Uses the scheduler at the address in the setting `compute.scheduler_address`. If the setting is empty,
    starts a local cluster, with two exceptions: if there is only one shard, or if `worth_a_cluster` is false
    (starting a cluster would take longer than the work), the calls run in this process. If a worker dies,
    Dask gives its shards to other workers. NumPy's own threads are off while `work` runs.

    Every task carries `work` and one shard, so both must be small. `arguments` are copied to every worker
    once. If all workers die, these copies are lost, and the command fails. It also fails if there is no
    worker for WORKERLESS_SECONDS.

    Raises TitlerError if the scheduler cannot be reached, if a shard killed several workers, or if all
    workers died. Errors of `work` are raised unchanged. `label` is the text of the progress bar. `partitions`
    has the partition of each shard, such as its source day, for the trace of the command.
    """
    if not shards:
        return []
    results: dict[int, Result] = {}

    def keep(position: int, timed: Timed[Result]) -> None:
        record_part(label, timed.begin, timed.end, partitions[position] if partitions else {})
        results[position] = timed.result
        on_result(position, timed.result)

    if not compute.scheduler_address and (len(shards) < 2 or not worth_a_cluster):
        for position, shard in enumerate(track(shards, label, len(shards))):
            keep(position, _timed(work, shard, *arguments))
    else:
        _map_on_cluster(work, shards, arguments, label, compute, keep)
    return [results[position] for position in range(len(shards))]


class Timed(NamedTuple, Generic[Result]):
    """The result for a shard, and the times at which the work on this shard began and ended, in nanoseconds
    since 1970."""

    result: Result
    begin: int
    end: int


def _timed(work: Callable[..., Result], *arguments: Any) -> Timed[Result]:
    in_worker = is_dask_worker()
    if in_worker:  # there is a worker per core
        use_one_thread()
    begin = time.time_ns()
    with nullcontext() if in_worker else no_blas_threads():
        return Timed(work(*arguments), begin, time.time_ns())


def _map_on_cluster(
    work: Callable[..., Result],
    shards: Sequence[Shard],
    arguments: tuple[Any, ...],
    label: str,
    compute: Compute,
    on_result: Callable[[int, Timed[Result]], None],
) -> None:
    from dask.utils import funcname
    from distributed import CancelledError, KilledWorker, as_completed

    with _client(compute, len(shards)) as client:
        shared = _copied_to_workers(client, arguments, label)
        copies = ([argument] * len(shards) for argument in shared)
        timed_work = partial(_timed, work)
        futures = client.map(timed_work, shards, *copies, pure=False, key=funcname(work))
        positions = {future.key: position for position, future in enumerate(futures)}
        with cancelled_without_workers(client, futures):
            for future in track(as_completed(futures), label, len(futures)):
                try:
                    result = future.result()
                except KilledWorker as error:
                    raise TitlerError(
                        f"{label}: the same part of the work killed several Dask workers: {error}",
                        "Usually this means that a worker needs more memory than it has. Give the "
                        "workers more memory, or set compute.workers to a smaller number, then run the "
                        "same command again.",
                    ) from None
                except CancelledError:  # the copies of the arguments were lost
                    raise TitlerError(
                        f"{label}: all Dask workers ended before the work was done.",
                        "Look for the reason in the workers' logs, start new workers, then run the same "
                        "command again. It continues with the parts that are not done.",
                    ) from None
                on_result(positions[future.key], result)
                future.release()


def _copied_to_workers(client: Client, arguments: tuple[Any, ...], label: str) -> list[Future]:
    """Copies the arguments to every worker. If there is no worker, waits for one. Raises TitlerError after
    WORKERLESS_SECONDS without a worker."""
    if not arguments:
        return []
    try:
        copies: list[Future] = client.scatter(
            list(arguments), broadcast=True, hash=False, timeout=WORKERLESS_SECONDS
        )
    except TimeoutError:
        raise TitlerError(
            f"{label}: the Dask scheduler has no workers.", "Start workers, then run the same command again."
        ) from None
    return copies


@contextmanager
def cancelled_without_workers(client: Client, futures: Sequence[Future]) -> Iterator[None]:
    """Context manager that cancels `futures`, which are tasks of Dask, if the scheduler has no worker for
    WORKERLESS_SECONDS. Dask itself would wait for ever."""
    ended = threading.Event()

    def watch() -> None:
        without = 0
        with suppress(Exception):  # the scheduler has ended, which the client notices itself
            while without < CHECKS_PER_WAIT and not ended.wait(WORKERLESS_SECONDS / CHECKS_PER_WAIT):
                without = 0 if client.ncores() else without + 1
            if not ended.is_set():
                client.cancel(list(futures), force=True)

    threading.Thread(target=watch, name="watch Dask workers", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def is_dask_worker() -> bool:
    """Returns whether this code runs in a task of a Dask worker."""
    if "distributed" not in sys.modules:
        return False
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


def check_scheduler(address: str) -> None:
    """Raises TitlerError if nothing listens at a scheduler's address, such as tcp://dask-scheduler:8786."""
    parts = urlsplit(address)
    try:
        with socket.create_connection(
            (parts.hostname or "", parts.port or DEFAULT_PORT), timeout=CONNECT_TIMEOUT
        ):
            return
    except (OSError, ValueError) as error:
        raise _unreachable(address, error) from None


def _unreachable(address: str, error: Exception) -> TitlerError:
    return TitlerError(
        f"No Dask scheduler answers at {public_address(address)} ({error}).",
        "Start a scheduler (dask scheduler), or leave compute.scheduler_address empty to use a local "
        "cluster.",
    )


@contextmanager
def _client(compute: Compute, shards: int) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.ERROR)
    # a lost scheduler is logged with a traceback, and said by the error of this module
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    if compute.scheduler_address:
        try:
            client = Client(compute.scheduler_address, timeout=CONNECT_TIMEOUT)
        except OSError as error:
            raise _unreachable(compute.scheduler_address, error) from None
        with client:
            yield client
        return
    workers = min(compute.workers or len(os.sched_getaffinity(0)), shards)
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client
