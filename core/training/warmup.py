"""Small language models of six layers learn a source of text whose entropy is known: with Post-Norm and with Pre-Norm, with a
warm-up of the learning rate and without.

The next token depends on the two before it. So a loss has a floor, the source's own entropy, and a plateau far above
it: the loss of a model that knows how frequent the eight tokens are and nothing of what stands before. Everything is counted
as excess: the model's cross-entropy minus the source's own on the same tokens. Weights, wiring and betas are those of question 7.
"""

import math
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.memory import remember
from core.ops import schedules
from core.ops.norms import Map, post_norm, pre_norm
from core.ops.positions import sinusoidal
from core.training import pre_post_norm as question_7
from core.training.pre_post_norm import BETAS, HEADS, PER_LAYER, WIDTH, learned_norm, learning_rate, norm_of, think
from core.training.shipped import shipped

Order = Literal["post", "pre"]
Optimiser = Literal["adam", "radam", "sgd"]
ORDERS: tuple[Order, ...] = ("post", "pre")
VOCABULARY, LENGTH, BATCH, DEPTH, STEPS = 8, 32, 16, 6, 500
RATES, WARMUP, SEEDS = (0.001, 0.002, 0.004, 0.008), 200, (0, 1, 2)
SNAPSHOTS = (1, 2, 3, 4, 5, 7, 10, 14, *range(20, STEPS + 1, 10))
STUCK = 0.67  # nats of excess: a run that ends above it is nearer to the plateau than to a model that reads one token
NEAR = 0.05  # nats: within it of the plateau, a run stands on it

Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Progress:
    """One run so far, at each snapshot."""

    steps: int
    at: Int[Tensor, " t"]
    excess: Float[Tensor, " t"]  # nats a token above the source's own, the mean since the snapshot before
    update: Float[Tensor, " t"]  # ‖step of all weights‖ ÷ ‖all weights‖

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return int(self.at[-1]) / self.steps


# ------------------------------------------------------------------------------------------------ the source


@remember
def source() -> Float[Tensor, "a b c"]:
    """The chance of each token c after the tokens a, b: softmax of 1.915 N(0, 1)."""
    drawn = torch.randn(VOCABULARY, VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(0))
    return (1.915 * drawn.double()).softmax(-1)


@remember
def pairs() -> Float[Tensor, "b c"]:
    """How frequent each pair of neighbours is in an endless text."""
    frequent = torch.full((VOCABULARY, VOCABULARY), VOCABULARY**-2.0, dtype=torch.float64)
    for _ in range(300):  # the chain forgets its beginning in far fewer steps
        frequent = torch.einsum("ab,abc->bc", frequent, source())
    return frequent


def entropy(p: Float[Tensor, "*b c"]) -> Float[Tensor, "*b"]:
    """Nats."""
    return -torch.xlogy(p, p).sum(-1)


def best() -> float:
    """What the source itself loses on the texts, nats a token: at the first prediction it knows one token, at the others two."""
    one = pairs().sum(1)
    first = (one * entropy(pairs() / one[:, None])).sum()
    others = (pairs() * entropy(source())).sum()
    return float(first + (LENGTH - 1) * others) / LENGTH


def plateau() -> float:
    """The excess of a model that knows the frequency of each token and nothing else."""
    return float(entropy(pairs().sum(0))) - best()


def one_token() -> float:
    """The excess of a model that reads the token before, and nothing else: a second plateau, lower down."""
    one = pairs().sum(1)
    return float((one * entropy(pairs() / one[:, None])).sum()) - best()


def texts(generator: torch.Generator, many: int = BATCH) -> Int[Tensor, "b n"]:
    """Texts of 32 tokens and one to be predicted, from the middle of an endless text."""
    first = torch.multinomial(pairs().flatten(), many, True, generator=generator)
    tokens = [first // VOCABULARY, first % VOCABULARY]
    draws = torch.rand(LENGTH - 1, many, 1, generator=generator, dtype=torch.float64)
    up_to = source().cumsum(-1)
    for draw in draws:
        tokens.append((draw > up_to[tokens[-2], tokens[-1], :-1]).sum(-1))
    return torch.stack(tokens, -1)


def own_loss(tokens: Int[Tensor, "b n"]) -> float:
    """What the source itself would lose, nats a token: the first prediction knows one token, the others two."""
    first = pairs()[tokens[:, 0], tokens[:, 1]] / pairs().sum(1)[tokens[:, 0]]
    others = source()[tokens[:, :-2], tokens[:, 1:-1], tokens[:, 2:]]
    return -float(torch.cat((first[:, None], others), -1).log().mean())


# ------------------------------------------------------------------------------------------------ the model


def first_weights(depth: int, seed: int) -> Weights:
    """Question 7's, with 8 of its 16 tokens."""
    weights = {name: weight.detach() for name, weight in question_7.first_weights(depth, seed).items()}
    weights |= {"embed": weights["embed"][:VOCABULARY], "head": weights["head"][:, :VOCABULARY]}
    return {name: weight.float().contiguous().requires_grad_() for name, weight in weights.items()}


def attend_back(qkv: Tensor, out: Tensor) -> Map:
    """Attention to what stands before."""

    def sublayer(x: Tensor) -> Tensor:
        q, k, v = (x @ qkv).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2) @ out

    return sublayer


