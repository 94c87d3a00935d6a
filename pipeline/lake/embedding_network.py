"""Says which embedding network a model or a release has, and which model trained this network.

A model of the variant `copy` has two networks: one that writes titles, and one that computes embeddings. Both
use the same vocabularies. A new model may take the embedding network and the vocabularies of an earlier model
instead of training its own. The model that trained an embedding network is its owner. Embeddings and similar
issues are stored under the owner's name, so models that took the network share these tables.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pipeline.contracts import PREDICTOR
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import Plan

EMBEDDING = "embedding"
"""The fact in the plan of a model or a release that names an embedding network of another model."""


@dataclass(frozen=True)
class EmbeddingNetwork:
    """An embedding network, described by the model that trained it (its owner) and the owner's predictor."""

    model: str
    """name of the owner: the model that trained the embedding network"""
    predictor: str
    """folder of the owner's predictor"""
    digest: str
    """digest of the owner's predictor"""

    @property
    def fact(self) -> dict[str, Any]:
        """The entry `embedding` of a plan. It says that a model took this network from another model. The
        entry is in the plan of the model and in the plans of the model's releases."""
        return {EMBEDDING: asdict(self)}


def taken_network(plan: Plan) -> EmbeddingNetwork | None:
    """Returns the embedding network that a model took from another model. Returns None if the model has an
    embedding network of its own. `plan` is the plan of the model, or the plan of a release of the model."""
    fact = plan.facts.get(EMBEDDING)
    return EmbeddingNetwork(**fact) if fact else None


def network_of_model(model: Pinned) -> EmbeddingNetwork:
    """Returns the embedding network that a model uses: its own, or one that it took from another model.
    Raises UsageError if the model does not exist, or if it took no network and is not trained yet."""
    embedding_network = taken_network(model.plan)
    if embedding_network is not None:
        return embedding_network
    predictor = model.members[PREDICTOR][0]
    return EmbeddingNetwork(model.name, predictor.folder, predictor.digest)


def network_of_release(plan: Plan) -> EmbeddingNetwork:
    """Returns the embedding network that a release's model uses. `plan` is the plan of the release."""
    facts = plan.facts
    own = EmbeddingNetwork(facts["model"], facts["predictor"], facts["predictor_digest"])
    return taken_network(plan) or own
