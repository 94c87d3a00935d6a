#!/usr/bin/env bash
# Builds BigQuery's emulator (github.com/goccy/bigquery-emulator), pinned with hashes by infra/emulator, for the tests. Called by the
# Makefile. Prints where the program is; once it is there, it is kept under the user's cache and nothing is built again. With --find it
# builds nothing: exit code 1 where there is none.
set -euo pipefail
cd "$(dirname "$0")/emulator"

pinned=$(cat go.mod go.sum | sha256sum | cut -c1-12)
program="${XDG_CACHE_HOME:-$HOME/.cache}/titler/bigquery-emulator-$pinned"
if [ ! -x "$program" ]; then
  [ "${1:-}" = --find ] && exit 1
  if ! command -v go >/dev/null; then
    echo "Go was not found, and BigQuery's emulator is built from source. Install Go 1.25 or newer; without it, tests that need it are skipped." >&2
    exit 1
  fi
  echo "Building BigQuery's emulator (once; five minutes on two cores)" >&2
  mkdir -p "$(dirname "$program")"
  CGO_ENABLED=0 go build -trimpath -o "$program.$$" github.com/goccy/bigquery-emulator/cmd/bigquery-emulator
  mv "$program.$$" "$program"
fi
echo "$program"
