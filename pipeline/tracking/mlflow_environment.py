"""Sets the environment variables that MLflow reads when it is imported."""

from __future__ import annotations

import os

MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""Variables that make MLflow send no telemetry, print nothing, and give up sooner if a server is silent."""


def configure_mlflow() -> None:
    """Sets the environment variables in MLFLOW_ENVIRONMENT for this process. A variable that is already set
    keeps its value.

    Call this function when a process starts, before anything imports MLflow.
    """
    for name, value in MLFLOW_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
