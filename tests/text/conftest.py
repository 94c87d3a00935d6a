"""What the real ktext 0.40 made of real and of made-up documents, on its own Python and pins."""

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
class Judged:
    """Texts and what ktext 0.40 made of them; `vectors` are (documents, length)."""

    texts: list[str]
    tokens: list[list[str]]
    vectors: npt.NDArray[np.int32]
    word_ids: dict[str, int]


def judged(name: str, field: str) -> Judged:
    root = os.environ.get("TITLER_TEST_DATA")
    if not root:
        pytest.skip("TITLER_TEST_DATA is unset: it names the folder that holds ktext/real and ktext/hard")
    folder = Path(root) / "ktext" / name
    with gzip.open(folder / "documents.jsonl.gz", "rt", encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    return Judged(
        texts=[document[field] for document in documents],
        tokens=[document[f"{field}_tokens"] for document in documents],
        vectors=np.load(folder / "vectors.npz")[field],
        word_ids=json.loads((folder / f"{field}_vocab.json").read_text(encoding="utf-8")),
    )


@pytest.fixture(params=["real", "hard"])
def bodies(request: pytest.FixtureRequest) -> Judged:
    return judged(request.param, "body")


@pytest.fixture(params=["real", "hard"])
def titles(request: pytest.FixtureRequest) -> Judged:
    return judged(request.param, "title")


@pytest.fixture
def hard_texts() -> list[str]:
    return judged("hard", "title").texts + judged("hard", "body").texts