def predict(weights: Weights, tokens: Int[Tensor, "b n"], order: Order) -> Float[Tensor, "b n c"]:
    """The logits of the next token; `post` and `pre` differ in one line (core/ops/norms.py), `pre` has one norm more."""
    wire = post_norm if order == "post" else pre_norm
    x = weights["embed"][tokens] + sinusoidal(tokens.shape[-1], WIDTH).float()
    # Taken apart once: an index into a stack would cost a whole stack of zeros in the backward pass.
    for qkv, out, up, up_bias, down, down_bias, gain, shift in zip(
        *(weights[name].unbind() for name in PER_LAYER), strict=True
    ):
        x = wire(x, attend_back(qkv, out), learned_norm(gain[0], shift[0]))
        x = wire(x, think(up, up_bias, down, down_bias), learned_norm(gain[1], shift[1]))
    if order == "pre":
        x = learned_norm(weights["final_gain"], weights["final_shift"])(x)
    return x @ weights["head"]


def optimisers() -> dict[Optimiser, Callable[[list[Tensor], float], torch.optim.Optimizer]]:
    """torch's."""
    return {
        "adam": lambda weights, rate: torch.optim.Adam(weights, lr=rate, betas=BETAS, fused=True),
        "radam": lambda weights, rate: torch.optim.RAdam(weights, lr=rate, betas=BETAS),
        "sgd": lambda weights, rate: torch.optim.SGD(weights, lr=rate, momentum=BETAS[0]),
    }


def train(
    order: Order,
    rate: float,
    warmup: int,
    seed: int,
    depth: int = DEPTH,
    optimiser: Optimiser = "adam",
    steps: int = STEPS,
    falls: bool = False,
) -> Iterator[Progress]:
    """Adam or RAdam (β = 0.9, 0.98) or SGD (momentum 0.9) on fresh batches of 16 texts; yields after each step, with one point more at
    each of SNAPSHOTS. After the warm-up the rate stays, or it falls in a straight line to 0 at the last step."""
    weights = first_weights(depth, seed)
    if order == "post":
        del weights["final_gain"], weights["final_shift"]
    moving = list(weights.values())
    by = optimisers()[optimiser](moving, rate)
    data = torch.Generator().manual_seed(10_000 + seed)
    losses: list[float] = []
    kept: list[tuple[float, ...]] = []
    so_far: list[Progress] = []
    for step in range(1, steps + 1):
        tokens = texts(data)
        loss = F.cross_entropy(predict(weights, tokens[:, :-1], order).flatten(0, 1), tokens[:, 1:].flatten())
        by.zero_grad()
        loss.backward()
        losses.append(loss.item() - own_loss(tokens))
        falling = rate * schedules.linear(step, warmup, steps) if falls else None
        by.param_groups[0]["lr"] = learning_rate(step, rate, warmup) if falling is None else falling
        if step not in SNAPSHOTS and step != steps:
            by.step()
            yield so_far[-1]  # nothing new to draw, but others get their turn
            continue
        before = [w.detach().clone() for w in moving]
        by.step()
        with torch.no_grad():
            moved = norm_of([w - b for w, b in zip(moving, before, strict=True)])
        kept.append((step, sum(losses) / len(losses), moved / norm_of(before)))
        losses.clear()
        so_far.append(Progress(steps, *(torch.tensor(each) for each in zip(*kept, strict=True))))
        yield so_far[-1]


@remember
def still_reads(order: Order, rate: float, warmup: int, seed: int, steps: int = 1) -> float:
    """The share of the logits that differs from place to place, and so can depend on what is read, after so many steps of Adam on the first batch: ‖z − mean over all
    places‖ ÷ ‖z‖, each place's logits z with mean 0. With 0 steps, at the beginning."""
    weights = first_weights(DEPTH, seed)
    if order == "post":
        del weights["final_gain"], weights["final_shift"]
    by = optimisers()["adam"](list(weights.values()), rate)
    tokens = texts(torch.Generator().manual_seed(10_000 + seed))
    for step in range(1, steps + 1):
        by.zero_grad()
        F.cross_entropy(predict(weights, tokens[:, :-1], order).flatten(0, 1), tokens[:, 1:].flatten()).backward()
        by.param_groups[0]["lr"] = learning_rate(step, rate, warmup)
        by.step()
    with torch.no_grad():
        z = predict(weights, tokens[:, :-1], order)
    z = z - z.mean(-1, keepdim=True)
    return float((z - z.mean((0, 1))).norm() / z.norm())


# ------------------------------------------------------------------------------------------------ what is shipped

