#!/usr/bin/env python3
"""Writes the environment file for infra/compose.yaml, with new random passwords and keys.

    infra/compose_env.py [FILE]

FILE is infra/.env by default. Git ignores infra/.env, and only the user who runs the script can read it. If
FILE exists already, the script does not change it, because existing databases use its passwords. So it is
safe to run the script again. It needs only Python's standard library.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

FILE = Path(__file__).resolve().with_name(".env")
OPTIONS = """\
# Optional. Uncomment what you change, then run
# `docker compose --file infra/compose.yaml up --detach --wait` again.
# BIND=127.0.0.1             the address on which Airflow, MLflow and MinIO are published
# AIRFLOW_PORT=8080
# MLFLOW_PORT=5000
# S3_PORT=9000
# ALERTS_KIND=webhook        how alerts are sent: docs/operations.md
# ALERTS_WEBHOOK_URL=https://...
"""


def fernet_key() -> str:
    """Returns a new key with which Airflow encrypts connections: 32 random bytes in URL-safe base64."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def new_file_content() -> str:
    """Returns the text of a new environment file, with new random secrets."""
    values = {
        "AIRFLOW_ADMIN_PASSWORD": secrets.token_urlsafe(18),
        "AIRFLOW_DATABASE_PASSWORD": secrets.token_hex(24),  # hex, because it becomes part of an address
        "AIRFLOW_FERNET_KEY": fernet_key(),
        "AIRFLOW_JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW_SECRET_KEY": secrets.token_hex(32),
        "MINIO_PASSWORD": secrets.token_hex(24),
        "MLFLOW_DATABASE_PASSWORD": secrets.token_hex(24),
        "POSTGRES_PASSWORD": secrets.token_hex(24),
    }
    return "".join(f"{name}={value}\n" for name, value in values.items()) + OPTIONS


def main(arguments: list[str]) -> int:
    if len(arguments) > 1:
        print("Usage: infra/compose_env.py [FILE]", file=sys.stderr)
        return 2
    file = Path(arguments[0]) if arguments else FILE
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(f"{file} exists already and was not changed, because the databases use its passwords.")
        return 0
    with os.fdopen(descriptor, "w", encoding="utf-8") as env_file:
        env_file.write(new_file_content())
    print(
        f"{file} was written. Keep a copy of this file with your other secrets: without its passwords and "
        "keys, the data of Airflow, MLflow and MinIO cannot be read."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
