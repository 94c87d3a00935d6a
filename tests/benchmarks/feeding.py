"""Whether input keeps up with training: the time to make an epoch's batches as a share of the epoch's time.

    PYTHONPATH=. python tests/benchmarks/feeding.py                         60,000 generated issues
    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/feeding.py    60,000 real issues
    PYTHONPATH=. python tests/benchmarks/feeding.py --lake DIR              keeps and reuses the lake in DIR

The stages put the issues into a lake, up to their vectors. The input of an epoch is read from the Parquet
files by `TrainingBatches`, shuffled, and converted by the variant: by `TeacherForcing.training_batches` for
titles, into bags for contrastive pre-training. After the steps that compile, some steps are trained and
timed, and their time is scaled to the epoch. The share assumes that the batches are made first and then
trained on; `prefetch` does both at once. `s` is elapsed time; `cpu` is processor time, which other work on
the machine does not change.
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

from pipeline.contracts import VOCABULARY
from pipeline.dataset.repository_runs import RUN_LENGTH
from pipeline.dataset.training_batches import TrainingBatches
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.networks.in_keras import Shape, build
from pipeline.networks.in_keras.contrastive_training import ContrastiveTraining, step_inputs
from pipeline.networks.in_keras.implementations import IMPLEMENTATIONS
from pipeline.networks.in_keras.teacher_forcing import TrainingBatch
from pipeline.networks.variants import VARIANTS
from pipeline.settings import LakeSettings, Settings
from pipeline.stages import clean, extract_file, vectorize, vocab
from pipeline.text.stored_vocabularies import load_vocabularies
from tests.benchmarks import parts

TARGET_RATE = 158_400
"""issues per second: the article's 1,584,000 pairs in ten seconds"""
UNTIMED_STEPS = 12
"""steps that are trained before the timed ones, so that everything is compiled"""
Epoch = Callable[[], Iterator[Any]]


def generated(count: int, seed: int = 0) -> pa.Table:
    """Titles and bodies of words that follow Zipf's law, of realistic lengths; repository sizes follow it,
    too."""
    random = np.random.default_rng(seed)
    words = np.array(["".join(letters) for letters in random.choice(list("etaoinshrdlu"), (20_000, 7))])
    repos = random.zipf(1.3, count) % 5_000

    def texts(typical: int, shortest: int, longest: int) -> list[str]:
        sizes = np.clip(random.lognormal(np.log(typical), 0.8, count).astype(int), shortest, longest)
        drawn = words[random.zipf(1.2, sizes.sum()) % len(words)]
        return [" ".join(text) for text in np.split(drawn, np.cumsum(sizes)[:-1])]

    return pa.table(
        {"repo": [f"owner/{number}" for number in repos], "title": texts(7, 3, 30), "body": texts(60, 6, 250)}
    )


def issues(count: int) -> pa.Table:
    """`count` real issues if TITLER_TEST_DATA is set, otherwise generated ones."""
    if "TITLER_TEST_DATA" not in os.environ:
        return generated(count)
    return parts.sample(parts.read(parts.test_data()), count).select(["repo", "title", "body"])


@dataclass(frozen=True)
class Source:
    """A variant's vectors in a lake, and the shape of its network."""

    lake: Lake
    model: Pinned
    vectors: Sequence[Manifest]
    shape: Shape

    def batches(self, size: int, run_length: int = 1) -> TrainingBatches:
        """The training batches that `titler train` reads."""
        lengths = self.shape.body_length, self.shape.title_length
        return TrainingBatches(
            self.lake, self.vectors, self.model.plan, "train", lengths, size, 1, run_length
        )


def source(root: Path, file: Path, variant: str) -> Source:
    """Everything that `titler train --from-file` does before it trains."""
    settings = Settings(lake=LakeSettings(root=str(root)))
    lake, digest = Lake(str(root)), extract_file.file_digest(file)
    extracted, _ = extract_file.run(lake, settings, file)
    cleaned = clean.clean_batches(lake, settings, [extracted])
    model = Pinned(lake, "models", variant)
    request = vocab.ModelRequest(variant=variant, file=digest)
    vocab.run(lake, settings, model, request, [extract_file.pinned_file(extracted, *cleaned.manifests)])
    vectors = vectorize.run(lake, settings, model).manifests
    vocabularies = load_vocabularies(lake, model.members[VOCABULARY][0])
    body, title = vocabularies.body, vocabularies.title
    return Source(lake, model, vectors, Shape(body.size, title.size, body.length, title.length))


@dataclass(frozen=True)
class Timing:
    """Elapsed seconds and seconds of processor time for a number of issues."""

    issues: int
    seconds: float
    cpu: float

    @property
    def per_issue(self) -> tuple[float, float]:
        """Elapsed seconds and seconds of processor time."""
        return self.seconds / self.issues, self.cpu / self.issues


def timed(work: Callable[[], int]) -> Timing:
    began, used = time.perf_counter(), time.process_time()
    count = work()
    return Timing(count, time.perf_counter() - began, time.process_time() - used)


