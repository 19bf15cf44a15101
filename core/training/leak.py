"""The cheating detector: one attention layer learns random tokens, honestly and with a mask one step too far.

Tokens are independent and uniform over V and drawn afresh for every step, so no honest model can have an expected
loss below ln V nats: a mean loss below the entropy of the data proves a leak. Positions that see their answer can
lose nothing; the last position of N never sees its own, so the leak's floor is ln V / N.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from core.ops import masks, positions
from core.ops.attention import attention
from core.training.shipped import shipped

VOCABULARY, LENGTH, WIDTH, BATCH, STEPS = 16, 16, 32, 32, 400
HONEST, LEAK = math.log(VOCABULARY), math.log(VOCABULARY) / LENGTH
Mask = Literal["causal", "ahead"]
MASKS: tuple[Mask, ...] = ("causal", "ahead")


@dataclass(frozen=True, eq=False)
class Progress:
    """Losses so far, in nats: one row for each mask, one for each seed, one number per step."""

    steps: int
    losses: Float[Tensor, "2 r t"]


def _parameters(seeds: tuple[int, ...]) -> dict[str, Tensor]:
    """Every seed's weights, the same for both masks; the leading axes are mask and seed."""

    def draw(rows: int, columns: int, salt: int) -> Tensor:
        each = [
            torch.randn(rows, columns, generator=torch.Generator().manual_seed(100 * s + salt))
            for s in seeds
        ]
        return (
            (torch.stack(each) / math.sqrt(rows))
            .expand(len(MASKS), -1, -1, -1)
            .clone()
            .requires_grad_()
        )

    shapes = {
        "embed": (VOCABULARY, WIDTH), "q": (2 * WIDTH, WIDTH), "k": (2 * WIDTH, WIDTH), "v": (2 * WIDTH, WIDTH),
        "out": (WIDTH, VOCABULARY),
    }  # fmt: skip
    return {name: draw(*shape, salt) for salt, (name, shape) in enumerate(shapes.items())}


def train(
    seeds: tuple[int, ...] = (0, 1, 2), steps: int = STEPS, every: int = 5
) -> Iterator[Progress]:
    """Train all seeds under both masks on the same tokens; yields every few steps, and at the end.

    One attention layer on [token, position], read out linearly; Adam with learning rate 0.02. All runs are one
    tensor program, so that two masks and three seeds cost little more than one run.
    """
    weights = _parameters(seeds)
    optimiser = torch.optim.Adam(weights.values(), lr=0.02)
    places = positions.sinusoidal(LENGTH, WIDTH, dtype=torch.float32)
    visible = torch.stack([masks.causal(LENGTH), masks.causal(LENGTH, 1)])[:, None, None]
    data = torch.Generator().manual_seed(1000 + seeds[0])
    losses = torch.empty(len(MASKS), len(seeds), steps)
    for step in range(steps):
        tokens = torch.randint(0, VOCABULARY, (BATCH, LENGTH + 1), generator=data)
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        x = weights["embed"][:, :, inputs]  # [mask, seed, batch, n, d]
        # The texts of a batch are laid end to end: one product per run, not one per text.
        x = torch.cat([x, places.expand_as(x)], -1).flatten(2, 3)
        q, k, v = ((x @ weights[name]).unflatten(2, inputs.shape) for name in "qkv")
        scores = attention(q, k, v, visible).flatten(2, 3) @ weights["out"]
        answers = targets.flatten().expand(scores.shape[:-1])
        loss = F.cross_entropy(scores.flatten(0, 2), answers.flatten(), reduction="none")
        each = loss.unflatten(0, scores.shape[:-1]).mean(-1)
        optimiser.zero_grad()
        each.sum().backward()  # the runs share no weight, so the gradient of the sum is each one's own
        nn.utils.clip_grad_value_(weights.values(), 1.0)
        optimiser.step()
        losses[..., step] = each.detach()
        if (step + 1) % every == 0 or step + 1 == steps:
            yield Progress(steps, losses[..., : step + 1].clone())


def result() -> dict[str, list[list[float]]]:
    """What `python -m core.training leak` ships: the whole curve of every seed under each mask."""
    *_, last = train()
    return {
        name: [[round(x, 4) for x in run] for run in last.losses[i].tolist()]
        for i, name in enumerate(MASKS)
    }


def trained() -> Progress:
    """The shipped curves, as `train` would end with them."""
    curves = shipped("leak")["result"]
    return Progress(STEPS, torch.tensor([curves[name] for name in MASKS]))


def final_losses(mask: Mask) -> Float[Tensor, " r"]:
    """The loss of every seed under one mask in nats, the mean of the last 20 steps of the shipped training."""
    return trained().losses[MASKS.index(mask), :, -20:].mean(-1)
