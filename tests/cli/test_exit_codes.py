"""The exit codes of `titler`: one enumeration, which the code uses and the documentation lists."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from pipeline.errors import DailyBudgetError, ExitCode, StoppedError, TitlerError, UsageError

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "pipeline").rglob("*.py"))


def test_every_exit_code_is_documented() -> None:
    page = (ROOT / "docs" / "verbs.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line[2:].partition(" ")[0].isdigit()]
    assert rows == [f"| {code.value} | {code.meaning} |" for code in ExitCode]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_code_exits_with_no_other_number(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        value: ast.expr | None = None
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "typer.Exit" and node.args:
            value = node.args[0]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith("exit_code"):
            value = node.value
        if value is not None and not isinstance(value, ast.List):
            # --skip-code is the caller's own number
            assert ast.unparse(value).startswith("ExitCode.") or ast.unparse(value) == "skip_code"


def test_errors_exit_with_the_code_of_their_kind() -> None:
    assert TitlerError("disk full").exit_code == 1
    assert TitlerError("no such column", final=True).exit_code == 3
    assert UsageError("no such option").exit_code == 2
    assert StoppedError("a day has collapsed").exit_code == 3
    assert DailyBudgetError("2 days are left").exit_code == 4
