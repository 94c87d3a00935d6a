#!/usr/bin/env bash
# Installs PostgreSQL, from Debian, which the tests keep Airflow's metadata in, and prints the folder of its programs. Returns at once
# where it is there. With --find it installs nothing: exit code 1 where there is none.
set -euo pipefail

find_programs() {
  found=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort --version-sort | tail -n 1)
  [ -x "$found" ] && dirname "$found"
}

find_programs && exit 0
[ "${1:-}" = --find ] && exit 1
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "PostgreSQL was not found, and Airflow is tested on a real one; as root, on Debian: apt-get install postgresql" >&2
  exit 1
fi
echo "Installing PostgreSQL (once; half a minute)" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
setting=/etc/postgresql-common/createcluster.d/titler.conf
trap 'rm -f "$log" "$setting"' EXIT
mkdir -p "$(dirname "$setting")"
echo "create_main_cluster = false" >"$setting" # Debian's package would make and start a server; the tests start their own
if ! { apt-get update && apt-get install --yes --no-install-recommends postgresql; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "apt-get could not install postgresql: its last words are above." >&2
  exit 1
fi
find_programs
