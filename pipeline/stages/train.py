"""Stage `train`: trains a network on the table vectors_v1, and writes a predictor to the lake.

The predictor is the trained network with its vocabularies. The training is logged as a run in MLflow, and the
predictor is registered there as a model version. If the model takes the embedding network of another model,
only its title network is trained.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.contracts import PREDICTOR, VECTORS, VOCABULARY
from pipeline.dataset.repository_runs import RUN_LENGTH
from pipeline.evaluation.title_calibration import Calibration, calibrate, has_latin_letters
from pipeline.evaluation.title_confidence import abstention_threshold
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.lake.work_folder import WorkFolder
from pipeline.networks.shape import Ids
from pipeline.networks.shortlist import most_frequent_units
from pipeline.networks.variants import variant_of
from pipeline.predictor.loading import in_faster_library
from pipeline.predictor.predictor import Predictor
from pipeline.progress import say
from pipeline.provenance import revision
from pipeline.settings import NOT_TRAINING_SETTINGS, PRESET_SETTINGS, Settings
from pipeline.stages.title_network import build_network, origin, title_batches
from pipeline.stages.training_inputs import CHECKPOINT, TrainingInputs
from pipeline.telemetry import record_part, step
from pipeline.tracking import Run, open_tracking
from pipeline.usage import peak_mib

if TYPE_CHECKING:
    from pipeline.networks.in_keras.network import Network
    from pipeline.networks.in_keras.training import Figures, History
    from pipeline.networks.pretrained.network import PretrainedNetwork
    from pipeline.predictor.held_out import HeldOutIssue
    from pipeline.stages.teach import Lesson, TeacherRequest

CALIBRATION_ISSUES = 10_000
"""Maximum number of held-out issues that the confidence is calibrated on. More would hardly change the
curve, but decoding them takes time."""


def run(
    lake: Lake,
    settings: Settings,
    model: Pinned,
    on_epoch: Callable[[Any], None] = lambda figures: None,
    teacher: TeacherRequest | None = None,
) -> Manifest:
    """Trains a model, and returns the manifest of the batch of the lake that holds its predictor. If the
    model is trained already, returns the manifest of the existing batch.

    If the titles of the `teacher` score higher on held-out issues than the body's first words (the floor) and
    than the champion's titles, the model also learns from them. An interrupted training resumes from its last
    checkpoint. `on_epoch` is called with the figures of each epoch.

    Raises UsageError if the stage `vectorize` has not run for the model. Also raises UsageError if a
    `teacher` is given, but the model was already trained without a teacher, or with another teacher or
    weight.
    """
    inputs = TrainingInputs(
        lake, model, model.plan, model.members[VOCABULARY][0], model.members[VECTORS.name]
    )
    if PREDICTOR in model.members:
        if teacher is not None:
            teacher.require_same(model)
        return model.members[PREDICTOR][0]
    lesson = teacher.lesson(open_tracking(settings, lake), model) if teacher else None
    digests = [inputs.vocabulary.digest, *(manifest.digest for manifest in inputs.vectors)]
    if inputs.taken_network is not None:
        digests.append(inputs.taken_network.digest)
    partition = {"model": model.name}
    parameters = {**inputs.key_settings, **(lesson.parameters if lesson else {})}
    checkpoint = model.work_folder(lesson.checkpoint if lesson else CHECKPOINT)
    manifest = lake.find(PREDICTOR, partition, digests, parameters)
    if manifest is None:
        draft = lake.draft(PREDICTOR, partition, digests, parameters)
        with tempfile.TemporaryDirectory(prefix="titler-") as folder:
            figures = _train(inputs, settings, Path(folder), checkpoint, on_epoch, lesson)
            draft.write_folder(Path(folder, "predictor"))
        manifest = draft.commit(figures)
    # Deleted before the predictor is recorded: a model with a predictor never looks for its checkpoint again.
    # Earlier attempts may have left other checkpoints: without a teacher, or with another one.
    model.delete_work_folders(CHECKPOINT)
    model.members.put(PREDICTOR, [manifest])
    return manifest


def _train(
    inputs: TrainingInputs,
    settings: Settings,
    folder: Path,
    checkpoint: WorkFolder,
    on_epoch: Callable[[Any], None],
    lesson: Lesson | None,
) -> dict[str, Any]:
    """Trains the network, writes the predictor to `folder`/predictor and registers it in MLflow. Returns the
    figures for the predictor's manifest."""
    from pipeline.networks.in_keras.devices import data_parallel, default_device, peak_memory
    from pipeline.networks.in_keras.training import best_epoch

    network_settings = inputs.network_settings
    tracking = open_tracking(settings, inputs.lake)
    with data_parallel(network_settings["batch_size"]) as devices:
        # The device is printed, because a backend that finds no GPU driver silently uses the CPU.
        place = ", ".join(devices) or default_device()
        say(
            f"    training on {len(devices)} devices, each with its share of every training batch: {place}"
            if devices
            else f"    training on {place}"
        )
        network = build_network(inputs)
        data, data_name, data_digest = describe_training_data(inputs)
        parameters = {**_run_parameters(inputs), **data, "devices": max(1, len(devices)), **origin(network)}
        parameters |= lesson.run_parameters if lesson else {}
        tags = {
            "titler.vocabulary": inputs.vocabulary.figures["id"],
            "titler.device": place,
            **_revision_tags(),
        }
        with tracking.training_run(inputs.model.name, parameters, tags) as run:
            run.log_dataset(data_name, data_digest, **inputs.subset_sizes)
            history = _fit(inputs, network, run, checkpoint, on_epoch, lesson)
            with step("calibration"):
                predictor, calibration = _predictor(inputs, network)
            with step("MLflow"):
                predictor.save(folder / "predictor")
                _log_artifacts(inputs, settings, run, folder, history)
                version = tracking.register(run.id, folder / "predictor", inputs.model.name)
            # After registering: otherwise MLflow would show these as figures of the registered model.
            run.log_metrics(_resource_usage(run, history, peak_memory()) | (lesson.metrics if lesson else {}))
    return {
        "variant": network_settings["variant"],
        "vocabulary": inputs.vocabulary.figures["id"],
        "hidden_size": inputs.shape.hidden_size,
        "mlflow_run": run.id,
        "version": version,
        "epochs": len(history),
        "validation_loss": best_epoch(history).validation_loss,
        "abstain_below": predictor.abstain_below,
        "calibration": calibration.figures() if calibration else None,
        "embedding_model": inputs.taken_network.model if inputs.taken_network else inputs.model.name,
        **inputs.subset_sizes,
        **(lesson.figures if lesson else {}),
    }


