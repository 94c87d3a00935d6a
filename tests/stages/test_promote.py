"""promote: a model's figures and the champion in; the new champion, or the reason against it, out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.evaluation.model_figures import EVALUATION
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.releases.withheld_titles import TitleGate, store_gate
from pipeline.settings import Settings
from pipeline.stages import promote
from tests.stages.literal_models import FakeRegistry, add_model

RETRIEVAL = {"issues": 150, "recall_at_10": 0.48, "champion_recall_at_10": 0.5}
FIGURES = {
    "issues": 160,
    "rougeL": 11.5,
    "lead_rougeL": 5.0,
    "champion": "older",
    "champion_rougeL": 12.0,
    "retrieval": RETRIEVAL,
}
"""Of a model that is as much below the champion as the settings allow."""
LOW_ROUGE = (
    "ROUGE-L on 160 held-out issues is 11.40, the champion's is 12.00, and a drop of at most 0.5 is allowed "
    "(model.promotion_margin)"
)
LOW_RECALL = (
    "recall@10 among 150 held-out issues is 0.470, the champion's is 0.500, and a drop of at most 0.02 is "
    "allowed (model.promotion_retrieval_margin)"
)
WORSE = {"rougeL": 11.4, "retrieval": {**RETRIEVAL, "recall_at_10": 0.47}}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> FakeRegistry:
    """A registry whose champion is the model `older`."""
    registry = FakeRegistry("older")
    monkeypatch.setattr(promote, "open_tracking", lambda settings, lake: registry)
    return registry


def promote_model(folder: Path, figures: dict[str, Any] | None, force_because: str = "") -> dict[str, Any]:
    """Promotes the model `m`, whose evaluation has these figures."""
    lake = Lake(str(folder))
    add_model(lake)
    model = Pinned(lake, "models", "m")
    if figures is not None:
        model.notes[EVALUATION] = figures
    return promote.run(lake, Settings(), model, force_because=force_because)


def test_a_model_that_is_within_the_margins_becomes_champion(registry: FakeRegistry, tmp_path: Path) -> None:
    assert promote_model(tmp_path, FIGURES) == {
        "model": "m",
        "version": "4",
        "moved": True,
        "run": "run of m",
    }
    assert registry.models == ["m", "older"]


def test_the_first_model_becomes_champion(registry: FakeRegistry, tmp_path: Path) -> None:
    registry.models = []
    assert promote_model(tmp_path, {"champion": "", "rougeL": 6.0, "lead_rougeL": 5.0, "issues": 160})[
        "moved"
    ]
    assert registry.models == ["m"]


def test_the_champion_stays_champion(registry: FakeRegistry, tmp_path: Path) -> None:
    registry.models = ["m", "older"]
    assert promote_model(tmp_path, FIGURES) == {"model": "m", "version": "3", "moved": False}
    assert registry.models == ["m", "older"]


@pytest.mark.parametrize(
    ("figures", "reasons"),
    [
        ({"rougeL": 11.4}, LOW_ROUGE),
        ({"retrieval": WORSE["retrieval"]}, LOW_RECALL),
        (WORSE, f"{LOW_ROUGE}; {LOW_RECALL}"),
    ],
    ids=["ROUGE-L", "recall", "both"],
)
def test_a_worse_model_is_refused_with_each_reason(
    registry: FakeRegistry, tmp_path: Path, figures: dict[str, Any], reasons: str
) -> None:
    with pytest.raises(promote.WorseError) as raised:
        promote_model(tmp_path, {**FIGURES, **figures})
    assert str(raised.value).splitlines() == [
        f"m is worse than the champion older: {reasons}.",
        'To promote the model anyway: titler promote m --force --because "..."',
    ]
    assert registry.models == ["older"]


SHOWN, WITHHELD = TitleGate(), TitleGate("ROUGE-L 2.98, first words 15.8")


@pytest.mark.parametrize(
    ("champions_rouge", "decision", "is_refused"),
    [
        (17.0, None, True),  # an earlier version promoted the champion, whose titles beat the first words
        (16.7, None, False),
        (17.0, SHOWN, True),
        (16.7, SHOWN, True),
        (17.0, WITHHELD, False),
    ],
)
def test_a_model_whose_titles_would_be_withheld_does_not_replace_a_champion_whose_titles_are_good_enough(
    registry: FakeRegistry,
    tmp_path: Path,
    champions_rouge: float,
    decision: TitleGate | None,
    is_refused: bool,
) -> None:
    if decision is not None:
        store_gate(Lake(str(tmp_path)), "older", decision)
    figures = {**FIGURES, "rougeL": 16.6, "lead_rougeL": 15.8, "champion_rougeL": champions_rouge}
    if not is_refused:
        assert promote_model(tmp_path, figures)["moved"]
        return
    with pytest.raises(promote.WorseError) as raised:
        promote_model(tmp_path, figures)
    assert raised.value.message == (
        "m is worse than the champion older: its titles would be withheld (ROUGE-L 16.6, first words 15.8, "
        "and at least 1 more is expected), but the champion's titles are shown."
    )
    assert registry.models == ["older"]


def test_a_worse_model_is_promoted_by_force_for_a_reason(registry: FakeRegistry, tmp_path: Path) -> None:
    assert promote_model(tmp_path, {**FIGURES, **WORSE}, force_because="a test")["moved"]
    assert (registry.models, registry.reasons) == (["m", "older"], ["a test"])


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        (None, "m was not evaluated."),
        ({**FIGURES, "champion": "oldest"}, "m was compared with oldest, but the champion is now older."),
        ({**FIGURES, "champion": ""}, "m was compared with no champion, but the champion is now older."),
        (
            {name: value for name, value in FIGURES.items() if name != "retrieval"},
            "m was evaluated by an older version of Titler, which did not measure retrieval.",
        ),
    ],
    ids=["no figures", "another champion", "no champion", "no retrieval"],
)
def test_a_model_that_was_not_compared_with_the_champion_must_be_evaluated_first(
    registry: FakeRegistry, tmp_path: Path, figures: dict[str, Any] | None, message: str
) -> None:
    with pytest.raises(UsageError) as raised:
        promote_model(tmp_path, figures)
    assert str(raised.value).splitlines() == [message, "Run first: titler evaluate m"]
    assert registry.models == ["older"]
