"""How many issues a second are embedded and titled, by batch size, against one issue after another.

    .venv/bin/python tests/benchmarks/decoding.py

The article's network at its vocabularies of 8,002 and 4,502 ids, fresh weights, random bodies; compiled before the clock starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from pipeline.models import VARIANTS, Shape, build

SIZES = {1: 48, 8: 192, 64: 512, 512: 2048}
"""issues a batch: issues timed"""
START, END = 2, 3
Ids = npt.NDArray[np.int32]


def rate(work: Callable[..., object], bodies: Ids, size: int, count: int) -> float:
    """Issues a second, `size` at a time."""
    work(bodies[:size], batch_size=size)
    began = time.perf_counter()
    for first in range(0, count, size):
        work(bodies[first : first + size], batch_size=size)
    return count / (time.perf_counter() - began)


def main() -> None:
    """Prints one table a variant."""
    bodies = np.random.default_rng(0).integers(0, 8002, (max(SIZES.values()), 70)).astype(np.int32)
    for variant in VARIANTS:
        network = build(variant, Shape(8002, 4502), seed=0)
        print(f"\n{variant:10} {'encode/s':>9} {'ratio':>6} {'greedy/s':>9} {'ratio':>6}")
        greedy = partial(network.greedy, start=START, end=END)
        encoded = {size: rate(network.encode, bodies, size, count) for size, count in SIZES.items()}
        titled = {size: rate(greedy, bodies, size, count) for size, count in SIZES.items()}
        for size in SIZES:
            ratios = encoded[size] / encoded[1], titled[size] / titled[1]
            print(f"batch {size:4} {encoded[size]:9.0f} {ratios[0]:6.1f} {titled[size]:9.0f} {ratios[1]:6.1f}")


if __name__ == "__main__":
    main()
