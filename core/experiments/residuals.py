"""What a skip does before the first step: to the signal and the gradient of a stack, and to how alike its tokens become."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from core.experiments.pre_post_norm import BATCH, BLOCK_DRAWS, LENGTH, draw_block, multi_head
from core.memory import remember
from core.ops.feedforward import feed_forward
from core.ops.norms import Map, layer_norm
from core.ops.residuals import distinct, residual
from core.training import residuals as training
from core.training.residuals import KEPT, Skips

Norm = Literal["none", "pre", "post"]
NORMS: tuple[Norm, ...] = get_args(Norm)
ALPHAS = tuple(round(i / 20, 2) for i in range(21))
WIDTH, NETS, TOKENS = 64, 8, 4

Wire = Callable[..., Tensor]


def wiring(norm: Norm) -> Wire:
    r"""$\alpha x + F(x)$, $\alpha x + F(\mathrm{LN}(x))$ or $\mathrm{LN}(\alpha x + F(x))$, a function of x, F and α."""

    def wire(x: Tensor, sublayer: Map, alpha: float | Tensor = 1.0) -> Tensor:
        if norm == "pre":
            return residual(x, lambda y: sublayer(layer_norm(y)), alpha)
        y = residual(x, sublayer, alpha)
        return layer_norm(y) if norm == "post" else y

    return wire


# ------------------------------------------------------------------------------------------------ the ladder


@dataclass(frozen=True, eq=False)
class Ladder:
    """Squared sizes at every rung, for each α; axes: α, rung from the bottom; the mean over networks and tokens."""

    signal: Float[Tensor, "a s"]  # ‖x‖² ÷ that at the bottom
    gradient: Float[Tensor, "a s"]  # ‖g‖² ÷ that at the top


def climb(
    norm: Norm, depth: int, r: float, alphas: tuple[float, ...], seed: int, nets: int, tokens: int, width: int
) -> tuple[Float[Tensor, "s r a n"], Float[Tensor, "s r a n"]]:
    """‖x‖² and ‖g‖² at every rung, of every network, α and token; relative to where each begins.

    A branch is a feed-forward layer with weights N(0, 1/d), scaled so that it gives back r of the squared size on average.
    All α meet the same weights. The gradient at the top is random.
    """
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(nets, 1, tokens, width, generator=g).expand(-1, len(alphas), -1, -1).flatten(1, 2)
    top = torch.randn(nets, 1, tokens, width, generator=g).expand(-1, len(alphas), -1, -1).flatten(1, 2)
    alpha = torch.tensor(alphas).repeat_interleave(tokens)[:, None]
    scale = math.sqrt(2 * r) / width  # the ReLU lets half through
    wire, states = wiring(norm), [x.requires_grad_()]
    for _ in range(depth):
        w_1, w_2 = torch.randn(2, nets, width, width, generator=g)
        states.append(wire(states[-1], lambda y, a=w_1, b=w_2: scale * feed_forward(y, a, b), alpha))
    gradients = torch.autograd.grad((states[-1] * top).sum(), states)

    def squares(rungs: tuple[Tensor, ...] | list[Tensor], begin: int) -> Tensor:
        found = torch.stack([x.detach().double().square().sum(-1) for x in rungs]).unflatten(-1, (len(alphas), tokens))
        return found / found[begin]

    return squares(states, 0), squares(gradients, -1)


@remember
def ladder(norm: Norm, depth: int, r: float = 0.5, seed: int = 0) -> Ladder:
    """The signal on its way up and the gradient on its way down, for all α at once."""
    signal, gradient = climb(norm, depth, r, ALPHAS, seed, NETS, TOKENS, WIDTH)
    return Ladder(signal.mean((1, 3)).T.contiguous(), gradient.mean((1, 3)).T.contiguous())


@remember
def many(r: float, alphas: tuple[float, ...], depth: int = 8, nets: int = 512, width: int = 32) -> Float[Tensor, "r a"]:
    """‖g‖² at the bottom ÷ at the top, of many independent networks without norms, one token each."""
    return climb("none", depth, r, alphas, 0, nets, 1, width)[1][0, :, :, 0]


# ------------------------------------------------------------------------------------------------ a Transformer's blocks


@dataclass(frozen=True, eq=False)
class Stack:
    """Transformer blocks before the first step, at every height from 0 to L; the mean over draws and texts."""

    gradient: Float[Tensor, " s"]  # ‖g‖ ÷ ‖g‖ at the top
    distinct: Float[Tensor, " s"]  # of the tokens, as they stand in the stream
    queries: Float[Tensor, " l"]  # of each block ‖∂/∂(W_Q, W_K)‖ ÷ ‖∂/∂W_V‖
    points: Float[
        Tensor, "s n 2"
    ]  # one text's tokens without their mean, on their two main axes; 1 is a token's usual size


@remember
def stack(
    norm: Norm, skips: Skips = "both", depth: int = 16, feed_forward_too: bool = True, seed: int = 0, width: int = 32
) -> Stack:
    r"""Blocks of attention and feed-forward, with the skips that `skips` names, in float64

    Xavier weights, four heads, no mask, random vectors below and a random gradient above.
    """
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(BLOCK_DRAWS, BATCH, LENGTH, width, generator=g).double()
    top = torch.randn(BLOCK_DRAWS, BATCH, LENGTH, width, generator=g).double()
    wire, (around_attention, around_feed_forward) = wiring(norm), KEPT[skips]
    states, matrices = [x.requires_grad_()], []
    for _ in range(depth):
        block = draw_block(BLOCK_DRAWS, width, g)
        attention = tuple(w.double() for w in block.attention)
        matrices += [w.requires_grad_() for w in attention[:3]]
        x = wire(states[-1], multi_head(attention), float(around_attention))
        if feed_forward_too:
            w_1, w_2 = block.w_1.double(), block.w_2.double()
            x = wire(x, lambda y, a=w_1, b=w_2: feed_forward(y, a, b), float(around_feed_forward))
        states.append(x)
    gradients = torch.autograd.grad((states[-1] * top).sum(), [*states, *matrices])
    norms = torch.stack([grad.flatten(1).norm(dim=1) for grad in gradients])
    sizes, of_weights = norms[: depth + 1], norms[depth + 1 :]
    with torch.no_grad():
        return Stack(
            (sizes / sizes[-1]).mean(1),
            torch.stack([distinct(x).mean() for x in states]),
            (torch.hypot(of_weights[::3], of_weights[1::3]) / of_weights[2::3]).mean(1),
            torch.stack([plane(x[0, 0]) for x in states]),
        )


def plane(x: Float[Tensor, "n d"]) -> Float[Tensor, "n 2"]:
    """Tokens without their mean, on the two axes along which they differ most, in units of their root mean square length.

    The sign of an axis is free: the first two tokens lie on its positive side, so that frames do not flip.
    """
    size = x.square().sum(-1).mean().sqrt()
    centred = (x - x.mean(0)) / size
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    found = centred @ axes[:2].T
    return found * torch.where(found[[0, 1], [0, 1]] < 0, -1.0, 1.0)


@remember
def first_distinct(skips: Skips, depth: int) -> Float[Tensor, " r"]:
    """How distinct the tokens of the models that were trained were before training, below the last norm; each seed."""
    found = []
    with torch.no_grad():
        for seed in training.SEEDS:
            heard: list[Tensor] = []
            weights = training.first_weights(depth, seed)
            training.encode(weights, training.asked()[:16], skips, hear=heard.append)
            found.append(distinct(heard[-1]).mean())
    return torch.stack(found)


@remember
def along_the_path(norm: Norm, depth: int = 12, seed: int = 0, width: int = 32) -> float:
    r"""$\lVert g_0 - g_L \rVert / \lVert g_L \rVert$ where gradients come back along the path alone: what a branch reads is cut off

    Feed-forward branches with Xavier weights, in float64. Exactly 0 if the path hands gradients through as they are.
    """
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(LENGTH, width, generator=g).double().requires_grad_()
    top, y, wire = torch.randn(LENGTH, width, generator=g).double(), x, wiring(norm)
    for _ in range(depth):
        w_1, w_2 = (torch.randn(2, width, width, generator=g) / math.sqrt(width)).double()
        y = wire(y, lambda z, a=w_1, b=w_2: feed_forward(z.detach(), a, b))
    (found,) = torch.autograd.grad((y * top).sum(), x)
    return float((found - top).norm() / top.norm())
