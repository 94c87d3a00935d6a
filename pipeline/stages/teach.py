"""Part of the stage `train`: a model learns from the titles of a teacher as well as from the authors' titles.

A teacher is a model of the lake, or a file of titles and bodies that any other system has written. The
teacher gives titles to the issues that the model learns from. The method is distillation at the level of
sequences (Kim and Rush 2016, "Sequence-Level Knowledge Distillation").
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.contracts import PREDICTOR, VOCABULARY
from pipeline.dataset.split import subset_of
from pipeline.dataset.taught_titles import Data, Ids, TaughtTitles, body_keys
from pipeline.errors import UsageError
from pipeline.evaluation.title_scores import score_titles
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.lake.work_folder import WorkFolder
from pipeline.predictor.held_out import held_out_issues, predict_held_out
from pipeline.predictor.loading import load_predictor
from pipeline.predictor.predictor import Model
from pipeline.progress import say, track
from pipeline.source.issue_files import read_pairs
from pipeline.stages.extract_file import file_digest
from pipeline.stages.training_inputs import CHECKPOINT, title_targets
from pipeline.text.engine import Engine, tokenizer
from pipeline.text.subwords import SubwordVocabulary
from pipeline.text.vocabulary import Vocabularies, Vocabulary
from pipeline.tracking import Tracking

CHUNK = 10_000
"""Number of issues per file of a teacher's titles. An interruption loses the titles of at most one file."""
DEFAULT_WEIGHT = 0.5
FILE_SUFFIXES = (".csv", ".json", ".jsonl", ".parquet")


class ModelTeacher:
    """A teacher that is a trained model of the lake: another model learns from its titles."""

    def __init__(self, lake: Lake, name: str) -> None:
        """Raises UsageError if there is no trained model of this name."""
        manifest = Pinned(lake, "models", name).members[PREDICTOR][0]
        self._lake, self._folder = lake, manifest.folder
        self.name, self.digest = name, manifest.digest

    @cached_property
    def _predictor(self) -> Model:
        return load_predictor(self._lake, self._folder)

    def titles(self, bodies: Sequence[str]) -> list[str | None]:
        """Returns the teacher's title for each body, or None if the model abstains (gives no title)."""
        return [prediction.title or None for prediction in self._predictor.predict(bodies)]


class FileTeacher:
    """A teacher that is a file of titles and bodies: a model learns from these titles. The file has one of
    the formats that `titler train --from-file` reads."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError if the file cannot be read."""
        self.name, self.digest = path.name, file_digest(path)
        self._titles = {_text_key(body): title for title, body in read_pairs(path)}

    def titles(self, bodies: Sequence[str]) -> list[str | None]:
        """Returns the teacher's title for each body, or None for a body without a title in the file. Bodies
        that differ only in white space count as equal."""
        return [self._titles.get(_text_key(body)) or None for body in bodies]


Teacher = ModelTeacher | FileTeacher


def _text_key(body: str) -> bytes:
    return hashlib.blake2b(" ".join(body.split()).encode(), digest_size=16).digest()


@dataclass(frozen=True)
class Judgement:
    """The score (ROUGE-L) of a teacher's titles, and the scores of the baselines that the teacher must beat.

    The scores are measured on issues from which the taught model does not learn.
    """

    issues: int
    """number of held-out issues for which the teacher has a title"""
    rougeL: float  # noqa: N815  # the usual spelling of this metric
    floor_rougeL: float  # noqa: N815
    """ROUGE-L of the body's first words, used as a title"""
    champion: str | None
    champion_rougeL: float | None  # noqa: N815

    @property
    def beats_baselines(self) -> bool:
        """Whether the teacher's ROUGE-L is higher than that of the floor (the body's first words) and that of
        the champion. If the champion was not measured, only the floor counts."""
        return self.rougeL > max(self.floor_rougeL, self.champion_rougeL or 0)

    def __str__(self) -> str:
        champion = (
            f" and {self.champion_rougeL:.2f} for the champion {self.champion}" if self.champion else ""
        )
        return (
            f"ROUGE-L {self.rougeL:.2f} on {self.issues:,} held-out issues, "
            f"compared with {self.floor_rougeL:.2f} for the body's first words{champion}"
        )


