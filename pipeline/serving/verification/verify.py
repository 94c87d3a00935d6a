"""Reads everything that releases, models and source days need. Says what is damaged, and what to type to
repair it.

Other commands check only the files that they use. They do not check a file again if its size, the time of
its last change and its inode are the same as at the last check. A verification reads every file, so that it
also finds files that a failing disk has changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.contracts import TOKENS
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.damaged_batches import damaged_batches
from pipeline.lake.members import SharedPages
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.releases.current import current_release_id
from pipeline.serving.verification.batch_check import BatchCheck, check_batches
from pipeline.serving.verification.findings import Damage, Findings
from pipeline.serving.verification.needed_batches import NeededBatches
from pipeline.serving.verification.remedies import batch_remedy, restore_from_mlflow
from pipeline.serving.verification.surroundings import check_tracking, check_warehouse
from pipeline.settings import Settings


@dataclass(frozen=True)
class Verification:
    """The result of a verification: the releases and models that were checked, the numbers of batches, files
    and bytes that were read, the seconds that this took, and what is damaged. `unchecked` says what could not
    be checked because a setting is empty."""

    releases: tuple[str, ...]
    models: tuple[str, ...]
    batches: int
    files: int
    bytes: int
    seconds: float
    damages: tuple[Damage, ...]
    unchecked: tuple[str, ...] = ()


def verify(lake: Lake, settings: Settings, release: Pinned | None = None) -> Verification:
    """Reads every file that `release` needs, and compares it with the digest in its manifest. Also checks the
    release's lists of batches, its record and its figures, and whether the warehouse and MLflow agree with
    the lake. If `release` is None, checks all releases and models of the lake, and the current batches of all
    source days.

    Marks damaged batches, so that their stages make them again. If a marked batch is intact, removes its
    mark. Raises UsageError if the release does not exist.
    """
    if release is not None:
        release.require_open()
    started, findings = time.perf_counter(), Findings()
    batches = NeededBatches(lake, findings)
    releases = [release.name] if release else pinned_names(lake, "releases")
    models = [] if release else pinned_names(lake, "models")
    shared_pages: SharedPages = {}
    for name in releases:
        batches.add_release(Pinned(lake, "releases", name, shared_pages))
    for name in models:
        batches.add_model(Pinned(lake, "models", name))
    if release is None:
        batches.add_days()
    current = findings.attempt(lambda: current_release_id(lake), "the current release")
    last_day = max(findings.attempt(lambda: lake.days(TOKENS.name), "all days") or ["DAY"])
    in_order = sorted(batches.by_folder.values(), key=lambda batch: batch.folder)
    checks = check_batches(lake, in_order, damaged_batches(lake))
    for check in checks:
        _add_damages(lake, findings, check, current, last_day)
    unchecked = _check_surroundings(lake, settings, findings, releases)
    return Verification(
        tuple(releases),
        tuple(models),
        len(checks),
        sum(check.files for check in checks),
        sum(check.bytes for check in checks),
        time.perf_counter() - started,
        tuple(findings.sorted()),
        tuple(unchecked),
    )


def _add_damages(
    lake: Lake, findings: Findings, check: BatchCheck, current: str | None, last_day: str
) -> None:
    batch = check.batch
    for error, file in check.errors:
        remedy = restore_from_mlflow(lake, batch.folder, file) if file else ""
        remedy = remedy or batch_remedy(batch.folder, batch.used_by, current, last_day)
        for name in batch.used_by:
            findings.add(error, name, remedy)


def _check_surroundings(
    lake: Lake, settings: Settings, findings: Findings, releases: Sequence[str]
) -> list[str]:
    """Adds to `findings` what is wrong with the warehouse and MLflow. A problem that is already in `findings`
    is not listed again. The warehouse or MLflow cannot be checked if the setting with its address is empty.
    Returns a message for each that was not checked."""
    unchecked: list[str] = []
    if _has_address(lambda: settings.warehouse_name, "The warehouse", unchecked):
        findings.attempt(lambda: check_warehouse(lake, settings, releases), "the warehouse")
    if _has_address(lambda: settings.tracking_uri, "MLflow", unchecked):
        findings.attempt(lambda: check_tracking(lake, settings), "the next release")
    return unchecked


def _has_address(address: Callable[[], str], place: str, unchecked: list[str]) -> bool:
    """Returns whether the settings have the address of `place` (the warehouse or MLflow). If they do not,
    adds to `unchecked` a message that says why `place` was not checked."""
    try:
        address()
    except UsageError as error:
        unchecked.append(f"{place} was not checked. {error.message}")
        return False
    return True
