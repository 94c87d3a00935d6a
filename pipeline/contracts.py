"""Every table that Titler writes, declared once: columns with descriptions, key, partition, storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from pipeline.errors import ContractError

TIMESTAMP = pa.timestamp("us", tz="UTC")
Place = Literal["lake", "warehouse"]


@dataclass(frozen=True)
class Table:
    """One table. `partition` are the dimensions of a batch's folder; `key` is unique within a partition."""

    name: str
    prose: str
    schema: pa.Schema
    key: tuple[str, ...]
    partition: tuple[str, ...]
    lives_in: tuple[Place, ...]

    def conform(self, table: pa.Table) -> pa.Table:
        """The same rows with exactly this table's columns, in its order and with its types.

        Raises ContractError for a missing or unexpected column, a type that does not cast without loss, or a
        NULL in a NOT NULL column; the message names the table, the column, the expected and the actual type.
        """
        unexpected = [name for name in table.column_names if name not in self.schema.names]
        if unexpected:
            raise ContractError(
                f"{self.name}: column {unexpected[0]!r} is not in the contract, "
                f"which has {', '.join(self.schema.names)}."
            )
        columns = []
        for field in self.schema:
            if field.name not in table.column_names:
                raise ContractError(
                    f"{self.name}: column {field.name!r} ({field.type}) is missing; "
                    f"found {', '.join(table.column_names)}."
                )
            column = table.column(field.name)
            if column.type != field.type:
                try:
                    column = column.cast(field.type)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                    raise ContractError(
                        f"{self.name}: column {field.name!r} is {column.type}, expected {field.type}; "
                        f"it does not cast: {error}"
                    ) from None
            if not field.nullable and column.null_count:
                raise ContractError(
                    f"{self.name}: column {field.name!r} ({field.type}) has {column.null_count} NULLs, "
                    "expected none."
                )
            columns.append(column)
        return pa.table(columns, schema=self.schema)

    def add_missing_columns(self, table: pa.Table) -> pa.Table:
        """The same rows with NULL in the nullable columns that were added to the contract after they were
        written.
        """
        for field in self.schema:
            if field.nullable and field.name not in table.column_names:
                table = table.append_column(field, pa.nulls(len(table), field.type))
        return table

    @property
    def day_column(self) -> str | None:
        """The column with a row's source day; None if the table is not partitioned by day."""
        if "day" not in self.partition:
            return None
        return "day" if "day" in self.schema.names else "source_day"

    @property
    def warehouse_schema(self) -> pa.Schema:
        """The columns in a warehouse: the table's own, the source day, and the batch if the table has
        batches.
        """
        fields = list(self.schema)
        if self.day_column and self.day_column not in self.schema.names:
            fields.append(
                column(self.day_column, pa.date32(), "the day of GH Archive that the issue was read from")
            )
        if self.partition:
            fields.append(column("batch_id", pa.string(), "the batch that the row belongs to"))
        return pa.schema(fields)

    def empty(self) -> pa.Table:
        """The table without rows."""
        return self.schema.empty_table()


def column(name: str, kind: pa.DataType, prose: str, *, null: bool = False) -> pa.Field:
    """A column with its description; NOT NULL unless `null`."""
    return pa.field(name, kind, nullable=null, metadata={"description": prose})


ISSUE_ID = column("issue_id", pa.int64(), "GitHub's id of the issue, which identifies it")
REPO = column("repo", pa.string(), "owner/name of the repository when the issue was opened")

ISSUES = Table(
    name="issues_v1",
    prose="An issue as it was opened, without later edits. A training file is a partition `file` of its own.",
    schema=pa.schema(
        [
            ISSUE_ID,
            column("issue_url", pa.string(), "the issue's page on GitHub"),
            REPO,
            column(
                "number",
                pa.int64(),
                "the issue's number in its repository; 0 if a training file does not have it",
            ),
            column("author", pa.string(), "login of the account that opened it", null=True),
            column("title", pa.string(), "the title as its author wrote it"),
            column("body", pa.string(), "the body as its author wrote it; NULL if there is none", null=True),
            column(
                "created_at",
                TIMESTAMP,
                "time of the opened event; 1970-01-01 if a training file does not have it",
            ),
            column(
                "event_id",
                pa.string(),
                "GH Archive's id of the opened event; empty for a row of a training file",
            ),
            column(
                "trainable",
                pa.bool_(),
                "whether the lengths of title and body are in the limits for training (settings text.*)",
            ),
        ]
    ),
    key=("issue_id",),
    partition=("day",),
    lives_in=("lake",),
)

