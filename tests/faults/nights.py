"""Disturbs the commands of a night, one fault at a time, and shows whether the same command again mends it.

    PYTHONPATH=.:infra python -m tests.faults.nights [--count 500] [--start 1] [--seed 1] [--only KINDS]
        [--verb VERB] [--folder DIR]

A small lake is made, and copied before each command of a night. Each fault happens to one command on a fresh
copy. Then a reader looks at the lake, the same command runs again, undisturbed, and the lake is compared with
that of a night without faults. With the same seed and kinds, the faults are the same.

Most faults happen to a lake in a folder. Those of a store happen to a lake in a bucket, and those of the
warehouse while a release is published in BigQuery; both need the emulators (make emulators).

The outcomes:

    right      the disturbed command itself ended well
    mended     it died or said what is wrong, and the same command again led to the same lake
    WRONG      the lake differs
    TORN       a reader saw something else than the release before or the one after
    BLOCKED    the same command again did not end well
    FAULT      a traceback, or the message that this is a bug in Titler
    CRASH      a signal ended the process

DIR keeps the lake, so that the next run need not make it. After a run that was ended, --start continues with
the fault of this number.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.faults import system_calls
from tests.faults.damage import Damage, damage_file
from tests.faults.fault_kinds import KINDS, Fault, all_faults, answer_fault, disturbed, places_of
from tests.faults.places import FOLDER, NIGHT, PLACES, command, has_servers, opened
from tests.faults.readers import Answer, answer
from tests.faults.undisturbed_night import Reference, digest, make_reference, see
from tests.support.tables import differences

OUTCOMES = ("right", "mended", "WRONG", "TORN", "BLOCKED", "FAULT", "CRASH")
GOOD = OUTCOMES[:2]
LIMIT = 400
"""Seconds that a command may take. A client waits half a minute for a store that refuses every request."""


def draw(references: Mapping[str, Reference], count: int, seed: int, only: str, verb: str) -> list[Fault]:
    """Draws faults, the same number of each kind, as far as there are as many. `only` is a regular expression
    that kinds match, `verb` a command; both may be empty."""
    dice = random.Random(seed)
    kinds: dict[str, list[Fault]] = defaultdict(list)
    for fault in all_faults(references, dice):
        if re.search(only, fault.kind) and verb in ("", fault.verb):
            kinds[fault.kind].append(fault)
    for faults in kinds.values():
        dice.shuffle(faults)
    drawn: list[Fault] = []
    while len(drawn) < count and any(kinds.values()):
        drawn += [faults.pop() for faults in kinds.values() if faults]
    return drawn[:count]


def try_fault(reference: Reference, fault: Fault) -> tuple[str, str]:
    """Lets a fault happen. Returns the outcome, and what to look at if it is a bad one."""
    place, before = reference.place, reference.place.before / fault.verb / "lake"
    place.use()
    place.restore(fault.verb)
    if fault.damage is not None and not damage_file(place.lake, fault.damage, random.Random(str(fault))):
        return "right", ""
    damaged = _content_of(place.lake, fault.damage)
    place.let_fail(answer_fault(fault))
    first = answer(disturbed(place.lake, fault), LIMIT)
    place.let_fail(None)
    if (outcome := _of_command(first, fault)) is not None:
        return outcome, first.errors
    if fault.damage is None:
        seen = answer(see(place))
        if seen.code or seen.output not in reference.seen[fault.verb]:
            return "TORN", f"{first.errors} / {seen.output}{seen.errors}"
    elif _content_of(place.lake, fault.damage) == damaged:
        (place.lake / fault.damage.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(before / fault.damage.path, place.lake / fault.damage.path)
    again = answer(command(fault.verb), LIMIT)
    if (outcome := _of_command(again, None)) is not None:
        return outcome, again.errors
    if again.code:
        return "BLOCKED", f"{first.errors} / {again.errors}"
    held, seen = answer(digest(place)), answer(see(place))
    if held.code or seen.code or seen.output != reference.seen[fault.verb][1]:
        return "WRONG", f"[{first.code}] {first.errors} / {held.errors}{seen.output}{seen.errors}"
    if different := differences(json.loads(held.output), dict(reference.held[fault.verb])):
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
    print(f"{'kind':15}  {'  '.join(f'{name:>7}' for name in OUTCOMES)}")
    for kind in sorted(table):
        print(f"{kind:15}  {'  '.join(f'{table[kind][name] or chr(183):>7}' for name in OUTCOMES)}")
    total = sum(table.values(), Counter[str]())
    print(f"{f'{len(results)} faults':15}  {'  '.join(f'{total[name]:>7}' for name in OUTCOMES)}")
    for fault, outcome, text in results:
        if outcome not in GOOD:
            print(f"{outcome}: {fault}: {' / '.join(text.splitlines())[:600]}")


def run(folder: Path, options: Any) -> bool:
    """Makes the lakes and lets the drawn faults happen. Returns whether all outcomes are good."""
    kinds = [kind for kind in KINDS if re.search(options.only, kind)]
    names = {FOLDER, *(name for kind in kinds for name in places_of(kind))}
    results = []
    with ExitStack() as stack:
        references: dict[str, Reference] = {}
        for name in [name for name in PLACES if name in names and (name == FOLDER or has_servers())]:
            place = stack.enter_context(opened(name, folder / name, folder / "hours"))
            references[name] = make_reference(place, folder / FOLDER / "before")
        drawn = draw(references, options.count, options.seed, options.only, options.verb)
        for fault in drawn[options.start - 1 :]:
            outcome, text = try_fault(references[fault.place], fault)
            results.append((fault, outcome, text))
            line = f"{options.start - 1 + len(results)} {fault}: {outcome} {'' if outcome in GOOD else text}"
            print(line, file=sys.stderr, flush=True)
    report(results)
    return all(outcome in GOOD for _, outcome, _ in results)


def main() -> int:
    """Runs the command. Returns 1 if an outcome is bad."""
    described = "\n".join(f"    {kind:15}  {text}" for kind, text in KINDS.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"The kinds:\n\n{described}",
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--start", type=int, default=1, help="number of the first drawn fault that happens")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="regular expression that kinds of faults match")
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
