"""Airflow's executors, which it reads from its configuration once per process."""

from __future__ import annotations

import copy

import pytest

CACHES = (
    "_executor_names",
    *(f"_{by}_to_executors_per_team" for by in ("alias", "module", "classname")),
    "_team_name_to_executors",
)


def read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empties Airflow's caches, so that it reads its executors again; they are restored after the test."""
    from airflow.executors import executor_loader  # imported late: a conftest configures Airflow first

    for name in CACHES:
        empty = copy.copy(getattr(executor_loader, name))
        empty.clear()
        monkeypatch.setattr(executor_loader, name, empty)
