"""The variant `copy`, a network that takes each token of a title from the vocabulary or from the body.

V is the size of the vocabulary, H the size of a state, and B the number of issues. S and T are the lengths of
bodies and titles. `units` is a table (V, H) with one vector per unit (subword).

    body (B, S) -> units -> bidirectional GRU -> bidirectional GRU -(+ output of first)-> encoded (B, S, H)
                                                         |                                        |
                                            tanh(Dense): initial state           keys = W encoded |
                                                         |                                        |
                                                         |        attention = softmax(h . keys) over the
                                                         |        positions of the body, padding left out
                                                         |                                        |
                                +------------------------+                                        |
                                |                    +--------------------------------------------+
    title (B, T) -> units -> GRU -> h (B, T, H) -> context = sum of attention x encoded
                      |              |               |
                      |          tanh(Dense[h; context]) -> Dense -> product with units -> logits (B, T, V)
                      |              |               |
                      +--------- g = sigmoid(Dense[h; context; unit])

    p(w) = g softmax(logits)(w) + (1 - g) sum of the attention at the positions whose unit is w

p(w) is the probability that w is the next unit of the title. The gate g is the probability that this unit is
taken from the vocabulary, not from the body. W is a matrix of weights. The GRUs are of the kind that cuDNN
computes. Padding at the end of a body has no influence on the results. So batches of bodies may be cut to the
length of their longest body. The model also holds the table of `pipeline.networks.bag_of_units`, from which
embeddings are computed. The network that writes titles does not use this second table.

Sources:

- See, Liu and Manning 2017, "Get To The Point: Summarization with Pointer-Generator Networks", 2.2, equations
  8 and 9: the sum p(w). The coverage mechanism in 2.3 of this source is not used.
- Luong, Pham and Manning 2015, "Effective Approaches to Attention-based Neural Machine Translation", 3.1, the
  general score, and equation 5. Attention is outside the recurrence, without input feeding, so all positions
  of a title are computed at once.
- Press and Wolf 2017, "Using the Output Embedding to Improve Language Models": one table for input and
  output.
- Wu et al. 2016, "Google's Neural Machine Translation System", 3.1: the input of a layer is added to its
  output.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, layers, ops

from pipeline.errors import UsageError
from pipeline.networks.in_keras.beam_search import BLOCKED, scatter, sum_by_id
from pipeline.networks.in_keras.length_bucketing import bucketed
from pipeline.networks.in_keras.teacher_forcing import TeacherForcing, over_targets
from pipeline.networks.shape import PAD, Ids, Shape

DROPOUT = 0.2
GRADIENT_NORM_LIMIT = 5.0
ADAM_SHARE = 0.5
"""The learning rate of the weights that Muon leaves to AdamW, as a share of the learning rate of the rest."""
SHORT_BODY = 96
"""Number of units that bodies are cut to in the first epochs of training."""
TINY = 1e-20
"""A number that is added to probabilities so that none is 0, because their logarithm is taken.

It is smaller than every probability that matters.
"""
Memory = tuple[KerasTensor, KerasTensor, KerasTensor]
"""The bodies (B, S), the encoder's outputs (B, S, H) and the keys of the attention (B, S, H)."""


