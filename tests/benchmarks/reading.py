"""A blind reading: two readers judge the titles of issues and do not know who wrote which.

    export PYTHONPATH=. TITLER_TEST_DATA=...
    python tests/benchmarks/reading.py write READING KEY --model DIR... --issues 60 --seed 1
    python tests/benchmarks/reading.py count KEY ANSWERS ANSWERS

`write` draws issues of the two test parts (`parts.py`). READING is a text with the beginning of each body and
the titles of the models and of the author, in random order and in small letters. KEY says who wrote which;
keep it from the readers. With `--titles NAME=FILE`, titles of another system are judged as well: FILE is JSON
lines, Parquet or CSV with a title and a body, and the bodies are the same as in the test parts.

`count` reads KEY and the answers of two readers, a line per title such as `12b partly`. It prints how many
titles of each system a reader would keep, finds partly right or finds useless, and how far the two readers
agree: Cohen's kappa (Cohen 1960), 0 for agreement by chance and 1 for full agreement.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.metrics import cohen_kappa_score

from pipeline.predictor.loading import load_faster
from pipeline.source.issue_files import read_pairs
from tests.benchmarks import parts

ANSWERS = ("keep", "partly", "no")
AUTHORS = "the authors"
BODY_CHARACTERS = 1500
LETTERS = "abcdefghijklmnopqrstuvwxyz"
INTRODUCTION = """\
# {issues} issues and their titles

Each issue begins with the beginning of its text, as somebody wrote it in a tracker. Titles follow that could
stand over it. Judge every title by itself, as the maintainer who has to find this issue in a list:

- keep: I would leave this title as it is. It names the problem or the request, and nothing in it is wrong.
- partly: it helps, but it is incomplete, vague or clumsy. I would edit it.
- no: it is useless, misleading or wrong.

Ignore capital letters. Answer with one line per title: its number and letter, and one of keep, partly, no:

    1a partly
    1b keep
"""
ANSWER = re.compile(r"[^\w\n]*(\d+)([a-z])\W+(keep|partly|no)(?=\s*(?:[^\w\s]|\Z))", re.IGNORECASE)
Key = Mapping[str, Sequence[str]]
"""From a title's name, such as 12b, to those who wrote it: several if their titles are the same."""


@dataclass(frozen=True)
class Reading:
    """What a reader gets, and what a reader must not see."""

    text: str
    key: dict[str, list[str]]
    withheld: dict[str, int]
    """number of issues per system for which it gave no title"""


def make_reading(bodies: Sequence[str], titles: Mapping[str, Sequence[str]], seed: int) -> Reading:
    """The reading of n issues. `titles` maps each system to its n titles, empty if it withheld one.

    The titles of an issue are in random order; equal titles stand once.
    """
    random = np.random.default_rng(seed)
    lines = [INTRODUCTION.format(issues=len(bodies))]
    key: dict[str, list[str]] = {}
    for row, body in enumerate(bodies):
        writers: dict[str, list[str]] = {}
        for system, given in titles.items():
            if title := " ".join(given[row].lower().split()):
                writers.setdefault(title, []).append(system)
        lines += [f"\n## {row + 1}\n", *(f"    {line}" for line in _beginning(body).splitlines()), ""]
        in_order = list(writers.items())
        for letter, number in zip(LETTERS, random.permutation(len(in_order)).tolist(), strict=False):
            title, systems = in_order[number]
            lines.append(f"- {row + 1}{letter}: {title}")
            key[f"{row + 1}{letter}"] = systems
    withheld = {system: sum(not title.strip() for title in given) for system, given in titles.items()}
    return Reading("\n".join(lines) + "\n", key, withheld)


def _beginning(body: str) -> str:
    body = body.strip()
    return body if len(body) <= BODY_CHARACTERS else f"{body[:BODY_CHARACTERS]} [...]"


def read_answers(text: str, key: Key) -> dict[str, str]:
    """The answer to each title of `key`. Exits the process if one is missing, unknown or has two answers."""
    answers: dict[str, str] = {}
    for match in filter(None, map(ANSWER.match, text.splitlines())):
        name, answer = (match[1] + match[2]).lower(), match[3].lower()
        if answers.setdefault(name, answer) != answer:
            sys.exit(f"{name} has two answers: {answers[name]} and {answer}")
    missing = [name for name in key if name not in answers]
    unknown = [name for name in answers if name not in key]
    if missing or unknown:
        sys.exit(
            f"{len(missing)} titles have no answer ({', '.join(missing[:5])}), "
            f"{len(unknown)} answers have no title ({', '.join(unknown[:5])}); expected a line such as 12b no"
        )
    return answers


