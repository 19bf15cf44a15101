"""Small networks trained on ten overlapping classes, with hard and with smoothed targets.

A class is a cloud around its own centre: x = noise-free centre · s + N(0, I). So the best possible classifier is known: it
computes p(y|x) from the centres, and no model beats its accuracy on fresh data but by luck. With the small s classes
overlap much.

`train` learns from n examples in small batches, and measures on fresh ones, at snapshots; which snapshot counts is decided
when the result is read: where the plain validation loss is least, where the validation accuracy is highest, or the last.
`follow` takes plain full steps on 200 examples that the network can fit, and watches the gap between the logits.

In float64: rounding starts nine decades lower than in float32, so that what a seed learns does not depend on the
processor's instruction set.
"""

import math
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from itertools import product
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.memory import remember
from core.ops.losses import calibration_error, cross_entropy, log_softmax, smoothed
from core.training.shipped import shipped

Noise = Literal["low", "high"]
Stop = Literal["loss", "accuracy", "end"]

CLASSES, INPUTS, WIDTH, BINS = 10, 20, 64, 10
SCALES: dict[Noise, float] = {"low": 0.65, "high": 0.35}  # how far the centres lie apart, in units of the noise
SIZES = (500, 2000, 8000)
SMOOTHINGS = (0.0, 0.05, 0.1, 0.2, 0.3)
SEEDS = (0, 1, 2, 3, 4)
VALIDATION, TEST = 2000, 4000
BATCH, STEPS, RATE = 128, 1000, 3e-3
SNAPSHOTS = (5, 10, 20, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, *range(300, STEPS + 1, 100))
OFTEN = 25  # steps between two yields: nobody waits long for a slice

FOLLOWED = (0.0, 0.1)  # the two that `follow` compares
EXAMPLES, FULL_STEPS, FULL_RATE, DISTANT = 200, 3000, 0.3, 1.0
TIMES = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 700, *range(1000, FULL_STEPS + 1, 500))
SHOWN, POINTS = 3, 20  # classes in the picture of the features, and of each so many training and so many fresh examples

Weights = list[Tensor]


@dataclass(frozen=True, eq=False)
class Progress:
    """One training so far, with all values of ε side by side. The axes: time, ε (as in SMOOTHINGS), bin of confidence.

    `loss` is what was trained on (smoothed, on the batches since the snapshot before); `plain` and `right` are the plain
    loss and the accuracy on the validation set; `nll` and the bins are of the test set. All losses in nats.
    """

    at: Int[Tensor, " t"]
    loss: Float[Tensor, "t e"]
    plain: Float[Tensor, "t e"]
    right: Float[Tensor, "t e"]
    nll: Float[Tensor, "t e"]
    size: Float[Tensor, "t e m"]  # answers in the bin
    hits: Float[Tensor, "t e m"]  # of them right
    confidence: Float[Tensor, "t e m"]  # their mean confidence; 0 in an empty bin

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return int(self.at[-1]) / STEPS

    def snapshot(self, stop: Stop) -> Int[Tensor, " e"]:
        """Which snapshot counts, for each ε."""
        if stop == "end":
            return torch.full((self.plain.shape[1],), len(self.at) - 1)
        return self.plain.argmin(0) if stop == "loss" else self.right.argmax(0)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a training has reached where it is stopped, on the test set. The axes: ε, bin."""

    step: Int[Tensor, " e"]
    loss: Float[Tensor, " e"]
    plain: Float[Tensor, " e"]
    nll: Float[Tensor, " e"]
    size: Float[Tensor, "e m"]
    hits: Float[Tensor, "e m"]
    confidence: Float[Tensor, "e m"]

    @property
    def accuracy(self) -> Float[Tensor, " e"]:
        return self.hits.sum(-1) / self.size.sum(-1)

    @property
    def sure(self) -> Float[Tensor, " e"]:
        """Mean confidence: the probability of the class that the model names."""
        return (self.confidence * self.size).sum(-1) / self.size.sum(-1)

    @property
    def over(self) -> Float[Tensor, " e"]:
        """Mean confidence minus accuracy: above 0 over-confident, below 0 under-confident."""
        return self.sure - self.accuracy

    @property
    def ece(self) -> Float[Tensor, " e"]:
        right = self.hits / self.size.clamp_min(1)
        return calibration_error(self.confidence, right, self.size / self.size.sum(-1, keepdim=True))


def outcome(run: Progress, stop: Stop) -> Outcome:
    """The run at the snapshot that counts, each ε at its own."""
    time, which = run.snapshot(stop), torch.arange(run.plain.shape[1])
    kept = {f.name: getattr(run, f.name)[time, which] for f in fields(Outcome) if f.name != "step"}
    return Outcome(run.at[time], **kept)


# ------------------------------------------------------------------------------------------------ the task


@remember
def centres() -> Float[Tensor, "k c"]:
    """One for each class, the same in every run: N(0, I)."""
    return torch.randn(CLASSES, INPUTS, generator=torch.Generator().manual_seed(16), dtype=torch.float64)


def draw(n: int, scale: float, g: torch.Generator) -> tuple[Float[Tensor, "n c"], Int[Tensor, " n"]]:
    """n examples and their classes."""
    answer = torch.randint(0, CLASSES, (n,), generator=g)
    return centres()[answer] * scale + torch.randn(n, INPUTS, generator=g, dtype=torch.float64), answer


def best_logits(x: Float[Tensor, "n c"], scale: float) -> Float[Tensor, "n k"]:
    """What the best possible classifier says: −‖x − centre‖² ÷ 2, without −‖x‖² ÷ 2, which all classes share."""
    middle = scale * centres()
    return x @ middle.mT - middle.square().sum(-1) / 2


@dataclass(frozen=True)
class Ideal:
    """The best possible classifier, measured like a network: its accuracy, and its calibration error on a test set's size."""

    accuracy: float
    ece: float


