"""evaluate: which held-out issues retrieval is measured on."""

from __future__ import annotations

from pipeline.stages.evaluate import RETRIEVAL_ISSUES, sample_rows


def test_retrieval_is_measured_on_all_issues_if_there_are_few() -> None:
    assert sample_rows(5).tolist() == [0, 1, 2, 3, 4]


def test_retrieval_is_measured_on_the_same_sample_if_there_are_many() -> None:
    rows = sample_rows(3 * RETRIEVAL_ISSUES).tolist()
    assert (len(rows), rows) == (RETRIEVAL_ISSUES, sorted(set(rows)))
    assert sample_rows(3 * RETRIEVAL_ISSUES).tolist() == rows
