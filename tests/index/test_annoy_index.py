"""The index: built the same twice, measured against exact search."""

import numpy as np
import pytest

from pipeline.errors import LakeError
from pipeline.index import annoy_index
from pipeline.index.recall import measure_recall


@pytest.fixture
def vectors():
    return np.random.default_rng(1).normal(size=(500, 16)).astype(np.float32)


def test_an_item_is_its_own_nearest_neighbour(tmp_path, vectors):
    assert annoy_index.build([vectors[:300], vectors[300:]], 16, tmp_path / "a.ann", trees=10, seed=1) == 500
    index = annoy_index.Index(tmp_path / "a.ann", 16)
    assert len(index) == 500
    item, distance = index.nearest(vectors[123], 1)[0]
    assert item == 123
    assert distance == pytest.approx(0, abs=1e-3)


def test_the_same_vectors_give_the_same_bytes(tmp_path, vectors):
    for name in ("a", "b"):
        annoy_index.build([vectors], 16, tmp_path / name, trees=5, seed=7)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_recall_is_whole_when_everything_is_inspected_and_less_when_little_is(tmp_path, vectors):
    annoy_index.build([vectors], 16, tmp_path / "a.ann", trees=1, seed=1)
    index = annoy_index.Index(tmp_path / "a.ann", 16)
    queries = np.arange(50)
    assert measure_recall(index, vectors, queries, search_k=100_000) == 1.0
    assert measure_recall(index, vectors, queries, search_k=1) < 0.9


def test_distance_is_angular(tmp_path):
    annoy_index.build(
        [np.array([[1, 0], [0, 1], [-1, 0]], dtype=np.float32)], 2, tmp_path / "a.ann", trees=3, seed=1
    )
    found = dict(annoy_index.Index(tmp_path / "a.ann", 2).nearest(np.array([1, 0], dtype=np.float32), 3))
    assert found == {0: pytest.approx(0), 1: pytest.approx(2**0.5), 2: pytest.approx(2)}


def test_a_file_that_is_no_index_is_one_clear_error(tmp_path):
    (tmp_path / "a.ann").write_bytes(b"123")
    with pytest.raises(LakeError, match="is not an index of vectors of 16 numbers"):
        annoy_index.Index(tmp_path / "a.ann", 16)
