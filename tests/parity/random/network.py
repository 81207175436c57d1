"""The PyTorch side: what a random network is made of, and how it computes. Tensors are [samples, ...], channels last, as the language has them.

An operation (Op) is text of the language and, once bound to weights, a function of tensors. `bind` names the weights by the rules of docs/language.md, "Names of weights"."""
import dataclasses
import zlib

import numpy as np
import torch


class Tie(Exception):
    """An argument of sign is 0, or would be but for rounding."""


@dataclasses.dataclass(frozen=True)
class Weight:
    """One tensor of a layer. start: weight, gamma, beta, bias, slope, or a running mean or variance."""
    suffix: str
    shape: tuple
    start: str = "weight"


@dataclasses.dataclass(frozen=True)
class Variable:
    name: str
    shape: tuple
    start: str
    fan: int
    trained: bool
    l1: float = 0.0
    l2: float = 0.0
    constraint: tuple = ()

    def draw(self, seed):
        """Values as after some training, none zero or one, so that each term of a formula shows. They depend on the seed and the name alone."""
        random = np.random.default_rng([seed, zlib.crc32(self.name.encode())])
        noise = random.standard_normal(self.shape)
        value = {"gamma": 1 + 0.3 * noise, "variance": 0.5 + np.abs(noise), "slope": 0.25 + 0.2 * noise, "weight": noise / max(1.0, self.fan) ** 0.5}.get(self.start, 0.3 * noise)
        return np.ascontiguousarray(value, "<f4")


class Scope:
    """Names and variables of a network. A child has a prefix and numbers of its own."""

    def __init__(self, parent=None, prefix="", frozen=False):
        self.prefix, self.frozen = prefix, frozen
        self.variables = parent.variables if parent else {}
        self.taken = parent.taken if parent else set()
        self.counts = {}

    def child(self, name):
        return Scope(self, self.unique(self.prefix + name) + ".", self.frozen)

    def numbered_child(self, name):
        return Scope(self, self.numbered(name) + ".", self.frozen)

    def as_frozen(self):
        """The same names, of layers that are not trained."""
        other = Scope(self, self.prefix, True)
        other.counts = self.counts
        return other

    def unique(self, full):
        name, n = full, 1
        while name in self.taken:
            n += 1
            name = f"{full}_{n}"
        self.taken.add(name)
        return name

    def numbered(self, kind):
        while True:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            name = f"{self.prefix}{kind}{self.counts[kind]}"
            if name not in self.taken:
                self.taken.add(name)
                return name

    def snapshot(self):
        return dict(self.variables), set(self.taken), dict(self.counts)

    def restore(self, saved):
        for mine, old in zip((self.variables, self.taken, self.counts), saved):
            mine.clear()
            mine.update(old)


class Run:
    """One pass over a batch. `w` holds the weights; running statistics are replaced in it, in the order of application."""

    def __init__(self, weights, train):
        self.w, self.train = dict(weights), train


class Here:
    """What a layer's computation may ask for."""

    def __init__(self, run, names, frozen):
        self.run, self.names, self.train = run, names, run.train and not frozen

    def __getitem__(self, suffix):
        return self.run.w[self.names[suffix]]

    def __contains__(self, suffix):
        return suffix in self.names

    def update(self, suffix, value):
        self.run.w[self.names[suffix]] = value.detach()


class Op:
    """An operation. `operands` further tensors stand in its parentheses, or before the arrow in a list."""
    text = ""
    operands = 0

    def chained(self, first, rest):
        """The text of its application: `first` stands before the arrow."""
        if not rest:
            return f"{first} -> {self.text}"
        frozen = " frozen" * self.text.endswith(" frozen")
        name, _, arguments = self.text.removesuffix(" frozen").partition("(")
        inside = ", ".join([*rest, arguments.removesuffix(")")] if arguments else rest)
        return f"{first} -> {name}({inside}){frozen}"

    def bind(self, scope, shared):
        raise NotImplementedError


class Layer(Op):
    """A layer of docs/layers.md. `compute(here, *tensors)`."""

    def __init__(self, text, compute, kind="", weights=(), fan=1, operands=0, l1=0.0, l2=0.0, constraint=(), frozen=False):
        self.text, self.compute, self.kind, self.weights, self.fan, self.operands = text, compute, kind, tuple(weights), fan, operands
        self.l1, self.l2, self.constraint, self.frozen = l1, l2, constraint, frozen

    def bind(self, scope, shared, name=""):
        frozen, names = scope.frozen or self.frozen, {}
        if self.kind:
            prefix = name or scope.numbered(self.kind)   # a norm without weights counts too
            for w in self.weights:
                penal = w.start == "weight"
                full = names[w.suffix] = f"{prefix}.{w.suffix}"
                scope.variables[full] = Variable(full, w.shape, w.start, self.fan, not frozen and w.start not in ("mean", "variance"), self.l1 * penal, self.l2 * penal,
                                                 self.constraint if penal else ())
        return lambda run, *xs: self.compute(Here(run, names, frozen), *xs)


