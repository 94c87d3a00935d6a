"""`titler run`: every stage in order, without Airflow, with what each took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import alerts, memory
from pipeline.cli import console
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, PinnedDay, new_id
from pipeline.settings import Settings
from pipeline.tracking import open_tracking

if TYPE_CHECKING:
    from pipeline.stages.vocab import Asked


@contextmanager
def timed(verb: str, *, sharded: bool = False) -> Iterator[None]:
    """Prints the stage's wall time and this process's highest resident memory during it; where it is `sharded`, its workers' too."""
    start = time.perf_counter()
    memory.reset_peak()
    before = memory.child_peak()
    yield
    after = memory.child_peak()
    console.took(
        verb, time.perf_counter() - start, memory.peak(), after if sharded and after > before else 0.0
    )


def run(
    lake: Lake,
    settings: Settings,
    days: Sequence[date],
    *,
    retrain: bool,
    variant: str | None,
    epochs: int | None,
) -> None:
    """Ingests the days; trains and promotes where there is no champion, or `retrain`; then refreshes. Raises what the stages raise.

    A challenger that is worse is told of at the end, by WorseError: the days are published with the champion all the same.
    """
    from pipeline.stages import clean, extract
    from pipeline.stages.promote import WorseError
    from pipeline.stages.vocab import Asked

    asked = Asked(variant=variant, epochs=epochs)
    asked.check()
    with timed("extract", sharded=True):
        outcome, health = extract.run(lake, settings, days)
        console.extracted(lake, settings, outcome, health)
    alerts.tell_days(lake, settings.alerts, health)
    with timed("clean", sharded=True):
        console.batches(lake, "clean", clean.run(lake, settings, [day.isoformat() for day in days]))
    worse = None
    if retrain or open_tracking(settings, lake).champion() is None:
        try:
            _train(lake, settings, Pinned(lake, "models", new_id()), asked)
        except WorseError as error:
            worse = error
    _refresh(lake, settings, Pinned(lake, "releases", new_id()))
    if worse is not None:
        raise worse


def learn(
    lake: Lake, settings: Settings, path: Path, *, name: str | None, variant: str | None, epochs: int | None
) -> str:
    """Trains a model on a file of titles and bodies, from the file to MLflow; its name. Raises what the stages raise.

    Without a `name` it has one that stands for the file and the settings, so the same command goes on where it was.
    """
    from pipeline.stages import clean, extract_file
    from pipeline.stages.vocab import Asked

    digest = extract_file.digest_of(path)
    asked = Asked(variant=variant, epochs=epochs, file=digest)
    asked.check()
    model = Pinned(lake, "models", name or extract_file.model_name(settings, digest, variant, epochs))
    with timed("take"):
        issues, made = extract_file.run(lake, settings, path)
        console.taken(lake, path, issues, made)
    with timed("clean", sharded=True):
        cleaned = clean.clean_batches(lake, settings, [issues])
        console.batches(lake, "clean", cleaned, "file")
    _make(lake, settings, model, asked, [extract_file.pinned(issues, *cleaned.manifests)])
    console.learned(model.name)
    return model.name


def _train(lake: Lake, settings: Settings, model: Pinned, asked: Asked) -> None:
    from pipeline.stages import evaluate, promote

    _make(lake, settings, model, asked)
    with timed("evaluate"):
        console.evaluated(evaluate.run(lake, settings, model), as_json=False)
    with timed("promote"):
        console.promoted(promote.run(lake, settings, model))


def _make(
    lake: Lake, settings: Settings, model: Pinned, asked: Asked, taken: Sequence[PinnedDay] = ()
) -> None:
    """Vocabulary, vectors and network of a model."""
    from pipeline.stages import train, vectorize, vocab

    thing = "file" if taken else "day"
    with timed("vocab", sharded=True):
        console.vocabulary(lake, model.name, vocab.run(lake, settings, model, asked, taken))
    with timed("vectorize", sharded=True):
        console.batches(lake, "vectorize", vectorize.run(lake, settings, model), thing)
    with timed("train"):
        console.trained(lake, settings, model.name, train.run(lake, settings, model, console.epoch))


def _refresh(lake: Lake, settings: Settings, release: Pinned) -> None:
    from pipeline.stages import collect, embed, index, plan, predict, publish, vectorize

    with timed("plan"):
        planned = plan.run(lake, settings, release)
        console.planned(release.name, planned)
    if planned.plan is None:
        return
    with timed("vectorize", sharded=True):
        console.batches(lake, "vectorize", vectorize.run(lake, settings, release))
    with timed("embed"):
        console.batches(lake, "embed", embed.run(lake, release))
    with timed("predict"):
        console.batches(lake, "predict", predict.run(lake, release))
    with timed("index"):
        console.indexed(lake, index.run(lake, release, settings.index))
    with timed("publish"):
        console.published(settings, publish.run(lake, settings, release, {}))
    with timed("collect"):
        console.collected(settings, collect.run(lake, settings))
