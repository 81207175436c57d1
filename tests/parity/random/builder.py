"""Writes statements of a net or block, and evaluates them at once on random data, so that what is drawn has a moderate size."""
import contextlib
import dataclasses

import torch

import activations  # noqa: F401  fills the table
import expressions
import layers
import moves
import sequences
from network import Body, Chain, Layer, Loop, Named, Piece, Run, Scope, Tie

MOST = 10000      # values of a sample in one tensor
WEIGHTS = 20000   # of one statement
TRIES = 30


class Misfit(Exception):
    """What was drawn does not fit; something else is drawn."""


@dataclasses.dataclass
class Value:
    name: str
    shape: tuple
    at: int            # among the body's values
    seen: tuple        # its tensors in training and in inference
    dtype: str = "f32"
    after: str = "none"   # softmax, sigmoid: what an output's loss must know


class Builder:
    """The statements of one net or block. `maker` is the Generator, which holds what the file has in common."""

    def __init__(self, maker, seen, indent, depth, scope, prefix="t"):
        self.maker, self.random, self.depth, self.indent, self.scope, self.prefix = maker, maker.random, depth, indent, scope, prefix
        self.lines, self.values, self.shared, self.named, self.ops, self.count = [], [], {}, [], [], 0
        self.body = Body(len(seen))
        self.weights = {}
        for name, tensors, dtype in seen:
            self.values.append(Value(name, tuple(tensors[0].shape[1:]), len(self.values), tensors, dtype))
        self.places = len(seen)

    def say(self, line):
        self.lines.append("  " * self.indent + line)

    def fresh(self):
        self.count += 1
        return f"{self.prefix}{self.count}"

    def usable(self, rank=None):
        return [v for v in self.values if v.dtype == "f32" and (rank is None or len(v.shape) == rank)]

    def recent(self, rank=None):
        """A value, the later ones more often."""
        fits = self.usable(rank)
        if not fits:
            raise Misfit
        return fits[min(len(fits) - 1, int(len(fits) * self.random.random() ** 0.5))]

    # ---- evaluation

    def apply(self, op, args):
        """Binds op, computes it in training and in inference; Misfit when the values are no good."""
        step = op.bind(self.scope, self.shared)
        for name, v in self.scope.variables.items():
            if name not in self.weights:
                if torch.Size(v.shape).numel() > WEIGHTS:
                    raise Misfit
                self.weights[name] = torch.from_numpy(v.draw(self.maker.seed)).double()
        out = []
        for k in (0, 1):
            run = Run(self.weights, k == 0)
            try:
                y = step(run, *(a.seen[k] for a in args))
            except Tie:
                raise Misfit from None
            out.append(y if isinstance(y, list) else [y])
        for pair in zip(*out):
            for y in pair:
                self.check(y)
        return list(zip(*out))

    @staticmethod
    def check(y):
        n = y[0].numel()
        if y.dim() < 2 or y.dim() > 5 or n < 1 or n > MOST or not torch.isfinite(y).all():
            raise Misfit
        size = y.abs().max()
        if size > 40 or size < 1e-2:
            raise Misfit

    @contextlib.contextmanager
    def attempt(self):
        """Undoes names and declarations when what is tried does not fit."""
        saved, shared, named, count = self.scope.snapshot(), dict(self.shared), list(self.named), self.count
        lines, nodes, values, places = list(self.lines), list(self.body.nodes), list(self.values), self.places
        shared_file = self.maker.save()
        try:
            yield
        except Misfit:
            self.scope.restore(saved)
            self.shared, self.named, self.count, self.lines, self.values, self.places = shared, named, count, lines, values, places
            self.body.nodes[:] = nodes
            self.maker.restore(shared_file)
            self.weights = {n: w for n, w in self.weights.items() if n in self.scope.variables}
            raise

    def node(self, op, args):
        """Applies op and keeps it; gives nameless values."""
        out = self.apply(op, args)
        self.body.nodes.append((op, [a.at for a in args]))
        self.places += len(out)
        after = {"Softmax": "softmax", "LogSoftmax": "log", "Sigmoid": "sigmoid"}.get(op.text, "none")
        return [Value("", tuple(y[0].shape[1:]), self.places - len(out) + i, y, after=after) for i, y in enumerate(out)]

    # ---- layers

    def leaf(self, shape):
        """A layer for an input of this shape."""
        table = [(weight, f) for rank, weight, f in layers.TABLE if rank in (None, len(shape))]
        for _ in range(TRIES):
            f = self.random.choices([f for _, f in table], [weight for weight, _ in table])[0]
            op = f(self.random, shape)
            if op:
                if op.weights and self.random.random() < 0.05:
                    op.frozen, op.text = True, op.text + " frozen"
                return op
        raise Misfit

    def try_leaf(self, x):
        """A layer applied to x that gives good values."""
        for _ in range(TRIES):
            with contextlib.suppress(Misfit), self.attempt():
                op = self.leaf(x.shape)
                return op, self.node(op, [x])[0]
        raise Misfit

    def chain(self, x, n, text=None):
        """Some layers after x: the text and the last value."""
        text = text or x.name
        for _ in range(n):
            op, x = self.try_leaf(x)
            text += f" -> {op.text}"
        return text, x

    def let(self, text, value):
        value.name = self.fresh()
        self.say(f"let {value.name} = {text}")
        self.values.append(value)
        return value

    # ---- statements

    def plain(self):
        self.let(*self.chain(self.recent(), self.random.choice((1, 1, 2, 3, 4))))

    def merged(self):
        """A chain, then another tensor or more joins it."""
        x = self.recent()
        text, y = self.chain(x, self.random.choice((0, 1, 1, 2)))
        fits = [v for v in self.usable() if v.at != y.at and (moves.spread(v.shape, y.shape) or len(v.shape) == len(y.shape))]
        if not fits:
            raise Misfit
        others = [self.random.choice(fits) for _ in range(self.random.choice((1, 1, 2)))]
        shapes = [y.shape, *(o.shape for o in others)]
        kinds = [moves.product(self.random, *shapes) if len(shapes) == 2 else None, moves.join(self.random, shapes), moves.join(self.random, shapes)]
        if all(moves.spread(a, b) for a in shapes for b in shapes):
            kinds += [moves.merge(self.random, shapes)] * 3
        op = self.random.choice([k for k in kinds if k] or [None])
        if not op:
            raise Misfit
        out = self.node(op, [y, *others])[0]
        names = [o.name for o in others]
        if self.random.random() < 0.3 and "MatMul" not in op.text:
            text = f"[{', '.join([text, *names])}] -> {op.text}"
        else:
            text = op.chained(text, names)
        if self.random.random() < 0.5:
            text, out = self.chain(out, 1, text)
        self.let(text, out)

    def divided(self):
        """A quotient by an expression above 0."""
        x = self.recent()
        v = self.random.choice([v for v in self.usable() if moves.spread(v.shape, x.shape)])
        e = expressions.Expressions(self.random, {v.name: v.shape}).positive(1)
        divisor = self.node(expressions.Formula(e, [v.name]), [v])[0]
        op = Layer("Div", lambda here, a, b: a / b, operands=1)
        self.let(*self.chain(self.node(op, [x, divisor])[0], self.random.choice((0, 1)), f"{x.name} -> Div({e[0]})"))

    def residual(self):
        """A branch of the same shape that joins what it came from."""
        x = self.recent()
        text, y = self.chain(x, self.random.choice((1, 2, 2, 3)))
        if not moves.spread(x.shape, y.shape):
            raise Misfit
        op = moves.merge(self.random, [y.shape, x.shape])
        self.let(op.chained(text, [x.name]), self.node(op, [y, x])[0])

    def several(self):
        """Split, and what becomes of the parts."""
        x = self.recent()
        op, n = moves.split(self.random, x.shape) or (None, 0)
        if not op:
            raise Misfit
        parts = self.node(op, [x])
        for p in parts:
            p.name = self.fresh()
        self.say(f"let ({', '.join(p.name for p in parts)}) = {x.name} -> {op.text}")
        self.values += parts

    def written(self):
        """An expression of one tensor or two."""
        x = self.recent()
        fits = [v for v in self.usable() if moves.spread(v.shape, x.shape)]
        used = {v.name: v for v in [x, *(self.random.choice(fits) for _ in range(self.random.choice((0, 1, 1, 2))))]}
        e = expressions.Expressions(self.random, {n: v.shape for n, v in used.items()}, {}, [o for o in self.maker.ops if len(o.tensors) < 3]).any(self.random.choice((1, 2, 2, 3)))
        op = expressions.Formula(e, list(used))
        self.let(e[0], self.node(op, list(used.values()))[0])

    def own_operator(self):
        """An operator of one's own as a layer in a chain."""
        x = self.recent()
        fits = [v for v in self.usable() if v.shape == x.shape]
        names = ["a", "b"][:1 if len(fits) < 2 else self.random.choice((1, 2))]
        known = [o for o in self.maker.ops if len(o.tensors) == len(names) and o.rank == len(x.shape)]
        if known and self.random.random() < 0.4:
            op = self.random.choice(known)
        else:
            op = self.maker.operator({n: x.shape for n in names})
        others = [self.random.choice(fits) for _ in names[1:]]
        applied = expressions.Applied(self.random, op)
        y = self.node(applied, [x, *others])[0]
        self.let(*self.chain(y, self.random.choice((0, 0, 1)), applied.chained(x.name, [o.name for o in others])))

    def shared_layer(self):
        """Layers with a name, applied to one tensor and another of the same shape, or twice to what keeps its shape."""
        x = self.recent()
        name = f"part{self.maker.next('part')}"
        ops, y = [], x
        with contextlib.suppress(Misfit), self.attempt():   # only to find layers; they are bound again under their name
            for _ in range(self.random.choice((1, 1, 2, 3))):
                op, y = self.try_leaf(y)
                ops.append(op)
            raise Misfit
        if not ops or (len(ops) > 1 and any(" frozen" in o.text for o in ops)):
            raise Misfit
        named = Named(name, ops[0] if len(ops) == 1 else Chain(ops, self.random.random() < 0.15))
        self.say(named.declaration())
        out = self.let(f"{x.name} -> {name}", self.node(named, [x])[0])
        fits = [v for v in self.usable() if v.shape == x.shape]
        for _ in range(self.random.choice((1, 1, 2))):
            z = self.random.choice(fits)
            text, w = f"{z.name} -> {name}", self.node(named, [z])[0]
            if w.shape == x.shape and self.random.random() < 0.4:
                text, w = f"{text} -> {name}", self.node(named, [w])[0]
            w = self.let(text, w)
        if out.shape == w.shape and self.random.random() < 0.5:
            op = moves.merge(self.random, [w.shape, out.shape])
            self.let(op.chained(w.name, [out.name]), self.node(op, [w, out])[0])

    def loop(self):
        """The same layers some times, with weights of their own each time."""
        x = self.recent()
        ops, y = [], x
        with contextlib.suppress(Misfit), self.attempt():
            for _ in range(self.random.choice((1, 2, 2, 3))):
                op, y = self.try_leaf(y)
                ops.append(op)
            raise Misfit
        if not ops or y.shape != x.shape:
            raise Misfit
        times = self.random.choice((2, 2, 3))
        name = f"stage{self.maker.letter()}" if len(ops) > 1 and not any(" frozen" in o.text for o in ops) and self.random.random() < 0.5 else ""
        out = self.node(Loop(ops, times, name), [x])[0]
        out.name = self.fresh()
        inner = " -> ".join(o.text for o in ops)
        self.say(f"var {out.name} = {x.name}")
        head = self.random.choice((f"for i in 0..{times}", f"for (i, n) in enumerate({[4, 8, 16][:times]})"))
        if name:
            self.say(f"{head} {{")
            self.say(f"  let {name} = {inner}")
            self.say(f"  {out.name} = {out.name} -> {name}")
            self.say("}")
        else:
            self.say(f"{head} {{ {out.name} = {out.name} -> {inner} }}")
        self.values.append(out)

    def attended(self):
        """Attention of a sequence to another one, with a mask where the net has one of that length."""
        x, z = self.recent(2), self.recent(2)
        masks = [v for v in self.values if v.dtype == "mask" and v.shape == z.shape[:1]]
        if max(x.shape[0], z.shape[0]) > 33:
            raise Misfit
        mask = masks if masks and self.random.random() < 0.8 else []
        op = sequences.attention(self.random, x.shape, z.shape, mask)
        self.let(op.chained(x.name, [v.name for v in [z, *mask[:1]]]), self.node(op, [x, z, *mask[:1]])[0])

    def piece(self):
        """A block or a net of one's own, applied once or more."""
        if self.depth >= 2:
            raise Misfit
        x = self.recent()
        kind = self.random.choice(("block", "block", "chain", "net"))
        others = [self.random.choice(self.usable())] if kind != "chain" and self.random.random() < 0.3 else []
        made = self.maker.piece(self, kind, [x, *others])
        values = [x, *others]
        for i in range(self.random.choice((1, 1, 2))):
            frozen = self.random.random() < 0.06
            op = Piece(made.name, made.body, frozen)
            if self.random.random() < 0.15 and not others:
                named = Named(f"part{self.maker.next('part')}", op)
                self.say(named.declaration())
                op = named
            out = self.node(op, values)
            text = op.chained(x.name, [o.name for o in others])
            if len(out) > 1:
                for v in out:
                    v.name = self.fresh()
                self.say(f"let ({', '.join(v.name for v in out)}) = {text}")
                self.values += out
            else:
                self.let(*self.chain(out[0], self.random.choice((0, 0, 1)), text))
            fits = [v for v in self.usable() if v.shape == x.shape]
            values = [self.random.choice(fits), *others]
            x = values[0]

    def statement(self):
        kinds = [(6, self.plain), (4, self.merged), (3, self.residual), (1, self.several), (3, self.written), (0.7, self.divided), (2.5, self.own_operator),
                 (2, self.shared_layer), (1.5, self.loop), (1, self.attended), (2 if self.depth == 0 else 0.7, self.piece)]
        for _ in range(TRIES):
            f = self.random.choices([k[1] for k in kinds], [k[0] for k in kinds])[0]
            with contextlib.suppress(Misfit), self.attempt():
                f()
                return
        raise Misfit
