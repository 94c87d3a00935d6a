"""The predictor predicts a title, its confidence and an embedding from a body."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import LakeError, TitlerError
from pipeline.evaluation.title_calibration import Curve
from pipeline.predictor.predictor import Predictor
from pipeline.text.vocabulary import Vocabularies
from tests.networks.damage import set_weights_to_nan
from tests.predictor.small_predictors import (
    BODY,
    TITLE,
    UNITS,
    WORDS,
    subword_predictor,
    word_predictor,
)

THREE_TENTHS_AT_HALF = Curve("isotonic", confidences=(0.0, 0.5, 1.0), probabilities=(0.0, 0.3, 1.0))


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return word_predictor()


def predictor_of(*tokens: str) -> Predictor:
    """A predictor that writes only these tokens, each with the same probability.

    The bias of the network's last layer excludes all other tokens.
    """
    predictor = word_predictor()
    bias = np.full(TITLE.size, -60.0, np.float32)
    bias[[TITLE.words.index(token) + 2 for token in tokens]] = 0
    words = predictor.network.model.get_layer("words")
    words.set_weights([np.zeros_like(words.get_weights()[0]), bias])
    return predictor


def test_a_prediction_is_a_title_of_known_words_a_confidence_and_an_embedding(predictor: Predictor) -> None:
    prediction = predictor.predict(["The window crashed with error 404, then: crash"])[0]
    assert set(prediction.title.split()) <= set(WORDS)
    assert 0 < prediction.confidence < 1
    assert (prediction.embedding.shape, prediction.embedding.dtype.name) == ((5,), "float32")


def test_the_confidence_is_the_geometric_mean_of_the_probabilities_of_all_tokens() -> None:
    certain = predictor_of("theme").predict(["crash"])[0]
    assert certain.title == "theme theme theme theme theme"
    assert certain.confidence == pytest.approx(1)
    undecided = predictor_of("crash", "theme").predict(["crash"])[0]  # five tokens, each with probability 1/2
    assert undecided.confidence == pytest.approx(0.5)


def test_a_likely_unknown_word_lowers_the_confidence() -> None:
    predictor = predictor_of("theme")
    words = predictor.network.model.get_layer("words")
    kernel, bias = words.get_weights()
    bias[1] = np.log(3)  # unknown is three times as likely as the only other word
    words.set_weights([kernel, bias])
    prediction = predictor.predict(["crash"])[0]
    assert set(prediction.title.split()) == {"theme"}
    assert prediction.confidence == pytest.approx(0.25)


@pytest.mark.parametrize("body", [None, "", "  ", "???", "words that are unknown"])
def test_a_body_without_a_known_word_has_an_embedding_but_no_title(
    predictor: Predictor, body: str | None
) -> None:
    prediction = predictor.predict([body])[0]
    assert (prediction.title, prediction.confidence, prediction.abstained) == ("", 0.0, True)
    assert np.isfinite(prediction.embedding).all()


def test_the_model_abstains_if_decoding_writes_no_word() -> None:
    prediction = predictor_of("_end_").predict(["crash"])[0]
    assert (prediction.title, prediction.confidence, prediction.abstained) == ("", 0.0, True)


def test_a_title_with_low_confidence_is_withheld_but_its_confidence_is_returned() -> None:
    predictor = dataclasses.replace(predictor_of("crash", "theme"), abstain_below=0.51)
    prediction = predictor.predict(["crash"])[0]
    assert (prediction.title, prediction.abstained) == ("", True)
    assert prediction.confidence == pytest.approx(0.5)


@pytest.mark.parametrize(("threshold", "title"), [(0.29, "crash crash crash crash crash"), (0.31, "")])
def test_a_title_is_given_from_the_smallest_probability_on(threshold: float, title: str) -> None:
    predictor = dataclasses.replace(
        predictor_of("crash", "theme"), calibration=THREE_TENTHS_AT_HALF, abstain_probability=threshold
    )
    prediction, unknown = predictor.predict(["crash", "???"])
    assert (prediction.title, prediction.abstained) == (title, title == "")
    assert prediction.probability == pytest.approx(0.3, abs=1e-6)
    assert unknown.probability is None


def test_a_model_without_calibration_has_no_probability_and_abstains_by_confidence_only() -> None:
    predictor = dataclasses.replace(predictor_of("crash", "theme"), abstain_probability=0.9)
    prediction = predictor.predict(["crash"])[0]
    assert (prediction.probability, prediction.abstained) == (None, False)


@settings(max_examples=40, deadline=None)
@given(
    bodies=st.lists(
        st.none() | st.text(max_size=30) | st.lists(st.sampled_from(WORDS)).map(" ".join), max_size=6
    ),
    threshold=st.floats(0, 1),
)
def test_a_title_is_empty_if_and_only_if_the_model_abstained(
    predictor: Predictor, bodies: list[str | None], threshold: float
) -> None:
    predictions = dataclasses.replace(predictor, abstain_below=threshold).predict(bodies)
    assert len(predictions) == len(bodies)
    for prediction in predictions:
        assert (prediction.title == "") == prediction.abstained
        assert 0 <= prediction.confidence <= 1
        assert not {"_start_", "_end_", "*unknown*"} & set(prediction.title.split())


def test_titles_predicted_from_ids_and_from_bodies_are_equal(predictor: Predictor) -> None:
    bodies = ["crash window", None, "error error close"]
    ids = BODY.ids([["crash", "window"], [], ["error", "error", "close"]])
    titles = predictor.title_vectors(ids)
    assert titles.titles == [prediction.title for prediction in predictor.predict(bodies)]
    assert titles.confidences.dtype.name == "float64"
    assert titles.abstained.dtype.name == "bool"
    assert titles.abstained.tolist()[1]
    np.testing.assert_allclose(titles.embeddings, predictor.embed_vectors(ids), atol=1e-6)


def test_embeddings_are_between_minus_one_and_one(predictor: Predictor) -> None:
    states = predictor.embed_vectors(
        np.random.default_rng(0).integers(0, BODY.size, (50, 5)).astype(np.int32)
    )
    assert np.abs(states).max() <= 1


def test_a_saved_predictor_is_loaded_with_the_same_predictions(predictor: Predictor, tmp_path: Path) -> None:
    dataclasses.replace(
        predictor,
        abstain_below=0.1,
        beam_width=1,
        calibration=THREE_TENTHS_AT_HALF,
        abstain_probability=0.25,
    ).save(tmp_path)
    names = ["body_vocabulary.json", "network.keras", "predictor.json", "shape.json", "title_vocabulary.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    loaded = Predictor.load(tmp_path)
    assert (loaded.name, loaded.engine, loaded.abstain_below, loaded.batch_size, loaded.beam_width) == (
        "m1",
        "titler",
        0.1,
        16,
        1,
    )
    assert (loaded.calibration, loaded.abstain_probability) == (THREE_TENTHS_AT_HALF, 0.25)
    loaded = dataclasses.replace(loaded, abstain_probability=0.0)
    bodies = ["crash window", "error 3 theme"]
    for one, other in zip(loaded.predict(bodies), predictor.predict(bodies), strict=True):
        assert (one.title, one.confidence, one.embedding.tolist()) == (
            other.title,
            other.confidence,
            other.embedding.tolist(),
        )


@pytest.mark.parametrize(("field", "beam_width"), [({"beam_width": 3}, 3), ({"beam_width": 0}, 0), ({}, 1)])
def test_a_predictor_file_without_beam_width_has_beam_width_1(
    predictor: Predictor, tmp_path: Path, field: dict[str, int], beam_width: int
) -> None:
    predictor.save(tmp_path)
    values = json.loads((tmp_path / "predictor.json").read_text())
    del values["beam_width"]
    (tmp_path / "predictor.json").write_text(json.dumps({**values, **field}))
    assert Predictor.load(tmp_path).beam_width == beam_width


def test_a_predictor_from_before_the_calibration_is_loaded(predictor: Predictor, tmp_path: Path) -> None:
    predictor.save(tmp_path)
    values = json.loads((tmp_path / "predictor.json").read_text())
    del values["calibration"], values["abstain_probability"]
    (tmp_path / "predictor.json").write_text(json.dumps(values))
    loaded = Predictor.load(tmp_path)
    assert (loaded.calibration, loaded.abstain_probability) == (None, 0.0)


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{}",
        "nonsense",
        '{"name": "m", "engine": "spacy", "abstain_below": 0, "batch_size": 1}',
        '{"name": "m", "engine": "titler", "abstain_below": 0, "batch_size": 1, "calibration": {}}',
        '{"name": "m", "engine": "titler", "abstain_below": 0, "batch_size": "1"}',
        "[" * 100_000,
    ],
)
def test_a_missing_or_damaged_predictor_file_is_an_error_that_names_the_file(
    predictor: Predictor, tmp_path: Path, content: str | None
) -> None:
    predictor.save(tmp_path)
    (tmp_path / "predictor.json").unlink()
    if content is not None:
        (tmp_path / "predictor.json").write_text(content)
    with pytest.raises(LakeError, match=r"predictor.json is (missing|damaged)"):
        Predictor.load(tmp_path)


def test_the_vocabulary_of_another_model_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    predictor.save(tmp_path)
    vocabulary = json.loads((tmp_path / "body_vocabulary.json").read_text())
    (tmp_path / "body_vocabulary.json").write_text(json.dumps({**vocabulary, "words": [*WORDS, "more"]}))
    message = (
        "Model m1: its vocabularies do not fit its network. The vocabulary of bodies has 9 ids (expected 8) "
        "and pads bodies to 5 ids (expected 5). The vocabulary of titles has 10 ids (expected 10) and pads "
        "titles to 6 ids (expected 6)."
    )
    with pytest.raises(LakeError, match=re.escape(message)):
        Predictor.load(tmp_path)


def test_a_network_whose_training_diverged_is_an_error() -> None:
    predictor = word_predictor()
    set_weights_to_nan(predictor.network)
    with pytest.raises(
        TitlerError, match="The network of model m1 computes probabilities that are not finite numbers"
    ):
        predictor.predict(["crash"])


@pytest.fixture
def copying() -> Predictor:
    return subword_predictor()


def test_a_network_of_subwords_reads_and_writes_text(copying: Predictor) -> None:
    predictions = copying.predict(["**The** `CrashWindow`!", "<!-- nothing -->", None])
    assert [(prediction.title, prediction.abstained) for prediction in predictions] == [
        ("the crashwindow!", False),
        ("", True),
        ("", True),
    ]


def test_the_model_abstains_if_the_decoded_subwords_are_not_valid_text(copying: Predictor) -> None:
    blank, half = (UNITS.units.index(unit) + 4 for unit in ("\n", "\xc3"))
    titles = copying.title_vectors(np.array([[blank, half, 0, 0, 0, 0, 0, 0]], np.int32))
    assert (titles.titles, titles.confidences.tolist(), titles.abstained.tolist()) == ([""], [0.0], [True])


def test_titles_change_the_embedding_only_if_the_variant_reads_titles(
    predictor: Predictor, copying: Predictor
) -> None:
    bodies, titles = copying.vectors(["the crash", ""]), copying.title_ids(["the window", ""])
    assert copying.embed_vectors(bodies).tolist() == [[2.0], [0.0]]
    assert copying.embed_vectors(bodies, titles).tolist() == [[6.0], [2.0]]  # with _start_ and _end_
    ids = predictor.vectors(["crash"])
    assert (
        predictor.embed_vectors(ids, predictor.title_ids(["theme"])).tolist()
        == predictor.embed_vectors(ids).tolist()
    )


def test_a_network_of_subwords_refuses_vocabularies_of_words() -> None:
    message = r"network \(variant copy\) reads subwords, but the model's vocabularies consist of words"
    with pytest.raises(LakeError, match=message):
        subword_predictor(Vocabularies(BODY, TITLE))
