"""`titler train --from-file`: the model is evaluated, promoted and used like any other."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline import sample
from pipeline.cli import query_reports, whole_job
from pipeline.cli.options import Context
from pipeline.contracts import ISSUES, PREDICTOR, TOKENS, VECTORS
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.networks.in_keras.checkpoint import Checkpoint
from pipeline.serving import status as serving_status
from pipeline.settings import LakeSettings, Settings, load
from pipeline.stages import collect, evaluate, evaluate_downstream, extract_file, promote
from tests.support import lakes
from tests.support.titler_in_process import titler

DAY = date(2024, 1, 1)
WORDS = (
    "crash",
    "window",
    "close",
    "open",
    "button",
    "theme",
    "error",
    "login",
    "parser",
    "network",
    "file",
    "page",
    "menu",
    "cursor",
)
SMALL = {
    "TITLER_COMPUTE__WORKERS": "1",
    "TITLER_TEXT__SUBWORDS": "600",
    "TITLER_TEXT__BODY_UNITS": "64",
    "TITLER_MODEL__CONTRAST_EPOCHS": "1",
    "TITLER_MODEL__EMBEDDING_SIZE": "16",
    "TITLER_MODEL__HIDDEN_SIZE": "16",
    "TITLER_MODEL__BATCH_SIZE": "1024",
    "TITLER_MODEL__LEARNING_RATE": "0.01",
    "TITLER_MODEL__SAMPLE_TITLES": "5",
    "TITLER_MODEL__ABSTAIN_PROBABILITY": "0",
    "TITLER_INDEX__TREES": "20",
}


def article(path: Path, issues: int = 300) -> Path:
    """A CSV file like the article's data set: 30 repositories; every tenth title is too short to train on."""
    chance = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["issue_url", "issue_title", "body"])
        for number in range(issues):
            one, two, three = chance.sample(WORDS, 3)
            title = "help" if number % 10 == 0 else f"the {one} breaks the {two}"
            url = f'"https://github.com/o{number % 30}/r/issues/{number}"'
            writer.writerow([url, title, f"when I {one} the {two} then there is no {three} any more"])
    return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables with the settings of the module's lake."""
    hours = tmp_path_factory.mktemp("hours")
    sample.write(hours, days=1, seed=1, issues_per_day=60)
    root = tmp_path_factory.mktemp("lake")
    return {**SMALL, "TITLER_SOURCE__HOURS": str(hours), "TITLER_LAKE__ROOT": str(root)}


@pytest.fixture(scope="module")
def settings(environment: dict[str, str]) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in environment.items():
            patch.setenv(variable, value)
        return load()


@pytest.fixture(scope="module")
def lake(settings: Settings) -> Lake:
    return Lake(settings.lake.root)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return article(tmp_path_factory.mktemp("file") / "issues.csv")


@dataclass(frozen=True)
class Attempts:
    """A command that was killed, then interrupted, and the third time ended."""

    models_after_the_kill: list[str]
    models_after_the_interruption: list[str]
    model: str
    """what the third attempt returned"""
    printed: str
    """what the third attempt printed"""


