#!/usr/bin/env bash
# The example application against a compiled library: built with CMake from a folder that was moved, fed with real weights and a photo.
. "$(dirname "$0")/lib.sh"
cmake=$(command -v "$SOURCE_DIR/.venv/bin/cmake" cmake | head -n 1)

# Small: filters and hidden units of lenet_blocks.net, under the name that the example links.
cp "$SOURCE_DIR/models/lenet_blocks.net" "$t/lenet.net"
small=(-D 'filters=[2,3]' -D 'units=[8,6]')
"$NETC" "$t/lenet.net" "${small[@]}" --max-batch 4 --emit library -o "$t/first" >/dev/null
mv "$t/first" "$t/out"
for f in include/lenet.h include/lenet_c.h lib/liblenet.a lib/cmake/lenet/lenetConfig.cmake README.md; do [ -s "$t/out/$f" ] || fail "no $f"; done

# Weights: of the same network as a program, trained for a moment.
"$NETC" "$t/lenet.net" "${small[@]}" -o "$t/lenet" >/dev/null
mkdir -p "$t/data"
python3 - "$t/data" <<'PY'
import os, struct, sys, zlib
def png(path, width, height, pixel):
    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height))
    chunk = lambda t, d: struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
for label, colour in {"angry": (200, 20, 20), "happy": (20, 200, 20), "sad": (20, 20, 200)}.items():
    os.makedirs(f"{sys.argv[1]}/{label}")
    for i in range(4):
        png(f"{sys.argv[1]}/{label}/{i}.png", 20 + i, 30, lambda x, y: [min(255, c + (7 * x + 3 * y) % 40) for c in colour])
PY
"$t/lenet" train --data "$t/data" --epochs 2 --batch 4 --quiet --out "$t/run" >/dev/null

"$cmake" -S "$SOURCE_DIR/examples/classify" -B "$t/build" -DCMAKE_PREFIX_PATH="$t/out" -DCMAKE_BUILD_TYPE=Release >"$t/log" 2>&1 &&
  "$cmake" --build "$t/build" >>"$t/log" 2>&1 || { cat "$t/log" >&2; fail "the example does not build"; }

cp "$SOURCE_DIR/tests/scripts/photo.jpg" "$t/photo.jpg"
"$t/build/classify" "$t/run/best.safetensors" "$t/photo.jpg" >"$t/said" || fail "classify failed: $(cat "$t/said")"
[ "$(awk '{ n++; s += $2 } END { print (n == 3 && s > 0.999 && s < 1.001) }' "$t/said")" = 1 ] || fail "these are no probabilities of three classes: $(cat "$t/said")"
[ "$(awk '{ print $1 }' "$t/said" | tr '\n' ' ')" = "angry happy sad " ] || fail "the classes' names are missing: $(cat "$t/said")"

# The program says the same.
"$t/lenet" predict --weights "$t/run/best.safetensors" --top 3 --json "$t/photo.jpg" >"$t/json"
python3 - "$t/json" "$t/said" <<'PY' || fail "the library and the program disagree"
import json, sys
program = {a["class"]: a["probability"] for a in json.load(open(sys.argv[1]))[0]["top"]}
library = {line.split()[0]: float(line.split()[1]) for line in open(sys.argv[2])}
sys.exit(any(abs(program[c] - library[c]) > 2e-4 for c in library) or len(program) != 3)
PY

# What goes wrong is said.
if "$t/build/classify" "$t/nothing.safetensors" "$t/photo.jpg" 2>"$t/why"; then fail "missing weights passed"; fi
grep -q nothing.safetensors "$t/why" || fail "missing weights are not named: $(cat "$t/why")"
head -c 1000 "$t/run/best.safetensors" >"$t/cut.safetensors"
if "$t/build/classify" "$t/cut.safetensors" "$t/photo.jpg" 2>"$t/why"; then fail "truncated weights passed"; fi
[ -s "$t/why" ] || fail "truncated weights pass in silence"
echo "library: ok"

# Names that C and C++ have a meaning for: of files, nets, inputs and outputs; in both headers behind the system's own, and as a program.
for names in "timer load constexpr NULL stdin STDIN" "errno Options int linux a A" "pthread error target NAN get_x infer"; do
  read -r file net one two first second <<<"$names"
  printf 'net %s {\n input %s: f32[3]\n input %s: f32[3]\n output %s = %s -> Add(%s) -> Dense(1)\n output %s = %s -> Dense(2)\n}\ntrain { loss = mse(%s, value) + mse(%s, other) optimizer = sgd(lr = 0.1) batch = 2 }\n' \
    "$net" "$one" "$two" "$first" "$one" "$two" "$second" "$one" "$first" "$second" >"$t/$file.net"
  "$NETC" check "$t/$file.net" || fail "check refuses $names"
  "$NETC" "$t/$file.net" --emit library -o "$t/of_$file" >/dev/null || fail "no library of $names"
  for header in "$t/of_$file"/include/*.h; do
    printf '#include <errno.h>\n#include <math.h>\n#include <pthread.h>\n#include <stdio.h>\n#include <time.h>\n#include <unistd.h>\n#include "%s"\n' "$header" >"$t/names.c"
    g++ -std=c++17 -Wall -Werror -fsyntax-only -x c++ "$t/names.c" || fail "$header in C++, of $names"
    case $header in *_c.h) gcc -std=c99 -Wall -Werror -fsyntax-only "$t/names.c" || fail "$header in C, of $names" ;; esac
  done
  "$NETC" "$t/$file.net" -o "$t/program" >/dev/null || fail "no program of $names"
done
