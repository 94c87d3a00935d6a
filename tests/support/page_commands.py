"""A page's commands: read out of it, run, and compared with what the page says that they print."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

import pytest

import verbs_page
from pipeline import cli
from tests.support.accepted_titles import accepting, without_acceptance
from tests.support.readme import FOLLOWED, NAME, fenced

ELSEWHERE = {  # first word -> why it is not run here, and what is
    "make": "installs or tests all of it; make itself says whether the target is there",
    "cd": "the test stays in one folder, which has a lake as the demo's folder and the repository have",
    "source": "activates the environment that the test runs in",
    "airflow": "needs a server; Airflow's own parser reads it",
    "mlflow": "serves until Ctrl-C; MLflow's own parser reads it",
    "gh": "asks GitHub; what follows the pipe is run",
}
BY_THE_MODEL = {  # verb -> every line of its output, of which the model decides all but the form
    "title": r".*  \(\d\.\d\d\)|\(no title: .*\)",
    "similar": r"\d\.\d\d  https://github\.com/\S+/issues/\d+  .*",
}
BODY = "The settings page crashes on Android whenever I open it twice"


class Command(NamedTuple):
    """`shown` is what the page shows of its output; None where it shows nothing."""

    line: str
    shown: str | None = None


class Done(NamedTuple):
    command: Command
    code: int
    output: str


def indented(page: str) -> Iterator[list[str]]:
    """Blocks of lines that stand four spaces in, outside fences."""
    block: list[str] = []
    for line in [*re.sub(r"(?ms)^```.*?^```$", "", page).splitlines(), ""]:
        if line.startswith("    "):
            block.append(line[4:])
        elif block:
            yield block
            block = []


def is_python(block: list[str]) -> bool:
    return block[0].startswith("import ")


def sessions(section: str) -> list[Command]:
    """The commands of a section's console blocks, with what they print."""
    found = []
    for block in fenced(section, "console"):
        for part in re.split(r"(?m)^\$ ", block)[1:]:
            line, _, shown = part.partition("\n")
            found.append(Command(line, shown))
    return found


def commands_of(page: str) -> list[Command]:
    """A page's commands in order: of console blocks, with what they print, and of indented blocks."""
    commands = []
    for part in re.split(r"(?ms)(^```.*?^```$)", page):
        if part.startswith("```"):
            commands += sessions(part)
        else:
            commands += [Command(line) for block in indented(part) if not is_python(block) for line in block]
    return commands


def followed_commands() -> list[Command]:
    return [command for page in FOLLOWED for command in commands_of(page)]


def words(line: str) -> tuple[dict[str, str], list[str]]:
    """Settings before a command, and the command's words, `.venv/bin/` taken off."""
    found = shlex.split(line, comments=True)
    environment = {}
    while "=" in found[0]:
        name, _, environment[name] = found.pop(0).partition("=")
    return environment, [found[0].removeprefix(".venv/bin/"), *found[1:]]


class Shell:
    """Runs commands, `titler` in this process: importing TensorFlow takes longer than most verbs. The titles
    of the tiny models are accepted.

    Names of models and releases in the page become those of the run.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, placeholders: dict[str, str]) -> None:
        self.monkeypatch = monkeypatch
        self.placeholders = placeholders
        self.names: dict[str, str] = {}  # in the page -> in the run

    def run(self, command: Command) -> Done | None:
        """None for what runs elsewhere."""
        line = command.line
        for shown, real in [*self.placeholders.items(), *self.names.items()]:
            line = line.replace(shown, real)
        environment, argv = words(line)
        stdin = ""
        if "|" in argv:
            stdin, argv = BODY, argv[argv.index("|") + 1 :]
        if (
            argv[0] == "titler" and "--from-file" in argv
        ):  # trains for minutes; tests/cli runs it on a small file
            parse(argv)
            return None
        if argv[0] == "titler":
            return self._titler(command, environment, argv, stdin)
        if argv[0] == "python":
            ended = subprocess.run([sys.executable, *argv[1:]], check=False, capture_output=True, text=True)
            return Done(command, ended.returncode, ended.stdout + ended.stderr)
        if argv[0] == "df":
            return Done(command, subprocess.run(argv, check=False, capture_output=True).returncode, "")
        assert argv[0] in ELSEWHERE, f"{argv[0]} is neither run nor known to run elsewhere"
        return None

    def _titler(self, command: Command, environment: dict[str, str], argv: list[str], stdin: str) -> Done:
        output = io.StringIO()
        with self.monkeypatch.context() as patch, redirect_stdout(output), redirect_stderr(output):
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", [argv[0], *accepting(argv[1:])])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            with pytest.raises(SystemExit) as ended:
                cli.main()
        done = Done(command, int(ended.value.code or 0), without_acceptance(output.getvalue()))
        self._learn(done)
        return done

    def _learn(self, done: Done) -> None:
        match = re.fullmatch(pattern(done.command.shown or "", self.names), done.output)
        for group, real in (match.groupdict() if match else {}).items():
            self.names[group.removeprefix("_")] = real


def parse(argv: list[str]) -> None:
    """Raises what the verb's own parser raises."""
    _, verb, *rest = argv
    verbs_page.command_group().commands[verb].make_context(verb, rest)


def agrees(done: Done, names: dict[str, str]) -> bool:
    """Whether an output is what the page shows; of what a model decides, its form."""
    argv = words(done.command.line)[1]
    shown = done.command.shown or ""
    if argv[0] == "python":  # a table: its columns and their types
        return [re.findall(r"\w+", line) for line in shown.splitlines()[1:3]] == [
            re.findall(r"\w+", line) for line in done.output.splitlines()[1:3]
        ]
    if argv[1] not in BY_THE_MODEL:
        return re.fullmatch(pattern(shown, names), done.output) is not None
    lines = [*shown.splitlines(), *done.output.splitlines()]
    return len(lines) == 2 * len(shown.splitlines()) and all(
        re.fullmatch(BY_THE_MODEL[argv[1]], line) for line in lines
    )


def pattern(shown: str, names: dict[str, str]) -> str:
    """The regular expression that an output must match.

    `...` alone on a line is any number of lines, within a line any text. A name that was seen before must be
    the same again.
    """
    seen = set()

    def token(found: re.Match[str]) -> str:
        name = found[0]
        if name in names:
            return re.escape(names[name])
        if name in seen:
            return f"(?P=_{name})"
        seen.add(name)
        return f"(?P<_{name}>{NAME})"

    lines = []
    for line in shown.splitlines(keepends=True):
        if line.strip() == "...":
            lines.append(r"(?:.*\n)*?")
        else:
            lines.append(re.sub(NAME, token, re.escape(line).replace(r"\.\.\.", ".*")))
    return "".join(lines)
