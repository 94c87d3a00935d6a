"""The variant `copy` in NumPy.

`pipeline.networks.in_keras.copy` has a diagram of the network, and the sources. The results are the same as
in Keras, unless the model multiplies rounded numbers of 8 bits (`pipeline.networks.in_numpy.products`).
Three products are computed in a cheaper way:

- The product of a GRU's kernel and the vector of a unit (subword) is computed only once (`_UnitInputs`).
- The score of the attention is h . (W encoded), where h is a state of the decoder, and `encoded` is an output
  of the encoder. It is computed as (W transposed h) . encoded. So the keys, W encoded, are never computed.
- The last Dense layer and the table of the units' vectors are multiplied in advance. The result is one
  matrix, with a row for each unit.

A model may have a shortlist: the most frequent units of titles (`pipeline.networks.shortlist`). Then only two
kinds of rows of this matrix are used: the rows of the shortlist's units, and for each issue the rows of the
other units in its body.

Docstrings give the sizes of arrays with these letters: B bodies; S positions of a body; H = `hidden_size`
numbers per state; V units of the vocabulary; K units of the shortlist; C units considered for a title, which
are those of the shortlist and the other units of the body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.networks.bag_of_units import embedding
from pipeline.networks.in_numpy.gru_cells import CudnnGruCell
from pipeline.networks.in_numpy.products import Product, product
from pipeline.networks.in_numpy.softmax import log_sigmoid, log_sum_exp, softmax
from pipeline.networks.in_numpy.weights_file import Weights, WeightShapes, check_shapes
from pipeline.networks.shape import PAD, Description, Floats, Ids, Shape

TINY = np.float32(1e-20)
"""A number that is added to probabilities before their logarithm is taken, so that none is 0."""
BLOCKED = np.float32(-1e9)
"""The number that is added to the attention score of padding, so that padding gets no attention."""
ENCODER_LAYERS = (("forward_half", "backward_half"), ("forward_upper_half", "backward_upper_half"))
"""Names of the stored weights of the encoder's layers. A layer has a forward and a backward GRU."""
Indices = npt.NDArray[np.int64]
Inputs = Callable[[int, int], Floats]
"""A function of a position and a number n. It returns the result (n, 3 x state size) of `GruCell.project` for
the inputs of the first n bodies at this position."""


class Memory(NamedTuple):
    """What decoding needs to know about B encoded bodies.

    The S positions of a body are sorted by unit (subword), padding first. Sorting changes no result, because
    the attention does not depend on the order of the positions. After sorting, equal units are neighbours, so
    it is easy to sum the attention on each distinct unit. The distinct units of a body are numbered 0, 1, ...
    """

    is_padding: npt.NDArray[np.bool_]
    """(B, S): whether the position is padding"""
    encoded: Floats
    """(B, S, H): the encoder's outputs"""
    number: Indices
    """(B, S): the number of the unit at the position"""
    columns: Indices
    """(B, S): for each distinct unit in the order of its number, the column of the unit in the array of the
    considered tokens (see `beam_search.Decoder.begin`); then 0"""
    rare: Floats
    """(B, R, H): the vectors that give the logits of the distinct units that are not in the shortlist. R is
    the largest number of such units in a body"""
    rare_bias: Floats
    """(B, R): the biases of these logits; BLOCKED if the body has fewer than R such units"""


