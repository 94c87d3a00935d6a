"""The workers: which requests they get together, and when they are replaced."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import ISSUES
from pipeline.lake.batches import Lake
from pipeline.lake.forgotten import FORGOTTEN, Forgetting, ForgottenList
from pipeline.releases.current import current_release_id, point_to, require_current
from pipeline.serving import queries
from pipeline.serving.http.pool import WorkerPool
from pipeline.serving.http.refusals import RefusalError
from pipeline.serving.http.tasks import IssueTask, SimilarTask, Task, TitleTask, can_be_joined
from pipeline.serving.queries import SimilarQuery
from pipeline.settings import Serve, Settings

BODY = "The window closes when I press Enter twice"
SEARCH = SimilarTask(SimilarQuery(BODY), 3)


def test_before_a_release_is_published_requests_are_refused_with_the_reason(tmp_path: Path) -> None:
    async def run() -> None:
        pool = WorkerPool(Lake(str(tmp_path)), Settings())
        await pool.check()
        with pytest.raises(RefusalError) as refused:
            await pool.compute(TitleTask((BODY,)))
        assert (refused.value.status, refused.value.error) == (503, f"No release is published in {tmp_path}.")
        await pool.close()

    asyncio.run(run())


def test_a_worker_whose_answer_takes_too_long_is_ended_and_replaced(copied_lake: Settings) -> None:
    serve = Serve(workers=1, timeout_seconds=1e-9)
    settings = copied_lake.model_copy(update={"serve": serve})

    async def run() -> None:
        pool = WorkerPool(Lake(settings.lake.root), settings)
        await pool.check()
        with pytest.raises(RefusalError) as refused:
            await pool.compute(TitleTask((BODY,)))
        assert (refused.value.status, refused.value.error) == (
            504,
            "The answer was not computed within 1e-09 s.",
        )
        assert pool.usable == 0
        await pool.check()
        assert (pool.usable, pool.busy, pool.problem) == (1, 0, "")
        await pool.close()

    asyncio.run(run())


@pytest.fixture(scope="module")
def open_pool(copied_lake: Settings) -> Iterator[tuple[asyncio.Runner, WorkerPool]]:
    """A pool with one worker, and the event loop in which it runs."""
    settings = copied_lake.model_copy(update={"serve": Serve(workers=1)})
    with asyncio.Runner() as runner:
        pool = runner.run(opened(settings))
        yield runner, pool
        runner.run(pool.close())


async def opened(settings: Settings) -> WorkerPool:
    pool = WorkerPool(Lake(settings.lake.root), settings)
    await pool.check()
    return pool


def draft(title: str, body: str) -> SimilarTask:
    return SimilarTask(SimilarQuery(body, title), 3)


@pytest.mark.parametrize(
    ("tasks", "is_possible"),
    [
        ([TitleTask(("a",) * 8), TitleTask((None,) * 8)], True),
        ([TitleTask(("a",) * 8), TitleTask(("a",) * 9)], False),
        ([TitleTask(("a" * 99_999,)), TitleTask(("a",))], True),
        ([TitleTask(("a" * 100_000,)), TitleTask(("a",))], False),
        ([TitleTask(("a",)), IssueTask("https://github.com/a/b/issues/1")], False),
        ([SEARCH] * 32, True),
        ([SEARCH] * 33, False),
        ([SEARCH, TitleTask(("a",))], False),
        ([SimilarTask(SimilarQuery("a" * 49_999, "a"), 3), SimilarTask(SimilarQuery("a" * 50_000), 3)], True),
        (
            [SimilarTask(SimilarQuery("a" * 50_000, "a"), 3), SimilarTask(SimilarQuery("a" * 50_000), 3)],
            False,
        ),
        ([SEARCH, SimilarTask(SEARCH.query, 5)], False),
        ([SEARCH, SimilarTask(SimilarQuery("https://github.com/a/b/issues/1"), 3)], True),
        ([SEARCH, SimilarTask(SimilarQuery(BODY, repo="a/b"), 3)], False),
        ([SEARCH, SimilarTask(SimilarQuery(BODY, since=date(2019, 11, 1)), 3)], False),
    ],
)
def test_only_few_short_tasks_of_one_kind_are_computed_together(tasks: list[Task], is_possible: bool) -> None:
    assert can_be_joined(tasks) == is_possible


def test_titles_that_wait_at_the_same_time_are_computed_together(
    open_pool: tuple[asyncio.Runner, WorkerPool], copied_lake: Settings
) -> None:
    runner, pool = open_pool
    bodies = ["It crashes at the start", "The colour of the button is wrong"]

    async def run() -> list[list[dict[str, Any]]]:
        tasks = [TitleTask((BODY,)), TitleTask(tuple(bodies)), TitleTask(("",))]
        waiting = [asyncio.create_task(pool.compute(task)) for task in tasks]
        await asyncio.sleep(0)  # lets all of them begin
        assert (pool.busy, pool.waiting) == (1, 2)
        await waiting[1]
        await asyncio.sleep(0)  # too short for another answer
        assert waiting[2].done()
        return [await response for response in waiting]

    first, second, third = runner.run(run())
    lake = Lake(copied_lake.lake.root)
    assert first == [queries.title(lake, BODY)]
    assert [title["title"] for title in second] == [queries.title(lake, body)["title"] for body in bodies]
    assert [title["abstained"] for title in third] == [True]


def test_searches_that_wait_at_the_same_time_have_the_answers_that_each_has_alone(
    open_pool: tuple[asyncio.Runner, WorkerPool], copied_lake: Settings
) -> None:
    runner, pool = open_pool
    lake = Lake(copied_lake.lake.root)
    release = require_current(lake)
    url = lake.read(release.members[ISSUES.name][0], ISSUES, ["issue_url"])["issue_url"][0].as_py()
    asked = [
        SimilarQuery(BODY),
        SimilarQuery(url),
        SimilarQuery("☃"),
        SimilarQuery("https://github.com/no/such/issues/1"),
        SimilarQuery("It crashes at the start", "A crash"),
    ]

    async def run() -> list[Any]:
        waiting = [asyncio.create_task(pool.compute(SimilarTask(query, 3))) for query in [asked[0], *asked]]
        await asyncio.sleep(0)  # lets all of them begin
        assert (pool.busy, pool.waiting) == (1, 5)
        return await asyncio.gather(*waiting, return_exceptions=True)

    _, text, address, unknown_word, unknown_address, draft = runner.run(run())
    assert [text, address, draft] == [
        queries.similar(lake, copied_lake, query, 3) for query in (asked[0], asked[1], asked[4])
    ]
    assert (unknown_word.status, unknown_address.status) == (422, 404)


def test_a_damaged_file_that_one_of_several_searches_needs_does_not_reach_the_others(
    copied_lake: Settings,
) -> None:
    lake = Lake(copied_lake.lake.root)
    issues = require_current(lake).members[ISSUES.name][0]
    url = lake.read(issues, ISSUES, ["issue_url"])["issue_url"][0].as_py()
    file, away = (Path(lake.root, issues.folder, name) for name in (issues.files[0].name, "away"))

    async def run() -> list[Any]:
        # A worker of its own: another one may have the file open, and then answers from it.
        pool = await opened(copied_lake.model_copy(update={"serve": Serve(workers=1)}))
        file.rename(away)  # an answer about an issue needs its words, and a text has its own
        asked = [SimilarQuery(BODY), SimilarQuery(BODY), SimilarQuery(url), SimilarQuery(BODY)]
        waiting = [asyncio.create_task(pool.compute(SimilarTask(query, 3))) for query in asked]
        try:
            return await asyncio.gather(*waiting, return_exceptions=True)
        finally:
            away.rename(file)
            await pool.close()

    first, second, damaged, last = asyncio.run(run())
    assert (damaged.status, damaged.error) == (500, "A file of the release is missing or damaged.")
    assert first == second == last == queries.similar(lake, copied_lake, SimilarQuery(BODY), 3)


def test_a_worker_that_refuses_a_task_is_used_again(
    open_pool: tuple[asyncio.Runner, WorkerPool],
) -> None:
    runner, pool = open_pool
    with pytest.raises(RefusalError) as refused:
        runner.run(pool.compute(IssueTask("https://github.com/no/such/issues/1")))
    assert (refused.value.status, pool.usable, pool.busy) == (404, 1, 0)


def test_a_worker_that_has_ended_is_replaced_although_a_newer_release_cannot_be_opened(
    open_pool: tuple[asyncio.Runner, WorkerPool], copied_lake: Settings
) -> None:
    runner, pool = open_pool
    lake = Lake(copied_lake.lake.root)
    served = str(current_release_id(lake))
    for process in multiprocessing.active_children():
        process.kill()
        process.join()
    point_to(lake, "nosuch")
    try:
        runner.run(pool.check())
        assert (pool.usable, pool.release is not None and pool.release.id) == (1, served)
        assert "nosuch" in pool.problem
        assert [title["abstained"] for title in runner.run(pool.compute(TitleTask((BODY,))))] == [False]
    finally:
        point_to(lake, served)


def test_a_release_of_which_issues_were_forgotten_is_opened_again(
    open_pool: tuple[asyncio.Runner, WorkerPool], copied_lake: Settings
) -> None:
    runner, pool = open_pool
    lake = Lake(copied_lake.lake.root)
    before = {process.pid for process in multiprocessing.active_children()}
    begun = Forgetting("a", "repo", "a request", "me", "2015-01-04T03:12:00+00:00", {"repo": ["hash"]})
    empty = ForgottenList.read(lake)
    try:
        empty.store(lake, begun)
        runner.run(pool.check())
        assert {process.pid for process in multiprocessing.active_children()} == before
        empty.store(lake, replace(begun, finished_at="2015-01-04T03:15:00+00:00"))
        runner.run(pool.check())
        assert pool.usable == 1
        assert {
            process.pid for process in multiprocessing.active_children()
        } - before  # the old one is ended later
        assert [title["abstained"] for title in runner.run(pool.compute(TitleTask((BODY,))))] == [False]
    finally:
        lake.delete(FORGOTTEN)


def test_no_process_is_left_if_the_pool_is_closed_while_workers_start(copied_lake: Settings) -> None:
    settings = copied_lake.model_copy(update={"serve": Serve(workers=4)})
    others = set(multiprocessing.active_children())

    async def run() -> None:
        pool = WorkerPool(Lake(settings.lake.root), settings)
        check = asyncio.create_task(pool.check())
        while len(set(multiprocessing.active_children()) - others) < 2:
            await asyncio.sleep(0)
        check.cancel()
        await pool.close()

    asyncio.run(run())
    assert set(multiprocessing.active_children()) <= others
