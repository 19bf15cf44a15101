"""The feed-forward layer's width beside the model's: equal areas, published models, trained ones, facts, and operations."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from core.memory import remember
from core.ops.widths import llama_width, planted
from core.presets import PRESETS, preset
from core.training.ffn_ratio import (
    CLASSES,
    NOISES,
    RATES,
    RATIOS,
    SEEDS,
    WIDTHS,
    Activation,
    chain,
    facts,
    pairs,
    queries,
    recalled,
    shape_of,
    trained,
)

# ------------------------------------------------------------------------------------------------ published

STOPS = (2, 3, 4, 5, 6, 7, 8)
NEAR = 0.02  # a ratio this close to another one, as a share of it, counts as that one

# What the published code rounds to: `multiple_of` and `ffn_dim_multiplier` of each checkpoint's params.json.
LLAMAS: dict[str, tuple[int, float]] = {
    "LLaMA 7B": (256, 1.0),
    "LLaMA 13B": (256, 1.0),
    "Llama 2 70B": (4096, 1.3),
    "Llama 3 8B": (1024, 1.3),
    "Llama 3 70B": (4096, 1.3),
    "Llama 3.1 405B": (4096, 1.2),
}


@dataclass(frozen=True)
class Rounded:
    """How a Llama comes to its d_ff, step by step."""

    d_model: int
    multiple_of: int
    multiplier: float
    cut: int  # ⌊2/3 · r d⌋
    multiplied: int  # ⌊μ · that⌋
    d_ff: int  # rounded up

    @property
    def ratio(self) -> float:
        return self.d_ff / self.d_model


def rounded(name: str, ratio: int = 4) -> Rounded:
    """Raises KeyError for a model whose rounding is not known here."""
    d, (multiple_of, multiplier) = preset(name).d_model, LLAMAS[name]
    return Rounded(
        d,
        multiple_of,
        multiplier,
        llama_width(d, 1, 1.0, ratio),
        llama_width(d, 1, multiplier, ratio),
        llama_width(d, multiple_of, multiplier, ratio),
    )


def settings(name: str) -> dict[str, float]:
    """What the code of a Llama is given."""
    r = rounded(name)
    return {"d_model": r.d_model, "multiple_of": r.multiple_of, "multiplier": r.multiplier}


@dataclass(frozen=True, eq=False)
class Published:
    """Every model in core/presets.py with one feed-forward layer a block, in the order of the file."""

    names: tuple[str, ...]
    d_model: Int[Tensor, " m"]
    d_ff: Int[Tensor, " m"]
    gated: Bool[Tensor, " m"]

    @property
    def ratio(self) -> Float[Tensor, " m"]:
        return self.d_ff / self.d_model.double()

    def of(self, gated: bool) -> Float[Tensor, " n"]:
        """The ratios of those with three matrices, or of those with two."""
        return self.ratio[self.gated == gated]


@remember
def published() -> Published:
    """Without mixtures of experts, whose width is that of one expert of many. Do not change it."""
    models = [p for p in PRESETS.values() if p.architecture.experts == 1]
    of = [p.architecture for p in models]
    return Published(
        tuple(p.name for p in models),
        torch.tensor([a.d_model for a in of]),
        torch.tensor([a.d_ff for a in of]),
        torch.tensor([a.gated for a in of]),
    )


def near(ratios: Float[Tensor, " m"], ratio: float) -> int:
    """How many of them are this ratio to within 2 %."""
    return int(((ratios / ratio - 1).abs() <= NEAR).sum())


# ------------------------------------------------------------------------------------------------ trained


@dataclass(frozen=True, eq=False)
class Ratios:
    """What is left to learn in the end, of every ratio and seed, each ratio with one learning rate.

    `edge` says where the rate that was best is the least or the largest that was tried: there a better one may lie beyond.
    """

    ratio: Float[Tensor, " r"]  # as built
    rate: Float[Tensor, " r"]
    excess: Float[Tensor, "r s"]  # nats a token above the least possible loss
    edge: Bool[Tensor, " r"]

    @property
    def mean(self) -> Float[Tensor, " r"]:
        return self.excess.mean(-1)

    @property
    def error(self) -> Float[Tensor, " r"]:
        """The standard error of the mean over seeds."""
        return self.excess.std(-1) / self.excess.shape[-1] ** 0.5

    @property
    def best(self) -> int:
        """The place of the least mean."""
        return int(self.mean.argmin())

    @property
    def whole(self) -> Float[Tensor, " r"]:
        """The mean loss with what nobody can learn: what others call the loss."""
        return self.mean + least_loss()

    def apart(self, place: int) -> Float[Tensor, " r"]:
        """How far each mean lies above that of `place`, in standard errors of the differences seed by seed: a seed’s texts are the same."""
        gap = self.excess - self.excess[place]
        return (gap.mean(-1) / (gap.std(-1) / gap.shape[-1] ** 0.5)).nan_to_num(0.0)


@remember
def ends(activation: Activation) -> Float[Tensor, "r s e"]:
    """The excess at the end of every shipped run: ratio, seed, learning rate. Do not change it."""
    found = []
    for ratio in RATIOS:
        excess = trained(activation, ratio).excess
        assert excess is not None
        found.append(excess)
    return torch.stack(found)


def built(activation: Activation) -> Float[Tensor, " r"]:
    return torch.tensor([shape_of(activation, ratio).ratio for ratio in RATIOS], dtype=torch.float64)


@remember
def tuned(activation: Activation) -> Ratios:
    """Each ratio with the learning rate whose mean over seeds is least."""
    each = ends(activation)
    chosen = each.mean(1).argmin(-1)
    excess = each[torch.arange(len(RATIOS)), :, chosen]
    rates = torch.tensor(RATES, dtype=torch.float64)
    return Ratios(built(activation), rates[chosen], excess, (chosen == 0) | (chosen == len(RATES) - 1))


@remember
def at_one_rate(activation: Activation, rate: float) -> Ratios:
    """All ratios with the same learning rate."""
    excess = ends(activation)[..., RATES.index(rate)]
    one = torch.full((len(RATIOS),), rate, dtype=torch.float64)
    return Ratios(built(activation), one, excess, torch.zeros(len(RATIOS), dtype=torch.bool))


@remember
def least_loss() -> float:
    """The text's entropy in nats a token, if the two tokens before are known: no model loses less."""
    told = -torch.special.xlogy(chain(), chain()).sum(-1)
    return float((pairs() * told).sum())


