"""The pictures of the documentation."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from docs_pictures import current_report, pasted_issue
from readme_picture import PictureError

ROWS = """
CREATE TABLE title_predictions AS SELECT * FROM (VALUES
  (1, 'a', 'x/y', 'one', 'uno', 0.9), (2, 'b', 'x/y', 'two', '', 0.9), (3, 'c', 'x/z', 'three', 'tre', 0.9)
) AS t(issue_id, title, repo, body_excerpt, predicted_title, probability);
CREATE TABLE similar_issues AS SELECT * FROM (VALUES
  (1, 'repository', true, 0.5, 'x/y'), (1, 'everywhere', true, 0.9, 'x/y'),
  (2, 'repository', true, 0.8, 'x/y'), (3, 'repository', false, 0.7, 'x/z')
) AS t(issue_id, list, suggested, probability, repo);
"""


def lake_with(folder: Path, rows: str) -> Path:
    with duckdb.connect(str(folder / "warehouse.duckdb")) as warehouse:
        warehouse.execute(rows)
    return folder


def test_the_pasted_issue_has_a_title_and_a_suggestion_of_its_repository(tmp_path: Path) -> None:
    assert pasted_issue(lake_with(tmp_path, ROWS)) == {"title": "a", "body": "one", "repo": "x/y"}


def test_a_lake_without_suggestions_is_refused(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, ROWS + "UPDATE similar_issues SET suggested = false")
    with pytest.raises(PictureError, match="no issue with a suggested duplicate"):
        pasted_issue(lake)


def test_the_report_is_that_of_the_newest_release(tmp_path: Path) -> None:
    for release in ("20240101T000000Z", "20240102T000000Z"):
        (tmp_path / "releases" / release).mkdir(parents=True)
        (tmp_path / "releases" / release / "report.html").touch()
    assert current_report(tmp_path).parent.name == "20240102T000000Z"
    with pytest.raises(PictureError, match="has no report"):
        current_report(tmp_path / "empty")
