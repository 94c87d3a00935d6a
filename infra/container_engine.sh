# shellcheck shell=bash
# Source this to find the program that builds images or runs containers. Docker comes first, if its engine
# answers. buildah and podman need no engine, and each sees the images of the other.

# Prints the program that builds images: docker or buildah.
find_builder() { find_engine buildah "builds images"; }

# Prints the program that runs containers: docker or podman.
find_runner() { find_engine podman "runs containers"; }

# find_engine PROGRAM PURPOSE: prints docker, or PROGRAM if Docker's engine does not answer.
find_engine() {
  if command -v docker >/dev/null && docker version >/dev/null 2>&1; then
    echo docker
  elif command -v "$1" >/dev/null; then
    echo "$1"
  else
    echo "Nothing that $2 was found. Expected Docker with a running engine, or $1." >&2
    echo "On Debian: apt-get install $1 crun" >&2
    return 1
  fi
}
