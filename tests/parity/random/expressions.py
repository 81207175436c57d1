"""Random expressions of tensors, as text and as a function; and operators of one's own made of them.

An expression is (text, function of the environment {name: tensor}, level): level is how tightly its outermost operator binds, so that parentheses stand where they must,
and sometimes where they need not."""
import torch

from activations import FUNCTIONS
from network import Op, Tie

SUM, PRODUCT, POWER, ATOM = 1, 2, 3, 4
CONSTANTS = (0.5, 2, 1.5, 0.25, 3, 1, 0.1, 1 / 8)


def sign(x):
    if x.dtype == torch.float64 and (x.abs() <= 1e-6 * x.abs().max()).any():
        raise Tie
    return torch.sign(x)


def inside(random, e, level):
    return f"({e[0]})" if e[2] < level or random.random() < 0.1 else e[0]


class Expressions:
    """Draws expressions over tensors `shapes` {name: shape}; `numbers` {name: value} are hyperparameters that may stand for constants."""

    def __init__(self, random, shapes, numbers=(), ops=()):
        self.random, self.shapes, self.numbers, self.ops = random, shapes, dict(numbers), [o for o in ops if o.rank == len(next(iter(shapes.values())))]

    def constant(self, positive=True):
        if self.numbers and self.random.random() < 0.4:
            name = self.random.choice(list(self.numbers))
            return name, lambda env: env[name], ATOM
        value = self.random.choice(CONSTANTS)
        return f"{value:g}", lambda env: value, ATOM

    def leaf(self):
        name = self.random.choice(list(self.shapes))
        return name, lambda env: env[name], ATOM

    def positive(self, depth):
        """An expression above 0 by some way."""
        kind, c = self.random.randrange(4), self.random.choice((0.5, 1, 2))
        e = self.any(depth - 1)
        if kind == 0:
            return f"{c} + square({e[0]})", lambda env: c + e[1](env) ** 2, SUM
        if kind == 1:
            return f"abs({e[0]}) + {c}", lambda env: e[1](env).abs() + c, SUM
        if kind == 2:
            return f"{c} + sigmoid({e[0]})", lambda env: c + torch.sigmoid(e[1](env)), SUM
        return f"softplus({e[0]}) + {c}", lambda env: FUNCTIONS["softplus"](e[1](env)) + c, SUM

    def any(self, depth):
        if depth <= 0:
            return self.leaf()
        return self.random.choice((self.function, self.function, self.function, self.of_constant, self.of_constant, self.binary, self.binary, self.extreme, self.power, self.folded,
                                   self.of_positive, self.negative, self.own))(depth)

    def function(self, depth):
        name, e = self.random.choice(list(FUNCTIONS)), self.any(depth - 1)
        if self.random.random() < 0.05:
            return f"sign({e[0]})", lambda env: sign(e[1](env)), ATOM
        if self.random.random() < 0.08:
            return f"exp(min({e[0]}, 1))", lambda env: torch.exp(e[1](env).clamp(max=1)), ATOM
        return f"{name}({e[0]})", lambda env: FUNCTIONS[name](e[1](env)), ATOM

    def of_positive(self, depth):
        e = self.positive(depth)
        kind = self.random.choice(("log", "sqrt", "rsqrt", "reciprocal"))
        f = {"log": torch.log, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "reciprocal": torch.reciprocal}[kind]
        return f"{kind}({e[0]})", lambda env: f(e[1](env)), ATOM

    def of_constant(self, depth):
        c, kind = self.constant(), self.random.choice(("c+e", "e+c", "c-e", "e-c", "c*e", "c*e", "e*c", "e/c", "c/p"))
        if kind == "c/p":
            p = self.positive(depth)
            return f"{c[0]} / {inside(self.random, p, POWER)}", lambda env: c[1](env) / p[1](env), PRODUCT
        e = self.any(depth - 1)
        return self.joined(*((c, e) if kind[0] == "c" else (e, c)), kind[1])

    def joined(self, a, b, sign):
        level = SUM if sign in "+-" else PRODUCT
        f = {"+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y, "/": lambda x, y: x / y}[sign]
        return f"{inside(self.random, a, level)} {sign} {inside(self.random, b, level + 1)}", lambda env: f(a[1](env), b[1](env)), level

    def binary(self, depth):
        a, sign = self.any(depth - 1), self.random.choice("++--**/")
        return self.joined(a, self.positive(depth - 1) if sign == "/" else self.any(self.random.randint(0, depth - 1)), sign)

    def extreme(self, depth):
        kind, n = self.random.choice(("min", "max")), self.random.choice((2, 2, 3))
        es = [self.any(depth - 1), *(self.constant() if self.random.random() < 0.4 else self.any(self.random.randint(0, depth - 1)) for _ in range(n - 1))]
        self.random.shuffle(es)
        f = torch.minimum if kind == "min" else torch.maximum

        def compute(env):
            values = [e[1](env) for e in es]
            like = next(v for v in values if torch.is_tensor(v))
            values = [v if torch.is_tensor(v) else like.new_tensor(v) for v in values]
            y = values[0]
            for v in values[1:]:
                y = f(y, v)
            return y
        return f"{kind}({', '.join(e[0] for e in es)})", compute, ATOM

    def power(self, depth):
        if self.random.random() < 0.5:
            e, n = self.any(depth - 1), self.random.choice((2, 2, 3))
            return self.raised(e, n)
        return self.raised(self.positive(depth), self.random.choice((0.5, 1.5, -1)))

    def raised(self, e, n):
        if n > 0 and self.random.random() < 0.5:
            return f"{inside(self.random, e, ATOM)} ^ {n}", lambda env: e[1](env) ** n, POWER
        return f"pow({e[0]}, {n})", lambda env: e[1](env) ** n, ATOM

    def negative(self, depth):
        e = self.any(depth - 1)
        return f"-{inside(self.random, e, ATOM)}", lambda env: -e[1](env), SUM

    def folded(self, depth):
        """A reduction beside what it is of, whose extents of 1 are repeated."""
        e = self.leaf() if self.random.random() < 0.5 else self.any(depth - 1)
        kind, rank = self.random.choice(("mean", "sum", "variance")), len(next(iter(self.shapes.values())))
        axes = sorted(self.random.sample(range(rank), self.random.randint(1, rank)))
        names = {1: ("channel",), 2: ("0", "channel"), 3: ("height", "width", "channel")}.get(rank, tuple(map(str, range(rank))))
        shown = [names[a] if self.random.random() < 0.6 else str(self.random.choice((a, a - rank))) for a in axes]
        text = shown[0] if len(axes) == 1 and self.random.random() < 0.7 else f"[{', '.join(shown)}]"
        dims = tuple(a + 1 for a in axes)
        text = f"{kind}({e[0]})" if len(axes) == rank and self.random.random() < 0.6 else f"{kind}({e[0]}, {text})"
        f = {"mean": lambda x: x.mean(dims, keepdim=True), "sum": lambda x: x.sum(dims, keepdim=True), "variance": lambda x: x.var(dims, unbiased=False, keepdim=True)}[kind]

        def compute(env):   # what is folded may itself be repeated along some extents
            x = e[1](env)
            return f(x)
        fold = text, compute, ATOM
        other = self.leaf()
        if kind == "sum":
            fold = f"tanh({fold[0]})", lambda env: torch.tanh(compute(env)), ATOM
        return self.joined(*((other, fold) if self.random.random() < 0.6 else (fold, other)), self.random.choice("+-*"))

    def own(self, depth):
        """One of the operators declared, called."""
        if not self.ops:
            return self.function(depth)
        op = self.random.choice(self.ops)
        return op.called([self.any(self.random.randint(0, depth - 1)) for _ in op.tensors], self.random)


class Declared:
    """`op NAME(a, b, k = 0.5) = …`, of tensors of one shape."""

    def __init__(self, random, name, shapes, ops):
        self.name, self.tensors, self.rank = name, list(shapes), len(next(iter(shapes.values())))   # its axes are of tensors of this rank
        self.numbers = {f"k{i}": float(random.choice(CONSTANTS[:6])) for i in range(random.choice((0, 0, 1, 2)))}
        self.body = Expressions(random, shapes, self.numbers, ops).any(random.choice((2, 3, 3)))

    def text(self):
        return f"op {self.name}({', '.join([*self.tensors, *(f'{k} = {v}' for k, v in self.numbers.items())])}) = {self.body[0]}"

    def settings(self, random):
        """Hyperparameters as a call gives them: texts and values."""
        texts, values = [], dict(self.numbers)
        for k in self.numbers:
            if random.random() < 0.5:
                values[k] = float(random.choice(CONSTANTS[:6]))
                texts.append(f"{k} = {values[k]}")
        return texts, values

    def called(self, arguments, random):
        texts, values = self.settings(random)
        return (f"{self.name}({', '.join([*(a[0] for a in arguments), *texts])})",
                lambda env: self.body[1]({**values, **{n: a[1](env) for n, a in zip(self.tensors, arguments)}}), ATOM)


class Applied(Op):
    """A declared operator as a layer: a -> Op1(b, k0 = 2)."""

    def __init__(self, random, op):
        texts, values = op.settings(random)
        self.text, self.operands = f"{op.name}({', '.join(texts)})" if texts else op.name, len(op.tensors) - 1
        self.compute = lambda run, *xs: op.body[1]({**values, **dict(zip(op.tensors, xs))})

    def bind(self, scope, shared):
        return self.compute


class Formula(Op):
    """An expression written out in a statement; its operands are the tensors `names`."""

    def __init__(self, expression, names):
        self.text, self.names, self.operands = expression[0], names, len(names)
        self.compute = lambda run, *xs: expression[1](dict(zip(names, xs)))

    def bind(self, scope, shared):
        return self.compute
