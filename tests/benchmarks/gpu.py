"""Every figure that needs an accelerator, in one table.

    KERAS_BACKEND=jax PYTHONPATH=. python tests/benchmarks/gpu.py            1,584,000 pairs: the article's count
    KERAS_BACKEND=jax PYTHONPATH=. python tests/benchmarks/gpu.py --pairs 3000 --batches 256   a trial on a CPU

Imports `pipeline.models` and NumPy alone, so that it runs where only Keras and a backend are installed. Pairs are generated: 70
and 12 ids at the article's vocabularies of 8,002 and 4,502, drawn by Zipf's law as words are. The article's epoch took 263 s on a V100.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from pipeline.models import VARIANTS, Network, Shape, build
from pipeline.models.training import EpochFigures, fit

Ids = npt.NDArray[np.int32]
PAIRS = 1_584_000
BATCHES = (1200, 4800)
EPOCHS = 2  # the first compiles; the second is timed
FLOP_A_PAIR = 352e6  # forward and backward: 70 encoder and 11 decoder steps of the GRUs, and the words' matrix
START, END = 2, 3


def words(random: np.random.Generator, count: int, length: int, vocabulary: int) -> Ids:
    """(count, length) ids from 2 on, common ones often."""
    ids: Ids = (2 + random.zipf(1.3, (count, length)) % (vocabulary - 2)).astype(np.int32)
    return ids


class Pairs:
    """Bodies and titles in memory, in batches of one size."""

    def __init__(self, count: int, shape: Shape, batch: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.bodies = words(random, count, shape.body_length, shape.body_vocabulary)
        self.titles = words(random, count, shape.title_length, shape.title_vocabulary)
        self._batch = batch

    def __call__(self, epoch: int) -> Iterator[tuple[Ids, Ids]]:
        order = np.random.default_rng(epoch).permutation(len(self.bodies))
        for start in range(0, len(order) - self._batch + 1, self._batch):
            rows = order[start : start + self._batch]
            yield self.bodies[rows], self.titles[rows]


def train(variant: str, precision: str, batch: int, count: int) -> tuple[Network, EpochFigures, float]:
    """The trained network, its last epoch, and the share of that epoch that making its batches alone takes."""
    keras.config.set_dtype_policy(precision)
    shape = Shape(8002, 4502)
    network = build(variant, shape, seed=0)
    data = Pairs(count, shape, batch, seed=1)
    check = Pairs(batch, shape, batch, seed=2)
    with tempfile.TemporaryDirectory() as folder:
        figures = fit(
            network, data, check, epochs=EPOCHS, learning_rate=0.001, patience=EPOCHS, checkpoint=Path(folder), on_epoch=print, seed=0
        )[-1]
    began = time.perf_counter()
    for _ in data(EPOCHS):
        pass
    return network, figures, (time.perf_counter() - began) / figures.seconds


def rate(network: Network, bodies: Ids, batch: int) -> tuple[float, float]:
    """Issues embedded and issues titled a second, `batch` at a time."""
    rates = []
    for work in (lambda ids: network.encode(ids, batch), lambda ids: network.greedy(ids, START, END, batch)):
        work(bodies[:batch])
        began = time.perf_counter()
        work(bodies)
        rates.append(len(bodies) / (time.perf_counter() - began))
    return rates[0], rates[1]


def main() -> None:
    """Prints one table: a row for each variant, precision and batch size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_bfloat16"])
    chosen = parser.parse_args()
    rows = []
    for variant in chosen.variants:
        for precision in chosen.precisions:
            for batch in chosen.batches:
                network, figures, input_share = train(variant, precision, batch, chosen.pairs)
                bodies = words(np.random.default_rng(3), min(chosen.pairs, 40 * batch), 70, 8002)
                embedded, titled = rate(network, bodies, batch)
                tflops = figures.issues * FLOP_A_PAIR / figures.seconds / 1e12
                rows.append(
                    f"{variant:10} {precision:15} {batch:6} {figures.seconds:9.1f} {figures.loss:8.4f} {input_share:7.1%} {tflops:8.2f} "
                    f"{embedded:10.0f} {titled:10.0f}"
                )
    print(f"\n{chosen.pairs:,} pairs, Keras {keras.__version__} on {keras.config.backend()}")
    heads = ("s/epoch", 9), ("loss", 8), ("input", 7), ("TFLOP/s", 8), ("embed/s", 10), ("title/s", 10)
    print(f"{'variant':10} {'precision':15} {'batch':>6} " + " ".join(f"{name:>{width}}" for name, width in heads))
    print("\n".join(rows))


if __name__ == "__main__":
    main()
