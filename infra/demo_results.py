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
SUGGESTIONS = """
SELECT issue.repo, issue.title, neighbour.similar_title, neighbour.probability, neighbour.words_in_common
FROM similar_issues AS neighbour
JOIN title_predictions AS issue USING (issue_id)
WHERE neighbour.list = 'repository' AND neighbour.suggested AND neighbour.issue_id IN (
  SELECT DISTINCT issue_id FROM similar_issues WHERE list = 'repository' AND suggested
  ORDER BY HASH(issue_id), issue_id LIMIT 3
)
ORDER BY HASH(neighbour.issue_id), neighbour.issue_id, neighbour.rank
"""
NO_SUGGESTION = """
SELECT issue.repo, issue.title, MAX(neighbour.probability)
FROM similar_issues AS neighbour
JOIN title_predictions AS issue USING (issue_id)
WHERE neighbour.list = 'repository'
GROUP BY issue.issue_id, issue.repo, issue.title
HAVING NOT BOOL_OR(neighbour.suggested)
ORDER BY HASH(issue.issue_id)
LIMIT 1
"""
SUGGESTED = """
SELECT COUNT(DISTINCT issue_id) FILTER (suggested), COUNT(DISTINCT issue_id)
FROM similar_issues
WHERE list = 'repository'
"""


def print_results(lake: Path) -> None:
    """Prints five titles, three issues with their suggested duplicates, an issue without such a duplicate,
    and the paths of all data."""
    with duckdb.connect(str(lake / "warehouse.duckdb"), read_only=True) as warehouse:
        titles = warehouse.execute(TITLES).fetchall()
        suggestions = warehouse.execute(SUGGESTIONS).fetchall()
        without = warehouse.execute(NO_SUGGESTION).fetchall()
        suggested, with_neighbours = warehouse.execute(SUGGESTED).fetchall()[0]

    print("\nFive issues: the author's title, the model's title, and the model's confidence in it (0 to 1)")
    for repo, title, predicted, confidence in titles:
        model_title = _shorten(predicted) or "(abstained)"
        print(f"\n  {repo}\n    author  {_shorten(title)}\n    model   {model_title}  ({confidence:.2f})")

    if suggestions:
        print("\nIssues that probably repeat an older issue of their repository. Under each: the older")
        print("issue, and the probability (0 to 1) that a maintainer would call the two duplicates")
    previous = ("", "")
    for repo, title, similar, probability, words in suggestions:
        if (repo, title) != previous:
            print(f"\n  {repo}: {_shorten(title)}")
        previous = (repo, title)
        print(f"    {probability:.2f}  {_shorten(similar)}")
        print(f"          words in common: {words}")
    for repo, title, probability in without:
        print("\nAn issue without a likely duplicate")
        print(f"\n  {repo}: {_shorten(title)}")
        print(f"    no issue is similar enough (highest probability: {probability:.2f})")
    print(f"\nA duplicate is suggested for {suggested:,} of {with_neighbours:,} issues")

    print(f"""
Lake:       {lake}
Warehouse:  {lake}/warehouse.duckdb
MLflow:     sqlite:///{lake}/mlflow.db""")


def print_next_command(lake: Path) -> None:
    """Prints how to open the pages of Airflow and MLflow."""
    print(f"""
To look at the pages of Airflow and MLflow, type this; Ctrl-C stops both:
    TITLER_LAKE__ROOT={shlex.quote(str(lake))} make up""")


def _shorten(text: str) -> str:
    return textwrap.shorten(text, 110, placeholder="...")
