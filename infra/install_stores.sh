#!/usr/bin/env bash
# Builds the object stores that the tests keep a lake in, pinned with hashes by infra/stores: Versity's S3 gateway over a folder
# (github.com/versity/versitygw), and a server of Google Cloud Storage's API (github.com/fsouza/fake-gcs-server). Called by the Makefile.
# Prints the folder of both programs; once they are there, they are kept under the user's cache and nothing is built again. With --find it
# builds nothing: exit code 1 where there are none.
set -euo pipefail
cd "$(dirname "$0")/stores"

pinned=$(cat go.mod go.sum | sha256sum | cut -c1-12)
programs="${XDG_CACHE_HOME:-$HOME/.cache}/titler/stores-$pinned"
if [ ! -d "$programs" ]; then
  [ "${1:-}" = --find ] && exit 1
  if ! command -v go >/dev/null; then
    echo "Go was not found, and the object stores are built from source. Install Go 1.26 or newer; without it, tests that need them are skipped." >&2
    exit 1
  fi
  echo "Building an S3 and a Google Cloud Storage server (once; four minutes on two cores)" >&2
  mkdir -p "$programs.$$"
  trap 'rm -rf "$programs.$$"' EXIT
  CGO_ENABLED=0 go build -trimpath -o "$programs.$$" github.com/versity/versitygw/cmd/versitygw github.com/fsouza/fake-gcs-server
  mv "$programs.$$" "$programs"
fi
echo "$programs"
