"""`titler` as Airflow's tasks find it in a test: the real one, until an attempt meets its fate.

FATES is a JSON file of `{"VERB DAY ATTEMPT": [VICTIMS, STEP, MOMENT]}`: at that step of the verb (see killer.py), or at its end where it
takes fewer, the VICTIMS are killed outright. Who is killed is noted in FATES.met.
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
    "task": (1,),  # Airflow's process of the task: the verb goes on without it, while the task is tried again
    "supervisor": (
        2,
    ),  # and its worker, which tells Airflow how the task is: the task and its verb go on, and nobody learns of it
    "all": (2, 1, 0),  # as for want of memory
}
"""Who dies, by the generations between them and the verb."""


def ancestors() -> list[psutil.Process]:
    """This process and those that it descends from, as far as they are of the same Airflow."""
    family = []
    for process in (psutil.Process(), *psutil.Process().parents()):
        try:
            if process.environ().get("AIRFLOW_HOME") != os.environ["AIRFLOW_HOME"]:
                break
        except psutil.Error:
            break
        if process.name() != "bash":  # which gives its place to the command, but need not
            family.append(process)
    return family


def meet(fate: str, victims: str) -> None:
    with Path(f"{os.environ['FATES']}.met").open("a") as met:
        met.write(f"{fate} {victims}\n")
    family = ancestors()
    for generation in VICTIMS[victims]:
        if generation:
            with contextlib.suppress(IndexError, psutil.Error):  # it has ended already
                family[generation].kill()
    if 0 in VICTIMS[victims]:
        os.killpg(0, signal.SIGKILL)


def run() -> None:
    verb, *arguments = sys.argv[1:]
    attempt = os.environ.get("TITLER_ALERTS__TASK", "").rpartition("/")[2]
    fate = f"{verb} {arguments[-1]} {attempt}"
    found = json.loads(Path(os.environ["FATES"]).read_text()).get(fate)
    if found is None:
        main()
    victims, step, moment = found
    left = [victims]

    def die() -> None:
        if left:
            meet(fate, left.pop())

    from tests.support import killer  # which imports more than most verbs need

    killer.die = die  # type: ignore[assignment]  # the verb may live on
    killer.Steps(step, moment).watch(setattr, training=False)
    try:
        main()
    finally:
        die()


if __name__ == "__main__":
    run()
