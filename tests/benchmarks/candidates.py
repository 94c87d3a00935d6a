"""Chooses among the candidates of beam search by other rules than the product does, and scores the titles.

    export PYTHONPATH=. TITLER_TEST_DATA=...
    python tests/benchmarks/candidates.py --model DIR --issues 1500 --widths 4 8

The issues are of the validation part of `parts.py`. The candidates of an issue are all titles that the search
finished. The rules:

- `mean`: the highest mean log probability, as in the product.
- `length 1.4`: the highest sum of log probabilities divided by length ** 1.4. Larger exponents than 1 prefer
  longer titles (Wu et al. 2016, "Google's Neural Machine Translation System", equation 14).
- `risk`: the candidate with the highest expected overlap with the other candidates, that is, minimum Bayes
  risk (Kumar and Byrne 2004). The overlap is the F1 score of words. A candidate's weight is exp(3 x its mean
  log probability).
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pyarrow.compute as pc

from pipeline.evaluation.title_scores import score_titles
from pipeline.networks.in_numpy import beam_search
from pipeline.networks.shape import PAD, Ids
from pipeline.predictor.predictor import LightPredictor
from tests.benchmarks import parts
from tests.benchmarks.title_faults import faults

SHARPNESS = 3
BATCH_SIZE = 128


class Candidate(NamedTuple):
    """A title that the search finished. `length` counts its tokens, with _end_."""

    text: str
    mean: float
    length: int


Rule = Callable[[Sequence[Candidate]], str]


def highest_mean(candidates: Sequence[Candidate]) -> str:
    """The text with the highest mean log probability."""
    return max(candidates, key=lambda candidate: candidate.mean).text


def by_length(exponent: float) -> Rule:
    """A rule that divides the sum of log probabilities by length ** exponent."""
    return lambda candidates: max(candidates, key=lambda one: one.mean * one.length ** (1 - exponent)).text


def least_risk(candidates: Sequence[Candidate]) -> str:
    """The text with the highest expected overlap with all candidates."""
    weights: dict[str, float] = {}
    for one in candidates:
        weights[one.text] = max(weights.get(one.text, 0.0), math.exp(SHARPNESS * one.mean))
    return max(weights, key=lambda text: sum(weights[other] * overlap(text, other) for other in weights))


def overlap(first: str, second: str) -> float:
    """The F1 score of the words of two texts, 0 to 1."""
    words, others = first.split(), second.split()
    shared = sum((Counter(words) & Counter(others)).values())
    return 2 * shared / max(1, len(words) + len(others))


def candidates_of(model: LightPredictor, body_ids: Ids, width: int) -> Iterator[list[Candidate]]:
    """Yields the candidates of each issue, given the padded ids of its body (n, body length)."""
    title, network = model.vocabularies.title, model.network
    for first in range(0, len(body_ids), BATCH_SIZE):
        body = body_ids[first : first + BATCH_SIZE]
        found: list[list[Candidate]] = [[] for _ in body]

        class Recording(beam_search._Best):
            def keep_better(self, issues: Any, titles: Ids, scores: Any, found: Any = found) -> None:
                for row, column in zip(*np.nonzero(scores > beam_search.BLOCKED / 2), strict=True):
                    ids = titles[row, column]
                    length = int((ids != PAD).sum())
                    found[issues[row]].append(Candidate(title.text_of(ids), scores[row, column], length))
                super().keep_better(issues, titles, scores)

        with mock.patch.object(beam_search, "_Best", Recording):
            beam_search.search(network._decoder, body, network.shape, title.start, title.end, width, True)
        yield from found


def main() -> None:
    """Prints one table per beam width."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="folder of a saved model")
    parser.add_argument("--issues", type=int, default=1500)
    parser.add_argument("--widths", type=int, nargs="+", default=[4])
    parser.add_argument("--lengths", type=float, nargs="+", default=[1.2, 1.4, 1.7])
    arguments = parser.parse_args()
    issues = parts.sample(parts.make(parts.read(parts.test_data())).validation, arguments.issues)
    bodies, authors = issues["body"].to_pylist(), pc.utf8_lower(issues["title"]).to_pylist()
    model = LightPredictor.load(arguments.model)
    rules: dict[str, Rule] = {"mean": highest_mean}
    rules |= {f"length {exponent}": by_length(exponent) for exponent in arguments.lengths}
    rules["risk"] = least_risk
    heads = ("ROUGE-L", "BLEU", "words", "template", "repeated", "invented")
    for width in arguments.widths:
        found = list(candidates_of(model, model.vectors(bodies), width))
        print(f"beam width {width:<6}", *(f"{head:>9}" for head in heads))
        for name, rule in rules.items():
            titles = [rule(candidates) if candidates else "" for candidates in found]
            scores, shares = score_titles(titles, authors), astuple(faults(titles, bodies))
            figures = [scores.rougeL, scores.bleu, scores.mean_length, *(100 * share for share in shares)]
            print(f"{name:17}", *(f"{figure:9.2f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
