"""A body in; title, confidence and embedding out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import LakeError, TitlerError
from pipeline.lake.list_columns import list_column
from pipeline.networks.in_keras import Shape, build
from pipeline.networks.shape import Decoded, Floats, Ids
from pipeline.predictor.predictor import Predictor
from pipeline.stages.embed import embed_part
from pipeline.text.subwords import BytePairEncoding, SubwordVocabulary
from pipeline.text.vocabulary import Vocabularies, Vocabulary

WORDS = ("crash", "window", "close", "number", "error", "theme")
BODY = Vocabulary(WORDS, 5, "pre", False)
TITLE = Vocabulary(("_start_", "_end_", *WORDS), 6, "post", True)


def made() -> Predictor:
    """An untrained network whose weights were shaken, so that titles differ."""
    network = build("gru", Shape(BODY.size, TITLE.size, 5, 6, embedding_size=4, hidden_size=5), seed=4)
    rng = np.random.default_rng(4)
    network.model.set_weights(
        [
            weight + rng.normal(0, 1, weight.shape) * (weight.ndim > 1)
            for weight in network.model.get_weights()
        ]
    )
    return Predictor("m1", network, Vocabularies(BODY, TITLE), "titler", 0.0, 16)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return made()


def saying(*tokens: str) -> Predictor:
    """A predictor forced by its network's last bias: all words but `tokens` are all but impossible."""
    other = made()
    bias = np.full(TITLE.size, -60.0, np.float32)
    bias[[TITLE.words.index(token) + 2 for token in tokens]] = 0
    words = other.network.model.get_layer("words")
    words.set_weights([np.zeros_like(words.get_weights()[0]), bias])
    return other


def test_a_body_gets_a_title_of_known_words_a_confidence_and_an_embedding(predictor: Predictor) -> None:
    prediction = predictor.predict(["The window crashed with error 404, then: crash"])[0]
    assert set(prediction.title.split()) <= set(WORDS)
    assert 0 < prediction.confidence < 1
    assert (prediction.embedding.shape, prediction.embedding.dtype.name) == ((5,), "float32")


def test_the_confidence_is_the_geometric_mean_of_the_tokens_probabilities_with_end() -> None:
    certain = saying("theme").predict(["crash"])[0]
    assert certain.title == "theme theme theme theme theme"
    assert certain.confidence == pytest.approx(1)
    torn = saying("crash", "theme").predict(["crash"])[0]  # each of five tokens has probability 1/2
    assert torn.confidence == pytest.approx(0.5)


def test_text_that_needs_unknown_words_is_told_with_less_confidence() -> None:
    other = saying("theme")
    words = other.network.model.get_layer("words")
    kernel, bias = words.get_weights()
    bias[1] = np.log(3)  # unknown is three times as likely as the only other word
    words.set_weights([kernel, bias])
    prediction = other.predict(["crash"])[0]
    assert set(prediction.title.split()) == {"theme"}
    assert prediction.confidence == pytest.approx(0.25)


@pytest.mark.parametrize("body", [None, "", "  ", "???", "words nobody kept"])
def test_a_body_without_a_known_word_gets_no_title_but_an_embedding(
    predictor: Predictor, body: str | None
) -> None:
    prediction = predictor.predict([body])[0]
    assert (prediction.title, prediction.confidence, prediction.abstained) == ("", 0.0, True)
    assert np.isfinite(prediction.embedding).all()


def test_a_title_without_words_is_an_abstention() -> None:
    prediction = saying("_end_").predict(["crash"])[0]
    assert (prediction.title, prediction.confidence, prediction.abstained) == ("", 0.0, True)


def test_a_title_under_the_threshold_is_withheld_with_its_confidence() -> None:
    torn = dataclasses.replace(saying("crash", "theme"), abstain_below=0.51)
    prediction = torn.predict(["crash"])[0]
    assert (prediction.title, prediction.abstained) == ("", True)
    assert prediction.confidence == pytest.approx(0.5)


