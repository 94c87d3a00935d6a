"""Measures everything that needs an accelerator, in one table.

    KERAS_BACKEND=jax PYTHONPATH=. python tests/benchmarks/gpu.py    1,584,000 pairs, as in the article
    PYTHONPATH=. python tests/benchmarks/gpu.py --pairs 3000 --batches 256       a trial on a CPU

Imports only `pipeline.networks`, NumPy and the standard library, so it runs on a machine that has only Keras
and a backend. The
pairs are generated with words that follow Zipf's law. For the article's network they have 70 and 12 ids from
its vocabularies of 8,002 and 4,502; for `copy` they have at most 256 and 24 of 8,000 units, and 140 and 12 on
average. The article's epoch took 263 s on a V100.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator

import keras
import numpy as np
import numpy.typing as npt

from pipeline.networks.in_keras import Network, Shape, build
from pipeline.networks.in_keras.contrastive_training import ContrastFigures
from pipeline.networks.in_keras.training import EpochFigures, Figures, fit
from pipeline.networks.variants import VARIANTS
from tests.support.checkpoint_folder import CheckpointFolder

Ids = npt.NDArray[np.int32]
ARTICLE_SHAPE = Shape(8002, 4502)
SHAPES = {
    "gru": ARTICLE_SHAPE,
    "gru_cudnn": ARTICLE_SHAPE,
    "copy": Shape(8000, 8000, body_length=256, title_length=24),
}
FLOP_PER_PAIR = {"gru": 352e6, "gru_cudnn": 352e6, "copy": 1031e6}
"""forward and backward: the steps of the GRUs, the keys of the attention, and the output matrix for the
tokens of the title"""
PAIRS = 1_584_000
BATCHES = (1200, 4800)
EPOCHS = 2  # the first one compiles; the second one is timed
START, END = 2, 3


def words(random: np.random.Generator, count: int, length: int, vocabulary: int) -> Ids:
    """(count, length) ids from 4 on, distributed by Zipf's law."""
    ids: Ids = (4 + random.zipf(1.3, (count, length)) % (vocabulary - 4)).astype(np.int32)
    return ids


def bodies_of(variant: str, count: int, seed: int) -> Ids:
    """Bodies as the variant reads them: of full length, or with padding at the end."""
    random, shape = np.random.default_rng(seed), SHAPES[variant]
    ids = words(random, count, shape.body_length, shape.body_vocabulary)
    if VARIANTS[variant].trims_padding:
        ids[
            np.arange(shape.body_length)
            >= np.clip(random.lognormal(4.85, 0.75, count), 10, shape.body_length)[:, None]
        ] = 0
    return ids


class Pairs:
    """Bodies and titles in memory; called with the number of an epoch, yields batches of one size."""

    def __init__(self, count: int, variant: str, batch: int, seed: int) -> None:
        random, shape = np.random.default_rng([seed, 1]), SHAPES[variant]
        self.bodies = bodies_of(variant, count, seed)
        self.titles = words(random, count, shape.title_length, shape.title_vocabulary)
        if VARIANTS[variant].trims_padding:
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
    """Trains a network.

    Returns it, its last epoch, the time to read that epoch's batches as a share of the epoch's time, and the
    pairs per second of contrastive pre-training (0 if there is none).
    """
    keras.config.set_dtype_policy(precision)
    network = build(variant, SHAPES[variant], seed=0)
    data, validation = Pairs(count, variant, batch, seed=1), Pairs(batch, variant, batch, seed=2)
    reported: list[Figures] = []

    def report(figures: Figures) -> None:
        print(figures, flush=True)
        reported.append(figures)

    with tempfile.TemporaryDirectory() as folder:
        figures = fit(
            network,
            data,
            validation,
            epochs=EPOCHS,
            learning_rate=VARIANTS[network.variant].learning_rate,
            patience=EPOCHS,
            checkpoint=CheckpointFolder(folder),
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
    """Issues per second that are embedded, titled greedily, and titled with a beam width of 4, in batches of
    `batch`."""
    issues_per_second = []
    for work in (
        lambda ids: network.encode(ids, batch),
        lambda ids: network.decode(ids, START, END, batch, beam_width=1),
        lambda ids: network.decode(ids, START, END, batch, beam_width=4),
    ):
        work(bodies[:batch])
        began = time.perf_counter()
        work(bodies)
        issues_per_second.append(len(bodies) / (time.perf_counter() - began))
    return issues_per_second


def main() -> None:
    """Prints one table with a row per variant, precision and batch size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_bfloat16"])
    arguments = parser.parse_args()
    rows = []
    for variant in arguments.variants:
        for precision in arguments.precisions:
            for batch in arguments.batches:
                network, figures, input_share, contrast = train(variant, precision, batch, arguments.pairs)
                embedded, greedy, beam = rates(
                    network, bodies_of(variant, min(arguments.pairs, 40 * batch), 3), batch
                )
                tflops = figures.issues * FLOP_PER_PAIR[variant] / figures.seconds / 1e12
                rows.append(
                    f"{variant:10} {precision:15} {batch:6} {figures.seconds:9.1f} {figures.loss:8.4f} "
                    f"{input_share:7.1%} {tflops:8.2f} {contrast:10.0f} "
                    f"{embedded:10.0f} {greedy:10.0f} {beam:10.0f}"
                )
    print(f"\n{arguments.pairs:,} pairs, Keras {keras.__version__} on {keras.config.backend()}")
    headings = (
        ("s/epoch", 9),
        ("loss", 8),
        ("input", 7),
        ("TFLOP/s", 8),
        *((f"{name}/s", 10) for name in ("contrast", "embed", "greedy", "beam 4")),
    )
    print(
        f"{'variant':10} {'precision':15} {'batch':>6} "
        + " ".join(f"{name:>{width}}" for name, width in headings)
    )
    print("\n".join(rows))


if __name__ == "__main__":
    main()
