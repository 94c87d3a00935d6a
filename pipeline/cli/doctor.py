"""`titler doctor`: checks settings, packages, lake, source, Dask, MLflow and warehouse.

Each check returns findings. A finding says what was checked and whether it passed. If the check failed, the
finding also says what to do.
"""

from __future__ import annotations

import os
import platform
import shutil
import uuid
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from importlib import metadata

from pipeline import warehouse
from pipeline.compute import cluster
from pipeline.errors import Finding, SourceError, TitlerError
from pipeline.lake.batches import Lake
from pipeline.printed_text import without_secrets
from pipeline.settings import Settings, public_address
from pipeline.source import hour_files
from pipeline.source.hour_requests import CHECK_HINT
from pipeline.tracking import open_tracking

PACKAGES = (
    ("apache-airflow",),
    ("mlflow",),
    ("tensorflow-cpu", "tensorflow"),
    ("keras",),
    ("dask",),
    ("pyarrow",),
    ("duckdb",),
    ("annoy",),
    ("ktext",),
)
"""Packages to report. Each group lists alternatives: the first that is installed is reported."""
MIN_FREE_GIB = 5
"""Recommended free disk space in GiB. If less is free, `titler doctor` reports a problem."""


def run(settings: Settings) -> list[Finding]:
    """Runs all checks and returns their findings.

    Raises no error: if a check fails with an error, the error becomes a finding that did not pass.
    """
    checks: dict[str, Callable[[Settings], Iterator[Finding]]] = {
        "settings": _check_settings,
        "installed": _check_packages,
        "lake": _check_lake,
        "source": _check_source,
        "compute": _check_compute,
        "tracking": _check_tracking,
        "warehouse": _check_warehouse,
    }
    findings = []
    for subject, check in checks.items():
        try:
            findings += list(check(settings))
        except TitlerError as error:
            findings.append(Finding(subject, False, error.message, error.hint))
        except Exception as error:
            message = without_secrets(f"{type(error).__name__}: {error}")
            advice = f"Check the settings under {subject}.*"
            findings.append(Finding(subject, False, message, advice))
    return findings


def _check_settings(settings: Settings) -> Iterator[Finding]:
    defaults, public = Settings.model_construct(), settings.public()
    changed = [
        f"{section}.{name}={public[section][name]!r}"
        for section in type(settings).model_fields
        for name, value in getattr(settings, section)
        if value != getattr(getattr(defaults, section), name)
    ]
    values = ", ".join(changed) or "all settings have their defaults, which suit one laptop"
    yield Finding("settings", True, values)


def _check_packages(settings: Settings) -> Iterator[Finding]:
    versions, missing = [f"python {platform.python_version()}"], []
    for alternatives in PACKAGES:
        for name in alternatives:
            try:
                versions.append(f"{name} {metadata.version(name)}")
                break
            except metadata.PackageNotFoundError:
                continue
        else:
            missing.append(alternatives[0])
    yield Finding("installed", True, ", ".join(versions))
    if missing:
        yield Finding(
            "installed",
            False,
            f"missing packages: {', '.join(missing)}",
            "Install from the lock file: make install",
        )
    yield Finding("cores", True, f"{len(os.sched_getaffinity(0))}")


def _check_lake(settings: Settings) -> Iterator[Finding]:
    lake = Lake(settings.lake.root)
    name = f".doctor-{uuid.uuid4().hex[:8]}"
    lake.put(name, b"")
    lake.delete(name)
    yield Finding("lake", True, f"{lake.root} is writable")
    if "://" not in lake.root:
        free = shutil.disk_usage(lake.root).free / 2**30
        has_space = free >= MIN_FREE_GIB
        advice = "" if has_space else f"Make space on the disk: {MIN_FREE_GIB} GiB or more are recommended."
        yield Finding("disk", has_space, f"{free:.0f} GiB free", advice)


def _check_source(settings: Settings) -> Iterator[Finding]:
    if settings.warehouse.kind == "bigquery":
        return  # issues come from BigQuery's own tables
    yesterday = date.today() - timedelta(days=1)
    for base in settings.source.bases:
        name = public_address(base.base)
        try:
            day = hour_files.find_hours(base.base, yesterday)
        except SourceError as unreachable:
            yield Finding("source", False, unreachable.message, _advice_about_source(unreachable, name))
            continue
        if day.failed:
            error = next(iter(day.failed.values()))
            files = f"{len(day.failed)} of the 24 hour files of {yesterday}"
            message = f"{name} did not say whether it has {files}. {error.message}"
            yield Finding("source", False, message, _advice_about_source(error, name))
        else:
            yield Finding("source", True, f"{name} has {len(day.files)} of the 24 hour files of {yesterday}")


def _advice_about_source(error: SourceError, address: str) -> str:
    """Returns the hint of an error about hour files, or a more exact one in place of the hint to run this
    command."""
    if error.hint != CHECK_HINT:
        return error.hint
    return (
        f"Check the address {address} (setting source.hours), and whether this machine can open it: "
        "network, proxy, permissions."
    )


def _check_compute(settings: Settings) -> Iterator[Finding]:
    if address := settings.compute.scheduler_address:
        cluster.check_scheduler(address)
        yield Finding("compute", True, f"the Dask scheduler {public_address(address)} answers")


def _check_tracking(settings: Settings) -> Iterator[Finding]:
    tracking = open_tracking(settings, Lake(settings.lake.root))
    tracking.check()
    champion = tracking.champion()
    name = f"champion {champion.model}, version {champion.version}" if champion else "no champion yet"
    advice = "" if champion else "Train a model: titler run --from DATE --to DATE"
    yield Finding("tracking", True, f"{public_address(settings.tracking_uri)}: {name}", advice)


def _check_warehouse(settings: Settings) -> Iterator[Finding]:
    if settings.warehouse.kind == "bigquery":
        from pipeline.warehouse.bigquery import permissions

        yield from permissions.check_permissions(settings.warehouse)
    release = warehouse.connect(settings, "doctor").current_release()
    shown = f"the current release is {release}" if release else "no release is published yet"
    kind = "DuckDB, " if settings.warehouse.kind == "duckdb" else ""
    yield Finding("warehouse", True, f"{kind}{settings.warehouse_name}: {shown}")