class Copy:
    """A network of the variant `copy` in NumPy. Implements `beam_search.Decoder`.

    Raises ValueError if the weights do not fit the shape in `description`.
    """

    def __init__(self, description: Description, weights: Weights) -> None:
        shape, shortlist = description.shape, description.shortlist
        check_shapes(weights, _weight_shapes(shape))
        (self._units,), (self._table,), (keys,) = (weights[name] for name in ("units", "table", "keys"))
        # The states of a GRU are between -1 and 1. The outputs of n layers are added up. The inputs of the
        # first layer and of the writer have no limit, but they are multiplied only once (`_UnitInputs`).
        self._state_limit = 1.0 if description.eight_bits else None
        limits = [float(layers) if description.eight_bits else None for layers in range(shape.layers + 1)]
        self._encoder = [
            [_cell(weights[name], limits[layer] or None, self._state_limit) for name in names]
            for layer, names in enumerate(ENCODER_LAYERS[: shape.layers])
        ]
        self._writer = _cell(weights["writer"], None, self._state_limit)
        self._query_of = product(keys.T, self._state_limit)
        kernel, self._combine_bias = weights["combine"]
        self._combine = product(kernel, limits[shape.layers])
        self._body_inputs = [_UnitInputs(cell, self._units) for cell in self._encoder[0]]
        self._title_inputs = _UnitInputs(self._writer, self._units)
        self._dense = {name: weights[name] for name in ("bridge", "project", "gate")}
        self._shortlist = np.arange(len(self._units), dtype=np.int32) if shortlist is None else shortlist
        self._column_of = np.full(len(self._units), -1)
        self._column_of[self._shortlist] = np.arange(len(self._shortlist))

    def embed(self, body: Ids, title: Ids | None) -> Floats:
        """Returns the embeddings (B, hidden_size) of issues, computed from bodies and titles.

        Bodies are ids (B, body_length). Titles are ids (B, title_length), or None to embed bodies alone.
        """
        return embedding(self._table, body, title)

    def embed_decoded(self, body: Ids, initial_state: Floats) -> Floats:
        """Returns the embeddings (B, hidden_size) of issues from their bodies (B, body_length) alone.

        `initial_state` is not used.
        """
        return embedding(self._table, body, None)

    def begin(self, body: Ids) -> tuple[Memory, Floats, Ids]:
        """Encodes bodies, which are ids (B, body_length).

        Returns a memory, the decoder's initial states (B, H), and the units (subwords) that are considered
        for each title (B, C). H is `hidden_size`, the size of a state. The first columns of a row of units
        have the units of the shortlist (the most frequent subwords of titles). The next columns have the
        other units of the body. If fewer than C units are considered for a title, PAD fills the last columns
        of its row.
        """
        lengths = (body != PAD).sum(axis=1)
        longest_first = np.argsort(-lengths, kind="stable")
        # Units come first, then padding, because padding between units has no influence on the results.
        units_first = np.argsort(body[longest_first] == PAD, axis=1, kind="stable")[
            :, : max(1, lengths.max())
        ]
        sorted_body = np.take_along_axis(body[longest_first], units_first, axis=1)
        encoded, last_states = self._encoded(sorted_body)
        original_order = np.argsort(longest_first)
        initial_state = np.tanh(self._apply("bridge", last_states))[original_order]
        memory, tokens = self._memory(sorted_body[original_order], encoded, original_order)
        return memory, initial_state, tokens

    def _encoded(self, body: Ids) -> tuple[Floats, Floats]:
        """Encodes bodies (B, S), which are ordered by length, the longest first.

        All padding of a body is at its end. Returns the encoder's outputs (S, B, H), which are zeros at
        padding, and the last states (B, H).
        """
        by_position = np.ascontiguousarray(body.T)
        counts = (by_position != PAD).sum(axis=1)
        inputs = [partial(_of_units, unit_inputs, by_position) for unit_inputs in self._body_inputs]
        encoded, last_states = _bidirectional(counts, len(body), self._encoder[0], inputs)
        for cells in self._encoder[1:]:
            inputs = [partial(_of_outputs, cell, encoded) for cell in cells]
            outputs, last_states = _bidirectional(counts, len(body), cells, inputs)
            encoded += outputs
        return encoded, last_states

    def select(self, memory: Memory, issues: Indices) -> Memory:
        """Returns the memory of some of the issues. `issues` has the indices of these issues."""
        return Memory(
            memory.is_padding[issues],
            memory.encoded[issues],
            memory.number[issues],
            memory.columns[issues],
            memory.rare[issues],
            memory.rare_bias[issues],
        )

    def step(self, memory: Memory, state: Floats, token: Ids) -> tuple[Floats, Floats, Floats]:
        """Computes the probabilities of the next token of each hypothesis (partial title).

        For the inputs and the results, see `beam_search.Decoder.step`.
        """
        logits, offsets, copied, hidden = self._step(memory, state, token)
        _add_probabilities(logits, offsets, np.repeat(memory.columns, state.shape[1], axis=0), copied)
        shape = state.shape[:2]
        return logits.reshape(*shape, -1), offsets.reshape(shape), hidden.reshape(state.shape)

    def copied_shares(self, body: Ids, title: Ids, start: int) -> Floats:
        """Returns how much of the probability of each unit (subword) of a title comes from copying, as shares
        (T,).

        The network can copy a unit from the body, or generate it from the vocabulary. A share is 0 to 1.
        `body` is (1, body_length), and the title has T units. `start` is the id of _start_.
        """
        memory, initial_state, tokens = self.begin(body)
        state, shares, last = initial_state[:, None], [], start
        for unit in title.tolist():
            logits, offsets, copied, hidden = self._step(memory, state, np.array([[last]], np.int32))
            (column, *_) = np.flatnonzero(tokens[0] == unit)
            of_copying = float(copied[0, memory.columns[0] == column].sum())
            of_writing = float(np.exp(logits[0, column] + offsets[0]))
            shares.append(of_copying / max(of_copying + of_writing, float(TINY)))
            state, last = hidden.reshape(state.shape), unit
        return np.array(shares, np.float32)

    def _step(self, memory: Memory, state: Floats, token: Ids) -> tuple[Floats, Floats, Floats, Floats]:
        """Computes a step of the n hypotheses (partial titles) of B issues.

        The arguments are those of `step`. The network can generate a unit (subword) from the vocabulary, or
        copy it from the body. The log probability of generating a unit is its logit plus an offset, which is
        the same for all units of a hypothesis. Returns the logits (n, C) of the considered units, the offsets
        (n,) of the hypotheses, the probabilities (n, S) of copying each distinct unit of the body, and the
        next states (n, H).
        """
        size = state.shape[2]
        tokens = token.reshape(-1)
        hidden = self._writer.advance(self._title_inputs(tokens), state.reshape(-1, size))
        query = self._query_of(hidden).reshape(state.shape)
        attention = query @ memory.encoded.swapaxes(1, 2)
        attention += memory.is_padding[:, None].astype(np.float32) * BLOCKED
        softmax(attention)
        context = (attention @ memory.encoded).reshape(-1, size)
        state_and_context = np.concatenate([hidden, context], axis=1)
        gate_inputs = np.concatenate([state_and_context, self._units[tokens]], axis=1)
        gate = self._apply("gate", gate_inputs)[:, 0]
        logits = self._logits(memory, np.tanh(self._combine(state_and_context) + self._combine_bias))
        offsets = log_sigmoid(gate) - log_sum_exp(logits)
        copied = _sums_by_unit(memory.number, attention) * np.exp(log_sigmoid(-gate))[:, None]
        return logits, offsets, copied, hidden

    def _logits(self, memory: Memory, combined: Floats) -> Floats:
        """Returns the logits (n, C) of the considered units (subwords), for the attentional states (n, H)."""
        multiplied, bias = self._shortlist_output
        of_shortlist = multiplied(combined)
        of_shortlist += bias
        issues, rare_units, size = memory.rare.shape
        if not rare_units:
            return of_shortlist
        of_rare = combined.reshape(issues, -1, size) @ memory.rare.swapaxes(1, 2)
        of_rare += memory.rare_bias[:, None]
        return np.concatenate([of_shortlist, of_rare.reshape(-1, rare_units)], axis=1)

    @cached_property
    def _output(self) -> tuple[Floats, Floats]:
        """The vectors (V, H) and the biases (V,) that give the logits of the units (subwords).

        The logit of a unit is the product of its vector and the attentional state, plus the bias.
        """
        kernel, bias = self._dense["project"]
        return self._units @ kernel.T, self._units @ bias

    @cached_property
    def _shortlist_output(self) -> tuple[Product, Floats]:
        """A pair: a function that multiplies attentional states by a kernel (H, K), and an array of K biases.

        The products plus the biases are the logits of the shortlist's units.
        """
        vectors, bias = self._output
        kernel = np.ascontiguousarray(vectors[self._shortlist].T)
        return product(kernel, self._state_limit), bias[self._shortlist]

    def _memory(self, body: Ids, encoded: Floats, rows: Indices) -> tuple[Memory, Ids]:
        """Returns the memory of bodies (B, S), and the units (subwords) that are considered for each title
        (B, C).

        `encoded` are the encoder's outputs (S, B, H). The outputs for body i are `encoded[:, rows[i]]`.
        """
        order = np.argsort(body, axis=1, kind="stable")
        units = np.take_along_axis(body, order, axis=1)
        is_new = np.diff(units, axis=1, prepend=units[:, :1]) != 0
        number = np.cumsum(is_new, axis=1)
        distinct = np.full_like(units, PAD)
        np.put_along_axis(distinct, number, units, axis=1)

        columns = self._column_of[distinct]
        is_rare = columns < 0
        rare_units = np.zeros((len(body), is_rare.sum(axis=1).max(initial=0)), np.int32)
        issue, place = np.nonzero(is_rare)
        rare_number = (np.cumsum(is_rare, axis=1) - 1)[issue, place]
        rare_units[issue, rare_number] = distinct[issue, place]
        columns[issue, place] = len(self._shortlist) + rare_number
        vectors, bias = self._output
        rare_bias = np.where(rare_units == PAD, BLOCKED, bias[rare_units])
        shortlist = np.broadcast_to(self._shortlist, (len(body), len(self._shortlist)))
        memory = Memory(
            units == PAD, encoded[order, rows[:, None]], number, columns, vectors[rare_units], rare_bias
        )
        return memory, np.concatenate([shortlist, rare_units], axis=1)

    def _apply(self, name: str, x: Floats) -> Floats:
        kernel, bias = self._dense[name]
        result: Floats = x @ kernel
        result += bias
        return result


