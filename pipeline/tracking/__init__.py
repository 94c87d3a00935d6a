"""MLflow: runs, and the registry whose alias `champion` says which model the nights use.

MLflow takes two seconds to import, so it is imported where it is first needed.
"""

from pipeline.tracking.registry import SWITCHES, Tracking, Version
from pipeline.tracking.run import Run

__all__ = ["SWITCHES", "Run", "Tracking", "Version"]
