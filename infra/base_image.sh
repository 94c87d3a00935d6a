#!/usr/bin/env bash
# Makes the image titler-base:bookworm, Debian 12 with its Python 3.11, from Debian's packages (`make base-image`).
# Use it where no registry with the image `python` can be reached: make image BASE=titler-base:bookworm
#
# It needs root and mmdebstrap, and takes two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
. infra/container_engine.sh

name=titler-base:bookworm
if ! command -v mmdebstrap >/dev/null; then
  echo "mmdebstrap was not found. On Debian: apt-get install mmdebstrap" >&2
  exit 1
fi
builder=$(find_builder)
folder=$(mktemp -d)
container=
trap 'rm -rf "$folder"; [ -z "$container" ] || buildah rm "$container" >/dev/null' EXIT

# Manual pages and translations are left out, as in the image `python`, and apt stores no caches. Licences stay.
# The name and the name server of this machine do not belong in an image.
# shellcheck disable=SC2016 # mmdebstrap sets $1 of its hook
mmdebstrap --quiet --variant=minbase --include=usr-is-merged,ca-certificates,python3,python3-venv \
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
  --aptopt='Acquire::Languages "none"' \
  --aptopt='Dir::Cache::pkgcache ""' \
  --aptopt='Dir::Cache::srcpkgcache ""' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --customize-hook='rm -f "$1"/etc/hostname "$1"/etc/resolv.conf' \
  bookworm "$folder/base.tar"

case "$builder" in
  docker) docker import --change 'CMD ["python3"]' "$folder/base.tar" "$name" ;;
  buildah)
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$folder/base.tar" /
    buildah config --cmd python3 "$container"
    buildah commit --quiet --format docker "$container" "$name"
    ;;
esac
"$builder" images "$name"
