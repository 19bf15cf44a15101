"""The optimiser that nearly all Transformers are trained with, one step at a time."""

from jaxtyping import Float
from torch import Tensor


def adam_step(
    weight: Float[Tensor, "*b"],
    gradient: Float[Tensor, "*b"],
    first: Float[Tensor, "*b"],
    second: Float[Tensor, "*b"],
    step: int,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    r"""$m \leftarrow \beta_1 m + (1-\beta_1) g$, $v \leftarrow \beta_2 v + (1-\beta_2) g^2$, $w \leftarrow w - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)$

    with $\hat m = m / (1 - \beta_1^t)$ and $\hat v = v / (1 - \beta_2^t)$; ε stands outside the root, as in torch.
    Shapes: all alike; returns the new weight, m and v. `step` is t = 1, 2, …: the first step has t = 1.
    Raises ValueError for t < 1.

    Kingma and Ba 2015, algorithm 1, arXiv 1412.6980

    >>> import torch
    >>> zero = torch.zeros(1)
    >>> round(adam_step(zero, torch.tensor([-0.3]), zero, zero, step=1)[0].item(), 6)  # lr · sign(−g)
    0.001
    """
    if step < 1:
        raise ValueError(f"Adam’s steps are counted from 1, not from {step}.")
    first = betas[0] * first + (1 - betas[0]) * gradient
    second = betas[1] * second + (1 - betas[1]) * gradient.square()
    unbiased_first = first / (1 - betas[0] ** step)
    unbiased_second = second / (1 - betas[1] ** step)
    return weight - lr * unbiased_first / (unbiased_second.sqrt() + eps), first, second
