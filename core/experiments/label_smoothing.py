"""What smoothed targets ask for, where the loss is least and how low it gets, and what that does to networks."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from core.memory import remember
from core.ops.losses import (
    Convention,
    best_gap,
    cross_entropy,
    divergence,
    entropy,
    log_softmax,
    smoothed,
    smoothed_loss,
)
from core.training import label_smoothing as training
from core.training.label_smoothing import SIZES, Noise, Stop

STOPS = tuple(round(0.05 * i, 2) for i in range(11))  # ε in the hero: 0 to 0.5
CLASSES = (2, 3, 5, 10, 100, 37_000)
CONVENTIONS: tuple[Convention, ...] = ("all", "wrong")
VOCABULARY = 37_000  # shared English-German tokens in the original paper


# ------------------------------------------------------------------------------------------------ targets, loss, gap


def gapped(gaps: Float[Tensor, " g"], classes: int) -> Float[Tensor, "g k"]:
    """Logits whose right one, the first, stands so far above all the others."""
    return F.pad(gaps[:, None], (0, classes - 1))


@remember
def loss_of_gap(classes: int, smoothing: float, convention: Convention, gaps: tuple[float, ...]) -> Float[Tensor, " g"]:
    """The smoothed loss at each gap, in nats. Equal wrong logits are one logit that counts K − 1 times: no K columns."""
    q = smoothed(torch.tensor(0), classes, smoothing, convention)
    gap = torch.tensor(gaps, dtype=torch.float64)
    total = torch.logaddexp(gap, torch.tensor(math.log(classes - 1), dtype=torch.float64))
    return total - q[0] * gap


@dataclass(frozen=True, eq=False)
class Best:
    """The place where the smoothed loss is least, and what it looks like there."""

    gap: float  # ∞ for ε = 0
    loss: float  # nats; the target's entropy
    probability: float  # of the right class
    gradient: float  # of the smoothed loss by the logits, its largest entry in size
    plain: float  # the loss of a hard target at the same gap: the price


@remember
def best(classes: int, smoothing: float, convention: Convention = "all") -> Best:
    """By autograd at the gap of the formula; a gap of ∞ has no gradient to take, and the limits stand for it."""
    gap = best_gap(classes, smoothing, convention)
    target = smoothed(torch.tensor([0]), classes, smoothing, convention)
    if math.isinf(gap):
        return Best(gap, 0.0, 1.0, 0.0, 0.0)
    logits = gapped(torch.tensor([gap], dtype=torch.float64), classes).requires_grad_()
    loss = cross_entropy(target, logits)[0]
    (gradient,) = torch.autograd.grad(loss, logits)
    log = float(log_softmax(logits.detach())[0, 0])
    return Best(gap, float(loss.detach()), math.exp(log), float(gradient.abs().max()), -log)


def descend(smoothing: float, classes: int = 10, steps: int = 1000, rate: float = 1.0) -> float:
    """The gap after plain gradient descent on the logits of one example, from all equal, by torch's own loss.

    The wrong logits stay equal, so a step moves the gap by rate · (q_y − p_y − (q_j − p_j)); the test takes the steps with
    torch.
    """
    q = smoothed(torch.tensor(0), classes, smoothing)
    right, wrong = float(q[0]), float(q[1])
    gap = 0.0
    for _ in range(steps):
        share = 1 / (math.exp(gap) + classes - 1)  # of each wrong class
        gap += rate * ((right - math.exp(gap) * share) - (wrong - share))
    return gap


def needed(right: float, classes: int, convention: Convention) -> float:
    r"""The ε with which the right class's target is `right`: $(1 - t)\,K/(K-1)$ over all, $1 - t$ over the wrong."""
    return (1 - right) * (classes / (classes - 1) if convention == "all" else 1.0)


def floor(classes: int, smoothing: float, convention: Convention = "all") -> float:
    """The least loss that any model can reach on smoothed targets: their entropy, in nats."""
    return float(entropy(smoothed(torch.tensor(0), classes, smoothing, convention)))


def split_of_the_loss(smoothing: float, classes: int = 10, rows: int = 64, seed: int = 0) -> dict[str, float]:
    """The smoothed loss of random logits, and its parts: mean plain loss, mean −log p over all classes, KL and entropy.

    `drawn` is the expected plain loss if each label is kept with probability 1 − ε and drawn evenly else: a sum over all.
    """
    g = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, classes, generator=g, dtype=torch.float64)
    answer = torch.randint(0, classes, (rows,), generator=g)
    target, logs = smoothed(answer, classes, smoothing), log_softmax(logits)
    return {
        "torch": float(F.cross_entropy(logits, answer, label_smoothing=smoothing)),
        "plain": float(F.cross_entropy(logits, answer)),
        "even": float(-logs.mean()),
        "drawn": sum(
            float(target[:, k] @ F.cross_entropy(logits, torch.full_like(answer, k), reduction="none")) / rows
            for k in range(classes)
        ),
        "divergence": float(divergence(target, logits).mean()),
        "entropy": float(entropy(target).mean()),
    }


# ------------------------------------------------------------------------------------------------ trained


