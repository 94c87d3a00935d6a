"""Accepts the titles of tiny models: after an epoch or two they do not beat the first words of the body."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pipeline.cli import whole_job
from pipeline.cli.options import Context

BECAUSE = "a tiny model of a test"
OPTIONS = ["--accept", "--because", BECAUSE]


def run_job(context: Context, days: Sequence[date]) -> None:
    """Runs `titler run` over days, and accepts the titles of the model that it trains."""
    whole_job.run(context, days, retrain=False, variant=None, epochs=None, accept_because=BECAUSE)


def accepting(arguments: list[str]) -> list[str]:
    """The arguments of `titler` with `--accept`, for the commands that promote a model in ./lake: `promote`,
    and the first `run`, which trains the first champion."""
    promotes = arguments[0] == "promote" or (arguments[0] == "run" and not Path("lake", "models").exists())
    return [*arguments, *OPTIONS] if promotes and "--accept" not in arguments else arguments


def without_acceptance(output: str) -> str:
    """What a command prints, without the lines that say that this module accepted the titles."""
    return "".join(line for line in output.splitlines(keepends=True) if BECAUSE not in line)
