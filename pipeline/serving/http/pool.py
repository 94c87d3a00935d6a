"""The workers that answer requests, the release that they have open, and the requests that wait for them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipeline.errors import LakeError, TitlerError, disk_error
from pipeline.lake.batches import Lake
from pipeline.lake.forgotten import ForgottenList
from pipeline.releases.current import current_release_id
from pipeline.releases.records import read_record
from pipeline.serving.http.refusals import RETRY_AFTER, RefusalError, overloaded
from pipeline.serving.http.tasks import SERVER_FAULT, Reply, Task, can_be_joined
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
    forgotten_at: str
    """When `titler forget` finished last, or an empty string. It writes the files of a release again."""


@dataclass(eq=False)
class _Request:
    """A task, and the response that its client waits for. The task waits for a worker, or is being
    computed."""

    task: Task
    response: asyncio.Future[Any]


class WorkerPool:
    """A fixed number of workers, which have the same release open. When another release becomes current, new
    workers are started for it. An old worker that is answering a request finishes its answer before it is
    ended.

    Requests for titles that wait at the same time are computed together, and so are searches that wait at the
    same time (see `can_be_joined`). This needs much less processor time per request. If the current release
    of the lake is not served, or if workers are missing, `problem` says why. Otherwise `problem` is empty.
    """

    def __init__(self, lake: Lake, settings: Settings) -> None:
        self._lake = lake
        self._settings = settings
        self.size = settings.serve.workers or len(os.sched_getaffinity(0))
        self._idle: list[Worker] = []
        self._workers: set[Worker] = set()
        self._processes: set[Worker] = set()
        """All workers whose process was not ended yet: also those that start, and those of an old release."""
        self._is_closing = False
        self._queue: deque[_Request] = deque()
        self._computing: set[asyncio.Task[None]] = set()
        self._lost = asyncio.Event()
        # Requests of the old release and of the new one may be computed at the same time.
        self._threads = ThreadPoolExecutor(2 * self.size, thread_name_prefix="titler-worker")
        self.release: ServedRelease | None = None
        self.problem = "The server has not opened a release yet."

    @property
    def usable(self) -> int:
        """Number of workers that have the release open."""
        return len(self._workers)

    @property
    def busy(self) -> int:
        """Number of workers that compute an answer."""
        return len(self._workers) - len(self._idle)

    @property
    def waiting(self) -> int:
        """Number of requests that wait for a worker."""
        return len(self._queue)

    async def compute(self, task: Task) -> Any:
        """Returns the JSON value that a worker computes for a task. Raises RefusalError if this fails."""
        serve, loop = self._settings.serve, asyncio.get_running_loop()
        if self.release is None:
            raise RefusalError(503, self.problem, "a published release", {**RETRY_AFTER})
        if not self._idle and self.waiting >= serve.max_waiting:
            raise overloaded(f"All workers are busy, and {self.waiting} requests are waiting for them.")
        request = _Request(task, loop.create_future())
        self._queue.append(request)
        self._dispatch()
        expiry = loop.call_later(serve.timeout_seconds, self._expire, request)
        try:
            return await request.response
        finally:
            expiry.cancel()

    def _expire(self, request: _Request) -> None:
        """Refuses a request that has waited too long for a worker."""
        if request in self._queue:
            self._queue.remove(request)
            seconds = self._settings.serve.timeout_seconds
            _finish(request, overloaded(f"No worker was free within {seconds:g} s."))

    def _dispatch(self) -> None:
        """Gives the requests that wait to the workers that are free."""
        self._drop_ended()
        while self._idle and self._queue:
            # The worker that became free last has the warmest caches.
            computing = asyncio.create_task(self._run(self._idle.pop(), self._take()))
            self._computing.add(computing)
            computing.add_done_callback(self._computing.discard)

    def _take(self) -> list[_Request]:
        """Removes the next request from the queue, and the waiting requests that can be computed together
        with it. Returns all of them."""
        together = [self._queue.popleft()]
        for request in list(self._queue):
            if can_be_joined([each.task for each in (*together, request)]):
                self._queue.remove(request)
                together.append(request)
        return together

    async def _run(self, worker: Worker, requests: list[_Request]) -> None:
        """Lets a worker answer one request, or several requests that can be computed together."""
        tasks, timeout = [request.task for request in requests], self._settings.serve.timeout_seconds
        outcomes: Sequence[Reply | RefusalError]
        is_usable = False
        try:
            loop = asyncio.get_running_loop()
            outcomes = await loop.run_in_executor(self._threads, worker.run, tasks, timeout)
            is_usable = True
        except TimeoutError:
            message = f"The answer was not computed within {timeout:g} s."
            outcomes = len(tasks) * [
                RefusalError(504, message, "a request with fewer issues or a shorter text")
            ]
        except WorkerLostError:
            message = "The process that computed the answer has ended."
            outcomes = len(tasks) * [
                RefusalError(503, message, "the same request once more", {**RETRY_AFTER})
            ]
        except Exception as error:  # the clients must not wait for ever
            log.error("%s failed: %s", type(tasks[0]).__name__, type(error).__name__)
            outcomes = len(tasks) * [RefusalError(500, "The answer could not be computed.", SERVER_FAULT)]
        finally:
            self._return(worker, is_usable)
        for request, outcome in zip(requests, outcomes, strict=True):
            _finish(request, outcome)

    def _return(self, worker: Worker, is_usable: bool) -> None:
        """Frees a worker for other requests. Ends it instead if it is not usable or was replaced."""
        if is_usable and worker in self._workers:
            self._idle.append(worker)
            self._dispatch()
            return
        if worker in self._workers:
            self._workers.discard(worker)
            self._lost.set()
        self._end(worker)

    def _drop_ended(self) -> None:
        """Forgets the free workers whose process has ended, for example because memory was short."""
        ended = [worker for worker in self._idle if not worker.is_alive()]
        for worker in ended:
            self._idle.remove(worker)
            self._return(worker, is_usable=False)

    def _end(self, worker: Worker) -> None:
        """Ends a worker that is free, or that cannot be used any more."""
        if not self._is_closing:  # `close` ends all of them
            self._threads.submit(self._kill, worker)

    def _kill(self, worker: Worker) -> None:
        worker.kill()
        self._processes.discard(worker)

    async def follow(self) -> None:
        """Serves the current release, and every later one, until the asyncio task that runs this method is
        cancelled."""
        while True:
            self._lost.clear()
            await self.check()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.serve.refresh_seconds):
                    await self._lost.wait()

    async def check(self) -> None:
        """Replaces workers that were lost. Opens the current release if it is not served yet, or if
        `titler forget` has removed issues since it was opened. If this fails, the workers continue with the
        release that they have open, and `problem` and the log say why."""
        self._drop_ended()
        lost = await _problem_of(self._replace_lost())
        current = await _problem_of(self._open_current())
        if self.usable == self.size:
            lost = ""
        self._report(" ".join(problem for problem in (current, lost) if problem))

    async def _replace_lost(self) -> None:
        """Starts a new worker of the served release for each worker that was lost. Raises TitlerError if the
        release cannot be opened any more."""
        missing = self.size - self.usable
        if self.release is not None and missing:
            self._serve(self.release, await asyncio.to_thread(self._open, self.release.id, missing))

    async def _open_current(self) -> None:
        """Opens the current release of the lake if it is not the served one, or if `titler forget` has
        removed issues since it was opened. Raises TitlerError if the release cannot be opened, or if no
        release is published."""
        current = await asyncio.to_thread(self._current)
        if current != self.release:
            self._serve(current, await asyncio.to_thread(self._open, current.id, self.size))

    def _open(self, release_id: str, count: int) -> list[Worker]:
        """Returns `count` new workers that have the release open. Raises TitlerError if they cannot open
        it."""
        workers: list[Worker] = []
        try:
            # The first one finds out whether the release can be opened, before the others are started.
            for number in (1, count - 1):
                started = [self._start(release_id, workers) for _ in range(number)]
                for worker in started:
                    worker.wait_until_open()
        except BaseException:
            for worker in workers:
                self._kill(worker)
            raise
        return workers

    def _start(self, release_id: str, workers: list[Worker]) -> Worker:
        """Starts a worker and adds it to `workers`. Raises LakeError if the pool is being closed."""
        worker = Worker(self._lake, self._settings, release_id)
        workers.append(worker)
        self._processes.add(worker)
        if self._is_closing:  # `close` may not have seen this worker
            raise LakeError("The server is stopping.")
        return worker

    def _current(self) -> ServedRelease:
        release_id = current_release_id(self._lake)
        if release_id is None:
            raise LakeError(f"No release is published in {self._lake.root}.")
        record = read_record(self._lake, release_id) or {}
        return ServedRelease(
            release_id,
            record.get("issues", 0),
            record.get("model", ""),
            record.get("published_at", ""),
            ForgottenList.read(self._lake).finished_at,
        )

    def _serve(self, release: ServedRelease, workers: list[Worker]) -> None:
        """Lets the new workers answer requests from now on. Busy workers of another release are stopped when
        they have answered."""
        if self.release != release:
            log.info("release %s is served by %d workers", release.id, len(workers))
            for worker in self._idle:
                self._end(worker)
            self._workers, self._idle = set(), []
        self.release = release
        self._workers.update(workers)
        self._idle += workers
        self._dispatch()

    def _report(self, problem: str) -> None:
        if problem and problem != self.problem:
            served = f"; release {self.release.id} is still served" if self.release else ""
            log.warning("%s%s", problem, served)
        self.problem = problem

    async def close(self) -> None:
        """Ends all workers. Call it only after all requests have been answered."""
        self._is_closing = True
        for worker in list(self._processes):  # this also ends the threads that wait for an answer of them
            await asyncio.to_thread(self._kill, worker)
        await asyncio.to_thread(self._threads.shutdown)


async def _problem_of(attempt: Coroutine[Any, Any, None]) -> str:
    """Makes an attempt to open a release. If the attempt fails, returns the reason in one line. Otherwise
    returns an empty text."""
    try:
        await attempt
    except Exception as error:
        return _reason(error)
    return ""


def _finish(request: _Request, outcome: Reply | RefusalError) -> None:
    """Answers a request, unless its client does not wait any more."""
    if request.response.done():
        return
    try:
        if isinstance(outcome, RefusalError):
            raise outcome
        request.response.set_result(outcome.result())
    except RefusalError as refusal:
        request.response.set_exception(refusal)


def _reason(error: Exception) -> str:
    """Returns in one line why a release cannot be opened."""
    cause = error if isinstance(error, TitlerError) else disk_error(error)
    text = cause.message if cause else f"Unexpected {type(error).__name__}: {error}"
    return " ".join(text.split())
