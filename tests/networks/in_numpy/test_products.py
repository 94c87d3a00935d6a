"""Products with weights, in single precision and with 8 bits per number."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.networks.in_numpy.products import product

KERNEL = np.array([[0.5, 100.0], [-0.25, 0.0]], np.float32)
STATES = np.array([[1.0, -1.0], [0.5, 0.0], [0.0, 0.0]], np.float32)


def test_without_a_limit_products_are_computed_in_single_precision() -> None:
    assert product(KERNEL, None)(STATES).tolist() == (STATES @ KERNEL).tolist()


@pytest.mark.parametrize("limit", [1.0, 2.0])
def test_with_a_limit_products_have_the_precision_of_255_steps(limit: float) -> None:
    errors = product(KERNEL, limit)(STATES) - STATES @ KERNEL
    # A state is wrong by at most half a step, and so is a number of the weights' columns.
    assert (np.abs(errors) <= 2 * limit * np.array([0.5, 100]) / 127).all()


def test_a_state_at_the_limit_is_not_cut_off() -> None:
    assert product(KERNEL, 1.0)(STATES[:1]).tolist() == [pytest.approx([0.75, 100], rel=0.01)]


def test_the_product_of_a_state_does_not_depend_on_the_other_states() -> None:
    random = np.random.default_rng(0)
    kernel, states = (
        random.normal(size=(300, 450)).astype(np.float32),
        np.tanh(random.normal(size=(128, 300))),
    )
    multiply = product(kernel, 1.0)
    together = multiply(states.astype(np.float32))
    assert [multiply(state[None])[0].tolist() for state in states[:5].astype(np.float32)] == [
        row.tolist() for row in together[:5]
    ]
