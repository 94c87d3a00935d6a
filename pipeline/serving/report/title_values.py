"""Collects what a report shows about the titles of a release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.contracts import ISSUES, TITLE_PREDICTIONS
from pipeline.lake.pinned import Pinned
from pipeline.releases.withheld_titles import WITHHELD
from pipeline.serving.report.release_rows import ReleaseRows
from pipeline.serving.report.title_samples import sample_groups
from pipeline.serving.report.values import CurvePoint, SampleGroup, Score, TitleQuality

FIRST_WORDS = "the body's first words"
SCORES = (
    ("rougeL", "ROUGE-L", "Words in common with the author's title, in the same order.", 100),
    ("rouge1", "ROUGE-1", "Words in common.", 100),
    ("rouge2", "ROUGE-2", "Pairs of words in common.", 100),
    ("bleu", "BLEU", "Sequences of up to four words in common.", 100),
    ("exact_match", "Exact match", "Share of titles that equal the author's.", 1),
)
RETRIEVAL = (
    ("recall_at_1", "Recall@1", "Share of titles whose own body is the nearest of all bodies.", 1),
    ("recall_at_10", "Recall@10", "Share of titles whose own body is among the 10 nearest.", 1),
)


def title_quality(
    release: Pinned, rows: ReleaseRows, record: Mapping[str, Any], evaluation: Mapping[str, Any] | None
) -> TitleQuality | None:
    """Returns how good the titles of a release are: the scores of its model, and samples of the last day that
    has titles. Reads the titles and the issues of this day. Returns None if the release has neither scores
    nor samples."""
    calibration = json.loads(record.get("calibration") or "{}")
    batches = [batch for batch in release.members[TITLE_PREDICTIONS.name] if batch.rows]
    if not batches and not evaluation:
        return None
    groups: tuple[SampleGroup, ...] = ()
    day = None
    if batches:
        titles, day = batches[-1], batches[-1].day
        issues = rows.read(next(batch for batch in release.members[ISSUES.name] if batch.day == day), ISSUES)
        groups = sample_groups(rows.read(titles, TITLE_PREDICTIONS), issues, release.name)
    return TitleQuality(
        evaluation["issues"] if evaluation else None,
        scores_of(evaluation or {}),
        record.get(WITHHELD),
        tuple(
            CurvePoint(point["probability"], point["alike"], point["titles"])
            for point in calibration.get("curve", ())
        ),
        calibration.get("calibration_error"),
        day,
        groups,
    )


def scores_of(evaluation: Mapping[str, Any]) -> tuple[Score, ...]:
    """Returns the scores of a model, each with its floor (the score of a method without a model).
    `evaluation` has the figures of the model's evaluation."""
    retrieval = evaluation.get("retrieval", {})
    of_titles = [
        Score(title, explanation, evaluation[name], evaluation.get(f"lead_{name}"), FIRST_WORDS, best)
        for name, title, explanation, best in SCORES
        if name in evaluation
    ]
    of_retrieval = [
        Score(title, explanation, retrieval[name], retrieval.get(f"floor_{name}"), "TF-IDF", best)
        for name, title, explanation, best in RETRIEVAL
        if name in retrieval
    ]
    return (*of_titles, *of_retrieval)
