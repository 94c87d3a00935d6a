"""Prints the results of `make demo`. It queries the DuckDB warehouse's views, as an analyst would."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path

import duckdb

# Ordered by a hash: a fixed but arbitrary choice, neither the best nor the worst rows.
TITLES = """
SELECT repo, title, predicted_title, confidence
FROM title_predictions
ORDER BY HASH(issue_id)
LIMIT 5
"""
# Issues with a suggested duplicate come first.
NEIGHBOURS = """
SELECT issue.repo, issue.title, neighbour.similar_title, neighbour.probability, neighbour.suggested,
  neighbour.words_in_common
FROM similar_issues AS neighbour
JOIN title_predictions AS issue USING (issue_id)
WHERE neighbour.list = 'repository' AND neighbour.rank <= 3 AND neighbour.issue_id IN (
  SELECT issue_id FROM similar_issues WHERE list = 'repository' GROUP BY issue_id
  ORDER BY MAX(suggested::INT) DESC, HASH(issue_id) DESC LIMIT 3
)
ORDER BY HASH(neighbour.issue_id), neighbour.rank
"""
SUGGESTED = """
SELECT COUNT(DISTINCT issue_id) FILTER (suggested), COUNT(DISTINCT issue_id)
FROM similar_issues
WHERE list = 'repository'
"""


def print_results(lake: Path, airflow: Path) -> None:
    """Prints five titles, three issues with their nearest neighbours, and the paths of all data.

    Then prints how to open the pages of Airflow and MLflow.
    """
    with duckdb.connect(str(lake / "warehouse.duckdb"), read_only=True) as warehouse:
        titles = warehouse.execute(TITLES).fetchall()
        neighbours = warehouse.execute(NEIGHBOURS).fetchall()
        suggested, with_neighbours = warehouse.execute(SUGGESTED).fetchall()[0]

    print("\nFive issues: the author's title, the model's title, and the model's confidence in it (0 to 1)")
    for repo, title, predicted, confidence in titles:
        model_title = _shorten(predicted) or "(abstained)"
        print(f"\n  {repo}\n    author  {_shorten(title)}\n    model   {model_title}  ({confidence:.2f})")

    print("\nThree issues, each with the older issues of its repository that it most probably repeats,")
    print("and the probability (0 to 1) that a maintainer would call the two duplicates")
    previous = ("", "")
    for repo, title, similar, probability, is_suggested, words in neighbours:
        if (repo, title) != previous:
            print(f"\n  {repo}: {_shorten(title)}")
        previous = (repo, title)
        mark = "  (suggested)" if is_suggested else ""
        print(f"    {probability:.2f}  {_shorten(similar)}{mark}")
        if is_suggested and words:
            print(f"          words in common: {words}")
    print(f"\nA duplicate is suggested for {suggested:,} of {with_neighbours:,} issues")

    lake_path, airflow_path = shlex.quote(str(lake)), shlex.quote(str(airflow))
    tracking = f"sqlite:///{lake}/mlflow.db"
    start_airflow = f"TITLER_LAKE__ROOT={lake_path} .venv/bin/python infra/local_airflow.py {airflow_path}"
    start_mlflow = (
        f".venv/bin/mlflow ui --host 127.0.0.1 --port 5000 --backend-store-uri {shlex.quote(tracking)}"
    )
    print(f"""
Lake:       {lake}
Warehouse:  {lake}/warehouse.duckdb
MLflow:     {tracking}

To look at the pages of Airflow or MLflow, run one of these; Ctrl-C stops it:
    {start_airflow}
    {start_mlflow}""")


def _shorten(text: str) -> str:
    return textwrap.shorten(text, 110, placeholder="...")
