"""A teacher: its titles are used if they are better, and the training says which."""

from __future__ import annotations

import csv
import dataclasses
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from mlflow import MlflowClient

from pipeline.cli import stage_runs, whole_job
from pipeline.cli.options import Context
from pipeline.contracts import PREDICTOR, VECTORS, VOCABULARY
from pipeline.errors import UsageError
from pipeline.evaluation.title_calibration import Curve
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.lake.work_folder import WorkFolder
from pipeline.settings import Compute, LakeSettings, Lineage, Model, Settings, Text
from pipeline.stages import teach
from pipeline.stages.teach import FileTeacher, Lesson, ModelTeacher, TeacherRequest, judge
from pipeline.stages.training_inputs import TrainingInputs
from pipeline.stages.vocab import ModelRequest
from pipeline.text.stored_vocabularies import load_vocabularies
from pipeline.tracking import Tracking, open_tracking
from tests.predictor.small_predictors import subword_predictor
from tests.stages.literal_issues import (
    CRASH,
    SECOND_CRASH,
    VALIDATION_CRASH,
    VALIDATION_REPO,
    SubwordLake,
    issue,
)
from tests.stages.literal_models import FakeRegistry, add_model
from tests.support import lakes

WORDS = ("crash", "window", "close", "button", "theme", "error", "login", "parser", "network", "page", "menu")
ISSUES = 200


def write(path: Path, title: Callable[[str, str], str], issues: int = ISSUES) -> Path:
    """A file of issues of 20 repositories, each about two words, of which `title` makes its title."""
    chance = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["issue_url", "title", "body"])
        for number in range(issues):
            one, two = chance.sample(WORDS, 2)
            url = f"https://github.com/o{number % 20}/r/issues/{number}"
            body = f"when I try the {number}th {one} then I see no {two} any more"
            writer.writerow([url, title(one, two), body])
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write(folder / "issues.csv", lambda one, two: f"the {one} breaks the {two}")
    write(folder / "good.csv", lambda one, two: f"{one} breaks {two}")
    write(folder / "bad.csv", lambda one, two: "login")
    return folder


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        lake=LakeSettings(root=str(tmp_path_factory.mktemp("lake"))),
        compute=Compute(workers=1),
        text=Text(body_length=20, title_length=8),
        model=Model(
            variant="gru", embedding_size=8, hidden_size=8, epochs=1, batch_size=1024, abstain_probability=0
        ),
        lineage=Lineage(file=str(tmp_path_factory.mktemp("lineage") / "lineage.json")),
    )


@pytest.fixture(scope="module")
def student(settings: Settings, folder: Path) -> Pinned:
    """A model that a file of better titles has taught."""
    return Pinned(Lake(settings.lake.root), "models", train(settings, folder / "good.csv"))


def train(settings: Settings, teacher: Path, weight: float = 0.5, name: str | None = None) -> str:
    return whole_job.train_from_file(
        Context.of(settings),
        teacher.with_name("issues.csv"),
        name=name,
        variant=None,
        epochs=None,
        teacher=TeacherRequest(str(teacher), weight),
    )


def test_the_training_and_mlflow_name_the_teacher(settings: Settings, student: Pinned, folder: Path) -> None:
    manifest = student.members[PREDICTOR][0]
    digest = FileTeacher(folder / "good.csv").digest
    assert manifest.parameters["teacher"] == {"digest": digest, "weight": 0.5}
    run = MlflowClient(settings.tracking_uri).get_run(manifest.figures["mlflow_run"])
    assert {name: run.data.params[name] for name in ("teacher", "teacher_weight", "teacher_used")} == {
        "teacher": "good.csv",
        "teacher_weight": "0.5",
        "teacher_used": "True",
    }
    assert run.data.metrics["teacher/rougeL"] > run.data.metrics["teacher/floor_rougeL"]
    assert (
        "titles of the teacher `good.csv`, which have the weight 0.5" in run.data.tags["mlflow.note.content"]
    )
    assert student.lake.names(f"models/{student.name}") == ["members", "plan.json"]


