"""The two-sided task, trained: the missing number is the sum of both its neighbours, modulo 8.

All 64 pairs of neighbours are one batch, so nothing is sampled and nothing can be overfitted: each left neighbour comes
with every right one, and so with every answer once. Who sees only the left one has to give all eight the same guess,
and no guess has a mean loss below ln 8, or a mean probability of the right answer other than 1/8, at any step of any
training.

In float64: rounding starts nine decades lower than in float32, so that what a seed learns does not depend on the
processor's instruction set.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.memory import remember
from core.ops import masks
from core.ops.attention import attention
from core.ops.feedforward import feed_forward
from core.ops.heads import merge_heads, split_heads
from core.ops.norms import layer_norm, pre_norm
from core.training.shipped import shipped

VALUES, WIDTH, N_HEADS, LAYERS, STEPS, EVERY, RATE = 8, 32, 2, 2, 100, 2, 5e-3
GAP = VALUES  # the token that asks
FLOOR = math.log(VALUES)
LEARNED = 0.05  # nats: below it a run has learned. No run ends anywhere near it
SEEDS = (0, 1, 2, 3, 4)
Arm = Literal["both", "past", "end"]
ARMS: tuple[Arm, ...] = ("both", "past", "end")
"""Bidirectional with the gap in the middle; causal with the gap in the middle; causal with the gap at the end."""

SEEN: dict[Arm, Tensor] = {"both": masks.full(3), "past": masks.causal(3), "end": masks.causal(3)}
PLACE: dict[Arm, int] = {"both": 1, "past": 1, "end": 2}  # of the gap

Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Progress:
    """All runs so far, at each snapshot. The axes: arm (as in ARMS), run (one for each seed), and time.

    `losses` are in nats, over all 64 pairs. `right` is the probability that the right answer gets, the mean over the pairs.
    """

    seeds: tuple[int, ...]
    steps: int
    at: Int[Tensor, " t"]
    losses: Float[Tensor, "m r t"]
    right: Float[Tensor, "m r"]

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return int(self.at[-1]) / self.steps

    @property
    def final(self) -> Float[Tensor, "m r"]:
        """Each run's loss at the last snapshot."""
        return self.losses[..., -1]


def texts(arm: Arm) -> Int[Tensor, "64 3"]:
    """Left neighbour, gap, right neighbour, or the gap last; the right neighbour runs fastest.

    >>> texts("both")[9].tolist(), texts("end")[9].tolist()
    ([1, 8, 1], [1, 1, 8])
    """
    left, right = torch.cartesian_prod(torch.arange(VALUES), torch.arange(VALUES)).unbind(-1)
    found = [left, right]
    found.insert(PLACE[arm], torch.full_like(left, GAP))
    return torch.stack(found, -1)


ANSWERS = texts("both")[:, [0, 2]].sum(-1) % VALUES


def first_weights(seeds: tuple[int, ...]) -> Weights:
    r"""Every seed's own, the same in all arms: `[m · r, rows, columns]`, arms outermost. Matrices $N(0, 1/\mathrm{rows})$."""
    generators = [torch.Generator().manual_seed(7919 * (seed + 1)) for seed in seeds]

    def normal(rows: int, columns: int, deviation: float) -> Tensor:
        each = [torch.randn(rows, columns, generator=g, dtype=torch.float64) * deviation for g in generators]
        return torch.stack(each).repeat(len(ARMS), 1, 1)

    weights = {"token": normal(VALUES + 1, WIDTH, 1.0), "place": normal(3, WIDTH, 1.0)}
    for layer in range(LAYERS):
        weights |= {f"{name}{layer}": normal(WIDTH, WIDTH, WIDTH**-0.5) for name in ("q", "k", "v", "o")}
        weights[f"up{layer}"] = normal(WIDTH, 2 * WIDTH, WIDTH**-0.5)
        weights[f"down{layer}"] = normal(2 * WIDTH, WIDTH, (2 * WIDTH) ** -0.5)
    weights["read"] = normal(WIDTH, VALUES, WIDTH**-0.5)
    return {name: weight.requires_grad_() for name, weight in weights.items()}


