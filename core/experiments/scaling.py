"""What the factor 1/√d_k does to logits, weights, gradients and steps, measured on random queries and keys."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.memory import remember
from core.ops.adam import adam_step
from core.ops.attention import Divisor, attention, divide_by, logits, softmax, softmax_jacobian_norm
from core.training import retrieval

WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
DEAD = 0.01  # a row whose softmax Jacobian is smaller than this passes practically no gradient
Distribution = Literal["normal", "uniform", "rademacher", "shifted"]
SETS, QUERIES = 8, 64  # 8 independent sets of keys, 64 queries each: 512 rows
LIMIT, BINS = 32.0, 128  # the logits that are counted lie within ±LIMIT; the others stay in the denominator
TOP = 12  # weights of a row that are kept, the largest first


def at(d_k: int) -> int:
    """The place of a width in WIDTHS."""
    return WIDTHS.index(d_k)


def draw(distribution: Distribution, *shape: int, generator: torch.Generator) -> Tensor:
    r"""Independent components: $N(0, 1)$, uniform on $[-1, 1]$, $\pm 1$, or $N(\tfrac12, 1)$."""
    if distribution == "uniform":
        return torch.rand(*shape, generator=generator).mul_(2).sub_(1)  # in place: the largest draw has 8 MB
    if distribution == "rademacher":
        return torch.randint(0, 2, shape, generator=generator, dtype=torch.float32).mul_(2).sub_(1)
    return torch.randn(*shape, generator=generator).add_(0.5 if distribution == "shifted" else 0.0)


def dot_products(n_keys: int, distribution: Distribution, seed: int) -> Iterator[Float[Tensor, "q k"]]:
    r"""$q \cdot k$ for one width of WIDTHS after another, from one draw: width 2 d_k adds components to width d_k.

    Shapes: 11 times `[512, n_keys]`, of which no more than one is held. The same components serve every width, so that
    moving the slider shows the effect of the width and not of another draw.
    """
    g = torch.Generator().manual_seed(seed)
    query = draw(distribution, SETS, QUERIES, WIDTHS[-1], generator=g)
    key = draw(distribution, SETS, n_keys, WIDTHS[-1], generator=g)
    products = torch.zeros(SETS, QUERIES, n_keys)
    for a, b in itertools.pairwise((0, *WIDTHS)):
        products = products + query[..., a:b] @ key[..., a:b].mT
        yield products.flatten(0, 1)


@dataclass(frozen=True, eq=False)
class Rows:
    """What one divisor makes of the same dot products, for every width: what is drawn of it, not the megabytes behind."""

    spread: Float[Tensor, " s"]  # standard deviation of the logits
    histogram: Float[
        Tensor, "s bins"
    ]  # share of all logits per bin of [−LIMIT, LIMIT]; of components with mean ½, from their mean
    typical: Float[Tensor, "s top"]  # a row's largest weights by rank, the mean over rows
    largest: Float[Tensor, " s"]  # the mean over rows of a row's largest weight
    jacobian: Float[Tensor, "s q"]  # ‖∂softmax/∂logits‖ of each row

    @property
    def dead(self) -> Float[Tensor, " s"]:
        """The share of rows that pass practically no gradient."""
        return (self.jacobian < DEAD).double().mean(-1)

    def quantile(self, q: float) -> Float[Tensor, " s"]:
        """A quantile over rows of the Jacobian's norm."""
        return self.jacobian.quantile(q, dim=-1)


@remember
def attend(divisor: Divisor, n_keys: int = 64, distribution: Distribution = "normal", seed: int = 0) -> Rows:
    """Divide, take the softmax, and measure how it would pass a gradient on; in float64, a width at a time."""
    each = []
    for d_k, products in zip(WIDTHS, dot_products(n_keys, distribution, seed), strict=True):
        scores = products.double() / divide_by(divisor, d_k)
        weights = softmax(scores)
        largest = weights.amax(-1)
        # From their mean: one number for all keys changes no weight.
        counts = torch.histogram(
            scores - scores.mean() if distribution == "shifted" else scores, BINS, range=(-LIMIT, LIMIT)
        ).hist
        each.append(
            (
                scores.std(),
                counts / scores.numel(),
                weights.topk(min(TOP, n_keys), dim=-1).values.mean(0),
                largest.mean(),
                softmax_jacobian_norm(weights),
            )
        )
    return Rows(*(torch.stack(values) for values in zip(*each, strict=True)))


@dataclass(frozen=True, eq=False)
class Response:
    """How strongly the softmax answers, against the spread of its logits."""

    spread: Float[Tensor, " s"]
    mean: Float[Tensor, " s"]
    median: Float[Tensor, " s"]
    tenth: Float[Tensor, " s"]


@remember
def response(n_keys: int, seed: int = 0, rows: int = 500) -> Response:
    r"""Quantiles over rows of $\lVert J \rVert_F$ for logits $\sigma z$, $z \sim N(0, 1)$, $\sigma = 0.06 \dots 32$."""
    z = torch.randn(rows, n_keys, generator=torch.Generator().manual_seed(seed)).double()
    spread = torch.logspace(-4, 5, 37, base=2.0, dtype=torch.float64)
    norm = torch.stack([softmax_jacobian_norm(softmax(s * z)) for s in spread])
    return Response(spread, norm.mean(-1), norm.median(-1).values, norm.quantile(0.1, dim=-1))


