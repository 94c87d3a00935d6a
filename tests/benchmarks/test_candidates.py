"""The benchmark of rules that choose among the candidates of beam search."""

import numpy as np
import pytest

from pipeline.networks.in_keras import build, saving
from pipeline.networks.in_numpy.network import LightNetwork
from pipeline.networks.shape import Shape
from pipeline.predictor.predictor import LightPredictor
from pipeline.text.subwords import BytePairEncoding, SubwordVocabulary
from pipeline.text.vocabulary import Vocabularies
from tests.benchmarks.candidates import (
    Candidate,
    by_length,
    candidates_of,
    highest_mean,
    least_risk,
    overlap,
)

FOUND = [
    Candidate("window closes", -0.5, 3),
    Candidate("printer jams", -0.4, 3),
    Candidate("window closes at once", -0.55, 5),
]


def test_each_rule_chooses_its_own_candidate():
    assert highest_mean(FOUND) == "printer jams"
    assert by_length(1.0)(FOUND) == "printer jams"
    assert by_length(1.7)(FOUND) == "window closes at once"
    assert least_risk(FOUND) == "window closes"  # the only one that shares words and is short


def test_the_overlap_is_the_f1_score_of_words():
    assert overlap("a b", "b c d") == pytest.approx(2 / 5)
    assert overlap("", "") == 0.0


def test_the_candidate_with_the_highest_mean_is_the_title_of_the_product(tmp_path):
    units = BytePairEncoding.fit(["the window closes at once", "the printer jams"] * 5, 300)
    body = SubwordVocabulary(units, 16, start_end=False, preparation=2)
    title = SubwordVocabulary(units, 8, start_end=True)
    network = build("copy", Shape(body.size, title.size, 16, 8, embedding_size=8, hidden_size=8), seed=3)
    network.shortlist = np.array([0, 1, title.start, title.end, *range(20, 60, 2)], np.int32)
    saving.save(network, tmp_path)
    model = LightPredictor(
        "m", LightNetwork.load(tmp_path), Vocabularies(body, title), "titler", abstain_below=0.0, batch_size=8
    )
    ids = model.vectors(["the printer jams", "the window closes at once"])
    decoded = model.network.decode(ids, title.start, title.end, beam_width=4)
    chosen = [highest_mean(found) for found in candidates_of(model, ids, width=4)]
    assert chosen == [title.text_of(row) for row in decoded.ids]
    assert np.all(decoded.log_probability < 0)
