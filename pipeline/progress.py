"""What is told while work goes on: progress bars on a terminal, silence in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")

_live: list[Progress] = []  # one at a time can be drawn: what begins within another is a second bar in it


def say(line: str) -> None:
    """A line on standard output; above the bars where there are any."""
    print(line, flush=True)


def track(
    items: Iterable[Item], label: str, total: int, size: Callable[[Item], int] = lambda item: 1
) -> Iterator[Item]:
    """Yields `items`, moving a bar of `total` steps, `size(item)` each, on standard error while it is a terminal."""
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
