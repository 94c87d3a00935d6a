"""The command line: the verbs, their help, mistakes, and how the process ends."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shlex
import subprocess
import sys

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from pipeline.cli import app
from pipeline.contracts import SOURCE_HEALTH
from pipeline.lake.batches import Lake
from pipeline.serving.status import HEALTH_KEYS
from pipeline.settings import Settings
from tests.support.titler_in_process import titler

COMMAND = get_command(app)
assert isinstance(COMMAND, TyperGroup)
COMMANDS = COMMAND.commands
VERBS = [
    *("extract", "clean", "vocab", "vectorize", "train", "evaluate", "promote"),
    *("learn-ordering", "plan", "embed", "predict", "index", "publish", "collect", "rollback"),
    *("run", "status", "ready", "cost", "title", "similar", "export", "sample", "alert", "doctor"),
    *("releases", "explain", "report", "serve", "verify", "forget"),
]


def test_these_are_all_verbs():
    assert sorted(COMMANDS) == sorted(VERBS)


def test_status_imports_neither_mlflow_nor_pandas(shared_settings: Settings):
    program = (
        "import sys; from pipeline.cli import app; app(args=['status'], standalone_mode=False); "
        "print({'mlflow', 'pandas'} & sys.modules.keys())"
    )
    environment = {**os.environ, "TITLER_LAKE__ROOT": shared_settings.lake.root}
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert ", version 1, variant" in output
    assert output.endswith("\nset()\n")


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_ends_with_an_example_that_parses(verb):
    command = COMMANDS[verb]
    *_, example = (command.help or "").splitlines()
    assert example.startswith(f"Example: titler {verb}")
    arguments = shlex.split(example.removeprefix("Example: titler "))
    command.make_context(verb, arguments[1:], resilient_parsing=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["extract"], "Give either --day or both --from and --to."),
        (["extract", "--day", "01/02/2015"], "not a day"),
        (["extract", "--day", "2999-01-01"], "is in the future"),
        (["extract", "--from", "2015-01-02", "--to", "2015-01-01"], "comes after"),
        (["status", "--day", "2015-01-01", "--from", "2015-01-01"], "Give either --day or both"),
        (["status", "--from", "2015-01-02", "--to", "2015-01-01"], "comes after"),
        (["embed"], "Missing option '--release'"),
        (["embed", "--release", "none"], "No release is named none"),
        (["train", "none"], "No model is named none"),
        (["evaluate", "none"], "No model is named none"),
        (["train"], "Give the name of a model or --from-file."),
        (["train", "m", "--teacher-weight", "0.3"], "--teacher-weight needs --teacher."),
        (["train", "m", "--epochs", "3"], "of a model are fixed when it is created"),
        (["evaluate", "--downstream"], "--downstream needs --from-file"),
        (["vectorize"], "Give either --model or --release."),
        (["promote", "m", "--force"], "--force and --because must be given together."),
        (["promote", "m", "--force", "--because", " "], "--force and --because must be given together."),
        (["promote", "m", "--accept"], "--accept and --because must be given together."),
        (["promote", "m", "--because", "x"], "--force and --because must be given together."),
        (["run", "--day", "2015-01-01", "--accept"], "--accept and --because must be given together."),
        (
            ["publish", "--release", "r", "--accept", "2015-01-01", "--accept", "recall"],
            "--accept and --because must be given together.\n"
            "Give both: titler publish --release r --accept 2015-01-01 --accept recall --because ",
        ),
        (
            ["publish", "--release", "r", "--because", "x"],
            "Give both: titler publish --release r --accept DATE|abstained|recall --because ",
        ),
        (
            ["publish", "--release", "r", "--accept", "titles", "--because", "x"],
            "--accept titles is not a day.\n"
            "Write days as YYYY-MM-DD, for example 2015-01-01.\n"
            "To accept another fault: --accept abstained or --accept recall\n",
        ),
        (["publish", "--release", "r", "--accept", "abstained", "--because", "x"], "No release is named r"),
        (["similar", "x"], "No release is published"),
        (["similar", "--from-file", "drafts.csv"], "No release is published"),
        (
            ["similar", "x", "--from-file", "drafts.csv"],
            "Give exactly one of these: an issue, a text, or --from-file FILE",
        ),
        (["similar", "a/b#12", "--title", "x"], "Use --title only with a text."),
        (["similar", "https://github.com/a/b/issues/12", "--title", "x"], "Use --title only with a text."),
        (["similar", "#12", "--title", "x"], "No release is published"),
        (["similar", "404", "--title", "x"], "No release is published"),
        (
            ["similar", "73888600341"],
            "73888600341 is only a number. This command finds an issue by its address, not by its id.\n"
            "Give the issue as https://github.com/OWNER/REPO/issues/NUMBER or OWNER/REPO#NUMBER.\n"
            "If the number is the id of an issue, this prints its address: titler explain 73888600341\n",
        ),
        (["title", "x"], "No release is published"),
        (["title", " "], "The body is empty"),
        (
            ["rollback", "r"],
            "Release r was never published. No release is published yet.\n"
            "Make and publish a release: titler run --from DATE --to DATE\n",
        ),
        (
            ["extract", "--day", "2015-01-01"],
            "is not a folder or does not exist; expected a folder of hour files",
        ),
        (["serve", "--host", "0.0.0.0"], "is not a loopback address, and the setting serve.token is empty"),
        (["--settings", "none.toml", "status"], "no such settings file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_clear_error_without_a_traceback(tmp_path, monkeypatch, arguments, message):
    monkeypatch.setenv("TITLER_LAKE__ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("TITLER_SOURCE__HOURS", str(tmp_path / "hours"))
    process = titler(*arguments)
    assert process.stdout == ""
    assert process.stderr.startswith("titler: ")
    assert message in process.stderr
    assert "Traceback" not in process.stderr
    assert process.returncode == (1 if "folder" in message else 2)


def test_an_empty_lake_has_a_status(tmp_path, monkeypatch):
    monkeypatch.setenv("TITLER_LAKE__ROOT", str(tmp_path / "lake"))
    process = titler("status", "--json")
    assert process.returncode == 0
    assert json.loads(process.stdout) == {"days": [], "model": None, "release": None}


def test_the_version_is_printed_with_the_commit():
    process = titler("--version")
    assert (process.returncode, process.stderr) == (0, "")
    version = re.escape(importlib.metadata.version("titler"))
    commit = r" \([0-9a-f]{12}(, with uncommitted changes)?\)"
    assert re.fullmatch(rf"titler {version}({commit})?\n", process.stdout)


def test_a_verb_is_not_run_if_the_version_is_asked_for(tmp_path):
    process = titler("--version", "sample", str(tmp_path / "hours"))
    assert process.returncode == 0
    assert not (tmp_path / "hours").exists()


@pytest.mark.parametrize(
    ("options", "days"),
    [
        ([], ["2015-01-01", "2015-01-02", "2015-01-03"]),
        (["--day", "20150102"], ["2015-01-02"]),
        (["--from", "20150102"], ["2015-01-02", "2015-01-03"]),
        (["--to", "20150102"], ["2015-01-01", "2015-01-02"]),
        (["--from", "2015-W01-5", "--to", "20150102"], ["2015-01-02"]),
    ],
    ids=" ".join,
)
def test_status_accepts_days_in_every_iso_form(tmp_path, monkeypatch, capsys, options, days):
    monkeypatch.setenv("TITLER_LAKE__ROOT", str(tmp_path / "lake"))
    lake = Lake(str(tmp_path / "lake"))
    for number in (1, 2, 3):
        draft = lake.draft(SOURCE_HEALTH.name, {"day": f"2015-01-0{number}"})
        draft.commit({key: f"2015-01-0{number}" for key in HEALTH_KEYS})
    app(["status", "--json", *options], standalone_mode=False)
    assert [day["day"] for day in json.loads(capsys.readouterr().out)["days"]] == days


PROGRAM = """
import atexit, ctypes, os, sys
destructor = ctypes.CFUNCTYPE(None)(lambda: os.write(1, b"C++ destructor"))
ctypes.CDLL(None).__cxa_atexit(destructor, None, None)
from pipeline import cli
sys.argv = ["titler", *sys.argv[1:]]
cli.app.command("end")(lambda: atexit.register(os.write, 1, b"Python exit function"))
cli.command()
"""
"""`titler` with the verb `end`, in a process with a C++ destructor."""


@pytest.mark.parametrize(
    ("verb", "code", "output"), [("end", 0, b"Python exit function"), ("no-such-verb", 2, b"")]
)
def test_the_process_skips_cpp_destructors(verb: str, code: int, output: bytes) -> None:
    """Arrow's abort now and then: 9 of 240 runs of `titler similar` on a busy machine ended with SIGABRT."""
    process = subprocess.run([sys.executable, "-c", PROGRAM, verb], capture_output=True, check=False)
    assert (process.returncode, process.stdout) == (code, output)
