"""The encoder that measures how close in meaning two titles are."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.semantic import SentenceEncoder, Similarity, Vectors

SCRIPT = Path(__file__).with_name("install_semantic.sh")


def two_directions(texts: Sequence[str]) -> Vectors:
    return np.array([[1, 0] if "slow" in text else [0.6, 0.8] for text in texts], np.float32)


def test_the_mean_cosine_ignores_case_and_a_withheld_title_counts_as_0():
    similarity = Similarity(two_directions, ["Slow", "Crash"])
    assert [round(similarity(titles), 2) for titles in (["slow", "slow"], ["SLOW", ""])] == [80.0, 50.0]


def test_a_folder_without_the_encoder_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"lacks all-minilm-l6-v2\.onnx, .*install_semantic\.sh"):
        SentenceEncoder.load(tmp_path)


def test_a_title_in_other_words_is_closer_than_another_title():
    folder = subprocess.run([SCRIPT, "--find"], capture_output=True, text=True, check=False)
    if folder.returncode != 0:
        pytest.skip("needs tests/benchmarks/install_semantic.sh")
    encoder = SentenceEncoder.load(Path(folder.stdout.strip()))
    vectors = encoder(["window closes at once", "the window shuts immediately", "printer prints nothing"])
    assert [round(float(vectors[0] @ other), 2) for other in vectors] == [1.0, 0.73, 0.13]
