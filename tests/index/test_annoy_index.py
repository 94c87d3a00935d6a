"""An Annoy index is built, opened and searched for neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import LakeError
from pipeline.index import annoy_index
from pipeline.index.annoy_index import Vectors


@pytest.fixture
def vectors() -> Vectors:
    return np.random.default_rng(1).normal(size=(500, 16)).astype(np.float32)


def test_an_item_is_its_own_nearest_neighbour(tmp_path: Path, vectors: Vectors) -> None:
    assert annoy_index.build([vectors[:300], vectors[300:]], 16, tmp_path / "a.ann", trees=10, seed=1) == 500
    index = annoy_index.Index(tmp_path / "a.ann", 16)
    assert len(index) == 500
    item, distance = index.nearest(vectors[123], 1)[0]
    assert item == 123
    assert distance == pytest.approx(0, abs=1e-3)


def test_the_same_vectors_give_the_same_bytes(tmp_path: Path, vectors: Vectors) -> None:
    for name in ("a", "b"):
        annoy_index.build([vectors], 16, tmp_path / name, trees=5, seed=7)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_distance_is_angular(tmp_path: Path) -> None:
    vectors = np.array([[1, 0], [0, 1], [-1, 0]], dtype=np.float32)
    annoy_index.build([vectors], 2, tmp_path / "a.ann", trees=3, seed=1)
    nearest = annoy_index.Index(tmp_path / "a.ann", 2).nearest(np.array([1, 0], dtype=np.float32), 3)
    assert [item for item, _ in nearest] == [0, 1, 2]
    assert [distance for _, distance in nearest] == pytest.approx([0, 2**0.5, 2])


def test_a_file_that_is_not_an_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ann").write_bytes(b"123")
    with pytest.raises(LakeError, match="is not an Annoy index of vectors with 16 numbers"):
        annoy_index.Index(tmp_path / "a.ann", 16)
