"""Disturbs the commands of a night, one fault at a time, and shows whether the same command again mends it.

    python -m tests.faults.nights [--count 500] [--seed 1] [--only KIND] [--verb VERB] [--folder DIR]

A small lake is made, and copied before each command of a night. Each fault happens to one command on a fresh
copy. Then a reader looks at the lake, the same command runs again, undisturbed, and the lake is compared with
that of a night without faults. With the same seed, the faults are the same. The kinds:

    kill          the process dies before, during or after a system call on a file of the lake
    read error    reading a file of the lake fails once (EIO)
    write error   writing, renaming, deleting or flushing one fails once (EIO)
    full disk     from one write on, the disk is full (ENOSPC)
    read-only     the disk cannot be written to (EROFS)
    clock         the clock is wrong by up to a year
    two at once   the command runs twice at the same time
    old listing   a folder is listed without its last name, once
    damage        a file of the lake is damaged; it is restored before the command runs again
    no MLflow     MLflow does not answer

The outcomes:

    right      the disturbed command itself ended well
    mended     it died or said what is wrong, and the same command again led to the same lake
    WRONG      the lake differs
    TORN       a reader saw something else than the release before or the one after
    BLOCKED    the same command again did not end well
    FAULT      a traceback, or the message that this is a bug in Titler
    CRASH      a signal ended the process

DIR keeps the lake, so that the next run need not make it.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import system_calls
from tests.faults.damage import (
    Answer,
    Damage,
    Reader,
    answer,
    damage_file,
    import_for_readers,
    run_titler,
)
from tests.faults.damage import (
    draw as draw_damages,
)
from tests.faults.night import PREPARED, RELEASE_IN_VIEWS, SMALL, VERBS, content, make_old
from tests.support.tables import differences

NIGHT = ("extract", "clean", "plan", "release", "embed", "predict", "index", "publish", "collect")
"""The commands of a night, in this order, by their names in VERBS."""
USING_MLFLOW = ("plan", "publish")
OUTCOMES = ("right", "mended", "WRONG", "TORN", "BLOCKED", "FAULT", "CRASH")
GOOD = OUTCOMES[:2]
CHANGING = ("create", "write", "rename", "delete", "sync")
"""Groups of system calls that change files."""
DAY = 24 * 3600
CLOCKS = (-400 * DAY, -3 * DAY, -3600, 3600, 3 * DAY, 400 * DAY)
NOBODY = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Fault:
    """One fault: what happens to which command. `number` counts system calls or listings, or is the error of
    the clock in seconds."""

    kind: str
    verb: str
    group: str = ""
    number: int = 0
    action: str = ""
    damage: Damage | None = None

    def __str__(self) -> str:
        words = (self.kind, self.action, self.group, self.number or "", self.damage or "")
        return f"{self.verb}: {' '.join(str(word) for word in words if word)}"


@dataclass(frozen=True)
class Reference:
    """A night without faults, in `folder`. For each command: the number of system calls of each group, a
    digest of what the lake holds afterwards, and what a reader sees before and after."""

    folder: Path
    calls: Mapping[str, Mapping[str, int]]
    held: Mapping[str, str]
    seen: Mapping[str, Sequence[str]]

    @property
    def lake(self) -> Path:
        """The path at which every copy of the lake is used, so that none was moved."""
        return self.folder / "lake"

    def copy(self, verb: str) -> None:
        """Puts the lake back to what it was before a command."""
        shutil.rmtree(self.lake, ignore_errors=True)
        shutil.copytree(self.folder / "before" / verb, self.lake)


def environment(folder: Path) -> dict[str, str]:
    """The environment of all commands."""
    return {
        **SMALL,
        "TITLER_SOURCE__HOURS": str(folder / "hours"),
        "TITLER_LAKE__ROOT": str(folder / "lake"),
        "TITLER_LAKE__CACHE": str(folder / "cache"),
        "TITLER_COMPUTE__WORKERS": "1",
    }


def make_reference(folder: Path) -> Reference:
    """Makes the lake, and runs the night without faults. Does nothing if `folder` has them already."""
    os.environ |= environment(folder)
    import_for_readers()
    stored = folder / "reference.json"
    if not stored.exists():
        _prepare(folder)
        calls, held, seen = {}, {}, {}
        for verb in NIGHT:
            if verb == "collect":
                make_old(folder / "lake")
            shutil.copytree(folder / "lake", folder / "before" / verb)
            before = _checked(see).output
            calls[verb] = json.loads(
                _checked(_counting(folder / "lake", command(verb))).errors.splitlines()[-1]
            )
            held[verb], seen[verb] = _checked(digest).output, [before, _checked(see).output]
        stored.write_text(json.dumps({"calls": calls, "held": held, "seen": seen}))
    return Reference(folder, **json.loads(stored.read_text()))


def _prepare(folder: Path) -> None:
    from pipeline import sample

    sample.write(folder / "hours", days=3, seed=3, issues_per_day=80)
    for arguments in PREPARED:
        _checked(run_titler("|".join(arguments)))


def _checked(read: Reader) -> Answer:
    result = answer(read, limit=600)
    if result.code:
        raise RuntimeError(f"The night without faults failed:\n{result.output}{result.errors}")
    return result


def command(verb: str) -> Reader:
    """Returns a function that runs a command of the night."""
    return run_titler("|".join(VERBS[verb]))


def _counting(lake: Path, run: Reader) -> Reader:
    """Runs a command, and prints as JSON how many system calls of each group it has made."""

    def read() -> None:
        system_calls.watch(lake)
        try:
            run()
        finally:
            print(f"\n{json.dumps(system_calls.counts())}", file=sys.stderr)

    return read


def see() -> None:
    """Prints which release the status and the warehouse show, and how many rows it has."""
    import duckdb

    from pipeline.lake.batches import Lake
    from pipeline.serving import status
    from pipeline.settings import load

    settings = load()
    shown = status.status(Lake(settings.lake.root), settings)["release"]
    with duckdb.connect(settings.warehouse_path, read_only=True) as connection:
        rows = connection.sql(RELEASE_IN_VIEWS).fetchall()
    print(json.dumps([shown and shown["id"], shown and shown["issues"], rows]))


def digest() -> None:
    """Prints a digest of each thing that the lake holds, as JSON."""
    from pipeline.lake.batches import Lake

    held = content(Lake(os.environ["TITLER_LAKE__ROOT"]))
    print(json.dumps({name: hashlib.sha256(repr(held[name]).encode()).hexdigest() for name in sorted(held)}))


def draw(reference: Reference, count: int, seed: int, only: str = "", verb: str = "") -> list[Fault]:
    """Draws faults, the same number of each kind, as far as there are as many."""
    dice = random.Random(seed)
    kinds: dict[str, list[Fault]] = defaultdict(list)
    for fault in _all_faults(reference, dice):
        if only in ("", fault.kind) and verb in ("", fault.verb):
            kinds[fault.kind].append(fault)
    for faults in kinds.values():
        dice.shuffle(faults)
    drawn: list[Fault] = []
    while len(drawn) < count and any(kinds.values()):
        drawn += [faults.pop() for faults in kinds.values() if faults]
    return drawn[:count]


def _all_faults(reference: Reference, dice: random.Random) -> Iterator[Fault]:
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
        for damage in draw_damages(reference.folder / "before" / verb, 200, dice.randrange(2**32)):
            yield Fault("damage", verb, damage=damage)
        if verb in USING_MLFLOW:
            yield Fault("no MLflow", verb)


ERRORS = {
    "kill": 0,
    "read error": errno.EIO,
    "write error": errno.EIO,
    "full disk": errno.ENOSPC,
    "read-only": errno.EROFS,
}


def disturbed(reference: Reference, fault: Fault) -> Reader:
    """Returns a function that runs a command while the fault happens."""
    run = command(fault.verb)

    def read() -> None:
        system_calls.watch(reference.lake)
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


def try_fault(reference: Reference, fault: Fault) -> tuple[str, str]:
    """Lets a fault happen. Returns the outcome, and what to look at if it is a bad one."""
    reference.copy(fault.verb)
    if fault.damage is not None and not damage_file(reference.lake, fault.damage, random.Random(str(fault))):
        return "right", ""
    damaged = _content_of(reference.lake, fault.damage)
    first = answer(disturbed(reference, fault))
    if (outcome := _of_command(first, fault)) is not None:
        return outcome, first.errors
    if fault.damage is None:
        seen = answer(see)
        if seen.code or seen.output not in reference.seen[fault.verb]:
            return "TORN", f"{first.errors} / {seen.output}{seen.errors}"
    elif _content_of(reference.lake, fault.damage) == damaged:
        source = reference.folder / "before" / fault.verb / fault.damage.path
        (reference.lake / fault.damage.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, reference.lake / fault.damage.path)
    again = answer(command(fault.verb))
    if (outcome := _of_command(again, None)) is not None:
        return outcome, again.errors
    if again.code:
        return "BLOCKED", f"{first.errors} / {again.errors}"
    held, seen = answer(digest), answer(see)
    if held.code or seen.code or seen.output != reference.seen[fault.verb][1]:
        return "WRONG", f"[{first.code}] {first.errors} / {held.errors}{seen.output}{seen.errors}"
    if different := differences(json.loads(held.output), json.loads(reference.held[fault.verb])):
        return "WRONG", f"[{first.code}] {first.errors} / {', '.join(sorted(different))}"
    return ("mended" if first.code else "right"), ""


def _of_command(result: Answer, fault: Fault | None) -> str | None:
    """Returns the bad outcome of a command, or None."""
    if "Traceback" in result.errors or "This is a bug" in result.errors:
        return "FAULT"
    is_killed = fault is not None and fault.kind == "kill" and result.code == -signal.SIGKILL
    return "CRASH" if result.code < 0 and not is_killed else None


def _content_of(lake: Path, damage: Damage | None) -> bytes | None:
    path = lake / damage.path if damage else None
    return path.read_bytes() if path and path.is_file() else None


def report(results: Sequence[tuple[Fault, str, str]]) -> None:
    """Prints a table: one row per kind of fault, and the number of each outcome; then the bad ones."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for fault, outcome, _ in results:
        table[fault.kind][outcome] += 1
    print(f"{'kind':12}  {'  '.join(f'{name:>7}' for name in OUTCOMES)}")
    for kind in sorted(table):
        print(f"{kind:12}  {'  '.join(f'{table[kind][name] or chr(183):>7}' for name in OUTCOMES)}")
    total = sum(table.values(), Counter[str]())
    print(f"{f'{len(results)} faults':12}  {'  '.join(f'{total[name]:>7}' for name in OUTCOMES)}")
    for fault, outcome, text in results:
        if outcome not in GOOD:
            print(f"{outcome}: {fault}: {' / '.join(text.splitlines())[:600]}")


