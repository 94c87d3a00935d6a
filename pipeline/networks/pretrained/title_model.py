"""The Keras models of the variant `pretrained`: training with teacher forcing, and decoding with a cache.

The inputs and the results of all models are Titler's ids, not the tokenizer's (see
`pipeline.networks.pretrained.tokens`). B is the number of issues, S and T are the lengths of bodies and
titles, V is the number of the preset's tokens, and k is the number of hypotheses (partial titles) per issue.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import KerasTensor, ops

from pipeline.networks.in_keras.beam_search import BLOCKED, BeamSearch
from pipeline.networks.pretrained.cached_calls import Memory, cached_calls
from pipeline.networks.pretrained.tokens import END, FIRST_TOKEN, START, Tokens
from pipeline.networks.shape import PAD, Ids, Shape


class TitleModel(keras.Model):
    """The variant `pretrained` in Keras: the preset's network `task`, and the table of the embeddings.

    A call computes log probabilities of the tokens of titles, as in the variant `copy`. The inputs are bodies
    (B, S), titles (B, T) that begin with _start_, n targets (n, 1) and their positions (n,) in the flattened
    titles. A target is the token whose probability is computed. The result (n, 2) has the log probability of
    each target, and that of the most probable token at its position. The attribute `table` has one vector per
    id of the model's vocabulary. `pipeline.networks.bag_of_units` computes embeddings from these vectors; the
    title network does not use them.
    """

    def __init__(self, task: Any, tokens: Tokens, vocabulary: int, size: int) -> None:
        super().__init__(name="pretrained")
        self.task = task
        self.tokens = tokens
        self.vocabulary = vocabulary
        initial = keras.initializers.RandomNormal(stddev=size**-0.5)
        self.table = keras.layers.Embedding(
            vocabulary,
            size,
            embeddings_initializer=initial,
            trainable=False,
            dtype="float32",
            name="table",
        )
        self.table.build()

    def call(self, inputs: list[KerasTensor], training: bool = False) -> KerasTensor:
        body, title, target, position = inputs
        logits = self.task(
            {
                "encoder_token_ids": self.tokenizer_ids(body),
                "encoder_padding_mask": _mask(body),
                "decoder_token_ids": self.decoder_ids(title),
                "decoder_padding_mask": self.decoder_mask(title),
            },
            training=training,
        )
        logits = logits[:, len(self.tokens.prompt) - 1 :]
        # From now on, arrays have one row per target. Most positions of titles are padding.
        rows = ops.take(ops.reshape(logits, (-1, logits.shape[-1])), position, axis=0)
        logs = ops.log_softmax(ops.cast(rows, "float32"), axis=-1)
        token = ops.where(target == END, self.tokens.end, ops.maximum(target - FIRST_TOKEN, 0))
        on_target = ops.take_along_axis(logs, token, axis=-1)
        return ops.concatenate([on_target, ops.max(logs, axis=-1, keepdims=True)], axis=-1)

    def tokenizer_ids(self, ids: KerasTensor) -> KerasTensor:
        """Converts Titler's ids to ids of the tokenizer. _start_ becomes the last token of the prompt."""
        special_tokens = ops.where(ids == PAD, self.tokens.padding, self.tokens.prompt[-1])
        return ops.where(ids >= FIRST_TOKEN, ids - FIRST_TOKEN, special_tokens)

    def decoder_ids(self, title: KerasTensor) -> KerasTensor:
        """Returns the input of the decoder as ids of the tokenizer: the prompt, then the titles (B, T)
        without _start_."""
        return ops.concatenate([self.prompt(title)[:, :-1], self.tokenizer_ids(title)], axis=1)

    def decoder_mask(self, title: KerasTensor) -> KerasTensor:
        return ops.concatenate([ops.ones_like(self.prompt(title)[:, :-1]), _mask(title)], axis=1)

    def prompt(self, ids: KerasTensor) -> KerasTensor:
        """Returns the ids of the prompt, repeated for each row of `ids`."""
        return ops.zeros_like(ids[:, :1]) + np.array([self.tokens.prompt], np.int32)


