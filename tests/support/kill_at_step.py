"""Runs a command of Titler and kills its process group at a chosen step.

    python -m tests.support.kill_at_step STEP MOMENT VERB ...

A step is a call that writes something: a file stored in the lake or deleted from it, the swap of the
warehouse's file, and in `train` and `publish` also a call of MLflow. MOMENT is `before` the step, `torn`
(halfway through it), or `after` it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from pipeline.lake.batches import Lake
from pipeline.tracking import Run, Tracking
from pipeline.warehouse.duckdb import StagedFile

MOMENTS = ("before", "torn", "after")
Patch = Callable[[object, str, Callable[..., Any]], None]


def die() -> NoReturn:
    os.killpg(0, signal.SIGKILL)
    raise AssertionError("still alive")


class Steps:
    """Counts the steps. The process dies at step `last`, at `moment`; if `last` is 0 it only counts."""

    def __init__(self, last: int = 0, moment: str = "") -> None:
        self.count = 0
        self._last = last
        self._moment = moment

    def watch(self, patch: Patch, *, mlflow: bool) -> None:
        """Wraps the calls with `patch`; with `mlflow` also those of MLflow, which imports it."""
        self._wrap(patch, Lake, "put", self._torn_put)
        self._wrap(patch, Lake, "delete")
        self._wrap(patch, Lake, "delete_folder", self._torn_delete)
        self._wrap(patch, StagedFile, "make_current")
        if mlflow:
            from mlflow import MlflowClient

            self._wrap(patch, MlflowClient, "create_run")
            self._wrap(patch, Run, "log_epoch")
            self._wrap(patch, Run, "log_folder")
            self._wrap(patch, Tracking, "register")

    def _wrap(
        self, patch: Patch, owner: type, name: str, torn: Callable[..., None] = lambda *_: None
    ) -> None:
        original = getattr(owner, name)

        def step(subject: Any, *arguments: Any, **options: Any) -> Any:
            self.count += 1
            moment = self._moment if self.count == self._last else ""
            if moment == "torn":
                torn(subject, *arguments, **options)
            if moment in ("before", "torn"):
                die()
            result = original(subject, *arguments, **options)
            if moment == "after":
                die()
            return result

        patch(owner, name, step)

    @staticmethod
    def _torn_put(lake: Lake, relative: str, data: bytes) -> None:
        whole = Path.write_bytes

        def half(path: Path, data: bytes) -> int:
            whole(path, data[: len(data) // 2])
            die()

        Path.write_bytes = half  # type: ignore[method-assign,assignment]  # this process ends here
        lake.put(relative, data)

    @staticmethod
    def _torn_delete(lake: Lake, relative: str) -> None:
        files = sorted(path for path in Path(lake.path(relative)).rglob("*") if path.is_file())
        for path in files[: (len(files) + 1) // 2]:
            path.unlink()


if __name__ == "__main__":
    from pipeline.cli import main
    from tests.support import quick_tensorflow

    quick_tensorflow.skip_graph_optimization()  # as in the process of the tests: it changes the last digits
    Steps(int(sys.argv[1]), sys.argv[2]).watch(setattr, mlflow=sys.argv[3] in ("train", "publish"))
    del sys.argv[1:3]
    main()
