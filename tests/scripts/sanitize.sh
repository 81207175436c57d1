#!/usr/bin/env bash
# Under the address and undefined-behaviour sanitizers: what reads a stranger's bytes (.net files, weights, images, data sets), and programs of random networks,
# whose drivers and runtime are built with them. In build/asan; minutes the first time, less after that. Arguments go to the test programs.
set -euo pipefail
cd "$(dirname "$0")/../.."
log=build/asan/build.log
mkdir -p build/asan
PATH="$PWD/.venv/bin:$PATH"
{
  cmake --preset asan && cmake --build build/asan -j "$(nproc)" --target test_frontend test_runtime test_data netc_runtime netc_runtime_core
} >"$log" 2>&1 || {
  grep -m 5 -E 'error:|FAILED|CMake Error' "$log" >&2 || true
  tail -n 20 "$log" >&2
  echo "sanitize: the build failed; the whole log is $log" >&2
  exit 1
}
# The compiler drops what its values refer to in cycles: nothing may leak.
export ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:allocator_may_return_null=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}" UBSAN_OPTIONS="print_stacktrace=1"
ulimit -s 65536 2>/dev/null || true  # a sanitized frame is several times as large as one of the compiler's own
declare -A pid
code=0
for t in frontend runtime data; do
  "build/asan/bin/test_$t" "$@" >"build/asan/$t.log" 2>&1 &
  pid[$t]=$!
done
for t in frontend runtime data; do
  wait "${pid[$t]}" || code=1
  echo "sanitize: test_$t"
  tail -n 60 "build/asan/$t.log"
done

# Programs: netc finds the runtime beside itself, so a copy of it beside the sanitized one links that.
if [ -n "${NETC:-}" ] && [ -x build/bin/random_networks ]; then
  prefix=$PWD/build/asan/prefix
  rm -rf "$prefix" && mkdir -p "$prefix/bin" "$prefix/lib/netc" "$prefix/include/netc" "$prefix/nets"
  cp "$NETC" "$prefix/bin/netc"
  cp build/asan/lib/libnetc_runtime.a build/asan/lib/libnetc_runtime_core.a "$prefix/lib/netc/"
  cp -r runtime "$prefix/include/netc/"
  first=$(($(date +%s) / 86400 * 1000 + 500))  # of today, others than random_networks takes
  build/bin/random_networks --seeds "$first:$((first + 10))" --write "$prefix/nets"
  export CXX="g++ -fsanitize=address,undefined -fno-sanitize=null,object-size,vptr -fno-sanitize-recover=all -fno-omit-frame-pointer -g1"
  tried=0
  for net in "$prefix"/nets/*.net; do
    program=${net%.net}.program
    "$prefix/bin/netc" "$net" -o "$program" >"$program.log" 2>&1 || { cat "$program.log"; echo "sanitize: $net does not compile"; code=1; continue; }
    for command in "train --epochs 2 --threads 2 --out ${net%.net}.run" "eval --weights ${net%.net}.run/best.safetensors"; do
      # shellcheck disable=SC2086
      "$program" $command --data "npy:${net%.net}" >"$program.log" 2>&1 || true  # random numbers may diverge, and that is said
      if grep -q -E 'runtime error|Sanitizer' "$program.log"; then
        tail -n 40 "$program.log"
        echo "sanitize: $net: $command"
        code=1
      fi
    done
    tried=$((tried + 1))
  done
  echo "sanitize: $tried programs of random networks"
fi
exit $code
