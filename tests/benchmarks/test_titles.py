"""The benchmark of titles."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.predictor.predictor import Prediction
from pipeline.settings import Text
from tests.benchmarks import learning
from tests.benchmarks.semantic import Vectors
from tests.benchmarks.tfidf import NearestTitle
from tests.benchmarks.titles import (
    confidence,
    confidence_lines,
    first_words,
    listing,
    rows,
    side_by_side,
    table,
)

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


def test_a_table_has_one_row_per_titler_and_one_for_the_authors_and_ignores_case():
    issues = pa.table({"title": ["Window closes", "No print"], "body": BODIES[:2]})
    figures = rows({"right": ["window closes", "no print"], "silent": ["", "no print"]}, issues)
    assert [line[:91] for line in table(figures).splitlines()] == [
        "                  R-1       R-2       R-L      BLEU     exact  distinct abstained     words",
        "right          100.00    100.00    100.00      0.00    100.00    100.00      0.00      2.00",
        "silent          50.00     50.00     50.00      0.00     50.00    100.00     50.00      1.00",
        "the authors    100.00    100.00    100.00      0.00    100.00    100.00      0.00      2.00",
    ]


def test_a_table_has_the_faults_that_readers_notice():
    issues = pa.table({"title": ["Slow", "Slow on Linux"], "body": ["It is slow", "It is slow\nOS: Linux"]})
    figures = rows({"bad": ["slow and slow 2", "linux"]}, issues)
    assert [line[91:].split() for line in table(figures).splitlines()] == [
        ["template", "repeated", "invented"],
        ["50.00", "50.00", "50.00"],
        ["50.00", "0.00", "0.00"],
    ]
    assert [figures["bad"].as_json[name] for name in ("template", "rougeL", "meaning")] == [0.5, 45.0, None]


def test_a_table_has_the_meaning_if_an_encoder_is_given():
    def encode(texts: Sequence[str]) -> Vectors:
        """Two directions: texts with the word slow, and others."""
        return np.array([[1, 0] if "slow" in text else [0.6, 0.8] for text in texts], np.float32)

    issues = pa.table({"title": ["Slow", "Crash"], "body": ["It is slow", "It crashes"]})
    figures = rows({"near": ["slow", "slow"], "silent": ["", "crash"]}, issues, encode)
    assert [line.split()[-1] for line in table(figures).splitlines()] == [
        "meaning",
        "80.00",
        "50.00",
        "100.00",
    ]


def test_titles_are_shown_side_by_side():
    issues = pa.table({"title": TITLES, "body": BODIES, "url": ["u0", "u1", "u2", "u3"]})
    shown = side_by_side({"copy": ["a", "b", "c", ""]}, issues, count=2, seed=0)
    assert listing(shown) == [
        "",
        "u2",
        "  the authors  Flickering",
        "  copy         c",
        "",
        "u3",
        "  the authors  silence",
        "  copy         (withheld)",
    ]
    assert len(side_by_side({}, issues, count=9, seed=0)) == 4


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


def test_the_confidence_is_reported_by_bins():
    predictions = [
        Prediction(title, confidence, title == "", np.zeros(1, np.float32))
        for title, confidence in [("window closes", 0.95), ("no print", 0.12), ("", 0.0)]
    ]
    figures = confidence(predictions, ["window closes", "it is slow", "hm"])
    assert confidence_lines("sure", figures) == [
        "sure: ROUGE-L over 0.3: 50% of its titles, 0% of the fifth with the lowest confidence, "
        "100% of the fifth with the highest; AUC 1.00",
        "  confidence 0.1 to 0.2:   0% of 1",
        "  confidence 0.9 to 1.0: 100% of 1",
    ]
    assert confidence_lines("silent", confidence(predictions[2:], ["hm"])) == []


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
    assert [[row.split()[0] for row in block[2:]] for block in blocks[1:]] == [
        ["first", "nearest", "the"]
    ] * 2
    assert process.stderr.splitlines()[0].startswith("meaning is not measured: ")
