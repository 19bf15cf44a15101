"""Ways to tell attention where a token stands."""

import torch
from jaxtyping import Float
from torch import Tensor


def sinusoidal(n: int, d: int, base: float = 10_000.0, dtype: torch.dtype = torch.float64) -> Float[Tensor, "n d"]:
    r"""$PE_{p,2i} = \sin(p\,\omega_i)$, $PE_{p,2i+1} = \cos(p\,\omega_i)$ with $\omega_i = \mathrm{base}^{-2i/d}$

    Shapes: → `[n, d]`, sine and cosine interleaved. Raises ValueError if d is odd.

    Vaswani et al. 2017, §3.5, arXiv 1706.03762

    >>> sinusoidal(2, 2)[0].tolist()
    [0.0, 1.0]
    """
    if d % 2:
        raise ValueError(f"sine and cosine come in pairs: d must be even, it is {d}.")
    frequency = base ** (-torch.arange(0, d, 2, dtype=dtype) / d)
    angle = torch.arange(n, dtype=dtype)[:, None] * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


def rotate(
    x: Float[Tensor, "*b n d"], positions: Float[Tensor, " n"] | None = None, base: float = 10_000.0
) -> Float[Tensor, "*b n d"]:
    r"""RoPE: each pair $(x_{2i}, x_{2i+1})$ is turned by the angle $p\,\omega_i$, $\omega_i = \mathrm{base}^{-2i/d}$

    Shapes: `[..., n, d]` → `[..., n, d]`; positions default to 0 … n−1. Pairs are neighbours, as in the paper;
    Llama's code pairs the two halves, which is the same up to a permutation of the features.
    Raises ValueError if d is odd.

    Su et al. 2021, equation 34, arXiv 2104.09864
    """
    n, d = x.shape[-2:]
    if d % 2:
        raise ValueError(f"RoPE turns pairs of features: d must be even, it is {d}.")
    place = torch.arange(n, dtype=x.dtype) if positions is None else positions.to(x.dtype)
    angle = place[:, None] * base ** (-torch.arange(0, d, 2, dtype=x.dtype) / d)
    cos, sin = angle.cos(), angle.sin()
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)


def alibi(n: int, slope: float, dtype: torch.dtype = torch.float64) -> Float[Tensor, "n n"]:
    r"""$b_{ij} = -m\,|i - j|$, added to the logits

    Shapes: → `[n, n]`. The paper is causal, where $|i-j| = i-j$; the symmetric form is what encoders use.

    Press et al. 2021, §3, arXiv 2108.12409
    """
    place = torch.arange(n, dtype=dtype)
    return -slope * (place[:, None] - place).abs()


def alibi_slopes(n_heads: int) -> Float[Tensor, " h"]:
    r"""$m_h = 2^{-8h/n}$ for $h = 1 \dots n$ heads, n a power of two

    Raises ValueError otherwise.

    Press et al. 2021, §3, arXiv 2108.12409

    >>> alibi_slopes(2).tolist()
    [0.0625, 0.00390625]
    """
    if n_heads < 1 or n_heads & (n_heads - 1):
        raise ValueError(f"the slopes are defined for a power of two of heads, not for {n_heads}.")
    return 2.0 ** (-8.0 * torch.arange(1, n_heads + 1, dtype=torch.float64) / n_heads)
