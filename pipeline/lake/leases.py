"""Leases: they say which commands that write to the lake are running.

A command holds a lease while it runs, and renews it. `titler collect` removes nothing that was written since
the oldest valid lease began, however long the command of this lease takes. If a command is killed, its lease
is no longer renewed. If the last renewal seems to be more than an hour ago, `titler collect` suspects the
lease. But the command may still be running: perhaps somebody has changed the clock, and less than an hour has
passed. So `titler collect` at first only records that it suspects the lease. If the lease has still not been
renewed when `titler collect` runs again, at least ten minutes later, the lease is invalid.

    ROOT/leases/BEGIN,VERB,SUBJECT,ID
    ROOT/suspected_leases/BEGIN,VERB,SUBJECT,ID,RENEWED

BEGIN is the UTC time at which the command began. VERB is the command's verb, such as `embed`. SUBJECT is the
model or the release that the command works on, or empty. ID is random. RENEWED is the time of the lease's
last renewal, in seconds since 1970. A lease has no content: it is renewed by writing it again.
"""

from __future__ import annotations

import logging
import posixpath
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.errors import LakeError
from pipeline.lake.files import LakeFiles

FOLDER = "leases"
SUSPECTED = "suspected_leases"
VALID = timedelta(hours=1)
"""How long after its last renewal a lease is not suspected."""
RENEWAL_INTERVAL = 300
"""Seconds after which a lease is renewed."""
SUSPECTED_FOR = timedelta(seconds=2 * RENEWAL_INTERVAL)
"""A suspected lease that was not renewed for this long is invalid."""
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Lease:
    """A command that is running: when it began, its verb (such as `embed`), and the model or release that it
    works on."""

    began: datetime
    verb: str
    subject: str


@contextmanager
def hold_lease(lake: LakeFiles, verb: str, subject: str = "") -> Iterator[None]:
    """Holds a lease during a `with` block. A thread renews the lease."""
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
    """Returns the leases that are valid or only suspected. Deletes the invalid ones, whose commands were
    killed."""
    # another program may have left a file of its own
    written = {name: time for name, time in lake.written(FOLDER).items() if name.count(",") == 3}
    silent = {name: time for name, time in written.items() if abs(current_time - time) > VALID}
    invalid = _unrenewed(lake, silent, current_time) if silent else set()
    leases = []
    for name in written.keys() - invalid:
        began, verb, subject, _ = name.split(",")
        leases.append(Lease(datetime.strptime(began, _TIME).replace(tzinfo=UTC), verb, subject))
    lake.for_each(lake.delete, [posixpath.join(FOLDER, name) for name in sorted(invalid)])
    return leases


def _unrenewed(lake: LakeFiles, silent: Mapping[str, datetime], current_time: datetime) -> set[str]:
    """Returns the names of the invalid leases: those that were suspected at least SUSPECTED_FOR ago and have
    not been renewed since. Records that the other leases in `silent` are suspected.

    `silent` has the leases whose last renewal seems to be more than an hour ago: a dict from the name of each
    lease to the time of its last renewal.
    """
    marks = {f"{name},{renewed.timestamp():.6f}": name for name, renewed in silent.items()}
    suspected = lake.written(SUSPECTED)
    unrenewed = {
        marks[mark]
        for mark, since in suspected.items()
        if mark in marks and abs(current_time - since) >= SUSPECTED_FOR
    }
    outdated = [mark for mark in suspected if mark not in marks or marks[mark] in unrenewed]
    lake.for_each(lake.delete, [posixpath.join(SUSPECTED, mark) for mark in outdated])
    new = sorted(marks.keys() - suspected.keys())
    lake.for_each(lambda mark: lake.put(posixpath.join(SUSPECTED, mark), b""), new)
    return unrenewed


def _renew(lake: LakeFiles, path: str, released: threading.Event) -> None:
    while not released.wait(RENEWAL_INTERVAL):
        try:
            lake.put(path, b"")
        except LakeError as error:
            logging.getLogger(__name__).warning("%s", error.message)
