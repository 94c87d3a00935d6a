"""The output of the real ktext 0.40 for real and for constructed documents, with the Python and packages that
it pins.
"""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest


@dataclass(frozen=True)
class KtextOutput:
    """Texts with the tokens, ids (documents, length) and vocabulary that ktext 0.40 made from them."""

    texts: list[str]
    tokens: list[list[str]]
    vectors: npt.NDArray[np.int32]
    word_ids: dict[str, int]


def ktext_output(name: str, field: str) -> KtextOutput:
    root = os.environ.get("TITLER_TEST_DATA")
    if not root:
        pytest.skip("TITLER_TEST_DATA is not set: it names the folder that holds ktext/real and ktext/hard")
    folder = Path(root) / "ktext" / name
    with gzip.open(folder / "documents.jsonl.gz", "rt", encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    return KtextOutput(
        texts=[document[field] for document in documents],
        tokens=[document[f"{field}_tokens"] for document in documents],
        vectors=np.load(folder / "vectors.npz")[field],
        word_ids=json.loads((folder / f"{field}_vocab.json").read_text(encoding="utf-8")),
    )


@pytest.fixture(params=["real", "hard"])
def bodies(request: pytest.FixtureRequest) -> KtextOutput:
    return ktext_output(request.param, "body")


@pytest.fixture(params=["real", "hard"])
def titles(request: pytest.FixtureRequest) -> KtextOutput:
    return ktext_output(request.param, "title")


@pytest.fixture
def hard_texts() -> list[str]:
    return ktext_output("hard", "title").texts + ktext_output("hard", "body").texts
