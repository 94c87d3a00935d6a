"""A plugin for Airflow that runs the tasks of nightly runs before the tasks of backfills.

Set Airflow's `[core] plugins_folder` to this folder, or copy this file into the existing plugins folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.plugins_manager import AirflowPlugin
from airflow.task.priority_strategy import PriorityWeightStrategy

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance

BACKFILL_PREFIX = "backfill__"  # Airflow starts the run_id of every backfill run with it


class NightsFirst(PriorityWeightStrategy):
    """A strategy for the priorities of Airflow's tasks. The tasks of a backfill get the lowest priority.
    Without this strategy, Airflow runs the oldest day first.

    There is one exception: if a backfill repeats an earlier nightly run, for example a failed one, the tasks
    of this run keep the priority of a nightly run. The strategy cannot recognize that they belong to a
    backfill: the run still has the run_id of a nightly run, and Airflow asks for the priority before it marks
    the run as part of the backfill.
    """

    def get_weight(self, ti: TaskInstance) -> int:
        return 0 if not ti.task or ti.run_id.startswith(BACKFILL_PREFIX) else ti.task.priority_weight


class TitlerNights(AirflowPlugin):
    name = "titler_nights"
    priority_weight_strategies = [NightsFirst]  # noqa: RUF012 - Airflow's base class declares it so
