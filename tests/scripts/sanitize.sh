#!/usr/bin/env bash
# What reads a stranger's bytes, under the address and undefined-behaviour sanitizers: .net files, weights, images, data sets. In build/asan; minutes the
# first time, less after that. Arguments go to the test programs.
set -euo pipefail
cd "$(dirname "$0")/../.."
log=build/asan/build.log
mkdir -p build/asan
PATH="$PWD/.venv/bin:$PATH"
{
  cmake --preset asan && cmake --build build/asan -j "$(nproc)" --target test_frontend test_runtime test_data
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
exit $code
