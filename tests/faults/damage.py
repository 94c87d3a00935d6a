"""Damages files of a published lake, one at a time, and shows how the commands answer.

    python tests/faults/damage.py LAKE [--seed 1] [--count 200] [--only PATTERN] [--verbose]

LAKE is the folder of a lake with at least two published releases. It is copied and not changed. Each damage
is done to a fresh copy. Then each reader runs in a process of its own, and its answer is compared with the
answer before the damage:

    right      the same answer
    says so    another answer, which names the damaged file
    refused    one clear error, with an exit code
    WRONG      another answer, without any word about the damage
    FAULT      a traceback, or the message that this is a bug in Titler
    CRASH      a signal ended the process

The sample has the same number of damages of each kind of file, as far as COUNT allows. With the same seed, it
is the same. Ctrl-C ends the run and prints the table so far.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support import titler_in_process

OUTCOMES = ("right", "says so", "refused", "WRONG", "FAULT", "CRASH")
CHANGED_IN_PLACE = ("*.db", "*.duckdb", "*.sqlite")
"""Files that a command changes in place, so that a copy of the lake must not share them."""
NOT_DAMAGED = re.compile(
    r"^(leases|drafts|unused|days/changed|airflow|alerts|mlflow|\.aside)/|\.lock$|-journal$|-wal$"
)
"""Files without content that a reader relies on."""
_VARIABLE = re.compile(r'"(age_hours|stale|seconds)": [^,\n]+')
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


@dataclass(frozen=True)
class Answer:
    """What a command printed, and how it ended. `code` is negative if a signal ended the process."""

    code: int
    output: str
    errors: str

    @property
    def value(self) -> str:
        """The output without values that change with the time."""
        return _VARIABLE.sub("", self.output)


Reader = Callable[[], None]
"""Prints an answer on standard output, and ends with `SystemExit`."""


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


IMPORTED_BY_READERS = (
    "duckdb",
    "pyarrow.dataset",
    "pipeline.index.segmented_index",
    "pipeline.networks.in_numpy.implementations",
    "pipeline.predictor.loading",
    "pipeline.releases.publication",
    "pipeline.serving.explain",
    "pipeline.serving.queries",
    "pipeline.serving.report.stored_report",
    "pipeline.serving.status",
    "pipeline.serving.verification.verify",
    "pipeline.stages.plan",
    "pipeline.stages.publish",
    "pipeline.warehouse.duckdb",
    "rich.table",
    "sqlglot.dialects.bigquery",
    "sqlglot.dialects.duckdb",
)


def import_for_readers() -> None:
    """Imports what most readers need, before their processes are forked."""
    for name in IMPORTED_BY_READERS:
        importlib.import_module(name)


def answer(read: Reader, limit: int = 120) -> Answer:
    """Runs a reader in a process of its own, so that a crash is seen and nothing is left in memory."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")  # pytest has replaced them
            signal.alarm(limit)
            code = 70
            try:
                read()
                code = 0
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 1
            except BaseException as error:
                print(f"Traceback: {type(error).__name__}: {error}", file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        errors.seek(0)
        code = os.waitstatus_to_exitcode(status)
        return Answer(
            code, output.read().decode("utf-8", "replace"), errors.read().decode("utf-8", "replace")
        )


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
    return "says so" if any(name in words for name in names) else "WRONG"


def run_titler(arguments: str) -> Reader:
    """A reader that runs `titler ARGUMENTS`."""

    def read() -> None:
        done = titler_in_process.titler(*arguments.split("|"))
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        raise SystemExit(done.returncode)

    return read


def run_query(warehouse: Path, sql: str) -> Reader:
    """A reader that asks DuckDB alone, as an analyst does."""

    def read() -> None:
        import duckdb

        try:
            with duckdb.connect(str(warehouse), read_only=True) as connection:
                print(json.dumps(connection.sql(sql).fetchall(), default=str))
        except duckdb.Error as error:
            print(f"{type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr)
            raise SystemExit(1) from None

    return read


@dataclass(frozen=True)
class Question:
    """The issue and the releases that the readers ask about."""

    url: str
    earlier_release: str


def readers(root: Path, question: Question, out: Path) -> dict[str, Reader]:
    """The readers by name. The last ones write to the lake."""
    warehouse = root / "warehouse.duckdb"
    text = "similar|The program crashes with a segmentation fault when the configuration file is empty|--json"
    return {
        "status": run_titler("status|--json"),
        "releases": run_titler("releases|--json"),
        "title": run_titler(
            "title|The program crashes when the configuration file is empty and no log|--json"
        ),
        "similar text": run_titler(text),
        "similar url": run_titler(f"similar|{question.url}|--json"),
        "explain": run_titler(f"explain|{question.url}|--json"),
        "query titles": run_query(warehouse, "SELECT COUNT(*), SUM(HASH(COLUMNS(*))) FROM title_predictions"),
        "query similar": run_query(warehouse, "SELECT COUNT(*), SUM(HASH(COLUMNS(*))) FROM similar_issues"),
        "verify": run_titler("verify|--json"),
        "report": run_titler(f"report|--out|{out}"),
        "plan": run_titler("plan"),
        "rollback": run_titler(f"rollback|{question.earlier_release}"),
    }


WRITERS = ("plan", "rollback")
"""The readers that write to the lake, which run last, on a copy of their own."""


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
    shown = OUTCOMES[3:] if not verbose else OUTCOMES[1:]
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
                outcomes = {name: classify(before[name], said, damage.path) for name, said in answers.items()}
                results.append((damage, outcomes, answers))
                bad = [f"{name}: {outcome}" for name, outcome in outcomes.items() if outcome != "right"]
                print(f"{len(results)} {damage.what} {damage.path}: {', '.join(bad)}", file=sys.stderr)
        report(results, verbose=options.verbose)


if __name__ == "__main__":
    main()