@dataclass(frozen=True, eq=False)
class Gradients:
    """What each row passes on: the norm of the gradient at its query, its keys and its values."""

    favourite: Float[Tensor, " q"]  # the row's largest weight
    query: Float[Tensor, " q"]
    key: Float[Tensor, " q"]
    value: Float[Tensor, " q"]


@remember
def gradients(divisor: Divisor, d_k: int = 64, n_keys: int = 64, rows: int = 256, seed: int = 0) -> Gradients:
    r"""$\lVert\partial \mathcal L/\partial q\rVert, \lVert\partial \mathcal L/\partial K\rVert, \lVert\partial \mathcal L/\partial V\rVert$ where the output's gradient has norm 1.

    By autograd, for independent rows with keys and values of their own, all $N(0, 1)$. The values' is $\lVert p \rVert$:
    what they get is dealt out by the weights, not by their derivative.
    """
    g = torch.Generator().manual_seed(seed)
    shapes = ((rows, 1, d_k), (rows, n_keys, d_k), (rows, n_keys, 8))
    query, key, value = (torch.randn(*s, generator=g).double().requires_grad_() for s in shapes)
    upstream = nn.functional.normalize(torch.randn(rows, 1, 8, generator=g).double(), dim=-1)
    output = attention(query, key, value, divisor=divisor)
    norms = (x.flatten(1).norm(dim=-1) for x in torch.autograd.grad(output, (query, key, value), upstream))
    with torch.no_grad():
        return Gradients(softmax(logits(query, key, divisor)).amax((-1, -2)), *norms)


Init = Literal["multihead", "linear", "gpt2", "lecun"]
TOKENS = 256


def initial_logit_variance(init: Init, seed: int, d_model: int = 768, n_heads: int = 12) -> float:
    r"""$\mathrm{Var}[s_{ij}]$ of freshly built heads on independent inputs of variance 1 per feature.

    `multihead` and `linear` are torch's own modules: nn.MultiheadAttention, which draws the packed 3d × d matrix of
    $W_Q, W_K, W_V$ by Xavier's rule, and two nn.Linear. `gpt2` is $N(0, 0.02^2)$, `lecun` $N(0, 1/d)$.
    Theory: $(d\,\mathrm{Var}[w])^2$, that is 1/4, 1/9, 0.094, 1; one draw is $\sqrt{8 / (256\,d)}$ of that off, from the 256
    queries and keys and from the heads' own components of each.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():  # modules draw from torch's global generator
        torch.manual_seed(seed)
        asks, is_asked = torch.randn(2, TOKENS, d_model)
        if init == "multihead":
            module = nn.MultiheadAttention(d_model, n_heads)
            packed = (nn.functional.linear(x, module.in_proj_weight, module.in_proj_bias) for x in (asks, is_asked))
            query, key = (x.chunk(3, -1)[part] for part, x in enumerate(packed))
        elif init == "linear":
            query, key = (nn.Linear(d_model, d_model)(x) for x in (asks, is_asked))
        else:
            std = 0.02 if init == "gpt2" else d_model**-0.5
            query, key = (x @ torch.randn(d_model, d_model) * std for x in (asks, is_asked))
        query, key = (x.unflatten(-1, (n_heads, -1)).transpose(0, 1) for x in (query, key))
        return float(logits(query, key).var())


MODEL_WIDTHS = (96, 192, 384, 768)


@remember
def initial_variances(init: Init, seed: int) -> Float[Tensor, " s"]:
    """That of every width in MODEL_WIDTHS, with twelve heads."""
    return torch.tensor([initial_logit_variance(init, seed, d_model) for d_model in MODEL_WIDTHS], dtype=torch.float64)


def first_step(folded: bool, optimiser: Literal["adam", "sgd"] = "adam", d_k: int = 64, seed: int = 0) -> float:
    r"""$\lVert \Delta(W_Q / \sqrt{d_k}) \rVert_F$: how far the first step moves what the logits see of $W_Q$.

    In the lesson's retrieval task, with the factor, or folded: $W_Q / \sqrt{d_k}$ is then the weight itself.
    """
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    root = math.sqrt(d_k)
    w_q, w_k = normal(d_k, d_k) / root, normal(d_k, d_k) / root
    x, value = normal(retrieval.BATCH, retrieval.KEYS, d_k), normal(retrieval.BATCH, retrieval.KEYS, retrieval.VALUE)
    w = torch.stack([w_q / root if folded else w_q, w_k]).requires_grad_()
    loss = retrieval.losses_of(w, x, value, torch.tensor(1.0 if folded else root, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(loss, w)
    zero = torch.zeros_like(gradient)
    moved = gradient if optimiser == "sgd" else adam_step(zero, gradient, zero, zero, step=1, lr=retrieval.RATE)[0]
    return float(moved[0].norm()) / (1.0 if folded else root)
