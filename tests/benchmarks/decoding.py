"""Issues per second that are embedded and titled, by batch size, compared with the article's loop and with
bare matrix products.

    PYTHONPATH=. .venv/bin/python tests/benchmarks/decoding.py

Each variant has its own size, fresh weights and generated bodies. Everything is compiled before it is timed.
With fresh weights no title ends, so every title has the maximum length; titles that end are faster.

The column `loop` is the speed relative to the article's loop, which is greedy also in the row of beam search:
one issue after another, with one call of Keras's `predict` for the body and one for each word of the title.
The column `bare` is the speed relative to NumPy computing only the same matrix products, with the same
shapes, one after another on the same cores, without gates, softmax or the choice of a word. It is empty for
embeddings of `copy`, which are sums.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.networks.in_keras import Network, Shape, build
from pipeline.networks.in_keras.beam_search import Decoder
from pipeline.networks.in_keras.implementations import IMPLEMENTATIONS
from pipeline.networks.in_keras.length_bucketing import lengths, trimmed
from pipeline.networks.variants import VARIANTS

ARTICLE_SHAPE = Shape(8002, 4502)
SHAPES = {
    "gru": ARTICLE_SHAPE,
    "gru_cudnn": ARTICLE_SHAPE,
    "copy": Shape(8000, 8000, body_length=256, title_length=24),
}
ISSUES_BY_BATCH_SIZE = {1: 48, 8: 192, 64: 512, 512: 2048}
"""batch size: number of issues timed"""
LOOP_ISSUES = 8
"""number of issues timed in the article's loop"""
WIDTHS = {"greedy": 1, "beam 4": 4}
START, END = 2, 3
Ids = npt.NDArray[np.int32]
Product = tuple[tuple[int, ...], tuple[int, ...]]
"""shapes of the two arrays that are multiplied"""


def bodies(variant: str, count: int) -> Ids:
    """Bodies of full length; for `copy`, of 140 units on average, with padding at the end, like real
    issues."""
    random, shape = np.random.default_rng(0), SHAPES[variant]
    ids = random.integers(4, shape.body_vocabulary, (count, shape.body_length)).astype(np.int32)
    if not VARIANTS[variant].trims_padding:
        return ids
    words = np.clip(random.lognormal(4.85, 0.75, count), 10, shape.body_length)
    return np.where(np.arange(shape.body_length) < words[:, None], ids, 0).astype(np.int32)


class Begin(keras.Model):
    """Bodies (B, length) -> the result of `Decoder.begin`."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self._decoder = decoder

    def call(self, body: Any) -> Any:
        return self._decoder.begin(body, None)


class Next(keras.Model):
    """The memory, states (B, 1, size), last words (B, 1) -> the most probable next words (B, 1), next
    states."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self._decoder = decoder

    def call(self, inputs: Any) -> Any:
        logs, state = self._decoder.step(*inputs)
        return keras.ops.argmax(logs, axis=-1), state


def rates_of_articles_loop(network: Network, issues: Ids) -> dict[str, float]:
    """Bodies embedded and titles written per second, one issue at a time and word by word."""
    decoder = IMPLEMENTATIONS[network.variant].decoder(network.model)
    first, following = Begin(decoder), Next(decoder)
    encoding_seconds = writing_seconds = 0.0
    for number, body in enumerate(issues[: LOOP_ISSUES + 1]):
        began = time.perf_counter()
        memory, state = first.predict(body[None], verbose=0)
        encoded_at = time.perf_counter()
        state, word = state[:, None], np.array([[START]])
        for _ in range(network.shape.decoder_steps):
            word, state = following.predict([memory, state, word], verbose=0)
            if word[0, 0] == END:
                break
        if number:  # the first issue compiles
            encoding_seconds += encoded_at - began
            writing_seconds += time.perf_counter() - began
    return {"encode": LOOP_ISSUES / encoding_seconds, **dict.fromkeys(WIDTHS, LOOP_ISSUES / writing_seconds)}


