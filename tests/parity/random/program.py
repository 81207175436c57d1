"""The compiled side: compiles a .net file, and runs the program on arrays and weights. Weights travel as safetensors."""
import json
import os
import pathlib
import re
import struct
import subprocess

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[3]
NETC = os.environ.get("NETC", ROOT / "build" / "bin" / "netc")
SECONDS = 120   # a compilation or run that takes longer hangs


class Failed(Exception):
    """What the compiler or the program said, or that it did not end."""


def command(*words):
    try:
        done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise Failed(f"no end within {SECONDS} s: {pathlib.Path(words[0]).name} {words[1]}") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        at = next((i for i, line in enumerate(lines) if "error" in line or line.startswith("netc:")), 0)   # after warnings
        said = "; ".join(lines[at:])[:600]
        raise Failed(f"{pathlib.Path(words[0]).name} {words[1] if words[0] != NETC else ''} exited with {done.returncode}: {said}")
    return done.stdout


def read_tensors(path):
    data = pathlib.Path(path).read_bytes()
    size, = struct.unpack("<Q", data[:8])
    head = json.loads(data[8:8 + size])
    head.pop("__metadata__", None)
    return {name: np.frombuffer(data, "<f4", (t["data_offsets"][1] - t["data_offsets"][0]) // 4, 8 + size + t["data_offsets"][0]).reshape(t["shape"]) for name, t in head.items()}


def write_tensors(path, tensors):
    head, at = {}, 0
    for name, t in tensors.items():
        head[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(t.tobytes() for t in tensors.values()))


class Program:
    """A compiled network in `folder`, with the files it reads there: random.net, data.npz, w.safetensors."""

    def __init__(self, net, folder, threads=1):
        self.net, self.folder, self.threads = net, pathlib.Path(folder), threads
        self.runs = 0
        (self.folder / "random.net").write_text(net.text)
        self.program = self.folder / "random"
        said = self.compile()
        if net.tight:   # again, in less memory: what it says it takes, without scratch memory, less a part of its activations
            weights, optimiser, arena, data = (int(n.replace(",", "")) for n in re.search(r"training takes .* weights ([\d,]+), optimiser ([\d,]+), arena ([\d,]+), data ([\d,]+)", said).groups())
            try:
                self.compile("--memory-limit", weights + optimiser + data + int(arena * net.tight))
            except Failed as e:
                least = re.search(r"takes ([\d,]+) bytes at least", str(e))
                if not least:
                    raise
                self.compile("--memory-limit", int(least[1].replace(",", "")))

    def compile(self, *more):
        return command(NETC, self.folder / "random.net", "-o", self.program, "--threads", 1, *self.net.arguments, *more)

    def give(self, weights, arrays, many):
        """Weights, the arrays of a training step, and those of inference."""
        write_tensors(self.folder / "w.safetensors", weights)
        for name in ("data.npz", "valid.npz"):   # of one file alone a part would be held out to validate on
            np.savez(self.folder / name, **arrays)
        np.savez(self.folder / "many.npz", **many)

    def initial(self):
        """The weights the program starts with, moved by nothing that matters."""
        return self.train(1e-30, 1, weights=False)

    def train(self, lr, epochs, weights=True):
        """One step an epoch: what the program prints of each epoch, and the weights after them."""
        self.runs += 1
        out = self.folder / f"run{self.runs}"
        said = command(self.program, "train", "--data", f"npy:{self.folder}/data.npz", "--valid", f"npy:{self.folder}/valid.npz", "--epochs", epochs, "--lr", repr(lr), "--threads",
                       self.threads, "--out", out, "--json", *(["--weights", self.folder / "w.safetensors"] if weights else []))
        events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        return [e for e in events if e.get("event") == "epoch"], read_tensors(out / "last.safetensors")

    def evaluate(self, batch):
        return json.loads(command(self.program, "eval", "--data", f"npy:{self.folder}/many.npz", "--weights", self.folder / "w.safetensors", "--batch", batch, "--threads", self.threads,
                                  "--json"))

    def predict(self):
        """The outputs in inference, by name."""
        rows = json.loads(command(self.program, "predict", f"npy:{self.folder}/many.npz", "--weights", self.folder / "w.safetensors", "--top", 10000, "--threads", self.threads, "--json"))
        if "outputs" in rows[0]:
            return {name: np.array([[np.nan if v is None else v for v in row["outputs"][name]] for row in rows]) for name in rows[0]["outputs"]}
        out = np.zeros((len(rows), len(rows[0]["top"])))   # a net of classes alone gives their probabilities
        for to, row in zip(out, rows):
            for c in row["top"]:
                to[c["index"]] = np.nan if c["probability"] is None else c["probability"]
        return {self.net.outputs[0]: out}
