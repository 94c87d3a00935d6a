"""Every table that Titler writes, declared once: columns with a line of prose each, key, partition, where it lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from pipeline.errors import ContractError

WHEN = pa.timestamp("us", tz="UTC")
Place = Literal["lake", "warehouse"]


@dataclass(frozen=True)
class Table:
    """One table. `partition` names what a batch's folder is keyed by; `key` is unique within a partition."""

    name: str
    prose: str
    schema: pa.Schema
    key: tuple[str, ...]
    partition: tuple[str, ...]
    lives_in: tuple[Place, ...]

    def conform(self, table: pa.Table) -> pa.Table:
        """The same rows with exactly this table's columns, order and types.

        Raises ContractError for a missing or surplus column, a type that does not cast without loss, or a NULL where
        none may be; it names the table, the column, the expected and the found type.
        """
        surplus = [name for name in table.column_names if name not in self.schema.names]
        if surplus:
            raise ContractError(
                f"{self.name}: column {surplus[0]!r} is not in the contract, which has {', '.join(self.schema.names)}."
            )
        columns = []
        for field in self.schema:
            if field.name not in table.column_names:
                raise ContractError(
                    f"{self.name}: column {field.name!r} ({field.type}) is missing; found {', '.join(table.column_names)}."
                )
            column = table.column(field.name)
            if column.type != field.type:
                try:
                    column = column.cast(field.type)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                    raise ContractError(
                        f"{self.name}: column {field.name!r} is {column.type}, expected {field.type}; it does not cast: {error}"
                    ) from None
            if not field.nullable and column.null_count:
                raise ContractError(
                    f"{self.name}: column {field.name!r} ({field.type}) has {column.null_count} NULLs, expected none."
                )
            columns.append(column)
        return pa.table(columns, schema=self.schema)

    def extended(self, table: pa.Table) -> pa.Table:
        """The same rows, with NULL in the nullable columns that the contract got after they were written."""
        for field in self.schema:
            if field.nullable and field.name not in table.column_names:
                table = table.append_column(field, pa.nulls(len(table), field.type))
        return table

    @property
    def day_column(self) -> str | None:
        """The column that says which source day a row is of; None for a table that is not kept by day."""
        if "day" not in self.partition:
            return None
        return "day" if "day" in self.schema.names else "source_day"

    @property
    def in_warehouse(self) -> pa.Schema:
        """The columns of its rows in a warehouse: its own, its source day and, where it comes in batches, its batch."""
        fields = list(self.schema)
        if self.day_column and self.day_column not in self.schema.names:
            fields.append(column(self.day_column, pa.date32(), "the day of GH Archive it was read from"))
        if self.partition:
            fields.append(column("batch_id", pa.string(), "the batch that it belongs to"))
        return pa.schema(fields)

    def empty(self) -> pa.Table:
        """No rows."""
        return self.schema.empty_table()


def column(name: str, kind: pa.DataType, prose: str, *, null: bool = False) -> pa.Field:
    """A column with its line of prose; NOT NULL unless said."""
    return pa.field(name, kind, nullable=null, metadata={"description": prose})


ISSUE_ID = column("issue_id", pa.int64(), "GitHub's id of the issue: its identity")
REPO = column("repo", pa.string(), "owner/name at the time")

ISSUES = Table(
    name="issues_v1",
    prose="An issue as it was opened; later edits are not followed. A file that a model learns from is a partition `file` of its own.",
    schema=pa.schema(
        [
            ISSUE_ID,
            column("issue_url", pa.string(), "its page on GitHub"),
            REPO,
            column("number", pa.int64(), "its number in the repository; 0 where a file does not say"),
            column("author", pa.string(), "login of who opened it", null=True),
            column("title", pa.string(), "as its author wrote it"),
            column("body", pa.string(), "as its author wrote it; NULL where there is none", null=True),
            column(
                "created_at", WHEN, "when the opened event happened; 1970-01-01 where a file does not say"
            ),
            column("event_id", pa.string(), "GH Archive's id of the opened event; empty for a file's row"),
            column("trainable", pa.bool_(), "long and short enough to learn from; see settings text.*"),
        ]
    ),
    key=("issue_id",),
    partition=("day",),
    lives_in=("lake",),
)

