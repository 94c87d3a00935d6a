#!/usr/bin/env bash
# Installs Debian's PostgreSQL, in which the tests store Airflow's metadata, and prints the folder of its programs.
# If PostgreSQL is installed already, only prints the folder. With --find nothing is ever installed: the exit code
# is 1 if there is no PostgreSQL.
set -euo pipefail

find_programs() {
  found=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort --version-sort | tail -n 1)
  [ -x "$found" ] && dirname "$found"
}

find_programs && exit 0
[ "${1:-}" = --find ] && exit 1
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "PostgreSQL was not found, but the tests of Airflow need it. On Debian, as root: apt-get install postgresql" >&2
  exit 1
fi
echo "Installing PostgreSQL (once; takes half a minute)" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
setting=/etc/postgresql-common/createcluster.d/titler.conf
trap 'rm -f "$log" "$setting"' EXIT
mkdir -p "$(dirname "$setting")"
echo "create_main_cluster = false" >"$setting" # Debian's package would start a server; the tests start their own
if ! { apt-get update && apt-get install --yes --no-install-recommends postgresql; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "apt-get could not install postgresql: the end of its output is above." >&2
  exit 1
fi
find_programs
