"""Activations and other layers without weights that keep the shape; and the same as functions of expressions."""
import math

import torch
import torch.nn.functional as F

from layers import layer, of
from network import Layer, Weight

FUNCTIONS = {
    "relu": F.relu,
    "relu6": lambda x: x.clamp(0, 6),
    "selu": lambda x: 1.0507 * torch.where(x > 0, x, 1.67326 * torch.expm1(x.clamp(max=0))),
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": lambda x: (x + 3).clamp(0, 6) / 6,
    "tanh": torch.tanh,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "softsign": lambda x: x / (1 + x.abs()),
    "gelu": lambda x: x * (1 + torch.erf(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))) / 2,
    "silu": lambda x: x * torch.sigmoid(x),
    "mish": lambda x: x * torch.tanh(torch.logaddexp(x, torch.zeros_like(x))),
    "hard_swish": lambda x: x * (x + 3).clamp(0, 6) / 6,
    "abs": torch.abs,
    "sin": torch.sin,
    "cos": torch.cos,
    "erf": torch.erf,
    "square": torch.square,
}
LAYERS = {"ReLU": "relu", "ReLU6": "relu6", "SELU": "selu", "GELU": "gelu", "SiLU": "silu", "Mish": "mish", "HardSwish": "hard_swish", "Sigmoid": "sigmoid",
          "HardSigmoid": "hard_sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Softsign": "softsign"}


@layer(None, 6)
def activation(random, shape):
    name = random.choice([*LAYERS, "ReLU", "ReLU", "LeakyReLU", "ELU", "GELU tanh"])
    if name == "LeakyReLU":
        slope = random.choice((0.01, 0.2, 1.5))
        return Layer(of(name, [None if slope == 0.01 else f"slope = {slope}"]), lambda h, x: torch.where(x > 0, x, slope * x))
    if name == "ELU":
        alpha = random.choice((1, 0.5, 2))
        return Layer(of(name, [None if alpha == 1 else f"alpha = {alpha}"]), lambda h, x: torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0))))
    if name == "GELU tanh":
        return Layer("GELU(form = tanh)", lambda h, x: FUNCTIONS["gelu_tanh"](x))
    return Layer(name, lambda h, x, f=FUNCTIONS[LAYERS[name]]: f(x))


@layer(None, 0.7)
def prelu(random, shape):
    return Layer(of("PReLU", [random.choice((None, "start = 0.1"))]), lambda h, x: torch.where(x > 0, x, h["slope"] * x), "prelu", [Weight("slope", (shape[-1],), "slope")])


@layer(None, 1)
def softmax(random, shape):
    if shape[-1] < 2:
        return None
    return random.choice((Layer("Softmax", lambda h, x: torch.softmax(x, -1)), Layer("LogSoftmax", lambda h, x: torch.log_softmax(x, -1))))


@layer(None, 0.7)
def rescale(random, shape):
    scale, offset = random.choice((0.5, 1.5, -0.75)), random.choice((0, 0.25, -1))
    return Layer(of("Rescale", [str(scale), str(offset) if offset else None]), lambda h, x: x * scale + offset)


@layer(None, 0.5)
def normalise(random, shape):
    mean, deviation = round(random.uniform(-1, 1), 2), round(random.uniform(0.5, 2), 2)
    return Layer(f"Normalise(mean = {mean}, stddev = {deviation})", lambda h, x: (x - mean) / deviation)


@layer(None, 0.5)
def nothing_dropped(random, shape):
    """Nothing is random at rate 0; what is frozen drops nothing at any rate."""
    name = random.choice(("Dropout", "SpatialDropout", "DropPath", "Noise"))
    frozen = random.random() < 0.5
    return Layer(f"{name}({0.5 if frozen else 0})" + " frozen" * frozen, lambda h, x: x)
