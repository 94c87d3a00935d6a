"""Imports Keras and its backend with standard error held back: TensorFlow writes notes there that no setting silences.

And passes over one note that it writes later, of something that is meant to be so.
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
def held_back() -> Iterator[None]:
    """Keeps what is written to standard error, from C++ too, and passes it on only when an exception comes through."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            notes.seek(0)
            shutil.copyfileobj(notes, sys.stderr.buffer)
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _is_wanted(record: logging.LogRecord) -> bool:
    """Not where TensorFlow finds that a function is compiled often: a training's first batches come in the few sizes that there are."""
    return "triggered tf.function retracing" not in record.getMessage()


logging.getLogger("tensorflow").addFilter(_is_wanted)

with held_back():
    import keras

    keras.ops.transpose(
        keras.ops.ones((2, 2), "bool")
    )  # of its first one, oneDNN says that it leaves booleans to others
