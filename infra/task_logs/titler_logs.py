"""Task logs in a bucket, for an Airflow whose tasks are pods: a log would end with its pod.

Airflow's own way asks for the provider of each cloud; this one goes through fsspec, as the lake does, so that any of its stores will do
(gs://, s3://, file://). With this folder on PYTHONPATH, in all components:

    [logging]
    logging_config_class = titler_logs.LOGGING_CONFIG
    remote_base_log_folder = gs://my-project-titler-logs/airflow

`remote_logging` stays False: it is the switch of Airflow's own way, which stops without the provider.
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
    """Airflow's RemoteLogIO: a log lies at the same path below `base` as below the local log folder."""

    processors = ()

    def __init__(self, base: str, local: Path, *, keep_local: bool = True) -> None:
        """`base`: an address of fsspec's. `local`: where Airflow writes logs first; they are removed from there unless `keep_local`."""
        self.base = base.rstrip("/")
        self.local = local
        self.keep_local = keep_local

    def upload(self, path: os.PathLike[str] | str, ti: Any = None) -> None:
        """Called when an attempt of a task has ended; a task that goes on later (a deferred one) writes on in the same file."""
        relative = self._relative(path)
        written = self.local / relative
        if not written.is_file():
            return
        store, folder = fsspec.url_to_fs(self.base)
        content = self._before(relative, written) + written.read_bytes()
        store.makedirs(
            posixpath.dirname(f"{folder}/{relative}"), exist_ok=True
        )  # a bucket has no folders, and takes this for done
        store.pipe_file(f"{folder}/{relative}", content)
        if not self.keep_local:
            written.unlink()

    def read(self, relative_path: str, ti: Any = None) -> tuple[list[str], list[str] | None]:
        """Where it was read and what is there, as Airflow's pages show it: the address, and the text; or what went wrong, and None."""
        address = f"{self.base}/{self._relative(relative_path)}"
        try:
            with fsspec.open(address, "rt", encoding="utf-8", errors="replace") as log:
                return [address], [log.read()]
        except FileNotFoundError:
            return [
                f"{address} is not there: the task is running, or its pod ended before it could be written."
            ], None
        except OSError as error:
            return [f"{address} cannot be read: {error}"], None

    def _before(self, relative: str, written: Path) -> bytes:
        """What an earlier part of the same attempt left in the bucket: a deferred task goes on in another pod, with an empty disk."""
        try:
            with fsspec.open(f"{self.base}/{relative}", "rb") as log:
                found: bytes = log.read()
        except FileNotFoundError:
            return b""
        return b"" if written.read_bytes().startswith(found) else found

    def _relative(self, path: os.PathLike[str] | str) -> str:
        plain = Path(path)
        return (plain.relative_to(self.local) if plain.is_absolute() else plain).as_posix()


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
