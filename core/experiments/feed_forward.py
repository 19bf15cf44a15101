"""Who acts on whom through attention, through the feed-forward layer, and through blocks of both; what attention alone cannot
compute; the neurons of a trained layer; its part of a layer's weights and FLOPs; what keeps tokens apart."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from core.experiments.cross_attention import EXAMPLE
from core.experiments.masking import D_MODEL, SENTENCE, inputs
from core.experiments.quadratic_cost import layer
from core.memory import remember
from core.models import MatrixProducts, Transformer
from core.ops import masks
from core.ops.attention import softmax
from core.ops.counting import Architecture, attention_overtakes, flops_per_token, layer_weights
from core.ops.cross import cross_attention
from core.ops.feedforward import Activation, feed_forward, fires, recalled
from core.ops.norms import layer_norm, pre_norm
from core.ops.words import tokens
from core.training import cross_attention as dates
from core.training import feed_forward as training
from core.training.feed_forward import BITS

Part = Literal["attention", "feed-forward", "one block", "two blocks"]
PARTS: tuple[Part, ...] = get_args(Part)
Sees = Literal["all", "causal", "near"]
HEADS, D_FF = 2, 4 * D_MODEL

# ---------------------------------------------------------------------------------------------- who acts on whom


def visible(sees: Sees, n: int) -> Bool[Tensor, "n n"]:
    """Everybody; oneself and what came before; or oneself and one neighbour on either side.

    >>> visible("near", 3).int().tolist()
    [[1, 1, 0], [1, 1, 1], [0, 1, 1]]
    """
    if sees == "near":
        return masks.causal(n, 1) & masks.causal(n, 1).T
    return masks.causal(n) if sees == "causal" else masks.full(n)


@dataclass(frozen=True, eq=False)
class Block:
    """The weights of one block, N(0, 1/inputs)."""

    attention: tuple[Tensor, Tensor, Tensor, Tensor]  # W_Q, W_K, W_V, W_O
    w_1: Float[Tensor, "d f"]
    w_2: Float[Tensor, "f d"]

    def attend(self, x: Float[Tensor, "n d"], seen: Bool[Tensor, "n n"]) -> Float[Tensor, "n d"]:
        return cross_attention(x, x, *self.attention, HEADS, seen)

    def think(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        return feed_forward(x, self.w_1, self.w_2)

    def __call__(self, x: Float[Tensor, "n d"], seen: Bool[Tensor, "n n"]) -> Float[Tensor, "n d"]:
        return pre_norm(pre_norm(x, lambda y: self.attend(y, seen)), self.think)


def blocks(seed: int) -> tuple[Block, Block]:
    """Two blocks with random weights."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64) / math.sqrt(shape[0])

    d = D_MODEL
    first, second = (
        Block(tuple(normal(d, d) for _ in range(4)), normal(d, D_FF), normal(D_FF, d))  # type: ignore[arg-type]
        for _ in range(2)
    )
    return first, second


