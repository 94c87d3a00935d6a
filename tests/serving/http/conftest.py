"""A writable copy of the lake that the tests of the command line share."""

from __future__ import annotations

import pytest

from pipeline.settings import Settings
from tests.support import lakes


@pytest.fixture(scope="module")
def copied_lake(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a copy of a lake with a release of two days."""
    built = lakes.built_by_first_worker(tmp_path_factory)
    return lakes.copy_lake(built, tmp_path_factory.mktemp("served") / "lake")
