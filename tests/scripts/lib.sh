# What these scripts share; `. "$(dirname "$0")/lib.sh"` is how they begin. A folder $t, which goes away with the script, and a kernel cache in it.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$t/cache}
fail() { echo "$(basename "$0" .sh): $*" >&2; exit 1; }
at() { echo "-- $* ($SECONDS s)"; }

# expect CODE TEXT COMMAND...: the exit code, and the text somewhere in what it prints, which is then in $t/out and $t/err
expect() {
  local code=$1 text=$2 got=0
  shift 2
  "$@" >"$t/out" 2>"$t/err" || got=$?
  [ "$got" = "$code" ] || { cat "$t/out" "$t/err" >&2; fail "exit code $got, not $code: $*"; }
  [ -z "$text" ] || grep -qF -e "$text" "$t/out" "$t/err" || { cat "$t/out" "$t/err" >&2; fail "does not say '$text': $*"; }
}
