#!/usr/bin/env bash
# netc as a user meets it: exit codes, one-line errors with a remedy, what its commands print, and that what it prints is true.
. "$(dirname "$0")/lib.sh"
export NO_COLOR=1
cd "$t"
models=$SOURCE_DIR/models

# refuse CODE TEXT COMMAND...: the same, and the message is one line on stderr that begins with the program's name; stdout stays empty
refuse() {
  expect "$@"
  [ "$(wc -l <"$t/err")" = 1 ] && grep -q '^netc: ' "$t/err" && [ ! -s "$t/out" ] || { cat "$t/out" "$t/err" >&2; fail "not one line on stderr: ${*:3}"; }
}

at "usage"
expect 0 "Subcommands" "$NETC" --help
expect 0 "netc " "$NETC" --version
for command in check fmt graph summary explain layers tune; do
  expect 0 "Usage" "$NETC" $command --help
  expect 0 "netc " "$NETC" $command --version
done
refuse 2 "--help" "$NETC"
refuse 2 "--help" "$NETC" --no-such-option
refuse 2 "--help" "$NETC" check
refuse 2 "name=value" "$NETC" "$models/lenet5.net" -D filters
refuse 2 "program,library" "$NETC" "$models/lenet5.net" --emit nothing
refuse 2 "x86-64-avx512" "$NETC" "$models/lenet5.net" --target z80
for precision in f16 "" BF16; do refuse 2 "f32,bf16" "$NETC" "$models/lenet5.net" "--precision=$precision"; done
refuse 2 "--emit cpp writes float32 only" "$NETC" "$models/lenet5.net" --emit cpp --precision bf16 -o cpp
refuse 2 "f32,bf16" "$NETC" tune "$models/lenet5.net" --precision int8
refuse 2 "autodiff" "$NETC" "$models/lenet5.net" --print-after nothing
refuse 2 "range" "$NETC" "$models/lenet5.net" --max-batch 0
expect 0 "the product trains with batches of 4" "$NETC" "$models/lenet5.net" --emit schedule --max-batch 4
for size in much -3MB 0 3XB 1e30GB MB nan; do refuse 2 "is no size; write" "$NETC" "$models/lenet5.net" --memory-limit=$size; done
refuse 2 "machine code" "$NETC" "$models/lenet5.net" --emit schedule --report
refuse 2 "always" "$NETC" "$models/lenet5.net" --color sometimes
for later in import lsp; do refuse 2 "not in this version yet" "$NETC" $later x; done
for later in "--target cuda" "--target=aarch64" "--emit onnx"; do
  refuse 2 "not in this version yet" "$NETC" "$models/lenet5.net" $later
done

refuse 2 "did you mean --emit?" "$NETC" "$models/lenet5.net" --emti ir
refuse 2 "did you mean summary?" "$NETC" sumary "$models/lenet5.net"
refuse 2 "did you mean check?" "$NETC" chekc
refuse 2 "did you mean --diagnostics?" "$NETC" check --diagnostic=json "$models/lenet5.net"
refuse 2 "did you mean --check?" "$NETC" fmt --chek "$models/lenet5.net"

at "files"
refuse 1 "cannot read nowhere.net" "$NETC" nowhere.net
refuse 1 "is a folder" "$NETC" check .
refuse 1 "no file that can be replaced" "$NETC" "$models/lenet5.net" -o /dev/null
refuse 1 "nowhere" "$NETC" "$models/lenet5.net" -o nowhere/at/all
expect 0 "" "$NETC" "$models/lenet5.net" --emit ir -o /dev/null
[ -c /dev/null ] || fail "/dev/null was replaced"
if [ -c /dev/full ]; then
  code=0; "$NETC" layers >/dev/full 2>err || code=$?
  [ "$code" = 1 ] && grep -q "cannot be written" err || fail "a full disk: exit code $code: $(cat err)"
fi

