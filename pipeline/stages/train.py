"""train: vectors_v1 -> a predictor (vocabularies and network) in the lake, its run and its version in MLflow."""

from __future__ import annotations

import dataclasses
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import memory
from pipeline.contracts import VECTORS
from pipeline.dataset.repository_runs import TOGETHER
from pipeline.dataset.training_batches import Batches, Ids
from pipeline.evaluation.calibration import threshold
from pipeline.lake.batches import Lake, Manifest
from pipeline.lake.pinned import Pinned, Plan
from pipeline.predictor.predictor import Predictor
from pipeline.progress import say, track
from pipeline.provenance import revision
from pipeline.settings import Model, Settings
from pipeline.stages.vocab import VOCABULARY, vocabularies_of
from pipeline.tracking import Run, Tracking

if TYPE_CHECKING:
    from pipeline.networks.in_keras.training import History

PREDICTOR = "predictor"
AFTERWARDS = {
    "promotion_margin",
    "promotion_retrieval_margin",
    "sample_titles",
    "inference_batch_size",
    "beam_width",
}
"""Settings of the model that training does not read: left out of the run's parameters."""


def tracking_of(settings: Settings, lake: Lake) -> Tracking:
    """MLflow as the settings say, artifacts inside the lake."""
    return Tracking(
        settings.tracking_uri, settings.tracking.experiment, settings.tracking.model_name, lake.path("mlflow")
    )


def watched(
    batches: Batches, issues: int, batch_size: int, what: str
) -> Callable[[int], Iterator[tuple[Ids, Ids]]]:
    """The same batches with a progress bar an epoch."""
    return lambda epoch: track(batches(epoch), f"{what}, epoch {epoch}", math.ceil(issues / batch_size))


def run(
    lake: Lake, settings: Settings, model: Pinned, on_epoch: Callable[[Any], None] = lambda figures: None
) -> Manifest:
    """The model's predictor, trained once; a killed training goes on from its last checkpoint. `on_epoch` is told each epoch's figures.

    Raises UsageError where the model was not vectorized.
    """
    plan = model.plan()
    vocabulary = model.members(VOCABULARY, "vocab")[0]
    vectors = model.members(VECTORS.name, "vectorize")
    if model.has_members(PREDICTOR):
        return model.members(PREDICTOR, "train")[0]
    hyper = Model(**plan.facts["model"]).model_dump()  # a plan of before a setting existed has its default
    inputs = [vocabulary.digest, *(manifest.digest for manifest in vectors)]
    checkpoint = lake.scratch(f"models/{model.name}/checkpoint")
    found = lake.find(PREDICTOR, {"model": model.name}, inputs, hyper)
    if found is not None:
        return _keep(model, found, checkpoint)

    from pipeline.networks.in_keras import Shape, build
    from pipeline.networks.in_keras.devices import device, peak_memory, spread
    from pipeline.networks.in_keras.training import Figures, best_epoch, fit

    vocabularies = vocabularies_of(lake, vocabulary)
    lengths = (vocabularies.body.length, vocabularies.title.length)
    shape = Shape(
        body_vocabulary=vocabularies.body.size,
        title_vocabulary=vocabularies.title.size,
        body_length=lengths[0],
        title_length=lengths[1],
        embedding_size=hyper["embedding_size"],
        hidden_size=hyper["hidden_size"],
    )
    sizes = {part: vocabulary.figures[part] for part in ("train", "validation", "test")}
    data, data_name, data_digest = learned_from(model, plan, vocabulary)
    parameters: dict[str, Any] = {
        **{name: value for name, value in hyper.items() if name not in AFTERWARDS},
        **data,
        "body_vocabulary": shape.body_vocabulary,
        "title_vocabulary": shape.title_vocabulary,
        "body_length": shape.body_length,
        "title_length": shape.title_length,
        **{f"{part}_issues": size for part, size in sizes.items()},
    }
    tracking = tracking_of(settings, lake)
    with tempfile.TemporaryDirectory(prefix="titler-") as scratch, spread(hyper["batch_size"]) as devices:
        folder = Path(scratch)
        parameters["devices"] = max(1, len(devices))
        where = (
            ", ".join(devices) or device()
        )  # a backend that finds no driver says nothing and takes the CPU
        say(
            f"    on {len(devices)} devices, each with its part of every batch: {where}"
            if devices
            else f"    on {where}"
        )
        tags = {"titler.vocabulary": vocabulary.figures["id"], "titler.device": where, **_code()}
        with tracking.training_run(model.name, parameters, tags) as run:
            run.dataset(data_name, data_digest, **sizes)
            network = build(hyper["variant"], shape, seed=hyper["seed"])
            batch = hyper["batch_size"]

            def report(figures: Figures) -> None:
                run.epoch(figures)
                on_epoch(figures)

            training = Batches(lake, vectors, plan, "train", lengths, batch, hyper["seed"])
            grouped = Batches(lake, vectors, plan, "train", lengths, batch, hyper["seed"], TOGETHER)
            validation = Batches(lake, vectors, plan, "validation", lengths, batch)
            history = fit(
                network,
                watched(training, sizes["train"], batch, "train"),
                watched(validation, sizes["validation"], batch, "validate"),
                epochs=hyper["epochs"],
                learning_rate=hyper["learning_rate"],
                patience=hyper["patience"],
                checkpoint=checkpoint,
                on_epoch=report,
                seed=hyper["seed"],
                contrast=watched(grouped, sizes["train"], batch, "contrast"),
                contrast_epochs=hyper["contrast_epochs"],
            )
            predictor = Predictor(
                name=model.name,
                network=network,
                vocabularies=vocabularies,
                engine=plan.facts["text"]["engine"],
                abstain_below=hyper["abstain_below"],
                batch_size=hyper["inference_batch_size"],
                beam_width=hyper["beam_width"],
            )
            if precision := hyper["abstain_precision"]:
                least = max(predictor.abstain_below, _threshold(predictor, model, precision))
                predictor = dataclasses.replace(predictor, abstain_below=least)
            predictor.save(folder / "predictor")
            run.loss_picture(history)
            run.table("days.json", [asdict(day) for day in plan.days])
            run.table("batches.json", [_batch(manifest) for manifest in (vocabulary, *vectors)])
            run.json("settings.json", {**settings.public(), "text": plan.facts["text"], "model": hyper})
            vocabularies.save(folder / "vocabulary")
            run.artifacts(folder / "vocabulary", "vocabulary")
            run_id = run.id
            version = tracking.register(run_id, folder / "predictor", model.name)
            run.metrics(
                _usage(run, history, peak_memory())
            )  # before, MLflow would show them as figures of the registered model
        draft = lake.draft(PREDICTOR, {"model": model.name}, inputs, hyper)
        for path in sorted((folder / "predictor").iterdir()):
            draft.write_file(path.name, path.read_bytes())
        manifest = draft.commit(
            {
                "variant": hyper["variant"],
                "vocabulary": vocabulary.figures["id"],
                "hidden_size": shape.hidden_size,
                "mlflow_run": run_id,
                "version": version,
                "epochs": len(history),
                "validation_loss": best_epoch(history).validation_loss,
                "abstain_below": predictor.abstain_below,
                **sizes,
            }
        )
    return _keep(model, manifest, checkpoint)


