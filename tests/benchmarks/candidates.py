"""Chooses among the candidates of beam search by other rules than the product does, and scores the titles.

    export PYTHONPATH=. TITLER_TEST_DATA=...
    python tests/benchmarks/candidates.py --model DIR --issues 1500 --widths 4 8
    python tests/benchmarks/candidates.py --model DIR --issues 4000 --agreement

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
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.evaluation.title_calibration import has_latin_letters
from pipeline.evaluation.title_confidence import ROUGE_THRESHOLD
from pipeline.evaluation.title_scores import rouge_l, score_titles
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
    return max((one.text for one in candidates), key=lambda text: agreement(text, candidates))


def agreement(text: str, candidates: Sequence[Candidate]) -> float:
    """The expected overlap of a text with all candidates, 0 to 1."""
    weights: dict[str, float] = {}
    for one in candidates:
        weights[one.text] = max(weights.get(one.text, 0.0), math.exp(SHARPNESS * one.mean))
    return sum(weights[other] * overlap(text, other) for other in weights) / sum(weights.values())


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
        tokens = network._decoder.begin(body)[2]

        class Recording(beam_search._Best):
            def keep_better(
                self, issues: Any, titles: Ids, scores: Any, found: Any = found, tokens: Ids = tokens
            ) -> None:
                for row, column in zip(*np.nonzero(scores > beam_search.BLOCKED / 2), strict=True):
                    ids = tokens[issues[row], titles[row, column]]
                    length = int((ids != PAD).sum())
                    found[issues[row]].append(Candidate(title.text_of(ids), scores[row, column], length))
                super().keep_better(issues, titles, scores)

        with mock.patch.object(beam_search, "_Best", Recording):
            beam_search.search(network._decoder, body, network.shape, title.start, title.end, width, True)
        yield from found


def confidence_figures(model: LightPredictor, issues: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The log odds of the confidence and the agreement of each title that can be scored, (n, 2), and whether
    the title is good (n,)."""
    figures, titles, references = [], [], []
    found = candidates_of(model, model.vectors(issues["body"].to_pylist()), 4)
    for candidates, author in zip(found, pc.utf8_lower(issues["title"]).to_pylist(), strict=True):
        title = highest_mean(candidates) if candidates else ""
        if title and has_latin_letters(author):
            mean = max(one.mean for one in candidates)
            figures.append([mean - math.log(-math.expm1(min(mean, -1e-6))), agreement(title, candidates)])
            titles.append(title)
            references.append(author)
    return np.array(figures), np.asarray(rouge_l(titles, references)) > ROUGE_THRESHOLD


def print_agreement(model: LightPredictor, split: parts.Parts, issues: int) -> None:
    """Prints one table: what the agreement adds to the confidence."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    names = ("validation", "test_repositories", "test_time")
    (known, is_good), *tests = (
        confidence_figures(model, parts.sample(getattr(split, name), issues)) for name in names
    )
    print(f"{'':28} {'constant':>9} {'Brier':>7} {'AUC':>6}")
    for columns, label in (([0], "confidence"), ([0, 1], "and agreement")):
        regression = LogisticRegression().fit(known[:, columns], is_good)
        for name, (figures, good) in zip(names[1:], tests, strict=True):
            probabilities = regression.predict_proba(figures[:, columns])[:, 1]
            constant, brier = good.mean() * (1 - good.mean()), np.mean((probabilities - good) ** 2)
            auc = roc_auc_score(good, probabilities)
            print(f"{name + ', ' + label:36} {constant:.4f} {brier:7.4f} {auc:6.3f}")


def main() -> None:
    """Prints one table per beam width."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="folder of a saved model")
    parser.add_argument("--issues", type=int, default=1500)
    parser.add_argument("--widths", type=int, nargs="+", default=[4])
    parser.add_argument("--lengths", type=float, nargs="+", default=[1.2, 1.4, 1.7])
    parser.add_argument("--agreement", action="store_true", help="what agreement adds to the confidence")
    arguments = parser.parse_args()
    split = parts.make(parts.read(parts.test_data()))
    model = LightPredictor.load(arguments.model)
    if arguments.agreement:
        print_agreement(model, split, arguments.issues)
        return
    issues = parts.sample(split.validation, arguments.issues)
    bodies, authors = issues["body"].to_pylist(), pc.utf8_lower(issues["title"]).to_pylist()
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
