"""Which commit a checkout is at, and that an installed package is at none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pipeline.provenance import revision


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A checkout's folder `pipeline`, committed."""
    folder = tmp_path / "pipeline"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    return folder


def test_a_checkout_is_at_its_commit(package: Path) -> None:
    assert (revision(package).commit, revision(package).changed) == (git(package, "rev-parse", "HEAD"), False)


def test_a_file_that_was_changed_since_is_told(package: Path) -> None:
    (package / "__init__.py").write_text("changed = 1")
    assert revision(package).changed


def test_a_package_inside_another_checkout_is_at_none_of_its_commits(package: Path) -> None:
    installed = package.parent / ".venv" / "lib" / "pipeline"
    installed.mkdir(parents=True)
    assert (revision(installed).commit, revision(installed).changed) == ("", False)


def test_a_folder_that_the_checkout_does_not_know_is_at_none_of_its_commits(package: Path) -> None:
    git(package, "rm", "-r", "--cached", ".")
    assert revision(package).commit == ""


def test_outside_any_checkout_there_is_a_version_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = revision(tmp_path)
    assert (found.commit, bool(found.version)) == ("", True)
    monkeypatch.setenv("PATH", "")
    assert revision(tmp_path) == found
