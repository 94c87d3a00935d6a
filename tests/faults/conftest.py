"""A lake with two published releases, which the tests of damage copy."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipeline.cli import whole_job
from pipeline.cli.options import Context
from pipeline.settings import Settings
from tests.support import lakes

THIRD_DAY = date(2024, 1, 3)


@pytest.fixture(scope="session")
def two_releases(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a lake whose current release has a day more than the release before."""
    built = lakes.built_by_first_worker(tmp_path_factory)
    settings = lakes.copy_lake(built, tmp_path_factory.mktemp("two releases") / "lake")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_job, "new_id", lambda: "20991231T000000Z")  # not the second of the release before
        whole_job.run(Context.of(settings), [THIRD_DAY], retrain=False, variant=None, epochs=None)
    return settings


@pytest.fixture
def lake_folder(two_releases: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that lake, to which the environment points."""
    root = Path(lakes.copy_lake(two_releases, tmp_path / "lake").lake.root)
    for name, value in environment_of(two_releases, root, tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    return root


def environment_of(settings: Settings, root: Path, cache: Path) -> dict[str, str]:
    """The environment in which `titler` works on the copy of a lake at `root`."""
    return {
        "TITLER_LAKE__ROOT": str(root),
        "TITLER_LAKE__CACHE": str(cache),
        "TITLER_SOURCE__HOURS": settings.source.bases[0].base,
        "TITLER_COMPUTE__WORKERS": "1",
        "TITLER_TEXT__SUBWORDS": "600",
        "TITLER_TEXT__BODY_UNITS": "64",
        "TITLER_INDEX__TREES": "20",
    }
