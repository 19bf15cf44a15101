"""What one head cannot bring and two can; what heads cost; the rank of a head; and a projection that is split, rightly and wrongly."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.memory import remember
from core.models import MatrixProducts
from core.ops.attention import attention, logits, softmax
from core.ops.heads import merge_heads, multi_head, split_heads, sum_of_heads

# ------------------------------------------------------------------------------------------------ fetch-two

STOPS = tuple(round(0.05 * i, 2) for i in range(21))  # a head's weight on u; v gets the rest
DRAWS = 128


@remember
def unrelated(features: int, draws: int = DRAWS, seed: int = 3) -> Float[Tensor, "m 2 c"]:
    r"""Draws of $u, v \in \mathbb R^c$ with variance 1 and no correlation, exactly: $N(0, 1)$, made orthogonal by QR.

    Plain draws are uncorrelated on average only; with these the errors of all weights add up to the same number.
    """
    g = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(draws, 2 * features, generator=g, dtype=torch.float64))
    return (q * draws**0.5).unflatten(-1, (2, features))


def bring(weights: Float[Tensor, "s h 2"], values: Float[Tensor, "m 2 c"]) -> Float[Tensor, "s h m c"]:
    """What heads with these weights return for each draw: the softmax of their logarithms, times the values."""
    # With d_k = 1 and a query of 1, a key is its logit. Many draws share the weights, which are found once.
    query, key = torch.ones(*weights.shape[:2], 1, 1, dtype=torch.float64), weights.log()[..., None]
    each = values.transpose(0, 1)
    return (softmax(logits(query, key)).squeeze(-2) @ each.flatten(1)).unflatten(-1, each.shape[1:])


@dataclass(frozen=True, eq=False)
class Fetched:
    """What one and two heads lose of u and v: mean squared errors of the best linear read-out, 1 = knowing nothing."""

    one: Float[Tensor, "s 2"]
    two: Float[Tensor, "s 2"]
    read_one: Float[Tensor, "s 2 1"]  # the read-out: u and v from what the head brought
    read_two: Float[Tensor, "s 2 2"]  # from what both brought: W_O


def read_out(weights: Float[Tensor, "s h 2"], values: Float[Tensor, "m 2 c"]) -> tuple[Tensor, Tensor]:
    """The best linear read-out of u and v from what the heads bring, by least squares, and its errors: `[s, 2, h]` and `[s, 2]`.

    Features of a value are alike and unrelated, so that one read-out serves them all. Alike heads share it evenly.
    """
    brought = bring(weights, values).flatten(2)  # every feature of every draw
    wanted = values.transpose(0, 1).flatten(1)
    # Alike heads have no inverse, and rounding hides it: see `lost` for the bound.
    gram = torch.linalg.pinv(brought @ brought.mT, rtol=1e-10, hermitian=True)
    matrix = (wanted @ brought.mT) @ gram
    return matrix, (matrix @ brought - wanted).square().mean(-1)


@remember
def fetch_two(second: float = 1.0, features: int = 1) -> Fetched:
    """For every weight of STOPS: one head with that weight on u; and beside it a second one with the weight `second`."""
    values = unrelated(features)
    w = torch.tensor([(stop, second) for stop in STOPS], dtype=torch.float64)
    rows = torch.stack([w, 1 - w], -1)
    (read_one, one), (read_two, two) = read_out(rows[:, :1], values), read_out(rows, values)
    return Fetched(one, two, read_one, read_two)


@remember
def through_w_o(own_features: bool = False, features: int = 16) -> Float[Tensor, "s 2"]:
    """What one head loses of u and v for every weight of STOPS, where each feature is read out of all of them, as by W_O.

    With `own_features`, u fills the first half of them and v the second. Errors are shares of a value's squares.
    """
    values = unrelated(features).clone()
    if own_features:
        values[:, 0, features // 2 :] = 0
        values[:, 1, : features // 2] = 0
    w = torch.tensor(STOPS, dtype=torch.float64)
    brought = bring(torch.stack([w, 1 - w], -1)[:, None], values)[:, 0]
    wanted = values.transpose(0, 1)  # [2, m, c]
    # At w = 0 and 1 a half may be 0, or of rounding's size: it must not be inverted.
    fitted = (brought @ torch.linalg.pinv(brought, rtol=1e-10))[:, None] @ wanted
    return (fitted - wanted).square().sum((-1, -2)) / wanted.square().sum((-1, -2))


def in_steps(layers: int) -> Float[Tensor, " 2"]:
    """The errors in u and v of layers with one head each: the first brings u, the second v, each into its own feature.

    A token is [value, place of u, place of v, u brought, v brought]; a layer adds what its head returns to the token that asks.
    """
    u, v = unrelated(1)[:, :, 0].unbind(1)
    zero, one = torch.zeros_like(u), torch.ones_like(u)
    keys = torch.stack([torch.stack([u, one, zero, zero, zero], -1), torch.stack([v, zero, one, zero, zero], -1)], 1)
    asks = torch.zeros(len(u), 1, 5, dtype=torch.float64)
    for layer in range(layers):
        place, slot = 1 + layer, 3 + layer
        query = torch.full((len(u), 1, 1), 1e3, dtype=torch.float64)
        key = keys[..., place : place + 1]  # all the weight on that place
        value = torch.zeros_like(keys)
        value[..., slot] = keys[..., 0]
        asks = asks + attention(query, key, value)
    return (asks[:, 0, 3:] - torch.stack([u, v], -1)).square().mean(0)


# ------------------------------------------------------------------------------------------------ what heads cost

D_MODEL, CONTEXT = 512, 64
COUNTS = (1, 2, 4, 8, 16, 32, 64)
Sharing = Literal["own", "grouped", "one"]


@dataclass(frozen=True)
class Cost:
    """One attention layer of width 512 in float32: counted on real modules and tensors."""

    parameters: int
    flops: int
    score_bytes: int  # of the weights of one text
    cache_bytes: int  # of keys and values, for each token


def kv_heads(n_heads: int, sharing: Sharing) -> int:
    """A key head for each query head, for every four of them, or one for all.

    >>> [kv_heads(h, s) for h in (2, 8) for s in ("own", "grouped", "one")]
    [2, 1, 1, 8, 2, 1]
    """
    return {"own": n_heads, "grouped": max(1, n_heads // 4), "one": 1}[sharing]


@remember
def cost(n_heads: int, sharing: Sharing = "own", wide: bool = False) -> Cost:
    """Parameters and weights of `nn.MultiheadAttention`, which is built and run over 64 tokens; the FLOPs of `multi_head`.

    Torch's own FLOP counter finds the same in the module (tests/test_multi_head.py), but loads for a second. With fewer key
    and value heads, which the module does not know, all is counted on `multi_head`, with the biases that the module has.
    So are `wide` heads: each as wide as the model, as many imagine it.
    """
    d_k, g = D_MODEL if wide else D_MODEL // n_heads, kv_heads(n_heads, sharing)
    x = torch.zeros(1, CONTEXT, D_MODEL)
    w_q, w_o = torch.zeros(D_MODEL, n_heads * d_k), torch.zeros(n_heads * d_k, D_MODEL)
    w_k = w_v = torch.zeros(D_MODEL, g * d_k)
    with torch.no_grad(), MatrixProducts() as made:
        multi_head(x, w_q, w_k, w_v, w_o, n_heads)
    parameters = sum(w.numel() + w.shape[-1] for w in (w_q, w_k, w_v, w_o))
    weights = torch.empty(1, n_heads, CONTEXT, CONTEXT)
    if g == n_heads and not wide:
        with torch.random.fork_rng(devices=[]), torch.no_grad():  # the module draws from torch's global generator
            module = nn.MultiheadAttention(D_MODEL, n_heads, batch_first=True)
            weights = module(x, x, x, average_attn_weights=False)[1]
        parameters = sum(p.numel() for p in module.parameters())
    key = torch.empty(g, d_k)
    return Cost(parameters, made.flops, weights.nbytes, 2 * key.nbytes)


# ------------------------------------------------------------------------------------------------ the rank of a head

KEYS, HEAD_WIDTHS = 64, (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, eq=False)
class Spectra:
    """Singular values of one head's logits and weights over 64 tokens, the largest first, each as a share of the first."""

    logits: Float[Tensor, " k"]
    weights: Float[Tensor, " k"]

    def rank(self, which: Literal["logits", "weights"]) -> int:
        """How many are more than rounding: as torch.linalg.matrix_rank, above 64 times the machine's ε."""
        values = getattr(self, which)
        return int((values > KEYS * torch.finfo(torch.float64).eps).sum())


