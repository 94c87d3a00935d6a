"""Runs a task's `titler` command, and logs the command's error message at the level ERROR."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook

ERROR_PREFIX = "titler: "
"""How an error message of the command starts. It is the last thing that the command prints."""


class TitlerProcess(SubprocessHook):
    """Runs a `titler` command, and logs its error message at the level ERROR. Airflow's own hook would log
    every line at the level INFO."""

    @cached_property
    def log(self) -> Any:
        return _OutputLogger(super().log)


class _OutputLogger:
    """Logs the lines of a command's output: its error message at the level ERROR, others at INFO."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._is_error = False

    def info(self, message: str, *arguments: Any) -> None:
        """Logs one line of the command's output, at the level INFO or ERROR. The command prints its error
        message last. So the first line of that message and all lines after it are logged at the level ERROR.

        Airflow's hook calls `info("%s", line)` for each line, so the line is in `arguments`."""
        if arguments and str(arguments[0]).startswith(ERROR_PREFIX):
            self._is_error = True
        (self._logger.error if self._is_error else self._logger.info)(message, *arguments)
