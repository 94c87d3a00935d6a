"""The requests that a night sends to the bucket of the lake, with a short and with a long history."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipeline import sample
from pipeline.lake.pinned import Pinned
from pipeline.serving import status
from pipeline.serving.report.stored_report import write_report
from pipeline.settings import Compute, Index, Release, Settings, Source, Warehouse
from pipeline.stages import clean, collect, embed, extract, index, plan, predict, publish, vectorize
from tests.stages.literal_models import FakeRegistry
from tests.support.long_history import MODEL, History, Requests, count_requests, long_history

NIGHT = date(2024, 1, 16)
YESTERDAY = date(2024, 1, 15)


def run_night(history: History, requests: Requests, release_id: str) -> None:
    """Runs the verbs of a night. Every verb reads its inputs anew, as its own process does."""
    lake, settings = history.lake, history.settings
    with requests.during("extract"):
        extract.run(lake, settings, [NIGHT])
    with requests.during("clean"):
        clean.run(lake, settings, [str(NIGHT)])
    with requests.during("plan"):
        planned = plan.run(lake, settings, Pinned(lake, "releases", release_id))
    if planned.plan is not None:
        with requests.during("vectorize"):
            vectorize.run(lake, settings, Pinned(lake, "releases", release_id))
        with requests.during("embed"):
            embed.run(lake, settings, Pinned(lake, "releases", release_id))
        with requests.during("predict"):
            predict.run(lake, settings, Pinned(lake, "releases", release_id))
        with requests.during("index"):
            index.run(lake, Pinned(lake, "releases", release_id), settings)
        with requests.during("publish"):
            release = Pinned(lake, "releases", release_id)
            publish.run(lake, settings, release, {})
            write_report(settings, release)  # as the command `titler publish` does
    with requests.during("status"):
        status.status(lake, settings)
    with requests.during("collect"):
        collect.run(lake, settings)


def requests_of_nights(folder: Path, days: int, *, cold: bool = False) -> dict[str, Requests]:
    """The requests of a night with one new day, and of the next run, which finds nothing new.

    `days` is the length of the history. If `cold` is true, the local cache is empty at first.
    """
    sample.write(folder / "hours", days=1, first_day=NIGHT, issues_per_day=60)
    settings = Settings(
        source=Source(hours=str(folder / "hours")),
        warehouse=Warehouse(path=str(folder / "warehouse.duckdb")),
        compute=Compute(workers=1),
        index=Index(min_recall=0),
        release=Release(keep=1),  # so the night removes a release, as every night does
    )
    registry = FakeRegistry(MODEL)
    with pytest.MonkeyPatch.context() as patch:
        for module in (plan, collect, status):
            patch.setattr(module, "open_tracking", lambda settings, lake: registry)
        history = long_history(folder, settings, YESTERDAY, days)
        if not cold:
            history.fill_cache()
        requests = count_requests(patch)
        of_nights = {}
        for name in ("night", "idle"):
            run_night(history, requests, name)
            of_nights[name] = Requests(requests.of_verb, requests.paths)
            requests.of_verb, requests.paths = {}, []
        return of_nights


@pytest.fixture(scope="module")
def of_a_year(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Requests]:
    return requests_of_nights(tmp_path_factory.mktemp("year"), 365)


@pytest.fixture(scope="module")
def of_five_years(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Requests]:
    return requests_of_nights(tmp_path_factory.mktemp("five years"), 1825)


def test_a_night_with_a_new_day_sends_at_most_300_requests(of_five_years: dict[str, Requests]) -> None:
    assert of_five_years["night"].of_verb.keys() >= {"plan", "vectorize", "predict", "index", "publish"}
    assert of_five_years["night"].total <= 300


def test_a_run_that_finds_nothing_new_sends_at_most_50_requests(of_five_years: dict[str, Requests]) -> None:
    assert of_five_years["idle"].of_verb.keys() == {"extract", "clean", "plan", "status", "collect"}
    assert of_five_years["idle"].total <= 50


@pytest.mark.parametrize("name", ["night", "idle"])
def test_the_number_of_requests_hardly_depends_on_the_length_of_the_history(
    of_a_year: dict[str, Requests], of_five_years: dict[str, Requests], name: str
) -> None:
    assert of_five_years[name].total <= 1.5 * of_a_year[name].total
