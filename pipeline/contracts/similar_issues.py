"""The contracts of two tables of similar issues: the current one, and that of earlier versions of Titler."""

from __future__ import annotations

import pyarrow as pa

from pipeline.contracts.contract import ISSUE_ID, Table, column

_ISSUE_URL = column("issue_url", pa.string(), "the issue's page on GitHub")
_SIMILAR = (
    column("similar_issue_id", pa.int64(), "GitHub's id of the similar issue"),
    column("similar_issue_url", pa.string(), "the similar issue's page on GitHub"),
    column("similar_title", pa.string(), "the similar issue's title"),
    column("distance", pa.float64(), "angular distance of the embeddings: sqrt(2(1 - cosine)), 0 to 2"),
    column("same_repo", pa.bool_(), "whether both issues are in the same repository"),
    column(
        "near_duplicate",
        pa.bool_(),
        "whether distance is below index.near_duplicate_distance (if 0: the variant's own limit)",
    ),
)

REPOSITORY_LIST, EVERYWHERE_LIST = "repository", "everywhere"
"""The two lists of similar issues: of the issue's own repository, and of all repositories."""

SIMILAR_ISSUES = Table(
    name="similar_issues_v2",
    prose="A similar older issue. Each issue has two lists: of its own repository, and of all repositories. "
    "If a day is ingested late, the next similar.recompute_days days are searched again.",
    schema=pa.schema(
        [
            ISSUE_ID,
            _ISSUE_URL,
            column(
                "list",
                pa.string(),
                "repository: the list from the issue's own repository, of any age; everywhere: the list from "
                "all repositories, of the last similar.months months",
            ),
            column(
                "rank", pa.int64(), "1 for the most probable duplicate of the list, 2 for the next, and so on"
            ),
            *_SIMILAR,
            column(
                "probability",
                pa.float64(),
                "probability that a maintainer would call the two issues duplicates, 0 to 1",
            ),
            column(
                "words_in_common",
                pa.string(),
                "the most telling words that are in both issues, separated by commas; empty if there is none",
            ),
            column("title_overlap", pa.float64(), "how far the words of the two titles agree, 0 to 1"),
            column("age_days", pa.int64(), "how many whole days older the similar issue is"),
            column(
                "similar_text",
                pa.string(),
                "what the similar issue's body contains: own (a text of its own), same (the text of the "
                "issue's body), none (hardly any text, or only a template's), automated (a program's report)",
            ),
            column(
                "group_size",
                pa.int64(),
                "number of candidates that this row stands for: itself, and those with the same or nearly "
                "the same text",
            ),
        ]
    ),
    key=("issue_id", "list", "rank"),
    partition=("model", "day"),
    lives_in=("lake", "warehouse"),
    with_warehouse_columns=True,
    rows_per_row_group=10_000,
)

SIMILAR_ISSUES_V1 = Table(
    name="similar_issues_v1",
    prose="A similar issue, in a release of an earlier version of Titler: nearest by embedding, of all "
    "repositories. Nothing writes this table any more.",
    schema=pa.schema(
        [
            ISSUE_ID,
            _ISSUE_URL,
            column("rank", pa.int64(), "1 for the most similar issue, 2 for the next, and so on"),
            *_SIMILAR,
        ]
    ),
    key=("issue_id", "rank"),
    partition=("model", "day"),
    lives_in=("lake", "warehouse"),
)
