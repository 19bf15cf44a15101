"""Encoders with and without their skips learn to read eight tokens backwards, with a norm before every sublayer: trained,
their blocks deleted one by one, and the loss around them measured where both have the same loss.

The task is that of question 7: guessing evenly costs ln 16 nats, a trained model close to 0. Everything but the skips is the
same: data, first weights, optimiser, steps.
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
from core.ops.feedforward import feed_forward
from core.ops.positions import sinusoidal
from core.training.pre_post_norm import BATCH, BETAS, LEARNED, LENGTH, VOCABULARY, attend, norm_of
from core.training.shipped import shipped

Skips = Literal["both", "none", "feed-forward only", "attention only"]
SKIPS: tuple[Skips, ...] = ("both", "none", "feed-forward only", "attention only")
KEPT: dict[Skips, tuple[bool, bool]] = {  # around attention, around the feed-forward layer
    "both": (True, True),
    "none": (False, False),
    "feed-forward only": (False, True),
    "attention only": (True, False),
}
WIDTH, D_FF, RATE, STEPS = 32, 128, 0.001, 300
DEPTHS, SEEDS = (2, 4, 8, 16), (0, 1, 2, 3)
RATES = (0.0003, 0.001, 0.003)  # the others are tried without skips only
LONG, LONG_DEPTHS = 2000, (2, 4, 8)  # and so are so many steps
SNAPSHOTS = (1, 2, 3, 4, 5, 7, 10, 14, *range(20, STEPS + 1, 10))
ASKED = 64  # texts on which a trained model is asked


AROUND_DEPTHS, REACH, SIDE, LANCZOS = (2, 4, 8), 0.5, 21, 20

Weights = dict[str, Tensor]
Side = Literal[
    "none", "both", "ended"
]  # without skips; with both, at the same loss; with both, at the end of its training


@dataclass(frozen=True, eq=False)
class Progress:
    """One run so far, at each snapshot."""

    steps: int
    at: Int[Tensor, " t"]
    loss: Float[Tensor, " t"]  # nats, the mean since the snapshot before
    first: Float[Tensor, " t"]  # norm of the gradient of the first block's weights
    last: Float[Tensor, " t"]  # and of the last one's

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return int(self.at[-1]) / self.steps


def first_weights(depth: int, seed: int) -> Weights:
    """As torch starts its encoder layers: W_Q, W_K, W_V Xavier as one matrix, the others U(±1/√d_in); no biases, no gains.

    Those of a layer are stacked: `[depth, rows, columns]`. In float64, since training amplifies rounding.
    """
    g = torch.Generator().manual_seed(seed)
    d, f = WIDTH, D_FF

    def uniform(bound: float, *shape: int) -> Tensor:
        return (torch.rand(*shape, generator=g) * 2 - 1) * bound

    weights = {
        "embed": torch.randn(VOCABULARY, d, generator=g),
        "head": uniform(1 / math.sqrt(d), d, VOCABULARY),
        "qkv": uniform(math.sqrt(6 / (d + 3 * d)), depth, d, 3 * d),
        "out": uniform(1 / math.sqrt(d), depth, d, d),
        "up": uniform(1 / math.sqrt(d), depth, d, f),
        "down": uniform(1 / math.sqrt(f), depth, f, d),
    }
    return {name: weight.double().requires_grad_() for name, weight in weights.items()}


PER_LAYER = ("qkv", "out", "up", "down")


def norm(x: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
    """torch's, since it is one operation instead of five."""
    return F.layer_norm(x, x.shape[-1:])


def encode(
    weights: Weights,
    tokens: Int[Tensor, "b n"],
    skips: Skips,
    without: int | None = None,
    hear: Callable[[Tensor], None] | None = None,
) -> Float[Tensor, "b n c"]:
    r"""The logits of an encoder: $x \leftarrow s\,x + F(\mathrm{LN}(x))$ with s = 1 where there is a skip, else 0; a last norm.

    The block `without` is left out: what enters it leaves it. `hear` gets what leaves each block.
    """
    around_attention, around_feed_forward = KEPT[skips]
    x = weights["embed"][tokens] + sinusoidal(tokens.shape[-1], WIDTH)
    # Taken apart once: an index into a stack would cost a whole stack of zeros in the backward pass.
    for i, (qkv, out, up, down) in enumerate(zip(*(weights[name].unbind() for name in PER_LAYER), strict=True)):
        if i == without:
            continue
        branch = attend(qkv, out)(norm(x))
        x = x + branch if around_attention else branch
        branch = feed_forward(norm(x), up, down)
        x = x + branch if around_feed_forward else branch
        if hear is not None:
            hear(x)
    return norm(x) @ weights["head"]


