"""Every damage that `titler verify` finds has a remedy. After its commands, the lake is intact again."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.faults.damage import Damage, damage_file
from tests.support.titler_in_process import titler

DAY = "2024-01-03"
"""The newest day, which only the current release has."""
CURRENT = "20991231T000000Z"


def damages() -> list[dict[str, Any]]:
    """What `titler verify` finds."""
    done = titler("verify", "--json")
    value = json.loads(done.stdout)
    assert done.returncode == (1 if value["damages"] else 0), done.stderr
    found: list[dict[str, Any]] = value["damages"]
    return found


def damage(root: Path, pattern: str, what: str) -> Path:
    """Damages the file of the newest path that matches."""
    path = max(root.glob(pattern))
    assert damage_file(root, Damage(what, str(path.relative_to(root))), random.Random(1))
    return path


def follow(remedy: str) -> list[str]:
    """Types what a remedy says, and returns the commands."""
    for path in re.findall(r"Delete the file (\S+)", remedy):
        Path(path).unlink()
    for source, target in re.findall(r"cp (\S+) (\S+)", remedy):
        shutil.copyfile(source, target)
    commands = re.findall(r"titler ([^\n;]+)", remedy)
    for command in commands:
        done: subprocess.CompletedProcess[str] = titler(*command.split())
        assert done.returncode == 0, f"titler {command}: {done.stderr}"
    return commands


@pytest.mark.parametrize(
    ("pattern", "what", "commands"),
    [
        (f"vectors_v1/*/day={DAY}/*/part*", "delete", [f"vectorize --release {CURRENT}"]),
        (f"embeddings_v1/*/day={DAY}/*/manifest.json", "truncate", [f"embed --release {CURRENT}"]),
        (
            f"title_predictions_v1/*/day={DAY}/*/part*",
            "flip",
            [f"predict --release {CURRENT}", f"publish --release {CURRENT}"],
        ),
        ("predictor/*/*/network.keras", "flip", []),  # MLflow has a copy
        (f"releases/{CURRENT}/members/segments_v1.json", "delete", [f"index --release {CURRENT}"]),
        ("releases/current.json", "delete", ["plan", "rollback 20991231T000000Z"]),
        ("warehouse.duckdb", "delete", [f"rollback {CURRENT}"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_lake_is_intact_after_the_commands_of_the_remedy(
    lake_folder: Path, pattern: str, what: str, commands: list[str]
) -> None:
    path = damage(lake_folder, pattern, what)
    (found,) = damages()
    assert str(path) in found["problem"]
    assert follow(found["remedy"]) == commands
    assert damages() == []


def test_a_batch_of_a_day_is_made_again_for_a_new_release_and_is_lost_for_the_old_one(
    lake_folder: Path,
) -> None:
    damage(lake_folder, f"tokens_v1/day={DAY}/*/part*", "flip")
    (found,) = damages()
    assert found["used_by"] == [f"day {DAY}", f"release {CURRENT}", "the next release"]
    assert follow(found["remedy"]) == [f"run --from {DAY} --to {DAY}"]
    (lost,) = damages()
    assert lost["used_by"] == [f"release {CURRENT}"]
    assert lost["remedy"].startswith("Nothing can be done, unless a backup has the file:")


def test_a_file_that_was_restored_from_a_backup_is_used_again(lake_folder: Path) -> None:
    path = max(lake_folder.glob(f"vectors_v1/*/day={DAY}/*/part*"))
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert len(damages()) == 1
    path.write_bytes(content)
    assert damages() == []
    assert "0 days written" in titler("vectorize", "--release", CURRENT).stdout


def test_a_warehouse_that_cannot_be_opened_is_written_again_from_the_lake(lake_folder: Path) -> None:
    (lake_folder / "warehouse.duckdb").write_bytes(b"no database")
    (found,) = damages()
    assert follow(found["remedy"].replace("RELEASE", CURRENT)) == [f"rollback {CURRENT}", "status"]
    assert damages() == []


def test_a_warehouse_outside_of_a_moved_lake_is_written_again(
    lake_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TITLER_WAREHOUSE__PATH", str(lake_folder.parent / "outside.duckdb"))
    (lake_folder / "warehouse.duckdb").rename(lake_folder.parent / "outside.duckdb")
    moved = lake_folder.rename(lake_folder.parent / "moved")
    monkeypatch.setenv("TITLER_LAKE__ROOT", str(moved))
    (found,) = damages()
    assert " read files outside of the lake " in found["problem"]
    assert follow(found["remedy"]) == [f"rollback {CURRENT}"]
    assert damages() == []


def test_records_that_a_killed_rollback_has_changed_are_written_to_the_warehouse(lake_folder: Path) -> None:
    path = min((lake_folder / "releases").glob("*/release.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "rolled_back": True}))
    (found,) = damages()
    assert follow(found["remedy"]) == [f"publish --release {CURRENT}"]
    assert damages() == []


def test_a_plan_without_a_predictor_does_not_hide_other_damages(lake_folder: Path) -> None:
    plan = lake_folder / "releases" / CURRENT / "plan.json"
    value = json.loads(plan.read_text())
    del value["facts"]["predictor"]
    plan.write_text(json.dumps(value))
    path = damage(lake_folder, f"vectors_v1/*/day={DAY}/*/part*", "delete")
    problems = [found["problem"] for found in damages()]
    assert any(str(path) in problem for problem in problems)
    assert any("expected the key `predictor`" in problem for problem in problems)


def test_a_published_release_without_a_plan_is_named_until_its_folder_is_deleted(lake_folder: Path) -> None:
    plan = min((lake_folder / "releases").glob("*/plan.json"))
    plan.unlink()
    (found,) = damages()
    assert found["problem"].startswith(f"The file {plan} is missing, but release ")
    assert f"delete the folder {plan.parent}, then run: titler plan" in found["remedy"]
    shutil.rmtree(plan.parent)
    assert follow("titler plan") == ["plan"]
    assert damages() == []
