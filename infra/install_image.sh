#!/usr/bin/env bash
# Makes the environment of an image, in FOLDER: install_image.sh cpu|gpu FOLDER. The Dockerfiles run it where they build; it runs elsewhere
# too. Versions are those of infra/image.txt or infra/image-gpu.txt; the hashes, requirements.lock and infra/gpu.lock. Needs Python 3.11, g++.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-} folder=${2:-}
case "$kind" in
  cpu) wanted=(infra/image.txt --constraint requirements.lock) ;;
  gpu) wanted=(infra/image-gpu.txt --constraint requirements.lock --constraint infra/gpu.lock) ;;
  *)
    echo "install_image.sh: found '$kind', expected cpu or gpu, then a folder: install_image.sh cpu /opt/venv" >&2
    exit 2
    ;;
esac
: "${folder:?is missing: install_image.sh $kind /opt/venv}"

tools=$(mktemp -d) # what builds is not part of what is built
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r infra/bootstrap.lock
python3 -m venv --without-pip "$folder"
export VIRTUAL_ENV=$folder UV_LINK_MODE=${UV_LINK_MODE:-copy}
. infra/annoy_flags.sh
# What is built from source finds setuptools and wheel in the environment: isolated builds would fetch them without hashes.
"$tools/bin/uv" pip install --quiet --require-hashes -r infra/bootstrap.lock
"$tools/bin/uv" pip sync --quiet --require-hashes --no-build-isolation --compile-bytecode "${wanted[@]}"
# Editable: `titler` finds sql/ beside pipeline/, and the DAGs find both, wherever they are copied to.
"$tools/bin/uv" pip install --quiet --no-deps --no-build-isolation --editable .
"$tools/bin/uv" pip uninstall --quiet uv # sync leaves it, taking it for a seed of the environment
