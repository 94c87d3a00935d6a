"""Beam search for the titles of many issues at once. One compiled function serves all variants.

The beam width is k. With k = 1 the search is greedy, and ends with the first finished title.

Each step extends the k best hypotheses (partial titles) of an issue by every token, and keeps the k best
results. A hypothesis that ends while it is among the k best is a finished title. The search for an issue ends
when there are at least k finished titles and no hypothesis scores better than the best of these titles. It
also ends when the hypotheses have the maximum length; they then count as titles, although they are not
finished. The score of a title is the mean log probability of its tokens, because a sum favours short titles
(Wu et al. 2016, "Google's Neural Machine Translation System", 7, with alpha = 1).

Repetition can be blocked. Then a title never contains the same trigram twice (Paulus et al. 2018, "A Deep
Reinforced Model for Abstractive Summarization", 2.5), or the same token twice in a row. Only one in two
hundred titles by authors repeats a token in this way. A network with little training does so in most of its
titles.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import keras
import numpy as np
from keras import KerasTensor, ops

from pipeline.networks.shape import PAD, UNKNOWN, Ids, Shape

BLOCKED = -1e9
"""The number that is added to the log probability of blocked tokens.

It is smaller than any sum of log probabilities of a title.
"""


class Decoder(Protocol):
    """The interface of a network that writes titles token by token.

    B is the number of issues, k the number of hypotheses (partial titles) per issue.
    """

    def begin(self, body: KerasTensor, shortlist: Ids | None) -> tuple[Any, KerasTensor]:
        """Encodes bodies (B, length). Returns a memory and the decoder's initial states (B, size).

        The memory has any type. It holds what the method `step` needs to know about the bodies. All
        hypotheses (partial titles) of an issue share the memory. If `shortlist` is None, `step` considers
        all tokens. Otherwise it considers only the tokens of the body and the tokens whose ids are in
        `shortlist`.
        """

    def step(self, memory: Any, state: KerasTensor, token: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
        """Computes the probabilities of the next token of each hypothesis (partial title).

        The inputs are the hypotheses' states (B, k, size) and last tokens (B, k). Returns the log probability
        of each token of the vocabulary (B, k, tokens), and the next states (B, k, size).
        """


class _Beams(NamedTuple):
    """The state of a beam search for the titles of B issues, between two steps.

    k is the number of hypotheses (partial titles) per issue. T is the maximum number of tokens per title.
    """

    step: Any
    """number of tokens written, a scalar"""
    finished: Any
    """number of finished titles, (B,)"""
    active: Any
    """whether the search for the issue goes on, (B,)"""
    best_score: Any
    """mean log probability of the best finished title, (B,)"""
    best_title: Any
    """ids of the best finished title, (B, T)"""
    hypotheses: Any
    """ids of the hypotheses, (B, k, T)"""
    second_last: Any
    """the token before the last one of each hypothesis, (B, k)"""
    last: Any
    """the last token of each hypothesis, (B, k)"""
    sums: Any
    """log probabilities of the hypotheses, (B, k)"""
    state: Any
    """states from which the decoder extends the hypotheses, (B, k, size)"""


class BeamSearch(keras.Model):
    """A Keras model that predicts a title for each of B bodies, by beam search.

    The input has the ids of the bodies, (B, length). The result has four arrays: ids of the titles (B, T),
    lengths of the titles (B,), mean log probabilities of their tokens (B,), and the decoder's initial states
    (B, size). T is shape.decoder_steps, the maximum number of tokens per title.
    """

    def __init__(
        self,
        decoder: Decoder,
        shape: Shape,
        start: int,
        end: int,
        width: int,
        block_repeats: bool,
        shortlist: Ids | None = None,
    ) -> None:
        """`start` and `end` are the ids of _start_ and _end_, and `width` is the beam width.

        If `block_repeats` is true, a title has no token twice in a row, and no trigram twice. If `shortlist`
        is None, the search considers all tokens. Otherwise it considers only the tokens of the body and the
        tokens whose ids are in `shortlist`.
        """
        super().__init__(name="search")
        self._decoder = decoder
        self._max_tokens, self._vocabulary = shape.decoder_steps, shape.title_vocabulary
        self._start, self._end, self._width = start, end, width
        self._block_repeats = block_repeats
        self._shortlist = shortlist

    def call(self, body: KerasTensor) -> tuple[KerasTensor, KerasTensor, KerasTensor, KerasTensor]:
        memory, initial_state = self._decoder.begin(body, self._shortlist)

        def unfinished(*variables: Any) -> Any:
            beams = _Beams(*variables)
            return ops.logical_and(beams.step < self._max_tokens, ops.any(beams.active))

        def extended(*variables: Any) -> Any:
            return self._extended(memory, _Beams(*variables))

        beams = _Beams(*ops.while_loop(unfinished, extended, self._initial_beams(body, initial_state)))
        scores = ops.where(beams.active[:, None], beams.sums / self._max_tokens, BLOCKED)
        title, score = keep_better(beams.best_title, beams.best_score, beams.hypotheses, scores)
        is_word = ops.logical_and(title != PAD, title != self._end)
        return title, ops.sum(ops.cast(is_word, "int32"), axis=1), score, initial_state

    def _initial_beams(self, body: KerasTensor, initial_state: KerasTensor) -> _Beams:
        width = self._width
        # Arrays get their shapes from sums with zeros, so that the compiler knows the number of hypotheses.
        last = ops.zeros_like(body[:, 0])[:, None] + np.full((1, width), self._start, np.int32)
        hypotheses = ops.zeros_like(last)[:, :, None] + np.zeros((1, 1, self._max_tokens), np.int32)
        # all hypotheses are the same at first, so only one of them is allowed
        first_only = np.array([0.0, *[BLOCKED] * (width - 1)], np.float32)
        sums = ops.zeros_like(last, dtype="float32") + first_only
        finished = ops.zeros_like(last[:, 0])
        return _Beams(
            step=ops.zeros((), "int32"),
            finished=finished,
            active=finished == 0,
            best_score=ops.full_like(sums[:, 0], BLOCKED),
            best_title=hypotheses[:, 0],
            hypotheses=hypotheses,
            second_last=ops.zeros_like(last),
            last=last,
            sums=sums,
            state=initial_state[:, None] + ops.zeros((1, width, 1), initial_state.dtype),
        )

    def _extended(self, memory: Any, beams: _Beams) -> _Beams:
        """Does one step of the search: extends each hypothesis (partial title) by one token.

        Returns the state of the search after this step.
        """
        width = self._width
        sums, parent, token, state = self._candidates(memory, beams)
        is_new = np.arange(self._max_tokens) == beams.step
        titles = ops.where(is_new, token[:, :, None], gather_beams(beams.hypotheses, parent))

        ends = token == self._end
        among_best = ops.logical_and(np.arange(2 * width) < width, beams.active[:, None])
        finishes = ops.logical_and(ends, among_best)
        length = ops.cast(beams.step + 1, "float32")
        best_title, best_score = keep_better(
            beams.best_title, beams.best_score, titles, ops.where(finishes, sums / length, BLOCKED)
        )
        finished = beams.finished + ops.sum(ops.cast(finishes, "int32"), axis=1)

        sums, unended = ops.top_k(ops.where(ends, 2 * BLOCKED, sums), width)
        parent = gather_beams(parent, unended)
        promising = finished < width
        if width > 1:
            promising = ops.logical_or(promising, ops.max(sums, axis=1) / length > best_score)
        return _Beams(
            step=beams.step + 1,
            finished=finished,
            active=ops.logical_and(beams.active, promising),
            best_score=best_score,
            best_title=best_title,
            hypotheses=gather_beams(titles, unended),
            second_last=gather_beams(beams.last, parent),
            last=gather_beams(token, unended),
            sums=sums,
            state=gather_beams(state, parent),
        )

    def _candidates(
        self, memory: Any, beams: _Beams
    ) -> tuple[KerasTensor, KerasTensor, KerasTensor, KerasTensor]:
        """Extends each issue's k hypotheses (partial titles) by every token. Returns the 2k best results.

        k results would not be enough: all of them may be finished titles, and the search needs k others to go
        on. Three of the returned arrays describe the results: sums of log probabilities, indices of the
        extended hypotheses, and last tokens, all (B, 2k). The fourth array has the next states of the k
        hypotheses (B, k, size).
        """
        logs, state = self._decoder.step(memory, beams.state, beams.last)
        blocked = self._blocked_tokens(beams)
        # BLOCKED is added, not assigned, so that a NaN stays a NaN and is noticed.
        logs = scatter(
            ops.cast(logs, "float32"),
            blocked,
            ops.full_like(blocked, BLOCKED, dtype="float32"),
            reduction="add",
        )
        per_hypothesis = min(2 * self._width, self._vocabulary)
        logs, tokens = ops.top_k(logs, per_hypothesis)
        flat_size = self._width * per_hypothesis
        sums = ops.reshape(beams.sums[:, :, None] + logs, (-1, flat_size))
        sums, flat_index = ops.top_k(sums, 2 * self._width)
        token = ops.take_along_axis(ops.reshape(tokens, (-1, flat_size)), flat_index, axis=1)
        return sums, flat_index // per_hypothesis, token, state

    def _blocked_tokens(self, beams: _Beams) -> KerasTensor:
        """Returns n blocked tokens for each hypothesis (partial title), as ids (B, k, n).

        A blocked token must not come next in the hypothesis. Padding, unknown and _start_ are always
        blocked. If `block_repeats` is true, the last token is blocked, too, and every token that would repeat
        a trigram of the hypothesis. Unused elements of the array contain PAD.
        """
        titles, last = beams.hypotheses, beams.last
        never = ops.zeros_like(last)[:, :, None] + np.array([PAD, UNKNOWN, self._start], np.int32)
        if not self._block_repeats:
            return never
        same_bigram = ops.logical_and(
            titles[:, :, :-2] == beams.second_last[:, :, None], titles[:, :, 1:-1] == last[:, :, None]
        )
        third_tokens = ops.where(same_bigram, titles[:, :, 2:], PAD)
        return ops.concatenate([never, last[:, :, None], third_tokens], axis=-1)


def gather_beams(values: KerasTensor, index: KerasTensor) -> KerasTensor:
    """Selects elements of `values` (B, k, ...) along the second axis. Returns them as an array (B, j, ...).

    `index` (B, j) has the indices of the selected elements.
    """
    rows, width = ops.shape(values)[0], values.shape[1]
    flat = ops.reshape(values, (-1, *values.shape[2:]))
    return ops.take(flat, index + width * ops.arange(rows, dtype="int32")[:, None], axis=0)


def keep_better(
    title: KerasTensor, score: KerasTensor, candidates: KerasTensor, candidate_scores: KerasTensor
) -> tuple[KerasTensor, KerasTensor]:
    """Returns the best title of each of B issues, (B, T), and its score (B,).

    `title` (B, T) has the best titles so far, and `score` (B,) has their scores. `candidates` (B, j, T) has j
    new titles per issue, and `candidate_scores` (B, j) has the scores of these titles.
    """
    best_index = ops.argmax(candidate_scores, axis=1)
    best_candidate = gather_beams(candidates, best_index[:, None])[:, 0]
    candidate_score = ops.max(candidate_scores, axis=1)
    best_title = ops.where((candidate_score > score)[:, None], best_candidate, title)
    return best_title, ops.maximum(candidate_score, score)


def sum_by_id(ids: KerasTensor, values: KerasTensor, size: int) -> KerasTensor:
    """Adds up, in each row of `values`, the numbers that have the same id. Returns the sums (B, k, size).

    `values` (B, k, n) has B x k rows of n numbers, and `ids` (B, k, n) has the id of each number. Ids are 0
    to `size` - 1. The result has one sum per row and id.
    """
    width, rows = ids.shape[1], ops.shape(ids)[0]
    flat_ids = ids + size * ops.reshape(ops.arange(rows * width, dtype="int32"), (-1, width, 1))
    sums = ops.segment_sum(ops.reshape(values, (-1,)), ops.reshape(flat_ids, (-1,)), rows * width * size)
    return ops.reshape(sums, (-1, width, size))


def scatter(
    values: KerasTensor, ids: KerasTensor, updates: KerasTensor, reduction: str | None = None
) -> KerasTensor:
    """Returns a copy of `values` (B, k, size) that is changed at the indices `ids` (B, k, n).

    `updates` (B, k, n) has one number for each index. If `reduction` is "add", this number is added to the
    value at the index. If `reduction` is None, the number replaces the value. In this case, all numbers
    for the same index must be equal.
    """
    rows, (width, size) = ops.shape(values)[0], values.shape[1:]
    flat_ids = ids + size * ops.reshape(ops.arange(rows * width, dtype="int32"), (-1, width, 1))
    flat = ops.scatter_update(
        ops.reshape(values, (-1,)), ops.reshape(flat_ids, (-1, 1)), ops.reshape(updates, (-1,)), reduction
    )
    return ops.reshape(flat, (-1, width, size))
