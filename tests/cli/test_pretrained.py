"""A model with the network `pretrained`, from a tiny random preset: trained, promoted, published, asked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

pytest.importorskip("keras_hub", reason="needs the extra `pretrained`: make install")

from pipeline.cli import whole_job
from pipeline.cli.options import Context
from pipeline.contracts import EMBEDDINGS, PREDICTOR, VECTORS
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.releases.current import current_release_id
from pipeline.serving import queries
from pipeline.serving import status as serving_status
from pipeline.serving.queries import SimilarQuery
from pipeline.settings import Settings
from pipeline.tracking import open_tracking
from tests.networks.pretrained.tiny_presets import write_t5
from tests.support import lakes
from tests.support.accepted_titles import BECAUSE

BODY = "The window closes when I press Enter twice"


def with_preset(settings: Settings, preset: str) -> Settings:
    """The settings of a training of one epoch, with margins that a tiny model keeps."""
    changed = settings.model.model_copy(
        update={
            "preset": preset,
            "learning_rate": 0.01,
            "batch_tokens": 4096,
            "promotion_margin": 100.0,
            "promotion_retrieval_margin": 1.0,
        }
    )
    return settings.model_copy(update={"model": changed})


def batches(settings: Settings, table: str) -> list[str]:
    """The folders of the current release's batches of a table."""
    lake = Lake(settings.lake.root)
    release = Pinned(lake, "releases", str(current_release_id(lake)))
    return [str(folder) for folder in release.members.folders(table)]


@pytest.fixture(scope="module")
def published(built_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of the shared lake, with a new champion and its release. The preset is gone after training."""
    folder = tmp_path_factory.mktemp("pretrained")
    settings = lakes.copy_lake(built_settings, folder / "lake")
    write_t5(folder / "preset", layers=1)
    settings = with_preset(settings, str(folder / "preset"))
    whole_job.run(
        Context.of(settings), lakes.DAYS, retrain=True, variant="pretrained", epochs=1, accept_because=BECAUSE
    )
    shutil.rmtree(folder / "preset")
    return settings


def champion(settings: Settings) -> Pinned:
    lake = Lake(settings.lake.root)
    version = open_tracking(settings, lake).champion()
    assert version is not None
    return Pinned(lake, "models", version.model)


def test_its_titles_are_published(published: Settings) -> None:
    model = champion(published)
    assert model.members[PREDICTOR][0].figures["variant"] == "pretrained"
    rows = lakes.query(published, "SELECT DISTINCT model FROM title_predictions")
    assert rows == [(model.name,)]
    status = serving_status.status(Lake(published.lake.root), published)
    assert (status["model"]["name"], status["model"]["variant"]) == (model.name, "pretrained")


def test_it_has_the_embedding_network_of_the_champion_before(
    published: Settings, built_settings: Settings
) -> None:
    for table in (VECTORS.name, EMBEDDINGS.name):  # nothing was vectorized or embedded again
        assert batches(published, table) == batches(built_settings, table)


def test_it_answers_without_the_preset(published: Settings) -> None:
    lake = Lake(published.lake.root)
    answer = queries.title(lake, BODY)
    assert answer["title"]
    assert 0 < answer["confidence"] <= 1
    assert len(queries.similar(lake, published, SimilarQuery(BODY), 3)) == 3


def test_its_card_names_the_preset_and_its_licence(published: Settings) -> None:
    figures = champion(published).members[PREDICTOR][0].figures
    run = MlflowClient(published.tracking_uri).get_run(figures["mlflow_run"])
    assert (run.data.params["preset_licence"], run.data.params["learning_rate"]) == (
        "apache-2.0",
        "0.01",
    )
    card = run.data.tags["mlflow.note.content"]
    assert (
        f"fine-tuned from the preset `{published.model.preset}`, which has the licence `apache-2.0`" in card
    )
    assert "It has the embedding network" in card or "it has the embedding network" in card


def test_a_preset_that_does_not_exist_is_refused(copied_settings: Settings, tmp_path: Path) -> None:
    settings = with_preset(copied_settings, str(tmp_path / "none"))
    with pytest.raises(UsageError, match="which is not a folder"):
        whole_job.run(Context.of(settings), lakes.DAYS, retrain=True, variant="pretrained", epochs=1)


def test_a_model_without_a_preset_is_refused(copied_settings: Settings) -> None:
    with pytest.raises(UsageError, match=r"model\.preset is empty"):
        whole_job.run(Context.of(copied_settings), lakes.DAYS, retrain=True, variant="pretrained", epochs=1)
