"""Each verb killed at a seeded random step, then run again: the tables of a quiet run, and readers who
notice nothing."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
from mlflow import MlflowClient

from pipeline import sample, settings
from pipeline.cli import app
from pipeline.contracts import ISSUES
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Notes, Pinned
from pipeline.releases.current import current_release_id
from pipeline.releases.records import RECORD
from pipeline.serving import status as serving_status
from pipeline.stages import publish
from pipeline.tracking import Tracking
from tests.support import kill_at_step
from tests.support.republish import republish
from tests.support.tables import Content, batch, differences, ingested, without_volatile

SMALL = {
    "TITLER_TEXT__SUBWORDS": "600",
    "TITLER_TEXT__BODY_UNITS": "64",
    "TITLER_MODEL__EMBEDDING_SIZE": "16",
    "TITLER_MODEL__HIDDEN_SIZE": "16",
    "TITLER_MODEL__CONTRAST_EPOCHS": "1",
    "TITLER_MODEL__EPOCHS": "2",
    "TITLER_MODEL__BATCH_SIZE": "32",
    "TITLER_MODEL__LEARNING_RATE": "0.01",
    "TITLER_INDEX__TREES": "10",
    "TITLER_RELEASE__KEEP": "1",
}
DAYS = ["--from", "2024-01-02", "--to", "2024-01-03"]
PREPARED = [
    ["extract", "--day", "2024-01-01"],
    ["clean", "--day", "2024-01-01"],
    ["vocab", "m1"],
    ["vectorize", "--model", "m1"],
    ["train", "m1"],
    ["evaluate", "m1"],
    ["promote", "m1"],
    ["plan", "--release", "r1"],
    ["vectorize", "--release", "r1"],
    *([verb, "--release", "r1"] for verb in ("embed", "predict", "index", "publish")),
]
VERBS = {
    "extract": ["extract", *DAYS],
    "clean": ["clean", *DAYS],
    "vocab": ["vocab", "m2"],
    "vectorize": ["vectorize", "--model", "m2"],
    "train": ["train", "m2"],
    "plan": ["plan", "--release", "r2"],
    "release": ["vectorize", "--release", "r2"],
    "embed": ["embed", "--release", "r2"],
    "predict": ["predict", "--release", "r2"],
    "index": ["index", "--release", "r2"],
    "publish": ["publish", "--release", "r2"],
    "collect": ["collect"],
}
"""The verbs in order; readers have release r1 until `publish`, r2 from then on."""
KILLS = {
    "extract": 2, "clean": 1, "vocab": 1, "vectorize": 1, "embed": 1, "predict": 1, "index": 2,
    "publish": 3, "collect": 2,
}  # fmt: skip
OF_THE_NETWORK = ("train", "embed", "predict")
SECOND_EPOCH = (6, 7)
"""The steps of a training behind its checkpoints of contrast and of its first epoch of titles, before that
of the second."""
LONG_AGO = time.time() - 30 * 24 * 3600


@dataclass
class Quiet:
    """The quiet run: before each verb a copy of the lake, after it what the lake holds, and how many steps
    it took."""

    hours: Path
    folder: Path
    after: dict[str, Content] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)

    def environment(self, root: Path) -> dict[str, str]:
        return {**SMALL, "TITLER_SOURCE__HOURS": str(self.hours), "TITLER_LAKE__ROOT": str(root)}

    def settings(self, root: Path) -> settings.Settings:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment(root).items():
                patch.setenv(name, value)
            return settings.load()

    def here(self, root: Path, arguments: list[str]) -> str:
        """What a command prints, run in this process, which has loaded the networks' library once."""
        printed = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
            for name, value in self.environment(root).items():
                patch.setenv(name, value)
            assert app(args=arguments, standalone_mode=False) in (None, 0)
        return printed.getvalue()

    def copy(self, verb: str, root: Path) -> None:
        """The lake as it was before the verb, at `root`; the warehouse's views show the files there."""
        shutil.copytree(self.folder / verb, root)
        lake = Lake(str(root))
        name = current_release_id(lake)
        assert name is not None
        republish(lake, self.settings(root), name)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Quiet:
    quiet = Quiet(tmp_path_factory.mktemp("hours"), tmp_path_factory.mktemp("before"))
    sample.write(quiet.hours, days=3, seed=3, issues_per_day=80)
    root = tmp_path_factory.mktemp("quiet") / "lake"
    lake = Lake(str(root))
    with pytest.MonkeyPatch.context() as patch:
        steps = kill_at_step.Steps()
        steps.watch(patch.setattr, training=True)
        for arguments in PREPARED:
            quiet.here(root, arguments)
        for verb, arguments in VERBS.items():
            if verb == "collect":
                make_old(root)
            shutil.copytree(root, quiet.folder / verb)
            steps.count = 0
            quiet.here(root, arguments)
            quiet.steps[verb] = steps.count
            quiet.after[verb] = content(lake)
    return quiet