@settings(max_examples=40, deadline=None)
@given(
    bodies=st.lists(
        st.none() | st.text(max_size=30) | st.lists(st.sampled_from(WORDS)).map(" ".join), max_size=6
    ),
    threshold=st.floats(0, 1),
)
def test_a_title_is_empty_exactly_when_the_model_abstained(
    predictor: Predictor, bodies: list[str | None], threshold: float
) -> None:
    predictions = dataclasses.replace(predictor, abstain_below=threshold).predict(bodies)
    assert len(predictions) == len(bodies)
    for prediction in predictions:
        assert (prediction.title == "") == prediction.abstained
        assert 0 <= prediction.confidence <= 1
        assert not {"_start_", "_end_", "*unknown*"} & set(prediction.title.split())


def test_titles_of_vectors_are_those_of_the_bodies(predictor: Predictor) -> None:
    bodies = ["crash window", None, "error error close"]
    ids = BODY.ids([["crash", "window"], [], ["error", "error", "close"]])
    found = predictor.title_vectors(ids)
    assert found.titles == [prediction.title for prediction in predictor.predict(bodies)]
    assert (found.confidences.dtype.name, found.abstained.dtype.name, found.abstained.tolist()[1]) == (
        "float64",
        "bool",
        True,
    )
    np.testing.assert_allclose(found.embeddings, predictor.embed_vectors(ids), atol=1e-6)


def test_embeddings_fit_float16(predictor: Predictor) -> None:
    states = predictor.embed_vectors(
        np.random.default_rng(0).integers(0, BODY.size, (50, 5)).astype(np.int32)
    )
    assert np.abs(states).max() <= 1


def test_a_predictor_comes_back_as_it_was_saved(predictor: Predictor, tmp_path: Path) -> None:
    dataclasses.replace(predictor, abstain_below=0.1, beam_width=1).save(tmp_path)
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
    bodies = ["crash window", "error 3 theme"]
    for one, other in zip(loaded.predict(bodies), predictor.predict(bodies), strict=True):
        assert (one.title, one.confidence, one.embedding.tolist()) == (
            other.title,
            other.confidence,
            other.embedding.tolist(),
        )


@pytest.mark.parametrize(("kept", "told"), [({"beam_width": 3}, 3), ({"beam_width": 0}, 0), ({}, 1)])
def test_a_file_that_does_not_say_how_many_titles_are_followed_is_of_before_and_greedy(
    predictor: Predictor, tmp_path: Path, kept: dict[str, int], told: int
) -> None:
    predictor.save(tmp_path)
    about = json.loads((tmp_path / "predictor.json").read_text())
    del about["beam_width"]
    (tmp_path / "predictor.json").write_text(json.dumps({**about, **kept}))
    assert Predictor.load(tmp_path).beam_width == told


@pytest.mark.parametrize(
    "content",
    [None, "{}", "nonsense", '{"name": "m", "engine": "spacy", "abstain_below": 0, "batch_size": 1}'],
)
def test_a_predictor_file_that_is_missing_or_damaged_is_named(
    predictor: Predictor, tmp_path: Path, content: str | None
) -> None:
    predictor.save(tmp_path)
    (tmp_path / "predictor.json").unlink()
    if content is not None:
        (tmp_path / "predictor.json").write_text(content)
    with pytest.raises(LakeError, match=r"predictor.json is missing or damaged"):
        Predictor.load(tmp_path)


def test_another_models_vocabulary_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    predictor.save(tmp_path)
    vocabulary = json.loads((tmp_path / "body_vocabulary.json").read_text())
    (tmp_path / "body_vocabulary.json").write_text(json.dumps({**vocabulary, "words": [*WORDS, "more"]}))
    with pytest.raises(LakeError, match="9 and 10 ids in 5 and 6 places, where its network has 8 and 10"):
        Predictor.load(tmp_path)


