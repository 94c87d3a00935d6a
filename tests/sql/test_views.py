"""What each view shows of the current release: rows in, rows out. Each holds in the three engines."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from pipeline import contracts
from pipeline.warehouse import Query
from tests.sql.engines import Engine
from tests.sql.googlesql import Row, Tables
from tests.sql.worlds import batch, in_order, member
from tests.warehouse.events import (
    earlier_neighbour,
    embedding,
    health,
    mark,
    neighbour,
    pair,
    prediction,
    release,
)
from tests.warehouse.test_contract import POOR

THIRD, FOURTH, FIFTH = date(2015, 1, 3), date(2015, 1, 4), date(2015, 1, 5)


HEALTH, TITLES, SIMILAR = contracts.SOURCE_HEALTH, contracts.TITLE_PREDICTIONS, contracts.SIMILAR_ISSUES
OPENED, EARLIER = datetime(2015, 1, 3, 5, tzinfo=UTC), datetime(2015, 1, 3, 4, tzinfo=UTC)
EMBEDDINGS, MARKS, PAIRS = contracts.EMBEDDINGS, contracts.DUPLICATE_MARKS, contracts.DUPLICATE_PAIRS
WEEKDAY = {"usual_issues": 4, "compared_with": "weekday", "reason": None}
COUNTED_PER_HOUR = {
    "malformed_issues": 0,
    "hours_unreadable": [],
    "events_per_hour": [5, 5, 5, 5, 0, *[5] * 19],
    "hour_sources": ["hours", "hours", "hours", "hours", "", *["hours"] * 19],
    "hour_digests": ["d", "d", "d", "d", "", *["d"] * 19],
    "late_hours_missing": [],
}
# r2 is current and has three days. r1 was current before, with another batch of the third day.
WORLD: Tables = {
    HEALTH.name: [
        *batch(HEALTH, "h3", health(THIRD)),
        *batch(HEALTH, "h3-old", {**health(THIRD), "events": 7}),
        *batch(
            HEALTH,
            "h4",
            {**health(FOURTH), "hours_missing": [], "usual_events": 90, "verdict": "complete", **WEEKDAY},
        ),
        *batch(HEALTH, "h9", health(date(2015, 1, 9))),  # in no release
    ],
    TITLES.name: [
        *batch(
            TITLES,
            "t3",
            prediction(1, created_at=OPENED),
            prediction(2, created_at=OPENED, title="of the third"),
        ),
        *batch(TITLES, "t3-old", prediction(1, title="of r1"), prediction(9)),
        *batch(
            TITLES,
            "t4",
            prediction(2, created_at=OPENED, title="recorded again", source_day=FOURTH),
            prediction(3, created_at=OPENED, title="new", source_day=FOURTH),
        ),
        *batch(
            TITLES,
            "t5",
            prediction(3, created_at=EARLIER, title="opened earlier", source_day=FIFTH),
        ),
    ],
    SIMILAR.name: [
        *batch(SIMILAR, "s3", neighbour(2, 1, near_duplicate=False)),
        *batch(SIMILAR, "s3-old", neighbour(9, 1)),
        *batch(
            SIMILAR,
            "s4",
            neighbour(2, 3),
            neighbour(3, 1),
            day=FOURTH,
        ),
        *batch(
            SIMILAR,
            "s5",
            neighbour(3, 2),
            neighbour(3, 9, 2, near_duplicate=False),
            neighbour(3, 2, list="everywhere"),
            neighbour(3, 1, 2, list="everywhere", same_repo=False, words_in_common="", similar_text="same"),
            day=FIFTH,
        ),
    ],
    EMBEDDINGS.name: [
        *batch(EMBEDDINGS, "e3", embedding(1, 0.5, -1.0), embedding(2, 0.25, 0.0)),
        *batch(EMBEDDINGS, "e3-old", embedding(1, 0.75, 0.75)),
        *batch(EMBEDDINGS, "e4", embedding(2, 1.0, 1.0), day=FOURTH),
    ],
    MARKS.name: [
        *batch(MARKS, "d3", mark("1")),
        *batch(MARKS, "d3-old", mark("9")),
        *batch(MARKS, "d4", mark("1", number=7), mark("2", said_by=None), day=FOURTH),
    ],
    PAIRS.name: [
        *batch(PAIRS, "p3", pair(2, 1), pair(3, 1, 0.5)),
        *batch(PAIRS, "p3-old", pair(2, 9)),
        # 4 is linked to 2, 5 and 6 to 4, but 6 has less than half of the probability with the canonical 1
        *batch(
            PAIRS,
            "p4",
            *(pair(4, 2, 0.5), pair(4, 1, 0.25), pair(4, 3, 0.75, similar_day=FOURTH)),
            *(pair(5, 4, 0.75, similar_day=FOURTH), pair(5, 1, 0.25)),
            *(pair(6, 4, 0.75, similar_day=FOURTH), pair(6, 1, 0.24), pair(6, 2, 0.25)),
            *(pair(7, 6, 0.5, similar_day=FOURTH), pair(8, 1, 0.49)),
            pair(3, 2, 0.75),  # recorded again on the fifth day, which counts
            day=FOURTH,
        ),
    ],
    contracts.RELEASES.name: [
        release("r1", "published", cluster_probability=0.5),
        release("r2", min_probability=0.75, cluster_probability=0.5),
    ],
    contracts.RELEASE_MEMBERS.name: [
        member("r1", HEALTH, "h3-old"),
        member("r1", TITLES, "t3-old"),
        member("r1", SIMILAR, "s3-old"),
        member("r2", HEALTH, "h3"),
        member("r2", HEALTH, "h4", FOURTH),
        member("r2", TITLES, "t3"),
        member("r2", TITLES, "t4", FOURTH),
        member("r2", TITLES, "t5", FIFTH),
        member("r1", EMBEDDINGS, "e3-old"),
        member("r2", EMBEDDINGS, "e3", model="owner"),
        member("r2", EMBEDDINGS, "e4", FOURTH),
        member("r1", MARKS, "d3-old"),
        member("r2", MARKS, "d3"),
        member("r2", MARKS, "d4", FOURTH),
        member("r1", PAIRS, "p3-old"),
        member("r2", PAIRS, "p3"),
        member("r2", PAIRS, "p4", FOURTH),
        member("r2", SIMILAR, "s3"),
        member("r2", SIMILAR, "s4", FOURTH),
        member("r2", SIMILAR, "s5", FIFTH),
    ],
    contracts.SUPERSEDED_OPENINGS.name: [
        {"release_id": "r2", "day": FOURTH, "issue_id": 2},
        {"release_id": "r2", "day": FOURTH, "issue_id": 3},
        {"release_id": "r1", "day": THIRD, "issue_id": 2},  # of another release
    ],
}
URL = "https://github.com/a/b/issues/"
RELEASED = {
    "published_at": datetime(2015, 1, 4, tzinfo=UTC), "published_by": "someone", "model": "titler",
    "model_version": "1",
    "vocabulary": "v1", "mlflow_run": "run", "days": 1, "issues": 1, "index_items": 1, "recall_at_10": 1.0,
    "accepted": "{}", "titles_withheld": None, "titles_accepted": None,
    "abstained": None, "calibration": None, "segments": None, "days_with_other_history": None,
    "min_probability": None, "cluster_probability": 0.5, "ordering": None, "ordering_calibration": None,
    "marked_duplicates": None,
}  # fmt: skip
MODEL = {"model": "titler", "model_version": "1", "release_id": "r2"}
OF_ISSUE_3 = {"repo": "a/b", "number": 3}
EXCERPT = prediction(1)["body_excerpt"]


def clustered(canonical: int, first_day: date, issues: dict[int, date]) -> list[Row]:
    """The rows of a cluster whose last issue is of the fourth day."""
    return [
        {
            "canonical_issue_id": canonical, "canonical_url": f"{URL}{canonical}",
            "canonical_title": f"t{canonical}", "repo": "a/b", "size": len(issues), "first_day": first_day,
            "last_day": FOURTH, "issue_id": issue_id, "issue_url": f"{URL}{issue_id}",
            "title": f"t{issue_id}", "source_day": day, "release_id": "r2", "number": issue_id,
            "batch_id": None if issue_id == canonical else "p3" if day == THIRD else "p4",
        }
        for issue_id, day in issues.items()
    ]  # fmt: skip


SHOWN: dict[str, list[Row]] = {
    "source_health": [
        {
            "day": THIRD, "hours_found": 23, "hours_missing": [4], "events": 100, "malformed": 1,
            "issues": 3, "trainable": 2,
            "usual_events": None, "verdict": "partial", "usual_issues": None, "compared_with": None,
            "reason": "23 of 24 hours found", **COUNTED_PER_HOUR,
            "batch_id": "h3", "release_id": "r2",
        },
        {
            "day": FOURTH, "hours_found": 23, "hours_missing": [], "events": 100, "malformed": 1,
            "issues": 3, "trainable": 2,
            "usual_events": 90, "verdict": "complete", "batch_id": "h4", "release_id": "r2", **WEEKDAY,
            **COUNTED_PER_HOUR,
        },
    ],
    "releases": [{"release_id": "r1", "status": "published", **RELEASED}, {"release_id": "r2",
    "status": "current", **RELEASED, "min_probability": 0.75}],
    "title_predictions": [
        {**prediction(1, created_at=OPENED), "batch_id": "t3", "release_id": "r2", "number": 1},
        {**prediction(2, created_at=OPENED, title="of the third"), "batch_id": "t3",
        "release_id": "r2", "number": 2},  # recorded twice: the earlier day counts
        {
            **prediction(3, created_at=EARLIER, title="opened earlier", source_day=FIFTH),
            "batch_id": "t5", "release_id": "r2", "number": 3,
        },
    ],
    "similar_issues": [
        {
            **neighbour(2, 1, near_duplicate=False), "suggested": True,  # 0.75 is at least 0.75
            "source_day": THIRD, "batch_id": "s3", "repo": "a/b", "number": 2, **MODEL,
        },
        {**neighbour(3, 2), "suggested": True, "source_day": FIFTH, "batch_id": "s5", **OF_ISSUE_3, **MODEL},
        {
            **neighbour(3, 9, 2, near_duplicate=False), "suggested": False,
            "source_day": FIFTH, "batch_id": "s5", **OF_ISSUE_3, **MODEL,
        },
        {
            **neighbour(3, 2, list="everywhere"), "suggested": True,
            "source_day": FIFTH, "batch_id": "s5", **OF_ISSUE_3, **MODEL,
        },
        {
            **neighbour(3, 1, 2, list="everywhere", same_repo=False, words_in_common="", similar_text="same"),
            "suggested": False, "source_day": FIFTH, "batch_id": "s5", **OF_ISSUE_3, **MODEL,
        },
    ],
    "duplicate_marks": [  # the comment 1 was recorded twice: the earlier day counts
        {**mark("1"), "source_day": THIRD, "batch_id": "d3", "release_id": "r2"},
        {**mark("2", said_by=None), "source_day": FOURTH, "batch_id": "d4", "release_id": "r2"},
    ],
    "duplicate_clusters": [
        *clustered(1, THIRD, {1: THIRD, 2: THIRD, 3: THIRD, 4: FOURTH, 5: FOURTH}),
        *clustered(6, FOURTH, {6: FOURTH, 7: FOURTH}),
    ],
    "embeddings": [
        {
            "issue_id": 1, "issue_url": f"{URL}1", "number": 1, "repo": "a/b", "title": "it fails",
            "embedding": [0.5, -1.0], "source_day": THIRD,
            "model": "titler", "model_version": "1", "embedding_model": "owner",
            "batch_id": "e3", "release_id": "r2",
        },
        {
            "issue_id": 2, "issue_url": f"{URL}2", "number": 2, "repo": "a/b", "title": "of the third",
            "embedding": [0.25, 0.0], "source_day": THIRD,
            "model": "titler", "model_version": "1", "embedding_model": "owner",
            "batch_id": "e3", "release_id": "r2",
        },
    ],
    "poor_titles": [
        {
            "issue_id": 1, "issue_url": f"{URL}1", "number": 1, "body_excerpt": EXCERPT, "repo": "a/b",
            "title": "it fails",
            "predicted_title": "it fails", "confidence": 0.5, "probability": None,
            "reason": "vague", "source_day": THIRD, "model": "titler", "model_version": "1",
            "batch_id": "t3", "release_id": "r2",
        },
        {
            "issue_id": 2, "issue_url": f"{URL}2", "number": 2, "body_excerpt": EXCERPT, "repo": "a/b",
            "title": "of the third",
            "predicted_title": "it fails", "confidence": 0.5, "probability": None,
            "reason": "far", "source_day": THIRD, "model": "titler", "model_version": "1", "batch_id": "t3",
            "release_id": "r2",
        },
        {
            "issue_id": 3, "issue_url": f"{URL}3", "number": 3, "body_excerpt": EXCERPT, "repo": "a/b",
            "title": "opened earlier",
            "predicted_title": "it fails",
            "confidence": 0.5, "probability": None, "reason": "vague", "source_day": FIFTH, "model": "titler",
            "model_version": "1", "batch_id": "t5",
            "release_id": "r2",
        },
    ],
    "near_duplicates": [  # not of other repositories, of distant issues, or of the second recording of 2
        {
            "issue_id": 3, "issue_url": f"{URL}3", "title": "opened earlier", "repo": "a/b",
            "created_at": EARLIER,
            "similar_issue_id": 2,
            "similar_issue_url": f"{URL}2", "similar_title": "it fails too", "distance": 0.1,
            "source_day": FIFTH, "number": 3, "body_excerpt": EXCERPT,
            "batch_id": "s5", "release_id": "r2", "probability": 0.75, "suggested": True,
        }
    ],
}  # fmt: skip


FUNCTIONS: list[
    tuple[str, dict[str, str], list[Row]]
] = [  # function, arguments, expected columns of its rows
    (
        "title_predictions_at",
        {"release": "r1"},
        [{"issue_id": 1, "title": "of r1"}, {"issue_id": 9, "title": "it fails"}],
    ),
    (
        "title_predictions_at",
        {"release": "r2"},
        [
            {"issue_id": 1, "title": "it fails"},
            {"issue_id": 2, "title": "of the third"},
            {"issue_id": 3, "title": "opened earlier"},
        ],
    ),
    (
        "what_changed",
        {"before": "r1", "after": "r2"},
        [
            {"issue_id": 2, "change": "added", "source_day": THIRD, "title_before": None},
            {"issue_id": 3, "change": "added", "source_day": FIFTH, "title_before": None},
            {"issue_id": 9, "change": "removed", "source_day": THIRD, "title_before": "it fails"},
        ],
    ),
    ("what_changed", {"before": "r2", "after": "r2"}, []),
]


@pytest.mark.parametrize("view", SHOWN)
def test_a_view_shows_the_current_release(engine: Engine, view: str) -> None:
    assert in_order(engine.rows(Query.from_file(f"views/{view}").sql, WORLD)) == in_order(SHOWN[view])


@pytest.mark.parametrize(("function", "arguments", "rows"), FUNCTIONS)
def test_a_function_shows_a_retained_release(
    engine: Engine, function: str, arguments: dict[str, str], rows: list[Row]
) -> None:
    rows_found = engine.rows(Query.from_file(f"functions/{function}").sql, WORLD, **arguments)
    names = rows[0].keys() if rows else ()
    assert in_order([{name: row[name] for name in names} for row in rows_found]) == rows


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("title_predictions_at", {"release": "r3"}),
        ("what_changed", {"before": "r3", "after": "r2"}),
        ("what_changed", {"before": "r2", "after": "r3"}),
    ],
)
def test_a_function_says_that_no_release_has_the_name(
    engine: Engine, function: str, arguments: dict[str, str]
) -> None:
    with pytest.raises(
        Exception, match=r"No retained release is named r3\. The view releases lists the names\."
    ):
        engine.rows(Query.from_file(f"functions/{function}").sql, WORLD, **arguments)


def test_every_view_and_function_has_a_case_here() -> None:
    assert {query.name.removeprefix("views/") for query in Query.folder("views")} == set(SHOWN)
    assert {query.name.removeprefix("functions/") for query in Query.folder("functions")} == {
        name for name, _, _ in FUNCTIONS
    }


WITHHELD_WORLD: Tables = {
    **WORLD,
    contracts.RELEASES.name: [
        release("r1", "published"),
        release("r2", titles_withheld="ROUGE-L 2.98, first words 15.6"),
    ],
}


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [("views/title_predictions", {}), ("functions/title_predictions_at", {"release": "r2"})],
)
def test_a_release_that_withholds_its_titles_shows_none(
    engine: Engine, statement: str, arguments: dict[str, str]
) -> None:
    rows_found = engine.rows(Query.from_file(statement).sql, WITHHELD_WORLD, **arguments)
    assert {(row["predicted_title"], row["abstained"]) for row in rows_found} == {("", True)}
    assert sorted(row["issue_id"] for row in rows_found) == [1, 2, 3]


def test_poor_titles_are_listed_while_suggestions_are_withheld(engine: Engine) -> None:
    rows_found = engine.rows(Query.from_file("views/poor_titles").sql, WITHHELD_WORLD)
    assert in_order(
        [{name: row[name] for name in ("issue_id", "predicted_title", "reason")} for row in rows_found]
    ) == [
        {"issue_id": 1, "predicted_title": "", "reason": "vague"},
        {"issue_id": 3, "predicted_title": "", "reason": "vague"},
    ]


def test_titles_that_are_withheld_from_now_on_are_a_change(engine: Engine) -> None:
    sql = Query.from_file("functions/what_changed").sql
    rows_found = engine.rows(sql, WITHHELD_WORLD, before="r1", after="r2")
    shown = {row["issue_id"]: (row["change"], row["predicted_after"]) for row in rows_found}
    assert shown == {1: ("abstains", ""), 2: ("added", ""), 3: ("added", ""), 9: ("removed", None)}


def test_a_changed_row_has_the_title_of_both_releases_and_the_day_of_the_later(engine: Engine) -> None:
    world: Tables = {
        TITLES.name: [
            *batch(TITLES, "t1", prediction(1, title="Crash", confidence=0.25, source_day=FOURTH)),
            *batch(TITLES, "t2", prediction(1, title="Crash on start", predicted_title="it crashes")),
        ],
        contracts.RELEASES.name: [release("r1", "published"), release("r2")],
        contracts.RELEASE_MEMBERS.name: [
            member("r1", TITLES, "t1", FOURTH),
            member("r2", TITLES, "t2"),
        ],
        contracts.SUPERSEDED_OPENINGS.name: [],
    }
    (row,) = engine.rows(Query.from_file("functions/what_changed").sql, world, before="r1", after="r2")
    assert row == {
        "issue_id": 1, "issue_url": "https://github.com/a/b/issues/1", "source_day": THIRD,
        "title": "Crash on start", "title_before": "Crash", "change": "retitled",
        "predicted_before": "it fails", "predicted_after": "it crashes",
        "confidence_before": 0.25, "confidence_after": 0.5,
        "model_version_before": "1", "model_version_after": "1",
    }  # fmt: skip


KEPT_WORLD: Tables = {
    **WITHHELD_WORLD,
    TITLES.name: [
        *batch(TITLES, "t3-old", prediction(1, predicted_title="of r1"), prediction(9)),
        *batch(TITLES, "t3", prediction(1, predicted_title="kept", model="earlier")),
        *batch(TITLES, "t4", prediction(3, predicted_title="poor", source_day=FOURTH)),
    ],
    contracts.SUPERSEDED_OPENINGS.name: [],
}
"""r2 withholds the titles of its model, and keeps the titles of an earlier model for one day."""


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        ("views/title_predictions", {}),
        ("functions/title_predictions_at", {"release": "r2"}),
        ("views/poor_titles", {}),
    ],
)
def test_only_the_titles_of_the_releases_own_model_are_withheld(
    engine: Engine, statement: str, arguments: dict[str, str]
) -> None:
    rows_found = engine.rows(Query.from_file(statement).sql, KEPT_WORLD, **arguments)
    titles = {row["issue_id"]: (row["predicted_title"], row.get("abstained")) for row in rows_found}
    hides_abstained = statement == "views/poor_titles"  # this view has no such column
    assert titles == {
        1: ("kept", None if hides_abstained else False),
        3: ("", None if hides_abstained else True),
    }


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (
            "r1",
            "r2",
            {1: ("retitled", "of r1", "kept"), 3: ("added", None, ""), 9: ("removed", "it fails", None)},
        ),
        (
            "r2",
            "r1",
            {1: ("retitled", "kept", "of r1"), 3: ("removed", "", None), 9: ("added", None, "it fails")},
        ),
    ],
)
def test_titles_that_are_kept_are_compared_although_those_of_the_new_model_are_withheld(
    engine: Engine, before: str, after: str, changes: dict[int, tuple[str, str | None, str | None]]
) -> None:
    sql = Query.from_file("functions/what_changed").sql
    rows_found = engine.rows(sql, KEPT_WORLD, before=before, after=after)
    assert {
        row["issue_id"]: (row["change"], row["predicted_before"], row["predicted_after"])
        for row in rows_found
    } == changes


EARLIER_WORLD: Tables = {
    SIMILAR.name: batch(SIMILAR, "of-r2", neighbour(3, 9)),
    contracts.SIMILAR_ISSUES_V1.name: batch(
        contracts.SIMILAR_ISSUES_V1,
        "s1",
        earlier_neighbour(3, 2),
        earlier_neighbour(3, 1, 2, same_repo=False),
    ),
    TITLES.name: batch(TITLES, "t1", prediction(3)),
    contracts.RELEASES.name: [release("r1"), release("r2", "rolled_back")],
    contracts.RELEASE_MEMBERS.name: [
        member("r1", contracts.SIMILAR_ISSUES_V1, "s1"),
        member("r1", TITLES, "t1"),
        member("r2", SIMILAR, "of-r2"),
    ],
}
"""r1 is a release of an earlier version of Titler, and is current again."""


def test_the_similar_issues_of_an_earlier_version_are_shown_without_probability_and_reasons(
    engine: Engine,
) -> None:
    rows_found = engine.rows(Query.from_file("views/similar_issues").sql, EARLIER_WORLD)
    unknown = ("probability", "suggested", "words_in_common", "title_overlap", "age_days", "similar_text")
    expected = {
        "list": "everywhere", **dict.fromkeys([*unknown, "group_size"]), **MODEL, "release_id": "r1",
        "batch_id": "s1", "source_day": THIRD, "repo": "a/b", "number": 3,
    }  # fmt: skip
    assert in_order(rows_found) == in_order(
        [
            {**earlier_neighbour(3, 2), **expected},
            {**earlier_neighbour(3, 1, 2, same_repo=False), **expected},
        ]
    )
    near_duplicates = engine.rows(Query.from_file("views/near_duplicates").sql, EARLIER_WORLD)
    assert [(row["issue_id"], row["similar_issue_id"], row["suggested"]) for row in near_duplicates] == [
        (3, 2, None)
    ]


POOR_WORLD: Tables = {
    TITLES.name: batch(
        TITLES,
        "t1",
        *(
            prediction(number, title=title, predicted_title="settings page crashes")
            for number, (title, _) in enumerate(POOR)
        ),
    ),
    contracts.RELEASES.name: [release("r1")],
    contracts.RELEASE_MEMBERS.name: [member("r1", TITLES, "t1", rows=len(POOR))],
}


def test_a_title_is_poor_for_the_same_reason_in_googlesql_as_in_both_warehouses(
    googlesql_engine: Engine,
) -> None:  # tests/warehouse/test_contract.py has the same titles in both warehouses
    rows_found = googlesql_engine.rows(Query.from_file("views/poor_titles").sql, POOR_WORLD)
    assert {row["title"]: row["reason"] for row in rows_found} == {
        title: reason for title, reason in POOR if reason
    }
