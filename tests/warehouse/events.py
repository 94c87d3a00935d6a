"""Literal rows for the warehouse's tests: hour files, and the tables of a small release."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import contracts
from pipeline.lake.stores import open_store
from pipeline.settings import Text
from pipeline.source.trainable import thresholds
from pipeline.warehouse import Batch, Query, ReleaseTables, Warehouse

DAY = date(2015, 1, 3)
MODEL = "titler"
"""The model of the release. The files of its tables are in a folder that is named after it."""
THRESHOLDS = thresholds(Text())
EXTRACT = Query.from_file("extract_issues", **THRESHOLDS)


def opened(
    issue_id: Any = 7,
    *,
    event_id: Any = "100",
    at: str = "2015-01-03T05:00:00Z",
    repo: str | None = "a/b",
    **issue: Any,
) -> dict[str, Any]:
    """An event that opens an issue. `issue` overrides the issue's values; None becomes a JSON null."""
    values = {
        "id": issue_id,
        "number": 1,
        "html_url": f"https://github.com/{repo}/issues/1",
        "title": "it does not start",
        "body": "one two three four five six",
    }
    return event(
        "IssuesEvent",
        event_id=event_id,
        at=at,
        repo=repo,
        payload={"action": "opened", "issue": {**values, **issue}},
    )


def commented(
    body: Any,
    *,
    event_id: Any = "200",
    at: str = "2015-01-03T06:00:00Z",
    repo: str | None = "o/r",
    action: str = "created",
    issue: dict[str, Any] | None = None,
    **comment: Any,
) -> dict[str, Any]:
    """An event of a comment on the issue o/r#34, which `opener` opened. `issue` and `comment` override
    values; None becomes a JSON null."""
    of_issue = {
        "id": 7,
        "number": 34,
        "html_url": f"https://github.com/{repo}/issues/34",
        "title": "it does not start",
        "user": {"login": "opener", "type": "User"},
        "body": "one two three four five six",
    }
    of_comment = {
        "html_url": f"https://github.com/{repo}/issues/34#issuecomment-1",
        "user": {"login": "someone", "type": "User"},
        "author_association": "NONE",
        "body": body,
    }
    payload = {
        "action": action,
        "issue": {**of_issue, **(issue or {})},
        "comment": {**of_comment, **comment},
    }
    return event("IssueCommentEvent", event_id=event_id, at=at, repo=repo, payload=payload)


def event(
    kind: str,
    *,
    event_id: Any = "1",
    at: str = "2015-01-03T05:00:00Z",
    repo: str | None = "a/b",
    payload: Any = None,
) -> dict[str, Any]:
    """An event of any type."""
    return {
        "id": event_id,
        "type": kind,
        "actor": {"id": 1, "login": "someone", "url": "https://api.github.com/users/someone"},
        "repo": {"id": 2, "name": repo, "url": f"https://api.github.com/repos/{repo}"},
        "payload": {} if payload is None else payload,
        "public": True,
        "created_at": at,
    }


def write_hour(folder: Path, *lines: dict[str, Any] | bytes, hour: int = 5) -> list[Path]:
    """An hour file of events and raw lines."""
    path = folder / f"{DAY}-{hour}.json.gz"
    path.write_bytes(
        gzip.compress(
            b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
        )
    )
    return [path]


def prediction(issue_id: int, **values: Any) -> dict[str, Any]:
    """A row of title_predictions_v1."""
    row = {
        "issue_id": issue_id, "issue_url": f"https://github.com/a/b/issues/{issue_id}", "repo": "a/b",
        "title": "it fails",
        "predicted_title": "it fails", "confidence": 0.5, "abstained": False,
        "created_at": datetime(2015, 1, 3, 5, issue_id % 60, tzinfo=UTC), "source_day": DAY,
        "model": MODEL, "model_version": "1", "vocabulary": "v1", "mlflow_run": "run",
        "issues_batch": "i1", "probability": None, "body_excerpt": "It fails when *NUMBER* windows are open.",
        "author_association": "CONTRIBUTOR",
    }  # fmt: skip
    return {**row, **values}


def neighbour(issue_id: int, similar: int, rank: int = 1, **values: Any) -> dict[str, Any]:
    """A row of similar_issues_v2, of the list of the issue's repository."""
    row = {
        **earlier_neighbour(issue_id, similar, rank), "list": "repository", "probability": 1 - 0.25 * rank,
        "words_in_common": "fails", "title_overlap": 0.5, "age_days": 3, "similar_text": "own",
        "group_size": 1,
    }  # fmt: skip
    return {**row, **values}


def earlier_neighbour(issue_id: int, similar: int, rank: int = 1, **values: Any) -> dict[str, Any]:
    """A row of similar_issues_v1, which earlier versions wrote."""
    row = {
        "issue_id": issue_id, "issue_url": f"https://github.com/a/b/issues/{issue_id}", "rank": rank,
        "similar_issue_id": similar,
        "similar_issue_url": f"https://github.com/a/b/issues/{similar}", "similar_title": "it fails too",
        "distance": 0.1 * rank,
        "same_repo": True, "near_duplicate": True,
    }  # fmt: skip
    return {**row, **values}


def pair(issue_id: int, similar: int, probability: float = 0.5, **values: Any) -> dict[str, Any]:
    """A row of duplicate_pairs_v1."""
    row = {
        "issue_id": issue_id, "issue_url": f"https://github.com/a/b/issues/{issue_id}", "repo": "a/b",
        "title": f"t{issue_id}", "similar_issue_id": similar,
        "similar_issue_url": f"https://github.com/a/b/issues/{similar}", "similar_title": f"t{similar}",
        "similar_day": DAY, "probability": probability,
    }  # fmt: skip
    return {**row, **values}


