"""GELU, what it is made of, and its relatives: what stands between the feed-forward layer's two matrices."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def normal_cdf(x: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    r"""$\Phi(x) = P(Z \le x) = \tfrac12 \mathrm{erfc}(-x/\sqrt2), \quad Z \sim N(0, 1)$

    By erfc, not as $\tfrac12 (1 + \mathrm{erf}(x/\sqrt2))$, which cancels where x is far below 0.

    Hendrycks and Gimpel 2016, §2, arXiv 1606.08415
    """
    return 0.5 * torch.special.erfc(-x / math.sqrt(2))


def normal_density(x: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    r"""$\varphi(x) = \Phi'(x) = \exp(-x^2/2) / \sqrt{2\pi}$"""
    return torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def gelu(x: Float[Tensor, "*b"], sigma: float = 1.0) -> Float[Tensor, "*b"]:
    r"""$x\, \Phi(x / \sigma)$; as a rule $\sigma = 1$, and as $\sigma \to 0$ it becomes ReLU

    Raises ValueError if σ is not positive.

    Hendrycks and Gimpel 2016, §2 and §4, arXiv 1606.08415
    """
    if not sigma > 0:
        raise ValueError(f"the Gaussian has a positive width, not {sigma}")
    return x * normal_cdf(x / sigma)


def gelu_slope(x: Float[Tensor, "*b"], sigma: float = 1.0) -> Float[Tensor, "*b"]:
    r"""$\frac{d}{dx}\, x\, \Phi(x/\sigma) = \Phi(x/\sigma) + \tfrac{x}{\sigma}\, \varphi(x/\sigma)$

    Raises ValueError if σ is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"the Gaussian has a positive width, not {sigma}")
    return normal_cdf(x / sigma) + x / sigma * normal_density(x / sigma)


def gelu_tanh(x: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    r"""$\tfrac12 x\, (1 + \tanh(\sqrt{2/\pi}\, (x + 0.044715\, x^3)))$

    What GPT-2's code computes, and torch's `gelu(x, approximate="tanh")`.

    Hendrycks and Gimpel 2016, §2, arXiv 1606.08415
    """
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_sigmoid(x: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    r"""$x\, \sigma(1.702\, x), \quad \sigma(z) = 1/(1 + e^{-z})$; CLIP's code calls it QuickGELU

    Hendrycks and Gimpel 2016, §2, arXiv 1606.08415
    """
    return x * torch.sigmoid(1.702 * x)


def silu(x: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    r"""$x\, \sigma(x), \quad \sigma(z) = 1/(1 + e^{-z})$; also called Swish

    Hendrycks and Gimpel 2016, §2, arXiv 1606.08415
    """
    return x * torch.sigmoid(x)


def relu_squared(x: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    r"""$\max(0, x)^2$

    So et al. 2021 (Primer), §3, arXiv 2109.08668
    """
    return x.relu() ** 2


def gated(activated: Float[Tensor, "*b"], up: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    r"""$a(g) \odot u$: what the gate's activation lets through multiplies a second product of the same input

    Shapes: a(g) and u `[..., d_ff]`. With GELU for a it is GEGLU, with SiLU SwiGLU, with ReLU ReGLU.

    Shazeer 2020, equation 5, arXiv 2002.05202
    """
    return activated * up
