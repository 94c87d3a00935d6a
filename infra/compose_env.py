#!/usr/bin/env python3
"""Makes infra/.env, with secrets of its own, for infra/compose.yaml: infra/compose_env.py [FILE]

It is never committed, and its owner alone may read it. A file that is there is left as it is, so that it can be run again: what is in it
are the passwords of databases that exist. Needs Python alone.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

FILE = Path(__file__).resolve().with_name(".env")
CHOICES = """\
# What may be changed, then `docker compose --file infra/compose.yaml up --detach --wait` again:
# BIND=127.0.0.1             the address that the pages are served on
# AIRFLOW_PORT=8080
# MLFLOW_PORT=5000
# S3_PORT=9000
# ALERTS_KIND=webhook        and where to: docs/operations.md
# ALERTS_WEBHOOK_URL=https://...
"""


def fernet_key() -> str:
    """As Airflow encrypts connections with: 32 bytes, in URL-safe base64."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def content() -> str:
    """A new file: secrets that are nobody else's."""
    made = {
        "AIRFLOW_ADMIN_PASSWORD": secrets.token_urlsafe(18),
        "AIRFLOW_DATABASE_PASSWORD": secrets.token_hex(24),  # hex: it stands in an address
        "AIRFLOW_FERNET_KEY": fernet_key(),
        "AIRFLOW_JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW_SECRET_KEY": secrets.token_hex(32),
        "MINIO_PASSWORD": secrets.token_hex(24),
        "MLFLOW_DATABASE_PASSWORD": secrets.token_hex(24),
        "POSTGRES_PASSWORD": secrets.token_hex(24),
    }
    return "".join(f"{name}={value}\n" for name, value in made.items()) + CHOICES


def main(arguments: list[str]) -> int:
    if len(arguments) > 1:
        print("Usage: infra/compose_env.py [FILE]", file=sys.stderr)
        return 2
    file = Path(arguments[0]) if arguments else FILE
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(f"{file} is there and stays as it is: the databases were made with its passwords.")
        return 0
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        written.write(content())
    print(f"{file} made. Keep a copy where you keep secrets: without it nothing of this server can be read.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
