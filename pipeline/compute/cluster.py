"""Dask: where shards are worked on."""

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
PATIENCE = 10  # seconds that a scheduler may take to answer


def map_shards(
    work: Callable[..., Result],
    shards: Sequence[Shard],
    *arguments: Any,
    label: str,
    compute: Compute,
    heavy: bool = True,
) -> list[Result]:
    """`work(shard, *arguments)` for every shard, as Dask tasks; results in the order of the shards.

    On the scheduler at `compute.scheduler_address`, else on a local cluster. One shard alone, or shards that are not
    `heavy` (together less work than a cluster takes to start), are worked on here, without Dask, whose import takes as long as a day does.
    Raises TitlerError where the scheduler cannot be reached; an error of `work` comes through as it is.
    """
    if not compute.scheduler_address and (len(shards) < 2 or not heavy):
        return list(track((work(shard, *arguments) for shard in shards), label, len(shards)))

    from distributed import as_completed

    with _client(compute, len(shards)) as client:
        shared = client.scatter(list(arguments), broadcast=True, hash=False) if arguments else []
        futures = client.map(work, shards, *([argument] * len(shards) for argument in shared), pure=False)
        order = {future.key: position for position, future in enumerate(futures)}
        results: dict[int, Result] = {}
        for future in track(as_completed(futures), label, len(futures)):
            results[order[future.key]] = future.result()
            future.release()
        return [results[position] for position in range(len(futures))]


def look(address: str) -> None:
    """Returns where something listens at a scheduler's address, like tcp://dask-scheduler:8786. Raises TitlerError where nothing does."""
    parts = urlsplit(address)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 8786), timeout=PATIENCE):
            return
    except (OSError, ValueError) as error:
        raise _absent(address, error) from None


def _absent(address: str, error: Exception) -> TitlerError:
    return TitlerError(
        f"{address}: no Dask scheduler answers there ({error}).",
        "Start one (dask scheduler), or leave compute.scheduler_address empty for a local cluster.",
    )


@contextmanager
def _client(compute: Compute, shards: int) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.ERROR)
    if compute.scheduler_address:
        try:
            client = Client(compute.scheduler_address, timeout=PATIENCE)
        except OSError as error:
            raise _absent(compute.scheduler_address, error) from None
        with client:
            yield client
        return
    workers = min(compute.workers or len(os.sched_getaffinity(0)), shards)
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client
