"""The picture in the README."""

from __future__ import annotations

import duckdb
import pytest

from readme_picture import PictureError, Results, page, read_results

ROWS = """
CREATE TABLE title_predictions AS SELECT * FROM (VALUES
  (1, 'crash at start of the engine', 'crash at start', 0.4567), (2, 'Question', '', 0.01),
  (3, 'Absturz 💥', 'absturz', 0.9)
) AS t(issue_id, title, predicted_title, confidence);
CREATE TABLE poor_titles AS SELECT * FROM (VALUES
  ('Question', 'vague', 'why is it slow', 0.7),
  ('Question', 'vague', 'how to start', 0.8), ('Slow', 'far', 'fast', 0.9)
) AS t(title, reason, predicted_title, confidence);
CREATE TABLE similar_issues AS SELECT * FROM (VALUES
  (1, 'everywhere', 2, 0.5, 'Slow start', false), (1, 'everywhere', 1, 0.1, 'Crash', true),
  (1, 'repository', 1, 0.1, 'Crash', true), (2, 'everywhere', 1, 0.2, 'Other', false)
) AS t(issue_id, list, rank, distance, similar_title, near_duplicate);
CREATE TABLE near_duplicates AS
SELECT issue_id, similar_title FROM similar_issues WHERE near_duplicate AND list = 'repository';
"""


@pytest.fixture
def results(tmp_path):
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        warehouse.execute(ROWS)
    return read_results(tmp_path)


def test_a_vague_title_is_shown_once_with_its_surest_suggestion(results):
    assert [(title, predicted) for title, predicted, _ in results.vague] == [("Question", "how to start")]


def test_titles_are_those_that_any_font_can_draw(results):
    assert {title for title, _, _ in results.titles} == {"crash at start of the engine", "Question"}


def test_neighbours_are_those_of_an_issue_with_a_near_duplicate_nearest_first(results):
    assert [(similar, near) for _, _, similar, near in results.neighbours] == [
        ("Crash", True),
        ("Slow start", False),
    ]


def test_an_abstention_says_so_and_a_title_is_escaped():
    text = page(Results([], [("<b>", "", 0.0)], []))
    assert "<td>&lt;b&gt;<td" in text
    assert "no title: the model abstained" in text


def test_a_near_duplicate_is_marked():
    text = page(Results([], [], [("Crash", 0.6, "Crashes", True), ("Crash", 0.7, "Slow", False)]))
    assert (text.count("near duplicate</span>"), "Crashes<span" in text) == (1, True)


def test_without_a_release_it_says_what_to_type(tmp_path):
    with pytest.raises(PictureError, match=r"does not exist. Publish a release first:  make demo$"):
        read_results(tmp_path)
