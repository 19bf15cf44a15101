"""Who may look at whom. Everywhere True = may look: row = query, column = key."""

import torch
from jaxtyping import Bool
from torch import Tensor


def causal(n: int, offset: int = 0) -> Bool[Tensor, "n n"]:
    r"""$M_{ij} = [\, j \le i + \mathrm{offset} \,]$

    offset 0: a token sees itself and what came before. +1: one step too far, the answer is visible.
    −1: strict, row 0 sees nothing. Raises RuntimeError if n is negative.

    Vaswani et al. 2017, §3.2.3, arXiv 1706.03762

    >>> causal(3).int().tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    return torch.ones(n, n, dtype=torch.bool).tril(offset)


def full(n: int) -> Bool[Tensor, "n n"]:
    r"""$M_{ij} = 1$: an encoder, every token sees every token."""
    return torch.ones(n, n, dtype=torch.bool)


def prefix_lm(n: int, prefix: int) -> Bool[Tensor, "n n"]:
    r"""$M_{ij} = [\, j \le i \;\lor\; j < \mathrm{prefix} \,]$

    The first `prefix` tokens see each other; the rest is causal.

    Raffel et al. 2020, §3.2.1 (“causal with prefix”), arXiv 1910.10683

    >>> prefix_lm(3, 2).int().tolist()
    [[1, 1, 0], [1, 1, 0], [1, 1, 1]]
    """
    visible = causal(n)
    visible[:, :prefix] = True
    return visible
