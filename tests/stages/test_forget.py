"""forget: an interrupted command continues, on a small lake without a release."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipeline.contracts import ISSUES, TITLE_PREDICTIONS
from pipeline.errors import LakeError
from pipeline.lake.batches import Lake
from pipeline.lake.draft import Draft
from pipeline.lake.forgotten import ForgottenList
from pipeline.lake.pinned import Pinned
from pipeline.releases.records import RECORD
from pipeline.settings import LakeSettings, Settings
from pipeline.stages import forget
from pipeline.stages.forget import Subject
from pipeline.stages.forget_references import recount
from tests.stages.literal_issues import issue, issues
from tests.support.release_records import release_record

DAY = {"day": str(date(2015, 1, 1))}
BECAUSE = "a request"
ONE = "https://github.com/rust-lang/rust/issues/1"


class KilledError(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with a day of the issues 1 and 2."""
    lake = Lake(str(tmp_path / "lake"))
    draft = lake.draft(ISSUES.name, DAY)
    draft.write_table("part-00000.parquet", issues(issue(1, "a", None), issue(2, "b", None)), ISSUES)
    draft.commit()
    return lake


@pytest.fixture
def settings(lake: Lake) -> Settings:
    return Settings(lake=LakeSettings(root=lake.root))


def stored_ids(lake: Lake) -> list[int]:
    current = lake.current(ISSUES.name, DAY)
    assert current is not None
    ids: list[int] = lake.read(current, ISSUES).column("issue_id").to_pylist()
    return ids


def kill_before_a_manifest(lake: Lake, settings: Settings, subject: Subject) -> None:
    """Runs the command until the files of the first new batch are written, but not its manifest."""

    def die(*_: object) -> None:
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft, "finish", die)
        with pytest.raises(KilledError):
            forget.run(lake, settings, subject, BECAUSE)


@pytest.mark.parametrize("value", [ONE, "1"])
def test_a_command_that_was_killed_while_it_wrote_a_batch_continues(
    lake: Lake, settings: Settings, value: str
) -> None:
    kill_before_a_manifest(lake, settings, Subject("issue", value))
    forget.run(lake, settings, Subject("issue", value), BECAUSE)
    assert stored_ids(lake) == [2]


def test_a_damaged_batch_is_named_before_anything_is_changed_so_that_it_can_be_made_again(
    lake: Lake, settings: Settings
) -> None:
    current = lake.current(ISSUES.name, DAY)
    assert current is not None
    lake.put(f"{current.folder}/part-00000.parquet", b"damaged")
    with pytest.raises(LakeError, match="is damaged"):
        forget.run(lake, settings, Subject("issue", ONE), BECAUSE)
    assert ForgottenList.read(lake).forgettings == ()


def test_a_file_of_another_program_stays(lake: Lake, settings: Settings) -> None:
    path = f"{ISSUES.name}/day=2015-01-01/.DS_Store"
    lake.put(path, b"x")
    forget.run(lake, settings, Subject("issue", ONE), BECAUSE)
    assert (stored_ids(lake), lake.get(path)) == ([2], b"x")


def test_a_release_whose_damaged_plan_was_deleted_is_not_counted_again(lake: Lake) -> None:
    release = Pinned(lake, "releases", "r")
    release.notes[RECORD] = release_record("r", "2015-01-04T03:12:00+00:00")
    release.members.put(TITLE_PREDICTIONS.name, [])
    recount(lake)
    assert release.notes[RECORD] == release_record("r", "2015-01-04T03:12:00+00:00")
