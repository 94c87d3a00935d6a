"""Beam search, as `pipeline.networks.in_keras.beam_search` does it, where it is explained."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.networks.shape import PAD, UNKNOWN, Floats, Ids, Shape

NEVER = np.float32(-1e9)


class Steps(Protocol):
    """A network word by word. B issues, k beginnings of a title each."""

    def embed(self, body: Ids, title: Ids | None) -> Floats:
        """Bodies (B, body_length) and titles (B, title_length), or none -> embeddings (B, hidden_size)."""

    def embedded(self, body: Ids, state: Floats) -> Floats:
        """The embeddings of bodies alone, whose first states are known already."""

    def begin(self, body: Ids) -> tuple[Any, Floats]:
        """Bodies (B, body_length) -> what stays the same for all of an issue's titles; the decoder's first states (B, size)."""

    def step(self, memory: Any, state: Floats, token: Ids) -> tuple[Floats, Floats]:
        """That, states (B, k, size), last tokens (B, k) -> log p of the next token (B, k, words), states."""


def search(
    network: Steps, body: Ids, shape: Shape, start: int, end: int, width: int, once: bool
) -> tuple[Ids, Ids, Floats, Floats]:
    """Bodies (B, body_length) -> ids (B, shape.steps), words (B,), mean log probabilities (B,), embeddings (B, hidden_size)."""
    memory, first = network.begin(body)
    issues, words = np.arange(len(body))[:, None], shape.title_vocabulary
    state = np.repeat(first[:, None], width, axis=1)
    titles = np.full((len(body), width, shape.steps), PAD, np.int32)
    last = np.full((len(body), width), start, np.int32)
    before = np.zeros_like(last)
    sums = np.tile(np.array([0, *[NEVER] * (width - 1)], np.float32), (len(body), 1))
    title, best = titles[:, 0].copy(), np.full(len(body), NEVER)
    ended, going_on = np.zeros(len(body), np.int32), np.ones(len(body), bool)
    for step in range(shape.steps):
        if not going_on.any():
            break
        logs, state = network.step(memory, state, last)
        logs[:, :, [PAD, UNKNOWN, start]] += NEVER
        if once:
            same = (titles[:, :, :-2] == before[:, :, None]) & (titles[:, :, 1:-1] == last[:, :, None])
            issue, beginning, place = np.nonzero(same)
            logs[issue, beginning, titles[issue, beginning, place + 2]] += NEVER
            logs[issues, np.arange(width), last] += NEVER
        candidates, places = _top((sums[:, :, None] + logs).reshape(len(body), width * words), 2 * width)
        parent, token = places // words, (places % words).astype(np.int32)
        grown = titles[issues, parent]
        grown[:, :, step] = token

        ends = token == end
        counts = ends & (np.arange(2 * width) < width) & going_on[:, None]
        title, best = _better(title, best, grown, np.where(counts, candidates / np.float32(step + 1), NEVER))
        ended += counts.sum(axis=1, dtype=np.int32)

        sums, going = _top(np.where(ends, 2 * NEVER, candidates), width)
        parent = parent[issues, going]
        titles, state, before, last = (
            grown[issues, going],
            state[issues, parent],
            last[issues, parent],
            token[issues, going],
        )
        going_on &= (ended < width) | ((width > 1) & (sums.max(axis=1) / np.float32(step + 1) > best))
    title, best = _better(
        title, best, titles, np.where(going_on[:, None], sums / np.float32(shape.steps), NEVER)
    )
    return (
        title,
        ((title != PAD) & (title != end)).sum(axis=1, dtype=np.int32),
        best,
        network.embedded(body, first),
    )


def _top(values: Floats, count: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The highest of each row (n, count), in order, and their places; of equals, the first."""
    places = np.sort(np.argpartition(-values, count - 1, axis=1)[:, :count], axis=1)
    found = np.take_along_axis(values, places, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(places, order, axis=1)


def _better(title: Ids, best: Floats, titles: Ids, means: Floats) -> tuple[Ids, Floats]:
    """Titles (B, T) and their means (B,), and candidates (B, j, T) with theirs (B, j) -> the better of each issue."""
    rows, highest = np.arange(len(title)), means.argmax(axis=1)
    mean = means[rows, highest]
    return np.where((mean > best)[:, None], titles[rows, highest], title), np.maximum(mean, best)
