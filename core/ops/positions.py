"""Ways to tell attention where a token stands."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

Pairs = Literal["neighbours", "halves"]


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
    x: Float[Tensor, "*b n d"],
    positions: Float[Tensor, " n"] | None = None,
    base: float = 10_000.0,
    pairs: Pairs = "neighbours",
) -> Float[Tensor, "*b n d"]:
    r"""RoPE: each pair $(x_{2i}, x_{2i+1})$ is turned by the angle $+p\,\omega_i$, $\omega_i = \mathrm{base}^{-2i/d}$

    Shapes: `[..., n, d]` → `[..., n, d]`; positions default to 0 … n−1. Pairs are neighbours, as in the paper and in
    Meta's Llama; with "halves" they are $(x_i, x_{i+d/2})$, as in GPT-NeoX and in Hugging Face's Llama. The two are
    the same up to the order of the features (`halves_order`). Raises ValueError if d is odd.

    Su et al. 2021, equation 34, arXiv 2104.09864
    """
    n, d = x.shape[-2:]
    if d % 2:
        raise ValueError(f"RoPE turns pairs of features: d must be even, it is {d}.")
    place = torch.arange(n, dtype=x.dtype) if positions is None else positions.to(x.dtype)
    angle = place[:, None] * base ** (-torch.arange(0, d, 2, dtype=x.dtype) / d)
    cos, sin = angle.cos(), angle.sin()
    first, second = (x[..., 0::2], x[..., 1::2]) if pairs == "neighbours" else x.chunk(2, dim=-1)
    turned = first * cos - second * sin, first * sin + second * cos
    return torch.stack(turned, dim=-1).flatten(-2) if pairs == "neighbours" else torch.cat(turned, dim=-1)


def halves_order(d: int) -> Int[Tensor, " d"]:
    r"""$(0, 2, 4, \dots, 1, 3, 5, \dots)$: the order of features in which RoPE's neighbours stand half a width apart

    `rotate(x[..., order], pairs="halves")` is `rotate(x)[..., order]`. Reordering the columns of both $W_Q$ and $W_K$
    (of every head) in this way, weights made for neighbours fit code for halves: a dot product does not know the order
    of its terms. Raises RuntimeError if d is odd.

    `permute` in Hugging Face's convert_llama_weights_to_hf.py, github.com/huggingface/transformers/issues/25199

    >>> halves_order(6).tolist()
    [0, 2, 4, 1, 3, 5]
    """
    return torch.arange(d).unflatten(0, (-1, 2)).T.flatten()


def alibi(n: int, slope: float, dtype: torch.dtype = torch.float64) -> Float[Tensor, "n n"]:
    r"""$b_{ij} = -m\,|i - j|$, added to the logits

    Shapes: → `[n, n]`. The paper is causal, where $|i-j| = i-j$; the symmetric form is one that encoders use
    (JinaBERT, arXiv 2310.19923).

    Press et al. 2021, §3, arXiv 2108.12409
    """
    place = torch.arange(n, dtype=dtype)
    return -slope * (place[:, None] - place).abs()


def alibi_slopes(n_heads: int) -> Float[Tensor, " h"]:
    r"""$m_h = 2^{-8h/n}$ for $h = 1 \dots n$: the geometric sequence that starts at $2^{-8/n}$ with that same ratio

    For any number n of heads. Raises ValueError for less than one head. What the authors' code does for other
    numbers than powers of two is `alibi_slopes_as_released`.

    Press et al. 2021, §3, arXiv 2108.12409

    >>> alibi_slopes(2).tolist()
    [0.0625, 0.00390625]
    """
    if n_heads < 1:
        raise ValueError(f"ALiBi has one slope per head: there must be at least one head, not {n_heads}.")
    return 2.0 ** (-8.0 * torch.arange(1, n_heads + 1, dtype=torch.float64) / n_heads)


def alibi_slopes_as_released(n_heads: int) -> Float[Tensor, " h"]:
    r"""The slopes of the largest power of two $\le n$, then every other slope of twice as many heads, until there are n

    For powers of two the same as `alibi_slopes`. BLOOM with its 112 heads uses these. Raises ValueError for less than
    one head.

    `get_slopes` in the code of Press et al., github.com/ofirpress/attention_with_linear_biases, and
    `build_alibi_tensor` in Hugging Face's BLOOM

    >>> (1 / alibi_slopes_as_released(6)).tolist()
    [4.0, 16.0, 64.0, 256.0, 2.0, 8.0]
    """
    if n_heads < 1 or n_heads & (n_heads - 1) == 0:
        return alibi_slopes(n_heads)
    lower = 2 ** (n_heads.bit_length() - 1)
    return torch.cat([alibi_slopes(lower), alibi_slopes(2 * lower)[0::2][: n_heads - lower]])


def ntk_base(stretch: float, d: int, base: float = 10_000.0) -> float:
    r"""$\mathrm{base}' = \mathrm{base} \cdot s^{d/(d-2)}$: RoPE's slowest pair turns s times slower, its fastest as before

    d is the width of a head. Position interpolation divides every position by s instead, so that all pairs turn s times
    slower. Raises ValueError if d is odd or less than 4: with one pair there is no slowest beside the fastest.

    “NTK-aware” interpolation, bloc97 2023; in print: Peng et al. 2023, §3.1, arXiv 2309.00071

    >>> ntk_base(1.0, 64), round(ntk_base(8.0, 4))
    (10000.0, 640000)
    """
    if d % 2 or d < 4:
        raise ValueError(
            f"NTK-aware scaling needs at least two pairs of features: d must be even and 4 or more, not {d}."
        )
    return base * stretch ** (d / (d - 2))


def t5_bucket(distance: Int[Tensor, "*b"], buckets: int = 32, far: int = 128) -> Int[Tensor, "*b"]:
    r"""$\delta$ for $\delta < B/2$, else $\min\big(B - 1,\ B/2 + \lfloor \tfrac{\ln(2\delta/B)}{\ln(2\,\mathrm{far}/B)} \cdot B/2 \rfloor\big)$

    T5's causal buckets: a learned bias for each small distance, then one for each of a growing span, and one for all
    from `far` on. Shapes: distances back, ≥ 0, `[...]` → `[...]`.

    Raffel et al. 2020, §2.1, arXiv 1910.10683; `_relative_position_bucket` in Hugging Face's T5

    >>> t5_bucket(torch.tensor([0, 15, 16, 31, 128, 5000])).tolist()
    [0, 15, 16, 21, 31, 31]
    """
    exact = buckets // 2
    spans = (distance.clamp_min(exact).double() / exact).log() / math.log(far / exact) * (buckets - exact)
    # A hair up before rounding down: the logarithm of an exact power may come out a last bit too low.
    return torch.where(distance < exact, distance, (exact + (spans + 1e-9).floor().long()).clamp_max(buckets - 1))
