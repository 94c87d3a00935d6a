"""A drawn sample of damages. `python tests/faults/damage.py LAKE` draws as many as you like."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.settings import Settings
from tests.faults.conftest import environment_of
from tests.faults.damage import ask, classify, draw, prepare_lake, readers

COUNT, SEED = 4, 3
SLOW = ("explain", "report")
"""Readers that the sample leaves out, to save time."""
UNCHECKED = ("query titles", "query similar")
"""DuckDB does not check Parquet files, so a query may show what a flipped bit has changed."""


def test_no_reader_answers_wrongly_or_crashes(
    two_releases: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment_of(two_releases, tmp_path / "lake", tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    base, lake, question = prepare_lake(Path(two_releases.lake.root), tmp_path)
    names = [name for name in readers(lake, question, lake) if name not in (*SLOW, *UNCHECKED)]
    before = ask(base, lake, question, names, None, SEED)
    assert before is not None
    assert {name: answer.code for name, answer in before.items()} == dict.fromkeys(names, 0)
    wrong = []
    for damage in draw(base, COUNT, SEED, r"\.(parquet|npy|keras)$|current\.json$|members/"):
        answers = ask(base, lake, question, names, damage, SEED) or {}
        for name, answer in answers.items():
            outcome = classify(before[name], answer, damage.path)
            if outcome in ("WRONG", "FAULT", "CRASH"):
                wrong.append((damage, name, outcome, answer.errors))
    assert wrong == []
