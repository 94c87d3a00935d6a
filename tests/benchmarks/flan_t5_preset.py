"""Makes a preset of flan-t5-small (77 million parameters) from a package of PyPI, for machines that do not
reach Hugging Face.

    tests/benchmarks/flan_t5_preset.sh FOLDER

The package traceforge-title-model 0.2.0 (MIT licence) has the network as two ONNX graphs with weights in 8
bits, and the tokenizer as `tokenizer.json`. Here the weights become float32 tensors under the names of T5 at
Hugging Face, and the tokenizer becomes `spiece.model`. The result is a folder in the format of Hugging Face:

    TITLER_MODEL__VARIANT=pretrained TITLER_MODEL__PRESET=FOLDER titler train --from-file issues.parquet

This script runs in an environment of its own, which `flan_t5_preset.sh` installs: onnx, safetensors and
sentencepiece are no dependencies of Titler.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors.numpy
from onnx import numpy_helper
from sentencepiece import sentencepiece_model_pb2

GRAPHS = ("encoder", "decoder")
CONFIG = {
    "architectures": ["T5ForConditionalGeneration"],
    "model_type": "t5",
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 1024,
    "num_layers": 8,
    "num_decoder_layers": 8,
    "num_heads": 6,
    "vocab_size": 32128,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "dropout_rate": 0.1,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "gated-gelu",
    "is_gated_act": True,
    "dense_act_fn": "gelu_new",
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
}
README = """---
license: mit
---
flan-t5-small, fine-tuned for short titles. The weights are those of the PyPI package traceforge-title-model
0.2.0, converted from 8 bits to float32.
"""
Array = np.ndarray[Any, Any]


def tensors(folder: Path) -> dict[str, Array]:
    """The weights of both graphs as float32, under the names of Hugging Face's T5."""
    result = {}
    for name in GRAPHS:
        graph = onnx.load(str(folder / f"{name}.onnx")).graph
        weights = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
        for weight, values in weights.items():
            if weight.endswith("norm.weight"):
                result[hugging_face_name(weight)] = values
        for node in graph.node:
            quantized = [part for part in node.input if part.endswith("_quantized") and part in weights]
            if quantized and node.op_type in ("MatMulInteger", "Gather"):
                stem = quantized[0].removesuffix("_quantized")
                scale = weights[f"{stem}_scale"].astype(np.float32)
                zero = weights[f"{stem}_zero_point"].astype(np.float32)
                values = (weights[quantized[0]].astype(np.float32) - zero) * scale
                # ONNX multiplies by [in, out], Hugging Face stores [out, in].
                is_product = node.op_type == "MatMulInteger"
                path = node.name.rsplit("/", 1)[0] + ".weight"
                result[hugging_face_name(path)] = values.T if is_product else values
    return {name: np.ascontiguousarray(values) for name, values in result.items()}


def hugging_face_name(path: str) -> str:
    """The name of a tensor, from its path in a graph: /enc/block.0/layer.0/SelfAttention/q.weight."""
    name = path.removeprefix("/").replace("/", ".")
    for prefix, replacement in (("enc.", "encoder."), ("m.", "")):
        if name.startswith(prefix):
            name = replacement + name.removeprefix(prefix)
    return "shared.weight" if name.endswith(("embed_tokens.weight", "decoder.shared.weight")) else name


def sentencepiece_model(tokenizer: dict[str, Any]) -> bytes:
    """The tokenizer of `tokenizer.json`, which is a unigram model, as the content of `spiece.model`."""
    model = sentencepiece_model_pb2.ModelProto()
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    trainer.model_type = trainer.UNIGRAM
    trainer.pad_id, trainer.eos_id, trainer.unk_id, trainer.bos_id = 0, 1, tokenizer["model"]["unk_id"], -1
    precompiled = next(
        part for part in tokenizer["normalizer"]["normalizers"] if part["type"] == "Precompiled"
    )
    normalizer.name = "nmt_nfkc"
    normalizer.precompiled_charsmap = base64.b64decode(precompiled["precompiled_charsmap"])
    special = {token["content"] for token in tokenizer["added_tokens"]}
    for text, score in tokenizer["model"]["vocab"]:
        piece = model.pieces.add(piece=text, score=score)
        if text == "<unk>":
            piece.type = piece.UNKNOWN
        elif text in special:
            piece.type = piece.USER_DEFINED if text.startswith("<extra_id_") else piece.CONTROL
    trainer.vocab_size = len(model.pieces)
    return bytes(model.SerializeToString())


def main(package: Path, preset: Path) -> None:
    """Writes the preset. `package` is the package's folder with the graphs and the tokenizer."""
    preset.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(tensors(package), preset / "model.safetensors")
    tokenizer = json.loads((package / "tokenizer.json").read_text(encoding="utf-8"))
    (preset / "spiece.model").write_bytes(sentencepiece_model(tokenizer))
    (preset / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n", encoding="utf-8")
    (preset / "README.md").write_text(README, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
