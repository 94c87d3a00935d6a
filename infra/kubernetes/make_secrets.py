#!/usr/bin/env python3
"""Prints the Kubernetes Secrets that the files in this folder refer to.

    make_secrets.py FILE DATABASE_HOST | kubectl apply --filename -

FILE is an environment file that infra/compose_env.py wrote. Google's Secret Manager stores this file under
the name titler-env. If FILE is `-`, the script reads standard input. It needs only Python's standard library.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

NAMESPACE = "titler"


def read(text: str) -> dict[str, str]:
    """Parses lines of the form NAME=VALUE into a mapping. Ignores comments and empty lines."""
    lines = (line.strip() for line in text.splitlines())
    return {
        name: value
        for name, _, value in (line.partition("=") for line in lines if line and not line.startswith("#"))
    }


def secrets(env: dict[str, str], host: str) -> dict[str, dict[str, str]]:
    """Maps the name of each Secret to its keys and values. Raises KeyError if `env` lacks a variable."""
    return {
        # Without sslmode: Airflow passes the same address to asyncpg, which does not accept it. Both drivers
        # encrypt if the server requires it, and it does: gke.tf.
        "titler-airflow-metadata": {
            "connection": f"postgresql://airflow:{env['AIRFLOW_DATABASE_PASSWORD']}@{host}:5432/airflow"
        },
        "titler-fernet-key": {"fernet-key": env["AIRFLOW_FERNET_KEY"]},
        "titler-api-secret-key": {"api-secret-key": env["AIRFLOW_SECRET_KEY"]},
        "titler-jwt-secret": {"jwt-secret": env["AIRFLOW_JWT_SECRET"]},
        "titler-airflow-admin": {"password": env["AIRFLOW_ADMIN_PASSWORD"]},
        "titler-mlflow-database": {
            "uri": f"postgresql://mlflow:{env['MLFLOW_DATABASE_PASSWORD']}@{host}:5432/mlflow"
        },
    }


def manifest(env: dict[str, str], host: str) -> dict[str, object]:
    """Returns all Secrets as one Kubernetes List. It is printed as JSON, which kubectl accepts."""
    items = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "type": "Opaque",
            "stringData": data,
        }
        for name, data in secrets(env, host).items()
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(
            "Usage: infra/kubernetes/make_secrets.py FILE DATABASE_HOST | kubectl apply --filename -",
            file=sys.stderr,
        )
        return 2
    file, host = arguments
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        print(json.dumps(manifest(read(text), host), indent=2))
    except OSError as error:
        print(
            f"{file} cannot be read: {error.strerror}. Create the file:  infra/compose_env.py {file}",
            file=sys.stderr,
        )
        return 1
    except KeyError as error:
        print(
            f"{file} has no variable {error.args[0]}, which the cluster needs. "
            "Create a new file:  infra/compose_env.py NEW_FILE",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
