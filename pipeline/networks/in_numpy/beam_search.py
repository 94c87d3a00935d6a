"""Beam search in NumPy. It finds the same titles as `pipeline.networks.in_keras.beam_search`.

The other module explains the search. In this module, issues whose search has ended are removed from the
batch, several at a time, so that nothing more is computed for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.networks.shape import PAD, UNKNOWN, Floats, Ids, Shape

BLOCKED = np.float32(-1e9)
"""The number that is added to the log probability of blocked tokens.

It is smaller than any sum of log probabilities of a title.
"""
LOWEST_SCORE = -1e6
"""A lower mean log probability is that of a title with a blocked token, or of no title."""
ENDED_SHARE = 0.1
"""The share of the issues of a batch whose search must have ended before they are removed from the batch.
Removing them copies the memory of all other issues."""
BLOCK_SIZE = 100
"""Number of tokens in a block of `_best_extensions`."""
Indices = npt.NDArray[np.int64]


class Decoder(Protocol):
    """The interface of a network that embeds issues and writes titles token by token.

    B is the number of issues, k the number of hypotheses (partial titles) per issue.
    """

    def embed(self, body: Ids, title: Ids | None) -> Floats:
        """Returns the embeddings (B, hidden_size) of issues.

        Bodies are (B, body_length). Titles are (B, title_length) or None.
        """

    def embed_decoded(self, body: Ids, initial_state: Floats) -> Floats:
        """Returns the embeddings (B, hidden_size) of issues from their bodies (B, body_length) alone.

        `initial_state` (B, size) are the initial states that `begin` returned for these bodies.
        """

    def begin(self, body: Ids) -> tuple[Any, Floats, Ids]:
        """Encodes bodies (B, body_length).

        Returns a memory, the decoder's initial states (B, size), and the tokens (B, C) that are considered
        for each title. The memory has any type. It holds what the method `step` needs to know about the
        bodies. All hypotheses (partial titles) of an issue share the memory. Each row of tokens begins with
        PAD and UNKNOWN. _start_ and _end_ have the same columns in all rows. If fewer than C tokens are
        considered for a title, PAD fills the last columns of its row.
        """

    def select(self, memory: Any, issues: Indices) -> Any:
        """Returns the memory of only those issues that have the indices `issues`.

        `memory` is the result of `begin` for all issues.
        """

    def step(self, memory: Any, state: Floats, token: Ids) -> tuple[Floats, Floats, Floats]:
        """Computes the probabilities of the next token of each hypothesis (partial title).

        The inputs are the hypotheses' states (B, k, size) and last tokens (B, k). Returns scores (B, k, C) of
        the tokens that `begin` returned, offsets (B, k), and the next states (B, k, size). The log
        probability of a token is its score plus the offset of its hypothesis.
        """


@dataclass
class _Beams:
    """The state of a beam search for the titles of n issues, between two steps.

    k is the number of hypotheses (partial titles) per issue in this step. T is the maximum number of tokens
    per title. During the search, a token is represented by its column in the array of the tokens that are
    considered for the title.
    """

    issues: Indices
    """(n,): indices of the issues in the results"""
    memory: Any
    state: Floats
    """(n, k, size): states from which the decoder extends the hypotheses"""
    hypotheses: Ids
    """(n, k, T): columns of the tokens of each hypothesis"""
    second_last: Ids
    """(n, k): the column of the token before the last one of each hypothesis"""
    last: Ids
    """(n, k): the column of the last token of each hypothesis"""
    sums: Floats
    """(n, k): log probabilities of the hypotheses"""
    finished: Ids
    """(n,): number of finished titles"""


@dataclass
class _Best:
    """The best titles so far of B issues, and their mean log probabilities.

    T is the maximum number of tokens per title.
    """

    titles: Ids
    """(B, T): columns of the tokens of the titles"""
    scores: Floats
    """(B,): mean log probabilities of the titles"""

    def keep_better(self, issues: Indices, titles: Ids, scores: Floats) -> None:
        """Replaces the best title of an issue if one of its new titles has a higher score.

        `titles` (n, j, T) has j new titles for each of n issues, and `scores` (n, j) has the scores of these
        titles. `issues` (n,) has the indices of the n issues among the B issues.
        """
        rows, best_index = np.arange(len(issues)), scores.argmax(axis=1)
        score = scores[rows, best_index]
        is_better = score > self.scores[issues]
        self.titles[issues[is_better]] = titles[rows, best_index][is_better]
        self.scores[issues] = np.maximum(score, self.scores[issues])


@dataclass
class _EveryTitle(_Best):
    """The best title so far of one issue, and all its finished titles with their scores."""

    finished: list[tuple[Ids, float]] = field(default_factory=list)

    def keep_better(self, issues: Indices, titles: Ids, scores: Floats) -> None:
        super().keep_better(issues, titles, scores)
        for row, column in np.argwhere(scores > LOWEST_SCORE).tolist():
            self.finished.append((titles[row, column].copy(), float(scores[row, column])))


def search(
    network: Decoder, body: Ids, shape: Shape, start: int, end: int, width: int, block_repeats: bool
) -> tuple[Ids, Ids, Floats, Floats]:
    """Predicts a title for each of B bodies by beam search. Bodies are ids (B, body_length).

    The result has four arrays: ids of the titles (B, T), lengths of the titles (B,), mean log probabilities
    of their tokens (B,), and the issues' embeddings (B, hidden_size). T is shape.decoder_steps, the maximum
    number of tokens per title. `start` and `end` are the ids of _start_ and _end_, and `width` is the beam
    width. If `block_repeats` is true, a title has no token twice in a row, and no trigram twice.
    """
    best = _Best(*_no_titles(len(body), shape))
    tokens, initial_state = _search(network, body, shape, (start, end), width, block_repeats, best)
    titles = np.take_along_axis(tokens, best.titles, axis=1)
    lengths = ((titles != PAD) & (titles != end)).sum(axis=1, dtype=np.int32)
    return titles, lengths, best.scores, network.embed_decoded(body, initial_state)


def finished_titles(
    network: Decoder, body: Ids, shape: Shape, start: int, end: int, width: int, block_repeats: bool
) -> list[tuple[Ids, float]]:
    """Returns every title that the beam search of one body finishes, the best one first.

    A title is a pair: its ids (T,), and the mean log probability of its tokens. The best title is the one
    that `search` predicts. The arguments are the same as in `search`; `body` is (1, body_length).
    """
    best = _EveryTitle(*_no_titles(1, shape))
    tokens, _ = _search(network, body, shape, (start, end), width, block_repeats, best)
    ordered = sorted(best.finished, key=lambda title: -title[1])
    return [(tokens[0, columns], score) for columns, score in ordered]


def _no_titles(issues: int, shape: Shape) -> tuple[Ids, Floats]:
    return np.full((issues, shape.decoder_steps), PAD, np.int32), np.full(issues, BLOCKED)


def _search(
    network: Decoder,
    body: Ids,
    shape: Shape,
    start_end: tuple[int, int],
    width: int,
    block_repeats: bool,
    best: _Best,
) -> tuple[Ids, Floats]:
    """Searches for titles of B bodies, and passes each title that it finds to `best`.

    Returns the tokens that are considered for each title, and the initial states. Both are results of
    `Decoder.begin`.
    """
    memory, initial_state, tokens = network.begin(body)
    issues = len(body)
    start, end = (int(np.flatnonzero(tokens[0] == token)[0]) for token in start_end)
    first = np.full((issues, 1), start, np.int32)
    beams = _Beams(
        issues=np.arange(issues),
        memory=memory,
        state=initial_state[:, None],
        hypotheses=best.titles[:, None].copy(),
        second_last=np.full_like(first, PAD),
        last=first,
        sums=np.zeros(first.shape, np.float32),
        finished=np.zeros(issues, np.int32),
    )
    for step in range(shape.decoder_steps):
        if not len(beams.issues):
            break
        last = tokens[beams.issues[:, None], beams.last]
        scores, offsets, state = network.step(beams.memory, beams.state, last)
        _block(scores, beams, start, block_repeats)
        beams = _extended(replace(beams, state=state), scores, offsets, best, step, end, width)
        promising = (width > 1) & (beams.sums.max(axis=1) / np.float32(step + 1) > best.scores[beams.issues])
        active = (beams.finished < width) | promising
        beams.sums[~active] = BLOCKED  # no further hypothesis of these issues can be the best title
        if np.count_nonzero(active) <= len(active) * (1 - ENDED_SHARE):
            beams = _selected(beams, np.flatnonzero(active), network)
    best.keep_better(beams.issues, beams.hypotheses, beams.sums / np.float32(shape.decoder_steps))
    return tokens, initial_state


def _extended(
    beams: _Beams, scores: Floats, offsets: Floats, best: _Best, step: int, end: int, width: int
) -> _Beams:
    """Extends the hypotheses (partial titles) by one token, and keeps the best ones that have not ended.

    Returns the `width` best hypotheses of each issue that have not ended. A hypothesis ends if its new token
    is _end_. If an ended hypothesis is among the `width` best of all extended hypotheses of its issue, it is
    a finished title. A finished title replaces the issue's title in `best` if it has a higher score.
    `beams.state`, `scores` and `offsets` are what `Decoder.step` returned. `end` is the column of _end_.
    `width` is the beam width.
    """
    rows = np.arange(len(beams.issues))[:, None]
    # 2 x width, because `width` of them may end, and `width` others must go on
    sums, parent, token = _best_extensions(beams.sums + offsets, scores, 2 * width)
    titles = beams.hypotheses[rows, parent]
    titles[:, :, step] = token
    ends = token == end
    finishes = ends & (np.arange(token.shape[1]) < width)
    best.keep_better(beams.issues, titles, np.where(finishes, sums / np.float32(step + 1), BLOCKED))
    sums, unended = _highest(np.where(ends, 2 * BLOCKED, sums), width)
    parent = parent[rows, unended]
    return _Beams(
        issues=beams.issues,
        memory=beams.memory,
        state=beams.state[rows, parent],
        hypotheses=titles[rows, unended],
        second_last=beams.last[rows, parent],
        last=token[rows, unended],
        sums=sums,
        finished=beams.finished + finishes.sum(axis=1, dtype=np.int32),
    )


def _selected(beams: _Beams, rows: Indices, network: Decoder) -> _Beams:
    return _Beams(
        issues=beams.issues[rows],
        memory=network.select(beams.memory, rows),
        state=beams.state[rows],
        hypotheses=beams.hypotheses[rows],
        second_last=beams.second_last[rows],
        last=beams.last[rows],
        sums=beams.sums[rows],
        finished=beams.finished[rows],
    )


def _block(scores: Floats, beams: _Beams, start: int, block_repeats: bool) -> None:
    """Lowers `scores` of tokens that must not follow a hypothesis (partial title), in place.

    Padding, unknown and _start_ are always among these tokens. If `block_repeats` is true, they include the
    last token, and every token that would repeat a trigram of the hypothesis.
    """
    scores[:, :, [PAD, UNKNOWN, start]] += BLOCKED
    if not block_repeats:
        return
    hypotheses, last = beams.hypotheses, beams.last
    same_bigram = (hypotheses[:, :, :-2] == beams.second_last[:, :, None]) & (
        hypotheses[:, :, 1:-1] == last[:, :, None]
    )
    issue, hypothesis, position = np.nonzero(same_bigram)
    scores[issue, hypothesis, hypotheses[issue, hypothesis, position + 2]] += BLOCKED
    scores[np.arange(len(last))[:, None], np.arange(last.shape[1]), last] += BLOCKED


def _best_extensions(base: Floats, scores: Floats, count: int) -> tuple[Floats, Indices, Ids]:
    """Extends each issue's hypotheses (partial titles) by every token. Returns the `count` best results.

    The value of a result is the `base` (n, k) of its hypothesis plus the score (n, k, V) of its token.
    Returns three arrays (n, count): the values in descending order, the indices of the hypotheses, and the
    tokens. If there are fewer than `count` results, all of them are returned.

    For speed, the V results of each hypothesis are divided into blocks of BLOCK_SIZE. Results that do not
    fill a block are left over. The maximum of each block is computed. For each issue, only the `count` blocks
    with the highest maxima and the left-over results are searched. They must contain the best results.
    """
    issues, hypotheses, vocabulary = scores.shape
    blocks = vocabulary // BLOCK_SIZE
    first_rest = blocks * BLOCK_SIZE
    in_blocks = scores[:, :, :first_rest].reshape(issues, hypotheses, blocks, BLOCK_SIZE)
    maxima = (in_blocks.max(axis=3) + base[:, :, None]).reshape(issues, hypotheses * blocks)
    hypothesis, block = np.divmod(_indices_of_highest(maxima, count), max(blocks, 1))
    # positions are indices into the flattened scores (k x V) of an issue
    in_best_blocks = (hypothesis * vocabulary + block * BLOCK_SIZE)[:, :, None] + np.arange(BLOCK_SIZE)
    in_rest = np.arange(hypotheses)[:, None] * vocabulary + np.arange(first_rest, vocabulary)
    positions = np.concatenate(
        [in_best_blocks.reshape(issues, -1), np.broadcast_to(in_rest.reshape(-1), (issues, in_rest.size))],
        axis=1,
    )
    sums = np.take_along_axis(scores.reshape(issues, -1), positions, axis=1)
    sums += np.take_along_axis(base, positions // vocabulary, axis=1)
    sums, index = _highest(sums, count)
    parent, token = np.divmod(np.take_along_axis(positions, index, axis=1), vocabulary)
    return sums, parent, token.astype(np.int32)


def _indices_of_highest(values: Floats, count: int) -> Indices:
    """Returns the indices (n, count) of the `count` highest values of each row.

    The indices of a row are in ascending order. If a row has at most `count` values, all its indices are
    returned.
    """
    if values.shape[1] <= count:
        return np.broadcast_to(np.arange(values.shape[1]), values.shape)
    return np.sort(np.argpartition(-values, count - 1, axis=1)[:, :count], axis=1)


def _highest(values: Floats, count: int) -> tuple[Floats, Indices]:
    """Returns the `count` highest values of each row in descending order, and their indices.

    Both arrays are (n, count). If a row has fewer than `count` values, all values are returned. Equal values
    are in the order of their indices.
    """
    index = _indices_of_highest(values, count)
    highest = np.take_along_axis(values, index, axis=1)
    order = np.argsort(-highest, axis=1, kind="stable")
    return np.take_along_axis(highest, order, axis=1), np.take_along_axis(index, order, axis=1)
