"""Fetch-two, trained: one query must bring the values of two places, with one head, two, or four, all of 4,930 parameters.

In float64: rounding starts nine decades lower than in float32, so that what a seed learns does not depend on the
processor's instruction set.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.memory import remember
from core.ops.attention import softmax
from core.training.shipped import shipped

PLACES, WIDTH, BATCH, STEPS, EVERY, RATE = 8, 32, 128, 400, 10, 3e-3
HEADS = (1, 2, 4)
SEEDS = (0, 1, 2, 3, 4)
LEARNED = 0.05  # mean squared error: below it a run has learned. No run ends anywhere near it
LAST = 5  # snapshots over which the final error is averaged: 50 steps

Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Progress:
    """All runs so far, at each snapshot. The axes: number of heads (as in HEADS), run (one for each seed), and time.

    `losses` are mean squared errors over both values, of the steps since the snapshot before. `maps` hold, for each number
    of heads, each head's mean weight on the first wanted place, on the second, and on all others together.
    """

    seeds: tuple[int, ...]
    steps: int
    at: Int[Tensor, " t"]
    losses: Float[Tensor, "m r t"]
    maps: tuple[Float[Tensor, "r _ 3"], ...]

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return int(self.at[-1]) / self.steps

    @property
    def final(self) -> Float[Tensor, "m r"]:
        """Each run's error over its last fifty steps, or over what there is."""
        return self.losses[..., -LAST:].mean(-1)


def first_weights(seeds: tuple[int, ...], width: int = WIDTH) -> Weights:
    r"""Every seed's own: `[r, rows, columns]`. Vectors of places $N(0, I)$; matrices $N(0, 1/d)$; the bias 0."""
    generators = [torch.Generator().manual_seed(7919 * (seed + 1)) for seed in seeds]

    def normal(*shape: int) -> Tensor:
        return torch.stack([torch.randn(*shape, generator=g, dtype=torch.float64) for g in generators])

    weights = {name: normal(PLACES, width) for name in ("place", "first", "second")}
    weights |= {name: normal(width, width) / math.sqrt(width) for name in ("w_q", "w_k", "w_v", "w_o")}
    weights |= {"read": normal(width, 2) / math.sqrt(width), "bias": torch.zeros(len(seeds), 2, dtype=torch.float64)}
    return {name: weight.requires_grad_() for name, weight in weights.items()}


def parameters(width: int = WIDTH) -> int:
    """Of one run, whatever its number of heads."""
    return sum(weight.numel() for weight in first_weights((0,), width).values())


