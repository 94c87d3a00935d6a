"""The parts of the benchmark: no issue that is scored was trained on."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta
from itertools import combinations, count
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.benchmarks.parts import (
    COLUMNS,
    CUTOFF,
    LETTERS,
    UNDATED,
    Parts,
    make,
    near_duplicate_keys,
    read,
    sample,
)

PULL, JIRA = "pull_request", "https://issues.apache.org/jira/browse/X"
TRAIN, VALIDATION, TEST = "rust-lang/rust", "opencv/opencv", "ray-project/ray"
EARLY, LATE = CUTOFF - timedelta(days=1), CUTOFF
SCHEMA = pa.schema(
    [(name, pa.string()) for name in COLUMNS[:-1]] + [("created_at", pa.timestamp("ms", "UTC"))]
)
NUMBERS = count()


def issue(repo: str, title: str, opened: datetime | None = EARLY, **columns: str | None) -> dict[str, object]:
    url = f"https://github.com/{repo}/issues/{next(NUMBERS)}"
    return {
        "source": "s",
        "repo": repo,
        "kind": "issue",
        "url": url,
        "title": title,
        "body": "b",
        "created_at": opened,
        **columns,
    }


def parts(*rows: dict[str, object]) -> Parts:
    return make(pa.Table.from_pylist(list(rows), SCHEMA))


def titles(parts: Parts) -> dict[str, list[str]]:
    return {name: table["title"].to_pylist() for name, table in parts}


def test_the_repository_decides_the_part_then_the_time():
    split = parts(
        issue(TRAIN, "one"), issue(TRAIN, "two", LATE), issue(VALIDATION, "three"),
        issue(VALIDATION, "four", LATE), issue(TEST, "five"), issue(TEST, "six", LATE),
    )  # fmt: skip
    assert titles(split) == {
        "train": ["one"],
        "validation": ["three", "four"],
        "test_repositories": ["five", "six"],
        "test_time": ["two"],
    }


def test_pull_requests_and_other_trackers_are_trained_on_but_not_scored():
    split = parts(
        issue(TRAIN, "one", kind=PULL), issue(TRAIN, "two", LATE, kind=PULL),
        issue(VALIDATION, "three", kind=PULL),
        issue(TEST, "four", url=f"{JIRA}-1"), issue(TEST, "five", LATE, url=f"{JIRA}-2"),
    )  # fmt: skip
    assert titles(split) == {
        "train": ["one", "four"],
        "validation": [],
        "test_repositories": [],
        "test_time": [],
    }


def test_another_tracker_of_a_test_repository_is_not_trained_on():
    split = parts(issue(TEST, "one"), issue(TEST, "two", url=f"{JIRA}-1"))
    assert titles(split) == {"train": [], "validation": [], "test_repositories": ["one"], "test_time": []}


def test_an_issue_without_a_date_is_trained_on_if_its_source_is_known_to_be_old():
    split = parts(
        issue(TRAIN, "one", None),
        issue(TRAIN, "two", None, source="kubeflow"),
        issue(TEST, "three", None),
    )
    assert titles(split) == {
        "train": ["two"],
        "validation": [],
        "test_repositories": ["three"],
        "test_time": [],
    }


def test_an_issue_without_a_url_is_trained_on_if_its_repository_is_not_held_out():
    split = parts(
        *(
            issue(repo, title, url=None)
            for repo, title in ((TRAIN, "one"), (VALIDATION, "two"), (TEST, "three"))
        )
    )
    assert titles(split) == {"train": ["one"], "validation": [], "test_repositories": [], "test_time": []}


def test_an_issue_without_a_title_or_a_body_is_in_no_part():
    split = parts(
        issue(TRAIN, " "),
        issue(TRAIN, "one", body=None),
        issue(TRAIN, "two", body="\n"),
        issue(TEST, "three", body=""),
    )
    assert [len(table) for _, table in split] == [0, 0, 0, 0]


def test_of_equal_urls_the_first_counts_ignoring_case_and_the_pull_path():
    urls = [
        "https://github.com/A/b/pull/1",
        "https://github.com/a/B/issues/1",
        "https://github.com/a/b/issues/11",
    ]
    split = parts(
        *(issue(TRAIN, title, url=url) for title, url in zip(("one", "two", "three"), urls, strict=True))
    )
    assert titles(split)["train"] == ["one", "three"]


def test_spellings_of_a_repository_count_as_one_and_the_strictest_part_decides():
    """Each of the other spellings alone would be for training."""
    split = parts(
        *(
            issue(repo, repo[:3])
            for repo in (
                "Ray-project/ray",
                "RAY-project/ray",
                TEST,
                "rAy-project/ray",
                "raY-project/ray",
            )
        )
    )
    assert titles(split)["test_repositories"] == ["Ray", "RAY", "ray", "rAy", "raY"]


def test_a_near_duplicate_title_is_removed_from_the_later_part():
    title = "The window closes twice"
    split = parts(
        issue(TRAIN, title), issue(TRAIN, title, LATE), issue(VALIDATION, title), issue(TEST, title),
        issue(TRAIN, "the windows close twice"), issue(TRAIN, "The door closes twice"),
    )  # fmt: skip
    assert titles(split) == {
        "train": ["the windows close twice"],
        "validation": [],
        "test_repositories": [title],
        "test_time": [],
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Crash on startup", "crash on start-up!"),
        ("Bump x from 1.2 to 1.3", "Bump X from 2.0 to 10"),
        ("Crash when opening the settings", "Crash when closing the settings"),
        ("Crash when opening settings", "Crash when opening the settings"),
        ("Crash when opening the settings", "When opening the settings, crash"),
        ("启动时崩溃", "启动时崩溃 (2)"),
        ("???", "1.0"),
    ],
)
def test_titles_are_near_duplicates(first, second):
    assert near_duplicate_keys(first) & near_duplicate_keys(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Crash on startup", "Hang on startup"),
        ("Crash when opening the settings", "Hang when closing the settings"),
        ("Crash when opening the settings", "Crash"),
        ("启动时崩溃", "关闭时崩溃"),
    ],
)
def test_titles_are_not_near_duplicates(first, second):
    assert not near_duplicate_keys(first) & near_duplicate_keys(second)


def edit_distance(first: list[str], second: list[str]) -> int:
    """The number of words to add, drop or replace (Levenshtein)."""
    row = list(range(len(second) + 1))
    for number, word in enumerate(first, 1):
        previous, row = row, [number]
        for column, compared in enumerate(second, 1):
            row.append(min(row[-1] + 1, previous[column] + 1, previous[column - 1] + (word != compared)))
    return row[-1]


def differ_in_one_word(first: str, second: str) -> bool:
    """Whether at most one word differs; in titles of fewer than four words none may differ."""
    first_words, second_words = LETTERS.findall(first.lower()), LETTERS.findall(second.lower())
    return edit_distance(first_words, second_words) <= (max(len(first_words), len(second_words)) >= 4)


TITLES = st.builds(
    "{}{} the {} {}{}".format,
    st.sampled_from(["", "2.", "On "]),
    st.sampled_from(["Open", "open", "close"]),
    st.sampled_from(["big", "small"]),
    st.sampled_from(["window", "door", ""]),
    st.sampled_from(["", "!", " twice"]),
)
ISSUES = st.lists(
    st.builds(
        issue,
        st.sampled_from([TRAIN, VALIDATION, TEST, "golang/go", "Ray-Project/ray", "OPENCV/opencv"]),
        TITLES,
        st.none() | st.integers(-2, 2).map(lambda hours: CUTOFF + timedelta(hours=hours)),
        source=st.sampled_from(["s", *UNDATED]),
        kind=st.sampled_from(["issue", "pull_request"]),
        url=st.none()
        | st.builds(
            "https://{}/{}".format,
            st.sampled_from(["github.com/a/b/issues", "github.com/A/b/pull", "x.org"]),
            st.integers(1, 20),
        ),
        body=st.sampled_from(["b", "b", "", None]),
    ),
    max_size=30,
)


def assert_rules(parts: Parts) -> None:
    rows = {name: table.to_pylist() for name, table in parts}
    repos = {name: {row["repo"].lower() for row in rows_of_part} for name, rows_of_part in rows.items()}
    assert not repos["test_repositories"] & (repos["train"] | repos["validation"] | repos["test_time"])
    assert not repos["validation"] & (repos["train"] | repos["test_time"])
    assert all(
        row["created_at"] < CUTOFF if row["created_at"] else row["source"] in UNDATED for row in rows["train"]
    )
    assert all(row["created_at"] >= CUTOFF for row in rows["test_time"])
    assert all(
        row["title"].strip() and row["body"].strip() for rows_of_part in rows.values() for row in rows_of_part
    )
    scored = rows["validation"] + rows["test_repositories"] + rows["test_time"]
    assert all(row["kind"] == "issue" and row["url"].startswith("https://github.com/") for row in scored)
    urls = [
        row["url"].lower().replace("/pull/", "/issues/")
        for rows_of_part in rows.values()
        for row in rows_of_part
        if row["url"]
    ]
    assert len(urls) == len(set(urls))


@settings(deadline=None)
@given(ISSUES)
def test_the_parts_of_any_issues_follow_the_rules(rows):
    split = parts(*rows)
    assert_rules(split)
    for first_titles, second_titles in combinations(titles(split).values(), 2):
        assert not any(
            differ_in_one_word(first, second) for first in first_titles for second in second_titles
        )


def test_a_sample_is_deterministic_and_in_the_order_of_the_table():
    rows = pa.table({"number": list(range(100))})
    drawn = sample(rows, 10)["number"].to_pylist()
    assert drawn == sample(rows, 10)["number"].to_pylist() == sorted(set(drawn))
    assert (
        len(drawn),
        sample(rows, 10, seed=1)["number"].to_pylist() != drawn,
        sample(rows, 100) == rows,
    ) == (10, True, True)


def test_a_folder_without_files_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="issues contains no Parquet file"):
        read(tmp_path)


def test_importing_parts_learning_and_retrieval_imports_no_heavy_library():
    """Keras is imported when a network is built."""
    modules = "tests.benchmarks.parts, tests.benchmarks.learning, tests.benchmarks.retrieval"
    code = f"import sys, {modules}; print(*sys.modules)"
    completed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {
        "keras",
        "tensorflow",
        "mlflow",
        "pandas",
        "pydantic",
        "rouge_score",
        "sacrebleu",
        "scipy",
        "sklearn",
        "dask",
        "duckdb",
    }
    assert not heavy & set(completed.stdout.split())
