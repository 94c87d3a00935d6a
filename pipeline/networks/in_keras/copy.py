"""A network that writes a title from its vocabulary or copies it from the body, over one table of units for both.

    body (B, S) --> units --> GRU, both ways --> GRU, both ways --(+ the first one's)--> read (B, S, H) --> keys = W read
                                                       |                                   |
                                                 tanh(Dense)             attention = softmax(h . keys) over the body's places,
                                                       |                                   |               padding left out
                                +----------------------+                                   |
                                |                      +-----------------------------------+
    title (B, T) -> units --> GRU --> h (B, T, H) --> context = sum of attention x read
                      |                |               |
                      |            tanh(Dense[h; context]) --> Dense --> logits = units transposed (B, T, V)
                      |                |               |
                      +---------- g = sigmoid(Dense[h; context; unit])

    p(w) = g softmax(logits)(w) + (1 - g) sum of the attention at the places whose unit is w

Sources: See, Liu and Manning 2017, "Get To The Point: Summarization with Pointer-Generator Networks", 2.2, equations 8 and 9
(no coverage); Luong, Pham and Manning 2015, "Effective Approaches to Attention-based Neural Machine Translation", 3.1, the general score,
and equation 5 (attention stays outside the recurrence: no input feeding, so all places of a title are computed at once);
Press and Wolf 2017, "Using the Output Embedding to Improve Language Models" (one table for input and output); Wu et al. 2016, "Google's
Neural Machine Translation System", 3.1 (what a layer reads is added to what it makes). The GRUs are such as cuDNN computes. Padding behind
a text is passed over, so a body may be cut to its length. Beside that network, and apart from it, stands the table of `pipeline.networks.bag_of_units`,
whose vectors are the embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, layers, ops

from pipeline.errors import UsageError
from pipeline.networks.bag_of_units import embedding
from pipeline.networks.in_keras.beam_search import put, spread
from pipeline.networks.in_keras.body_lengths import alike, trimmed
from pipeline.networks.in_keras.teacher_forcing import Batch, Lesson
from pipeline.networks.shape import PAD, Floats, Ids, Shape

DROPOUT = 0.2
CLIP = 5.0
"""norm of all gradients together"""
TINY = 1e-20
"""under every probability that is told from 0"""
ROUNDING = 1e-4
"""what two ways of computing one log probability may differ by"""
PACK = 256
"""targets that are no padding are computed in multiples of it: few sizes, so few compilations"""
Memory = tuple[KerasTensor, KerasTensor, KerasTensor]
"""a batch's bodies (B, S), what the encoder made of each place, and the keys of the attention, both (B, S, H)"""


