"""Predicts a title, its confidence and an embedding from the body of an issue.

A predictor combines text preparation, vocabularies, a trained network and decoding.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from pipeline.errors import LakeError, TitlerError
from pipeline.evaluation.title_calibration import Curve
from pipeline.networks.shape import REPLACE_OR_RETRAIN, Description, Floats, Ids
from pipeline.networks.variants import VARIANTS, require_libraries, variant_of
from pipeline.text.engine import Engine, tokenizer
from pipeline.text.subwords import SubwordVocabulary
from pipeline.text.vocabulary import Vocabularies, Vocabulary

if TYPE_CHECKING:
    from pipeline.networks.in_keras.network import Network
    from pipeline.networks.in_numpy.network import LightNetwork
    from pipeline.networks.pretrained.network import PretrainedNetwork

FILE = "predictor.json"


@dataclass(frozen=True)
class Prediction:
    """A model's prediction for one body. The title is empty if the model `abstained`, and only then."""

    title: str
    confidence: float
    """the confidence of the title, 0 to 1, as `Titles` defines it"""
    abstained: bool
    embedding: Floats
    """the embedding of the issue, shape (hidden_size,)"""
    probability: float | None = None
    """the probability that the title is like its author's, 0 to 1; None if it is unknown"""


@dataclass(frozen=True)
class Titles:
    """A model's predictions for n bodies, with one list or array per field.

    If the model abstains, the title is empty. A model abstains for one of these reasons:

    - The vocabulary contains no word of the body.
    - Decoding wrote no text.
    - The confidence in the title is below `abstain_below`.
    - The probability that the title is like the author's title is below `abstain_probability`.
    """

    titles: list[str]
    confidences: npt.NDArray[np.float64]
    """The confidence of each title, shape (n,), 0 to 1: the geometric mean of the probabilities of the
    title's tokens, including `_end_`. The confidence is stored even if the model abstains because of it. It
    is 0 if decoding wrote no title."""
    abstained: npt.NDArray[np.bool_]
    """whether the model abstained on each body, shape (n,)"""
    embeddings: Floats
    """the embeddings of the issues, shape (n, hidden_size)"""
    probabilities: npt.NDArray[np.float64]
    """The probability, shape (n,), 0 to 1, that each title is like its author's, computed by the model's
    calibration. The probability is stored even if the model abstains because of it. It is NaN if decoding
    wrote no title, or if the model has no calibration."""


