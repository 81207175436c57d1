"""Compares one random network, compiled, with the same in PyTorch. README.md says what is compared and how far apart it may be."""
import math

import numpy as np
import torch

from network import Tie, tensors
from optimisers import constrained
from program import Failed, Program

BOUND = 1e-5        # of a tensor's largest element
TIMES_FLOAT32 = 20  # what float32 alone strays from float64 is allowed so often
FLOOR = 2e-7        # of the largest gradient: what a gradient that is 0 on paper may be
NUDGE, BEND = 1e-6, 1e-7
DRAWS = 12


class Ties(Exception):
    """No data was found that keeps away from the corners of ReLU and its like."""


def gradients_of(net, weights, data):
    """A training pass: loss, terms, gradients of the trained weights that it depends on, and the running statistics after it."""
    leaves = {name: w.clone().requires_grad_(net.variables[name].trained) for name, w in weights.items()}
    outputs, after = net.forward(leaves, data, True)
    loss, terms = net.loss(outputs, data, leaves)
    trained = [name for name in leaves if net.variables[name].trained]
    if not trained or not loss.requires_grad:
        return loss, terms, {}, after
    gradients = torch.autograd.grad(loss, [leaves[n] for n in trained], allow_unused=True)
    return loss, terms, {n: g for n, g in zip(trained, gradients) if g is not None}, after


def after_steps(net, weights, data, lr, steps):
    """The weights after some steps of the network's optimiser, on the same batch."""
    weights, memory = dict(weights), {}
    for step in range(1, steps + 1):
        _, _, gradients, after = gradients_of(net, weights, data)
        weights = {name: after[name].detach() if net.variables[name].start in ("mean", "variance") else w.detach() for name, w in weights.items()}
        for name, g in gradients.items():
            moved = net.optimiser.move(weights[name], g, memory.setdefault(name, {}), step, lr)
            weights[name] = constrained(moved, net.variables[name].constraint)
    return weights


def shows_gradients(net):
    return net.optimiser.kind != "adam"


def truth(net, weights, arrays, more, dtype=torch.float64, nudge=None):
    """All that is compared, by name, in `dtype`. `nudge` changes weights and numbers of the data a little."""
    nudged = nudge or (lambda t: t)
    w = {name: nudged(torch.from_numpy(a.astype("f8"))).to(dtype) for name, a in weights.items()}
    everything = tensors(arrays, torch.float64)
    everything = {name: (nudged(t) if t.is_floating_point() and name in net.inputs else t) for name, t in everything.items()}
    everything = {name: t.to(dtype) if t.is_floating_point() else t for name, t in everything.items()}
    data = {name: t[:more] for name, t in everything.items()}
    out = {}
    with torch.no_grad():
        outputs, _ = net.forward(w, everything, False)
        for name, y in outputs.items():
            out["output " + name] = y.flatten(1)
        out["evaluated loss"] = net.loss(outputs, everything, w)[0]
    loss, terms, gradients, after = gradients_of(net, w, data)
    out["loss"] = loss
    for i, value in enumerate(terms):
        out[f"term {i}"] = value
    for name, v in net.variables.items():
        if v.start in ("mean", "variance"):
            out["statistics " + name] = after[name] - w[name]
        elif v.trained and shows_gradients(net) and not v.constraint:
            out["gradient " + name] = gradients.get(name, torch.zeros_like(w[name]))
    if net.optimiser.kind != "sgd" or any(v.constraint for v in net.variables.values()):
        for name, t in after_steps(net, w, data, net.optimiser.lr, net.optimiser.steps).items():
            out["after steps " + name] = t - w[name]
    return {name: t.detach().double().numpy() for name, t in out.items()}


def largest(name, t, results):
    """What an error of t counts against: its largest element; a gradient also against the largest of all gradients, times FLOOR."""
    size = float(np.max(np.abs(t))) if t.size else 0.0
    return size, FLOOR * max((float(np.max(np.abs(g))) for n, g in results.items() if n.startswith("gradient")), default=0.0) if name.startswith("gradient") else 0.0


def bends(net, weights, arrays, n, exact, random):
    """The names of what does not change evenly with its arguments: where an argument of ReLU, max or abs is near a tie."""
    out = set()
    for _ in range(2):
        signs = {}
        ways = []
        for sign in (1, -1):
            generator = torch.Generator().manual_seed(int(random.integers(1 << 30)) if not signs else signs["seed"])
            signs["seed"] = generator.initial_seed()
            ways.append(truth(net, weights, arrays, n, nudge=lambda t: t * (1 + sign * NUDGE * (2 * torch.rand(t.shape, generator=generator, dtype=torch.float64) - 1))))
        for name, t in exact.items():
            size, floor = largest(name, t, exact)
            if np.max(np.abs(ways[0][name] + ways[1][name] - 2 * t), initial=0.0) > BEND * size + floor:
                out.add(name)
    return out


def allowed(net, weights, arrays, n, exact, random):
    """For each name, how far from `exact` it may be."""
    generator = torch.Generator().manual_seed(int(random.integers(1 << 30)))
    strays = [truth(net, weights, arrays, n, torch.float32),
              truth(net, weights, arrays, n, nudge=lambda t: t * (1 + 2 ** -24 * (2 * torch.rand(t.shape, generator=generator, dtype=torch.float64) - 1)))]
    out = {}
    for name, t in exact.items():
        size, floor = largest(name, t, exact)
        alone = max(float(np.max(np.abs(s[name] - t), initial=0.0)) for s in strays)
        alone = alone if math.isfinite(alone) else 0.0
        out[name] = max(BOUND * size, TIMES_FLOAT32 * alone) + floor + 1e-30
    return out


