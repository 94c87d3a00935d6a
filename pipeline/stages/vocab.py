"""vocab: opens a model. Pins its days, and makes its vocabularies from what it may learn from."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.compute import map_shards
from pipeline.errors import UsageError
from pipeline.lake import File, Lake, Manifest
from pipeline.pins import Pinned, Plan, keep_mask, pin
from pipeline.settings import Settings
from pipeline.split import part_of
from pipeline.stages import ROWS_WORTH_A_CLUSTER
from pipeline.text.vocabulary import Counts, Vocabularies, Vocabulary

VOCABULARY = "vocabulary"


def count_part(shard: tuple[Manifest, File], lake: Lake, plan: Plan) -> tuple[Counts, Counts, dict[str, int]]:
    """Counts of the words of bodies and of titles that may be learned from, and how many issues each part of the split has."""
    manifest, file = shard
    table = lake.read_part(manifest, file)
    wanted = table.column("trainable").to_numpy(zero_copy_only=False) & keep_mask(plan, manifest.day, table.column("issue_id").to_numpy())
    table = table.filter(wanted)
    parts = [part_of(repo) for repo in table.column("repo").to_pylist()]
    sizes = {part: parts.count(part) for part in ("train", "validation", "test")}
    training = table.filter(np.array([part == "train" for part in parts], dtype=bool))
    return Counts.of(training.column("body").to_pylist()), Counts.of(training.column("title").to_pylist()), sizes


def run(lake: Lake, settings: Settings, model: Pinned, days: list[str], facts: dict[str, Any]) -> Manifest:
    """The model's vocabularies, made once.

    Raises UsageError where nothing is there to learn from, or to validate with.
    """
    plan = model.plan() if model.is_open() else model.open(pin(lake, days), facts)
    tokens = [model.tokens(day) for day in plan.days]
    text = settings.text
    parameters = {
        "superseded": plan.superseded,
        "words": [text.body_words, text.title_words],
        "lengths": [text.body_length, text.title_length],
    }
    inputs = [manifest.digest for manifest in tokens]
    partition = {"model": model.name}
    found = lake.find(VOCABULARY, partition, inputs, parameters)
    if found is not None:
        model.set_members(VOCABULARY, [found])
        return found

    heavy = sum(manifest.rows for manifest in tokens) > ROWS_WORTH_A_CLUSTER
    counted = map_shards(count_part, list(lake.parts(tokens)), lake, plan, label="vocab", compute=settings.compute, heavy=heavy)
    sizes = {part: sum(counts[2][part] for counts in counted) for part in ("train", "validation", "test")}
    if not sizes["train"] or not sizes["validation"]:
        lake.delete(f"models/{model.name}")
        raise UsageError(
            f"{sizes['train']} trainable issues to learn from and {sizes['validation']} to validate with in {len(plan.days)} days; "
            f"both are needed, and whole repositories go to one side.",
            f"Ingest more days, of more repositories, than {plan.days[0].day} to {plan.days[-1].day}.",
        )
    vocabularies = Vocabularies(
        body=Vocabulary.fit(Counts.merge([counts[0] for counts in counted]), text.body_words, text.body_length, "pre", start_end=False),
        title=Vocabulary.fit(Counts.merge([counts[1] for counts in counted]), text.title_words, text.title_length, "post", start_end=True),
    )
    draft = lake.draft(VOCABULARY, partition, inputs, parameters)
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        vocabularies.save(Path(folder))
        for path in sorted(Path(folder).iterdir()):
            draft.write_file(path.name, path.read_bytes())
    manifest = draft.commit({"id": vocabularies.id, "body_size": vocabularies.body.size, "title_size": vocabularies.title.size, **sizes})
    model.set_members(VOCABULARY, [manifest])
    return manifest


def vocabularies_of(lake: Lake, manifest: Manifest) -> Vocabularies:
    """The vocabularies in a batch of them, or in a predictor's."""
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        for file in manifest.files:
            if file.name.endswith("_vocabulary.json"):
                (Path(folder) / file.name).write_bytes(lake.read_file(manifest, file))
        return Vocabularies.load(Path(folder))