def judge(tracking: Tracking, model: Pinned, teacher: Teacher) -> Judgement:
    """Measures a teacher's titles on the held-out issues of `model` (issues that it does not learn from).
    Returns the ROUGE-L of the teacher's titles and of the baselines.

    Issues for which the teacher has no title are left out, because `model` would not learn from the teacher
    for these issues. The baselines are the floor (the body's first words) and the champion. The champion is
    left out if it is the teacher or `model`. If the champion abstains (gives no title) because it is unsure,
    the title that it decoded is scored. Otherwise a worse teacher could beat a champion that often abstains.
    """
    issues = list(held_out_issues(model.lake, model))
    teacher_titles = teacher.titles([issue.body for issue in issues])
    covered = [
        (issue, title) for issue, title in zip(issues, teacher_titles, strict=True) if title is not None
    ]
    if not covered:
        return Judgement(0, 0.0, 0.0, None, None)
    references = [issue.title.lower() for issue, _ in covered]

    def rouge(titles: Sequence[str]) -> float:
        return score_titles(titles, references).rougeL

    champion, champion_rouge = tracking.champion(), None
    if champion is not None and champion.model in (model.name, teacher.name):
        champion = None
    if champion is not None:
        folder = Pinned(model.lake, "models", champion.model).members[PREDICTOR][0].folder
        predictor, bodies = load_predictor(model.lake, folder), [issue.body for issue, _ in covered]
        champion_rouge = rouge(predict_held_out(predictor, bodies).decoded_titles)
    return Judgement(
        len(covered),
        rouge([title.lower() for _, title in covered]),
        rouge([issue.lead for issue, _ in covered]),
        champion.model if champion else None,
        champion_rouge,
    )


def _identity(teacher: Teacher, weight: float) -> dict[str, Any]:
    return {"teacher": {"digest": teacher.digest, "weight": weight}}


@dataclass(frozen=True)
class Lesson:
    """A teacher, and how its titles compare with the baselines. The titles are used only if they beat the
    baselines."""

    teacher: Teacher
    weight: float
    judgement: Judgement

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the training that describe the teacher: its digest and the weight of its titles.
        The dict is empty if the teacher's titles are not used."""
        if not self.judgement.beats_baselines:
            return {}
        return _identity(self.teacher, self.weight)

    @property
    def checkpoint(self) -> str:
        """The name of the folder for the training's checkpoint. If the teacher's titles are used, the name
        contains the teacher's digest and weight, so that each teacher and weight has its own folder."""
        return f"{CHECKPOINT}-{self.teacher.digest[:8]}-{self.weight}" if self.parameters else CHECKPOINT

    def mixed(
        self, batches: Data, model: Pinned, vocabularies: Vocabularies, checkpoint: WorkFolder, seed: int
    ) -> Data:
        """Returns the training batches `batches` with some of the authors' titles replaced by the teacher's.
        Returns them unchanged if the teacher's titles are not used.

        `checkpoint` is the folder of the training's checkpoint. The teacher's titles are stored in it until
        the training is complete.
        """
        if not self.parameters:
            return batches
        taught = taught_titles(model, vocabularies, self.teacher, checkpoint.subfolder("teacher"))
        return taught.mixed(batches, self.weight, seed)

    @property
    def figures(self) -> dict[str, Any]:
        """The figures that describe the teacher. They are stored in the manifest of the trained predictor."""
        facts = {"name": self.teacher.name, "digest": self.teacher.digest, "weight": self.weight}
        return {"teacher": {**facts, "used": self.judgement.beats_baselines, **asdict(self.judgement)}}

    @property
    def run_parameters(self) -> dict[str, Any]:
        """The parameters that describe the teacher. They are logged to the MLflow run of the training."""
        return {
            "teacher": self.teacher.name,
            "teacher_digest": self.teacher.digest,
            "teacher_weight": self.weight,
            "teacher_used": self.judgement.beats_baselines,
        }

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics that describe the teacher: its ROUGE-L, the ROUGE-L of the baselines, and the number of
        held-out issues for which the teacher has a title. They are logged to the MLflow run of
        the training."""
        values = asdict(self.judgement).items()
        return {f"teacher/{name}": value for name, value in values if isinstance(value, int | float)}


@dataclass(frozen=True)
class TeacherRequest:
    """The teacher that a user requests for a training. `source` is the name of a model or the path of a file.
    `weight` is the probability, above 0 and at most 1, that a teacher's title replaces the author's title."""

    source: str
    weight: float

    @property
    def file(self) -> Path | None:
        """The path of the file of titles, or None if the teacher is a model. The file may be missing."""
        path = Path(self.source)
        is_file = path.is_file() or "/" in self.source or path.suffix in FILE_SUFFIXES
        return path if is_file else None

    def open(self, lake: Lake) -> Teacher:
        """Returns the requested teacher. Raises UsageError if `source` is neither the name of a trained model
        nor a file of titles."""
        return FileTeacher(self.file) if self.file else ModelTeacher(lake, self.source)

    def identity(self, lake: Lake) -> dict[str, Any]:
        """Returns the values that identify this request: the weight of the teacher's titles, and the digest
        of the teacher's model or file. Raises UsageError if there is no such model or file."""
        return _identity(self.open(lake), self.weight)

    def lesson(self, tracking: Tracking, model: Pinned) -> Lesson:
        """Measures the teacher on issues that `model` does not learn from. Prints whether the teacher's
        titles are used, and returns the result.

        Raises UsageError if there is no such teacher, or if the teacher is `model` itself.
        """
        if self.source == model.name:
            raise UsageError(
                f"The model {model.name} cannot be its own teacher.",
                f"Give another model as the teacher: titler train {model.name} --teacher OTHER_MODEL",
            )
        teacher = self.open(model.lake)
        judgement = judge(tracking, model, teacher)
        if not judgement.issues:
            say(f"    teacher {teacher.name} has no title for any held-out issue, so it is not used")
        elif judgement.beats_baselines:
            say(f"    teacher {teacher.name}: {judgement}. Its titles are used with the weight {self.weight}")
        else:
            say(
                f"    teacher {teacher.name}: {judgement}. Its titles are not used, because they do not "
                "score highest"
            )
        return Lesson(teacher, self.weight, judgement)

    def require_same(self, model: Pinned) -> None:
        """Raises UsageError if `model` was already trained without a teacher, or with another teacher or
        weight."""
        facts, teacher = model.members[PREDICTOR][0].figures.get("teacher"), self.open(model.lake)
        if facts and (facts["digest"], facts["weight"]) == (teacher.digest, self.weight):
            return
        trained = (
            f"with the teacher {facts['name']}, weight {facts['weight']}" if facts else "without a teacher"
        )
        raise UsageError(
            f"The model {model.name} was already trained {trained}.",
            "To train with this teacher, create another model: titler vocab OTHER_NAME",
        )


