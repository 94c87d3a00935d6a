"""The benchmark of titles."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.predictor.predictor import Prediction, Predictor
from pipeline.settings import Text
from tests.benchmarks import learning
from tests.benchmarks.learning import Learning, learn
from tests.benchmarks.tfidf import NearestTitle
from tests.benchmarks.titles import by_models, first_words, scores, table

BODIES = [
    "the window closes at once",
    "the printer prints nothing at all",
    "a window opens and closes",
    "nothing prints",
]
TITLES = ["window closes", "no print", "Flickering", "silence"]


def test_the_title_of_the_most_similar_body_or_none_if_no_word_is_shared():
    nearest = NearestTitle(BODIES, TITLES)
    assert nearest(["my printer prints nothing", "closes the window at once", "unheard of"]) == [
        "silence",
        "window closes",
        "",
    ]


def test_the_first_words_are_cleaned():
    assert first_words(["See https://example.com/z, PLEASE! " + "x " * 20, ""]) == [
        "see url please" + " x" * 12,
        "",
    ]


def test_a_table_has_one_row_per_titler_and_ignores_case():
    issues = pa.table({"title": ["Window closes", "No print"], "body": BODIES[:2]})
    rows = scores(
        {"right": lambda bodies: ["window closes", "no print"], "silent": lambda bodies: ["", "no print"]},
        issues,
    )
    assert table(rows).splitlines() == [
        "             R-1       R-2       R-L      BLEU     exact  distinct abstained     words",
        "right     100.00    100.00    100.00      0.00    100.00    100.00      0.00      2.00",
        "silent     50.00     50.00     50.00      0.00     50.00    100.00     50.00      1.00",
    ]


def test_the_benchmark_uses_the_sizes_of_the_settings():
    text = Text()
    assert (text.body_words, text.title_words, text.body_length, text.title_length) == (
        learning.BODY_WORDS,
        learning.TITLE_WORDS,
        learning.BODY_LENGTH,
        learning.TITLE_LENGTH,
    )
    assert (text.subwords, text.body_units, text.title_units) == (
        learning.SUBWORDS,
        learning.BODY_UNITS,
        learning.TITLE_UNITS,
    )


def test_a_trained_network_is_saved_and_loaded(tmp_path):
    data = pa.table({"title": TITLES * 8, "body": BODIES * 8, "repo": ["a/b"] * 32})
    epochs: list[int] = []
    model = learn(
        data, data, Learning(epochs=2, batch_size=16), "small", lambda figures: epochs.append(figures.epoch)
    )
    assert (epochs, model.name, model.vocabularies.title.length) == ([1, 2], "small", 12)
    model.save(tmp_path / "m")
    issues = data.slice(0, len(TITLES))
    loaded = Predictor.load(tmp_path / "m")
    assert by_models({"small": loaded}, issues) == by_models({"small": model}, issues)


def test_the_confidence_is_reported_by_bins():
    class Fixed:
        def predict(self, bodies: Sequence[str | None]) -> list[Prediction]:
            predictions = [("window closes", 0.95), ("no print", 0.12), ("", 0.0)]
            return [
                Prediction(title, confidence, title == "", np.zeros(1, np.float32))
                for title, confidence in predictions
            ]

    issues = pa.table({"title": ["Window closes", "It is slow", "Hm"], "body": BODIES[:3]})
    scores_of, lines = by_models({"sure": Fixed()}, issues)
    assert (round(scores_of["sure"].rougeL, 2), lines) == (
        33.33,
        [
            "sure: ROUGE-L over 0.3: 50% of its titles, 0% of the fifth with the lowest confidence, "
            "100% of the fifth with the highest; AUC 1.00",
            "  confidence 0.1 to 0.2:   0% of 1",
            "  confidence 0.9 to 1.0: 100% of 1",
        ],
    )


def test_both_tables_are_printed():
    if "TITLER_TEST_DATA" not in os.environ:
        pytest.skip("TITLER_TEST_DATA is not set: no issues to title")
    root = Path(__file__).parents[2]
    command = [
        sys.executable,
        "tests/benchmarks/titles.py",
        "--train",
        "500",
        "--scored",
        "20",
        "--epochs",
        "0",
    ]
    process = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    blocks = [block.splitlines() for block in process.stdout.split("\n\n")]
    assert [block[0] for block in blocks] == [
        "Floors use 500 of 239,381 issues",
        "test_repositories: 20 of 6,287 issues, 15 repositories",
        "test_time: 20 of 6,092 issues, 14 repositories",
    ]
    assert [[row.split()[0] for row in block[2:]] for block in blocks[1:]] == [["first", "nearest"]] * 2
