"""Work that is interrupted: on a full or a read-only disk, or killed after the swap of a publication.

Afterwards the lake holds the same as after a run that was not interrupted. tests/faults/nights.py does the
same to every command of a night, with drawn faults, and tests/stages/test_train.py interrupts a training.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from pipeline import settings
from pipeline.cli import app
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Notes, Pinned
from pipeline.releases.current import current_release_id
from pipeline.releases.moved_lake import adopt_moved_lake
from pipeline.serving import status as serving_status
from pipeline.stages import publish
from pipeline.tracking import Tracking
from tests.faults.night import VERBS, content_of_folder
from tests.support import lakes
from tests.support.tables import Content, differences

ROOT = Path(__file__).resolve().parents[1]
NIGHT = {
    "extract": ["extract", "--day", "2024-01-03"],
    "clean": ["clean", "--day", "2024-01-03"],
    **{verb: VERBS[verb] for verb in ("plan", "release", "embed", "predict", "index", "publish")},
}
"""The commands that publish release r2 of another day, with the model that there is."""


@dataclass
class ReferenceRun:
    """A night that was not interrupted.

    `first` is the release before it. `folder` has, for each verb, a copy of the lake from before the verb.
    `after` is the lake's content after each verb. `hours` is the folder of hour files.
    """

    first: str
    hours: Path
    folder: Path
    after: dict[str, Content] = field(default_factory=dict)

    def environment(self, root: Path) -> dict[str, str]:
        """Returns environment variables with the settings of a lake at `root`."""
        return {
            "TITLER_SOURCE__HOURS": str(self.hours),
            "TITLER_LAKE__ROOT": str(root),
            "TITLER_INDEX__TREES": "20",
        }

    def settings(self, root: Path) -> settings.Settings:
        """Returns the settings of a lake at `root`."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment(root).items():
                patch.setenv(name, value)
            return settings.load()

    def run_in_this_process(self, root: Path, arguments: list[str]) -> str:
        """Runs a command of `titler` on the lake at `root`; returns what the command prints.

        A process of its own would import all libraries again, which takes seconds. Asserts that the command
        reports no error.
        """
        printed, errors = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(errors),
        ):
            for name, value in self.environment(root).items():
                patch.setenv(name, value)
            assert app(args=arguments, standalone_mode=False) in (None, 0)
        assert errors.getvalue() == ""
        return printed.getvalue()

    def copy(self, verb: str, root: Path) -> None:
        """Copies the lake as it was before the verb to `root`. The warehouse and MLflow's database then name
        the copied files."""
        shutil.copytree(self.folder / verb, root)
        message = adopt_moved_lake(Lake(str(root)), self.settings(root))
        assert message is not None
        assert "Changed accordingly" in message


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> ReferenceRun:
    built = lakes.built_by_first_worker(tmp_path_factory)
    root = tmp_path_factory.mktemp("reference") / "lake"
    lake = Lake(lakes.copy_lake(built, root).lake.root)
    first = current_release_id(lake)
    assert first is not None
    hours = Path(built.source.bases[0].base)
    reference = ReferenceRun(first, hours, tmp_path_factory.mktemp("before"))
    for verb, arguments in NIGHT.items():
        shutil.copytree(root, reference.folder / verb)
        reference.run_in_this_process(root, arguments)
        reference.after[verb] = content_of_folder(lake)
    return reference


# A lake on a full disk, and on a read-only one. The disk is real: a tmpfs, mounted in a user namespace.

RUN_ON_BAD_DISKS = """
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
"""Runs a command with the lake on a read-only disk, then on a full one, then on one with free space.

Keeps outputs and exit codes in $WORK, under the names readonly, full and again, and copies of the lake under
the names before and full.
"""


def may_mount() -> bool:
    """Returns whether this process may create a user namespace and mount a temporary disk in it."""
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not may_mount(), reason="needs a user namespace in which a disk can be mounted")
@pytest.mark.parametrize(("verb", "free"), [("extract", "8K"), ("publish", "16K")])
def test_a_read_only_or_full_disk_causes_one_clear_error_and_afterwards_the_verb_succeeds(
    verb, free, reference, tmp_path
):
    root = tmp_path / "lake"
    reference.copy(verb, root)
    command = [sys.executable, "-m", "pipeline.cli", *NIGHT[verb]]
    variables = {"LAKE": str(root), "WORK": str(tmp_path), "FREE": free}
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", RUN_ON_BAD_DISKS, "sh", *command],
        env={**os.environ, **reference.environment(root), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name, reason in (("readonly", "read-?only"), ("full", "space")):
        error = (tmp_path / f"{name}.err").read_text()
        assert re.fullmatch(rf"titler: .*(?i:{reason}).*\n.*\n", error), error
        assert (tmp_path / f"{name}.rc").read_text() == "1\n"
    warehouse = [(tmp_path / name / "warehouse.duckdb").read_bytes() for name in ("before", "full")]
    assert warehouse[0] == warehouse[1]
    assert current_release_id(Lake(str(tmp_path / "full"))) == reference.first
    assert (tmp_path / "again.rc").read_text() == "0\n", (tmp_path / "again.err").read_text()
    assert differences(content_of_folder(Lake(str(root))), reference.after[verb]) == set()


def interrupt(*_: Any, **__: Any) -> None:
    """Tests put this in place of a function, to stop the program at the call of that function."""
    raise KeyboardInterrupt


def test_an_mlflow_run_that_was_killed_before_its_parameters_were_logged_is_continued(tmp_path, monkeypatch):
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


def test_the_unfinished_file_of_a_killed_write_is_not_listed(tmp_path, monkeypatch):
    lake = Lake(str(tmp_path))
    lake.put("releases/current.json", b"{}")
    monkeypatch.setattr(os, "replace", interrupt)
    monkeypatch.setattr(Path, "unlink", interrupt)
    with pytest.raises(KeyboardInterrupt):
        lake.put("releases/current.json", b"{")
    assert lake.names("releases") == ["current.json"]
    assert lake.get("releases/current.json") == b"{}"


def test_if_publish_is_killed_after_the_swap_the_next_command_records_the_release(
    reference, tmp_path, monkeypatch
):
    root = tmp_path / "lake"
    reference.copy("publish", root)
    lake, lake_settings = Lake(str(root)), reference.settings(root)
    monkeypatch.setattr(Notes, "__setitem__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        publish.run(lake, lake_settings, Pinned(lake, "releases", "r2"), {})
    monkeypatch.undo()
    assert serving_status.status(lake, lake_settings)["release"]["id"] == reference.first
    assert publish.current(lake, lake_settings) == "r2"
    assert serving_status.status(lake, lake_settings)["release"]["id"] == "r2"
    reference.run_in_this_process(root, NIGHT["publish"])  # writes the report and the run in MLflow
    assert differences(content_of_folder(lake), reference.after["publish"]) == set()
