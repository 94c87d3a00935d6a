"""TensorFlow without its graph optimizer, Grappler, which takes half of the time of a training of seconds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class _OnImport(MetaPathFinder):
    """Switches Grappler off as soon as TensorFlow is imported, which most tests do not do."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == "tensorflow" else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_switch_off(module: ModuleType) -> None:
            execute(module)
            module.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

        spec.loader.exec_module = execute_and_switch_off  # type: ignore[method-assign]
        return spec


def skip_graph_optimization() -> None:
    """From now on in this process, TensorFlow runs graphs as they are."""
    sys.meta_path.insert(0, _OnImport())
