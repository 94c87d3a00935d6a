"""Prints the output of commands: plain lines, tables, JSON values and errors."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.printed_text import one_line, printable, with_codes, without_secrets
from pipeline.progress import say

DAYS_LISTED = 10
"""Maximum number of days that one message lists."""
PLURALS = {"batch": "batches"}
WIDE = 10_000
"""Width of tables in characters. It is wider than any table, so that no line is cut off or wrapped."""
TEXT_WIDTH = 80
"""Width of wrapped text in characters."""


def error(message: str) -> None:
    """Prints a message on standard error, with the prefix `titler: `. Credentials are masked."""
    print(printable(without_secrets(f"titler: {message}")), file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Prints one JSON value on standard output. Credentials in it are not masked, so that the value is not
    changed.
    """
    print(with_codes(json.dumps(value, ensure_ascii=False, indent=1)), flush=True)


def print_table(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], indent: int) -> None:
    """Prints the rows of a table in aligned columns, indented by `indent` spaces. See `table_lines`."""
    for line in table_lines(columns, rows):
        say(f"{' ' * indent}{line}")


def table_lines(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a table with aligned columns: the header, then one line per row.

    Each item of `columns` is a tuple: the name of a column, and its alignment ("left" or "right"). If all
    names are empty, no header is printed.
    """
    table = Table(
        box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=any(name for name, _ in columns)
    )
    for name, side in columns:
        table.add_column(Text(name), justify="right" if side == "right" else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(one_line(value)) for value in row))
    output = io.StringIO()
    Console(file=output, width=WIDE, color_system=None).print(table)
    return [line.rstrip() for line in output.getvalue().splitlines()]


def say_wrapped(text: str, indent: int) -> None:
    """Prints a text in lines of at most TEXT_WIDTH characters. The first line is indented by `indent` spaces,
    all other lines by two more. Words that are longer than a line, such as addresses, are not broken."""
    for line in wrap(
        text,
        TEXT_WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_long_words=False,
        break_on_hyphens=False,
    ):
        say(line)


def count(number: int, noun: str) -> str:
    """Returns a number with its noun, such as `1 issue` or `1,234 issues`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {PLURALS.get(noun, f'{noun}s')}"


def counts(counter: Counter[str]) -> str:
    """Returns a text that lists names with their numbers, such as `30 complete, 1 partial`. Leaves out names
    whose number is 0."""
    return ", ".join(f"{number:,} {name}" for name, number in counter.items() if number)


def some_days(days: Sequence[str]) -> str:
    """Returns the days as text, separated by commas. If there are more than DAYS_LISTED days, only the first
    DAYS_LISTED are returned, followed by ` ...`."""
    return ", ".join(days[:DAYS_LISTED]) + (" ..." if len(days) > DAYS_LISTED else "")