def parameter_spread() -> float:
    """The most that the number of parameters of two trained models differs, as a share."""
    sizes = [shape_of(activation, ratio).parameters for activation in get_args(Activation) for ratio in RATIOS]
    return max(sizes) / min(sizes) - 1


# ------------------------------------------------------------------------------------------------ facts

THRESHOLD = 0.6


def planted_recall(noise: float, seed: int, threshold: float = THRESHOLD) -> Float[Tensor, " w"]:
    """The share of all facts that come back right, for each of WIDTHS, if the first d_ff of them are written in, one a unit.

    Right is an answer whose logit is above all others: where no unit fires there is none. A wider layer has the units of a
    narrower one and more, so that each width adds to the logits of the one before.
    """
    keys, classes = facts(seed)
    asked = queries(keys, noise, seed)[
        :1
    ]  # each fact once, for speed: the standard error over all seeds is 1 % at most
    values = torch.nn.functional.one_hot(classes, CLASSES).double()
    logits = torch.zeros(*asked.shape[:-1], CLASSES, dtype=torch.float64)
    found, before = [], 0
    for d_ff in WIDTHS:
        logits = logits + planted(asked, keys[before:d_ff], values[before:d_ff], threshold)
        right = logits.gather(-1, classes.expand(len(logits), -1)[..., None])[..., 0]
        rivals = (logits >= right[..., None]).sum(-1)  # the right one itself is one of them
        found.append((rivals == 1).double().mean())
        before = d_ff
    return torch.stack(found)


@dataclass(frozen=True, eq=False)
class Recall:
    """The share of facts that come back right, of every width and seed: written in, and trained."""

    planted: Float[Tensor, "w s"]
    trained: Float[Tensor, "w s"]


@remember
def recall(noise: float) -> Recall:
    written = torch.stack([planted_recall(noise, seed) for seed in SEEDS], -1)
    learned = torch.stack([recalled(d_ff)[NOISES.index(noise)] for d_ff in WIDTHS])
    return Recall(written, learned)


def chance() -> float:
    """What who knows nothing gets right."""
    return 1 / CLASSES


# ------------------------------------------------------------------------------------------------ operations

Held = Literal["width", "parameters"]
USUAL_WIDTH = 4096  # the layer's d_model at ratio 4
LINE = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
CONTEXTS = tuple(2**k for k in range(9, 18))


@dataclass(frozen=True, eq=False)
class Work:
    """A token's FLOPs in one layer, over LINE: through the weights, and between positions; and the numbers that it keeps."""

    d_model: Float[Tensor, " r"]
    weights: Float[Tensor, " r"]
    attention: Float[Tensor, " r"]
    cache: Float[Tensor, " r"]

    @property
    def total(self) -> Float[Tensor, " r"]:
        return self.weights + self.attention


@remember
def work(context: int, held: Held) -> Work:
    r"""$2 (4 + 2r) d^2 + 4 N d$, and a key and a value, $2d$, for d = 4,096 or for $(4 + 2r)\, d^2 = 12 \cdot 4096^2$

    Two matrices, as many key heads as query heads, N visible keys; norms, biases and the softmax are left out.
    """
    r = torch.tensor(LINE, dtype=torch.float64)
    d = torch.full_like(r, USUAL_WIDTH) if held == "width" else (12 * USUAL_WIDTH**2 / (4 + 2 * r)).sqrt()
    return Work(d, 2 * (4 + 2 * r) * d**2, 4 * context * d, 2 * d)


def counted(d_model: int, d_ff: int, context: int) -> tuple[int, int]:
    """Weights, and FLOPs that PyTorch counts while one token goes through them and attends to `context` keys."""
    d = d_model
    weights = [torch.empty(*shape) for shape in ((d, d),) * 4 + ((d, d_ff), (d_ff, d))]
    x, keys = torch.empty(1, d), torch.empty(context, d)
    with FlopCounterMode(display=False) as counter:
        for weight in weights[:4]:
            x @ weight
        (x @ keys.mT) @ keys
        (x @ weights[4]) @ weights[5]
    return sum(weight.numel() for weight in weights), counter.get_total_flops()
