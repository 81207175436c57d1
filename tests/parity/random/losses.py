"""Losses by their formulas in docs/layers.md: each function takes an output's shape and gives (text of the arguments, function of output and target, what draws a target), or None."""
import numpy as np
import torch
import torch.nn.functional as F


def classes_of(shape):
    return lambda g, n: g.integers(0, shape[-1], (n, *shape[:-1])).astype("i4")


def two_of(shape):
    """Targets 0 or 1: a class for an output f32[1], else numbers of the output's type."""
    if tuple(shape) == (1,):
        return lambda g, n: g.integers(0, 2, (n,)).astype("i4")
    return lambda g, n: g.integers(0, 2, (n, *shape)).astype("f4")


def numbers_of(shape):
    return lambda g, n: g.standard_normal((n, *shape)).astype("f4")


def shares_of(shape):
    def draw(g, n):
        e = np.exp(g.standard_normal((n, *shape)))
        return (e / e.sum(-1, keepdims=True)).astype("f4")
    return draw


def counts_of(shape):
    return lambda g, n: g.poisson(2.0, (n, *shape)).astype("f4")


def like(y, t):
    """A class 0 or 1 as a number beside an output f32[1]."""
    return t.to(y.dtype).reshape(y.shape)


def rows(logp, t):
    return logp.gather(-1, t.long()[..., None])[..., 0]


def weights_of(random, n, chance=0.2):
    """class_weights: its text and values."""
    if random.random() > chance:
        return None, None
    values = [random.choice((0.5, 1, 2, 0.25, 1.5)) for _ in range(n)]
    return f"class_weights = {values}", values


def share_of(random, chance=0.2):
    value = 0.1 if random.random() < chance else 0
    return (f"label_smoothing = {value}" if value else None), value


def class_logits(random, shape, name):
    """Of scores x: softmax and the loss as one. Also of an output after Softmax, whose logarithm is taken."""
    n = shape[-1]
    wt, w = weights_of(random, n)
    st, smooth = (None, 0) if name == "categorical_focal" else share_of(random)
    gamma, alpha = random.choice((2, 0, 1.5)), random.choice((0.25, 1))

    def loss(logp, t):
        if name == "categorical_focal":
            lp = rows(logp, t)
            each = -alpha * (1 - lp.exp()) ** gamma * lp
        else:
            each = -(1 - smooth) * rows(logp, t) - smooth * logp.mean(-1)
        if w:
            each = each * each.new_tensor(w)[t.long()]
        return each.mean()
    texts = [st, wt, *([f"gamma = {gamma}", f"alpha = {alpha}"] if name == "categorical_focal" else [])]
    return texts, loss, classes_of(shape)


def categorical(random, shape, after):
    if shape[-1] < 2 or after not in ("softmax", "none"):
        return None
    name = random.choice(("categorical_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy", "categorical_focal"))
    texts, loss, target = class_logits(random, shape, name)
    if after == "none":
        return name, ["from_logits = true", *texts], lambda y, t: loss(torch.log_softmax(y, -1), t), target
    return name, texts, lambda y, t: loss(torch.log(y), t), target


def categorical_hinge(random, shape, after):
    if shape[-1] < 2 or after != "none":
        return None

    def loss(x, t):
        truth = F.one_hot(t.long(), shape[-1]).bool()
        return F.relu(1 + x.masked_fill(truth, -float("inf")).amax(-1) - rows(x, t)).mean()
    return "categorical_hinge", [], loss, classes_of(shape)


def binary(random, shape, after):
    if after not in ("sigmoid", "none"):
        return None
    name = random.choice(("binary_crossentropy", "binary_crossentropy", "binary_focal"))
    wt, w = weights_of(random, 2) if name == "binary_crossentropy" else (None, None)
    st, smooth = share_of(random) if name == "binary_crossentropy" else (None, 0)
    gamma, alpha = random.choice((2, 1)), random.choice((0.25, 0.75))

    def loss(y, t):
        t = like(y, t)
        lp, lq = (F.logsigmoid(y), F.logsigmoid(-y)) if after == "none" else (torch.log(y), torch.log1p(-y))
        if name == "binary_focal":
            log = torch.where(t > 0.5, lp, lq)
            return (-torch.where(t > 0.5, alpha, 1 - alpha) * (1 - log.exp()) ** gamma * log).mean()
        factor = torch.where(t > 0.5, w[1], w[0]) if w else 1.0
        t = t * (1 - smooth) + smooth / 2
        return (-factor * (t * lp + (1 - t) * lq)).mean()
    texts = [wt, st, *([f"gamma = {gamma}", f"alpha = {alpha}"] if name == "binary_focal" else []), "from_logits = true" if after == "none" else None]
    return name, texts, loss, two_of(shape)


def margins(random, shape, after):
    kind = random.choice(("hinge", "squared_hinge", "contrastive"))
    if after != ("sigmoid" if kind == "contrastive" else "none"):
        return None
    margin = random.choice((1, 0.5))

    def loss(y, t):
        t = like(y, t)
        if kind == "contrastive":
            return ((1 - t) * y ** 2 + t * F.relu(margin - y) ** 2).mean()
        return (F.relu(1 - (2 * t - 1) * y) ** (2 if kind == "squared_hinge" else 1)).mean()
    return kind, [f"margin = {margin}"] if kind == "contrastive" and margin != 1 else [], loss, two_of(shape)


def errors(random, shape, after):
    kind, delta = random.choice(("mse", "mse", "mse", "mae", "huber")), random.choice((1, 0.5))

    def loss(y, t):
        d = (y - t).abs()
        return {"mse": lambda: d * d, "mae": lambda: d, "huber": lambda: torch.where(d <= delta, d * d / 2, delta * (d - delta / 2))}[kind]().mean()
    return kind, [f"delta = {delta}"] if kind == "huber" else [], loss, numbers_of(shape)


def distributions(random, shape, after):
    if shape[-1] < 2:
        return None
    if after == "softmax":
        def kl(y, t):
            t, y = t.clamp(1e-7, 1), y.clamp(1e-7, 1)
            return (t * torch.log(t / y)).sum(-1).mean()
        return "kl_divergence", [], kl, shares_of(shape)
    if after == "sigmoid":
        return "poisson", [], lambda y, t: (y - t * torch.log(y + 1e-7)).mean(), counts_of(shape)
    return "cosine", [], lambda y, t: (1 - (y * t).sum(-1) / (y.norm(dim=-1) * t.norm(dim=-1))).mean(), numbers_of(shape)


def triplet(random, shape, after):
    if len(shape) != 2 or shape[0] != 3 or after != "none":
        return None
    margin = random.choice((0.2, 1))

    def loss(y, t):
        a, p, n = y[:, 0], y[:, 1], y[:, 2]
        return F.relu(((a - p) ** 2).sum(-1) - ((a - n) ** 2).sum(-1) + margin).mean()
    return "triplet", [f"margin = {margin}"] if margin != 0.2 else [], loss, lambda g, n: g.integers(0, 3, (n,)).astype("i4")


def draw(random, shape, after):
    """A loss for an output of this shape that comes after `after`: softmax, sigmoid or none."""
    while True:
        table = (categorical, categorical, categorical, categorical_hinge, binary, margins, errors, errors, distributions, triplet)
        got = random.choice(table)(random, shape, after)
        if got:
            return got
