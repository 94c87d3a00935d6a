"""T5 in NumPy, written from the paper and Hugging Face's names: the reference for the converted network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

Tensors = Mapping[str, np.ndarray]


def log_probabilities(
    tensors: Tensors, config: Mapping[str, Any], body: list[int], title: list[int]
) -> np.ndarray:
    """The log probabilities (len(title), vocabulary) of the token after each token of `title`."""
    encoded = _stack(tensors, config, "encoder", tensors["shared.weight"][body], None)
    hidden = _stack(tensors, config, "decoder", tensors["shared.weight"][title], encoded)
    if config["tie_word_embeddings"]:
        logits = hidden * config["d_model"] ** -0.5 @ tensors["shared.weight"].T
    else:
        logits = hidden @ tensors["lm_head.weight"].T
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def _stack(
    tensors: Tensors, config: Mapping[str, Any], stack: str, x: np.ndarray, encoded: np.ndarray | None
) -> np.ndarray:
    table = tensors[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    length = len(x)
    buckets = [[_bucket(key - query, stack == "encoder") for key in range(length)] for query in range(length)]
    bias = table[np.array(buckets)].transpose(2, 0, 1)
    if stack == "decoder":
        bias = bias + np.triu(np.full((length, length), -1e9), 1)
    for number in range(config["num_layers"]):
        prefix = f"{stack}.block.{number}.layer"
        normed = _norm(x, tensors[f"{prefix}.0.layer_norm.weight"])
        x = x + _attention(tensors, config, f"{prefix}.0.SelfAttention", normed, normed, bias)
        last = 1
        if encoded is not None:
            normed = _norm(x, tensors[f"{prefix}.1.layer_norm.weight"])
            x = x + _attention(tensors, config, f"{prefix}.1.EncDecAttention", normed, encoded, 0.0)
            last = 2
        normed = _norm(x, tensors[f"{prefix}.{last}.layer_norm.weight"])
        x = x + _feed_forward(tensors, config, f"{prefix}.{last}.DenseReluDense", normed)
    return _norm(x, tensors[f"{stack}.final_layer_norm.weight"])


def _norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return weight * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6)


def _attention(
    tensors: Tensors,
    config: Mapping[str, Any],
    name: str,
    queries: np.ndarray,
    memory: np.ndarray,
    bias: np.ndarray | float,
) -> np.ndarray:
    """Without a scale of the products, which T5 has in its initial weights."""

    def heads(x: np.ndarray, short: str) -> np.ndarray:
        projected = x @ tensors[f"{name}.{short}.weight"].T
        return projected.reshape(len(x), config["num_heads"], config["d_kv"]).transpose(1, 0, 2)

    scores = heads(queries, "q") @ heads(memory, "k").transpose(0, 2, 1) + bias
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    context = (weights @ heads(memory, "v")).transpose(1, 0, 2).reshape(len(queries), -1)
    return context @ tensors[f"{name}.o.weight"].T


def _feed_forward(tensors: Tensors, config: Mapping[str, Any], name: str, x: np.ndarray) -> np.ndarray:
    if config["feed_forward_proj"] == "relu":
        hidden = np.maximum(x @ tensors[f"{name}.wi.weight"].T, 0)
    else:
        gate = x @ tensors[f"{name}.wi_0.weight"].T
        gelu = 0.5 * gate * (1 + np.tanh(math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3)))
        hidden = gelu * (x @ tensors[f"{name}.wi_1.weight"].T)
    return hidden @ tensors[f"{name}.wo.weight"].T


def _bucket(distance: int, both_directions: bool) -> int:
    """The row of the table of relative positions: 32 rows, distances of 128 and more share the last one."""
    rows, first = (16, 16 if distance > 0 else 0) if both_directions else (32, 0)
    distance = abs(distance) if both_directions else max(0, -distance)
    exact = rows // 2
    if distance < exact:
        return first + distance
    large = exact + int(math.log(distance / exact) / math.log(128 / exact) * (rows - exact))
    return first + min(large, rows - 1)
