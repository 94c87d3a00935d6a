"""vocab: opens a model. Pins its days, and makes its vocabularies from what it may learn from."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.compute.cluster import map_shards
from pipeline.dataset.split import Part, part_of
from pipeline.errors import UsageError
from pipeline.lake.batches import File, Lake, Manifest
from pipeline.lake.pinned import Pinned, PinnedDay, Plan, check_days, keep_mask, pin
from pipeline.networks.shape import units_of
from pipeline.settings import Settings, Text
from pipeline.stages import ROWS_WORTH_A_CLUSTER
from pipeline.text.markup import prepare
from pipeline.text.subwords import ISSUES_READ, Subwords, Units
from pipeline.text.vocabulary import Counts, Vocabularies, Vocabulary

VOCABULARY = "vocabulary"
PARTS: tuple[Part, ...] = ("train", "validation", "test")
Sizes = dict[str, int]


def count_part(shard: tuple[Manifest, File], lake: Lake, plan: Plan) -> tuple[Counts, Counts, Sizes]:
    """Counts of the words of bodies and of titles that may be learned from, and how many issues each part of the split has."""
    training, sizes = _learnable(shard, lake, plan, ["body", "title"])
    return (
        Counts.of(training.column("body").to_pylist()),
        Counts.of(training.column("title").to_pylist()),
        sizes,
    )


def size_part(shard: tuple[Manifest, File], lake: Lake, plan: Plan) -> Sizes:
    """How many issues each part of the split has."""
    return _learnable(shard, lake, plan, [])[1]


def prepare_part(shard: tuple[Manifest, File], lake: Lake, plan: Plan, every: int) -> list[str]:
    """The titles and bodies of one in `every` issue that may be learned from, prepared for units."""
    training, _ = _learnable(shard, lake, plan, ["body", "title"])
    chosen = training.take(np.arange(0, len(training), every))
    return [prepare(text or "") for name in ("title", "body") for text in chosen.column(name).to_pylist()]


def _learnable(
    shard: tuple[Manifest, File], lake: Lake, plan: Plan, columns: list[str]
) -> tuple[pa.Table, Sizes]:
    """These columns of the trainable issues that train, and how many trainable ones each part of the split has."""
    manifest, file = shard
    table = lake.read_part(manifest, file, ["issue_id", "repo", "trainable", *columns])
    wanted = table.column("trainable").to_numpy(zero_copy_only=False) & keep_mask(
        plan, manifest.day, table.column("issue_id").to_numpy()
    )
    table = table.filter(wanted)
    parts = [part_of(repo) for repo in table.column("repo").to_pylist()]
    sizes: Sizes = {part: parts.count(part) for part in PARTS}
    return table.filter(np.array([part == "train" for part in parts], dtype=bool)), sizes


@dataclass(frozen=True)
class Asked:
    """What a model is opened with; None is what the settings say, for the days all cleaned ones."""

    first: str | None = None
    last: str | None = None
    variant: str | None = None
    epochs: int | None = None
    file: str | None = None
    """SHA-256 of the file to learn from, where it is one instead of days"""

    def check(self) -> None:
        """Raises UsageError for a variant that there is not. Imports the networks' library only where one was asked for."""
        if self.variant is not None:
            from pipeline.networks.in_keras import check

            check(self.variant)


def open_model(
    lake: Lake, settings: Settings, model: Pinned, asked: Asked, taken: Sequence[PinnedDay] = ()
) -> Plan:
    """The model's plan, fixed when it is first opened: days, or what was `taken` of a file, and the settings of text and network.

    Raises UsageError where it is open already and something else is asked for now.
    """
    if not model.is_open():
        asked.check()
        chosen = {
            name: value
            for name, value in (("variant", asked.variant), ("epochs", asked.epochs))
            if value is not None
        }
        facts = {
            "asked": asdict(asked),
            "text": settings.text.model_dump(),
            "model": {**settings.model.model_dump(), **chosen},
        }
        return model.open(taken or pin(lake, check_days(lake, asked.first, asked.last)), facts)
    plan = model.plan()
    before = plan.facts["asked"]
    if any(value is not None and value != before.get(name) for name, value in asdict(asked).items()):
        raise UsageError(f"{model.name} is open already, with {before}.", "Open another model: titler vocab")
    return plan


