"""The pages that a newcomer follows, and the analysts' queries in them, for the tests that run both."""

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
    "TITLER_INDEX__NEIGHBOURS": "300",  # near-duplicates are among neighbours, which a poor network puts far down
    "TITLER_INDEX__NEAR_DUPLICATE_DISTANCE": "1.5",  # and far away
    "TITLER_MODEL__EMBEDDING_SIZE": "24",
    "TITLER_MODEL__HIDDEN_SIZE": "24",
    "TITLER_MODEL__CONTRAST_EPOCHS": "1",
    "TITLER_MODEL__EPOCHS": "1",
    "TITLER_MODEL__BATCH_SIZE": "16",
    "TITLER_MODEL__PROMOTION_MARGIN": "100",  # after an epoch a better model is luck
    "TITLER_MODEL__PROMOTION_RETRIEVAL_MARGIN": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""A network that is trained in seconds."""


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
    """What to read in place of the view, for after an epoch a model is sure of nothing."""
    sql = Query.from_file("views/poor_titles").sql
    assert sql.count("confidence >= 0.5") == 1
    return sql.replace("confidence >= 0.5", "confidence >= 0")