def texts(generator: torch.Generator, many: int = BATCH) -> Int[Tensor, "b n"]:
    return torch.randint(0, VOCABULARY, (many, LENGTH), generator=generator)


def asked() -> Int[Tensor, "b n"]:
    """Texts that no run has been trained on, but by chance."""
    return texts(torch.Generator().manual_seed(99), ASKED)


def loss_of(logits: Float[Tensor, "b n c"], tokens: Int[Tensor, "b n"]) -> Tensor:
    """Cross-entropy of the tokens in reverse, nats."""
    return F.cross_entropy(logits.flatten(0, 1), tokens.flip(-1).flatten())


def steps_of(
    skips: Skips, depth: int, rate: float, seed: int, steps: int = STEPS
) -> Iterator[tuple[int, float, Weights]]:
    """Adam (β = 0.9, 0.98) on fresh batches of 32 texts; after each step its number, its loss and the weights with the
    gradients by which they moved."""
    weights = first_weights(depth, seed)
    optimiser = torch.optim.Adam(list(weights.values()), lr=rate, betas=BETAS, fused=True)
    data = torch.Generator().manual_seed(10_000 + seed)
    for step in range(1, steps + 1):
        tokens = texts(data)
        loss = loss_of(encode(weights, tokens, skips), tokens)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield step, loss.item(), weights


def train(skips: Skips, depth: int, rate: float, seed: int, steps: int = STEPS) -> Iterator[Progress]:
    """Yields at each of SNAPSHOTS."""
    for progress, _ in _train(skips, depth, rate, seed, steps):
        yield progress


def _train(skips: Skips, depth: int, rate: float, seed: int, steps: int) -> Iterator[tuple[Progress, Weights]]:
    losses: list[float] = []
    kept: list[tuple[float, ...]] = []
    for step, loss, weights in steps_of(skips, depth, rate, seed, steps):
        losses.append(loss)
        if step not in SNAPSHOTS and step != steps:
            continue
        gradients = [weights[name].grad for name in PER_LAYER]
        ends = (norm_of([g[end] for g in gradients if g is not None]) for end in (0, -1))
        kept.append((step, sum(losses) / len(losses), *ends))
        losses.clear()
        yield Progress(steps, *(torch.tensor(each) for each in zip(*kept, strict=True))), weights


# ------------------------------------------------------------------------------------------------ what is left of a lesion


def accuracy(weights: Weights, skips: Skips, without: int | None = None) -> float:
    """The share of tokens that come out right, with one block left out."""
    tokens = asked()
    with torch.no_grad():
        return float((encode(weights, tokens, skips, without).argmax(-1) == tokens.flip(-1)).double().mean())


# ------------------------------------------------------------------------------------------------ the loss around a point


def filter_norms(weights: Weights) -> Weights:
    """The length of the filter that each weight belongs to: a column of a matrix, which makes one number of the next
    vector; of the embedding, a row, which is one token's."""
    return {
        name: w.detach().norm(dim=-1 if name == "embed" else -2, keepdim=True).expand_as(w)
        for name, w in weights.items()
    }


def direction(weights: Weights, generator: torch.Generator) -> Weights:
    r"""$d_{ij} \leftarrow \frac{d_{ij}}{\lVert d_{ij} \rVert} \lVert w_{ij} \rVert$: a random direction, every filter as long as the weights' own

    Li et al. 2018, filter-wise normalization, arXiv 1712.09913
    """
    drawn = {name: torch.randn(w.shape, generator=generator, dtype=w.dtype) for name, w in weights.items()}
    own, long = filter_norms(drawn), filter_norms(weights)
    return {name: d / own[name] * long[name] for name, d in drawn.items()}


def moved(weights: Weights, *by: tuple[float, Weights]) -> Weights:
    """The weights, so far along each direction."""
    return {name: w.detach() + sum(far * d[name] for far, d in by) for name, w in weights.items()}


def loss_at(weights: Weights, skips: Skips) -> float:
    """Its loss on the texts that it was not trained on."""
    tokens = asked()
    with torch.no_grad():
        return float(loss_of(encode(weights, tokens, skips), tokens))


def surface(weights: Weights, skips: Skips, seed: int) -> Float[Tensor, "s s"]:
    """The loss on a grid around the weights along two random directions, from −REACH to +REACH."""
    g = torch.Generator().manual_seed(seed)
    one, two = direction(weights, g), direction(weights, g)
    along = torch.linspace(-REACH, REACH, SIDE, dtype=torch.float64).tolist()
    return torch.tensor([[loss_at(moved(weights, (a, one), (b, two)), skips) for b in along] for a in along])


