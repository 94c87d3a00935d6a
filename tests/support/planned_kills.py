"""The real `titler`, run as an Airflow task; processes of chosen attempts are killed, as planned in a file.

The environment variable PLANNED_KILLS names a JSON file: `{"VERB DAY ATTEMPT": [VICTIMS, STEP, MOMENT]}`. In
such an attempt the VICTIMS get SIGKILL at that step of the verb (see kill_at_step.py), or when the verb ends
if it has fewer steps. Every kill is appended to the file PLANNED_KILLS.done as a line
`VERB DAY ATTEMPT VICTIMS`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import psutil

from pipeline.cli import main

VICTIMS = {
    "verb": (0,),
    "task": (
        1,
    ),  # Airflow's process of the task: the verb continues without it while Airflow retries the task
    "supervisor": (2,),  # it reports the task's state to Airflow: task and verb continue, Airflow is not told
    "all": (2, 1, 0),  # like the kernel when memory runs out
}
"""Which processes are killed: 0 is the verb, 1 its parent, 2 the parent of that."""


def ancestors() -> list[psutil.Process]:
    """This process and its ancestors within the same Airflow, the closest first, without shells."""
    family = []
    for process in (psutil.Process(), *psutil.Process().parents()):
        try:
            if process.environ().get("AIRFLOW_HOME") != os.environ["AIRFLOW_HOME"]:
                break
        except psutil.Error:
            break
        if process.name() != "bash":  # bash usually replaces itself with the command, but need not
            family.append(process)
    return family


def kill(attempt: str, victims: str) -> None:
    """Records the kill, then kills the victims."""
    with Path(f"{os.environ['PLANNED_KILLS']}.done").open("a") as done:
        done.write(f"{attempt} {victims}\n")
    family = ancestors()
    for generation in VICTIMS[victims]:
        if generation:
            with contextlib.suppress(IndexError, psutil.Error):  # it has ended already
                family[generation].kill()
    if 0 in VICTIMS[victims]:
        os.killpg(0, signal.SIGKILL)


def run() -> None:
    """Runs the verb of the command line, with the kill that is planned for this attempt, if any."""
    verb, *arguments = sys.argv[1:]
    number = os.environ.get("TITLER_ALERTS__TASK", "").rpartition("/")[2]
    attempt = f"{verb} {arguments[-1]} {number}"
    planned = json.loads(Path(os.environ["PLANNED_KILLS"]).read_text()).get(attempt)
    if planned is None:
        main()
    victims, step, moment = planned
    pending = [victims]

    def kill_once() -> None:
        if pending:
            kill(attempt, pending.pop())

    from tests.support import kill_at_step  # imported late: it needs more modules than most verbs

    kill_at_step.die = kill_once  # type: ignore[assignment]  # the verb may survive
    kill_at_step.Steps(step, moment).watch(setattr, mlflow=False)
    try:
        main()
    finally:
        kill_once()


if __name__ == "__main__":
    run()
