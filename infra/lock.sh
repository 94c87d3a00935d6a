#!/usr/bin/env bash
# Renews every lock; `make lock`. setup.py says what is wanted; requirements.lock pins it, and all else keeps to its versions. With --keep,
# nothing gets another version: for a package that is new in setup.py.
set -euo pipefail
cd "$(dirname "$0")/.."
compile=(.venv/bin/uv pip compile --quiet --no-header --no-annotate --python-version 3.11)
upgrade=(--upgrade)
[ "${1:-}" = --keep ] && upgrade=()
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

"${compile[@]}" "${upgrade[@]}" --generate-hashes --extra dev --override infra/lock-overrides.txt --output-file requirements.lock setup.py
"${compile[@]}" "${upgrade[@]}" --generate-hashes --annotate --output-file infra/bootstrap.lock infra/bootstrap.in
"${compile[@]}" "${upgrade[@]}" --generate-hashes --override infra/lint/overrides.txt \
  --output-file infra/lint/lint.lock infra/lint/lint.in

# The images: what runs, without what tests. Hashes are not written twice: they stay in requirements.lock.
image=(--extra kubernetes --extra lineage --constraint requirements.lock)
"${compile[@]}" "${image[@]}" --override infra/lock-overrides.txt --output-file infra/image.txt setup.py
# The GPU's has `tensorflow[and-cuda]` in place of `tensorflow-cpu`; gpu.lock holds the hashes of what that brings.
{ sed '/^tensorflow;/d' infra/lock-overrides.txt && echo "tensorflow-cpu; sys_platform == 'never'"; } >"$made/overrides.txt"
echo 'tensorflow[and-cuda]' >"$made/gpu.in"
gpu=("${image[@]}" --override "$made/overrides.txt" setup.py "$made/gpu.in")
"${compile[@]}" --generate-hashes --output-file "$made/gpu.lock" "${gpu[@]}"
"${compile[@]}" --output-file infra/image-gpu.txt "${gpu[@]}"
awk '/^[a-z0-9]/ { new = !($1 in known) } NR == FNR { known[$1]; next } new' requirements.lock "$made/gpu.lock" >infra/gpu.lock
