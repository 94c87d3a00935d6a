"""Converts errors of MLflow to TitlerErrors that say what to do next."""

from __future__ import annotations

import re
import socket
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import TitlerError

CONNECT_TIMEOUT = 10  # seconds
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306}
_OTHER_PLACE = re.compile(r"(?:^|&)(?:host|hostaddr|unix_socket)=")  # parameters of an address of a database
_SCHEMA_MISMATCH = re.compile(r"database schema \(found version (\w+), but expected (\w+)\)")


def mlflow_error(error: BaseException) -> TitlerError | None:
    """Returns a TitlerError that explains `error`, if MLflow or its database raised it. Returns None for any
    other error."""
    if type(error).__module__.startswith(("mlflow.", "sqlalchemy.")):
        return explain("MLflow", error)
    return None


def explain(server: str, error: BaseException) -> TitlerError:
    """Returns a TitlerError that explains `error`, which an operation on MLflow raised.

    The message begins with `server`, for example "MLflow at http://localhost:5000". There are messages for a
    locked database and for a database of another MLflow version. For any other error, the message says that
    MLflow does not answer.
    """
    text = str(error) or type(error).__name__
    if "database is locked" in text:
        return TitlerError(
            f"{server}: the database is locked, because another process writes to it or has it open.",
            "Wait until the other process ends, then run the same command again. If several processes must "
            "write at the same time, start an MLflow server and set tracking.uri to its address.",
        )
    if mismatch := _SCHEMA_MISMATCH.search(text):
        version, expected = mismatch.groups()
        if _is_in_installed_mlflow(version):
            return TitlerError(
                f"{server}: the database has the schema of an older MLflow "
                f"(found {version}, expected {expected}).",
                "Make a copy of the database, then upgrade the original: "
                ".venv/bin/mlflow db upgrade sqlite:///LAKE/mlflow.db",
            )
        return TitlerError(
            f"{server}: the database has the schema of a newer MLflow "
            f"(found {version}, expected {expected}).",
            "Install the newer MLflow, or use a copy of the database that was made before its schema was "
            "upgraded:  TITLER_TRACKING__URI=sqlite:///COPY",
        )
    return TitlerError(
        f"{server} does not answer: {text.splitlines()[0]}", "Check the setting tracking.uri:  titler doctor"
    )


def _is_in_installed_mlflow(schema_version: str) -> bool:
    """Returns whether the installed MLflow knows the database schema with this id.

    MLflow knows its own schema and those of earlier versions. It does not know the schemas of newer versions.

    The function looks for the id in MLflow's migration files, without importing MLflow.
    """
    spec = find_spec("mlflow")
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    files = [
        file for folder in folders for file in Path(folder, "store", "db_migrations", "versions").glob("*.py")
    ]
    revision = re.compile(rf"^revision\b.*[\"']{schema_version}[\"']", re.MULTILINE)
    return any(revision.search(file.read_text(encoding="utf-8")) for file in files)


def check_listening(address: str) -> None:
    """Raises OSError if no server listens at the address of an MLflow server or of a database.

    Without this check, MLflow's client would retry for minutes. Some addresses are not checked: those that
    are reached through a proxy, databases with several hosts or a Unix socket, and addresses whose scheme is
    not http, https, postgresql or mysql.
    """
    parts = urlsplit(address)
    if set("%,") & set(parts.netloc.rpartition("@")[2]) or _OTHER_PLACE.search(parts.query):
        return
    scheme = parts.scheme.partition("+")[0]
    if scheme not in _PORTS or not parts.hostname:
        return
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.netloc):
        return
    socket.create_connection((parts.hostname, parts.port or _PORTS[scheme]), CONNECT_TIMEOUT).close()