def make_old(root: Path) -> None:
    """Lets a month pass, and leaves a batch that was never committed."""
    draft = Lake(str(root)).draft(ISSUES.name, {"day": "2024-01-01"})
    draft.write_file("part-00000.parquet", b"never committed")
    for name in ("models/m1", "models/m2", "releases/r1", "releases/r2"):
        plan = json.loads((root / name / "plan.json").read_text())
        (root / name / "plan.json").write_text(json.dumps({**plan, "opened_at": "2024-01-05T00:00:00+00:00"}))
    for path in root.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))


def content(lake: Lake) -> Content:
    """Rows of every current and every pinned batch, of the warehouse's views, and MLflow's runs and
    versions."""
    found = ingested(lake)
    for kind in ("models", "releases"):
        for name in lake.names(kind):
            if not name.endswith(".json"):
                found[f"{kind} {name}"] = pinned(
                    Pinned(lake, "models" if kind == "models" else "releases", name)
                )
    found["pointed"] = current_release_id(lake)
    root = Path(lake.root)
    with contextlib.closing(duckdb.connect(str(root / "warehouse.duckdb"), read_only=True)) as connection:
        for (view,) in connection.sql("SELECT DISTINCT table_name FROM information_schema.tables").fetchall():
            rows = without_volatile(connection.sql(f"SELECT * FROM {view}").to_arrow_table().to_pylist())
            found[f"view {view}"] = sorted(rows, key=repr)
    with contextlib.closing(sqlite3.connect(root / "mlflow.db")) as database:
        found["runs"] = database.execute("SELECT name, status FROM runs ORDER BY name").fetchall()
        metrics = (
            "SELECT DISTINCT r.name, m.key, m.step, m.value FROM metrics AS m JOIN runs AS r USING (run_uuid)"
        )
        own = [
            row
            for row in database.execute(metrics).fetchall()
            if not row[1].startswith("usage/") and not row[1].endswith("seconds")
        ]
        found["metrics"] = sorted(own)
        versions = (
            "SELECT v.version, r.name FROM model_versions AS v JOIN runs AS r ON r.run_uuid = v.run_id "
            "ORDER BY v.version"
        )
        found["versions"] = database.execute(versions).fetchall()
    return found


def pinned(item: Pinned) -> Content:
    members = [name.removesuffix(".json") for name in item.lake.names(f"{item.kind}/{item.name}/members")]
    found: Content = {
        table: [batch(item.lake, manifest) for manifest in item.members[table]] for table in members
    }
    found["days"] = [(day.day, day.issues_digest, day.tokens_digest) for day in item.plan.days]
    found["names"] = item.lake.names(f"{item.kind}/{item.name}")
    row = item.notes[RECORD]
    found["record"] = row and without_volatile([row])
    return found


SEEN = """
SELECT
    (SELECT ANY_VALUE(release_id) FROM releases WHERE status = 'current'),
    (SELECT COUNT(*) FROM title_predictions),
    (SELECT COUNT(DISTINCT issue_id) FROM similar_issues),
    (SELECT COUNT(DISTINCT release_id) FROM title_predictions)
"""


