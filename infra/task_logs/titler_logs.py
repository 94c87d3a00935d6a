"""Stores Airflow's task logs in a bucket. This is needed if tasks run in pods: a pod's disk is lost with the
pod.

Airflow's own remote logging needs the provider package of each cloud. This module uses fsspec, as the lake
does, and works with gs://, s3:// and file://. Put this folder on the PYTHONPATH of all Airflow components,
and configure Airflow:

    [logging]
    logging_config_class = titler_logs.LOGGING_CONFIG
    remote_base_log_folder = gs://my-project-titler-logs/airflow

Leave Airflow's setting `remote_logging` at False. It would switch on Airflow's own remote logging, which
fails without the provider package.
"""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
from airflow.config_templates.airflow_local_settings import DEFAULT_LOGGING_CONFIG
from airflow.configuration import conf

if TYPE_CHECKING:
    from airflow.logging.remote import RemoteLogIO


class Bucket:
    """Copies Airflow's task logs to a bucket and reads them from there. Implements Airflow's interface
    RemoteLogIO.

    `base` is the address of the bucket, and `local` is a local folder. A log has the same path below both.
    """

    processors = ()

    def __init__(self, base: str, local: Path, *, keep_local: bool = True) -> None:
        """`local` is the folder into which Airflow writes logs. `base` is the fsspec URL to which they are
        copied.

        If `keep_local` is False, a log is removed from `local` as soon as it is in the bucket.
        """
        self.base = base.rstrip("/")
        self.local = local
        self.keep_local = keep_local

    def upload(self, path: os.PathLike[str] | str, ti: Any = None) -> None:
        """Copies a task's log into the bucket. Airflow calls this method when the task has ended or is
        deferred.

        A deferred task waits for an event. It continues the same log later, possibly in another pod.
        """
        relative = self._relative(path)
        local_log = self.local / relative
        if not local_log.is_file():
            return
        store, folder = fsspec.url_to_fs(self.base)
        content = self._uploaded_earlier(relative, local_log) + local_log.read_bytes()
        # For file://; in a bucket, which has no folders, this does nothing.
        store.makedirs(posixpath.dirname(f"{folder}/{relative}"), exist_ok=True)
        store.pipe_file(f"{folder}/{relative}", content)
        if not self.keep_local:
            local_log.unlink()

    def read(self, relative_path: str, ti: Any = None) -> tuple[list[str], list[str] | None]:
        """Reads a log, so that Airflow's web pages can show it. Returns the log's address and its text. If
        the log cannot be read, returns an error message instead of the address, and None instead of the
        text."""
        address = f"{self.base}/{self._relative(relative_path)}"
        try:
            with fsspec.open(address, "rt", encoding="utf-8", errors="replace") as log:
                return [address], [log.read()]
        except FileNotFoundError:
            return [
                f"{address} does not exist: the task is running, or its pod ended before the log was stored."
            ], None
        except OSError as error:
            return [f"{address} cannot be read: {error}"], None

    def _uploaded_earlier(self, relative: str, local_log: Path) -> bytes:
        """Returns the part of a log that is in the bucket, but not on this disk. It may be empty.

        A deferred task may continue in another pod, whose disk does not have the beginning of the log.
        """
        try:
            with fsspec.open(f"{self.base}/{relative}", "rb") as log:
                uploaded: bytes = log.read()
        except FileNotFoundError:
            return b""
        return b"" if local_log.read_bytes().startswith(uploaded) else uploaded

    def _relative(self, path: os.PathLike[str] | str) -> str:
        log_path = Path(path)
        return (log_path.relative_to(self.local) if log_path.is_absolute() else log_path).as_posix()


def _from_configuration() -> RemoteLogIO | None:
    base = conf.get("logging", "remote_base_log_folder", fallback="")
    if not base:
        return None
    return Bucket(
        base,
        Path(conf.get_mandatory_value("logging", "base_log_folder")),
        keep_local=not conf.getboolean("logging", "delete_local_logs", fallback=False),
    )


LOGGING_CONFIG = DEFAULT_LOGGING_CONFIG
REMOTE_TASK_LOG = _from_configuration()