@remember
def ideal(noise: Noise) -> Ideal:
    """On 20,000 fresh examples; the calibration error, which is 0 but for the finite sample, on the first 4,000."""
    x, answers = draw(20_000, SCALES[noise], torch.Generator().manual_seed(99))
    logs = log_softmax(best_logits(x, SCALES[noise]))
    size, hits, confidence = binned(logs[None, :TEST], answers[:TEST])
    ece = calibration_error(confidence, hits / size.clamp_min(1), size / TEST)
    return Ideal(float((logs.argmax(-1) == answers).double().mean()), float(ece))


def binned(logs: Float[Tensor, "e n k"], answers: Int[Tensor, " n"]) -> tuple[Tensor, Tensor, Tensor]:
    """Of each bin of confidence the number of answers, how many are right, and their mean confidence: `[e, m]`."""
    sure, named = logs.exp().max(-1)
    which = (sure * BINS).long().clamp_max(BINS - 1)
    zeros = torch.zeros(len(logs), BINS, dtype=torch.float64)
    size = zeros.scatter_add(-1, which, torch.ones_like(sure))
    hits = zeros.scatter_add(-1, which, (named == answers).double())
    return size, hits, zeros.scatter_add(-1, which, sure) / size.clamp_min(1)


# ------------------------------------------------------------------------------------------------ the network


def first_weights(g: torch.Generator, copies: int) -> Weights:
    """Two hidden layers of 64 ReLU, He et al.'s N(0, 2/rows), no bias at first; the same for every ε: `[e, rows, columns]`."""

    def normal(rows: int, columns: int) -> Tensor:
        weight = torch.randn(rows, columns, generator=g, dtype=torch.float64) * math.sqrt(2 / rows)
        return weight.repeat(copies, 1, 1)

    weights = []
    for rows, columns in ((INPUTS, WIDTH), (WIDTH, WIDTH), (WIDTH, CLASSES)):
        weights += [normal(rows, columns), torch.zeros(copies, 1, columns, dtype=torch.float64)]
    return [weight.requires_grad_() for weight in weights]


def features(weights: Weights, x: Float[Tensor, "n c"]) -> Float[Tensor, "e n d"]:
    """The last hidden layer: what the logits are read from."""
    return ((x @ weights[0] + weights[1]).relu() @ weights[2] + weights[3]).relu()


def answer(weights: Weights, x: Float[Tensor, "n c"]) -> Float[Tensor, "e n k"]:
    """The logits of every copy of the network."""
    return features(weights, x) @ weights[4] + weights[5]


def targets(answers: Int[Tensor, " n"], smoothings: tuple[float, ...]) -> Float[Tensor, "e n k"]:
    """The same answers with every ε, shared over all classes."""
    return torch.stack([smoothed(answers, CLASSES, smoothing) for smoothing in smoothings])


