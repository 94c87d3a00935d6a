"""What the backend reports about its device."""

import keras

from pipeline.networks.in_keras.devices import default_device, peak_memory


def test_the_peak_memory_is_reported_for_an_accelerator_and_not_for_a_cpu():
    keras.ops.ones(1000)
    accelerated = bool(keras.distribution.list_devices("gpu"))
    assert ((peak_memory() or 0) > 0) == accelerated


def test_the_default_device_is_named():
    assert default_device() == keras.distribution.list_devices()[0]
    assert default_device().partition(":")[0] in ("cpu", "gpu", "tpu")