def _fit(
    inputs: TrainingInputs,
    network: Network | PretrainedNetwork,
    run: Run,
    checkpoint: WorkFolder,
    on_epoch: Callable[[Any], None],
    lesson: Lesson | None,
) -> History:
    """Trains the network, chooses its shortlist (the units that decoding considers), and logs each epoch to
    MLflow.

    Returns the figures of each epoch of the training on titles. Epochs of contrastive pre-training are
    logged, but not returned.
    """
    from pipeline.networks.in_keras.training import fit

    def report(figures: Figures) -> None:
        end = time.time_ns()
        label = "epoch" if figures.group == "train" else "contrastive pre-training"
        record_part(label, end - int(figures.seconds * 10**9), end)
        run.log_epoch(figures)
        on_epoch(figures)

    settings = inputs.network_settings
    train = inputs.batches("train", "train")
    if lesson is not None:
        train = lesson.mixed(train, inputs.model, inputs.vocabularies, checkpoint, settings["seed"])
    validation = inputs.batches("validation", "validate")
    history = fit(
        network,
        title_batches(network, inputs.vocabularies, train),
        title_batches(network, inputs.vocabularies, validation),
        epochs=settings["epochs"],
        learning_rate=settings["learning_rate"],
        patience=settings["patience"],
        checkpoint=checkpoint,
        on_epoch=report,
        seed=settings["seed"],
        contrast=inputs.batches("train", "contrast", RUN_LENGTH, authors_titles=True),
        contrast_epochs=settings["contrast_epochs"],
        table=inputs.table(),
    )
    network.shortlist = _shortlist(inputs, lesson, checkpoint)
    network.eight_bits = variant_of(settings["variant"]).eight_bits
    return history


