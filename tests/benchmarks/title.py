"""What one title costs: the command, and a prediction without the command, with NumPy and with Keras.

    .venv/bin/python tests/benchmarks/title.py LAKE [--rounds 5]

LAKE must have a published release. Each measurement is a new process, so that imports, loading and
compilation count. The commands alternate, so that other load on the machine slows all of them; the best of
the rounds counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from time import perf_counter

BODY = "It crashes whenever I open the settings page on Android 5"
ANSWER = f"""
from pipeline.lake.batches import Lake
from pipeline.releases.release import require_current
from pipeline.predictor.loading import load_light_predictor, load_predictor
import sys
lake = Lake(sys.argv[1])
folder = require_current(lake).plan.facts["predictor"]
load = {{"keras": load_predictor, "light": load_light_predictor}}[sys.argv[2]]
print(load(lake, folder).predict([{BODY!r}])[0].title)
"""


def rows(lake: str) -> dict[str, list[str]]:
    """The commands to time, by description."""
    python, titler = [sys.executable, "-c"], [sys.executable, "-m", "pipeline.cli"]
    return {
        "python without work": [*python, "pass"],
        "titler --help": [*titler, "--help"],
        "load and answer, keras": [*python, ANSWER, lake, "keras"],
        "load and answer, light": [*python, ANSWER, lake, "light"],
        "titler title": [*titler, "title", BODY],
        "titler similar TEXT": [*titler, "similar", BODY],
    }


def seconds(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of a process."""
    started, began = os.times(), perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    wall, finished = perf_counter() - began, os.times()
    return (
        wall,
        finished.children_user + finished.children_system - started.children_user - started.children_system,
    )


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lake")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    environment = {**os.environ, "TITLER_LAKE__ROOT": arguments.lake, "TF_CPP_MIN_LOG_LEVEL": "3"}
    commands = rows(arguments.lake)
    times_of: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            times_of[name].append(seconds(command, environment))
    print(f"{'best of ' + str(arguments.rounds):26} {'wall s':>7} {'CPU s':>7}")
    for name, times in times_of.items():
        print(f"{name:26} {min(wall for wall, _ in times):7.2f} {min(cpu for _, cpu in times):7.2f}")


if __name__ == "__main__":
    main()
