#!/usr/bin/env bash
# Updates every lock (`make lock`): setup.py declares the dependencies, requirements.lock pins them, and the images use the same versions.
# With --keep, no version changes: use it after adding a package to setup.py.
set -euo pipefail
cd "$(dirname "$0")/.."
compile=(.venv/bin/uv pip compile --quiet --no-header --no-annotate --python-version 3.11)
upgrade=(--upgrade)
[ "${1:-}" = --keep ] && upgrade=()
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

"${compile[@]}" "${upgrade[@]}" --generate-hashes --extra dev --override infra/lock-overrides.txt --output-file requirements.lock setup.py
"${compile[@]}" "${upgrade[@]}" --generate-hashes --annotate --output-file infra/bootstrap.lock infra/bootstrap.in
"${compile[@]}" "${upgrade[@]}" --generate-hashes --override infra/lint/overrides.txt \
  --output-file infra/lint/lint.lock infra/lint/lint.in

# The images have the runtime dependencies only. Their lists have no hashes, because requirements.lock has them.
image=(--extra kubernetes --extra lineage --constraint requirements.lock)
"${compile[@]}" "${image[@]}" --override infra/lock-overrides.txt --output-file infra/image.txt setup.py
# The GPU image has `tensorflow[and-cuda]` instead of `tensorflow-cpu`, and the extra `pretrained`. gpu.lock has the hashes of the packages that this adds.
{ sed '/^tensorflow;/d' infra/lock-overrides.txt && echo "tensorflow-cpu; sys_platform == 'never'"; } >"$temporary/overrides.txt"
echo 'tensorflow[and-cuda]' >"$temporary/gpu.in"
gpu=("${image[@]}" --extra pretrained --override "$temporary/overrides.txt" setup.py "$temporary/gpu.in")
"${compile[@]}" --generate-hashes --output-file "$temporary/gpu.lock" "${gpu[@]}"
"${compile[@]}" --output-file infra/image-gpu.txt "${gpu[@]}"
awk '/^[a-z0-9]/ { new = !($1 in known) } NR == FNR { known[$1]; next } new' requirements.lock "$temporary/gpu.lock" >infra/gpu.lock
