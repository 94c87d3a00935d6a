"""The article's network: its number of parameters, and its formulas computed step by step in NumPy."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from tempfile import mkdtemp

import keras
import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.networks.in_keras import Shape, build
from pipeline.networks.in_keras.gru import hard_sigmoid
from pipeline.networks.in_keras.implementations import IMPLEMENTATIONS
from pipeline.networks.in_keras.training import fit
from tests.support.checkpoint_folder import CheckpointFolder


def one_step(variant: str) -> str:
    """Trains a network for one step and decodes a title. Returns the backend and what can be said of both."""
    network = build(variant, Shape(9, 9 if variant == "copy" else 8, 4, 5, 4, 4, layers=1), seed=1)
    batch = np.array([[4, 5, 4, 0]], np.int32), np.array([[2, 4, 5, 3, 0]], np.int32)
    history = fit(
        network,
        lambda _: iter([batch]),
        lambda _: iter([batch]),
        epochs=1,
        learning_rate=0.01,
        patience=1,
        checkpoint=CheckpointFolder(mkdtemp()),
        on_epoch=lambda _: None,
        seed=1,
    )
    decoded = network.decode(batch[0], start=2, end=3, beam_width=2)
    facts = history[0].issues, history[0].loss > 0, decoded.ids.shape, bool(np.isfinite(decoded.states).all())
    return f"{keras.config.backend()} {facts}"


def test_the_articles_network_has_6191702_parameters_with_its_vocabularies() -> None:
    assert build("gru", Shape(8002, 4502), seed=1).model.count_params() == 6_191_702


def test_the_cudnn_variant_has_a_second_bias_in_each_of_its_two_grus() -> None:
    assert build("gru_cudnn", Shape(8002, 4502), seed=1).model.count_params() == 6_191_702 + 2 * 900


def test_the_hard_sigmoid_is_that_of_keras_2() -> None:
    assert np.asarray(
        hard_sigmoid(np.array([-9.0, -2.5, -1.0, 0.0, 1.0, 2.5, 9.0]))
    ).tolist() == pytest.approx([0, 0, 0.3, 0.5, 0.7, 1, 1])


def test_the_encoder_resets_before_the_matrix_product_and_does_not_mask_padding() -> None:
    network = build(
        "gru", Shape(9, 8, body_length=4, title_length=5, embedding_size=3, hidden_size=2), seed=3
    )
    rng = np.random.default_rng(0)
    network.model.set_weights(
        [
            rng.uniform(0.2, 1.0, weight.shape) * rng.choice([-1, 1], weight.shape) ** (weight.ndim > 1)
            for weight in network.model.get_weights()
        ]
    )
    layer = network.model.get_layer
    table, norm = layer("body_embedding").get_weights()[0], layer("body_norm")
    gamma, beta, mean, variance = norm.get_weights()
    kernel, recurrent, bias = layer("encoder").get_weights()

    state = np.zeros(2)
    for word in [0, 0, 5, 7]:
        x = gamma * (table[word] - mean) / np.sqrt(variance + norm.epsilon) + beta
        update, reset, candidate = np.split(x @ kernel + bias, 3)
        z = np.clip(0.2 * (update + state @ recurrent[:, :2]) + 0.5, 0, 1)
        r = np.clip(0.2 * (reset + state @ recurrent[:, 2:4]) + 0.5, 0, 1)
        state = z * state + (1 - z) * np.tanh(candidate + (r * state) @ recurrent[:, 4:])

    assert network.encode([[0, 0, 5, 7]])[0].tolist() == pytest.approx(state.tolist(), abs=1e-5)


def test_the_same_seed_gives_the_same_initial_weights() -> None:
    weights = [build("gru", Shape(9, 8), seed=seed).model.get_weights() for seed in (1, 1, 2)]
    are_equal = [
        all((a == b).all() for a, b in zip(weights[0], compared, strict=True)) for compared in weights[1:]
    ]
    assert are_equal == [True, False]


def test_an_unknown_variant_is_refused_with_a_list_of_the_variants() -> None:
    with pytest.raises(UsageError, match=r"(?s)'lstm' is not a variant.*gru, gru_cudnn, copy"):
        build("lstm", Shape(9, 8), seed=1)


def test_a_size_of_zero_is_refused_with_its_name() -> None:
    with pytest.raises(UsageError, match="hidden_size = 0"):
        Shape(9, 8, hidden_size=0)


# all other tests train the other variants on TensorFlow; test_devices.py trains them on JAX
UNTESTED_ELSEWHERE = [
    ("tensorflow", "gru_cudnn"),
    ("jax", "gru"),
    *(("torch", variant) for variant in IMPLEMENTATIONS),
]


@pytest.mark.parametrize(("backend", "variant"), UNTESTED_ELSEWHERE)
def test_one_training_step_runs_on_every_backend(backend: str, variant: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if backend == keras.config.backend():
        said = one_step(variant)
    else:  # the backend cannot be changed after Keras is imported
        environment = {
            **os.environ,
            "KERAS_BACKEND": backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # JAX compiles for longer than it computes: without optimizations it compiles faster.
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
        }
        code = f"from {__name__} import one_step; print(one_step({variant!r}))"
        completed = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert completed.returncode == 0, completed.stderr
        said = completed.stdout.strip()
    assert said == f"{backend} (1, True, (1, 4), True)"
