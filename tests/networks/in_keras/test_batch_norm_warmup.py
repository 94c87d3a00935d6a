"""The moving averages of batch normalisation follow the first steps closely, and nothing else changes."""

import keras
import numpy as np
import pytest

from pipeline.networks.in_keras.batch_norm_warmup import Warmup

BATCHES = [
    np.array([[1.0], [3.0]], np.float32),
    np.array([[5.0], [9.0]], np.float32),
]  # means 2 and 7, variances 1 and 4


def trained(warm: bool, steps: int = 0) -> tuple[list[float], list[float], list[float]]:
    """Moving mean, moving variance and losses, after the two batches."""
    keras.utils.set_random_seed(1)
    norm = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((1,)), norm, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    step = Warmup(model, steps).wrap(model.train_on_batch) if warm else model.train_on_batch
    losses = [float(step(batch, batch)) for batch in BATCHES]
    mean, variance = (
        np.asarray(keras.ops.convert_to_numpy(value)).tolist()
        for value in (norm.moving_mean, norm.moving_variance)
    )
    return mean, variance, losses


def test_step_i_uses_the_momentum_of_one_plus_i_over_ten_plus_i():
    mean, variance, _ = trained(warm=True)
    first, second = 0.1 * 0 + 0.9 * 2, 0.1 * 1 + 0.9 * 1
    assert mean == [pytest.approx(2 / 11 * first + 9 / 11 * 7, rel=1e-4)]
    assert variance == [pytest.approx(2 / 11 * second + 9 / 11 * 4, rel=1e-3)]


def test_the_training_itself_is_the_same():
    assert trained(warm=True)[2] == trained(warm=False)[2]


def test_after_the_warm_up_nothing_differs():
    assert trained(warm=True, steps=890) == trained(warm=False)
