"""What `make demo` prints at the end."""

from __future__ import annotations

import duckdb
import pytest

from demo_results import print_next_command, print_results


@pytest.fixture
def lake(tmp_path):
    """A warehouse of two titled issues, one of them abstained on, and of similar issues of both."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        warehouse.execute("""
            CREATE TABLE title_predictions AS SELECT * FROM (VALUES
              (1, 'ada/engine', 'It crashes on start', 'crash on startup', 0.4567),
              (2, 'ada/engine', 'Question', '', 0.01)
            ) AS t(issue_id, repo, title, predicted_title, confidence)""")
        warehouse.execute("""
            CREATE TABLE similar_issues AS SELECT * FROM (VALUES
              (1, 'repository', 1, 'Crash at start', 0.8765, true, 'crash, start'),
              (1, 'repository', 2, 'Crash', 0.25, false, 'crash'),
              (2, 'repository', 1, 'Answer', 0.125, false, ''),
              (1, 'everywhere', 1, 'Crash elsewhere', 0.9, true, 'crash')
            ) AS t(issue_id, list, rank, similar_title, probability, suggested, words_in_common)""")
    return tmp_path


def printed(capsys, lake):
    print_results(lake)
    return capsys.readouterr().out


def test_a_title_stands_under_its_authors(capsys, lake):
    assert "  ada/engine\n    author  It crashes on start\n    model   crash on startup  (0.46)\n" in printed(
        capsys, lake
    )


def test_an_abstention_says_so(capsys, lake):
    assert "    author  Question\n    model   (abstained)  (0.01)\n" in printed(capsys, lake)


def test_the_suggested_issues_of_its_repository_stand_under_an_issue(capsys, lake):
    lines = printed(capsys, lake).splitlines()
    start = lines.index("  ada/engine: It crashes on start")
    assert lines[start + 1 : start + 4] == [
        "    0.88  Crash at start",
        "          words in common: crash, start",
        "",
    ]


def test_an_issue_without_a_suggestion_says_so(capsys, lake):
    lines = printed(capsys, lake).splitlines()
    start = lines.index("An issue without a likely duplicate")
    assert lines[start + 1 : start + 4] == [
        "",
        "  ada/engine: Question",
        "    no issue is similar enough (highest probability: 0.12)",
    ]


def test_without_any_suggestion_none_is_announced(capsys, lake):
    with duckdb.connect(str(lake / "warehouse.duckdb")) as warehouse:
        warehouse.execute("UPDATE similar_issues SET suggested = false")
    assert "that probably repeat an older" not in printed(capsys, lake)


def test_it_says_for_how_many_issues_a_duplicate_is_suggested(capsys, lake):
    assert "\nA duplicate is suggested for 1 of 2 issues\n" in printed(capsys, lake)


def test_it_says_where_everything_lies(capsys, lake):
    lines = printed(capsys, lake).splitlines()
    assert lines[-3:] == [
        f"Lake:       {lake}",
        f"Warehouse:  {lake}/warehouse.duckdb",
        f"MLflow:     sqlite:///{lake}/mlflow.db",
    ]


def test_the_command_that_opens_the_pages_names_the_lake(capsys, lake):
    print_next_command(lake)
    assert capsys.readouterr().out.splitlines() == [
        "",
        "To look at the pages of Airflow and MLflow, type this; Ctrl-C stops both:",
        f"    TITLER_LAKE__ROOT={lake} make up",
    ]