class Chain(Op):
    """Layers one after another, as a value."""

    def __init__(self, ops, frozen=False):
        self.ops, self.frozen = ops, frozen
        inner = " -> ".join(op.text for op in ops)
        self.text = f"({inner}) frozen" if frozen else inner

    def bind(self, scope, shared):
        scope = scope.as_frozen() if self.frozen else scope
        steps = [op.bind(scope, shared) for op in self.ops]

        def compute(run, x):
            for step in steps:
                x = step(run, x)
            return x
        return compute


class Named(Op):
    """`let NAME = OP`: the same weights wherever it is applied within one instance of what declares it."""

    def __init__(self, name, op):
        self.text, self.op = name, op

    def declaration(self):
        return f"let {self.text} = {self.op.text}"

    def bind(self, scope, shared):
        if self not in shared:
            if isinstance(self.op, Layer):
                shared[self] = self.op.bind(scope, {}, scope.unique(scope.prefix + self.text))
            else:
                shared[self] = self.op.bind(scope.child(self.text), {})
        return shared[self]


class Body:
    """Statements of a net or block: of values, numbered in the order in which they arise, which op applied to which gives which."""

    def __init__(self, inputs):
        self.inputs, self.nodes, self.outputs = inputs, [], []

    def bind(self, scope):
        shared = {}
        steps = [(op.bind(scope, shared), args) for op, args in self.nodes]

        def compute(run, *xs):
            values = list(xs)
            for step, args in steps:
                y = step(run, *(values[a] for a in args))
                values.extend(y if isinstance(y, (list, tuple)) else [y])
            return [values[o] for o in self.outputs]
        return compute


class Piece(Op):
    """A block or net of one's own, applied: its weights are new each time."""

    def __init__(self, text, body, frozen=False):
        self.text, self.body, self.operands, self.frozen = text + (" frozen" if frozen else ""), body, body.inputs - 1, frozen

    def bind(self, scope, shared):
        inner = self.body.bind(scope.as_frozen() if self.frozen else scope)

        def compute(run, *xs):
            ys = inner(run, *xs)
            return ys[0] if len(ys) == 1 else ys
        return compute


class Loop(Op):
    """`for` over a chain that keeps the shape: new weights each time round; a name given inside is numbered."""

    def __init__(self, ops, times, name=""):
        self.ops, self.times, self.name = ops, times, name

    def bind(self, scope, shared):
        steps = []
        for _ in range(self.times):
            here = scope.numbered_child(self.name) if self.name else scope
            steps += [op.bind(here, shared) for op in self.ops]

        def compute(run, x):
            for step in steps:
                x = step(run, x)
            return x
        return compute


@dataclasses.dataclass
class Term:
    """A term of the loss: factor * text(output, target), `compute(output, target)`, and where the target comes from."""
    text: str
    compute: object
    output: str
    target: str
    factor: float = 1.0


@dataclasses.dataclass
class Network:
    """A whole random network: its text, and the same in PyTorch."""
    text: str
    seed: int
    ports: dict         # input or label: function of a random generator and a number of samples that draws its array
    inputs: list        # names, in order
    outputs: list
    compute: object     # (run, *inputs): the outputs
    variables: dict
    terms: list
    optimiser: object
    batch: int
    arguments: list     # of netc
    tight: float = 0.0  # the share of activations' memory that training is to make do with; 0: no limit

    def weights(self):
        return {name: v.draw(self.seed) for name, v in self.variables.items()}

    def forward(self, weights, data, train):
        """Outputs by name, and the running statistics after it."""
        run = Run(weights, train)
        return dict(zip(self.outputs, self.compute(run, *(data[i] for i in self.inputs)))), run.w

    def loss(self, outputs, data, weights):
        """The loss and its terms, unweighted; penalties are part of the loss."""
        terms = [t.compute(outputs[t.output], data[t.target] if t.target in data else outputs[t.target]) for t in self.terms]
        total = sum(t.factor * value for t, value in zip(self.terms, terms))
        for name, v in self.variables.items():
            if v.trained and (v.l1 or v.l2):
                total = total + v.l1 * weights[name].abs().sum() + v.l2 * (weights[name] ** 2).sum()
        return total, terms


def tensors(arrays, dtype):
    """Arrays as tensors: numbers of class and vocabulary as integers, all else in `dtype`."""
    return {name: torch.from_numpy(np.ascontiguousarray(a)).to(torch.int64 if a.dtype == np.int32 else dtype) for name, a in arrays.items()}
