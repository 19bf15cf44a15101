"""Question 7: Pre-Norm or Post-Norm: where does the normalisation go, and what does it change?"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from core.course import Concept, Evidence, Option, Source
from core.ops import masks
from core.ops.attention import attention
from core.ops.feedforward import feed_forward
from core.ops.norms import layer_norm, post_norm, pre_norm
from core.sources import LIU_2020, SUN_2025, VASWANI_2017, XIONG_2020
from core.training import pre_post_norm as training

concept = Concept(__name__)

RADFORD = Source(
    "Radford et al. 2019",
    "Language Models are Unsupervised Multitask Learners",
    "https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
)
TOUVRON = Source("Touvron et al. 2023", "LLaMA: Open and Efficient Foundation Language Models", "arXiv 2302.13971")
OLMO_2 = Source("OLMo team 2025", "2 OLMo 2 Furious", "arXiv 2501.00656")
GEMMA_2 = Source("Gemma team 2024", "Gemma 2: Improving Open Language Models at a Practical Size", "arXiv 2408.00118")
TAKASE = Source(
    "Takase et al. 2023", "B2T Connection: Serving Stability and Performance in Deep Transformers", "arXiv 2206.00330"
)
DEEPNORM = Source("Wang et al. 2022", "DeepNet: Scaling Transformers to 1,000 Layers", "arXiv 2203.00555")
REZERO = Source(
    "Bachlechner et al. 2020", "ReZero is All You Need: Fast Convergence at Large Depth", "arXiv 2003.04887"
)

Order = Literal["post", "pre"]
ORDERS: tuple[Order, ...] = ("post", "pre")
WIRING: dict[Order, Callable[..., Tensor]] = {"post": post_norm, "pre": pre_norm}
DEPTHS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
BLOCK_DRAWS, BATCH, LENGTH, VOCABULARY = 4, 2, 16, 100

# ---------------------------------------------------------------------------------------------- experiments


def draws(width: int) -> int:
    """How many networks are computed side by side: fewer of wide ones, so that all widths take the same time.

    >>> draws(64)
    8
    """
    return 512 // width


class Weights(NamedTuple):
    """The simplified encoder of Xiong et al.: attention is uniform, so it has only W_V; d_ff = d; no biases."""

    v: Float[Tensor, "r l d d"]
    w_1: Float[Tensor, "r l d d"]
    w_2: Float[Tensor, "r l d d"]


def draw(depth: int, width: int, g: torch.Generator, dtype: torch.dtype = torch.float32) -> Weights:
    r"""Gaussian Xavier, here $N(0, 1/d)$; r independent draws side by side."""
    shape = (draws(width), depth, width, width)
    return Weights(*((torch.randn(shape, generator=g) / math.sqrt(width)).to(dtype) for _ in range(3)))


def mean_of_values(x: Float[Tensor, "*b n d"], v: Float[Tensor, "*#b d d"]) -> Tensor:
    r"""$\frac1n \sum_j x_j W_V$: attention before the first step, if $W_Q = W_K = 0$."""
    return (x.mean(-2, keepdim=True) @ v).expand_as(x)


def stream(order: Order, x: Float[Tensor, "r b n d"], weights: Weights) -> list[Tensor]:
    """The stream before the first block and after each one; Pre-Norm's final norm is not yet applied."""
    wire, found = WIRING[order], [x]
    for v, w_1, w_2 in zip(*(w.unbind(1) for w in weights), strict=True):
        x = wire(x, lambda y, v=v: mean_of_values(y, v[:, None]))
        x = wire(x, lambda y, a=w_1, b=w_2: feed_forward(y, a[:, None], b[:, None]))
        found.append(x)
    return found


@dataclass(frozen=True, eq=False)
class Start:
    """Networks of one order before the first step. The axes: depth (as in DEPTHS), draw of all weights, layer."""

    by_layer: tuple[Tensor, ...]  # for each depth `[r, depth]`: ‖∂loss/∂W_2‖ of every layer
    loss: Float[Tensor, "s r"]  # nats
    spread: Float[Tensor, "s r"]  # standard deviation of the logits

    @property
    def last(self) -> Float[Tensor, "s r"]:
        """The gradient of the last layer."""
        return torch.stack([norms[:, -1] for norms in self.by_layer])