@remember
def spectra(d_k: int, seed: int = 0) -> Spectra:
    """Of queries and keys N(0, 1), as wide as d_k says."""
    g = torch.Generator().manual_seed(seed)
    query, key = (torch.randn(KEYS, d_k, generator=g, dtype=torch.float64) for _ in "qk")
    scores = logits(query, key)
    values = [torch.linalg.svdvals(m) for m in (scores, softmax(scores))]
    return Spectra(*(s / s[0] for s in values))


@remember
def out_of_reach(seed: int = 0) -> Float[Tensor, " k"]:
    r"""The share of a random pattern's log-odds that heads of width 0, 1, … 64 cannot hold: $\sum_{i > d_k} \sigma_i^2 / \sum_i \sigma_i^2$

    The pattern gives 64 queries 64 keys each, with logits N(0, 1). A softmax ignores what is added to a row, so rows are
    centred first; then no matrix of rank d_k comes nearer than the first d_k singular vectors (Eckart and Young 1936).
    """
    g = torch.Generator().manual_seed(100 + seed)
    pattern = torch.randn(KEYS, KEYS, generator=g, dtype=torch.float64)
    squares = torch.linalg.svdvals(pattern - pattern.mean(-1, keepdim=True)).square()
    left = squares.flip(0).cumsum(0).flip(0)
    return torch.cat([left, torch.zeros(1, dtype=torch.float64)]) / left[0]


