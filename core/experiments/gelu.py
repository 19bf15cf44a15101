"""GELU as the mean of random 0/1 masks, its slope and its relatives; what floating-point numbers make of it; and a trained
net that is run with another form than its own."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from core.memory import remember
from core.ops.activations import gated, gelu, gelu_slope, normal_cdf
from core.training import gelu as training
from core.training.gelu import FORMS, Form

TORCH = torch.__version__.partition("+")[0]

# ------------------------------------------------------------------------------------------------ 0 or 1, drawn

COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
LOW, HIGH = -3.0, 2.0


def inputs() -> Float[Tensor, " x"]:
    """−3 … 2 in steps of a tenth: where masks are drawn, and where the tangent may touch."""
    return torch.arange(round(10 * LOW), round(10 * HIGH) + 1, dtype=torch.float64) / 10


Keep = Literal["phi", "half"]


@dataclass(frozen=True, eq=False)
class Draws:
    """Masks for every input, and what they leave of it on average. The axes: number of draws (as in COUNTS), input."""

    x: Float[Tensor, " x"]
    mean: Float[Tensor, "n x"]  # x times the share of masks that are 1
    error: Float[Tensor, "n x"]  # the standard error of that mean: |x| √(Φ (1 − Φ) / n)
    value: Float[Tensor, " x"]  # x Φ(x)


@remember
def draws(seed: int = 0, keep: Keep = "phi") -> Draws:
    r"""$\frac1n \sum_i x\, m_i, \quad m_i \sim \mathrm{Bernoulli}(\Phi(x))$, for every n of COUNTS from the same draws.

    Each input has masks of its own; more draws go on where fewer ended. `half` keeps with probability ½, as dropout would.
    """
    x = inputs()
    share = normal_cdf(x) if keep == "phi" else torch.full_like(x, 0.5)
    uniform = torch.rand(len(x), COUNTS[-1], generator=torch.Generator().manual_seed(seed))
    kept = (uniform < share[:, None]).cumsum(-1)
    n = torch.tensor(COUNTS)
    mean = x * (kept[:, n - 1].double() / n).T
    error = x.abs() * (share * (1 - share)).sqrt() / n[:, None].double().sqrt()
    return Draws(x, mean, error, gelu(x))


# ------------------------------------------------------------------------------------------------ curves and slopes


def slope(form: Form, x: Float[Tensor, " x"]) -> Float[Tensor, " x"]:
    """The derivative of a form, by autograd; torch takes that of ReLU at 0 as 0."""
    at = x.detach().clone().requires_grad_()
    return torch.autograd.grad(FORMS[form](at).sum(), at)[0]


@dataclass(frozen=True)
class Extremes:
    """Where a curve is lowest, and where steepest; the place first."""

    lowest: tuple[float, float]
    steepest: tuple[float, float]


FINE = 1e-4  # the grid on which a largest or smallest value is sought


def fine() -> Float[Tensor, " x"]:
    """−3 … 3, in units of the Gaussian’s width: both places lie well inside."""
    return torch.arange(round(-3 / FINE), round(3 / FINE) + 1, dtype=torch.float64) * FINE


@remember
def extremes(sigma: float = 1.0) -> Extremes:
    """Of x Φ(x/σ): its dip, and its steepest place."""
    x = fine() * sigma
    value, steep = gelu(x, sigma), gelu_slope(x, sigma)
    low, high = int(value.argmin()), int(steep.argmax())
    return Extremes((float(x[low]), float(value[low])), (float(x[high]), float(steep[high])))


@dataclass(frozen=True, eq=False)
class Relative:
    """A form beside exact GELU."""

    x: Float[Tensor, " x"]
    value: Float[Tensor, " x"]
    exact: Float[Tensor, " x"]
    worst_at: float
    worst: float  # the largest |difference| on the grid

    @property
    def error(self) -> Float[Tensor, " x"]:
        return self.value - self.exact


WIDE = 4.0


@remember
def relative(form: Form) -> Relative:
    """A form and its difference from x Φ(x) on −4 … 4; the largest is sought on a grid of FINE."""
    grid = torch.arange(round(-WIDE / FINE), round(WIDE / FINE) + 1, dtype=torch.float64) * FINE
    value, exact = FORMS[form](grid), gelu(grid)
    at = int((value - exact).abs().argmax())
    thin = slice(None, None, round(0.02 / FINE))
    return Relative(
        grid[thin].clone(), value[thin].clone(), exact[thin].clone(), float(grid[at]), float((value - exact)[at].abs())
    )


def gate(form: Form, x: Float[Tensor, " x"], up: Float[Tensor, " x"] | float) -> Float[Tensor, " x"]:
    """What a gate of this form gives for an input x and a second product `up`."""
    return gated(FORMS[form](x), torch.as_tensor(up, dtype=x.dtype).expand_as(x))


# ------------------------------------------------------------------------------------------------ numbers


def by_erf(x: Tensor) -> Tensor:
    """½ x (1 + erf(x/√2)), as most code writes it: far below 0 the sum cancels."""
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


Written = Literal["erf", "erfc", "torch"]
WRITTEN: dict[Written, Callable[[Tensor], Tensor]] = {"erf": by_erf, "erfc": gelu, "torch": F.gelu}
"""Three ways to compute the same function; the last is torch's own."""


@remember
def relative_error(written: Written, dtype: str = "float32") -> tuple[Float[Tensor, " x"], Float[Tensor, " x"]]:
    """Inputs from −8 to 0, and by what share of the true value this way is off there. The truth: erfc in float64."""
    x = (torch.arange(-160, 0, dtype=torch.float64) / 20).to(getattr(torch, dtype))
    exact = gelu(x.double())
    return x.double(), ((WRITTEN[written](x).double() - exact) / exact).abs()


Cube = Literal["power", "factored", "torch", "exponentials"]


@dataclass(frozen=True)
class Half:
    """The tanh form in float16 at one input: x³ by itself, the value, and the slope that autograd finds."""

    cube: float
    value: float
    slope: float


@remember
def in_float16(x: float, written: Cube = "power", dtype: str = "float16") -> Half:
    """½ x (1 + tanh(√(2/π) (x + 0.044715 x³))) with x³ as a power, with x taken out, or as torch's own
    function; `exponentials` writes tanh(z) as (e²ᶻ − 1) / (e²ᶻ + 1), which is ∞/∞ where it should be 1."""
    at = torch.tensor(x, dtype=getattr(torch, dtype), requires_grad=True)
    root = math.sqrt(2 / math.pi)
    if written == "torch":
        value = F.gelu(at, approximate="tanh")
    elif written == "factored":
        value = 0.5 * at * (1 + torch.tanh(root * at * (1 + 0.044715 * at * at)))
    else:
        z = root * (at + 0.044715 * at**3)
        grown = torch.exp(2 * z)
        value = 0.5 * at * (1 + ((grown - 1) / (grown + 1) if written == "exponentials" else torch.tanh(z)))
    (slope_found,) = torch.autograd.grad(value, at)
    return Half(float(at.detach() ** 3), float(value.detach()), float(slope_found))


# ------------------------------------------------------------------------------------------------ a checkpoint


CHECKED = 128  # texts on which the page runs it


@remember
def swapped() -> dict[Form, dict[str, float]]:
    """The shipped net, which was trained with exact GELU, run with each form: computed now (see `training.run_with`)."""
    return training.run_with(training.checkpoint(), "exact", training.test_texts()[:CHECKED])