def _mask(ids: KerasTensor) -> KerasTensor:
    return ops.cast(ids != PAD, "int32")


class CachedDecoder:
    """Adapts the preset's network to `pipeline.networks.in_keras.beam_search`, with a cache of keys and
    values.

    The state of a hypothesis (partial title) is one row: its number of tokens, then the keys and values of
    all its tokens in all layers. So a step computes only one token per hypothesis. The keys and values of the
    body are computed once. `width` is the number of hypotheses per issue. `max_tokens` is the maximum number
    of tokens per title.
    """

    def __init__(self, model: TitleModel, width: int, max_tokens: int) -> None:
        self._model, self._width = model, width
        backbone = model.task.backbone
        self._cached = cached_calls(model.task, len(model.tokens.prompt) + max_tokens)
        blocked = np.zeros((backbone.vocabulary_size,), np.float32)
        blocked[model.tokens.unwritable(backbone.vocabulary_size)] = BLOCKED
        self._blocked = blocked

    def begin(self, body: KerasTensor, shortlist: Ids | None = None) -> tuple[Memory, KerasTensor]:
        """Encodes bodies (B, S), and reads the prompt. Returns what `step` needs to know of the bodies, with
        one row per hypothesis, and the initial state of each issue. `shortlist` is not used: all tokens are
        considered."""
        model = self._model
        memory, cache = self._cached.begin(model.tokenizer_ids(body), _mask(body), model.prompt(body))
        memory = tuple(ops.repeat(array, self._width, axis=0) for array in memory)
        # The last token of the prompt is read again in the first step, which computes its probabilities.
        position = ops.zeros_like(cache[:, 0, 0, 0, 0, :1]) + (len(model.tokens.prompt) - 1)
        flat = ops.reshape(cache, (-1, int(np.prod(self._cached.shape))))
        return memory, ops.concatenate([position, flat], axis=1)

    def step(self, memory: Memory, state: KerasTensor, token: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
        """Computes the probabilities of the next token of each hypothesis (partial title).

        For the inputs and the results, see `beam_search.Decoder.step`.
        """
        size = state.shape[-1]
        flat = ops.reshape(state, (-1, size))
        logits, cache = self._cached.step(
            memory,
            ops.reshape(flat[:, 1:], (-1, *self._cached.shape)),
            ops.cast(flat[0, 0], "int32"),
            self._model.tokenizer_ids(ops.reshape(token, (-1, 1))),
        )
        logs = ops.log_softmax(ops.cast(logits[:, 0], "float32"), axis=-1)
        end = self._model.tokens.end
        never = ops.zeros_like(logs[:, :END]) + BLOCKED  # padding, unknown and _start_
        logs = ops.concatenate([never, logs[:, end : end + 1], logs + self._blocked], axis=1)
        next_state = ops.concatenate([flat[:, :1] + 1, ops.reshape(cache, (-1, size - 1))], axis=1)
        return (
            ops.reshape(logs, (-1, self._width, logs.shape[-1])),
            ops.reshape(next_state, (-1, self._width, size)),
        )


class TitleSearch(BeamSearch):
    """A Keras model that predicts titles for bodies (B, S). The result has three arrays: ids of the titles
    (B, T), their lengths (B,) and the mean log probabilities of their tokens (B,)."""

    def __init__(self, model: TitleModel, shape: Shape, width: int) -> None:
        """`shape` has the sizes of the title network: the number of ids (Titler's) in its vocabulary, and
        the lengths of bodies and titles in tokens."""
        decoder = CachedDecoder(model, width, shape.decoder_steps)
        super().__init__(decoder, shape, START, END, width, block_repeats=width > 1)

    def call(self, body: KerasTensor) -> tuple[KerasTensor, ...]:
        return tuple(super().call(body)[:3])
