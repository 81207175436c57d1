"""Optimisers and constraints by their formulas in docs/layers.md."""
import torch


class Optimiser:
    def __init__(self, random, constrained=False):
        self.kind = random.choice(("sgd", "sgd", "sgd", "sgd", "momentum", "nesterov", "adam"))
        self.lr = random.choice((0.01, 0.1))
        self.momentum = random.choice((0.9, 0.5)) if self.kind in ("momentum", "nesterov") else 0.0
        self.beta1, self.beta2, self.epsilon = random.choice((0.9, 0.5)), random.choice((0.999, 0.9)), random.choice((1e-3, 1e-2))
        self.steps = 1 if self.kind == "sgd" else random.choice((1, 2, 3))
        if self.kind == "adam":
            self.text = f"adam(lr = {self.lr}, beta1 = {self.beta1}, beta2 = {self.beta2}, epsilon = {self.epsilon})"
        else:
            more = {"sgd": "", "momentum": f", momentum = {self.momentum}", "nesterov": f", momentum = {self.momentum}, nesterov = true"}[self.kind]
            self.text = f"sgd(lr = {self.lr}{more})"

    def move(self, w, g, memory, step, lr):
        """The weight after a step (numbered from 1); `memory` is kept from step to step."""
        if self.kind == "adam":
            m = memory["m"] = self.beta1 * memory.get("m", 0) + (1 - self.beta1) * g
            v = memory["v"] = self.beta2 * memory.get("v", 0) + (1 - self.beta2) * g * g
            return w - lr * (1 - self.beta2 ** step) ** 0.5 / (1 - self.beta1 ** step) * m / (torch.sqrt(v) + self.epsilon)   # epsilon as in the paper's section 2
        if not self.momentum:
            return w - lr * g
        m = memory["m"] = self.momentum * memory.get("m", 0) - lr * g
        return w + self.momentum * m - lr * g if self.kind == "nesterov" else w + m


def constrained(w, constraint):
    """What a constraint makes of a weight whose last dim counts the outputs."""
    if not constraint:
        return w
    if constraint[0] == "non_neg":
        return w.clamp(min=0)
    norm = (w * w).sum(tuple(range(w.dim() - 1)), keepdim=True).sqrt()
    if constraint[0] == "unit_norm":
        return w / norm
    return w * torch.clamp(constraint[1] / norm, max=1)
