"""Causal language models on coin tosses, which nobody can predict: with LayerNorm, with RMSNorm, and with BatchNorm, whose
statistics come from the words of one text or of several.

Every bit is fair, independent and drawn afresh, so the expected loss of an honest model is at least ln 2 nats: a mean
below it proves that the answer came in. Attention is causal in all of them; what differs is who shares a mean.
"""

import math
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.memory import remember
from core.ops.norms import moments, rms_norm, running, scale
from core.training.shipped import shipped

Norm = Literal["layer", "rms", "place", "batch"]
LENGTH, WIDTH, HEADS, D_FF, DEPTH = 8, 32, 4, 64, 2
TEXTS = 64  # in a step, whatever the number that share statistics
STEPS, BETAS = 600, (0.9, 0.98)
RATE = 0.005  # of Adam, falling to a tenth of it along half a cosine
SEEDS = (0, 1, 2, 3)
SHARING = (1, 2, 4, 8, 16, 32, 64)  # texts that share BatchNorm's statistics
SNAPSHOTS = (1, 2, 3, 4, *range(10, STEPS + 1, 10))
ENTROPY = math.log(2)  # nats a bit
LEAK = math.log(2) / LENGTH  # every bit but the last stands in the text itself
MOMENTUM = 0.1  # of the running statistics, as in PyTorch
ASKED = 512  # texts on which a model is evaluated
LAST = 20  # steps over which the loss at each position is averaged

