"""train: a lake of literal issues in, a predictor out."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
import uuid
from dataclasses import dataclass

import pytest

from pipeline.contracts import PREDICTOR
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.networks import variants
from pipeline.networks.in_keras.training import Figures
from pipeline.networks.shape import Description
from pipeline.networks.variants import VARIANTS
from pipeline.predictor.loading import load_predictor
from pipeline.settings import Model, Tracking
from pipeline.stages import train, vectorize
from tests.stages.literal_issues import CRASH, SECOND_CRASH, VALIDATION_CRASH, SubwordLake
from tests.support import stores

ADDED_SETTINGS = ("floor_margin", "abstain_probability")
"""Settings that 0.1.0 lacked; its models must be found again."""


class KilledError(BaseException):
    """Simulates the end of the process."""


@dataclass(frozen=True)
class Trained:
    """A lake, the predictor of its model `m`, and what happened in the training."""

    lake: Lake
    predictor: Manifest
    kept: list[str]
    """the files of the checkpoint after the machine of the training was gone"""
    resumed: list[tuple[str, int]]
    """the epochs that were trained on another machine"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Trained:
    """The plan of the model is from before some settings existed. Attempts with a teacher were interrupted.
    The shortlist has at most 6 units, because the vocabulary of the literal issues is small.

    The training is interrupted at the end of its second epoch, and resumed on another machine: only the lake
    is the same. The lake is in a bucket if the emulators are installed. `python -m tests.faults.nights` kills
    the process of a training.
    """
    folder = tmp_path_factory.mktemp("folder")
    root = str(folder / "lake")
    if stores.programs() is not None:
        request.getfixturevalue("object_stores")
        root = f"s3://{stores.BUCKET}/{uuid.uuid4().hex}"
    subword_lake = SubwordLake(root, [CRASH, VALIDATION_CRASH], [SECOND_CRASH])
    lake, small = (
        subword_lake.lake,
        subword_lake.settings.model.model_copy(
            update={"embedding_size": 4, "hidden_size": 4, "epochs": 2, "patience": 2, "sample_titles": 0}
        ),
    )
    settings = subword_lake.settings = subword_lake.settings.model_copy(
        update={"model": small, "tracking": Tracking(uri=f"sqlite:///{folder}/mlflow.db")}
    )
    model = subword_lake.model()
    vectorize.run(lake, settings, model)
    remove_settings(model, "contrast_epochs", "beam_width", *ADDED_SETTINGS)
    for name in ("checkpoint-0a1b2c3d-0.5", "checkpoint-0a1b2c3d-0.5/teacher", "checkpoint-4e5f6a7b-1"):
        model.work_folder(name).put("part.npz", b"unfinished")

    def kill_in_second_epoch(figures: Figures) -> None:
        if (figures.group, figures.epoch) == ("train", 2):
            raise KilledError  # before the checkpoint of this epoch

    resumed: list[tuple[str, int]] = []
    machine = folder / "machine"
    machine.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        short = dataclasses.replace(VARIANTS["copy"], shortlist_size=6)
        patch.setattr(variants, "VARIANTS", {**VARIANTS, "copy": short})
        with patch.context() as on_machine:
            on_machine.setattr(tempfile, "tempdir", str(machine))
            on_machine.setenv("HOME", str(machine))
            with pytest.raises(KilledError):
                train.run(lake, settings, Pinned(lake, "models", "m"), kill_in_second_epoch)
        shutil.rmtree(machine)
        kept = lake.names("models/m/checkpoint")
        predictor = train.run(
            Lake(root),
            settings,
            Pinned(Lake(root), "models", "m"),  # reads the plan again
            lambda figures: resumed.append((figures.group, figures.epoch)),
        )
    return Trained(lake, predictor, kept, resumed)


def test_a_training_resumes_after_its_last_checkpoint_when_its_machine_is_gone(trained: Trained) -> None:
    assert trained.kept == ["checkpoint.npz"]
    assert trained.resumed == [("train", 2)]
    assert trained.predictor.figures["epochs"] == 2
    assert Pinned(trained.lake, "models", "m").members[PREDICTOR] == [trained.predictor]
    assert trained.lake.names("models/m/checkpoint") == []


def test_a_plan_from_before_a_setting_existed_trains_with_its_default(trained: Trained) -> None:
    lake, predictor = trained.lake, trained.predictor
    assert predictor.figures["variant"] == "copy"
    assert predictor.parameters["contrast_epochs"] == Model().contrast_epochs
    assert set(ADDED_SETTINGS) & predictor.parameters.keys() == set()
    assert load_predictor(lake, predictor.folder).beam_width == Model().beam_width


def test_the_most_frequent_units_of_titles_are_stored_as_the_shortlist(trained: Trained) -> None:
    lake, predictor = trained.lake, trained.predictor
    shortlist = Description.read(lake.local_copy(predictor)).shortlist
    assert shortlist is not None
    assert shortlist.tolist()[:4] == [0, 1, 2, 3]  # padding, unknown, _start_ and _end_
    assert len(shortlist) == 6


def test_a_finished_training_leaves_no_checkpoint_of_an_attempt_with_another_teacher(
    trained: Trained,
) -> None:
    assert trained.lake.names("models/m") == ["members", "plan.json"]


def remove_settings(model: Pinned, *names: str) -> None:
    """Removes settings from the model's plan, as if they had not existed when it was opened."""
    path = f"models/{model.name}/plan.json"
    plan = json.loads(model.lake.get(path) or b"")
    settings = plan["facts"]["model"]
    plan["facts"]["model"] = {name: value for name, value in settings.items() if name not in names}
    model.lake.put_json(path, plan)
