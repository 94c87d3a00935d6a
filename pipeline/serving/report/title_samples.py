"""Chooses predicted titles that a report shows beside the authors' titles."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.evaluation.title_scores import rouge_l
from pipeline.serving.report.values import Issue, SampleGroup, TitleSample

SAMPLES = 5
"""Maximum number of titles per group."""
SCORED = 300
"""Maximum number of given titles that are scored, drawn at random. The best and the typical titles are chosen
among them."""


def choose_samples(
    titles: Sequence[Mapping[str, Any]], seed: str
) -> dict[str, list[tuple[Mapping[str, Any], float | None]]]:
    """Returns the chosen rows of the table title_predictions_v1 with their ROUGE-L (0 to 100), per group.

    The groups are `best`, `typical` (nearest to the median, without the best), `abstained` and `random`. A
    row without a title has no ROUGE-L. The same rows and the same `seed` give the same choice, whatever the
    order of the rows.
    """
    generator = random.Random(seed)
    rows = sorted(titles, key=lambda row: row["issue_id"])
    given = [row for row in rows if not row["abstained"]]
    scored = given if len(given) <= SCORED else generator.sample(given, SCORED)
    rouge = rouge_l([row["predicted_title"] for row in scored], [row["title"] for row in scored])
    best: list[int] = np.argsort(-rouge, kind="stable")[:SAMPLES].tolist()
    others = np.setdiff1d(np.arange(len(rouge)), best)
    distances = np.abs(rouge[others] - np.median(rouge)) if len(others) else np.zeros(0)
    typical = others[np.argsort(distances, kind="stable")[:SAMPLES]].tolist()
    abstained = [row for row in rows if row["abstained"]]
    drawn = _drawn(generator, rows)
    drawn_rouge = rouge_l([row["predicted_title"] for row in drawn], [row["title"] for row in drawn])
    return {
        "best": [(scored[number], float(rouge[number])) for number in best],
        "typical": [(scored[number], float(rouge[number])) for number in typical],
        "abstained": [(row, None) for row in _drawn(generator, abstained)],
        "random": [
            (row, None if row["abstained"] else float(score))
            for row, score in zip(drawn, drawn_rouge, strict=True)
        ],
    }


EXPLANATIONS = {
    "best": "The titles that are most like the author's, of up to 300 that were scored.",
    "typical": "The titles whose ROUGE-L is nearest to the median of these, without the best.",
    "abstained": "Issues for which the model gave no title, because it was not sure enough. Drawn at random.",
    "random": "Drawn at random from all issues of the day, with or without a title.",
}


def sample_groups(
    titles: Sequence[Mapping[str, Any]], bodies: Mapping[int, str | None], seed: str
) -> tuple[SampleGroup, ...]:
    """Returns the groups of samples that are not empty. `titles` are rows of the table title_predictions_v1,
    and `bodies` the bodies of their issues, by issue id."""
    return tuple(
        SampleGroup(
            name.capitalize(),
            EXPLANATIONS[name],
            tuple(
                TitleSample(
                    Issue(row["issue_url"], row["repo"], row["title"]),
                    bodies.get(row["issue_id"]) or "",
                    row["predicted_title"],
                    row["confidence"],
                    row.get("probability"),
                    rouge,
                )
                for row, rouge in chosen
            ),
        )
        for name, chosen in choose_samples(titles, seed).items()
        if chosen
    )


def _drawn(generator: random.Random, rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return generator.sample(rows, min(SAMPLES, len(rows)))
