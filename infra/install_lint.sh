#!/usr/bin/env bash
# Installs what reads infra/ in the tests (infra/lint/lint.in, pinned with hashes by lint.lock) beside .venv, under the user's cache, and
# compose-go's program, pinned by infra/lint/go.mod, where Go is there. Prints the folder of their programs; once they are there, nothing is
# installed again. With --find it installs nothing: exit code 1 where there is none.
set -euo pipefail
cd "$(dirname "$0")/lint"

pinned=$(cat lint.lock go.mod go.sum | sha256sum | cut -c1-12)
folder="${XDG_CACHE_HOME:-$HOME/.cache}/titler/lint-$pinned"
if [ ! -x "$folder/bin/yamllint" ]; then
  [ "${1:-}" = --find ] && exit 1
  echo "Installing what reads infra/ (once; half a minute)" >&2
  mkdir -p "$(dirname "$folder")"
  rm -rf "$folder.making"
  ../../.venv/bin/uv venv --quiet --relocatable --python ../../.venv/bin/python "$folder.making"
  ../../.venv/bin/uv pip sync --quiet --require-hashes --python "$folder.making/bin/python" lint.lock
  # Of the provider's package the schema is read; its 1,800 modules are not.
  find "$folder.making"/lib/python*/site-packages/cdktn_provider_google -mindepth 1 -maxdepth 1 ! -name _jsii -exec rm -rf {} +
  rm -rf "$folder"
  mv "$folder.making" "$folder"
fi
if [ ! -x "$folder/bin/compose-spec" ] && [ "${1:-}" != --find ]; then
  if command -v go >/dev/null; then
    echo "Building compose-go's program (once; a minute on two cores)" >&2
    # shellcheck source=infra/go_flags.sh
    . ../go_flags.sh
    go build -o "$folder/bin/compose-spec.$$" github.com/compose-spec/compose-go/v2/cmd
    mv "$folder/bin/compose-spec.$$" "$folder/bin/compose-spec"
  else
    echo "Go was not found, so compose-go is not built; without it, infra/compose.yaml is not held to Compose's schema." >&2
  fi
fi
echo "$folder/bin"
