"""What TensorFlow says reaches nobody where it is meant to be so, and everybody where it is not."""

from __future__ import annotations

import logging

import pipeline.networks.in_keras

RETRACED = "5 out of the last 6 calls to <function one_step_on_data> triggered tf.function retracing. Tracing is expensive"


class Heard(logging.Handler):
    """Keeps the messages."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def test_the_few_sizes_of_a_trainings_batches_are_no_news() -> None:
    assert pipeline.networks.in_keras.quiet_import
    heard, logger = Heard(), logging.getLogger("tensorflow")
    logger.addHandler(heard)
    try:
        logger.warning(RETRACED)
        logger.warning("Gradients do not exist for variables")
    finally:
        logger.removeHandler(heard)
    assert heard.messages == ["Gradients do not exist for variables"]
