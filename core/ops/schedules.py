"""How large the steps of a training are allowed to be: the learning rate of each update.

All but the first give the share of the peak. Which number the first update has, 0 or 1, is the caller's matter: torch's
`LambdaLR` and the schedulers on top of it count from 0, the first Transformer's paper counts from 1.
"""

import math


def _rise(step: float, warmup: int) -> float | None:
    """The share of the peak while the rate still rises, and None afterwards."""
    if warmup < 0 or step < 0:
        raise ValueError(f"Steps are counted from 0 or 1, and a warm-up has at least 0: not {step} of {warmup}.")
    return step / warmup if step < warmup else None


def transformer(step: float, warmup: int, d_model: int) -> float:
    r"""$\eta = d_{\mathrm{model}}^{-0.5} \cdot \min(t^{-0.5},\ t \cdot w^{-1.5})$

    Linear up to t = w, then falling like 1/√t. `step` is t = 1, 2, …; no unit. The peak is not a choice: it is
    $(d_{\mathrm{model}}\, w)^{-0.5}$.
    Raises ValueError for t < 1 (there t^−0.5 has no value), and for a warm-up or a width below 1.

    Vaswani et al. 2017, equation 3, arXiv 1706.03762

    >>> round(transformer(4000, 4000, 512), 8), round(transformer(4000, 4000, 1024), 8)
    (0.00069877, 0.00049411)
    """
    if step < 1 or warmup < 1 or d_model < 1:
        raise ValueError(f"Step, warm-up and width are at least 1, not {step}, {warmup} and {d_model}.")
    return d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)


def inverse_square_root(step: float, warmup: int) -> float:
    r"""$t/w$ for t < w, then $1/\sqrt{t/w}$: the share of the peak

    Raises ValueError for t < 0 and w < 1: without a warm-up there is no length for it to fall by.

    As Hugging Face's `get_inverse_sqrt_schedule`; after Zhai et al. 2022, arXiv 2106.04560

    >>> inverse_square_root(500, 1000), inverse_square_root(4000, 1000)
    (0.5, 0.5)
    """
    if warmup < 1:
        raise ValueError(f"1/√(t/w) needs a warm-up of at least 1 step, not {warmup}.")
    share = _rise(step, warmup)
    return 1 / math.sqrt(step / warmup) if share is None else share


def linear(step: float, warmup: int, total: int) -> float:
    r"""$t/w$ for t < w, then $(T-t)/(T-w)$, and 0 after T: the share of the peak

    Raises ValueError for t < 0, and for a warm-up that is not shorter than the training.

    Devlin et al. 2019, appendix A.2, arXiv 1810.04805

    >>> linear(50, 100, 1100), linear(600, 100, 1100), linear(2000, 100, 1100)
    (0.5, 0.5, 0.0)
    """
    _shorter(warmup, total)
    share = _rise(step, warmup)
    return max(0.0, (total - step) / (total - warmup)) if share is None else share


def cosine(step: float, warmup: int, total: int) -> float:
    r"""$t/w$ for t < w, then $\frac12\big(1 + \cos \pi \frac{t-w}{T-w}\big)$, and 0 after T: the share of the peak

    Raises ValueError for t < 0, and for a warm-up that is not shorter than the training.

    Loshchilov and Hutter 2017, equation 5, arXiv 1608.03983, without restarts

    >>> cosine(50, 100, 1100), round(cosine(600, 100, 1100), 9), cosine(2000, 100, 1100)
    (0.5, 0.5, 0.0)
    """
    _shorter(warmup, total)
    share = _rise(step, warmup)
    if share is not None:
        return share
    return 0.5 * (1 + math.cos(math.pi * ((step - warmup) / (total - warmup)))) if step < total else 0.0


def stable(step: float, warmup: int, decay: int, total: int) -> float:
    r"""$t/w$ for t < w, 1 until $T-D$, then $\frac12\big(1 + \cos \pi \frac{t-(T-D)}{D}\big)$, and 0 after T: the share of the peak

    Warm-up, stable, decay. Raises ValueError for t < 0, and if warm-up and decay together are longer than the training.

    Hu et al. 2024, arXiv 2404.06395 (there the decay is exponential)

    >>> [round(stable(step, 100, 200, 1100), 9) for step in (50, 500, 900, 1000, 1100)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if warmup + decay > total:
        raise ValueError(f"A warm-up of {warmup} and a decay of {decay} steps do not fit into {total}.")
    share = _rise(step, warmup)
    if share is not None:
        return share
    if step < total - decay:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * ((step - (total - decay)) / decay))) if step < total else 0.0


def _shorter(warmup: int, total: int) -> None:
    if warmup >= total:
        raise ValueError(f"A warm-up of {warmup} steps leaves nothing of a training of {total}.")


def rule_of_thumb(beta_2: float) -> float:
    r"""$w = 2 / (1 - \beta_2)$: how many steps of warm-up to take, if nothing else is known

    Raises ValueError for β₂ outside [0, 1).

    Ma and Yarats 2021, abstract, arXiv 1910.04209

    >>> round(rule_of_thumb(0.999)), round(rule_of_thumb(0.98))
    (2000, 100)
    """
    if not 0 <= beta_2 < 1:
        raise ValueError(f"β₂ lies from 0 to below 1, not at {beta_2}.")
    return 2 / (1 - beta_2)


def degrees_of_freedom(step: int, beta_2: float) -> float:
    r"""$\rho_t = \rho_\infty - 2t\beta_2^t / (1 - \beta_2^t)$ with $\rho_\infty = 2/(1-\beta_2) - 1$

    How many gradients Adam's average of squares is worth at step t = 1, 2, …
    Raises ValueError for t < 1 and for β₂ outside (0, 1).

    Liu et al. 2020, algorithm 2, arXiv 1908.03265

    >>> round(degrees_of_freedom(1, 0.999), 6), round(degrees_of_freedom(5, 0.999), 3)
    (1.0, 4.996)
    """
    if step < 1 or not 0 < beta_2 < 1:
        raise ValueError(f"Steps are counted from 1, and β₂ lies between 0 and 1: not {step} and {beta_2}.")
    return 2 / (1 - beta_2) - 1 - 2 * step * beta_2**step / (1 - beta_2**step)


def rectification(step: int, beta_2: float, above: float = 4.0) -> float | None:
    r"""$r_t = \sqrt{\frac{(\rho_t-4)(\rho_t-2)\rho_\infty}{(\rho_\infty-4)(\rho_\infty-2)\rho_t}}$: what RAdam multiplies Adam's step by

    None where ρ_t is not above 4 (in torch: 5): there RAdam steps by the mean gradient, without dividing by anything.

    Liu et al. 2020, algorithm 2, arXiv 1908.03265; `torch.optim.RAdam` switches above 5

    >>> [rectification(5, 0.999, above=5.0), *(round(rectification(t, 0.999), 4) for t in (5, 100, 1000))]
    [None, 0.0173, 0.2153, 0.6453]
    """
    if above < 4:
        raise ValueError(f"Below ρ = 4 there is no r, so RAdam cannot switch at {above}.")
    now, end = degrees_of_freedom(step, beta_2), 2 / (1 - beta_2) - 1
    if now <= above:
        return None
    return math.sqrt((now - 4) * (now - 2) * end / ((end - 4) * (end - 2) * now))
