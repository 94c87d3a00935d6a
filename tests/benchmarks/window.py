"""What a network reads of an issue: how much of the body fits into its window, and what the window misses.

    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/window.py              validation issues
    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/window.py --scored 1500 --train 10000

One row per preparation of bodies (`pipeline.text.markup`). Units are learned from training issues with the
original preparation, so that all rows count the same units. Columns:

- ms: processor time to prepare a body
- units: mean number of units of a prepared body
- whole: share of bodies that fit into the window; read: share of all units that stand in it
- title words: share of the title's words that stand in the prepared body, in the window, and in the first 32
  units. No network can copy the others. Words that nearly every text has do not count.
- lead: ROUGE-L of the body's first words as a title, as in `titles.py`
- template: share of windows, and of first 32 units, with a line of a template or of the environment

Then what a title network learns from the training issues (`pipeline.text.title_targets`), by preparation: the
share of titles that lose a prefix, and the share of issues that are left out.

Last, the units of titles in scripts without blanks between words, of all titles and of all bodies of the
training issues, without and with units for characters (`pipeline.text.character_units`).
"""

from __future__ import annotations

import argparse
import re
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.evaluation.title_scores import lead, score_titles
from pipeline.text.character_units import CHARACTER
from pipeline.text.markup import JOINER, LATEST_PREPARATION, ORIGINAL_PREPARATION, prepare
from pipeline.text.subwords import BytePairEncoding, SubwordVocabulary
from pipeline.text.template_headings import section_of
from pipeline.text.template_lines import is_environment, is_filler
from pipeline.text.title_targets import STOP_WORDS, target_ids
from tests.benchmarks import parts
from tests.benchmarks.learning import BODY_UNITS, SUBWORDS, TITLE_UNITS
from tests.benchmarks.titles import ALL

FIRST_UNITS = 32
WORD = re.compile(r"[^\W_]+")
HEADS = ("ms", "units", "whole", "read", "title words", "in window", "in 32", "lead", "template", "in 32")


def shared_words(titles: list[str], texts: list[str]) -> float:
    """The share of the titles' words that stand in the texts, averaged over the titles that have any."""
    shares = []
    for title, text in zip(titles, texts, strict=True):
        words = {word for word in WORD.findall(title.lower()) if word not in STOP_WORDS}
        if words:
            shares.append(len(words & set(WORD.findall(text))) / len(words))
    return float(np.mean(shares))


def has_templates_line(text: str) -> bool:
    return any(
        section_of(line) is not None or is_environment(line) or is_filler(line) for line in text.split("\n")
    )


def row(issues: pa.Table, encoding: BytePairEncoding, preparation: int) -> list[float]:
    """The figures of one preparation, in the order of HEADS; shares in %."""
    vocabulary = SubwordVocabulary(encoding, BODY_UNITS, start_end=False, preparation=preparation)
    began = time.process_time()
    prepared = vocabulary.prepared(issues["body"].to_pylist())
    milliseconds = 1000 * (time.process_time() - began) / len(issues)
    titles = issues["title"].to_pylist()
    units = list(encoding.encode(prepared))
    lengths = np.array([len(ids) for ids in units])
    windows, firsts = (
        ["".join(encoding.units[number - 4] for number in ids[:length]) for ids in units]
        for length in (BODY_UNITS, FIRST_UNITS)
    )
    windows, firsts = (
        [text.encode("latin-1").decode("utf-8", "ignore") for text in texts] for texts in (windows, firsts)
    )
    leads = [lead(WORD.findall(text)) for text in windows]
    return [
        milliseconds,
        float(lengths.mean()),
        100 * float((lengths <= BODY_UNITS).mean()),
        100 * float(np.minimum(lengths, BODY_UNITS).sum() / lengths.sum()),
        100 * shared_words(titles, [text.replace(JOINER, "") for text in prepared]),
        100 * shared_words(titles, windows),
        100 * shared_words(titles, firsts),
        score_titles(leads, pc.utf8_lower(issues["title"]).to_pylist()).rougeL,
        100 * float(np.mean([has_templates_line(text) for text in windows])),
        100 * float(np.mean([has_templates_line(text) for text in firsts])),
    ]


def target_shares(issues: pa.Table, encoding: BytePairEncoding, preparation: int) -> tuple[float, float]:
    """The shares, in %, of titles that lose a prefix and of issues whose title cannot be learned."""
    body = SubwordVocabulary(encoding, BODY_UNITS, start_end=False, preparation=preparation)
    title = SubwordVocabulary(encoding, TITLE_UNITS, start_end=True)
    titles = title.ids(issues["title"].to_pylist())
    targets, learnable = target_ids(body, title, body.ids(issues["body"].to_pylist()), titles)
    return 100 * float((targets != titles).any(axis=1).mean()), 100 * float((~learnable).mean())


def print_character_units(all_issues: pa.Table, learned_from: pa.Table) -> None:
    """Prints one row per vocabulary: mean units, and the share of titles that fit into the titles' length."""
    titles, bodies = (
        [prepare(text) for text in learned_from[name].to_pylist()] for name in ("title", "body")
    )
    in_scripts = [
        prepare(title)
        for title in all_issues["title"].to_pylist()
        if len(CHARACTER.findall(title)) >= 0.3 * len(title)
    ]
    print(f"\n{len(in_scripts):,} titles in scripts without blanks, of {len(all_issues):,}")
    print(f"{'characters':<12}{'units':>13}{'whole':>13}{'all titles':>13}{'all bodies':>13}")
    for characters in (False, True):
        encoding = BytePairEncoding.fit([*titles, *bodies], SUBWORDS, characters=characters)
        scripts, all_titles, all_bodies = (
            np.array([len(ids) for ids in encoding.encode(texts)]) for texts in (in_scripts, titles, bodies)
        )
        whole = 100 * float((scripts <= TITLE_UNITS - 2).mean())
        figures = (scripts.mean(), whole, all_titles.mean(), all_bodies.mean())
        print(f"{characters!s:<12}" + "".join(f"{figure:>13.1f}" for figure in figures))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--train", type=int, default=20_000, help="number of issues that units are learned from"
    )
    parser.add_argument("--scored", type=int, default=ALL, help="number of validation issues")
    arguments = parser.parse_args()
    all_parts = parts.make(parts.read(parts.test_data()))
    train = parts.sample(all_parts.train, arguments.train)
    encoding = BytePairEncoding.fit(
        (prepare(text) for name in ("title", "body") for text in train[name].to_pylist()), SUBWORDS
    )
    issues = parts.sample(all_parts.validation, arguments.scored)
    print(f"{len(issues):,} validation issues, window of {BODY_UNITS} units")
    print(f"{'preparation':<12}" + "".join(f"{head:>13}" for head in HEADS))
    for preparation in range(ORIGINAL_PREPARATION, LATEST_PREPARATION + 1):
        figures = row(issues, encoding, preparation)
        print(f"{preparation:<12}" + "".join(f"{figure:>13.2f}" for figure in figures), flush=True)
    print(f"\n{len(train):,} training issues\n{'preparation':<12}{'prefix':>13}{'left out':>13}")
    for preparation in range(ORIGINAL_PREPARATION, LATEST_PREPARATION + 1):
        prefix, left_out = target_shares(train, encoding, preparation)
        print(f"{preparation:<12}{prefix:>13.1f}{left_out:>13.1f}")
    print_character_units(all_parts.train, train)


if __name__ == "__main__":
    main()
