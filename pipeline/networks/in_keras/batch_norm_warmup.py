"""Corrects the moving averages of batch normalization during the first steps of a training.

A BatchNormalization layer keeps two moving averages: of the mean and of the variance of its inputs. Inference
uses these averages. In Keras they have the momentum 0.99, so after a hundred steps, the initial values still
make up a third of the averages. The titles would then be useless although the network has already learned.
Therefore this module uses a lower momentum at first: min(0.99, (1 + i) / (10 + i)) in step i, counted from 0.
TensorFlow's ExponentialMovingAverage does the same with `num_updates`. In step 890 and all later steps, the
momentum is the usual 0.99.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops


class Warmup:
    """Corrects the moving averages of a model's BatchNormalization layers after each training step."""

    def __init__(self, model: keras.Model, steps: int) -> None:
        """If an interrupted training is resumed, `steps` is the number of training steps that were already
        done. Otherwise it is 0."""
        self._layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        self._steps = steps

    def wrap(self, train_step: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a version of the function `train_step` that also corrects the moving averages.

        `train_step` does one training step. After each step, the moving averages of mean and variance in the
        BatchNormalization layers are corrected. Keras updates these averages so slowly that their initial
        values still weigh too much in the first several hundred steps. The correction replaces the averages
        with averages that have a lower momentum.
        """

        def corrected(*arguments: Any, **keywords: Any) -> Any:
            momentum = (1 + self._steps) / (10 + self._steps)
            layers = [layer for layer in self._layers if momentum < layer.momentum]
            old_averages = [self._averages(layer) for layer in layers]
            result = train_step(*arguments, **keywords)
            for layer, old in zip(layers, old_averages, strict=True):
                # The layer mixed in the batch's statistics with its own momentum. Recover these statistics.
                batch_statistics = (self._averages(layer) - layer.momentum * old) / (1 - layer.momentum)
                mean, variance = momentum * old + (1 - momentum) * batch_statistics
                layer.moving_mean.assign(mean)
                layer.moving_variance.assign(np.maximum(variance, 0))
            self._steps += 1
            return result

        return corrected

    @staticmethod
    def _averages(layer: keras.layers.BatchNormalization) -> np.ndarray[Any, np.dtype[np.float64]]:
        pair = [ops.convert_to_numpy(layer.moving_mean), ops.convert_to_numpy(layer.moving_variance)]
        return np.array(pair, dtype=np.float64)
