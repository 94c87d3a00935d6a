"""Part of the stage `vocab`: decides whether a new model takes the embedding network of the champion.

A release stores embeddings and similar issues. They can be reused as long as the embedding network is the
same. So if a new model takes the champion's embedding network, no issue needs to be embedded again after the
promotion of the new model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.contracts import PREDICTOR
from pipeline.lake.batches import Lake
from pipeline.lake.embedding_network import EmbeddingNetwork, network_of_model
from pipeline.lake.pinned import Pinned
from pipeline.networks.variants import variant_of
from pipeline.settings import Settings
from pipeline.text.markup import LATEST_PREPARATION
from pipeline.text.stored_vocabularies import load_vocabularies
from pipeline.text.subwords import SubwordVocabulary
from pipeline.tracking import open_tracking

SUBWORD_SETTINGS = ("subwords", "body_units", "title_units")
"""The settings text.* that determine vocabularies of subwords."""
SIZE_SETTINGS = ("embedding_size", "hidden_size")
"""The settings model.* that determine the size of an embedding."""
REASON = "new_embedding_because"
"""The fact in the plan of a model that says why the model trains its own embedding network."""


@dataclass(frozen=True)
class EmbeddingChoice:
    """The decision whether a new model takes an embedding network from the champion.

    `network` is the network that the model takes. If it takes none, `network` is None and `reason` says why.
    In one case, `reason` is empty although `network` is None: a model whose title network also computes the
    embeddings has no embedding network of its own.
    """

    network: EmbeddingNetwork | None
    reason: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """The entries in the plan of the new model that record this choice."""
        if self.network is not None:
            return self.network.fact
        return {REASON: self.reason} if self.reason else {}


def choose_embedding(
    lake: Lake, settings: Settings, network: Mapping[str, Any], text: Mapping[str, Any]
) -> EmbeddingChoice:
    """Decides whether a new model takes the champion's embedding network or trains its own.

    `network` and `text` are the settings `model.*` and `text.*` of the new model. The new model takes the
    champion's network under three conditions:

    - The setting `model.embedding` is "champion".
    - There is a champion, and its trained network is in the lake.
    - Training would give a network of the same kind: both networks compute embeddings from sets of subwords,
      and have the same sizes, the same text preparation and the same settings of the vocabularies.

    If the champion itself took its embedding network from an older model, the new model takes it from that
    older model.
    """
    if not variant_of(network["variant"]).pretrains_contrastively:
        return EmbeddingChoice(None)  # the title network computes the embedding
    if network["embedding"] == "new":
        return EmbeddingChoice(None, "model.embedding is new")
    if not lake.names(PREDICTOR):
        return EmbeddingChoice(None, "no model is trained yet")  # MLflow, which is slow, is not asked
    champion = open_tracking(settings, lake).champion()
    if champion is None:
        return EmbeddingChoice(None, "no model is champion")
    model = Pinned(lake, "models", champion.model)
    if not model.is_open() or PREDICTOR not in model.members:
        return EmbeddingChoice(None, f"the champion {champion.model} is not in this lake")
    differences = _differences(lake, model, network, text)
    if differences:
        return EmbeddingChoice(
            None, f"the champion {champion.model} has another {' and another '.join(differences)}"
        )
    return EmbeddingChoice(network_of_model(model))


def _differences(
    lake: Lake, champion: Pinned, network: Mapping[str, Any], text: Mapping[str, Any]
) -> list[str]:
    """Returns the properties in which the champion's embedding network differs from the one that the new
    model would train. An example is "model.hidden_size"."""
    facts = champion.facts
    if not variant_of(facts["model"]["variant"]).pretrains_contrastively:
        return ["model.variant"]
    differences = [
        *(f"model.{name}" for name in SIZE_SETTINGS if facts["model"].get(name) != network[name]),
        *(f"text.{name}" for name in SUBWORD_SETTINGS if facts["text"].get(name) != text[name]),
    ]
    body = load_vocabularies(lake, champion.members[PREDICTOR][0]).body
    if not isinstance(body, SubwordVocabulary) or body.preparation != LATEST_PREPARATION:
        differences.append("preparation of the text, that of an earlier version of Titler")
    return differences
