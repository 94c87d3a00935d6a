"""Leases: which commands are running."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.errors import LakeError, UsageError
from pipeline.lake import leases
from pipeline.lake.batches import Lake
from pipeline.lake.leases import hold_lease, valid_leases


def test_a_lease_is_valid_while_it_is_held(lake: Lake) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    with hold_lease(lake, "predict", "r1"):
        (lease,) = valid_leases(lake, datetime.now(UTC))
        assert (lease.verb, lease.subject) == ("predict", "r1")
        assert before <= lease.began <= datetime.now(UTC)
    assert valid_leases(lake, datetime.now(UTC)) == []


def test_the_lease_of_a_killed_command_is_suspected_then_invalid_and_deleted(lake: Lake) -> None:
    lake.put("leases/20150101T000000Z,train,m,0a1b2c3d", b"")
    for hours in (0, 2):
        (lease,) = valid_leases(lake, datetime.now(UTC) + timedelta(hours=hours))
        assert lease.verb == "train"
    assert valid_leases(lake, datetime.now(UTC) + timedelta(hours=2)) == []
    assert lake.names("leases") == lake.names("suspected_leases") == []


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(hours=-26)], ids=["forward", "back"])
def test_a_lease_that_is_renewed_stays_valid_although_the_clock_jumps(
    tmp_path: Path, jump: timedelta
) -> None:
    lake = Lake(str(tmp_path))  # a folder: S3 has times in whole seconds, and renewals are minutes apart
    name = "leases/20150101T000000Z,train,m,0a1b2c3d"
    for _ in range(3):
        lake.delete(name)
        lake.put(name, b"")  # as the running command renews it
        (lease,) = valid_leases(lake, datetime.now(UTC) + jump)
        assert lease.verb == "train"


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(hours=-26)], ids=["forward", "back"])
def test_a_lease_of_a_killed_command_blocks_nothing_although_the_clock_jumps(
    lake: Lake, jump: timedelta
) -> None:
    lake.put("leases/20150101T000000Z,train,m,0a1b2c3d", b"")
    assert len(valid_leases(lake, datetime.now(UTC) + jump)) == 1
    assert valid_leases(lake, datetime.now(UTC) + jump) == []


def test_a_lease_is_renewed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEWAL_INTERVAL", 0.01)
    with hold_lease(lake, "train", "m"):
        (name,) = lake.names("leases")
        lake.delete(f"leases/{name}")
        for _ in range(1000):
            if lake.names("leases") == [name]:  # the thread has written it again
                break
            time.sleep(0.01)
        else:
            pytest.fail("the lease was not written again")


def test_a_lease_that_cannot_be_deleted_hides_no_error(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(lake: Lake, path: str) -> None:
        raise LakeError(f"{path} cannot be deleted", "")

    monkeypatch.setattr(Lake, "delete", fail)
    with pytest.raises(UsageError, match="the command's own error"), hold_lease(lake, "publish", "r"):
        raise UsageError("the command's own error")
    assert "cannot be deleted" in caplog.text


def test_a_file_of_another_program_among_the_leases_is_no_lease(lake: Lake) -> None:
    lake.put("leases/.DS_Store", b"")
    assert valid_leases(lake, datetime.now(UTC)) == []