def taught_titles(
    model: Pinned, vocabularies: Vocabularies, teacher: Teacher, folder: WorkFolder
) -> TaughtTitles:
    """Returns the teacher's titles for the training issues of `model`, as ids of `vocabularies`.

    The titles are written to files in `folder`. If an interrupted training left such files there, they are
    reused. Raises UsageError if the teacher has no usable title for any of the bodies.
    """
    bodies = _training_bodies(model)
    chunks = iter(lambda: list(islice(bodies, CHUNK)), [])
    total = -(-model.members[VOCABULARY][0].figures["train"] // CHUNK)
    parts = []
    for number, chunk in enumerate(track(chunks, f"titles of {teacher.name}", total)):
        name = f"titles-{number:05d}.npz"
        data = folder.get(name)
        if data is None:
            data = _chunk_of_titles(vocabularies, model.facts["text"]["engine"], teacher, chunk)
            folder.put(name, data)
        with np.load(io.BytesIO(data)) as arrays:
            parts.append((arrays["keys"], arrays["titles"]))
    taught = TaughtTitles.of(parts)
    if not len(taught.keys):
        raise UsageError(
            f"The teacher {teacher.name} has no usable title for any training issue of the model "
            f"{model.name}.",
            "Use another teacher: a model, or a file that has titles for the bodies of issues in the lake.",
        )
    say(f"    teacher {teacher.name} has titles for {len(taught.keys):,} different bodies")
    return taught


def _training_bodies(model: Pinned) -> Iterator[str]:
    """Yields the body of each issue that the model learns from, as its author wrote it."""
    plan = model.plan
    for day in plan.days:
        issues = model.issues(day)
        for file in issues.files:
            table = model.lake.read_part(issues, file, ["issue_id", "repo", "body", "trainable"])
            keep = plan.keep_mask(day.day, table.column("issue_id").to_numpy())
            keep &= table.column("trainable").to_numpy()
            keep &= np.array([subset_of(repo) == "train" for repo in table.column("repo").to_pylist()], bool)
            yield from (body or "" for body in table.column("body").filter(keep).to_pylist())


def _chunk_of_titles(
    vocabularies: Vocabularies, engine: Engine, teacher: Teacher, bodies: Sequence[str]
) -> bytes:
    """Returns the content of a file with the teacher's titles for `bodies`. For each body with a title, the
    file has the key (hash) of the body and the ids of the title.

    The rules for the authors' titles also apply to the teacher's titles: prefixes are removed, and a title
    that cannot be learned from its body is left out.
    """
    pairs = [(body, title) for body, title in zip(bodies, teacher.titles(bodies), strict=True) if title]
    body_ids = _ids(vocabularies.body, engine, [body for body, _ in pairs])
    titles = _ids(vocabularies.title, engine, [title for _, title in pairs])
    if targets := title_targets(vocabularies):
        titles, learnable = targets(body_ids, titles)
        body_ids, titles = body_ids[learnable], titles[learnable]
    file = io.BytesIO()
    np.savez(file, keys=body_keys(body_ids), titles=titles)
    return file.getvalue()


def _ids(vocabulary: Vocabulary | SubwordVocabulary, engine: Engine, texts: Sequence[str]) -> Ids:
    if isinstance(vocabulary, SubwordVocabulary):
        return vocabulary.ids(texts)
    return vocabulary.ids(tokenizer(engine)(texts))
