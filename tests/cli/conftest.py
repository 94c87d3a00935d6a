"""A lake that the tests of the command line share; those that change it get a copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.settings import Settings
from tests.support import lakes


@pytest.fixture(scope="session")
def built_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a lake with a champion and a release of two days. Nothing may write to it."""
    return lakes.built_by_first_worker(tmp_path_factory)


@pytest.fixture(scope="module")
def shared_settings(built_settings: Settings) -> Iterator[Settings]:
    """The same, for tests that only read; fails if one of the module's tests has written a file."""
    before = lakes.files(built_settings.lake.root)
    yield built_settings
    assert lakes.files(built_settings.lake.root) == before


@pytest.fixture
def copied_settings(built_settings: Settings, tmp_path: Path) -> Settings:
    """The settings of a copy of that lake, for a test that changes it."""
    return lakes.copy_lake(built_settings, tmp_path / "copied")
