"""The skip around a sublayer: what it adds, what becomes of a stack's signal, and how alike the tokens get."""

from jaxtyping import Float
from torch import Tensor

from core.ops.norms import Map


def residual(x: Float[Tensor, "*b d"], sublayer: Map, alpha: float | Tensor = 1.0) -> Float[Tensor, "*b d"]:
    r"""$\alpha x + F(x)$

    The skip of a Transformer has α = 1; α = 0 leaves the sublayer alone. Shapes: `[..., d]` → `[..., d]`; α is a number,
    or a tensor that fits.

    He et al. 2015, equation 1, arXiv 1512.03385; with a constant α: He et al. 2016, §3, arXiv 1603.05027

    >>> import torch
    >>> residual(torch.tensor([1.0, 2.0]), lambda x: -x, alpha=0.5).tolist()
    [-0.5, -1.0]
    """
    return alpha * x + sublayer(x)


def expected_growth(r: float, alpha: float, depth: int) -> float:
    r"""$\mathbb{E}\lVert g_0 \rVert^2 / \lVert g_L \rVert^2 = (r + \alpha^2)^L$: what L blocks $\alpha x + F(x)$ make of a squared size

    F has random weights of mean 0, drawn afresh for each block, and gives back the share r of the squared size on average:
    so F(x) is on average at right angles to x, and the squares add. It holds for the signal on its way up as for the
    gradient on its way down.

    The variances of He et al. 2015, §2.2, arXiv 1502.01852, with a path beside each branch

    >>> expected_growth(0.5, 0.0, 2), expected_growth(0.5, 1.0, 2)
    (0.25, 2.25)
    """
    return (r + alpha**2) ** depth


def distinct(x: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b"]:
    r"""$\lVert X - \mathbf{1}\bar x^\top \rVert_F / \lVert X \rVert_F$: what is left of the tokens without their mean

    0 if all tokens are the same vector, 1 if their mean is 0. Shapes: `[..., n, d]` → `[...]`.

    The residual of Dong et al. 2021, arXiv 2103.03404, in the Frobenius norm, whose nearest $\mathbf{1}x^\top$ is the mean

    >>> import torch
    >>> distinct(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])).item(), distinct(torch.ones(3, 2)).item()
    (1.0, 0.0)
    """
    centred = x - x.mean(-2, keepdim=True)
    return centred.flatten(-2).norm(dim=-1) / x.flatten(-2).norm(dim=-1)