def favourites(d_k: int, queries: int = 4096, seed: int = 0) -> int:
    """How many of 64 random keys are the favourite of at least one of so many random queries."""
    g = torch.Generator().manual_seed(seed)
    key = torch.randn(KEYS, d_k, generator=g, dtype=torch.float64)
    query = torch.randn(queries, d_k, generator=g, dtype=torch.float64)
    return int(logits(query, key).argmax(-1).unique().numel())


# ------------------------------------------------------------------------------------------------ a projection that is split

TOKENS, WIDTH = 8, 16
SPLITS = (1, 2, 4, 8)
Code = Literal["right", "view", "merge", "d_model"]


def wrong_split(x: Float[Tensor, "n d"], n_heads: int) -> Float[Tensor, "h n d_k"]:
    """`view(h, n, d_k)`: the right shape, and rows of other tokens."""
    return x.reshape(n_heads, len(x), -1)


def wrong_merge(x: Float[Tensor, "h n d_k"]) -> Float[Tensor, "n d"]:
    """`view(n, d)` without exchanging the axes first."""
    return x.reshape(x.shape[1], -1)


@dataclass(frozen=True, eq=False)
class Split:
    """One way to write the code: how wrong its output is, and which token's numbers stand where a token's row should be."""

    error: float  # ‖output − that of nn.MultiheadAttention‖ ÷ ‖that‖
    origin: Float[Tensor, "n c"]  # in the first head, or in the merged matrix


