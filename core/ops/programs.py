"""Two pieces of programs whose weights are written by hand: a function bent out of ReLU units, and what order blindness costs."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor


def interpolated(points: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    r"""$f(x) = s_0 + \sum_{m \ge 1} s_m \max(0, x - k_m)$, piecewise linear through the points $(x_j, y_j)$

    A constant and a ReLU unit for each piece: returns the knots k and the slopes' changes s, of which the first belong to the
    constant ($s_0 = y_0$; its knot is not used). Left of the first point f is $y_0$, right of the last it goes straight on.
    Units: those of the points and of the values. Points may come in any order.
    Raises ValueError unless there are two different points and a value for each.

    The usual basis of linear splines, de Boor 1978

    >>> interpolated((0, 1, 2), (0, 1, 0))
    ([0.0, 0.0, 1.0], [0.0, 1.0, -2.0])
    """
    pairs = sorted(zip(points, values, strict=True))
    x, y = ([float(pair[i]) for pair in pairs] for i in (0, 1))
    if len(set(x)) < 2 or len(set(x)) < len(x):
        raise ValueError("A piecewise linear function needs at least two points, all different.")
    slopes = [(y[i + 1] - y[i]) / (x[i + 1] - x[i]) for i in range(len(x) - 1)]
    changes = [after - before for before, after in zip([0.0, *slopes], slopes, strict=False)]
    return [x[0], *x[:-1]], [y[0], *changes]


def equivariant_most(tokens: Int[Tensor, "t n"], answers: Int[Tensor, "t n"]) -> Int[Tensor, "t n"]:
    r"""$\sum_c \max_a \#\{(t, i) \in c : y_{ti} = a\}$, shared out over the classes $c$ of places that look alike

    A permutation-equivariant function sees of place i its token and which other tokens there are, not where. So it gives all
    places of a class one answer, at best the most frequent. Returns 1 at the places that the best such function has right
    (of equally frequent answers it takes the smallest) and 0 at the others; their sum is the ceiling.
    Shapes: tokens and answers `[t, n]` → `[t, n]`, tokens from 0.

    Yun et al. 2020, arXiv 1912.10077, on Transformers without positions as permutation-equivariant functions

    >>> import torch
    >>> equivariant_most(torch.tensor([[0, 1], [1, 0]]), torch.tensor([[5, 6], [5, 5]])).tolist()
    [[1, 0], [1, 1]]
    """
    n, base = tokens.shape[1], int(tokens.max()) + 1
    powers = base ** torch.arange(n)
    bag = (tokens.sort(-1).values * powers).sum(-1, keepdim=True)
    classes, member = torch.unique(bag * base + tokens, return_inverse=True)
    counts = torch.zeros(len(classes), int(answers.max()) + 1, dtype=torch.long)
    counts.index_put_((member.flatten(), answers.flatten()), torch.ones(1, dtype=torch.long), accumulate=True)
    return (counts.argmax(-1)[member] == answers).long()