Weights = dict[str, Tensor]
Normalise = Callable[[int, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Progress:
    """One run so far, at each snapshot."""

    steps: int
    at: Int[Tensor, " t"]
    loss: Float[Tensor, " t"]  # nats a bit, in training mode, the mean since the snapshot before
    evaluated: Float[Tensor, " t"]  # on fresh texts, in evaluation mode
    by_position: Float[Tensor, " n"]  # of each bit, in training mode, the mean of the last 20 steps

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return int(self.at[-1]) / self.steps


def first_weights(seed: int) -> Weights:
    """W_Q, W_K, W_V Xavier as one matrix, the others U(±1/√d_in), places and bits N(0, 1); gains 1, biases 0."""
    g = torch.Generator().manual_seed(seed)
    d, f = WIDTH, D_FF

    def uniform(bound: float, *shape: int) -> Tensor:
        return (torch.rand(*shape, generator=g) * 2 - 1) * bound

    weights = {
        "embed": torch.randn(2, d, generator=g),
        "place": torch.randn(LENGTH, d, generator=g),
        "qkv": uniform(math.sqrt(6 / (d + 3 * d)), DEPTH, d, 3 * d),
        "out": uniform(1 / math.sqrt(d), DEPTH, d, d),
        "up": uniform(1 / math.sqrt(d), DEPTH, d, f),
        "up_bias": torch.zeros(DEPTH, f),
        "down": uniform(1 / math.sqrt(f), DEPTH, f, d),
        "gain": torch.ones(2 * DEPTH + 1, d),
        "shift": torch.zeros(2 * DEPTH + 1, d),
        "head": uniform(1 / math.sqrt(d), d, 2),
    }
    return {name: weight.double().requires_grad_() for name, weight in weights.items()}


def predict(weights: Weights, bits: Int[Tensor, "b n"], normalise: Normalise) -> Float[Tensor, "b n 2"]:
    """Logits of the next bit: a Pre-Norm decoder, `normalise(i, x)` being its i-th norm without gain and shift."""

    def norm(i: int, x: Tensor) -> Tensor:
        return normalise(i, x) * weights["gain"][i] + weights["shift"][i]

    x = weights["embed"][bits] + weights["place"]
    for i in range(DEPTH):
        query, key, value = (norm(2 * i, x) @ weights["qkv"][i]).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + mixed.transpose(1, 2).flatten(2) @ weights["out"][i]
        x = x + (norm(2 * i + 1, x) @ weights["up"][i] + weights["up_bias"][i]).relu() @ weights["down"][i]
    return norm(2 * DEPTH, x) @ weights["head"]


def loss_of(logits: Float[Tensor, "b n c"], texts: Int[Tensor, "b m"]) -> Float[Tensor, " n"]:
    """Cross-entropy of each position's next bit, nats: the mean over the texts."""
    found = F.cross_entropy(logits.flatten(0, 1), texts[:, 1:].flatten(), reduction="none")
    return found.unflatten(0, (-1, LENGTH)).mean(0)


class Statistics:
    """The norms of one model: in training over the batch, in evaluation with what has been kept of it."""

    def __init__(self, norm: Norm, sharing: int) -> None:
        self.norm, self.sharing = norm, sharing
        shape = (LENGTH, WIDTH) if norm == "place" else (1, WIDTH)
        self.mean = torch.zeros(2 * DEPTH + 1, *shape, dtype=torch.float64)
        self.variance = torch.ones_like(self.mean)

    def training(self, i: int, x: Tensor) -> Tensor:
        if self.norm == "rms":
            return rms_norm(x)
        if self.norm == "layer":
            return F.layer_norm(x, x.shape[-1:])
        groups = x.unflatten(0, (-1, self.sharing))  # [group, text, place, feature]
        over = (1,) if self.norm == "place" else (1, 2)
        mean, variance = moments(groups, over)
        many = self.sharing * (1 if self.norm == "place" else LENGTH)
        with torch.no_grad():  # one update a step: the mean of the groups, and the unbiased variance, as PyTorch does
            self.mean[i] = running(self.mean[i], mean.mean(0)[0], MOMENTUM)
            self.variance[i] = running(self.variance[i], variance.mean(0)[0] * many / (many - 1), MOMENTUM)
        return scale(groups, mean, variance).flatten(0, 1)

    def evaluation(self, i: int, x: Tensor) -> Tensor:
        if self.norm in ("rms", "layer"):
            return self.training(i, x)
        return scale(x, self.mean[i], self.variance[i])


def texts(generator: torch.Generator, many: int = TEXTS) -> Int[Tensor, "b m"]:
    """Fair coins: eight to read, and each one's successor to predict."""
    return torch.randint(0, 2, (many, LENGTH + 1), generator=generator)


def train(norm: Norm, sharing: int, seed: int, steps: int = STEPS) -> Iterator[Progress]:
    """Adam (β = 0.9, 0.98) on 64 fresh texts a step; yields at each of SNAPSHOTS."""
    weights, statistics = first_weights(seed), Statistics(norm, sharing)
    optimiser = torch.optim.Adam(list(weights.values()), lr=RATE, betas=BETAS, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, RATE / 10)
    data, asked = torch.Generator().manual_seed(10_000 + seed), texts(torch.Generator().manual_seed(99), ASKED)
    losses: list[float] = []
    recent: deque[Tensor] = deque(maxlen=LAST)
    kept: list[tuple[float, ...]] = []
    for step in range(1, steps + 1):
        batch = texts(data)
        by_position = loss_of(predict(weights, batch[:, :-1], statistics.training), batch)
        loss = by_position.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        recent.append(by_position.detach())
        if step not in SNAPSHOTS and step != steps:
            continue
        with torch.no_grad():
            evaluated = loss_of(predict(weights, asked[:, :-1], statistics.evaluation), asked).mean()
        kept.append((step, sum(losses) / len(losses), float(evaluated)))
        losses.clear()
        at, trained_, evaluated_ = torch.tensor(kept, dtype=torch.float64).unbind(1)
        yield Progress(steps, at.long(), trained_, evaluated_, torch.stack(list(recent)).mean(0))


# ------------------------------------------------------------------------------------------------ what is shipped

CELLS: tuple[tuple[Norm, int], ...] = (
    ("layer", 1), ("rms", 1), ("place", TEXTS), *(("batch", many) for many in SHARING),
)  # fmt: skip

KEPT = ("loss", "evaluated", "by_position")


def _cell(cell: tuple[Norm, int]) -> dict[str, list[list[float]]]:
    """Every seed's curves of one cell, four digits each."""
    torch.set_num_threads(1)
    ends = []
    for seed in SEEDS:
        *_, last = train(*cell, seed)
        ends.append(last)
    return {name: [[float(f"{v:.4g}") for v in getattr(run, name).tolist()] for run in ends] for name in KEPT}


def result() -> dict[str, Any]:
    """What `python -m core.training layer_norm` ships: every curve of every seed in every cell."""
    found = {}
    with ProcessPoolExecutor() as pool:
        for i, (cell, curves) in enumerate(zip(CELLS, pool.map(_cell, CELLS), strict=True), 1):
            found["/".join(map(str, cell))] = curves
            print(f"\r{i} of {len(CELLS)} cells", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


@remember
def trained(norm: Norm, sharing: int) -> tuple[Progress, ...]:
    """The shipped runs of one cell, one for each seed, as `train` would end with them. Do not change them."""
    curves = shipped("layer_norm")["result"][f"{norm}/{sharing}"]
    at = torch.tensor(SNAPSHOTS)
    return tuple(
        Progress(STEPS, at, *(torch.tensor(c, dtype=torch.float64) for c in run))
        for run in zip(*(curves[name] for name in KEPT), strict=True)
    )
