"""Describes each variant of the network: a table of facts, such as the default beam width.

The implementations (`pipeline.networks.in_keras`, `pipeline.networks.in_numpy`) and all other parts of Titler
read these facts. This module does not import Keras, so the command line can import it quickly.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pipeline.errors import UsageError

Unit = Literal["words", "subwords"]


@dataclass(frozen=True)
class Variant:
    """The facts about a variant of the network that are the same in Keras and in NumPy."""

    units: Unit
    """what one id of a body or of a title stands for"""
    near_duplicate_distance: float
    """default of index.near_duplicate_distance: two issues whose embeddings have a smaller angular distance
    are near-duplicates"""
    beam_width: int
    """default beam width of decoding: number of candidate titles kept at each step"""
    greedy_may_repeat: bool
    """whether greedy decoding may repeat a token or a trigram; beam search never does"""
    trims_padding: bool
    """whether the network ignores padding at the end of a body, so that the padding may be cut off"""
    pretrains_contrastively: bool
    """whether contrastive pre-training of the embedding comes before the training on titles"""
    embedding_reads_titles: bool
    """whether the embedding is computed from body and title, as a bag of units (subwords); otherwise it is
    computed from the body alone, as the decoder's initial state"""
    learning_rate: float
    """default of model.learning_rate"""
    shortlist_size: int
    """number of the most frequent units (subwords) that decoding considers besides those of the body
    (`pipeline.networks.shortlist`); 0 if it considers the whole vocabulary"""
    eight_bits: bool
    """whether NumPy computes the large products of a new model with 8 bits per number"""
    faster_in_numpy: bool
    """whether NumPy takes less processor time than Keras on a CPU, also for many issues"""
    reads_texts: bool = False
    """whether the title network reads and writes texts, with a tokenizer of its own; otherwise it reads and
    writes ids of the model's vocabularies. Such a network exists in Keras only"""


_ARTICLE = Variant(
    units="words",
    near_duplicate_distance=0.35,
    beam_width=1,
    greedy_may_repeat=True,
    trims_padding=False,
    pretrains_contrastively=False,
    embedding_reads_titles=False,
    learning_rate=0.001,
    shortlist_size=0,
    eight_bits=False,
    faster_in_numpy=False,
)
VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "gru": _ARTICLE,
        "gru_cudnn": _ARTICLE,
        "copy": Variant(
            units="subwords",
            # Distances between the embeddings of this variant are larger. Of 15,815 issues of rust-lang/rust,
            # one in twenty has an older issue nearer than 0.7. Most of these older issues report the same
            # failure; at distances from 0.75 on, few do.
            near_duplicate_distance=0.7,
            beam_width=4,
            greedy_may_repeat=False,
            trims_padding=True,
            pretrains_contrastively=True,
            embedding_reads_titles=True,
            learning_rate=0.006,
            # The best 2,000 of 8,000 units cost 0.07 ROUGE-L; 1,000 would cost 0.35 (docs/experiments.md).
            shortlist_size=2000,
            eight_bits=True,  # 30% less processor time, the same ROUGE-L (docs/experiments.md)
            faster_in_numpy=True,
        ),
        "pretrained": Variant(
            units="subwords",
            near_duplicate_distance=0.7,  # the embedding is of the same kind as that of `copy`
            beam_width=4,
            greedy_may_repeat=False,
            trims_padding=True,
            pretrains_contrastively=True,
            embedding_reads_titles=True,
            learning_rate=0.0003,
            shortlist_size=0,
            eight_bits=False,
            faster_in_numpy=False,
            reads_texts=True,
        ),
    }
)


LIBRARY = "keras_hub"
"""The library of the variants that read texts. It is an optional dependency, the extra `pretrained`."""


def require_libraries(name: str) -> None:
    """Raises UsageError if the variant needs a library that is not installed."""
    if variant_of(name).reads_texts and importlib.util.find_spec(LIBRARY) is None:
        raise UsageError(
            f"The network {name} needs the library KerasHub, which is not installed.",
            "Install the extra `pretrained`:  pip install 'titler[pretrained]'",
        )


def variant_of(name: str) -> Variant:
    """Returns the facts about the variant with this name, such as `copy`.

    If there is no such variant, raises a UsageError that lists all names.
    """
    if name not in VARIANTS:
        raise UsageError(
            f"{name!r} is not a variant of the network.",
            f"Set model.variant to one of: {', '.join(VARIANTS)}",
        )
    return VARIANTS[name]
