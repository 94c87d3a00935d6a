"""The contracts of the tables about releases."""

from __future__ import annotations

import pyarrow as pa

from pipeline.contracts.contract import ISSUE_ID, TIMESTAMP, Table, column

RELEASES = Table(
    name="releases_v1",
    prose="A release: a model with its vocabulary, index, titles and similar issues, published in one step.",
    schema=pa.schema(
        [
            column("release_id", pa.string(), "name of the release: the time when it was created"),
            column("status", pa.string(), "current, published (an earlier one that is kept) or rolled_back"),
            column("published_at", TIMESTAMP, "when the release last became current"),
            column("published_by", pa.string(), "user who published the release"),
            column("model", pa.string(), "the model's name"),
            column("model_version", pa.string(), "the model's version in MLflow's registry"),
            column("vocabulary", pa.string(), "id of the model's vocabulary"),
            column("mlflow_run", pa.string(), "id of the MLflow run that trained the model"),
            column("days", pa.int64(), "number of source days in the release"),
            column("issues", pa.int64(), "number of issues in the release"),
            column("index_items", pa.int64(), "number of vectors in the index"),
            column(
                "recall_at_10",
                pa.float64(),
                "mean share of an issue's 10 exact nearest neighbours that the index finds, 0 to 1",
            ),
            column("accepted", pa.string(), "JSON: collapsed days that were accepted, by whom, when and why"),
            column("titles_withheld", pa.string(), "why titles are hidden; NULL if shown", null=True),
            column("titles_accepted", pa.string(), "JSON: who accepted poor titles, when and why", null=True),
            column("abstained", pa.float64(), "share of issues without a title; NULL if unknown", null=True),
            column("calibration", pa.string(), "JSON: how reliable the model's probabilities are", null=True),
            column("segments", pa.string(), "JSON: issues and recall@10 of each segment", null=True),
            column(
                "days_with_other_history",
                pa.int64(),
                "number of days whose similar issues were searched among other issues than the release has",
                null=True,
            ),
            column(
                "min_probability",
                pa.float64(),
                "smallest probability with which a similar issue is suggested: the setting "
                "similar.min_probability; NULL if the release has no probabilities",
                null=True,
            ),
            column(
                "cluster_probability",
                pa.float64(),
                "smallest probability with which an issue joins a cluster of duplicates: the setting "
                "similar.cluster_probability; NULL if the release has no clusters",
                null=True,
            ),
            column(
                "ordering",
                pa.string(),
                "version of the ordering that estimates the probabilities of similar issues, for the days "
                "that this release searched; other days keep the ordering with which they were searched",
                null=True,
            ),
            column(
                "ordering_calibration",
                pa.string(),
                "JSON: how reliable the probabilities of `ordering` are; NULL if it is the default one",
                null=True,
            ),
            column(
                "marked_duplicates",
                pa.string(),
                "JSON: recall@1, 5 and 10 of duplicates that somebody marked, and precision of suggestions",
                null=True,
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
            column("release_id", pa.string(), "name of the release"),
            column("table_name", pa.string(), "name of the table that the batch belongs to"),
            column("day", pa.date32(), "the source day (UTC) of the batch"),
            column("batch_id", pa.string(), "id of the batch"),
            column("digest", pa.string(), "digest of the batch's content"),
            column("rows", pa.int64(), "number of rows in the batch"),
            column("model", pa.string(), "model whose network made the batch; NULL if none did", null=True),
        ]
    ),
    key=("release_id", "table_name", "day"),
    partition=(),
    lives_in=("lake", "warehouse"),
)

SUPERSEDED_OPENINGS = Table(
    name="superseded_openings_v1",
    prose="An opening that a release skips, because the issue's earliest opening is on another of its days.",
    schema=pa.schema(
        [
            column("release_id", pa.string(), "name of the release"),
            column("day", pa.date32(), "the source day (UTC) of the opening that is skipped"),
            ISSUE_ID,
        ]
    ),
    key=("release_id", "day", "issue_id"),
    partition=(),
    lives_in=("warehouse",),
)
