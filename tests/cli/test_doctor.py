"""doctor: a finding for each part of the installation, right or wrong, and what to do if it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.cli import doctor
from pipeline.errors import Finding, SourceError
from pipeline.lake.batches import Lake
from pipeline.releases.current import current_release_id, require_current
from pipeline.settings import Alerts, Settings, Source
from pipeline.source import hour_files, hour_requests
from tests.support.hour_bases import FailingHandler, serve, write


@pytest.fixture(autouse=True)
def _free_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    free_gib(monkeypatch, 60)


def free_gib(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Makes the doctor see a disk with this much free space."""
    usage = SimpleNamespace(free=number * 2**30)
    monkeypatch.setattr(doctor, "shutil", SimpleNamespace(disk_usage=lambda path: usage))


def install(monkeypatch: pytest.MonkeyPatch, is_installed: Callable[[str], bool]) -> None:
    """Makes the doctor see version 1.0 of these packages. Others read versions while they are imported, so
    the function itself is not replaced."""

    def version(name: str) -> str:
        if not is_installed(name):
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    fake = SimpleNamespace(version=version, PackageNotFoundError=metadata.PackageNotFoundError)
    monkeypatch.setattr(doctor, "metadata", fake)


def findings(settings: Settings, subject: str) -> list[Finding]:
    return [finding for finding in doctor.run(settings) if finding.subject == subject]


def test_a_lake_with_a_release_is_well(shared_settings: Settings) -> None:
    lake = Lake(shared_settings.lake.root)
    model, release = require_current(lake).plan.facts["model"], current_release_id(lake)
    report = {finding.subject: finding.message for finding in doctor.run(shared_settings) if finding.passed}
    assert list(report) == [
        *("settings", "installed", "cores", "lake", "disk", "source", "tracking", "warehouse"),
    ]
    yesterday = date.today() - timedelta(days=1)
    assert [report[subject] for subject in ("lake", "disk", "source", "tracking", "warehouse")] == [
        f"{lake.root} is writable",
        "60 GiB free",
        f"{shared_settings.source.hours} has 0 of the 24 hour files of {yesterday}",
        f"{shared_settings.tracking_uri}: champion {model}, version 1",
        f"DuckDB, {shared_settings.warehouse_name}: the current release is {release}",
    ]


def test_settings_that_differ_from_the_defaults_are_listed() -> None:
    settings = Settings(alerts=Alerts(stale_after_hours=7))
    assert [finding.message for finding in doctor._check_settings(settings)] == [
        "alerts.stale_after_hours=7.0"
    ]


def test_a_full_disk_is_wrong(shared_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    free_gib(monkeypatch, 4)
    advice = "Make space on the disk: 5 GiB or more are recommended."
    assert findings(shared_settings, "disk") == [Finding("disk", False, "4 GiB free", advice)]


def test_missing_packages_are_named(shared_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, lambda name: name not in ("dask", "tensorflow-cpu", "tensorflow"))
    assert findings(shared_settings, "installed")[1:] == [
        Finding(
            "installed",
            False,
            "missing packages: tensorflow-cpu, dask",
            "Install from the lock file: make install",
        )
    ]


def test_tensorflow_for_gpus_serves_as_well(
    shared_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, lambda name: name != "tensorflow-cpu")
    (installed,) = findings(shared_settings, "installed")
    assert installed.passed
    assert "tensorflow 1.0" in installed.message


def test_an_unexpected_error_of_a_check_becomes_a_finding_and_the_others_go_on(
    shared_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(settings: Settings) -> None:
        raise ValueError("no such address")

    monkeypatch.setattr(doctor, "_check_source", fail)
    wrong = [finding for finding in doctor.run(shared_settings) if not finding.passed]
    assert wrong == [
        Finding("source", False, "ValueError: no such address", "Check the settings under source.*")
    ]


def test_a_source_that_gives_no_answer_about_an_hour_file_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yesterday = date.today() - timedelta(days=1)
    monkeypatch.setattr(hour_requests, "PAUSES", ())
    monkeypatch.setattr(FailingHandler, "failing", {f"/{yesterday}-4.json.gz": "no answer"})
    write(tmp_path, yesterday, 3, [])
    with serve(tmp_path) as address:
        (finding,) = doctor._check_source(Settings(source=Source(hours=address)))
    assert not finding.passed
    assert finding.message.startswith(
        f"{address} did not say whether it has 1 of the 24 hour files of {yesterday}. "
    )
    assert finding.advice.startswith(f"Check the address {address} (setting source.hours), and whether ")


def test_a_source_that_does_not_answer_at_all_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(base: str, day: date) -> None:
        raise SourceError(f"The hour files at {base} cannot be reached: refused", hour_requests.CHECK_HINT)

    monkeypatch.setattr(hour_files, "find_hours", fail)
    (finding,) = doctor._check_source(Settings(source=Source(hours="gs://bucket")))
    assert finding.message == "The hour files at gs://bucket cannot be reached: refused"
    assert finding.advice == (
        "Check the address gs://bucket (setting source.hours), and whether this machine can open it: "
        "network, proxy, permissions."
    )
