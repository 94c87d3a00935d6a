"""A drawn sample of damages. `python tests/faults/damage.py LAKE` draws as many as you like."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.settings import Settings
from tests.faults.conftest import environment_of
from tests.faults.damage import ask, draw, outcomes_of, prepare_lake
from tests.faults.readers import QUERIES, readers

COUNT, SEED = 4, 3
SLOW = ("explain", "report", *QUERIES)
"""Readers that the sample leaves out, to save time."""


def test_no_reader_answers_wrongly_or_crashes(
    two_releases: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment_of(two_releases, tmp_path / "lake", tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    base, lake, question = prepare_lake(Path(two_releases.lake.root), tmp_path)
    names = [name for name in readers(lake, question, lake) if name not in SLOW]
    before = ask(base, lake, question, names, None, SEED)
    assert before is not None
    assert {name: answer.code for name, answer in before.items()} == dict.fromkeys(names, 0)
    wrong = []
    for damage in draw(base, COUNT, SEED, r"\.(parquet|npy|keras)$|current\.json$|members/"):
        answers = ask(base, lake, question, names, damage, SEED) or {}
        for name, outcome in outcomes_of(before, answers, damage.path).items():
            if outcome in ("WRONG", "FAULT", "CRASH"):
                wrong.append((damage, name, outcome, answers[name].errors))
    assert wrong == []
