"""Calls KerasHub's networks token by token, with a cache of keys and values.

KerasHub's networks have different interfaces for this, so there is a class for each interface. B is the
number of rows: one per issue at first, later one per hypothesis (partial title). S is the length of the
bodies. All ids are those of the preset's tokenizer.
"""

from __future__ import annotations

from typing import Any, Protocol

from keras import KerasTensor, ops

Memory = tuple[KerasTensor, KerasTensor, KerasTensor]
"""What the decoder needs to know of the bodies: the encoder's outputs (B, S, size), the mask of the bodies
(B, S), and the keys and values of the cross-attention to the bodies (B, ...)."""


class CachedCalls(Protocol):
    """Computes the logits of titles token by token, with a cache of keys and values."""

    shape: tuple[int, int, int, int, int]
    """of the cache of one row: layers, 2, tokens, heads, size of a head"""

    def begin(self, body: KerasTensor, mask: KerasTensor, prompt: KerasTensor) -> tuple[Memory, KerasTensor]:
        """Encodes bodies (B, S) with their mask, and reads the prompt (B, n). Returns what `step` needs to
        know of the bodies (see `Memory`), and the cache (B, *self.shape) after the prompt."""

    def step(
        self, memory: Memory, cache: KerasTensor, position: KerasTensor, token: KerasTensor
    ) -> tuple[KerasTensor, KerasTensor]:
        """Reads the token (B, 1) that each row has at `position`. Returns the logits (B, 1, V) of the next
        token, and the cache with the token that was read."""


def cached_calls(task: Any, length: int) -> CachedCalls:
    """Returns an object that calls a network of KerasHub. The cache holds `length` tokens per row."""
    return (
        T5GemmaCalls(task, length) if type(task).__name__ == "T5GemmaSeq2SeqLM" else BartCalls(task, length)
    )


class BartCalls:
    """Calls networks of the kinds BART and T5, with a cache."""

    def __init__(self, task: Any, length: int) -> None:
        self._task, backbone = task, task.backbone
        heads = backbone.num_heads
        head_size = getattr(backbone, "key_value_dim", None) or backbone.hidden_dim // heads
        self.shape = (backbone.num_layers, 2, length, heads, head_size)

    def begin(self, body: KerasTensor, mask: KerasTensor, prompt: KerasTensor) -> tuple[Memory, KerasTensor]:
        encoded = self._task.call_encoder(token_ids=body, padding_mask=mask)
        rows, length = ops.shape(body)
        layers, two, _, heads, size = self.shape
        dtype = self._task.compute_dtype
        _, _, cache, body_cache = self._task.call_decoder_with_cache(
            encoder_hidden_states=encoded,
            encoder_padding_mask=mask,
            decoder_token_ids=prompt,
            self_attention_cache=ops.zeros((rows, *self.shape), dtype),
            self_attention_cache_update_index=0,
            cross_attention_cache=ops.zeros((rows, layers, two, length, heads, size), dtype),
            cross_attention_cache_update_index=0,
        )
        return (encoded, mask, body_cache), cache

    def step(
        self, memory: Memory, cache: KerasTensor, position: KerasTensor, token: KerasTensor
    ) -> tuple[KerasTensor, KerasTensor]:
        encoded, mask, body_cache = memory
        logits, _, cache, _ = self._task.call_decoder_with_cache(
            encoder_hidden_states=encoded,
            encoder_padding_mask=mask,
            decoder_token_ids=token,
            self_attention_cache=cache,
            self_attention_cache_update_index=position,
            cross_attention_cache=body_cache,
            cross_attention_cache_update_index=None,
        )
        return logits, cache


class T5GemmaCalls:
    """Calls networks of the kind T5Gemma, with a cache."""

    def __init__(self, task: Any, length: int) -> None:
        self._task, backbone = task, task.backbone
        heads, head_size = backbone.decoder_num_key_value_heads, backbone.decoder_head_dim
        self.shape = (backbone.decoder_num_layers, 2, length, heads, head_size)

    def begin(self, body: KerasTensor, mask: KerasTensor, prompt: KerasTensor) -> tuple[Memory, KerasTensor]:
        encoded, _ = self._task.call_encoder(body, mask)
        empty = ops.zeros((ops.shape(body)[0], *self.shape), self._task.compute_dtype)
        _, cache, body_cache = self._call((encoded, mask, None), empty, 0, prompt)
        return (encoded, mask, body_cache), cache

    def step(
        self, memory: Memory, cache: KerasTensor, position: KerasTensor, token: KerasTensor
    ) -> tuple[KerasTensor, KerasTensor]:
        logits, cache, _ = self._call(memory, cache, position, token)
        return logits, cache

    def _call(
        self, memory: tuple[Any, Any, Any], cache: KerasTensor, position: Any, token: KerasTensor
    ) -> tuple[KerasTensor, KerasTensor, KerasTensor]:
        """Returns the logits, the cache, and the keys and values of the cross-attention to the bodies."""
        encoded, mask, body_cache = memory
        logits, _, (cache, body_cache) = self._task.call_decoder_with_cache(
            decoder_token_ids=token,
            decoder_padding_mask=None,
            cache=(cache, body_cache),
            cache_update_index=position,
            encoder_output=encoded,
            encoder_padding_mask=mask,
        )
        return logits, cache, body_cache
