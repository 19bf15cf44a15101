"""What schedulers give the first updates, and how long Adam's and RAdam's first steps are before anything is learned."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.memory import remember
from core.ops import schedules
from core.ops.adam import adam_step

# ------------------------------------------------------------------------------------------------ schedules

Shape = Literal["transformer", "linear", "cosine", "stable"]
SHAPES: tuple[Shape, ...] = ("transformer", "linear", "cosine", "stable")
TOTAL = 100_000  # steps, as the original Transformer's base model was trained
WARMUPS = (500, 1000, 2000, 4000, 8000, 16_000)
DECAY = 20_000  # the last steps, in which warm-up, stable, decay comes down

Share = Callable[[int], float]
"""The number of an update → the share of the peak at which it is made."""


def share_of(shape: Shape, warmup: int, total: int = TOTAL, decay: int = DECAY) -> Share:
    """The schedule as a function of t alone. The original Transformer's does without a width: it divides out."""
    if shape == "transformer":
        return lambda t: schedules.inverse_square_root(t, warmup)
    if shape == "stable":
        return lambda t: schedules.stable(t, warmup, decay, total)
    return lambda t: (schedules.linear if shape == "linear" else schedules.cosine)(t, warmup, total)


def by_torch(share: Share, updates: int, peak: float = 1.0) -> list[float]:
    """The learning rates of the first updates, as `torch.optim.lr_scheduler.LambdaLR` sets them for an optimiser of torch's."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    return _run(optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, share), updates)


def _run(
    optimiser: torch.optim.Optimizer, scheduler: torch.optim.lr_scheduler.LRScheduler, updates: int
) -> list[float]:
    found = []
    for _ in range(updates):
        found.append(float(optimiser.param_groups[0]["lr"]))
        optimiser.step()
        scheduler.step()
    return found


def torchs_own(warmup: int, total: int, rising: int, updates: int) -> list[float]:
    """`SequentialLR` of a `LinearLR` that rises from 1/w in `rising` steps and a `CosineAnnealingLR`: torch’s, without a lambda.

    Counted from 1, w steps of warm-up rise w − 1 times. Who lets them rise w times has another slope, and the peak one update later.
    """
    of = torch.optim.lr_scheduler
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    rise = of.LinearLR(optimiser, start_factor=1 / warmup, total_iters=rising)
    fall = of.CosineAnnealingLR(optimiser, T_max=total - warmup)
    return _run(optimiser, of.SequentialLR(optimiser, [rise, fall], milestones=[rising]), updates)


def linear_lr_refuses(start_factor: float) -> bool:
    """Whether `torch.optim.lr_scheduler.LinearLR` refuses to begin with this share of the peak."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    try:
        torch.optim.lr_scheduler.LinearLR(optimiser, start_factor)
    except ValueError:
        return True
    return False


# The field's schedulers, written down again from their documentation and not from ours: the share of the peak after
# `current_step` updates, as Hugging Face's transformers counts, from 0.


def hugging_face_linear(current_step: int, num_warmup_steps: int, num_training_steps: int) -> float:
    """`get_linear_schedule_with_warmup`."""
    if current_step < num_warmup_steps:
        return float(current_step) / float(max(1, num_warmup_steps))
    left = float(num_training_steps - current_step)
    return max(0.0, left / float(max(1, num_training_steps - num_warmup_steps)))


def hugging_face_cosine(current_step: int, num_warmup_steps: int, num_training_steps: int) -> float:
    """`get_cosine_schedule_with_warmup`, half a wave."""
    if current_step < num_warmup_steps:
        return float(current_step) / float(max(1, num_warmup_steps))
    progress = float(current_step - num_warmup_steps) / float(max(1, num_training_steps - num_warmup_steps))
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * 0.5 * 2.0 * progress)))


