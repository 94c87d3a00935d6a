#!/usr/bin/env bash
# Starts one component of Airflow, in the foreground, as the process that signals reach: airflow.sh COMPONENT [OPTIONS]
# COMPONENT is one of Airflow's (api-server, scheduler, dag-processor, triggerer), or `init`, which makes the database and the pool `gpu`,
# and ends. Run it again after an upgrade: it brings the database up to date. The API server's login is `admin` with AIRFLOW_ADMIN_PASSWORD, or
# with what the file AIRFLOW_ADMIN_PASSWORD_FILE holds.
set -euo pipefail

case "${1:-}" in
  init)
    airflow db migrate
    airflow pools set gpu 1 "one training at a time" # without it `train` is never started
    ;;
  api-server)
    # Airflow's simple login reads passwords from a file that it may write, and invents those that are not there.
    if [ -n "${AIRFLOW_ADMIN_PASSWORD_FILE:-}" ]; then
      AIRFLOW_ADMIN_PASSWORD=$(cat "$AIRFLOW_ADMIN_PASSWORD_FILE")
      export AIRFLOW_ADMIN_PASSWORD
    fi
    if [ -n "${AIRFLOW_ADMIN_PASSWORD:-}" ]; then
      file=${AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE:?names the file that AIRFLOW_ADMIN_PASSWORD is written into}
      (umask 077 && python -c 'import json, os, sys; json.dump({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}, sys.stdout)' >"$file")
      unset AIRFLOW_ADMIN_PASSWORD
    fi
    exec airflow "$@"
    ;;
  scheduler | dag-processor | triggerer)
    exec airflow "$@"
    ;;
  *)
    echo "airflow.sh: found '${1:-}', expected init, api-server, scheduler, dag-processor or triggerer. Anything else: airflow ${*:-COMMAND}" >&2
    exit 2
    ;;
esac