def learned_from(model: Pinned, plan: Plan, vocabulary: Manifest) -> tuple[dict[str, Any], str, str]:
    """What MLflow is told of the data: parameters, a name and a digest."""
    first, last = plan.days[0], plan.days[-1]
    if digest := plan.facts["asked"].get("file"):
        name = model.issues(first).figures["file"]
        return {"file": name, "file_sha256": digest}, name, digest
    return (
        {"days": len(plan.days), "first_day": first.day, "last_day": last.day},
        f"{first.day} to {last.day}",
        vocabulary.digest,
    )


def _threshold(predictor: Predictor, model: Pinned, precision: float) -> float:
    """The confidence that titles need so that `precision` of those given on the model's validation issues are alike the authors'."""
    from pipeline.stages.validation import (
        answers,
        validation,
    )  # ROUGE is a second to import, and most verbs import this module

    examples = list(validation(model.lake, model))
    found = answers(predictor, [example.body for example in examples])
    return threshold(*found.told([example.title.lower() for example in examples]), precision)


def _code() -> dict[str, str]:
    """A run's tags about the code: MLflow shows the commit beside the run's source."""
    here = revision()
    told = {"titler.version": here.version}
    if here.commit:
        told |= {
            "mlflow.source.git.commit": here.commit,
            "titler.uncommitted_changes": str(here.changed).lower(),
        }
    return told


def _usage(run: Run, history: History, gpu: float | None) -> dict[str, float]:
    """What the training took. Its seconds are those of all its epochs, also of those before it was killed and went on."""
    rate = sum(figures.issues for figures in history) / max(sum(figures.seconds for figures in history), 1e-9)
    seconds = run.total("contrast/seconds") + run.total("train/seconds")
    told = {"train_seconds": seconds, "train_issues_a_second": rate, "train_peak_mib": memory.peak()}
    return {
        f"usage/{name}": value
        for name, value in (told if gpu is None else {**told, "train_gpu_peak_mib": gpu}).items()
    }


def _batch(manifest: Manifest) -> dict[str, Any]:
    """A batch that the model was made of, as a row of batches.json."""
    return {
        "table": manifest.table,
        "day": manifest.partition.get("day", ""),
        "batch_id": manifest.batch_id,
        "rows": manifest.rows,
        "digest": manifest.digest,
        "folder": manifest.folder,
    }


def _keep(model: Pinned, manifest: Manifest, checkpoint: Path) -> Manifest:
    """The model's predictor from here on. The checkpoint goes first: once the predictor is the model's, nobody looks for one again."""
    shutil.rmtree(checkpoint)
    model.set_members(PREDICTOR, [manifest])
    return manifest
