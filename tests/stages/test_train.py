"""train: a lake of literal issues in, a predictor out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipeline.lake.pinned import Pinned
from pipeline.networks import variants
from pipeline.networks.shape import Description
from pipeline.networks.variants import VARIANTS
from pipeline.predictor.loading import load_predictor
from pipeline.settings import Model
from pipeline.stages import train, vectorize
from tests.stages.literal_issues import CRASH, SECOND_CRASH, VALIDATION_CRASH, SubwordLake


def test_a_plan_from_before_a_setting_existed_trains_with_its_default(tmp_path: Path) -> None:
    subword_lake = SubwordLake(tmp_path, [CRASH, VALIDATION_CRASH], [SECOND_CRASH])
    small = subword_lake.settings.model.model_copy(
        update={"embedding_size": 4, "hidden_size": 4, "epochs": 1, "sample_titles": 0}
    )
    subword_lake.settings = subword_lake.settings.model_copy(update={"model": small})
    model = subword_lake.model()
    vectorize.run(subword_lake.lake, subword_lake.settings, model)
    remove_settings(model, "contrast_epochs", "beam_width", "floor_margin", "abstain_probability")
    model = Pinned(subword_lake.lake, "models", model.name)  # reads the plan again
    predictor = train.run(subword_lake.lake, subword_lake.settings, model)
    assert predictor.figures["variant"] == "copy"
    assert predictor.parameters["contrast_epochs"] == Model().contrast_epochs
    added = {"floor_margin", "abstain_probability"}  # 0.1.0 lacked them; its models must be found again
    assert added & predictor.parameters.keys() == set()
    assert load_predictor(subword_lake.lake, predictor.folder).beam_width == Model().beam_width


def test_the_most_frequent_units_of_titles_are_stored_as_the_shortlist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = dataclasses.replace(VARIANTS["copy"], shortlist_size=6)
    monkeypatch.setattr(variants, "VARIANTS", {**VARIANTS, "copy": short})
    subword_lake = SubwordLake(tmp_path, [CRASH, VALIDATION_CRASH], [SECOND_CRASH])
    small = subword_lake.settings.model.model_copy(
        update={"embedding_size": 4, "hidden_size": 4, "epochs": 1, "sample_titles": 0}
    )
    subword_lake.settings = subword_lake.settings.model_copy(update={"model": small})
    model = subword_lake.model()
    vectorize.run(subword_lake.lake, subword_lake.settings, model)
    predictor = train.run(subword_lake.lake, subword_lake.settings, model)
    with subword_lake.lake.local_copy(predictor) as folder:
        shortlist = Description.read(folder).shortlist
    assert shortlist is not None
    assert shortlist.tolist()[:4] == [0, 1, 2, 3]  # padding, unknown, _start_ and _end_
    assert len(shortlist) == 6


def test_a_finished_training_leaves_no_checkpoint_of_an_attempt_with_another_teacher(tmp_path: Path) -> None:
    subword_lake = SubwordLake(tmp_path, [CRASH, VALIDATION_CRASH], [SECOND_CRASH])
    small = subword_lake.settings.model.model_copy(
        update={"embedding_size": 4, "hidden_size": 4, "epochs": 1, "sample_titles": 0}
    )
    subword_lake.settings = subword_lake.settings.model_copy(update={"model": small})
    model = subword_lake.model()
    vectorize.run(subword_lake.lake, subword_lake.settings, model)
    for name in ("checkpoint-0a1b2c3d-0.5", "checkpoint-0a1b2c3d-0.5/teacher", "checkpoint-4e5f6a7b-1"):
        model.work_folder(name).put("part.npz", b"unfinished")
    train.run(subword_lake.lake, subword_lake.settings, model)
    assert subword_lake.lake.names("models/m") == ["members", "plan.json"]


def remove_settings(model: Pinned, *names: str) -> None:
    """Removes settings from the model's plan, as if they had not existed when it was opened."""
    path = f"models/{model.name}/plan.json"
    plan = model.lake.get_json(path)
    settings = plan["facts"]["model"]
    plan["facts"]["model"] = {name: value for name, value in settings.items() if name not in names}
    model.lake.put_json(path, plan)
