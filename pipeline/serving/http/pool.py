"""The workers that answer requests, how many requests wait for them, and which release they have open."""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipeline.errors import TitlerError, disk_error
from pipeline.lake.batches import Lake
from pipeline.releases.current import current_release_id
from pipeline.releases.records import read_record
from pipeline.serving.http.refusals import RETRY_AFTER, RefusalError, overloaded
from pipeline.serving.http.tasks import Task
from pipeline.serving.http.worker import Worker, WorkerLostError
from pipeline.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServedRelease:
    """The release that the workers have open."""

    id: str
    issues: int
    model: str
    published_at: str


class WorkerPool:
    """A fixed number of workers. All of them have the same release open, except while a request that began
    before a new release is still being answered.

    `problem` says why the current release of the lake is not served; it is empty if it is.
    """

    def __init__(self, lake: Lake, settings: Settings) -> None:
        self._lake = lake
        self._settings = settings
        self.size = settings.serve.workers or len(os.sched_getaffinity(0))
        self._idle: asyncio.LifoQueue[Worker] = asyncio.LifoQueue()  # the last one has the warmest caches
        self._workers: set[Worker] = set()
        self._starting: set[Worker] = set()
        self._lost = asyncio.Event()
        # Requests of the old release and of the new one may be computed at the same time.
        self._threads = ThreadPoolExecutor(2 * self.size, thread_name_prefix="titler-worker")
        self.release: ServedRelease | None = None
        self.problem = "The server has not opened a release yet."
        self.waiting = 0
        """Number of requests that wait for a worker."""

    @property
    def usable(self) -> int:
        """Number of workers that have the release open."""
        return len(self._workers)

    @property
    def busy(self) -> int:
        """Number of workers that compute an answer."""
        return len(self._workers) - self._idle.qsize()

    async def answer(self, task: Task) -> Any:
        """Returns the JSON value that a worker computes for a task. Raises RefusalError if there is none."""
        worker = await self._free_worker()
        timeout = self._settings.serve.timeout_seconds
        is_usable = False
        try:
            ask = asyncio.get_running_loop().run_in_executor(self._threads, worker.ask, task, timeout)
            reply = await asyncio.shield(ask)
            is_usable = True
        except TimeoutError:
            raise RefusalError(
                504,
                f"The answer was not computed within {timeout:g} s.",
                "a smaller batch, or a shorter text",
            ) from None
        except WorkerLostError:
            raise RefusalError(
                503,
                "The process that computed the answer has ended.",
                "the same request again",
                {**RETRY_AFTER},
            ) from None
        finally:
            self._return(worker, is_usable)
        return reply.result()

    async def _free_worker(self) -> Worker:
        if self.release is None:
            raise RefusalError(503, self.problem, "a published release", {**RETRY_AFTER})
        serve = self._settings.serve
        if self._idle.empty() and self.waiting >= serve.max_waiting:
            raise overloaded(f"All workers are busy, and {self.waiting} requests are waiting for them.")
        self.waiting += 1
        try:
            async with asyncio.timeout(serve.timeout_seconds):
                return await self._idle.get()
        except TimeoutError:
            raise overloaded(f"No worker was free within {serve.timeout_seconds:g} s.") from None
        finally:
            self.waiting -= 1

    def _return(self, worker: Worker, is_usable: bool) -> None:
        if is_usable and worker in self._workers:
            self._idle.put_nowait(worker)
            return
        if not is_usable and worker in self._workers:
            self._workers.discard(worker)
            self._lost.set()
        self._threads.submit(worker.stop if is_usable else worker.kill)

    async def follow(self) -> None:
        """Serves the current release, and every later one, until the task is cancelled."""
        while True:
            self._lost.clear()
            await self.check()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.serve.refresh_seconds):
                    await self._lost.wait()

    async def check(self) -> None:
        """Opens the current release if another one is served, and replaces workers that were lost. If it
        cannot be opened, the other release is served on, and `problem` and the log say why."""
        try:
            release_id = await asyncio.to_thread(current_release_id, self._lake)
            if release_id is None:
                self._report(f"No release is published in {self._lake.root}.")
                return
            is_new = self.release is None or release_id != self.release.id
            missing = self.size if is_new else self.size - len(self._workers)
            if missing:
                workers = await asyncio.to_thread(self._open, release_id, missing)
                self._serve(release_id, workers, await asyncio.to_thread(self._summary, release_id))
        except Exception as error:
            self._report(_reason(error))
            return
        self.problem = ""

    def _open(self, release_id: str, count: int) -> list[Worker]:
        """Returns `count` new workers that have the release open. Raises TitlerError if they cannot."""
        workers: list[Worker] = []
        try:
            for _ in range(count):
                workers.append(Worker(self._lake, self._settings, release_id))
                self._starting.add(workers[-1])
            for worker in workers:
                worker.wait_until_open()
        except BaseException:
            for worker in workers:
                worker.kill()
            raise
        finally:
            self._starting.difference_update(workers)
        return workers

    def _summary(self, release_id: str) -> ServedRelease:
        record = read_record(self._lake, release_id) or {}
        return ServedRelease(
            release_id, record.get("issues", 0), record.get("model", ""), record.get("published_at", "")
        )

    def _serve(self, release_id: str, workers: list[Worker], release: ServedRelease) -> None:
        """Lets new workers answer from now on. Busy workers of another release are stopped when they have
        answered."""
        if self.release is None or self.release.id != release_id:
            log.info("release %s is served by %d workers", release_id, len(workers))
            self._workers = set()
            while not self._idle.empty():
                self._threads.submit(self._idle.get_nowait().stop)
        self.release = release
        self._workers.update(workers)
        for worker in workers:
            self._idle.put_nowait(worker)

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            served = f"; release {self.release.id} is served on" if self.release else ""
            log.warning("%s%s", problem, served)
        self.problem = problem

    async def close(self) -> None:
        """Stops all workers. No request may be running any more."""
        for worker in list(self._starting):
            worker.kill()  # ends the thread that waits until it is open
        for worker in self._workers:
            self._threads.submit(worker.stop)
        await asyncio.to_thread(self._threads.shutdown)


def _reason(error: Exception) -> str:
    """Returns in one line why a release cannot be opened."""
    known = error if isinstance(error, TitlerError) else disk_error(error)
    text = known.message if known else f"Unexpected {type(error).__name__}: {error}"
    return " ".join(text.split())
