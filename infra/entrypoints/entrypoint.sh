#!/usr/bin/env bash
# The image's /entrypoint: replaces itself by the command in its arguments. Airflow's chart expects it,
# because Airflow's own image has an entry point of this name.
set -euo pipefail
: "${1:?expected a command, for example: /entrypoint airflow jobs check}"
exec "$@"
