"""The revision of the code. A git checkout has a commit; an installed package has only a version."""

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
    """The folder `pipeline` of a git checkout, with one commit."""
    folder = tmp_path / "pipeline"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    return folder


def test_the_revision_of_a_checkout_has_its_commit(package: Path) -> None:
    assert (revision(package).commit, revision(package).changed) == (git(package, "rev-parse", "HEAD"), False)


def test_a_change_since_the_commit_is_detected(package: Path) -> None:
    (package / "__init__.py").write_text("changed = 1")
    assert revision(package).changed


def test_a_package_inside_another_checkout_has_no_commit(package: Path) -> None:
    installed = package.parent / ".venv" / "lib" / "pipeline"
    installed.mkdir(parents=True)
    assert (revision(installed).commit, revision(installed).changed) == ("", False)


def test_an_untracked_folder_has_no_commit(package: Path) -> None:
    git(package, "rm", "-r", "--cached", ".")
    assert revision(package).commit == ""


def test_outside_a_checkout_there_is_only_a_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = revision(tmp_path)
    assert (outside.commit, bool(outside.version)) == ("", True)
    monkeypatch.setenv("PATH", "")
    assert revision(tmp_path) == outside
