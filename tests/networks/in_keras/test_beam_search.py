"""Beam search over networks of a few words whose probabilities are written out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from keras import ops

from pipeline.networks.in_keras.beam_search import Search, chosen, put, spread
from pipeline.networks.in_numpy.beam_search import search as in_numpy
from pipeline.networks.shape import Shape

START, END, A, B, C = 2, 3, 4, 5, 6
BODY = np.ones((1, 2), np.int32)


class Table:
    """A network whose next word depends on the last one alone: `rows` (words, words) are probabilities, of rows by the last word.

    Serves the search of Keras and that of NumPy alike.
    """

    def __init__(self, rows: dict[int, dict[int, float]]) -> None:
        p = np.full((7, 7), 1e-9, np.float32)
        for last, following in rows.items():
            for word, probability in following.items():
                p[last, word] = probability
        self.logs: npt.NDArray[np.float32] = np.log(p)

    def begin(self, body: Any) -> tuple[Any, Any]:
        return (), body[:, :1] * np.float32(1) if isinstance(body, np.ndarray) else ops.cast(
            body[:, :1], "float32"
        )

    def step(self, memory: Any, state: Any, token: Any) -> tuple[Any, Any]:
        return (
            self.logs[token] if isinstance(token, np.ndarray) else ops.take(self.logs, token, axis=0)
        ), state

    def embedded(self, body: Any, state: Any) -> Any:
        return state

    def embed(self, body: Any, title: Any) -> Any:
        return self.begin(body)[1]


def decoded(
    rows: dict[int, dict[int, float]], width: int, room: int = 5, once: bool = True
) -> tuple[Any, Any]:
    """The title that both searches find, and exp of its mean log probability."""
    shape = Shape(7, 7, body_length=2, title_length=room + 1)
    keras = [
        np.asarray(part)
        for part in Search(Table(rows), shape, START, END, width, once).predict_on_batch(BODY)
    ]
    numpy = in_numpy(Table(rows), BODY, shape, START, END, width, once)
    assert keras[0].tolist() == numpy[0].tolist()
    np.testing.assert_allclose(keras[2], numpy[2], rtol=1e-5)
    return numpy[0][0].tolist(), math.exp(float(numpy[2][0]))


GARDEN_PATH = {START: {A: 0.6, B: 0.4}, A: {C: 0.55, END: 0.45}, C: {END: 0.6, A: 0.4}, B: {END: 1.0}}


def test_greedy_takes_the_likeliest_next_word_and_regrets_it() -> None:
    assert decoded(GARDEN_PATH, width=1) == ([A, C, END, 0, 0], pytest.approx((0.6 * 0.55 * 0.6) ** (1 / 3)))


def test_a_beam_finds_the_title_that_is_likelier_as_a_whole() -> None:
    assert decoded(GARDEN_PATH, width=2) == ([B, END, 0, 0, 0], pytest.approx((0.4 * 1.0) ** (1 / 2)))


def test_a_longer_title_wins_where_its_words_are_likelier_on_average() -> None:
    rows = {START: {A: 0.6, END: 0.4}, A: {B: 0.9, END: 0.1}, B: {C: 0.9, END: 0.1}, C: {END: 0.9, A: 0.1}}
    assert decoded(rows, width=3) == ([A, B, C, END, 0], pytest.approx((0.6 * 0.9**3) ** (1 / 4)))


LOOP = {START: {A: 1.0}, A: {B: 1.0}, B: {C: 1.0}, C: {A: 0.9, END: 0.1}}


def test_greedy_that_may_repeat_itself_goes_round_in_a_circle() -> None:
    assert decoded(LOOP, width=1, room=8, once=False)[0] == [A, B, C, A, B, C, A, B]


@pytest.mark.parametrize("width", [1, 2])
def test_no_word_is_written_twice_in_a_row(width: int) -> None:
    rows = {START: {A: 1.0}, A: {A: 0.9, B: 0.1}, B: {B: 0.5, A: 0.3, END: 0.2}}
    assert decoded(rows, width, room=3)[0] == [A, B, A]
    assert decoded(rows, width, room=3, once=False)[0] == [A, A, A]


@pytest.mark.parametrize("width", [1, 2])
def test_no_three_words_are_written_twice(width: int) -> None:
    # A B C is written; A B may come again, as a pair, but C behind it would be the same three words
    rows = {**LOOP, B: {C: 0.9, END: 0.1}}
    assert decoded(rows, width=1, room=8)[0] == [A, B, C, A, B, END, 0, 0]
    assert decoded(rows, width, room=8)[0][-3:] != [A, B, C]


def test_a_beam_may_be_wider_than_half_the_vocabulary() -> None:
    assert decoded(GARDEN_PATH, width=5) == decoded(GARDEN_PATH, width=2)


def test_what_has_no_room_left_is_a_title_without_an_end() -> None:
    rows = {START: {A: 1.0}, A: {B: 1.0}, B: {C: 1.0}, C: {A: 1.0}}
    assert decoded(rows, width=2, room=3) == ([A, B, C], pytest.approx(1.0))


def test_padding_unknown_and_start_are_passed_over() -> None:
    rows = {START: {0: 0.3, 1: 0.3, 2: 0.3, A: 0.1}, A: {0: 0.9, END: 0.1}}
    assert decoded(rows, width=2) == ([A, END, 0, 0, 0], pytest.approx(0.1))


def test_values_of_one_id_are_added_up() -> None:
    ids, values = np.array([[[0, 2, 2], [1, 1, 1]]], np.int32), np.array([[[1, 2, 3], [4, 5, 6]]], np.float32)
    assert np.asarray(spread(ops.convert_to_tensor(ids), ops.convert_to_tensor(values), 4)).tolist() == [
        [[1, 0, 5, 0], [0, 15, 0, 0]]
    ]


@pytest.mark.parametrize("width", [1, 3])
def test_probabilities_that_are_no_numbers_are_not_passed_over(width: int) -> None:
    broken = Table({})
    broken.logs = broken.logs * np.nan
    shape = Shape(7, 7, body_length=2, title_length=5)
    found = [
        Search(broken, shape, START, END, width, True).predict_on_batch(BODY),
        in_numpy(broken, BODY, shape, START, END, width, True),
    ]
    assert [np.isnan(np.asarray(each[2])).all() for each in found] == [True, True]


def test_values_are_put_at_ids_and_the_others_stay() -> None:
    values, ids = np.array([[[1, 2, 3], [4, 5, 6]]], np.float32), np.array([[[2, 2], [0, 1]]], np.int32)
    others = np.array([[[9, 9], [7, 8]]], np.float32)
    values, ids, others = (ops.convert_to_tensor(each) for each in (values, ids, others))
    assert np.asarray(put(values, ids, others)).tolist() == [[[1, 2, 9], [7, 8, 6]]]
    assert np.asarray(put(values, ids, others, reduction="add")).tolist() == [[[1, 2, 21], [11, 13, 6]]]


def test_each_row_is_chosen_from_by_its_own_index() -> None:
    values, index = np.array([[10, 11, 12], [20, 21, 22]], np.int32), np.array([[2, 2], [0, 1]], np.int32)
    assert np.asarray(chosen(ops.convert_to_tensor(values), ops.convert_to_tensor(index))).tolist() == [
        [12, 12],
        [20, 21],
    ]
