"""Encoders of one design learn to read eight tokens backwards: with Post-Norm, with Pre-Norm, and with Pre-Norm that lacks
its final norm; shallow and deep, with and without a warm-up, at three learning rates.

The task has an exact answer and no noise: guessing evenly costs ln 16 nats (a fresh model a little more), a trained
model close to 0. Everything but the place of the norm is the same: data, first weights, optimiser.
"""

import math
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.memory import remember
from core.ops.norms import Map, post_norm, pre_norm
from core.ops.positions import sinusoidal
from core.training.shipped import shipped

Order = Literal["post", "pre", "pre, no final norm"]
ORDERS: tuple[Order, ...] = ("post", "pre", "pre, no final norm")
VOCABULARY, LENGTH, WIDTH, HEADS, D_FF, BATCH = 16, 8, 64, 4, 256, 32
DEPTHS, RATES, WARMUPS, SEEDS = (2, 4, 8, 12), (0.001, 0.003, 0.01), (0, 100), (0, 1, 2, 3)
STEPS, BETAS = 300, (0.9, 0.98)
SNAPSHOTS = (1, 2, 3, 4, 5, 7, 10, 14, *range(20, STEPS + 1, 10))
NOTHING = math.log(VOCABULARY)  # nats: the loss of a model that guesses evenly
LEARNED = 1.0  # nats: below it a run has learned. No run of question 7 ends anywhere near it

Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Progress:
    """One run so far, at each snapshot. The axes: time, and layer."""

    steps: int
    at: Int[Tensor, " t"]
    loss: Float[Tensor, " t"]  # nats, the mean since the snapshot before
    gradient: Float[Tensor, " t"]  # norm of the gradient of all weights
    update: Float[Tensor, " t"]  # ‖step of all weights‖ ÷ ‖all weights‖
    by_layer: Float[Tensor, "t l"]  # norm of the gradient of each layer's weights

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return int(self.at[-1]) / self.steps


def first_weights(depth: int, seed: int) -> Weights:
    """As torch starts its encoder layers: W_Q, W_K, W_V Xavier as one matrix, the others U(±1/√d_in). But all biases are
    0 at first, and attention has none.

    Those of a layer are stacked: `[depth, rows, columns]`. In float64: processors round differently, training amplifies
    it, and so it should start small. (Not as small as it could: the last bits of `torch.randn` in float32 depend on the
    processor, so the embeddings differ by 1e-7 between them.)
    """
    g = torch.Generator().manual_seed(seed)

    def uniform(bound: float, *shape: int) -> Tensor:
        return (torch.rand(*shape, generator=g) * 2 - 1) * bound

    d, f = WIDTH, D_FF
    weights = {
        "embed": torch.randn(VOCABULARY, d, generator=g),
        "qkv": uniform(math.sqrt(6 / (d + 3 * d)), depth, d, 3 * d),
        "out": uniform(1 / math.sqrt(d), depth, d, d),
        "up": uniform(1 / math.sqrt(d), depth, d, f),
        "up_bias": torch.zeros(depth, f),
        "down": uniform(1 / math.sqrt(f), depth, f, d),
        "down_bias": torch.zeros(depth, d),
        "gain": torch.ones(depth, 2, d),
        "shift": torch.zeros(depth, 2, d),
        "final_gain": torch.ones(d),
        "final_shift": torch.zeros(d),
        "head": uniform(1 / math.sqrt(d), d, VOCABULARY),
    }
    return {name: weight.double().requires_grad_() for name, weight in weights.items()}


PER_LAYER = ("qkv", "out", "up", "up_bias", "down", "down_bias", "gain", "shift")


def attend(qkv: Tensor, out: Tensor) -> Map:
    def sublayer(x: Tensor) -> Tensor:
        heads = (x @ qkv).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(*heads.unbind()).transpose(1, 2).flatten(2) @ out

    return sublayer


def think(up: Tensor, up_bias: Tensor, down: Tensor, down_bias: Tensor) -> Map:
    return lambda x: (x @ up + up_bias).relu() @ down + down_bias


def learned_norm(gain: Tensor, shift: Tensor) -> Map:
    """torch's, since it is one operation instead of five."""
    return lambda x: F.layer_norm(x, (WIDTH,), gain, shift)


def encode(weights: Weights, tokens: Int[Tensor, "b n"], order: Order) -> Float[Tensor, "b n c"]:
    """The logits of an encoder; `post` and `pre` differ in one line (core/ops/norms.py), `pre` has one norm more."""
    wire = post_norm if order == "post" else pre_norm
    x = weights["embed"][tokens] + sinusoidal(tokens.shape[-1], WIDTH)
    # Taken apart once: an index into a stack would cost a whole stack of zeros in the backward pass.
    for qkv, out, up, up_bias, down, down_bias, gain, shift in zip(
        *(weights[name].unbind() for name in PER_LAYER), strict=True
    ):
        x = wire(x, attend(qkv, out), learned_norm(gain[0], shift[0]))
        x = wire(x, think(up, up_bias, down, down_bias), learned_norm(gain[1], shift[1]))
    if order == "pre":
        x = learned_norm(weights["final_gain"], weights["final_shift"])(x)
    return x @ weights["head"]


