"""Beam search over decoders with a few words, whose probabilities are given as a table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from keras import ops

from pipeline.networks.in_keras.beam_search import BeamSearch, gather_beams, scatter, sum_by_id
from pipeline.networks.in_numpy.beam_search import search as search_in_numpy
from pipeline.networks.shape import Shape

START, END, A, B, C = 2, 3, 4, 5, 6
BODY = np.ones((1, 2), np.int32)


class TableDecoder:
    """A decoder whose next word depends only on the last word: `rows` has its probabilities by the last word.

    Works with the search in Keras and with the search in NumPy.
    """

    def __init__(self, rows: dict[int, dict[int, float]]) -> None:
        p = np.full((7, 7), 1e-9, np.float32)
        for last, following in rows.items():
            for word, probability in following.items():
                p[last, word] = probability
        self.logs: npt.NDArray[np.float32] = np.log(p)

    def begin(self, body: Any, shortlist: Any = None) -> tuple[Any, ...]:
        if isinstance(body, np.ndarray):
            tokens = np.broadcast_to(np.arange(len(self.logs), dtype=np.int32), (len(body), len(self.logs)))
            return (), body[:, :1] * np.float32(1), tokens
        return (), ops.cast(body[:, :1], "float32")

    def step(self, memory: Any, state: Any, token: Any) -> tuple[Any, ...]:
        if isinstance(token, np.ndarray):
            return self.logs[token], np.zeros(token.shape, np.float32), state
        return ops.take(self.logs, token, axis=0), state

    def select(self, memory: Any, issues: Any) -> Any:
        return memory

    def embed_decoded(self, body: Any, initial_state: Any) -> Any:
        return initial_state

    def embed(self, body: Any, title: Any) -> Any:
        return self.begin(body)[1]


def decoded(
    rows: dict[int, dict[int, float]], width: int, max_tokens: int = 5, block_repeats: bool = True
) -> tuple[Any, Any]:
    """The title that both searches write, and exp of its mean log probability."""
    shape = Shape(7, 7, body_length=2, title_length=max_tokens + 1)
    decoder = TableDecoder(rows)
    search = BeamSearch(decoder, shape, START, END, width, block_repeats)
    keras_ids, _, keras_scores, _ = (np.asarray(array) for array in search.predict_on_batch(BODY))
    ids, _, scores, _ = search_in_numpy(decoder, BODY, shape, START, END, width, block_repeats)
    assert keras_ids.tolist() == ids.tolist()
    np.testing.assert_allclose(keras_scores, scores, rtol=1e-5)
    return ids[0].tolist(), math.exp(float(scores[0]))


GARDEN_PATH = {START: {A: 0.6, B: 0.4}, A: {C: 0.55, END: 0.45}, C: {END: 0.6, A: 0.4}, B: {END: 1.0}}


def test_greedy_decoding_takes_the_most_probable_next_word_even_if_the_title_is_worse() -> None:
    assert decoded(GARDEN_PATH, width=1) == ([A, C, END, 0, 0], pytest.approx((0.6 * 0.55 * 0.6) ** (1 / 3)))


def test_beam_search_finds_the_title_with_the_higher_mean_log_probability() -> None:
    assert decoded(GARDEN_PATH, width=2) == ([B, END, 0, 0, 0], pytest.approx((0.4 * 1.0) ** (1 / 2)))


def test_a_longer_title_wins_if_its_words_are_more_probable_on_average() -> None:
    rows = {START: {A: 0.6, END: 0.4}, A: {B: 0.9, END: 0.1}, B: {C: 0.9, END: 0.1}, C: {END: 0.9, A: 0.1}}
    assert decoded(rows, width=3) == ([A, B, C, END, 0], pytest.approx((0.6 * 0.9**3) ** (1 / 4)))


LOOP = {START: {A: 1.0}, A: {B: 1.0}, B: {C: 1.0}, C: {A: 0.9, END: 0.1}}


def test_greedy_decoding_that_may_repeat_itself_loops() -> None:
    assert decoded(LOOP, width=1, max_tokens=8, block_repeats=False)[0] == [A, B, C, A, B, C, A, B]


@pytest.mark.parametrize("width", [1, 2])
def test_a_word_is_not_written_twice_in_a_row(width: int) -> None:
    rows = {START: {A: 1.0}, A: {A: 0.9, B: 0.1}, B: {B: 0.5, A: 0.3, END: 0.2}}
    assert decoded(rows, width, max_tokens=3)[0] == [A, B, A]
    assert decoded(rows, width, max_tokens=3, block_repeats=False)[0] == [A, A, A]


@pytest.mark.parametrize("width", [1, 2])
def test_a_trigram_is_not_written_twice(width: int) -> None:
    # after A B C, the bigram A B may be repeated, but a C behind it would repeat the trigram
    rows = {**LOOP, B: {C: 0.9, END: 0.1}}
    assert decoded(rows, width=1, max_tokens=8)[0] == [A, B, C, A, B, END, 0, 0]
    assert decoded(rows, width, max_tokens=8)[0][-3:] != [A, B, C]


def test_the_beam_width_may_be_more_than_half_the_vocabulary() -> None:
    assert decoded(GARDEN_PATH, width=5) == decoded(GARDEN_PATH, width=2)


def test_a_hypothesis_of_the_maximum_length_is_a_title_without_an_end() -> None:
    rows = {START: {A: 1.0}, A: {B: 1.0}, B: {C: 1.0}, C: {A: 1.0}}
    assert decoded(rows, width=2, max_tokens=3) == ([A, B, C], pytest.approx(1.0))


def test_padding_unknown_and_start_are_never_written() -> None:
    rows = {START: {0: 0.3, 1: 0.3, 2: 0.3, A: 0.1}, A: {0: 0.9, END: 0.1}}
    assert decoded(rows, width=2) == ([A, END, 0, 0, 0], pytest.approx(0.1))


def test_the_values_of_the_same_id_are_summed() -> None:
    ids, values = np.array([[[0, 2, 2], [1, 1, 1]]], np.int32), np.array([[[1, 2, 3], [4, 5, 6]]], np.float32)
    assert np.asarray(sum_by_id(ops.convert_to_tensor(ids), ops.convert_to_tensor(values), 4)).tolist() == [
        [[1, 0, 5, 0], [0, 15, 0, 0]]
    ]


@pytest.mark.parametrize("width", [1, 3])
def test_probabilities_that_are_not_numbers_give_a_score_that_is_not_a_number(width: int) -> None:
    broken = TableDecoder({})
    broken.logs = broken.logs * np.nan
    shape = Shape(7, 7, body_length=2, title_length=5)
    results = [
        BeamSearch(broken, shape, START, END, width, True).predict_on_batch(BODY),
        search_in_numpy(broken, BODY, shape, START, END, width, True),
    ]
    assert [np.isnan(np.asarray(result[2])).all() for result in results] == [True, True]


def test_updates_replace_the_values_at_their_ids_or_are_added_to_them() -> None:
    values, ids = np.array([[[1, 2, 3], [4, 5, 6]]], np.float32), np.array([[[2, 2], [0, 1]]], np.int32)
    updates = np.array([[[9, 9], [7, 8]]], np.float32)
    values, ids, updates = (ops.convert_to_tensor(array) for array in (values, ids, updates))
    assert np.asarray(scatter(values, ids, updates)).tolist() == [[[1, 2, 9], [7, 8, 6]]]
    assert np.asarray(scatter(values, ids, updates, reduction="add")).tolist() == [[[1, 2, 21], [11, 13, 6]]]


def test_each_row_is_gathered_by_its_own_index() -> None:
    values, index = np.array([[10, 11, 12], [20, 21, 22]], np.int32), np.array([[2, 2], [0, 1]], np.int32)
    assert np.asarray(gather_beams(ops.convert_to_tensor(values), ops.convert_to_tensor(index))).tolist() == [
        [12, 12],
        [20, 21],
    ]
