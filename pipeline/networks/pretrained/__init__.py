"""The network `pretrained`: an encoder-decoder of the library KerasHub, fine-tuned to write titles.

This is the only package that imports `keras_hub`, which is an optional dependency (the extra `pretrained`).
"""

from __future__ import annotations

import warnings

from pipeline.networks.in_keras.quiet_import import stderr_only_on_error

with stderr_only_on_error():
    import keras_hub  # noqa: F401  # imported here first, without TensorFlow's messages

# KerasHub passes masks as arguments, not as masks of Keras.
warnings.filterwarnings("ignore", message=".*was passed an input with a mask attached to it.*")
