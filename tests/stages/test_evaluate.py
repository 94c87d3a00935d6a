"""evaluate: which held-out issues retrieval is measured on, and the figures of a user's file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipeline.evaluation.title_calibration import Curve
from pipeline.lake.batches import Lake
from pipeline.settings import Settings
from pipeline.stages.evaluate import RETRIEVAL_ISSUES, evaluate_file, sample_rows
from tests.predictor.small_predictors import word_predictor
from tests.stages.literal_models import add_predictor

HALF = Curve("platt", slope=0.0, intercept=0.0)
"""Gives every title the probability one half."""


def test_retrieval_is_measured_on_all_issues_if_there_are_few() -> None:
    assert sample_rows(5).tolist() == [0, 1, 2, 3, 4]


def test_retrieval_is_measured_on_the_same_sample_if_there_are_many() -> None:
    rows = sample_rows(3 * RETRIEVAL_ISSUES).tolist()
    assert (len(rows), rows) == (RETRIEVAL_ISSUES, sorted(set(rows)))
    assert sample_rows(3 * RETRIEVAL_ISSUES).tolist() == rows


@pytest.mark.parametrize(
    ("abstain_below", "abstain_probability", "share"),
    [
        (0.0, 0.0, 0.25),  # of the four bodies, one has no known word
        (0.0, 0.4, 0.25),
        (0.0, 0.6, 1.0),  # every title is too unlikely
        (1.0, 0.0, 1.0),  # every title has too low a confidence
        (1.0, 0.4, 1.0),
    ],
)
def test_the_share_without_a_title_counts_every_reason_for_abstaining(
    tmp_path: Path, abstain_below: float, abstain_probability: float, share: float
) -> None:
    (tmp_path / "issues.csv").write_text(
        "title,body\na crash,the window crash\nan error,error number\na theme,close theme\nzebra,zebra\n"
    )
    predictor = dataclasses.replace(
        word_predictor(),
        abstain_below=abstain_below,
        abstain_probability=abstain_probability,
        calibration=HALF,
    )
    lake = Lake(str(tmp_path / "lake"))
    add_predictor(lake, "m", predictor)
    figures = evaluate_file(lake, Settings(), tmp_path / "issues.csv", "m")
    assert figures["abstained_unsure"] == share
