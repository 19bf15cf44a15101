"""Several heads of attention: one wide projection, split; the same as a sum of small ones; and what their mixtures lose."""

import torch
from jaxtyping import Float
from torch import Tensor

from core.ops.attention import Divisor, attention, divide_by, softmax


def split_heads(x: Float[Tensor, "*b n d"], n_heads: int) -> Float[Tensor, "*b h n d_k"]:
    r"""$Q_i = (X W_Q)_{:,\; i d_k : (i+1) d_k}$: head $i$ gets its own $d_k = d / h$ columns of the projection

    Shapes: `[..., n, d]` → `[..., h, n, d/h]`. The axes are first taken apart and then exchanged: a `view` straight to
    `[..., h, n, d/h]` has the same shape and other contents. Raises ValueError if h does not divide d.

    Vaswani et al. 2017, §3.2.2, arXiv 1706.03762
    """
    d = x.shape[-1]
    if n_heads < 1 or d % n_heads:
        raise ValueError(f"{n_heads} heads cannot share a width of {d} evenly.")
    return x.unflatten(-1, (n_heads, d // n_heads)).transpose(-3, -2)


def merge_heads(x: Float[Tensor, "*b h n d_k"]) -> Float[Tensor, "*b n d"]:
    r"""$\mathrm{Concat}(\mathrm{head}_1, \dots, \mathrm{head}_h)$

    Shapes: `[..., h, n, d/h]` → `[..., n, d]`: `split_heads` undone.

    Vaswani et al. 2017, §3.2.2, arXiv 1706.03762
    """
    return x.transpose(-3, -2).flatten(-2)


def multi_head(
    x: Float[Tensor, "*b n d"],
    w_q: Float[Tensor, "d m"],
    w_k: Float[Tensor, "d g"],
    w_v: Float[Tensor, "d g"],
    w_o: Float[Tensor, "m d"],
    n_heads: int,
    divisor: Divisor = "sqrt",
) -> Float[Tensor, "*b n d"]:
    r"""$\mathrm{Concat}(\mathrm{head}_1, \dots, \mathrm{head}_h)\, W_O$, $\mathrm{head}_i = \mathrm{Attention}(Q_i, K_i, V_i)$

    Shapes: x `[..., n, d]` → `[..., n, d]`; as a rule m = d, so that $d_k = d / h$. Narrower $W_K$, $W_V$ make fewer key and value heads, and neighbouring query
    heads share one: query head i asks key head ⌊i g / h⌋ of g. One of them is multi-query attention, several are
    grouped-query attention. Raises ValueError if the heads do not fit the widths.

    Vaswani et al. 2017, §3.2.2, arXiv 1706.03762; one key head: Shazeer 2019, arXiv 1911.02150; several: Ainslie et al. 2023, arXiv 2305.13245
    """
    query = split_heads(x @ w_q, n_heads)
    d_k = query.shape[-1]
    if w_k.shape[-1] % d_k or n_heads % (w_k.shape[-1] // d_k):
        raise ValueError(f"keys of width {w_k.shape[-1]} are no whole heads of width {d_k} that {n_heads} can share.")
    kv_heads = w_k.shape[-1] // d_k
    key, value = (split_heads(x @ w, kv_heads).repeat_interleave(n_heads // kv_heads, dim=-3) for w in (w_k, w_v))
    return merge_heads(attention(query, key, value, divisor=divisor)) @ w_o


def sum_of_heads(
    x: Float[Tensor, "*b n d"],
    w_q: Float[Tensor, "d d"],
    w_k: Float[Tensor, "d d"],
    w_v: Float[Tensor, "d d"],
    w_o: Float[Tensor, "d d"],
    n_heads: int,
) -> Float[Tensor, "*b n d"]:
    r"""$\sum_{i=1}^{h} A_i\, X\, W_V^{(i)} W_O^{(i)}$ with $A_i = \mathrm{softmax}(X W_Q^{(i)} W_K^{(i)\top} X^\top / \sqrt{d_k})$

    Shapes: x `[..., n, d]` → `[..., n, d]`. The same function as `multi_head`, a head at a time: head i has d_k columns of
    each projection and d_k rows of $W_O$, and nothing is ever concatenated. Raises ValueError if h does not divide d.

    Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, https://transformer-circuits.pub/2021/framework/index.html
    """
    d = w_q.shape[-1]
    if n_heads < 1 or d % n_heads:
        raise ValueError(f"{n_heads} heads cannot share a width of {d} evenly.")
    each = d // n_heads
    out = torch.zeros_like(x)
    for q, k, v, o in zip(*(w.split(each, -1) for w in (w_q, w_k, w_v)), w_o.split(each, 0), strict=True):
        weights = softmax((x @ q) @ (x @ k).mT / divide_by("sqrt", each))
        out = out + weights @ (x @ (v @ o))
    return out


def lost(weights: Float[Tensor, "*b h n"]) -> Float[Tensor, "*b n"]:
    r"""$e_j = 1 - (A^+ A)_{jj}$: the squared error that the best linear read-out of $A v$ makes in $v_j$

    Shapes: weights of h heads over n keys `[..., h, n]` → `[..., n]`; in units of the variance of a value, for n
    uncorrelated values of equal variance. $A^+ A$ projects on what the heads see, so the errors add up to n − rank A.

    Penrose 1956, On best approximate solutions of linear matrix equations, https://doi.org/10.1017/S0305004100030929
    """
    # Where heads are alike, rounding leaves a singular value near 10⁻¹⁶, which must not be inverted.
    return 1 - (torch.linalg.pinv(weights, rtol=1e-10) * weights.mT).sum(-1)
