"""Writes docs/verbs.md, the page of all `titler` commands (verbs), from their declarations in `pipeline/cli`.

This command writes the page:

    .venv/bin/python infra/verbs_page.py
"""

from __future__ import annotations

import inspect
from pathlib import Path

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from pipeline.cli import (
    app,
    query_commands,
    release_commands,
    report_command,
    serve_command,
    stage_commands,
    stage_forget,
    verify_command,
)
from pipeline.errors import ExitCode

PAGE = Path(__file__).resolve().parents[1] / "docs" / "verbs.md"
SECTIONS = {
    "The whole job, and the verbs that answer questions": (query_commands,),
    "Releases: what is in them, and how they came about": (release_commands, report_command, verify_command),
    "The server": (serve_command,),
    "The stages, in the order in which the data passes through them": (stage_commands,),
    "What changes published releases": (stage_forget,),
}
INTRODUCTION = """# Verbs

A verb is a command of `titler`: in `titler embed`, the verb is `embed`. This page lists all verbs with their
options; `titler VERB --help` shows the same.

Each verb prints what it did and where the result is. An error is one clear line, followed by the next command
to type. Every verb can be repeated: work that is done already is reused.

"""


def command_group() -> TyperGroup:
    """Returns the Click group of all `titler` commands."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def page() -> str:
    """Returns the page in Markdown.

    Each section has the commands of some modules. Each command has an example and a table of its options.
    """
    lines = [
        *INTRODUCTION.splitlines(),
        "| exit code | meaning |",
        "|---|---|",
        *(f"| {code.value} | {code.meaning} |" for code in ExitCode),
        "",
        "Options before the verb:",
        "",
        *_options_table(command_group()),
    ]
    for title, modules in SECTIONS.items():
        lines += ["", f"## {title}"]
        for name, command in command_group().commands.items():
            if inspect.getmodule(inspect.unwrap(command.callback or page)) in modules:
                assert isinstance(command, TyperCommand)
                lines += _verb(name, command)
    return "\n".join(lines) + "\n"


def _verb(name: str, command: TyperCommand) -> list[str]:
    prose, example = (command.help or "").split("\n\nExample: ")
    table = _options_table(command)
    heading = ["", f"### {name}", "", " ".join(prose.split()), "", f"    {example}"]
    return [*heading, *(["", *table] if table else [])]


def _options_table(command: TyperCommand | TyperGroup) -> list[str]:
    rows = []
    for parameter in command.params:
        if isinstance(parameter, TyperArgument):
            usage = parameter.metavar or parameter.name or ""
        elif isinstance(parameter, TyperOption) and "completion" not in (parameter.name or ""):
            value = "" if parameter.is_flag else f" {parameter.metavar or 'N'}"
            usage = ", ".join(parameter.opts) + value
        else:
            continue
        default = parameter.default
        has_default = isinstance(default, int) and not isinstance(default, bool)
        text = (parameter.help or "") + (f" Default: {default}." if has_default else "")
        required = "yes" if parameter.required else ""
        rows.append(f"| `{usage.replace('|', chr(92) + '|')}` | {required} | {text} |")
    return ["| option | required | meaning |", "|---|---|---|", *rows] if rows else []


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
