"""titler verify: a wrong name, and settings without which a place cannot be checked."""

from __future__ import annotations

from pathlib import Path

from pipeline.lake.batches import Lake
from pipeline.serving.verification import verify
from pipeline.settings import LakeSettings, Settings
from tests.support.titler_in_process import titler


def test_the_name_of_no_release_is_a_mistake_and_no_command_creates_it(tmp_path: Path) -> None:
    done = titler("verify", "--release", "r9", environment={"TITLER_LAKE__ROOT": str(tmp_path / "lake")})
    assert (done.returncode, done.stderr) == (
        2,
        "titler: No release is named r9 (latest releases: none).\n"
        "To see the names of the releases: titler releases\n",
    )


def test_a_lake_in_a_bucket_is_not_damaged_because_the_addresses_of_other_places_are_not_set() -> None:
    root = "memory://verified"
    verification = verify(Lake(root), Settings(lake=LakeSettings(root=root)))
    default = f"It has a default only if lake.root is a folder, but lake.root is {root}."
    assert verification.damages == ()
    assert verification.unchecked == (
        f"The warehouse was not checked. warehouse.path is empty. {default}",
        f"MLflow was not checked. tracking.uri is empty. {default}",
    )
