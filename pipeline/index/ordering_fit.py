"""Fits an ordering: the weights that give a pair of issues its probability of being duplicates."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.index.ordering import FEATURES, Ordering

REGULARISATION: Final = 1e-3
AT_MOST: Final = {
    "crowd": 0.0,
    "title_conflict": -2.0,
    "missing_identifiers": -1.5,
    "added_identifiers": -1.5,
    "age": 0.0,
    "same_day": 0.0,
}
"""The upper limits of the weights of features that lower the probability. Every other weight is at least
0."""


def fit_ordering(
    features: npt.NDArray[np.float32],
    marked: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64] | None = None,
) -> Ordering:
    """Fits a logistic regression that predicts whether a pair is marked. Returns it as an ordering.

    `features` (n, len(FEATURES)) are the features of n pairs. `marked` (n,) says whether each pair is marked.
    `weights` (n,) says how many pairs each pair stands for; the default is one.

    The regression has one weight per feature, within limits. The weights of the features in AT_MOST are at
    most the values in AT_MOST, which are negative or 0. All other weights are at least 0. So each feature
    either only raises the probability or only lowers it. This makes the weights plausible for other
    repositories, and correlated features do not get weights that cancel each other.

    The loss is divided by the number of marked pairs, and a quadratic penalty on the weights of the features
    is added.
    """
    from scipy.optimize import minimize

    values = features.astype(np.float64)
    own = np.ones(len(marked)) if weights is None else weights
    pairs = max(float(own[marked].sum()), 1.0)

    def loss(parameters: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        score = values @ parameters[:-1] + parameters[-1]
        total = own @ np.logaddexp(0, np.where(marked, -score, score)) / pairs
        residual = own * (1 / (1 + np.exp(-score)) - marked) / pairs
        penalty = REGULARISATION * parameters[:-1]
        gradient = np.concatenate([values.T @ residual + 2 * penalty, [residual.sum()]])
        return float(total + penalty @ parameters[:-1]), gradient

    bounds = [(None, AT_MOST[name]) if name in AT_MOST else (0.0, None) for name in FEATURES]
    start = np.array([*(AT_MOST.get(name, 0.0) for name in FEATURES), 0.0])
    result = minimize(loss, start, jac=True, bounds=[*bounds, (None, None)], method="L-BFGS-B")
    fitted = tuple(round(float(value), 3) for value in result.x)
    return Ordering("fitted", fitted[:-1], fitted[-1])
