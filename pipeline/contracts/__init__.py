"""The contracts of all tables that Titler writes: columns, keys, partitions, and where a table is stored."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from pipeline.contracts.contract import ISSUE_ID as ISSUE_ID
from pipeline.contracts.contract import SOURCE as SOURCE
from pipeline.contracts.contract import TIMESTAMP as TIMESTAMP
from pipeline.contracts.contract import Table as Table
from pipeline.contracts.contract import column as column
from pipeline.contracts.duplicates import DUPLICATE_MARKS as DUPLICATE_MARKS
from pipeline.contracts.duplicates import DUPLICATE_PAIRS as DUPLICATE_PAIRS
from pipeline.contracts.releases import RELEASE_MEMBERS as RELEASE_MEMBERS
from pipeline.contracts.releases import RELEASES as RELEASES
from pipeline.contracts.releases import SUPERSEDED_OPENINGS as SUPERSEDED_OPENINGS
from pipeline.contracts.similar_issues import EVERYWHERE_LIST as EVERYWHERE_LIST
from pipeline.contracts.similar_issues import REPOSITORY_LIST as REPOSITORY_LIST
from pipeline.contracts.similar_issues import SIMILAR_ISSUES as SIMILAR_ISSUES
from pipeline.contracts.similar_issues import SIMILAR_ISSUES_V1 as SIMILAR_ISSUES_V1
from pipeline.contracts.source_health import SOURCE_HEALTH as SOURCE_HEALTH

REPO = column("repo", pa.string(), "owner/name of the repository at the time when the issue was opened")
AUTHOR_ASSOCIATION = column(
    "author_association",
    pa.string(),
    "GitHub's word for the author's part in the repository when the issue was opened: OWNER, MEMBER, "
    "COLLABORATOR, CONTRIBUTOR, FIRST_TIME_CONTRIBUTOR, FIRST_TIMER, MANNEQUIN or NONE; NULL if GH Archive "
    "does not say, as since 2025-10-07, or in a batch of an earlier version",
    null=True,
)

ISSUES = Table(
    name="issues_v1",
    prose="An issue as it was opened, without later edits. Each training file is a partition of its own.",
    schema=pa.schema(
        [
            ISSUE_ID,
            column("issue_url", pa.string(), "the issue's page on GitHub"),
            REPO,
            column("number", pa.int64(), "issue number in the repository; 0 if a training file lacks it"),
            column("author", pa.string(), "login of the account that opened the issue", null=True),
            column("title", pa.string(), "the title as its author wrote it"),
            column("body", pa.string(), "the body as its author wrote it; NULL if it has none", null=True),
            column(
                "created_at", TIMESTAMP, "when the issue was opened; 1970-01-01 if unknown (training file)"
            ),
            column(
                "event_id",
                pa.string(),
                "GH Archive's id of the event that opened the issue; empty for a row of a training file",
            ),
            column(
                "trainable",
                pa.bool_(),
                "whether title and body are neither too short nor too long for training (settings text.*)",
            ),
            AUTHOR_ASSOCIATION,
            SOURCE,
        ]
    ),
    key=("issue_id",),
    partition=("day",),
    lives_in=("lake",),
    rows_per_row_group=1000,
)

EXTRACTED_ISSUES = replace(ISSUES, schema=ISSUES.schema.remove(len(ISSUES.schema) - 1))
"""The rows of issues_v1 before the stage `extract` adds where they are from."""

TOKENS = Table(
    name="tokens_v1",
    prose="The tokens (words) of an issue's title and body after cleaning.",
    schema=pa.schema(
        [
            ISSUE_ID,
            REPO,
            column("trainable", pa.bool_(), "whether the issue is trainable, as in the table issues_v1"),
            column("body", pa.list_(pa.string()), "cleaned tokens of the body; empty if it has no body"),
            column("title", pa.list_(pa.string()), "cleaned tokens of the title"),
        ]
    ),
    key=("issue_id",),
    partition=("day",),
    lives_in=("lake",),
)

VECTORS = Table(
    name="vectors_v1",
    prose="An issue's title and body as ids of a vocabulary. 0 is padding, 1 is an unknown word.",
    schema=pa.schema(
        [
            ISSUE_ID,
            REPO,
            column("trainable", pa.bool_(), "whether the issue is trainable, as in the table issues_v1"),
            column(
                "body",
                pa.list_(pa.int32()),
                "ids of the body, cut or padded to one length: text.body_length words (padded in front) "
                "or text.body_units subwords (padded at the end)",
            ),
            column(
                "title",
                pa.list_(pa.int32()),
                "ids of the title with _start_ and _end_, cut or padded at the end to one length: "
                "text.title_length words or text.title_units subwords",
            ),
        ]
    ),
    key=("issue_id",),
    partition=("vocabulary", "day"),
    lives_in=("lake",),
)

EMBEDDINGS = Table(
    name="embeddings_v1",
    prose="The embedding of an issue: a vector that is close to the vectors of similar issues.",
    schema=pa.schema(
        [
            ISSUE_ID,
            column(
                "embedding",
                pa.list_(pa.float16()),
                "vector of model.hidden_size numbers, computed from title and body if model.variant is "
                '"copy", otherwise from the body; all zeros if no word of the text is in the vocabulary',
            ),
        ]
    ),
    key=("issue_id",),
    partition=("model", "day"),
    lives_in=("lake", "warehouse"),  # in the warehouse if warehouse.embeddings is set
)

TITLE_PREDICTIONS = Table(
    name="title_predictions_v1",
    prose="The title that a model predicts for an issue, and the model and data that were used.",
    schema=pa.schema(
        [
            ISSUE_ID,
            column("issue_url", pa.string(), "the issue's page on GitHub"),
            REPO,
            column("title", pa.string(), "the title as its author wrote it"),
            column("predicted_title", pa.string(), "the predicted title; empty if the model abstained"),
            column("confidence", pa.float64(), "geometric mean of the token probabilities, 0 to 1"),
            column("abstained", pa.bool_(), "whether the model gave no title; predicted_title is then empty"),
            column("created_at", TIMESTAMP, "when the issue was opened"),
            column("source_day", pa.date32(), "source day (UTC) that the issue was read from"),
            column("model", pa.string(), "the model's name"),
            column("model_version", pa.string(), "the model's version in MLflow's registry"),
            column("vocabulary", pa.string(), "id of the model's vocabulary"),
            column("mlflow_run", pa.string(), "id of the MLflow run that trained the model"),
            column("issues_batch", pa.string(), "id of the issue's batch in the table issues_v1"),
            column(
                "probability",
                pa.float64(),
                "probability that the predicted title is like the author's, 0 to 1; NULL if unknown",
                null=True,
            ),
            column(
                "body_excerpt",
                pa.string(),
                "first 280 characters of the body, with marks such as *URL* in place of URLs, e-mail "
                "addresses, phone numbers and numbers; NULL if there is no body, or in a batch of an earlier "
                "version",
                null=True,
            ),
            AUTHOR_ASSOCIATION,
        ]
    ),
    key=("issue_id",),
    partition=("model", "day"),
    lives_in=("lake", "warehouse"),
    with_warehouse_columns=True,
    rows_per_row_group=1000,
)

SEGMENTS = Table(
    name="segments_v1",
    prose="An issue in a segment of the index: the issues of a month or of an earlier year, sorted by "
    "repository and then age. Further files of a segment have one value per row, such as the vectors.",
    schema=pa.schema(
        [
            ISSUE_ID,
            column("issue_url", pa.string(), "the issue's page on GitHub"),
            REPO,
            column("title", pa.string(), "the title as its author wrote it"),
            column("created_at", TIMESTAMP, "when the issue was opened"),
            column("day", pa.date32(), "source day (UTC) that the issue was read from"),
        ]
    ),
    key=("issue_id",),
    partition=("model", "period", "repositories"),
    lives_in=("lake",),
    rows_per_row_group=4096,
)

SEGMENT_REPOSITORIES = Table(
    name="segments_v1 (repositories)",
    prose="Where the issues of a repository are in a segment. Rows are sorted by repository.",
    schema=pa.schema(
        [
            REPO,
            column("first_item", pa.int64(), "row of the repository's first issue in the segment, from 0"),
            column("items", pa.int64(), "number of the repository's issues in the segment"),
        ]
    ),
    key=("repo",),
    partition=("model", "period", "repositories"),
    lives_in=("lake",),
    rows_per_row_group=4096,
)

SPEND = Table(
    name="spend_v1",
    prose="Bytes of a BigQuery job. One row reserves them before the job runs; another has the bytes billed.",
    schema=pa.schema(
        [
            column("job_id", pa.string(), "BigQuery's id of the job"),
            column("state", pa.string(), "reserved or billed; a job's billed row replaces its reserved row"),
            column("at", TIMESTAMP, "time of the reservation or of the bill"),
            column("day", pa.date32(), "UTC day whose budget is charged"),
            column("run", pa.string(), "id of the run of a command whose budget is charged"),
            column("verb", pa.string(), "name of that command, such as extract"),
            column("source_day", pa.date32(), "source day that was read; NULL if not exactly one", null=True),
            column("release_id", pa.string(), "release that the job served; NULL if none", null=True),
            column("bytes", pa.int64(), "number of bytes billed or reserved"),
            column("usd", pa.float64(), "price of the bytes in USD, from the setting warehouse.usd_per_tib"),
            column("by", pa.string(), "user who ran the command"),
        ]
    ),
    key=("job_id", "state"),
    partition=(),
    lives_in=("warehouse",),
)

# Kinds of batches that contain files other than tables.
VOCABULARY = "vocabulary"
PREDICTOR = "predictor"
INDEX = "index"  # the index of a release that Titler 0.1 made; later releases have segments
QUARANTINE = "quarantine"

TABLES = {
    table.name: table
    for table in (
        ISSUES,
        SOURCE_HEALTH,
        DUPLICATE_MARKS,
        TOKENS,
        VECTORS,
        EMBEDDINGS,
        TITLE_PREDICTIONS,
        SIMILAR_ISSUES,
        SIMILAR_ISSUES_V1,
        DUPLICATE_PAIRS,
        SEGMENTS,
        RELEASES,
        RELEASE_MEMBERS,
        SUPERSEDED_OPENINGS,
        SPEND,
    )
}
