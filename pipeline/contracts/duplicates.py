"""The contracts of the two tables of duplicates: duplicates that people marked, and probable duplicates."""

from __future__ import annotations

import pyarrow as pa

from pipeline.contracts.contract import ISSUE_ID, SOURCE, TIMESTAMP, Table, column

DUPLICATE_MARKS = Table(
    name="duplicate_marks_v1",
    prose="A comment on an issue in which somebody calls the issue a duplicate of another one.",
    schema=pa.schema(
        [
            column("event_id", pa.string(), "GH Archive's id of the event of the comment"),
            column("comment_url", pa.string(), "the comment's address on GitHub", null=True),
            column("issue_id", pa.int64(), "GitHub's id of the issue that was called a duplicate"),
            column("issue_url", pa.string(), "the page on GitHub of the issue that was called a duplicate"),
            column("repo", pa.string(), "owner/name of that issue's repository when the comment was written"),
            column("number", pa.int64(), "number of the issue that was called a duplicate"),
            column("duplicate_of_repo", pa.string(), "owner/name of the other issue's repository"),
            column("duplicate_of_number", pa.int64(), "number of the other issue, which may be newer"),
            column("author", pa.string(), "login of the account that wrote the comment", null=True),
            column(
                "said_by",
                pa.string(),
                "who wrote the comment: bot, author (of the issue), member (of the project) or other; "
                "NULL if GH Archive does not say",
                null=True,
            ),
            column("created_at", TIMESTAMP, "when the comment was written"),
            SOURCE,
        ]
    ),
    key=("event_id",),
    partition=("day",),
    lives_in=("lake", "warehouse"),
    with_warehouse_columns=True,
)

DUPLICATE_PAIRS = Table(
    name="duplicate_pairs_v1",
    prose="A pair of an issue and an older issue of its repository that a maintainer might call duplicates. "
    "The clusters of duplicates are made of these pairs. Automated issues are left out.",
    schema=pa.schema(
        [
            ISSUE_ID,
            column("issue_url", pa.string(), "the issue's page on GitHub"),
            column("repo", pa.string(), "owner/name of the repository at the time when the issue was opened"),
            column("title", pa.string(), "the title as its author wrote it"),
            column("similar_issue_id", pa.int64(), "GitHub's id of the older issue"),
            column("similar_issue_url", pa.string(), "the older issue's page on GitHub"),
            column("similar_title", pa.string(), "the older issue's title"),
            column("similar_day", pa.date32(), "source day (UTC) that the older issue was read from"),
            column(
                "probability",
                pa.float64(),
                "probability that a maintainer would call the two issues duplicates, 0.1 to 1",
            ),
        ]
    ),
    key=("issue_id", "similar_issue_id"),
    partition=("model", "day"),
    lives_in=("lake", "warehouse"),
    with_warehouse_columns=True,
)
