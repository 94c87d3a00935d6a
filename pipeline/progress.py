"""Prints lines and progress bars while a command runs. Bars appear only if standard error is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.printed_text import printable

Item = TypeVar("Item")

_active: list[Progress] = []
"""The displayed Progress, or nothing. The library rich displays only one, so further bars join it."""


def say(line: str) -> None:
    """Prints a line on standard output, above the progress bars. The line is made safe to print
    (`pipeline.printed_text`)."""
    print(printable(line), flush=True)


def track(
    items: Iterable[Item], label: str, total: int, size: Callable[[Item], int] = lambda item: 1
) -> Iterator[Item]:
    """Yields the items of `items`, and shows a progress bar with the text `label` on standard error.

    The bar is full after `total` steps. Each item counts as `size(item)` steps, which is one by default. No
    bar is shown if standard error is not a terminal.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    with _progress() as progress:
        task = progress.add_task(label, total=total)
        for item in items:
            yield item
            progress.advance(task, size(item))
        progress.remove_task(task)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Yields the `Progress`, an object of the package rich that displays progress bars.

    rich can display only one `Progress` at a time. If one is displayed already, yields it. Otherwise, yields
    a new one, which is displayed until the `with` block ends.
    """
    if _active:
        yield _active[0]
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        _active.append(progress)
        try:
            yield progress
        finally:
            _active.clear()