at "outputs: no source, import, tuning or weights file is replaced, nor any .net file; what cannot be written is found before anything is compiled"
mkdir -p safe/x && cd safe
net='input image: u8[4, 4, 1]  output d = image -> Rescale(1/255) -> Flatten -> Dense(2) -> Softmax'
echo "net A { $net }" >a.net
cp a.net keep
ln -s a.net link && ln a.net hard && ln -s "$PWD" here && ln -s missing.net dangling
echo 'import "a.net" net B { input image: u8[4, 4, 1]  output d = image -> A }' >b.net
echo 'netc-tuning 1' >own.tune
cp own.tune keep.tune
echo 'net C { input x: f32[4]  let d = x -> Dense(3)  output y = d -> Dense(2) }' >c
cp c keep.c
for how in "a.net -o a.net" "a.net -o ./x/../a.net" "a.net -o $PWD/a.net" "a.net -o here/a.net" "a.net -o link" "a.net -o hard" "link -o a.net" "a.net --emit ir -o a.net" \
    "a.net --emit graph -o ./a.net" "a.net --emit schedule -o hard" "a.net --emit halide -o link" "a.net --emit library -o a.net" "a.net --emit cpp -o a.net" \
    "a.net --emit objects -o a.net" "b.net -o a.net" "b.net --emit ir -o link" "a.net -o new.net" "a.net -o NEW.NET" "a.net --emit ir -o x/new.net" "a.net -o dangling" \
    "a.net --emit library -o new.net" "graph a.net -o link" "graph b.net -o hard" "c -o c" "c -o x/../c" "c --emit ir -o here/c" \
    "a.net --tuning own.tune -o own.tune" "a.net --tuning own.tune --emit ir -o here/own.tune" "a.net --tune=1 --tuning new.net -o p" "tune a.net --tuning a.net"; do
  refuse 1 "" "$NETC" $how
  cmp -s a.net keep && cmp -s own.tune keep.tune && cmp -s c keep.c && [ ! -e new.net ] && [ ! -e NEW.NET ] && [ -L link ] && [ -L dangling ] || fail "destroyed by: $how"
done
for how in "a.net -o nowhere/p" "a.net -o x/" "a.net --emit ir -o x" "a.net --emit library -o keep" "a.net --emit ir -o keep/ir" "a.net -o $(printf 'n%.0s' {1..255})" "a.net -o p -MD --emit library"; do
  [ "$how" != "${how%-MD*}" ] && mkdir -p p.d
  refuse 1 "" "$NETC" $how --timings  # which would be printed after the first stage
done
echo "module main;" >source.d && cp source.d mine
refuse 1 "is no list of what source depends on" "$NETC" a.net -o source -MD
cmp -s source.d mine && [ ! -e source ] || fail "-MD replaced a file that it did not write"
echo "mine" >x/README.md && cp x/README.md mine
for kind in library cpp; do refuse 1 "was not made by netc" "$NETC" a.net --emit $kind -o x; done
cmp -s x/README.md mine || fail "README.md was replaced"
echo "text" >a && refuse 1 "is no program" "$NETC" a.net
expect 0 "" "$NETC" a.net -o p
expect 0 "" "$NETC" a.net -o p
for kind in library cpp objects; do for again in 1 2; do expect 0 "" "$NETC" a.net --emit $kind -o $kind; done; done
cd ..

