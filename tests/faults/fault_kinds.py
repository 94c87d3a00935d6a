"""The kinds of faults that a night can have, and how each happens to a command."""

from __future__ import annotations

import errno
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults import system_calls
from tests.faults.damage import Damage
from tests.faults.damage import draw as draw_damages
from tests.faults.places import BIGQUERY, FOLDER, GS, NIGHT, S3, command
from tests.faults.readers import Reader
from tests.faults.undisturbed_night import Reference
from tests.support.answer_faults import WHAT, AnswerFault
from tests.support.dask_cluster import dask_cluster

KINDS = {
    "kill": "the process dies before, during or after a system call on a file of the lake",
    "write error": "writing, renaming, deleting or flushing one fails once (EIO)",
    "read error": "reading a file of the lake fails once (EIO)",
    "full disk": "from one write on, the disk is full (ENOSPC)",
    "read-only": "the disk cannot be written to (EROFS)",
    "clock": "the clock is wrong by up to a year",
    "two at once": "the command runs twice at the same time",
    "old listing": "a folder is listed without its last name, once",
    "damage": "a file of the lake is damaged; it is restored before the command runs again",
    "no MLflow": "MLflow does not answer",
    "store 429": "the object store refuses a request because there are too many, once or from then on",
    "store 500": "it answers with an internal error, before or after it did what the request asks",
    "store slow": "it answers later than the client waits",
    "store reset": "it resets the connection, before or after it did what the request asks",
    "warehouse 429": "the same with BigQuery, while a release is published",
    "warehouse 500": "",
    "warehouse slow": "",
    "warehouse reset": "",
    "Dask worker": "one worker of two, or both, die at a system call on a file of the lake",
    "Dask scheduler": "the scheduler dies at such a call of a worker",
}
"""All kinds of faults, with a description."""
STORES, WAREHOUSE, DASK = "store", "warehouse", "Dask"
PLACES_OF = {STORES: (S3, GS), WAREHOUSE: (BIGQUERY,)}
"""The places of the kinds that begin with these words. All others happen in a folder."""
CHANGING = ("create", "write", "rename", "delete", "sync")
"""Groups of system calls that change files."""
DAY = 24 * 3600
CLOCKS = (-400 * DAY, -3 * DAY, -3600, 3600, 3 * DAY, 400 * DAY)
USING_MLFLOW = ("plan", "publish")
USING_DASK = ("clean", "release", "embed", "predict", "index")
CALLS_OF_WORKERS = 20
NOBODY = "http://127.0.0.1:9"
PATIENCE, SLOW_SECONDS = 3, 6
"""Seconds that a client waits for a slow answer, and how late the answer is."""
ERRORS = {
    "kill": 0,
    "read error": errno.EIO,
    "write error": errno.EIO,
    "full disk": errno.ENOSPC,
    "read-only": errno.EROFS,
}


@dataclass(frozen=True)
class Fault:
    """One fault: what happens to which command. `number` counts system calls, listings or requests, or is the
    error of the clock in seconds. `lasts` says whether all later requests fail as well."""

    kind: str
    verb: str
    group: str = ""
    number: int = 0
    action: str = ""
    damage: Damage | None = None
    place: str = FOLDER
    lasts: bool = False

    def __str__(self) -> str:
        words = (
            self.kind,
            self.action,
            self.group,
            self.number,
            "and later" if self.lasts else "",
            self.damage,
        )
        place = "" if self.place == FOLDER else f" in {self.place}"
        return f"{self.verb}{place}: {' '.join(str(word) for word in words if word)}"


def places_of(kind: str) -> tuple[str, ...]:
    """Returns the names of the places where faults of a kind happen."""
    return PLACES_OF.get(kind.partition(" ")[0], (FOLDER,))


def all_faults(references: Mapping[str, Reference], dice: random.Random) -> Iterator[Fault]:
    """Yields all faults of the nights in these places, by their names."""
    if FOLDER in references:
        yield from _faults_in_folder(references[FOLDER], dice)
    for word, places in PLACES_OF.items():
        for name in places:
            if name in references:
                yield from _faults_of_answers(word, references[name])
    if FOLDER in references:
        for verb in USING_DASK:
            for number in range(1, CALLS_OF_WORKERS + 1):
                for group in ("create", "write", "rename", "read"):
                    yield Fault("Dask worker", verb, group, number, "one")
                    yield Fault("Dask worker", verb, group, number, "both")
                    yield Fault("Dask scheduler", verb, group, number)


