"""The warm-up changes the moving averages of batch normalisation in the first steps, and nothing else."""

import keras
import numpy as np
import pytest

from pipeline.networks.in_keras.batch_norm_warmup import Warmup

BATCHES = [
    np.array([[1.0], [3.0]], np.float32),
    np.array([[5.0], [9.0]], np.float32),
]  # means 2 and 7, variances 1 and 4


def trained(with_warmup: bool, steps: int = 0) -> tuple[list[float], list[float], list[float]]:
    """Moving mean, moving variance and losses after a training on the two batches."""
    keras.utils.set_random_seed(1)
    norm = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((1,)), norm, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    step = Warmup(model, steps).wrap(model.train_on_batch) if with_warmup else model.train_on_batch
    losses = [float(step(batch, batch)) for batch in BATCHES]
    mean, variance = (
        np.asarray(keras.ops.convert_to_numpy(value)).tolist()
        for value in (norm.moving_mean, norm.moving_variance)
    )
    return mean, variance, losses


def test_step_i_uses_the_momentum_one_plus_i_over_ten_plus_i():
    mean, variance, _ = trained(with_warmup=True)
    first, second = 0.1 * 0 + 0.9 * 2, 0.1 * 1 + 0.9 * 1
    assert mean == [pytest.approx(2 / 11 * first + 9 / 11 * 7, rel=1e-4)]
    assert variance == [pytest.approx(2 / 11 * second + 9 / 11 * 4, rel=1e-3)]


def test_the_losses_do_not_change():
    assert trained(with_warmup=True)[2] == trained(with_warmup=False)[2]


def test_after_890_steps_nothing_differs():
    assert trained(with_warmup=True, steps=890) == trained(with_warmup=False)