def test_the_same_teacher_is_found_again_and_another_is_refused(
    settings: Settings, student: Pinned, folder: Path
) -> None:
    assert train(settings, folder / "good.csv") == student.name
    for teacher, weight in ((folder / "good.csv", 0.4), (folder / "bad.csv", 0.5)):
        with pytest.raises(UsageError, match=r"already trained with the teacher good\.csv, weight 0\.5"):
            train(settings, teacher, weight, name=student.name)


def test_the_lineage_of_a_training_has_the_file_of_its_teacher(
    settings: Settings, student: Pinned, folder: Path
) -> None:
    train(settings, folder / "good.csv")
    last_stage = json.loads(Path(settings.lineage.file).read_text().splitlines()[-1])
    assert last_stage["inputs"][-1]["name"] == str(folder / "good.csv")


def test_a_teacher_that_is_not_better_changes_nothing(
    settings: Settings, student: Pinned, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracking = open_tracking(settings, student.lake)
    lesson = TeacherRequest(str(folder / "bad.csv"), 0.5).lesson(tracking, student)
    assert (lesson.parameters, lesson.checkpoint) == ({}, "checkpoint")
    assert lesson.run_parameters["teacher_used"] is False
    batches = inputs(student).batches("train", "")
    assert (
        lesson.mixed(batches, student, inputs(student).vocabularies, student.work_folder("c"), 0) is batches
    )
    assert capsys.readouterr().out.endswith(". Its titles are not used, because they do not score highest\n")


def test_a_file_without_held_out_bodies_is_not_used(
    settings: Settings, student: Pinned, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.csv").write_text("title,body\na crash,something else crashes\n", encoding="utf-8")
    tracking = open_tracking(settings, student.lake)
    assert TeacherRequest(str(tmp_path / "other.csv"), 1).lesson(tracking, student).parameters == {}
    assert "has no title for any held-out issue, so it is not used" in capsys.readouterr().out


def test_the_teachers_titles_are_those_of_the_bodies_and_are_computed_once(
    student: Pinned, folder: Path, tmp_path: Path
) -> None:
    request = inputs(student)
    vocabularies, teacher = request.vocabularies, FileTeacher(folder / "bad.csv")
    stored = WorkFolder(Lake(str(tmp_path)), "teacher")
    taught = teach.taught_titles(student, vocabularies, teacher, stored)
    again = teach.taught_titles(student, vocabularies, FileTeacher(folder / "good.csv"), stored)
    assert len(taught.keys) == request.subset_sizes["train"]
    assert np.array_equal(taught.titles, again.titles)
    for _, titles in taught.mixed(request.batches("train", ""), weight=1, seed=0)(1):
        assert {vocabularies.title.text_of(ids) for ids in titles} == {"login"}


def test_a_model_is_a_teacher_and_the_champion_must_be_beaten(
    settings: Settings, student: Pinned, folder: Path, tmp_path: Path
) -> None:
    copied = lakes.copy_lake(settings, tmp_path / "lake")
    lake, tracking = Lake(copied.lake.root), open_tracking(copied, Lake(copied.lake.root))
    held_out = student.members[VOCABULARY][0].figures["validation"]
    tracking.promote(student.name)
    other = Pinned(lake, "models", "other")
    stage_runs.vocab(Context.of(copied), other, ModelRequest(file="0"), student.plan.days)
    teacher = ModelTeacher(lake, student.name)
    of_champion = judge(tracking, other, teacher)
    assert (of_champion.issues, of_champion.champion) == (held_out, None)
    judgement = judge(tracking, other, FileTeacher(folder / "good.csv"))
    assert (judgement.champion, judgement.champion_rougeL) == (student.name, of_champion.rougeL)


class CopyingModels:
    """A lake with the models `m`, which is to be trained, and `large`. The title that `large` writes is the
    body. One of the two held-out issues has no body, so there is nothing to copy."""

    def __init__(self, folder: Path) -> None:
        held_out = [issue(2, "the window crash", "the window crash", VALIDATION_REPO)]
        held_out.append(issue(3, "a crash", "", VALIDATION_REPO))
        subword_lake = SubwordLake(folder / "lake", [CRASH, *held_out])
        self.lake, self.model = subword_lake.lake, subword_lake.model()
        add_model(self.lake, "large")
        self.file = folder / "titles.csv"
        self.file.write_text("title,body\nthe crash,the window crash\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("abstain_below", "abstain_probability"), [(0.0, 0.0), (0.0, 0.6), (1.1, 0.0), (1.1, 0.6)]
)
def test_titles_from_which_the_champion_abstains_must_be_beaten_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstain_below: float, abstain_probability: float
) -> None:
    champion = dataclasses.replace(
        subword_predictor(),
        abstain_below=abstain_below,
        abstain_probability=abstain_probability,
        calibration=Curve("platt", slope=0.0, intercept=0.0),  # the probability is always one half
    )
    monkeypatch.setattr(teach, "load_predictor", lambda lake, folder: champion)
    models = CopyingModels(tmp_path)
    judgement = judge(cast(Tracking, FakeRegistry("large")), models.model, FileTeacher(models.file))
    assert (judgement.issues, judgement.champion, judgement.champion_rougeL) == (1, "large", 100.0)
    assert not judgement.beats_baselines


def test_a_model_is_judged_by_the_titles_that_it_teaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teach, "load_predictor", lambda lake, folder: subword_predictor())
    models = CopyingModels(tmp_path)
    teacher = ModelTeacher(models.lake, "large")
    assert teacher.titles(["the window crash", ""]) == ["the window crash", None]
    judgement = judge(cast(Tracking, FakeRegistry()), models.model, teacher)
    assert (judgement.issues, judgement.rougeL) == (1, 100.0)