def norm_of(tensors: list[Tensor]) -> float:
    """The Euclidean norm of all their numbers together."""
    return math.sqrt(sum(float(t.square().sum()) for t in tensors))


def learning_rate(step: int, rate: float, warmup: int) -> float:
    """`rate`, reached in `warmup` equal steps; step = 1, 2, …"""
    return rate * min(1.0, step / warmup) if warmup else rate


def train(order: Order, depth: int, rate: float, warmup: int, seed: int, steps: int = STEPS) -> Iterator[Progress]:
    """Adam (β = 0.9, 0.98) on fresh batches of 32 texts; yields at each of SNAPSHOTS."""
    weights = first_weights(depth, seed)
    if order != "pre":  # without a final norm there is nothing to train in it
        del weights["final_gain"], weights["final_shift"]
    all_weights = list(weights.values())
    optimiser = torch.optim.Adam(all_weights, lr=rate, betas=BETAS, fused=True)
    data = torch.Generator().manual_seed(10_000 + seed)
    losses: list[float] = []
    kept: list[tuple[Any, ...]] = []
    for step in range(1, steps + 1):
        tokens = torch.randint(0, VOCABULARY, (BATCH, LENGTH), generator=data)
        loss = F.cross_entropy(encode(weights, tokens, order).flatten(0, 1), tokens.flip(-1).flatten())
        optimiser.zero_grad()
        loss.backward()
        losses.append(loss.item())
        optimiser.param_groups[0]["lr"] = learning_rate(step, rate, warmup)
        if step not in SNAPSHOTS and step != steps:
            optimiser.step()
            continue
        before = [w.detach().clone() for w in all_weights]
        optimiser.step()
        with torch.no_grad():
            moved = norm_of([w - b for w, b in zip(all_weights, before, strict=True)])
            gradients = [w.grad for w in all_weights if w.grad is not None]
            squares = [
                weights[name].grad.square().flatten(1).sum(1)  # type: ignore[union-attr]
                for name in PER_LAYER
            ]
        kept.append(
            (
                step,
                sum(losses) / len(losses),
                norm_of(gradients),
                moved / norm_of(before),
                torch.stack(squares).sum(0).sqrt(),
            )
        )
        losses.clear()
        at, loss_, gradient, update, by_layer = zip(*kept, strict=True)
        yield Progress(
            steps,
            torch.tensor(at),
            torch.tensor(loss_),
            torch.tensor(gradient),
            torch.tensor(update),
            torch.stack(by_layer),
        )


# ------------------------------------------------------------------------------------------------ what is shipped

CELLS = tuple(product(ORDERS, DEPTHS, RATES, WARMUPS))


def _name(order: Order, depth: int, rate: float, warmup: int) -> str:
    return f"{order}/{depth}/{rate}/{warmup}"


def _cell(cell: tuple[Order, int, float, int]) -> dict[str, list]:
    """Every seed's curves of one cell, three digits each."""
    torch.set_num_threads(1)
    runs = []
    for seed in SEEDS:
        *_, last = train(*cell, seed)
        runs.append(last)

    def short(values: Any) -> Any:
        return [short(v) for v in values] if isinstance(values, list) else float(f"{values:.3g}")

    return {
        name: [short(getattr(run, name).tolist()) for run in runs]
        for name in ("loss", "gradient", "update", "by_layer")
    }


def result() -> dict[str, Any]:
    """What `python -m core.training pre_post_norm` ships: every curve of every seed in every cell of the grid.

    Cells are computed side by side, each run for itself, so that a run made again alone gives the same curve.
    """
    found = {}
    with ProcessPoolExecutor() as pool:
        for i, (cell, curves) in enumerate(zip(CELLS, pool.map(_cell, CELLS), strict=True)):
            found[_name(*cell)] = curves
            print(f"\r{i + 1} of {len(CELLS)} cells", end="", file=sys.stderr)
    print(file=sys.stderr)
    return found


@remember
def trained(order: Order, depth: int, rate: float, warmup: int) -> tuple[Progress, ...]:
    """The shipped runs of one cell, one for each seed, as `train` would end with them. Do not change them."""
    curves = shipped("pre_post_norm")["result"][_name(order, depth, rate, warmup)]
    at = torch.tensor(SNAPSHOTS)
    return tuple(
        Progress(STEPS, at, *(torch.tensor(c) for c in run))
        for run in zip(*(curves[k] for k in ("loss", "gradient", "update", "by_layer")), strict=True)
    )


def final_losses(order: Order, depth: int, rate: float, warmup: int) -> Float[Tensor, " r"]:
    """The loss of each seed over the last ten steps of the shipped training, in nats."""
    return torch.stack([run.loss[-1] for run in trained(order, depth, rate, warmup)])


def learned(order: Order, depth: int, rate: float, warmup: int) -> int:
    """How many of the seeds have learned."""
    return int((final_losses(order, depth, rate, warmup) < LEARNED).sum())
