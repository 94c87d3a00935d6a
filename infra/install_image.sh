#!/usr/bin/env bash
# Installs the Python environment of a container image into FOLDER: install_image.sh cpu|gpu FOLDER
#
# The Dockerfiles run this script; it also runs outside a container. The versions come from infra/image.txt or
# infra/image-gpu.txt, the hashes from requirements.lock and infra/gpu.lock. It needs Python 3.11 and g++.
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

tools=$(mktemp -d) # the build tools do not become part of the image
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r infra/bootstrap.lock
python3 -m venv --without-pip "$folder"
export VIRTUAL_ENV=$folder UV_LINK_MODE=${UV_LINK_MODE:-copy}
. infra/annoy_flags.sh
# Packages that are built from source use setuptools and wheel of this environment: an isolated build would
# download both without checking hashes.
"$tools/bin/uv" pip install --quiet --require-hashes -r infra/bootstrap.lock
"$tools/bin/uv" pip sync --quiet --require-hashes --no-build-isolation --compile-bytecode "${wanted[@]}"
# Editable, so that `titler` finds the folder sql/ next to pipeline/, and the DAGs find both.
"$tools/bin/uv" pip install --quiet --no-deps --no-build-isolation --editable .
"$tools/bin/uv" pip uninstall --quiet uv # `uv pip sync` does not remove uv itself
# Nothing reads these in an image: the headers of TensorFlow, for building extensions, and tests of the packages.
packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$packages/tensorflow/include"
find "$packages" -type d -name tests -prune -exec rm -r {} +
