#!/usr/bin/env bash
# Installs the locked packages into .venv, with their hashes checked; needs no root. Returns at once if nothing changed. Called by the Makefile.
set -euo pipefail
cd "$(dirname "$0")/.."

inputs_digest=$(cat infra/install.sh infra/annoy_flags.sh infra/bootstrap.lock requirements.lock setup.py | sha256sum)
[ "$(cat .venv/.installed 2>/dev/null)" = "$inputs_digest" ] && exit 0

python=${PYTHON:-}
for candidate in python3.11 python3 /usr/bin/python3; do
  [ -n "$python" ] && break
  if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    python=$candidate
  fi
done
if [ -z "$python" ]; then
  echo "Python 3.11 with venv is missing. On Debian 12: apt-get install python3 python3-venv" >&2
  exit 1
fi
if ! command -v g++ >/dev/null; then
  echo "g++ is missing, and Annoy has to be compiled. On Debian: apt-get install g++" >&2
  exit 1
fi

echo "Installing into .venv. The first time takes a few minutes."
rm -f .venv/.installed
if ! .venv/bin/uv --version >/dev/null 2>&1; then
  rm -rf .venv
  "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --require-hashes -r infra/bootstrap.lock
fi
. infra/annoy_flags.sh
# Compiles byte code now: TensorFlow takes 8 s to import with it and 21 s without.
.venv/bin/uv pip sync --quiet --require-hashes --no-build-isolation --compile-bytecode requirements.lock
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
echo "$inputs_digest" >.venv/.installed
echo "Installed: $(du -sh .venv | cut -f1) in .venv"
