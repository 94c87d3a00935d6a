"""Runs, versions and aliases in a real MLflow on SQLite."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import TitlerError, UsageError
from pipeline.models import Shape, build
from pipeline.models.training import EpochFigures, fit
from pipeline.predictor import Predictor
from pipeline.text.vocabulary import Vocabularies, Vocabulary
from pipeline.tracking import Tracking, Version

WORDS = ("crash", "window", "close", "number", "error", "theme")
BODIES = ["The window did not close", None, "error 404: crash!", "nothing known"]


@dataclass(frozen=True)
class Registry:
    """An MLflow with two registered versions, m1 and m2, of one trained predictor."""

    tracking: Tracking
    root: Path
    predictor: Predictor
    runs: dict[str, str]


def trained(folder: Path) -> Predictor:
    """A tiny network that learned to repeat bodies of two words."""
    vocabularies = Vocabularies(Vocabulary(WORDS, 4, "pre", False), Vocabulary(("_start_", "_end_", *WORDS), 5, "post", True))
    rng = np.random.default_rng(0)
    texts = [[WORDS[number] for number in pair] for pair in rng.integers(0, len(WORDS), (64, 2))]
    batch = vocabularies.body.ids(texts), vocabularies.title.ids(texts)
    network = build("gru", Shape(8, 10, 4, 5, embedding_size=6, hidden_size=6), seed=1)
    fit(network, lambda _: iter([batch]), lambda _: iter([batch]), epochs=25, learning_rate=0.05, patience=25, checkpoint=folder,
        on_epoch=lambda _: None, seed=1)  # fmt: skip
    return Predictor("m1", network, vocabularies, "titler", 0.0, 8)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    root = tmp_path_factory.mktemp("lake")
    tracking = Tracking(f"sqlite:///{root}/new/mlflow.db", "titler", "titler", str(root / "new" / "mlflow"))
    assert (tracking.champion(), tracking.aliased(), tracking.version_of("m1")) == (None, [], None)
    predictor = trained(root / "checkpoint")
    predictor.save(root / "predictor")
    runs = {}
    for model, variant in (("m1", "gru"), ("m2", "gru_cudnn")):
        with tracking.training_run(model, {"variant": variant, "epochs": 3}, {"titler.vocabulary": "abc"}) as run:
            runs[model] = run.id
        tracking.register(run.id, root / "predictor", model)
    return Registry(tracking, root, predictor, runs)


def figures(epoch: int, loss: float) -> EpochFigures:
    return EpochFigures(epoch, 10, 0.001, loss, loss, 0.5, loss + 1, loss + 1, 0.25, 2.0)


def test_importing_it_does_not_import_mlflow() -> None:
    command = "import sys, pipeline.tracking; print([name for name in ('mlflow', 'keras', 'matplotlib', 'pandas') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_run_keeps_parameters_tags_and_the_figures_of_every_epoch(registry: Registry) -> None:
    with registry.tracking.training_run("kept", {"epochs": 2, "variant": "gru"}, {"titler.vocabulary": "abc"}) as run:
        run.epoch(figures(1, 5.0))
        run.epoch(figures(2, 4.0))
    found = registry.tracking._client.get_run(run.id)
    assert (found.info.run_name, found.info.status) == ("kept", "FINISHED")
    assert found.data.params == {"epochs": "2", "variant": "gru"}
    assert (found.data.tags["titler.model"], found.data.tags["titler.vocabulary"]) == ("kept", "abc")
    assert [(metric.step, metric.value) for metric in registry.tracking._client.get_metric_history(run.id, "validation_loss")] == [
        (1, 6),
        (2, 5),
    ]
    assert found.data.metrics["loss"] == 4.0


def test_pictures_tables_and_files_lie_in_the_artifact_root(registry: Registry) -> None:
    with registry.tracking.training_run("files", {}, {}) as run:
        run.loss_picture([figures(1, 5.0), figures(2, 4.0), figures(3, 4.5)])
        run.artifacts(registry.root / "predictor", "predictor")
    folder = registry.root / "new" / "mlflow" / run.id / "artifacts"
    assert (folder / "losses.png").read_bytes()[:4] == b"\x89PNG"
    assert (folder / "predictor" / "shape.json").read_bytes() == (registry.root / "predictor" / "shape.json").read_bytes()


def test_a_table_written_twice_is_there_once(registry: Registry) -> None:
    with registry.tracking.training_run("table", {}, {}) as run:
        run.table("data.json", [{"day": "old", "rows": 0}])
    registry.tracking.log_table(run.id, [{"day": "2015-01-01", "rows": 3}, {"day": "2015-01-02", "rows": 4}], "data.json")
    client = registry.tracking._client
    table = client.load_table(client.get_run(run.id).info.experiment_id, "data.json", [run.id])
    assert table.to_dict("records") == [{"day": "2015-01-01", "rows": 3}, {"day": "2015-01-02", "rows": 4}]
    assert json.loads(client.get_run(run.id).data.tags["mlflow.loggedArtifacts"]) == [{"path": "data.json", "type": "table"}]


def test_figures_can_be_added_to_a_finished_run(registry: Registry) -> None:
    registry.tracking.log_metrics(registry.runs["m1"], {"validation_rougeL": 16.8})
    assert registry.tracking._client.get_run(registry.runs["m1"]).data.metrics["validation_rougeL"] == 16.8


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")])
def test_a_training_that_broke_off_goes_on_in_the_same_run(registry: Registry, error: type[BaseException], status: str) -> None:
    name = f"broken-{status}"
    with pytest.raises(error), registry.tracking.training_run(name, {"epochs": 3}, {}) as first:
        raise error
    assert registry.tracking._client.get_run(first.id).info.status == status
    with registry.tracking.training_run(name, {"epochs": 3}, {}) as second:
        assert registry.tracking._client.get_run(second.id).info.status == "RUNNING"
    assert second.id == first.id


def test_other_parameters_make_a_new_run(registry: Registry) -> None:
    with pytest.raises(ValueError, match="stop"), registry.tracking.training_run("again", {"epochs": 3}, {}) as first:
        raise ValueError("stop")
    with registry.tracking.training_run("again", {"epochs": 4}, {}) as second:
        pass
    assert first.id != second.id


def test_registering_a_run_again_gives_the_version_it_has(registry: Registry) -> None:
    assert registry.tracking.register(registry.runs["m2"], registry.root / "predictor", "m2") == "2"
    assert registry.tracking.version_of("m2") == Version("m2", "2", registry.runs["m2"], "gru_cudnn")


def test_promoting_moves_the_aliases_and_rolls_back_as_well(registry: Registry) -> None:
    tracking = registry.tracking
    moves = []
    for model in ("m1", "m2", "m2", "m1"):
        version = tracking.promote(model, because="holiday" if model == "m2" else "")
        moves.append((version, [found.model for found in tracking.aliased()]))
    assert moves == [("1", ["m1"]), ("2", ["m2", "m1"]), ("2", ["m2", "m1"]), ("1", ["m1", "m2"])]
    assert tracking.champion() == Version("m1", "1", registry.runs["m1"], "gru")
    assert tracking._client.get_model_version("titler", "2").tags["titler.promoted_because"] == "holiday"


def test_a_model_that_was_never_registered_cannot_be_promoted(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"(?s)m9 has no version of 'titler'.*titler train m9"):
        registry.tracking.promote("m9")


@pytest.mark.parametrize("column", [True, False])
def test_mlflow_loads_the_champion_and_titles_raw_bodies_as_the_predictor_does(registry: Registry, column: bool) -> None:
    import mlflow

    registry.tracking.promote("m1")
    mlflow.set_tracking_uri(registry.tracking.uri)
    loaded = mlflow.pyfunc.load_model("models:/titler@champion")
    found = loaded.predict(pd.DataFrame({"body": BODIES}) if column else BODIES)
    expected = registry.predictor.predict(BODIES)
    assert found["title"].tolist() == [prediction.title for prediction in expected]
    assert any(found["title"])
    assert found["confidence"].tolist() == pytest.approx([prediction.confidence for prediction in expected])
    assert found["abstained"].tolist() == [prediction.abstained for prediction in expected]
    np.testing.assert_allclose(found["embedding"].tolist(), [prediction.embedding for prediction in expected], atol=1e-6)


def test_the_registered_model_is_code_and_files_without_pickles_and_says_what_it_needs(registry: Registry) -> None:
    client = registry.tracking._client
    logged = client.get_logged_model(str(client.get_model_version("titler", "1").source).removeprefix("models:/"))
    folder = Path(logged.artifact_location.removeprefix("file://"))
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": "titler", "version": 1}]
    assert folder.is_relative_to(registry.root / "new" / "mlflow")
    assert (folder / "code" / "pipeline" / "predictor.py").is_file()
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pyc")]
    needs = {line.partition("==")[0] for line in (folder / "requirements.txt").read_text().split()}
    assert {"mlflow", "keras", "numpy", "ftfy", "unidecode", "more-itertools"} <= needs


def test_training_and_registering_print_nothing(registry: Registry, capfd: pytest.CaptureFixture[str]) -> None:
    with registry.tracking.training_run("quiet", {"variant": "gru"}, {}) as run:
        run.epoch(figures(1, 5.0))
    registry.tracking.register(run.id, registry.root / "predictor", "quiet")
    said = capfd.readouterr()
    assert (said.out, "titler" in said.err) == ("", False)


def test_an_mlflow_that_is_not_there_says_where_it_was_looked_for() -> None:
    with pytest.raises(TitlerError, match=r"(?s)MLflow at sqlite:////proc/none.db does not answer.*titler doctor"):
        Tracking("sqlite:////proc/none.db", "titler", "titler", "/proc").champion()