@lru_cache(maxsize=32)
def start(order: Order, width: int = 64, seed: int = 0, final_norm: bool = True) -> Start:
    r"""$\lVert \partial \mathcal{L} / \partial W_2^{(l)} \rVert_F$ of every layer, for every depth in DEPTHS

    The loss is the cross-entropy of random targets. A network of depth L has the first L layers of the deepest one,
    so that moving the slider adds layers and changes nothing else. Both orders get the same numbers.

    Xiong et al. 2020, §3.3, arXiv 2002.04745
    """
    g = torch.Generator().manual_seed(seed)
    r = draws(width)
    x = torch.randn(r, BATCH, LENGTH, width, generator=g)
    head = torch.randn(r, 1, width, VOCABULARY, generator=g) / math.sqrt(width)
    target = torch.randint(0, VOCABULARY, (r * BATCH * LENGTH,), generator=g)
    deepest = draw(DEPTHS[-1], width, g)
    by_layer, losses, spreads = [], [], []
    for depth in DEPTHS:
        weights = Weights(*(w[:, :depth] for w in deepest))
        weights.w_2.requires_grad_()
        out = stream(order, x, weights)[-1]
        logits = (layer_norm(out) if order == "pre" and final_norm else out) @ head
        each = F.cross_entropy(logits.flatten(0, 2), target, reduction="none")
        loss = each.unflatten(0, (r, -1)).mean(-1)
        (gradient,) = torch.autograd.grad(loss.sum(), weights.w_2)
        by_layer.append(gradient.flatten(2).norm(dim=-1))
        losses.append(loss.detach())
        spreads.append(logits.detach().flatten(1).std(-1))
    return Start(tuple(by_layer), torch.stack(losses), torch.stack(spreads))


def slope(depths: tuple[int, ...], values: Float[Tensor, "s ..."]) -> Tensor:
    """The slope of the straight line through the points on logarithmic axes: the power of the depth that they follow.

    Shapes: values `[depths, …]` → `[…]`, a slope for each draw.
    """
    x, y = torch.tensor(depths, dtype=torch.float64).log(), values.double().log()
    x = (x - x.mean()).reshape(-1, *[1] * (y.dim() - 1))
    return (x * (y - y.mean(0))).sum(0) / x.square().sum()


def typical(values: Float[Tensor, "*b r"]) -> Float[Tensor, "*b"]:
    """The geometric mean over draws: an amplification multiplies, so one draw in ten is several times the others."""
    return values.log().mean(-1).exp()


@lru_cache(maxsize=32)
def amplification(order: Order, width: int = 64, seed: int = 0, epsilon: float = 0.02) -> Float[Tensor, "s r"]:
    r"""$\lVert f(x, \theta + \epsilon\,\delta) - f(x, \theta) \rVert^2 / (d\,\epsilon^2)$ at every depth, per draw

    δ is drawn like the weights θ themselves: every weight is changed by 2 % of its own spread. In float64, for it
    is a small difference of large numbers.

    Liu et al. 2020, arXiv 2004.08249
    """
    g = torch.Generator().manual_seed(seed)
    here = there = torch.randn(draws(width), 1, LENGTH, width, generator=g).double()
    found = []
    for depth in range(1, DEPTHS[-1] + 1):
        weights, noise = (draw(1, width, g, torch.float64) for _ in range(2))
        moved = Weights(*(w + epsilon * n for w, n in zip(weights, noise, strict=True)))
        here, there = stream(order, here, weights)[-1], stream(order, there, moved)[-1]
        if depth in DEPTHS:  # the deepest network passes through the outputs of all shallower ones
            difference = layer_norm(there) - layer_norm(here)
            found.append(difference.square().mean((1, 2, 3)) / epsilon**2)
    return torch.stack(found)


@dataclass(frozen=True, eq=False)
class Growth:
    """The stream after each of 48 blocks, the mean over draws and tokens."""

    size: Float[Tensor, " s"]  # ‖x‖² / d, before the first block too
    change: Float[Tensor, " l"]  # ‖x_after − x_before‖ / ‖x_before‖ of each block