def mark(event_id: str, **values: Any) -> dict[str, Any]:
    """A row of duplicate_marks_v1."""
    row = {
        "event_id": event_id, "comment_url": "https://github.com/a/b/issues/2#issuecomment-1", "issue_id": 2,
        "issue_url": "https://github.com/a/b/issues/2", "repo": "a/b", "number": 2,
        "duplicate_of_repo": "a/b", "duplicate_of_number": 1, "author": "someone", "said_by": "member",
        "created_at": datetime(2015, 1, 3, 6, tzinfo=UTC), "source": "hours",
    }  # fmt: skip
    return {**row, **values}


def embedding(issue_id: int, *numbers: float) -> dict[str, Any]:
    """A row of embeddings_v1."""
    return {"issue_id": issue_id, "embedding": list(numbers)}


def health(day: date = DAY) -> dict[str, Any]:
    """A row of source_health_v1."""
    return {
        "day": day, "hours_found": 23, "hours_missing": [4], "events": 100, "malformed": 1, "issues": 3,
        "trainable": 2,
        "usual_events": None, "verdict": "partial", "usual_issues": None, "compared_with": None,
        "reason": "23 of 24 hours found", "malformed_issues": 0, "hours_unreadable": [],
        "events_per_hour": [5] * 4 + [0] + [5] * 19, "hour_sources": ["hours"] * 4 + [""] + ["hours"] * 19,
        "hour_digests": ["d"] * 4 + [""] + ["d"] * 19, "late_hours_missing": [],
    }  # fmt: skip


def release(release_id: str, status: str = "current", **values: Any) -> dict[str, Any]:
    """A row of releases_v1."""
    row = {
        "release_id": release_id, "status": status, "published_at": datetime(2015, 1, 4, tzinfo=UTC),
        "published_by": "someone",
        "model": MODEL, "model_version": "1", "vocabulary": "v1", "mlflow_run": "run", "days": 1,
        "issues": 1, "index_items": 1,
        "recall_at_10": 1.0, "accepted": "{}", "titles_withheld": None, "titles_accepted": None,
        "abstained": None, "calibration": None, "segments": None, "days_with_other_history": None,
        "min_probability": None, "cluster_probability": None, "ordering": None, "ordering_calibration": None,
        "marked_duplicates": None,
    }  # fmt: skip
    return {**row, **values}


class Lake:
    """Batches as files under `folder`, and the members that name them.

    Where `bucket` is an address, the files are moved to it.
    """

    bucket: ClassVar[str] = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.members: list[dict[str, Any]] = []
        self.superseded: list[dict[str, Any]] = []
        self.batches: dict[str, list[Batch]] = {}

    def add(
        self,
        table: contracts.Table,
        batch_id: str,
        rows: list[dict[str, Any]],
        *,
        release_id: str = "r1",
        day: date = DAY,
        model: str | None = None,
    ) -> Lake:
        """Adds a batch with these rows to a release. `model` is the model that the release names for it."""
        partition = [f"model={model or MODEL}"] if "model" in table.partition else []
        path = Path(self.folder, table.name, *partition, f"day={day}", batch_id, "part-0.parquet")
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
        address = str(path)
        if self.bucket:
            relative = path.relative_to(self.folder).as_posix()
            open_store(self.bucket).put(relative, path.read_bytes())
            path.unlink()
            address = f"{self.bucket}/{relative}"
        member = {
            "release_id": release_id,
            "table_name": table.name,
            "day": day,
            "batch_id": batch_id,
            "digest": "d",
            "rows": len(rows),
            "model": model,
        }
        self.members.append(member)
        has_all_columns = table.schema == contracts.TABLES[table.name].schema
        batch = Batch(batch_id, day, len(rows), (address,), has_all_columns)
        self.batches.setdefault(table.name, []).append(batch)
        return self

    def share(self, batch_id: str, release_id: str) -> Lake:
        """Adds an existing batch to another release."""
        shared = [member for member in self.members if member["batch_id"] == batch_id][:1]
        self.members += [{**member, "release_id": release_id} for member in shared]
        return self

    def supersede(self, issue_id: int, day: date, *, release_id: str = "r1") -> Lake:
        """Lets a release skip the opening of an issue on this day."""
        self.superseded.append({"release_id": release_id, "day": day, "issue_id": issue_id})
        return self

    def release(self, *rows: dict[str, Any]) -> tuple[ReleaseTables, dict[str, list[Batch]]]:
        """The arguments of `Warehouse.stage`."""
        tables = ReleaseTables(
            pa.Table.from_pylist(list(rows) or [release("r1")], schema=contracts.RELEASES.schema),
            pa.Table.from_pylist(self.members, schema=contracts.RELEASE_MEMBERS.schema),
            pa.Table.from_pylist(self.superseded, schema=contracts.SUPERSEDED_OPENINGS.schema),
        )
        return tables, self.batches


def publish(warehouse: Warehouse, lake: Lake, *releases: dict[str, Any]) -> None:
    """Loads, checks and makes current, as `titler publish` does."""
    for table, batches in lake.batches.items():
        warehouse.load(contracts.TABLES[table], batches)
    with warehouse.stage(*lake.release(*releases)) as staged:
        assert staged.check() == []
        staged.make_current()


def query_rows(warehouse: Warehouse, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    """The rows of an analyst's query."""
    return list(warehouse.query(Query("ask", sql, parameters)).to_pylist())
