# shellcheck shell=bash
# Sourced by whatever compiles Annoy. Its own default, -march=native, dies with an illegal instruction on an older processor than the one
# that it was built on.
export ANNOY_COMPILER_ARGS=-O3,-ffast-math,-fno-associative-math,-fpermissive,-DANNOYLIB_MULTITHREADED_BUILD,-std=c++14
if [ "$(uname -m)" = x86_64 ]; then
  ANNOY_COMPILER_ARGS+=,-march=x86-64-v3
fi
