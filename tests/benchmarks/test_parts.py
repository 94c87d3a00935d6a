"""The benchmark's parts: nothing that is scored on was learned from."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta
from itertools import combinations, count
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.benchmarks.parts import COLUMNS, CUTOFF, LETTERS, UNDATED, Parts, make, near, read, sample

PULL, JIRA = "pull_request", "https://issues.apache.org/jira/browse/X"
TRAINS, VALIDATES, TESTS = "rust-lang/rust", "opencv/opencv", "ray-project/ray"
EARLY, LATE = CUTOFF - timedelta(days=1), CUTOFF
SCHEMA = pa.schema(
    [(name, pa.string()) for name in COLUMNS[:-1]] + [("created_at", pa.timestamp("ms", "UTC"))]
)
NUMBERS = count()


def issue(repo: str, title: str, opened: datetime | None = EARLY, **other: str | None) -> dict[str, object]:
    url = f"https://github.com/{repo}/issues/{next(NUMBERS)}"
    return {
        "source": "s",
        "repo": repo,
        "kind": "issue",
        "url": url,
        "title": title,
        "body": "b",
        "created_at": opened,
        **other,
    }


def parts(*rows: dict[str, object]) -> Parts:
    return make(pa.Table.from_pylist(list(rows), SCHEMA))


def titles(made: Parts) -> dict[str, list[str]]:
    return {name: part["title"].to_pylist() for name, part in made}


def test_a_repository_decides_then_the_time():
    made = parts(
        issue(TRAINS, "one"), issue(TRAINS, "two", LATE), issue(VALIDATES, "three"), issue(VALIDATES, "four", LATE),
        issue(TESTS, "five"), issue(TESTS, "six", LATE),
    )  # fmt: skip
    assert titles(made) == {
        "train": ["one"],
        "validation": ["three", "four"],
        "test_repositories": ["five", "six"],
        "test_time": ["two"],
    }


def test_pull_requests_and_other_trackers_are_learned_from_and_not_scored_on():
    made = parts(
        issue(TRAINS, "one", kind=PULL), issue(TRAINS, "two", LATE, kind=PULL), issue(VALIDATES, "three", kind=PULL),
        issue(TESTS, "four", url=f"{JIRA}-1"), issue(TESTS, "five", LATE, url=f"{JIRA}-2"),
    )  # fmt: skip
    assert titles(made) == {
        "train": ["one", "four"],
        "validation": [],
        "test_repositories": [],
        "test_time": [],
    }


def test_another_tracker_of_a_repository_that_tests_is_not_learned_from():
    made = parts(issue(TESTS, "one"), issue(TESTS, "two", url=f"{JIRA}-1"))
    assert titles(made) == {"train": [], "validation": [], "test_repositories": ["one"], "test_time": []}


def test_without_a_date_an_issue_is_learned_from_where_its_source_is_known_to_be_old():
    made = parts(
        issue(TRAINS, "one", None), issue(TRAINS, "two", None, source="kubeflow"), issue(TESTS, "three", None)
    )
    assert titles(made) == {
        "train": ["two"],
        "validation": [],
        "test_repositories": ["three"],
        "test_time": [],
    }


def test_without_an_address_an_issue_is_learned_from_unless_its_repository_tests():
    made = parts(
        *(
            issue(repo, title, url=None)
            for repo, title in ((TRAINS, "one"), (VALIDATES, "two"), (TESTS, "three"))
        )
    )
    assert titles(made) == {"train": ["one"], "validation": [], "test_repositories": [], "test_time": []}


def test_an_issue_without_a_title_or_a_body_is_in_no_part():
    made = parts(
        issue(TRAINS, " "),
        issue(TRAINS, "one", body=None),
        issue(TRAINS, "two", body="\n"),
        issue(TESTS, "three", body=""),
    )
    assert [len(part) for _, part in made] == [0, 0, 0, 0]


def test_an_address_counts_the_first_time_in_any_case_and_under_pull():
    urls = [
        "https://github.com/A/b/pull/1",
        "https://github.com/a/B/issues/1",
        "https://github.com/a/b/issues/11",
    ]
    made = parts(
        *(issue(TRAINS, title, url=url) for title, url in zip(("one", "two", "three"), urls, strict=True))
    )
    assert titles(made)["train"] == ["one", "three"]


def test_spellings_of_a_repository_are_one_and_the_strictest_decides():
    """Each of the others alone would train."""
    made = parts(
        *(
            issue(repo, repo[:3])
            for repo in ("Ray-project/ray", "RAY-project/ray", TESTS, "rAy-project/ray", "raY-project/ray")
        )
    )
    assert titles(made)["test_repositories"] == ["Ray", "RAY", "ray", "rAy", "raY"]


def test_who_comes_later_gives_up_a_title_that_is_near():
    title = "The window closes twice"
    made = parts(
        issue(TRAINS, title), issue(TRAINS, title, LATE), issue(VALIDATES, title), issue(TESTS, title),
        issue(TRAINS, "the windows close twice"), issue(TRAINS, "The door closes twice"),
    )  # fmt: skip
    assert titles(made) == {
        "train": ["the windows close twice"],
        "validation": [],
        "test_repositories": [title],
        "test_time": [],
    }


@pytest.mark.parametrize(
    ("one", "other"),
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
def test_titles_are_near(one, other):
    assert near(one) & near(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Crash on startup", "Hang on startup"),
        ("Crash when opening the settings", "Hang when closing the settings"),
        ("Crash when opening the settings", "Crash"),
        ("启动时崩溃", "关闭时崩溃"),
    ],
)
def test_titles_are_not_near(one, other):
    assert not near(one) & near(other)


def edits(one: list[str], other: list[str]) -> int:
    """Words to add, drop or replace (Levenshtein)."""
    row = list(range(len(other) + 1))
    for number, word in enumerate(one, 1):
        last, row = row, [number]
        for place, against in enumerate(other, 1):
            row.append(min(row[-1] + 1, last[place] + 1, last[place - 1] + (word != against)))
    return row[-1]


def alike(one: str, other: str) -> bool:
    """One word of four differs, at the most."""
    first, second = LETTERS.findall(one.lower()), LETTERS.findall(other.lower())
    return edits(first, second) <= (max(len(first), len(second)) >= 4)


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
        st.sampled_from([TRAINS, VALIDATES, TESTS, "golang/go", "Ray-Project/ray", "OPENCV/opencv"]),
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


def hold_to_the_rules(made: Parts) -> None:
    rows = {name: part.to_pylist() for name, part in made}
    repos = {name: {row["repo"].lower() for row in part} for name, part in rows.items()}
    assert not repos["test_repositories"] & (repos["train"] | repos["validation"] | repos["test_time"])
    assert not repos["validation"] & (repos["train"] | repos["test_time"])
    assert all(
        row["created_at"] < CUTOFF if row["created_at"] else row["source"] in UNDATED for row in rows["train"]
    )
    assert all(row["created_at"] >= CUTOFF for row in rows["test_time"])
    assert all(row["title"].strip() and row["body"].strip() for part in rows.values() for row in part)
    scored = rows["validation"] + rows["test_repositories"] + rows["test_time"]
    assert all(row["kind"] == "issue" and row["url"].startswith("https://github.com/") for row in scored)
    urls = [
        row["url"].lower().replace("/pull/", "/issues/")
        for part in rows.values()
        for row in part
        if row["url"]
    ]
    assert len(urls) == len(set(urls))


@settings(deadline=None)
@given(ISSUES)
def test_whatever_the_issues_the_parts_keep_the_rules(rows):
    made = parts(*rows)
    hold_to_the_rules(made)
    for one, other in combinations(titles(made).values(), 2):
        assert not any(alike(title, against) for title in one for against in other)


def test_the_parts_of_the_real_issues():
    if "TITLER_TEST_DATA" not in os.environ:
        pytest.skip("TITLER_TEST_DATA is not set: no real issues to part")
    made = make(read(Path(os.environ["TITLER_TEST_DATA"])))
    assert {name: len(part) for name, part in made} == {
        "train": 239_381, "validation": 6_528, "test_repositories": 6_287, "test_time": 6_092
    }  # fmt: skip
    hold_to_the_rules(made)
    shared = [set().union(*map(near, names)) for names in titles(made).values()]
    assert [one & other for one, other in combinations(shared, 2)] == [set()] * 6


def test_a_sample_is_the_same_again_in_the_tables_order():
    rows = pa.table({"number": list(range(100))})
    drawn = sample(rows, 10)["number"].to_pylist()
    assert drawn == sample(rows, 10)["number"].to_pylist() == sorted(set(drawn))
    assert (
        len(drawn),
        sample(rows, 10, seed=1)["number"].to_pylist() != drawn,
        sample(rows, 100) == rows,
    ) == (10, True, True)


def test_no_files_are_said_to_be_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="issues holds no Parquet file"):
        read(tmp_path)


def test_a_machine_with_numpy_and_arrow_alone_makes_parts_learns_and_retrieves():
    """Keras comes when a network is built."""
    code = "import sys, tests.benchmarks.parts, tests.benchmarks.learning, tests.benchmarks.retrieval; print(*sys.modules)"
    done = subprocess.run(
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
    assert not heavy & set(done.stdout.split())
