"""The command line: every verb explained with an example that parses; a mistake is one clear line."""

import json
import shlex
import subprocess
import sys
from datetime import date

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from pipeline.cli import app, console
from pipeline.cli.options import parse_day, parse_days
from pipeline.contracts import SOURCE_HEALTH
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.serving.status import HEALTH_KEYS

COMMAND = get_command(app)
assert isinstance(COMMAND, TyperGroup)
COMMANDS = COMMAND.commands
VERBS = [
    *("extract", "clean", "vocab", "vectorize", "train", "evaluate", "promote"),
    *("plan", "embed", "predict", "index", "publish", "collect", "rollback"),
    *("run", "status", "ready", "cost", "title", "similar", "sample", "alert", "doctor"),
]


def titler(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment or None,
    )


def test_the_verbs_are_these():
    assert sorted(COMMANDS) == sorted(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_help_with_an_example_that_parses(verb):
    command = COMMANDS[verb]
    *_, example = (command.help or "").splitlines()
    assert example.startswith(f"Example: titler {verb}")
    arguments = shlex.split(example.removeprefix("Example: titler "))
    command.make_context(verb, arguments[1:], resilient_parsing=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["extract"], "Which days?"),
        (["extract", "--day", "01/02/2015"], "not a day"),
        (["extract", "--day", "2999-01-01"], "is in the future"),
        (["extract", "--from", "2015-01-02", "--to", "2015-01-01"], "comes after"),
        (["status", "--day", "2015-01-01", "--from", "2015-01-01"], "Which days?"),
        (["status", "--from", "2015-01-02", "--to", "2015-01-01"], "comes after"),
        (["embed"], "Missing option '--release'"),
        (["embed", "--release", "none"], "nothing was opened under this name"),
        (["train", "none"], "nothing was opened under this name"),
        (["evaluate", "none"], "nothing was opened|has no predictor yet"),
        (["train"], "Which model?"),
        (["train", "m", "--epochs", "3"], "fixed when it is opened"),
        (["evaluate", "--downstream"], "--downstream needs a file"),
        (["vectorize"], "For a model or for a release?"),
        (["promote", "m", "--force"], "--force needs a reason"),
        (["promote", "m", "--force", "--because", " "], "--force needs a reason"),
        (["publish", "--release", "r", "--accept", "2015-01-01"], "--accept needs a reason"),
        (["similar", "x"], "No release is published"),
        (["title", "x"], "No release is published"),
        (["title", " "], "The body is empty"),
        (["rollback", "r"], "r was never published"),
        (["extract", "--day", "2015-01-01"], "no such folder of hour files"),
        (["--settings", "none.toml", "status"], "no such settings file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_clear_line_and_exit_code_2(tmp_path, monkeypatch, arguments, message):
    monkeypatch.setenv("TITLER_LAKE__ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("TITLER_SOURCE__HOURS", str(tmp_path / "hours"))
    done = titler(*arguments)
    assert done.stdout == ""
    assert done.stderr.startswith("titler: ")
    assert any(part in done.stderr for part in message.split("|")), done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if "folder" in message else 2)


def test_an_empty_lake_has_a_status(tmp_path, monkeypatch):
    monkeypatch.setenv("TITLER_LAKE__ROOT", str(tmp_path / "lake"))
    done = titler("status", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"days": [], "model": None, "release": None})


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
def test_the_status_of_some_days_however_they_are_written(tmp_path, monkeypatch, capsys, options, days):
    monkeypatch.setenv("TITLER_LAKE__ROOT", str(tmp_path / "lake"))
    lake = Lake(str(tmp_path / "lake"))
    for number in (1, 2, 3):
        draft = lake.draft(SOURCE_HEALTH.name, {"day": f"2015-01-0{number}"})
        draft.commit({key: f"2015-01-0{number}" for key in HEALTH_KEYS})
    app(["status", "--json", *options], standalone_mode=False)
    assert [day["day"] for day in json.loads(capsys.readouterr().out)["days"]] == days


def test_days_are_read_as_they_are_typed():
    assert parse_day("2015-02-28", "--day") == date(2015, 2, 28)
    assert parse_days(None, "2015-02-28", "2015-03-01") == [date(2015, 2, 28), date(2015, 3, 1)]
    with pytest.raises(UsageError, match="2015-02-29: not a day"):
        parse_day("2015-02-29", "--day")


def test_numbers_read_as_words():
    assert [console.count(1, "issue"), console.count(2, "batch"), console.count(1234, "day")] == [
        "1 issue",
        "2 batches",
        "1,234 days",
    ]


ENDS = """
import atexit, ctypes, os, sys
at_the_end = ctypes.CFUNCTYPE(None)(lambda: os.write(1, b"destructors"))
ctypes.CDLL(None).__cxa_atexit(at_the_end, None, None)
from pipeline import cli
sys.argv = ["titler", *sys.argv[1:]]
cli.app.command("end")(lambda: atexit.register(os.write, 1, b"python's own end"))
cli.command()
"""


@pytest.mark.parametrize(("arguments", "code"), [(["end"], 0), (["no-such-verb"], 2)])
def test_the_process_ends_before_the_destructors_of_cpp(arguments: list[str], code: int) -> None:
    """Arrow's abort now and then, which made 9 of 240 runs of `titler similar` on a busy machine end with SIGABRT."""
    done = subprocess.run([sys.executable, "-c", ENDS, *arguments], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (code, b"python's own end" if arguments == ["end"] else b"")
