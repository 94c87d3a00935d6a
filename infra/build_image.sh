#!/usr/bin/env bash
# Builds the image titler:latest or titler-gpu:latest (`make image`): build_image.sh cpu|gpu [OPTION...]
#
# Builds with Docker if its engine answers, otherwise with buildah. Both understand the options, which are those
# of `docker build`: infra/README.md has examples.
set -euo pipefail
cd "$(dirname "$0")/.."
. infra/container_engine.sh

kind=${1:-}
case "$kind" in
  cpu) name=titler:latest dockerfile=infra/Dockerfile ;;
  gpu) name=titler-gpu:latest dockerfile=infra/Dockerfile.gpu ;;
  *)
    echo "build_image.sh: found '$kind', expected cpu or gpu: build_image.sh cpu" >&2
    exit 2
    ;;
esac
shift

builder=$(find_builder)
# --format: images in OCI's format have no health check. --layers: reuses the steps of an earlier build, as Docker does.
case "$builder" in
  docker) build=(docker build) ;;
  buildah) build=(buildah build --format docker --layers) ;;
esac
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
echo "Building $name from $dockerfile with $builder"
"${build[@]}" --file "$dockerfile" --tag "$name" --build-arg REVISION="$revision" "$@" .
"$builder" images "$name"