def _faults_in_folder(reference: Reference, dice: random.Random) -> Iterator[Fault]:
    for verb in NIGHT:
        calls = reference.calls[verb]
        for group in CHANGING:
            for number in range(1, calls[group] + 1):
                for action in system_calls.ACTIONS[1:]:
                    yield Fault("kill", verb, group, number, action)
                yield Fault("write error", verb, group, number, "fail")
        for number in range(1, calls["read"] + 1):
            yield Fault("read error", verb, "read", number, "fail")
        for number in range(1, calls["write"] + 1):
            yield Fault("full disk", verb, "write", number, "fail")
        yield Fault("read-only", verb, "create", 1, "fail")
        for seconds in CLOCKS:
            yield Fault("clock", verb, number=seconds)
        yield Fault("two at once", verb)
        for number in range(1, 20):
            yield Fault("old listing", verb, number=number)
        for damage in draw_damages(reference.place.before / verb / "lake", 200, dice.randrange(2**32)):
            yield Fault("damage", verb, damage=damage)
        if verb in USING_MLFLOW:
            yield Fault("no MLflow", verb)


def _faults_of_answers(word: str, reference: Reference) -> Iterator[Fault]:
    for verb, requests in reference.requests.items():
        for what in WHAT:
            for number in range(1, requests + 1):
                for lasts in (False, True):
                    kind = f"{word} {what.removesuffix(' done')}"
                    place = reference.place.name
                    yield Fault(kind, verb, number=number, action=what, place=place, lasts=lasts)


def answer_fault(fault: Fault) -> AnswerFault | None:
    """Returns the fault that a proxy causes, if it is one of a server's answers."""
    if fault.kind.partition(" ")[0] not in PLACES_OF:
        return None
    return AnswerFault(fault.action, fault.number, fault.lasts, SLOW_SECONDS)


def disturbed(lake: Path, fault: Fault) -> Reader:
    """Returns a function that runs a command while the fault happens. The faults of a server's answers are
    caused by its proxy."""
    run = command(fault.verb)

    def read() -> None:
        system_calls.watch(lake)
        if fault.kind in ERRORS:
            lasts = fault.kind in ("full disk", "read-only")
            system_calls.arm(fault.group, fault.number, fault.action, ERRORS[fault.kind], lasts=lasts)
        elif fault.kind == "clock":
            system_calls.move_clock(fault.number)
        elif fault.kind == "old listing":
            _list_without_last(fault.number)
        elif fault.kind == "no MLflow":
            os.environ["TITLER_TRACKING__URI"] = NOBODY
        elif fault.kind == "two at once":
            _twice(run)
        elif fault.kind.startswith(DASK):
            _on_dying_cluster(run, lake, fault)
        elif fault.kind.endswith("slow"):
            _be_impatient()
        if fault.kind.startswith(WAREHOUSE):
            _give_up_early()
        run()

    return read


def _twice(run: Reader) -> None:
    """Runs a command in this process and in another one at the same time."""
    codes = []
    other = os.fork()
    try:
        run()
    except SystemExit as ended:
        codes.append(int(ended.code or 0))
    if other == 0:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(codes[0])
    codes.append(os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]))
    raise SystemExit(max(codes, key=abs))


def _list_without_last(number: int) -> None:
    from pipeline.lake.files import LakeFiles

    original: Callable[[LakeFiles, str], list[str]] = LakeFiles.names
    listings = iter(range(1, 1_000_000))

    def names(self: LakeFiles, relative: str) -> list[str]:
        listed = original(self, relative)
        return listed[:-1] if next(listings) == number else listed

    LakeFiles.names = names  # type: ignore[method-assign]  # this process ends after the command


def _on_dying_cluster(run: Reader, lake: Path, fault: Fault) -> None:
    """Runs a command on a Dask cluster of two workers. The fault says which of its processes die."""
    from pipeline.compute import cluster as compute

    compute.WORKERLESS_SECONDS = 30
    with dask_cluster(workers=1 if fault.action == "one" else 0) as cluster:
        victim = cluster.scheduler.pid if fault.kind == "Dask scheduler" else 0
        cluster.add_workers(
            1 if fault.action == "one" else 2,
            "--preload",
            "tests.faults.dying_worker",
            DYING_WORKER=f"{fault.group},{fault.number},{victim},{lake}",
        )
        os.environ["TITLER_COMPUTE__SCHEDULER_ADDRESS"] = cluster.address
        run()


def _be_impatient() -> None:
    """Shortens the time that the clients of this process wait for an answer."""
    import fsspec

    import pipeline.warehouse.bigquery  # noqa: F401 - its modules are changed

    timeouts = {"read_timeout": PATIENCE, "connect_timeout": PATIENCE, "retries": {"max_attempts": 0}}
    fsspec.config.conf |= {"s3": {"config_kwargs": timeouts}, "gs": {"requests_timeout": PATIENCE}}
    for name, module in list(sys.modules.items()):
        if name.startswith("pipeline.warehouse.bigquery") and hasattr(module, "REQUEST_TIMEOUT"):
            module.REQUEST_TIMEOUT = PATIENCE  # type: ignore[attr-defined]  # this process ends after the command


def _give_up_early() -> None:
    """Shortens the time for which this process repeats a request to BigQuery that fails: ten minutes."""
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    DEFAULT_RETRY._timeout = 2 * PATIENCE  # the client has it as the default of its methods
