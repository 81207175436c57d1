"""From a seed, a random network: the text of a .net file, and the same in PyTorch."""
import contextlib
import random as rand

import numpy as np
import torch

import expressions
import layers
import losses
import sequences
from builder import Builder, Misfit
from network import Layer, Network, Scope, Term
from optimisers import Optimiser

EXTENTS = (1, 2, 3, 5, 7, 8, 9, 12, 15, 16, 17)
SAMPLES = 4   # while generating


class Piece:
    def __init__(self, name, body):
        self.name, self.body = name, body


class Generator:
    def __init__(self, seed):
        self.seed, self.random = seed, rand.Random(seed)
        self.data = np.random.default_rng(seed)
        self.ops, self.pieces, self.counts = [], [], {}   # pieces: (in the file or the net, lines)

    def save(self):
        return list(self.ops), list(self.pieces), dict(self.counts)

    def restore(self, saved):
        self.ops, self.pieces, self.counts = (type(s)(s) for s in saved)

    def next(self, kind):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return self.counts[kind]

    def letter(self):
        return "abcdefghijklmnopqrstuvwxyz"[(self.next("letter") - 1) % 26]

    # ---- what the file declares

    def operator(self, shapes):
        op = expressions.Declared(self.random, f"Op{self.next('op')}", shapes, [o for o in self.ops if len(o.tensors) <= len(shapes)])
        self.ops.append(op)
        return op

    def piece(self, outer, kind, values):
        """A block or net for inputs like `values`."""
        number = self.next("piece")
        name = f"{'Net' if kind == 'net' else 'Block'}{number}"
        place = "net" if kind != "net" and outer.depth == 0 and self.random.random() < 0.4 else "file"
        inputs = [(f"p{number}_in{i}", v.seen, "f32") for i, v in enumerate(values)]
        inner = Builder(self, inputs, 1, outer.depth + 1, Scope(), f"p{number}_")
        if kind == "chain":
            text, y = inner.chain(inner.values[0], self.random.choice((1, 2, 3, 4)))
            inner.body.outputs = [y.at]
            lines = [f"block {name} {{", f"  {text.split(' -> ', 1)[1]}", "}"]
        else:
            for _ in range(self.random.choice((1, 2, 3, 4))):
                inner.statement()
            outputs = [inner.values[-1]]
            if kind == "net" and self.random.random() < 0.3 and len(inner.usable()) > 1:
                outputs.append(self.random.choice(inner.usable()))
                if outputs[1] is outputs[0] or outputs[1].at < len(values):
                    outputs.pop()
            inner.body.outputs = [o.at for o in outputs]
            if any(o.at < len(values) for o in outputs):
                raise Misfit
            typed = kind == "net"
            lines = [f"{kind} {name} {{"]
            lines += [f"  input {n}" + (f": f32[{', '.join(map(str, v.shape))}]" if typed else "") for (n, _, _), v in zip(inputs, values)]
            lines += inner.lines
            lines += [f"  output {o.name}_out = {o.name}" for o in outputs] if typed else [f"  output {outputs[0].name}"]
            lines += ["}"]
        self.pieces.append((place, lines))
        return Piece(name, inner.body)

    # ---- inputs

    def one_input(self, name):
        """A declaration, an array's maker, what the network's first lines make of it: (line, draw, dtype, lists of ops)."""
        r = self.random
        kind = r.choice(("f32 image", "f32 image", "f32 image", "u8 image", "u8 image", "any size", "resized", "sequence", "sequence", "tokens", "row"))
        h, w, c = r.choice(EXTENTS), r.choice(EXTENTS), r.choice((1, 2, 3, 3, 4, 5, 8))
        bytes_of = lambda a, b, c: lambda g, n: g.integers(0, 256, (n, a, b, c)).astype("u1")  # noqa: E731
        normal = lambda *shape: lambda g, n: g.standard_normal((n, *shape)).astype("f4")  # noqa: E731
        from_bytes = Layer("Rescale(1/255)", lambda here, x: x / 255)
        if r.random() < 0.4:
            means, deviations = [round(r.uniform(60, 180), 1) for _ in range(c)], [round(r.uniform(40, 80), 1) for _ in range(c)]
            from_bytes = Layer(f"Normalise(mean = {means}, stddev = {deviations})", lambda here, x: (x - x.new_tensor(means)) / x.new_tensor(deviations))
        if kind == "row":
            n = layers.width(r)
            return f"f32[{n}]", normal(n), "f32", []
        if kind == "sequence":
            t, k = r.choice((1, 2, 3, 5, 7, 8, 11, 16)), layers.width(r, 17)
            return f"f32[{t}, {k}]", normal(t, k), "f32", []
        if kind == "tokens":
            t, n = r.choice((1, 2, 3, 5, 8, 16)), r.choice((2, 3, 7, 16, 33))
            return f"i32[{t}]", lambda g, m: g.integers(0, n, (m, t)).astype("i4"), "i32", [[sequences.embedding(r, n)]]
        if kind == "f32 image":
            return f"f32[{h}, {w}, {c}]", normal(h, w, c), "f32", []
        if kind == "u8 image":
            return f"u8[{h}, {w}, {c}]", bytes_of(h, w, c), "u8", [[from_bytes]]
        sizes = [(r.choice(EXTENTS[2:]), r.choice(EXTENTS[2:])) for _ in range(r.choice((1, 1, 1, 1, 2)))]
        tos = [Layer(f"Resize({a}, {b})", lambda here, x, size=(a, b): resized(x, size)) for a, b in sizes]
        if kind == "resized":
            if r.random() < 0.5:
                return f"u8[{h}, {w}, {c}]", bytes_of(h, w, c), "u8", [[to, from_bytes] for to in tos]
            return f"f32[{h}, {w}, {c}]", normal(h, w, c), "f32", [[to] for to in tos]
        dtype = r.choice(("u8", "f32"))
        return f"{dtype}[*, *, {c}]", bytes_of(h, w, c), "any", [[to, from_bytes] for to in tos]

    def inputs(self):
        """Declares inputs: the builder with the first lines said, and the ports."""
        r, ports, lines, seen, first = self.random, {}, [], [], []
        for i in range(r.choice((1, 1, 1, 2, 2, 3))):
            name = ("image", "other", "third")[i]
            text, draw, dtype, ops = self.one_input(name)
            lines.append(f"input {name}: {text}")
            ports[name] = draw
            seen.append((name, (self.tensor(draw),) * 2, dtype))
            first.append((name, ops))
        for name, tensors, dtype in list(seen):   # a mask of what may be attended to
            if dtype == "f32" and tensors[0].dim() == 3 and r.random() < 0.3 and "mask" not in ports:
                t = tensors[0].shape[1]
                lines.append(f"input mask: f32[{t}]")
                ports["mask"] = lambda g, n, t=t: np.concatenate([np.ones((n, 1)), g.integers(0, 2, (n, t - 1))], 1).astype("f4")
                seen.append(("mask", (self.tensor(ports["mask"]),) * 2, "mask"))
                first.append(("mask", []))
        b = Builder(self, seen, 1, 0, Scope())
        b.lines += ["  " + line for line in lines]
        for v, (name, lines) in zip(list(b.values), first):
            for ops in lines:
                y = v
                for op in ops:
                    y = self.must(b, op, y)
                b.let(" -> ".join([name, *(op.text for op in ops)]), y)
        return b, ports

    @staticmethod
    def must(b, op, *xs):
        check, b.check = b.check, lambda y: None
        try:
            return b.node(op, list(xs))[0]
        finally:
            b.check = check

    def tensor(self, draw):
        a = draw(self.data, SAMPLES)
        return torch.from_numpy(a.astype("i8") if a.dtype == np.int32 else a.astype("f8"))

    # ---- outputs and losses

    def outputs(self, b):
        r = self.random
        used = {a for _, args in b.body.nodes for a in args}
        ends = [v for v in b.usable() if v.at not in used and v.at >= b.body.inputs] or [b.usable()[-1]]
        r.shuffle(ends)
        if len(ends) > 3 or r.random() < 0.3:
            ends = self.joined(b, ends, r.choice((1, 2, 3)))
        out = []
        for i, v in enumerate(ends):
            name = f"out{i + 1}"
            text, y = v.name, v
            with contextlib.suppress(Misfit):
                with b.attempt():
                    text, y = self.head(b, v)
            b.say(f"output {name} = {text}")
            out.append((name, y))
        if len(out) == 1 and (out[0][1].after != "softmax" or len(out[0][1].shape) > 1):   # a net of classes alone shows probabilities, not its output
            v = r.choice(b.usable())
            b.say(f"output out2 = {v.name}")
            out.append(("out2", v))
        elif len(out) < 3 and r.random() < 0.25:   # what other statements read
            v = r.choice(b.usable())
            b.say(f"output out{len(out) + 1} = {v.name}")
            out.append((f"out{len(out) + 1}", v))
        b.body.outputs = [y.at for _, y in out]
        return out

    def joined(self, b, ends, most):
        """As many values: those beyond go into one, flattened, so that the outputs depend on all."""
        while len(ends) > most:
            text, parts = [], []
            for v in ends[:2]:
                flat = len(v.shape) > 1
                parts.append(self.must(b, Layer("Flatten", lambda h, x: x.flatten(1)), v) if flat else v)
                text.append(f"{v.name} -> Flatten" if flat else v.name)
            op = Layer("Concat", lambda h, *xs: torch.cat(xs, 1), operands=1)
            y = self.must(b, op, *parts)
            if y.shape[0] > 60:
                dense = layers.dense_of(self.random, y.shape, layers.width(self.random))
                y, op.text = self.must(b, dense, y), f"Concat -> {dense.text}"
            ends = [*ends[2:], b.let(f"[{', '.join(text)}] -> {op.text}", y)]
        return ends

    def head(self, b, v):
        r, text, y = self.random, v.name, v
        if len(y.shape) == 3 and r.random() < 0.5:
            op = r.choice((Layer("Flatten", lambda h, x: x.flatten(1)), Layer("GlobalAvgPool", lambda h, x: x.mean((1, 2)))))
            y, text = b.node(op, [y])[0], f"{text} -> {op.text}"
        if len(y.shape) < 3 and r.random() < 0.7:
            op = layers.dense_of(r, y.shape, r.choice((1, 2, 3, 5, 9)))
            y, text = b.node(op, [y])[0], f"{text} -> {op.text}"
        kind = r.choice(("softmax", "sigmoid", "none", "none"))
        if kind == "softmax" and y.shape[-1] > 1:
            y, text = b.node(Layer("Softmax", lambda h, x: torch.softmax(x, -1)), [y])[0], text + " -> Softmax"
        elif kind == "sigmoid":
            y, text = b.node(Layer("Sigmoid", lambda h, x: torch.sigmoid(x)), [y])[0], text + " -> Sigmoid"
        return text, y

    def terms(self, b, outputs, ports):
        r, terms = self.random, []
        chosen = outputs if len(outputs) == 1 or r.random() < 0.6 else r.sample(outputs, len(outputs) - 1)
        for name, y in chosen:
            for _ in range(r.choice((1, 1, 1, 2))):
                loss, texts, compute, draw = losses.draw(r, y.shape, y.after)
                same = [v.name for v in b.values[:b.body.inputs] if v.dtype == "f32" and v.shape == y.shape]
                same += [n for n, v in outputs if n != name and v.shape == y.shape]   # the gradient goes into both
                if loss in ("mse", "mae", "huber") and same and r.random() < 0.5:
                    target = r.choice(same)
                else:
                    target = "label" if not terms else f"label{len(terms) + 1}"
                    ports[target] = draw
                factor = r.choice((1, 1, 0.5, 2, 0.25))
                arguments = ", ".join([name, target, *(t for t in texts if t)])
                terms.append(Term(f"{factor} * {loss}({arguments})" if factor != 1 else f"{loss}({arguments})", compute, name, target, factor))
        return terms

    # ---- the whole

    def network(self):
        r = self.random
        b, ports = self.inputs()
        inputs = [v.name for v in b.values[:b.body.inputs]]
        for _ in range(r.choice((2, 3, 4, 5, 6, 8, 12))):
            b.statement()
        outputs = self.outputs(b)
        terms = self.terms(b, outputs, ports)
        optimiser = Optimiser(r, any(v.constraint for v in b.scope.variables.values()))
        batch = r.choice((1, 2, 2, 3, 4, 5, 8, 17))
        arguments = ["--target", "x86-64-avx2"] if r.random() < 0.3 else []
        tight = r.choice((0.9, 0.7, 0.3)) if r.random() < 0.12 else 0.0
        file_ops = [op.text() for op in self.ops]
        head = []
        for text in file_ops:
            head += [text, ""]
        inside = []
        for place, lines in self.pieces:
            if place == "file":
                head += [*lines, ""]
            else:
                inside += ["  " + line for line in lines]
        text = "\n".join([*head, "net Random {", *b.lines[:len(inputs)], *inside, *b.lines[len(inputs):], "}", "", "train {",
                          f"  loss = {' + '.join(t.text for t in terms)}", f"  optimizer = {optimiser.text}", f"  batch = {batch}", "}", ""])
        scope = Scope()
        compute = b.body.bind(scope)
        return Network(text, self.seed, ports, inputs, [name for name, _ in outputs], compute, scope.variables, terms, optimiser, batch, arguments, tight)


def resized(x, size):
    return torch.nn.functional.interpolate(x.permute(0, 3, 1, 2), size, mode="bilinear", align_corners=False).permute(0, 2, 3, 1)


def network(seed):
    """The network of a seed. A draw that leads nowhere is repeated with another generator."""
    for attempt in range(20):
        try:
            made = Generator(seed + 1000003 * attempt).network()
            made.seed = seed + 1000003 * attempt
            return made
        except Misfit:
            continue
    raise RuntimeError(f"seed {seed} gives no network")
