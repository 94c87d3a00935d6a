"""Output while a command runs: lines, and progress bars if standard error is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")

_live: list[
    Progress
] = []  # rich draws one Progress at a time: a nested bar is added to the one that is drawn


def say(line: str) -> None:
    """Prints a line on standard output, above any progress bars."""
    print(line, flush=True)


def track(
    items: Iterable[Item], label: str, total: int, size: Callable[[Item], int] = lambda item: 1
) -> Iterator[Item]:
    """Yields `items` and advances a bar of `total` steps by `size(item)` per item.

    The bar is on standard error, and only if that is a terminal.
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
    if _live:
        yield _live[0]
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        _live.append(progress)
        try:
            yield progress
        finally:
            _live.clear()
