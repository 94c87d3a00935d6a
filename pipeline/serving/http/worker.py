"""A worker: a process that has one release open and answers tasks.

Workers are processes and not threads for two reasons. Two threads must not read the same open Parquet file:
pyarrow then fails ("ReadRangeCache did not find matching cache entry"). And a process can be ended if an
answer takes too long.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from pipeline.contracts import SEGMENTS, SIMILAR_ISSUES, TITLE_PREDICTIONS
from pipeline.errors import LakeError, TitlerError
from pipeline.index.segmented_index import SegmentedIndex
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.printed_text import configure_logging
from pipeline.serving.http.tasks import Reply, Task, replies_to
from pipeline.serving.queries import OpenRelease
from pipeline.settings import Serve, Settings
from pipeline.threads import use_one_thread

OPENING_TIMEOUT = 900
"""Seconds that opening a release may take. New segments are read once, to check their digests."""


class WorkerLostError(Exception):
    """Raised if a worker's process has ended, or was ended because its answer took too long."""


@dataclass(frozen=True)
class _Failure:
    """What a worker sends if it cannot open its release."""

    message: str


class Worker:
    """A process that has the release `release_id` open. The process is started at once; `wait_until_open`
    waits until it can answer. Methods block, and only one thread may call them."""

    def __init__(self, lake: Lake, settings: Settings, release_id: str) -> None:
        self.release_id = release_id
        # Settings that were read from a file cannot be pickled. A query needs only these, and no secret.
        sections = Settings.model_construct(
            index=settings.index,
            similar=settings.similar,
            serve=Serve(compared_issues=settings.serve.compared_issues),
        )
        context = multiprocessing.get_context("spawn")
        self._connection, other_end = context.Pipe()
        self._process = context.Process(
            target=serve_release, args=(other_end, lake, sections, release_id), daemon=True
        )
        self._process.start()
        other_end.close()

    def wait_until_open(self) -> None:
        """Waits until the process has opened the release. Raises TitlerError if it cannot be opened."""
        try:
            if not self._connection.poll(OPENING_TIMEOUT):
                raise LakeError(f"Release {self.release_id} was not open after {OPENING_TIMEOUT} s.")
            opened = self._connection.recv()
        except (EOFError, OSError):
            raise LakeError(
                f"The process that opens release {self.release_id} ended before the release was open."
            ) from None
        if isinstance(opened, _Failure):
            raise LakeError(opened.message)

    def run(self, tasks: Sequence[Task], timeout: float) -> list[Reply]:
        """Returns the answers to one task, or to several tasks that can be computed together. Raises
        TimeoutError if there are none after `timeout` seconds, and WorkerLostError if the process has ended.
        After either error, the worker cannot be used any more."""
        try:
            self._connection.send(tasks)
            is_answered = self._connection.poll(timeout)
            replies = self._connection.recv() if is_answered else None
        except (EOFError, OSError):
            raise WorkerLostError from None
        if not is_answered:
            raise TimeoutError
        assert isinstance(replies, list)
        return replies

    def is_alive(self) -> bool:
        """Returns whether the process is running."""
        return self._process.is_alive()

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self._process.join()


def serve_release(connection: Connection, lake: Lake, settings: Settings, release_id: str) -> None:
    """Runs in the worker's process: opens the release, then answers tasks until the connection is closed."""
    # The server decides when a worker ends. Ctrl-C and a service manager signal the workers, too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    configure_logging()
    use_one_thread()
    try:
        opened = open_completely(Pinned(lake, "releases", release_id), settings)
    except TitlerError as error:
        connection.send(_Failure(error.message))
        return
    except Exception as error:
        connection.send(_Failure(f"Unexpected {type(error).__name__}: {error}"))
        return
    connection.send(None)
    while True:
        try:
            tasks = connection.recv()
        except EOFError:
            return
        connection.send(replies_to(opened, tasks))


def open_completely(release: Pinned, settings: Settings) -> OpenRelease:
    """Opens a release and returns it. Checks every file of its index now, so that the first query need not
    wait for these checks. Raises TitlerError if the release does not exist, or if a file is missing or
    damaged."""
    release.require_open()
    opened = OpenRelease(release, settings)
    if SEGMENTS.name in release.members:
        for segment in release.members[SEGMENTS.name]:
            release.lake.local_copy(segment)
    opened.predictor.predict(["It crashes when I open the settings."])
    if isinstance(opened.index, SegmentedIndex):
        opened.index.prepare_for_many_queries(settings.serve.compared_issues)
    _ = release.plan
    for table in (TITLE_PREDICTIONS.name, SIMILAR_ISSUES.name):
        _ = table in release.members and release.members[table]
    return opened
