"""The example rows on docs/data.md: two issues that report one problem, as the tables store them for one
release.

The issues are invented. The page shows the rows that the views compute from them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

DAY = date(2024, 1, 2)
OPENED = datetime(2024, 1, 2, 9, 30, tzinfo=UTC)
RELEASE, EARLIER_RELEASE = "20240103T040000Z", "20240102T040000Z"
REPO = "invented-badger/anvil-sql"
URL = f"https://github.com/{REPO}/issues"
HOURS = "https://data.gharchive.org"
_MODEL = {
    "model": "20240101T040000Z",
    "model_version": "1",
    "vocabulary": "2567cf59dd93",
    "mlflow_run": "4c1f",
}
_ISSUE = {"issue_id": 1001, "issue_url": f"{URL}/146"}
_OLDER = {"similar_issue_id": 1000, "similar_issue_url": f"{URL}/145", "similar_title": "CSV import crashes"}


def _stored(batch_id: str, **values: Any) -> dict[str, Any]:
    return {**values, "source_day": DAY, "batch_id": batch_id}


def _prediction(issue_id: int, number: int, title: str, predicted_title: str) -> dict[str, Any]:
    excerpt = "Importing a file with *NUMBER* rows fails: UnicodeDecodeError. See *URL*"
    return _stored(
        "90e6779a0f1e", issue_id=issue_id, issue_url=f"{URL}/{number}", repo=REPO, title=title,
        predicted_title=predicted_title, confidence=0.88, abstained=False, created_at=OPENED, **_MODEL,
        issues_batch="b1c6a0d2e9f4", probability=0.71, body_excerpt=excerpt,
        author_association="NONE",
    )  # fmt: skip


def _release(release_id: str, **values: Any) -> dict[str, Any]:
    return {
        "release_id": release_id, "published_at": datetime(2024, 1, 3, 4, 12, tzinfo=UTC),
        "published_by": "airflow", **_MODEL, "days": 1, "index_items": 2, "recall_at_10": 1.0,
        "accepted": "[]", "abstained": 0.0, "days_with_other_history": 0, "min_probability": 0.35,
        "cluster_probability": 0.2, "ordering": "default", **values,
    }  # fmt: skip


ROWS: dict[str, list[dict[str, Any]]] = {
    "title_predictions_v1": [
        _prediction(1001, 146, "Error", "unicodedecodeerror in csv import"),
        _prediction(1000, 145, "CSV import crashes", "csv import crashes with unicodedecodeerror"),
    ],
    "similar_issues_v2": [
        _stored(
            "7d20c3aa51be", **_ISSUE, **_OLDER, list="repository", rank=1, distance=0.42, same_repo=True,
            near_duplicate=True, probability=0.82, words_in_common="unicodedecodeerror, csv, import",
            title_overlap=0.0, age_days=0, similar_text="own", group_size=1,
        )
    ],
    "similar_issues_v1": [],
    "duplicate_pairs_v1": [
        _stored(
            "5be1f0c7a932", **_ISSUE, **_OLDER, repo=REPO, title="Error", similar_day=DAY,
            probability=0.82,
        )
    ],
    "duplicate_marks_v1": [
        _stored(
            "e03b9d4417c8", **_ISSUE, event_id="34567890123", comment_url=f"{URL}/146#issuecomment-1",
            repo=REPO, number=146, duplicate_of_repo=REPO, duplicate_of_number=145,
            author="made-up-maintainer", said_by="member", created_at=OPENED, source=HOURS,
        )
    ],
    "embeddings_v1": [_stored("c4a8816f2b05", issue_id=1001, embedding=[0.25, -0.5, 0.125])],
    "source_health_v1": [
        {
            "day": DAY, "hours_found": 23, "hours_missing": [4], "events": 4_812_330, "malformed": 2,
            "issues": 31_204, "trainable": 19_871, "usual_events": 5_020_118, "verdict": "partial",
            "usual_issues": 32_007, "compared_with": "weekday", "reason": "23 of 24 hours found",
            "malformed_issues": 0, "hours_unreadable": [], "events_per_hour": [200_514, 209_232],
            "hour_sources": [HOURS, HOURS], "hour_digests": ["9f2c", "03ab"], "late_hours_missing": [],
            "batch_id": "278d34a88b83",
        }
    ],
    "releases_v1": [
        _release(RELEASE, status="current", issues=2),
        _release(EARLIER_RELEASE, status="published", issues=0),
    ],
    "superseded_openings_v1": [],
}  # fmt: skip
"""The rows of each table of the warehouse. Lists of 24 hours are cut to two."""


def members() -> list[dict[str, Any]]:
    """Returns the rows of release_members_v1: the batches of RELEASE. EARLIER_RELEASE has no batches."""
    batches = {(table, row["batch_id"]) for table, rows in ROWS.items() for row in rows if "batch_id" in row}
    return [
        {
            "release_id": RELEASE, "table_name": table, "day": DAY, "batch_id": batch_id, "digest": "d",
            "rows": 1,
            "model": None,
        }
        for table, batch_id in sorted(batches)
    ]  # fmt: skip
