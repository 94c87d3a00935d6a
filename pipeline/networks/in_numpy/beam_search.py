"""Beam search in NumPy. `pipeline.networks.in_keras.beam_search` explains it, and finds the same titles."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.networks.shape import PAD, UNKNOWN, Floats, Ids, Shape

BLOCKED = np.float32(-1e9)
"""The number that is added to the log probability of blocked tokens.

It is smaller than any sum of log probabilities of a title.
"""


class Decoder(Protocol):
    """The interface of a network that embeds issues and writes titles token by token.

    B is the number of issues, k the number of hypotheses (partial titles) per issue.
    """

    def embed(self, body: Ids, title: Ids | None) -> Floats:
        """Embeds bodies (B, body_length) with titles (B, title_length) or None. Returns (B, hidden_size)."""

    def embed_decoded(self, body: Ids, initial_state: Floats) -> Floats:
        """Embeds bodies (B, body_length) without titles. Returns (B, hidden_size).

        `initial_state` (B, size) are the initial states that `begin` returned for these bodies.
        """

    def begin(self, body: Ids) -> tuple[Any, Floats]:
        """Encodes bodies (B, body_length). Returns a memory and the decoder's initial states (B, size).

        The memory, of any type, holds what `step` needs of the bodies. All hypotheses of an issue share it.
        """

    def step(self, memory: Any, state: Floats, token: Ids) -> tuple[Floats, Floats]:
        """Extends hypotheses by one token, from their states (B, k, size) and last tokens (B, k).

        Returns the log probabilities of the next token (B, k, tokens), and the next states (B, k, size).
        """


def search(
    network: Decoder, body: Ids, shape: Shape, start: int, end: int, width: int, block_repeats: bool
) -> tuple[Ids, Ids, Floats, Floats]:
    """Decodes a title for each of the bodies (B, body_length).

    Returns ids (B, T), lengths (B,), mean log probabilities (B,) and embeddings (B, hidden_size), as in
    `Decoded`. T is shape.decoder_steps. `start` and `end` are the ids of _start_ and _end_, `width` is the
    beam width. `block_repeats` says whether tokens and trigrams may not be repeated.
    """
    memory, initial_state = network.begin(body)
    issues, vocabulary = np.arange(len(body))[:, None], shape.title_vocabulary
    state = np.repeat(initial_state[:, None], width, axis=1)
    hypotheses = np.full((len(body), width, shape.decoder_steps), PAD, np.int32)
    last = np.full((len(body), width), start, np.int32)
    second_last = np.zeros_like(last)
    # all hypotheses are the same at first, so only one of them is allowed
    sums = np.tile(np.array([0, *[BLOCKED] * (width - 1)], np.float32), (len(body), 1))
    best_title, best_score = hypotheses[:, 0].copy(), np.full(len(body), BLOCKED)
    finished, active = np.zeros(len(body), np.int32), np.ones(len(body), bool)
    for step in range(shape.decoder_steps):
        if not active.any():
            break
        logs, state = network.step(memory, state, last)
        logs[:, :, [PAD, UNKNOWN, start]] += BLOCKED
        if block_repeats:
            _block_repeats(logs, hypotheses, second_last, last)
        flat = (sums[:, :, None] + logs).reshape(len(body), width * vocabulary)
        candidates, flat_index = _highest(flat, 2 * width)
        parent, token = flat_index // vocabulary, (flat_index % vocabulary).astype(np.int32)
        titles = hypotheses[issues, parent]
        titles[:, :, step] = token

        ends = token == end
        finishes = ends & (np.arange(2 * width) < width) & active[:, None]
        scores = np.where(finishes, candidates / np.float32(step + 1), BLOCKED)
        best_title, best_score = _keep_better(best_title, best_score, titles, scores)
        finished += finishes.sum(axis=1, dtype=np.int32)

        sums, unended = _highest(np.where(ends, 2 * BLOCKED, candidates), width)
        parent = parent[issues, unended]
        hypotheses, state = titles[issues, unended], state[issues, parent]
        second_last, last = last[issues, parent], token[issues, unended]
        promising = (width > 1) & (sums.max(axis=1) / np.float32(step + 1) > best_score)
        active &= (finished < width) | promising
    scores = np.where(active[:, None], sums / np.float32(shape.decoder_steps), BLOCKED)
    title, score = _keep_better(best_title, best_score, hypotheses, scores)
    lengths = ((title != PAD) & (title != end)).sum(axis=1, dtype=np.int32)
    return title, lengths, score, network.embed_decoded(body, initial_state)


def _block_repeats(logs: Floats, hypotheses: Ids, second_last: Ids, last: Ids) -> None:
    """Blocks the last token, and tokens that would repeat a trigram, by lowering their `logs` in place."""
    same_bigram = (hypotheses[:, :, :-2] == second_last[:, :, None]) & (
        hypotheses[:, :, 1:-1] == last[:, :, None]
    )
    issue, hypothesis, position = np.nonzero(same_bigram)
    logs[issue, hypothesis, hypotheses[issue, hypothesis, position + 2]] += BLOCKED
    logs[np.arange(len(last))[:, None], np.arange(last.shape[1]), last] += BLOCKED


def _highest(values: Floats, count: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Returns the `count` highest values of each row in descending order, and their indices, both (n, count).

    Equal values are in the order of their indices.
    """
    index = np.sort(np.argpartition(-values, count - 1, axis=1)[:, :count], axis=1)
    highest = np.take_along_axis(values, index, axis=1)
    order = np.argsort(-highest, axis=1, kind="stable")
    return np.take_along_axis(highest, order, axis=1), np.take_along_axis(index, order, axis=1)


def _keep_better(title: Ids, score: Floats, candidates: Ids, scores: Floats) -> tuple[Ids, Floats]:
    """Returns the best title of each issue (B, T) and its score (B,).

    The best title so far is `title` (B, T), with its `score` (B,). It is compared with j `candidates`
    (B, j, T) and their `scores` (B, j).
    """
    rows, best_index = np.arange(len(title)), scores.argmax(axis=1)
    candidate_score = scores[rows, best_index]
    is_better = (candidate_score > score)[:, None]
    return np.where(is_better, candidates[rows, best_index], title), np.maximum(candidate_score, score)
