"""Training on four devices, simulated on this machine's CPU, is training on one."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from pipeline.networks.in_keras.devices import spread

# Trains on the first device, then on all: 16 issues a step, and 2 in the last one, which cannot be parted into four.
TRAIN = """
import json, sys
from pathlib import Path
from tempfile import mkdtemp
import jax, numpy as np
from pipeline.errors import UsageError
from pipeline.networks.in_keras import Shape, build
from pipeline.networks.in_keras.devices import spread
from pipeline.networks.in_keras.training import fit

variant, given = sys.argv[1], set()
distribute = jax.make_array_from_process_local_data

def noted(sharding, array):
    made = distribute(sharding, array)
    if array is not None:  # the weights of samples, of which there are none
        given.add((*made.shape, "as", *made.addressable_shards[0].data.shape, "on", len(made.addressable_shards)))
    return made

jax.make_array_from_process_local_data = noted  # all that Keras gives to several devices goes through it
random = np.random.default_rng(0)
bodies = random.integers(4, 12, (18, 7)).astype(np.int32)
titles = np.hstack([np.full((18, 1), 2), bodies[:, 3:5], np.full((18, 1), 3), np.zeros((18, 1))]).astype(np.int32)

def batches(count):
    return lambda epoch: iter([(bodies[start:count][:16], titles[start:count][:16]) for start in range(0, count, 16)])

def trained():
    network = build(variant, Shape(12, 12, 7, 5, 8, 8), seed=1)
    said = []
    fit(network, batches(18), batches(16), epochs=1, learning_rate=0.01, patience=1, checkpoint=Path(mkdtemp()), seed=1,
        on_epoch=said.append, contrast=batches(16), contrast_epochs=1)
    figures = [value for each in said for name, value in vars(each).items() if name != "seconds"]
    weights = np.concatenate([np.ravel(weight) for weight in network.model.get_weights()]).tolist()
    where = {(variable.value.sharding.is_fully_replicated, len(variable.value.sharding.device_set)) for variable in network.model.variables}
    return figures, weights, sorted(where), network.decode(bodies, 2, 3).ids.tolist()

one = trained()
with spread(16) as devices:
    many = trained()
try:
    with spread(18):
        refused = ""
except UsageError as error:
    refused = str(error)
print(json.dumps({"one": one, "many": many, "devices": devices, "given": sorted(given, key=str), "refused": refused}))
"""
FOUR = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
}


@pytest.fixture(scope="module", params=["gru_cudnn", "copy"])
def found(request: pytest.FixtureRequest) -> Any:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    environment = {**os.environ, **FOUR}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, request.param],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_figures_are_those_of_one_device(found: Any) -> None:
    assert found["many"][0] == pytest.approx(found["one"][0], rel=1e-4)


def test_so_are_the_weights_and_the_titles(found: Any) -> None:
    assert found["many"][1] == pytest.approx(found["one"][1], rel=1e-3, abs=1e-5)
    assert found["many"][3] == found["one"][3]


def test_every_device_holds_all_the_weights(found: Any) -> None:
    assert (found["one"][2], found["many"][2]) == ([[True, 1]], [[True, 4]])


def test_every_device_gets_a_quarter_of_a_batch_and_the_whole_of_one_that_does_not_part(found: Any) -> None:
    assert [16, 7, "as", 4, 7, "on", 4] in found["given"]
    assert [2, 7, "as", 2, 7, "on", 4] in found["given"]
    assert [16, 7, "as", 16, 7, "on", 4] not in found["given"]


def test_a_batch_that_never_parts_is_refused_with_one_that_does(found: Any) -> None:
    assert found["devices"] == ["cpu:0", "cpu:1", "cpu:2", "cpu:3"]
    assert (
        "batch_size = 18 does not part into equal parts for 4 devices (cpu:0, cpu:1, cpu:2, cpu:3)"
        in found["refused"]
    )
    assert "TITLER_MODEL__BATCH_SIZE=20" in found["refused"]


def test_other_backends_train_where_they_choose_to() -> None:
    with spread(7) as devices:
        assert devices == ()
