"""The lake's pointer to the current release, and its repair after a crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.releases.current import (
    POINTER,
    current_release_id,
    point_to,
    reconcile_current,
    require_current,
)
from pipeline.settings import LakeSettings, Settings


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def test_the_pointer_names_the_current_release(lake: Lake) -> None:
    assert current_release_id(lake) is None
    point_to(lake, "r")
    assert json.loads(lake.get(POINTER) or b"") == {"release_id": "r"}
    assert current_release_id(lake) == "r"
    release = require_current(lake)
    assert (release.kind, release.name) == ("releases", "r")


def test_a_pointer_that_names_the_release_already_is_not_written_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to(lake, "r")
    written: list[str] = []
    monkeypatch.setattr(Lake, "put", lambda self, relative, data: written.append(relative))
    point_to(lake, "r")
    assert written == []
    point_to(lake, "s")
    assert written == [POINTER]


def test_the_error_about_a_lake_without_a_release_says_how_to_publish_one(lake: Lake) -> None:
    message = rf"^No release is published in {lake.root}\.\nPublish a release: titler run --from"
    with pytest.raises(UsageError, match=message):
        require_current(lake)


def test_without_a_release_in_the_warehouse_no_pointer_is_written(lake: Lake) -> None:
    assert reconcile_current(lake, Settings(lake=LakeSettings(root=lake.root))) is None
    assert lake.get(POINTER) is None
