"""What each variant of the network is, in one table.

The implementations (`pipeline.networks.in_keras`, `pipeline.networks.in_numpy`) and all other parts of Titler
read these facts; none of them repeats one. Imports no library of networks, so the command line can read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pipeline.errors import UsageError

Unit = Literal["words", "subwords"]


@dataclass(frozen=True)
class Variant:
    """The facts about a variant that do not depend on the library that computes it."""

    units: Unit
    """what one id of a body or of a title stands for"""
    near_duplicate_distance: float
    """default of index.near_duplicate_distance: two issues whose embeddings have a smaller angular distance
    are near-duplicates"""
    beam_width: int
    """default beam width of decoding: candidates kept at each step"""
    greedy_may_repeat: bool
    """whether greedy decoding may repeat a token or a trigram; beam search never does"""
    trims_padding: bool
    """whether the network ignores padding behind a body, so that it may be cut off"""
    pretrains_contrastively: bool
    """whether contrastive pre-training comes before titles are learned"""
    embedding_reads_titles: bool
    """whether the embedding is computed from body and title, as a bag of units; otherwise it is the decoder's
    initial state, which depends on the body alone"""


_ARTICLE = Variant(
    units="words",
    near_duplicate_distance=0.35,
    beam_width=1,
    greedy_may_repeat=True,
    trims_padding=False,
    pretrains_contrastively=False,
    embedding_reads_titles=False,
)
VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "gru": _ARTICLE,
        "gru_cudnn": _ARTICLE,
        "copy": Variant(
            units="subwords",
            # Distances between its vectors are larger. Of 15,815 issues of rust-lang/rust one in twenty has
            # an older issue nearer than 0.7, mostly the same failure reported again; from 0.75 on few
            # neighbours are.
            near_duplicate_distance=0.7,
            beam_width=4,
            greedy_may_repeat=False,
            trims_padding=True,
            pretrains_contrastively=True,
            embedding_reads_titles=True,
        ),
    }
)


def variant_of(name: str) -> Variant:
    """The variant with this name. Raises UsageError, which lists the variants, if there is none."""
    if name not in VARIANTS:
        raise UsageError(
            f"{name!r} is not a variant of the network.",
            f"Set model.variant to one of: {', '.join(VARIANTS)}",
        )
    return VARIANTS[name]
