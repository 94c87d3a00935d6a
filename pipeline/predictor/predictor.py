"""A model as it is used: text, vocabularies, network and decoding in one. A body in; title, confidence and embedding out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.errors import LakeError, TitlerError
from pipeline.networks.shape import AGAIN, Floats, Ids, units_of
from pipeline.text.engine import Engine, tokenizer
from pipeline.text.subwords import Subwords
from pipeline.text.vocabulary import Vocabularies, Vocabulary

if TYPE_CHECKING:
    from pipeline.networks.in_keras import Network
    from pipeline.networks.in_numpy.network import LightNetwork

FILE = "predictor.json"


@dataclass(frozen=True)
class Prediction:
    """What a model says of one body. `title` is empty exactly when `abstained`."""

    title: str
    confidence: float
    """0 to 1; see `Titles`"""
    abstained: bool
    embedding: Floats
    """(hidden_size,)"""


@dataclass(frozen=True)
class Titles:
    """The same of n bodies, a column each.

    A title is empty exactly where the model abstained: the body has no word that the vocabulary knows, decoding wrote no
    text, or the confidence was under `abstain_below`.
    """

    titles: list[str]
    confidences: npt.NDArray[np.float64]
    """(n,): exp(mean log probability of the title's tokens, its `_end_` included), 0 to 1: the geometric mean of their
    probabilities. Where the threshold withheld a title it is that title's; where there was none to give, it is 0."""
    abstained: npt.NDArray[np.bool_]
    """(n,)"""
    embeddings: Floats
    """(n, hidden_size)"""


@dataclass(frozen=True)
class Model:
    """A trained network of either kind with its vocabularies. Raises LakeError where they do not belong together."""

    name: str
    """the model's"""
    network: Network | LightNetwork
    vocabularies: Vocabularies
    engine: Engine
    """what makes the tokens, where the vocabularies are of words"""
    abstain_below: float
    """confidence under which no title is given"""
    batch_size: int
    """issues decoded together"""
    beam_width: int = 0
    """titles followed while one is written; 0: the variant's own number"""

    def __post_init__(self) -> None:
        shape, body, title = self.network.shape, self.vocabularies.body, self.vocabularies.title
        if units_of(self.network.variant) != self.vocabularies.units:
            raise LakeError(
                f"{self.name}: vocabularies of {self.vocabularies.units}, where its network, {self.network.variant}, "
                f"reads {units_of(self.network.variant)}.",
                AGAIN,
            )
        sizes = (shape.body_vocabulary, shape.title_vocabulary, shape.body_length, shape.title_length)
        found = (body.size, title.size, body.length, title.length)
        if sizes != found:
            raise LakeError(
                f"{self.name}: vocabularies of {body.size} and {title.size} ids in {body.length} and {title.length} places, "
                f"where its network has {sizes[0]} and {sizes[1]} in {sizes[2]} and {sizes[3]}.",
                AGAIN,
            )

    def predict(self, bodies: Sequence[str | None]) -> list[Prediction]:
        """A prediction a body, as its author wrote it; None is a body that is not there."""
        found = self.title_vectors(self.vectors(bodies))
        columns = zip(
            found.titles, found.confidences.tolist(), found.abstained.tolist(), found.embeddings, strict=True
        )
        return [Prediction(*row) for row in columns]

    def vectors(self, bodies: Sequence[str | None]) -> Ids:
        """The ids (n, body_length) of bodies as their authors wrote them."""
        return self._ids(self.vocabularies.body, [body or "" for body in bodies])

    def title_ids(self, titles: Sequence[str]) -> Ids:
        """The ids (n, title_length) of titles as their authors wrote them."""
        return self._ids(self.vocabularies.title, titles)

    def _ids(self, vocabulary: Vocabulary | Subwords, texts: Sequence[str]) -> Ids:
        return (
            vocabulary.ids(texts)
            if isinstance(vocabulary, Subwords)
            else vocabulary.ids(tokenizer(self.engine)(texts))
        )

    @property
    def reads_titles(self) -> bool:
        """Whether the embedding is the title's, too."""
        return units_of(self.network.variant) == "subwords"

    def embed_vectors(self, body_ids: Ids, title_ids: Ids | None = None) -> Floats:
        """The embeddings (n, hidden_size) of bodies (n, body_length), with titles (n, title_length) where `reads_titles`."""
        return self.network.encode(
            body_ids, self.batch_size, title_ids=title_ids if self.reads_titles else None
        )

    def known(self, body_ids: Ids, title_ids: Ids) -> npt.NDArray[np.bool_]:
        """(n,): whether there is a known word, or a unit, in what `embed_vectors` reads: in the title alone, too, where `reads_titles`."""
        known = self.vocabularies.body.known(body_ids)
        return known | self.vocabularies.title.known(title_ids) if self.reads_titles else known

    def title_vectors(self, body_ids: Ids) -> Titles:
        """Titles and embeddings of bodies (n, body_length). Raises TitlerError where the network gives what is no number."""
        title = self.vocabularies.title
        decoded = self.network.decode(body_ids, title.start, title.end, self.batch_size, self.beam_width)
        if not np.isfinite(decoded.log_probability).all():
            raise TitlerError(
                f"{self.name} gives probabilities that are not numbers.",
                "Train another model with a lower model.learning_rate.",
            )
        written = [title.text_of(ids) for ids in decoded.ids]
        told = self.vocabularies.body.known(body_ids) & np.array([text != "" for text in written], dtype=bool)
        confidences = np.where(told, np.exp(decoded.log_probability.astype(np.float64)), 0.0)
        abstained = ~told | (confidences < self.abstain_below)
        titles = ["" if silent else text for text, silent in zip(written, abstained, strict=True)]
        return Titles(titles, confidences, abstained, decoded.states)


@dataclass(frozen=True)
class Predictor(Model):
    """The one that trains, saves, and answers for many issues at a time. It needs the networks' library, seconds to import."""

    network: Network

    def save(self, directory: Path) -> None:
        """Writes network.keras, shape.json, body_vocabulary.json, title_vocabulary.json and predictor.json into `directory`."""
        from pipeline.networks.in_keras import saving

        saving.save(self.network, directory)
        self.vocabularies.save(directory)
        told = ("name", "engine", "abstain_below", "batch_size", "beam_width")
        about = {name: getattr(self, name) for name in told}
        (directory / FILE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Predictor:
        """What `save` wrote. Raises LakeError for a file that is missing or damaged, or that belongs to another model."""
        about = _About.read(directory)
        from pipeline.networks.in_keras import saving

        vocabularies = Vocabularies.load(directory)
        return cls(
            about.name,
            saving.load(directory),
            vocabularies,
            about.engine,
            about.abstain_below,
            about.batch_size,
            about.beam_width,
        )


@dataclass(frozen=True)
class LightPredictor(Model):
    """The same files and the same answers, ready in a fraction of a second: for one issue."""

    network: LightNetwork

    @classmethod
    def load(cls, directory: Path) -> LightPredictor:
        """What `Predictor.save` wrote. Raises LakeError as `Predictor.load`."""
        about = _About.read(directory)
        from pipeline.networks.in_numpy.network import LightNetwork

        network, vocabularies = LightNetwork.load(directory), Vocabularies.load(directory)
        return cls(
            about.name,
            network,
            vocabularies,
            about.engine,
            about.abstain_below,
            about.batch_size,
            about.beam_width,
        )


@dataclass(frozen=True)
class _About:
    """predictor.json."""

    name: str
    engine: Engine
    abstain_below: float
    batch_size: int
    beam_width: int

    @classmethod
    def read(cls, directory: Path) -> _About:
        """Raises LakeError where the file is missing or damaged."""
        try:
            about = json.loads((directory / FILE).read_text(encoding="utf-8"))
            name, engine, abstain_below, batch_size = (
                about[key] for key in ("name", "engine", "abstain_below", "batch_size")
            )
            tokenizer(engine)
            beam_width = int(about.get("beam_width", 1))  # files of before beam search do not say
            return cls(name, engine, float(abstain_below), int(batch_size), beam_width)
        except (OSError, ValueError, KeyError, TypeError, TitlerError) as error:
            raise LakeError(f"{directory / FILE} is missing or damaged: {error}", AGAIN) from None
