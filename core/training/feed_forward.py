"""The exclusive or of two bits that a token carries: by attention alone, with a feed-forward layer that has no activation, and
with one that has. All three begin with the same weights of a seed and see the same four tokens.

Each token holds two bits, which enter linearly: x = a e₁ + b e₂ + e₃. One block without norms, which would be an activation of
their own, reads out one logit. A token attends to itself only, to all four, or to itself behind a LayerNorm, to see what a norm adds.

In float64. The losses that stay, stay at a floor, and those that fall, fall to a thousandth of it: no outcome hangs on rounding.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.ops import masks
from core.ops.attention import attention
from core.ops.norms import layer_norm
from core.training.shipped import shipped

Variant = Literal["attention", "linear", "relu"]
VARIANTS: tuple[Variant, ...] = ("attention", "linear", "relu")
Sees = Literal["itself", "all", "itself, normed"]
SEEING: tuple[Sees, ...] = ("itself", "all", "itself, normed")
SEEDS = (0, 1, 2, 3, 4)
WIDTH, D_FF, STEPS, RATE, EVERY = 8, 16, 300, 0.02, 3
FLOOR = math.log(2)  # nats: what the answer ½ costs in every case
BITS = ((0, 0), (0, 1), (1, 0), (1, 1))
TARGET = tuple(float(a != b) for a, b in BITS)


@dataclass(frozen=True, eq=False)
class Progress:
    """The runs so far. The axes: variant (as in VARIANTS), run (one for each seed), and time or case (as in BITS)."""

    steps: int
    at: Int[Tensor, " t"]
    losses: Float[Tensor, "v r t"]  # nats, the mean of the four cases
    right: Float[Tensor, "v r t"]  # the share of the four cases whose more likely answer is right
    answers: Float[Tensor, "v r 4"]  # now: the probability that is given to 1

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return int(self.at[-1]) / self.steps


def inputs() -> Float[Tensor, "4 3"]:
    """The four cases, a row each: both bits, and a 1 that carries no information."""
    return torch.tensor([[*bits, 1.0] for bits in BITS], dtype=torch.float64)


def first_weights(seeds: tuple[int, ...]) -> dict[str, Tensor]:
    """N(0, 1/inputs), biases 0: each seed's, the same for all variants; `[variants, runs, rows, columns]`."""
    d, f = WIDTH, D_FF
    shapes = {"embed": (3, d), "qkv": (d, 3 * d), "out": (d, d), "up": (d, f), "down": (f, d), "head": (d, 1)}
    generators = [torch.Generator().manual_seed(7919 * (seed + 1)) for seed in seeds]
    weights = {
        name: torch.stack([torch.randn(*shape, generator=g, dtype=torch.float64) for g in generators])
        / math.sqrt(shape[0])
        for name, shape in shapes.items()
    }
    weights["bias"] = torch.zeros(len(seeds), 1, f, dtype=torch.float64)
    return {name: w.repeat(len(VARIANTS), 1, 1, 1).requires_grad_() for name, w in weights.items()}


def logits_of(weights: dict[str, Tensor], sees: Sees) -> Float[Tensor, "v r 4"]:
    """One logit for each of the four tokens, of every variant and run."""
    x = inputs() @ weights["embed"]
    visible = masks.full(4) if sees == "all" else torch.eye(4, dtype=torch.bool)
    heard = layer_norm(x) if sees == "itself, normed" else x
    query, key, value = (heard @ weights["qkv"]).chunk(3, -1)
    x = x + attention(query, key, value, visible) @ weights["out"]
    hidden = x @ weights["up"] + weights["bias"]
    activated = torch.stack([torch.zeros_like(hidden[0]), hidden[1], hidden[2].relu()])  # in the order of VARIANTS
    return ((x + activated @ weights["down"]) @ weights["head"])[..., 0]


def train(sees: Sees = "itself", seeds: tuple[int, ...] = SEEDS, steps: int = STEPS) -> Iterator[Progress]:
    """Adam, learning rate 0.02, all four cases in each step; yields every few steps, and at the end.

    The runs share no weight and are one tensor program, so the gradient of the sum is each one's own.
    """
    weights = first_weights(seeds)
    optimiser = torch.optim.Adam(weights.values(), lr=RATE)
    target = torch.tensor(TARGET, dtype=torch.float64)
    at, losses, right = [], [], []
    for step in range(1, steps + 1):
        scores = logits_of(weights, sees)
        each = F.binary_cross_entropy_with_logits(scores, target.expand_as(scores), reduction="none").mean(-1)
        optimiser.zero_grad()
        each.sum().backward()
        optimiser.step()
        if step == 1 or step % EVERY == 0 or step == steps:
            at.append(step)
            losses.append(each.detach())
            right.append(((scores > 0) == (target > 0.5)).double().mean(-1))
            yield Progress(
                steps, torch.tensor(at), torch.stack(losses, -1), torch.stack(right, -1), scores.detach().sigmoid()
            )


def result() -> dict[str, Any]:
    """What `python -m core.training feed_forward` ships: every seed of every variant, seeing itself, seeing all, and itself behind a norm."""
    found: dict[str, Any] = {}
    for sees in SEEING:
        print(f"each token sees {sees}", file=sys.stderr)
        for last in train(sees):
            if int(last.at[-1]) % 100 == 0:
                print(
                    f"  {last.done:.0%}: losses {[f'{x:.2g}' for x in last.losses[..., -1].mean(-1)]}", file=sys.stderr
                )
        found[sees] = {
            "at": last.at.tolist(),
            "losses": [[[float(f"{x:.10g}") for x in run] for run in runs] for runs in last.losses.tolist()],
            "right": last.right.tolist(),
            "answers": [[[float(f"{x:.6g}") for x in run] for run in runs] for runs in last.answers.tolist()],
        }
    return found


def trained(sees: Sees = "itself") -> Progress:
    """The shipped training, as `train` would end with it."""
    kept = shipped("feed_forward")["result"][sees]
    losses, right, answers = (torch.tensor(kept[name], dtype=torch.float64) for name in ("losses", "right", "answers"))
    return Progress(STEPS, torch.tensor(kept["at"]), losses, right, answers)