def run(folder: Path, options: Any) -> bool:
    """Makes the lake and lets the drawn faults happen. Returns whether all outcomes are good."""
    reference = make_reference(folder)
    results = []
    for fault in draw(reference, options.count, options.seed, options.only, options.verb):
        outcome, text = try_fault(reference, fault)
        results.append((fault, outcome, text))
        print(
            f"{len(results)} {fault}: {outcome} {'' if outcome in GOOD else text}",
            file=sys.stderr,
            flush=True,
        )
    report(results)
    return all(outcome in GOOD for _, outcome, _ in results)


def main() -> int:
    """Runs the command. Returns 1 if an outcome is bad."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="a kind of fault")
    parser.add_argument("--verb", default="", choices=["", *NIGHT])
    parser.add_argument("--folder", type=Path, help="folder in which the lake is made, or was made before")
    options = parser.parse_args()
    if options.folder is None:
        options.folder = Path(
            os.environ.setdefault("TITLER_FAULTS", tempfile.mkdtemp(prefix="titler-faults-"))
        )
    options.folder.mkdir(parents=True, exist_ok=True)
    if not system_calls.is_loaded():
        system_calls.restart_with_library(options.folder)
    return 0 if run(options.folder.absolute(), options) else 1


if __name__ == "__main__":
    sys.exit(main())
