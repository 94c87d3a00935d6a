"""Airflow's plugin for the order of tasks that wait for a slot: set its `plugins_folder` here, or copy this file to where it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.plugins_manager import AirflowPlugin
from airflow.task.priority_strategy import PriorityWeightStrategy

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance

BACKFILL = "backfill__"  # how Airflow begins the run_id of a backfill's run


class NightsFirst(PriorityWeightStrategy):
    """A task of a backfill goes after every other: Airflow alone would let the oldest day go first.

    A run that a backfill takes up again keeps its name and so its rank: Airflow asks before it calls it a backfill's.
    """

    def get_weight(self, ti: TaskInstance) -> int:
        return 0 if not ti.task or ti.run_id.startswith(BACKFILL) else ti.task.priority_weight


class TitlerNights(AirflowPlugin):
    name = "titler_nights"
    priority_weight_strategies = [NightsFirst]  # noqa: RUF012 - Airflow's base class declares it so