class Reader(threading.Thread):
    """Asks the warehouse and the lake for the current release, over and over; keeps each answer once."""

    def __init__(self, lake: Lake, here: settings.Settings) -> None:
        super().__init__()
        self._lake, self._settings = lake, here
        self._ended = threading.Event()
        self.seen: set[tuple[Any, ...]] = set()
        self.errors: list[Exception] = []

    def look(self) -> None:
        status = serving_status.status(self._lake, self._settings)["release"]
        self.seen.add(("status", status and status["id"], status and status["issues"]))
        with contextlib.closing(duckdb.connect(self._settings.warehouse_path, read_only=True)) as connection:
            self.seen.add(("warehouse", *connection.sql(SEEN).fetchall()[0]))

    def run(self) -> None:
        while not self._ended.wait(0.05):  # leaves the processor to the command that is watched
            try:
                self.look()
            except Exception as error:
                self.errors.append(error)
                return

    def end(self) -> None:
        self._ended.set()
        self.join()


@contextlib.contextmanager
def reading(lake: Lake, here: settings.Settings) -> Iterator[set[tuple[Any, ...]]]:
    """A reader meanwhile; what it saw holds afterwards nothing but the releases as they were before and
    are now."""
    before = Reader(lake, here)
    before.look()
    reader = Reader(lake, here)
    reader.start()
    try:
        yield before.seen
    finally:
        reader.end()
    after = Reader(lake, here)
    after.look()
    assert reader.errors == []
    assert reader.seen <= before.seen | after.seen


def killed_and_repeated(quiet: Quiet, verb: str, step: int, moment: str, root: Path) -> str:
    """The verb killed there and run again, under readers' eyes; what the second run printed."""
    quiet.copy(verb, root)
    with reading(Lake(str(root)), quiet.settings(root)):
        killed = command(quiet, root, kill_at_step.__file__, str(step), moment, *VERBS[verb])
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        if verb in OF_THE_NETWORK:
            printed = quiet.here(root, VERBS[verb])
        else:
            again = command(quiet, root, "-m", "pipeline.cli", *VERBS[verb])
            told = [
                line
                for line in again.stderr.splitlines()
                if not line.startswith("titler alert: 2024-01-03 is partial: ")
            ]
            assert (again.returncode, told) == (0, [])
            printed = again.stdout
    assert differences(content(Lake(str(root))), quiet.after[verb]) == set()
    return printed


