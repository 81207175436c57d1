#!/usr/bin/env bash
# A net of two inputs, two outputs and two labels from a table, as a user goes: compile, train with a part held out, evaluate, predict; and what goes wrong.
. "$(dirname "$0")/lib.sh"
cd "$t"

cat >flowers.net <<'NET'
/// Flowers by their leaves and their place.
net Flowers {
  input leaf: f32[2]
  input place: f32[1]
  let seen = leaf -> Dense(12) -> ReLU
  output kind = place -> Dense(12) -> Add(seen) -> ReLU -> Dense(3) -> Softmax
  output tall = seen -> Dense(2) -> Softmax
}
data { train = csv("flowers.csv") }
train {
  loss      = categorical_crossentropy(kind, flower) + 0.5 * categorical_crossentropy(tall, size)
  optimizer = adam(lr = 2e-2)
  batch     = 16
  epochs    = 30
}
NET
python3 - <<'PY'
import random
random.seed(3)
with open("flowers.csv", "w") as f:
    f.write("flower,leaf_length,leaf_width,place,size\r\n")
    for i in range(300):
        k = i % 3
        w = random.gauss(k, 0.2)
        f.write(f'"{["iris", "lily", "rose"][k]}",{random.gauss(k - 1, 0.3):.4f},{w:.4f},{random.gauss(-k, 0.3):.4f},{int(w > 1)}\r\n')
PY
expect 0 "parameters" "$NETC" flowers.net -o flowers
expect 0 "validation on csv:flowers.csv: 60 rows" ./flowers train --out run
head -n 1 run/results.csv | grep -qF "epoch,loss,kind:loss,tall:loss,accuracy,tall:accuracy,val_loss,val_kind:loss,val_tall:loss,val_accuracy,val_tall:accuracy,lr,seconds" || fail "columns: $(head -n 1 run/results.csv)"
./flowers eval --weights run/best.safetensors --json >eval.json
head -n 4 flowers.csv | cut -d, -f2-4 | tr -d '\r' >new.csv
./flowers predict --weights run/best.safetensors new.csv --json >predict.json
python3 - <<'PY' || fail "what eval and predict say is wrong: $(cat eval.json predict.json)"
import json
e, p = json.load(open("eval.json")), json.load(open("predict.json"))
assert e["samples"] == 60 and e["accuracy"] > 0.9, e["accuracy"]
assert abs(e["loss"] - e["kind:loss"] - 0.5 * e["tall:loss"]) < 1e-3
assert e["classes"] == ["iris", "lily", "rose"]
assert [x["class"] for x in p] == ["iris", "lily", "rose"], p
assert all(len(x["outputs"]["tall"]) == 2 for x in p)
PY
expect 0 "inputs: leaf f32[2], place f32[1]; outputs: kind f32[3], tall f32[2]; labels: flower i32[], size i32[]" ./flowers info

expect 0 "library" "$NETC" flowers.net --emit library -o library
for f in flowers_set_leaf flowers_set_place flowers_set_flower flowers_set_size flowers_get_kind flowers_get_tall; do
  grep -q "$f(" library/include/flowers_c.h || fail "the library has no $f"
done
expect 0 "" "$NETC" flowers.net --emit cpp -o source

printf 'flower,leaf_length,place,size\niris,1,2,0\n' >short.csv
expect 1 "csv:short.csv: has 1 column for the net's input leaf (leaf_length)" ./flowers train --data short.csv --out none
expect 1 "csv:short.csv" ./flowers train --data csv:short.csv --out none
expect 1 "gives one image" ./flowers train --data synthetic:digits --out none
touch photo.png
expect 1 "no images" ./flowers predict --weights run/best.safetensors photo.png
echo "ports: ok"