def hugging_face_inverse_sqrt(current_step: int, num_warmup_steps: int) -> float:
    """`get_inverse_sqrt_schedule`, whose timescale is the warm-up."""
    if current_step < num_warmup_steps:
        return float(current_step) / float(max(1, num_warmup_steps))
    return 1.0 / math.sqrt((current_step + 0) / num_warmup_steps)


def hugging_face_wsd(current_step: int, warmup: int, stable: int, decay: int) -> float:
    """`get_wsd_schedule`: linear up, cosine down, to 0."""
    if current_step < warmup:
        return max(0.0, float(current_step) / float(max(1, warmup)))
    if current_step < warmup + stable:
        return 1.0
    if current_step < warmup + stable + decay:
        progress = float(current_step - warmup - stable) / float(max(1, decay))
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * 0.5 * 2.0 * progress)))
    return 0.0


def tensor2tensor(global_step: int, warmup: int, hidden_size: int) -> float:
    """Its “noam” scheme, without the constant before it: TensorFlow counts from 0, so it adds 1."""
    return hidden_size**-0.5 * min((global_step + 1) * warmup**-1.5, (global_step + 1) ** -0.5)


def annotated(step: int, model_size: int, warmup: int, factor: float = 1.0) -> float:
    """The Annotated Transformer's `rate`: for a `LambdaLR`, which begins with 0."""
    if step == 0:
        step = 1
    return factor * (model_size**-0.5 * min(step**-0.5, step * warmup**-1.5))


def bits_apart(warmup: int, total: int = 5000, decay: int = 1000, width: int = 512, off: int = 0) -> dict[str, float]:
    """The largest difference of each of our schedules from the field's, from 0 to the end of a training. No tolerance.

    Beyond the end Hugging Face's cosine rises again, ours stays at 0. `off` is by how many updates ours counts wrongly.
    """
    rest = total - warmup - decay
    pairs: dict[str, tuple[Share, Share]] = {
        "linear": (lambda s: schedules.linear(s, warmup, total), lambda s: hugging_face_linear(s, warmup, total)),
        "cosine": (lambda s: schedules.cosine(s, warmup, total), lambda s: hugging_face_cosine(s, warmup, total)),
        "inverse square root": (
            lambda s: schedules.inverse_square_root(s, warmup),
            lambda s: hugging_face_inverse_sqrt(s, warmup),
        ),
        "warm-up, stable, decay": (
            lambda s: schedules.stable(s, warmup, decay, total),
            lambda s: hugging_face_wsd(s, warmup, rest, decay),
        ),
        "tensor2tensor": (
            lambda s: schedules.transformer(s + 1, warmup, width),
            lambda s: tensor2tensor(s, warmup, width),
        ),
        "Annotated Transformer": (
            lambda s: schedules.transformer(max(1, s), warmup, width),
            lambda s: annotated(s, width, warmup),
        ),
    }
    return {
        name: max(abs(ours(s + off) - theirs(s)) for s in range(total + 1)) for name, (ours, theirs) in pairs.items()
    }


# ------------------------------------------------------------------------------------------------ Adam's first steps

WEIGHTS, NOISY = 2048, 1000  # independent weights, and steps of pure noise
AT = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, NOISY)
BETAS_1, BETAS_2 = (0.9, 0.8, 0.95, 0.0), (0.9, 0.95, 0.98, 0.99, 0.999)


@dataclass(frozen=True, eq=False)
class Steps:
    """Adam on gradients that are noise alone, at the steps AT."""

    update: Float[Tensor, " t"]  # mean of |step| ÷ learning rate over all weights
    error: Float[Tensor, " t"]  # and its standard error
    spread: Float[Tensor, " t"]  # 1/√v̂: its 99th percentile over the weights ÷ its median