at "check: all that is wrong, in one run"
cat >wrong.net <<'NET'
net Wrong(classes = 10) {
  input image: f32[28, 28, 1]
  let a = image -> Cov(6, 5)
  let b = image -> Conv(6, 5, strides = 2)
  output digit = image -> Flatten -> Dense(clases) -> Softmax
}
train {
  loss = crossentropy(digit, label)
  optimizer = adam(lr = 1e-3)
}
NET
expect 1 "wrong.net" "$NETC" check wrong.net
for line in 3 4 5 8; do grep -q "wrong.net:$line:" err || { cat err >&2; fail "nothing about line $line"; }; done
code=0; "$NETC" check --diagnostics json wrong.net >out 2>err || code=$?
[ "$code" = 1 ] && [ ! -s err ] || fail "diagnostics as JSON: exit code $code: $(cat err)"
python3 -c 'import json; d = json.load(open("out")); d = d if isinstance(d, list) else d["diagnostics"]; assert len(d) >= 4, d' || fail "not JSON: $(cat out)"
"$NETC" check --diagnostics json "$models/lenet5.net" wrong.net wrong.net >out || true
python3 -c 'import json; d = json.load(open("out")); assert len(d) >= 8 and all(e["file"] == "wrong.net" and e["line"] >= 1 for e in d), d' || fail "JSON of several files: $(cat out)"
expect 0 "[]" "$NETC" check --diagnostics json "$models/lenet5.net"
echo "as it was" >kept
expect 1 "wrong.net" "$NETC" wrong.net -o kept
[ "$(cat kept)" = "as it was" ] || fail "a failed compilation touched its output"
expect 0 "" "$NETC" check "$models"/*.net
expect 1 "nowhere.net" "$NETC" check "$models/lenet5.net" nowhere.net
printf 'net A { input x: f32[4] let n = 3 x -> Dense(2) output y = x -> Dense(2) }\n' >warned.net
expect 0 "unused_value" "$NETC" check warned.net
expect 1 "unused_value" "$NETC" check --Werror warned.net
for command in "--color always" "--color never"; do expect 1 "wrong.net" "$NETC" check $command wrong.net; grep -c $'\e' err || true; done >colours
[ "$(sed -n 2p colours)" = 0 ] && [ "$(sed -n 1p colours)" -gt 0 ] || fail "colours: $(cat colours)"
head -c 100000 /dev/urandom >noise.net
expect 1 "noise.net" "$NETC" check noise.net
: >empty.net
expect 1 "no_net" "$NETC" check empty.net

at "fmt"
printf 'net A{ input x:f32[4]// why\n output y=x->Dense( 2 )}\n' >messy.net
cp messy.net before.net
chmod 640 messy.net
expect 1 "messy.net" "$NETC" fmt --check messy.net "$models/lenet5.net"
[ "$(cat out)" = messy.net ] && cmp -s messy.net before.net || fail "fmt --check: $(cat out)"
"$NETC" fmt - <messy.net >standard.net || fail "fmt -"
ln -s messy.net link.net
expect 0 "" "$NETC" fmt link.net
[ ! -s out ] && [ ! -s err ] && [ -L link.net ] || fail "fmt speaks, or replaced a link: $(cat out err)"
cmp -s messy.net standard.net && [ "$(stat -c %a messy.net)" = 640 ] && grep -q '^  input x: f32\[4\]  *// why$' messy.net || fail "fmt: $(cat messy.net)"
expect 0 "" "$NETC" fmt --check messy.net "$models"/*.net
printf 'net A { let = 3 }\n' >broken.net
expect 1 "syntax_error" "$NETC" fmt broken.net messy.net
[ "$(cat broken.net)" = "net A { let = 3 }" ] || fail "fmt touched a file with an error"
expect 1 "syntax_error" "$NETC" fmt --diagnostics json broken.net
refuse 1 "cannot read nowhere.net" "$NETC" fmt nowhere.net

at "graph"
expect 0 "<svg" "$NETC" graph "$models/lenet5.net"
expect 0 "" "$NETC" graph "$models/lenet_blocks.net" -o net.svg -D filters='[4, 8]'
python3 -c '
import xml.etree.ElementTree as t
texts = [e.text for e in t.parse("net.svg").iter() if e.tag.endswith("text")]
assert "photo" in texts and "emotion" in texts and "127 × 127 × 4" in texts, texts' || fail "graph: $(head -c 600 net.svg)"
refuse 2 "writes SVG" "$NETC" graph "$models/lenet5.net" -o net.png
expect 1 "wrong.net" "$NETC" graph wrong.net -o never.svg
[ ! -e never.svg ] || fail "graph of a net with errors"

at "explain, layers"
expect 0 "wrong:" "$NETC" explain unknown_layer
refuse 1 "did you mean unknown_layer?" "$NETC" explain unknown_layr
for id in $("$NETC" explain | cut -d' ' -f1); do expect 0 "right:" "$NETC" explain "$id"; done
expect 0 "padding" "$NETC" layers Conv
refuse 1 "did you mean Conv?" "$NETC" layers Cnv
"$NETC" layers --json | python3 -c 'import json, sys; d = json.load(sys.stdin); assert len(d) > 15 and all(e["doc"] for e in d)' || fail "layers --json"

at "summary"
for style in lenet lenet_blocks lenet_nested; do
  expect 0 "Total params: 63,118,451 (240.78 MB)" "$NETC" summary "$models/$style.net"
  grep -q "^Trainable params: 63,116,103 " out || fail "$style: trainable parameters"
  grep -q "^Non-trainable params: 2,348 " out || fail "$style: parameters that are not trained"
  "$NETC" summary --json "$models/$style.net" | python3 -c '
import json, sys
s = json.load(sys.stdin)
assert (s["parameters"], s["trainable"], s["non_trainable"]) == (63118451, 63116103, 2348), s
assert sum(l["parameters"] for l in s["layers"]) == s["parameters"] and sum(l["macs"] for l in s["layers"]) == s["macs"] == 87063144
m = s["memory"]
assert m["training_total"] > m["inference_total"] > m["weights"] >= 4 * 63118451 and m["optimiser"] > 1.99 * m["weights"] and m["batch"] == 32, m
assert s["inputs"] == [{"name": "photo", "type": "u8[*, *, 3]"}], s' || fail "$style: summary --json"
done

printf 'net A { input a: f32[4] input b: f32[6] output y = a -> Dense(2) -> Add(b -> Dense(2)) }\n' >two.net
expect 0 "Total MACs of one sample: 20;" "$NETC" summary two.net
grep -q '^b  *input  *f32\[6\]' out && grep -q "^Memory of inference, batch 32:" out && ! grep -q "of training" out || fail "several inputs: $(cat out)"

at "what the compiler made of it"
for kind in ir graph schedule halide; do
  "$NETC" "$models/lenet5.net" --emit $kind >printed || fail "--emit $kind"
  "$NETC" "$models/lenet5.net" --emit $kind -o "$kind.txt" >said || fail "--emit $kind -o"
  [ -s printed ] && [ ! -s said ] && cmp -s printed $kind.txt || fail "--emit $kind: to stdout and to a file differ"
done
grep -q '^graph "LeNet5"' ir.txt || fail "--emit ir: $(head -1 ir.txt)"
expect 0 "training/autodiff" "$NETC" "$models/lenet5.net" --emit ir --print-after autodiff
expect 0 " ms " "$NETC" "$models/lenet5.net" --emit ir --timings

at "a memory limit"
cat > deep.net <<'NET'  # what its backward pass reads costs convolutions to compute again
net Deep {
  input image: f32[28, 28, 1]
  var x = image
  for i in 0..6 { x = x -> Conv(8, 3, padding = same) -> Tanh }
  output digit = x -> MaxPool(2) -> Flatten -> Dense(10) -> Softmax
}
train {
  loss      = categorical_crossentropy(digit, label)
  optimizer = sgd(lr = 0.05)
  batch     = 32
  epochs    = 1
}
NET
deep=deep.net
expect 0 "" "$NETC" "$deep" --emit schedule
cp out unlimited
for size in 1GB 0.5GiB 100000000; do "$NETC" "$deep" --emit schedule --memory-limit $size | cmp -s - unlimited || fail "a limit of $size for a small net changes its plan"; done
refuse 1 "not even a batch of 1 would fit" "$NETC" "$deep" --emit schedule --memory-limit 1KiB
least=$(sed 's/.* takes \([0-9,]*\) bytes.*/\1/; s/,//g' err)
expect 0 "computed again in the backward pass" "$NETC" "$deep" --emit schedule --memory-limit "$least"
[ "$(grep -m1 ^plan out | grep -o 'arena [0-9]*' | cut -d' ' -f2)" -lt "$(grep -m1 ^plan unlimited | grep -o 'arena [0-9]*' | cut -d' ' -f2)" ] || fail "the limited plan is no smaller"
refuse 1 "a batch of " "$NETC" "$deep" --emit schedule --memory-limit $((least - 1))
fits=$(sed 's/.*--max-batch \([0-9]*\).*/\1/' err)
expect 0 "" "$NETC" "$deep" --emit schedule --memory-limit $((least - 1)) --max-batch "$fits"
"$NETC" "$deep" --memory-limit "$least" -o limited --json >limited.json || fail "a program within a limit"
python3 - "$least" <<'PY' || fail "--memory-limit --json: $(cat limited.json)"
import json, sys
j = json.load(open("limited.json"))
m, l = j["memory"], j["memory_limit"]
assert m["training_total"] - m["threads"] * m["scratch_per_thread"] <= int(sys.argv[1]) == l["bytes"], m
assert l["recomputed"] and l["flops"] > l["unlimited_flops"] and l["unlimited_training_arena"] > m["training_arena"]
PY
./limited train --data synthetic:digits:200 --epochs 1 --batch 32 --quiet --out limited.run >/dev/null || fail "a program within a limit does not train"

