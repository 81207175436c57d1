#!/usr/bin/env bash
# A small version of each family of models becomes a program and trains on generated data for two epochs: the loss must fall.
. "$(dirname "$0")/lib.sh"

# try MODEL RATE DATA OPTIONS OF NETC...
try() {
  local model=$1 rate=$2 data=$3
  shift 3
  "$NETC" "$SOURCE_DIR/models/$model.net" "$@" --max-batch 16 -o "$t/$model" >/dev/null || fail "$model does not compile"
  "$t/$model" train --data "$data" --epochs 2 --batch 16 --lr "$rate" --quiet --out "$t/run-$model" >/dev/null || fail "$model does not train"
  awk -F, -v model="$model" 'NR == 2 { first = $2 } NR == 3 { last = $2 } END { printf "%-14s loss %.4f, then %.4f\n", model, first, last; exit !(last < first) }' \
    "$t/run-$model/results.csv" || fail "the loss of $model does not fall"
  rm -rf "$t/$model" "$t/run-$model"
}

try autoencoder 0.002 synthetic:digits:600
try siamese 0.002 pairs:synthetic:digits:600
try two_outputs 0.002 synthetic:shapes:600 -D width=8
try unet 0.002 synthetic:shapes:300 -D width=4
try resnet 0.02 synthetic:shapes:600 -D depth=18 -D size=32 -D width=8 -D classes=4
try densenet 0.01 synthetic:shapes:600 -D 'blocks=[2, 2]' -D growth=8 -D size=32 -D classes=4
try vit 0.002 synthetic:shapes:300 -D size=32 -D patch=8 -D dim=32 -D depth=2 -D heads=2 -D mlp=64 -D classes=4
