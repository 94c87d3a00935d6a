"""How many issues a second are embedded and titled, by batch size, against one issue after another.

    PYTHONPATH=. .venv/bin/python tests/benchmarks/decoding.py

Each variant at its own size, fresh weights, made-up bodies; compiled before the clock starts. Fresh weights end no title, so every one is
as long as there is room: titles that end are quicker.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from pipeline.models import VARIANTS, Shape, build

ARTICLES = Shape(8002, 4502)
SHAPES = {"gru": ARTICLES, "gru_cudnn": ARTICLES, "copy": Shape(8000, 8000, body_length=256, title_length=24)}
SIZES = {1: 48, 8: 192, 64: 512, 512: 2048}
"""issues a batch: issues timed"""
WIDTHS = {"greedy": 1, "beam 4": 4}
START, END = 2, 3
Ids = npt.NDArray[np.int32]


def bodies(variant: str, count: int) -> Ids:
    """Of words everywhere; for `copy`, of 140 units on average, padded behind, as issues are."""
    random, shape = np.random.default_rng(0), SHAPES[variant]
    ids = random.integers(4, shape.body_vocabulary, (count, shape.body_length)).astype(np.int32)
    if not VARIANTS[variant].trims:
        return ids
    lengths = np.clip(random.lognormal(4.85, 0.75, count), 10, shape.body_length)
    return np.where(np.arange(shape.body_length) < lengths[:, None], ids, 0).astype(np.int32)


def rate(work: Callable[..., object], issues: Ids, size: int, count: int) -> float:
    """Issues a second, `size` at a time."""
    work(issues[:size], batch_size=size)
    began = time.perf_counter()
    work(issues[:count], batch_size=size)
    return count / (time.perf_counter() - began)


def main() -> None:
    """Prints one table a variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), choices=list(SIZES))
    chosen = parser.parse_args()
    for variant in chosen.variants:
        network, issues = build(variant, SHAPES[variant], seed=0), bodies(variant, max(SIZES.values()))
        work: dict[str, Callable[..., object]] = {"encode": network.encode}
        work |= {name: partial(network.decode, start=START, end=END, beam_width=width) for name, width in WIDTHS.items()}
        print(f"\n{variant:10} " + " ".join(f"{name + '/s':>9} {'ratio':>6}" for name in work))
        first: list[float] = []
        for size in chosen.sizes:
            rates = [rate(each, issues, size, SIZES[size]) for each in work.values()]
            first = first or rates
            print(
                f"batch {size:4} " + " ".join(f"{now:9.0f} {now / then:6.1f}" for now, then in zip(rates, first, strict=True)), flush=True
            )


if __name__ == "__main__":
    main()
