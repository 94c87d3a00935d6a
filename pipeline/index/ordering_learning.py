"""Learns an ordering: the weights that give a pair of issues its probability, and their calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.evaluation.duplicate_calibration import Method, choose_curve
from pipeline.index.ordering import Ordering
from pipeline.index.ordering_examples import Examples
from pipeline.index.ordering_fit import fit_ordering
from pipeline.index.ordering_scores import best_candidates
from pipeline.index.segment import Numbers
from pipeline.index.stored_orderings import named

FOLDS = 5


@dataclass(frozen=True)
class LearnedOrdering:
    """A learned ordering, the method that calibrates it, and the Brier score of each calibration method."""

    ordering: Ordering
    method: Method
    briers: dict[Method, float]


def learn_ordering(examples: Examples) -> LearnedOrdering:
    """Learns an ordering (weights and their calibration) from pairs of at least two repositories.

    The weights are fitted to all pairs. The calibration is fitted to log odds from a cross-validation: the
    repositories are divided into FOLDS parts, and the log odds of each part are computed with weights that
    are fitted to all other parts.
    """
    weights = examples.weights[examples.issues]
    folds = repository_folds(examples)[examples.issues]
    log_odds, is_best = np.zeros(len(examples.marked)), np.zeros(len(examples.marked), np.bool_)
    for fold in np.unique(folds):
        inside = folds == fold
        held_out_fit = fit_ordering(examples.features[~inside], examples.marked[~inside], weights[~inside])
        log_odds[inside] = held_out_fit.log_odds(examples.features[inside])
        is_best[inside] = best_candidates(held_out_fit, examples)[inside]
    curve, briers = choose_curve(log_odds, examples.marked, weights, folds, is_best)
    fitted = fit_ordering(examples.features, examples.marked, weights)
    return LearnedOrdering(named(replace(fitted, calibration=curve.points)), curve.method, briers)


def repository_folds(examples: Examples) -> Numbers:
    """Divides the newer issues into FOLDS parts (folds). Returns the number of each issue's fold, shape (m,).

    All issues of a repository are in one fold. The repository with the most marked pairs is assigned first.
    Each repository is assigned to the fold that has the fewest marked pairs so far.
    """
    names, numbers = np.unique(examples.repos.astype(str), return_inverse=True)
    pairs = np.bincount(numbers, weights=examples.duplicates)
    fold_of, filled = np.zeros(len(names), np.int64), np.zeros(FOLDS)
    for number in np.argsort(-pairs, kind="stable").tolist():
        fold_of[number] = np.argmin(filled)
        filled[fold_of[number]] += pairs[number]
    return fold_of[numbers]
