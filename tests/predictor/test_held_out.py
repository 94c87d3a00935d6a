"""The held-out issues of a model, and the model's predictions for them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.networks.in_keras import Shape, build
from pipeline.predictor.held_out import HeldOutIssue, embed_queries, held_out_issues, predict_held_out
from pipeline.predictor.predictor import Predictor
from pipeline.text.vocabulary import Vocabularies, Vocabulary
from tests.stages.literal_issues import CRASH, NOT_TRAINABLE, VALIDATION_CRASH, SubwordLake

WORDS = ("crash", "window", "close")
BODIES = ["crash window", "nothing known", "close close"]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """A predictor that writes `crash` and `window`, equally likely, for every body with a known word."""
    body, title = (
        Vocabulary(WORDS, 4, "pre", False),
        Vocabulary(("_start_", "_end_", *WORDS), 5, "post", True),
    )
    network = build("gru", Shape(body.size, title.size, 4, 5, embedding_size=4, hidden_size=5), seed=4)
    words = network.model.get_layer("words")
    bias = np.full(title.size, -60.0, np.float32)
    bias[[4, 5]] = 0
    words.set_weights([np.zeros_like(words.get_weights()[0]), bias])
    return Predictor("m", network, Vocabularies(body, title), "titler", 0.0, 16)


def test_a_title_that_is_withheld_for_its_low_confidence_is_still_decoded(predictor: Predictor) -> None:
    predictions = predict_held_out(dataclasses.replace(predictor, abstain_below=0.6), BODIES)
    assert predictions.titles == ["", "", ""]
    assert predictions.decoded_titles == ["crash crash crash crash", "", "crash crash crash crash"]
    assert predictions.confidences.tolist() == pytest.approx([0.5, 0, 0.5])


def test_confidence_and_rouge_are_computed_for_titles_that_are_not_empty(predictor: Predictor) -> None:
    references = ["crash", "nothing known", "other"]
    confidences, rouge = predict_held_out(predictor, BODIES).confidences_and_rouge(references)
    assert confidences.tolist() == pytest.approx([0.5, 0.5])
    assert rouge.tolist() == pytest.approx([40, 0])


def test_a_query_is_embedded_like_a_body_and_without_a_known_word_as_zeros(predictor: Predictor) -> None:
    embeddings = predict_held_out(predictor, BODIES).embeddings
    np.testing.assert_allclose(embed_queries(predictor, BODIES), embeddings, atol=1e-6)
    assert [bool(row.any()) for row in embeddings] == [True, False, True]


def test_the_trainable_issues_of_the_validation_part_are_held_out(tmp_path: Path) -> None:
    not_trainable = {**VALIDATION_CRASH, "issue_id": 5, "trainable": False}
    subword_lake = SubwordLake(tmp_path, [CRASH, not_trainable], [NOT_TRAINABLE, VALIDATION_CRASH])
    assert list(held_out_issues(subword_lake.lake, subword_lake.model())) == [
        HeldOutIssue(3, "https://github.com/opencv/opencv/issues/3", "The crash", "**The** view", "the view")
    ]