def fetch(
    weights: Weights, n_heads: int, wanted: Int[Tensor, "r b 2"], value: Float[Tensor, "r b n"], keys_see_values: bool
) -> tuple[Float[Tensor, "r b 2"], Float[Tensor, "r b h n"]]:
    r"""What is brought, and the weights: $\sum_i A_i X W_V^{(i)} W_O^{(i)} R + c$ for the query $a_{\mathrm{first}} + b_{\mathrm{second}}$.

    The token at place i is $x_i = p_i + v_i e_1$: its value stands in its first feature. Keys are $p_i W_K$, so that the
    weights know no values, or, with `keys_see_values`, $x_i W_K$ as in a Transformer. Neither keys nor values of a whole
    batch are formed: both parts of x are projected for themselves.
    """
    run = torch.arange(len(wanted))[:, None]

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (n_heads, -1))

    query = heads((weights["first"][run, wanted[..., 0]] + weights["second"][run, wanted[..., 1]]) @ weights["w_q"])
    scores = torch.einsum("rbhk,rnhk->rbhn", query, heads(weights["place"] @ weights["w_k"]))
    if keys_see_values:
        seen = torch.einsum("rbhk,rhk->rbh", query, heads(weights["w_k"][:, 0]))
        scores = scores + seen[..., None] * value[:, :, None]
    looks = softmax(scores / math.sqrt(WIDTH // n_heads))
    mixed = torch.einsum("rbhn,rnhk->rbhk", looks, heads(weights["place"] @ weights["w_v"]))
    mixed = mixed + (looks * value[:, :, None]).sum(-1, keepdim=True) * heads(weights["w_v"][:, :1])
    return mixed.flatten(-2) @ weights["w_o"] @ weights["read"] + weights["bias"][:, None], looks


QUESTIONS = torch.tensor([(a, b) for a in range(PLACES) for b in range(PLACES) if a != b])
"""All ordered pairs of places that can be asked for."""


@torch.no_grad()
def look(weights: Weights, n_heads: int, keys_see_values: bool) -> Float[Tensor, "r h 3"]:
    """Where each head looks, the mean over all questions: the first wanted place, the second, all others together.

    With all values 0, which matters only where keys see values.
    """
    runs = len(weights["bias"])
    wanted = QUESTIONS.expand(runs, -1, -1)
    nothing = torch.zeros(runs, len(QUESTIONS), PLACES, dtype=torch.float64)
    _, looks = fetch(weights, n_heads, wanted, nothing, keys_see_values)
    at = wanted[:, :, None].expand(-1, -1, n_heads, -1)
    both = looks.gather(-1, at).mean(1)
    return torch.cat([both, 1 - both.sum(-1, keepdim=True)], -1)


def train(
    seeds: tuple[int, ...] = SEEDS, keys_see_values: bool = False, heads: tuple[int, ...] = HEADS, steps: int = STEPS
) -> Iterator[Progress]:
    """Adam on fresh batches of 128 questions, the same for every number of heads; yields every ten steps.

    Values are N(0, 1), so that always answering 0 costs 1. The runs of different seeds share no weight.
    """
    runs = [first_weights(seeds) for _ in heads]
    optimisers = [torch.optim.Adam(weights.values(), lr=RATE) for weights in runs]
    data = [torch.Generator().manual_seed(10_000 + seed) for seed in seeds]
    losses: list[Tensor] = []
    recent: list[Tensor] = []
    for step in range(1, steps + 1):
        first = torch.stack([torch.randint(0, PLACES, (BATCH,), generator=g) for g in data])
        other = torch.stack([torch.randint(1, PLACES, (BATCH,), generator=g) for g in data])
        wanted = torch.stack([first, (first + other) % PLACES], -1)
        value = torch.stack([torch.randn(BATCH, PLACES, generator=g, dtype=torch.float64) for g in data])
        target = value.gather(-1, wanted)
        each = []
        for n_heads, weights, optimiser in zip(heads, runs, optimisers, strict=True):
            brought, _ = fetch(weights, n_heads, wanted, value, keys_see_values)
            loss = (brought - target).square().mean((-1, -2))
            optimiser.zero_grad()
            loss.sum().backward()  # the gradient of the sum is each run's own
            optimiser.step()
            each.append(loss.detach())
        recent.append(torch.stack(each))
        if step % EVERY and step != steps:
            continue
        losses.append(torch.stack(recent).mean(0))
        recent.clear()
        maps = tuple(look(weights, n, keys_see_values) for n, weights in zip(heads, runs, strict=True))
        at = torch.tensor([min((i + 1) * EVERY, steps) for i in range(len(losses))])
        yield Progress(seeds, steps, at, torch.stack(losses, -1), maps)


# ------------------------------------------------------------------------------------------------ what is shipped


def result() -> dict[str, dict[str, list]]:
    """What `python -m core.training multi_head` ships: every seed's curve and the maps at its end, keys blind or not."""

    def short(values: list | float) -> list | float:
        return [short(v) for v in values] if isinstance(values, list) else float(f"{values:.4g}")

    found = {}
    for name, sees in (("blind", False), ("seeing", True)):
        *_, last = train(keys_see_values=sees)
        found[name] = {"losses": short(last.losses.tolist()), "maps": [short(m.tolist()) for m in last.maps]}
    return found  # type: ignore[return-value]


@remember
def trained(keys_see_values: bool = False) -> Progress:
    """The shipped runs, as `train` would end with them. Do not change them."""
    kept = shipped("multi_head")["result"]["seeing" if keys_see_values else "blind"]
    losses = torch.tensor(kept["losses"], dtype=torch.float64)
    at = torch.arange(1, losses.shape[-1] + 1) * EVERY
    return Progress(SEEDS, STEPS, at, losses, tuple(torch.tensor(m, dtype=torch.float64) for m in kept["maps"]))
