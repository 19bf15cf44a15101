"""What the place of the norm changes before the first step: gradients, the stream, amplification, the first loss."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.memory import remember
from core.ops import masks
from core.ops.attention import attention
from core.ops.feedforward import feed_forward
from core.ops.norms import layer_norm, post_norm, pre_norm
from core.training import pre_post_norm as training

Order = Literal["post", "pre"]
ORDERS: tuple[Order, ...] = ("post", "pre")
WIRING: dict[Order, Callable[..., Tensor]] = {"post": post_norm, "pre": pre_norm}
DEPTHS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
BLOCK_DRAWS, BATCH, LENGTH, VOCABULARY = 4, 2, 16, 100

# What a sentence rests on is pooled over so many independent networks that no seed can turn it around; narrow and at
# most 24 layers deep, so that they are computed in a fraction of a second.
POOLED_DRAWS, POOLED_WIDTH, POOLED_DEPTHS = 64, 32, (2, 3, 4, 6, 8, 12, 16, 24)


def draws(width: int) -> int:
    """How many networks are computed side by side: fewer of wide ones, so that all widths take the same time.

    >>> draws(64)
    8
    """
    return 512 // width


# ------------------------------------------------------------------------------------------------ the simplified encoder


class Layer(NamedTuple):
    """A layer of the simplified encoder of Xiong et al.: attention is uniform, so it has only W_V; d_ff = d; no biases."""

    v: Float[Tensor, "r d d"]
    w_1: Float[Tensor, "r d d"]
    w_2: Float[Tensor, "r d d"]


def draw(r: int, width: int, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Layer:
    r"""Gaussian Xavier, here $N(0, 1/d)$; r independent networks side by side."""
    return Layer(*((torch.randn(r, width, width, generator=generator) / math.sqrt(width)).to(dtype) for _ in range(3)))


def mean_of_values(x: Float[Tensor, "*b n d"], v: Float[Tensor, "*#b d d"]) -> Tensor:
    r"""$\frac1n \sum_j x_j W_V$: attention before the first step, if $W_Q = W_K = 0$."""
    return (x.mean(-2, keepdim=True) @ v).expand_as(x)


def block(
    order: Order, x: Float[Tensor, "r b n d"], layer: Layer, through_branches: bool = True
) -> Float[Tensor, "r b n d"]:
    """One block: attention, then the feed-forward layer, each wired as the order says.

    Not `through_branches`, it gives the same, but gradients come back along the path alone: what a branch reads is cut off.
    """
    wire = WIRING[order]
    v, w_1, w_2 = (w[:, None] for w in layer)

    def read(y: Tensor) -> Tensor:
        return y if through_branches else y.detach()

    x = wire(x, lambda y: mean_of_values(read(y), v))
    return wire(x, lambda y: feed_forward(read(y), w_1, w_2))


def stream(
    order: Order, x: Float[Tensor, "r b n d"], layers: Sequence[Layer], through_branches: bool = True
) -> list[Tensor]:
    """The stream before the first block and after each one; Pre-Norm's final norm is not yet applied."""
    found = [x]
    for layer in layers:
        found.append(block(order, found[-1], layer, through_branches))
    return found


class Setting(NamedTuple):
    """Networks before the first step, and what they are asked: both orders get the same numbers."""

    x: Float[Tensor, "r b n d"]
    head: Float[Tensor, "r 1 d c"]
    target: Int[Tensor, " rbn"]
    layers: list[Layer]  # drawn one after the other: a shallower network has the first layers of a deeper one


def setting(r: int, depth: int, width: int, seed: int) -> Setting:
    """Random vectors, a random head and random targets."""
    g = torch.Generator().manual_seed(seed)
    return Setting(
        torch.randn(r, BATCH, LENGTH, width, generator=g),
        torch.randn(r, 1, width, VOCABULARY, generator=g) / math.sqrt(width),
        torch.randint(0, VOCABULARY, (r * BATCH * LENGTH,), generator=g),
        [draw(r, width, g) for _ in range(depth)],
    )


def asked(order: Order, out: Float[Tensor, "r b n d"], head: Tensor, target: Tensor) -> Tensor:
    """The cross-entropy of random targets, the sum over the draws; Pre-Norm has one more norm before the head."""
    logits = (layer_norm(out) if order == "pre" else out) @ head
    return F.cross_entropy(logits.flatten(0, 2), target, reduction="sum") / (BATCH * LENGTH)


