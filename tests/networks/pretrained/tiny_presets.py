"""Tiny random presets: checkpoints in the formats of Hugging Face, made on the spot."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import sentencepiece
from safetensors.numpy import save_file

SENTENCES = [
    "the window closes when i press enter twice",
    "crash on start after the update",
    "add a setting for the font size",
    "the parser fails with a null pointer",
    "docs: typo in the example of the readme",
] * 4
T5_CONFIG = {
    "model_type": "t5",
    "architectures": ["T5ForConditionalGeneration"],
    "d_model": 16,
    "d_kv": 4,
    "d_ff": 24,
    "num_heads": 3,
    "dropout_rate": 0.1,
    "layer_norm_epsilon": 1e-6,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
}


T5_TOKENS = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}


def sentencepiece_model(**special_tokens: Any) -> bytes:
    """A tokenizer of SentencePiece."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
        **special_tokens,
    )
    return model.getvalue()


def t5_tensors(config: dict[str, Any], seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights under the names of Hugging Face's class T5ForConditionalGeneration."""
    random = np.random.default_rng(seed)
    size, inner, hidden = config["d_model"], config["num_heads"] * config["d_kv"], config["d_ff"]

    def matrix(rows: int, columns: int, scale: float = 0.4) -> np.ndarray:
        return (scale * random.standard_normal((rows, columns))).astype(np.float32)

    def norm() -> np.ndarray:
        return (1 + 0.1 * random.standard_normal(size)).astype(np.float32)

    tensors = {"shared.weight": matrix(config["vocab_size"], size, 1.0)}
    if not config["tie_word_embeddings"]:
        tensors["lm_head.weight"] = matrix(config["vocab_size"], size)
    names = {"encoder": ["SelfAttention"], "decoder": ["SelfAttention", "EncDecAttention"]}
    for stack, attentions in names.items():
        tensors[f"{stack}.final_layer_norm.weight"] = norm()
        for number in range(config["num_layers"]):
            prefix = f"{stack}.block.{number}.layer"
            for part, name in enumerate(attentions):
                for short in "qkv":
                    tensors[f"{prefix}.{part}.{name}.{short}.weight"] = matrix(inner, size)
                tensors[f"{prefix}.{part}.{name}.o.weight"] = matrix(size, inner)
                tensors[f"{prefix}.{part}.layer_norm.weight"] = norm()
            last = f"{prefix}.{len(attentions)}"
            for short in ["wi_0", "wi_1"] if config["feed_forward_proj"] == "gated-gelu" else ["wi"]:
                tensors[f"{last}.DenseReluDense.{short}.weight"] = matrix(hidden, size)
            tensors[f"{last}.DenseReluDense.wo.weight"] = matrix(size, hidden)
            tensors[f"{last}.layer_norm.weight"] = norm()
        bias = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        tensors[bias] = matrix(32, config["num_heads"], 1.0)
    return tensors


def write_t5(folder: Path, *, flan: bool = True, layers: int = 2) -> dict[str, np.ndarray]:
    """Writes a tiny T5 checkpoint, of the kind of FLAN-T5 or of the first T5. Returns its tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = {
        "num_layers": layers,
        "vocab_size": 64,  # more than the tokenizer has, as in the published checkpoints
        "feed_forward_proj": "gated-gelu" if flan else "relu",
        "tie_word_embeddings": not flan,
    }
    tensors = t5_tensors({**T5_CONFIG, **kind})
    (folder / "config.json").write_text(json.dumps({**T5_CONFIG, **kind}))
    (folder / "spiece.model").write_bytes(sentencepiece_model(**T5_TOKENS))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny T5\n")
    save_file(tensors, folder / "model.safetensors")
    return tensors


BART_SIZES = {"d_model": 16, "encoder_ffn_dim": 24, "max_position_embeddings": 40}


def write_bart(folder: Path) -> None:
    """Writes a tiny BART checkpoint: random weights, and a tokenizer of single letters and a few merges."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = sorted({letter for sentence in SENTENCES for letter in sentence.replace(" ", "Ġ")})
    merges = ["Ġ t", "h e", "Ġt he", "c r", "cr a", "cra s", "cras h", "Ġ o", "Ġo n"]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *letters, *(merge.replace(" ", "") for merge in merges)]
    config = {
        "model_type": "bart",
        "architectures": ["BartForConditionalGeneration"],
        "vocab_size": len(tokens),
        "num_hidden_layers": 1,
        "encoder_attention_heads": 2,
        "dropout": 0.1,
        **BART_SIZES,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    save_file(bart_tensors(len(tokens)), folder / "model.safetensors")


def bart_tensors(vocabulary: int) -> dict[str, np.ndarray]:
    """Random weights of one layer, under the names of Hugging Face's class BartForConditionalGeneration."""
    random = np.random.default_rng(0)
    size, hidden, positions = BART_SIZES.values()
    tensors = {"shared.weight": random.standard_normal((vocabulary, size))}

    def linear(name: str, rows: int, columns: int) -> None:
        tensors[f"{name}.weight"] = 0.4 * random.standard_normal((rows, columns))
        tensors[f"{name}.bias"] = 0.1 * random.standard_normal(rows)

    def norm(name: str) -> None:
        tensors[f"{name}.weight"] = 1 + 0.1 * random.standard_normal(size)
        tensors[f"{name}.bias"] = 0.1 * random.standard_normal(size)

    for stack, attentions in (("encoder", ["self_attn"]), ("decoder", ["self_attn", "encoder_attn"])):
        tensors[f"{stack}.embed_positions.weight"] = random.standard_normal((positions + 2, size))
        norm(f"{stack}.layernorm_embedding")
        layer = f"{stack}.layers.0"
        for attention in attentions:
            for short in "qkv":
                linear(f"{layer}.{attention}.{short}_proj", size, size)
            linear(f"{layer}.{attention}.out_proj", size, size)
            norm(f"{layer}.{attention}_layer_norm")
        linear(f"{layer}.fc1", hidden, size)
        linear(f"{layer}.fc2", size, hidden)
        norm(f"{layer}.final_layer_norm")
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


def write_t5gemma(folder: Path) -> None:
    """Writes a tiny T5Gemma preset with random weights, in the format of KerasHub."""
    keras.utils.set_random_seed(0)
    proto = sentencepiece_model(
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>"
    )
    tokenizer = keras_hub.models.T5GemmaTokenizer(proto=proto)
    sizes = {
        "hidden_dim": 16,
        "intermediate_dim": 24,
        "num_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "layer_types": ["full_attention"],
    }
    backbone = keras_hub.models.T5GemmaBackbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        **{f"{stack}_{name}": size for stack in ("encoder", "decoder") for name, size in sizes.items()},
        initializer_range=0.5,
        final_logit_softcapping=30.0,
    )
    preprocessor = keras_hub.models.T5GemmaSeq2SeqLMPreprocessor(tokenizer)
    keras_hub.models.T5GemmaSeq2SeqLM(backbone, preprocessor).save_to_preset(str(folder))
