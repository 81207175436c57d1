#!/usr/bin/env bash
# Runs that are killed at random moments, or cannot write, go on to the bits of a run that nothing happened to. kills.sh [MOMENTS [SEED]]: 500 for a campaign.
. "$(dirname "$0")/lib.sh"
moments=${1:-24}
RANDOM=${2:-$(date +%j)}
cd "$t"
cat >tiny.net <<'N'
net Tiny(hidden = 16) {
  input image: u8[28, 28, 1]
  output digit = image -> Rescale(1/255) -> Flatten -> Dense(hidden) -> BatchNorm -> ReLU -> Dropout(0.2) -> Dense(10) -> Softmax
}
train { loss = categorical_crossentropy(digit, label)  optimizer = adam(lr = 1e-3)  batch = 16  callbacks = [csv("log.csv")] }
N
"$NETC" tiny.net -o tiny >/dev/null
args=(--data synthetic:digits:3000 --epochs 4 --quiet)
began=$(date +%s%N)
./tiny train "${args[@]}" --out whole >/dev/null
length=$((($(date +%s%N) - began) / 1000000))          # of a run, in milliseconds
results() { cut -d, -f1-6 "$1"; }                      # but for the seconds

# What an interrupted run leaves is resumed; where it had not begun, it is started.
next() {
  command=(./tiny train "${args[@]}" --save-every "$every" --out "$1")
  [ ! -e "$1/args.json" ] || command=(./tiny train --resume "$1" --quiet)
}
pick() { shift $((RANDOM % $#)); echo "$1"; }

room=0                                                 # a small file system of its own, where that may be had
mkdir small
mount -t tmpfs -o size=1m tmpfs small 2>/dev/null && room=1
trap '[ $room = 0 ] || umount -l "$t/small"; rm -rf "$t"' EXIT

for ((k = 0; k < moments; ++k)); do
  every=$(pick 0 0.02 0.2 10) run=run$k
  signals=()
  for ((again = RANDOM % 3; again >= 0; --again)); do
    kind=$(pick KILL KILL TERM HUP INT limit full)
    signals+=("$kind")
    code=0
    case $kind in
      limit)                                           # no file grows beyond so many KiB
        next "$run"
        (ulimit -f "$(pick 1 2 20 60 110 160)"; exec "${command[@]}") >said 2>&1 || code=$?
        ;;
      full)
        [ $room = 1 ] || continue
        mount -o "remount,size=$((RANDOM % 500 + 8))k" small
        mkdir "small/$run"
        if [ -e "$run" ] && ! cp -a "$run/." "small/$run/" 2>/dev/null; then   # no room for what there is
          rm -rf small/*
          continue
        fi
        next "small/$run"
        "${command[@]}" >said 2>&1 || code=$?
        rm -rf "$run"
        cp -a "small/$run" "$run"
        rm -rf small/*
        ;;
      *)
        next "$run"
        "${command[@]}" >said 2>&1 &
        pid=$! after=$((RANDOM % length))
        sleep "$((after / 1000)).$(printf '%03d' $((after % 1000)))"
        kill -"$kind" "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || code=$?
        ;;
    esac
    case $kind:$code in
      *:0 | KILL:137 | TERM:143 | HUP:129 | INT:130 | TERM:130 | HUP:130 | limit:1 | full:1) ;;
      *) cat said >&2; fail "moment $k, after ${signals[*]} (--save-every $every): exit code $code" ;;
    esac
  done
  next "$run"
  "${command[@]}" >said 2>&1 || { cat said >&2; fail "moment $k, after ${signals[*]} (--save-every $every): not resumed"; }
  for f in last.safetensors best.safetensors; do cmp -s "whole/$f" "$run/$f" || fail "moment $k, after ${signals[*]} (--save-every $every): other bits in $f"; done
  for f in results.csv log.csv; do
    cmp -s <(results "whole/$f") <(results "$run/$f") || fail "moment $k, after ${signals[*]} (--save-every $every): another $f: $(cat "$run/$f")"
  done
  left=$(find "$run" -name '*.tmp.*' -o -name lock)
  [ -z "$left" ] || fail "moment $k, after ${signals[*]} (--save-every $every): left over: $left"
  rm -rf "$run"
done
echo "kills: ok, $moments moments in $SECONDS s"
