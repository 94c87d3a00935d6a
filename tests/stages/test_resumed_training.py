"""A training that is killed, and resumed on another machine: only the bucket with the lake is the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from pipeline.contracts import PREDICTOR
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.settings import LakeSettings, Model, Settings, Text, Tracking
from pipeline.stages import train, vectorize
from tests.stages.literal_issues import CRASH, SECOND_CRASH, VALIDATION_CRASH, SubwordLake
from tests.support.stores import BUCKET, Stores


def settings_of(root: str, tracking: str) -> Settings:
    """Settings with which a training has one epoch of contrastive pre-training and two epochs of titles."""
    model = Model(embedding_size=4, hidden_size=4, contrast_epochs=1, epochs=2, patience=2, sample_titles=0)
    return Settings(
        lake=LakeSettings(root=root),
        tracking=Tracking(uri=tracking),
        text=Text(subwords=300, body_units=12, title_units=6),
        model=model,
    )


def train_and_die(root: str, tracking: str) -> None:
    """Trains the model m. This process is killed at the end of the second epoch, before its checkpoint."""

    def kill_in_second_epoch(figures: Any) -> None:
        if (figures.group, figures.epoch) == ("train", 2):
            os.kill(os.getpid(), signal.SIGKILL)

    lake = Lake(root)
    train.run(lake, settings_of(root, tracking), Pinned(lake, "models", "m"), kill_in_second_epoch)


def test_a_training_resumes_after_its_last_checkpoint_when_its_machine_is_gone(
    object_stores: Stores, tmp_path: Path
) -> None:
    root, tracking = f"s3://{BUCKET}/{uuid.uuid4().hex}", f"sqlite:///{tmp_path}/mlflow.db"
    subword_lake = SubwordLake(root, [CRASH, VALIDATION_CRASH], [SECOND_CRASH])
    subword_lake.settings = settings_of(root, tracking)
    model = subword_lake.model()
    vectorize.run(subword_lake.lake, subword_lake.settings, model)

    machine = tmp_path / "machine"
    machine.mkdir()
    code = f"from {__name__} import train_and_die; train_and_die({root!r}, {tracking!r})"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]),
        "TMPDIR": str(machine),
        "HOME": str(machine),
    }
    killed = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=machine,
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert subword_lake.lake.names("models/m/checkpoint") == ["checkpoint.npz"]
    shutil.rmtree(machine)

    epochs: list[tuple[str, int]] = []
    predictor = train.run(
        subword_lake.lake,
        subword_lake.settings,
        model,
        lambda figures: epochs.append((figures.group, figures.epoch)),
    )
    assert epochs == [("train", 2)]
    assert predictor.figures["epochs"] == 2
    assert model.members[PREDICTOR] == [predictor]
    assert subword_lake.lake.names("models/m/checkpoint") == []