SOURCE_HEALTH = Table(
    name="source_health_v1",
    prose="The verdict on a source day.",
    schema=pa.schema(
        [
            column("day", pa.date32(), "the source day (UTC)"),
            column("hours_found", pa.int64(), "hour files found, of 24"),
            column("hours_missing", pa.list_(pa.int64()), "hours without a file"),
            column("events", pa.int64(), "events of all types that were read"),
            column("malformed", pa.int64(), "lines put into quarantine"),
            column("issues", pa.int64(), "issues opened, each counted once"),
            column("trainable", pa.int64(), "of these, what may be learned from"),
            column(
                "usual_events",
                pa.int64(),
                "median events of the days it was held against; NULL where they were too few",
                null=True,
            ),
            column("verdict", pa.string(), "complete, partial, collapsed or missing"),
            column(
                "usual_issues",
                pa.int64(),
                "median issues of the days it was held against; NULL where they were too few",
                null=True,
            ),
            column(
                "compared_with",
                pa.string(),
                "weekday or month: of which complete days; NULL where they were too few",
                null=True,
            ),
            column("reason", pa.string(), "why it is not complete; NULL where it is", null=True),
        ]
    ),
    key=("day",),
    partition=("day",),
    lives_in=("lake", "warehouse"),
)

TOKENS = Table(
    name="tokens_v1",
    prose="An issue's cleaned tokens.",
    schema=pa.schema(
        [
            ISSUE_ID,
            REPO,
            column("trainable", pa.bool_(), "as in issues_v1"),
            column("body", pa.list_(pa.string()), "cleaned tokens of the body; none where there is no body"),
            column("title", pa.list_(pa.string()), "cleaned tokens of the title"),
        ]
    ),
    key=("issue_id",),
    partition=("day",),
    lives_in=("lake",),
)

VECTORS = Table(
    name="vectors_v1",
    prose="An issue's padded ids in one vocabulary: 0 pads, 1 is unknown.",
    schema=pa.schema(
        [
            ISSUE_ID,
            REPO,
            column("trainable", pa.bool_(), "as in issues_v1"),
            column(
                "body",
                pa.list_(pa.int32()),
                "its ids, cut at the end: text.body_length of words, padded in front; text.body_units of subwords, padded at the end",
            ),
            column(
                "title",
                pa.list_(pa.int32()),
                "its ids with _start_ and _end_, padded at the end: text.title_length of words, text.title_units of subwords",
            ),
        ]
    ),
    key=("issue_id",),
    partition=("vocabulary", "day"),
    lives_in=("lake",),
)

EMBEDDINGS = Table(
    name="embeddings_v1",
    prose="An issue's vector.",
    schema=pa.schema(
        [
            ISSUE_ID,
            column(
                "embedding",
                pa.list_(pa.float16()),
                "model.hidden_size numbers: copy's of title and body, gru's of the body; zeros where the model knows nothing of them",
            ),
        ]
    ),
    key=("issue_id",),
    partition=("model", "day"),
    lives_in=("lake", "warehouse"),  # there where warehouse.embeddings is set
)