@dataclass(frozen=True, eq=False)
class Start:
    """Networks of one order before the first step: the mean over the draws."""

    gradient: Float[Tensor, " l"]  # ‖∂loss/∂W_2‖ of every layer
    size: Float[Tensor, " s"]  # ‖x‖² / d of the stream, before the first block too


@remember
def start(depth: int, width: int = 64, seed: int = 0, through_branches: bool = True) -> dict[Order, Start]:
    r"""$\lVert \partial \mathcal{L} / \partial W_2^{(l)} \rVert_F$ of every layer, of both orders

    The loss is the cross-entropy of random targets. Both orders get the same numbers, and more layers leave the first ones as
    they were. Not `through_branches`, gradients come back along the path alone.

    Xiong et al. 2020, §3.3, arXiv 2002.04745
    """
    x, head, target, layers = setting(draws(width), depth, width, seed)
    seconds = [layer.w_2.requires_grad_() for layer in layers]
    found: dict[Order, Start] = {}
    for order in ORDERS:
        states = stream(order, x, layers, through_branches)
        gradients = torch.autograd.grad(asked(order, states[-1], head, target), seconds)
        found[order] = Start(
            torch.stack([g.flatten(1).norm(dim=1).mean() for g in gradients]),
            torch.stack([state.detach().square().mean() for state in states]),
        )
    return found


@remember
def last_gradients(
    order: Order,
    width: int = POOLED_WIDTH,
    seed: int = 0,
    r: int = POOLED_DRAWS,
    depths: tuple[int, ...] = POOLED_DEPTHS,
) -> Float[Tensor, "s r"]:
    r"""$\lVert \partial \mathcal{L} / \partial W_2^{(L)} \rVert_F$ of the last layer L, at every depth, per draw

    As `start` has it, but in one pass through the deepest network: the last layer's gradient needs none below it.

    Xiong et al. 2020, theorem 1, arXiv 2002.04745
    """
    x, head, target, layers = setting(r, depths[-1], width, seed)
    found = []
    for depth, layer in enumerate(layers, 1):
        last = layer.w_2.requires_grad_(depth in depths)
        x = block(order, x.detach(), layer)
        if depth in depths:
            (gradient,) = torch.autograd.grad(asked(order, x, head, target), last)
            found.append(gradient.flatten(1).norm(dim=1))
    return torch.stack(found)


@remember
def amplification(
    order: Order,
    width: int = POOLED_WIDTH,
    seed: int = 0,
    epsilon: float = 0.02,
    r: int = POOLED_DRAWS,
    depths: tuple[int, ...] = POOLED_DEPTHS,
) -> Float[Tensor, "s r"]:
    r"""$\lVert f(x, \theta + \epsilon\,\delta) - f(x, \theta) \rVert^2 / (d\,\epsilon^2)$ at every depth, per draw

    δ is drawn like the weights θ themselves: every weight is changed by 2 % of its own spread. In float64, for it
    is a small difference of large numbers.

    Liu et al. 2020, arXiv 2004.08249
    """
    g = torch.Generator().manual_seed(seed)
    here = there = torch.randn(r, 1, LENGTH, width, generator=g).double()
    found = []
    for depth in range(1, depths[-1] + 1):
        layer, noise = (draw(r, width, g, torch.float64) for _ in range(2))
        moved = Layer(*(w + epsilon * n for w, n in zip(layer, noise, strict=True)))
        here, there = block(order, here, layer), block(order, there, moved)
        if depth in depths:  # the deepest network passes through the outputs of all shallower ones
            difference = layer_norm(there) - layer_norm(here)
            found.append(difference.square().mean((1, 2, 3)) / epsilon**2)
    return torch.stack(found)


def typical(values: Float[Tensor, "*b r"]) -> Float[Tensor, "*b"]:
    """The geometric mean over draws: an amplification multiplies, so one draw in ten is several times the others."""
    return values.log().mean(-1).exp()


def slope(depths: tuple[int, ...], values: Float[Tensor, "s ..."]) -> Tensor:
    """The slope of the straight line through the points on logarithmic axes: the power of the depth that they follow.

    Shapes: values `[depths, …]` → `[…]`, a slope for each draw.
    """
    x, y = torch.tensor(depths, dtype=torch.float64).log(), values.double().log()
    x = (x - x.mean()).reshape(-1, *[1] * (y.dim() - 1))
    return (x * (y - y.mean(0))).sum(0) / x.square().sum()