Cell = tuple[Order, int, float, int, Optimiser]  # order, layers, learning rate, steps of warm-up, optimiser
HIGH = RATES[-1]
LENGTHS = (0, 25, 50, 100, 200)  # steps of warm-up that are tried at the highest rate
DEEP, DEEP_RATES = 12, (0.002, 0.004)
SGD_RATE = 0.3
RACE: tuple[Cell, ...] = tuple(
    (order, DEPTH, rate, warmup, "adam") for rate, order, warmup in product(RATES[::-1], ORDERS, (0, WARMUP))
)
MORE: tuple[Cell, ...] = (
    *(("post", DEPTH, HIGH, warmup, "adam") for warmup in LENGTHS[1:-1]),
    *(("post", DEPTH, rate, 0, "radam") for rate in RATES[:1:-1]),
    *(("post", DEPTH, SGD_RATE, warmup, "sgd") for warmup in (0, WARMUP)),
    *(("post", DEEP, rate, warmup, "adam") for rate, warmup in product(DEEP_RATES[::-1], (0, WARMUP))),
)
CELLS = RACE + MORE
FALLING: tuple[Cell, ...] = (  # with a rate that falls to 0: what the highest rate buys, and its warm-up with it
    ("post", DEPTH, HIGH, WARMUP, "adam"),
    *(("post", DEPTH, rate, 0, "adam") for rate in RATES[2:0:-1]),
)


def _name(cell: Cell, falls: bool = False) -> str:
    return "/".join(map(str, cell)) + "/falls" * falls


def _cell(cell: Cell, falls: bool = False) -> dict[str, list]:
    """Every seed's curves of one cell, four digits each."""
    torch.set_num_threads(1)
    order, depth, rate, warmup, optimiser = cell
    runs = []
    for seed in SEEDS:
        *_, last = train(order, rate, warmup, seed, depth, optimiser, falls=falls)
        runs.append(last)
    return {name: [_short(getattr(run, name)) for run in runs] for name in ("excess", "update")}


def _short(values: Float[Tensor, " t"]) -> list[float | None]:
    """Four digits of each number; null where it is none, as JSON has it."""
    return [float(f"{v:.4g}") if math.isfinite(v) else None for v in values.tolist()]


def _long(values: list[float | None]) -> Float[Tensor, " t"]:
    return torch.tensor([math.nan if v is None else v for v in values])


def result() -> dict[str, Any]:
    """What `python -m core.training warmup` ships: every curve of every seed in every cell.

    Cells are computed side by side, each run for itself, so that a run made again alone gives the same curve.
    """
    found = {}
    with ProcessPoolExecutor() as pool:
        kinds = [(cell, False) for cell in CELLS] + [(cell, True) for cell in FALLING]
        for i, (kind, curves) in enumerate(zip(kinds, pool.map(_cell, *zip(*kinds, strict=True)), strict=True), 1):
            found[_name(*kind)] = curves
            print(f"\r{i} of {len(kinds)} cells", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


# ------------------------------------------------------------------------------------------------ and how it is read


@remember
def trained(
    order: Order, rate: float, warmup: int, depth: int = DEPTH, optimiser: Optimiser = "adam", falls: bool = False
) -> tuple[Progress, ...]:
    """The shipped runs of one cell, one for each seed, as `train` would end with them. Do not change them."""
    curves = shipped("warmup")["result"][_name((order, depth, rate, warmup, optimiser), falls)]
    at = torch.tensor(SNAPSHOTS)
    return tuple(Progress(STEPS, at, *map(_long, run)) for run in zip(curves["excess"], curves["update"], strict=True))


def level(run: Progress, step: int = STEPS) -> float:
    """The mean excess of a run over the fifty steps that end at `step`, a snapshot; nats."""
    covered = run.at.diff(prepend=torch.zeros(1, dtype=run.at.dtype))
    window = (run.at > step - 50) & (run.at <= step)
    return float((run.excess * covered)[window].sum() / covered[window].sum())


def ends(
    order: Order,
    rate: float,
    warmup: int,
    depth: int = DEPTH,
    optimiser: Optimiser = "adam",
    step: int = STEPS,
    falls: bool = False,
) -> Float[Tensor, " r"]:
    """Where each seed of the shipped training stood at a step: the mean excess over fifty steps, nats."""
    return torch.tensor([level(run, step) for run in trained(order, rate, warmup, depth, optimiser, falls)])


def stuck(order: Order, rate: float, warmup: int, depth: int = DEPTH, optimiser: Optimiser = "adam") -> int:
    """How many of the seeds end near the plateau."""
    return int((ends(order, rate, warmup, depth, optimiser) > STUCK).sum())


def on_plateau(excess: Float[Tensor, " r"]) -> int:
    """How many runs stand within `NEAR` of the plateau; the level of who reads one token is not near it."""
    return int(((excess - plateau()).abs() < NEAR).sum())


def lost(order: Order, rate: float, warmup: int, depth: int = DEPTH, optimiser: Optimiser = "adam") -> int:
    """How many of the seeds end with a loss that is not a number."""
    return int(ends(order, rate, warmup, depth, optimiser).isnan().sum())
