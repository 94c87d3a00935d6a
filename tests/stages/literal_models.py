"""Models without a network, and a registry that remembers which of them is champion."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.contracts import PREDICTOR
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import Plan
from pipeline.predictor.predictor import Predictor
from pipeline.tracking import Version


class FakeRegistry:
    """What the stages use of MLflow's registry. `models` are the champion and the previous champion."""

    def __init__(self, *models: str) -> None:
        self.models = list(models)
        self.reasons: list[str] = []

    def champion_and_previous(self) -> list[Version]:
        return [Version(model, "3", f"run of {model}", "copy") for model in self.models]

    def champion(self) -> Version | None:
        return next(iter(self.champion_and_previous()), None)

    def tag_titles(self, version: str, run_id: str, withheld: str, accepted_because: str) -> None:
        """Forgets the tags."""

    def promote(self, model: str, because: str = "") -> str:
        self.models = [model, *self.models[:1]]
        self.reasons.append(because)
        return "4"


def add_predictor(
    lake: Lake,
    name: str,
    predictor: Predictor,
    plan: Plan | None = None,
    figures: Mapping[str, Any] | None = None,
) -> Pinned:
    """A model with this predictor, which was trained on the days of `plan`. `figures` are those of the
    predictor's batch."""
    with tempfile.TemporaryDirectory() as folder:
        predictor.save(Path(folder, "predictor"))
        draft = lake.draft(PREDICTOR, {"model": name}, [name])
        draft.write_folder(Path(folder, "predictor"))
    model = Pinned(lake, "models", name)
    model.open(plan.days if plan else (), plan.facts if plan else {})
    model.members.put(PREDICTOR, [draft.commit(figures)])
    return model


def add_model(lake: Lake, name: str = "m", facts: Mapping[str, Any] | None = None, size: int = 2) -> Manifest:
    """A trained model whose predictor has no files, with these facts in its plan and embeddings of `size`
    numbers; returns the predictor."""
    predictor = lake.draft(PREDICTOR, {"model": name}).commit(
        {"variant": "copy", "vocabulary": "v", "hidden_size": size, "mlflow_run": f"run of {name}"}
    )
    model = Pinned(lake, "models", name)
    model.open([], dict(facts or {}))
    model.members.put(PREDICTOR, [predictor])
    return predictor
