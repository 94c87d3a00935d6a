# shellcheck shell=bash
# Source this before compiling Annoy. With Annoy's default, -march=native, the build
# crashes with an illegal instruction on processors older than the one it was built on.
export ANNOY_COMPILER_ARGS=-O3,-ffast-math,-fno-associative-math,-fpermissive,-DANNOYLIB_MULTITHREADED_BUILD,-std=c++14
if [ "$(uname -m)" = x86_64 ]; then
  ANNOY_COMPILER_ARGS+=,-march=x86-64-v3
fi