@keras.saving.register_keras_serializable(package="titler", name="copy")
class Copy(keras.Model):
    """The network in Keras. It computes the log probabilities of the tokens of titles, given the bodies.

    The inputs are bodies (B, S), titles (B, T), n targets (n, 1) and their positions (n,), all int32. A
    target is the token whose probability is computed. Titles start with _start_. Positions are indices into
    the flattened B x T titles. The result (n, 2) is float32. Column 0 is the log probability of each target.
    Column 1 is the log probability of the most probable unit (subword) at the target's position.

    Do not rename the attributes that hold layers: the weights in stored models have the names of these
    attributes.
    """

    def __init__(self, **shape: int) -> None:
        super().__init__(name="copy")
        self.config = shape
        size, self.vocabulary = shape["hidden_size"], shape["title_vocabulary"]
        self.units = layers.ReversibleEmbedding(self.vocabulary, size, name="units")
        self.drop = layers.Dropout(DROPOUT, name="drop")
        half, upper_half = (
            layers.GRU(size // 2, return_sequences=True, return_state=True, name=name)
            for name in ("half", "upper_half")
        )
        self.reader = layers.Bidirectional(half, name="reader")
        self.rereader = layers.Bidirectional(upper_half, name="rereader") if shape["layers"] == 2 else None
        self.bridge = layers.Dense(size, activation="tanh", name="bridge")
        self.writer = layers.GRU(size, return_sequences=True, name="writer")
        self.keys = layers.Dense(size, use_bias=False, name="keys")
        self.attention = layers.Attention(name="attention")
        self.combine = layers.Dense(size, activation="tanh", name="combine")
        self.project = layers.Dense(size, name="project")
        self.gate = layers.Dense(1, name="gate")
        initial = keras.initializers.RandomNormal(stddev=size**-0.5)
        self.table = layers.Embedding(
            self.vocabulary,
            size,
            embeddings_initializer=initial,
            trainable=False,
            dtype="float32",
            name="table",
        )
        self.table.build()

    def get_config(self) -> dict[str, Any]:
        return dict(self.config)

    def build(self, input_shape: Any = None) -> None:
        """Creates the weights, in the order in which a call of the model would create them.

        Earlier versions of Titler created the weights by such a call. Because the order is the same, a seed
        still gives the same initial weights as in these versions. Keras may pass `input_shape`. It is
        ignored, because no weight depends on it.
        """
        size = self.config["hidden_size"]
        self.units.build()
        self.reader.build((None, None, size))
        if self.rereader is not None:
            self.rereader.build((None, None, size))
        self.bridge.build((None, size))
        self.keys.build((None, None, size))
        self.writer.build((None, None, size))
        self.gate.build((None, None, 3 * size))
        self.combine.build((None, None, 2 * size))
        self.project.build((None, size))
        self.built = True

    def build_from_config(self, config: Any) -> None:
        self.build()

    def encode(self, body: KerasTensor, training: bool = False) -> tuple[Memory, KerasTensor]:
        """Encodes bodies (B, S). Returns a memory for `attend` and the decoder's initial states (B, H)."""
        units = self.drop(self.units(body), training=training)
        encoded, forward, backward = self.reader(units, mask=body != PAD)
        if self.rereader is not None:
            dropped = self.drop(encoded, training=training)
            second, forward, backward = self.rereader(dropped, mask=body != PAD)
            encoded = encoded + second
        initial_state = self.bridge(ops.concatenate([forward, backward], axis=-1))
        return (body, encoded, self.keys(encoded)), initial_state

    def attend(
        self, memory: Memory, hidden: KerasTensor, embedded: KerasTensor
    ) -> tuple[KerasTensor, KerasTensor, KerasTensor]:
        """Computes the attention of each position of a title on the positions of its body.

        The inputs `hidden` (the decoder's states) and `embedded` (the vectors of the title's units) are
        (B, T, H). Returns attentional states (B, T, H), the gate's logits (B, T, 1) and the attention
        (B, T, S).
        """
        body, encoded, keys = memory
        context, attention = self.attention(
            [hidden, encoded, keys], mask=[None, body != PAD], return_attention_scores=True
        )
        hidden_and_context = ops.concatenate([hidden, context], axis=-1)
        gate = self.gate(ops.concatenate([hidden_and_context, embedded], axis=-1))
        return self.combine(hidden_and_context), ops.cast(gate, "float32"), ops.cast(attention, "float32")

    def logits(self, combined: KerasTensor, training: bool = False) -> KerasTensor:
        """Returns the logits (..., V) of the vocabulary's V units (subwords).

        `combined` are the attentional states (..., H).
        """
        return ops.cast(
            self.units(self.project(self.drop(combined, training=training)), reverse=True), "float32"
        )

    def call(self, inputs: list[KerasTensor], training: bool = False) -> KerasTensor:
        body, title, target, position = inputs
        memory, state = self.encode(body, training)
        embedded = self.drop(self.units(title), training=training)
        hidden = self.writer(embedded, initial_state=state)
        combined, gate, attention = self.attend(memory, hidden, embedded)
        # for each position of the body, the sum of the attention on all positions with its unit: (B, T, S)
        same_unit = ops.cast(body[:, :, None] == body[:, None, :], attention.dtype)
        copied = ops.matmul(ops.stop_gradient(attention), same_unit)

        # From now on, arrays have one row per target. Most positions of titles are padding, and the logits
        # are the largest array.
        combined, gate, attention, copied = (
            ops.take(ops.reshape(x, (-1, ops.shape(x)[-1])), position, axis=0)
            for x in (combined, gate, attention, copied)
        )
        source = ops.take(body, position // title.shape[1], axis=0)
        logits = self.logits(combined, training)
        log_write = ops.log_sigmoid(gate) - ops.logsumexp(logits, axis=-1, keepdims=True)
        log_copy = ops.log_sigmoid(-gate)

        on_target = ops.sum(ops.where(source == target, attention, 0.0), axis=-1, keepdims=True)
        log_target = ops.logaddexp(
            log_write + ops.take_along_axis(logits, target, axis=-1), log_copy + ops.log(on_target + TINY)
        )
        # the most probable unit is either the most probable one of the vocabulary, or a unit of the body
        log_write, log_copy, logits = (ops.stop_gradient(x) for x in (log_write, log_copy, logits))
        log_body_units = ops.logaddexp(
            log_write + ops.take_along_axis(logits, source, axis=-1), log_copy + ops.log(copied + TINY)
        )
        log_vocabulary = log_write + ops.max(logits, axis=-1, keepdims=True)
        log_highest = ops.maximum(log_vocabulary, ops.max(log_body_units, axis=-1, keepdims=True))
        return ops.concatenate([log_target, log_highest], axis=-1)

    def begin(
        self, body: KerasTensor, shortlist: Ids | None = None
    ) -> tuple[tuple[Memory, KerasTensor, KerasTensor | None], KerasTensor]:
        """Encodes bodies (B, S). Returns a memory for `step` and the decoder's initial states (B, H).

        The memory consists of the memory that `encode` returns, and two more arrays. The first array (B, S)
        has, for each position of a body, the first position with the same unit (subword). The second array
        (B, 1, V) is added to the logits. It has the large negative number BLOCKED for each unit that is
        neither in `shortlist` nor in the body, and 0 for all other units. If `shortlist` is None, the memory
        has None instead of the second array.
        """
        memory, state = self.encode(body)
        first_position = ops.argmax(body[:, :, None] == body[:, None, :], axis=1)
        not_considered = None
        if shortlist is not None:
            positions = sum_by_id(body[:, None], ops.ones_like(body[:, None], "float32"), self.vocabulary)
            in_shortlist = np.isin(np.arange(self.vocabulary), shortlist)
            considered = ops.logical_or(positions > 0, in_shortlist)
            not_considered = ops.where(considered, 0.0, BLOCKED)
        return (memory, ops.cast(first_position, "int32"), not_considered), state

    def step(
        self,
        begun: tuple[Memory, KerasTensor, KerasTensor | None],
        state: KerasTensor,
        token: KerasTensor,
    ) -> tuple[KerasTensor, KerasTensor]:
        """Computes the probabilities of the next token of each hypothesis (partial title).

        For the inputs and the results, see `beam_search.Decoder.step`.
        """
        memory, first_position, not_considered = begun
        embedded = self.units(token)
        flat_token, flat_state = (ops.reshape(x, (-1, x.shape[-1])) for x in (embedded, state))
        state = ops.reshape(self.writer.cell(flat_token, [flat_state])[0], ops.shape(state))
        combined, gate, attention = self.attend(memory, state, embedded)
        logits = self.logits(combined)
        if not_considered is not None:
            logits += not_considered
        logs = logits + (ops.log_sigmoid(gate) - ops.logsumexp(logits, axis=-1, keepdims=True))

        # Only units of the body are copied. The first position of a unit gets the attention of all positions
        # of this unit. The other positions get 0.
        positions = ops.shape(first_position)[1]
        first_of_each = ops.broadcast_to(first_position[:, None], ops.shape(attention))
        copied = sum_by_id(first_of_each, attention, positions)
        is_first = first_position == ops.arange(positions)
        units = ops.broadcast_to(ops.where(is_first, memory[0], PAD)[:, None], ops.shape(attention))
        log_body_units = ops.logaddexp(
            ops.take_along_axis(logs, units, axis=-1), ops.log_sigmoid(-gate) + ops.log(copied + TINY)
        )
        return scatter(logs, units, log_body_units), state


def build_copy(shape: Shape) -> Copy:
    """Builds a network of the variant `copy` with random weights.

    Raises UsageError if the variant does not support the shape (the sizes of the network).
    """
    if shape.body_vocabulary != shape.title_vocabulary:
        raise UsageError(
            f"The vocabulary of bodies has {shape.body_vocabulary} ids and the vocabulary of titles has "
            f"{shape.title_vocabulary}, but the variant `copy` needs the same vocabulary for both."
        )
    if shape.embedding_size != shape.hidden_size or shape.hidden_size % 2:
        raise UsageError(
            f"model.embedding_size = {shape.embedding_size} and model.hidden_size = {shape.hidden_size}, but "
            "the variant `copy` needs the same even number for both settings.",
            "Set both, for example:  TITLER_MODEL__EMBEDDING_SIZE=300 TITLER_MODEL__HIDDEN_SIZE=300",
        )
    if shape.layers > 2:
        raise UsageError(
            f"The shape has layers = {shape.layers}, but the encoder of the variant `copy` can only have "
            "1 or 2 layers."
        )
    model = Copy(**asdict(shape))
    model.build()
    return model


def teacher_forcing(model: Copy) -> TeacherForcing:
    """Returns the training model, the loss and the metrics for training on titles.

    In training, the decoder reads the true previous token, not the one that it predicted. The loss is the
    mean cross-entropy over the tokens of titles; padding does not count.
    """
    return over_targets(
        model,
        model.config["title_length"],
        bucketed,
        gradient_norm_limit=GRADIENT_NORM_LIMIT,
        optimizer=muon,
        short_body=SHORT_BODY,
    )


def muon(learning_rate: float, global_clipnorm: float | None) -> keras.optimizers.Muon:
    """Creates the optimizer. It uses AdamW for the vectors of units, the biases and the gate. It uses Muon
    for all other weights, which are matrices.

    Sources: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; Liu et al. 2025,
    "Muon is Scalable for LLM Training", 2.2, for the size of the steps.
    """
    return keras.optimizers.Muon(
        learning_rate,
        global_clipnorm=global_clipnorm,
        exclude_layers=["bias", "gate"],
        adam_lr_ratio=ADAM_SHARE,
        weight_decay=None,
        adam_weight_decay=None,
    )
