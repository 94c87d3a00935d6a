"""The terms of a segment's issues: stored as files, and taken by position."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import LakeError
from pipeline.index.segment_terms import take_terms
from pipeline.text.issue_terms import IssueTerms, issue_terms
from tests.index.literal_segments import row, segment

TITLES = ["parser crashes", "", "menu is empty"]
BODIES = [None, "the parser reads an empty file", "the parser reads an empty file"]


def words(terms: IssueTerms) -> list[list[int]]:
    """The terms of each issue."""
    return [terms.slice(issue, issue + 1).terms.tolist() for issue in range(len(terms))]


def test_the_terms_of_some_issues_are_those_of_these_issues_alone() -> None:
    terms = issue_terms(TITLES, BODIES)
    taken = take_terms(terms, np.array([2, 0, 2]))
    alone = issue_terms([TITLES[2], TITLES[0], TITLES[2]], [BODIES[2], BODIES[0], BODIES[2]])
    assert words(taken) == words(alone)
    for name in ("offsets", "counts", "kinds", "body_hashes", "automated"):
        assert getattr(taken, name).tolist() == getattr(alone, name).tolist()


def test_no_issues_have_no_terms() -> None:
    assert len(take_terms(issue_terms(TITLES, BODIES), np.array([], dtype=np.int64))) == 0


def test_a_segment_has_the_terms_of_its_issues_in_its_own_order(tmp_path: Path) -> None:
    rows = [
        {**row(number, repo), "title": title}
        for number, repo, title in zip((1, 2, 3), "bab", TITLES, strict=True)
    ]
    stored = segment(tmp_path, rows, [[1, 0]] * 3, bodies=BODIES)
    assert stored.issue_ids.tolist() == [2, 1, 3]
    assert words(stored.terms) == words(take_terms(issue_terms(TITLES, BODIES), np.array([1, 0, 2])))


def test_a_file_of_terms_that_is_damaged_is_named(tmp_path: Path) -> None:
    stored = segment(tmp_path, [row(1)], [[1, 0]])
    np.save(tmp_path / "terms.npy", np.zeros(7, np.uint8))
    with pytest.raises(LakeError, match=r"terms\.npy is damaged: it has the shape \(7,\)"):
        _ = stored.terms
