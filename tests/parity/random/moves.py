"""Layers that move values about, fold them, or join several tensors. Merges give a layer for operands of given shapes."""
import math

import torch
import torch.nn.functional as F

from layers import first, last, layer, of, padded, pair
from network import Layer


def axis_of(random, shape, names=True):
    """An axis of a sample: its text and its number."""
    k = random.randrange(len(shape))
    texts = [str(k)]
    if names and k == len(shape) - 1:
        texts.append("channel")
    if names and len(shape) == 3 and k < 2:
        texts.append(("height", "width")[k])
    return random.choice(texts), k


@layer(3, 1)
def upsample(random, shape):
    ft, f = pair(random, (1, 2, 2, 3))
    if max(shape[0] * f[0], shape[1] * f[1]) > 34:
        return None
    if random.random() < 0.3:
        size = [shape[0] * f[0], shape[1] * f[1]]
        return Layer(of("Upsample", [ft, "method = bilinear"]), lambda h, x: bilinear(x, size))
    return Layer(of("Upsample", [ft if f != (2, 2) or random.random() < 0.5 else None]), lambda h, x: x.repeat_interleave(f[0], 1).repeat_interleave(f[1], 2))


def bilinear(x, size):
    return last(F.interpolate(first(x), size, mode="bilinear", align_corners=False))


@layer(3, 1)
def resize(random, shape):
    size = [random.choice((1, 2, 3, 5, 7, 8, 9, 12, 16, 17)) for _ in range(2)]
    return Layer(f"Resize({size[0]}, {size[1]})", lambda h, x: bilinear(x, size))


@layer(3, 2)
def flatten(random, shape):
    return Layer("Flatten", lambda h, x: x.flatten(1))


@layer(2, 1)
def flatten_rows(random, shape):
    return Layer("Flatten", lambda h, x: x.flatten(1))


@layer(None, 2)
def reshape(random, shape):
    n, rank = math.prod(shape), random.choice((1, 2, 2, 3))
    dims = []
    for _ in range(rank - 1):
        dims.append(random.choice([d for d in range(1, min(n, 33) + 1) if n % d == 0]))
        n //= dims[-1]
    dims.append(n)
    random.shuffle(dims)
    if n > 256 and rank > 1 or tuple(dims) == tuple(shape):
        return None
    shown = [str(d) for d in dims]
    if random.random() < 0.4:
        shown[random.randrange(rank)] = "-1"
    return Layer(f"Reshape({', '.join(shown)})", lambda h, x: x.reshape(x.shape[0], *dims))


@layer(None, 1)
def permute(random, shape):
    if len(shape) < 2:
        return None
    order = random.sample(range(len(shape)), len(shape))
    return Layer(f"Permute({', '.join(map(str, order))})", lambda h, x: x.permute(0, *(o + 1 for o in order)))


