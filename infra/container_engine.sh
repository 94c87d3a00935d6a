# shellcheck shell=bash
# Source this to find the program that builds images or runs containers. Docker comes first, if its engine
# answers. buildah and podman need no engine, and each sees the images of the other.

docker_answers() {
  command -v docker >/dev/null && docker version >/dev/null 2>&1
}

# Prints the program that builds images: docker or buildah.
find_builder() {
  if docker_answers; then
    echo docker
  elif command -v buildah >/dev/null; then
    echo buildah
  else
    echo "Nothing that builds images was found. Expected Docker with a running engine, or buildah." >&2
    echo "On Debian: apt-get install buildah crun" >&2
    return 1
  fi
}

# Prints the program that runs containers: docker or podman.
find_runner() {
  if docker_answers; then
    echo docker
  elif command -v podman >/dev/null; then
    echo podman
  else
    echo "Nothing that runs containers was found. Expected Docker with a running engine, or podman." >&2
    echo "On Debian: apt-get install podman crun" >&2
    return 1
  fi
}