@keras.saving.register_keras_serializable(package="titler", name="copy")
class Copy(keras.Model):
    """Bodies (B, S), titles from _start_ on (B, T), n targets (n, 1) and their places in the titles' B x T (n,), all int32, ->
    (n, 2) float32: the log probability of each target, and that of the likeliest unit there."""

    def __init__(self, **shape: int) -> None:
        super().__init__(name="copy")
        self.config = shape
        size, self.words = shape["hidden_size"], shape["title_vocabulary"]
        self.units = layers.ReversibleEmbedding(self.words, size, name="units")
        self.drop = layers.Dropout(DROPOUT, name="drop")
        half, upper = (
            layers.GRU(size // 2, return_sequences=True, return_state=True, name=name)
            for name in ("half", "upper_half")
        )
        self.reader = layers.Bidirectional(half, name="reader")
        self.rereader = layers.Bidirectional(upper, name="rereader") if shape["layers"] == 2 else None
        self.bridge = layers.Dense(size, activation="tanh", name="bridge")
        self.writer = layers.GRU(size, return_sequences=True, name="writer")
        self.keys = layers.Dense(size, use_bias=False, name="keys")
        self.attention = layers.Attention(name="attention")
        self.combine = layers.Dense(size, activation="tanh", name="combine")
        self.project = layers.Dense(size, name="project")
        self.gate = layers.Dense(1, name="gate")
        initial = keras.initializers.RandomNormal(stddev=size**-0.5)
        self.table = layers.Embedding(
            self.words, size, embeddings_initializer=initial, trainable=False, dtype="float32", name="table"
        )
        self.table.build()

    def get_config(self) -> dict[str, Any]:
        return dict(self.config)

    def build_from_config(self, config: Any) -> None:
        """Makes the weights, whatever the shapes were that Keras keeps of its first call: they depend on none."""
        body, title, target = (
            np.zeros(size, np.int32) for size in ((1, 2), (1, self.config["title_length"] - 1), (1, 1))
        )
        self([body, title, target, target[0]])

    def read(self, body: KerasTensor, training: bool = False) -> tuple[Memory, KerasTensor]:
        """What the attention looks at, and the decoder's first state (B, H)."""
        units = self.drop(self.units(body), training=training)
        read, ahead, back = self.reader(units, mask=body != PAD)
        if self.rereader is not None:
            second, ahead, back = self.rereader(self.drop(read, training=training), mask=body != PAD)
            read = read + second
        return (body, read, self.keys(read)), self.bridge(ops.concatenate([ahead, back], axis=-1))

    def look(
        self, memory: Memory, hidden: KerasTensor, told: KerasTensor
    ) -> tuple[KerasTensor, KerasTensor, KerasTensor]:
        """Decoder's states and units (B, T, H) -> attentional states (B, T, H), the gate's logit (B, T, 1), attention (B, T, S)."""
        body, read, keys = memory
        context, attention = self.attention(
            [hidden, read, keys], mask=[None, body != PAD], return_attention_scores=True
        )
        seen = ops.concatenate([hidden, context], axis=-1)
        gate = self.gate(ops.concatenate([seen, told], axis=-1))
        return self.combine(seen), ops.cast(gate, "float32"), ops.cast(attention, "float32")

    def logits(self, combined: KerasTensor, training: bool = False) -> KerasTensor:
        """(..., H) -> (..., V)."""
        return ops.cast(
            self.units(self.project(self.drop(combined, training=training)), reverse=True), "float32"
        )

    def call(self, inputs: list[KerasTensor], training: bool = False) -> KerasTensor:
        body, title, target, place = inputs
        memory, state = self.read(body, training)
        told = self.drop(self.units(title), training=training)
        hidden = self.writer(told, initial_state=state)
        combined, gate, attention = self.look(memory, hidden, told)
        # what is copied of each place's unit in all, wherever else it stands: (B, T, S)
        copied = ops.matmul(
            ops.stop_gradient(attention), ops.cast(body[:, :, None] == body[:, None, :], attention.dtype)
        )

        # from here on the targets alone: most of a title's places are padding, and logits are the largest of all arrays
        packed = [
            ops.take(ops.reshape(each, (-1, ops.shape(each)[-1])), place, axis=0)
            for each in (combined, gate, attention, copied)
        ]
        combined, gate, attention, copied = packed
        source = ops.take(body, place // title.shape[1], axis=0)
        logits = self.logits(combined, training)
        write = ops.log_sigmoid(gate) - ops.logsumexp(logits, axis=-1, keepdims=True)
        copy = ops.log_sigmoid(-gate)

        found = ops.sum(ops.where(source == target, attention, 0.0), axis=-1, keepdims=True)
        right = ops.logaddexp(
            write + ops.take_along_axis(logits, target, axis=-1), copy + ops.log(found + TINY)
        )
        # the likeliest unit is the likeliest of the vocabulary, or one of the body's
        write, copy, logits = (ops.stop_gradient(each) for each in (write, copy, logits))
        there = ops.logaddexp(
            write + ops.take_along_axis(logits, source, axis=-1), copy + ops.log(copied + TINY)
        )
        written = write + ops.max(logits, axis=-1, keepdims=True)
        likeliest = ops.maximum(written, ops.max(there, axis=-1, keepdims=True))
        return ops.concatenate([right, likeliest], axis=-1)

    def begin(self, body: KerasTensor) -> tuple[tuple[Memory, KerasTensor], KerasTensor]:
        """As `search.Steps`. Beside the memory, the first place at which each place's unit stands (B, S)."""
        memory, state = self.read(body)
        return (memory, ops.cast(ops.argmax(body[:, :, None] == body[:, None, :], axis=1), "int32")), state

    def step(
        self, begun: tuple[Memory, KerasTensor], state: KerasTensor, token: KerasTensor
    ) -> tuple[KerasTensor, KerasTensor]:
        """As `search.Steps`."""
        memory, first = begun
        told = self.units(token)
        flat = [ops.reshape(each, (-1, each.shape[-1])) for each in (told, state)]
        state = ops.reshape(self.writer.cell(flat[0], [flat[1]])[0], ops.shape(state))
        combined, gate, attention = self.look(memory, state, told)
        logits = self.logits(combined)
        logs = logits + (ops.log_sigmoid(gate) - ops.logsumexp(logits, axis=-1, keepdims=True))

        # only a body's units are copied: where one stands first is what all its places get, and 0 elsewhere
        places = ops.shape(first)[1]
        copied = spread(ops.broadcast_to(first[:, None], ops.shape(attention)), attention, places)
        units = ops.broadcast_to(
            ops.where(first == ops.arange(places), memory[0], PAD)[:, None], ops.shape(attention)
        )
        there = ops.logaddexp(
            ops.take_along_axis(logs, units, axis=-1), ops.log_sigmoid(-gate) + ops.log(copied + TINY)
        )
        return put(logs, units, there), state


def copy(shape: Shape) -> Copy:
    """The network with fresh weights. Raises UsageError for sizes that it cannot have."""
    if shape.body_vocabulary != shape.title_vocabulary:
        raise UsageError(
            f"Vocabularies of {shape.body_vocabulary} and {shape.title_vocabulary} ids; the variant copy has one for bodies and titles."
        )
    if shape.embedding_size != shape.hidden_size or shape.hidden_size % 2:
        raise UsageError(
            f"model.embedding_size = {shape.embedding_size} and model.hidden_size = {shape.hidden_size}; "
            f"the variant copy has one size, an even number.",
            "Set both to the same:  TITLER_MODEL__EMBEDDING_SIZE=300 TITLER_MODEL__HIDDEN_SIZE=300",
        )
    if shape.layers > 2:
        raise UsageError(f"layers = {shape.layers}; the variant copy reads bodies by 1 or 2.")
    model = Copy(**asdict(shape))
    model.build_from_config(None)
    return model


def embed(model: Copy) -> Callable[[Ids, Ids | None], Floats]:
    """The function from bodies and titles to embeddings; see `pipeline.networks.bag_of_units.embedding`."""
    table = np.asarray(ops.convert_to_numpy(model.table.embeddings))
    return lambda bodies, titles: embedding(table, bodies, titles)


def lesson(model: Copy) -> Lesson:
    """The mean over the tokens of a title, padding left out."""
    inputs = [
        *(
            keras.Input((length,), dtype="int32", name=name)
            for name, length in (("body", None), ("title", model.config["title_length"] - 1))
        ),
        *(keras.Input(shape, dtype="int32", name=name) for name, shape in (("target", (1,)), ("place", ()))),
    ]
    return Lesson(
        model=keras.Model(inputs, model(inputs), name="teacher_forcing"),
        loss=_loss,
        metrics=[
            _Over("token_loss", lambda right, _: -right),
            _Over("token_accuracy", lambda right, likeliest: right >= likeliest - ROUNDING),
        ],
        loss_over="tokens",
        batches=_batches,
        clip=CLIP,
        cools=True,
    )


def _loss(target: KerasTensor, logs: KerasTensor) -> KerasTensor:
    real = ops.cast(target[:, 0] != PAD, logs.dtype)
    return -ops.sum(logs[:, 0] * real) / ops.maximum(ops.sum(real), 1.0)


class _Over(keras.metrics.Mean):
    """The mean of a figure over the targets that are no padding."""

    def __init__(self, name: str, figure: Callable[[KerasTensor, KerasTensor], KerasTensor]) -> None:
        super().__init__(name=name)
        self._figure = figure

    def update_state(self, y_true: KerasTensor, y_pred: KerasTensor, sample_weight: None = None) -> Any:
        figure = ops.cast(self._figure(y_pred[:, 0], y_pred[:, 1]), y_pred.dtype)
        return super().update_state(figure, sample_weight=ops.cast(y_true[:, 0] != PAD, y_pred.dtype))


def _batches(batches: Iterator[tuple[Ids, Ids]]) -> Iterator[Batch]:
    for bodies, titles in alike(batches):
        told, targets = titles[:, :-1], titles[:, 1:].reshape(-1)
        real = np.flatnonzero(targets != PAD).astype(np.int32)
        spare = -len(real) % PACK
        place, target = np.pad(real, (0, spare)), np.pad(targets[real], (0, spare))[:, None]
        yield Batch([trimmed(bodies), told, target, place], target, len(bodies), len(real))
