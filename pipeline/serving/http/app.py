"""The FastAPI application: its paths, and which task a worker computes for each path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Annotated

from fastapi import Body, FastAPI, Path, Response
from fastapi.responses import JSONResponse

from pipeline.lake.batches import Lake
from pipeline.serving.http.errors import add_error_handlers
from pipeline.serving.http.forms import (
    ANSWERS,
    IssueAnswer,
    ReadyAnswer,
    SimilarAnswer,
    SimilarForm,
    TitleAnswer,
    TitleForm,
    TitleForms,
)
from pipeline.serving.http.gate import Gate
from pipeline.serving.http.metrics import CONTENT_TYPE, RequestMetrics
from pipeline.serving.http.pages import page_response, paths_page, read_page
from pipeline.serving.http.pool import WorkerPool
from pipeline.serving.http.refusals import RefusalError
from pipeline.serving.http.tasks import IssueTask, SimilarTask, TitleTask
from pipeline.settings import Settings

DESCRIPTION = "Titles and similar issues from the current release of a lake of Titler."
OWNER, REPO = r"^[A-Za-z0-9][A-Za-z0-9_-]*$", r"^[A-Za-z0-9._-]+$"
Gauge = tuple[str, str, Mapping[str, str], float]


def make_app(lake: Lake, settings: Settings) -> FastAPI:
    """Returns the application that answers from the current release of a lake."""
    pool, metrics = WorkerPool(lake, settings), RequestMetrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(pool.follow())
        yield
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await pool.close()

    app = FastAPI(
        title="Titler",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # behind a proxy, the redirection would name this server's own address
        lifespan=lifespan,
    )
    app.add_middleware(Gate, serve=settings.serve, metrics=metrics)
    add_error_handlers(app)
    _add_answers(app, pool, settings.serve.max_batch)
    _add_state(app, pool, metrics)
    _add_pages(app)
    return app


def _add_answers(app: FastAPI, pool: WorkerPool, max_batch: int) -> None:
    """Adds the paths that answer from the release: /title, /similar and /issues."""
    title_answers = {**ANSWERS, 200: {"model": TitleAnswer | list[TitleAnswer]}}
    similar_answers = {**ANSWERS, 200: {"model": list[SimilarAnswer]}}
    issue_answers = {**ANSWERS, 200: {"model": IssueAnswer}}

    @app.post("/title", responses=title_answers, summary="Titles")
    async def title(forms: Annotated[TitleForms, Body()]) -> JSONResponse:
        """Predicts a title for the body of an issue. For a list of issues, returns a list of titles in the
        same order."""
        if isinstance(forms, TitleForm):
            return JSONResponse((await pool.compute(TitleTask((forms.body,))))[0])
        if len(forms) > max_batch:
            raise RefusalError(
                413,
                f"The list has {len(forms)} issues.",
                f"at most {max_batch} issues (setting serve.max_batch)",
            )
        return JSONResponse(await pool.compute(TitleTask(tuple(form.body for form in forms))))

    @app.post("/similar", responses=similar_answers, summary="Similar issues")
    async def similar(form: SimilarForm) -> JSONResponse:
        """Finds similar issues for an issue or a text, the most probable duplicate first. For an issue,
        the answer has two lists: similar issues from its own repository, and from all repositories. With
        `repo`, it has only similar issues from this repository. With `everywhere`, or for a text without
        `repo`, it has only similar issues from all repositories."""
        return JSONResponse(await pool.compute(SimilarTask(form.query, form.k)))

    @app.get("/issues/{owner}/{repo}/{number}", responses=issue_answers, summary="A stored issue")
    async def issue(
        owner: Annotated[str, Path(pattern=OWNER)],
        repo: Annotated[str, Path(pattern=REPO)],
        number: Annotated[int, Path(ge=1)],
    ) -> JSONResponse:
        """Returns what the release has stored about an issue: its title, its predicted title, and its similar
        older issues. Computes nothing."""
        url = f"https://github.com/{owner}/{repo}/issues/{number}"
        return JSONResponse(await pool.compute(IssueTask(url)))


def _add_state(app: FastAPI, pool: WorkerPool, metrics: RequestMetrics) -> None:
    """Adds the paths that report the state of the server: /health, /ready and /metrics."""

    @app.head("/health", include_in_schema=False)
    @app.get("/health", summary="Whether the server runs")
    async def health() -> dict[str, str]:
        """Answers as long as the server runs, and needs no token."""
        return {"status": "up"}

    @app.head("/ready", include_in_schema=False)
    @app.get(
        "/ready",
        responses={503: {"model": ReadyAnswer}},
        summary="Whether requests can be answered",
    )
    async def ready() -> JSONResponse:
        """Answers with the status 200 if a worker has a release open, and otherwise with 503. With
        503, `problem` says why. With 200, `problem` may say why an older release is served, or why workers
        are missing."""
        release = pool.release
        is_ready = release is not None and pool.usable > 0
        lost = "" if is_ready else "All workers have ended, and are being replaced."
        readiness = ReadyAnswer(
            ready=is_ready,
            release=release.id if release else None,
            issues=release.issues if release else None,
            model=release.model if release else None,
            published_at=release.published_at if release else None,
            problem=pool.problem or lost or None,
        )
        return JSONResponse(readiness.model_dump(), 200 if is_ready else 503)

    @app.get("/metrics", summary="Metrics", response_class=Response)
    async def read_metrics() -> Response:
        """Returns metrics in the text format of Prometheus."""
        return Response(metrics.text(_gauges(pool)), media_type=CONTENT_TYPE)


def _gauges(pool: WorkerPool) -> Iterable[Gauge]:
    """Returns the state of the pool as metrics."""
    yield "titler_workers", "Number of worker processes that can be used.", {}, pool.usable
    yield "titler_workers_busy", "Number of worker processes that compute an answer.", {}, pool.busy
    yield "titler_requests_waiting", "Number of requests that wait for a worker.", {}, pool.waiting
    yield (
        "titler_release_problem",
        "1 if the current release of the lake is not served, otherwise 0.",
        {},
        int(bool(pool.problem)),
    )
    if release := pool.release:
        yield "titler_release_info", "The release that is served.", {"release": release.id}, 1
        yield "titler_release_issues", "Number of issues in the release that is served.", {}, release.issues


def _add_pages(app: FastAPI) -> None:
    """Adds the pages for web browsers: / to try the server, and /docs with the list of paths."""
    try_page = read_page("try.html")

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def try_it() -> Response:
        return page_response(try_page)

    @app.head("/docs", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return page_response(paths_page(app.openapi()))
