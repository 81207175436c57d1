#!/usr/bin/env bash
# Data as people have it, against a whole program: tables, weights of other programs, lists, pipes, devices, tokens.
. "$(dirname "$0")/lib.sh"
cd "$t"

cat >tri.net <<'NET'
net Tri {
  input row: f32[2]
  output kind = row -> Dense(8) -> ReLU -> Dense(3) -> Softmax
}
train { loss = categorical_crossentropy(kind, label)  optimizer = adam(lr = 2e-2)  batch = 8  epochs = 40 }
NET
cat >photos.net <<'NET'
net Photos(classes = ["blue", "red"]) {
  input photo: u8[*, *, 3]
  output kind = photo -> Resize(8, 8, fit = letterbox, antialias = true, colour = 114) -> Rescale(1/255) -> Flatten -> Dense(len(classes)) -> Softmax
}
train { loss = categorical_crossentropy(kind, label)  optimizer = adam(lr = 1e-2)  batch = 4  epochs = 30 }
NET
cat >words.net <<'NET'
net Words {
  input text: i32[4]
  output mood = text -> Embedding(10, 3) -> Flatten -> Dense(2) -> Softmax
}
train { loss = categorical_crossentropy(mood, label)  optimizer = adam(lr = 1e-2)  batch = 4  epochs = 1 }
NET
python3 - <<'PY'
import random, struct, zlib, os
random.seed(1)
centres = {"ant": (0, 0), "bee": (3, 0), "cow": (0, 3)}
rows = [(f"{x + random.gauss(0, .3):.3f}", f"{y + random.gauss(0, .3):.3f}", k) for _ in range(20) for k, (x, y) in centres.items()]
def table(name, header, pick, sep=","):
    with open(name, "w") as f:
        f.write(header + "\n")
        for i, (x, y, k) in enumerate(rows):
            f.write(sep.join(pick(i, x, y, k)) + "\n")
table("train.csv", "x,y,label", lambda i, x, y, k: (x, y, k))
table("turned.tsv", "label\ty\tx", lambda i, x, y, k: (k, y, x), "\t")
table("keyed.csv", "id,x,y", lambda i, x, y, k: (str(i), x, y))
table("bare.csv", "1.0,2.0,ant", lambda i, x, y, k: (x, y, k))
with open("good.csv", "w") as f: f.write("a,b,c,d,label\n" + "0,9,3,4,0\n1,2,3,4,1\n" * 4)
with open("bad.csv", "w") as f: f.write("a,b,c,d,label\n0,10,3,4,0\n1,2,3,4,1\n")
def png(path, w, h, colour):
    raw = b"".join(b"\0" + bytes(colour) * w for _ in range(h))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    open(path, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))
for name, colour in (("blue", (20, 30, 220)), ("red", (220, 30, 20))):
    os.makedirs("data/" + name)
    for i in range(6): png(f"data/{name}/{i}.png", 10 + 7 * i, 40 - 5 * i, colour)
PY

at tables
expect 0 "" "$NETC" tri.net -o tri
expect 0 "" ./tri train --data train.csv --out run --quiet
./tri eval --weights run/last.safetensors --data turned.tsv --json >eval.json
python3 -c 'import json; assert json.load(open("eval.json"))["accuracy"] > 0.9' || fail "columns are not taken by name: $(cat eval.json)"
expect 1 "was not trained on: id; leave it out: 'csv:keyed.csv?ignore=id'" ./tri predict --weights run/last.safetensors keyed.csv
expect 0 "line 3: bee" ./tri predict --weights run/last.safetensors 'csv:keyed.csv?ignore=id'
expect 1 "there is no header" ./tri train --data bare.csv --out none
mkfifo pipe
for d in csv:pipe csv:/dev/zero text:/dev/zero npy:/dev/zero mnist:/dev/zero; do expect 1 "" timeout 20 ./tri train --data "$d" --out none; done

at "broken weights"
python3 - <<'PY'
import struct, json
def change(of, to, edit):
    b = bytearray(open(of, "rb").read())
    n = struct.unpack("<Q", b[:8])[0]
    header = json.loads(b[8:8 + n])
    edit(header, b, 8 + n)
    open(to, "wb").write(b)
def inf(header, b, start):
    name = next(k for k in header if k != "__metadata__" and len(header[k]["shape"]) == 2)
    at = start + header[name]["data_offsets"][0]
    b[at:at + 4] = struct.pack("<f", float("inf"))