def test_a_teachers_titles_follow_the_rules_for_the_authors_titles(tmp_path: Path) -> None:
    subword_lake = SubwordLake(tmp_path / "lake", [CRASH, SECOND_CRASH, VALIDATION_CRASH])
    long_texts = Text(subwords=300, body_units=60, title_units=40)
    subword_lake.settings = subword_lake.settings.model_copy(update={"text": long_texts})
    model = subword_lake.model()
    vocabularies = load_vocabularies(model.lake, model.members[VOCABULARY][0])
    write_titles(tmp_path / "titles.csv", "[Bug]: TreeView crash", "Bug report")
    taught = teach.taught_titles(
        model, vocabularies, FileTeacher(tmp_path / "titles.csv"), model.work_folder("one")
    )
    assert [vocabularies.title.text_of(ids) for ids in taught.titles] == ["treeview crash"]
    assert len(taught.keys) == 1
    write_titles(tmp_path / "poor.csv", "Bug report", "Update README.md")
    with pytest.raises(UsageError, match="has no usable title for any training issue of the model m"):
        teach.taught_titles(model, vocabularies, FileTeacher(tmp_path / "poor.csv"), model.work_folder("two"))


def write_titles(path: Path, first: str, second: str) -> None:
    """Writes a file with titles for the bodies of CRASH and of SECOND_CRASH."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [("title", "body"), (first, CRASH["body"]), (second, SECOND_CRASH["body"])]
        csv.writer(file).writerows(rows)


@pytest.mark.parametrize(
    ("rouge", "floor", "champion", "used"),
    [
        (20.0, 15.0, None, True),
        (20.0, 15.0, 21.0, False),
        (20.0, 20.0, None, False),
        (20.0, 15.0, 19.0, True),
    ],
)
def test_it_must_beat_the_floor_and_the_champion(
    folder: Path, rouge: float, floor: float, champion: float | None, used: bool
) -> None:
    judgement = teach.Judgement(9, rouge, floor, "small" if champion else None, champion)
    assert bool(Lesson(FileTeacher(folder / "good.csv"), 0.5, judgement).parameters) == used


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nobody", "No model is named nobody"),
        ("none/titles.csv", "cannot be read: No such file"),
        ("titles.csv", "cannot be read: No such file"),
    ],
)
def test_a_teacher_that_does_not_exist_is_refused(student: Pinned, source: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TeacherRequest(source, 0.5).open(student.lake)


def test_a_model_cannot_teach_itself(settings: Settings, student: Pinned) -> None:
    with pytest.raises(UsageError, match="cannot be its own teacher"):
        TeacherRequest(student.name, 0.5).lesson(open_tracking(settings, student.lake), student)


def inputs(model: Pinned) -> TrainingInputs:
    members = model.members
    return TrainingInputs(model.lake, model, model.plan, members[VOCABULARY][0], members[VECTORS.name])