def run(
    lake: Lake, settings: Settings, model: Pinned, asked: Asked, taken: Sequence[PinnedDay] = ()
) -> Manifest:
    """Opens the model and makes its vocabularies, once. It learns from the days asked for or, where it is a file's, from what was `taken`.

    Raises UsageError where nothing is there to learn from, or to validate with.
    """
    plan = open_model(lake, settings, model, asked, taken)
    if model.has_members(VOCABULARY):
        return model.members(VOCABULARY, "vocab")[0]
    subwords = units_of(plan.facts["model"]["variant"]) == "subwords"
    read = [model.issues(day) if subwords else model.tokens(day) for day in plan.days]
    learn = _subwords if subwords else _words
    vocabularies, sizes = learn(lake, settings, model, plan, read)
    draft = lake.draft(
        VOCABULARY, {"model": model.name}, [manifest.digest for manifest in read], plan.facts["text"]
    )
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        vocabularies.save(Path(folder))
        for path in sorted(Path(folder).iterdir()):
            draft.write_file(path.name, path.read_bytes())
    manifest = draft.commit(
        {
            "id": vocabularies.id,
            "body_size": vocabularies.body.size,
            "title_size": vocabularies.title.size,
            **sizes,
        }
    )
    model.set_members(VOCABULARY, [manifest])
    return manifest


def _words(
    lake: Lake, settings: Settings, model: Pinned, plan: Plan, tokens: Sequence[Manifest]
) -> tuple[Vocabularies, Sizes]:
    """The most frequent words of all tokens that may be learned from."""
    text = Text(**plan.facts["text"])
    counted = map_shards(
        count_part,
        list(lake.parts(tokens)),
        lake,
        plan,
        label="vocab",
        compute=settings.compute,
        heavy=_heavy(tokens),
    )
    sizes = _checked(lake, model, plan, [counts[2] for counts in counted])
    return Vocabularies(
        body=Vocabulary.fit(
            Counts.merge([counts[0] for counts in counted]),
            text.body_words,
            text.body_length,
            "pre",
            start_end=False,
        ),
        title=Vocabulary.fit(
            Counts.merge([counts[1] for counts in counted]),
            text.title_words,
            text.title_length,
            "post",
            start_end=True,
        ),
    ), sizes


def _subwords(
    lake: Lake, settings: Settings, model: Pinned, plan: Plan, issues: Sequence[Manifest]
) -> tuple[Vocabularies, Sizes]:
    """The units of ISSUES_READ issues that may be learned from, taken evenly over the days."""
    text, shards, heavy = Text(**plan.facts["text"]), list(lake.parts(issues)), _heavy(issues)
    sized = map_shards(size_part, shards, lake, plan, label="vocab", compute=settings.compute, heavy=heavy)
    sizes = _checked(lake, model, plan, sized)
    every = -(-sizes["train"] // ISSUES_READ)
    prepared = map_shards(
        prepare_part, shards, lake, plan, every, label="vocab, units", compute=settings.compute, heavy=heavy
    )
    units = Units.fit(chain.from_iterable(prepared), text.subwords)
    return Vocabularies(
        Subwords(units, text.body_units, start_end=False), Subwords(units, text.title_units, start_end=True)
    ), sizes


def _heavy(manifests: Sequence[Manifest]) -> bool:
    return sum(manifest.rows for manifest in manifests) > ROWS_WORTH_A_CLUSTER


def _checked(lake: Lake, model: Pinned, plan: Plan, parts: Sequence[Sizes]) -> Sizes:
    """The sizes together. Raises UsageError, and forgets the model, where one of those that a training needs is 0."""
    sizes: Sizes = {part: sum(size[part] for size in parts) for part in PARTS}
    if not sizes["train"] or not sizes["validation"]:
        lake.delete_folder(f"models/{model.name}")
        raise UsageError(
            f"{sizes['train']} trainable issues to learn from and {sizes['validation']} to validate with in {len(plan.days)} days; "
            f"both are needed, and whole repositories go to one side.",
            f"Ingest more days, of more repositories, than {plan.days[0].day} to {plan.days[-1].day}.",
        )
    return sizes


def vocabularies_of(lake: Lake, manifest: Manifest) -> Vocabularies:
    """The vocabularies in a batch of them, or in a predictor's."""
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        for file in manifest.files:
            if file.name.endswith("_vocabulary.json"):
                (Path(folder) / file.name).write_bytes(lake.read_file(manifest, file))
        return Vocabularies.load(Path(folder))
