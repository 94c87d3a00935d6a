"""Writes docs/verbs.md from `pipeline/cli`, where every verb is declared: .venv/bin/python infra/verbs_page.py"""

from __future__ import annotations

import inspect
from pathlib import Path

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from pipeline.cli import app, query_commands, stage_commands

PAGE = Path(__file__).resolve().parents[1] / "docs" / "verbs.md"
SECTIONS = {
    "The whole job, and what answers": query_commands,
    "The stages, in the order of the data's way": stage_commands,
}


def group() -> TyperGroup:
    """`titler`, as Click sees it."""
    found = get_command(app)
    assert isinstance(found, TyperGroup)
    return found


def page() -> str:
    """The page: a section a module of verbs, a part a verb with its example and a table of what it takes."""
    lines = [
        "# Verbs",
        "",
        "`titler VERB` prints what it did and where the result is. Exit codes: 0 done, 1 failure, 2 misuse, 130 interrupted; an error is",
        "one clear line with the next command to type. Every verb can be repeated: what is unchanged is not done again. Before the verb:",
        "",
        *_table(group()),
    ]
    for title, module in SECTIONS.items():
        lines += ["", f"## {title}"]
        for name, command in group().commands.items():
            if inspect.getmodule(inspect.unwrap(command.callback or page)) is module:
                assert isinstance(command, TyperCommand)
                lines += _verb(name, command)
    return "\n".join(lines) + "\n"


def _verb(name: str, command: TyperCommand) -> list[str]:
    prose, example = (command.help or "").split("\n\nExample: ")
    table = _table(command)
    return [
        "",
        f"### {name}",
        "",
        " ".join(prose.split()),
        "",
        f"    {example}",
        *(["", *table] if table else []),
    ]


def _table(command: TyperCommand | TyperGroup) -> list[str]:
    rows = []
    for parameter in command.params:
        if isinstance(parameter, TyperArgument):
            shown = parameter.metavar or parameter.name
        elif isinstance(parameter, TyperOption) and "completion" not in (parameter.name or ""):
            shown = ", ".join(parameter.opts) + ("" if parameter.is_flag else f" {parameter.metavar or 'N'}")
        else:
            continue
        default = (
            parameter.default
            if isinstance(parameter.default, int) and not isinstance(parameter.default, bool)
            else None
        )
        text = (parameter.help or "") + ("" if default is None else f" Default: {default}.")
        rows.append(
            f"| `{shown}` | {'needed' if parameter.required else ''} | {text} |".replace(
                "URL|TEXT|-", "URL\\|TEXT\\|-"
            )
        )
    return ["| takes | | meaning |", "|---|---|---|", *rows] if rows else []


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
