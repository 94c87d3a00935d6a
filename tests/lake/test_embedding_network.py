"""Which model trained the embedding network of a model or a release."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import PREDICTOR
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.embedding_network import (
    EmbeddingNetwork,
    network_of_model,
    network_of_release,
    taken_network,
)
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import Plan

TAKEN = EmbeddingNetwork("owner", "predictor/model=owner/1", "ab")
RELEASE = {"model": "m", "predictor": "predictor/model=m/1", "predictor_digest": "cd"}


def plan(facts: Mapping[str, Any]) -> Plan:
    return Plan((), {}, dict(facts), "")


def test_a_plan_from_before_the_fact_existed_has_the_network_of_its_own_model() -> None:
    assert taken_network(plan(RELEASE)) is None
    assert network_of_release(plan(RELEASE)) == EmbeddingNetwork("m", "predictor/model=m/1", "cd")


def test_a_release_has_the_network_that_its_model_took() -> None:
    assert TAKEN.fact == {
        "embedding": {"model": "owner", "predictor": "predictor/model=owner/1", "digest": "ab"}
    }
    assert network_of_release(plan(RELEASE | TAKEN.fact)) == TAKEN


def test_a_model_has_its_own_network_or_the_one_that_it_took(tmp_path: Path) -> None:
    own, taker = (Pinned(Lake(str(tmp_path)), "models", name) for name in ("own", "taker"))
    own.open([], {})
    taker.open([], TAKEN.fact)
    with pytest.raises(UsageError, match="Model own has no predictor yet"):
        network_of_model(own)
    predictor = own.lake.draft(PREDICTOR, {"model": "own"}).commit()
    own.members.put(PREDICTOR, [predictor])
    assert network_of_model(own) == EmbeddingNetwork("own", predictor.folder, predictor.digest)
    assert network_of_model(taker) == TAKEN
