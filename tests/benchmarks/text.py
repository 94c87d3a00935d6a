"""Speed of our tokens, of the real ktext 0.40 and of our subwords: texts per second on one core, in one run.

    TITLER_TEST_DATA=... python tests/benchmarks/text.py [--rounds 3]

The engines alternate, so that other load on the machine slows both; the best of the rounds counts. Subwords
are learned from the same texts, with the sizes of the settings. `fresh` is the first round, with an empty
cache; `units` is the average per body.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

from pipeline.settings import Text
from pipeline.text.engine import tokenizer
from pipeline.text.markup import prepare
from pipeline.text.subwords import BytePairEncoding, SubwordVocabulary


def bodies(name: str) -> list[str]:
    root = os.environ.get("TITLER_TEST_DATA")
    if not root:
        sys.exit("TITLER_TEST_DATA is not set: it names the folder that holds ktext/real and ktext/hard")
    with gzip.open(Path(root) / "ktext" / name / "documents.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line)["body"] for line in lines]


def per_second(engine: Callable[[list[str]], object], texts: list[str]) -> float:
    begin = perf_counter()
    engine(texts)
    return len(texts) / (perf_counter() - begin)


def subwords(names: Sequence[str], rounds: int) -> None:
    """Prints one row per kind of body."""
    print(
        f"\n{'bodies':<8}{'learned in':>12}{'prepared/s':>12}{'fresh/s':>10}{'ids/s':>10}{'units':>8}"
        f"{'characters/unit':>19}"
    )
    for name in names:
        texts = bodies(name)
        prepared = [prepare(text) for text in texts]
        begin = perf_counter()
        body = SubwordVocabulary(
            BytePairEncoding.fit(prepared, Text().subwords), Text().body_units, start_end=False
        )
        learned = perf_counter() - begin
        prepared_rate = max(
            per_second(lambda texts: [prepare(text) for text in texts], texts) for _ in range(rounds)
        )
        fresh, *warm = (per_second(body.ids, texts) for _ in range(rounds + 1))
        units = sum(map(len, body.encoding.encode(prepared)))
        average, width = units / len(texts), sum(map(len, prepared)) / units
        print(
            f"{name:<8}{learned:>10.1f} s{prepared_rate:>12,.0f}{fresh:>10,.0f}{max(warm):>10,.0f}"
            f"{average:>8.0f}{width:>19.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = range(parser.parse_args().rounds)
    names = ("real", "hard")
    ours, theirs = tokenizer("titler"), tokenizer("ktext")
    print(
        f"{'bodies':<8}{'number':>8}{'characters':>12}{'ktext/s':>10}{'titler/s':>10}{'ratio':>8}{'equal':>7}"
    )
    for name in names:
        texts = bodies(name)
        figures = [(per_second(theirs, texts), per_second(ours, texts)) for _ in rounds]
        slow, fast = (max(column) for column in zip(*figures, strict=True))
        characters = sum(map(len, texts)) / len(texts)
        equal = "yes" if ours(texts) == theirs(texts) else "NO"
        print(
            f"{name:<8}{len(texts):>8}{characters:>12.0f}{slow:>10,.0f}{fast:>10,.0f}"
            f"{fast / slow:>8.1f}{equal:>7}"
        )
    subwords(names, len(rounds))


if __name__ == "__main__":
    main()