@dataclass(frozen=True, eq=False)
class Growth:
    """The stream after each of 48 blocks, the mean over draws and tokens."""

    size: Float[Tensor, " s"]  # ‖x‖² / d, before the first block too
    change: Float[Tensor, " l"]  # ‖x_after − x_before‖ / ‖x_before‖ of each block


@remember
def growth(order: Order, width: int = 64, seed: int = 0) -> Growth:
    """How large the stream is, and how much each block still changes it."""
    x, _, _, layers = setting(draws(width), DEPTHS[-1], width, seed)
    states = torch.stack(stream(order, x, layers))
    length = states.norm(dim=-1)
    change = (states[1:] - states[:-1]).norm(dim=-1) / length[:-1]
    return Growth(states.square().mean((1, 2, 3, 4)), change.mean((1, 2, 3)))


# ------------------------------------------------------------------------------------------------ full blocks

Kind = Literal["encoder", "decoder", "random memory"]
KINDS: tuple[Kind, ...] = ("encoder", "decoder", "random memory")


def multi_head(
    w: tuple[Tensor, ...], memory: Tensor | None = None, visible: Tensor | None = None, heads: int = 4
) -> Callable[[Tensor], Tensor]:
    """Attention with its four matrices, as a sublayer: of a text to itself, or to a `memory`."""

    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, -1)).transpose(-2, -3)

    def sublayer(x: Tensor) -> Tensor:
        asked = x if memory is None else memory
        q, k, v = (split(y @ m[:, None]) for y, m in zip((x, asked, asked), w[:3], strict=True))
        return attention(q, k, v, visible).transpose(-2, -3).flatten(-2) @ w[3][:, None]

    return sublayer


@dataclass(frozen=True, eq=False)
class Profile:
    """Gradients of full blocks before the first step; and how alike what a decoder looks at is."""

    gradient: Float[Tensor, " l"]  # ‖∂loss/∂W_2‖ of every layer, the mean over draws
    alike: float  # mean cosine between two vectors of the memory; of an encoder, of its output

    @property
    def tilt(self) -> float:
        """The last layer's gradient ÷ the first one's."""
        return float(self.gradient[-1] / self.gradient[0])


def cosine(x: Float[Tensor, "*b n d"]) -> float:
    """The mean cosine between two different vectors of a text."""
    unit = F.normalize(x.detach(), dim=-1)
    n = x.shape[-2]
    return float(((unit @ unit.mT).sum((-2, -1)).mean() - n) / (n * (n - 1)))


class Block(NamedTuple):
    """A full block: W_Q, W_K, W_V, W_O of self-attention and (a decoder's) of cross-attention; the feed-forward layer."""

    attention: tuple[Tensor, ...]
    cross: tuple[Tensor, ...]
    w_1: Float[Tensor, "r 1 d f"]
    w_2: Float[Tensor, "r 1 f d"]


def draw_block(r: int, width: int, generator: torch.Generator) -> Block:
    """r draws side by side, Xavier as `nn.Transformer` has it, Q, K and V drawn as one matrix; d_ff = 4 d, no biases."""

    def xavier(rows: int, columns: int) -> Tensor:
        bound = math.sqrt(6 / (rows + columns))
        return (torch.rand(r, rows, columns, generator=generator) * 2 - 1) * bound

    def four() -> tuple[Tensor, ...]:
        return (*xavier(width, 3 * width).chunk(3, -1), xavier(width, width))

    up, down = xavier(width, 4 * width)[:, None], xavier(4 * width, width)[:, None]
    return Block(four(), four(), up, down)


def full_stack(
    order: Order, x: Float[Tensor, "r b n d"], blocks: list[Block], memory: Tensor | None = None
) -> Float[Tensor, "r b n d"]:
    """An encoder; with a `memory` a decoder, which sees its past, then the memory. A last norm in both orders."""
    wire, visible = WIRING[order], None if memory is None else masks.causal(x.shape[-2])
    for one in blocks:
        x = wire(x, multi_head(one.attention, visible=visible))
        if memory is not None:
            x = wire(x, multi_head(one.cross, memory))
        x = wire(x, lambda y, b=one: feed_forward(y, b.w_1, b.w_2))
    return layer_norm(x)