def products(variant: str, batch: int, length: int, task: str) -> Iterator[tuple[int, list[Product]]]:
    """The matrix products for a batch of bodies of this length, each group with the number of times it is
    computed."""
    shape, size = SHAPES[variant], SHAPES[variant].hidden_size
    if variant == "copy":
        half = size // 2
        yield 4, [((batch * length, size), (size, 3 * half))]  # two bidirectional layers
        yield 4 * length, [((batch, half), (half, 3 * half))]
        yield 1, [((batch, size), (size, size)), ((batch * length, size), (size, size))]
    else:
        yield 1, [((batch * length, size), (size, 3 * size))]
        yield length, recurrence(variant, batch, size)
    if task in WIDTHS:
        width = WIDTHS[task]
        rows = batch * width
        step: list[Product] = [((rows, size), (size, 3 * size)), *recurrence(variant, rows, size)]
        if variant == "copy":
            step += [
                ((batch, width, size), (batch, size, length)),
                ((batch, width, length), (batch, length, size)),
            ]
            step += [
                ((rows, 3 * size), (3 * size, 1)),
                ((rows, 2 * size), (2 * size, size)),
                ((rows, size), (size, size)),
            ]
        yield shape.decoder_steps, [*step, ((rows, size), (size, shape.title_vocabulary))]


def recurrence(variant: str, rows: int, size: int) -> list[Product]:
    """The products of a GRU's step.

    The article's GRU applies the reset gate before the candidate's product, so has two.
    """
    return [((rows, size), (size, width * size)) for width in ((2, 1) if variant == "gru" else (3,))]


def bare_products_rate(variant: str, issues: Ids, size: int, task: str) -> float:
    """Issues per second when only the matrix products are computed; 0 if there are none."""
    if task == "encode" and VARIANTS[variant].embedding_reads_titles:
        return 0.0
    by_length = issues[np.argsort(lengths(issues), kind="stable")]
    seconds, random = 0.0, np.random.default_rng(0)
    for first in range(0, len(issues), size):
        length = (
            trimmed(by_length[first : first + size]).shape[1]
            if VARIANTS[variant].trims_padding
            else issues.shape[1]
        )
        for times, group in products(variant, size, length, task):
            pairs = [tuple(random.random(shape, np.float32) for shape in product) for product in group]
            results = [np.matmul(*pair) for pair in pairs]
            began = time.perf_counter()
            for _ in range(times):
                for (left, right), result in zip(pairs, results, strict=True):
                    np.matmul(left, right, out=result)
            seconds += time.perf_counter() - began
    return len(issues) / seconds


def rate(work: Callable[..., object], issues: Ids, size: int) -> float:
    """Issues per second, in batches of `size`."""
    work(issues, batch_size=size)  # compiles every width of a batch
    began = time.perf_counter()
    work(issues, batch_size=size)
    return len(issues) / (time.perf_counter() - began)


def main() -> None:
    """Prints one table per variant."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variants", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument(
        "--sizes", nargs="+", type=int, default=list(ISSUES_BY_BATCH_SIZE), choices=list(ISSUES_BY_BATCH_SIZE)
    )
    arguments = parser.parse_args()
    for variant in arguments.variants:
        network, issues = (
            build(variant, SHAPES[variant], seed=0),
            bodies(variant, max(ISSUES_BY_BATCH_SIZE.values())),
        )
        tasks: dict[str, Callable[..., object]] = {"encode": network.encode}
        tasks |= {
            name: partial(network.decode, start=START, end=END, beam_width=width)
            for name, width in WIDTHS.items()
        }
        loop = rates_of_articles_loop(network, issues)
        print(f"\n{variant:14} " + " ".join(f"{name + '/s':>9} {'loop':>6} {'bare':>5}" for name in tasks))
        print(
            f"{'one by one':14} " + " ".join(f"{loop[name]:9.1f} {1:6.1f} {'':>5}" for name in tasks),
            flush=True,
        )
        for size in arguments.sizes:
            cells = []
            for name, task in tasks.items():
                timed = issues[: ISSUES_BY_BATCH_SIZE[size]]
                speed, limit = rate(task, timed, size), bare_products_rate(variant, timed, size, name)
                cells.append(
                    f"{speed:9.1f} {speed / loop[name]:6.1f} {f'{speed / limit:.0%}' if limit else '-':>5}"
                )
            print(f"batches of {size:3} " + " ".join(cells), flush=True)


if __name__ == "__main__":
    main()