def huge(header, b, start):
    for k in header:
        if k == "__metadata__": continue
        lo, hi = (start + v for v in header[k]["data_offsets"])
        b[lo:hi] = struct.pack("<f", 3e38) * ((hi - lo) // 4)
change("run/last.safetensors", "inf.safetensors", inf)
change("run/last.safetensors", "huge.safetensors", huge)
PY
expect 1 "are not finite" ./tri predict --weights inf.safetensors train.csv
expect 1 "not finite" ./tri predict --weights huge.safetensors train.csv
expect 1 "not finite" ./tri eval --weights huge.safetensors --data train.csv

at classes
expect 0 "" "$NETC" photos.net -o photos
expect 0 "" "$NETC" photos.net -D 'classes=[red, blue]' -o turned
expect 0 "" "$NETC" photos.net -D 'classes=[red, green]' -o other
expect 0 "" ./photos train --data data --out seen --quiet
for p in photos turned; do
  expect 0 ": red " ./$p predict --weights seen/last.safetensors data/red/0.png
  ./$p eval --weights seen/last.safetensors --data data --json | grep -q '"accuracy": 1.0' || fail "$p: classes are not those of the weights"
done
expect 1 "compile it with -D 'classes=[blue, red]'" ./other predict --weights seen/last.safetensors data/red/0.png

at "lists and pipes"
printf 'data/red/0.png\r\ndata/blue/5.png\r\n' | ./photos predict --weights seen/last.safetensors - >list.txt || fail "a list with CRLF"
[ "$(cut -d' ' -f2 list.txt | tr '\n' ' ')" = "red blue " ] || fail "the list's answers: $(cat list.txt)"
./photos predict --weights seen/last.safetensors - <data/blue/1.png | grep -q "standard input: blue" || fail "an image from a pipe"

at tokens
expect 0 "" "$NETC" words.net -o words
expect 0 "" ./words train --data good.csv --out read --quiet
expect 1 "10 at place 1 of the net's input text is not one of 0 to 9" ./words train --data bad.csv --out none

at "values that a loss is made for"
printf 'net Marks {\n  input x: f32[2]\n  output y = x -> Dense(2) -> Sigmoid\n  output n = x -> Dense(1) -> Softplus\n}\n' >marks.net
printf 'train { loss = binary_crossentropy(y, seen) + poisson(n, count)  optimizer = sgd(lr = 0.1)  batch = 2  epochs = 1 }\n' >>marks.net
expect 0 "" "$NETC" marks.net -o marks
table() { printf 'x_1,x_2,seen_1,seen_2,count\n1,2,0,1,3\n2,1,%s,0,%s\n' "$1" "$2" >marks.csv; }
table 0.25 0 && expect 0 "" ./marks train --data marks.csv --out marked --quiet
for bad in 2 -1 1.5; do table $bad 0 && expect 1 "$bad at place 0 of the net's label seen is not from 0 to 1, as its loss needs" ./marks train --data marks.csv --out none; done
table 0 -1 && expect 1 "-1 at place 0 of the net's label count is not 0 or more, as its loss needs" ./marks train --data marks.csv --out none
table 1e300 0 && expect 1 "'1e300' in column seen_1 is no number that float32 holds" ./marks train --data marks.csv --out none

at "nothing to load"
printf 'net Sum {\n  input x: f32[2]\n  output y = x + x\n}\n' >sum.net
expect 0 "" "$NETC" sum.net -o sum
printf 'x_1,x_2\n1,2\n' >sum.csv
expect 0 "2 4" ./sum predict sum.csv

at "classes of a program without training"
printf 'net Logits {\n  input x: f32[2]\n  output y = x -> Dense(2)\n}\n' >plain.net
{ cat plain.net; printf 'train { loss = categorical_crossentropy(y, label, from_logits = true)  optimizer = sgd(lr = 0.1)  batch = 2  epochs = 1 }\n'; } >logits.net
printf 'x_1,x_2,label\n1,2,0\n9,4,1\n' >logits.csv
expect 0 "" "$NETC" logits.net -o logits
expect 0 "" "$NETC" logits.net -o logits_only --inference-only
expect 0 "" "$NETC" plain.net -o plain
expect 0 "" ./logits train --data logits.csv --out logits_run --quiet
for p in logits logits_only; do ./$p predict --weights logits_run/last.safetensors logits.csv >$p.txt || fail "$p does not predict"; done
cmp -s logits.txt logits_only.txt || fail "probabilities of scores, without training: $(cat logits_only.txt)"
./plain predict --weights logits_run/last.safetensors logits.csv | grep -q ': -\?[0-9.]* -\?[0-9.]*$' || fail "values that are no classes"
echo "data: ok"