@remember
def profile(order: Order, kind: Kind, depth: int, seed: int = 0, width: int = 64) -> Profile:
    r"""$\lVert \partial \mathcal{L} / \partial W_2^{(l)} \rVert_F$ of every layer of an encoder, or of a decoder

    The loss is the cross-entropy of random targets. A decoder's memory is the output of an encoder of the same order
    and depth, or random vectors in its place.

    Vaswani et al. 2017, §3.1, arXiv 1706.03762
    """
    g = torch.Generator().manual_seed(seed)

    def vectors() -> Tensor:
        return torch.randn(BLOCK_DRAWS, BATCH, LENGTH, width, generator=g)

    def stack(measured: bool) -> list[Block]:
        blocks = [draw_block(BLOCK_DRAWS, width, g) for _ in range(depth)]
        for one in blocks:
            one.w_2.requires_grad_(measured)
        return blocks

    blocks = stack(measured=kind == "encoder")
    out = full_stack(order, vectors(), blocks)
    memory = vectors() if kind == "random memory" else out
    if kind != "encoder":
        blocks = stack(measured=True)
        out = full_stack(order, vectors(), blocks, memory)
    logits = out @ (torch.randn(BLOCK_DRAWS, 1, width, VOCABULARY, generator=g) / math.sqrt(width))
    target = torch.randint(0, VOCABULARY, (BLOCK_DRAWS * BATCH * LENGTH,), generator=g)
    loss = F.cross_entropy(logits.flatten(0, 2), target, reduction="sum") / (BATCH * LENGTH)
    gradients = torch.autograd.grad(loss, [one.w_2 for one in blocks])
    norms = torch.stack([w.flatten(1).norm(dim=1) for w in gradients], -1)
    return Profile(norms.mean(0), cosine(memory))


# ------------------------------------------------------------------------------------------------ torch's own modules


def torch_layer(norm_first: bool, width: int = 64) -> nn.TransformerEncoderLayer:
    """A fresh layer of torch's, from torch's global generator; without dropout."""
    return nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0, batch_first=True, norm_first=norm_first)


class First(NamedTuple):
    """What a fresh encoder of torch's gives to a head."""

    size: float  # ‖x‖² / d of its output
    loss: float  # nats, of random targets


@remember
def first_loss(final_norm: bool, seed: int, depth: int = 12, width: int = 64, texts: int = 8) -> First:
    """nn.TransformerEncoder(norm_first=True), with and without `norm=`, below a head of variance 1/d.

    Its layers are drawn one by one: torch itself would start with copies of one layer.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        norm = nn.LayerNorm(width) if final_norm else None
        encoder = nn.TransformerEncoder(torch_layer(True, width), 1, norm, enable_nested_tensor=False)
        encoder.layers = nn.ModuleList(torch_layer(True, width) for _ in range(depth))
        out = encoder(torch.randn(texts, LENGTH, width))
        logits = out @ torch.randn(width, VOCABULARY) / math.sqrt(width)
        loss = F.cross_entropy(logits.flatten(0, 1), torch.randint(0, VOCABULARY, (texts * LENGTH,)))
    return First(float(out.square().mean()), float(loss))


# ------------------------------------------------------------------------------------------------ the shipped training


class Early(NamedTuple):
    """How one shipped run began and ended. Its tilt is the top layer's gradient ÷ the bottom layer's."""

    tilt: float  # its largest within the first ten steps
    by_100: float  # and within the first hundred
    tenfold: float  # the first snapshot at which it is above 10; ∞ if at none
    learned: bool


def early(order: Order, warmup: int) -> list[Early]:
    """Every run of one order with or without a warm-up, over all depths, learning rates and seeds."""
    found = []
    for cell in training.CELLS:
        if cell[0] != order or cell[3] != warmup:
            continue
        for run in training.trained(*cell):
            tilt = run.by_layer[:, -1] / run.by_layer[:, 0]
            found.append(
                Early(
                    float(tilt[run.at <= 10].max()),
                    float(tilt[run.at <= 100].max()),
                    float(min(run.at[tilt > 10].tolist(), default=math.inf)),
                    bool(run.loss[-1] < training.LEARNED),
                )
            )
    return found
