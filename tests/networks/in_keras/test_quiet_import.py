"""Standard error gets no notes that TensorFlow writes about intended behaviour, but all other warnings."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from pipeline.networks.in_keras import quiet_import

RETRACING = "5 out of the last 6 calls to <function one_step_on_data> triggered tf.function retracing."
ONE_STEP = """
from tempfile import mkdtemp
import numpy as np
from pipeline.networks.in_keras import Shape, build
from pipeline.networks.in_keras.training import fit
from tests.support.checkpoint_folder import CheckpointFolder
batch = np.array([[4, 5, 4, 0]], np.int32), np.array([[2, 4, 5, 3, 0]], np.int32)
network = build("copy", Shape(9, 9, 4, 5, 4, 4), seed=1)
fit(network, lambda _: iter([batch]), lambda _: iter([batch]), epochs=1, learning_rate=0.01, patience=1,
    checkpoint=CheckpointFolder(mkdtemp()), on_epoch=lambda _: None, seed=1, contrast_epochs=1)
print("trained")
"""


class Messages(logging.Handler):
    """Collects the messages."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def test_the_warning_about_retracing_is_suppressed_and_other_warnings_are_not() -> None:
    handler, logger = Messages(), logging.getLogger("tensorflow")
    level = logger.level  # a command that ran in this process may have raised it
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    try:
        logger.warning(RETRACING)
        logger.warning("Gradients do not exist for variables")
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
    assert handler.messages == ["Gradients do not exist for variables"]


def test_importing_keras_and_training_a_step_write_nothing_to_standard_error() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    completed = subprocess.run(
        [sys.executable, "-c", ONE_STEP], env=environment, capture_output=True, text=True, check=False
    )
    assert (completed.stdout, completed.stderr) == ("trained\n", "")


def test_what_was_written_to_standard_error_is_shown_if_the_import_fails(
    capfd: pytest.CaptureFixture[str],
) -> None:
    @quiet_import.stderr_only_on_error()
    def failing_import() -> None:
        os.write(2, b"libcuda is missing\n")
        raise ImportError

    with pytest.raises(ImportError):
        failing_import()
    assert capfd.readouterr().err == "libcuda is missing\n"
