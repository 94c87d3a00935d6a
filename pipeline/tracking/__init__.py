"""Records trainings and models in MLflow.

Each training is one run. MLflow has one registered model, and each model that Titler trains is a version of
it. Nightly releases use the version that has the alias `champion`.

Importing MLflow takes two seconds, so it is imported only when it is first needed. The champion is read
directly from MLflow's SQLite file, without importing MLflow (`pipeline.tracking.sqlite_aliases`).
"""

from pipeline.tracking.experiments import VIEW_QUERY
from pipeline.tracking.forgotten_artifacts import count_forgotten, remove_forgotten, replace_reports
from pipeline.tracking.mlflow_environment import MLFLOW_ENVIRONMENT, configure_mlflow
from pipeline.tracking.mlflow_errors import mlflow_error
from pipeline.tracking.moved_artifacts import move_artifacts
from pipeline.tracking.registry import Tracking, Version, open_tracking
from pipeline.tracking.run import Run

__all__ = [
    "MLFLOW_ENVIRONMENT",
    "VIEW_QUERY",
    "Run",
    "Tracking",
    "Version",
    "configure_mlflow",
    "count_forgotten",
    "mlflow_error",
    "move_artifacts",
    "open_tracking",
    "remove_forgotten",
    "replace_reports",
]
