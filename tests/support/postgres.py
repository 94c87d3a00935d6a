"""A PostgreSQL server for one test: Debian's programs, a new cluster in a temporary folder, on loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_airflow import LOOPBACK, free_port

ROOT = Path(__file__).resolve().parents[2]
OWNER = "postgres"  # the user that Debian's package creates: root may not run a server
MISSING = "needs PostgreSQL: infra/install_postgres.sh"
PATIENCE = 60  # seconds for a server to start
SETTINGS = {
    "fsync": "off",  # the data need not survive a power failure
    "unix_socket_directories": "",
}


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, or None if it is not installed."""
    search = subprocess.run(
        [ROOT / "infra" / "install_postgres.sh", "--find"], capture_output=True, text=True, check=False
    )
    return Path(search.stdout.strip()) if search.returncode == 0 else None


@contextmanager
def running(
    folder: Path, user: str = "airflow", password: str = "", host: str = LOOPBACK, port: int = 0
) -> Iterator[str]:
    """SQLAlchemy's address of an empty database that belongs to `user`; `folder` has PostgreSQL's programs.

    The server stops at the end of the `with` block, and if this process dies. Default password: a random one.
    Port 0: a free one.
    """
    owner = OWNER if os.geteuid() == 0 else None
    # Not in pytest's temporary folder, which only its owner may enter.
    home = Path(tempfile.mkdtemp(prefix="titler-postgres-"))
    data, log, password = home / "data", home / "server.log", password or secrets.token_hex(16)
    (home / "password").write_text(password)
    if owner:
        shutil.chown(home, owner)
        shutil.chown(home / "password", owner)
    cluster = ["-D", str(data), "-U", user, "--pwfile", str(home / "password"), "--auth=scram-sha-256"]
    created = subprocess.run(
        _as(owner, str(folder / "initdb"), *cluster, "--no-locale", "--encoding=UTF8", "--no-sync"),
        cwd=home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert created.returncode == 0, created.stdout + created.stderr
    port = port or free_port()
    settings = [
        f"-c{name}={value}"
        for name, value in {**SETTINGS, "listen_addresses": host, "port": str(port)}.items()
    ]
    with log.open("w") as written:
        server = subprocess.Popen(
            _as(owner, str(folder / "postgres"), "-D", str(data), *settings),
            cwd=home,
            stdout=written,
            stderr=written,
        )
    try:
        _wait(server, folder, host, port, log)
        yield f"postgresql://{user}:{password}@{host}:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: it does not wait for its clients
        server.wait()
        shutil.rmtree(home)


def _as(owner: str | None, *command: str) -> list[str]:
    """The command, run as `owner` (default: the current user); it is stopped if this process dies."""
    user = [f"--reuid={owner}", f"--regid={owner}", "--init-groups"] if owner else []
    return ["setpriv", "--pdeathsig=INT", *user, *command]


def _wait(server: subprocess.Popen[bytes], folder: Path, host: str, port: int, log: Path) -> None:
    for _ in range(PATIENCE * 20):
        if server.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended with exit code {server.returncode}: {log.read_text()}")
        if (
            subprocess.run([folder / "pg_isready", "-q", "-h", host, "-p", str(port)], check=False).returncode
            == 0
        ):
            return
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL does not respond: {log.read_text()}")
