"""doctor: what is configured, installed and reachable, and what to do about the rest."""

from __future__ import annotations

import os
import platform
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import metadata

from pipeline import warehouse
from pipeline.compute import cluster
from pipeline.errors import TitlerError
from pipeline.lake.batches import Lake
from pipeline.settings import Settings
from pipeline.source import hour_files
from pipeline.stages.train import tracking_of

PACKAGES = (
    "apache-airflow",
    "mlflow",
    "tensorflow-cpu tensorflow",
    "keras",
    "dask",
    "pyarrow",
    "duckdb",
    "annoy",
    "ktext",
)  # one of each
FREE_GIB_WANTED = 5


@dataclass(frozen=True)
class Finding:
    """One line of the report; `advice` says what to do about it."""

    subject: str
    good: bool
    found: str
    advice: str = ""


def run(settings: Settings) -> list[Finding]:
    """Every check; none raises."""
    checks: dict[str, Callable[[Settings], Iterator[Finding]]] = {
        "settings": _settings,
        "installed": _installed,
        "lake": _lake,
        "source": _source,
        "compute": _compute,
        "tracking": _tracking,
        "warehouse": _warehouse,
    }
    findings = []
    for subject, check in checks.items():
        try:
            findings += list(check(settings))
        except TitlerError as error:
            findings.append(Finding(subject, False, error.message, error.hint))
        except Exception as error:
            findings.append(
                Finding(
                    subject,
                    False,
                    f"{type(error).__name__}: {error}",
                    f"Check the settings under {subject}.*",
                )
            )
    return findings


def _settings(settings: Settings) -> Iterator[Finding]:
    defaults = Settings.model_construct()
    changed = [
        f"{section}.{name}={value!r}"
        for section in type(settings).model_fields
        for name, value in getattr(settings, section)
        if value != getattr(getattr(defaults, section), name)
    ]
    yield Finding("settings", True, ", ".join(changed) or "all defaults: one laptop")


def _installed(settings: Settings) -> Iterator[Finding]:
    versions, missing = [f"python {platform.python_version()}"], []
    for names in PACKAGES:
        for name in names.split():
            try:
                versions.append(f"{name} {metadata.version(name)}")
                break
            except metadata.PackageNotFoundError:
                continue
        else:
            missing.append(names.split()[0])
    yield Finding("installed", True, ", ".join(versions))
    if missing:
        yield Finding(
            "installed", False, f"not found: {', '.join(missing)}", "Install from the lock: make install"
        )
    yield Finding("cores", True, f"{len(os.sched_getaffinity(0))}")


def _lake(settings: Settings) -> Iterator[Finding]:
    lake = Lake(settings.lake.root)
    name = f".doctor-{uuid.uuid4().hex[:8]}"
    lake.put(name, b"")
    lake.delete(name)
    yield Finding("lake", True, f"{lake.root} can be written")
    if "://" not in lake.root:
        free = shutil.disk_usage(lake.root).free / 2**30
        yield Finding(
            "disk",
            free >= FREE_GIB_WANTED,
            f"{free:.0f} GiB free",
            "" if free >= FREE_GIB_WANTED else f"Free some: {FREE_GIB_WANTED} GiB are wanted.",
        )


def _source(settings: Settings) -> Iterator[Finding]:
    if settings.warehouse.kind == "bigquery":
        return  # issues come from its own tables
    yesterday = date.today() - timedelta(days=1)
    found = hour_files.look(settings.source.hours, yesterday)
    yield Finding(
        "source", True, f"{settings.source.hours} answers: {len(found.found)} of 24 hours of {yesterday}"
    )


def _compute(settings: Settings) -> Iterator[Finding]:
    if address := settings.compute.scheduler_address:
        cluster.look(address)
        yield Finding("compute", True, f"{address} answers")


def _tracking(settings: Settings) -> Iterator[Finding]:
    champion = tracking_of(settings, Lake(settings.lake.root)).champion()
    name = f"champion {champion.model}, version {champion.version}" if champion else "no champion yet"
    yield Finding(
        "tracking",
        True,
        f"{settings.tracking_uri}: {name}",
        "" if champion else "Train one: titler run --from D --to D",
    )


def _warehouse(settings: Settings) -> Iterator[Finding]:
    if settings.warehouse.kind == "bigquery":
        from pipeline.warehouse.bigquery import rights

        for probe in rights.look(settings.warehouse):
            yield Finding(probe.subject, probe.good, probe.found, probe.advice)
    release = warehouse.connect(settings, "doctor").current_release()
    shown = f"release {release}" if release else "no release yet"
    kind = "DuckDB, " if settings.warehouse.kind == "duckdb" else ""
    yield Finding("warehouse", True, f"{kind}{settings.warehouse_name}: {shown}")
