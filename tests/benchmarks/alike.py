"""Draws titles of published systems beside the authors' titles, for a reader who judges which are of no use.

    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/alike.py

The systems are iTAPE and PRSum, LSTMs that copy words of the body, as titles of pull requests (PRTiger). From
the shares of useless titles among those that are alike and those that are not follows the probability at
which half of the titles are useless (`useless_half`). It is the default of `model.abstain_probability`.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.evaluation.title_confidence import ROUGE_THRESHOLD
from pipeline.evaluation.title_scores import rouge_l

SYSTEMS = ("itape", "prsum")
SEED, DRAWN, NOT_ALIKE, ALIKE = 15, 400, 40, 30
Pair = tuple[float, str, str]
"""ROUGE-L, the author's title and the system's"""


def draw(folder: Path, drawn: int = DRAWN) -> tuple[list[Pair], list[Pair]]:
    """Returns the pairs that are not alike and those that are, of `drawn` random titles per system."""
    authors = (folder / "title-test-1.txt").read_text(encoding="utf-8").splitlines()
    dice = random.Random(SEED)
    pairs: list[Pair] = []
    for system in SYSTEMS:
        titles = (folder / f"{system}.txt").read_text(encoding="utf-8").splitlines()
        rows = dice.sample(range(len(authors)), drawn)
        chosen, references = [titles[row] for row in rows], [authors[row] for row in rows]
        pairs += zip(rouge_l(chosen, references).tolist(), references, chosen, strict=True)
    dice.shuffle(pairs)
    return [pair for pair in pairs if pair[0] <= ROUGE_THRESHOLD], [
        pair for pair in pairs if pair[0] > ROUGE_THRESHOLD
    ]


def useless_half(useless_not_alike: float, useless_alike: float) -> float:
    """Returns the probability of being alike at which half of the titles are useless. The arguments are the
    shares of useless titles among those that are not alike and those that are."""
    return (useless_not_alike - 0.5) / (useless_not_alike - useless_alike)


def lines(name: str, pairs: Sequence[Pair]) -> list[str]:
    return [
        f"{name} {number:2} {rouge:5.1f}  {author}  ->  {title}"
        for number, (rouge, author, title) in enumerate(pairs)
    ]


if __name__ == "__main__":
    not_alike, alike = draw(Path(os.environ["TITLER_TEST_DATA"], "prtiger"))
    sys.stdout.write(
        "\n".join([*lines("not alike", not_alike[:NOT_ALIKE]), *lines("alike", alike[:ALIKE])]) + "\n"
    )
