"""The network `pretrained`: training with teacher forcing, decoding with a cache, resuming, storing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from keras import ops

pytest.importorskip("keras_hub", reason="needs the extra `pretrained`: make install")

from pipeline.errors import LakeError
from pipeline.networks.in_keras.training import Data, Figures, History, fit
from pipeline.networks.pretrained.network import Fitting, PretrainedNetwork
from pipeline.networks.shape import Ids, Shape
from tests.networks.pretrained.tiny_presets import SENTENCES, write_bart, write_t5, write_t5gemma
from tests.support.checkpoint_folder import CheckpointFolder

SHAPE = Shape(40, 40, body_length=20, title_length=8, embedding_size=6, hidden_size=6)
BODIES = [*SENTENCES[:5], "crash", ""]
TITLES = ["window closes", "crash on start", "font size", "null pointer", "typo", "crash", "update"]


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("preset")
    write_t5(folder, layers=1)
    return str(folder)


@pytest.fixture(scope="module")
def network(preset: str) -> PretrainedNetwork:
    return PretrainedNetwork.from_preset(preset, SHAPE, Fitting(), seed=1)


@pytest.fixture(scope="module", params=[None, write_bart, write_t5gemma], ids=["t5", "bart", "t5gemma"])
def each_network(
    request: pytest.FixtureRequest, network: PretrainedNetwork, tmp_path_factory: pytest.TempPathFactory
) -> PretrainedNetwork:
    """A network of each kind, with random weights."""
    if request.param is None:
        return network
    folder = tmp_path_factory.mktemp("preset")
    request.param(folder)
    return PretrainedNetwork.from_preset(str(folder), SHAPE, Fitting(), seed=1)


def token_ids(network: PretrainedNetwork, bodies: list[str], titles: list[str]) -> tuple[Ids, Ids]:
    """The ids of bodies and of whole titles."""
    return network.token_ids(bodies, titles, np.ones(len(titles), bool))


def log_probabilities(network: PretrainedNetwork, body: Ids, title: Ids) -> np.ndarray:
    """The log probability of each token after _start_ of one title, computed for all tokens at once."""
    targets = title[1:][title[1:] != 0]
    inputs = [body[None], title[None, :-1], targets[:, None], np.arange(len(targets), dtype=np.int32)]
    return np.asarray(network.model(inputs))[:, 0]


def greedy_title(network: PretrainedNetwork, body: Ids) -> list[int]:
    """Greedy decoding without a cache, one whole title per step. The ids end with _end_ if there is room."""
    title, model = [2], network.model
    while len(title) < SHAPE.title_length and title[-1] != 3:
        ids = ops.convert_to_tensor([title], "int32")
        logits = model.task(
            {
                "encoder_token_ids": model.tokenizer_ids(body[None]),
                "encoder_padding_mask": ops.cast(body[None] != 0, "int32"),
                "decoder_token_ids": model.decoder_ids(ids),
                "decoder_padding_mask": model.decoder_mask(ids),
            }
        )
        scores = np.asarray(logits)[0, -1].copy()
        end = scores[network.tokens.end]
        scores[network.tokens.unwritable(len(scores))] = -np.inf
        title.append(3 if end > scores.max() else 4 + int(scores.argmax()))
    return title[1:]


def test_a_step_of_teacher_forcing_predicts_each_token_of_a_title(network: PretrainedNetwork) -> None:
    bodies, titles = token_ids(network, ["crash on start"], ["crash after the update"])
    logs = log_probabilities(network, bodies[0], titles[0])
    changed = titles[0].copy()
    changed[-2] = 9
    assert len(logs) == np.count_nonzero(titles) - 1
    assert (logs < 0).all()
    # a token does not depend on those that follow
    np.testing.assert_allclose(log_probabilities(network, bodies[0], changed)[:-2], logs[:-2], atol=1e-5)


def test_a_title_that_was_cut_has_no_end(network: PretrainedNetwork) -> None:
    _, titles = network.token_ids(["crash"] * 2, ["on"] * 2, np.array([True, False]))
    assert (titles == 3).sum(axis=1).tolist() == [1, 0]
    assert titles[0][titles[1] != 0].tolist() == titles[1][titles[1] != 0].tolist()


def test_padding_of_a_body_has_no_influence(each_network: PretrainedNetwork) -> None:
    bodies, titles = token_ids(each_network, ["crash"], ["crash on start"])
    longer = np.pad(bodies[0], (0, 9))
    np.testing.assert_allclose(
        log_probabilities(each_network, longer, titles[0]),
        log_probabilities(each_network, bodies[0], titles[0]),
        atol=1e-5,
    )


def test_decoding_with_a_cache_gives_the_titles_of_decoding_without_one(
    each_network: PretrainedNetwork,
) -> None:
    bodies, _ = token_ids(each_network, BODIES[4:], TITLES[4:])
    written = each_network.write(BODIES[4:], beam_width=1)
    for row, body in enumerate(bodies):
        title = greedy_title(each_network, body)
        assert written.titles[row] == each_network.tokens.texts(np.array([title]))[0]
        ids = np.array([2, *title, *[0] * (SHAPE.title_length - 1 - len(title))], np.int32)
        assert written.log_probability[row] == pytest.approx(
            log_probabilities(each_network, body, ids).mean(), abs=1e-4
        )


def test_the_probability_of_a_title_found_by_beam_search_is_that_of_its_tokens(
    network: PretrainedNetwork,
) -> None:
    bodies, _ = token_ids(network, BODIES[4:], TITLES[4:])
    search = network._search(3)
    titles, _, scores = (np.asarray(array) for array in search.predict_on_batch(bodies))
    for body, title, score in zip(bodies, titles, scores, strict=True):
        ids = np.array([2, *title], np.int32)
        assert score == pytest.approx(log_probabilities(network, body, ids).mean(), abs=1e-4)


def test_a_title_does_not_depend_on_its_batch(network: PretrainedNetwork) -> None:
    together = network.write(BODIES).titles
    assert [network.write([body]).titles[0] for body in BODIES[:3]] == together[:3]


def test_no_body_has_no_title(network: PretrainedNetwork) -> None:
    assert network.write([]).titles == []


def data(network: PretrainedNetwork, issues: int = 48) -> Data:
    def batches(epoch: int) -> Iterator[tuple[Ids, Ids]]:
        order = np.random.default_rng(epoch).permutation(issues) % len(BODIES)
        for first in range(0, issues, 8):
            rows = order[first : first + 8]
            yield token_ids(network, [BODIES[row] for row in rows], [TITLES[row] for row in rows])

    return batches


TABLE = np.linspace(-1, 1, 40 * 6, dtype=np.float32).reshape(40, 6)
UNITS = np.random.default_rng(0).integers(4, 40, (9, 20)).astype(np.int32)
FITTING = Fitting(batch_tokens=160, accumulation_steps=4)
"""An epoch has 6 batches of 8 issues. So gradients of 2 batches are left at its end."""


def train(
    preset: str, folder: Path, fitting: Fitting = FITTING, table: np.ndarray | None = TABLE
) -> tuple[PretrainedNetwork, History]:
    """Trains for three epochs. Without a table, trains one first, in one epoch.

    After the first epoch, the checkpoint is copied to the folder `killed`, beside `folder`. It is what a
    training leaves that is killed in its second epoch.
    """
    network = PretrainedNetwork.from_preset(preset, SHAPE, fitting, seed=1)

    def report(figures: Figures) -> None:
        if figures.group == "train" and figures.epoch == 2:
            shutil.copytree(folder, folder.with_name("killed"))

    history = fit(
        network,
        data(network),
        data(network, 8),
        epochs=3,
        learning_rate=0.02,
        patience=9,
        checkpoint=CheckpointFolder(folder),
        on_epoch=report,
        seed=1,
        contrast=lambda epoch: iter([(UNITS, UNITS[:, :8])]),
        contrast_epochs=1,
        table=table,
    )
    return network, history


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def trained(preset: str, checkpoints: Path) -> tuple[PretrainedNetwork, History]:
    return train(preset, checkpoints / "whole")


Trained = tuple[PretrainedNetwork, History]


def test_a_training_killed_in_its_second_epoch_resumes_with_the_same_figures(
    trained: Trained, preset: str, checkpoints: Path, tmp_path: Path
) -> None:
    shutil.move(checkpoints / "killed", tmp_path / "resumed")
    network, resumed = train(preset, tmp_path / "resumed")
    assert resumed == trained[1]
    for weights, expected in zip(network.model.get_weights(), trained[0].model.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, expected)


def test_training_lowers_the_loss_and_keeps_the_table_of_embeddings(trained: Trained) -> None:
    network, history = trained
    assert history[-1].validation_token_loss < history[0].validation_token_loss - 0.1
    np.testing.assert_array_equal(network.model.table.embeddings, TABLE)


def test_a_stored_network_is_loaded_with_the_same_titles_and_embeddings(
    trained: Trained, preset: str, tmp_path: Path
) -> None:
    network, _ = trained
    network.save(tmp_path)
    loaded = PretrainedNetwork.load(tmp_path)
    assert (loaded.origin.preset, loaded.origin.licence) == (preset, "apache-2.0")
    assert loaded.write(BODIES).titles == network.write(BODIES).titles
    units = np.array([[5, 6, *[0] * 18]], np.int32)
    np.testing.assert_array_equal(loaded.encode(units), network.encode(units))


def test_a_damaged_file_of_a_network_is_an_error(network: PretrainedNetwork, tmp_path: Path) -> None:
    network.save(tmp_path)
    (tmp_path / "title_network.weights.h5").write_bytes(b"")
    with pytest.raises(LakeError, match="title network"):
        PretrainedNetwork.load(tmp_path)


def test_training_in_bfloat16_keeps_weights_in_float32_and_trains_a_table_first(
    preset: str, tmp_path: Path
) -> None:
    network, history = train(preset, tmp_path / "checkpoint", Fitting(precision="bfloat16"), table=None)
    assert history[-1].validation_token_loss < history[0].validation_token_loss
    weights = network.model.task.backbone.trainable_variables
    assert {str(variable.dtype) for variable in weights} == {"float32"}
    table = np.asarray(network.model.table.embeddings)
    assert table.dtype == np.float32
    assert not np.array_equal(table, TABLE)


@pytest.mark.parametrize("write_preset", [write_bart, write_t5gemma])
def test_a_stored_network_of_another_kind_keeps_its_tokenizer(
    write_preset: Callable[[Path], None], tmp_path: Path
) -> None:
    write_preset(tmp_path / "preset")
    network = PretrainedNetwork.from_preset(str(tmp_path / "preset"), SHAPE, Fitting(), seed=1)
    network.save(tmp_path / "network")
    loaded = PretrainedNetwork.load(tmp_path / "network")
    ids = token_ids(network, BODIES, TITLES)
    np.testing.assert_array_equal(token_ids(loaded, BODIES, TITLES)[0], ids[0])
    assert loaded.tokens.texts(ids[1]) == network.tokens.texts(ids[1])
    assert loaded.tokens.texts(ids[1])[5] == "crash"
    for weights, expected in zip(loaded.model.get_weights(), network.model.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, expected)
