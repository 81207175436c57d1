#!/usr/bin/env bash
# The whole way as a user goes it: compile, train, evaluate, predict, interrupt and resume; the same bits from the same seed; errors with their exit codes.
. "$(dirname "$0")/lib.sh"
cd "$t"
same() { cmp -s "$1" "$2" || fail "$3: $1 and $2 differ"; }

at "compile"
expect 0 "61,706 parameters" "$NETC" "$SOURCE_DIR/models/lenet5.net" -o lenet5
expect 0 "training takes" "$NETC" "$SOURCE_DIR/models/lenet5.net" -o lenet5

at "train, evaluate, predict"
expect 0 "report.html" ./lenet5 train --data synthetic:digits:4000 --epochs 3 --out a
for f in args.json results.csv report.html best.safetensors last.safetensors; do [ -s "a/$f" ] || fail "the run has no $f"; done
[ "$(wc -l <a/results.csv)" = 4 ] || fail "results.csv has not three epochs: $(cat a/results.csv)"
./lenet5 eval --data synthetic:digits --weights a/best.safetensors --json >eval.json
./lenet5 predict --weights a/best.safetensors "$SOURCE_DIR/examples/digits" --json >predict.json
python3 - <<'PY' || fail "what eval and predict say is wrong: $(cat eval.json predict.json)"
import json, os
e, p = json.load(open("eval.json")), json.load(open("predict.json"))
assert e["accuracy"] > 0.9, e["accuracy"]
m = e["confusion_matrix"]
assert len(m) == 10 and sum(map(sum, m)) == e["samples"] and abs(sum(m[i][i] for i in range(10)) / e["samples"] - e["accuracy"]) < 1e-9
right = sum(os.path.basename(x["file"]).startswith(x["class"]) for x in p)
assert len(p) == 6 and right >= 5, (right, p)
assert all(0 < x["probability"] <= 1 for x in p)
PY
expect 0 "confusion matrix" ./lenet5 eval --data synthetic:digits --weights a/best.safetensors
expect 0 "precision" ./lenet5 eval --weights a/best.safetensors
ls "$SOURCE_DIR"/examples/digits/*.png | ./lenet5 predict --weights a/best.safetensors - >list.txt
[ "$(wc -l <list.txt)" = 6 ] || fail "a list on stdin: $(cat list.txt)"

at "products of bf16: the same weights files, either way, and the same bits with any number of threads"
expect 0 "61,706 parameters" "$NETC" "$SOURCE_DIR/models/lenet5.net" --precision bf16 -o lenet5_bf16
expect 0 "products of bf16" ./lenet5_bf16 info
expect 0 "products of f32" ./lenet5 info
for threads in 1 2; do expect 0 "report.html" ./lenet5_bf16 train --data synthetic:digits:1000 --epochs 2 --threads $threads --out bf16_$threads; done
same bf16_1/last.safetensors bf16_2/last.safetensors "bf16 with one thread and two"
[ "$(stat -c %s bf16_1/last.safetensors)" = "$(stat -c %s a/last.safetensors)" ] || fail "weights of bf16 training are not float32"
./lenet5_bf16 eval --data synthetic:digits --weights a/best.safetensors --json >eval_bf16.json
./lenet5 eval --data synthetic:digits --weights bf16_1/last.safetensors --json >eval_back.json
python3 - <<'PY' || fail "bf16 and float32 do not read each other's weights: $(cat eval.json eval_bf16.json eval_back.json)"
import json
f, b, back = (json.load(open(n)) for n in ("eval.json", "eval_bf16.json", "eval_back.json"))
assert abs(f["accuracy"] - b["accuracy"]) < 0.01 and 0 < abs(f["loss"] - b["loss"]) < 0.02, (f["loss"], b["loss"])
assert back["accuracy"] > 0.5, back["accuracy"]
PY

at "the same seed, the same bits"
train() { ./lenet5 train --data synthetic:digits:1000 --quiet "$@" >/dev/null; }
train --epochs 2 --threads 1 --out one
train --epochs 2 --threads 2 --out two
train --epochs 2 --out again
same one/last.safetensors two/last.safetensors "one thread and two"
same one/last.safetensors again/last.safetensors "a second run"
train --epochs 1 --seed 7 --out seven
train --epochs 1 --out first
! cmp -s seven/last.safetensors first/last.safetensors || fail "another seed gives the same weights"

at "interrupt and resume"
(trap - INT; exec ./lenet5 train --data synthetic:digits:1000 --quiet --epochs 30 --out cut >said 2>&1) &
pid=$!
for _ in $(seq 1000); do [ -s cut/results.csv ] && break; sleep 0.02; done
sleep 0.05
kill -INT "$pid"
code=0; wait "$pid" || code=$?
[ "$code" = 130 ] || { cat said >&2; fail "Ctrl-C: exit code $code, not 130"; }
grep -q -e '--resume cut' said || fail "no hint how to resume: $(cat said)"
./lenet5 train --resume cut --quiet >/dev/null
train --epochs 30 --out whole
same cut/last.safetensors whole/last.safetensors "resumed and uninterrupted"
cut -d, -f1-5 cut/results.csv >cut.csv
cut -d, -f1-5 whole/results.csv >whole.csv
same cut.csv whole.csv "resumed and uninterrupted results"
[ "$(wc -l <cut/results.csv)" = 31 ] || fail "the resumed run's results: $(cat cut/results.csv)"

at "three styles of one network"
hidden='s/Dense(1024/Dense(16/; s/Dense(128/Dense(8/; s/units = \[1024, 128\]/units = [16, 8]/; s/Resize(256, 256)/Resize(32, 32)/; s/batch     = 32/batch = 16/'
for style in lenet lenet_blocks lenet_nested; do
  sed "$hidden" "$SOURCE_DIR/models/$style.net" >"$style.net"
  "$NETC" "$style.net" -D 'classes=[circle,square,triangle,star,cross]' -o "$style" >/dev/null || fail "$style.net does not compile"
  ./"$style" train --data synthetic:shapes:160 --epochs 1 --quiet --out "run-$style" >/dev/null || fail "$style does not train"
done
python3 - <<'PY' || fail "the three styles differ"
import json, struct
def tensors(path):
    b = open(path, "rb").read()
    n, = struct.unpack("<Q", b[:8])
    h = json.loads(b[8:8 + n])
    h.pop("__metadata__", None)
    return {k: (v["shape"], b[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]]) for k, v in h.items()}
a, b, c = (tensors(f"run-{s}/last.safetensors") for s in ("lenet", "lenet_blocks", "lenet_nested"))
assert len(a) > 10 and a == b == c
PY

at "errors"
expect 2 "" ./lenet5
expect 2 "" ./lenet5 train --epochs none
expect 2 "above 0" ./lenet5 train --lr 0
expect 2 "" ./lenet5 predict "$SOURCE_DIR/examples/digits"
expect 0 "train" ./lenet5 --help
expect 0 "netc" ./lenet5 --version
expect 1 "nowhere" ./lenet5 train --data nowhere
expect 1 "mnist" ./lenet5 train --data minst:here
expect 1 "nothing.safetensors" ./lenet5 predict --weights nothing.safetensors "$SOURCE_DIR/examples/digits"
expect 1 "nowhere" ./lenet5 train --resume nowhere
head -c 5000 a/best.safetensors >cut.safetensors
expect 1 "cut.safetensors" ./lenet5 predict --weights cut.safetensors "$SOURCE_DIR/examples/digits"
printf 'not weights at all' >text.safetensors
expect 1 "text.safetensors" ./lenet5 eval --data synthetic:digits --weights text.safetensors
expect 1 "" ./lenet5 predict --weights run-lenet/best.safetensors "$SOURCE_DIR/examples/digits"
printf 'no image' >broken.png
expect 1 "broken.png" ./lenet5 predict --weights a/best.safetensors broken.png
expect 1 "cannot read" "$NETC" nowhere.net -o x
expect 1 "did you mean" "$NETC" "$SOURCE_DIR/models/lenet.net" -D filter=3 -o x
expect 2 "" "$NETC" --emit nothing "$SOURCE_DIR/models/lenet.net"
[ ! -e x ] || fail "a failed compilation left a file"
echo "end_to_end: ok in $SECONDS s"
