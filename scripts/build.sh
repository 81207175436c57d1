#!/usr/bin/env bash
# Sets up, configures and builds into build/: everything, or the targets named. What ./demo and ./test have in common. The log is build/build.log.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/progress.sh
./setup
mkdir -p build
halide=$(echo .venv/lib/python3*/site-packages/halide)
cmake="$PWD/.venv/bin/cmake"
targets=()
for t in "$@"; do targets+=(--target "$t"); done

build() {
  "$cmake" -S . -B build -G Ninja -DCMAKE_BUILD_TYPE="${NETC_BUILD_TYPE:-Release}" -DCMAKE_PREFIX_PATH=/usr/lib/llvm-19 \
    -DHalide_DIR="$PWD/$halide/lib64/cmake/Halide" -DHalideHelpers_DIR="$PWD/$halide/lib64/cmake/HalideHelpers" &&
    "$cmake" --build build -j "$(nproc)" "${targets[@]}"
}

step "[build] configuring and compiling (log: build/build.log)" build/build.log build || {
  grep -n -m 5 -E 'error:|FAILED|CMake Error|Killed' build/build.log >&2 || true
  tail -n 30 build/build.log >&2
  if grep -q -E 'Killed signal|cannot allocate memory|No space left' build/build.log; then
    echo "build: out of memory or disk; free some (1 GB of each for every core), then run the same command again" >&2
  else
    echo "build: failed; the whole log is build/build.log. After a change of compiler or checkout, remove build/ and run the same command again" >&2
  fi
  exit 1
}
