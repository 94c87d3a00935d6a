# shellcheck shell=bash
# Sourced by whatever builds Go programs for the tests; the same for all, so that they share what is in Go's cache. Without debuggers'
# symbols, and with a compiler that collects its garbage less often below 5 GiB, a build takes three quarters of the processor time.
export CGO_ENABLED=0 GOGC=200 GOMEMLIMIT=5GiB
export GOFLAGS="${GOFLAGS:-} -trimpath -gcflags=all=-dwarf=false -ldflags=-s"