def behind_norm(sublayer: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A sublayer behind its norm, without its skip."""
    return lambda x: sublayer(layer_norm(x))


def part(name: Part, sees: Sees, n: int, seed: int) -> Callable[[Tensor], Tensor]:
    """A part of the stack as a function of the words' vectors: a sublayer behind its norm but without its skip, or blocks."""
    (first, second), seen = blocks(seed), visible(sees, n)
    if name == "attention":
        return behind_norm(partial(first.attend, seen=seen))
    if name == "feed-forward":
        return behind_norm(first.think)
    if name == "one block":
        return lambda x: first(x, seen)
    return lambda x: second(first(x, seen), seen)


@dataclass(frozen=True, eq=False)
class Reach:
    r"""Who acts on whom: row = whose output, column = whose input.

    `strength` is $\lVert \partial y_i / \partial x_j \rVert_F / \sqrt{d}$: by how much output i moves, in the root mean
    square, for a step of 1 in a random direction at input j. Exactly 0 where there is no way from j to i.
    """

    words: tuple[str, ...]
    strength: dict[Part, Float[Tensor, "n n"]]
    sublayers: tuple[Float[Tensor, "n n"], ...]  # attention and feed-forward of both blocks, each where it stands

    def acts(self, name: Part) -> Bool[Tensor, "n n"]:
        """Of which pairs the derivative is not 0: no threshold."""
        return self.strength[name] != 0

    def pairs(self, name: Part) -> int:
        return int(self.acts(name).sum())


@remember
def reach(sentence: str = SENTENCE, sees: Sees = "all", seed: int = 0) -> Reach:
    """By automatic differentiation, in float64, for every part. Raises ValueError, in words, for a sentence that cannot be used."""
    words = tokens(sentence)
    x = inputs(words)
    seen = visible(sees, len(words))

    def strength(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        jacobian = torch.func.jacrev(function)(x)  # [n, d, n, d]
        return jacobian.square().sum((1, 3)).div(x.shape[-1]).sqrt()

    stream, sublayers = x, []
    for block in blocks(seed):
        for sublayer in (partial(block.attend, seen=seen), block.think):
            normed = behind_norm(sublayer)
            sublayers.append(strength(normed, stream))
            stream = stream + normed(stream)
    whole = {name: strength(part(name, sees, len(words), seed), x) for name in PARTS[2:]}
    return Reach(tuple(words), dict(zip(PARTS, sublayers, strict=False)) | whole, tuple(sublayers))


def moved(name: Part, sees: Sees = "all", seed: int = 0, word: str = "dog") -> Bool[Tensor, "n n"]:
    """The same without a derivative: whose output changes, to the last bit, when whose input becomes another word."""
    words = tokens(SENTENCE)
    output = part(name, sees, len(words), seed)
    usual = output(inputs(words))
    each = [output(inputs([*words[:j], word, *words[j + 1 :]])) for j in range(len(words))]
    return torch.stack([(one != usual).any(-1) for one in each], -1)


def out_of_order(name: Part, sees: Sees = "all", seed: int = 0) -> float:
    r"""$\lVert F(PX) - P F(X) \rVert_\infty$ for the words in reversed order: 0 up to rounding if F is equivariant."""
    x = inputs(tokens(SENTENCE))
    output = part(name, sees, len(x), seed)
    return float((output(x.flip(0)) - output(x).flip(0)).abs().max())


def as_convolution(size: int = 1, seed: int = 0) -> float:
    """How far the feed-forward layer is from two of torch's convolutions along the text, the first `size` wide, both with its weights."""
    x, block = inputs(tokens(SENTENCE)), blocks(seed)[0]
    row = x.T[None]  # a batch of one, features as channels
    kernel = block.w_1.T[..., None].expand(-1, -1, size) / size
    hidden = nn.functional.conv1d(row, kernel, padding="same").relu()
    found = nn.functional.conv1d(hidden, block.w_2.T[..., None])[0].T
    return float((found - block.think(x)).abs().max())


# ---------------------------------------------------------------------------------------------- is attention linear?


def bent(tokens_seen: int, weights_held: bool = False, seed: int = 0) -> float:
    r"""How far one head is from linear: $\lVert f(x + y) - f(x) - f(y) \rVert / \lVert f(x + y) \rVert$ for random texts x and y

    With `weights_held` it takes the weights that x gives for all three: the mean of the values that it then is, is linear.
    """
    g = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, tokens_seen, D_MODEL, generator=g, dtype=torch.float64)
    w_q, w_k, w_v, w_o = blocks(seed)[0].attention

    def weigh(x: Tensor) -> Tensor:
        return softmax((x @ w_q) @ (x @ w_k).T / math.sqrt(D_MODEL))

    def head(z: Tensor) -> Tensor:
        return weigh(x if weights_held else z) @ z @ w_v @ w_o

    whole = head(x + y)
    return float((whole - head(x) - head(y)).norm() / whole.norm())


def off_one_product(tokens_seen: int, seed: int = 0) -> float:
    """How far one head is from x W_V W_O, relative: the same draws as `bent` has."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(tokens_seen, D_MODEL, generator=g, dtype=torch.float64)
    w_q, w_k, w_v, w_o = blocks(seed)[0].attention
    plain = x @ w_v @ w_o
    return float((softmax((x @ w_q) @ (x @ w_k).T / math.sqrt(D_MODEL)) @ plain - plain).norm() / plain.norm())


def collapsed(activation: Activation = "none", seed: int = 0) -> tuple[float, int]:
    """How far a feed-forward layer is from the one matrix W₁W₂, relative; and the rank of what its neurons give for 8 d random inputs."""
    block = blocks(seed)[0]
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(8 * D_MODEL, D_MODEL, generator=g, dtype=torch.float64)
    output, one = fires(x, block.w_1, activation) @ block.w_2, x @ (block.w_1 @ block.w_2)
    hidden = fires(x, block.w_1, activation)
    return float((output - one).norm() / output.norm()), int(torch.linalg.matrix_rank(hidden))


def normed_xor(norm: bool = True) -> Float[Tensor, " 4"]:
    """What two linear maps with a LayerNorm between them, and no other activation, make of the four pairs of bits.

    The first gives (s, −s, ½, −½) with s = a + b − 1; the norm divides by the size, so that the third is large where s is 0.
    """
    s = torch.tensor([-1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    half = torch.full_like(s, 0.5)
    x = torch.stack([s, -s, half, -half], -1)
    return layer_norm(x, eps=0.0)[..., 2] if norm else x[..., 2]


Task = Literal["xor", "and"]


def slope_at_a_guess(task: Task = "xor") -> float:
    r"""The largest $\lvert \partial L / \partial w \rvert$ at w = 0 of a plane w over two bits and a 1, L being the mean cross-entropy of its logits

    There every answer is ½ and L = ln 2. L is convex in w, so ln 2 is the least that a plane can reach if this is 0.

    Goodfellow et al. 2016, Deep Learning, §6.1, for the squared error

    >>> slope_at_a_guess("xor"), slope_at_a_guess("and")
    (0.0, 0.25)
    """
    target = torch.tensor([float(a != b if task == "xor" else a and b) for a, b in BITS], dtype=torch.float64)
    return float((training.inputs().T @ (0.5 - target) / len(BITS)).abs().max())


# ---------------------------------------------------------------------------------------------- a trained layer's neurons


STRONGEST = 8  # neurons that are drawn
TOKENS = (*dates.code("0123456789-"), dates.END)  # what a date is written in
EVERY = 61  # of the held-out dates every so many-th says when a neuron fires: all sixteen styles take turns


@dataclass(frozen=True, eq=False)
class Memories:
    """The feed-forward layer of one layer of the trained decoder, while it writes one date. Axes: written token, neuron."""

    source: str
    written: tuple[int, ...]  # tokens
    fires: Float[Tensor, "t f"]
    sizes: Float[
        Tensor, "t f"
    ]  # the length of what each neuron adds: how strongly it fires times the length of its value
    promotes: Float[Tensor, "f v"]  # what each neuron's value says for each token, see `values_said`

    def strongest(self, step: int, most: int = STRONGEST) -> Int[Tensor, " m"]:
        """Those that add most, the largest first."""
        return self.sizes[step].argsort(descending=True)[:most]


def decoder_inputs(
    weights: dates.Weights, source: Int[Tensor, "b n"], written: Int[Tensor, "b t"]
) -> list[Float[Tensor, "b t c"]]:
    """What the feed-forward layer of each layer of the decoder reads: its stream, normalised."""
    heard: list[Tensor] = []
    memory = dates.encode(weights, source)
    # The decoder run up to each layer: what its feed-forward layer reads does not hang on its own values.
    x = dates.embed(weights, dates.shifted(written))
    seen = (source != dates.PAD)[:, None].expand(-1, x.shape[-2], -1)
    parts = zip(*(weights[f"decoder.{name}"].unbind() for name in ("self", "cross", "up", "down")), strict=True)
    for own, cross, up, down in parts:
        x = pre_norm(x, dates.look(own, masks.causal(x.shape[-2])))
        w_q, w_k, w_v, w_o = cross
        x = x + cross_attention(layer_norm(x), memory, w_q, w_k, w_v, w_o, dates.HEADS, seen)
        heard.append(layer_norm(x))
        x = x + feed_forward(heard[-1], up, down)
    return heard


def values_said(weights: dates.Weights, layer: int) -> Float[Tensor, "f v"]:
    """By how much the value of each neuron raises each token's logit above the mean of all tokens, were it read out at once.

    The last norm takes away a vector's mean, so the values are without theirs; its division, one for all tokens, is left out.
    """
    values = weights["decoder.down"][layer - 1]
    said = (values - values.mean(-1, keepdim=True)) @ weights["head"]
    return said - said.mean(-1, keepdim=True)


def _written(source: str, layer: int) -> tuple[Int[Tensor, " t"], Float[Tensor, "t c"]]:
    """What the shipped model writes for a source, up to its end; and what the feed-forward layer of one layer reads then."""
    weights, batch = dates.trained(), dates.batch_of([source])
    written = dates.write(weights, dates.encode(weights, batch), batch != dates.PAD)
    end = written[0].tolist().index(dates.END) + 1 if dates.END in written[0] else dates.WRITTEN
    return written[0, :end], decoder_inputs(weights, batch, written[:, :end])[layer - 1][0]


def keys_and_values(layer: int) -> tuple[Float[Tensor, "c f"], Float[Tensor, "f c"]]:
    """The two matrices of one layer of the shipped decoder; layers are counted from 1."""
    weights = dates.trained()
    return weights["decoder.up"][layer - 1], weights["decoder.down"][layer - 1]


@remember
def memories(source: str = EXAMPLE, layer: int = dates.LAYERS) -> Memories:
    """The neurons of one layer, while the shipped model writes the date."""
    (written, x), (keys, values) = _written(source, layer), keys_and_values(layer)
    a = fires(x, keys)
    return Memories(source, tuple(written.tolist()), a, a * values.norm(dim=-1), values_said(dates.trained(), layer))


def summed(most: int | None = None, layer: int = dates.LAYERS) -> tuple[float, float]:
    """How far the layer's output is from the sum over its neurons, or over the first so many; and how far rounding may take it.

    Of f numbers added in two orders, at most f u apart each from the true sum of their sizes, u being half of eps.
    """
    (_, x), (keys, values) = _written(EXAMPLE, layer), keys_and_values(layer)
    a = fires(x, keys)
    apart = feed_forward(x, keys, values) - recalled(a, values, None if most is None else list(range(most)))
    return float(apart.abs().max()), len(values) * torch.finfo(x.dtype).eps * float((a @ values.abs()).max())


@remember
def held_out(every: int = EVERY) -> tuple[Int[Tensor, "b n"], Int[Tensor, "b t"]]:
    """Some of the dates that the model was not trained on, in all styles; and what should be written."""
    texts, right = dates.test_set()
    return dates.batch_of(texts[::every]), right[::every]


@dataclass(frozen=True, eq=False)
class Firing:
    """Over held-out dates, each token written after the right ones: what the neurons of one layer did. Axis m: written token."""

    written: Int[Tensor, " m"]
    by_token: Float[Tensor, "f v"]  # how strongly each neuron fires before each token, on average
    strongest: Int[Tensor, " m"]  # the token that the value of the neuron which adds most speaks for most
    whole: Int[Tensor, " m"]  # the token that the whole layer's output speaks for most
    wrongly: Int[Tensor, " m"]  # the same of the strongest, if each key had the value of another neuron


@remember
def firing(layer: int = dates.LAYERS) -> Firing:
    """In the shipped weights of the first seed."""
    weights, (source, right) = dates.trained(), held_out()
    said, values = values_said(weights, layer), weights["decoder.down"][layer - 1]
    a = fires(decoder_inputs(weights, source, right)[layer - 1], weights["decoder.up"][layer - 1]).flatten(0, 1)
    written = right.flatten()
    before = torch.zeros(len(written), dates.VOCABULARY, dtype=a.dtype).scatter_(1, written[:, None], 1.0)
    adds_most = (a * values.norm(dim=-1)).argmax(-1)
    return Firing(
        written,
        (a.T @ before) / before.sum(0).clamp_min(1),
        said[adds_most].argmax(-1),
        (a @ said).argmax(-1),
        said.roll(1, 0)[adds_most].argmax(-1),
    )


@remember
def right_without(layers: tuple[int, ...]) -> float:
    """The share of held-out tokens that are still right without the feed-forward layers of these layers of the decoder."""
    weights, (source, right) = dict(dates.trained()), held_out()
    kept = torch.tensor([float(i + 1 not in layers) for i in range(dates.LAYERS)], dtype=torch.float64)
    weights["decoder.down"] = weights["decoder.down"] * kept[:, None, None]
    scores = dates.decode(weights, right, dates.encode(weights, source), source != dates.PAD).logits
    return float((scores.argmax(-1) == right).double().mean())


# ---------------------------------------------------------------------------------------------- its part of the whole

SHOWN = (
    *("BERT base", "GPT-2 small", "OPT 175B", "Llama 2 7B", "Llama 3 8B", "Llama 3.1 405B"),
    *("Qwen2.5 7B", "Gemma 2B", "Mixtral 8x7B"),
)
LENGTHS = tuple(2**k for k in range(7, 19))
# How many tokens each sees at most: max_position_embeddings in the configuration it was published with.
WINDOWS = {
    **{"BERT base": 512, "GPT-2 small": 1024, "OPT 175B": 2048, "Llama 2 7B": 4096, "Llama 3 8B": 8192},
    **{"Llama 3.1 405B": 131072, "Qwen2.5 7B": 131072, "Gemma 2B": 8192, "Mixtral 8x7B": 32768},
}


@dataclass(frozen=True, eq=False)
class Share:
    """One layer of a published model: the numbers in its weight matrices, and the FLOPs of a token's forward pass."""

    forward: int
    attention: int
    flops_forward: int
    flops_attention: Float[Tensor, " s"]  # through its weights and between tokens, seeing as many as LENGTHS says
    even: float  # at how many visible tokens both cost the same

    @property
    def weights(self) -> float:
        """The feed-forward layer's share of the weights."""
        return self.forward / (self.forward + self.attention)

    @property
    def flops(self) -> Float[Tensor, " s"]:
        """Its share of the FLOPs."""
        return self.flops_forward / (self.flops_forward + self.flops_attention)


@remember
def share(a: Architecture) -> Share:
    forward, attention = layer_weights(a)
    used, _ = layer_weights(a, used=True)
    between = flops_per_token(a, 1).attention / (a.blocks + a.decoder_layers)
    lengths = torch.tensor(LENGTHS, dtype=torch.float64)
    return Share(forward, attention, 2 * used, 2 * attention + between * lengths, attention_overtakes(a))


@remember
def flops_made(n: int, d_model: int = 64) -> tuple[int, int]:
    """The FLOPs of the matrix products that are really made by both sublayers of a classic layer, attention's first, over n tokens."""
    block = Transformer(layer(d_model)).stack[-1].get_submodule("block.0")
    x, made = torch.zeros(1, n, d_model), []
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.fill_(0.01)  # any values: only shapes are counted
        for sublayer in ("attention", "feed_forward"):
            with MatrixProducts() as products:
                block.get_submodule(sublayer)(x)
            made.append(products.flops)
    return made[0], made[1]
