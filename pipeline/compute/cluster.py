"""Runs work in parallel with Dask, on a local cluster or on an existing scheduler."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pipeline.errors import TitlerError
from pipeline.progress import track
from pipeline.settings import Compute

Shard = TypeVar("Shard")
Result = TypeVar("Result")
CONNECT_TIMEOUT = 10  # seconds
DEFAULT_PORT = 8786


def map_shards(
    work: Callable[..., Result],
    shards: Sequence[Shard],
    *arguments: Any,
    label: str,
    compute: Compute,
    worth_a_cluster: bool = True,
) -> list[Result]:
    """Calls `work(shard, *arguments)` for every shard, in Dask tasks. Returns the results in the order of the
    shards.

    Uses the scheduler at the address in the setting `compute.scheduler_address`. If the setting is empty,
    starts a local cluster. But if there is only one shard, or if `worth_a_cluster` is false, the calls run in
    this process, because starting a cluster would take longer than the work.

    Raises TitlerError if the scheduler cannot be reached. Errors of `work` are raised unchanged. `label` is
    the text of the progress bar.
    """
    if not compute.scheduler_address and (len(shards) < 2 or not worth_a_cluster):
        return list(track((work(shard, *arguments) for shard in shards), label, len(shards)))

    from distributed import as_completed

    with _client(compute, len(shards)) as client:
        shared = client.scatter(list(arguments), broadcast=True, hash=False) if arguments else []
        futures = client.map(work, shards, *([argument] * len(shards) for argument in shared), pure=False)
        positions = {future.key: position for position, future in enumerate(futures)}
        results: dict[int, Result] = {}
        for future in track(as_completed(futures), label, len(futures)):
            results[positions[future.key]] = future.result()
            future.release()
        return [results[position] for position in range(len(futures))]


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
        f"No Dask scheduler answers at {address} ({error}).",
        "Start a scheduler (dask scheduler), or leave compute.scheduler_address empty to use a local "
        "cluster.",
    )


@contextmanager
def _client(compute: Compute, shards: int) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.ERROR)
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
