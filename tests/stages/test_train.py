"""train: a lake of literal issues in, a predictor out."""

from __future__ import annotations

from pathlib import Path

from pipeline.lake.pinned import Pinned
from pipeline.predictor.loading import load_predictor
from pipeline.settings import Model
from pipeline.stages import train, vectorize
from tests.stages.test_subwords import AGAIN, CRASH, OTHER, Here


def test_a_plan_of_before_a_setting_existed_trains_with_its_default(tmp_path: Path) -> None:
    here = Here(tmp_path, [CRASH, OTHER], [AGAIN])
    small = here.settings.model.model_copy(
        update={"embedding_size": 4, "hidden_size": 4, "epochs": 1, "sample_titles": 0}
    )
    here.settings = here.settings.model_copy(update={"model": small})
    model = here.model()
    vectorize.run(here.lake, here.settings, model)
    older(model, "contrast_epochs", "beam_width")
    made = train.run(here.lake, here.settings, model)
    assert made.figures["variant"] == "copy"
    assert made.parameters["contrast_epochs"] == Model().contrast_epochs
    assert load_predictor(here.lake, made.folder).beam_width == Model().beam_width


def older(model: Pinned, *settings: str) -> None:
    """Takes settings out of the model's plan, as if they had not existed when it was pinned."""
    path = f"models/{model.name}/plan.json"
    plan = model.lake.get_json(path)
    plan["facts"]["model"] = {
        name: value for name, value in plan["facts"]["model"].items() if name not in settings
    }
    model.lake.put_json(path, plan)
