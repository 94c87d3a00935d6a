"""Imports Keras and its backend with standard error held back: TensorFlow writes notes there that no setting silences."""

from __future__ import annotations

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


with held_back():
    import keras

    keras.ops.transpose(keras.ops.ones((2, 2), "bool"))  # of its first one, oneDNN says that it leaves booleans to others
