"""A network on disk."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from pipeline.errors import LakeError
from pipeline.networks.in_keras import Shape, build, saving
from pipeline.networks.in_keras.implementations import IMPLEMENTATIONS
from tests.networks.damage import add_title_word_to_shape, cut_file, set_weights_to_nan

SHAPE = Shape(20, 9, body_length=6, title_length=5, embedding_size=4, hidden_size=5)
SHAPES = {
    "gru": SHAPE,
    "gru_cudnn": SHAPE,
    "copy": Shape(20, 20, body_length=6, title_length=5, embedding_size=4, hidden_size=4),
}
BODY = [[9, 2, 9, 19, 4, 0]]


@pytest.mark.parametrize("variant", IMPLEMENTATIONS)
def test_a_loaded_network_equals_the_saved_network(tmp_path: Path, variant: str) -> None:
    network = build(variant, SHAPES[variant], seed=5)
    saving.save(network, tmp_path / "new")
    loaded = saving.load(tmp_path / "new")
    assert (loaded.variant, loaded.shape) == (variant, SHAPES[variant])
    assert loaded.encode(BODY).tolist() == network.encode(BODY).tolist()
    assert [weight.tolist() for weight in loaded.model.get_weights()] == [
        weight.tolist() for weight in network.model.get_weights()
    ]


@pytest.mark.parametrize("variant", IMPLEMENTATIONS)
def test_the_files_are_in_keras_format_and_json_without_the_optimizer(tmp_path: Path, variant: str) -> None:
    network = build(variant, SHAPES[variant], seed=5)
    saving.save(network, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["network.keras", "shape.json"]
    loaded = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    assert not loaded.compiled
    assert [weight.tolist() for weight in loaded.get_weights()] == [
        weight.tolist() for weight in network.model.get_weights()
    ]


@pytest.mark.parametrize("name", ["network.keras", "shape.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    saving.save(build("gru", SHAPE, seed=5), tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(LakeError, match=f"{name} is missing"):
        saving.load(tmp_path)


@pytest.mark.parametrize("name", ["network.keras", "shape.json"])
@pytest.mark.parametrize("size", [0, 10, 300])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, size: int) -> None:
    saving.save(build("gru", SHAPE, seed=5), tmp_path)
    cut_file(tmp_path / name, size)
    with pytest.raises(LakeError, match=f"{name} is damaged"):
        saving.load(tmp_path)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    saving.save(build("gru", SHAPE, seed=5), tmp_path)
    add_title_word_to_shape(tmp_path)
    with pytest.raises(LakeError, match="does not fit the shape"):
        saving.load(tmp_path)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    network = build("gru", SHAPE, seed=5)
    set_weights_to_nan(network)
    saving.save(network, tmp_path)
    with pytest.raises(LakeError, match="not finite numbers"):
        saving.load(tmp_path)