@dataclass(frozen=True)
class Model:
    """A trained network, in Keras or in NumPy, with its vocabularies.

    Raises LakeError if the network and the vocabularies do not belong together.
    """

    name: str
    """the name of the model"""
    network: Network | LightNetwork | PretrainedNetwork
    vocabularies: Vocabularies
    engine: Engine
    """which engine splits texts into words, if the vocabularies are of words"""
    abstain_below: float
    """the model abstains from titles with a lower confidence; 0 to 1"""
    batch_size: int
    """number of issues that the network processes together"""
    beam_width: int = 0
    """number of candidates kept at each step of decoding; 0 stands for the variant's default"""
    abstain_probability: float = 0.0
    """minimum probability that a title is like the author's; below it, the model abstains. It is not used if
    the model has no calibration"""
    calibration: Curve | None = None
    """the curve from the confidence in a title to the probability that the title is like the author's; None
    in models of earlier versions of Titler"""

    def __post_init__(self) -> None:
        shape, body, title = self.network.shape, self.vocabularies.body, self.vocabularies.title
        units = variant_of(self.network.variant).units
        if units != self.vocabularies.units:
            raise LakeError(
                f"Model {self.name}: the network (variant {self.network.variant}) reads {units}, but "
                f"the model's vocabularies consist of {self.vocabularies.units}.",
                REPLACE_OR_RETRAIN,
            )
        of_network = (shape.body_vocabulary, shape.title_vocabulary, shape.body_length, shape.title_length)
        of_vocabularies = (body.size, title.size, body.length, title.length)
        if of_network != of_vocabularies:
            raise LakeError(
                f"Model {self.name}: its vocabularies do not fit its network. The vocabulary of bodies has "
                f"{body.size} ids (expected {shape.body_vocabulary}) and pads bodies to {body.length} ids "
                f"(expected {shape.body_length}). The vocabulary of titles has {title.size} ids (expected "
                f"{shape.title_vocabulary}) and pads titles to {title.length} ids (expected "
                f"{shape.title_length}).",
                REPLACE_OR_RETRAIN,
            )

    def predict(self, bodies: Sequence[str | None]) -> list[Prediction]:
        """Returns one prediction per body: title, confidence, probability and embedding.

        Bodies are given as their authors wrote them. None stands for a missing body. Raises TitlerError if
        the network computes NaN or infinity.
        """
        titles = self.title_vectors(self.vectors(bodies))
        probabilities = [None if np.isnan(value) else float(value) for value in titles.probabilities]
        columns = (titles.titles, titles.confidences.tolist(), titles.abstained.tolist(), titles.embeddings)
        return [Prediction(*row) for row in zip(*columns, probabilities, strict=True)]

    def vectors(self, bodies: Sequence[str | None]) -> Ids:
        """Converts n bodies, given as their authors wrote them, to padded ids (n, body_length)."""
        return self._ids(self.vocabularies.body, [body or "" for body in bodies])

    def title_ids(self, titles: Sequence[str]) -> Ids:
        """Converts n titles, given as their authors wrote them, to padded ids (n, title_length)."""
        return self._ids(self.vocabularies.title, titles)

    def _ids(self, vocabulary: Vocabulary | SubwordVocabulary, texts: Sequence[str]) -> Ids:
        if isinstance(vocabulary, SubwordVocabulary):
            return vocabulary.ids(texts)
        return vocabulary.ids(tokenizer(self.engine)(texts))

    @property
    def reads_titles(self) -> bool:
        """True if an issue's embedding is computed from its title and body, False if from its body alone."""
        return variant_of(self.network.variant).embedding_reads_titles

    def embed_vectors(self, body_ids: Ids, title_ids: Ids | None = None) -> Floats:
        """Returns the embeddings (n, hidden_size) of n issues.

        `body_ids` (n, body_length) are the ids of the bodies. `title_ids` (n, title_length) are the ids of
        the titles. The titles are ignored if embeddings are computed from bodies alone (see `reads_titles`).
        """
        return self.network.encode(
            body_ids, self.batch_size, title_ids=title_ids if self.reads_titles else None
        )

    def has_known_words(self, body_ids: Ids, title_ids: Ids) -> npt.NDArray[np.bool_]:
        """Returns a boolean array (n,) that says which of n issues have a known word in the embedded text.

        A word is known if it is in the vocabulary. The embedded text is the body, and also the title if the
        property `reads_titles` is true. `body_ids` are (n, body_length), `title_ids` (n, title_length).
        """
        in_body = self.vocabularies.body.has_known(body_ids)
        return in_body | self.vocabularies.title.has_known(title_ids) if self.reads_titles else in_body

    def title_vectors(self, body_ids: Ids) -> Titles:
        """Returns the predictions for n bodies: titles, confidences, probabilities and embeddings.

        `body_ids` (n, body_length) are the ids of the bodies' words or subwords. Raises TitlerError if the
        network computes NaN or infinity.
        """
        texts, log_probability, embeddings = self._decode(body_ids)
        if not np.isfinite(log_probability).all():
            raise TitlerError(
                f"The network of model {self.name} computes probabilities that are not finite numbers.",
                "Train another model with a lower model.learning_rate.",
            )
        has_title = self.vocabularies.body.has_known(body_ids) & np.array(
            [text != "" for text in texts], dtype=bool
        )
        confidences = np.where(has_title, np.exp(log_probability.astype(np.float64)), 0.0)
        probabilities = np.full(len(texts), np.nan)
        if self.calibration is not None:
            probabilities[has_title] = self.calibration(confidences[has_title])
        unsure = (confidences < self.abstain_below) | (probabilities < self.abstain_probability)
        abstained = ~has_title | unsure
        titles = ["" if withheld else text for text, withheld in zip(texts, abstained, strict=True)]
        return Titles(titles, confidences, abstained, embeddings, probabilities)

    def _decode(self, body_ids: Ids) -> tuple[list[str], Floats, Floats]:
        """Returns the titles that the network writes for n bodies, the mean log probabilities of the titles'
        tokens (n,), and the embeddings of the bodies (n, hidden_size).

        `body_ids` (n, body_length) are the ids of the bodies. A pre-trained network writes titles from
        texts, not from ids. It gets the texts that the ids spell: the prepared bodies, cut to `body_length`
        units.
        """
        if variant_of(self.network.variant).reads_texts:
            network = cast("PretrainedNetwork", self.network)
            bodies = [self.vocabularies.body.text_of(ids) for ids in body_ids]
            written = network.write(bodies, self.batch_size, self.beam_width)
            return written.titles, written.log_probability, network.encode(body_ids, self.batch_size)
        network_of_ids, title = cast("Network", self.network), self.vocabularies.title
        decoded = network_of_ids.decode(body_ids, title.start, title.end, self.batch_size, self.beam_width)
        return [title.text_of(ids) for ids in decoded.ids], decoded.log_probability, decoded.states


