"""Convolutions, dense layers, poolings, normalisations, activations: each function draws arguments for an input of one shape, and gives the layer, or None where it does not fit."""
import torch
import torch.nn.functional as F

from network import Layer, Weight

WIDTHS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33)
TABLE = []   # (rank or None, weight, function)


def layer(rank, weight=1.0):
    def add(function):
        TABLE.append((rank, weight, function))
        return function
    return add


def width(random, most=33):
    return random.choice([w for w in WIDTHS if w <= most])


def pair(random, values):
    """One number, or [height, width]: its text and both numbers."""
    a, b = random.choice(values), random.choice(values)
    return (f"[{a}, {b}]", (a, b)) if random.random() < 0.3 else (str(a), (a, a))


def of(text, arguments):
    """`arguments`: texts, those left out are None."""
    inside = ", ".join(a for a in arguments if a)
    return f"{text}({inside})" if inside else text


def common(random, weights=True):
    """Penalties and a constraint: their text and the arguments of Layer."""
    texts, values = [], {}
    if random.random() < 0.12:
        values["l1"] = random.choice((0.001, 0.01))
        texts.append(f"l1 = {values['l1']}")
    if random.random() < 0.15:
        values["l2"] = random.choice((0.001, 0.05))
        texts.append(f"l2 = {values['l2']}")
    if weights and random.random() < 0.06:
        text, values["constraint"] = random.choice((("max_norm(0.5)", ("max_norm", 0.5)), ("unit_norm", ("unit_norm",)), ("non_neg", ("non_neg",))))
        texts.append(f"constraint = {text}")
    return texts, values


