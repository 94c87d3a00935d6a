"""Faults of what Titler stands on (disk, MLflow), told as errors that a person can act on."""

from __future__ import annotations

import errno
import re
import socket
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import TitlerError

PATIENCE = 10  # seconds
_OF_THE_DISK = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EMFILE,
    errno.EIO,
)
_SCHEMA = re.compile(r"database schema \(found version (\w+), but expected (\w+)\)")


def explained(error: BaseException) -> TitlerError | None:
    """What a disk or MLflow did in the midst of work, for a person; None for anything else."""
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
        place = f"{error.filename}: " if error.filename else ""
        return TitlerError(
            f"{place}{error.strerror}.", "Free space or rights there, then run the same command again."
        )
    if type(error).__module__.startswith(("mlflow.", "sqlalchemy.")):
        return of_mlflow("MLflow", error)
    return None


def of_mlflow(where: str, error: BaseException) -> TitlerError:
    """MLflow's error in short. `where` is MLflow with its address; a database that is locked or of another version says so."""
    text = str(error) or type(error).__name__
    if "database is locked" in text:
        return TitlerError(
            f"{where}: its database is locked: another process has been writing to it, or holds it open.",
            "Wait until that is done, then run the same command again. For many writers start an MLflow server and set tracking.uri.",
        )
    if found := _SCHEMA.search(text):
        version, expected = found.groups()
        if _migrates_from(version):
            return TitlerError(
                f"{where}: its database is of an older MLflow (schema {version}, expected {expected}).",
                "Copy the database, then: .venv/bin/mlflow db upgrade sqlite:///LAKE/mlflow.db",
            )
        return TitlerError(
            f"{where}: its database is of a newer MLflow (schema {version}, expected {expected}).",
            "Install that MLflow, or take the copy from before it was upgraded: TITLER_TRACKING__URI=sqlite:///COPY",
        )
    return TitlerError(
        f"{where} does not answer: {text.splitlines()[0]}", "Check tracking.uri:  titler doctor"
    )


def _migrates_from(version: str) -> bool:
    """Whether the installed MLflow knows a schema: it then is an older one. Does not import MLflow."""
    found = find_spec("mlflow")
    folders = found.submodule_search_locations if found and found.submodule_search_locations else []
    files = [
        file for folder in folders for file in Path(folder, "store", "db_migrations", "versions").glob("*.py")
    ]
    return any(
        re.search(rf"^revision\b.*[\"']{version}[\"']", file.read_text(encoding="utf-8"), re.MULTILINE)
        for file in files
    )


def check_listening(address: str) -> None:
    """Raises OSError where nothing listens at an http or https address, where MLflow would try again for minutes.

    What is reached over a proxy, and any other address, is not looked at.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.netloc):
        return
    socket.create_connection(
        (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)), PATIENCE
    ).close()
