"""Part of the stage `train`: reads from the lake what a training needs."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.dataset.split import Subset
from pipeline.dataset.training_batches import Ids, Targets, TrainingBatches
from pipeline.lake.batches import Lake
from pipeline.lake.embedding_network import EmbeddingNetwork, taken_network
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import Plan
from pipeline.networks.in_numpy.weights_file import read_table
from pipeline.networks.shape import Floats, Shape
from pipeline.networks.variants import variant_of
from pipeline.progress import track
from pipeline.settings import ADDED_SETTINGS, Model
from pipeline.text.markup import PROBLEM_FIRST
from pipeline.text.stored_vocabularies import load_vocabularies
from pipeline.text.subwords import SubwordVocabulary
from pipeline.text.title_targets import target_ids
from pipeline.text.vocabulary import Vocabularies

CHECKPOINT = "checkpoint"
"""The name of the folder for a training's checkpoint. With a teacher, the name only starts with this word."""


@dataclass(frozen=True)
class TrainingInputs:
    """What the training of a model reads from the lake: the model's plan, the batch of the lake that holds
    its vocabularies, and the batches of the table vectors_v1 (issues as ids)."""

    lake: Lake
    model: Pinned
    plan: Plan
    vocabulary: Manifest
    vectors: Sequence[Manifest]

    @property
    def network_settings(self) -> dict[str, Any]:
        """The settings `model.*`, as they were when the model was created. If a setting did not exist then,
        it has its default value. A learning rate of 0 is replaced by the default of the variant."""
        settings = Model(**self.plan.facts["model"]).model_dump()
        default_rate = variant_of(settings["variant"]).learning_rate
        return {**settings, "learning_rate": settings["learning_rate"] or default_rate}

    @property
    def key_settings(self) -> dict[str, Any]:
        """The settings `model.*` that help to identify the predictor. Settings that did not exist when the
        model was created are left out, so that the identity of an older model does not change."""
        missing = ADDED_SETTINGS - set(self.plan.facts["model"])
        return {name: value for name, value in self.network_settings.items() if name not in missing}

    @cached_property
    def vocabularies(self) -> Vocabularies:
        """The vocabularies of the model. They are loaded when they are first used."""
        return load_vocabularies(self.lake, self.vocabulary)

    @property
    def subset_sizes(self) -> dict[str, int]:
        """The number of trainable issues in each subset of the split: `train`, `validation` and `test`."""
        return {subset: self.vocabulary.figures[subset] for subset in ("train", "validation", "test")}

    @property
    def shape(self) -> Shape:
        """The sizes of the network's inputs, outputs and layers."""
        return Shape(
            body_vocabulary=self.vocabularies.body.size,
            title_vocabulary=self.vocabularies.title.size,
            body_length=self.vocabularies.body.length,
            title_length=self.vocabularies.title.length,
            embedding_size=self.network_settings["embedding_size"],
            hidden_size=self.network_settings["hidden_size"],
        )

    @property
    def taken_network(self) -> EmbeddingNetwork | None:
        """The embedding network that the model takes from another model; None if it trains its own."""
        return taken_network(self.plan)

    def table(self) -> Floats | None:
        """Returns the table from which embeddings are computed, if the model takes it from another model. The
        table is an array (units, size) with one vector per unit (subword). Returns None if the model trains
        its own table. Raises LakeError if the predictor of the other model is missing or damaged."""
        if self.taken_network is None:
            return None
        folder = self.lake.local_copy(self.lake.manifest(self.taken_network.predictor))
        return read_table(folder)

    def batches_in_order(self) -> Callable[[int], Iterator[tuple[Ids, Ids]]]:
        """Returns a function that takes the number of an epoch and yields the training batches. The issues
        are not shuffled: they have the order in which the lake stores them. A batch is a pair: bodies, and
        the titles that the network learns to write. The function shows no progress bar."""
        return self._batches("train", None, 1, title_targets(self.vocabularies))

    def batches(
        self, subset: Subset, label: str, run_length: int = 1, authors_titles: bool = False
    ) -> Callable[[int], Iterator[tuple[Ids, Ids]]]:
        """Returns a function that takes the number of an epoch and yields the epoch's training batches. A
        batch is a pair: the ids of bodies, and the ids of titles.

        The issues are those of one `subset` of the split; only the subset `train` is shuffled. If
        `run_length` is above 1, that many issues of the same repository follow each other. If
        `authors_titles` is true, the titles are those that the authors wrote. Otherwise they are the titles
        that the network learns to write, which may be shorter. Each epoch shows a progress bar with `label`.
        """
        settings = self.network_settings
        seed = settings["seed"] if subset == "train" else None
        targets = None if authors_titles else title_targets(self.vocabularies)
        batches = self._batches(subset, seed, run_length, targets)
        total = math.ceil(self.subset_sizes[subset] / settings["batch_size"])
        return lambda epoch: track(batches(epoch), f"{label}, epoch {epoch}", total)

    def _batches(
        self, subset: Subset, seed: int | None, run_length: int, targets: Targets | None
    ) -> TrainingBatches:
        return TrainingBatches(
            self.lake,
            self.vectors,
            self.plan,
            subset,
            (self.vocabularies.body.length, self.vocabularies.title.length),
            self.network_settings["batch_size"],
            seed,
            run_length,
            targets,
        )


def title_targets(vocabularies: Vocabularies) -> Targets | None:
    """Returns a function that computes the titles that a network learns to write. The function takes bodies,
    and the titles that their authors or a teacher wrote for them.

    Returns None if the network learns the titles unchanged. This is so if the network reads words instead of
    subwords, or if an older version of Titler created the model.
    """
    body, title = vocabularies.body, vocabularies.title
    if isinstance(body, SubwordVocabulary) and isinstance(title, SubwordVocabulary):
        return functools.partial(target_ids, body, title) if body.preparation >= PROBLEM_FIRST else None
    return None