@dataclass(frozen=True)
class Predictor(Model):
    """A trained network in Keras, with its vocabularies. It is fast for many issues, and can be saved.

    Importing Keras takes seconds.
    """

    network: Network | PretrainedNetwork

    def save(self, directory: Path) -> None:
        """Writes the predictor to the folder `directory`.

        The files are network.keras, shape.json, body_vocabulary.json, title_vocabulary.json and
        predictor.json. Networks that read texts instead of ids (pre-trained networks) have further files,
        such as those of a tokenizer.
        """
        if variant_of(self.network.variant).reads_texts:
            cast("PretrainedNetwork", self.network).save(directory)
        else:
            from pipeline.networks.in_keras import saving

            saving.save(cast("Network", self.network), directory)
        self.vocabularies.save(directory)
        fields = ("name", "engine", "abstain_below", "batch_size", "beam_width", "abstain_probability")
        values = {name: getattr(self, name) for name in fields}
        values["calibration"] = self.calibration.to_json() if self.calibration else None
        (directory / FILE).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Predictor:
        """Returns the predictor that `save` wrote to `directory`.

        Raises LakeError if a file is missing or damaged, or if the files are of different models. Raises
        UsageError if the model needs a library or a text engine (code that splits texts into words) that is
        not installed.
        """
        from pipeline.predictor.predictor_file import PredictorFile  # a GPU machine may lack pydantic

        fields = PredictorFile.read(directory / FILE)
        network = _load_network(directory)
        return cls(network=network, vocabularies=Vocabularies.load(directory), **vars(fields))


def _load_network(directory: Path) -> Network | PretrainedNetwork:
    """Loads a network in Keras from a folder. Raises LakeError if a file is missing or damaged, and
    UsageError if the network needs a library that is not installed."""
    variant = Description.read(directory).variant
    if variant in VARIANTS and VARIANTS[variant].reads_texts:
        require_libraries(variant)
        from pipeline.networks.pretrained.network import PretrainedNetwork

        return PretrainedNetwork.load(directory)
    from pipeline.networks.in_keras import saving

    return saving.load(directory)


@dataclass(frozen=True)
class LightPredictor(Model):
    """A trained network in NumPy, with its vocabularies. It is loaded from the files that `Predictor` saved,
    and gives nearly the same predictions.

    NumPy is ready at once, but Keras takes seconds to import. Some networks are also faster in NumPy for many
    issues (see `loading.load_faster`).
    """

    network: LightNetwork

    @classmethod
    def load(cls, directory: Path) -> LightPredictor:
        """Returns the predictor that `Predictor.save` wrote to `directory`.

        Raises LakeError if a file is missing or damaged, or if the files are of different models. Raises
        UsageError if the model needs a text engine (code that splits texts into words) that is not installed.
        """
        from pipeline.networks.in_numpy.network import LightNetwork
        from pipeline.predictor.predictor_file import PredictorFile

        fields = PredictorFile.read(directory / FILE)
        network = LightNetwork.load(directory)
        return cls(network=network, vocabularies=Vocabularies.load(directory), **vars(fields))