@torch.no_grad()
def measure(weights: Weights, validation: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Validation loss and accuracy; test loss; of each bin of confidence the size, the hits and the mean confidence."""

    def plain(logs: Tensor, answers: Tensor) -> Tensor:
        return -logs.gather(-1, answers.expand(len(logs), -1)[..., None])[..., 0].mean(-1)

    checked, logs = (log_softmax(answer(weights, x)) for x, _ in (validation, test))
    right = (checked.argmax(-1) == validation[1]).double().mean(-1)
    return plain(checked, validation[1]), right, plain(logs, test[1]), *binned(logs, test[1])


def train(noise: Noise, n: int, seed: int) -> Iterator[Progress]:
    """Adam, batches of 128 of n examples, every ε on the same batches from the same first weights; yields every 25 steps, and at SNAPSHOTS."""
    g = torch.Generator().manual_seed(1000 + seed)
    scale = SCALES[noise]
    (x, answers), *fresh = (draw(size, scale, g) for size in (n, VALIDATION, TEST))
    weights = first_weights(g, len(SMOOTHINGS))
    optimiser = torch.optim.Adam(weights, lr=RATE)
    target = targets(answers, SMOOTHINGS)
    losses: list[Tensor] = []
    kept: list[tuple[Tensor, ...]] = []
    for step in range(1, STEPS + 1):
        batch = torch.randint(0, n, (BATCH,), generator=g)
        loss = cross_entropy(target[:, batch], answer(weights, x[batch])).mean(-1)
        optimiser.zero_grad()
        loss.sum().backward()  # the copies share no weight: each gets its own gradient
        optimiser.step()
        losses.append(loss.detach())
        if step in SNAPSHOTS:
            kept.append((torch.stack(losses).mean(0), *measure(weights, *fresh)))
            losses.clear()
        if step in SNAPSHOTS or (step % OFTEN == 0 and kept):
            yield Progress(torch.tensor(SNAPSHOTS[: len(kept)]), *map(torch.stack, zip(*kept, strict=True)))


# ------------------------------------------------------------------------------------------------ the gap over time


@dataclass(frozen=True, eq=False)
class Gaps:
    """A full-batch training so far, hard and smoothed. The axes: time, ε (as in FOLLOWED), class, point, coordinate.

    `gap` is the right logit minus the mean of the wrong ones, the mean over the 200 training examples; `spread` its standard
    deviation over them. `seen` and `fresh` are features of training and of unseen examples of three classes in the plane
    through the three columns that read these classes, the centre of the seen ones at 0, and the mean distance of the
    three classes' seen centres from it 1.
    """

    at: Int[Tensor, " t"]
    gap: Float[Tensor, "t e"]
    spread: Float[Tensor, "t e"]
    seen: Float[Tensor, "t e k n 2"]
    fresh: Float[Tensor, "t e k n 2"]

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return int(self.at[-1]) / FULL_STEPS


def scatter(points: Float[Tensor, "*b k n 2"]) -> Float[Tensor, "*b"]:
    """How far points lie from their class's centre, ÷ how far the centres lie from their mean (root mean squares)."""
    middle = points.mean(-2, keepdim=True)
    within = (points - middle).square().sum(-1).mean((-1, -2))
    between = (middle - middle.mean(-3, keepdim=True)).square().sum(-1).mean((-1, -2))
    return (within / between).sqrt()


def in_the_plane(weights: Weights, *each: Float[Tensor, "k n c"]) -> list[Tensor]:
    """The features of the first three classes' examples, in the plane through their read-out columns."""
    columns = weights[4][..., :SHOWN].mT
    first = columns[:, 1] - columns[:, 0]
    first = first / first.norm(dim=-1, keepdim=True)
    second = columns[:, 2] - columns[:, 0]
    second = second - (second * first).sum(-1, keepdim=True) * first
    plane = torch.stack([first, second / second.norm(dim=-1, keepdim=True)], -1)
    found = [(features(weights, x.flatten(0, 1)) @ plane).unflatten(1, x.shape[:2]) for x in each]
    middle = found[0].mean(-2, keepdim=True)
    origin = middle.mean(-3, keepdim=True)
    unit = (middle - origin).norm(dim=-1, keepdim=True).mean(-3, keepdim=True)
    return [(points - origin) / unit for points in found]


def follow(seed: int) -> Iterator[Gaps]:
    """Plain gradient descent on all 200 examples, hard and smoothed from the same first weights; yields every 25 steps, and at TIMES."""
    g = torch.Generator().manual_seed(2000 + seed)
    answers = torch.arange(CLASSES).repeat_interleave(EXAMPLES // CLASSES)
    x, fresh = (
        DISTANT * centres()[answers] + torch.randn(EXAMPLES, INPUTS, generator=g, dtype=torch.float64) for _ in range(2)
    )
    seen, unseen = (points[: SHOWN * POINTS].unflatten(0, (SHOWN, POINTS)) for points in (x, fresh))
    weights = first_weights(g, len(FOLLOWED))
    target = targets(answers, FOLLOWED)
    kept: list[tuple[Tensor, ...]] = []
    for step in range(1, FULL_STEPS + 1):
        loss = cross_entropy(target, answer(weights, x)).mean(-1)
        gradients = torch.autograd.grad(loss.sum(), weights)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.sub_(FULL_RATE * gradient)
            if step in TIMES:
                logits = answer(weights, x)
                right = logits.gather(-1, answers.expand(len(FOLLOWED), -1)[..., None])[..., 0]
                gap = right - (logits.sum(-1) - right) / (CLASSES - 1)
                kept.append((gap.mean(-1), gap.std(-1, correction=0), *in_the_plane(weights, seen, unseen)))
        if step in TIMES or step % OFTEN == 0:
            yield Gaps(torch.tensor(TIMES[: len(kept)]), *map(torch.stack, zip(*kept, strict=True)))


# ------------------------------------------------------------------------------------------------ what is shipped

CELLS = tuple(product(SCALES, SIZES, SEEDS))
DIGITS = {"seen": 2, "fresh": 2, "spread": 3}  # after the point; 4 of all others
AXES = dict.fromkeys(("size", "hits", "confidence"), (BINS,)) | dict.fromkeys(("seen", "fresh"), (SHOWN, POINTS, 2))
"""Beyond time and ε."""


def _content(run: Progress | Gaps) -> dict[str, str]:
    """Each tensor's numbers in one string, the last axis fastest: a list of 10,000 numbers is slow to read and to keep."""

    def said(name: str, value: float) -> str:
        return f"{value:.{DIGITS.get(name, 4)}f}".rstrip("0").rstrip(".")

    names = [field.name for field in fields(run) if field.name != "at"]
    return {name: " ".join(said(name, value) for value in getattr(run, name).flatten().tolist()) for name in names}


def _cell(cell: tuple[Noise, int, int]) -> dict[str, str]:
    torch.set_num_threads(1)
    *_, last = train(*cell)
    return _content(last)


def _followed(seed: int) -> dict[str, str]:
    torch.set_num_threads(1)
    *_, last = follow(seed)
    return _content(last)


def _key(*cell: object) -> str:
    return "/".join(map(str, cell))


def result() -> dict[str, Any]:
    """What `python -m core.training label_smoothing` ships: every curve of every seed, of all 30 cells and of the gap.

    Trainings run side by side, each for itself, so that one made again alone gives the same curve.
    """
    cells, gaps = {}, {}
    with ProcessPoolExecutor() as pool:
        for i, (cell, found) in enumerate(zip(CELLS, pool.map(_cell, CELLS), strict=True)):
            cells[_key(*cell)] = found
            print(f"\r{i + 1} of {len(CELLS)} trainings of {len(SMOOTHINGS)} cells each", end="", file=sys.stderr)
        print(file=sys.stderr)
        for seed, found in zip(SEEDS, pool.map(_followed, SEEDS), strict=True):
            gaps[str(seed)] = found
            print(f"\r{seed + 1} of {len(SEEDS)} gaps", end="", file=sys.stderr)
    print(file=sys.stderr)
    return {"cells": cells, "gaps": gaps}


def _tensors(kind: type, kept: dict[str, str], times: int) -> list[Tensor]:
    numbers = {
        f.name: torch.tensor([float(n) for n in kept[f.name].split()], dtype=torch.float64)
        for f in fields(kind)
        if f.name != "at"
    }
    return [
        values.view(times, -1, *AXES[name]) if name in AXES else values.view(times, -1)
        for name, values in numbers.items()
    ]


@remember
def trained(noise: Noise, n: int, seed: int) -> Progress:
    """A shipped training, as `train` would end with it. Do not change it."""
    kept = shipped("label_smoothing")["result"]["cells"][_key(noise, n, seed)]
    return Progress(torch.tensor(SNAPSHOTS), *_tensors(Progress, kept, len(SNAPSHOTS)))


@remember
def followed(seed: int) -> Gaps:
    """A shipped training, as `follow` would end with it. Do not change it."""
    kept = shipped("label_smoothing")["result"]["gaps"][str(seed)]
    return Gaps(torch.tensor(TIMES), *_tensors(Gaps, kept, len(TIMES)))


@remember
def outcomes(noise: Noise, n: int, stop: Stop) -> tuple[Outcome, ...]:
    """What the shipped runs of one size reached, one for each seed."""
    return tuple(outcome(trained(noise, n, seed), stop) for seed in SEEDS)
