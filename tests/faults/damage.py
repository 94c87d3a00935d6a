"""Damages files of a published lake, one at a time, and shows how the commands answer.

    python tests/faults/damage.py LAKE [--seed 1] [--count 200] [--only PATTERN] [--verbose]

LAKE is the folder of a lake with at least two published releases. It is copied and not changed. Each damage
is done to a fresh copy. Then each reader runs in a process of its own, and its answer is compared with the
answer before the damage:

    right      the same answer
    says so    another answer, which names the damaged file
    refused    one clear error, with an exit code
    unseen     another answer of DuckDB alone, which does not check Parquet files; `titler verify` says so
    WRONG      another answer, without any word about the damage
    FAULT      a traceback, or the message that this is a bug in Titler
    CRASH      a signal ended the process

The sample has the same number of damages of each kind of file, as far as COUNT allows. With the same seed, it
is the same. Ctrl-C ends the run and prints the table so far.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults.readers import (
    QUERIES,
    WRITERS,
    Answer,
    Question,
    answer,
    import_for_readers,
    readers,
    run_query,
    run_titler,
)

OUTCOMES = ("right", "says so", "refused", "unseen", "WRONG", "FAULT", "CRASH")
CHANGED_IN_PLACE = ("*.db", "*.duckdb", "*.sqlite")
"""Files that a command changes in place, so that a copy of the lake must not share them."""
NOT_DAMAGED = re.compile(
    r"^(leases|drafts|unused|days/changed|airflow|alerts|mlflow|\.aside)/|\.lock$|-journal$|-wal$"
)
"""Files without content that a reader relies on."""
_ID = re.compile(r"day=[^/]+|[^/=]+=[^/]+|[0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{12}|\d{8}T\d{6}Z|m-[0-9a-f]{32}")


@dataclass(frozen=True)
class Damage:
    """One damage: what is done to which file of the lake (`path` is relative to its root)."""

    what: str
    path: str

    @property
    def kind(self) -> str:
        """The kind of file: its path without days, names and digests."""
        return _ID.sub("*", self.path)


def damage_file(root: Path, damage: Damage, dice: random.Random) -> bool:
    """Damages one file. Returns False if the file cannot be damaged in this way."""
    path = root / damage.path
    content = path.read_bytes()
    damaged = _damaged_content(root, damage, content, dice)
    if damaged is None or damaged == content:
        return False
    path.unlink()  # the file may be shared with another copy of the lake
    if damage.what != "delete":
        path.write_bytes(damaged)
    return True


def _damaged_content(root: Path, damage: Damage, content: bytes, dice: random.Random) -> bytes | None:
    if damage.what == "delete":
        return b"" if content else content + b" "
    if damage.what == "empty":
        return b""
    if damage.what == "truncate":
        return content[: len(content) // 2]
    if damage.what == "flip" and content:
        flipped, position = bytearray(content), dice.randrange(len(content))
        flipped[position] ^= 1 << dice.randrange(8)
        return bytes(flipped)
    if damage.what == "swap":
        alike = [
            path
            for path in sorted(root.rglob("*"))
            if path.is_file()
            and _ID.sub("*", str(path.relative_to(root))) == damage.kind
            and path.read_bytes() != content
        ]
        return dice.choice(alike).read_bytes() if alike else None
    if damage.what == "another form" and damage.path.endswith(".json"):
        return dice.choice(list(_other_forms(content)))
    return None


def _other_forms(content: bytes) -> Iterator[bytes]:
    """JSON that is valid, but has another form than `content`."""
    yield from (b"[]", b"{}", b"null", b"7", b'"text"', b"[" * 100_000 + b"]" * 100_000)
    try:
        value = json.loads(content)
    except ValueError:
        return
    if isinstance(value, dict):
        for key in value:
            yield json.dumps({name: other for name, other in value.items() if name != key}).encode()
            yield json.dumps({**value, key: [1]}).encode()
            yield json.dumps({**value, key: str(value[key])}).encode()
    if isinstance(value, list) and value:
        yield json.dumps(value[:-1]).encode()


WAYS = ("truncate", "empty", "delete", "flip", "swap", "another form")


def draw(root: Path, count: int, seed: int, only: str = "") -> list[Damage]:
    """Draws damages, the same number of each kind of file, as far as `count` allows."""
    dice = random.Random(seed)
    of_kind: dict[tuple[str, str], list[Damage]] = defaultdict(list)
    for path in sorted(root.rglob("*")):
        relative = str(path.relative_to(root))
        if path.is_file() and not NOT_DAMAGED.search(relative) and re.search(only, relative):
            for what in WAYS:
                damage = Damage(what, relative)
                of_kind[damage.kind, what].append(damage)
    for damages in of_kind.values():
        dice.shuffle(damages)
    order = list(of_kind)
    dice.shuffle(order)
    drawn: list[Damage] = []
    while len(drawn) < count and any(of_kind.values()):
        drawn += [of_kind[key].pop() for key in order if of_kind[key]]
    return drawn[:count]


def copy_lake(source: Path, target: Path) -> None:
    """Makes a copy of a lake that shares its files with `source`, as far as they are never changed in
    place."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=os.link)
    for pattern in CHANGED_IN_PLACE:
        for path in source.rglob(pattern):
            copy = target / path.relative_to(source)
            copy.unlink()
            shutil.copy2(path, copy)


