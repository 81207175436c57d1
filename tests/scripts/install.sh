#!/usr/bin/env bash
# An installed prefix works after it was moved, without the checkout: compiles a program, a library, and C++ source.
. "$(dirname "$0")/lib.sh"
export XDG_CACHE_HOME=$t/cache
cmake=$(command -v "$SOURCE_DIR/.venv/bin/cmake" cmake | head -n 1)
build=$(cd "$(dirname "$NETC")/.." && pwd)

"$cmake" --install "$build" --prefix "$t/first" >"$t/log" 2>&1 || { cat "$t/log" >&2; fail "cmake --install failed"; }
mv "$t/first" "$t/moved"
p=$t/moved
ldd "$p/bin/netc" >"$t/ldd"
! grep -q 'not found' "$t/ldd" || fail "a library is missing: $(grep 'not found' "$t/ldd")"
[ "$(readlink -f "$(awk '/libHalide/ { print $3 }' "$t/ldd")")" = "$(readlink -f "$p/lib/$(awk '/libHalide/ { print $1 }' "$t/ldd")")" ] ||
  fail "netc takes Halide from elsewhere: $(grep Halide "$t/ldd")"
! grep -rlF "$SOURCE_DIR" "$p/lib/netc" "$p/include" "$p/share" >"$t/where" || fail "the checkout's path is in $(cat "$t/where")"

cd "$t"
"$p/bin/netc" "$p/share/netc/models/lenet5.net" -o lenet5 >"$t/said" 2>&1 || { cat "$t/said" >&2; fail "the installed netc does not compile"; }
./lenet5 summary >"$t/summary"
grep -q 'Total params: 61,706' "$t/summary" || fail "lenet5 summary: $(cat "$t/summary")"
"$p/bin/netc" "$p/share/netc/models/lenet5.net" --inference-only --emit library -o lib >/dev/null || fail "no library"
[ -s lib/lib/liblenet5.a ] || fail "no archive"
# It used the prefix's own runtime: without it, it says what is missing.
mv "$p/lib/netc" "$p/lib/elsewhere"
if "$p/bin/netc" "$p/share/netc/models/lenet5.net" -o other 2>"$t/why"; then fail "the runtime came from somewhere else"; fi
grep -q 'install netc again' "$t/why" || fail "no remedy: $(cat "$t/why")"
echo "install: ok"
