#!/usr/bin/env bash
# Runs the demo of `make demo` in a container of titler:latest, as the image's own user and without a network
# (`make image-demo`): image_demo.sh [OPTION...]
#
# The options are those of `docker run`.
set -euo pipefail
cd "$(dirname "$0")/.."
. infra/container_engine.sh

runner=$(find_runner)
if ! "$runner" image inspect titler:latest >/dev/null 2>&1; then
  echo "$runner has no image titler:latest. Build it: make image" >&2
  exit 1
fi
"$runner" run --rm --network none --no-healthcheck "$@" titler:latest python infra/demo.py
echo "The container is deleted, and its lake with it."