def interrupt(*_: object) -> None:
    """Stands for a function, to stop the program at the call of that function."""
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def attempts(lake: Lake, settings: Settings, environment: dict[str, str], file: Path) -> Attempts:
    # Killed while the file is stored.
    killed = subprocess.run(
        [sys.executable, "tests/support/kill_at_step.py", "3", "after", "train", "--from-file", str(file)],
        env={**os.environ, **environment, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    after_the_kill = lake.names("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "write", interrupt)  # before the first checkpoint of the training
        with pytest.raises(KeyboardInterrupt):
            whole_job.train_from_file(Context.of(settings), file, name=None, variant=None, epochs=1)
    after_the_interruption = lake.names("models")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        name = whole_job.train_from_file(Context.of(settings), file, name=None, variant=None, epochs=1)
    return Attempts(after_the_kill, after_the_interruption, name, printed.getvalue())


@pytest.fixture(scope="module")
def model(attempts: Attempts) -> str:
    return attempts.model


@pytest.fixture
def copied(settings: Settings, model: str, tmp_path: Path) -> Settings:
    """The settings of a copy of the lake with the model, for tests that change it."""
    return lakes.copy_lake(settings, tmp_path / "copied")


def test_it_is_no_day(lake: Lake, settings: Settings, model: str) -> None:
    assert [lake.days(table) for table in (ISSUES.name, TOKENS.name, VECTORS.name)] == [[], [], []]
    assert serving_status.status(lake, settings)["days"] == []


def test_mlflow_knows_the_file(lake: Lake, settings: Settings, model: str, file: Path) -> None:
    run = MlflowClient(settings.tracking_uri).get_run(
        Pinned(lake, "models", model).members[PREDICTOR][0].figures["mlflow_run"]
    )
    assert run.inputs is not None
    (data,) = run.inputs.dataset_inputs
    assert (run.data.params["file"], run.data.params["file_sha256"][:8], data.dataset.name) == (
        "issues.csv",
        data.dataset.digest,
        "issues.csv",
    )
    assert "days" not in run.data.params
    assert run.data.params["devices"] == "1"
    assert run.data.tags["titler.device"] in ("cpu:0", "gpu:0")
    assert "the file `issues.csv`: network `copy`" in run.data.tags["mlflow.note.content"]


def test_the_same_command_finds_it_done(
    lake: Lake, settings: Settings, model: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = lake.names("models")
    assert whole_job.train_from_file(Context.of(settings), file, name=None, variant=None, epochs=1) == model
    told = capsys.readouterr().out
    assert "extract: reused 300 rows of " in told
    assert "270 of them can be used for training" in told
    assert "issues that are not used for training, by reason: 30 short title" in told
    assert "vectorize: 300 rows, 0 files written, 1 file reused" in told
    assert lake.names("models") == before


def test_a_name_that_is_taken_by_another_training_is_refused(
    lake: Lake, settings: Settings, model: str, file: Path
) -> None:
    with pytest.raises(UsageError, match="exists already"):
        whole_job.train_from_file(Context.of(settings), file, name=model, variant=None, epochs=3)
    with pytest.raises(UsageError, match="exists already"):
        whole_job.train_from_file(
            Context.of(settings),
            article(file.with_name("other.csv"), 290),
            name=model,
            variant=None,
            epochs=1,
        )


def test_it_is_evaluated_promoted_kept_by_collect_and_titles_days(
    copied: Settings, model: str, file: Path
) -> None:
    settings, lake = copied, Lake(copied.lake.root)
    pinned = Pinned(lake, "models", model)
    figures = evaluate.run(lake, settings, pinned)
    assert figures["issues"] == pinned.members["vocabulary"][0].figures["validation"]
    assert promote.run(lake, settings, pinned)["moved"]
    assert evaluate.evaluate_file(lake, settings, file)["model"] == model
    whole_job.run(Context.of(settings), [DAY], retrain=False, variant=None, epochs=None)
    status = serving_status.status(lake, settings)
    assert ([day["day"] for day in status["days"]], status["model"]["name"]) == (["2024-01-01"], model)
    assert lakes.query(settings, "SELECT DISTINCT model, source_day FROM title_predictions") == [(model, DAY)]
    folders = [
        pinned.plan.days[0].issues,
        pinned.plan.days[0].tokens,
        *pinned.members.folders(VECTORS.name),
    ]
    collect.run(lake, settings, datetime.now(UTC) + timedelta(days=30))
    assert [lake.manifest(folder).folder for folder in folders] == folders


def test_what_no_model_learned_from_is_collected(tmp_path: Path, settings: Settings, file: Path) -> None:
    other = settings.model_copy(update={"lake": LakeSettings(root=str(tmp_path))})
    lake = Lake(str(tmp_path))
    manifest, _ = extract_file.run(lake, other, file)
    collect.run(lake, other, datetime.now(UTC) + timedelta(days=30))
    assert lake.names(f"{ISSUES.name}/file={manifest.day}/{manifest.batch_id}") == []


def test_a_command_that_is_killed_and_then_interrupted_continues_where_it_was(
    lake: Lake, attempts: Attempts
) -> None:
    assert attempts.models_after_the_kill == []
    assert attempts.models_after_the_interruption == [attempts.model]
    assert Pinned(lake, "models", attempts.model).members[PREDICTOR][0].rows == 0
    assert f"train: model {attempts.model} (variant copy) was trained for 1 epoch" in attempts.printed


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("name,text\na,b\n", [], "row 1 has the columns name, text, but needs a title"),
        ("title,body\nt,b\n", [], "0 of 1 rows can be used (the others cannot, by reason: 1 short body)"),
        ('title,body\nT,"a \\"\nT2,rest"\n', [], "line 3: the row has a quote in the middle of a field"),
        (None, [], "cannot be read: No such file or directory"),
        ("title,body\n", ["--variant", "none"], "none"),
    ],
)
def test_a_mistake_is_one_clear_answer_and_opens_no_model(
    tmp_path: Path, content: str | None, options: list[str], message: str
) -> None:
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    environment = {**SMALL, "TITLER_LAKE__ROOT": str(tmp_path / "lake")}
    done = titler("train", "--from-file", str(path), *options, environment=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("titler: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "lake" / "models").exists()


def labelled(path: Path) -> Path:
    """JSON lines of 120 closed issues of one repository, every third of them a bug, and of a pull request."""
    rows = [
        {
            "title": "the parser breaks",
            "body": f"when I {'crash' if number % 3 == 0 else 'open'} the parser "
            "then there is no page any more",
            "html_url": f"https://github.com/o/r/issues/{number}",
            "labels": [{"name": "bug" if number % 3 == 0 else "question"}],
            "state": "closed",
            "created_at": f"2015-01-01T{number // 60:02d}:{number % 60:02d}:00Z",
            "closed_at": "2015-01-02T00:00:00Z",
        }
        for number in range(120)
    ]
    pull = {"title": "fix", "body": "fix", "pull_request": {"url": "u"}}
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, pull]), encoding="utf-8")
    return path


def test_its_embeddings_answer_other_questions(
    copied: Settings, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, lake = copied, Lake(copied.lake.root)
    found = evaluate_downstream.run(lake, settings, labelled(tmp_path / "a.jsonl"), model)
    assert (found["issues"], found["pull_requests"], list(found["tasks"])) == (
        120,
        1,
        ["bug", "useless", "days_open"],
    )
    assert [
        (task["rows"], task["split"], task["train"], task["test"]) for task in found["tasks"].values()
    ] == [(120, "time", 96, 24)] * 3
    assert found["tasks"]["bug"]["bag_of_words"]["roc_auc"] == 1
    query_reports.downstream(found, as_json=True)
    assert json.loads(capsys.readouterr().out) == found
    query_reports.downstream(found, as_json=False)
    assert capsys.readouterr().out.splitlines()[:2] == [
        f"evaluate: model {model} was measured on the downstream tasks (bug, useless, days open) with "
        "120 issues of a.jsonl; left out 1 pull request of the file",
        "    bug: trained on 96 issues (32 positive), tested on 24 issues (8 positive), split by time",
    ]
    run = MlflowClient(settings.tracking_uri).get_run(
        Pinned(lake, "models", model).members[PREDICTOR][0].figures["mlflow_run"]
    )
    assert run.data.metrics["downstream/bug_bag_of_words_roc_auc"] == 1
    assert "downstream.json" in run.data.tags["mlflow.loggedArtifacts"]
