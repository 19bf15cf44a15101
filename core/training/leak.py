"""The cheating detector: one attention layer learns random tokens, honestly and under three masks that leak.

Tokens are independent and uniform over V and drawn afresh for every step, so no honest model can have an expected
loss below ln V nats: a mean loss below the entropy of the data proves a leak. One step too far, all positions but the
last of N see their answer and can lose nothing, so that leak's floor is ln V / N. The two traps have the causal mask,
but it acts as a 0 after the softmax or as a factor 0 before it, and what they let through a head learns to use.

In float64, for less than twice the time: rounding begins nine decades lower than in float32, and the same seeds gave
the same curves within 10⁻¹³ with and without AVX2, to the last step (in float32 within 10⁻⁴: even the normal draws
differ in their last bit).
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.ops import masks, positions
from core.ops.attention import logits, softmax
from core.training.shipped import shipped

VOCABULARY, LENGTH, WIDTH, STEPS = 16, 16, 32, 400
HONEST, LEAK = math.log(VOCABULARY), math.log(VOCABULARY) / LENGTH
SEEDS = (0, 1, 2)
TOKENS = 512  # in a batch, whatever the length of its sequences
RATE = 0.015  # of Adam, falling to a tenth of it along half a cosine
LAST = 20  # steps over which a loss is averaged where one number is wanted
Mask = Literal["causal", "ahead", "after", "multiply"]
MASKS: tuple[Mask, ...] = ("causal", "ahead", "after", "multiply")


@dataclass(frozen=True, eq=False)
class Progress:
    """Losses so far in nats. The axes: mask (as in MASKS), run (one for each seed), and time or position."""

    vocabulary: int
    length: int
    steps: int
    at: Int[Tensor, " t"]
    losses: Float[Tensor, "m r t"]
    by_position: Float[Tensor, "m r n"]

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return int(self.at[-1]) / self.steps

    @property
    def now(self) -> Float[Tensor, "m r"]:
        """Each run's mean loss over the last 20 steps and all positions."""
        return self.by_position.mean(-1)

    @property
    def entropy(self) -> float:
        r"""$\ln V$: the floor of an honest model."""
        return math.log(self.vocabulary)

    @property
    def floor(self) -> float:
        r"""$\ln V / N$: what remains when all positions but the last copy their answer."""
        return math.log(self.vocabulary) / self.length


def _parameters(vocabulary: int, seeds: tuple[int, ...]) -> dict[str, Tensor]:
    """Each seed's first weights, the same under all masks: `[runs, rows, columns]`, masks outermost."""

    def draw(rows: int, columns: int, salt: int) -> Tensor:
        each = [
            torch.randn(rows, columns, generator=torch.Generator().manual_seed(100 * seed + salt), dtype=torch.float64)
            for seed in seeds
        ]
        return (torch.stack(each) / math.sqrt(rows)).repeat(len(MASKS), 1, 1).requires_grad_()

    return {
        "embed": draw(vocabulary, WIDTH, 0),
        "qkv": draw(2 * WIDTH, 3 * WIDTH, 1),
        "out": draw(WIDTH, vocabulary, 2),
    }


def _masking(length: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each mask: which logits enter the softmax, what stands for the others, and which weights are kept after it."""
    causal, full = masks.causal(length), masks.full(length)
    enter = {"ahead": masks.causal(length, 1), "after": full}
    replaced = torch.tensor([0.0 if name == "multiply" else -math.inf for name in MASKS], dtype=torch.float64)
    return (
        torch.stack([enter.get(name, causal) for name in MASKS]),
        replaced[:, None, None],
        torch.stack([causal if name == "after" else full for name in MASKS]),
    )


def train(
    seeds: tuple[int, ...] = SEEDS,
    vocabulary: int = VOCABULARY,
    length: int = LENGTH,
    steps: int = STEPS,
    every: int = 5,
) -> Iterator[Progress]:
    """Train all seeds under all masks, on the same tokens; yields every few steps, and at the end.

    One attention layer on [token, position], read out linearly. The runs share no weight and are one tensor program:
    four masks times three seeds cost little more than one run.
    """
    weights = _parameters(vocabulary, seeds)
    optimiser = torch.optim.Adam(weights.values(), lr=RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, RATE / 10)
    runs = len(seeds)
    batch, programs = TOKENS // length, len(MASKS) * runs
    places = positions.sinusoidal(length, WIDTH).expand(programs, batch, length, WIDTH)
    enters, replaced, kept = (each.repeat_interleave(runs, 0)[:, None] for each in _masking(length))
    data = torch.Generator().manual_seed(10_000 + seeds[0])
    at: list[int] = []
    curve: list[Tensor] = []
    recent: deque[Tensor] = deque(maxlen=LAST)
    for step in range(1, steps + 1):
        tokens = torch.randint(0, vocabulary, (batch, length + 1), generator=data)
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        x = torch.cat([weights["embed"][:, inputs], places], -1)
        # One matrix product for all tokens of a run, not one for each sequence.
        qkv = (x.flatten(1, 2) @ weights["qkv"]).unflatten(1, (batch, length))
        query, key, value = qkv.chunk(3, -1)
        mixed = (softmax(torch.where(enters, logits(query, key), replaced)) * kept) @ value
        scores = mixed.flatten(1, 2) @ weights["out"]
        loss = F.cross_entropy(scores.flatten(0, 1), targets.flatten().repeat(programs), reduction="none")
        by_position = loss.unflatten(0, (programs, batch, length)).mean(1)
        optimiser.zero_grad()
        by_position.mean(-1).sum().backward()  # no shared weight: each run gets its own gradient
        optimiser.step()
        schedule.step()
        recent.append(by_position.detach())
        if step % every == 0 or step == steps:
            latest = torch.stack(list(recent))
            at.append(step)
            curve.append(latest[-every:].mean((0, 2)))
            yield Progress(
                vocabulary,
                length,
                steps,
                torch.tensor(at),
                torch.stack(curve, -1).unflatten(0, (len(MASKS), runs)),
                latest.mean(0).unflatten(0, (len(MASKS), runs)),
            )


def result() -> dict[str, Any]:
    """What `python -m core.training leak` ships: the whole curve of every seed, and its loss by position."""
    *_, last = train()

    def rounded(numbers: Tensor) -> list[list[float]]:
        return [[round(value, 6) for value in run] for run in numbers.tolist()]

    return {
        "at": last.at.tolist(),
        "losses": [rounded(runs) for runs in last.losses],
        "by_position": [rounded(runs) for runs in last.by_position],
    }


def trained() -> Progress:
    """The shipped training, as `train()` would end with it."""
    kept = shipped("leak")["result"]
    losses, by_position = (torch.tensor(kept[name], dtype=torch.float64) for name in ("losses", "by_position"))
    return Progress(VOCABULARY, LENGTH, STEPS, torch.tensor(kept["at"]), losses, by_position)


def final_losses(mask: Mask) -> Float[Tensor, " r"]:
    """The loss of every seed under one mask in nats, the mean of the last 20 steps of the shipped training."""
    return trained().now[MASKS.index(mask)]
