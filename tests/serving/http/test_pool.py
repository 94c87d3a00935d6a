"""A worker that is too slow, or that has ended, is replaced."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.lake.batches import Lake
from pipeline.serving.http.pool import WorkerPool
from pipeline.serving.http.refusals import RefusalError
from pipeline.serving.http.tasks import TitleTask
from pipeline.settings import Serve, Settings

BODY = "The window closes when I press Enter twice"


def test_before_a_release_is_published_requests_are_refused_with_the_reason(tmp_path) -> None:
    async def run() -> None:
        pool = WorkerPool(Lake(str(tmp_path)), Settings())
        await pool.check()
        with pytest.raises(RefusalError) as refused:
            await pool.answer(TitleTask((BODY,)))
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
            await pool.answer(TitleTask((BODY,)))
        assert (refused.value.status, refused.value.error) == (
            504,
            "The answer was not computed within 1e-09 s.",
        )
        assert pool.usable == 0
        await pool.check()
        assert (pool.usable, pool.busy, pool.problem) == (1, 0, "")
        await pool.close()

    asyncio.run(run())