class _UnitInputs:
    """The results of `GruCell.project` for units (subwords).

    The first call computes the results of all units of the vocabulary. If each call computed only the
    requested units, the last bits of a result would depend on how many units are requested together. Then
    the titles of the same issues could differ between two processes.
    """

    def __init__(self, cell: CudnnGruCell, units: Floats) -> None:
        self._cell, self._units = cell, units

    def __call__(self, ids: Ids) -> Floats:
        """Returns the results (n, 3 x state size) of `GruCell.project` for the units with these ids (n,)."""
        return self._results[ids]

    @cached_property
    def _results(self) -> Floats:
        return self._cell.project(self._units)


def _cell(weights: Sequence[Floats], word_limit: float | None, state_limit: float | None) -> CudnnGruCell:
    kernel, recurrent, bias = weights
    return CudnnGruCell(kernel, recurrent, bias, word_limit, state_limit)


def _of_units(unit_inputs: _UnitInputs, units: Ids, position: int, n: int) -> Floats:
    return unit_inputs(units[position, :n])


def _of_outputs(cell: CudnnGruCell, outputs: Floats, position: int, n: int) -> Floats:
    return cell.project(outputs[position, :n])


def _bidirectional(
    counts: Indices, bodies: int, cells: Sequence[CudnnGruCell], inputs: Sequence[Inputs]
) -> tuple[Floats, Floats]:
    """Runs a forward and a backward GRU over bodies that are ordered by length, the longest first.

    `cells` and `inputs` have two elements: one for the forward and one for the backward direction. `counts`
    (S,) has one number per position: how many bodies do not have padding there. Returns the states of both
    GRUs at each position (S, bodies, H), and the last states of both GRUs (bodies, H). The states at padding
    are zeros.
    """
    half = cells[0].size
    states, last_states = np.zeros((len(counts), bodies, 2 * half), np.float32), []
    for direction, (cell, inputs_at) in enumerate(zip(cells, inputs, strict=True)):
        state = np.zeros((bodies, half), np.float32)
        columns = slice(direction * half, (direction + 1) * half)
        for position in range(len(counts))[:: 1 - 2 * direction]:
            n = counts[position]
            state[:n] = cell.advance(inputs_at(position, n), state[:n])
            states[position, :n, columns] = state[:n]
        last_states.append(state)
    return states, np.concatenate(last_states, axis=1)


