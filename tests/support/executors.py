"""Airflow's executors, which it reads from its configuration once a process."""

from __future__ import annotations

import copy

import pytest

KEPT = (
    "_executor_names",
    *(f"_{by}_to_executors_per_team" for by in ("alias", "module", "classname")),
    "_team_name_to_executors",
)


def read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the rest of a test Airflow has read none yet."""
    from airflow.executors import executor_loader  # not above: a conftest sets Airflow up first

    for name in KEPT:
        empty = copy.copy(getattr(executor_loader, name))
        empty.clear()
        monkeypatch.setattr(executor_loader, name, empty)