at "a product, its figures and its report"
expect 0 "lenet5: 61,706 parameters" "$NETC" "$models/lenet5.net" -o lenet5 -MD
grep -qF "lenet5: $models/lenet5.net" lenet5.d || fail "-MD: $(cat lenet5.d)"
for text in "training + " "from cache" "training takes" "inference takes"; do grep -qF "$text" out || fail "no '$text': $(cat out)"; done
expect 0 "conv1_conv" "$NETC" "$models/lenet5.net" -o lenet5 --report
"$NETC" "$models/lenet5.net" -o lenet5 --report --json >report.json
python3 - <<'PY' || fail "--report --json: $(head -c 2000 report.json)"
import json, os
j = json.load(open("report.json"))
assert j["parameters"] == 61706 and j["product_bytes"] == os.path.getsize("lenet5")
k, m, rows = j["kernels"], j["memory"], j["report"]
assert k["from_cache"] == k["distinct"] and len(rows) == k["training"] + k["inference"]
assert m["training_total"] > m["inference_total"] > m["weights"] >= 4 * 61706 and m["optimiser"] == 2 * m["weights"]
assert all(r["code_bytes"] >= r["inner_loop_bytes"] >= 0 and r["strategy"] for r in rows)
assert any(r["inner_loop"]["fma"] >= 8 and r["inner_loop"]["vector_bits"] >= 256 for r in rows)
PY

