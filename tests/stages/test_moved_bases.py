"""Folders of hour files are moved: rows and batches stay the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.contracts import ISSUES
from pipeline.lake.batches import Lake
from pipeline.source import hour_choice
from tests.support.hour_bases import DAY, Bases, issue, settings_of, write


def test_a_batch_has_the_same_content_after_its_folders_were_moved(bases: Bases, tmp_path: Path) -> None:
    (bases.archive / f"{DAY}-4.json.gz").unlink()
    write(bases.crawled, DAY, 4, [issue(4, 4)])
    bases.extract()
    moved = tmp_path / "moved"
    moved.mkdir()
    for folder in (bases.archive, bases.crawled):
        folder.rename(moved / folder.name)
    again = bases._replace(settings=settings_of(moved, tmp_path / "lake"))
    elsewhere = bases._replace(settings=settings_of(moved, tmp_path / "other lake"))
    before = Lake(bases.settings.lake.root).current(ISSUES.name, {"day": str(DAY)})
    again.extract()
    elsewhere.extract()
    after, other = (
        Lake(moved_bases.settings.lake.root).current(ISSUES.name, {"day": str(DAY)})
        for moved_bases in (again, elsewhere)
    )
    assert before is not None
    assert other is not None
    assert before.digest == other.digest
    assert after == before
    assert [issue["source"] for issue in bases.rows(ISSUES)] == ["crawled"]


def test_a_batch_that_has_paths_of_folders_is_not_extracted_again(
    bases: Bases, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bases.archive / f"{DAY}-4.json.gz").unlink()
    with monkeypatch.context() as earlier_version:
        earlier_version.setattr(hour_choice, "base_names", lambda bases: [base.base for base in bases])
        bases.extract()
    before = Lake(bases.settings.lake.root).current(ISSUES.name, {"day": str(DAY)})
    (row,) = bases.extract()
    assert Lake(bases.settings.lake.root).current(ISSUES.name, {"day": str(DAY)}) == before
    assert row["hour_sources"][4] == bases.address(1)
