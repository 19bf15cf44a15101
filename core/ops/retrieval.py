"""Attention read as a soft dictionary: what a match weighs, how far it must lead, and the kernel average it resembles."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def match_weight(lead: Float[Tensor, "*b"], n: int) -> Float[Tensor, "*b"]:
    r"""$p = e^\beta \big/ (e^\beta + N - 1)$

    The weight of the one key whose logit is β above that of the other N − 1, which are equal.
    Shapes: leads `[...]` → `[...]`, in units of the logits. With N = 1 it is 1, whatever the lead.
    Raises ValueError if there is no entry.

    The softmax of one raised logit, Bridle 1990
    """
    if n < 1:
        raise ValueError("A dictionary needs at least one entry.")
    return torch.sigmoid(lead - math.log(n - 1)) if n > 1 else torch.ones_like(lead)


def lead_for(share: float, n: int) -> float:
    r"""$\beta = \ln \frac{p\,(N - 1)}{1 - p}$

    How far one logit must be above N − 1 equal ones to get the share p of the weight: the inverse of `match_weight`.
    Raises ValueError unless 0 < p < 1 and N ≥ 2: a single entry always gets everything.

    >>> round(lead_for(0.9, 16), 2)
    4.91
    """
    if not 0 < share < 1 or n < 2:
        raise ValueError("The share lies between 0 and 1, of at least two entries.")
    return math.log(share * (n - 1) / (1 - share))


def kernel_average(
    query: Float[Tensor, "*b q d"], key: Float[Tensor, "*b k d"], value: Float[Tensor, "*b k v"], width: float
) -> Float[Tensor, "*b q v"]:
    r"""$\hat y(q) = \sum_j K(q, k_j)\, v_j \big/ \sum_j K(q, k_j)$ with $K(q, k) = e^{-\lVert q - k \rVert^2 / 2 h^2}$

    Shapes: query `[..., q, d]`, key `[..., k, d]`, value `[..., k, v]` → `[..., q, v]`; `width` is h, in units of the keys.
    The largest kernel of a row is divided out against underflow, which changes nothing else.

    Nadaraya 1964; Watson 1964
    """
    squares = (query[..., :, None, :] - key[..., None, :, :]).square().sum(-1) / (2 * width**2)
    kernel = (squares.amin(-1, keepdim=True) - squares).exp()
    return kernel @ value / kernel.sum(-1, keepdim=True)
