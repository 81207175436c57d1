"""Layers of sequences [T, K]: recurrent ones, attention, embeddings."""
import math

import torch

from layers import common, layer, of, width
from network import Layer, Weight


def recurrent(random, shape, name, gates, kind, step, extra=(), states=1, biases=None):
    """The weights of a recurrent layer, and its loop; `step(here, x, state)` gives the new state, whose first part is what is seen."""
    units = width(random, 17)
    sequences = random.random() < 0.5
    texts, values = common(random, False)
    weights = [Weight("kernel", (shape[1], gates * units)), Weight("recurrent", (units, gates * units)), Weight("bias", biases(units) if biases else (gates * units,), "bias")]

    def compute(h, x):
        state, all_states = [x.new_zeros(x.shape[0], units) for _ in range(states)], []
        for t in range(x.shape[1]):
            state = step(h, x[:, t], state)
            all_states.append(state[0])
        return torch.stack(all_states, 1) if sequences else state[0]
    return Layer(of(name, [str(units), *extra, "sequences = true" if sequences else None, *texts]), compute, kind, weights, max(shape[1], units), **values)


@layer(2, 1)
def simple_rnn(random, shape):
    name = random.choice((None, "tanh", "relu", "sigmoid"))
    f = {None: torch.tanh, "tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}[name]
    return recurrent(random, shape, "SimpleRNN", 1, "rnn", lambda h, x, s: [f(x @ h["kernel"] + s[0] @ h["recurrent"] + h["bias"])], [f"activation = {name}" if name else None])


@layer(2, 1.5)
def gru(random, shape):
    after = random.random() < 0.6

    def step(h, x, s):
        units = s[0].shape[1]
        bias = h["bias"]
        a = (x @ h["kernel"] + (bias[0] if after else bias)).split(units, 1)
        if after:
            b = (s[0] @ h["recurrent"] + bias[1]).split(units, 1)
            z, r = torch.sigmoid(a[0] + b[0]), torch.sigmoid(a[1] + b[1])
            new = torch.tanh(a[2] + r * b[2])
        else:
            u = h["recurrent"].split(units, 1)
            z, r = torch.sigmoid(a[0] + s[0] @ u[0]), torch.sigmoid(a[1] + s[0] @ u[1])
            new = torch.tanh(a[2] + (r * s[0]) @ u[2])
        return [z * s[0] + (1 - z) * new]
    return recurrent(random, shape, "GRU", 3, "gru", step, [None if after else "reset_after = false"], biases=(lambda u: (2, 3 * u)) if after else None)


@layer(2, 1)
def lstm(random, shape):
    def step(h, x, s):
        i, f, g, o = (x @ h["kernel"] + s[0] @ h["recurrent"] + h["bias"]).chunk(4, 1)
        c = torch.sigmoid(f) * s[1] + torch.sigmoid(i) * torch.tanh(g)
        return [torch.sigmoid(o) * torch.tanh(c), c]
    return recurrent(random, shape, "LSTM", 4, "lstm", step, [random.choice((None, "unit_forget_bias = false"))], states=2)


def attention(random, shape, other=None, mask=None):
    """Of a sequence to itself or another of shape `other`; `mask` says whether one follows it."""
    d, z = shape[1], other or shape
    fits = [h for h in (1, 2, 3, 4) if d % h == 0]
    heads = random.choice(fits)
    key = random.choice((0, 0, 2, 5))
    size = key or d // heads
    causal, has_bias = other is None and random.random() < 0.4, random.random() < 0.7
    texts, values = common(random, False)
    weights = [Weight(f"{n}.weight", s) for n, s in (("query", (d, heads * size)), ("key", (z[1], heads * size)), ("value", (z[1], heads * size)), ("out", (heads * size, d)))]
    if has_bias:
        weights += [Weight(f"{n}.bias", (heads * size if n != "out" else d,), "bias") for n in ("query", "key", "value", "out")]

    def map_of(h, x, name):
        y = x @ h[f"{name}.weight"]
        return y + h[f"{name}.bias"] if has_bias else y

    def compute(h, x, z=None, m=None):
        z = x if z is None else z
        q, k, v = (map_of(h, t, name).unflatten(-1, (heads, size)).transpose(1, 2) for t, name in ((x, "query"), (z, "key"), (z, "value")))
        scores = q @ k.transpose(-1, -2) / math.sqrt(size)
        if causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -math.inf)
        if m is not None:
            scores = scores.masked_fill((m < 0.5)[:, None, None, :], -math.inf)
        return map_of(h, (torch.softmax(scores, -1) @ v).transpose(1, 2).flatten(-2), "out")
    text = of("MultiHeadAttention", [f"heads = {heads}", f"key_dim = {key}" if key else None, "causal = true" if causal else None, None if has_bias else "bias = false", *texts])
    return Layer(text, compute, "attention", weights, d, operands=(other is not None) + bool(mask), **values)


@layer(2, 2)
def self_attention(random, shape):
    return attention(random, shape) if shape[0] <= 17 else None


@layer(2, 1)
def position(random, shape):
    if random.random() < 0.4:
        def waves(h, x):
            t, d = x.shape[1:]
            i = torch.arange(d)
            angle = torch.arange(t, dtype=torch.float64)[:, None] / 10000 ** ((i - i % 2).to(torch.float64) / d)
            return x + torch.where(i % 2 == 0, torch.sin(angle), torch.cos(angle)).to(x.dtype)
        return Layer("PositionEmbedding(sinusoidal)", waves, "position")
    texts, values = common(random, False)
    return Layer(of("PositionEmbedding", texts), lambda h, x: x + h["weight"], "position", [Weight("weight", tuple(shape))], 4, **values)


@layer(2, 0.7)
def class_token(random, shape):
    texts, values = common(random, False)
    return Layer(of("ClassToken", texts), lambda h, x: torch.cat([h["weight"].expand(x.shape[0], 1, -1), x], 1), "token", [Weight("weight", (1, shape[1]))], 4, **values)


def embedding(random, vocabulary):
    dim = width(random)
    texts, values = common(random, False)
    return Layer(of("Embedding", [str(vocabulary), str(dim), *texts]), lambda h, x: h["weight"][x.clamp(0, vocabulary - 1)], "embedding", [Weight("weight", (vocabulary, dim))], 1,
                 **values)