@remember
def written(code: Code, n_heads: int, seed: int = 0) -> Split:
    """Attention over 8 tokens of width 16 with that code, in float64, against torch's module with the same weights."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():  # the module draws from torch's global generator
        torch.manual_seed(seed)
        module = nn.MultiheadAttention(WIDTH, n_heads, bias=False, batch_first=True, dtype=torch.float64)
        x = torch.randn(1, TOKENS, WIDTH, dtype=torch.float64)
        expected = module(x, x, x)[0][0]
        split = functools.partial(wrong_split if code == "view" else split_heads, n_heads=n_heads)
        merge: Callable[[Tensor], Tensor] = wrong_merge if code == "merge" else merge_heads
        query, key, value = (split(x[0] @ w.T) for w in module.in_proj_weight.chunk(3))
        if code == "d_model":
            query = query * (query.shape[-1] / WIDTH) ** 0.5  # and attention divides by √d_k: together √d_model
        output = merge(attention(query, key, value)) @ module.out_proj.weight.T
        tokens = torch.arange(TOKENS, dtype=torch.float64)[:, None].expand(TOKENS, WIDTH)
        origin = merge(split_heads(tokens, n_heads)) if code == "merge" else split(tokens)[0]
        return Split(float((output - expected).norm() / expected.norm()), origin)


def split_or_small(n_heads: int, code: Code = "right", seed: int = 0) -> float:
    """The largest difference between one projection, split, and so many small ones with its columns.

    All numbers are whole, so that every sum is exact in any order, and what is left is a difference of meaning.
    """
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(-9, 10, (TOKENS, WIDTH), generator=g, dtype=torch.float64)
    w = torch.randint(-9, 10, (WIDTH, WIDTH), generator=g, dtype=torch.float64)
    small = torch.stack([x @ columns for columns in w.split(WIDTH // n_heads, -1)])
    split = wrong_split if code == "view" else split_heads
    return float((split(x @ w, n_heads) - small).abs().max())


def inputs_seen(sliced: bool = False, n_heads: int = 8) -> int:
    """On how many of 512 input features the queries of a fresh module's first head depend, by autograd.

    `sliced` is what people imagine: the input is cut first, and the head projects its own slice.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        w_q = nn.MultiheadAttention(D_MODEL, n_heads, bias=False).in_proj_weight.detach()[:D_MODEL].T
    d_k = D_MODEL // n_heads
    x = torch.randn(1, D_MODEL, generator=torch.Generator().manual_seed(1)).requires_grad_()
    query = x[:, :d_k] @ w_q[:d_k, :d_k] if sliced else split_heads(x @ w_q, n_heads)[0]
    (gradient,) = torch.autograd.grad(query.square().sum(), x)
    return int((gradient != 0).sum())


def weights_of_features(n_heads: int, seed: int = 0) -> Float[Tensor, "d n"]:
    r"""$\partial o_c / \partial v_{jc}$ for every feature c and every key j: with which weights a feature is mixed, by autograd.

    Of the first of 8 tokens of width 16, before W_O.
    """
    g = torch.Generator().manual_seed(seed)
    query, key, value = (torch.randn(TOKENS, WIDTH, generator=g, dtype=torch.float64) for _ in "qkv")

    def first(value: Tensor) -> Tensor:
        query_, key_, value_ = (split_heads(x, n_heads) for x in (query, key, value))
        return merge_heads(attention(query_, key_, value_))[0]

    return torch.autograd.functional.jacobian(first, value).diagonal(dim1=0, dim2=2).mT


def heads_as_a_sum(
    averaged: bool = False, moved_together: bool = True, n_heads: int = 4, seed: int = 0
) -> tuple[float, float]:
    """How far the sum of the heads' own maps is from nn.MultiheadAttention, and the module from itself with its heads in
    another order; each relative to its output. With `averaged`, the sum is divided by the number of heads; unless
    `moved_together`, the last matrix stays as it was."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        module = nn.MultiheadAttention(WIDTH, n_heads, bias=False, batch_first=True, dtype=torch.float64)
        x = torch.randn(1, TOKENS, WIDTH, dtype=torch.float64)
        expected = module(x, x, x)[0]
        w_q, w_k, w_v = module.in_proj_weight.chunk(3)
        added = sum_of_heads(x, w_q.T, w_k.T, w_v.T, module.out_proj.weight.T, n_heads)
        if averaged:
            added = added / n_heads
        # A head is d_k rows of each projection, and d_k columns of the last matrix.
        order = torch.arange(WIDTH).unflatten(0, (n_heads, -1)).flip(0).flatten()
        module.in_proj_weight.copy_(torch.cat([w[order] for w in (w_q, w_k, w_v)]))
        if moved_together:
            module.out_proj.weight.copy_(module.out_proj.weight[:, order])
        size = expected.norm()
        return float((added - expected).norm() / size), float((module(x, x, x)[0] - expected).norm() / size)
