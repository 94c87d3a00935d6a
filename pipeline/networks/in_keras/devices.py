"""Training on all devices that the backend shows: each holds all the weights and computes its part of every batch.

That is `keras.distribution.DataParallel`, and arrays keep their shapes: what a step computes is what one device would, whatever
its inputs' first dimensions are (`copy` has issues in some, targets in others). `train_on_batch` and `test_on_batch` distribute as `fit`
does; `predict_on_batch` and a call of a model do not. Keras 3.15 distributes on JAX alone: for PyTorch it has nothing, and what it has for
TensorFlow says of itself that it is a prototype, not to be used.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import keras

from pipeline.errors import UsageError

MIB = 2**20


class Equally(keras.distribution.DataParallel):
    """Rows in equal parts. An array whose rows cannot be parted so, the last batch of an epoch's, every device gets whole.

    Rows to fill it up would count in what batch normalization learns of a batch, and the figures would be others.
    """

    def get_data_layout(self, data_shape: tuple[int, ...]) -> keras.distribution.TensorLayout:
        if data_shape[0] % self.num_model_replicas == 0:
            return super().get_data_layout(data_shape)
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)


@contextmanager
def spread(batch_size: int) -> Iterator[tuple[str, ...]]:
    """Within it, what is built and trained is on all devices, which it names; none where training takes the backend's own one.

    The network has to be built in it, too: weights stay where they were made. Raises UsageError where not every device
    would get as many of `batch_size` issues.
    """
    devices = tuple(keras.distribution.list_devices()) if keras.config.backend() == "jax" else ()
    if len(devices) < 2:
        yield ()
        return
    if batch_size % len(devices):
        more = batch_size + -batch_size % len(devices)
        raise UsageError(
            f"model.batch_size = {batch_size} does not part into equal parts for {len(devices)} devices ({', '.join(devices)}).",
            f"Train a new model with TITLER_MODEL__BATCH_SIZE={more}, or show fewer devices:  CUDA_VISIBLE_DEVICES=0",
        )
    with Equally(devices=devices).scope():
        yield devices


def device() -> str:
    """Where a network is trained that is not spread: on `gpu:0`, where the backend finds one, or on `cpu:0`."""
    name = keras.config.backend()
    if name == "torch":  # for which Keras lists none
        return "gpu:0" if sys.modules[name].cuda.is_available() else "cpu:0"
    return str(keras.distribution.list_devices()[0])


def peak_memory() -> float | None:
    """MiB: the most that the first accelerator has held since this process began; None on a CPU, and where the backend does not tell.

    Keras has no word for it, so the module that Keras has imported as its backend is asked; nothing is imported for it.
    """
    name = keras.config.backend()
    backend = sys.modules.get(name)
    if name == "tensorflow" and backend is not None and backend.config.list_logical_devices("GPU"):
        return float(backend.config.experimental.get_memory_info("GPU:0")["peak"]) / MIB
    if name == "jax" and backend is not None:
        told = backend.local_devices()[0].memory_stats() or {}
        return float(told["peak_bytes_in_use"]) / MIB if "peak_bytes_in_use" in told else None
    if name == "torch" and backend is not None and backend.cuda.is_available():
        return float(backend.cuda.max_memory_allocated()) / MIB
    return None
