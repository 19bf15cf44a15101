"""The feed-forward layer."""

from jaxtyping import Float
from torch import Tensor


def feed_forward(
    x: Float[Tensor, "*b n d"], w_1: Float[Tensor, "*#b d f"], w_2: Float[Tensor, "*#b f d"]
) -> Float[Tensor, "*b n d"]:
    r"""$\max(0, x W_1)\, W_2$, each position by itself; without biases

    Shapes: x `[..., n, d]`, W_1 `[..., d, d_ff]`, W_2 `[..., d_ff, d]` → `[..., n, d]`.

    Vaswani et al. 2017, equation 2, arXiv 1706.03762
    """
    return (x @ w_1).relu() @ w_2