def same(extent, kernel, stride, dilation=1):
    total = max((-(-extent // stride) - 1) * stride + (kernel - 1) * dilation + 1 - extent, 0)
    return total // 2, total - total // 2


def padding(random, shape, kernel, stride, dilation=(1, 1), most=2):
    """The text of a padding, and top, bottom, left, right."""
    kind = random.choice(("valid", "same", "same", "number", "pair", "four"))
    if kind == "same":
        return "padding = same", (*same(shape[0], kernel[0], stride[0], dilation[0]), *same(shape[1], kernel[1], stride[1], dilation[1]))
    if kind == "valid":
        return random.choice((None, "padding = valid")), (0, 0, 0, 0)
    n = [random.randint(0, most) for _ in range(4)]
    if kind == "number":
        return f"padding = {n[0]}", (n[0],) * 4
    if kind == "pair":
        return f"padding = [{n[0]}, {n[1]}]", (n[0], n[0], n[1], n[1])
    return f"padding = [{n[0]}, {n[1]}, {n[2]}, {n[3]}]", tuple(n)


def first(x):
    """Channels first, as PyTorch's image functions want them."""
    return x.permute(0, 3, 1, 2)


def last(x):
    return x.permute(0, 2, 3, 1)


def padded(x, p, value=0.0):
    return F.pad(x, (p[2], p[3], p[0], p[1]), value=value)


def windows(random, shape):
    kt, k = pair(random, (1, 1, 2, 3, 3, 3, 4, 5, 7))
    st, s = pair(random, (1, 1, 1, 2, 3))
    dt, d = pair(random, (1, 1, 1, 1, 2, 3))
    pt, p = padding(random, shape, k, s, d)
    if any(shape[i] + p[2 * i] + p[2 * i + 1] < (k[i] - 1) * d[i] + 1 for i in (0, 1)):
        return None
    texts = [pt, None if s == (1, 1) else f"stride = {st}", None if d == (1, 1) else f"dilation = {dt}"]
    random.shuffle(texts)
    return kt, k, s, d, p, texts


def convolved(x, w, bias, s, d, p, groups):
    return last(F.conv2d(padded(first(x), p), w.permute(3, 2, 0, 1).contiguous(), bias, s, 0, d, groups))


def bias_of(random, n):
    has = random.random() < 0.7
    return None if has else "bias = false", [Weight("bias", (n,), "bias")] if has else []


def optional(here, suffix):
    return here[suffix] if suffix in here else None


@layer(3, 14)
def conv(random, shape):
    got = windows(random, shape)
    if not got:
        return None
    kt, k, s, d, p, texts = got
    c, n, groups = shape[2], width(random), 1
    if random.random() < 0.25:
        groups = random.choice([g for g in range(1, c + 1) if c % g == 0])
        n = groups * random.choice((1, 2, 3, 4))
    bt, bias = bias_of(random, n)
    extra, values = common(random)
    text = of("Conv", [str(n), kt, *texts, f"groups = {groups}" if groups > 1 else None, bt, *extra])
    return Layer(text, lambda h, x: convolved(x, h["weight"], optional(h, "bias"), s, d, p, groups), "conv", [Weight("weight", (*k, c // groups, n)), *bias],
                 k[0] * k[1] * c // groups, **values)


@layer(3, 3.5)
def depthwise(random, shape):
    got = windows(random, shape)
    if not got:
        return None
    kt, k, s, d, p, texts = got
    c, m = shape[2], random.choice((1, 1, 1, 2, 3))
    bt, bias = bias_of(random, c * m)
    extra, values = common(random)
    text = of("DepthwiseConv", [kt, f"multiplier = {m}" if m > 1 else None, *texts, bt, *extra])
    return Layer(text, lambda h, x: convolved(x, h["weight"], optional(h, "bias"), s, d, p, c), "depthwise", [Weight("weight", (*k, 1, c * m)), *bias], k[0] * k[1], **values)


@layer(3, 2)
def separable(random, shape):
    got = windows(random, shape)
    if not got:
        return None
    kt, k, s, d, p, texts = got
    c, m, n = shape[2], random.choice((1, 1, 2)), width(random)
    bt, bias = bias_of(random, n)
    extra, values = common(random, False)
    text = of("SeparableConv", [str(n), kt, f"multiplier = {m}" if m > 1 else None, *texts, bt, *extra])

    def compute(h, x):
        x = convolved(x, h["depthwise.weight"], None, s, d, p, c)
        return convolved(x, h["pointwise.weight"], optional(h, "bias"), 1, 1, (0,) * 4, 1)
    return Layer(text, compute, "separable", [Weight("depthwise.weight", (*k, 1, c * m)), Weight("pointwise.weight", (1, 1, c * m, n)), *bias], max(k[0] * k[1], c * m), **values)


@layer(3, 3.5)
def conv_transpose(random, shape):
    kt, k = pair(random, (1, 2, 3, 3, 4, 5))
    st, s = pair(random, (1, 2, 2, 3))
    n, more, pt, p = width(random, 17), (0, 0), None, (0, 0, 0, 0)
    kind = random.choice(("valid", "same", "number"))
    if kind == "same":
        pt, p = "padding = same", tuple(v for i in (0, 1) for v in (max(k[i] - s[i], 0) // 2, k[i] - s[i] - max(k[i] - s[i], 0) // 2))
    else:
        if kind == "number":
            pt, p = padding(random, shape, k, s, most=1)
            if pt and "same" in pt:
                return None
        more = tuple(random.randint(0, v - 1) for v in s) if random.random() < 0.5 else more
    out = [(shape[i] - 1) * s[i] + k[i] + more[i] - p[2 * i] - p[2 * i + 1] for i in (0, 1)]
    if min(out) < 1 or max(out) > 40:
        return None
    bt, bias = bias_of(random, n)
    extra, values = common(random, False)
    text = of("ConvTranspose", [str(n), kt, None if s == (1, 1) else f"stride = {st}", pt, f"output_padding = [{more[0]}, {more[1]}]" if any(more) else None, bt, *extra])

    def compute(h, x):   # all that the kernel reaches, and zeros where it does not, then the part that is kept
        y = F.conv_transpose2d(first(x), h["weight"].permute(3, 2, 0, 1).contiguous(), None, s)
        y = F.pad(y, (0, max(0, out[1] + p[2] - y.shape[3]), 0, max(0, out[0] + p[0] - y.shape[2])))
        y = last(y[:, :, p[0]:p[0] + out[0], p[2]:p[2] + out[1]])
        return y + h["bias"] if "bias" in h else y
    return Layer(text, compute, "conv_transpose", [Weight("weight", (*k, n, shape[2])), *bias], k[0] * k[1] * shape[2] // (s[0] * s[1]), **values)


def dense_of(random, shape, units, arguments=()):
    bt, bias = bias_of(random, units)
    extra, values = common(random)
    return Layer(of("Dense", [str(units), bt, *extra, *arguments]), lambda h, x: x @ h["weight"] + h["bias"] if "bias" in h else x @ h["weight"], "dense",
                 [Weight("weight", (shape[-1], units)), *bias], shape[-1], **values)


@layer(1, 4)
def dense(random, shape):
    return dense_of(random, shape, width(random))


@layer(2, 3)
def dense_rows(random, shape):
    return dense_of(random, shape, width(random))


def pool(random, shape):
    kt, k = pair(random, (1, 2, 2, 3, 3, 4))
    st, s = random.choice(((None, k), pair(random, (1, 2, 3))))
    pt, p = padding(random, shape, k, s, most=1)
    if any(p[i] >= k[i // 2] for i in range(4)):   # each window has a pixel
        return None
    ceil = random.random() < 0.25 and not (pt and "same" in pt)
    out = []
    for i in (0, 1):
        room = shape[i] + p[2 * i] + p[2 * i + 1] - k[i]
        if room < 0:
            return None
        n = (-(-room // s[i]) if ceil else room // s[i]) + 1
        if ceil and (n - 1) * s[i] >= shape[i] + p[2 * i]:
            n -= 1
        out.append(n)
    texts = [kt if k != (2, 2) or random.random() < 0.5 else None, f"stride = {st}" if st else None, pt, "ceil = true" if ceil else None]
    beyond = [max(0, (out[i] - 1) * s[i] + k[i] - shape[i] - p[2 * i] - p[2 * i + 1]) for i in (0, 1)]
    return texts, k, s, p, (p[0], p[1] + beyond[0], p[2], p[3] + beyond[1])


@layer(3, 3)
def max_pool(random, shape):
    got = pool(random, shape)
    if not got:
        return None
    texts, k, s, _, whole = got
    return Layer(of("MaxPool", texts), lambda h, x: last(F.max_pool2d(padded(first(x), whole, -float("inf")), k, s)))


@layer(3, 3)
def avg_pool(random, shape):
    got = pool(random, shape)
    if not got:
        return None
    texts, k, s, p, whole = got
    counted = random.random() < 0.3

    def compute(h, x):
        ones = torch.ones_like(x)
        ones = padded(padded(first(ones), p, 1.0) if counted else padded(first(ones), p), [w - q for w, q in zip(whole, p)])
        return last(F.avg_pool2d(padded(first(x), whole), k, s) / F.avg_pool2d(ones, k, s))
    return Layer(of("AvgPool", [*texts, "count_padding = true" if counted else None]), compute)


@layer(3, 1)
def global_pool(random, shape):
    if random.random() < 0.5:
        return Layer("GlobalMaxPool", lambda h, x: x.amax((1, 2)))
    return Layer("GlobalAvgPool", lambda h, x: x.mean((1, 2)))


def affine(random, channels):
    center, scale = random.random() < 0.85, random.random() < 0.85
    return [None if center else "center = false", None if scale else "scale = false"], [Weight("beta", (channels,), "beta")] * center + [Weight("gamma", (channels,), "gamma")] * scale


def scaled(h, x):
    x = x * h["gamma"] if "gamma" in h else x
    return x + h["beta"] if "beta" in h else x


def epsilon(random, default):
    value = random.choice((default, default, 1e-5, 0.1))
    return value, None if value == default else f"epsilon = {value}"


@layer(None, 5)
def batch_norm(random, shape):
    eps, et = epsilon(random, 0.001)
    momentum = random.choice((0.99, 0.9, 0.5))
    at, weights = affine(random, shape[-1])

    def compute(h, x):
        axes = tuple(range(x.dim() - 1))
        mean, variance = h["mean"], h["variance"]
        if h.train:
            old, (mean, variance) = (mean, variance), (x.mean(axes), x.var(axes, unbiased=False))
            h.update("mean", momentum * old[0] + (1 - momentum) * mean)
            h.update("variance", momentum * old[1] + (1 - momentum) * variance)
        return scaled(h, (x - mean) / torch.sqrt(variance + eps))
    text = of("BatchNorm", [et, None if momentum == 0.99 else f"momentum = {momentum}", *at])
    return Layer(text, compute, "norm", [*weights, Weight("mean", (shape[-1],), "mean"), Weight("variance", (shape[-1],), "variance")])


@layer(None, 3)
def other_norm(random, shape):
    kind, c = random.choice(("LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm", "L2Normalise")), shape[-1]
    if kind == "InstanceNorm" and len(shape) != 3:
        return None
    if kind == "L2Normalise":
        eps, et = epsilon(random, 1e-12)
        return Layer(of(kind, [et]), lambda h, x: x / torch.sqrt((x * x).sum(-1, keepdim=True) + eps))
    if kind == "RMSNorm":
        eps, et = epsilon(random, 1e-6)
        scale = random.random() < 0.8
        return Layer(of(kind, [et, None if scale else "scale = false"]), lambda h, x: scaled(h, x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps)), "norm",
                     [Weight("gamma", (c,), "gamma")] * scale)
    eps, et = epsilon(random, 0.001)
    at, weights = affine(random, c)
    groups = random.choice([g for g in range(1, c + 1) if c % g == 0]) if kind == "GroupNorm" else c

    def compute(h, x):
        if kind == "LayerNorm":
            z, axes = x, (-1,)
        else:   # [samples, positions, groups, channels of a group]
            z, axes = x.reshape(x.shape[0], -1, groups, c // groups), (1, 3)
        z = (z - z.mean(axes, keepdim=True)) / torch.sqrt(z.var(axes, unbiased=False, keepdim=True) + eps)
        return scaled(h, z.reshape(x.shape))
    return Layer(of(kind, [str(groups) if kind == "GroupNorm" else None, et, *at]), compute, "norm", weights)


@layer(None, 0.7)
def lrn(random, shape):
    size, alpha, beta, k = random.choice((1, 3, 5, 7)), random.choice((1e-4, 0.1, 1.0)), random.choice((0.75, 0.5, 1.0, 1.5)), random.choice((2, 1, 0.5))
    if len(shape) != 3:
        return None

    def compute(h, x):
        squares = F.pad(x * x, (size // 2, size // 2)).unfold(-1, size, 1).sum(-1)
        return x / (k + alpha * squares) ** beta
    return Layer(of("LRN", [f"size = {size}", f"alpha = {alpha}", f"beta = {beta}", f"k = {k}"]), compute)