def parameters() -> int:
    """Of one run, in whichever arm."""
    return sum(weight[0].numel() for weight in first_weights((0,)).values())


def answer(
    weights: Weights, text: Int[Tensor, "m 64 3"], visible: Tensor, gap: Int[Tensor, " m"]
) -> Float[Tensor, "m 64 8"]:
    """The logits of all eight answers, read where the gap stands: two Pre-Norm layers and a last norm, one model for each m.

    `visible` is each model's mask `[m, 1, 1, 3, 3]`, over texts and heads.
    """
    model = torch.arange(len(text))[:, None, None]
    size = text.shape[1:]
    # One matrix product for all tokens of a run, not one for each text.
    x = (weights["token"][model, text] + weights["place"][:, None]).flatten(1, 2)
    for layer in range(LAYERS):
        q, k, v, o, up, down = (weights[f"{name}{layer}"] for name in ("q", "k", "v", "o", "up", "down"))

        def attend(x: Tensor, q: Tensor = q, k: Tensor = k, v: Tensor = v, o: Tensor = o) -> Tensor:
            query, key, value = (split_heads((x @ w).unflatten(1, size), N_HEADS) for w in (q, k, v))
            return merge_heads(attention(query, key, value, visible)).flatten(1, 2) @ o

        def think(x: Tensor, up: Tensor = up, down: Tensor = down) -> Tensor:
            return feed_forward(x, up, down)

        x = pre_norm(pre_norm(x, attend), think)
    asked = x.unflatten(1, size)[torch.arange(len(text)), :, gap]
    return layer_norm(asked) @ weights["read"]


def train(seeds: tuple[int, ...] = SEEDS, steps: int = STEPS) -> Iterator[Progress]:
    """Adam on all 64 texts at every step; yields every other step. The first snapshot is before the first step.

    The runs share no weight and are one tensor program. In each arm a seed starts from the same weights.
    """
    runs = len(seeds)
    weights = first_weights(seeds)
    optimiser = torch.optim.Adam(weights.values(), lr=RATE)
    text, visible, gap = (
        each.repeat_interleave(runs, 0)
        for each in (
            torch.stack([texts(arm) for arm in ARMS]),
            torch.stack([SEEN[arm] for arm in ARMS])[:, None, None],
            torch.tensor([PLACE[arm] for arm in ARMS]),
        )
    )
    curve: list[Tensor] = []
    for step in range(steps + 1):
        scores = answer(weights, text, visible, gap)
        loss = F.cross_entropy(scores.flatten(0, 1), ANSWERS.repeat(len(text)), reduction="none").view(len(text), -1)
        if step % EVERY == 0 or step == steps:
            curve.append(loss.detach().mean(-1))
            at = torch.tensor([min(i * EVERY, steps) for i in range(len(curve))])
            right = (-loss.detach()).exp().mean(-1).unflatten(0, (len(ARMS), runs))
            yield Progress(seeds, steps, at, torch.stack(curve, -1).unflatten(0, (len(ARMS), runs)), right)
        optimiser.zero_grad()
        loss.mean(-1).sum().backward()  # no shared weight: each run gets its own gradient
        optimiser.step()


# ------------------------------------------------------------------------------------------------ what is shipped


def result() -> dict[str, list]:
    """What `python -m core.training encoder_decoder` ships: every seed's curve, and what its right answers get at the end."""

    def short(values: list | float) -> list | float:
        return [short(v) for v in values] if isinstance(values, list) else float(f"{values:.7g}")

    *_, last = train()
    return {"losses": short(last.losses.tolist()), "right": short(last.right.tolist())}  # type: ignore[dict-item]


@remember
def trained() -> Progress:
    """The shipped runs, as `train` would end with them. Do not change them."""
    kept = shipped("encoder_decoder")["result"]
    losses, right = (torch.tensor(kept[name], dtype=torch.float64) for name in ("losses", "right"))
    at = torch.tensor([min(i * EVERY, STEPS) for i in range(losses.shape[-1])])
    return Progress(SEEDS, STEPS, at, losses, right)
