"""Stores why a release was stopped, so that the reason can be looked up later. The reason is stored in the
folder of the release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pipeline.errors import StoppedError, TitlerError
from pipeline.lake.json_documents import KnownKeys, Time, delete_and_run, object_with
from pipeline.lake.pinned import Note, Pinned
from pipeline.progress import say


class _StopKeys(KnownKeys):
    reason: str
    at: Time


STOPPED = Note(
    "stopped",
    object_with(_StopKeys),
    "why a release was stopped: an object with the keys reason and at",
    delete_and_run("titler publish --release NAME"),
)
"""The note with the reason and the time: the file stopped.json beside the release's plan. It stays if the
release passes later."""


@contextmanager
def recording_stop(release: Pinned) -> Iterator[None]:
    """If the `with` block raises a StoppedError, stores its message and the time, and raises the error again.
    If they cannot be stored, prints a message and raises the StoppedError nevertheless, because the caller
    sends an alert about it."""
    try:
        yield
    except StoppedError as error:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            release.notes[STOPPED] = {"reason": error.message, "at": at}
        except (TitlerError, OSError) as failure:
            say(f"    could not store why the release was stopped: {str(failure).splitlines()[0]}")
        raise
