"""Normalisation, and the two places where a block can put it."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

Map = Callable[[Tensor], Tensor]


def layer_norm(x: Float[Tensor, "*b d"], eps: float = 1e-5) -> Float[Tensor, "*b d"]:
    r"""$\mathrm{LN}(x) = (x - \mu) / \sqrt{\sigma^2 + \epsilon}$

    μ and σ² are the mean and the biased variance of each vector over its d features; ε stands inside the root. The
    gain γ = 1 and the shift β = 0 with which training starts are left out. Shapes: `[..., d]` → `[..., d]`.

    Ba et al. 2016, equation 3, arXiv 1607.06450

    >>> import torch
    >>> layer_norm(torch.tensor([1.0, 3.0])).round(decimals=3).tolist()
    [-1.0, 1.0]
    """
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()


def post_norm(x: Float[Tensor, "*b d"], sublayer: Map, norm: Map = layer_norm) -> Float[Tensor, "*b d"]:
    r"""$\mathrm{LN}(x + \mathrm{Sublayer}(x))$: the norm stands on the path itself

    Shapes: `[..., d]` → `[..., d]`.

    Vaswani et al. 2017, §3.1, arXiv 1706.03762
    """
    return norm(x + sublayer(x))


def pre_norm(x: Float[Tensor, "*b d"], sublayer: Map, norm: Map = layer_norm) -> Float[Tensor, "*b d"]:
    r"""$x + \mathrm{Sublayer}(\mathrm{LN}(x))$: the path is left alone; after the last block one more norm is needed

    Shapes: `[..., d]` → `[..., d]`.

    Xiong et al. 2020, table 1, arXiv 2002.04745
    """
    return x + sublayer(norm(x))
