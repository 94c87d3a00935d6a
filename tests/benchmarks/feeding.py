"""Whether the input keeps training fed: what making an epoch's batches takes of what the epoch takes.

    PYTHONPATH=. python tests/benchmarks/feeding.py                         60,000 generated issues
    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/feeding.py    60,000 of the real ones
    PYTHONPATH=. python tests/benchmarks/feeding.py --lake DIR              keeps the lake there, and finds it again

The stages make a lake of them, up to vectors. `Batches` then gives a whole epoch from its Parquet files, shuffled; what the variant
makes of a batch counts, too: `lesson.batches` for titles, the bags for the contrast. Some steps of the same are trained on,
after those that compile, and scaled to the epoch. The share is of an epoch that makes its batches first and then trains, where
`ahead` does both at once. `s` are a clock's; `cpu` are seconds of a core, which say the same where the machine has other work.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dataset.repository_runs import TOGETHER
from pipeline.dataset.training_batches import Batches
from pipeline.lake.batches import Lake, Manifest
from pipeline.lake.pinned import Pinned
from pipeline.networks.in_keras import Shape, build
from pipeline.networks.in_keras.contrastive_training import Contrast, steps
from pipeline.networks.in_keras.teacher_forcing import Batch
from pipeline.networks.in_keras.variants import VARIANTS
from pipeline.settings import LakeSettings, Settings
from pipeline.stages import clean, extract_file, vectorize, vocab
from pipeline.stages.vocab import VOCABULARY
from tests.benchmarks import parts

NEEDED = 158_400
"""issues a second: the article's 1,584,000 pairs in ten seconds"""
COMPILED = 12
"""steps before the clock starts"""
Epoch = Callable[[], Iterator[Any]]


def generated(count: int, seed: int = 0) -> pa.Table:
    """Titles and bodies of words drawn by Zipf's law, of lengths as real ones have; so are repositories, of many issues or few."""
    random = np.random.default_rng(seed)
    words = np.array(["".join(letters) for letters in random.choice(list("etaoinshrdlu"), (20_000, 7))])
    repos = random.zipf(1.3, count) % 5_000

    def texts(typical: int, fewest: int, most: int) -> list[str]:
        sizes = np.clip(random.lognormal(np.log(typical), 0.8, count).astype(int), fewest, most)
        drawn = words[random.zipf(1.2, sizes.sum()) % len(words)]
        return [" ".join(text) for text in np.split(drawn, np.cumsum(sizes)[:-1])]

    return pa.table(
        {"repo": [f"owner/{number}" for number in repos], "title": texts(7, 3, 30), "body": texts(60, 6, 250)}
    )


def issues(count: int) -> pa.Table:
    """`count` real ones where there are some, generated ones else."""
    if "TITLER_TEST_DATA" not in os.environ:
        return generated(count)
    return parts.sample(parts.read(parts.test_data()), count).select(["repo", "title", "body"])


@dataclass(frozen=True)
class Source:
    """A variant's vectors in a lake, and the shape they give its network."""

    lake: Lake
    model: Pinned
    vectors: Sequence[Manifest]
    shape: Shape

    def batches(self, size: int, together: int = 1) -> Batches:
        """Those that `titler train` takes."""
        lengths = self.shape.body_length, self.shape.title_length
        return Batches(self.lake, self.vectors, self.model.plan(), "train", lengths, size, 1, together)


def source(root: Path, file: Path, variant: str) -> Source:
    """What `titler train --from-file` makes before it trains."""
    settings = Settings(lake=LakeSettings(root=str(root)))
    lake, digest = Lake(str(root)), extract_file.digest_of(file)
    taken, _ = extract_file.run(lake, settings, file)
    cleaned = clean.clean_batches(lake, settings, [taken])
    model = Pinned(lake, "models", variant)
    asked = vocab.Asked(variant=variant, file=digest)
    vocab.run(lake, settings, model, asked, [extract_file.pinned(taken, *cleaned.manifests)])
    vectors = vectorize.run(lake, settings, model).manifests
    found = vocab.vocabularies_of(lake, model.members(VOCABULARY, "vocab")[0])
    return Source(
        lake, model, vectors, Shape(found.body.size, found.title.size, found.body.length, found.title.length)
    )


@dataclass(frozen=True)
class Took:
    """Seconds by a clock and of cores, for so many issues."""

    issues: int
    seconds: float
    cpu: float

    @property
    def each(self) -> tuple[float, float]:
        return self.seconds / self.issues, self.cpu / self.issues


def timed(work: Callable[[], int]) -> Took:
    began, used = time.perf_counter(), time.process_time()
    count = work()
    return Took(count, time.perf_counter() - began, time.process_time() - used)