def draw_data(net, weights):
    """Arrays of more samples than a batch has, how many of them are trained on, and the exact results; drawn again while there are ties."""
    for attempt in range(DRAWS):
        random = np.random.default_rng([net.seed, 77, attempt])
        n = max(1, net.batch - int(random.integers(0, 2))) if net.batch > 2 else net.batch
        many = net.batch + int(random.integers(1, 4))
        arrays = {name: draw(random, many) for name, draw in net.ports.items()}
        try:
            exact = truth(net, weights, arrays, n)
        except Tie:
            continue
        if any(not np.isfinite(t).all() for t in exact.values()):
            continue
        if not bends(net, weights, arrays, n, exact, random):
            return arrays, n, exact, random
    raise Ties


def rate_for(weights, exact):
    """A power of two so large that little of a gradient is lost in weight - rate * gradient."""
    most = 1.0
    floor = 1e-6 * max((float(np.max(np.abs(g))) for n, g in exact.items() if n.startswith("gradient")), default=0.0)
    for name, w in weights.items():
        g = exact.get("gradient " + name)
        size = float(np.max(np.abs(g), initial=0.0)) if g is not None else 0.0
        if size > floor:
            most = max(most, float(np.max(np.abs(w))) / size)
    return 2.0 ** min(16, math.ceil(math.log2(most)))


class Comparison:
    """Runs one network; `rows` are (name, error, allowed, largest), `bad` those that are too far off."""

    def __init__(self, net, folder, threads):
        self.net, self.rows, self.notes = net, [], []
        self.weights = net.weights()
        self.arrays, self.n, self.exact, random = draw_data(net, self.weights)
        self.allowed = allowed(net, self.weights, self.arrays, self.n, self.exact, random)
        self.program = Program(net, folder, threads)
        self.program.give(self.weights, {name: a[:self.n] for name, a in self.arrays.items()}, self.arrays)
        self.run(int(random.integers(1, net.batch + 1)))

    @property
    def bad(self):
        return [r for r in self.rows if not r[1] <= r[2]]

    def row(self, name, got, resolution=0.0):
        want = self.exact[name]
        off = np.abs(np.asarray(got, "f8").reshape(want.shape) - want)
        worst = np.unravel_index(np.argmax(np.where(np.isfinite(off), off, np.inf)), off.shape) if off.size else ()
        error = float(off[worst]) if off.size else 0.0
        self.rows.append((name, error if math.isfinite(error) else math.inf, self.allowed[name] + resolution, float(np.max(np.abs(want), initial=0.0)), tuple(map(int, worst))))

    def run(self, eval_batch):
        net, p = self.net, self.program
        if self.weights:
            self.check_names(p.initial())
        for name, y in p.predict().items():
            self.row("output " + name, y)
        self.row("evaluated loss", p.evaluate(eval_batch)["loss"])
        first = True
        if shows_gradients(net):
            rate = rate_for(self.weights, self.exact)
            factor = 1 + net.optimiser.momentum if net.optimiser.kind == "nesterov" else 1.0
            losses, after, rate = self.step(rate)
            self.losses(losses)
            first = False
            for name, w in self.weights.items():
                v = net.variables[name]
                if name not in after:
                    continue
                if v.start in ("mean", "variance"):
                    self.row("statistics " + name, after[name].astype("f8") - w, 2 ** -23 * float(np.max(np.abs(w))))
                elif not v.trained:
                    self.frozen(name, after[name])
                elif not v.constraint:
                    size = float(np.max(np.abs(self.exact["gradient " + name])))
                    self.row("gradient " + name, (w.astype("f8") - after[name]) / (rate * factor), 2 ** -23 * (float(np.max(np.abs(w))) / rate + size))
        if any(name.startswith("after steps") for name in self.exact):
            losses, after = p.train(net.optimiser.lr, net.optimiser.steps)
            if first:
                self.losses(losses[0])
            for name, w in self.weights.items():
                if name in after:
                    self.row("after steps " + name, after[name].astype("f8") - w, 2 ** -22 * net.optimiser.steps * float(np.max(np.abs(w))))

    def step(self, rate):
        """One step at this rate, or at a smaller one where the net diverges after it."""
        while True:
            try:
                losses, after = self.program.train(rate, 1)
                return losses[0], after, rate
            except Failed as e:
                if "diverged" not in str(e) or rate < 2 ** -12:
                    raise
                rate /= 16

    def losses(self, said):
        self.row("loss", said["loss"])
        if len(self.net.outputs) > 1:
            for i, t in enumerate(self.net.terms):
                key = f"{t.output}:loss"
                if key in said and sum(u.output == t.output for u in self.net.terms) == 1:
                    self.row(f"term {i}", said[key])

    def frozen(self, name, got):
        if not np.array_equal(got, self.weights[name]):
            self.rows.append((f"frozen {name}", float(np.max(np.abs(got - self.weights[name]))), 0.0, 0.0, ()))

    def check_names(self, initial):
        mine = {name: v.shape for name, v in self.net.variables.items()}
        theirs = {name: t.shape for name, t in initial[1].items()}
        unread = [n for n in mine if n not in theirs]
        wrong = [n for n in theirs if theirs[n] != mine.get(n)]
        if wrong:
            raise Failed(f"weights of other names or shapes: {[(n, theirs[n], mine.get(n)) for n in wrong]}; only in PyTorch: {unread}")
        for n in unread:
            g = self.exact.get("gradient " + n)
            if g is not None and np.any(g) and not self.net.variables[n].l1 and not self.net.variables[n].l2:
                raise Failed(f"the program has no weight {n}, which has a gradient; it has {sorted(theirs)}")
