"""Every figure that needs an accelerator, in one table.

    KERAS_BACKEND=jax PYTHONPATH=. python tests/benchmarks/gpu.py            1,584,000 pairs: the article's count
    KERAS_BACKEND=jax PYTHONPATH=. python tests/benchmarks/gpu.py --pairs 3000 --batches 256   a trial on a CPU

Imports `pipeline.networks.in_keras` and NumPy alone, so that it runs where only Keras and a backend are installed. Pairs are generated, words drawn
by Zipf's law: for the article's network 70 and 12 ids at its vocabularies of 8,002 and 4,502, for `copy` 8,000 units, at most 256 and 24
of them, 140 and 12 on average. The article's epoch took 263 s on a V100.
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

from pipeline.networks.in_keras import VARIANTS, Network, Shape, build
from pipeline.networks.in_keras.contrastive_training import ContrastFigures
from pipeline.networks.in_keras.training import EpochFigures, Figures, fit

Ids = npt.NDArray[np.int32]
ARTICLES = Shape(8002, 4502)
SHAPES = {"gru": ARTICLES, "gru_cudnn": ARTICLES, "copy": Shape(8000, 8000, body_length=256, title_length=24)}
FLOP_A_PAIR = {"gru": 352e6, "gru_cudnn": 352e6, "copy": 1031e6}
"""forward and backward: the GRUs' steps, the attention's keys, and the words' matrix where a title's places are no padding"""
PAIRS = 1_584_000
BATCHES = (1200, 4800)
EPOCHS = 2  # the first compiles; the second is timed
START, END = 2, 3


def words(random: np.random.Generator, count: int, length: int, vocabulary: int) -> Ids:
    """(count, length) ids from 4 on, common ones often."""
    ids: Ids = (4 + random.zipf(1.3, (count, length)) % (vocabulary - 4)).astype(np.int32)
    return ids


def bodies_of(variant: str, count: int, seed: int) -> Ids:
    """Bodies as a variant reads them: full, or padded behind."""
    random, shape = np.random.default_rng(seed), SHAPES[variant]
    ids = words(random, count, shape.body_length, shape.body_vocabulary)
    if VARIANTS[variant].trims:
        ids[
            np.arange(shape.body_length)
            >= np.clip(random.lognormal(4.85, 0.75, count), 10, shape.body_length)[:, None]
        ] = 0
    return ids


class Pairs:
    """Bodies and titles in memory, in batches of one size."""

    def __init__(self, count: int, variant: str, batch: int, seed: int) -> None:
        random, shape = np.random.default_rng([seed, 1]), SHAPES[variant]
        self.bodies = bodies_of(variant, count, seed)
        self.titles = words(random, count, shape.title_length, shape.title_vocabulary)
        if VARIANTS[variant].trims:
            self.titles[:, 0] = START
            ends = random.integers(6, 17, count)
            self.titles[np.arange(count), ends] = END
            self.titles[np.arange(shape.title_length) > ends[:, None]] = 0
        self._batch = batch

    def __call__(self, epoch: int) -> Iterator[tuple[Ids, Ids]]:
        order = np.random.default_rng(epoch).permutation(len(self.bodies))
        for start in range(0, len(order) - self._batch + 1, self._batch):
            rows = order[start : start + self._batch]
            yield self.bodies[rows], self.titles[rows]


def train(variant: str, precision: str, batch: int, count: int) -> tuple[Network, EpochFigures, float, float]:
    """The trained network, its last epoch, the share of that epoch that making its batches alone takes, and pairs a second of contrast."""
    keras.config.set_dtype_policy(precision)
    network = build(variant, SHAPES[variant], seed=0)
    data, check = Pairs(count, variant, batch, seed=1), Pairs(batch, variant, batch, seed=2)
    reported: list[Figures] = []

    def report(figures: Figures) -> None:
        print(figures, flush=True)
        reported.append(figures)

    with tempfile.TemporaryDirectory() as folder:
        figures = fit(
            network,
            data,
            check,
            epochs=EPOCHS,
            learning_rate=0.001,
            patience=EPOCHS,
            checkpoint=Path(folder),
            on_epoch=report,
            seed=0,
            contrast_epochs=EPOCHS,
        )[-1]
    began = time.perf_counter()
    for _ in data(EPOCHS):
        pass
    contrast = [epoch.issues / epoch.seconds for epoch in reported if isinstance(epoch, ContrastFigures)]
    return (
        network,
        figures,
        (time.perf_counter() - began) / figures.seconds,
        contrast[-1] if contrast else 0.0,
    )


def rates(network: Network, bodies: Ids, batch: int) -> list[float]:
    """Issues embedded, titled greedily and titled with a beam of 4 a second, `batch` at a time."""
    found = []
    for work in (
        lambda ids: network.encode(ids, batch),
        lambda ids: network.decode(ids, START, END, batch, beam_width=1),
        lambda ids: network.decode(ids, START, END, batch, beam_width=4),
    ):
        work(bodies[:batch])
        began = time.perf_counter()
        work(bodies)
        found.append(len(bodies) / (time.perf_counter() - began))
    return found


def main() -> None:
    """Prints one table: a row for each variant, precision and batch size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_bfloat16"])
    chosen = parser.parse_args()
    rows = []
    for variant in chosen.variants:
        for precision in chosen.precisions:
            for batch in chosen.batches:
                network, figures, input_share, contrast = train(variant, precision, batch, chosen.pairs)
                embedded, greedy, beam = rates(
                    network, bodies_of(variant, min(chosen.pairs, 40 * batch), 3), batch
                )
                tflops = figures.issues * FLOP_A_PAIR[variant] / figures.seconds / 1e12
                rows.append(
                    f"{variant:10} {precision:15} {batch:6} {figures.seconds:9.1f} {figures.loss:8.4f} {input_share:7.1%} {tflops:8.2f} "
                    f"{contrast:10.0f} {embedded:10.0f} {greedy:10.0f} {beam:10.0f}"
                )
    print(f"\n{chosen.pairs:,} pairs, Keras {keras.__version__} on {keras.config.backend()}")
    heads = (
        ("s/epoch", 9),
        ("loss", 8),
        ("input", 7),
        ("TFLOP/s", 8),
        *((f"{name}/s", 10) for name in ("contrast", "embed", "greedy", "beam 4")),
    )
    print(
        f"{'variant':10} {'precision':15} {'batch':>6} "
        + " ".join(f"{name:>{width}}" for name, width in heads)
    )
    print("\n".join(rows))


if __name__ == "__main__":
    main()
