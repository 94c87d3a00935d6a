#!/usr/bin/env bash
# Installs what `make test-all` looks at pages with: Chromium and its driver, from Debian. Returns at once where both are there.
set -euo pipefail

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v chromedriver >/dev/null || missing+=(chromium-driver)
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "Not found: ${missing[*]}. Pages are tested in a real browser; as root, on Debian: apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "Installing ${missing[*]} (once; a minute)"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}" fonts-dejavu-core; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "apt-get could not install ${missing[*]}: its last words are above." >&2
  exit 1
fi
