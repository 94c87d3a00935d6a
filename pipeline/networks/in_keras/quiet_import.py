"""Imports Keras and its backend without TensorFlow's start-up messages on standard error.

No setting of TensorFlow 2.21 silences all of these messages. For example, TensorFlow writes "oneDNN custom
operations are on" even if TF_CPP_MIN_LOG_LEVEL hides messages (tensorflow/tensorflow#100442). Only
TF_ENABLE_ONEDNN_OPTS=0 would silence this message, but it also switches oneDNN off. A training would then
give other weights. Therefore file descriptor 2 is redirected during the import.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stderr_only_on_error() -> Iterator[None]:
    """Hides all text that Python or C++ code writes to standard error within a `with` block.

    If the block raises an exception, the hidden text is written to standard error after all.
    """
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as collected:
        os.dup2(collected.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(original, 2)
            collected.seek(0)
            shutil.copyfileobj(collected, sys.stderr.buffer)
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


def _is_no_retracing_warning(record: logging.LogRecord) -> bool:
    """A logging filter that suppresses TensorFlow's warning that a function is compiled often.

    Returns False for this warning. The warning is of no use: training batches have a few sizes on purpose,
    and a function is compiled once for each size.
    """
    return "triggered tf.function retracing" not in record.getMessage()


logging.getLogger("tensorflow").addFilter(_is_no_retracing_warning)

with stderr_only_on_error():
    import keras

    # The first transposition of booleans in a process writes a message of oneDNN. So it is done in this
    # block.
    keras.ops.transpose(keras.ops.ones((2, 2), "bool"))
