"""How many issues a second are embedded and titled, by batch size, against the article's loop and against bare matrix products.

    PYTHONPATH=. .venv/bin/python tests/benchmarks/decoding.py

Each variant at its own size, fresh weights, made-up bodies; compiled before the clock starts. Fresh weights end no title, so every one is
as long as there is room: titles that end are quicker.

`loop` is how many times as quick as the article's loop it is: one issue after another, a call of Keras's `predict` for the body and one for
each word of its title; beside beams, too, stands that greedy loop. `bare` is the share of what NumPy does a second of the same matrix
products, of the same shapes, one after another on the same cores, with nothing in between: no gate, no softmax, no choice of a word.
Embeddings of `copy` are sums, and have none.
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

from pipeline.networks.in_keras import VARIANTS, Network, Shape, build
from pipeline.networks.in_keras.beam_search import Steps
from pipeline.networks.in_keras.body_lengths import lengths, trimmed

ARTICLES = Shape(8002, 4502)
SHAPES = {"gru": ARTICLES, "gru_cudnn": ARTICLES, "copy": Shape(8000, 8000, body_length=256, title_length=24)}
SIZES = {1: 48, 8: 192, 64: 512, 512: 2048}
"""issues a batch: issues timed"""
LOOP = 8
"""issues timed in the article's loop"""
WIDTHS = {"greedy": 1, "beam 4": 4}
START, END = 2, 3
Ids = npt.NDArray[np.int32]
Product = tuple[tuple[int, ...], tuple[int, ...]]
"""shapes of what is multiplied"""


def bodies(variant: str, count: int) -> Ids:
    """Of words everywhere; for `copy`, of 140 units on average, padded behind, as issues are."""
    random, shape = np.random.default_rng(0), SHAPES[variant]
    ids = random.integers(4, shape.body_vocabulary, (count, shape.body_length)).astype(np.int32)
    if not VARIANTS[variant].trims:
        return ids
    words = np.clip(random.lognormal(4.85, 0.75, count), 10, shape.body_length)
    return np.where(np.arange(shape.body_length) < words[:, None], ids, 0).astype(np.int32)


class Begin(keras.Model):
    """Bodies (B, length) -> what `Steps.begin` makes of them."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    def call(self, body: Any) -> Any:
        return self._steps.begin(body)


class Next(keras.Model):
    """Memory, states (B, 1, size), last words (B, 1) -> the likeliest next words (B, 1), states."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    def call(self, inputs: Any) -> Any:
        logs, state = self._steps.step(*inputs)
        return keras.ops.argmax(logs, axis=-1), state


def article_s_loop(network: Network, issues: Ids) -> dict[str, float]:
    """Bodies embedded and titles written a second, each by itself and word by word."""
    begin, further = (made(VARIANTS[network.variant].steps(network.model)) for made in (Begin, Next))
    encoded = written = 0.0
    for number, body in enumerate(issues[: LOOP + 1]):
        began = time.perf_counter()
        memory, state = begin.predict(body[None], verbose=0)
        read = time.perf_counter()
        state, word = state[:, None], np.array([[START]])
        for _ in range(network.shape.steps):
            word, state = further.predict([memory, state, word], verbose=0)
            if word[0, 0] == END:
                break
        if number:  # the first compiles
            encoded, written = encoded + read - began, written + time.perf_counter() - began
    return {"encode": LOOP / encoded, **dict.fromkeys(WIDTHS, LOOP / written)}


def products(variant: str, batch: int, places: int, work: str) -> Iterator[tuple[int, list[Product]]]:
    """The matrix products of a batch of bodies of so many places: how often, and which."""
    shape, size = SHAPES[variant], SHAPES[variant].hidden_size
    if variant == "copy":
        half = size // 2
        yield 4, [((batch * places, size), (size, 3 * half))]  # two layers, both ways
        yield 4 * places, [((batch, half), (half, 3 * half))]
        yield 1, [((batch, size), (size, size)), ((batch * places, size), (size, size))]
    else:
        yield 1, [((batch * places, size), (size, 3 * size))]
        yield places, recurrence(variant, batch, size)
    if work in WIDTHS:
        width = WIDTHS[work]
        rows = batch * width
        step: list[Product] = [((rows, size), (size, 3 * size)), *recurrence(variant, rows, size)]
        if variant == "copy":
            step += [
                ((batch, width, size), (batch, size, places)),
                ((batch, width, places), (batch, places, size)),
            ]
            step += [
                ((rows, 3 * size), (3 * size, 1)),
                ((rows, 2 * size), (2 * size, size)),
                ((rows, size), (size, size)),
            ]
        yield shape.steps, [*step, ((rows, size), (size, shape.title_vocabulary))]


def recurrence(variant: str, rows: int, size: int) -> list[Product]:
    """A step of a GRU; the article's multiplies by its candidate's matrix after the reset gate, so apart."""
    return [((rows, size), (size, width * size)) for width in ((2, 1) if variant == "gru" else (3,))]


def bare(variant: str, issues: Ids, size: int, work: str) -> float:
    """Issues a second, were there nothing but matrix products; 0 where there is none."""
    if work == "encode" and VARIANTS[variant].embed is not None:
        return 0.0
    sorted_ = issues[np.argsort(lengths(issues), kind="stable")]
    seconds, random = 0.0, np.random.default_rng(0)
    for first in range(0, len(issues), size):
        places = (
            trimmed(sorted_[first : first + size]).shape[1] if VARIANTS[variant].trims else issues.shape[1]
        )
        for times, some in products(variant, size, places, work):
            pairs = [tuple(random.random(shape, np.float32) for shape in product) for product in some]
            outs = [np.matmul(*pair) for pair in pairs]
            began = time.perf_counter()
            for _ in range(times):
                for (left, right), out in zip(pairs, outs, strict=True):
                    np.matmul(left, right, out=out)
            seconds += time.perf_counter() - began
    return len(issues) / seconds


def rate(work: Callable[..., object], issues: Ids, size: int) -> float:
    """Issues a second, `size` at a time."""
    work(issues, batch_size=size)  # each width of a batch is compiled
    began = time.perf_counter()
    work(issues, batch_size=size)
    return len(issues) / (time.perf_counter() - began)


def main() -> None:
    """Prints one table a variant."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), choices=list(SIZES))
    chosen = parser.parse_args()
    for variant in chosen.variants:
        network, issues = build(variant, SHAPES[variant], seed=0), bodies(variant, max(SIZES.values()))
        work: dict[str, Callable[..., object]] = {"encode": network.encode}
        work |= {
            name: partial(network.decode, start=START, end=END, beam_width=width)
            for name, width in WIDTHS.items()
        }
        loop = article_s_loop(network, issues)
        print(f"\n{variant:14} " + " ".join(f"{name + '/s':>9} {'loop':>6} {'bare':>5}" for name in work))
        print(
            f"{'one by one':14} " + " ".join(f"{loop[name]:9.1f} {1:6.1f} {'':>5}" for name in work),
            flush=True,
        )
        for size in chosen.sizes:
            cells = []
            for name, each in work.items():
                some = issues[: SIZES[size]]
                now, limit = rate(each, some, size), bare(variant, some, size, name)
                cells.append(
                    f"{now:9.1f} {now / loop[name]:6.1f} {f'{now / limit:.0%}' if limit else '-':>5}"
                )
            print(f"batches of {size:3} " + " ".join(cells), flush=True)


if __name__ == "__main__":
    main()
