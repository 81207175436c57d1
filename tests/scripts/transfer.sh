#!/usr/bin/env bash
# Transfer learning as a user goes it: a net is trained, others take it, or a part of it, `from` its weights; what is missing or does not fit is said before training.
. "$(dirname "$0")/lib.sh"
cd "$t"
mkdir first second elsewhere

# net NAME FILTERS LAYER [TRUNK]: a net whose trunk of so many filters is LAYER, called TRUNK, and its head.
net() {
  cat <<NET
block Trunk { input x  output features = x -> Conv($2, 3) -> BatchNorm -> ReLU -> GlobalAvgPool }
net $1(file = "../first/run/last.safetensors") {
  input image: u8[*, *, 1]
  let ${4:-trunk} = $3
  output features = image -> Resize(12, 12) -> Rescale(1/255) -> ${4:-trunk}
  output digit = features -> Dense(10) -> Softmax
}
NET
}
sections='data { train = synthetic(digits) }
train { loss = sparse_categorical_crossentropy(digit, label)  optimizer = adam(lr = 1e-2)  batch = 20  epochs = 1 }'
make() { cat >"$1/$1.net" && expect 0 "parameters" "$NETC" "$1/$1.net" "${@:2}" -o "$1/$1"; }  # FOLDER, whose .net file is stdin
train() { "$@" --data synthetic:digits:200 --threads 1; }
features() { "$1" predict --weights "$2" "$SOURCE_DIR/examples/digits" --json | python3 -c 'import json, sys; print([x["outputs"]["features"] for x in json.load(sys.stdin)])'; }
compare() {  # the features of second/second, trained in second/run, are those of the first net
  features first/first first/run/last.safetensors >one
  features second/second "$1/last.safetensors" >two
  grep -q '[1-9]' one && cmp -s one two || fail "the trunk is another: $(cat one two)"
}

at "the first net"
{ net First 4 "Trunk()"; echo "$sections"; } | make first
train expect 0 "report.html" first/first train --out first/run

at "a part of the same name, frozen"
{ net Second 4 "Trunk from file frozen"; echo "$sections"; } | make second
train expect 0 "trunk.* starts from $t/first/run/last.safetensors" second/second train --out second/run
compare second/run
(cd elsewhere && train expect 0 "trunk.* starts from $t/first/run/last.safetensors" ../second/second train --out run)
compare elsewhere/run

at "resumed, and from all weights"
mv first/run/last.safetensors kept.safetensors
expect 0 "" second/second train --resume second/run --epochs 2 --quiet
train expect 0 "" second/second train --weights second/run/last.safetensors --quiet --out second/again

at "missing and wrong files: nothing is begun"
refuse() { train expect 1 "$1" "${@:2}" --out none && [ ! -e none ] || fail "a run was begun"; }
refuse "$t/first/run/last.safetensors: there is no such file, and trunk starts from it; put it there, or as ../first/run/last.safetensors where the program was started, or give all of Second's weights (--weights FILE)" second/second train
head -c 100 kept.safetensors >first/run/last.safetensors
refuse "$t/first/run/last.safetensors: " second/second train
rm first/run/last.safetensors
mkdir -p elsewhere/first/run elsewhere/second
cp kept.safetensors elsewhere/first/run/last.safetensors
(cd elsewhere/second && train expect 0 "trunk.* starts from ../first/run/last.safetensors" ../../second/second train --out run)
cp kept.safetensors first/run/last.safetensors
compare elsewhere/second/run
{ net Second 5 "Trunk from file frozen"; echo "$sections"; } | make second
refuse "trunk.conv1.weight is [3, 3, 1, 4], the network needs [3, 3, 1, 5]" second/second train
{ net Second 4 "Trunk from file frozen" body; echo "$sections"; } | make second
refuse "last.safetensors: 6 of body's 6 tensors do not fit (the file is of another network: its tensors are not called as in body):" second/second train

at "a whole net, imported"
{
  cat <<'NET'
import "../first/first.net"
net Second {
  input image: u8[*, *, 1]
  let first = image -> (First() from "../first/run/last.safetensors" frozen)
  output features = first.features
  output digit = first.features -> Dense(16) -> ReLU -> Dense(10) -> Softmax
}
NET
  echo "$sections"
} | make second
train expect 0 "first.* starts from $t/first/run/last.safetensors" second/second train --out second/whole
compare second/whole
at "ok"
