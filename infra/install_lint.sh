#!/usr/bin/env bash
# Installs the programs with which the tests check the files of infra/: the Python packages of infra/lint/lint.in,
# pinned with hashes in lint.lock, and, if Go is installed, compose-go, pinned in infra/lint/go.mod.
#
# Prints the folder of the programs, which is in the user's cache. If they were installed before, nothing is
# installed. With --find nothing is ever installed: the exit code is 1 if there are no programs.
set -euo pipefail
cd "$(dirname "$0")/lint"

pinned=$(cat lint.lock go.mod go.sum | sha256sum | cut -c1-12)
folder="${XDG_CACHE_HOME:-$HOME/.cache}/titler/lint-$pinned"
if [ ! -x "$folder/bin/yamllint" ]; then
  [ "${1:-}" = --find ] && exit 1
  echo "Installing the programs that check the files of infra/ (once; takes half a minute)" >&2
  mkdir -p "$(dirname "$folder")"
  rm -rf "$folder.making"
  ../../.venv/bin/uv venv --quiet --relocatable --python ../../.venv/bin/python "$folder.making"
  ../../.venv/bin/uv pip sync --quiet --require-hashes --python "$folder.making/bin/python" lint.lock
  # The tests read only the schema of the provider's package. Its 1,800 modules are removed.
  find "$folder.making"/lib/python*/site-packages/cdktn_provider_google -mindepth 1 -maxdepth 1 ! -name _jsii -exec rm -rf {} +
  rm -rf "$folder"
  mv "$folder.making" "$folder"
fi
if [ ! -x "$folder/bin/compose-spec" ] && [ "${1:-}" != --find ]; then
  if command -v go >/dev/null; then
    echo "Building compose-go's program (once; takes a minute on two cores)" >&2
    # shellcheck source=infra/go_flags.sh
    . ../go_flags.sh
    go build -o "$folder/bin/compose-spec.$$" github.com/compose-spec/compose-go/v2/cmd
    mv "$folder/bin/compose-spec.$$" "$folder/bin/compose-spec"
  else
    echo "Go was not found, so compose-go is not built. Without it, infra/compose.yaml is not checked against Compose's schema." >&2
  fi
fi
echo "$folder/bin"
