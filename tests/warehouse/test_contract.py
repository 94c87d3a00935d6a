"""The contract suite: every implementation of `Warehouse` must pass it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.contracts import (
    DUPLICATE_MARKS,
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TABLES,
    TITLE_PREDICTIONS,
)
from pipeline.errors import ContractError, TitlerError, UsageError
from pipeline.warehouse import Query, ReleaseTables, Warehouse
from pipeline.warehouse.duckdb import DuckDBWarehouse
from tests.support.stores import BUCKET
from tests.warehouse.conftest import KINDS, new_warehouse
from tests.warehouse.events import (
    DAY,
    Lake,
    embedding,
    health,
    mark,
    neighbour,
    pair,
    prediction,
    publish,
    query_rows,
    release,
)

NEXT_DAY, THIRD_DAY = date(2015, 1, 4), date(2015, 1, 5)
VIEWS = [view.stem for view in Query.folder("views")]


# What analysts see of one release. Each test looks at issues of its own.

URL = "https://github.com/a/b/issues/"
AGAIN = {"created_at": prediction(59)["created_at"], "source_day": NEXT_DAY}  # recorded a second time


def release_to_read(folder: Path) -> Lake:
    lake = Lake(folder)
    lake.add(
        TITLE_PREDICTIONS,
        "t1",
        [
            *(prediction(number) for number in range(1, 10)),
            prediction(11, repo="c/d", confidence=0.25),
            prediction(12, repo="c/d", confidence=0.75),
            prediction(
                13, repo="e/f", title="设置页面崩溃", predicted_title="页面崩溃 crash", confidence=0.75
            ),
            prediction(14, repo="e/f", title="アプリが起動しない", predicted_title="", abstained=True),
        ],
    )
    lake.add(TITLE_PREDICTIONS, "t2", [prediction(4, **AGAIN)], day=NEXT_DAY)
    lake.add(TITLE_PREDICTIONS, "t3", [], day=THIRD_DAY)  # a batch without rows
    lake.add(SIMILAR_ISSUES, "s2", [neighbour(4, 2)], day=NEXT_DAY)
    lake.add(
        SIMILAR_ISSUES,
        "s1",
        [
            *(neighbour(4, 3), neighbour(4, 2, 2)),
            *(neighbour(9, 8), neighbour(9, 7, 2, same_repo=False)),
            neighbour(9, 6, 3, near_duplicate=False),
        ],
    )
    lake.add(DUPLICATE_PAIRS, "p2", [pair(4, 2)], day=NEXT_DAY)
    lake.add(DUPLICATE_PAIRS, "p1", [pair(4, 3), pair(8, 7, 0.75), pair(9, 8), pair(9, 7, 0.25)])
    lake.add(DUPLICATE_MARKS, "d2", [mark("500")], day=NEXT_DAY)
    lake.add(
        DUPLICATE_MARKS,
        "d1",
        [
            mark(
                "500",
                issue_id=9,
                issue_url="https://github.com/a/b/issues/9",
                number=9,
                duplicate_of_number=8,
            ),
            mark("501", issue_id=4, number=4, duplicate_of_number=9),
            mark("502", issue_id=4, number=4, duplicate_of_repo="x/y"),
        ],
    )
    lake.add(EMBEDDINGS, "e2", [embedding(4, 2.0)], day=NEXT_DAY)
    lake.add(EMBEDDINGS, "e1", [embedding(1, 0.5, -1.0), embedding(4, 1.0)])
    return lake.add(SOURCE_HEALTH, "h1", [health()]).supersede(4, NEXT_DAY)


READ_RELEASE = release("r1", min_probability=0.75, cluster_probability=0.5)


@contextmanager
def with_releases(
    request: pytest.FixtureRequest,
    folder: Path,
    lake_in: Callable[[Path], Lake],
    *releases: dict[str, Any],
) -> Iterator[Warehouse]:
    """A warehouse of the kind `request.param` in which the releases of a lake were published."""
    with new_warehouse(request.param, folder) as warehouse, pytest.MonkeyPatch.context() as patch:
        if request.param == "duckdb of a bucket":
            request.getfixturevalue("object_stores")
            patch.setattr(Lake, "bucket", f"s3://{BUCKET}/{uuid.uuid4().hex}")
        publish(warehouse, lake_in(folder), *releases)
        patch.undo()
        yield warehouse


@pytest.fixture(scope="module", params=KINDS)
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    """Each kind of warehouse with `release_to_read`. Tests must not change it."""
    folder = tmp_path_factory.mktemp("published")
    with with_releases(request, folder, release_to_read, READ_RELEASE) as warehouse:
        yield warehouse


def test_what_is_made_current_is_seen_with_its_batch_and_release(published: Warehouse) -> None:
    assert published.current_release() == "r1"
    assert query_rows(published, "SELECT * FROM title_predictions WHERE issue_id = 1") == [
        {**prediction(1), "batch_id": "t1", "release_id": "r1", "number": 1}
    ]


def test_an_issue_recorded_on_two_days_shows_its_earliest(published: Warehouse) -> None:
    assert query_rows(published, "SELECT batch_id FROM title_predictions WHERE issue_id = 4") == [
        {"batch_id": "t1"}
    ]
    sql = "SELECT rank, similar_issue_id, batch_id FROM similar_issues WHERE issue_id = 4 ORDER BY rank"
    assert query_rows(published, sql) == [
        {"rank": 1, "similar_issue_id": 3, "batch_id": "s1"},
        {"rank": 2, "similar_issue_id": 2, "batch_id": "s1"},
    ]


def test_an_issue_recorded_on_two_days_shows_the_embedding_of_its_earliest(published: Warehouse) -> None:
    assert query_rows(published, "SELECT embedding, source_day FROM embeddings WHERE issue_id = 4") == [
        {"embedding": [1.0], "source_day": DAY}
    ]


def test_near_duplicates_are_of_one_repository_and_near(published: Warehouse) -> None:
    sql = "SELECT issue_id, title, similar_issue_id, source_day FROM near_duplicates WHERE issue_id = 9"
    assert query_rows(published, sql) == [
        {"issue_id": 9, "title": "it fails", "similar_issue_id": 8, "source_day": DAY}
    ]


def test_a_mark_recorded_on_two_days_is_shown_with_its_earlier_day(published: Warehouse) -> None:
    assert query_rows(published, "SELECT * FROM duplicate_marks WHERE event_id = '500'") == [
        {
            **mark("500", issue_id=9, issue_url="https://github.com/a/b/issues/9", number=9),
            "duplicate_of_number": 8,
            "source_day": DAY,
            "batch_id": "d1",
            "release_id": "r1",
        }
    ]


def test_the_example_says_which_marked_duplicates_are_found(published: Warehouse) -> None:
    rows = published.query(Query.from_file("examples/marked_duplicates")).to_pylist()
    columns = ("issue_url", "title", "duplicate_of_url", "said_by", "rank", "distance")
    assert [tuple(row[column] for column in columns) for row in rows] == [
        (f"{URL}9", "it fails", f"{URL}8", "member", 1, 0.1),
        (f"{URL}2", "it fails", f"{URL}9", "member", None, None),
    ]


def test_the_example_says_which_problems_were_reported_most(published: Warehouse) -> None:
    rows = published.query(Query.from_file("examples/most_reported_problems")).to_pylist()
    reported = {"repo": "a/b", "first_day": DAY, "last_day": DAY}
    assert rows == [
        {**reported, "canonical_url": f"{URL}7", "canonical_title": "t7", "reports": 3, "reports_in_all": 3},
        {**reported, "canonical_url": f"{URL}3", "canonical_title": "t3", "reports": 2, "reports_in_all": 2},
    ]


def test_the_example_lists_the_titles_of_a_repository(published: Warehouse) -> None:
    rows = published.query(Query.from_file("examples/titles_of_repository", repo="c/d")).to_pylist()
    assert [(row["number"], row["predicted_title"], row["confidence"]) for row in rows] == [
        (12, "it fails", 0.75),
        (11, "it fails", 0.25),
    ]


def test_the_example_lists_the_probable_duplicates_of_a_repository(published: Warehouse) -> None:
    rows = published.query(Query.from_file("examples/duplicates_of_repository", repo="a/b")).to_pylist()
    assert [
        (row["issue_url"], row["title"], row["similar_issue_url"], row["probability"]) for row in rows
    ] == [
        (f"{URL}4", "it fails", f"{URL}3", 0.75),
        (f"{URL}9", "it fails", f"{URL}8", 0.75),
    ]


def test_the_example_lists_the_most_different_titles_first(published: Warehouse) -> None:
    rows = published.query(Query.from_file("examples/most_different_titles")).to_pylist()
    assert [(row["title"], row["predicted_title"], row["shared_words"]) for row in rows] == [
        ("设置页面崩溃", "页面崩溃 crash", 0.8)
    ]  # without those whose title is vague, and the issue whose model abstained


def test_the_example_counts_the_poor_titles_of_each_repository(published: Warehouse) -> None:
    rows = published.query(Query.from_file("examples/poor_titles_by_repository")).to_pylist()
    sql = "SELECT repo, COUNT(*) AS poor FROM poor_titles GROUP BY repo ORDER BY poor DESC, repo"
    assert [{name: row[name] for name in ("repo", "poor")} for row in rows] == query_rows(published, sql)


def test_the_example_says_in_which_scripts_the_model_abstains(published: Warehouse) -> None:
    assert published.query(Query.from_file("examples/abstained_by_script")).to_pylist() == [
        {"script": "Latin or none", "issues": 11, "abstained": 0.0, "without_body": 0.0},
        {"script": "Chinese", "issues": 1, "abstained": 0.0, "without_body": 0.0},
        {"script": "Japanese", "issues": 1, "abstained": 1.0, "without_body": 0.0},
    ]


def test_the_example_says_how_complete_each_day_is(published: Warehouse) -> None:
    (row,) = published.query(Query.from_file("examples/coverage_by_day")).to_pylist()
    assert (row["day"], row["hours_found"], row["events"], row["events_compared"]) == (DAY, 23, 100, None)


def test_the_example_adds_up_what_bigquery_billed_per_month(published: Warehouse) -> None:
    rows = published.query(Query.from_file("examples/cost_by_month")).to_pylist()
    assert [name for row in rows for name in row] in (
        [],
        ["month", "verb", "jobs", "bytes", "usd"] * len(rows),
    )


def test_every_example_is_run_by_a_test() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    examples = [query.stem for query in Query.folder("examples")]
    assert [name for name in examples if f'"examples/{name}"' not in source] == ["nearest_issues"]


def test_embeddings_are_shown_with_their_issues(published: Warehouse) -> None:
    assert query_rows(published, "SELECT * FROM embeddings WHERE issue_id = 1") == [
        {
            "issue_id": 1,
            "issue_url": "https://github.com/a/b/issues/1",
            "number": 1,
            "repo": "a/b",
            "title": "it fails",
            "embedding": [0.5, -1.0],
            "source_day": DAY,
            "model": "titler",
            "model_version": "1",
            "embedding_model": "titler",  # the release names none for the batch
            "batch_id": "e1",
            "release_id": "r1",
        }
    ]


def test_source_health_has_the_list_of_missing_hours(published: Warehouse) -> None:
    assert query_rows(published, "SELECT hours_missing, verdict FROM source_health") == [
        {"hours_missing": [4], "verdict": "partial"}
    ]


def test_a_batch_without_rows_is_fine(published: Warehouse) -> None:
    assert query_rows(published, "SELECT issue_id FROM title_predictions WHERE batch_id = 't3'") == []
    assert query_rows(published, "SELECT COUNT(*) AS n FROM title_predictions") == [{"n": 13}]


def test_an_analyst_writes_bigquery_with_named_parameters(published: Warehouse) -> None:
    figures = "COUNTIF(confidence >= @floor) AS sure, SAFE_DIVIDE(SUM(confidence), COUNT(*)) AS mean"
    sql = f"SELECT repo, {figures} FROM title_predictions WHERE repo = 'c/d' GROUP BY repo"
    assert query_rows(published, sql, floor=0.5) == [{"repo": "c/d", "sure": 1, "mean": 0.5}]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM nothing", "cannot be run"),
        ("SELECT @floor AS x", r"parameter @floor of the query .* has no value"),
        ("DROP TABLE releases_v1", "this statement must be a SELECT"),
    ],
)
def test_a_query_that_cannot_run_is_refused(published: Warehouse, sql: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        query_rows(published, sql)


# What a release changes. Each test has an empty warehouse of its own.


def test_nothing_is_current_before_the_first_release(warehouse: Warehouse) -> None:
    assert warehouse.current_release() is None


def test_a_query_before_the_first_release_says_what_to_do(warehouse: Warehouse) -> None:
    with pytest.raises(UsageError, match=r"No release has been published in .* yet"):
        query_rows(warehouse, "SELECT * FROM title_predictions")


def test_what_is_staged_is_not_seen(warehouse: Warehouse, tmp_path: Path) -> None:
    publish(warehouse, Lake(tmp_path / "1").add(TITLE_PREDICTIONS, "t1", [prediction(1)]))
    lake = Lake(tmp_path / "2").add(TITLE_PREDICTIONS, "t2", [prediction(2)], release_id="r2")
    for table, batches in lake.batches.items():
        warehouse.load(TABLES[table], batches)
    with warehouse.stage(*lake.release(release("r2"))) as staged:
        sql = "SELECT issue_id FROM title_predictions"
        assert staged.query(Query("ask", sql)).to_pylist() == [{"issue_id": 2}]
        assert (query_rows(warehouse, sql), warehouse.current_release()) == ([{"issue_id": 1}], "r1")
    assert warehouse.current_release() == "r1"  # r2 was discarded


def test_a_release_replaces_the_one_before_and_can_be_rolled_back(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    first = Lake(tmp_path / "1").add(TITLE_PREDICTIONS, "t1", [prediction(1)])
    publish(warehouse, first)
    second = Lake(tmp_path / "2").add(TITLE_PREDICTIONS, "t2", [prediction(2)], release_id="r2")
    publish(warehouse, second, release("r1", "published"), release("r2"))
    sql = "SELECT issue_id, release_id FROM title_predictions"
    assert query_rows(warehouse, sql) == [{"issue_id": 2, "release_id": "r2"}]
    publish(warehouse, first, release("r1"), release("r2", "rolled_back"))  # no batch is new
    assert query_rows(warehouse, sql) == [{"issue_id": 1, "release_id": "r1"}]
    assert query_rows(warehouse, "SELECT release_id, status FROM releases ORDER BY release_id") == [
        {"release_id": "r1", "status": "current"},
        {"release_id": "r2", "status": "rolled_back"},
    ]


def test_only_batches_that_no_published_release_has_are_checked(warehouse: Warehouse, tmp_path: Path) -> None:
    faulty = [prediction(1, confidence=2.0)]
    lake = Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", faulty)
    warehouse.load(TITLE_PREDICTIONS, lake.batches[TITLE_PREDICTIONS.name])
    with warehouse.stage(*lake.release()) as staged:
        assert [failure.check for failure in staged.check()] == ["title_predictions_confidence"]
        staged.make_current()  # as if the check were newer than the release
    lake.share("t1", "r2").add(
        TITLE_PREDICTIONS, "t2", [prediction(2, source_day=NEXT_DAY)], release_id="r2", day=NEXT_DAY
    )
    publish(warehouse, lake, release("r1", "published"), release("r2"))
    lake.add(TITLE_PREDICTIONS, "t3", [prediction(3, confidence=3.0)], release_id="r3").share("t1", "r3")
    warehouse.load(TITLE_PREDICTIONS, lake.batches[TITLE_PREDICTIONS.name])
    with warehouse.stage(*lake.release(release("r1", "published"), release("r3"))) as staged:
        (failure,) = staged.check()
    assert [row["batch_id"] for row in failure.rows.to_pylist()] == ["t3"]


def test_making_current_can_be_repeated(warehouse: Warehouse, tmp_path: Path) -> None:
    with warehouse.stage(*Lake(tmp_path).release()) as staged:
        staged.make_current()
        staged.make_current()
        assert staged.query(Query("ask", "SELECT release_id FROM releases")).to_pylist() == [
            {"release_id": "r1"}
        ]
    assert warehouse.current_release() == "r1"


def test_a_batch_loaded_twice_is_there_once(warehouse: Warehouse, tmp_path: Path) -> None:
    lake = Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(1)])
    warehouse.load(TITLE_PREDICTIONS, lake.batches[TITLE_PREDICTIONS.name])
    publish(warehouse, lake)
    assert query_rows(warehouse, "SELECT COUNT(*) AS n FROM title_predictions") == [{"n": 1}]


def test_a_view_of_a_table_without_batches_is_empty_with_all_its_columns(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    publish(warehouse, Lake(tmp_path))
    for view in sorted(set(VIEWS) - {"releases"}):
        rows = warehouse.query(Query("ask", f"SELECT * FROM {view}"))
        assert rows.num_rows == 0, view
        assert {"batch_id", "release_id"} < set(rows.column_names), view


POOR: list[tuple[str, str | None]] = [  # beside the suggestion `settings page crashes`
    ("Error", "vague"),
    ("settings page", "vague"),  # two words
    ("Error!!! ???", "vague"),  # a word has a letter or a digit
    ("", "vague"),
    ("It doesn't work, please help", "vague"),  # words that fit any issue
    ("[BUG]", "templated"),
    ("bug:", "templated"),
    ("[Bug]: it does not work", "templated"),
    ("[Bug report] settings page", "templated"),
    ("Feature request", "templated"),
    ("<title>", "templated"),
    ("Issue title", "templated"),
    ("Describe the bug", "templated"),
    ("Nothing happens after the upgrade", "far"),  # no word in common
    ("[BUG] Nothing happens after the upgrade", "far"),  # the placeholder does not count
    ("Crashing when the settings open", None),  # crash and crashing match
    ("[BUG] The settings do not open on Android", None),
    ("bug reports are lost in the settings", None),  # begins like a placeholder
    ("设置页面打开时应用崩溃", None),  # no blanks between words: not one word
    ("Приложение падает при открытии настроек", None),  # another script: not compared
    ("UI is so bad", None),  # has no word of four letters
]


def poor_and_good_titles(folder: Path) -> Lake:
    """A release with POOR, numbered from 1, and issues 201 to 203, of which 203 is recorded on two days."""
    rows = [
        prediction(number, title=title, predicted_title="settings page crashes", confidence=0.5)
        for number, (title, _) in enumerate(POOR, start=1)
    ]
    placeholder = {
        "title": "Feature request: JSON output for all commands",
        "predicted_title": "feature request dark theme",
    }
    rows += [
        prediction(100, **placeholder),
        prediction(101, title="Error", confidence=0.49),
        prediction(102, title="Error", predicted_title="", confidence=0.9, abstained=True),
        prediction(103, title="Nothing happens after the upgrade", predicted_title="crash", confidence=0.49),
        prediction(104, title="Nothing happens after the upgrade", predicted_title="", abstained=True),
    ]
    poor = {"title": "Error", "predicted_title": "settings page crashes", "confidence": 0.75}
    good = {**poor, "title": "settings page crashes on Android"}
    later = [
        prediction(201, **poor, source_day=NEXT_DAY),
        prediction(202, title="it fails on every new phone", source_day=NEXT_DAY),
        prediction(203, **poor, source_day=NEXT_DAY),  # also recorded on the day before, which counts
    ]
    lake = Lake(folder).add(TITLE_PREDICTIONS, "t2", later, day=NEXT_DAY).supersede(203, NEXT_DAY)
    return lake.add(TITLE_PREDICTIONS, "t1", [*rows, prediction(203, **good)])


@pytest.fixture(scope="module", params=KINDS)
def with_poor_titles(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    """Each kind of warehouse with `poor_and_good_titles`. Tests must not change it."""
    with with_releases(request, tmp_path_factory.mktemp("poor"), poor_and_good_titles) as warehouse:
        yield warehouse


def test_a_title_is_poor_for_a_reason(with_poor_titles: Warehouse) -> None:
    sql = "SELECT issue_id, reason FROM poor_titles WHERE issue_id < 200 ORDER BY issue_id"
    found = query_rows(with_poor_titles, sql)
    assert [(row["issue_id"], row["reason"]) for row in found] == [
        *((number, reason) for number, (_, reason) in enumerate(POOR, start=1) if reason),
        (100, "far"),  # a placeholder is not a word shared with the suggestion
        (101, "vague"),
        (102, "vague"),
    ]  # 103 and 104 have no suggestion that is sure, which the reason `far` needs


def test_a_poor_title_comes_with_its_suggestion_and_its_lineage(with_poor_titles: Warehouse) -> None:
    assert query_rows(with_poor_titles, "SELECT * FROM poor_titles WHERE issue_id > 200") == [
        {
            "issue_id": 201,
            "issue_url": "https://github.com/a/b/issues/201",
            "number": 201,
            "repo": "a/b",
            "body_excerpt": prediction(201)["body_excerpt"],
            "title": "Error",
            "predicted_title": "settings page crashes",
            "confidence": 0.75,
            "probability": None,
            "reason": "vague",
            "source_day": NEXT_DAY,
            "model": "titler",
            "model_version": "1",
            "batch_id": "t2",
            "release_id": "r1",
        }
    ]


def two_releases(folder: Path) -> Lake:
    """r1, and r2 by the next version of the model."""
    silent: dict[str, Any] = {"predicted_title": "", "abstained": True}
    rows_of_r1 = [
        prediction(1),
        prediction(2),
        prediction(3),
        prediction(4, **silent),
        prediction(5),
        prediction(6, **silent),
    ]
    rows_of_r2 = [
        prediction(2, predicted_title="it fails twice", confidence=0.75),
        prediction(3, **silent),
        prediction(4, predicted_title="it fails now"),
        prediction(5, confidence=0.75),  # only another confidence
        prediction(6, **silent),
        prediction(7),
    ]
    lake = Lake(folder).add(TITLE_PREDICTIONS, "t1", rows_of_r1, release_id="r1")
    return lake.add(
        TITLE_PREDICTIONS, "t2", [{**row, "model_version": "2"} for row in rows_of_r2], release_id="r2"
    )


@pytest.fixture(scope="module", params=KINDS)
def with_two_releases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    """Each kind of warehouse with `two_releases`; r2 is current. Tests must not change it."""
    releases = release("r1", "published"), release("r2", model_version="2")
    with with_releases(request, tmp_path_factory.mktemp("two"), two_releases, *releases) as warehouse:
        yield warehouse


def test_an_earlier_release_can_be_queried_while_another_is_current(with_two_releases: Warehouse) -> None:
    sql = "SELECT * FROM title_predictions_at('r1') WHERE issue_id = 2"
    assert query_rows(with_two_releases, sql) == [
        {**prediction(2), "batch_id": "t1", "release_id": "r1", "number": 2}
    ]
    sql = "SELECT * FROM {} ORDER BY issue_id"
    assert query_rows(
        with_two_releases, sql.format("title_predictions_at(@release)"), release="r2"
    ) == query_rows(with_two_releases, sql.format("title_predictions"))
    with pytest.raises(TitlerError, match="No retained release is named r3"):
        query_rows(with_two_releases, "SELECT * FROM title_predictions_at('r3')")


def test_a_release_has_its_own_days_and_each_issue_once(warehouse: Warehouse, tmp_path: Path) -> None:
    later = [prediction(number, source_day=NEXT_DAY) for number in (1, 2)]
    lake = Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(1)]).share("t1", "r2")
    lake.add(TITLE_PREDICTIONS, "t2", later, release_id="r2", day=NEXT_DAY)
    lake.supersede(1, NEXT_DAY, release_id="r2")
    publish(warehouse, lake, release("r1", "published"), release("r2"))
    sql = "SELECT issue_id, batch_id, release_id FROM title_predictions_at(@release) ORDER BY issue_id"
    assert query_rows(warehouse, sql, release="r1") == [{"issue_id": 1, "batch_id": "t1", "release_id": "r1"}]
    assert query_rows(warehouse, sql, release="r2") == [
        {"issue_id": 1, "batch_id": "t1", "release_id": "r2"},
        {"issue_id": 2, "batch_id": "t2", "release_id": "r2"},
    ]
    assert query_rows(warehouse, "SELECT issue_id, change FROM what_changed('r1', 'r2')") == [
        {"issue_id": 2, "change": "added"}
    ]


def test_the_current_release_is_whole_while_another_is_staged_without_it(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    lake = Lake(tmp_path / "1").add(TITLE_PREDICTIONS, "t1", [prediction(1)])
    again = [prediction(1, source_day=NEXT_DAY)]
    publish(warehouse, lake.add(TITLE_PREDICTIONS, "t2", again, day=NEXT_DAY).supersede(1, NEXT_DAY))
    # A rollback past a release whose files cannot be read.
    before = Lake(tmp_path / "2").add(TITLE_PREDICTIONS, "t1", [prediction(1)], release_id="r0")
    with warehouse.stage(*before.release(release("r0"))):
        sql = "SELECT issue_id, batch_id FROM title_predictions"
        assert query_rows(warehouse, sql) == [{"issue_id": 1, "batch_id": "t1"}]


def test_what_changed_between_two_releases(with_two_releases: Warehouse) -> None:
    sql = (
        "SELECT issue_id, change, source_day, title_before, predicted_before, predicted_after "
        "FROM what_changed('r1', 'r2') ORDER BY issue_id"
    )
    assert [tuple(row.values()) for row in query_rows(with_two_releases, sql)] == [
        (1, "removed", DAY, "it fails", "it fails", None),
        (2, "retitled", DAY, "it fails", "it fails", "it fails twice"),
        (3, "abstains", DAY, "it fails", "it fails", ""),
        (4, "titled", DAY, "it fails", "", "it fails now"),
        (7, "added", DAY, None, None, "it fails"),
    ]
    assert query_rows(
        with_two_releases,
        "SELECT * FROM what_changed(@before, @after) WHERE change = 'retitled'",
        before="r1",
        after="r2",
    ) == [
        {
            "issue_id": 2,
            "issue_url": "https://github.com/a/b/issues/2",
            "source_day": DAY,
            "title": "it fails",
            "title_before": "it fails",
            "change": "retitled",
            "predicted_before": "it fails",
            "predicted_after": "it fails twice",
            "confidence_before": 0.5,
            "confidence_after": 0.75,
            "model_version_before": "1",
            "model_version_after": "2",
        }
    ]
    assert query_rows(with_two_releases, "SELECT * FROM what_changed('r2', 'r2')") == []


def test_an_old_batch_without_a_new_column_has_null_in_it(warehouse: Warehouse, tmp_path: Path) -> None:
    names = [
        field.name
        for field in SOURCE_HEALTH.schema
        if field.name not in ("usual_issues", "compared_with", "reason")
    ]
    older = replace(SOURCE_HEALTH, schema=pa.schema([SOURCE_HEALTH.schema.field(name) for name in names]))
    lake = Lake(tmp_path).add(older, "h1", [health()])
    publish(warehouse, lake)
    sql = "SELECT day, verdict, usual_issues, reason FROM source_health ORDER BY day"
    old = {"day": DAY, "verdict": "partial", "usual_issues": None, "reason": None}
    assert query_rows(warehouse, sql) == [old]
    publish(
        warehouse, lake.add(SOURCE_HEALTH, "h2", [{**health(NEXT_DAY), "usual_issues": 412}], day=NEXT_DAY)
    )
    assert query_rows(warehouse, sql) == [
        old,
        {"day": NEXT_DAY, "verdict": "partial", "usual_issues": 412, "reason": "23 of 24 hours found"},
    ]


def test_planning_a_release_does_not_keep_others_from_publishing(warehouse: Warehouse) -> None:
    with warehouse.exclusive_lock("plan"), warehouse.exclusive_lock("publish"):
        pass


@pytest.mark.parametrize("releases", [[release("r1", "published")], [release("r1"), release("r2")]])
def test_exactly_one_release_must_be_current(tmp_path: Path, releases: list[dict[str, Any]]) -> None:
    with pytest.raises(UsageError, match="Exactly one release must have the status current; found"):
        Lake(tmp_path).release(*releases)


def test_a_release_that_breaks_its_contract_is_refused(tmp_path: Path) -> None:
    tables, _ = Lake(tmp_path).release()
    with pytest.raises(ContractError, match=r"release_members_v1.*batch_id"):
        ReleaseTables(tables.releases, tables.members.drop_columns(["batch_id"]), tables.superseded)


def test_a_table_that_lives_only_in_the_lake_is_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    tables, _ = Lake(tmp_path).release()
    with pytest.raises(UsageError, match="tokens_v1 is not a table of the warehouse"):
        warehouse.stage(tables, {"tokens_v1": []})


def test_retained_batches_are_not_deleted(published: Warehouse, tmp_path: Path) -> None:
    batches = release_to_read(tmp_path).batches
    retained = {table: {batch.batch_id for batch in of_table} for table, of_table in batches.items()}
    assert published.delete_batches_except(retained) == 0
    assert query_rows(published, "SELECT COUNT(*) AS n FROM title_predictions") == [{"n": 13}]


def test_only_bigquery_can_recover_deleted_rows_for_a_week_and_another(published: Warehouse) -> None:
    days = 0 if isinstance(published, DuckDBWarehouse) else 14
    assert published.recovery_period() == timedelta(days=days)


def test_an_unknown_query_name_lists_the_existing_names() -> None:
    with pytest.raises(UsageError, match="extract_issues"):
        Query.from_file("nothing")
