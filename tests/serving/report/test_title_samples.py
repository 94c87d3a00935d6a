"""Which titles a report shows."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa

from pipeline.serving.report.title_samples import choose_samples, sample_groups


def row(number: int, title: str, predicted: str) -> dict[str, Any]:
    return {
        "issue_id": number,
        "issue_url": f"https://github.com/a/b/issues/{number}",
        "repo": "a/b",
        "title": title,
        "predicted_title": predicted,
        "abstained": not predicted,
        "confidence": 0.5,
    }


ROWS = [
    row(1, "crash when opening settings", "crash when opening settings"),
    row(2, "crash when opening settings", "crash opening files"),
    row(3, "crash when opening settings", "add a button"),
    row(4, "no title for this", ""),
]


def test_the_best_titles_are_those_most_like_the_authors() -> None:
    chosen = choose_samples(pa.Table.from_pylist(ROWS), "r")["best"]
    assert [(each["issue_id"], rouge is not None and round(rouge)) for each, rouge in chosen] == [
        (1, 100),
        (2, 57),
        (3, 0),
    ]


def test_the_typical_titles_are_nearest_to_the_median_and_not_among_the_best() -> None:
    predicted = ["crash when opening settings"] * 5 + ["a button", "crash opening files"]
    rows = [row(number, "crash when opening settings", title) for number, title in enumerate(predicted)]
    assert [each["issue_id"] for each, _ in choose_samples(pa.Table.from_pylist(rows), "r")["typical"]] == [
        6,
        5,
    ]


def test_an_abstained_title_has_no_score() -> None:
    assert choose_samples(pa.Table.from_pylist(ROWS), "r")["abstained"] == [(ROWS[3], None)]


def test_the_choice_depends_on_the_seed_but_not_on_the_order_of_the_rows() -> None:
    rows = [row(number, f"title {number}", "title") for number in range(400)]
    many = pa.Table.from_pylist(rows)
    shuffled = pa.Table.from_pylist(random.Random(1).sample(rows, len(rows)))
    assert choose_samples(many, "r") == choose_samples(shuffled, "r")
    assert choose_samples(many, "r")["random"] != choose_samples(many, "s")["random"]


def test_a_day_on_which_the_model_gave_no_title_has_two_groups() -> None:
    issues = pa.table({"issue_id": [4], "body": pa.array([None], pa.string())})
    groups = sample_groups(pa.Table.from_pylist(ROWS[3:]), issues, "r")
    assert [(group.name, [sample.rouge for sample in group.samples]) for group in groups] == [
        ("Abstained", [None]),
        ("Random", [None]),
    ]
