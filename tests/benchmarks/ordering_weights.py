"""Fits the weights of the order of similar issues to pairs that maintainers called duplicates.

    PYTHONPATH=. python tests/benchmarks/ordering_weights.py --issues FILE --duplicates FILE --model DIR

The files are those of `retrieval.py`. It prints the weights for `DEFAULT_ORDERING` as JSON, and figures of
weights that have not seen the repository that they are measured on.

The weights are those of a logistic regression (`pipeline.index.ordering_fit`) over the candidates of all
issues, with and without a mark, so that its probabilities hold for all issues.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.index.ordering import DEFAULT_ORDERING
from pipeline.index.ordering_fit import fit_ordering
from tests.benchmarks.duplicates import CandidateSearch, Duplicates
from tests.benchmarks.retrieval import by_model, calibration

FITTED_CANDIDATES: Final = 25
"""Of an issue without a mark, only this many candidates are fitted: the most probable ones so far."""
MIN_PAIRS: Final = 100
"""Repositories with fewer pairs are held out together."""
PRECISION: Final = 2 / 3


@dataclass(frozen=True)
class Examples:
    """Candidates of many issues."""

    features: npt.NDArray[np.float32]
    marked: npt.NDArray[np.bool_]
    rows: npt.NDArray[np.int64]
    """the issue of each candidate"""
    groups: npt.NDArray[np.int64]
    """the group of repositories of each candidate"""

    def part(self, chosen: npt.NDArray[np.bool_]) -> Examples:
        """The chosen candidates."""
        return Examples(self.features[chosen], self.marked[chosen], self.rows[chosen], self.groups[chosen])


def collect(data: Duplicates, vectors: npt.NDArray[np.floating]) -> Examples:
    """The candidates of all issues: all of an issue with a mark, FITTED_CANDIDATES of another."""
    features, marked, rows = [], [], []
    for candidates in CandidateSearch(data, vectors):
        kept = np.arange(len(candidates.items))
        if candidates.row not in data.older_of:
            order = np.argsort(-DEFAULT_ORDERING.probabilities(candidates.features), kind="stable")
            kept = order[:FITTED_CANDIDATES]
        features.append(candidates.features[kept])
        marked.append(candidates.marked[kept])
        rows.append(np.full(len(kept), candidates.row))
    row_of = np.concatenate(rows)
    return Examples(np.concatenate(features), np.concatenate(marked), row_of, groups_of(data)[row_of])


def groups_of(data: Duplicates) -> npt.NDArray[np.int64]:
    """The group of each issue: its repository, or group 0 if that has fewer than MIN_PAIRS pairs."""
    groups = np.zeros(len(data.issues), np.int64)
    for number, rows in enumerate(data.repositories, 1):
        newer = data.pairs[:, 0]
        if np.count_nonzero((newer >= rows.start) & (newer < rows.stop)) >= MIN_PAIRS:
            groups[rows] = number
    return groups


def held_out_probabilities(examples: Examples) -> npt.NDArray[np.float64]:
    """The probability of each candidate by weights that have not seen its group of repositories."""
    probabilities = np.zeros(len(examples.marked))
    for group in np.unique(examples.groups):
        is_test = examples.groups == group
        others = examples.part(~is_test)
        ordering = fit_ordering(others.features, others.marked)
        probabilities[is_test] = ordering.probabilities(examples.features[is_test])
    return probabilities


def min_probability(
    probabilities: npt.NDArray[np.float64], marked: npt.NDArray[np.bool_], precision: float = PRECISION
) -> tuple[float, int]:
    """The lowest probability from which on at least `precision` of the candidates are marked, and how many
    candidates that are. Without such a probability, (1.0, 0)."""
    order = np.argsort(-probabilities, kind="stable")
    shares = np.cumsum(marked[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(shares >= precision)
    return (float(probabilities[order[enough[-1]]]), int(enough[-1]) + 1) if len(enough) else (1.0, 0)


def recall_at_10(examples: Examples, probabilities: npt.NDArray[np.float64], pairs: int) -> float:
    """The share of `pairs` whose older issue is among the ten most probable candidates; ties count against
    it."""
    found = 0
    for row in np.unique(examples.rows[examples.marked]):
        own = slice(*np.searchsorted(examples.rows, [row, row + 1]))
        for each in probabilities[own][examples.marked[own]]:
            found += int(np.count_nonzero(probabilities[own] >= each)) <= 10
    return found / pairs


def best_of_each(examples: Examples, probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The place of the most probable candidate of each issue."""
    order = np.lexsort((-probabilities, examples.rows))
    first = np.concatenate([[True], examples.rows[order][1:] != examples.rows[order][:-1]])
    best: npt.NDArray[np.int64] = order[first]
    return best


def main() -> None:
    """Prints the figures and the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--issues", type=Path, required=True, metavar="FILE")
    parser.add_argument("--duplicates", type=Path, required=True, metavar="FILE")
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    arguments = parser.parse_args()
    data = Duplicates.read(arguments.issues, arguments.duplicates)
    examples = collect(data, by_model(arguments.model)(data.issues))
    if len(np.unique(examples.groups)) > 1:
        probabilities = held_out_probabilities(examples)
        best = best_of_each(examples, probabilities)
        brier, error = calibration(probabilities[best], examples.marked[best].astype(np.float64))
        threshold, suggested = min_probability(probabilities, examples.marked)
        print(f"held out: R@10 {recall_at_10(examples, probabilities, len(data.pairs)):.3f}")
        print(f"held out: Brier score {brier:.4f}, calibration error {error:.4f}")
        print(f"held out: {suggested} suggestions from {threshold:.3f} on have a precision of 2/3")
    print(json.dumps(fit_ordering(examples.features, examples.marked).to_json(), indent=1))


if __name__ == "__main__":
    main()
