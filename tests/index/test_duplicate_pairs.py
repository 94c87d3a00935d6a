"""The pairs that are stored: an issue with the older issues that it probably duplicates."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contracts import DUPLICATE_PAIRS, SEGMENTS
from pipeline.index.duplicate_pairs import PAIR_PROBABILITY, pair_rows, probable_pairs
from pipeline.index.neighbour_rows import find_lists
from pipeline.index.repository_items import RepositoryItems, find_repositories, read_repository
from pipeline.index.segment import Segment
from pipeline.settings import Index, Similar
from tests.index.literal_segments import row, segment

BUMP = "Bumps parser from 1.0 to 1.1.\n\n---\nDependabot will resolve any conflicts"
ISSUES = [
    row(9, day=1) | {"title": "Parser crashes on an empty file"},
    row(2, day=2) | {"title": "Bump parser from 1.0 to 1.1"},
    row(7, day=3) | {"title": "Parser crashes with an empty file"},
    row(4, day=4) | {"title": "Parser crash: empty file"},
]
BODIES = ["It panics.", BUMP, "It panics.", "It panics here."]


@pytest.fixture
def segments(tmp_path: Path) -> list[Segment]:
    return [segment(tmp_path, ISSUES, [[1, 0], [1, 0], [1, 0], [1, 0]], bodies=BODIES)]


@pytest.fixture
def repository(segments: list[Segment]) -> RepositoryItems:
    return read_repository(segments, find_repositories(segments, ["a/b"])["a/b"])


def test_a_pair_is_an_issue_with_an_older_one_that_is_probable_enough_the_oldest_first(
    segments: list[Segment], repository: RepositoryItems
) -> None:
    pairs = probable_pairs(repository, 0, {7: 0.5, 9: PAIR_PROBABILITY, 5: 0.099})
    issues = pa.Table.from_pylist(ISSUES[3:], schema=SEGMENTS.schema)
    rows = pair_rows(issues, segments, pairs)
    assert DUPLICATE_PAIRS.conform(rows.drop_columns("day")).num_rows == 2
    newer = {
        "day": date(2015, 1, 4), "issue_id": 4, "issue_url": "https://github.com/a/b/issues/4", "repo": "a/b",
        "title": "Parser crash: empty file",
    }  # fmt: skip
    assert rows.to_pylist() == [
        {
            **newer, "similar_issue_id": 9, "similar_issue_url": "https://github.com/a/b/issues/9",
            "similar_title": "Parser crashes on an empty file", "similar_day": date(2015, 1, 1),
            "probability": 0.1,
        },
        {
            **newer, "similar_issue_id": 7, "similar_issue_url": "https://github.com/a/b/issues/7",
            "similar_title": "Parser crashes with an empty file", "similar_day": date(2015, 1, 3),
            "probability": 0.5,
        },
    ]  # fmt: skip


def test_without_a_probable_duplicate_there_are_no_pairs(repository: RepositoryItems) -> None:
    assert len(probable_pairs(repository, 0, {7: 0.099})) == len(probable_pairs(repository, 0, {})) == 0


def test_reports_of_programs_are_in_no_pair(repository: RepositoryItems) -> None:
    assert len(probable_pairs(repository, 0, {2: 0.9})) == 0


def test_the_pairs_of_an_issue_are_found_with_its_lists(
    segments: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.index.duplicate_pairs.PAIR_PROBABILITY", 0.0)
    issues = pa.Table.from_pylist(ISSUES, schema=SEGMENTS.schema).append_column("body", pa.array(BODIES))
    lists = find_lists(segments, issues, np.array([[1, 0]] * 4, np.float16), 0, 1, Index())
    pairs = [
        (row["issue_id"], row["similar_issue_id"])
        for row in pair_rows(issues, segments, lists.pairs).to_pylist()
    ]
    assert pairs == [(7, 9), (4, 9), (4, 7)]  # also those that the lists of one issue have no room for
    of_lists = lists.listed.probabilities[lists.queries == 3]
    assert of_lists[0] == max(lists.pairs.probabilities[lists.pairs.queries == 3])


def test_a_cluster_needs_no_pair_that_is_not_stored() -> None:
    minimum = next(
        each.ge for each in Similar.model_fields["cluster_probability"].metadata if hasattr(each, "ge")
    )
    assert minimum / 2 >= PAIR_PROBABILITY