TITLE_PREDICTIONS = Table(
    name="title_predictions_v1",
    prose="The title that a model gives an issue, and where that title comes from.",
    schema=pa.schema(
        [
            ISSUE_ID,
            column("issue_url", pa.string(), "its page on GitHub"),
            REPO,
            column("title", pa.string(), "as its author wrote it"),
            column("predicted_title", pa.string(), "the model's; empty exactly when it abstained"),
            column("confidence", pa.float64(), "exp(mean log probability of the title's tokens), 0 to 1"),
            column("abstained", pa.bool_(), "no title was worth giving"),
            column("created_at", WHEN, "when the issue was opened"),
            column("source_day", pa.date32(), "the day of GH Archive it was read from"),
            column("model", pa.string(), "the model's name"),
            column("model_version", pa.string(), "its version in MLflow's registry"),
            column("vocabulary", pa.string(), "its vocabulary"),
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
    prose="A neighbour that was open before the issue, found when the issue was first embedded by the model.",
    schema=pa.schema(
        [
            ISSUE_ID,
            column("issue_url", pa.string(), "its page on GitHub"),
            column("rank", pa.int64(), "1 is nearest"),
            column("similar_issue_id", pa.int64(), "the neighbour"),
            column("similar_issue_url", pa.string(), "the neighbour's page"),
            column("similar_title", pa.string(), "the neighbour's title"),
            column("distance", pa.float64(), "angular: sqrt(2(1 - cosine)), 0 to 2"),
            column("same_repo", pa.bool_(), "both in one repository"),
            column(
                "near_duplicate",
                pa.bool_(),
                "distance under index.near_duplicate_distance, or under the network's own",
            ),
        ]
    ),
    key=("issue_id", "rank"),
    partition=("model", "day"),
    lives_in=("lake", "warehouse"),
)

RELEASES = Table(
    name="releases_v1",
    prose="A release: one model, its vocabulary, index, titles and neighbours, published in one step.",
    schema=pa.schema(
        [
            column("release_id", pa.string(), "its name, by the time it was opened"),
            column("status", pa.string(), "current, published (and kept) or rolled_back"),
            column("published_at", WHEN, "when it last became current"),
            column("published_by", pa.string(), "who did it"),
            column("model", pa.string(), "the model's name"),
            column("model_version", pa.string(), "its version in MLflow's registry"),
            column("vocabulary", pa.string(), "its vocabulary"),
            column("mlflow_run", pa.string(), "the MLflow run that trained it"),
            column("days", pa.int64(), "source days in it"),
            column("issues", pa.int64(), "issues in it"),
            column("index_items", pa.int64(), "vectors in its index"),
            column(
                "recall_at_10", pa.float64(), "share of the 10 exact nearest neighbours that the index finds"
            ),
            column("accepted", pa.string(), "collapsed days accepted: by whom, when and why (JSON)"),
        ]
    ),
    key=("release_id",),
    partition=(),
    lives_in=("lake", "warehouse"),
)

RELEASE_MEMBERS = Table(
    name="release_members_v1",
    prose="Which batch of which table and day belongs to which release.",
    schema=pa.schema(
        [
            column("release_id", pa.string(), "the release"),
            column("table_name", pa.string(), "the table"),
            column("day", pa.date32(), "the source day"),
            column("batch_id", pa.string(), "the batch"),
            column("digest", pa.string(), "of the batch's content"),
            column("rows", pa.int64(), "rows in it"),
        ]
    ),
    key=("release_id", "table_name", "day"),
    partition=(),
    lives_in=("lake", "warehouse"),
)

SPEND = Table(
    name="spend_v1",
    prose="Bytes that a query of Titler's had billed: reserved before it ran, then what they were.",
    schema=pa.schema(
        [
            column("job_id", pa.string(), "BigQuery's job"),
            column("state", pa.string(), "reserved or billed; billed replaces reserved"),
            column("at", WHEN, "when that was known"),
            column("day", pa.date32(), "the UTC day whose budget it counts against"),
            column("run", pa.string(), "the command whose budget it counts against"),
            column("verb", pa.string(), "the verb that asked"),
            column("source_day", pa.date32(), "the source day it read, where it was one", null=True),
            column("release_id", pa.string(), "the release it worked for, where it was one", null=True),
            column("bytes", pa.int64(), "bytes billed, or to be"),
            column("usd", pa.float64(), "their price by warehouse.usd_per_tib"),
            column("by", pa.string(), "who ran the command"),
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
        ISSUES, SOURCE_HEALTH, TOKENS, VECTORS, EMBEDDINGS, TITLE_PREDICTIONS, SIMILAR_ISSUES, RELEASES, RELEASE_MEMBERS,
        SPEND,
    )
}  # fmt: skip
