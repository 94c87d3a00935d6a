"""Runs several stages in order, without Airflow: all stages for the command `titler run`, and the stages that
make a model from a file for `titler train --from-file`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import stage_reports, stage_runs
from pipeline.cli.options import Context
from pipeline.lake.pinned import Pinned, new_id
from pipeline.lake.plan import PinnedDay
from pipeline.source.trainable import WORD
from pipeline.tracking import Version, open_tracking

if TYPE_CHECKING:
    from pipeline.stages.teach import TeacherRequest
    from pipeline.stages.vocab import ModelRequest


def run(
    context: Context,
    days: Sequence[date],
    *,
    retrain: bool,
    variant: str | None,
    epochs: int | None,
    embedding: str | None = None,
    accept_because: str = "",
) -> None:
    """Extracts and cleans the days. If there is no champion (model in use) or if `retrain` is true, trains a
    model and makes it the champion. Then makes and publishes a release if anything is new.

    If the new model is worse than the present champion, the release uses the present champion, and WorseError
    is raised at the end.

    If the titles of a model are not better than the first words of the bodies, they are withheld: stored, but
    not shown. To show them nevertheless, pass a reason as `accept_because`. The reason applies to the new
    model, or to the present champion if no model is trained.
    """
    from pipeline.stages.promote import WorseError
    from pipeline.stages.vocab import ModelRequest

    request = ModelRequest(variant=variant, epochs=epochs, embedding=embedding)
    request.check_variant()
    context.timed = True
    stage_runs.extract(context, days)
    stage_runs.clean(context, days)
    worse = None
    champion = _champion(context) if not retrain else None
    if champion is None:
        model = context.model(new_id())
        try:
            _train(context, model, request)
            stage_runs.evaluate(context, model)
            stage_runs.promote(context, model, accept_because=accept_because)
        except WorseError as error:
            worse = error
    elif accept_because:
        stage_runs.promote(context, context.model(champion.model), accept_because=accept_because)
    _refresh(context, context.release(new_id()))
    if worse is not None:
        raise worse


def _champion(context: Context) -> Version | None:
    """Returns the champion, or None before the first promotion. Raises LakeError if MLflow has lost it."""
    from pipeline.releases.lost_champion import known_champion
    from pipeline.stages import publish

    release_id = publish.current(context.lake, context.settings)
    current = context.release(release_id) if release_id else None
    return known_champion(open_tracking(context.settings, context.lake), current)


def train_from_file(
    context: Context,
    path: Path,
    *,
    name: str | None,
    variant: str | None,
    epochs: int | None,
    teacher: TeacherRequest | None = None,
    embedding: str | None = None,
) -> str:
    """Trains a model on a file of titles and bodies. Returns the model's name.

    The name is `name` if that is given. Otherwise it is derived from the file, the settings and the teacher.
    So if the same command is run again, it resumes the training of the same model.
    """
    from pipeline.stages import extract_file
    from pipeline.stages.vocab import ModelRequest

    digest = extract_file.file_digest(path)
    request = ModelRequest(variant=variant, epochs=epochs, file=digest, embedding=embedding)
    request.check_variant()
    taught_by = teacher.identity(context.lake) if teacher else None
    context.timed = True
    issues = stage_runs.extract_file(context, path)
    word = issues.parameters.get(WORD, "")
    derived_name = extract_file.model_name(
        context.settings, digest, variant, epochs, taught_by, embedding, word
    )
    model = context.model(name or derived_name)
    tokens = stage_runs.clean_file(context, issues)
    _train(context, model, request, [extract_file.pinned_file(issues, tokens)], teacher)
    stage_reports.next_after_training(model.name)
    return model.name


def _train(
    context: Context,
    model: Pinned,
    request: ModelRequest,
    file_days: Sequence[PinnedDay] = (),
    teacher: TeacherRequest | None = None,
) -> None:
    """Runs the stages that train a model: builds its vocabulary and its vectors, then trains its network."""
    stage_runs.vocab(context, model, request, file_days)
    stage_runs.vectorize(context, model, "file" if file_days else "day")
    stage_runs.train(context, model, teacher)


def _refresh(context: Context, release: Pinned) -> None:
    if stage_runs.plan(context, release).plan is None:
        return
    for run_stage in stage_runs.RELEASE_STAGES:
        run_stage(context, release)
    stage_runs.publish(context, release, {})
    stage_runs.collect(context)
