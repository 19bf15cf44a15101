"""Soft retrieval with the factor 1/√d_k, with the factor folded into W_Q, and without it: the same data for all.

In float64: rounding then starts nine decades lower than in float32, and what a seed gives does not depend on the processor's
instruction set. Measured over all steps of the shipped runs, scalar code against AVX2: float32 up to 6·10⁻⁴ apart and one
run learned a step later; float64 no difference, and at most 2·10⁻¹⁵ when the matrix products change their kernels too. It
takes 1.7 (width 16), 1.9 (64) and 2.9 (256) times as long, a good part of it for drawing the data.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.ops.adam import adam_step
from core.ops.attention import softmax
from core.training.shipped import shipped

KEYS, VALUE, BATCH, CAP, RATE, LEARNED, WINDOW = 16, 16, 64, 400, 1e-3, 0.1, 5
VARIANTS = ("with", "folded", "without")
SEEDS = (0, 1, 2)


@dataclass(frozen=True, eq=False)
class Progress:
    """Losses so far: each of VARIANTS, each seed, each step; NaN once a run has learned.

    `learned` is the step at which the mean of the last five losses fell below 0.1, or −1.
    """

    cap: int
    losses: Float[Tensor, "3 r t"]
    learned: Int[Tensor, "3 r"]

    @property
    def done(self) -> bool:
        return bool((self.learned >= 0).all()) or self.losses.shape[-1] >= self.cap


def retrieve(
    w_q: Float[Tensor, "*m d d"], w_k: Float[Tensor, "*m d d"], x: Float[Tensor, "*#m b n d"], scale: Tensor
) -> Float[Tensor, "*m b n"]:
    r"""Weights $\mathrm{softmax}_i(x_0 W_Q W_K^\top x_i^\top / s)$: the query is a copy of the first key.

    Shapes: W `[..., d, d]`, x `[..., b, n, d]` → `[..., b, n]`. Multiplied from the left, so that the keys'
    projections are never formed: equal up to rounding, n times cheaper. `einsum` rather than `@`, which would
    copy x for every variant that shares it.

    Vaswani et al. 2017, equation 1, arXiv 1706.03762
    """
    asked = x[..., 0, :] @ w_q @ w_k.mT
    return softmax(torch.einsum("...bnd,...bd->...bn", x, asked) / scale)


def losses_of(
    w: Float[Tensor, "2 *m d d"], x: Float[Tensor, "*#m b n d"], value: Float[Tensor, "*#m b n v"], scale: Tensor
) -> Float[Tensor, "*m"]:
    r"""$\frac{1}{bv} \sum \lVert \sum_i p_i v_i - v_0 \rVert^2$ for every run; w holds $W_Q$, then $W_K$."""
    returned = torch.einsum("...bn,...bnv->...bv", retrieve(w[0], w[1], x, scale), value)
    return (returned - value[..., 0, :]).square().mean((-1, -2))


def train(d_k: int, seeds: tuple[int, ...] = SEEDS, cap: int = CAP) -> Iterator[Progress]:
    r"""Learn to return the value that belongs to the query's key, for every seed in each of VARIANTS; yields every step.

    16 random keys $x_i \sim N(0, I)$ with values $v_i \sim N(0, I)$; loss = mean squared error against $v_0$;
    $W_Q, W_K \sim N(0, 1/d)$; Adam with learning rate 0.001. "folded" starts with $W_Q / \sqrt d$ and has no factor: the
    same function at the start as "with". The loss is about 1 for a uniform average and up to 2 for confidently returning
    the wrong value. A variant whose seeds have all learned is trained no further.
    """
    generators = [torch.Generator().manual_seed(7919 * (s + 1)) for s in seeds]

    def normal(*shape: int) -> Tensor:
        return torch.stack([torch.randn(*shape, generator=g, dtype=torch.float64) for g in generators])

    root = math.sqrt(d_k)
    start = torch.stack([normal(d_k, d_k) / root for _ in "qk"])
    w = start[:, None].repeat(1, 3, 1, 1, 1)  # [q or k, variant, seed, d, d]
    w[0, VARIANTS.index("folded")] /= root
    first, second = torch.zeros_like(w), torch.zeros_like(w)
    scale = torch.tensor([root if v == "with" else 1.0 for v in VARIANTS], dtype=torch.float64)[:, None, None, None]
    losses = torch.full((3, len(seeds), cap), torch.nan, dtype=torch.float64)
    learned = torch.full((3, len(seeds)), -1)
    training = torch.ones(3, dtype=torch.bool)  # the variants with a seed that has not learned yet
    for step in range(cap):
        x, value = normal(BATCH, KEYS, d_k), normal(BATCH, KEYS, VALUE)
        w.requires_grad_()
        each = losses_of(w, x[None], value[None], scale[training])
        # The runs share no weight, so the gradient of the sum is each one's own.
        (gradient,) = torch.autograd.grad(each.sum(), w)
        w, first, second = adam_step(w.detach(), gradient, first, second, step + 1, lr=RATE)
        losses[training, :, step] = each.detach()
        losses[..., step].masked_fill_(learned >= 0, torch.nan)
        if step + 1 >= WINDOW:
            recent = losses[..., step + 1 - WINDOW : step + 1].mean(-1)
            learned = torch.where((learned < 0) & (recent < LEARNED), step + 1, learned)
        progress = Progress(cap, losses[..., : step + 1].clone(), learned.clone())
        yield progress
        if progress.done:
            return
        still = (learned < 0).any(-1)
        if not torch.equal(still, training):
            w, first, second = (t[:, still[training]] for t in (w, first, second))
            training = still


WIDTHS = (16, 64, 256)


def result() -> dict[str, list]:
    """What `python -m core.training retrieval` ships: every curve up to the step at which the run had learned."""
    shipped_curves = {}
    for d_k in WIDTHS:
        *_, last = train(d_k)
        shipped_curves[str(d_k)] = [
            [[round(x, 4) for x in run if not math.isnan(x)] for run in variant] for variant in last.losses.tolist()
        ]
    return shipped_curves


def _learned(run: list[float]) -> int:
    """A run shorter than the cap has learned; one as long may have learned in its last step."""
    return len(run) if len(run) < CAP or sum(run[-WINDOW:]) / WINDOW < LEARNED else -1


def trained(d_k: int) -> Progress:
    """The shipped curves of one width, as `train` would end with them."""
    curves = shipped("retrieval")["result"][str(d_k)]
    steps = max(len(run) for variant in curves for run in variant)
    padded = [[run + [math.nan] * (steps - len(run)) for run in variant] for variant in curves]
    learned = [[_learned(run) for run in variant] for variant in curves]
    return Progress(CAP, torch.tensor(padded, dtype=torch.float64), torch.tensor(learned))
