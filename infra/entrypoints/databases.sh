#!/usr/bin/env bash
# Creates the databases `airflow` and `mlflow`. Each belongs to a user of the same name, who cannot connect to the
# other database. PostgreSQL's image runs this script once, when its volume is empty. To run it by hand, install
# psql and set PGHOST, PGPORT, PGUSER and PGPASSWORD for an administrator. It can be run again: databases and users
# that exist are not changed.
set -euo pipefail
: "${AIRFLOW_DATABASE_PASSWORD:?must be the password for the user airflow}"
: "${MLFLOW_DATABASE_PASSWORD:?must be the password for the user mlflow}"

create_database() {
  export NAME=$1 PASSWORD=$2
  # \getenv, because a password among the arguments would be visible in the list of processes.
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${PGUSER:-${POSTGRES_USER:-postgres}}" \
    --dbname postgres <<'SQL'
\getenv name NAME
\getenv password PASSWORD
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', :'name', :'password')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
-- A managed server's administrator is not a superuser: it can give a database only to itself or to roles that
-- it is a member of.
GRANT :"name" TO CURRENT_USER;
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
SELECT format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', :'name') \gexec
SQL
}

create_database airflow "$AIRFLOW_DATABASE_PASSWORD"
create_database mlflow "$MLFLOW_DATABASE_PASSWORD"
