"""Targets, and the losses that compare a model's logits with them."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

Convention = Literal["all", "wrong"]
"""Who shares ε: all K classes, the right one too (Szegedy et al., torch), or only the K − 1 wrong ones."""


def smoothed(
    answer: Int[Tensor, "*b"], classes: int, smoothing: float, convention: Convention = "all"
) -> Float[Tensor, "*b k"]:
    r"""$q_j = (1-\epsilon)\,[j = y] + \epsilon / K$, or with `"wrong"` $q_y = 1-\epsilon$, $q_j = \epsilon / (K-1)$

    Shapes: `[...]` → `[..., K]`, in float64; each row sums to 1. ε has no unit. Both are one family: ε in the second
    convention is $\epsilon K / (K-1)$ in the first.
    Raises ValueError for fewer than 2 classes, and for ε outside [0, 1].

    Szegedy et al. 2016, §7, arXiv 1512.00567; ε/(K−1): code that fills a row with ε/(K−1) and writes 1 − ε at the answer

    >>> [smoothed(torch.tensor(1), 3, *how).round(decimals=9).tolist() for how in ((0.3,), (0.2, "wrong"))]
    [[0.1, 0.8, 0.1], [0.1, 0.8, 0.1]]
    """
    if classes < 2:
        raise ValueError(f"A target needs at least 2 classes, not {classes}.")
    if not 0 <= smoothing <= 1:
        raise ValueError(f"ε is a share, from 0 to 1, not {smoothing}.")
    others = smoothing / (classes if convention == "all" else classes - 1)
    right = 1 - others * (classes - 1)
    target = torch.full((*answer.shape, classes), others, dtype=torch.float64)
    return target.scatter(-1, answer[..., None], right)


def log_softmax(logits: Float[Tensor, "*b k"]) -> Float[Tensor, "*b k"]:
    r"""$\log p_j = s_j - m - \log \sum_i e^{s_i - m}$ with $m = \max_i s_i$, in nats

    Shapes: `[..., k]` → `[..., k]`, over the last axis. Finite where $p_j$ itself would be rounded to 0.

    The logarithm of the softmax; the shift is Blanchard, Higham and Higham 2021, equation 1.3
    """
    shifted = logits - logits.amax(-1, keepdim=True)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def cross_entropy(target: Float[Tensor, "*#b k"], logits: Float[Tensor, "*b k"]) -> Float[Tensor, "*b"]:
    r"""$H(q, p) = -\sum_j q_j \log p_j$ in nats, of each row for itself

    Shapes: target and logits `[..., k]` → `[...]`. Its least value over all p is the target's entropy, at p = q.

    Shannon 1948; as a loss with soft targets: Szegedy et al. 2016, §7, arXiv 1512.00567
    """
    return -(target * log_softmax(logits)).sum(-1)


def entropy(target: Float[Tensor, "*b k"]) -> Float[Tensor, "*b"]:
    r"""$H(q) = -\sum_j q_j \log q_j$ in nats, with $0 \log 0 = 0$

    Shapes: `[..., k]` → `[...]`. 0 for a one-hot row, $\log K$ for a uniform one.

    Shannon 1948, §6
    """
    return -torch.special.xlogy(target, target).sum(-1)


def divergence(target: Float[Tensor, "*#b k"], logits: Float[Tensor, "*b k"], safe: bool = True) -> Float[Tensor, "*b"]:
    r"""$\mathrm{KL}(q \,\|\, p) = \sum_j q_j (\log q_j - \log p_j) = H(q, p) - H(q)$ in nats

    Shapes: target and logits `[..., k]` → `[...]`. 0 only at p = q. The same gradient as the cross-entropy.
    `safe=False` writes $q_j \log q_j$ out: a target of 0 then gives 0 · (−∞), not a number.

    Kullback and Leibler 1951
    """
    if safe:
        return cross_entropy(target, logits) - entropy(target)
    return (target * (target.log() - log_softmax(logits))).sum(-1)


def smoothed_loss(
    logits: Float[Tensor, "n k"],
    answer: Int[Tensor, " n"],
    smoothing: float,
    weight: Float[Tensor, " k"] | None = None,
    ignore: int = -100,
) -> Float[Tensor, ""]:
    r"""$L = \sum_i \sum_j w_j q_{ij} (-\log p_{ij}) \big/ \sum_i w_{y_i}$, over the rows whose answer is not `ignore`

    Shapes: logits `[n, k]`, answer `[n]`, weight of the classes `[k]` (None: all 1) → a number, in nats.
    The divisor is the weight of the right answers, also where the weights of other classes enter above it.
    No row left gives 0/0, not a number, as in torch. Raises ValueError for ε outside [0, 1].

    torch.nn.functional.cross_entropy(…, label_smoothing=ε), whose targets are ε/K over all: torch 2.13
    """
    kept = answer != ignore
    logits, answer = logits[kept], answer[kept]
    weight = logits.new_ones(logits.shape[-1]) if weight is None else weight
    target = smoothed(answer, logits.shape[-1], smoothing).to(logits)
    return cross_entropy(weight * target, logits).sum() / weight[answer].sum()


def best_gap(classes: int, smoothing: float, convention: Convention = "all") -> float:
    r"""$\log \frac{(1-\epsilon) + \epsilon/K}{\epsilon/K}$: the right logit minus each wrong one where the loss is least

    With `"wrong"`: $\log \frac{(1-\epsilon)(K-1)}{\epsilon}$. ∞ for ε = 0, since no finite gap makes p one-hot; −∞ where the
    right answer gets nothing.
    Raises ValueError as `smoothed`.

    From $p = q$: the softmax of equal wrong logits has $\log(p_y / p_j) = s_y - s_j$
    """
    target = smoothed(torch.tensor(0), classes, smoothing, convention)
    return float(target[0].log() - target[1].log())


def calibration_error(
    confidence: Float[Tensor, "*b m"], right: Float[Tensor, "*b m"], share: Float[Tensor, "*b m"]
) -> Float[Tensor, "*b"]:
    r"""$\mathrm{ECE} = \sum_m \frac{|B_m|}{n} \left| \mathrm{acc}(B_m) - \mathrm{conf}(B_m) \right|$

    Shapes: of each bin its mean confidence, its share of right answers, and its share of all answers, `[..., m]` → `[...]`.
    Even a perfectly calibrated model measures more than 0 on a finite sample.

    Guo et al. 2017, equation 3, arXiv 1706.04599
    """
    return (share * (confidence - right).abs()).sum(-1)