def average(beta: float, over: Float[Tensor, "s w"]) -> Float[Tensor, "t w"]:
    r"""$\frac{1-\beta}{1-\beta^t} \sum_{i \le t} \beta^{t-i} g_i$ at the steps AT: Adam's averages, their bias corrected, all at once."""
    t, i = torch.tensor(AT)[:, None], torch.arange(1, len(over) + 1)[None]
    weight = torch.where(i <= t, float(beta) ** (t - i).clamp_min(0).double(), 0.0)
    return weight / weight.sum(-1, keepdim=True) @ over


def _noise(seed: int) -> Float[Tensor, "s w"]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(NOISY, WEIGHTS, generator=g).double()


@remember
def noise_steps(beta_1: float, beta_2: float, seed: int = 0, eps: float = 1e-8) -> Steps:
    r"""$|\hat m_t| / (\sqrt{\hat v_t} + \epsilon)$ for gradients from N(0, 1), each weight for itself

    Their size does not matter: it divides out.
    """
    gradient = _noise(seed)
    mean, root = average(beta_1, gradient), average(beta_2, gradient.square()).sqrt()
    step = mean.abs() / (root + eps)
    rate = 1 / (root + eps)
    return Steps(step.mean(-1), step.std(-1) / math.sqrt(WEIGHTS), rate.quantile(0.99, dim=-1) / rate.median(-1).values)


def noise_floor(beta_1: float) -> float:
    r"""$\sqrt{2/\pi}\,\sqrt{(1-\beta_1)/(1+\beta_1)}$: the mean step on noise when both averages are old and √v̂ hardly moves."""
    return math.sqrt(2 / math.pi * (1 - beta_1) / (1 + beta_1))


def first_step(gradient: float, by: Literal["adam", "sgd"] = "adam", rate: float = 1e-3, warmup: int = 0) -> float:
    """By how many learning rates torch's optimiser moves a weight in its first step; with a warm-up, the rate at its end counts."""
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    start = rate * schedules.linear(1, warmup, warmup + 2) if warmup else rate
    optimiser = torch.optim.Adam([weight], lr=start) if by == "adam" else torch.optim.SGD([weight], lr=start)
    weight.grad = torch.full_like(weight, gradient)
    optimiser.step()
    return abs(float(weight.detach())) / rate


@remember
def radam_steps(beta_2: float, steps: int) -> tuple[float, ...]:
    """How far `torch.optim.RAdam` moves a weight whose gradient is always 1, in learning rates: Adam would always move it by 1."""
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.RAdam([weight], lr=1.0, betas=(0.9, beta_2), eps=1e-15)
    found = []
    for _ in range(steps):
        before = float(weight.detach())
        weight.grad = torch.ones_like(weight)
        optimiser.step()
        found.append(before - float(weight.detach()))
    return tuple(found)


def switches(beta_2: float, above: float = 4.0) -> int:
    """The first step at which RAdam divides by √v̂."""
    return next(t for t in range(1, 1000) if schedules.degrees_of_freedom(t, beta_2) > above)


def rectified(beta_2: float) -> Float[Tensor, " t"]:
    """r_t at the steps AT; not a number where RAdam does not divide by √v̂ (as the paper has it)."""
    found = (schedules.rectification(t, beta_2) for t in AT)
    return torch.tensor([math.nan if r is None else r for r in found], dtype=torch.float64)


def steps_at() -> Int[Tensor, " t"]:
    return torch.tensor(AT)


def wander(rate: float, warmup: int, steps: int, weights: int = 1000) -> float:
    """How far weights have wandered, the mean |w| after so many steps of Adam on noise alone (β = 0.9, 0.98)."""
    g = torch.Generator().manual_seed(0)
    weight = first = second = torch.zeros(weights, dtype=torch.float64)
    for step in range(1, steps + 1):
        gradient = torch.randn(weights, generator=g, dtype=torch.float64)
        lr = rate * min(1.0, step / warmup) if warmup else rate
        weight, first, second = adam_step(weight, gradient, first, second, step, lr, (0.9, 0.98))
    return float(weight.abs().mean())