@lru_cache(maxsize=32)
def growth(order: Order, width: int = 64, seed: int = 0) -> Growth:
    """How large the stream is, and how much each block still changes it."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(draws(width), BATCH, LENGTH, width, generator=g)
    states = torch.stack(stream(order, x, draw(DEPTHS[-1], width, g)))
    length = states.norm(dim=-1)
    change = (states[1:] - states[:-1]).norm(dim=-1) / length[:-1]
    return Growth(states.square().mean((1, 2, 3, 4)), change.mean((1, 2, 3)))


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
    """Gradients of full blocks before the first step, per draw and layer; and how alike what a decoder looks at is."""

    gradient: Float[Tensor, "r l"]
    alike: float  # mean cosine between two vectors of the memory; of an encoder, of its output

    @property
    def tilt(self) -> float:
        """The last layer's gradient ÷ the first one's."""
        mean = self.gradient.mean(0)
        return float(mean[-1] / mean[0])


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


def draw_block(r: int, width: int, g: torch.Generator) -> Block:
    """r draws side by side, Xavier as `nn.Transformer` has it, Q, K and V drawn as one matrix; d_ff = 4 d, no biases."""

    def xavier(rows: int, columns: int) -> Tensor:
        bound = math.sqrt(6 / (rows + columns))
        return (torch.rand(r, rows, columns, generator=g) * 2 - 1) * bound

    def four() -> tuple[Tensor, ...]:
        return (*xavier(width, 3 * width).chunk(3, -1), xavier(width, width))

    up, down = xavier(width, 4 * width)[:, None], xavier(4 * width, width)[:, None]
    return Block(four(), four(), up, down)


def full_stack(
    order: Order, x: Float[Tensor, "r b n d"], blocks: list[Block], memory: Tensor | None = None
) -> Float[Tensor, "r b n d"]:
    """An encoder; with a `memory` a decoder, which sees its past, then the memory. A last norm in both orders."""
    wire, visible = WIRING[order], None if memory is None else masks.causal(x.shape[-2])
    for block in blocks:
        x = wire(x, multi_head(block.attention, visible=visible))
        if memory is not None:
            x = wire(x, multi_head(block.cross, memory))
        x = wire(x, lambda y, b=block: feed_forward(y, b.w_1, b.w_2))
    return layer_norm(x)


@lru_cache(maxsize=64)
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
        for block in blocks:
            block.w_2.requires_grad_(measured)
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
    gradients = torch.autograd.grad(loss, [block.w_2 for block in blocks])
    return Profile(torch.stack([w.flatten(1).norm(dim=1) for w in gradients], -1), cosine(memory))


def of_means(values: Float[Tensor, " *b"]) -> tuple[float, float]:
    """The mean over independent draws and its standard error."""
    return float(values.mean()), float(values.std()) / math.sqrt(values.numel())


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "An encoder grows from 12 to 24 layers. Before the first training step, what happens to the gradient of its last "
    "feed-forward matrix?",
    Option(
        "it halves in both orders",
        0.85,
        1.15,
        "The loss stands right above the last layer. More layers below do not dilute its gradient; only Pre-Norm's "
        "larger stream does.",
    ),
    Option(
        "Post-Norm: nothing. Pre-Norm: it falls to about 70 %",
        1.15,
        1.7,
        "Post-Norm hands the last layer a stream of constant size. Pre-Norm's has grown with the depth, and the final "
        "norm divides by its length, √2 times as long: 1/√2 is 71 %.",
    ),
    Option(
        "Post-Norm: it doubles. Pre-Norm: nothing",
        1.7,
        2.5,
        "Something of Post-Norm's does about double: the squared change of its output under a small change of *all* "
        "weights. That is not the gradient of one layer.",
    ),
    Option(
        "Post-Norm: it explodes exponentially",
        2.5,
        math.inf,
        "That is a network without any norm. Every norm sets the length of the stream back to the same number.",
    ),
    shows="Change of the last layer's gradient in Post-Norm ÷ its change in Pre-Norm: {0}.",
)
def from_12_to_24() -> float:
    before, after = DEPTHS.index(12), DEPTHS.index(24)
    changes = [(start(order).last[after] / start(order).last[before]).log().mean() for order in ORDERS]
    return float((changes[0] - changes[1]).exp())


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "Post-Norm normalises the sum, LN(x + F(x)); Pre-Norm only what enters the branch, x + F(LN(x)), so that its path is "
    "the identity: a block whose weights are all zero returns its input.",
    fails_if={"order": "post"},
)
def the_path_is_the_identity(order: Order = "pre") -> Evidence:
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Evidence.exactly(
        f"largest change of a vector by a {order}-norm block whose weights are 0",
        float((WIRING[order](x, torch.zeros_like) - x).abs().max()),
        0,
    )


def from_12_to_48(order: Order) -> Float[Tensor, " r"]:
    """By what the last layer's gradient is multiplied when the depth is, for every draw."""
    last = start(order).last
    return last[DEPTHS.index(48)] / last[DEPTHS.index(12)]


