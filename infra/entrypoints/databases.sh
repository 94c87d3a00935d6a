#!/usr/bin/env bash
# Makes the databases `airflow` and `mlflow`, each with an owner of its own who can enter no other. PostgreSQL's image runs it once, when
# its volume is empty; run by hand it needs psql, PGHOST, PGPORT, PGUSER and PGPASSWORD of a superuser. What is there already is left alone.
set -euo pipefail
: "${AIRFLOW_DATABASE_PASSWORD:?is the password that the user airflow gets}" "${MLFLOW_DATABASE_PASSWORD:?is the password that the user mlflow gets}"

make_database() {
  export NAME=$1 PASSWORD=$2
  # \getenv: a password among the arguments would be shown to whoever lists processes
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${PGUSER:-${POSTGRES_USER:-postgres}}" --dbname postgres <<'SQL'
\getenv name NAME
\getenv password PASSWORD
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', :'name', :'password') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
GRANT :"name" TO CURRENT_USER; -- a managed server's administrator is no superuser, and gives a database to none but itself and its roles
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name') WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
SELECT format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', :'name') \gexec
SQL
}

make_database airflow "$AIRFLOW_DATABASE_PASSWORD"
make_database mlflow "$MLFLOW_DATABASE_PASSWORD"