def issues_of(step: Any) -> int:
    return step.issues if isinstance(step, TrainingBatch) else len(step[-1])


def input_timing(epoch: Epoch, rounds: int) -> Timing:
    """The fastest of `rounds` passes over an epoch's input, by processor time."""
    return min(
        (timed(lambda: sum(map(issues_of, epoch()))) for _ in range(rounds)), key=lambda timing: timing.cpu
    )


def training_timing(epoch: Epoch, train_step: Callable[[Any], object], count: int) -> Timing:
    """The training of `count` steps, whose input is made before."""
    steps = list(islice(epoch(), UNTIMED_STEPS + count))
    for step in steps[:UNTIMED_STEPS]:
        train_step(step)

    def work() -> int:
        for step in steps[UNTIMED_STEPS:]:
            train_step(step)
        return sum(map(issues_of, steps[UNTIMED_STEPS:]))

    return timed(work)


def lines(variant: str, data: Source, size: int, count: int, rounds: int) -> Iterator[str]:
    """The rows of a variant: training on titles, and contrastive pre-training if it has that."""
    network = build(variant, data.shape, seed=1)
    if VARIANTS[variant].pretrains_contrastively:
        pretraining = ContrastiveTraining(network.model)
        in_runs = data.batches(size, RUN_LENGTH)
        yield row(
            f"{variant}, contrast",
            input_timing(lambda: step_inputs(in_runs(1), data.shape.title_vocabulary), rounds),
            training_timing(
                lambda: step_inputs(in_runs(1), data.shape.title_vocabulary),
                pretraining.train_step,
                count // 4,
            ),
        )
        pretraining.finish()
    task = IMPLEMENTATIONS[variant].teacher_forcing(network.model)
    rate = VARIANTS[variant].learning_rate
    optimizer = task.optimizer(learning_rate=rate, global_clipnorm=task.gradient_norm_limit)
    task.model.compile(optimizer, task.loss, metrics=task.metrics)
    batches = data.batches(size)
    yield row(
        f"{variant}, titles",
        input_timing(lambda: task.training_batches(batches(1)), rounds),
        training_timing(
            lambda: task.training_batches(batches(1)),
            lambda step: task.model.train_on_batch(step.inputs, step.targets, return_dict=True),
            count,
        ),
    )


def row(name: str, reading: Timing, training: Timing) -> str:
    """Time for an epoch's input, time to train the epoch at the speed of the timed steps, and the input's
    share of the sum."""
    shares = [
        read / (read + trained) for read, trained in zip(reading.per_issue, training.per_issue, strict=True)
    ]
    epoch_training = [seconds * reading.issues for seconds in training.per_issue]
    return (
        f"{name:20} {reading.issues:8,} {reading.seconds:7.2f} {reading.cpu:7.2f} "
        f"{epoch_training[0]:9.1f} {epoch_training[1]:9.1f} {shares[0]:7.1%} {shares[1]:7.1%} "
        f"{1 / reading.per_issue[0]:10,.0f} {1 / reading.per_issue[1]:10,.0f} "
        f"{1 / training.per_issue[0]:9,.0f} {reading.per_issue[1] * TARGET_RATE:9.2f}"
    )


def main() -> None:
    """Prints one table, each row as soon as it is measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--issues", type=int, default=60_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument(
        "--steps",
        type=int,
        default=200,
        help="training steps to time; a quarter of it for contrastive steps, which have 512 issues each",
    )
    parser.add_argument("--rounds", type=int, default=3, help="passes over the input; the fastest counts")
    parser.add_argument("--variants", nargs="+", default=["gru", "copy"])
    parser.add_argument("--lake", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="titler-") as scratch:
        root = arguments.lake or Path(scratch)
        file = root / f"issues-{arguments.issues}.parquet"
        if not file.exists():
            root.mkdir(parents=True, exist_ok=True)
            pq.write_table(issues(arguments.issues), file)
        sources = {variant: source(root / "lake", file, variant) for variant in arguments.variants}
        print(
            f"\n{arguments.issues:,} issues, in training batches of {arguments.batch}; "
            f"{keras.config.backend()} on {os.cpu_count()} cores"
        )
        print(
            f"{'':29} {'input':>15} {'training':>19} {'input share':>15} {'input issues/s':>21} "
            f"{'training':>9} {'cores for':>9}"
        )
        headings = (
            ("issues", 8),
            ("s", 7),
            ("cpu", 7),
            ("s", 9),
            ("cpu", 9),
            ("s", 7),
            ("cpu", 7),
            ("elapsed", 10),
            ("per core", 10),
        )
        print(
            f"{'':20} "
            + " ".join(
                f"{name:>{width}}"
                for name, width in (*headings, ("issues/s", 9), (f"{TARGET_RATE / 1000:.0f}k/s", 9))
            )
        )
        for variant, data in sources.items():
            for line in lines(variant, data, arguments.batch, arguments.steps, arguments.rounds):
                print(line, flush=True)


if __name__ == "__main__":
    main()