def test_a_network_that_diverged_says_so() -> None:
    other = made()
    other.network.model.set_weights([weight * np.nan for weight in other.network.model.get_weights()])
    with pytest.raises(TitlerError, match="m1 gives probabilities that are not numbers"):
        other.predict(["crash"])


UNITS = BytePairEncoding.fit(["the window crash", "a crash of the window"], 280)
OF_UNITS = Vocabularies(SubwordVocabulary(UNITS, 8, start_end=False), SubwordVocabulary(UNITS, 8, start_end=True))


class Copying:
    """A network of subwords reduced to what its predictor sees: a title is the body, an embedding the number of ids that it was given."""

    variant = "copy"
    shape = Shape(OF_UNITS.body.size, OF_UNITS.title.size, 8, 8, embedding_size=1, hidden_size=1)

    def encode(self, body_ids: Ids, batch_size: int, *, title_ids: Ids | None) -> Floats:
        given = body_ids if title_ids is None else np.concatenate([body_ids, title_ids], axis=1)
        return (given > 0).sum(axis=1, keepdims=True).astype(np.float32)

    def decode(self, body_ids: Ids, start: int, end: int, batch_size: int, beam_width: int) -> Decoded:
        ids = np.where(body_ids == 0, end, body_ids)[:, :7]
        lengths = (body_ids > 0).sum(axis=1).astype(np.int32)
        return Decoded(
            ids, lengths, np.zeros(len(ids), np.float32), self.encode(body_ids, batch_size, title_ids=None)
        )


@pytest.fixture
def copying() -> Predictor:
    return Predictor("m2", cast(Any, Copying()), OF_UNITS, "titler", 0.0, 16)


def test_subwords_are_read_from_raw_text_and_written_as_text(copying: Predictor) -> None:
    found = copying.predict(["**The** `CrashWindow`!", "<!-- nothing -->", None])
    assert [(prediction.title, prediction.abstained) for prediction in found] == [
        ("the crashwindow!", False),
        ("", True),
        ("", True),
    ]


def test_subwords_that_are_no_text_are_an_abstention(copying: Predictor) -> None:
    blank, half = (UNITS.units.index(unit) + 4 for unit in ("\n", "\xc3"))
    found = copying.title_vectors(np.array([[blank, half, 0, 0, 0, 0, 0, 0]], np.int32))
    assert (found.titles, found.confidences.tolist(), found.abstained.tolist()) == ([""], [0.0], [True])


def test_titles_are_embedded_where_the_network_reads_them(predictor: Predictor, copying: Predictor) -> None:
    bodies, titles = copying.vectors(["the crash", ""]), copying.title_ids(["the window", ""])
    assert copying.embed_vectors(bodies).tolist() == [[2.0], [0.0]]
    assert copying.embed_vectors(bodies, titles).tolist() == [[6.0], [2.0]]  # with _start_ and _end_
    ids = predictor.vectors(["crash"])
    assert (
        predictor.embed_vectors(ids, predictor.title_ids(["theme"])).tolist()
        == predictor.embed_vectors(ids).tolist()
    )


def test_embeddings_are_zeros_where_nothing_that_is_read_is_known(
    predictor: Predictor, copying: Predictor
) -> None:
    def embedded(by: Predictor) -> list[bool]:
        bodies, titles = by.vectors(["crash", None, "", "!"]), by.title_ids(["", "crash", "!", "theme"])
        vectors = pa.table(
            {"issue_id": [1, 2, 3, 4], "body": list_column(bodies), "title": list_column(titles)}
        )
        return [any(row) for row in embed_part(vectors, by).column("embedding").to_pylist()]

    assert embedded(predictor) == [True, False, False, False]
    assert embedded(copying) == [True, True, False, True]


def test_a_network_of_subwords_refuses_words() -> None:
    with pytest.raises(LakeError, match="m2: vocabularies of words, where its network, copy, reads subwords"):
        Predictor("m2", cast(Any, Copying()), Vocabularies(BODY, TITLE), "titler", 0.0, 16)
