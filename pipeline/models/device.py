"""What the networks' backend tells of the device it computes on."""

from __future__ import annotations

import sys

import keras

MIB = 2**20


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
