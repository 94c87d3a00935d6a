#!/usr/bin/env bash
# Installs the load generator vegeta, with Go, under the user's cache. Prints the path of the program; once it is there, nothing is
# installed again. With --find it installs nothing: exit code 1 if it is missing.
set -euo pipefail

version=v12.13.0
folder="${XDG_CACHE_HOME:-$HOME/.cache}/titler/vegeta-$version"
if [ ! -x "$folder/vegeta" ]; then
  [ "${1:-}" = --find ] && exit 1
  PATH=$PATH:/usr/local/go/bin
  if ! command -v go >/dev/null; then
    echo "Go is missing, which installs the load generator. On Debian: apt-get install golang" >&2
    exit 1
  fi
  echo "Installing vegeta $version (once; about a minute)" >&2
  GOBIN="$folder" go install "github.com/tsenart/vegeta/v12@$version" >&2
fi
echo "$folder/vegeta"