@concept.says(
    "Before the first step, the gradient of Post-Norm's last layer is about the same at 12 layers and at 48.",
    fails_if={"order": "pre"},
)
def post_norm_does_not_depend_on_depth(order: Order = "post") -> Evidence:
    return Evidence.between(
        f"last layer's ‖∂loss/∂W₂‖ at 48 layers ÷ at 12, {order}-norm, mean of {draws(64)} draws",
        float(from_12_to_48(order).mean()),
        2 / 3,
        3 / 2,
    )


@concept.says("In Pre-Norm it falls like 1/√depth: four times as deep, half as large.", fails_if={"order": "post"})
def pre_norm_falls_with_the_root(order: Order = "pre") -> Evidence:
    mean, error = of_means(from_12_to_48(order))
    return Evidence.near(
        f"last layer's ‖∂loss/∂W₂‖ at 48 layers ÷ at 12, {order}-norm, mean of {draws(64)} draws",
        mean,
        0.5,
        within=4 * error,
    )


@concept.says(
    "When all weights change a little, the squared change of the output is in proportion to the depth in Post-Norm; in "
    "Pre-Norm it grows far more slowly.",
    fails_if={"order": "pre"},
)
def post_norm_amplifies(order: Order = "post") -> Evidence:
    mean, error = of_means(slope(DEPTHS, amplification(order)))
    return Evidence.near(
        f"power of the depth that the squared change follows, {order}-norm, mean of {draws(64)} draws",
        mean,
        1,
        within=4 * error,
    )


@concept.says(
    "So a deep Post-Norm network needs a warm-up: of our four runs with 12 layers at a learning rate of 0.003, none learns "
    "in 300 steps to read eight tokens backwards; with a warm-up all do, and with Pre-Norm all do without.",
    fails_if={"warmup": 100},
)
def deep_post_norm_needs_a_warm_up(warmup: int = 0) -> Evidence:
    others = training.learned("post", 12, 0.003, 100) + training.learned("pre", 12, 0.003, 0)
    return Evidence.exactly(
        f"runs that learned: {others} of 8 with warm-up or Pre-Norm, minus those of the four (shipped training)",
        others - training.learned("post", 12, 0.003, warmup),
        8,
    )


@concept.says(
    "Pre-Norm has its price: its stream grows with the depth, so it gets one more norm at the end, and its late layers "
    "change the stream little.",
    fails_if={"order": "post"},
)
def late_layers_change_less(order: Order = "pre") -> Evidence:
    change = growth(order).change
    return Evidence.below(
        f"relative change of the stream by block 48 ÷ by block 1, {order}-norm", float(change[-1] / change[0]), 1 / 3
    )


concept.cites(
    "The first Transformer is Post-Norm; GPT-2 moved the norm to the input of each sublayer, and most language models since "
    "do so.",
    source=RADFORD.at("§2.3"),
)

# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "Post-Norm gradients explode.",
    better="In an encoder they are flat before the first step: with 12 layers, the first layer's and the last layer's are "
    "equal within a factor of 1.5. In a decoder that looks at its encoder they fall towards the bottom, with 12 layers more "
    "than five-fold.",
    fails_if={"kind": "decoder"},
)
def encoder_gradients_are_flat(kind: Kind = "encoder") -> Evidence:
    return Evidence.between(
        f"‖∂loss/∂W₂‖ of layer 12 ÷ of layer 1, post-norm {kind}", profile("post", kind, 12).tilt, 2 / 3, 3 / 2
    )


