"""What comes next is made while what is there is worked on."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
AHEAD = 8
"""batches: enough that a part of the lake is read while they are trained on, few enough for any memory"""


def ahead(items: Iterator[Item], count: int = AHEAD) -> AbstractContextManager[Iterator[Item]]:
    """`items`, made in a thread, at most `count` of them before they are asked for:  with ahead(items) as items: ...

    What making one raises, asking for it raises. Leaving early ends the thread, and closes `items` in it.
    """
    return closing(_ahead(items, count))


Made = SimpleQueue[tuple[Item] | BaseException]


def _ahead(items: Iterator[Item], count: int) -> Generator[Item, None, None]:
    made: Made[Item] = SimpleQueue()
    room, left = threading.Semaphore(count), threading.Event()
    thread = threading.Thread(target=_make, args=(items, made, room, left), name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            found = made.get()
            if isinstance(found, StopIteration):
                return
            if isinstance(found, BaseException):
                raise found
            room.release()
            yield found[0]
    finally:
        left.set()
        room.release()
        thread.join()


def _make(items: Iterator[Item], made: Made[Item], room: threading.Semaphore, left: threading.Event) -> None:
    try:
        while room.acquire() and not left.is_set():
            made.put((next(items),))
    except BaseException as error:  # the end, StopIteration, as well
        made.put(error)
    finally:
        if close := getattr(items, "close", None):
            close()