def extremes(weights: Weights, skips: Skips, seed: int, scaled: bool) -> tuple[float, float]:
    r"""The largest and the smallest eigenvalue of the Hessian $H$ of the loss; `scaled`, of $D H D$

    D is diagonal: each weight's filter norm, divided by √(the filter's length), so that the identity would be a nudge of
    every weight by its filter's root mean square. By 20 steps of Lanczos from a random vector; a product with H is the
    difference of two gradients, in float64.
    """
    names, tokens = list(weights), asked()
    sizes = [weights[name].numel() for name in names]
    start = torch.cat([weights[name].detach().flatten() for name in names])
    scale = torch.ones_like(start)
    if scaled:
        rms = filter_norms(weights)
        scale = torch.cat([(rms[n] / math.sqrt(weights[n].shape[-1 if n == "embed" else -2])).flatten() for n in names])

    def gradient(at: Tensor) -> Tensor:
        parts = {n: p.reshape(weights[n].shape).requires_grad_() for n, p in zip(names, at.split(sizes), strict=True)}
        return torch.cat(
            [
                g.flatten()
                for g in torch.autograd.grad(loss_of(encode(parts, tokens, skips), tokens), list(parts.values()))
            ]
        )

    def product_with(v: Tensor) -> Tensor:
        step = 1e-5 / float((scale * v).norm()) * float(start.norm())
        return scale * (gradient(start + step * scale * v) - gradient(start - step * scale * v)) / (2 * step)

    v = torch.randn(len(start), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    basis, alphas, betas = [v / v.norm()], [], []
    for _ in range(LANCZOS):
        w = product_with(basis[-1])
        alphas.append(float(w @ basis[-1]))
        for b in basis:  # against all, for rounding brings the earlier ones back
            w = w - (w @ b) * b
        betas.append(float(w.norm()))
        basis.append(w / betas[-1])
    t = (
        torch.diag(torch.tensor(alphas))
        + torch.diag(torch.tensor(betas[:-1]), 1)
        + torch.diag(torch.tensor(betas[:-1]), -1)
    )
    values = torch.linalg.eigvalsh(t.double())
    return float(values[-1]), float(values[0])


def passing(depth: int, seed: int, loss: float) -> tuple[float, Weights]:
    """The weights with both skips at the moment when their training passes a loss: on the straight line of the step that
    passes it, found by halving. And at which step that is."""
    before = {name: w.detach().clone() for name, w in first_weights(depth, seed).items()}
    for step, _, weights in steps_of("both", depth, RATE, seed):
        after = {name: w.detach().clone() for name, w in weights.items()}
        if loss_at(after, "both") < loss:
            low, high, way = 0.0, 1.0, {name: after[name] - before[name] for name in after}
            for _ in range(30):
                middle = (low + high) / 2
                low, high = (low, middle) if loss_at(moved(before, (middle, way)), "both") < loss else (middle, high)
            return step - 1 + high, moved(before, (high, way))
        before = after
    raise ValueError(f"{depth} layers with skips, seed {seed}, never reach {loss:.3f} nats.")


# ------------------------------------------------------------------------------------------------ what is shipped

PART_DEPTHS = (4, 8)  # of the models that lack one of the two skips
# Without skips every rate is tried, so that nobody can say that they only had the wrong one.
CELLS: tuple[tuple[Skips, int, float], ...] = (
    *((skips, depth, RATE) for skips in SKIPS[:2] for depth in DEPTHS),
    *((skips, depth, RATE) for skips in SKIPS[2:] for depth in PART_DEPTHS),
    *(("none", depth, rate) for rate in RATES if rate != RATE for depth in DEPTHS),
)
PLACES = tuple(product(AROUND_DEPTHS, SEEDS))


def _name(*cell: Any) -> str:
    return "/".join(map(str, cell))


def _short(values: Any) -> Any:
    """Four digits of each number."""
    if isinstance(values, dict):
        return {name: _short(v) for name, v in values.items()}
    return [_short(v) for v in values] if isinstance(values, list | tuple) else float(f"{values:.4g}")


def _cell(cell: tuple[Skips, int, float]) -> dict[str, list]:
    """Every seed's run of one cell: its curves, its accuracy, and that without each of its blocks."""
    torch.set_num_threads(1)
    found: dict[str, list] = {name: [] for name in ("loss", "first", "last", "accuracy", "lesions")}
    for seed in SEEDS:
        *_, (run, weights) = _train(*cell, seed, STEPS)
        for name in ("loss", "first", "last"):
            found[name].append(getattr(run, name).tolist())
        found["accuracy"].append(accuracy(weights, cell[0]))
        found["lesions"].append([accuracy(weights, cell[0], i) for i in range(cell[1])])
    return _short(found)


def _long(depth: int) -> list[list[float]]:
    """The loss of every seed without skips over many more steps, the mean of each hundred."""
    torch.set_num_threads(1)
    runs = [[loss for _, loss, _ in steps_of("none", depth, RATE, seed, LONG)] for seed in SEEDS]
    return _short(torch.tensor(runs).reshape(len(SEEDS), -1, 100).mean(-1).tolist())


def _around(place: tuple[int, int]) -> dict[str, Any]:
    """The loss around a run without skips at its end, around one with both when it passes the same loss, and at its end."""
    torch.set_num_threads(1)
    depth, seed = place
    *_, (_, _, bare) = steps_of("none", depth, RATE, seed)
    bare = {name: w.detach() for name, w in bare.items()}
    loss = loss_at(bare, "none")
    step, with_both = passing(depth, seed, loss)
    *_, (_, _, ended) = steps_of("both", depth, RATE, seed)
    sides: dict[Side, tuple[Skips, Weights]] = {
        "none": ("none", bare),
        "both": ("both", with_both),
        "ended": ("both", {name: w.detach() for name, w in ended.items()}),
    }
    found: dict[str, Any] = {"step": step, "loss": {}, "surface": {}, "hessian": {}, "scaled": {}}
    for side, (skips, weights) in sides.items():
        found["loss"][side] = loss_at(weights, skips)
        found["surface"][side] = surface(weights, skips, seed).tolist()
        found["hessian"][side] = extremes(weights, skips, seed, False)
        found["scaled"][side] = extremes(weights, skips, seed, True)
    return _short(found)


def result() -> dict[str, Any]:
    """What `python -m core.training residuals` ships: every curve and every lesion of every seed, and the loss around them.

    Cells are computed side by side, each run for itself, so that a run made again alone gives the same curve.
    """
    jobs: dict[str, tuple[Callable[[Any], Any], tuple[Any, ...]]] = {
        "runs": (_cell, CELLS),
        "around": (_around, PLACES),
        "long": (_long, LONG_DEPTHS),
    }
    found: dict[str, Any] = {}
    with ProcessPoolExecutor() as pool:
        coming = {name: pool.map(job, over) for name, (job, over) in jobs.items()}
        for name, results in coming.items():
            over = jobs[name][1]
            found[name] = {}
            for i, (place, measured) in enumerate(zip(over, results, strict=True), 1):
                found[name][_name(*place) if isinstance(place, tuple) else str(place)] = measured
                print(f"\r{name}: {i} of {len(over)}  ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


# ------------------------------------------------------------------------------------------------ and how it is read


@remember
def runs(skips: Skips, depth: int, rate: float = RATE) -> dict[str, Any]:
    """What is shipped of one cell, a row for each seed: curves at SNAPSHOTS, accuracies, and those without one block."""
    curves = shipped("residuals")["result"]["runs"][_name(skips, depth, rate)]
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in curves.items()}


@remember
def trained(skips: Skips, depth: int, rate: float, seed: int) -> Progress:
    """A shipped run, as `train` would end with it. Do not change it."""
    one, row = runs(skips, depth, rate), SEEDS.index(seed)
    return Progress(STEPS, torch.tensor(SNAPSHOTS), *(one[name][row] for name in ("loss", "first", "last")))


def final_losses(skips: Skips, depth: int, rate: float = RATE) -> Float[Tensor, " r"]:
    """The loss of each seed over the last ten steps of the shipped training, in nats."""
    return runs(skips, depth, rate)["loss"][:, -1]


def learned(skips: Skips, depth: int, rate: float = RATE) -> int:
    """How many of the seeds have learned."""
    return int((final_losses(skips, depth, rate) < LEARNED).sum())


@dataclass(frozen=True, eq=False)
class Around:
    """The loss around three models of one depth and seed."""

    step: float  # at which the model with skips passes the other's loss
    loss: dict[Side, float]
    surface: dict[Side, Float[Tensor, "s s"]]
    hessian: dict[Side, tuple[float, float]]  # largest and smallest eigenvalue
    scaled: dict[Side, tuple[float, float]]  # in units of each filter's size


@remember
def around(depth: int, seed: int) -> Around:
    """What is shipped of the loss around the models."""
    found = shipped("residuals")["result"]["around"][_name(depth, seed)]
    return Around(
        found["step"],
        found["loss"],
        {side: torch.tensor(z) for side, z in found["surface"].items()},
        {side: tuple(each) for side, each in found["hessian"].items()},
        {side: tuple(each) for side, each in found["scaled"].items()},
    )


@remember
def long_losses(depth: int) -> Float[Tensor, "r t"]:
    """The loss of every seed without skips over LONG steps, the mean of each hundred."""
    return torch.tensor(shipped("residuals")["result"]["long"][str(depth)])
