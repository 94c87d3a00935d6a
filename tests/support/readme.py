"""The pages with commands and queries that tests run."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.warehouse import Query

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUERYING = (ROOT / "docs" / "querying.md").read_text(encoding="utf-8")
FOLLOWED = [README, QUERYING, (ROOT / "docs" / "mlflow.md").read_text(encoding="utf-8")]
"""Pages whose commands run in one folder, one page after another."""
NAME = r"\d{8}T\d{6}Z"  # of a model or a release
SMALL = {
    "TITLER_COMPUTE__WORKERS": "1",
    "TITLER_TEXT__SUBWORDS": "600",
    "TITLER_TEXT__BODY_UNITS": "64",
    # A hardly trained network puts near-duplicates far away and far down in the list of neighbours. No
    # repository of the sample has more issues than this.
    "TITLER_INDEX__NEIGHBOURS": "60",
    "TITLER_INDEX__NEAR_DUPLICATE_DISTANCE": "1.5",
    "TITLER_MODEL__EMBEDDING_SIZE": "24",
    "TITLER_MODEL__HIDDEN_SIZE": "24",
    "TITLER_MODEL__CONTRAST_EPOCHS": "1",
    "TITLER_MODEL__EPOCHS": "1",
    "TITLER_MODEL__BATCH_SIZE": "1024",  # one batch: TensorFlow compiles a training step per size of batch
    "TITLER_MODEL__ABSTAIN_PROBABILITY": "0",  # hardly any title of this network is like its author's
    "TITLER_RELEASE__MAX_ABSTAINED_RISE": "1",
    "TITLER_MODEL__PROMOTION_MARGIN": "100",  # after one epoch, which model is better is chance
    "TITLER_MODEL__PROMOTION_RETRIEVAL_MARGIN": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Settings of a network that trains in seconds."""


def fenced(page: str, language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", page)


def analysts_queries() -> list[tuple[str, list[str], list[list[str]]]]:
    """The queries of docs/querying.md, each with the columns and rows that are shown below it."""
    queries = []
    for sql, table in re.findall(r"(?ms)^```sql\n(.*?)^```\n\n((?:^\|.*?\n)+)", QUERYING):
        header, _, *rows = [
            [cell.strip() for cell in row.strip("|\n").split("|")] for row in table.splitlines()
        ]
        queries.append((sql.rstrip().rstrip(";"), header, rows))
    assert len(queries) == len(fenced(QUERYING, "sql")) > 0
    assert fenced(README, "sql") == []
    return queries


def title_of(value: object) -> str:
    """A query's first line, as the id of its test."""
    return value.splitlines()[0] if isinstance(value, str) and "\n" in value else ""


def poor_titles_beside_any_suggestion() -> str:
    """The view without its minimum confidence, which no model reaches after one epoch."""
    sql = Query.from_file("views/poor_titles").sql
    assert sql.count("confidence >= 0.5") == 1
    return sql.replace("confidence >= 0.5", "confidence >= 0")
