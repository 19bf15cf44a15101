"""What the factor 1/√d_k does to logits, weights and gradients, measured on random queries and keys."""

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.memory import remember
from core.ops.attention import Divisor, divide_by, logits, softmax, softmax_jacobian_norm

WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
DEAD = 0.01  # a row whose softmax Jacobian is smaller than this passes practically no gradient
Distribution = Literal["normal", "uniform", "rademacher", "shifted"]
SETS, QUERIES = 16, 64  # 16 independent sets of keys, 64 queries each: 1024 rows
LIMIT, BINS = 32.0, 64  # the logits that are counted lie within ±LIMIT; the others stay in the denominator
TOP = 12  # weights of a row that are kept, the largest first


def at(d_k: int) -> int:
    """The place of a width in WIDTHS."""
    return WIDTHS.index(d_k)


def draw(distribution: Distribution, *shape: int, generator: torch.Generator) -> Tensor:
    r"""Independent components: $N(0, 1)$, uniform on $[-1, 1]$, $\pm 1$, or $N(\tfrac12, 1)$."""
    if distribution == "uniform":
        return torch.rand(*shape, generator=generator) * 2 - 1
    if distribution == "rademacher":
        return torch.randint(0, 2, shape, generator=generator) * 2.0 - 1
    normal = torch.randn(*shape, generator=generator)
    return normal + 0.5 if distribution == "shifted" else normal


def dot_products(n_keys: int, distribution: Distribution, seed: int) -> Float[Tensor, "s q k"]:
    r"""$q \cdot k$ for every width in WIDTHS, from one draw: width 2 d_k adds components to width d_k.

    Shapes: → `[11, 1024, n_keys]`. The same components serve every width, so that moving the slider shows the
    effect of the width and not of another draw.
    """
    g = torch.Generator().manual_seed(seed)
    query = draw(distribution, SETS, QUERIES, WIDTHS[-1], generator=g)
    key = draw(distribution, SETS, n_keys, WIDTHS[-1], generator=g)
    edges = (0, *WIDTHS)
    steps = [query[..., a:b] @ key[..., a:b].mT for a, b in itertools.pairwise(edges)]
    return torch.stack(steps).cumsum(0).flatten(1, 2)


@dataclass(frozen=True, eq=False)
class Rows:
    """What one divisor makes of the same dot products, for every width: what is drawn of it, not the megabytes behind."""

    spread: Float[Tensor, " s"]  # standard deviation of the logits
    histogram: Float[Tensor, "s bins"]  # share of all logits per bin of [−LIMIT, LIMIT]
    typical: Float[Tensor, "s top"]  # the largest weights of the median row, the row whose favourite is the median one
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
        median = largest.argsort()[len(largest) // 2]
        counts = torch.histogram(scores, BINS, range=(-LIMIT, LIMIT)).hist
        each.append(
            (
                scores.std(),
                counts / scores.numel(),
                weights[median].sort(descending=True).values[:TOP],
                largest.mean(),
                softmax_jacobian_norm(weights),
            )
        )
    return Rows(*(torch.stack(values) for values in zip(*each, strict=True)))


@remember
def attention_map(divisor: Divisor, n: int, seed: int = 0) -> Float[Tensor, "s n n"]:
    """The weights of n queries and n keys for every width, and their favourites: the figure of the front door."""
    products = dot_products(n, "normal", seed)[:, :n].double()
    divisors = torch.tensor([divide_by(divisor, d_k) for d_k in WIDTHS])
    return softmax(products / divisors[:, None, None])


@dataclass(frozen=True, eq=False)
class Response:
    """How strongly the softmax answers, against the spread of its logits."""

    spread: Float[Tensor, " s"]
    mean: Float[Tensor, " s"]
    median: Float[Tensor, " s"]
    tenth: Float[Tensor, " s"]


@remember
def response(n_keys: int, seed: int = 0, rows: int = 1500) -> Response:
    r"""Quantiles over rows of $\lVert J \rVert_F$ for logits $\sigma z$, $z \sim N(0, 1)$, $\sigma = 0.06 \dots 32$."""
    z = torch.randn(rows, n_keys, generator=torch.Generator().manual_seed(seed)).double()
    spread = torch.logspace(-4, 5, 55, base=2.0, dtype=torch.float64)
    norm = torch.stack([softmax_jacobian_norm(softmax(s * z)) for s in spread])
    return Response(spread, norm.mean(-1), norm.median(-1).values, norm.quantile(0.1, dim=-1))


Init = Literal["multihead", "linear", "gpt2", "lecun"]


def initial_logit_variance(init: Init, seed: int, d_model: int = 768, n_heads: int = 12) -> float:
    r"""$\mathrm{Var}[s_{ij}]$ of freshly initialised heads on inputs of variance 1 per feature.

    `multihead` is nn.MultiheadAttention (Xavier on the packed 3d × d matrix), `linear` the default of nn.Linear,
    `gpt2` is $N(0, 0.02^2)$, `lecun` $N(0, 1/d)$. Theory: $(d\,\mathrm{Var}[w])^2$, that is 1/4, 1/9, 0.094, 1.
    """
    g = torch.Generator().manual_seed(seed)
    packed = torch.empty(3 * d_model, d_model)  # W_Q, W_K and W_V on top of each other, as torch stores them
    if init == "multihead":
        nn.init.xavier_uniform_(packed, generator=g)
    elif init == "linear":
        nn.init.kaiming_uniform_(packed, a=math.sqrt(5), generator=g)
    else:
        nn.init.normal_(packed, std=0.02 if init == "gpt2" else d_model**-0.5, generator=g)
    w_q, w_k, _ = packed.chunk(3)
    query, key = (
        (torch.randn(256, d_model, generator=g) @ w.mT).unflatten(-1, (n_heads, -1)).transpose(0, 1) for w in (w_q, w_k)
    )
    return float(logits(query, key).var())
