"""Prints what a command has to say: plain lines, tables, one JSON value, errors."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.progress import say

DAYS_LISTED = 10
"""Most days that a message lists."""
PLURALS = {"batch": "batches"}
WIDE = 10_000
"""Characters: wider than any table, so that nothing is cut off or wrapped when the output goes to a file."""


def error(message: str) -> None:
    """Prints an error on standard error."""
    print(f"titler: {message}", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Prints one JSON value."""
    say(json.dumps(value, ensure_ascii=False, indent=1))


def print_table(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], indent: int) -> None:
    """Prints rows under a header. `columns` are (name, "left" or "right"); without any name there is no
    header."""
    table = Table(
        box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=any(name for name, _ in columns)
    )
    for name, side in columns:
        table.add_column(Text(name), justify="right" if side == "right" else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    output = io.StringIO()
    Console(file=output, width=WIDE, color_system=None).print(table)
    for line in output.getvalue().splitlines():
        say(f"{' ' * indent}{line.rstrip()}")


def count(number: int, thing: str) -> str:
    """`3 issues`, `1 issue`; more than three digits in groups."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {PLURALS.get(thing, f'{thing}s')}"


def counts(counter: Counter[str]) -> str:
    """`30 complete, 1 partial`."""
    return ", ".join(f"{number:,} {name}" for name, number in counter.items() if number)


def some_days(days: Sequence[str]) -> str:
    """The first DAYS_LISTED days."""
    return ", ".join(days[:DAYS_LISTED]) + (" ..." if len(days) > DAYS_LISTED else "")
