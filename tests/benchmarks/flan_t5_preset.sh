#!/usr/bin/env bash
# Makes a preset of flan-t5-small in FOLDER, for the variant `pretrained`: flan_t5_preset.sh FOLDER. flan_t5_preset.py says from what.
# The package with the weights and the libraries that read it, pinned by flan_t5_preset.lock, lie under the user's cache, not in .venv.
set -euo pipefail
if [ $# -ne 1 ]; then
  echo "usage: $0 FOLDER" >&2
  exit 2
fi
preset=$(realpath -m "$1")
cd "$(dirname "$0")"

pinned=$(cat flan_t5_preset.lock | sha256sum | cut -c1-12)
folder="${XDG_CACHE_HOME:-$HOME/.cache}/titler/flan-t5-$pinned"
if [ ! -d "$folder" ]; then
  echo "Installing the package with the weights, and what reads it (once; half a minute, 250 MB)" >&2
  rm -rf "$folder.making"
  ../../.venv/bin/uv pip install --quiet --require-hashes --python ../../.venv/bin/python --target "$folder.making" \
    --requirement flan_t5_preset.lock
  mv "$folder.making" "$folder"
fi
PYTHONPATH="$folder" ../../.venv/bin/python flan_t5_preset.py "$folder/traceforge_title_model/data/span" "$preset"
echo "$preset"
