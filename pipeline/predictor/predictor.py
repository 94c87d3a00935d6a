"""A model as it is used: text preparation, vocabularies, network and decoding in one. A body in; title,
confidence and embedding out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.errors import LakeError, TitlerError
from pipeline.evaluation.probability import Curve
from pipeline.networks.shape import REPLACE_OR_RETRAIN, Floats, Ids
from pipeline.networks.variants import variant_of
from pipeline.text.engine import Engine, tokenizer
from pipeline.text.subwords import SubwordVocabulary
from pipeline.text.vocabulary import Vocabularies, Vocabulary

if TYPE_CHECKING:
    from pipeline.networks.in_keras.network import Network
    from pipeline.networks.in_numpy.network import LightNetwork

FILE = "predictor.json"


@dataclass(frozen=True)
class Prediction:
    """What a model predicts for one body. `title` is empty exactly if the model `abstained`."""

    title: str
    confidence: float
    """0 to 1, see `Titles`"""
    abstained: bool
    embedding: Floats
    """(hidden_size,)"""
    probability: float | None = None
    """0 to 1, see `Titles`; None if it is not known"""


@dataclass(frozen=True)
class Titles:
    """What a model predicts for n bodies, as columns.

    A title is empty exactly if the model abstained: the body has no word of the vocabulary, decoding wrote no
    text, the confidence is below `abstain_below`, or the probability is below `abstain_probability`.
    """

    titles: list[str]
    confidences: npt.NDArray[np.float64]
    """(n,): exp(mean log probability of the title's tokens, `_end_` included), 0 to 1: the geometric mean of
    their probabilities. For a title withheld by the threshold it is the confidence of that title; without
    any title it is 0."""
    abstained: npt.NDArray[np.bool_]
    """(n,)"""
    embeddings: Floats
    """(n, hidden_size)"""
    probabilities: npt.NDArray[np.float64]
    """(n,): the probability that the title is alike its author's, by the model's calibration, 0 to 1; also of
    a title that is not given. NaN without any title, and if the model has no calibration."""


@dataclass(frozen=True)
class Model:
    """A trained network of either kind with its vocabularies. Raises LakeError if they do not belong
    together."""

    name: str
    """the name of the model"""
    network: Network | LightNetwork
    vocabularies: Vocabularies
    engine: Engine
    """what makes the tokens, if the vocabularies are of words"""
    abstain_below: float
    """confidence below which no title is given"""
    batch_size: int
    """issues decoded together"""
    beam_width: int = 0
    """candidates kept at each step of decoding; 0: the variant's default"""
    abstain_probability: float = 0.0
    """probability below which no title is given; of no effect without a calibration"""
    calibration: Curve | None = None
    """from a confidence to a probability; None in models of earlier versions"""

    def __post_init__(self) -> None:
        shape, body, title = self.network.shape, self.vocabularies.body, self.vocabularies.title
        units = variant_of(self.network.variant).units
        if units != self.vocabularies.units:
            raise LakeError(
                f"{self.name}: the vocabularies are of {self.vocabularies.units}, but its network, "
                f"{self.network.variant}, reads {units}.",
                REPLACE_OR_RETRAIN,
            )
        of_network = (shape.body_vocabulary, shape.title_vocabulary, shape.body_length, shape.title_length)
        of_vocabularies = (body.size, title.size, body.length, title.length)
        if of_network != of_vocabularies:
            raise LakeError(
                f"{self.name}: the vocabularies have {body.size} and {title.size} ids, padded to "
                f"{body.length} and {title.length}; its network expects {of_network[0]} and "
                f"{of_network[1]} ids, padded to {of_network[2]} and {of_network[3]}.",
                REPLACE_OR_RETRAIN,
            )

    def predict(self, bodies: Sequence[str | None]) -> list[Prediction]:
        """One prediction per body, as its author wrote it. None is a missing body."""
        titles = self.title_vectors(self.vectors(bodies))
        probabilities = [None if np.isnan(value) else float(value) for value in titles.probabilities]
        columns = (titles.titles, titles.confidences.tolist(), titles.abstained.tolist(), titles.embeddings)
        return [Prediction(*row) for row in zip(*columns, probabilities, strict=True)]

    def vectors(self, bodies: Sequence[str | None]) -> Ids:
        """The padded ids (n, body_length) of bodies as their authors wrote them."""
        return self._ids(self.vocabularies.body, [body or "" for body in bodies])

    def title_ids(self, titles: Sequence[str]) -> Ids:
        """The padded ids (n, title_length) of titles as their authors wrote them."""
        return self._ids(self.vocabularies.title, titles)

    def _ids(self, vocabulary: Vocabulary | SubwordVocabulary, texts: Sequence[str]) -> Ids:
        if isinstance(vocabulary, SubwordVocabulary):
            return vocabulary.ids(texts)
        return vocabulary.ids(tokenizer(self.engine)(texts))

    @property
    def reads_titles(self) -> bool:
        """Whether the embedding is of body and title together."""
        return variant_of(self.network.variant).embedding_reads_titles

    def embed_vectors(self, body_ids: Ids, title_ids: Ids | None = None) -> Floats:
        """The embeddings (n, hidden_size) of bodies (n, body_length), with titles (n, title_length) if
        `reads_titles`."""
        return self.network.encode(
            body_ids, self.batch_size, title_ids=title_ids if self.reads_titles else None
        )

    def known(self, body_ids: Ids, title_ids: Ids) -> npt.NDArray[np.bool_]:
        """(n,): whether the vocabulary knows anything of what `embed_vectors` reads: the body and, if
        `reads_titles`, the title."""
        known = self.vocabularies.body.has_known(body_ids)
        return known | self.vocabularies.title.has_known(title_ids) if self.reads_titles else known

    def title_vectors(self, body_ids: Ids) -> Titles:
        """Titles and embeddings of bodies (n, body_length). Raises TitlerError if the network computes NaN or
        infinity."""
        title = self.vocabularies.title
        decoded = self.network.decode(body_ids, title.start, title.end, self.batch_size, self.beam_width)
        if not np.isfinite(decoded.log_probability).all():
            raise TitlerError(
                f"{self.name} computes probabilities that are not finite numbers.",
                "Train another model with a lower model.learning_rate.",
            )
        texts = [title.text_of(ids) for ids in decoded.ids]
        has_title = self.vocabularies.body.has_known(body_ids) & np.array(
            [text != "" for text in texts], dtype=bool
        )
        confidences = np.where(has_title, np.exp(decoded.log_probability.astype(np.float64)), 0.0)
        probabilities = np.full(len(texts), np.nan)
        if self.calibration is not None:
            probabilities[has_title] = self.calibration(confidences[has_title])
        unsure = (confidences < self.abstain_below) | (probabilities < self.abstain_probability)
        abstained = ~has_title | unsure
        titles = ["" if withheld else text for text, withheld in zip(texts, abstained, strict=True)]
        return Titles(titles, confidences, abstained, decoded.states, probabilities)


@dataclass(frozen=True)
class Predictor(Model):
    """A model in Keras: it trains, saves, and predicts for many issues at a time. Importing Keras takes
    seconds."""

    network: Network

    def save(self, directory: Path) -> None:
        """Writes network.keras, shape.json, body_vocabulary.json, title_vocabulary.json and
        predictor.json."""
        from pipeline.networks.in_keras import saving

        saving.save(self.network, directory)
        self.vocabularies.save(directory)
        fields = ("name", "engine", "abstain_below", "batch_size", "beam_width", "abstain_probability")
        values = {name: getattr(self, name) for name in fields}
        values["calibration"] = self.calibration.to_json() if self.calibration else None
        (directory / FILE).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Predictor:
        """The predictor that `save` wrote. Raises LakeError if a file is missing, damaged or of another
        model."""
        fields = _PredictorFile.read(directory)
        from pipeline.networks.in_keras import saving

        return cls(network=saving.load(directory), vocabularies=Vocabularies.load(directory), **vars(fields))


@dataclass(frozen=True)
class LightPredictor(Model):
    """The same model in NumPy, from the same files and with the same predictions: ready at once, for a few
    issues."""

    network: LightNetwork

    @classmethod
    def load(cls, directory: Path) -> LightPredictor:
        """The predictor that `Predictor.save` wrote. Raises LakeError as `Predictor.load` does."""
        fields = _PredictorFile.read(directory)
        from pipeline.networks.in_numpy.network import LightNetwork

        network = LightNetwork.load(directory)
        return cls(network=network, vocabularies=Vocabularies.load(directory), **vars(fields))


@dataclass(frozen=True)
class _PredictorFile:
    """The fields of predictor.json."""

    name: str
    engine: Engine
    abstain_below: float
    batch_size: int
    beam_width: int
    abstain_probability: float
    calibration: Curve | None

    @classmethod
    def read(cls, directory: Path) -> _PredictorFile:
        """Raises LakeError if the file is missing or damaged."""
        try:
            values = json.loads((directory / FILE).read_text(encoding="utf-8"))
            tokenizer(values["engine"])
            curve = values.get("calibration")
            return cls(
                name=values["name"],
                engine=values["engine"],
                abstain_below=float(values["abstain_below"]),
                batch_size=int(values["batch_size"]),
                beam_width=int(values.get("beam_width", 1)),  # files from before beam search lack it
                # Files from before the calibration lack both.
                abstain_probability=float(values.get("abstain_probability", 0.0)),
                calibration=None if curve is None else Curve.from_json(curve),
            )
        except (OSError, ValueError, KeyError, TypeError, TitlerError) as error:
            raise LakeError(
                f"{directory / FILE} is missing or damaged: {error}", REPLACE_OR_RETRAIN
            ) from None
