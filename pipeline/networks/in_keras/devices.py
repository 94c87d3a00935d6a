"""Data-parallel training on all devices of the backend.

Each device holds all weights and computes a part of every training batch, as Keras's class
`keras.distribution.DataParallel` arranges. Arrays keep the shapes of the whole batch, so a step gives the
same result as on one device. Inputs may have different first dimensions: in the variant `copy`, some have one
row per issue, and others have one row per target. `train_on_batch` and `test_on_batch` are distributed like
Keras's `fit`. `predict_on_batch` and calls of a model are not distributed. In Keras 3.15, training can
only be distributed on JAX. PyTorch is not supported. For TensorFlow, Keras has only a prototype, and warns
against using it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import keras

from pipeline.errors import UsageError

MIB = 2**20


class EvenDataParallel(keras.distribution.DataParallel):
    """A variant of Keras's DataParallel that also accepts batches whose rows cannot be divided equally.

    The rows of an array are divided equally among the devices. If this is not possible, as in the last batch
    of an epoch, every device gets all rows. Padding such a batch with more rows would change the statistics
    of batch normalisation, and therefore the results of the training.
    """

    def get_data_layout(self, data_shape: tuple[int, ...]) -> keras.distribution.TensorLayout:
        if data_shape[0] % self.num_model_replicas == 0:
            return super().get_data_layout(data_shape)
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)


@contextmanager
def data_parallel(batch_size: int) -> Iterator[tuple[str, ...]]:
    """Distributes the training in a `with` block over all devices. Yields the names of these devices.

    Training is only distributed on JAX with several devices. Otherwise it uses the backend's default device,
    and the yielded tuple is empty. The network must be built within the block, too, because weights stay on
    the devices where they were created. Raises UsageError if `batch_size` is not divisible by the number of
    devices.
    """
    devices = tuple(keras.distribution.list_devices()) if keras.config.backend() == "jax" else ()
    if len(devices) < 2:
        yield ()
        return
    if batch_size % len(devices):
        divisible_size = batch_size + -batch_size % len(devices)
        raise UsageError(
            f"model.batch_size = {batch_size} is not divisible by {len(devices)}, the number of devices "
            f"({', '.join(devices)}).",
            f"Train a new model with TITLER_MODEL__BATCH_SIZE={divisible_size}, "
            "or make fewer devices visible:  CUDA_VISIBLE_DEVICES=0",
        )
    with EvenDataParallel(devices=devices).scope():
        yield devices


def default_device() -> str:
    """Returns the device that a training uses if it is not distributed, such as `gpu:0` or `cpu:0`."""
    name = keras.config.backend()
    if name == "torch":  # Keras lists no devices for PyTorch
        return "gpu:0" if sys.modules[name].cuda.is_available() else "cpu:0"
    return str(keras.distribution.list_devices()[0])


def peak_memory() -> float | None:
    """Returns the largest amount of memory (MiB) that this process has used on the first accelerator.

    Returns None on a CPU, or if the backend does not report its memory use. Keras has no function for this,
    so the backend's module is called, which Keras has already imported.
    """
    name = keras.config.backend()
    backend = sys.modules.get(name)
    if name == "tensorflow" and backend is not None and backend.config.list_logical_devices("GPU"):
        return float(backend.config.experimental.get_memory_info("GPU:0")["peak"]) / MIB
    if name == "jax" and backend is not None:
        statistics = backend.local_devices()[0].memory_stats() or {}
        return float(statistics["peak_bytes_in_use"]) / MIB if "peak_bytes_in_use" in statistics else None
    if name == "torch" and backend is not None and backend.cuda.is_available():
        return float(backend.cuda.max_memory_allocated()) / MIB
    return None