def _shortlist(inputs: TrainingInputs, lesson: Lesson | None, checkpoint: WorkFolder) -> Ids | None:
    """Returns the units (subwords) that decoding considers: the most frequent units in the titles that the
    network learned to write, including those of a teacher. None stands for the whole vocabulary."""
    settings, title = inputs.network_settings, inputs.vocabularies.title
    batches = inputs.batches_in_order()
    if lesson is not None:
        batches = lesson.mixed(batches, inputs.model, inputs.vocabularies, checkpoint, settings["seed"])
    return most_frequent_units(
        (titles for _, titles in batches(1)),
        title.size,
        variant_of(settings["variant"]).shortlist_size,
        (title.start, title.end),
    )


def _predictor(
    inputs: TrainingInputs, network: Network | PretrainedNetwork
) -> tuple[Predictor, Calibration | None]:
    """Returns the predictor with the trained network, and its calibration (the curve from confidence to
    probability).

    The calibration is fitted to predicted titles of held-out issues. It is None if no predicted title can be
    scored: ROUGE needs an author's title with Latin letters. If `model.abstain_precision` is set, this
    function also chooses the confidence below which the predictor abstains.
    """
    # Imported here, because ROUGE takes a second to import and most commands import this module.
    from pipeline.predictor.held_out import predict_held_out

    settings = inputs.network_settings
    predictor = Predictor(
        name=inputs.model.name,
        network=network,
        vocabularies=inputs.vocabularies,
        engine=inputs.plan.facts["text"]["engine"],
        abstain_below=settings["abstain_below"],
        batch_size=settings["inference_batch_size"],
        beam_width=settings["beam_width"],
        abstain_probability=settings["abstain_probability"],
    )
    precision = settings["abstain_precision"]
    issues = _calibration_issues(inputs, limited=not precision)
    predictions = predict_held_out(in_faster_library(predictor), [issue.body for issue in issues])
    confidences, rouge = predictions.confidences_and_rouge([issue.title.lower() for issue in issues])
    titled = [
        issue for issue, title in zip(issues, predictions.decoded_titles, strict=True) if title
    ]  # in the order of `confidences`
    scored = np.array([has_latin_letters(issue.title) for issue in titled], dtype=bool)
    repositories = [issue.repo for issue, is_scored in zip(titled, scored, strict=True) if is_scored]
    calibration = calibrate(confidences[scored], rouge[scored], repositories)
    minimum = max(predictor.abstain_below, abstention_threshold(confidences, rouge, precision))
    curve = calibration.curve if calibration else None
    return dataclasses.replace(predictor, abstain_below=minimum, calibration=curve), calibration