def classify(before: Answer, after: Answer, path: str) -> str:
    """Says how a reader answered after a damage, as the table shows it."""
    if after.code < 0:
        return "CRASH"
    if "Traceback" in after.errors or "This is a bug" in after.errors:
        return "FAULT"
    if after.code:
        return "right" if after.code == before.code and after.errors == before.errors else "refused"
    if after.value == before.value:
        return "right"
    words = after.output + after.errors
    names = {path, str(Path(path).parent)} - {"."}
    owner = Path(path).parts[1] if path.startswith(("models/", "releases/")) else ""
    if owner and "damaged" in words and "damaged" not in before.output + before.errors:
        names.add(owner)
    return "says so" if any(name in words for name in names) else "WRONG"


def outcomes_of(before: Mapping[str, Answer], after: Mapping[str, Answer], path: str) -> dict[str, str]:
    """Classifies the answers of all readers after a damage of the file `path`."""
    outcomes = {name: classify(before[name], said, path) for name, said in after.items()}
    if outcomes.get("verify") == "refused":
        outcomes |= {name: "unseen" for name in QUERIES if outcomes.get(name) == "WRONG"}
    return outcomes


def ask(
    base: Path, lake: Path, question: Question, chosen: Sequence[str], damage: Damage | None, seed: int
) -> dict[str, Answer] | None:
    """Returns the answer of each reader after a damage, or None if the file cannot be damaged in this way."""

    def prepare() -> bool:
        copy_lake(base, lake)
        dice = random.Random(f"{seed} {damage}")
        return damage is None or damage_file(lake, damage, dice)

    if not prepare():
        return None
    answers = {}
    for name, read in readers(lake, question, lake.parent / "report.html").items():
        if name in chosen:
            if name in WRITERS:
                prepare()
            answers[name] = answer(read)
    return answers


def prepare_lake(source: Path, folder: Path) -> tuple[Path, Path, Question]:
    """Copies a lake into `folder`, adopts the copy and fills its cache. Returns the copy to start from, the
    path of the copies that are damaged, and what the readers ask about."""
    import_for_readers()
    base, lake = folder / "base", folder / "lake"
    shutil.copytree(source, lake)
    os.environ |= {"TITLER_LAKE__ROOT": str(lake), "TITLER_LAKE__CACHE": str(folder / "cache")}
    os.environ.setdefault("TITLER_COMPUTE__WORKERS", "1")
    adopted = answer(run_titler("releases|--json"))  # adopts the copied lake
    releases = json.loads(adopted.output)
    earlier = next(row["id"] for row in releases if not row["current"] and row["published_at"])
    query = run_query(lake / "warehouse.duckdb", "SELECT MIN(issue_url) FROM title_predictions")
    ((url,),) = json.loads(answer(query).output)
    lake.rename(base)
    return base, lake, Question(url, earlier)


def report(
    results: Sequence[tuple[Damage, Mapping[str, str], Mapping[str, Answer]]], *, verbose: bool
) -> None:
    """Prints a table: one row per kind of file, and the number of answers of each outcome."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for damage, outcomes, _ in results:
        table[damage.kind].update(outcomes.values())
    width = max(map(len, table), default=4)
    print(f"{'kind of file':{width}}  {'  '.join(f'{name:>7}' for name in OUTCOMES)}")
    for kind in sorted(table):
        print(f"{kind:{width}}  {'  '.join(f'{table[kind][name] or chr(183):>7}' for name in OUTCOMES)}")
    total = sum(table.values(), Counter())
    print(f"{f'{len(results)} damages':{width}}  {'  '.join(f'{total[name]:>7}' for name in OUTCOMES)}")
    shown = OUTCOMES[4:] if not verbose else OUTCOMES[1:]
    for damage, outcomes, answers in results:
        for name, outcome in outcomes.items():
            if outcome in shown:
                said = answers[name]
                text = " / ".join((said.errors or said.output).split("\n"))[: 400 if not verbose else 900]
                print(f"{outcome}: {name} after {damage.what} of {damage.path}: [{said.code}] {text}")


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("lake", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument(
        "--only", default="", help="regular expression that the path of a damaged file matches"
    )
    parser.add_argument("--readers", default="", help="comma-separated names; default: all")
    parser.add_argument("--verbose", action="store_true", help="also print the refusals")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="titler-damage-") as folder:
        base, lake, question = prepare_lake(options.lake, Path(folder))
        names = options.readers.split(",") if options.readers else list(readers(lake, question, lake))
        before = ask(base, lake, question, names, None, 0)
        assert before is not None
        for name, said in before.items():
            if said.code:
                print(f"without damage, {name} ends with {said.code}: {said.errors}")
        results = []
        with suppress(KeyboardInterrupt):  # the table then shows the damages so far
            for damage in draw(base, options.count, options.seed, options.only):
                answers = ask(base, lake, question, names, damage, options.seed)
                if answers is None:
                    continue
                outcomes = outcomes_of(before, answers, damage.path)
                results.append((damage, outcomes, answers))
                bad = [f"{name}: {outcome}" for name, outcome in outcomes.items() if outcome != "right"]
                print(f"{len(results)} {damage.what} {damage.path}: {', '.join(bad)}", file=sys.stderr)
        report(results, verbose=options.verbose)


if __name__ == "__main__":
    main()
