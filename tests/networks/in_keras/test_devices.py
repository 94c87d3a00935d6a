"""Training on four devices, simulated on this machine's CPU, gives the results of training on one device."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from pipeline.networks.in_keras.devices import data_parallel

# Trains `copy` on the first device, then on all: 16 issues per step. A batch of 2 issues cannot be split into
# four: there is one in training and one in validation. A second layer would only take longer to compile.
TRAIN = """
import json
from tempfile import mkdtemp
import jax, numpy as np
from pipeline.errors import UsageError
from pipeline.networks.in_keras import Shape, build
from pipeline.networks.in_keras.devices import data_parallel
from pipeline.networks.in_keras.training import fit
from tests.support.checkpoint_folder import CheckpointFolder

placements = set()
distribute = jax.make_array_from_process_local_data

def recorded(sharding, array):
    distributed = distribute(sharding, array)
    if array is not None:  # Keras passes None as sample weights
        shards = distributed.addressable_shards
        placements.add((*distributed.shape, "as", *shards[0].data.shape, "on", len(shards)))
    return distributed

jax.make_array_from_process_local_data = recorded  # Keras distributes all arrays with this function
random = np.random.default_rng(0)
bodies = random.integers(4, 12, (18, 7)).astype(np.int32)
start, end, padding = (np.full((18, 1), token) for token in (2, 3, 0))
titles = np.hstack([start, bodies[:, 3:5], end, padding]).astype(np.int32)

def batches(*parts):
    return lambda _: iter([(bodies[part], titles[part]) for part in parts])

sixteen, two = slice(16), slice(16, 18)

def trained():
    network = build("copy", Shape(12, 12, 7, 5, 8, 8, layers=1), seed=1)
    reported = []
    fit(network, batches(sixteen, two), batches(two), epochs=1, learning_rate=0.01, patience=1, seed=1,
        checkpoint=CheckpointFolder(mkdtemp()), on_epoch=reported.append,
        contrast=batches(sixteen), contrast_epochs=1)
    figures = [value for epoch in reported for name, value in vars(epoch).items() if name != "seconds"]
    weights = np.concatenate([np.ravel(weight) for weight in network.model.get_weights()]).tolist()
    shardings = [variable.value.sharding for variable in network.model.variables]
    replicated_on = {(sharding.is_fully_replicated, len(sharding.device_set)) for sharding in shardings}
    return figures, weights, sorted(replicated_on)

one = trained()
placements.clear()
with data_parallel(16) as devices:
    many = trained()
try:
    with data_parallel(18):
        refused = ""
except UsageError as error:
    refused = str(error)
print(json.dumps({"one": one, "many": many, "devices": devices, "refused": refused,
                  "placements": sorted(placements, key=str)}))
"""
FOUR = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    # Without optimizations, compilation takes most of the time that training these few issues takes with
    # them.
    "XLA_FLAGS": "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0",
}


@pytest.fixture(scope="module")
def output() -> Any:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    completed = subprocess.run(
        [sys.executable, "-c", TRAIN],
        env={**os.environ, **FOUR},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


def test_the_figures_equal_those_of_one_device(output: Any) -> None:
    assert output["many"][0] == pytest.approx(output["one"][0], rel=1e-4)


def test_the_weights_equal_those_of_one_device(output: Any) -> None:
    assert output["many"][1] == pytest.approx(output["one"][1], rel=1e-3, abs=1e-5)


def test_every_device_has_all_weights(output: Any) -> None:
    assert (output["one"][2], output["many"][2]) == ([[True, 1]], [[True, 4]])


def test_every_device_gets_a_quarter_of_a_batch_or_all_of_a_batch_that_cannot_be_split(output: Any) -> None:
    assert [16, 7, "as", 4, 7, "on", 4] in output["placements"]
    assert [2, 7, "as", 2, 7, "on", 4] in output["placements"]
    assert [16, 7, "as", 16, 7, "on", 4] not in output["placements"]


def test_a_batch_size_that_is_not_divisible_is_refused_with_one_that_is(output: Any) -> None:
    assert output["devices"] == ["cpu:0", "cpu:1", "cpu:2", "cpu:3"]
    assert (
        "batch_size = 18 is not divisible by 4, the number of devices (cpu:0, cpu:1, cpu:2, cpu:3)"
        in output["refused"]
    )
    assert "TITLER_MODEL__BATCH_SIZE=20" in output["refused"]


def test_on_other_backends_training_is_not_distributed() -> None:
    with data_parallel(7) as devices:
        assert devices == ()
