"""Which embedding network a model or a release has, and which model trained it.

A model with the network `copy` has two networks: a title network, and an embedding network with the
vocabularies of both. A new model may take the embedding network and the vocabularies of another model. The
model that trained an embedding network is its owner. Embeddings and similar issues are stored under the
owner's name, so a model that took the network has the embeddings of its owner.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pipeline.contracts import PREDICTOR
from pipeline.lake.pinned import Pinned, Plan

EMBEDDING = "embedding"
"""The fact in the plan of a model or a release that names an embedding network of another model."""


@dataclass(frozen=True)
class EmbeddingNetwork:
    """An embedding network: its owner, and the predictor of the owner."""

    model: str
    """name of the owner: the model that trained the embedding network"""
    predictor: str
    """folder of the owner's predictor"""
    digest: str
    """digest of the owner's predictor"""

    @property
    def fact(self) -> dict[str, Any]:
        """The fact for the plan of a model or a release that takes this network."""
        return {EMBEDDING: asdict(self)}


def taken_network(plan: Plan) -> EmbeddingNetwork | None:
    """Returns the embedding network that a model took from another model. `plan` is the plan of the model, or
    that of a release of the model. Returns None if the model trained its own embedding network."""
    fact = plan.facts.get(EMBEDDING)
    return EmbeddingNetwork(**fact) if fact else None


def network_of_model(model: Pinned) -> EmbeddingNetwork:
    """Returns the embedding network of a model, which is its own or a taken one. Raises UsageError if the
    model does not exist, or was to train its own network and was not trained."""
    embedding_network = taken_network(model.plan)
    if embedding_network is not None:
        return embedding_network
    predictor = model.members[PREDICTOR][0]
    return EmbeddingNetwork(model.name, predictor.folder, predictor.digest)


def network_of_release(plan: Plan) -> EmbeddingNetwork:
    """Returns the embedding network of a release's model. `plan` is the plan of the release."""
    facts = plan.facts
    own = EmbeddingNetwork(facts["model"], facts["predictor"], facts["predictor_digest"])
    return taken_network(plan) or own
