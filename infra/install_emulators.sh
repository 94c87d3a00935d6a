#!/usr/bin/env bash
# Builds what stands for the clouds in the tests, pinned with hashes by infra/emulators: BigQuery's emulator (github.com/goccy/bigquery-emulator),
# a server of Google Cloud Storage's API (github.com/fsouza/fake-gcs-server), and an S3 server (github.com/versity/versitygw). One module and
# one build, for they have most packages in common, and the largest of the first keeps one core for a minute. Called by the Makefile.
# Prints the folder of the programs; once they are there, they are kept under the user's cache and nothing is built again. With --find it
# builds nothing: exit code 1 where there are none.
set -euo pipefail
cd "$(dirname "$0")/emulators"

pinned=$(cat go.mod go.sum s3-server/main.go | sha256sum | cut -c1-12)
programs="${XDG_CACHE_HOME:-$HOME/.cache}/titler/emulators-$pinned"
if [ ! -d "$programs" ]; then
  [ "${1:-}" = --find ] && exit 1
  if ! command -v go >/dev/null; then
    echo "Go was not found, and emulators are built from source. Install Go 1.26 or newer; without it, tests that need them are skipped." >&2
    exit 1
  fi
  echo "Building emulators of BigQuery, S3 and Google Cloud Storage (once; three to four minutes on two cores)" >&2
  mkdir -p "$programs.$$"
  trap 'rm -rf "$programs.$$"' EXIT
  # shellcheck source=infra/go_flags.sh
  . ../go_flags.sh
  go build -o "$programs.$$" github.com/goccy/bigquery-emulator/cmd/bigquery-emulator github.com/fsouza/fake-gcs-server ./s3-server
  mv -T "$programs.$$" "$programs"
fi
echo "$programs"