SOURCE_HEALTH = Table(
    name="source_health_v1",
    prose="How complete a source day is.",
    schema=pa.schema(
        [
            column("day", pa.date32(), "the source day (UTC)"),
            column("hours_found", pa.int64(), "number of hour files found, of 24"),
            column("hours_missing", pa.list_(pa.int64()), "hours without a file"),
            column("events", pa.int64(), "number of events of all types"),
            column("malformed", pa.int64(), "number of lines quarantined because they are malformed"),
            column("issues", pa.int64(), "number of distinct issues opened"),
            column("trainable", pa.int64(), "number of these issues that are trainable"),
            column(
                "usual_events",
                pa.int64(),
                "median number of events of the comparison days; NULL if there were too few such days",
                null=True,
            ),
            column("verdict", pa.string(), "complete, partial, collapsed or missing"),
            column(
                "usual_issues",
                pa.int64(),
                "median number of issues of the comparison days; NULL if there were too few such days",
                null=True,
            ),
            column(
                "compared_with",
                pa.string(),
                "which complete days it was compared with: weekday or month; NULL if there were too few",
                null=True,
            ),
            column("reason", pa.string(), "why the day is not complete; NULL if it is", null=True),
        ]
    ),
    key=("day",),
    partition=("day",),
    lives_in=("lake", "warehouse"),
)

TOKENS = Table(
    name="tokens_v1",
    prose="The cleaned tokens of an issue.",
    schema=pa.schema(
        [
            ISSUE_ID,
            REPO,
            column("trainable", pa.bool_(), "as in issues_v1"),
            column("body", pa.list_(pa.string()), "cleaned tokens of the body; empty if there is no body"),
            column("title", pa.list_(pa.string()), "cleaned tokens of the title"),
        ]
    ),
    key=("issue_id",),
    partition=("day",),
    lives_in=("lake",),
)

