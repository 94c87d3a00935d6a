#!/usr/bin/env bash
# Builds the emulators of cloud services that the tests use: of BigQuery (github.com/goccy/bigquery-emulator), of
# Google Cloud Storage (github.com/fsouza/fake-gcs-server) and of S3 (github.com/versity/versitygw). Their versions
# are pinned with hashes in infra/emulators. All three are built together, because they share most packages.
# Called by the Makefile.
#
# Prints the folder of the programs, which is in the user's cache. If they were built before, nothing is built.
# With --find nothing is ever built: the exit code is 1 if there are no programs.
set -euo pipefail
cd "$(dirname "$0")/emulators"

pinned=$(cat go.mod go.sum s3-server/main.go | sha256sum | cut -c1-12)
programs="${XDG_CACHE_HOME:-$HOME/.cache}/titler/emulators-$pinned"
if [ ! -d "$programs" ]; then
  [ "${1:-}" = --find ] && exit 1
  if ! command -v go >/dev/null; then
    echo "Go was not found, but the emulators are built from source. Install Go 1.26 or newer. Without it, tests that need an emulator are skipped." >&2
    exit 1
  fi
  echo "Building emulators of BigQuery, S3 and Google Cloud Storage (once; takes three to four minutes on two cores)" >&2
  mkdir -p "$programs.$$"
  trap 'rm -rf "$programs.$$"' EXIT
  # shellcheck source=infra/go_flags.sh
  . ../go_flags.sh
  go build -o "$programs.$$" github.com/goccy/bigquery-emulator/cmd/bigquery-emulator github.com/fsouza/fake-gcs-server ./s3-server
  mv -T "$programs.$$" "$programs"
fi
echo "$programs"
