"""Complete records of published releases."""

from __future__ import annotations

from typing import Any


def release_record(release_id: str, published_at: str, **changes: Any) -> dict[str, Any]:
    """The record of a release of the model `m` with one issue on one day. `changes` replace its values."""
    record = {
        "release_id": release_id,
        "published_by": "a test",
        "published_at": published_at,
        "rolled_back": False,
        "model": "m",
        "model_version": "3",
        "vocabulary": "v",
        "mlflow_run": "run of m",
        "days": 1,
        "issues": 1,
        "index_items": 1,
        "recall_at_10": 1.0,
        "accepted": "[]",
    }
    return record | changes