def _sums_by_unit(number: Indices, attention: Floats) -> Floats:
    """Adds up the attention on all positions of a body that have the same unit (subword).

    `attention` (B, k, S) has the attention of k hypotheses on the S positions. `number` (B, S) has the
    number of the unit at each position. Returns the sums (B x k, S): column i has the sum for the unit with
    the number i.
    """
    issues, hypotheses, positions = attention.shape
    first = np.arange(0, attention.size, positions).reshape(issues, hypotheses, 1)
    index = (first + number[:, None]).reshape(-1)
    sums = np.bincount(index, attention.reshape(-1), attention.size)
    return sums.astype(np.float32).reshape(-1, positions)


def _add_probabilities(logits: Floats, offsets: Floats, columns: Indices, probabilities: Floats) -> None:
    """Increases the probabilities of some units (subwords). Changes their `logits` (n, C) in place.

    `columns` (n, S) are the columns of these units in `logits`. `probabilities` (n, S) are the numbers that
    are added. The probability of a unit is exp(logit + offset), with one offset per row in `offsets` (n,).
    Afterwards the logit in column 0, that of PAD, is undefined.
    """
    index = (np.arange(len(logits)) * logits.shape[1])[:, None] + columns
    flat = logits.reshape(-1)
    sums = flat[index]
    sums += offsets[:, None]
    np.exp(sums, out=sums)
    sums += probabilities
    sums += TINY
    np.log(sums, out=sums)
    sums -= offsets[:, None]
    flat[index] = sums


def _weight_shapes(shape: Shape) -> WeightShapes:
    vocabulary, size = shape.title_vocabulary, shape.hidden_size
    half = CudnnGruCell.weight_shapes(size, size // 2)
    return {
        "units": [(vocabulary, size)],
        **{name: half for names in ENCODER_LAYERS[: shape.layers] for name in names},
        "bridge": [(size, size), (size,)],
        "writer": CudnnGruCell.weight_shapes(size, size),
        "keys": [(size, size)],
        "combine": [(2 * size, size), (size,)],
        "project": [(size, size), (size,)],
        "gate": [(3 * size, 1), (1,)],
        "table": [(vocabulary, size)],
    }
