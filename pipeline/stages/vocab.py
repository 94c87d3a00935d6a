"""vocab: opens a model. Pins its days, and makes its vocabularies from what it may learn from."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline.compute import map_shards
from pipeline.errors import UsageError
from pipeline.lake import File, Lake, Manifest
from pipeline.pins import Pinned, Plan, check_days, keep_mask, pin
from pipeline.settings import Settings, Text
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


@dataclass(frozen=True)
class Asked:
    """What a model is opened with; None is what the settings say, for the days all cleaned ones."""

    first: str | None = None
    last: str | None = None
    variant: str | None = None
    epochs: int | None = None

    def check(self) -> None:
        """Raises UsageError for a variant that there is not. Imports the networks' library only where one was asked for."""
        if self.variant is not None:
            from pipeline.models import check

            check(self.variant)


def open_model(lake: Lake, settings: Settings, model: Pinned, asked: Asked) -> Plan:
    """The model's plan, fixed when it is first opened: days, and the settings of text and network.

    Raises UsageError where it is open already and something else is asked for now.
    """
    if not model.is_open():
        asked.check()
        chosen = {name: value for name, value in (("variant", asked.variant), ("epochs", asked.epochs)) if value is not None}
        facts = {"asked": asdict(asked), "text": settings.text.model_dump(), "model": {**settings.model.model_dump(), **chosen}}
        return model.open(pin(lake, check_days(lake, asked.first, asked.last)), facts)
    plan = model.plan()
    before = plan.facts["asked"]
    if any(value is not None and value != before[name] for name, value in asdict(asked).items()):
        raise UsageError(f"{model.name} is open already, with {before}.", "Open another model: titler vocab")
    return plan


def run(lake: Lake, settings: Settings, model: Pinned, asked: Asked) -> Manifest:
    """Opens the model and makes its vocabularies, once.

    Raises UsageError where nothing is there to learn from, or to validate with.
    """
    plan = open_model(lake, settings, model, asked)
    if model.has_members(VOCABULARY):
        return model.members(VOCABULARY, "vocab")[0]
    tokens = [model.tokens(day) for day in plan.days]
    text = Text(**plan.facts["text"])
    heavy = sum(manifest.rows for manifest in tokens) > ROWS_WORTH_A_CLUSTER
    counted = map_shards(count_part, list(lake.parts(tokens)), lake, plan, label="vocab", compute=settings.compute, heavy=heavy)
    sizes = {part: sum(counts[2][part] for counts in counted) for part in ("train", "validation", "test")}
    if not sizes["train"] or not sizes["validation"]:
        lake.delete_folder(f"models/{model.name}")
        raise UsageError(
            f"{sizes['train']} trainable issues to learn from and {sizes['validation']} to validate with in {len(plan.days)} days; "
            f"both are needed, and whole repositories go to one side.",
            f"Ingest more days, of more repositories, than {plan.days[0].day} to {plan.days[-1].day}.",
        )
    vocabularies = Vocabularies(
        body=Vocabulary.fit(Counts.merge([counts[0] for counts in counted]), text.body_words, text.body_length, "pre", start_end=False),
        title=Vocabulary.fit(Counts.merge([counts[1] for counts in counted]), text.title_words, text.title_length, "post", start_end=True),
    )
    draft = lake.draft(VOCABULARY, {"model": model.name}, [manifest.digest for manifest in tokens], plan.facts["text"])
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