def _calibration_issues(inputs: TrainingInputs, *, limited: bool) -> list[HeldOutIssue]:
    """Returns the held-out issues to which the calibration is fitted. If `limited` is true, these are at most
    CALIBRATION_ISSUES issues, sampled evenly over the days. Otherwise they are all held-out issues."""
    from pipeline.predictor.held_out import held_out_issues

    issues = list(held_out_issues(inputs.lake, inputs.model))
    return issues[:: -(-len(issues) // CALIBRATION_ISSUES) or 1] if limited else issues


def describe_training_data(inputs: TrainingInputs) -> tuple[dict[str, Any], str, str]:
    """Describes the training data for MLflow. Returns three values: parameters of the run, the name of the
    data, and the digest of the data."""
    plan = inputs.plan
    first, last = plan.days[0], plan.days[-1]
    if digest := plan.facts["asked"].get("file"):
        name = inputs.model.issues(first).figures["file"]
        return {"file": name, "file_sha256": digest}, name, digest
    parameters = {"days": len(plan.days), "first_day": first.day, "last_day": last.day}
    return parameters, f"{first.day} to {last.day}", inputs.vocabulary.digest


def _run_parameters(inputs: TrainingInputs) -> dict[str, Any]:
    """Returns the parameters of the training's run in MLflow, except those about the training data."""
    shape, embedding_network = inputs.shape, inputs.taken_network
    # The setting model.embedding says what was wanted, the parameter embedding_model what was done.
    unused = {*NOT_TRAINING_SETTINGS, "embedding", *(("contrast_epochs",) if embedding_network else ())}
    if not variant_of(inputs.network_settings["variant"]).reads_texts:
        unused |= PRESET_SETTINGS
    owner = (
        {"embedding_model": embedding_network.model, "embedding_digest": embedding_network.digest}
        if embedding_network
        else {}
    )
    return {
        **{name: value for name, value in inputs.network_settings.items() if name not in unused},
        "embedding_model": inputs.model.name,
        **owner,
        "body_vocabulary": shape.body_vocabulary,
        "title_vocabulary": shape.title_vocabulary,
        "body_length": shape.body_length,
        "title_length": shape.title_length,
        **{f"{subset}_issues": size for subset, size in inputs.subset_sizes.items()},
    }


def _log_artifacts(
    inputs: TrainingInputs, settings: Settings, run: Run, folder: Path, history: History
) -> None:
    """Logs the files about a training to MLflow: losses, days, batches, settings and vocabularies."""
    run.log_loss_figure(history)
    run.log_table("days.json", [asdict(day) for day in inputs.plan.days])
    run.log_table("batches.json", [_batch_row(manifest) for manifest in (inputs.vocabulary, *inputs.vectors)])
    text = inputs.plan.facts["text"]
    run.log_json("settings.json", {**settings.public(), "text": text, "model": inputs.network_settings})
    inputs.vocabularies.save(folder / "vocabulary")
    run.log_folder(folder / "vocabulary", "vocabulary")


def _revision_tags() -> dict[str, str]:
    """Returns tags for the run in MLflow: the version of Titler and the commit of its code. MLflow shows the
    commit next to the source of the run."""
    code = revision()
    tags = {"titler.version": code.version}
    if code.commit:
        tags["mlflow.source.git.commit"] = code.commit
        tags["titler.uncommitted_changes"] = str(code.changed).lower()
    return tags


def _resource_usage(run: Run, history: History, gpu_peak: float | None) -> dict[str, float]:
    """Returns the time, the speed and the peak memory of the training, as MLflow metrics.

    The time includes the epochs before an interruption. `gpu_peak` is the peak memory of the GPU in MiB, or
    None without a GPU.
    """
    seconds = max(sum(figures.seconds for figures in history), 1e-9)
    usage = {
        "usage/train_seconds": run.sum_over_epochs("contrast/seconds") + run.sum_over_epochs("train/seconds"),
        "usage/train_issues_a_second": sum(figures.issues for figures in history) / seconds,
        "usage/train_peak_mib": peak_mib(),
    }
    return usage if gpu_peak is None else {**usage, "usage/train_gpu_peak_mib": gpu_peak}


def _batch_row(manifest: Manifest) -> dict[str, Any]:
    """Returns a row of the file batches.json in MLflow. It describes one batch from which the model was
    made."""
    return {
        "table": manifest.table,
        "day": manifest.partition.get("day", ""),
        "batch_id": manifest.batch_id,
        "rows": manifest.rows,
        "digest": manifest.digest,
        "folder": manifest.folder,
    }
