"""How close in meaning two titles are: the cosine of their vectors in all-MiniLM-L6-v2.

    encoder = SentenceEncoder.load(folder)    the folder that tests/benchmarks/install_semantic.sh prints

The model (Wang et al. 2020, "MiniLM", trained on sentence pairs) and onnxruntime, which runs it, are only for
benchmarks, so they are not among Titler's dependencies.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]
"""From n texts to n vectors of length 1."""

INSTALL = "tests/benchmarks/install_semantic.sh"
NETWORK, TOKENIZER, PACKAGES = "all-minilm-l6-v2.onnx", "all-minilm-l6-v2-tokenizer.json", "python"
MAX_TOKENS = 128
BATCH = 64


@dataclass(frozen=True)
class SentenceEncoder:
    """The network all-MiniLM-L6-v2 and its tokenizer."""

    network: Any
    tokenizer: Any

    @classmethod
    def load(cls, folder: Path) -> SentenceEncoder:
        """The encoder in `folder`. Exits the process if a file is missing."""
        missing = [name for name in (NETWORK, TOKENIZER, PACKAGES) if not (folder / name).exists()]
        if missing:
            sys.exit(f"{folder} lacks {', '.join(missing)}. Give the folder that this prints:  {INSTALL}")
        sys.path.append(str(folder / PACKAGES))
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # otherwise importing onnxruntime reports to its maker
        import onnxruntime
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        tokenizer.enable_truncation(MAX_TOKENS)
        tokenizer.enable_padding()
        network = onnxruntime.InferenceSession(str(folder / NETWORK), providers=["CPUExecutionProvider"])
        return cls(network, tokenizer)

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """(n, 384): the vectors of n texts, each of length 1: the mean over its tokens."""
        order = np.argsort([len(text) for text in texts], kind="stable")  # less padding within a batch
        vectors = np.zeros((len(texts), 384), dtype=np.float32)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            encodings = self.tokenizer.encode_batch([texts[row] for row in rows])
            mask = np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64)
            ids = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
            inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            hidden = self.network.run(None, inputs)[0]
            sums = (hidden * mask[:, :, None]).sum(axis=1)
            vectors[rows] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return vectors


class Similarity:
    """Called with n titles, returns 100 times their mean cosine with n references, whatever their case.

    A title that was withheld, which is empty, counts as 0.
    """

    def __init__(self, encode: Encode, references: Sequence[str]) -> None:
        self._encode = encode
        self._references = encode([text.lower() for text in references])

    def __call__(self, titles: Sequence[str]) -> float:
        has_title = np.array([title != "" for title in titles], dtype=bool)
        cosines = (self._encode([title.lower() for title in titles]) * self._references).sum(axis=1)
        return float(100 * np.where(has_title, cosines, 0).mean())
