"""Attention between two sequences: the queries come from one, the keys and values from another."""

from jaxtyping import Bool, Float
from torch import Tensor

from core.ops.attention import attention, logits, masked, softmax
from core.ops.heads import merge_heads, split_heads


def cross_attention(
    x: Float[Tensor, "*b q d"],
    memory: Float[Tensor, "*b k e"],
    w_q: Float[Tensor, "d m"],
    w_k: Float[Tensor, "e m"],
    w_v: Float[Tensor, "e m"],
    w_o: Float[Tensor, "m d"],
    n_heads: int,
    visible: Bool[Tensor, "*#b q k"] | None = None,
) -> Float[Tensor, "*b q d"]:
    r"""$\mathrm{softmax}(X W_Q (H W_K)^\top / \sqrt{d_k})\, H W_V W_O$ in each of h heads: $X$ asks, $H$ answers

    Shapes: x `[..., q, d]`, memory `[..., k, e]` → `[..., q, d]`: as many outputs as queries. With memory = x it is
    self-attention. `visible` is True where looking is allowed, for all heads alike. Raises ValueError if h does not
    divide the width of the projections.

    Vaswani et al. 2017, §3.2.3 (“encoder-decoder attention”), arXiv 1706.03762
    """
    query, key, value = (split_heads(t, n_heads) for t in (x @ w_q, memory @ w_k, memory @ w_v))
    return merge_heads(attention(query, key, value, None if visible is None else visible.unsqueeze(-3))) @ w_o


def cross_weights(
    x: Float[Tensor, "*b q d"],
    memory: Float[Tensor, "*b k e"],
    w_q: Float[Tensor, "d m"],
    w_k: Float[Tensor, "e m"],
    n_heads: int,
    visible: Bool[Tensor, "*#b q k"] | None = None,
) -> Float[Tensor, "*b h q k"]:
    r"""$A = \mathrm{softmax}(X W_Q (H W_K)^\top / \sqrt{d_k})$ of each head: row = target, column = source

    Shapes: x `[..., q, d]`, memory `[..., k, e]` → `[..., h, q, k]`, a rectangle. Raises ValueError if h does not divide
    the width of the projections.

    Vaswani et al. 2017, equation 1, arXiv 1706.03762
    """
    query, key = split_heads(x @ w_q, n_heads), split_heads(memory @ w_k, n_heads)
    return softmax(masked(logits(query, key), None if visible is None else visible.unsqueeze(-3)))