@concept.corrects(
    "Unbalanced gradients are why Post-Norm is hard to train.",
    better="That is contested. Xiong et al. point at the large gradients near the output, Takase et al. at gradients that "
    "vanish on their way down, Liu et al. at neither: small updates are amplified. What we measure: an encoder's gradients "
    "are balanced before the first step, and in every run that failed without a warm-up the bottom layer's fell below a "
    "tenth of the top layer's within ten steps. But so it did in two runs that learned, and four with a warm-up failed "
    "without it: a companion of the failure rather than its proof.",
    fails_if={"warmup": 100},
    source=LIU_2020,
)
def the_imbalance_comes_with_the_first_steps(warmup: int = 0) -> Evidence:
    ten = training.SNAPSHOTS.index(10) + 1
    failed = [
        run.by_layer[:ten]
        for order, depth, rate, warm in training.CELLS
        if order == "post" and warm == warmup
        for run in training.trained(order, depth, rate, warm)
        if run.loss[-1] >= training.LEARNED
    ]
    tilts = [float((norms[:, -1] / norms[:, 0]).max()) for norms in failed]
    return Evidence.above(
        f"top ÷ bottom layer's gradient, its largest in ten steps, in the least tilted of {len(tilts)} failed runs",
        min(tilts),
        10,
    )


@concept.corrects(
    "With Pre-Norm every layer gets the same gradient.",
    better="The first gets more than the last: at 12 layers more than twice as much. The path hands every layer the same "
    "gradient, and the branches above add theirs: the lower a layer, the more of them.",
    fails_if={"order": "post"},
)
def pre_norm_is_not_flat(order: Order = "pre") -> Evidence:
    norms = start(order).by_layer[DEPTHS.index(12)].mean(0)
    return Evidence.above(f"‖∂loss/∂W₂‖ of layer 1 ÷ of layer 12, {order}-norm encoder", float(norms[0] / norms[-1]), 2)


@concept.corrects(
    "Post-Norm cannot be trained.",
    better="It can: with a warm-up, with smaller steps, or with fewer layers. At a learning rate of 0.003 our four runs with "
    "12 layers learn after a warm-up, those with 2 layers without one, and so do 12 layers at 0.001. At 0.01 even the warm-up "
    "does not save 12 layers. The first Transformer and BERT are Post-Norm.",
    fails_if={"depth": 12},
    source=VASWANI_2017.at("§5.3"),
)
def shallow_post_norm_trains(depth: int = 2) -> Evidence:
    return Evidence.exactly(
        f"post-norm runs that learned without warm-up, {depth} layers, of {len(training.SEEDS)} (shipped training)",
        training.learned("post", depth, 0.003, 0),
        len(training.SEEDS),
    )


@concept.corrects(
    "Pre-Norm is free.",
    better="A layer late in the stack adds a vector of the usual size to a stream that has grown: of 48 blocks, the last "
    "changes it by less than a quarter of its length. Trained models show it too: their deep layers contribute little.",
    fails_if={"order": "post"},
    source=SUN_2025,
)
def the_last_block_changes_little(order: Order = "pre") -> Evidence:
    return Evidence.below(
        f"relative change of the stream by block 48, {order}-norm", float(growth(order).change[-1]), 0.25
    )


@concept.corrects(
    "For Pre-Norm it is enough to move the norm: norm_first=True.",
    better="Pre-Norm has one more norm at the end. nn.TransformerEncoder adds none unless you pass `norm=` (nn.Transformer "
    "does). Without it the stream reaches the head at the size it has grown to, and the first loss is that of a model which "
    "is sure and wrong. Our small models recover from that start: it is the start that the norm repairs.",
    fails_if={"final_norm": True},
    source=XIONG_2020.at("table 1"),
)
def norm_first_has_no_final_norm(final_norm: bool = False) -> Evidence:
    def layer() -> nn.TransformerEncoderLayer:
        return nn.TransformerEncoderLayer(64, 4, 256, dropout=0, batch_first=True, norm_first=True)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        norm = nn.LayerNorm(64) if final_norm else None
        encoder = nn.TransformerEncoder(layer(), 12, norm, enable_nested_tensor=False)
        encoder.layers = nn.ModuleList(layer() for _ in range(12))  # it starts with twelve copies
        with torch.no_grad():
            out = encoder(torch.randn(1, 16, 64))
    return Evidence.above(
        "‖x‖²/d of what nn.TransformerEncoder(norm_first=True) returns, 12 layers", float(out.square().mean()), 1.1
    )


# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Why does a warm-up help?",
    "Adam's first steps have the same length whatever the gradient: about the learning rate per weight. The squared change "
    "of a Post-Norm network's output is that of its weights times its depth. Small first steps keep it small until the "
    "network depends less on its branches, as Liu et al. explain it.",
    LIU_2020,
)
concept.pushes_back(
    "How can Post-Norm be kept at a hundred layers?",
    "By giving the path more weight than the branch: DeepNorm multiplies x by a constant and starts the branches smaller, "
    "Admin sets that weight layer by layer. Both lessen the amplification. ReZero goes further: it drops the norm and starts "
    "every branch at zero.",
    DEEPNORM,
)
concept.pushes_back(
    "What is Pre-Norm's final norm for?",
    "The stream is a sum of as many branches as there are sublayers, so its length grows like √depth, and so would the "
    "logits. The norm also lets the head see directions instead of lengths.",
    XIONG_2020.at("table 1"),
)
concept.pushes_back(
    "Which current models are neither Pre- nor Post-Norm?",
    "OLMo 2 normalises the output of each branch and leaves path and input alone, x + Norm(F(x)). Gemma 2 and 3 normalise "
    "input and output of each branch, x + Norm(F(Norm(x))). In both the path itself stays free, as in Pre-Norm.",
    OLMO_2,
)
concept.pushes_back(
    "Which one is better, when both train?",
    "In shallow translation models, Post-Norm has often come out ahead, six layers or fewer in Takase et al. At the size "
    "of language models stability decides, and Pre-Norm has won, with the price that its last layers do little.",
    TAKASE,
)

concept.reads(
    XIONG_2020,
    LIU_2020,
    VASWANI_2017.at("§3.1 and §5.3"),
    RADFORD.at("§2.3"),
    TAKASE,
    SUN_2025,
    DEEPNORM,
    REZERO,
    TOUVRON,
    OLMO_2,
    GEMMA_2,
)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import torch
import torch.nn.functional as F

depth, width, seed = $depth, $width, $seed
draws, batch, length, vocabulary, deepest = 512 // width, 2, 16, 100, 48


def norm(x):
    return F.layer_norm(x, (width,))


def post(x, sublayer):
    return norm(x + sublayer(x))


def pre(x, sublayer):
    return x + sublayer(norm(x))


g = torch.Generator().manual_seed(seed)
tokens = torch.randn(draws, batch, length, width, generator=g)
head = torch.randn(draws, 1, width, vocabulary, generator=g) / width**0.5
target = torch.randint(0, vocabulary, (draws * batch * length,), generator=g)
v, w_1, w_2 = (torch.randn(draws, deepest, width, width, generator=g) / width**0.5 for _ in range(3))
w_2.requires_grad_()


def last_gradient(block):
    x = tokens
    for layer in range(depth):
        # Attention before the first step, if W_Q = W_K = 0: every token gets the mean of all values.
        x = block(x, lambda y: (y.mean(-2, keepdim=True) @ v[:, None, layer]).expand_as(y))
        x = block(x, lambda y: (y @ w_1[:, None, layer]).relu() @ w_2[:, None, layer])
    if block is pre:
        x = norm(x)  # the final norm that Pre-Norm needs
    loss = F.cross_entropy((x @ head).flatten(0, 2), target, reduction="sum") / (batch * length)
    (gradient,) = torch.autograd.grad(loss, w_2)
    by_layer = gradient[:, :depth].flatten(2).norm(dim=-1).mean(0)  # the mean over the draws
    print(f"{block.__name__}-norm, gradient norm of W_2 from layer 1 to {depth}:", by_layer.tolist())
    return by_layer[-1].item()


print("last layer, Post-Norm ÷ Pre-Norm:")
print(last_gradient(post) / last_gradient(pre))
""",
    {"depth": 12, "width": 64, "seed": 0},
    {"depth": 2, "width": 32, "seed": 3},
)
def post_over_pre(depth: int, width: int, seed: int) -> float:
    last = [start(order, width, seed).last[DEPTHS.index(depth)].mean() for order in ORDERS]
    return float(last[0] / last[1])
