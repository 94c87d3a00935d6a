"""Our tokens against the real ktext 0.40's: texts a second on one core, in the same run.

    TITLER_TEST_DATA=... python tests/benchmarks/text.py [--rounds 3]

Rounds alternate between the engines, so that a busy machine slows both; the best round of each counts.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
from pathlib import Path
from time import perf_counter

from pipeline.text.engine import Tokenizer, tokenizer


def bodies(name: str) -> list[str]:
    root = os.environ.get("TITLER_TEST_DATA")
    if not root:
        sys.exit("TITLER_TEST_DATA is unset: it names the folder that holds ktext/real and ktext/hard")
    with gzip.open(Path(root) / "ktext" / name / "documents.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line)["body"] for line in lines]


def per_second(engine: Tokenizer, texts: list[str]) -> float:
    begin = perf_counter()
    engine(texts)
    return len(texts) / (perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = range(parser.parse_args().rounds)
    ours, theirs = tokenizer("titler"), tokenizer("ktext")
    print(f"{'bodies':<8}{'number':>8}{'characters':>12}{'ktext/s':>10}{'titler/s':>10}{'ratio':>8}{'equal':>7}")
    for name in ("real", "hard"):
        texts = bodies(name)
        figures = [(per_second(theirs, texts), per_second(ours, texts)) for _ in rounds]
        slow, fast = (max(column) for column in zip(*figures, strict=True))
        characters = sum(map(len, texts)) / len(texts)
        equal = "yes" if ours(texts) == theirs(texts) else "NO"
        print(f"{name:<8}{len(texts):>8}{characters:>12.0f}{slow:>10,.0f}{fast:>10,.0f}{fast / slow:>8.1f}{equal:>7}")


if __name__ == "__main__":
    main()
