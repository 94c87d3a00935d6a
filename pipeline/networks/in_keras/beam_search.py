"""Beam search for the titles of a batch of issues, one compiled function for every variant; of width 1 it is greedy.

Each step lengthens the k best beginnings of an issue's title by every word and keeps the k best; one that ends among them is a title.
An issue is done where there is no more room, or with k titles, once none of its beginnings is better than the best of them. Better is
what has the higher mean log probability: sums alone favour short titles (Wu et al. 2016, "Google's Neural Machine Translation
System", 7, with alpha = 1). Where there was no more room, beginnings count as titles. Three tokens that a title has already written in
this order are not written again (Paulus et al. 2018, "A Deep Reinforced Model for Abstractive Summarization", 2.5), nor is the last token
at once: of authors' titles one in two hundred does that, of a network's that has seen little most do.
"""

from __future__ import annotations

from typing import Any, Protocol

import keras
import numpy as np
from keras import KerasTensor, ops

from pipeline.networks.shape import PAD, UNKNOWN, Shape

NEVER = -1e9
"""Added to the log probability of what may not be written; under every sum of those that may."""


class Steps(Protocol):
    """A network word by word. B issues, k beginnings of a title each."""

    def begin(self, body: KerasTensor) -> tuple[Any, KerasTensor]:
        """Bodies (B, length) -> what stays the same for all of an issue's titles, in any form; the decoder's first states (B, size)."""

    def step(self, memory: Any, state: KerasTensor, token: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
        """That, states (B, k, size), last tokens (B, k) -> log p of the next token (B, k, words), states."""


class Search(keras.Model):
    """Bodies (B, length) -> ids (B, shape.steps), words (B,), mean log probabilities (B,), first states (B, size); see `Decoded`."""

    def __init__(self, steps: Steps, shape: Shape, start: int, end: int, width: int, once: bool) -> None:
        """`once`: no token twice in a row, no three tokens twice."""
        super().__init__(name="search")
        self._steps = steps
        self._room, self._words = shape.steps, shape.title_vocabulary
        self._start, self._end, self._width = start, end, width
        self._once = once

    def call(self, body: KerasTensor) -> tuple[KerasTensor, KerasTensor, KerasTensor, KerasTensor]:
        memory, first = self._steps.begin(body)
        width, places = self._width, np.arange(self._room)
        # by sums, since they keep the number of beginnings known to the compiler
        last = ops.zeros_like(body[:, 0])[:, None] + np.full((1, width), self._start, np.int32)
        state = first[:, None] + ops.zeros((1, width, 1), first.dtype)
        titles = ops.zeros_like(last)[:, :, None] + np.zeros((1, 1, self._room), np.int32)
        # all beginnings are the same at first: one may go on
        sums = ops.zeros_like(last, dtype="float32") + np.array([0.0, *[NEVER] * (width - 1)], np.float32)
        best = ops.full_like(sums[:, 0], NEVER)

        def unfinished(step: Any, ended: Any, going_on: Any, *_: Any) -> Any:
            return ops.logical_and(step < self._room, ops.any(going_on))

        def write(
            step: Any,
            ended: Any,
            going_on: Any,
            best: Any,
            title: Any,
            titles: Any,
            before: Any,
            last: Any,
            sums: Any,
            state: Any,
        ) -> Any:
            logs, state = self._steps.step(memory, state, last)
            barred = self._barred(titles, before, last)
            # added, so that what is no number stays none, and is told
            logs = put(
                ops.cast(logs, "float32"),
                barred,
                ops.full_like(barred, NEVER, dtype="float32"),
                reduction="add",
            )
            # twice the width: as many may end, and as many must go on; the best of all are among the best of each beginning
            most = min(2 * width, self._words)
            candidates, tokens = ops.top_k(logs, most)
            candidates, places_of = ops.top_k(
                ops.reshape(sums[:, :, None] + candidates, (-1, width * most)), 2 * width
            )
            parent, token = (
                places_of // most,
                ops.take_along_axis(ops.reshape(tokens, (-1, width * most)), places_of, axis=1),
            )
            grown = ops.where(places == step, token[:, :, None], chosen(titles, parent))

            ends = token == self._end
            counts = ops.logical_and(ends, ops.logical_and(np.arange(2 * width) < width, going_on[:, None]))
            length = ops.cast(step + 1, "float32")
            title, best = better(title, best, grown, ops.where(counts, candidates / length, NEVER))
            ended = ended + ops.sum(ops.cast(counts, "int32"), axis=1)

            sums, going = ops.top_k(ops.where(ends, 2 * NEVER, candidates), width)
            state, titles = chosen(state, chosen(parent, going)), chosen(grown, going)
            # greedy takes the first end there is
            hopeful = (
                ended < width
                if width == 1
                else ops.logical_or(ended < width, ops.max(sums, axis=1) / length > best)
            )
            going_on = ops.logical_and(going_on, hopeful)
            return (
                step + 1,
                ended,
                going_on,
                best,
                title,
                titles,
                chosen(last, chosen(parent, going)),
                chosen(token, going),
                sums,
                state,
            )

        step, ended = ops.zeros((), "int32"), ops.zeros_like(last[:, 0])
        begun = step, ended, ended == 0, best, titles[:, 0], titles, ops.zeros_like(last), last, sums, state
        step, ended, going_on, best, title, titles, _, _, sums, _ = ops.while_loop(unfinished, write, begun)
        means = ops.where(going_on[:, None], sums / self._room, NEVER)
        title, best = better(title, best, titles, means)
        words = ops.sum(ops.cast(ops.logical_and(title != PAD, title != self._end), "int32"), axis=1)
        return title, words, best, first

    def _barred(self, titles: KerasTensor, before: KerasTensor, last: KerasTensor) -> KerasTensor:
        """(B, k, n): what may not be written next: no title, the last token, the third of three tokens once more, or else PAD again."""
        never = ops.zeros_like(last)[:, :, None] + np.array([PAD, UNKNOWN, self._start], np.int32)
        if not self._once:
            return never
        same = ops.logical_and(
            titles[:, :, :-2] == before[:, :, None], titles[:, :, 1:-1] == last[:, :, None]
        )
        return ops.concatenate([never, last[:, :, None], ops.where(same, titles[:, :, 2:], PAD)], axis=-1)


def chosen(values: KerasTensor, index: KerasTensor) -> KerasTensor:
    """values (B, k, ...) and an index (B, j) into the second axis -> (B, j, ...)."""
    rows, width = ops.shape(values)[0], values.shape[1]
    flat = ops.reshape(values, (-1, *values.shape[2:]))
    return ops.take(flat, index + width * ops.arange(rows, dtype="int32")[:, None], axis=0)


def better(
    title: KerasTensor, best: KerasTensor, titles: KerasTensor, means: KerasTensor
) -> tuple[KerasTensor, KerasTensor]:
    """Titles (B, T) and their means (B,), and candidates (B, j, T) with theirs (B, j) -> the better of each issue."""
    highest = ops.argmax(means, axis=1)
    found, mean = chosen(titles, highest[:, None])[:, 0], ops.max(means, axis=1)
    return ops.where((mean > best)[:, None], found, title), ops.maximum(mean, best)


def spread(ids: KerasTensor, values: KerasTensor, size: int) -> KerasTensor:
    """(B, k, size): the sums of the values (B, k, n) at their ids (B, k, n)."""
    width, rows = ids.shape[1], ops.shape(ids)[0]
    places = ids + size * ops.reshape(ops.arange(rows * width, dtype="int32"), (-1, width, 1))
    sums = ops.segment_sum(ops.reshape(values, (-1,)), ops.reshape(places, (-1,)), rows * width * size)
    return ops.reshape(sums, (-1, width, size))


def put(
    values: KerasTensor, ids: KerasTensor, others: KerasTensor, reduction: str | None = None
) -> KerasTensor:
    """The values (B, k, size) with others (B, k, n) in their place, or added to them, at the ids (B, k, n).

    Where an id is there twice, and nothing is added, it has the same other twice.
    """
    rows, (width, size) = ops.shape(values)[0], values.shape[1:]
    places = ids + size * ops.reshape(ops.arange(rows * width, dtype="int32"), (-1, width, 1))
    flat = ops.scatter_update(
        ops.reshape(values, (-1,)), ops.reshape(places, (-1, 1)), ops.reshape(others, (-1,)), reduction
    )
    return ops.reshape(flat, (-1, width, size))
