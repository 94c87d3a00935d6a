"""Leases: which commands are running that write to the lake.

A command holds a lease while it runs, and renews it. `titler collect` removes nothing that was written since
the oldest valid lease began, however long the command takes. If a command is killed, its lease is no longer
renewed and becomes invalid after an hour.

    ROOT/leases/BEGIN,VERB,SUBJECT,ID

BEGIN is the UTC time at which the command began. SUBJECT is the model or the release that the command works
on, or empty. A lease has no content: it is renewed by writing it again.
"""

from __future__ import annotations

import logging
import posixpath
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.errors import LakeError
from pipeline.lake.files import LakeFiles

FOLDER = "leases"
VALID = timedelta(hours=1)
"""How long a lease is valid after it was last renewed."""
RENEWAL_INTERVAL = 300
"""Seconds after which a lease is renewed."""
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Lease:
    """A command that is running: when it began, its verb, and the model or release that it works on."""

    began: datetime
    verb: str
    subject: str


@contextmanager
def hold_lease(lake: LakeFiles, verb: str, subject: str = "") -> Iterator[None]:
    """Holds a lease during a `with` block. Renews it in a thread."""
    name = ",".join((datetime.now(UTC).strftime(_TIME), verb, subject, uuid.uuid4().hex[:8]))
    path, released = posixpath.join(FOLDER, name), threading.Event()
    lake.put(path, b"")
    renewal = threading.Thread(target=_renew, args=(lake, path, released), daemon=True)
    renewal.start()
    try:
        yield
    finally:
        released.set()
        renewal.join()
        try:
            lake.delete(path)
        except LakeError as error:  # the lease expires, so this must not hide what the command has done
            logging.getLogger(__name__).warning("%s", error.message)


def valid_leases(lake: LakeFiles, current_time: datetime) -> list[Lease]:
    """Returns the leases that are valid. Deletes the others: their commands were killed."""
    leases, invalid = [], []
    for name, renewed in lake.written(FOLDER).items():
        if name.count(",") != 3:  # another program may have left a file of its own
            continue
        began, verb, subject, _ = name.split(",")
        if current_time - renewed > VALID:
            invalid.append(posixpath.join(FOLDER, name))
        else:
            leases.append(Lease(datetime.strptime(began, _TIME).replace(tzinfo=UTC), verb, subject))
    lake.for_each(lake.delete, invalid)
    return leases


def _renew(lake: LakeFiles, path: str, released: threading.Event) -> None:
    while not released.wait(RENEWAL_INTERVAL):
        try:
            lake.put(path, b"")
        except LakeError as error:
            logging.getLogger(__name__).warning("%s", error.message)
