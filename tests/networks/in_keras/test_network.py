"""Encoding and decoding in batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.networks.in_keras import Network, Shape, build
from pipeline.networks.in_keras.network import SMALL_BATCHES, padded_batches

SHAPE = Shape(20, 9, body_length=6, title_length=5, embedding_size=4, hidden_size=5)
START, END = 3, 5


@pytest.fixture(scope="module")
def network() -> Network:
    network = build("gru", SHAPE, seed=7)
    rng = np.random.default_rng(7)
    network.model.set_weights(
        [
            weight + rng.normal(0, 1, weight.shape) * (weight.ndim > 1)
            for weight in network.model.get_weights()
        ]
    )
    return network


def bodies(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 20, (count, 6)).astype(np.int32)


def decoded_token_by_token(network: Network, body: np.ndarray) -> tuple[list[int], float]:
    """Greedy decoding that computes the whole network again for every token."""
    title, logs = [START], []
    while len(title) < 5 and title[-1] != END:
        padded = np.array([title + [0] * (4 - len(title))], np.int32)
        logits = np.asarray(network.model([body[None], padded], training=False))[0, len(title) - 1].astype(
            np.float64
        )
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        allowed = [word for word in range(9) if word not in (0, 1, START)]
        title.append(max(allowed, key=lambda word: probabilities[word]))
        logs.append(np.log(probabilities[title[-1]]))
    return title[1:], float(np.mean(logs))


def test_decoding_a_batch_writes_what_the_whole_network_predicts_token_by_token(network: Network) -> None:
    batch = bodies(12)
    decoded = network.decode(batch, START, END)
    for row, body in enumerate(batch):
        tokens, log_probability = decoded_token_by_token(network, body)
        assert decoded.ids[row].tolist() == tokens + [0] * (4 - len(tokens))
        assert decoded.log_probability[row] == pytest.approx(log_probability, abs=1e-5)
        assert decoded.lengths[row] == sum(token != END for token in tokens)


def test_the_test_network_writes_titles_of_every_length(network: Network) -> None:
    assert set(network.decode(bodies(200), START, END).lengths.tolist()) == {0, 1, 2, 3, 4}


def test_decoding_and_encoding_return_the_same_embeddings(network: Network) -> None:
    batch = bodies(12)
    np.testing.assert_allclose(network.decode(batch, START, END).states, network.encode(batch), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 30), batch_size=st.sampled_from([1, 7, 16]))
def test_the_title_of_an_issue_does_not_depend_on_the_rest_of_its_batch(
    network: Network, count: int, batch_size: int
) -> None:
    all_titles, titles = (
        network.decode(bodies(30), START, END),
        network.decode(bodies(30)[:count], START, END, batch_size),
    )
    assert titles.ids.tolist() == all_titles.ids[:count].tolist()
    np.testing.assert_allclose(titles.log_probability, all_titles.log_probability[:count], atol=1e-5)


def test_padding_unknown_and_start_are_never_written(network: Network) -> None:
    decoded = network.decode(bodies(300), START, END)
    written = decoded.ids[np.arange(4) < decoded.lengths[:, None]]
    assert not set(written.tolist()) & {0, 1, START, END}


@given(count=st.integers(0, 1300), batch_size=st.integers(1, 600))
def test_any_number_of_bodies_is_computed_in_batches_of_a_few_sizes(count: int, batch_size: int) -> None:
    ids = np.arange(1, count + 1, dtype=np.int32)[:, None]
    batches = list(padded_batches(ids, batch_size))
    assert [number for batch, rows in batches for number in batch[:rows, 0].tolist()] == list(
        range(1, count + 1)
    )
    assert {len(batch) for batch, _ in batches} <= {*SMALL_BATCHES, batch_size}
    assert len({len(batch) for batch, _ in batches}) <= 1


def test_zero_bodies_give_zero_titles_and_zero_embeddings(network: Network) -> None:
    decoded = network.decode(np.zeros((0, 6), np.int32), START, END)
    shapes = [decoded.ids.shape, decoded.lengths.shape, decoded.log_probability.shape, decoded.states.shape]
    assert shapes == [(0, 4), (0,), (0,), (0, 5)]
    assert network.encode(np.zeros((0, 6), np.int32)).shape == (0, 5)


def test_bodies_of_another_length_are_refused(network: Network) -> None:
    with pytest.raises(UsageError, match=r"\(1, 3\), but for n bodies this network needs the shape \(n, 6\)"):
        network.encode([[1, 2, 3]])


def test_ids_beyond_the_vocabulary_are_refused(network: Network) -> None:
    expected = "from 0 to 20, but the vocabulary of this network has the ids 0 to 19"
    with pytest.raises(UsageError, match=expected):
        network.encode([[0, 0, 0, 0, 0, 20]])
