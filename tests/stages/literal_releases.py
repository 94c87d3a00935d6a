"""Releases of literal issues, with vectors or embeddings, of a model without a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipeline.contracts import DUPLICATE_MARKS, EMBEDDINGS, ISSUES, VECTORS, Table
from pipeline.lake.batches import Lake
from pipeline.lake.list_columns import list_column
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import PinnedDay
from pipeline.predictor.predictor import Predictor
from tests.stages.literal_issues import issue, issues
from tests.stages.literal_models import add_model

PART = "part-00000.parquet"
Days = Mapping[str, Mapping[int, Sequence[float]]]
"""The embeddings of issues, by day and issue id."""


def commit_table(
    lake: Lake, table: Table, partition: Mapping[str, str], rows: pa.Table, inputs: Iterable[str] = ()
) -> Manifest:
    """A batch of one file with these rows."""
    draft = lake.draft(table.name, partition, inputs)
    draft.write_table(PART, rows, table)
    return draft.commit()


def embedded_release(
    lake: Lake,
    days: Days,
    name: str = "r",
    repos: Mapping[int, str] | None = None,
    urls: Mapping[int, str] | None = None,
) -> Pinned:
    """A release of issues with these embeddings, by day and issue id. `repos` maps ids to repositories; the
    default is rust-lang/rust. `urls` has the addresses that do not name the issue's repository. An issue is
    opened at noon of its day."""
    repos, urls = repos or {}, urls or {}
    issues_of_days = {
        day: [
            issue(number, f"t{number}", None, repos.get(number, "rust-lang/rust"))
            | ({"issue_url": urls[number]} if number in urls else {})
            for number in rows
        ]
        for day, rows in days.items()
    }
    size = next((len(vector) for rows in days.values() for vector in rows.values()), 2)
    release = _open_release(lake, name, issues_of_days, size)
    release.members.put(
        EMBEDDINGS.name,
        [
            commit_table(
                lake,
                EMBEDDINGS,
                {"model": "m", "day": day},
                pa.table({"issue_id": list(rows), "embedding": list(rows.values())}),
                [str(rows)],
            )
            for day, rows in days.items()
        ],
    )
    return release


def add_marks(
    release: Pinned,
    marks: Mapping[str, Sequence[tuple[int, int]]],
    repos: Mapping[int, str] | None = None,
) -> None:
    """Adds duplicate marks to a release: by day, the numbers of the issue that is called a duplicate, and of
    the other one. Both are of the first one's repository in `repos`; the default is rust-lang/rust."""
    batches, repos = [], repos or {}
    for day, pairs in marks.items():
        rows = [
            {
                "event_id": f"{day} {place}",
                "comment_url": None,
                "issue_id": number,
                "issue_url": f"https://github.com/{repos.get(number, 'rust-lang/rust')}/issues/{number}",
                "repo": repos.get(number, "rust-lang/rust"),
                "number": number,
                "duplicate_of_repo": repos.get(number, "rust-lang/rust"),
                "duplicate_of_number": other,
                "author": "someone",
                "said_by": "member",
                "created_at": datetime.fromisoformat(f"{day}T18:00:00+00:00"),
            }
            for place, (number, other) in enumerate(pairs)
        ]
        table = pa.Table.from_pylist(rows, schema=DUPLICATE_MARKS.schema)
        batches.append(commit_table(release.lake, DUPLICATE_MARKS, {"day": day}, table))
    release.members.put(DUPLICATE_MARKS.name, batches)


def vectorized_release(
    lake: Lake, predictor: Predictor, days: Mapping[str, Sequence[dict[str, Any]]], name: str = "r"
) -> Pinned:
    """A release of these issues, by day, with the ids that this predictor reads."""
    release = _open_release(lake, name, days)
    vectors = []
    for day, rows in days.items():
        ids = {
            "body": predictor.vectors([row["body"] for row in rows]),
            "title": predictor.title_ids([row["title"] for row in rows]),
        }
        columns = {column: [row[column] for row in rows] for column in ("issue_id", "repo", "trainable")}
        table = pa.table({**columns, **{column: list_column(matrix) for column, matrix in ids.items()}})
        vectors.append(commit_table(lake, VECTORS, {"vocabulary": "v", "day": day}, table, [day]))
    release.members.put(VECTORS.name, vectors)
    return release


def _open_release(
    lake: Lake, name: str, days: Mapping[str, Sequence[dict[str, Any]]], size: int = 2
) -> Pinned:
    pinned, batches = [], []
    for day, rows in days.items():
        # The event of a later day is a later one: an issue of two days belongs to the first.
        noon = datetime.fromisoformat(f"{day}T12:00:00+00:00")
        table = issues(*({**row, "created_at": noon, "event_id": day} for row in rows))
        manifest = commit_table(lake, ISSUES, {"day": day}, table)
        batches.append(manifest)
        pinned.append(PinnedDay(day, manifest.folder, "", "", manifest.digest, "", ""))
    predictor = add_model(lake, size=size)
    facts = {
        "model": "m",
        "model_version": "3",
        "vocabulary": "v",
        "mlflow_run": "run of m",
        "predictor": predictor.folder,
        "predictor_digest": predictor.digest,
        "neighbours": 2,
        "near_duplicate_distance": 1.0,
    }
    release = Pinned(lake, "releases", name)
    release.open(pinned, facts)
    release.members.put(ISSUES.name, batches)
    return release
