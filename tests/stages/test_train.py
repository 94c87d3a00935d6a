"""train: a lake of literal issues in, a predictor out."""

from __future__ import annotations

import dataclasses

import pytest

from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.networks import variants
from pipeline.networks.shape import Description
from pipeline.networks.variants import VARIANTS
from pipeline.predictor.loading import load_predictor
from pipeline.settings import Model
from pipeline.stages import train, vectorize
from tests.stages.literal_issues import CRASH, SECOND_CRASH, VALIDATION_CRASH, SubwordLake

ADDED_SETTINGS = ("floor_margin", "abstain_probability")
"""Settings that 0.1.0 lacked; its models must be found again."""
Trained = tuple[Lake, Manifest]
"""a lake, and the predictor of its model `m`"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The plan of the model is from before some settings existed. Attempts with a teacher were interrupted.
    The shortlist has at most 6 units, because the vocabulary of the literal issues is small."""
    subword_lake = SubwordLake(tmp_path_factory.mktemp("lake"), [CRASH, VALIDATION_CRASH], [SECOND_CRASH])
    small = subword_lake.settings.model.model_copy(
        update={"embedding_size": 4, "hidden_size": 4, "epochs": 1, "sample_titles": 0}
    )
    subword_lake.settings = subword_lake.settings.model_copy(update={"model": small})
    model = subword_lake.model()
    vectorize.run(subword_lake.lake, subword_lake.settings, model)
    remove_settings(model, "contrast_epochs", "beam_width", *ADDED_SETTINGS)
    model = Pinned(subword_lake.lake, "models", model.name)  # reads the plan again
    for name in ("checkpoint-0a1b2c3d-0.5", "checkpoint-0a1b2c3d-0.5/teacher", "checkpoint-4e5f6a7b-1"):
        model.work_folder(name).put("part.npz", b"unfinished")
    with pytest.MonkeyPatch.context() as patch:
        short = dataclasses.replace(VARIANTS["copy"], shortlist_size=6)
        patch.setattr(variants, "VARIANTS", {**VARIANTS, "copy": short})
        return subword_lake.lake, train.run(subword_lake.lake, subword_lake.settings, model)


def test_a_plan_from_before_a_setting_existed_trains_with_its_default(trained: Trained) -> None:
    lake, predictor = trained
    assert predictor.figures["variant"] == "copy"
    assert predictor.parameters["contrast_epochs"] == Model().contrast_epochs
    assert set(ADDED_SETTINGS) & predictor.parameters.keys() == set()
    assert load_predictor(lake, predictor.folder).beam_width == Model().beam_width


def test_the_most_frequent_units_of_titles_are_stored_as_the_shortlist(trained: Trained) -> None:
    lake, predictor = trained
    folder = lake.local_copy(predictor)
    shortlist = Description.read(folder).shortlist
    assert shortlist is not None
    assert shortlist.tolist()[:4] == [0, 1, 2, 3]  # padding, unknown, _start_ and _end_
    assert len(shortlist) == 6


def test_a_finished_training_leaves_no_checkpoint_of_an_attempt_with_another_teacher(
    trained: Trained,
) -> None:
    lake, _ = trained
    assert lake.names("models/m") == ["members", "plan.json"]


def remove_settings(model: Pinned, *names: str) -> None:
    """Removes settings from the model's plan, as if they had not existed when it was opened."""
    path = f"models/{model.name}/plan.json"
    plan = model.lake.get_json(path)
    settings = plan["facts"]["model"]
    plan["facts"]["model"] = {name: value for name, value in settings.items() if name not in names}
    model.lake.put_json(path, plan)