def command(quiet: Quiet, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a process group of its own."""
    environment = {**os.environ, **quiet.environment(root)}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("verb", "number"), [(verb, number) for verb, kills in KILLS.items() for number in range(kills)]
)
def test_a_verb_that_was_killed_and_run_again_leaves_what_a_quiet_run_does(verb, number, quiet, tmp_path):
    dice = random.Random(f"{verb} {number}")
    killed_and_repeated(
        quiet, verb, dice.randint(1, quiet.steps[verb]), dice.choice(kill_at_step.MOMENTS), tmp_path / "lake"
    )


def test_a_training_killed_in_its_second_epoch_goes_on_behind_its_first(quiet, tmp_path):
    dice = random.Random("second epoch")
    printed = killed_and_repeated(
        quiet, "train", dice.choice(SECOND_EPOCH), dice.choice(kill_at_step.MOMENTS[:2]), tmp_path / "lake"
    )
    assert "contrastive pre-training, pass 1:" not in printed
    assert "epoch 1:" not in printed
    assert "epoch 2:" in printed


# A disk that is full, a lake that is read-only: a real one, mounted where a user's own name space allows it

DISK = """
set -eu
cp -a "$LAKE" "$WORK/before"
mount -t tmpfs -o size=64m none "$LAKE"
cp -a "$WORK/before/." "$LAKE/"
run() {
  name=$1; shift
  "$@" >"$WORK/$name.out" 2>"$WORK/$name.err" && echo 0 >"$WORK/$name.rc" || echo $? >"$WORK/$name.rc"
}
mount -o remount,ro "$LAKE"
run readonly "$@"
mount -o remount,rw "$LAKE"
cat /dev/zero >"$LAKE/filler" 2>"$WORK/filler.err" || truncate -s "-$FREE" "$LAKE/filler"
run full "$@"
rm "$LAKE/filler"
cp -a "$LAKE" "$WORK/full"
run again "$@"
cp -a "$LAKE" "$WORK/after"
umount "$LAKE"
rm -rf "$LAKE"
mv "$WORK/after" "$LAKE"
"""


def may_mount() -> bool:
    """Whether a process here may have a name space and a temporary disk of its own."""
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not may_mount(), reason="no name space of its own may be had here, so no disk to fill")
@pytest.mark.parametrize(("verb", "free"), [("extract", "8K"), ("index", "64K"), ("publish", "16K")])
def test_a_full_disk_and_a_read_only_lake_are_one_clear_line_and_then_the_verb_completes(
    verb, free, quiet, tmp_path
):
    root = tmp_path / "lake"
    quiet.copy(verb, root)
    script = ["unshare", "-rm", "sh", "-c", DISK, "disk", sys.executable, "-m", "pipeline.cli", *VERBS[verb]]
    places = {"LAKE": str(root), "WORK": str(tmp_path), "FREE": free}
    done = subprocess.run(
        script,
        env={**os.environ, **quiet.environment(root), **places},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name, said in (("readonly", "read-?only"), ("full", "space")):
        error = (tmp_path / f"{name}.err").read_text()
        assert re.fullmatch(rf"titler: .*(?i:{said}).*\n.*\n", error), error
        assert (tmp_path / f"{name}.rc").read_text() == "1\n"
    warehouse = [(tmp_path / name / "warehouse.duckdb").read_bytes() for name in ("before", "full")]
    assert warehouse[0] == warehouse[1]
    assert current_release_id(Lake(str(tmp_path / "full"))) == "r1"
    assert (tmp_path / "again.rc").read_text() == "0\n", (tmp_path / "again.err").read_text()
    assert differences(content(Lake(str(root))), quiet.after[verb]) == set()


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_a_run_whose_training_was_killed_before_its_parameters_were_told_goes_on(tmp_path, monkeypatch):
    tracking = Tracking(f"sqlite:///{tmp_path}/mlflow.db", "titler", "titler", str(tmp_path / "artifacts"))
    monkeypatch.setattr(MlflowClient, "log_batch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tracking.training_run("m1", {"epochs": 2}, {}).__enter__()
    monkeypatch.undo()
    with tracking.training_run("m1", {"epochs": 2}, {}):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("SELECT name, status FROM runs").fetchall() == [("m1", "FINISHED")]
        assert database.execute("SELECT key, value FROM params").fetchall() == [("epochs", "2")]


def test_what_a_killed_write_leaves_behind_is_listed_by_nobody(tmp_path, monkeypatch):
    lake = Lake(str(tmp_path))
    lake.put("releases/current.json", b"{}")
    monkeypatch.setattr(os, "replace", interrupt)
    monkeypatch.setattr(Path, "unlink", interrupt)
    with pytest.raises(KeyboardInterrupt):
        lake.put("releases/current.json", b"{")
    assert lake.names("releases") == ["current.json"]
    assert lake.get("releases/current.json") == b"{}"


def test_a_release_swapped_in_by_a_killed_process_is_recorded_by_whoever_asks_next(
    quiet, tmp_path, monkeypatch
):
    root = tmp_path / "lake"
    quiet.copy("publish", root)
    lake, here = Lake(str(root)), quiet.settings(root)
    monkeypatch.setattr(Notes, "__setitem__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        publish.run(lake, here, Pinned(lake, "releases", "r2"), {})
    monkeypatch.undo()
    assert serving_status.status(lake, here)["release"]["id"] == "r1"
    assert publish.current(lake, here) == "r2"
    assert serving_status.status(lake, here)["release"]["id"] == "r2"
    assert differences(content(lake), quiet.after["publish"]) == set()
