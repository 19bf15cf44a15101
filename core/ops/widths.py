"""How wide the feed-forward layer is: the convention of 4, its 8/3 with a gate, and what real code rounds it to."""

from jaxtyping import Float
from torch import Tensor


def matrix_parameters(d_model: int, d_ff: int, matrices: int = 2) -> int:
    r"""$m \, d \, d_{ff}$: the weights of a feed-forward layer of m matrices, without biases

    Two matrices, up and down, or three with a gate. Raises ValueError for any other number of them.

    Vaswani et al. 2017, equation 2, arXiv 1706.03762; gated: Shazeer 2020, equation 6, arXiv 2002.05202

    >>> matrix_parameters(3, 12), matrix_parameters(3, 8, matrices=3)
    (72, 72)
    """
    if matrices not in (2, 3):
        raise ValueError(f"a feed-forward layer has two matrices, or three with a gate, not {matrices}")
    return matrices * d_model * d_ff


def equal_ratio(ratio: float) -> float:
    r"""$r_3 = \tfrac23\, r_2$: three matrices of $r_3 d$ have as many weights as two of $r_2 d$

    Shazeer 2020, §2, arXiv 2002.05202

    >>> equal_ratio(6), 3 * equal_ratio(4) == 2 * 4
    (4.0, True)
    """
    return 2 * ratio / 3


def llama_width(d_model: int, multiple_of: int = 256, multiplier: float = 1.0, ratio: int = 4) -> int:
    r"""$d_{ff} = k \lceil\, \lfloor \mu \lfloor \tfrac23\, r d \rfloor \rfloor / k \,\rceil$: cut, multiplied, cut, and then rounded up

    k is `multiple_of`, μ `multiplier`. The first cut, Python's int(), comes before the multiplier, the rounding after it.

    Meta 2023, llama/model.py, class FeedForward, https://github.com/meta-llama/llama

    >>> llama_width(4096), llama_width(8192, 4096, 1.3)
    (11008, 28672)
    """
    hidden = int(2 * (ratio * d_model) / 3)
    hidden = int(multiplier * hidden)
    return multiple_of * -(-hidden // multiple_of)


def planted(
    x: Float[Tensor, "*b d"], keys: Float[Tensor, "f d"], values: Float[Tensor, "f c"], threshold: float
) -> Float[Tensor, "*b c"]:
    r"""$\sum_m \max(0, x \cdot k_m - \theta)\, v_m$: a feed-forward layer into which one fact a unit is written

    Column m of W₁ is the key $k_m$, its bias $-\theta$, row m of W₂ the value $v_m$. Shapes: x `[..., d]`, keys
    `[d_ff, d]`, values `[d_ff, c]` → `[..., c]`.

    Geva et al. 2021, §2, arXiv 2012.14913

    >>> import torch
    >>> planted(torch.eye(2), torch.eye(2), torch.tensor([[2.0], [6.0]]), 0.5).tolist()
    [[1.0], [3.0]]
    """
    return (x @ keys.mT - threshold).relu() @ values
