"""What a model answers to the issues that it is judged on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.networks.in_keras import Shape, build
from pipeline.predictor.held_out import embed_queries, predict_held_out
from pipeline.predictor.predictor import Predictor
from pipeline.stages.evaluate import RETRIEVAL_ISSUES, sample_rows
from pipeline.text.vocabulary import Vocabularies, Vocabulary

WORDS = ("crash", "window", "close")
BODIES = ["crash window", "nothing known", "close close"]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """One that says `crash` or `window`, each as likely, of whatever it knows a word of."""
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


def test_a_title_that_the_threshold_withholds_is_known_all_the_same(predictor: Predictor) -> None:
    found = predict_held_out(dataclasses.replace(predictor, abstain_below=0.6), BODIES)
    assert found.titles == ["", "", ""]
    assert found.titles == ["crash crash crash crash", "", "crash crash crash crash"]
    assert found.confidences.tolist() == pytest.approx([0.5, 0, 0.5])


def test_titles_told_come_with_their_confidence_and_rouge(predictor: Predictor) -> None:
    confidences, rouge = predict_held_out(predictor, BODIES).confidences_and_rouge(
        ["crash", "nothing known", "other"]
    )
    assert confidences.tolist() == pytest.approx([0.5, 0.5])
    assert rouge.tolist() == pytest.approx([40, 0])


def test_a_text_is_asked_as_a_body_is_embedded_and_one_without_a_known_word_has_no_vector(
    predictor: Predictor,
) -> None:
    found = predict_held_out(predictor, BODIES).embeddings
    np.testing.assert_allclose(embed_queries(predictor, BODIES), found, atol=1e-6)
    assert [bool(row.any()) for row in found] == [True, False, True]


def test_retrieval_is_measured_on_all_issues_up_to_a_number_and_then_on_the_same_draw() -> None:
    assert sample_rows(5).tolist() == [0, 1, 2, 3, 4]
    many = sample_rows(3 * RETRIEVAL_ISSUES)
    assert (len(many), many.tolist()) == (RETRIEVAL_ISSUES, sorted(set(many.tolist())))
    assert sample_rows(3 * RETRIEVAL_ISSUES).tolist() == many.tolist()
