"""What the backend tells of its device."""

import keras

from pipeline.networks.in_keras.devices import device, peak_memory


def test_an_accelerator_tells_what_it_has_held_and_a_cpu_has_no_memory_of_its_own():
    keras.ops.ones(1000)
    accelerated = bool(keras.distribution.list_devices("gpu"))
    assert ((peak_memory() or 0) > 0) == accelerated


def test_the_device_is_named():
    assert device() == keras.distribution.list_devices()[0]
    assert device().partition(":")[0] in ("cpu", "gpu", "tpu")
