"""What each view shows of the current release: rows in, rows out. Each holds in the three engines."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from pipeline import contracts
from pipeline.warehouse import Query
from tests.sql.engines import Engine
from tests.sql.googlesql import Row, Tables
from tests.sql.worlds import batch, in_order, member
from tests.warehouse.events import health, neighbour, prediction, release

THIRD, FOURTH, FIFTH = date(2015, 1, 3), date(2015, 1, 4), date(2015, 1, 5)


HEALTH, TITLES, SIMILAR = contracts.SOURCE_HEALTH, contracts.TITLE_PREDICTIONS, contracts.SIMILAR_ISSUES
OPENED = datetime(2015, 1, 3, 5, tzinfo=UTC)
# r2 is current and has three days; r1 was current before it, with another batch of the third
WORLD: Tables = {
    HEALTH.name: [
        *batch(HEALTH, "h3", health(THIRD)),
        *batch(HEALTH, "h3-old", {**health(THIRD), "events": 7}),
        *batch(HEALTH, "h4", {**health(FOURTH), "hours_missing": [], "usual_events": 90, "verdict": "complete"}),
        *batch(HEALTH, "h9", health(date(2015, 1, 9))),  # of no release
    ],
    TITLES.name: [
        *batch(TITLES, "t3", prediction(1, created_at=OPENED), prediction(2, created_at=OPENED, title="of the third")),
        *batch(TITLES, "t3-old", prediction(1, title="of r1"), prediction(9)),
        *batch(TITLES, "t4", prediction(2, created_at=OPENED, title="recorded again"), prediction(3, created_at=OPENED, title="new")),
        *batch(TITLES, "t5", prediction(3, created_at=datetime(2015, 1, 3, 4, tzinfo=UTC), title="opened earlier")),
    ],
    SIMILAR.name: [
        *batch(SIMILAR, "s3", neighbour(2, 1, near_duplicate=False)),
        *batch(SIMILAR, "s3-old", neighbour(9, 1)),
        *batch(
            SIMILAR,
            "s4",
            neighbour(2, 3),
            neighbour(3, 2),
            neighbour(3, 1, 2, same_repo=False),
            neighbour(3, 9, 3, near_duplicate=False),
            day=FOURTH,
        ),
    ],
    contracts.RELEASES.name: [release("r1", "published"), release("r2")],
    contracts.RELEASE_MEMBERS.name: [
        member("r1", HEALTH, "h3-old"),
        member("r1", TITLES, "t3-old"),
        member("r1", SIMILAR, "s3-old"),
        member("r2", HEALTH, "h3"),
        member("r2", HEALTH, "h4", FOURTH),
        member("r2", TITLES, "t3"),
        member("r2", TITLES, "t4", FOURTH),
        member("r2", TITLES, "t5", FIFTH),
        member("r2", SIMILAR, "s3"),
        member("r2", SIMILAR, "s4", FOURTH),
    ],
}
URL = "https://github.com/a/b/issues/"
RELEASED = {
    "published_at": datetime(2015, 1, 4, tzinfo=UTC), "published_by": "someone", "model": "titler", "model_version": "1",
    "vocabulary": "v1", "mlflow_run": "run", "days": 1, "issues": 1, "index_items": 1, "recall_at_10": 1.0, "accepted": "{}",
}  # fmt: skip

SHOWN: dict[str, list[Row]] = {
    "source_health": [
        {
            "day": THIRD, "hours_found": 23, "hours_missing": [4], "events": 100, "malformed": 1, "issues": 3, "trainable": 2,
            "usual_events": None, "verdict": "partial", "batch_id": "h3", "release_id": "r2",
        },
        {
            "day": FOURTH, "hours_found": 23, "hours_missing": [], "events": 100, "malformed": 1, "issues": 3, "trainable": 2,
            "usual_events": 90, "verdict": "complete", "batch_id": "h4", "release_id": "r2",
        },
    ],
    "releases": [{"release_id": "r1", "status": "published", **RELEASED}, {"release_id": "r2", "status": "current", **RELEASED}],
    "title_predictions": [
        {**prediction(1, created_at=OPENED), "batch_id": "t3", "release_id": "r2"},
        {**prediction(2, created_at=OPENED, title="of the third"), "batch_id": "t3", "release_id": "r2"},  # recorded twice: the earlier day
        {
            **prediction(3, created_at=datetime(2015, 1, 3, 4, tzinfo=UTC), title="opened earlier"), "batch_id": "t5", "release_id": "r2",
        },
    ],
    "similar_issues": [
        {
            "issue_id": 2, "issue_url": f"{URL}2", "rank": 1, "similar_issue_id": 1, "similar_issue_url": f"{URL}1",
            "similar_title": "it fails too", "distance": 0.1, "same_repo": True, "near_duplicate": False, "source_day": THIRD,
            "model": "titler", "model_version": "1", "batch_id": "s3", "release_id": "r2",
        },
        {
            "issue_id": 3, "issue_url": f"{URL}3", "rank": 1, "similar_issue_id": 2, "similar_issue_url": f"{URL}2",
            "similar_title": "it fails too", "distance": 0.1, "same_repo": True, "near_duplicate": True, "source_day": FOURTH,
            "model": "titler", "model_version": "1", "batch_id": "s4", "release_id": "r2",
        },
        {
            "issue_id": 3, "issue_url": f"{URL}3", "rank": 2, "similar_issue_id": 1, "similar_issue_url": f"{URL}1",
            "similar_title": "it fails too", "distance": 0.2, "same_repo": False, "near_duplicate": True, "source_day": FOURTH,
            "model": "titler", "model_version": "1", "batch_id": "s4", "release_id": "r2",
        },
        {
            "issue_id": 3, "issue_url": f"{URL}3", "rank": 3, "similar_issue_id": 9, "similar_issue_url": f"{URL}9",
            "similar_title": "it fails too", "distance": 0.1 * 3, "same_repo": True, "near_duplicate": False, "source_day": FOURTH,
            "model": "titler", "model_version": "1", "batch_id": "s4", "release_id": "r2",
        },
    ],
    "near_duplicates": [  # neither of another repository, nor far, nor what the second recording of 2 found
        {
            "issue_id": 3, "issue_url": f"{URL}3", "title": "new", "repo": "a/b", "created_at": OPENED, "similar_issue_id": 2,
            "similar_issue_url": f"{URL}2", "similar_title": "it fails too", "distance": 0.1, "source_day": FOURTH,
            "batch_id": "s4", "release_id": "r2",
        }
    ],
}  # fmt: skip


@pytest.mark.parametrize("view", SHOWN)
def test_a_view_shows_the_current_release(engine: Engine, view: str) -> None:
    assert in_order(engine.rows(Query.from_file(f"views/{view}").sql, WORLD)) == in_order(SHOWN[view])


def test_every_view_has_a_case_here() -> None:
    assert {query.name.removeprefix("views/") for query in Query.folder("views")} == set(SHOWN)