VECTORS = Table(
    name="vectors_v1",
    prose="The padded ids of an issue in one vocabulary: 0 is padding, 1 is unknown.",
    schema=pa.schema(
        [
            ISSUE_ID,
            REPO,
            column("trainable", pa.bool_(), "as in issues_v1"),
            column(
                "body",
                pa.list_(pa.int32()),
                "ids of the body, cut at the end: text.body_length words padded in front, "
                "or text.body_units subwords padded at the end",
            ),
            column(
                "title",
                pa.list_(pa.int32()),
                "ids of the title with _start_ and _end_, padded at the end: "
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
    prose="The embedding of an issue.",
    schema=pa.schema(
        [
            ISSUE_ID,
            column(
                "embedding",
                pa.list_(pa.float16()),
                "model.hidden_size numbers: copy embeds title and body, gru the body; "
                "zeros if no word of them is in the vocabulary",
            ),
        ]
    ),
    key=("issue_id",),
    partition=("model", "day"),
    lives_in=("lake", "warehouse"),  # in the warehouse if warehouse.embeddings is set
)

TITLE_PREDICTIONS = Table(
    name="title_predictions_v1",
    prose="The title that a model predicts for an issue, and its lineage.",
    schema=pa.schema(
        [
            ISSUE_ID,
            column("issue_url", pa.string(), "the issue's page on GitHub"),
            REPO,
            column("title", pa.string(), "the title as its author wrote it"),
            column("predicted_title", pa.string(), "the model's title; empty if and only if it abstained"),
            column("confidence", pa.float64(), "exp(mean log probability of the title's tokens), 0 to 1"),
            column(
                "abstained",
                pa.bool_(),
                "whether the model gave no title",
            ),
            column("created_at", TIMESTAMP, "when the issue was opened"),
            column("source_day", pa.date32(), "the day of GH Archive that the issue was read from"),
            column("model", pa.string(), "the model's name"),
            column("model_version", pa.string(), "the model's version in MLflow's registry"),
            column("vocabulary", pa.string(), "id of the model's vocabulary"),
            column("mlflow_run", pa.string(), "the MLflow run that trained it"),
            column("issues_batch", pa.string(), "the batch of issues_v1 that holds the issue"),
        ]
    ),
    key=("issue_id",),
    partition=("model", "day"),
    lives_in=("lake", "warehouse"),
)

SIMILAR_ISSUES = Table(
    name="similar_issues_v1",
    prose="A similar issue that was opened earlier, found when the model first embedded the issue.",
    schema=pa.schema(
        [
            ISSUE_ID,
            column("issue_url", pa.string(), "the issue's page on GitHub"),
            column("rank", pa.int64(), "1 is the most similar issue"),
            column("similar_issue_id", pa.int64(), "GitHub's id of the similar issue"),
            column("similar_issue_url", pa.string(), "the similar issue's page on GitHub"),
            column("similar_title", pa.string(), "the similar issue's title"),
            column("distance", pa.float64(), "angular: sqrt(2(1 - cosine)), 0 to 2"),
            column("same_repo", pa.bool_(), "whether both issues are in the same repository"),
            column(
                "near_duplicate",
                pa.bool_(),
                "whether the distance is below index.near_duplicate_distance or the network's default",
            ),
        ]
    ),
    key=("issue_id", "rank"),
    partition=("model", "day"),
    lives_in=("lake", "warehouse"),
)

RELEASES = Table(
    name="releases_v1",
    prose="A release: a model with its vocabulary, index, titles and similar issues, published in one step.",
    schema=pa.schema(
        [
            column("release_id", pa.string(), "name of the release: the time when it was opened"),
            column(
                "status", pa.string(), "current, published (an earlier release that is kept) or rolled_back"
            ),
            column("published_at", TIMESTAMP, "when the release last became current"),
            column("published_by", pa.string(), "user who published it"),
            column("model", pa.string(), "the model's name"),
            column("model_version", pa.string(), "the model's version in MLflow's registry"),
            column("vocabulary", pa.string(), "id of the model's vocabulary"),
            column("mlflow_run", pa.string(), "the MLflow run that trained it"),
            column("days", pa.int64(), "number of source days"),
            column("issues", pa.int64(), "number of issues"),
            column("index_items", pa.int64(), "number of vectors in the index"),
            column(
                "recall_at_10",
                pa.float64(),
                "share of the 10 exact nearest neighbours that the index finds, 0 to 1",
            ),
            column(
                "accepted", pa.string(), "collapsed days that were accepted: by whom, when and why (JSON)"
            ),
        ]
    ),
    key=("release_id",),
    partition=(),
    lives_in=("lake", "warehouse"),
)

RELEASE_MEMBERS = Table(
    name="release_members_v1",
    prose="The batches that belong to a release, by table and source day.",
    schema=pa.schema(
        [
            column("release_id", pa.string(), "the release"),
            column("table_name", pa.string(), "the table"),
            column("day", pa.date32(), "the source day"),
            column("batch_id", pa.string(), "the batch"),
            column("digest", pa.string(), "digest of the batch's content"),
            column("rows", pa.int64(), "number of rows"),
        ]
    ),
    key=("release_id", "table_name", "day"),
    partition=(),
    lives_in=("lake", "warehouse"),
)

SPEND = Table(
    name="spend_v1",
    prose="Bytes billed for a query: one row reserves them before it runs, one row has the actual number.",
    schema=pa.schema(
        [
            column("job_id", pa.string(), "id of BigQuery's job"),
            column("state", pa.string(), "reserved or billed; a billed row replaces the reserved row"),
            column("at", TIMESTAMP, "time of the reservation or of the bill"),
            column("day", pa.date32(), "UTC day whose budget is charged"),
            column("run", pa.string(), "command whose budget is charged"),
            column("verb", pa.string(), "the command's verb"),
            column(
                "source_day", pa.date32(), "the source day that was read, if it was a single one", null=True
            ),
            column("release_id", pa.string(), "the release that the query was for, if any", null=True),
            column("bytes", pa.int64(), "bytes billed or reserved"),
            column("usd", pa.float64(), "their price in USD by warehouse.usd_per_tib"),
            column("by", pa.string(), "user who ran the command"),
        ]
    ),
    key=("job_id", "state"),
    partition=(),
    lives_in=("warehouse",),
)

# Batches that hold files without a contract of their own.
VOCABULARY = "vocabulary"
PREDICTOR = "predictor"
INDEX = "index"
QUARANTINE = "quarantine"

TABLES = {
    table.name: table
    for table in (
        ISSUES,
        SOURCE_HEALTH,
        TOKENS,
        VECTORS,
        EMBEDDINGS,
        TITLE_PREDICTIONS,
        SIMILAR_ISSUES,
        RELEASES,
        RELEASE_MEMBERS,
        SPEND,
    )
}
