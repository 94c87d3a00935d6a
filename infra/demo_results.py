"""What `make demo` prints at the end, read the way an analyst reads it: from the views of the DuckDB warehouse."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path

import duckdb

# A fixed but arbitrary choice: neither the best nor the worst.
TITLES = """
SELECT repo, title, predicted_title, confidence
FROM title_predictions
ORDER BY HASH(issue_id)
LIMIT 5
"""
NEIGHBOURS = """
SELECT asked.title, found.similar_title, found.distance, found.near_duplicate
FROM similar_issues AS found
JOIN title_predictions AS asked USING (issue_id)
WHERE found.rank <= 3 AND found.issue_id IN (
  SELECT issue_id FROM similar_issues GROUP BY issue_id HAVING COUNT(*) >= 3 ORDER BY HASH(issue_id) DESC LIMIT 3
)
ORDER BY HASH(found.issue_id), found.rank
"""


def print_results(lake: Path, airflow: Path) -> None:
    """Five titles, three neighbourhoods, where everything lies, and the commands that open the pages."""
    with duckdb.connect(str(lake / "warehouse.duckdb"), read_only=True) as warehouse:
        titles = warehouse.execute(TITLES).fetchall()
        neighbours = warehouse.execute(NEIGHBOURS).fetchall()

    print("\nFive issues: the title that their author gave, the title that the model gives, its confidence")
    for repo, title, predicted, confidence in titles:
        print(
            f"\n  {repo}\n    author  {_line(title)}\n    model   {_line(predicted) or '(abstained)'}  ({confidence:.2f})"
        )

    print("\nThree issues with their nearest neighbours, by angular distance (0 to 2)")
    above = ""
    for asked, similar, distance, near_duplicate in neighbours:
        if asked != above:
            print(f"\n  {_line(asked)}")
        above = asked
        print(f"    {distance:.3f}  {_line(similar)}{'  (near-duplicate)' if near_duplicate else ''}")

    record = f"sqlite:///{lake}/mlflow.db"
    start = f"TITLER_LAKE__ROOT={shlex.quote(str(lake))} .venv/bin/python infra/local_airflow.py {shlex.quote(str(airflow))}"
    print(f"""
Lake:       {lake}
Warehouse:  {lake}/warehouse.duckdb
MLflow:     {record}

Airflow's pages:  {start}
MLflow's pages:   .venv/bin/mlflow ui --host 127.0.0.1 --port 5000 --backend-store-uri {shlex.quote(record)}""")


def _line(text: str) -> str:
    return textwrap.shorten(text, 110, placeholder="...")
