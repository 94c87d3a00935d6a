#!/usr/bin/env bash
# Installs Debian's Chromium and its driver, with which `make test-all` tests web pages. Does nothing if both are
# installed.
set -euo pipefail

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v chromedriver >/dev/null || missing+=(chromium-driver)
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "Not found: ${missing[*]}. The tests of web pages need a real browser. On Debian, as root: apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "Installing ${missing[*]} (once; takes a minute)"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}" fonts-dejavu-core; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "apt-get could not install ${missing[*]}: the end of its output is above." >&2
  exit 1
fi
