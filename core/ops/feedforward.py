"""The feed-forward layer: two matrices, or as many keys and values as it has neurons."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

Activation = Literal["relu", "none"]


def feed_forward(
    x: Float[Tensor, "*b n d"], w_1: Float[Tensor, "*#b d f"], w_2: Float[Tensor, "*#b f d"]
) -> Float[Tensor, "*b n d"]:
    r"""$\max(0, x W_1)\, W_2$, each position by itself; without biases

    Shapes: x `[..., n, d]`, W_1 `[..., d, d_ff]`, W_2 `[..., d_ff, d]` → `[..., n, d]`.

    Vaswani et al. 2017, equation 2, arXiv 1706.03762
    """
    return (x @ w_1).relu() @ w_2


def fires(
    x: Float[Tensor, "*b d"], keys: Float[Tensor, "d f"], activation: Activation = "relu"
) -> Float[Tensor, "*b f"]:
    r"""$a_m = \phi(x \cdot k_m)$: how strongly neuron m answers; its key $k_m$ is column m of $W_1$

    Shapes: x `[..., d]`, keys `[d, d_ff]` → `[..., d_ff]`. φ is the ReLU, or nothing.

    Geva et al. 2021, §2, arXiv 2012.14913

    >>> import torch
    >>> fires(torch.tensor([1.0, -2.0]), torch.eye(2)).tolist(), fires(torch.tensor([1.0, -2.0]), torch.eye(2), "none").tolist()
    ([1.0, 0.0], [1.0, -2.0])
    """
    scores = x @ keys
    return scores.relu() if activation == "relu" else scores


def recalled(
    coefficients: Float[Tensor, "*b f"], values: Float[Tensor, "f d"], neurons: list[int] | None = None
) -> Float[Tensor, "*b d"]:
    r"""$\sum_m a_m v_m$ over all neurons, or over some, one after the other; a value $v_m$ is row m of $W_2$

    Shapes: coefficients `[..., d_ff]`, values `[d_ff, d]` → `[..., d]`. Over all neurons this is the feed-forward layer.
    Raises IndexError for a neuron that does not exist.

    Geva et al. 2021, §2, arXiv 2012.14913

    >>> import torch
    >>> recalled(torch.tensor([2.0, 3.0]), torch.eye(2)).tolist(), recalled(torch.tensor([2.0, 3.0]), torch.eye(2), [1]).tolist()
    ([2.0, 3.0], [0.0, 3.0])
    """
    output = coefficients.new_zeros((*coefficients.shape[:-1], values.shape[-1]))
    for m in range(len(values)) if neurons is None else neurons:
        output = output + coefficients[..., m, None] * values[m]
    return output


def xor_neurons(bits: Float[Tensor, "*b 2"], activation: Activation = "relu") -> Float[Tensor, "*b"]:
    r"""$\phi(a + b) - 2\,\phi(a + b - 1)$: of two bits, with the ReLU, their exclusive or

    Two neurons whose keys are alike, (1, 1), and whose biases are 0 and −1. Shapes: `[..., 2]` → `[...]`.

    Goodfellow et al. 2016, Deep Learning, §6.1, https://www.deeplearningbook.org

    >>> import torch
    >>> xor_neurons(torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    total = bits.sum(-1)
    if activation == "none":
        return total - 2 * (total - 1)
    return total.relu() - 2 * (total - 1).relu()