@dataclass(frozen=True, eq=False)
class Cell:
    """What the five runs of one size and noise have reached, for every ε. The axes: run, ε."""

    accuracy: Float[Tensor, "r e"]
    nll: Float[Tensor, "r e"]
    ece: Float[Tensor, "r e"]
    over: Float[Tensor, "r e"]  # mean confidence less accuracy
    sure: Float[Tensor, "r e"]  # mean confidence
    gained: Float[Tensor, "r e"]  # accuracy less that of hard targets in the same run
    step: Float[Tensor, "r e"]  # where it was stopped
    loss: Float[Tensor, "r e"]  # the smoothed training loss there
    plain: Float[Tensor, "r e"]  # the plain validation loss there


@remember
def cell(noise: Noise, n: int, stop: Stop = "loss") -> Cell:
    """From the shipped runs."""
    runs = training.outcomes(noise, n, stop)

    def of(name: str) -> Tensor:
        return torch.stack([getattr(run, name).double() for run in runs])

    accuracy = of("accuracy")
    return Cell(
        accuracy=accuracy,
        nll=of("nll"),
        ece=of("ece"),
        over=of("over"),
        sure=of("sure"),
        gained=accuracy - accuracy[:, :1],
        step=of("step"),
        loss=of("loss"),
        plain=of("plain"),
    )


@dataclass(frozen=True, eq=False)
class Reliability:
    """Answers of all five runs by confidence, for every ε. The axes: ε, bin. NaN in an empty bin."""

    size: Float[Tensor, "e m"]
    confidence: Float[Tensor, "e m"]
    right: Float[Tensor, "e m"]


@remember
def reliability(noise: Noise, n: int, stop: Stop = "loss") -> Reliability:
    """The runs' bins, put together."""
    runs = training.outcomes(noise, n, stop)
    size = torch.stack([run.size for run in runs]).sum(0)
    hits = torch.stack([run.hits for run in runs]).sum(0)
    sure = torch.stack([run.confidence * run.size for run in runs]).sum(0)
    return Reliability(size, sure / size, hits / size)


@remember
def smoothed_cells(noise: Noise, stop: Stop, name: str) -> Float[Tensor, "n r e"]:
    """One quantity of every run of every cell whose targets are smoothed, of one noise."""
    return torch.stack([getattr(cell(noise, n, stop), name)[:, 1:] for n in SIZES])


def grid(stop: Stop, name: str) -> Float[Tensor, "6 e"]:
    """The mean over runs of all 30 cells: low noise above, high below, each from few examples to many."""
    return torch.stack([getattr(cell(noise, n, stop), name).mean(0) for noise in training.SCALES for n in SIZES])


def standard_error(values: Float[Tensor, "r e"]) -> Float[Tensor, " e"]:
    """Of the mean over independent runs."""
    return values.std(0) / math.sqrt(len(values))


# ------------------------------------------------------------------------------------------------ torch's own


def disagreement(
    weighted: bool, padded: bool, convention: Convention = "all", divisor: str = "weights", seed: int = 0
) -> float:
    """The largest difference between the loss by the equations and torch's, over several ε; 12 answers of 7 classes.

    `divisor` is what people divide by: the weights of the right answers, or the number of rows.
    """
    g = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(12, 7, generator=g, dtype=torch.float64)
    answer = torch.randint(0, 7, (12,), generator=g)
    if padded:
        answer[::3] = PAD
    weight = torch.rand(7, generator=g, dtype=torch.float64) + 0.5 if weighted else torch.ones(7, dtype=torch.float64)
    rows = weight[answer[answer != PAD]].sum() / len(answer) if divisor == "rows" else 1.0
    off = []
    for smoothing in (0.0, 0.1, 0.5, 1.0):
        share = smoothing if convention == "all" else min(1.0, smoothing * 7 / 6)  # the same targets, see `smoothed`
        ours = rows * smoothed_loss(logits, answer, share, weight, PAD)
        given = weight if weighted else None
        theirs = F.cross_entropy(logits, answer, given, ignore_index=PAD, label_smoothing=smoothing)
        off.append(float((ours - theirs).abs()))
    return max(off)


PAD = -100  # torch's own ignore_index


def mass_of_the_pad(ignore: bool = True, shared: str = "all", classes: int = 10, smoothing: float = 0.1) -> float:
    """The probability that the best model gives to the pad's class, 0, at the places of real tokens.

    With torch's smoothing, over all classes; or with ε shared over the `real` ones, as soft targets. `ignore` drops the places
    of pads from the loss, which is another matter. Found where the gradient of torch's loss is 0.
    """
    answer = torch.tensor([3, 0, 2, 0])
    if shared == "real":
        real = answer[answer > 0]
        target = F.pad(smoothed(real - 1, classes - 1, smoothing), (1, 0))
        logits = target.log().clamp_min(-50).requires_grad_()
        loss = F.cross_entropy(logits, target)
    else:
        logits = smoothed(answer, classes, smoothing).log().requires_grad_()
        loss = F.cross_entropy(logits, answer, ignore_index=0 if ignore else PAD, label_smoothing=smoothing)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert float(gradient.abs().max()) < 1e-12, "the best model for these targets"
    return float(logits.detach().softmax(-1)[0, 0])
