"""Normalisation, and the two places where a block can put it."""

from collections.abc import Callable

from jaxtyping import Float, Int
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


def moments(x: Tensor, over: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    r"""$\mu = \frac{1}{|S|}\sum_{i \in S} x_i,\quad \sigma^2 = \frac{1}{|S|}\sum_{i \in S} (x_i - \mu)^2$

    S are the numbers along the axes `over`, which share one mean and one biased variance; those axes keep length 1.
    Shapes: `[...]` → twice `[...]`.

    Wu and He 2018, equation 2 (which adds ε to the variance), arXiv 1803.08494
    """
    mean = x.mean(over, keepdim=True)
    return mean, (x - mean).square().mean(over, keepdim=True)


def scale(x: Tensor, mean: Tensor, variance: Tensor, eps: float = 1e-5) -> Tensor:
    r"""$\hat x = (x - \mu) / \sqrt{\sigma^2 + \epsilon}$

    Whatever x's mean and variance are: those of this batch, or running ones. Gain and shift are left out. Shapes: those of
    x; `mean` and `variance` spread over the axes that they lack.

    Ioffe and Szegedy 2015, algorithm 1, arXiv 1502.03167
    """
    return (x - mean) / (variance + eps).sqrt()


def rms_norm(x: Float[Tensor, "*b d"], eps: float = 1e-5) -> Float[Tensor, "*b d"]:
    r"""$\mathrm{RMSNorm}(x) = x \big/ \sqrt{\tfrac{1}{d}\sum_i x_i^2 + \epsilon}$

    LayerNorm without the mean; ε, which the paper's equation leaves out, stands inside the root as in PyTorch. The gain 1 is
    left out. Shapes: `[..., d]` → `[..., d]`.

    Zhang and Sennrich 2019, equation 4, arXiv 1910.07467
    """
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt()


def running(kept: Tensor, batch: Tensor, momentum: float = 0.1) -> Tensor:
    r"""$\hat\mu \leftarrow (1 - m)\,\hat\mu + m\,\mu_B$

    What evaluation uses instead of the batch's statistics; PyTorch's momentum m is the weight of the *new* batch, and the
    variance that it keeps is the unbiased one. Shapes: those of `kept`.

    Ioffe and Szegedy 2015, §3.1 (“moving averages”), arXiv 1502.03167
    """
    return (1 - momentum) * kept + momentum * batch


def spread_of_mean(lengths: Int[Tensor, "*r b"], rho: float) -> Float[Tensor, "*r"]:
    r"""$\mathrm{std}(\bar x) = \sqrt{\sum_b L_b\,(1 + (L_b - 1)\rho)} \big/ \sum_b L_b$, for equal lengths $\sqrt{(1 + (T-1)\rho)/(BT)}$

    How far the mean of a batch strays: B texts of L_b words, each number of variance 1; two words of one text correlate by ρ,
    words of different texts do not. Shapes: `[..., b]` → `[...]`.

    The variance of a cluster sample; for equal lengths the design effect 1 + (T − 1) ρ of Kish 1965, Survey Sampling

    >>> import torch
    >>> [round(spread_of_mean(torch.tensor([100, 100]), rho).item() ** 2, 4) for rho in (0.0, 1.0)]
    [0.005, 0.5]
    """
    n = lengths.double()
    return (n * (1 + (n - 1) * rho)).sum(-1).sqrt() / n.sum(-1)


def padded(mean: float, variance: float, share: float) -> tuple[float, float]:
    r"""$(1 - f)\,\mu,\quad (1 - f)\,\sigma^2 + f(1 - f)\,\mu^2$: the mean and the variance when a share f of the numbers is 0

    The variance rises with the first pads if $\mu^2 > \sigma^2$: its slope at f = 0 is $\mu^2 - \sigma^2$.

    The law of total variance

    >>> padded(2.0, 2.25, 0.25)
    (1.5, 2.4375)
    """
    return (1 - share) * mean, (1 - share) * variance + share * (1 - share) * mean**2
