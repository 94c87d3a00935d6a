#!/usr/bin/env bash
# /entrypoint of the image, as which Airflow's chart calls that of its own image: runs what it is given, in place of itself.
set -euo pipefail
: "${1:?expected a command: /entrypoint airflow jobs check}"
exec "$@"
