#!/usr/bin/env bash
# Sets up, configures and builds into build/. What ./demo and ./test have in common. The log is build/build.log, shown when something fails.
set -euo pipefail
cd "$(dirname "$0")/.."
./setup
mkdir -p build
halide=$(echo .venv/lib/python3*/site-packages/halide)
cmake="$PWD/.venv/bin/cmake"
printf '[build] configuring and compiling (log: build/build.log)\n'
{
  "$cmake" -S . -B build -G Ninja -DCMAKE_BUILD_TYPE="${NETC_BUILD_TYPE:-Release}" -DCMAKE_PREFIX_PATH=/usr/lib/llvm-19 \
    -DHalide_DIR="$PWD/$halide/lib64/cmake/Halide" -DHalideHelpers_DIR="$PWD/$halide/lib64/cmake/HalideHelpers" &&
  "$cmake" --build build -j "$(nproc)"
} >build/build.log 2>&1 || { tail -n 60 build/build.log >&2; echo "build: failed; the whole log is build/build.log" >&2; exit 1; }
