"""Which titles are withheld, and what a release records about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.lake.batches import Lake
from pipeline.provenance import user_name
from pipeline.releases.withheld_titles import (
    TitleGate,
    floor_shortfall,
    store_gate,
    stored_gate,
    withheld_titles,
)

POOR = "ROUGE-L 2.98, first words 15.6"


@pytest.mark.parametrize(
    ("rouge", "margin", "shortfall"),
    [
        (2.9812, 1.0, POOR),
        (15.6, 0.0, "ROUGE-L 15.6, first words 15.6"),  # equal is not better
        (16.5, 1.0, "ROUGE-L 16.5, first words 15.6, and at least 1 more is expected"),
        (16.5, 0.5, ""),
        (16.75, 1.0, ""),
    ],
)
def test_titles_must_beat_the_first_words_by_the_margin(rouge: float, margin: float, shortfall: str) -> None:
    assert floor_shortfall({"rougeL": rouge, "lead_rougeL": 15.6}, margin) == shortfall


def test_an_evaluation_that_did_not_measure_the_floor_withholds_nothing() -> None:
    assert floor_shortfall({"rougeL": 2.98}, 1.0) == ""


def test_titles_that_pass_leave_no_fact_in_a_release() -> None:
    assert TitleGate().facts == {}
    assert TitleGate("", {"because": "they were poor", "by": "someone", "at": "2015-01-04"}).facts == {}


def test_poor_titles_are_withheld_until_they_are_accepted_with_a_reason() -> None:
    gate = TitleGate(POOR)
    assert (gate.withheld, gate.facts) == (POOR, {"titles_withheld": POOR})
    accepted = gate.accept("a test")
    assert accepted.withheld == ""
    (fact,) = accepted.facts.values()
    assert list(accepted.facts) == ["titles_accepted"]
    assert (fact["titles"], fact["because"], fact["by"]) == (POOR, "a test", user_name())


def test_an_acceptance_stays_the_same_if_it_is_repeated() -> None:
    accepted = TitleGate(POOR, {"because": "a test", "by": "someone", "at": "2015-01-04"})
    assert accepted.accept("a test") is accepted
    assert accepted.accept("another reason") != accepted
    assert TitleGate().accept("needless") == TitleGate()


def test_the_decision_is_stored_with_the_model(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert (stored_gate(lake, "m"), withheld_titles(lake, "m")) == (None, "")
    gate = TitleGate(POOR)
    store_gate(lake, "m", gate)
    assert (stored_gate(lake, "m"), withheld_titles(lake, "m")) == (gate, POOR)
    store_gate(lake, "m", gate.accept("a test"))
    assert withheld_titles(lake, "m") == ""