def reading_table(key: Key, withheld: Mapping[str, int], readers: Sequence[Mapping[str, str]]) -> str:
    """One row per system: each reader's counts of each answer, the mean shares in %, and withheld titles."""
    systems = sorted({system for written_by in key.values() for system in written_by} | withheld.keys())
    width = max(map(len, systems))
    heads = [*(f"{answer} {number + 1}" for number in range(len(readers)) for answer in ANSWERS)]
    heads += [f"{answer} %" for answer in ANSWERS] + ["withheld"]
    lines = [" ".join([f"{'':{width}}", *(f"{head:>8}" for head in heads)])]
    for system in systems:
        names = [name for name, written_by in key.items() if system in written_by]
        counts = [Counter(answers[name] for name in names) for answers in readers]
        cells = [f"{count[answer]:8}" for count in counts for answer in ANSWERS]
        judged = max(1, len(names) * len(readers))
        cells += [f"{100 * sum(count[answer] for count in counts) / judged:8.1f}" for answer in ANSWERS]
        lines.append(" ".join([f"{system:{width}}", *cells, f"{withheld.get(system, 0):8}"]))
    return "\n".join(lines)


def agreement(first: Mapping[str, str], second: Mapping[str, str]) -> str:
    """How far two readers agree about the same titles, as a line."""
    names = list(first)
    one, two = ([answers[name] for name in names] for answers in (first, second))
    same = sum(answer == other for answer, other in zip(one, two, strict=True)) / len(names)
    if len({*one, *two}) == 1:
        return f"{len(names)} titles, the same answer to all of them, so Cohen's kappa is not defined"
    kappa, weighted = (cohen_kappa_score(one, two, labels=ANSWERS, weights=how) for how in (None, "linear"))
    return (
        f"{len(names)} titles, the same answer to {same:.0%}; Cohen's kappa {kappa:.2f}, "
        f"{weighted:.2f} if partly is half a disagreement"
    )


def titles_from_file(path: Path, bodies: Sequence[str]) -> list[str]:
    """The titles that a file gives for bodies. Exits the process if it lacks one of the bodies."""
    by_body = {body.strip(): title for title, body in read_pairs(path)}
    missing = sum(body.strip() not in by_body for body in bodies)
    if missing:
        sys.exit(f"{path} lacks {missing} of the {len(bodies)} bodies of the reading")
    return [by_body[body.strip()] for body in bodies]


def write(arguments: argparse.Namespace) -> None:
    """Writes a reading and its key."""
    all_parts = parts.make(parts.read(parts.test_data()))
    tests = pa.concat_tables([all_parts.test_repositories, all_parts.test_time])
    issues = parts.sample(tests, arguments.issues, arguments.seed)
    bodies = issues["body"].to_pylist()
    titles: dict[str, Sequence[str]] = {AUTHORS: issues["title"].to_pylist()}
    for folder in arguments.model:
        predictions = load_faster(folder).predict(bodies)
        titles[folder.name] = [prediction.title for prediction in predictions]
    for option in arguments.titles:
        name, _, path = option.partition("=")
        titles[name] = titles_from_file(Path(path), bodies)
    reading = make_reading(bodies, titles, arguments.seed)
    urls = {str(number + 1): url for number, url in enumerate(issues["url"].to_pylist())}
    key: dict[str, Any] = {"key": reading.key, "withheld": reading.withheld, "urls": urls}
    arguments.reading.write_text(reading.text, encoding="utf-8")
    arguments.key.write_text(json.dumps(key, indent=1) + "\n", encoding="utf-8")
    print(f"{arguments.reading}: {len(bodies)} issues, {len(reading.key)} titles; the key is {arguments.key}")


def count(arguments: argparse.Namespace) -> None:
    """Prints the table of a reading and the agreement of its readers."""
    key = json.loads(arguments.key.read_text(encoding="utf-8"))
    readers = [read_answers(path.read_text(encoding="utf-8"), key["key"]) for path in arguments.answers]
    print(reading_table(key["key"], key["withheld"], readers))
    print(agreement(*readers))


def main() -> None:
    """Writes a reading, or counts its answers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    writing = commands.add_parser("write", help="draw issues and write their titles without names")
    writing.add_argument("reading", type=Path, help="file for the readers, a text in Markdown")
    writing.add_argument("key", type=Path, help="file with who wrote which title, JSON")
    writing.add_argument("--model", type=Path, nargs="+", default=[], metavar="DIR", help="saved models")
    writing.add_argument(
        "--titles",
        nargs="+",
        default=[],
        metavar="NAME=FILE",
        help="titles of another system, with the bodies",
    )
    writing.add_argument("--issues", type=int, default=60, help="number of issues to draw")
    writing.add_argument("--seed", type=int, default=0, help="of the draw and of the order of the titles")
    writing.set_defaults(run=write)
    counting = commands.add_parser("count", help="print the table and Cohen's kappa")
    counting.add_argument("key", type=Path, help="file that `write` wrote")
    counting.add_argument("answers", type=Path, nargs=2, help="one file per reader, a line per title")
    counting.set_defaults(run=count)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
