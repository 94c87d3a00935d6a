"""Reads T5 checkpoints in the format of Hugging Face. KerasHub does not convert such checkpoints.

The checkpoints of T5 1.1 and FLAN-T5 are also read. A checkpoint is a folder with `config.json`,
`spiece.model` (the tokenizer) and `model.safetensors`, which may be split into several files. The class of
the network is `T5Seq2SeqLM`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import numpy.typing as npt
import safetensors
from keras import KerasTensor

from pipeline.errors import UsageError

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "spiece.model"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
SUPPORTED = {"relative_attention_num_buckets": 32, "relative_attention_max_distance": 128}
"""Values of config.json that KerasHub does not let us change. They are also the values of every published T5
model."""
Tensors = Callable[[str], npt.NDArray[Any]]
"""A function that returns the tensor with a name."""


@keras.saving.register_keras_serializable(package="titler")
def gelu_tanh(x: KerasTensor) -> KerasTensor:
    """The approximation of GELU that T5 1.1 uses, called `gelu_new` by Hugging Face."""
    return keras.activations.gelu(x, approximate=True)


def is_t5_checkpoint(folder: Path) -> bool:
    """Returns whether the folder has a T5 checkpoint in the format of Hugging Face."""
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") == "t5"


def load_t5(folder: Path, dtype: str) -> keras_hub.models.T5Seq2SeqLM:
    """Returns the network in a folder for which `is_t5_checkpoint` is true, with its weights and tokenizer.

    `dtype` is the name of a Keras dtype policy, such as `float32` or `mixed_bfloat16`. Raises UsageError if a
    file is missing, if the checkpoint lacks a tensor, or if KerasHub does not support its configuration.
    """
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    if not (folder / TOKENIZER_FILE).is_file():
        raise UsageError(
            f"The file {folder / TOKENIZER_FILE} is missing. It has the tokenizer (SentencePiece).",
            "Download all files of the checkpoint.",
        )
    backbone = keras_hub.models.T5Backbone(**_backbone_arguments(config, folder), dtype=dtype)
    with _open_tensors(folder) as tensors:
        _assign_weights(backbone, tensors)
    tokenizer = keras_hub.models.T5Tokenizer(proto=(folder / TOKENIZER_FILE).read_bytes())
    return keras_hub.models.T5Seq2SeqLM(backbone, keras_hub.models.T5Seq2SeqLMPreprocessor(tokenizer))


def _backbone_arguments(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Returns the arguments of KerasHub's `T5Backbone` for the content of a config.json."""
    unsupported = [
        f"{name} = {config[name]}" for name, value in SUPPORTED.items() if config.get(name, value) != value
    ]
    if config.get("num_decoder_layers", config["num_layers"]) != config["num_layers"]:
        unsupported.append("num_decoder_layers, which is not num_layers")
    feed_forward = config.get("feed_forward_proj", "relu")
    if feed_forward not in ("relu", "gated-gelu"):
        unsupported.append(f"feed_forward_proj = {feed_forward}")
    if unsupported:
        raise UsageError(
            f"{folder / CONFIG_FILE} describes a T5 network that KerasHub does not support: "
            f"{', '.join(unsupported)}.",
            "Choose a preset that KerasHub supports, such as hf://google/flan-t5-small.",
        )
    gated = feed_forward == "gated-gelu"
    return {
        "vocabulary_size": config["vocab_size"],
        "num_layers": config["num_layers"],
        "num_heads": config["num_heads"],
        "hidden_dim": config["d_model"],
        "intermediate_dim": config["d_ff"],
        "key_value_dim": config["d_kv"],
        "dropout": config.get("dropout_rate", 0.1),
        "activation": gelu_tanh if gated else "relu",
        "use_gated_activation": gated,
        "layer_norm_epsilon": config.get("layer_norm_epsilon", 1e-6),
        "tie_embedding_weights": config.get("tie_word_embeddings", True),
    }


@contextmanager
def _open_tensors(folder: Path) -> Iterator[Tensors]:
    """Provides a function that reads a tensor of the checkpoint by its name."""
    index = folder / INDEX_FILE
    files = json.loads(index.read_text(encoding="utf-8"))["weight_map"] if index.is_file() else {}
    with ExitStack() as stack:
        opened: dict[str, Any] = {}

        def tensor(name: str) -> npt.NDArray[Any]:
            file = files.get(name, WEIGHTS_FILE)
            try:
                if file not in opened:
                    opened[file] = stack.enter_context(safetensors.safe_open(folder / file, framework="np"))
                return np.asarray(opened[file].get_tensor(name))
            except (OSError, safetensors.SafetensorError) as error:
                raise UsageError(
                    f"{folder / file} has no readable tensor {name}: {error}",
                    "Download all files of the checkpoint. The weights must be in the format safetensors.",
                ) from None

        yield tensor


def _assign_weights(backbone: Any, tensor: Tensors) -> None:
    """Gives the network the weights of the checkpoint.

    Hugging Face stores the matrix of a dense layer as (out, in), and KerasHub as (in, out). So this function
    transposes such matrices.
    """
    backbone.token_embedding.embeddings.assign(tensor("shared.weight"))
    if not backbone.tie_embedding_weights:
        backbone.token_embedding.reverse_embeddings.assign(tensor("lm_head.weight").T)
    for stack, layers in (
        ("encoder", backbone.encoder_transformer_layers),
        ("decoder", backbone.decoder_transformer_layers),
    ):
        for number, layer in enumerate(layers):
            _assign_layer(layer, f"{stack}.block.{number}.layer", tensor)
    backbone.encoder_layer_norm.weight.assign(tensor("encoder.final_layer_norm.weight"))
    backbone.decoder_layer_norm.weight.assign(tensor("decoder.final_layer_norm.weight"))


def _assign_layer(layer: Any, prefix: str, tensor: Tensors) -> None:
    attentions = [("SelfAttention", layer.self_attention, layer.self_attention_layer_norm)]
    if layer.is_decoder:
        attentions.append(("EncDecAttention", layer.cross_attention, layer.cross_attention_layer_norm))
    for part, (name, attention, norm) in enumerate(attentions):
        for short, projector in (
            ("q", attention.query_projector),
            ("k", attention.key_projector),
            ("v", attention.value_projector),
            ("o", attention.output_projector),
        ):
            projector.kernel.assign(tensor(f"{prefix}.{part}.{name}.{short}.weight").T)
        if attention.use_relative_attention_bias:
            bias = tensor(f"{prefix}.{part}.{name}.relative_attention_bias.weight")
            attention.relative_attention_bias.assign(bias)
        norm.weight.assign(tensor(f"{prefix}.{part}.layer_norm.weight"))
    last = f"{prefix}.{len(attentions)}"
    names = {"wo": layer.output_projector}
    if layer.use_gated_activation:
        names |= {"wi_0": layer.input_projector, "wi_1": layer.gate_projector}
    else:
        names["wi"] = layer.input_projector
    for short, projector in names.items():
        projector.kernel.assign(tensor(f"{last}.DenseReluDense.{short}.weight").T)
    layer.layer_norm.weight.assign(tensor(f"{last}.layer_norm.weight"))