at "imports: beside the file, in -I's folders, among netc's own models; -MD lists them"
mkdir -p parts more
echo 'block Head(n) { Dense(n) -> Softmax }' >parts/head.net
echo 'fn twice(n) = 2 * n' >more/numbers.net
cat >imports.net <<'NET'
import "parts/head.net"
import "numbers.net"
import "lenet5.net"
net Imports {
  input image: u8[28, 28, 1]
  output y = image -> LeNet5 -> Head(twice(3))
}
NET
expect 1 "numbers.net cannot be imported" "$NETC" check imports.net
expect 0 "" "$NETC" check -I more imports.net
expect 0 "" "$NETC" imports.net -I more --emit graph -o imports.txt -MD
for file in imports.net parts/head.net more/numbers.net models/lenet5.net; do grep -qF "$file" imports.txt.d || fail "-MD lacks $file: $(cat imports.txt.d)"; done
cp lenet5 before
expect 0 "0 compiled" "$NETC" "$models/lenet5.net" -o lenet5
expect 0 "0 from cache" "$NETC" "$models/lenet5.net" -o lenet5 --no-cache --inference-only
! grep -q "training" out || fail "--inference-only speaks of training: $(cat out)"
at "what nobody foresaw ends with a line and 70, and the program that was there stays"
cp lenet5 crashed
"$NETC" "$models/resnet.net" -o crashed --no-cache >out 2>err & compiler=$!
sleep 1
kill -SEGV "$compiler"
code=0; wait "$compiler" || code=$?
[ "$code" = 70 ] && grep -q "internal error: invalid memory access.*please report it with the model" err || fail "a crash: $code, $(cat err)"
cmp -s lenet5 crashed || fail "a crash of netc took a program"
at "an interrupted compilation leaves nothing behind"
mkdir -p temporary interrupted
for signal in INT TERM HUP SEGV; do
  code=0
  (trap - INT; TMPDIR=$t/temporary exec "$NETC" "$models/resnet.net" -o interrupted/p --no-cache >out 2>err) & compiler=$!
  for _ in $(seq 500); do [ -n "$(find temporary -path '*/netc-*/*' -name '*.o' | head -1)" ] && break; sleep 0.02; done
  kill -$signal "$compiler"
  wait "$compiler" || code=$?
  [ "$code" = "$([ $signal = SEGV ] && echo 70 || echo $((128 + $(kill -l $signal))))" ] || fail "SIG$signal: exit code $code: $(cat err)"
  [ -z "$(find temporary -name 'netc*'; ls interrupted)" ] || fail "SIG$signal left $(ls temporary interrupted)"
done
at "tuning: beside the model, read by later compilations; a broken file is an error with its line"
cp "$models/lenet5.net" tuned.net
refuse 2 "range" "$NETC" tuned.net --tune=-1
refuse 2 "range" "$NETC" tuned.net --tune=0.5
refuse 2 "range" "$NETC" tune tuned.net --seconds 0
mkdir empty
refuse 1 "no .net file" "$NETC" tune empty
refuse 1 "is a folder" "$NETC" tuned.net --tuning empty --emit schedule
refuse 1 "cannot read nowhere.tune" "$NETC" tuned.net --tuning nowhere.tune --emit schedule
expect 0 "Kendall's tau" "$NETC" tune tuned.net --seconds 2 --inference-only --max-batch 4
[ "$(head -1 tuned.tune)" = "netc-tuning 1" ] || fail "no tuning file: $(ls)"
expect 0 "entries of tuned.tune fit" "$NETC" tuned.net -o tuned --inference-only --max-batch 4 --timings -MD
grep -qF "tuned.tune" tuned.d || fail "-MD lacks the tuning file: $(cat tuned.d)"
echo "kernel here" >>tuned.tune
refuse 1 "tuned.tune, line " "$NETC" tuned.net -o tuned --inference-only
mkdir -p folder && cp "$models/mlp.net" "$models/two_outputs.net" folder
expect 0 "folder/two_outputs.net" "$NETC" tune folder --seconds 0.1 --inference-only --tuning all.tune
[ -s all.tune ] && [ ! -e folder/mlp.tune ] || fail "--tuning: $(ls folder)"
echo "tool: ok in $SECONDS s"
