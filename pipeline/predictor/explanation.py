"""Explains how a model predicts the title of one issue: which part of the body the model reads, which titles
it considers, and which words it copies. If the model gives no title, explains why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pipeline.networks.shape import PAD, UNKNOWN, Ids
from pipeline.networks.variants import variant_of
from pipeline.predictor.predictor import Model
from pipeline.text.engine import tokenizer
from pipeline.text.markup import JOINER, author_text
from pipeline.text.subwords import FIRST_UNIT, SubwordVocabulary

if TYPE_CHECKING:
    from pipeline.networks.in_numpy.network import LightNetwork


@dataclass(frozen=True)
class ReadText:
    """The part of a body that a model reads, and the rest. `units` says what is counted: words or subwords.

    `prepared` is the number of units in the cleaned body. `window` is the largest number of units that the
    model reads. `text` is the part that it reads. `not_read` is the rest, which is empty if the body is short
    enough. `unknown_words` are the words of `text` that are not in the vocabulary; subwords are never
    unknown.
    """

    units: str
    prepared: int
    window: int
    text: str
    not_read: str
    unknown_words: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """A complete title that the beam search found for a body.

    `log_probability` is the mean natural logarithm of the probabilities of the title's tokens. The candidate
    with the highest `log_probability` becomes the title. `ids` are the ids of the tokens, without `_end_` and
    padding.
    """

    title: str
    log_probability: float
    ids: Ids

    @property
    def confidence(self) -> float:
        """The geometric mean of the probabilities of the title's tokens, 0 to 1."""
        return math.exp(self.log_probability)


@dataclass(frozen=True)
class CopiedUnit:
    """A unit (subword) of a title.

    The network can copy a unit from the body, or generate it from the vocabulary. `copied` is the share of
    the unit's probability that comes from copying, 0 to 1.
    """

    unit: str
    copied: float


def read_text(model: Model, body: str) -> ReadText:
    """Returns the part of a body that the model reads, and the rest. `body` is the author's text."""
    vocabulary = model.vocabularies.body
    if isinstance(vocabulary, SubwordVocabulary):
        ids = list(next(vocabulary.encoding.encode(vocabulary.prepared([body]))))
        text = vocabulary.text_of(ids[: vocabulary.length])
        cut_off = vocabulary.text_of(ids[vocabulary.length :])
        return ReadText("subwords", len(ids), vocabulary.length, text, cut_off, ())
    words = tokenizer(model.engine)([body])[0]
    padded_ids = vocabulary.ids([words])[0]
    window = words[: vocabulary.length]
    window_ids = (
        padded_ids[len(padded_ids) - len(window) :]
        if vocabulary.padding == "pre"
        else padded_ids[: len(window)]
    )
    unknown = [word for word, number in zip(window, window_ids.tolist(), strict=True) if number == UNKNOWN]
    cut_off = " ".join(words[vocabulary.length :])
    return ReadText(
        "words", len(words), vocabulary.length, " ".join(window), cut_off, tuple(dict.fromkeys(unknown))
    )


def candidates(model: Model, body_ids: Ids) -> list[Candidate]:
    """Returns the complete titles that the beam search finds for one body, the most probable first.

    `body_ids` (1, body_length) are the ids of the body. If different ids spell the same title, only the most
    probable of these candidates is returned. Returns an empty list if the network exists in Keras only
    (a pre-trained network).
    """
    if variant_of(model.network.variant).reads_texts:
        return []
    network, title = cast("LightNetwork", model.network), model.vocabularies.title
    best: dict[str, Candidate] = {}
    for ids, score in network.candidates(body_ids, title.start, title.end, model.beam_width):
        text = title.text_of(ids)
        best.setdefault(text, Candidate(text, score, ids[(ids != PAD) & (ids != title.end)]))
    return list(best.values())


def copied_units(model: Model, body_ids: Ids, title: Candidate) -> list[CopiedUnit] | None:
    """Returns the units of a title, each with the share of its probability that comes from copying.

    `body_ids` (1, body_length) are the ids of the body. Returns None if the model's network cannot copy.
    """
    vocabulary = model.vocabularies.title
    network = cast("LightNetwork", model.network)
    shares = network.copied_shares(body_ids, title.ids, vocabulary.start)
    if shares is None or not isinstance(vocabulary, SubwordVocabulary):
        return None
    return [
        CopiedUnit(_text_of_unit(vocabulary, number), share)
        for number, share in zip(title.ids.tolist(), shares.tolist(), strict=True)
    ]


def _text_of_unit(vocabulary: SubwordVocabulary, number: int) -> str:
    """Returns the text of a unit. If the unit begins with a blank, the text does, too. If the unit is only a
    part of a character, returns the replacement character."""
    return vocabulary.encoding.units[number - FIRST_UNIT].encode("latin-1").decode("utf-8", "replace")


def abstention_reasons(
    model: Model, body: str | None, confidence: float, probability: float | None
) -> dict[str, str]:
    """Returns why a model abstains (gives no title) for a body: a dict from each reason to an explanation.

    Returns an empty dict if the model gives a title. `confidence` is the confidence in the title that the
    network wrote. `probability` is the probability that this title is like the author's title, or None if the
    model has no calibration.
    """
    limits = (model.abstain_below, model.abstain_probability)
    vocabulary = model.vocabularies.body
    if not (body or "").strip():
        return {"empty_body": "the issue has no body"}
    if not vocabulary.has_known(model.vectors([body])).all():
        return {"no_known_words": "no word of the body, after cleaning, is in the model's vocabulary"}
    if confidence == 0:
        return {"nothing_written": "the network wrote no title"}
    reasons = {}
    if confidence < limits[0]:
        reasons["low_confidence"] = (
            f"the confidence {confidence:.3f} is below the model's limit {limits[0]:.3f}"
        )
    if probability is not None and probability < limits[1]:
        reasons["low_probability"] = (
            f"the probability {probability:.3f} that the title is like its author's is below the model's "
            f"limit {limits[1]:.3f}"
        )
    return reasons


def has_only_template(body: str | None) -> bool:
    """Returns whether a body contains nothing but the text of an issue template. Returns False for an empty
    body."""
    return bool((body or "").strip()) and not author_text(body or "").replace(JOINER, "").strip()
