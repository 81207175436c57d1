#!/usr/bin/env bash
# Products that are handed out: weights inside, plans for several processors, and weights files that others write to while they are in use.
. "$(dirname "$0")/lib.sh"
cd "$t"
cat >small.net <<'NET'
net Small(classes = ["circle", "square", "cross"]) {
  input image: u8[16, 16, 1]
  output shape = image -> Rescale(1/255) -> Conv(16, 3) -> ReLU -> MaxPool(2) -> Flatten -> Dense(32) -> ReLU -> Dense(3) -> Softmax
}
train {
  loss = categorical_crossentropy(shape, label)
  optimizer = adam(lr = 3e-3)
  batch = 8
}
NET
sed 's/Dense(32)/Dense(33)/' small.net >other.net
"$NETC" small.net -o small >/dev/null
./small train --data synthetic:shapes:200 --epochs 2 --quiet --out run >/dev/null
./small train --data synthetic:shapes:200 --epochs 1 --seed 7 --quiet --out run2 >/dev/null
w=run/last.safetensors
answer() { "$@" predict "${with[@]}" --top 3 synthetic:shapes:8; }
with=(--weights $w); answer ./small >plain || fail "predict"
with=(--weights run2/last.safetensors); answer ./small >plain2 || fail "predict"

at "weights inside a program"
expect 0 "" "$NETC" small.net --weights $w -o inside -MD
grep -qF $w inside.d || fail "-MD lacks the weights: $(cat inside.d)"
mkdir -p elsewhere && cp inside elsewhere && cp $w saved && : >$w
with=(); answer elsewhere/inside | cmp - plain || fail "the weights inside answer otherwise"
with=(--weights run2/last.safetensors); answer ./inside | cmp - plain2 || fail "--weights does not go before those inside"
cp saved $w
expect 0 "weights are inside" ./inside info
expect 0 "accuracy" ./inside eval --data synthetic:shapes:50
expect 2 "--weights is required" ./small predict photo.png
expect 1 "do not fit" "$NETC" other.net --weights $w -o never
head -c 1000 $w >cut.safetensors
expect 1 "cut.safetensors" "$NETC" small.net --weights cut.safetensors -o never
expect 1 "nowhere" "$NETC" small.net --weights nowhere -o never
expect 1 "the weights file" "$NETC" small.net --weights saved -o ./elsewhere/../saved
expect 2 "--emit program or library" "$NETC" small.net --weights $w --emit objects -o never
[ ! -e never ] && cmp -s saved $w || fail "a failed compilation left a file, or took the weights"

at "weights inside a library, and a library whose weights file others write to"
cat >use.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include "small_c.h"
int main(int argc, char** argv) { /* inside | WEIGHTS COMMAND: the same answers before and after the command, or an error */
  char why[256] = "";
  static unsigned char image[256];
  float before[3], after[3];
  int i;
  for (i = 0; i < 256; i++) image[i] = (unsigned char)(i % 16 * 15);
  small_network* n = small_create(1, 0, 0, why, sizeof why);
  if (!n || (argc > 2 && small_load(n, argv[1])) || small_predict(n, image, 16, 16, before)) return printf("%s\n", n ? small_error(n) : why), 3;
  if (argc > 2 && system(argv[2])) return 4;
  if (small_save(n, "again.safetensors")) return printf("%s\n", small_error(n)), 5;
  if (small_predict(n, image, 16, 16, after)) return printf("%s\n", small_error(n)), 6;
  for (i = 0; i < 3; i++)
    if (before[i] != after[i]) return 7;
  printf("%.6f %.6f %.6f\n", after[0], after[1], after[2]);
  return 0;
}
C
use() { ${CC:-gcc} use.c -I "$1/include" "$1/lib/libsmall.a" -lstdc++ -lm -lpthread -o "$2"; }
"$NETC" small.net --emit library -o plain.lib >/dev/null && "$NETC" small.net --emit library --weights $w -o inside.lib >/dev/null || fail "libraries"
use plain.lib use_plain && use inside.lib use_inside || fail "link"
./use_plain $w true >said || fail "the library: $(cat said)"
./use_inside inside | cmp - said || fail "the library with weights inside answers otherwise"
cmp -s again.safetensors $w || cmp -s <(tail -c 1000 again.safetensors) <(tail -c 1000 $w) || fail "the library with weights inside saves others"
for how in "cp run2/last.safetensors used" "cp saved used" ": >used" "truncate -s 5000 used" "rm used" "cp run2/last.safetensors new && mv new used" "dd if=/dev/zero of=used bs=100 count=50 conv=notrunc status=none"; do
  cp $w used
  code=0; ./use_plain used "$how" >now || code=$?
  { [ "$code" = 0 ] && cmp -s now said; } || { [ "$code" = 5 ] && grep -q "changed while it was in use: load it again" now; } || fail "$how: exit code $code: $(cat now)"
done

at "several processors"
targets=x86-64-avx512-bf16,x86-64-avx2,x86-64-avx512
expect 0 "plans for several processors" "$NETC" small.net --target $targets -o several
"$NETC" small.net --target x86-64-avx512,x86-64-avx2 --emit library -o several.lib >/dev/null || fail "a library for several processors"
best=x86-64-avx2
if grep -qw avx512vl /proc/cpuinfo && grep -qw avx512dq /proc/cpuinfo; then best=x86-64-avx512; fi
"$NETC" small.net --target $best -o single >/dev/null && "$NETC" small.net --target $best --emit library -o single.lib >/dev/null || fail "one processor"
use several.lib use_several && use single.lib use_single && ./use_several $w true >several.said && ./use_single $w true | cmp - several.said || fail "the library does not choose $best"
with=(--weights $w)
answer ./several | diff - plain >/dev/null || answer ./several >/dev/null || fail "a program for several processors"
if ! grep -qw avx512_bf16 /proc/cpuinfo; then answer ./several | cmp - <(answer ./single) || fail "the program does not choose $best"; fi
./several train --data synthetic:shapes:50 --epochs 1 --quiet --out run3 >/dev/null || fail "a program for several processors does not train"
expect 2 "twice" "$NETC" small.net --target x86-64-avx2,x86-64-avx2 -o never
expect 2 "unknown target z80" "$NETC" small.net --target x86-64-avx2,z80 -o never
expect 2 "unknown target" "$NETC" small.net --target x86-64-avx2, -o never
expect 2 "name one" "$NETC" small.net --target x86-64-avx2,x86-64-avx512 --emit ir

if ! grep -qw avx512_bf16 /proc/cpuinfo; then
  at "a processor without the instructions"
  "$NETC" small.net --target x86-64-avx512-bf16 -o foreign >/dev/null
  expect 1 "netc --target x86-64-avx2" ./foreign info
fi
echo "hand_out: ok in $SECONDS s"
