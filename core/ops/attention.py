"""Scaled dot-product attention, in the pieces that the lessons take apart."""

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Divisor = Literal["none", "sqrt", "d_k"]


def divide_by(divisor: Divisor, d_k: int) -> float:
    r"""The number by which logits are divided: $1$, $\sqrt{d_k}$ or $d_k$.

    >>> [divide_by(d, 64) for d in ("none", "sqrt", "d_k")]
    [1.0, 8.0, 64.0]
    """
    return {"none": 1.0, "sqrt": math.sqrt(d_k), "d_k": float(d_k)}[divisor]


def logits(
    query: Float[Tensor, "*b q d_k"], key: Float[Tensor, "*b k d_k"], divisor: Divisor = "sqrt"
) -> Float[Tensor, "*b q k"]:
    r"""$S = QK^\top / \sqrt{d_k}$

    Shapes: query `[..., q, d_k]`, key `[..., k, d_k]` → `[..., q, k]`; row = query, column = key.
    Raises RuntimeError if the widths differ.

    Vaswani et al. 2017, equation 1, arXiv 1706.03762
    """
    return query @ key.mT / divide_by(divisor, query.shape[-1])


def softmax(logits: Float[Tensor, "*b k"]) -> Float[Tensor, "*b k"]:
    r"""$p_j = e^{s_j - m} \big/ \sum_i e^{s_i - m}$ with $m = \max_i s_i$

    Shapes: `[..., k]` → `[..., k]`, over the last axis. The maximum is subtracted against overflow; it changes
    nothing else. A row of only −∞ has no maximum to subtract and gives NaN, as in torch.

    Bridle 1990; the shift is Blanchard, Higham and Higham 2021, equation 1.3
    """
    shifted = (logits - logits.amax(-1, keepdim=True)).exp()
    return shifted / shifted.sum(-1, keepdim=True)


def masked(logits: Float[Tensor, "*b q k"], visible: Bool[Tensor, "*#b q k"] | None) -> Float[Tensor, "*b q k"]:
    r"""$s_{ij} \leftarrow -\infty$ where query $i$ must not see key $j$

    `visible` is True where looking is *allowed*, as in torch's `scaled_dot_product_attention`
    (`nn.MultiheadAttention` has it the other way round). None leaves the logits as they are.

    Vaswani et al. 2017, §3.2.3, arXiv 1706.03762
    """
    return logits if visible is None else logits.masked_fill(~visible, -torch.inf)


def attention(
    query: Float[Tensor, "*b q d_k"],
    key: Float[Tensor, "*b k d_k"],
    value: Float[Tensor, "*b k v"],
    visible: Bool[Tensor, "*#b q k"] | None = None,
    divisor: Divisor = "sqrt",
) -> Float[Tensor, "*b q v"]:
    r"""$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}(QK^\top / \sqrt{d_k})\, V$

    Shapes: query `[..., q, d_k]`, key `[..., k, d_k]`, value `[..., k, v]` → `[..., q, v]`.
    A query that sees no key gives NaN here; libraries differ (see the lesson on masking).

    Vaswani et al. 2017, equation 1, arXiv 1706.03762
    """
    return softmax(masked(logits(query, key, divisor), visible)) @ value


def softmax_jacobian_norm(weights: Float[Tensor, "*b k"]) -> Float[Tensor, "*b"]:
    r"""$\lVert J \rVert_F$ of $J = \mathrm{diag}(p) - pp^\top$: $\lVert J \rVert_F^2 = \sum_i p_i^2 (1 - p_i)^2 + \sum_{i \ne j} p_i^2 p_j^2$

    Shapes: `[..., k]` → `[...]`. Zero for a one-hot row; $\sqrt{k-1}/k$ for a uniform one.
    For the largest weight, $1 - p$ is added up from the other weights and the pairs with it are taken apart: written
    as differences of power sums, both would cancel in a saturated row, just where the norm is of interest.

    The derivative of the softmax, Bridle 1990; its Frobenius norm, entry by entry.
    """
    top, at = weights.max(-1, keepdim=True)
    others = weights.scatter(-1, at, 0.0)
    squares = others.square()
    rest, fourth = squares.sum(-1), squares.square().sum(-1)
    diagonal = (top[..., 0] * others.sum(-1)).square() + (squares * (1 - others).square()).sum(-1)
    pairs = 2 * top[..., 0].square() * rest + (rest.square() - fourth).clamp_min(0)
    return (diagonal + pairs).sqrt()


def blockwise_attention(
    query: Float[Tensor, "*b q d_k"],
    key: Float[Tensor, "*b k d_k"],
    value: Float[Tensor, "*b k v"],
    block: int,
    rescale: bool = True,
) -> Float[Tensor, "*b q v"]:
    r"""$m' = \max(m, \max_j s_j),\; \ell' = e^{m-m'}\ell + \sum_j e^{s_j-m'},\; o' = e^{m-m'}o + \sum_j e^{s_j-m'}v_j$; last $o/\ell$

    The same function as `attention`, `block` keys at a time: no more than `[..., q, block]` scores exist at once. Per
    query a running maximum m, sum ℓ and output o are kept. `rescale=False` forgets $e^{m-m'}$, which brings what was
    added up to the new maximum: then only a single block, or a maximum that never moves, gives the right output.

    Shapes: query `[..., q, d_k]`, key `[..., k, d_k]`, value `[..., k, v]` → `[..., q, v]`; the last block may be shorter.
    Raises RuntimeError if `block` is less than 1.

    Milakov and Gimelshein 2018, algorithm 3, arXiv 1805.02867; with the values: Rabe and Staats 2021, arXiv 2112.05682
    """
    largest = query.new_full((*query.shape[:-1], 1), -torch.inf)
    total = torch.zeros_like(largest)
    output = query.new_zeros((*query.shape[:-1], value.shape[-1]))
    for keys, values in zip(key.split(block, dim=-2), value.split(block, dim=-2), strict=True):
        scores = logits(query, keys)
        before, largest = largest, torch.maximum(largest, scores.amax(-1, keepdim=True))
        weights, kept = (scores - largest).exp(), (before - largest).exp() if rescale else 1.0
        total = kept * total + weights.sum(-1, keepdim=True)
        output = kept * output + weights @ values
    return output / total