def issues_of(step: Any) -> int:
    return step.issues if isinstance(step, Batch) else len(step[-1])


def fed(epoch: Epoch, rounds: int) -> Took:
    """The quickest of some epochs' inputs, by the seconds of cores."""
    return min(
        (timed(lambda: sum(map(issues_of, epoch()))) for _ in range(rounds)), key=lambda took: took.cpu
    )


def trained(epoch: Epoch, learn: Callable[[Any], object], count: int) -> Took:
    """`count` steps, made before the clock starts."""
    made = list(islice(epoch(), COMPILED + count))
    for step in made[:COMPILED]:
        learn(step)

    def work() -> int:
        for step in made[COMPILED:]:
            learn(step)
        return sum(map(issues_of, made[COMPILED:]))

    return timed(work)


def lines(variant: str, found: Source, size: int, count: int, rounds: int) -> Iterator[str]:
    """The table's rows of a variant: titles, and the contrast where it has one."""
    network = build(variant, found.shape, seed=1)
    kind = VARIANTS[variant]
    if kind.contrast is not None:
        learning: Contrast = kind.contrast(network.model)
        grouped = found.batches(size, TOGETHER)
        pairs = learning._pairs  # a step of it has no name of its own
        yield row(
            f"{variant}, contrast",
            fed(lambda: steps(grouped(1), found.shape.title_vocabulary), rounds),
            trained(
                lambda: steps(grouped(1), found.shape.title_vocabulary),
                lambda step: pairs.train_on_batch(step, np.zeros((len(step[-1]), 1), np.float32)),
                count // 4,
            ),
        )
        learning.finish()
    lesson = kind.lesson(network.model)
    lesson.model.compile(
        keras.optimizers.Nadam(0.001, global_clipnorm=lesson.clip), lesson.loss, metrics=lesson.metrics
    )
    batches = found.batches(size)
    yield row(
        f"{variant}, titles",
        fed(lambda: lesson.batches(batches(1)), rounds),
        trained(
            lambda: lesson.batches(batches(1)),
            lambda step: lesson.model.train_on_batch(step.inputs, step.targets, return_dict=True),
            count,
        ),
    )


def row(name: str, made: Took, learned: Took) -> str:
    """What an epoch's input takes, what its training would take at the steps' pace, and the input's share of both together."""
    shares = [mine / (mine + theirs) for mine, theirs in zip(made.each, learned.each, strict=True)]
    whole = [each * made.issues for each in learned.each]
    return (
        f"{name:20} {made.issues:8,} {made.seconds:7.2f} {made.cpu:7.2f} {whole[0]:9.1f} {whole[1]:9.1f} {shares[0]:7.1%} {shares[1]:7.1%} "
        f"{1 / made.each[0]:10,.0f} {1 / made.each[1]:10,.0f} {1 / learned.each[0]:9,.0f} {made.each[1] * NEEDED:9.2f}"
    )


def main() -> None:
    """Prints one table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--issues", type=int, default=60_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument(
        "--steps",
        type=int,
        default=200,
        help="trained on and timed; of the contrast, which has 512 issues each, a quarter",
    )
    parser.add_argument("--rounds", type=int, default=3, help="epochs of input, of which the quickest counts")
    parser.add_argument("--variants", nargs="+", default=["gru", "copy"])
    parser.add_argument("--lake", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="titler-") as scratch:
        root = chosen.lake or Path(scratch)
        file = root / f"issues-{chosen.issues}.parquet"
        if not file.exists():
            root.mkdir(parents=True, exist_ok=True)
            pq.write_table(issues(chosen.issues), file)
        sources = {variant: source(root / "lake", file, variant) for variant in chosen.variants}
        print(
            f"\n{chosen.issues:,} issues, those that train by {chosen.batch}; {keras.config.backend()} on {os.cpu_count()} cores"
        )
        print(
            f"{'':29} {'input':>15} {'training':>19} {'input share':>15} {'input issues/s':>21} {'training':>9} {'cores for':>9}"
        )
        heads = (
            ("issues", 8),
            ("s", 7),
            ("cpu", 7),
            ("s", 9),
            ("cpu", 9),
            ("s", 7),
            ("cpu", 7),
            ("a clock", 10),
            ("a core", 10),
        )
        print(
            f"{'':20} "
            + " ".join(
                f"{name:>{width}}"
                for name, width in (*heads, ("issues/s", 9), (f"{NEEDED / 1000:.0f}k/s", 9))
            )
        )
        for variant, found in sources.items():
            for line in lines(variant, found, chosen.batch, chosen.steps, chosen.rounds):
                print(line, flush=True)


if __name__ == "__main__":
    main()