def to_blocks(x, a, b):
    n, height, width, c = x.shape
    return x.reshape(n, height // a, a, width // b, b, c).permute(0, 1, 3, 2, 4, 5).reshape(n, height // a, width // b, a * b * c)


@layer(3, 1.5)
def blocks(random, shape):
    a = random.choice([d for d in range(1, 5) if shape[0] % d == 0])
    b = random.choice([d for d in range(1, 5) if shape[1] % d == 0]) if random.random() < 0.4 or shape[1] % a else a
    text = str(a) if a == b else f"[{a}, {b}]"
    if random.random() < 0.5:
        return Layer(f"SpaceToDepth({text})", lambda h, x: to_blocks(x, a, b))
    return Layer(f"Patchify({text})", lambda h, x: to_blocks(x, a, b).flatten(1, 2))


@layer(3, 0.7)
def depth_to_space(random, shape):
    fits = [(a, b) for a in (1, 2, 3) for b in (1, 2, 3) if shape[2] % (a * b) == 0 and a * b > 1]
    if not fits:
        return None
    a, b = random.choice(fits)

    def compute(h, x):
        n, height, width, c = x.shape
        return x.reshape(n, height, width, a, b, c // (a * b)).permute(0, 1, 3, 2, 4, 5).reshape(n, height * a, width * b, c // (a * b))
    return Layer(f"DepthToSpace({a if a == b else [a, b]})", compute)


@layer(None, 1.5)
def part(random, shape):
    at, k = axis_of(random, shape)
    n = shape[k]
    begin = random.randrange(n)
    end, step = random.randint(begin + 1, n), random.choice((1, 1, 1, 2, 3))
    begin_text = str(begin - n) if random.random() < 0.2 else str(begin)
    end_text = None if end == n else str(end - n) if random.random() < 0.3 else str(end)
    if end == n and random.random() < 0.5:
        end_text = str(n)
    texts = [begin_text, end_text, (f"step = {step}" if step > 1 else None), None if at == "channel" else f"axis = {at}"]
    return Layer(of("Slice", texts), lambda h, x: x.narrow(k + 1, begin, end - begin).index_select(k + 1, torch.arange(0, end - begin, step)))


@layer(3, 1)
def crop(random, shape):
    size = [random.randint(1, e) for e in shape[:2]]
    at = [(e - s) // 2 for e, s in zip(shape, size)]
    return Layer(f"Crop({size[0]}, {size[1]})", lambda h, x: x[:, at[0]:at[0] + size[0], at[1]:at[1] + size[1]])


@layer(3, 1.5)
def pad(random, shape):
    mode = random.choice(("zero", "zero", "reflect", "edge"))
    most = min(3, *(e - 1 for e in shape[:2])) if mode == "reflect" else 3
    if most < 1:
        return None
    n = [random.randint(0, most) for _ in range(4)]
    text, p = random.choice(((str(n[0]), (n[0],) * 4), (f"[{n[0]}, {n[1]}]", (n[0], n[0], n[1], n[1])), (str(n).replace("'", ""), tuple(n))))
    if max(shape[0] + p[0] + p[1], shape[1] + p[2] + p[3]) > 34:
        return None
    if mode == "zero":
        return Layer(f"Pad({text})", lambda h, x: last(padded(first(x), p)))
    torch_mode = {"reflect": "reflect", "edge": "replicate"}[mode]
    return Layer(f"Pad({text}, mode = {mode})", lambda h, x: last(F.pad(first(x), (p[2], p[3], p[0], p[1]), mode=torch_mode)))


@layer(None, 1)
def repeat(random, shape):
    at, k = axis_of(random, shape)
    times = random.choice((1, 2, 3))
    if shape[k] * times > 40:
        return None
    return Layer(of("Repeat", [str(times), None if at == "channel" else f"axis = {at}"]), lambda h, x: x.repeat_interleave(times, k + 1))


@layer(None, 1.5)
def reduction(random, shape):
    kind, rank = random.choice(("Sum", "Mean", "ReduceMax", "Variance")), len(shape)
    names = {1: ("channel",), 2: ("position", "channel"), 3: ("height", "width", "channel")}.get(rank)
    if not names:
        return None
    axes = sorted(random.sample(range(rank), random.randint(1, rank)))
    text = names[axes[0]] if len(axes) == 1 else "[" + ", ".join(names[a] for a in axes) + "]"
    if len(axes) == rank and random.random() < 0.5:
        text = None
    keep = random.random() < 0.5 or len(axes) == rank
    dims = tuple(a + 1 for a in axes)
    f = {"Sum": lambda x: x.sum(dims, keepdim=keep), "Mean": lambda x: x.mean(dims, keepdim=keep), "ReduceMax": lambda x: x.amax(dims, keepdim=keep),
         "Variance": lambda x: x.var(dims, unbiased=False, keepdim=keep)}[kind]
    return Layer(of(kind, [text, "keep = true" if keep else None]), lambda h, x: f(x))


def split(random, shape):
    """A layer of several results, and how many: Split."""
    at, k = axis_of(random, shape)
    n = shape[k]
    if n < 2:
        return None
    if random.random() < 0.5:
        cut = random.randint(1, n - 1)
        text, extents = f"[{cut}, {n - cut}]", [cut, n - cut]
    else:
        parts = random.choice([p for p in range(2, n + 1) if n % p == 0])
        if parts > 4:
            return None
        text, extents = str(parts), [n // parts] * parts
    return Layer(of("Split", [text, None if at == "channel" else f"axis = {at}"]), lambda h, x: list(x.split(extents, k + 1))), len(extents)


def spread(a, b):
    """Whether two shapes are one but for extents of 1."""
    return len(a) == len(b) and all(x == y or 1 in (x, y) for x, y in zip(a, b))


def merge(random, shapes):
    """Elementwise: of tensors of one shape, but for extents of 1."""
    kind = random.choice(("Add", "Add", "Mul", "Min", "Max", "Average", *(("Sub", "Sub") if len(shapes) == 2 else ())))

    def compute(h, *xs):
        y = xs[0]
        for x in xs[1:]:
            y = {"Add": torch.add, "Average": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Min": torch.minimum, "Max": torch.maximum}[kind](y, x)
        return y / len(xs) if kind == "Average" else y
    return Layer(kind, compute, operands=len(shapes) - 1)


def join(random, shapes):
    """Concat along an axis on which alone they differ, or Stack of tensors of one shape."""
    rank = len(shapes[0])
    axes = [k for k in range(rank) if all(len(s) == rank and s[:k] == shapes[0][:k] and s[k + 1:] == shapes[0][k + 1:] for s in shapes)]
    if not axes:
        return None
    if len(set(shapes)) == 1 and rank < 3 and random.random() < 0.4:
        k = random.randint(0, rank)
        return Layer(of("Stack", [f"axis = {k}" if k else None]), lambda h, *xs: torch.stack(xs, k + 1), operands=len(shapes) - 1)
    k = random.choice(axes)
    text = "channel" if k == rank - 1 else ("height", "width")[k] if rank == 3 and random.random() < 0.6 else str(k)
    return Layer(of("Concat", [None if text == "channel" else f"axis = {text}"]), lambda h, *xs: torch.cat(xs, k + 1), operands=len(shapes) - 1)


def product(random, a, b):
    """MatMul, where the matrices fit one way or another."""
    if len(a) != len(b) or len(a) < 2 or a[:-2] != b[:-2]:
        return None
    ways = [w for w, fits in (("none", a[-1] == b[-2]), ("first", a[-2] == b[-2]), ("second", a[-1] == b[-1]), ("both", a[-2] == b[-1])) if fits]
    if not ways:
        return None
    way = random.choice(ways)

    def compute(h, x, y):
        x = x.transpose(-1, -2) if way in ("first", "both") else x
        return x @ (y.transpose(-1, -2) if way in ("second", "both") else y)
    return Layer(of("MatMul", [None if way == "none" else f"transpose = {way}"]), compute, operands=1)
