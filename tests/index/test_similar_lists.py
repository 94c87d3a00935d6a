"""Which issues are compared with a query: the nearest by vector, and the nearest by words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.index import similar_lists
from pipeline.index.ordering import DEFAULT_ORDERING
from pipeline.index.queries import Queries
from pipeline.index.repository_items import RepositoryItems, find_repositories, read_repository
from pipeline.index.similar_lists import QueryBatch, lists_in_repository
from pipeline.text.issue_terms import issue_terms
from tests.index.literal_segments import row, segment

TITLES = ["Menu is empty", "Font is small", "Window flickers", "Parser crashes", "Parser panics"]
VECTORS: list[list[float]] = [[1, 0], [1, 0.1], [1, 0.5], [-1, 0], [-1, 0.1]]


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryItems:
    rows = [{**row(number, hour=number), "title": title} for number, title in enumerate(TITLES, start=1)]
    segments = [segment(tmp_path, rows, VECTORS)]
    return read_repository(segments, find_repositories(segments, ["a/b"])["a/b"])


def query_batch(title: str, issue_id: int = 0) -> QueryBatch:
    """A text whose vector is [1, 0]."""
    vector = np.array([[1, 0]], np.float32)
    return QueryBatch(Queries(vector), issue_terms([title], [None]), np.array([0]), np.array([issue_id]))


def candidates(repository: RepositoryItems, asked: QueryBatch) -> set[int]:
    ((listed, probabilities),) = lists_in_repository(repository, asked, 1, DEFAULT_ORDERING)
    assert len(listed) == 1
    return set(probabilities)


def test_the_nearest_by_vector_and_the_nearest_by_words_are_compared(
    repository: RepositoryItems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar_lists, "CANDIDATES", 0)
    assert candidates(repository, query_batch("The parser crashes")) == {1, 2, 4, 5}
    assert candidates(repository, query_batch("Nothing in common")) == {1, 2}


def test_the_query_is_not_compared_with_itself(
    repository: RepositoryItems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar_lists, "CANDIDATES", 0)
    assert candidates(repository, query_batch("Menu is empty", issue_id=1)) == {2}


def test_younger_issues_are_compared_too_unless_only_older_ones_are_wanted(
    repository: RepositoryItems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar_lists, "CANDIDATES", 0)
    assert candidates(repository, query_batch("The parser crashes", issue_id=1)) == {2, 4, 5}


def test_usually_a_hundred_issues_are_compared(repository: RepositoryItems) -> None:
    assert candidates(repository, query_batch("Menu is empty")) == {1, 2, 3, 4, 5}
    assert similar_lists.CANDIDATES == 100
