#!/usr/bin/env bash
# Starts one component of Airflow: airflow.sh COMPONENT [OPTIONS]
#
# COMPONENT is api-server, scheduler, dag-processor or triggerer. The component replaces this process, so that it
# receives signals. `airflow.sh init` creates Airflow's tables and the pool `gpu`, then exits. Run it again after
# an upgrade, to migrate the database. The API server's user is `admin`. The user's password is
# AIRFLOW_ADMIN_PASSWORD, or the content of the file that AIRFLOW_ADMIN_PASSWORD_FILE names.
set -euo pipefail

case "${1:-}" in
  init)
    airflow db migrate
    airflow pools set gpu 1 "one training at a time" # without this pool `train` never starts
    ;;
  api-server)
    # Airflow's simple auth manager reads passwords from a file. It must be writable: missing passwords are
    # generated.
    if [ -n "${AIRFLOW_ADMIN_PASSWORD_FILE:-}" ]; then
      AIRFLOW_ADMIN_PASSWORD=$(cat "$AIRFLOW_ADMIN_PASSWORD_FILE")
      export AIRFLOW_ADMIN_PASSWORD
    fi
    if [ -n "${AIRFLOW_ADMIN_PASSWORD:-}" ]; then
      file=${AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE:?must name the file for AIRFLOW_ADMIN_PASSWORD}
      dump='import json, os, sys; json.dump({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}, sys.stdout)'
      (umask 077 && python -c "$dump" >"$file")
      unset AIRFLOW_ADMIN_PASSWORD
    fi
    exec airflow "$@"
    ;;
  scheduler | dag-processor | triggerer)
    exec airflow "$@"
    ;;
  *)
    echo "airflow.sh: found '${1:-}', expected init, api-server, scheduler, dag-processor or triggerer." >&2
    echo "For any other command of Airflow type: airflow ${*:-COMMAND}" >&2
    exit 2
    ;;
esac
