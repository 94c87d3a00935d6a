"""Chooses predicted titles that a report shows beside the authors' titles."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.evaluation.title_scores import rouge_l
from pipeline.serving.report.values import Issue, SampleGroup, TitleSample

SAMPLES = 5
"""Maximum number of titles per group."""
SCORED = 300
"""Maximum number of given titles that are scored, drawn at random. The best and the typical titles are chosen
among them."""


Choice = list[tuple[dict[str, Any], float | None]]
"""Rows of the table title_predictions_v1, each with its ROUGE-L (0 to 100), or None without a title."""


def choose_samples(titles: pa.Table, seed: str) -> dict[str, Choice]:
    """Chooses up to SAMPLES rows of `titles` for each of four groups. `titles` are the rows of one day in the
    table title_predictions_v1.

    To choose the groups `best` and `typical`, up to SCORED rows with a title are drawn at random and scored.
    `best` has the rows with the highest ROUGE-L. `typical` has those of the other rows whose ROUGE-L is
    nearest to the median of all scored rows. The groups `abstained` (rows without a title) and `random` (any
    rows) are drawn at random. The same rows and the same `seed` give the same choice, whatever the order of
    the rows.
    """
    generator = random.Random(seed)
    in_order = titles.take(pc.sort_indices(titles, sort_keys=[("issue_id", "ascending")]))
    abstained = in_order.column("abstained").to_numpy()
    with_title, without_title = np.flatnonzero(~abstained).tolist(), np.flatnonzero(abstained).tolist()
    scored = _scored(in_order, _drawn(generator, with_title, SCORED))
    rouge = np.array([score for _, score in scored], np.float64)
    best = np.argsort(-rouge, kind="stable")[:SAMPLES]
    remaining = np.setdiff1d(np.arange(len(rouge)), best)
    distances = np.abs(rouge[remaining] - np.median(rouge)) if len(remaining) else np.zeros(0)
    typical = remaining[np.argsort(distances, kind="stable")[:SAMPLES]]
    return {
        "best": [scored[number] for number in best.tolist()],
        "typical": [scored[number] for number in typical.tolist()],
        "abstained": _scored(in_order, _drawn(generator, without_title, SAMPLES)),
        "random": _scored(in_order, _drawn(generator, range(len(in_order)), SAMPLES)),
    }


def _drawn(generator: random.Random, rows: Sequence[int], count: int) -> list[int]:
    return generator.sample(rows, min(count, len(rows)))


def _scored(titles: pa.Table, numbers: list[int]) -> Choice:
    """Returns the rows at the positions `numbers`, each with its ROUGE-L, which is None
    if the row has no title."""
    rows = titles.take(pa.array(numbers, pa.int64())).to_pylist()
    rouge = rouge_l([row["predicted_title"] for row in rows], [row["title"] for row in rows]).tolist()
    return [(row, None if row["abstained"] else score) for row, score in zip(rows, rouge, strict=True)]


EXPLANATIONS = {
    "best": "The titles that are most like the author's, of up to 300 that were scored.",
    "typical": "The titles whose ROUGE-L is nearest to the median of these, without the best.",
    "abstained": "Issues for which the model gave no title, because it was not sure enough. Drawn at random.",
    "random": "Drawn at random from all issues of the day, with or without a title.",
}


def sample_groups(titles: pa.Table, issues: pa.Table, seed: str) -> tuple[SampleGroup, ...]:
    """Returns the groups of samples that are not empty. `titles` are rows of the table title_predictions_v1.
    `issues` are the rows of the same issues in the table issues_v1."""
    choice = choose_samples(titles, seed)
    chosen_ids = pa.array({row["issue_id"] for rows in choice.values() for row, _ in rows}, pa.int64())
    chosen = issues.filter(pc.is_in(issues.column("issue_id"), chosen_ids)).to_pylist()
    bodies = {row["issue_id"]: row["body"] or "" for row in chosen}
    return tuple(
        SampleGroup(
            name.capitalize(),
            EXPLANATIONS[name],
            tuple(
                TitleSample(
                    Issue(row["issue_url"], row["repo"], row["title"]),
                    bodies.get(row["issue_id"], ""),
                    row["predicted_title"],
                    row["confidence"],
                    row.get("probability"),
                    rouge,
                )
                for row, rouge in rows
            ),
        )
        for name, rows in choice.items()
        if rows
    )
