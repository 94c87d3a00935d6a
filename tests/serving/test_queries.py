"""What a maintainer types, and which issues answer."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pipeline import sample
from pipeline.cli import query_reports
from pipeline.index import annoy_index
from pipeline.index.release_index import nearest_others
from pipeline.serving.queries import canonical_url
from pipeline.serving.source_checks import has_last_hour, ready
from pipeline.settings import Settings, Source
from pipeline.source.hour_files import SourceDay
from pipeline.warehouse import SourceTable

URL = "https://github.com/owner/repo/issues/12"


@pytest.mark.parametrize(
    "typed",
    [
        URL,
        f" {URL}\r\n",
        f"{URL}/",
        f"{URL}#issuecomment-1",
        f"{URL}?x=y",
        f"{URL}/?x=/#top/\n",
        URL.replace("https", "http"),
    ],
)
def test_an_issues_url_is_known_however_a_shell_or_a_browser_gives_it(typed):
    assert canonical_url(typed) == URL


@pytest.mark.parametrize(
    "typed", ["crash when opening", f"{URL} crashes", f"see {URL}", "https", f"{URL}\n{URL}"]
)
def test_anything_else_is_a_text(typed):
    assert canonical_url(typed) is None


@pytest.fixture
def index(tmp_path):
    annoy_index.build(
        [np.array([[1, 0], [1, 1], [0, 1]], dtype=np.float32)], 2, tmp_path / "a.ann", trees=3, seed=1
    )
    return annoy_index.Index(tmp_path / "a.ann", 2)


def test_an_issue_is_not_its_own_neighbour(index):
    assert [item for item, _ in nearest_others(index, index.vector(0), 0, 1, 100)] == [1]


def test_asked_for_more_neighbours_than_there_are_all_are_given(index):
    assert [item for item, _ in nearest_others(index, index.vector(0), 0, 1000, 100)] == [1, 2]
    assert [item for item, _ in nearest_others(index, index.vector(0), None, 1000, 100)] == [0, 1, 2]


OVER = datetime(2015, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("found", "there"),
    [
        (SourceDay(date(2015, 1, 1), (), tuple(range(23))), True),  # the others will not come any more
        (SourceDay(date(2015, 1, 1), (), (23,)), False),
        (SourceTable("githubarchive.day.20150101", 10, OVER + timedelta(minutes=8)), True),
        (
            SourceTable("githubarchive.day.20150101", 10, OVER - timedelta(minutes=52)),
            False,
        ),  # it has hour 22
        (SourceTable("githubarchive.day.20150101", None), False),
    ],
)
def test_a_days_last_hour_is_a_file_or_in_its_table(found: SourceDay | SourceTable, there: bool) -> None:
    assert has_last_hour(found, date(2015, 1, 1)) is there


def test_ready_names_the_hour_and_the_source(tmp_path: Path) -> None:
    sample.write(tmp_path, days=2, issues_per_day=60)
    settings = Settings(source=Source(hours=str(tmp_path)))
    first, never = (ready(settings, date(2024, 1, day)) for day in (1, 9))
    assert first == {"day": "2024-01-01", "ready": True, "source": f"hour 23 in {tmp_path}"}
    assert never == {"day": "2024-01-09", "ready": False, "source": f"hour 23 in {tmp_path}"}


def test_status_lists_the_days_that_nobody_took(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"hours_found": 24, "events": 9, "malformed": 0, "issues": 5, "trainable": 3, "verdict": "complete"}
    days = ["2015-02-27", "2015-03-01", "2015-03-02", "2015-03-05"]
    query_reports.status(
        {"days": [{"day": day, **row} for day in days], "model": None, "release": None}, False
    )
    assert (
        capsys.readouterr().out.splitlines()[6]
        == "          never taken: 2015-02-28, 2015-03-03 to 2015-03-04"
    )
