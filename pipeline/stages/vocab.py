"""Stage `vocab`: creates a model.

It records the current batches of the days to learn from, and builds the model's vocabularies from the issues
for training. If the model takes the embedding network of another model, it takes the vocabularies of that
model instead.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from pipeline.compute.cluster import map_shards
from pipeline.compute.derived_batches import worth_a_cluster
from pipeline.contracts import VOCABULARY
from pipeline.dataset.split import Subset, subset_of
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.embedding_network import taken_network
from pipeline.lake.manifest import File, Manifest
from pipeline.lake.pinned import Pinned, cleaned_days, pin_days
from pipeline.lake.plan import PinnedDay, Plan
from pipeline.networks.variants import require_libraries, variant_of
from pipeline.settings import Settings, Text
from pipeline.stages.champion_embedding import choose_embedding
from pipeline.text.markup import LATEST_PREPARATION, prepare, prepare_body
from pipeline.text.stored_vocabularies import load_vocabularies
from pipeline.text.subwords import MAX_TRAINING_ISSUES, BytePairEncoding, SubwordVocabulary
from pipeline.text.vocabulary import Counts, Vocabularies, Vocabulary

SUBSETS: tuple[Subset, ...] = ("train", "validation", "test")
SubsetSizes = dict[str, int]
Result = TypeVar("Result")


@dataclass(frozen=True)
class ModelRequest:
    """The options that a user gives when creating a model.

    `first` and `last` are the first and the last day to learn from, as YYYY-MM-DD. If `first` is None, the
    earliest day is the first. If `last` is None, the latest day is the last. If `variant`, `epochs` or
    `embedding` is None, the setting with this name is used.
    """

    first: str | None = None
    last: str | None = None
    variant: str | None = None
    epochs: int | None = None
    file: str | None = None
    """SHA-256 of the file to learn from; None if the model learns from days"""
    embedding: str | None = None
    """`champion`: take the embedding network of the champion; `new`: train one"""

    def check_variant(self) -> None:
        """Raises UsageError if the requested variant does not exist."""
        if self.variant is not None:
            variant_of(self.variant)


def run(
    lake: Lake, settings: Settings, model: Pinned, request: ModelRequest, file_days: Sequence[PinnedDay] = ()
) -> Manifest:
    """Creates the model, unless it exists, and builds its vocabularies. Returns the manifest of the batch
    with the vocabularies. If the model already has this batch, nothing is built.

    `file_days` is empty if the model learns from days, which `request` selects. If the model learns from a
    user's file, `file_days` has one entry, which describes the file. Raises UsageError if there are no issues
    to learn from, or none to validate with.
    """
    plan = open_model(lake, settings, model, request, file_days)
    if VOCABULARY in model.members:
        return model.members[VOCABULARY][0]
    uses_subwords = variant_of(plan.facts["model"]["variant"]).units == "subwords"
    sources = [lake.manifest(day.issues if uses_subwords else day.tokens) for day in plan.days]
    inputs = [manifest.digest for manifest in sources]
    embedding_network = taken_network(plan)
    if embedding_network is not None:
        vocabularies = load_vocabularies(lake, lake.manifest(embedding_network.predictor))
        sizes = _count_issues(lake, settings, model, plan, sources)
        inputs.append(embedding_network.digest)
    else:
        fit = _fit_subwords if uses_subwords else _fit_words
        vocabularies, sizes = fit(lake, settings, model, plan, sources)
    draft = lake.draft(VOCABULARY, {"model": model.name}, inputs, plan.facts["text"])
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        vocabularies.save(Path(folder))
        draft.write_folder(Path(folder))
    manifest = draft.commit(
        {
            "id": vocabularies.id,
            "body_size": vocabularies.body.size,
            "title_size": vocabularies.title.size,
            **sizes,
        }
    )
    model.members.put(VOCABULARY, [manifest])
    return manifest


def open_model(
    lake: Lake, settings: Settings, model: Pinned, request: ModelRequest, file_days: Sequence[PinnedDay] = ()
) -> Plan:
    """Returns the plan of a model: the batches of its days, and the settings `text.*` and `model.*`. If the
    model takes the embedding network of the champion, the plan also says which network that is.

    If the model does not exist yet, the plan is made from `request` and written. Raises UsageError if the
    model exists and was created with other options.
    """
    if not model.is_open():
        request.check_variant()
        options = {"variant": request.variant, "epochs": request.epochs, "embedding": request.embedding}
        overrides = {name: value for name, value in options.items() if value is not None}
        text, network = settings.text.model_dump(), {**settings.model.model_dump(), **overrides}
        _check_preset(network)
        days = file_days or pin_days(lake, cleaned_days(lake, request.first, request.last))
        choice = choose_embedding(lake, settings, network, text)
        return model.open(days, {"asked": asdict(request), "text": text, "model": network, **choice.facts})
    plan = model.plan
    opened_with = plan.facts["asked"]
    if any(value is not None and value != opened_with.get(name) for name, value in asdict(request).items()):
        raise UsageError(
            f"Model {model.name} exists already, but not with the options that you gave. "
            f"It was created with these options: {opened_with}.",
            "Create another model: titler vocab",
        )
    return plan


def _check_preset(network: Mapping[str, Any]) -> None:
    """Raises UsageError if the variant needs a library that is not installed, or if it needs a preset and
    `model.preset` is empty. `network` are the settings `model.*`."""
    require_libraries(network["variant"])
    if variant_of(network["variant"]).reads_texts and not network["preset"]:
        raise UsageError(
            f"The network {network['variant']} fine-tunes a preset, but the setting model.preset is empty.",
            "Set it to a folder, or to a preset of Hugging Face or Kaggle, for example:  "
            "TITLER_MODEL__PRESET=hf://google/flan-t5-small",
        )


def count_words(shard: tuple[Manifest, File], lake: Lake, plan: Plan) -> tuple[Counts, Counts, SubsetSizes]:
    """Counts the words of the training issues in one file of tokens. Returns the counts of words in
    bodies, the counts of words in titles, and the number of trainable issues in each subset of the split."""
    training, sizes = _training_rows(shard, lake, plan, ["body", "title"])
    body, title = (Counts.of(training.column(name).to_pylist()) for name in ("body", "title"))
    return body, title, sizes


def count_trainable(shard: tuple[Manifest, File], lake: Lake, plan: Plan) -> SubsetSizes:
    """Returns the number of trainable issues in one file, for each subset of the split (train, validation,
    test)."""
    return _training_rows(shard, lake, plan, [])[1]


def prepare_part(shard: tuple[Manifest, File], lake: Lake, plan: Plan, step: int) -> list[str]:
    """Returns texts from which subwords are learned. They are the titles and then the bodies of every
    `step`-th training issue in one file, after removal of markup and machine output."""
    training, _ = _training_rows(shard, lake, plan, ["body", "title"])
    sample = training.take(np.arange(0, len(training), step))
    titles, bodies = (sample.column(name).to_pylist() for name in ("title", "body"))
    return [
        *(prepare(title or "") for title in titles),
        *(prepare_body(body or "", LATEST_PREPARATION) for body in bodies),
    ]


def _training_rows(
    shard: tuple[Manifest, File], lake: Lake, plan: Plan, columns: list[str]
) -> tuple[pa.Table, SubsetSizes]:
    """Reads one file of issues or tokens. Returns `columns` of the trainable issues in the training subset,
    and the number of trainable issues in each subset of the split."""
    manifest, file = shard
    table = lake.read_part(manifest, file, ["issue_id", "repo", "trainable", *columns])
    trainable = table.column("trainable").to_numpy(zero_copy_only=False)
    table = table.filter(trainable & plan.keep_mask(manifest.day, table.column("issue_id").to_numpy()))
    subsets = [subset_of(repo) for repo in table.column("repo").to_pylist()]
    sizes: SubsetSizes = {subset: subsets.count(subset) for subset in SUBSETS}
    return table.filter(np.array([subset == "train" for subset in subsets], dtype=bool)), sizes


def _fit_words(
    lake: Lake, settings: Settings, model: Pinned, plan: Plan, tokens: Sequence[Manifest]
) -> tuple[Vocabularies, SubsetSizes]:
    """Builds the model's vocabularies from the most frequent words of its training issues. Returns the
    vocabularies, and the number of trainable issues in each subset of the split."""
    text = Text(**plan.facts["text"])
    counted = _map_files(count_words, lake, settings, plan, tokens)
    sizes = _total_sizes(model, plan, [sizes for *_, sizes in counted])
    body, title = (
        Counts.merge(column) for column in zip(*[(body, title) for body, title, _ in counted], strict=True)
    )
    return Vocabularies(
        body=Vocabulary.fit(body, text.body_words, text.body_length, "pre", start_end=False),
        title=Vocabulary.fit(title, text.title_words, text.title_length, "post", start_end=True),
    ), sizes


def _fit_subwords(
    lake: Lake, settings: Settings, model: Pinned, plan: Plan, issues: Sequence[Manifest]
) -> tuple[Vocabularies, SubsetSizes]:
    """Builds the model's vocabularies of subwords. Returns the vocabularies, and the number of trainable
    issues in each subset of the split.

    The subwords are learned from at most MAX_TRAINING_ISSUES training issues, sampled evenly over the days.
    """
    text = Text(**plan.facts["text"])
    sizes = _count_issues(lake, settings, model, plan, issues)
    step = -(-sizes["train"] // MAX_TRAINING_ISSUES)
    prepared = _map_files(prepare_part, lake, settings, plan, issues, step, label="vocab, units")
    units = BytePairEncoding.fit(chain.from_iterable(prepared), text.subwords)
    return Vocabularies(
        SubwordVocabulary(units, text.body_units, start_end=False, preparation=LATEST_PREPARATION),
        SubwordVocabulary(units, text.title_units, start_end=True),
    ), sizes


def _count_issues(
    lake: Lake, settings: Settings, model: Pinned, plan: Plan, issues: Sequence[Manifest]
) -> SubsetSizes:
    """Returns the number of trainable issues in each subset of the split (train, validation, test). If there
    are none for training or none for validation, deletes the model and raises UsageError."""
    return _total_sizes(model, plan, _map_files(count_trainable, lake, settings, plan, issues))


def _map_files(
    function: Callable[..., Result],
    lake: Lake,
    settings: Settings,
    plan: Plan,
    batches: Sequence[Manifest],
    *arguments: int,
    label: str = "vocab",
) -> list[Result]:
    """Calls function(file, lake, plan, *arguments) for each file of the batches. Returns the results in the
    order of the files. The calls run on a Dask cluster if there are many rows. `label` names the progress
    bar."""
    return map_shards(
        function,
        list(lake.parts(batches)),
        lake,
        plan,
        *arguments,
        label=label,
        compute=settings.compute,
        worth_a_cluster=worth_a_cluster(batches),
    )


def _total_sizes(model: Pinned, plan: Plan, sizes_by_shard: Sequence[SubsetSizes]) -> SubsetSizes:
    """Adds up the numbers of trainable issues over all files. Returns one sum for each subset of the split
    (train, validation, test). If the sum for train or validation is 0, deletes the model and raises
    UsageError."""
    sizes: SubsetSizes = {
        subset: sum(shard_sizes[subset] for shard_sizes in sizes_by_shard) for subset in SUBSETS
    }
    if not sizes["train"] or not sizes["validation"]:
        model.delete()
        raise UsageError(
            f"The cleaned days from {plan.days[0].day} to {plan.days[-1].day} have {sizes['train']} "
            f"issues for training and {sizes['validation']} for validation. Both numbers must be above 0. "
            "All issues of a repository are in the same part of the split (training, validation or test), so "
            "there must be enough repositories.",
            "Extract and clean more days, then create the model again.",
        )
    return sizes
