"""Three families from the same weights: what a token reaches, what one more token changes, and what a layer costs."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from core.experiments.masking import SENTENCE
from core.memory import remember
from core.models import Stack, Transformer, build, count_built
from core.ops import masks, positions
from core.ops.attention import attention
from core.ops.counting import Architecture
from core.ops.feedforward import feed_forward
from core.ops.norms import layer_norm, pre_norm
from core.ops.words import JOINERS, embed, tokens
from core.presets import PRESETS, preset

TARGET, ONE_MORE = "le chat dort", "today"
MOST_TARGET = 4  # words; more would not fit beside the source
WIDTH, LAYERS = 16, 2
Family = Literal["encoder", "decoder", "encoder-decoder"]
FAMILIES: tuple[Family, ...] = ("encoder", "decoder", "encoder-decoder")
Sees = Literal["all", "past", "prompt", "window", "recent"]
Cross = Literal["all", "past", "first", "none"]
PROMPT = 4  # words that a prefix-LM reads in both directions
NEAR = 3  # words to a side, or back, in the windows that are mistakes here

# ---------------------------------------------------------------------------------------------- the reader's words


def words_of(text: str) -> list[str]:
    """The words of a target or of an addition, where one is enough."""
    return [word for part in text.split() if (word := part.strip(JOINERS))]


def target_of(text: str) -> tuple[str, str]:
    """The reader's target; or the default, and the reason in words.

    >>> target_of("oui"), target_of("a b c d e")
    (('oui', ''), ('le chat dort', 'That is 5 words; the target has room for 4. Leave some out.'))
    """
    found = words_of(text)
    if not found:
        return TARGET, "Write at least one word."
    if len(found) > MOST_TARGET:
        return TARGET, f"That is {len(found)} words; the target has room for {MOST_TARGET}. Leave some out."
    return " ".join(found), ""


def inputs(words: list[str]) -> Float[Tensor, "n d"]:
    """Word vectors plus sinusoidal positions, so that a repeated word is not the same input."""
    return embed(words, WIDTH) + positions.sinusoidal(len(words), WIDTH)


# ---------------------------------------------------------------------------------------------- one set of weights


class Attend(NamedTuple):
    """The four matrices of one attention, each d × d; one head."""

    query: Tensor
    key: Tensor
    value: Tensor
    output: Tensor


class Layer(NamedTuple):
    """What all families share, and `across`, the cross-attention that only the decoder of an encoder-decoder has."""

    own: Attend
    up: Tensor
    down: Tensor
    across: Attend


@remember
def layers(seed: int) -> tuple[Layer, ...]:
    r"""Two layers, every matrix $N(0, 1/\mathrm{rows})$: the same for an encoder, a decoder, and both stacks of the third."""
    g = torch.Generator().manual_seed(seed)

    def matrix(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=g, dtype=torch.float64) / math.sqrt(rows)

    def four() -> Attend:
        return Attend(*(matrix(WIDTH, WIDTH) for _ in range(4)))

    return tuple(Layer(four(), matrix(WIDTH, 2 * WIDTH), matrix(2 * WIDTH, WIDTH), four()) for _ in range(LAYERS))


def attend(x: Tensor, memory: Tensor, weights: Attend, visible: Tensor | None) -> Tensor:
    """Queries from x, keys and values from the memory: self-attention if the two are one, cross-attention if not."""
    query, key, value = x @ weights.query, memory @ weights.key, memory @ weights.value
    return attention(query, key, value, visible) @ weights.output


def block(
    x: Float[Tensor, "*b q d"],
    layer: Layer,
    visible: Bool[Tensor, "q q"],
    memory: Float[Tensor, "*b k d"] | None = None,
    across: Bool[Tensor, "q k"] | None = None,
) -> Float[Tensor, "*b q d"]:
    """A Pre-Norm layer: self-attention under a mask, cross-attention if there is a memory, feed-forward.

    `visible` is the only difference between an encoder's layer and a decoder's. `across` hides parts of the memory; as a
    rule nothing (None).
    """
    x = pre_norm(x, lambda y: attend(y, y, layer.own, visible))
    if memory is not None:
        x = pre_norm(x, lambda y: attend(y, memory, layer.across, across))
    return pre_norm(x, lambda y: feed_forward(y, layer.up, layer.down))


def states(
    x: Float[Tensor, "*b q d"],
    stack: tuple[Layer, ...],
    visible: Bool[Tensor, "q q"],
    memory: Float[Tensor, "*b k d"] | None = None,
    across: Bool[Tensor, "q k"] | None = None,
) -> list[Tensor]:
    """What enters each layer, and what leaves the last one after one more norm: the outputs."""
    found = [x]
    for layer in stack:
        found.append(block(found[-1], layer, visible, memory, across))
    return [*found[:-1], layer_norm(found[-1])]


def mask(sees: Sees, n: int) -> Bool[Tensor, "n n"]:
    """Every token; itself and what came before, or that with an open prompt; neighbours on both sides, or the last few."""
    near = masks.causal(n, NEAR) & masks.causal(n, NEAR).T
    return {
        "all": masks.full(n),
        "past": masks.causal(n),
        "prompt": masks.prefix_lm(n, PROMPT),
        "window": near,
        "recent": near & masks.causal(n),
    }[sees]


def across(cross: Cross, m: int, n: int) -> Bool[Tensor, "m n"] | None:
    """Which encoder outputs the target's words see: all (None), or as in two mistakes: a causal triangle, or all of them
    only for the first word and the first of them for all words."""
    if cross == "past":
        return torch.ones(m, n, dtype=torch.bool).tril()
    if cross == "first":
        found = torch.zeros(m, n, dtype=torch.bool)
        found[0], found[:, 0] = True, True
        return found
    return None


# ---------------------------------------------------------------------------------------------- what a token reaches


def influence(output: Callable[..., Tensor], *given: Float[Tensor, "_ d"]) -> list[Float[Tensor, "q _"]]:
    r"""$\lVert \partial o_i / \partial x_j \rVert_F$ for every output i and every row j of each input, by automatic differentiation.

    One copy of the inputs for each number of the output, so that one pass backwards gives all derivatives. Where no path
    leads from j to i, every product on the way has a weight of 0 in it: the derivative is exactly 0, on every machine.
    """
    q, d = output(*given).shape
    copies = [x.expand(q * d, *x.shape).clone().requires_grad_() for x in given]
    wanted = output(*copies).flatten(1).diagonal().sum()  # of each copy its own number
    return [
        gradient.square().sum(-1).unflatten(0, (q, d)).sum(1).sqrt() for gradient in torch.autograd.grad(wanted, copies)
    ]


@dataclass(frozen=True, eq=False)
class Sight:
    """Who sees whom, layer by layer: whether what an attention writes for a row's token depends on what a column offers as
    key and value, the queries held still. One attention, nothing in between: no other layer can lend its eyes."""

    encoder: Bool[Tensor, "l n n"]
    decoder: Bool[Tensor, "l n n"]
    across: Bool[Tensor, "l m n"]  # a word of the target, an output of the encoder
    own: Bool[Tensor, "l m m"]  # words of the target


@remember
def sight(
    sentence: str = SENTENCE,
    target: str = TARGET,
    seed: int = 0,
    encoder: Sees = "all",
    decoder: Sees = "past",
    cross: Cross = "all",
) -> Sight:
    """The derivative of each attention by its memory is not 0. The last three arguments are for the mistakes."""
    stack, x, y = layers(seed), inputs(tokens(sentence)), inputs(words_of(target))
    hidden = across(cross, len(y), len(x))

    def seen(asking: Tensor, memory: Tensor, weights: Attend, visible: Tensor | None) -> Tensor:
        def written(memory: Tensor) -> Tensor:
            return attend(asking.expand(*memory.shape[:-2], *asking.shape), memory, weights, visible)

        return influence(written, memory)[0] != 0

    def selves(found: list[Tensor], visible: Tensor) -> Tensor:
        entering = [layer_norm(x) for x in found[:-1]]
        return torch.stack([seen(z, z, one.own, visible) for z, one in zip(entering, stack, strict=True)])

    read, alone = (states(x, stack, mask(sees, len(x))) for sees in (encoder, decoder))
    memory, visible = None if cross == "none" else read[-1], mask(decoder, len(y))
    written = states(y, stack, visible, memory, hidden)
    crossed = torch.zeros(len(stack), len(y), len(x), dtype=torch.bool)
    for k, (z, one) in enumerate(zip(written[:-1], stack, strict=True)):
        if memory is not None:
            entering = layer_norm(z)
            asking = layer_norm(z + attend(entering, entering, one.own, visible))
            crossed[k] = seen(asking, memory, one.across, hidden)
    return Sight(
        selves(read, mask(encoder, len(x))), selves(alone, mask(decoder, len(x))), crossed, selves(written, visible)
    )


@dataclass(frozen=True, eq=False)
class Reach:
    """How strongly each output answers to each input, in three families with the same weights; exactly 0 where it cannot.

    Row = output, column = input. The encoder of the encoder-decoder is the encoder-only model, number for number.
    """

    words: tuple[str, ...]
    target: tuple[str, ...]
    encoder: Float[Tensor, "n n"]
    decoder: Float[Tensor, "n n"]
    source: Float[Tensor, "m n"]  # from a word of the source to an output of the target
    own: Float[Tensor, "m m"]  # from a word of the target to an output of the target

    def of(self, family: Family, token: int) -> Float[Tensor, " q"]:
        """How strongly each output of a family answers to one word of the sentence."""
        found = {"encoder": self.encoder, "decoder": self.decoder, "encoder-decoder": self.source}
        return found[family][:, token]

    def reached(self, family: Family, token: int) -> int:
        """How many outputs answer at all: a count of what is not 0, no threshold."""
        return int((self.of(family, token) != 0).sum())


@remember
def reach(
    sentence: str = SENTENCE,
    target: str = TARGET,
    seed: int = 0,
    encoder: Sees = "all",
    decoder: Sees = "past",
    cross: Cross = "all",
) -> Reach:
    """Who reaches whom through two layers. The last three arguments are for the mistakes: each mask may be the other one,
    and cross-attention may hide something, or be left out as in GPT (then the decoder's outputs know nothing of the source)."""
    words, wanted, stack = tokens(sentence), words_of(target), layers(seed)
    n, m = len(words), len(wanted)
    x, y = inputs(words), inputs(wanted)
    hidden = across(cross, m, n)

    def only(sees: Sees) -> Callable[[Tensor], Tensor]:
        return lambda x: states(x, stack, mask(sees, n))[-1]

    def decoded(memory: Tensor, y: Tensor) -> Tensor:
        out = states(y, stack, mask(decoder, m), None if cross == "none" else memory, hidden)[-1]
        return out + 0 * memory.sum((-2, -1))[..., None, None] if cross == "none" else out

    def both(x: Tensor, y: Tensor) -> Tensor:
        return decoded(only(encoder)(x), y)

    (all_see,), (past_seen,) = influence(only(encoder), x), influence(only(decoder), x)
    source, own = influence(both, x, y)
    return Reach(tuple(words), tuple(wanted), all_see, past_seen, source, own)


# ---------------------------------------------------------------------------------------------- one more word

KEPT = ("keys and values of layer 1", "keys and values of layer 2", "output")
To = Literal["target", "source"]


@dataclass(frozen=True, eq=False)
class Appended:
    """By how much one more word changes what the words before it had: the rows are KEPT, the largest change of a number.

    In the encoder-decoder the target's words have their self-attention's keys and values and the outputs, the source's
    words cross-attention's keys and values in the same layers, and the encoder's outputs that these are made of.
    """

    words: tuple[str, ...]
    target: tuple[str, ...]
    encoder: Float[Tensor, "3 n"]
    decoder: Float[Tensor, "3 n"]
    both: Float[Tensor, "3 m"]  # of the target's words
    source: Float[Tensor, "3 n"]  # of the source's words, as the decoder keeps them

    def of(self, family: Family) -> Tensor:
        return {"encoder": self.encoder, "decoder": self.decoder, "encoder-decoder": self.both}[family]


@remember
def append(
    sentence: str = SENTENCE,
    target: str = TARGET,
    word: str = ONE_MORE,
    to: To = "target",
    seed: int = 0,
    encoder: Sees = "all",
    decoder: Sees = "past",
) -> Appended:
    """What a cache would have to correct.

    Both passes have room for one more word than the text, as in a preallocated cache: before the word comes, its slot
    holds zeros and nobody sees it. So both add the same numbers in the same order, and what differs is the word's doing.
    (Passes of different lengths may differ in the last bit, since longer sums are added in another order.)
    """
    words, wanted, stack = tokens(sentence), words_of(target), layers(seed)

    def with_slot(words: list[str], sees: Sees) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Inputs and mask before the word comes, and after."""
        n = len(words)
        after, visible = inputs([*words, word]), mask(sees, n + 1)
        before, unused = after.clone(), visible.clone()
        before[n], unused[:, n] = 0, False
        return (before, unused), (after, visible)

    def kept(found: list[Tensor], n: int) -> list[Tensor]:
        """For each of KEPT the numbers of the first n words."""
        seen = [layer_norm(x) for x in found[:-1]]
        caches = [torch.cat([x @ one.own.key, x @ one.own.value], -1) for x, one in zip(seen, stack, strict=True)]
        return [row[:n] for row in (*caches, found[-1])]

    def moved(earlier: list[Tensor], later: list[Tensor]) -> Tensor:
        return torch.stack([(b - a).abs().amax(-1) for a, b in zip(earlier, later, strict=True)])

    n, m = len(words), len(wanted)
    read = [(x, seen, states(x, stack, seen)) for x, seen in with_slot(words, encoder)]
    alone = [kept(states(x, stack, seen), n) for x, seen in with_slot(words, decoder)]
    # An appended target leaves the source as it was; an appended source leaves the target's words as they were.
    steps = with_slot(wanted, decoder) if to == "target" else ((inputs(wanted), mask(decoder, m)),) * 2
    sources = read if to == "source" else read[:1] * 2
    written = [
        kept(states(y, stack, seen, found[-1], visible[-1:].expand(len(y), -1)), m)
        for (y, seen), (_, visible, found) in zip(steps, sources, strict=True)
    ]
    memories = [found[-1][:n] for _, _, found in sources]
    offered = [[*(torch.cat([x @ one.across.key, x @ one.across.value], -1) for one in stack), x] for x in memories]
    return Appended(
        tuple(words),
        tuple(wanted),
        moved(*(kept(found, n) for _, _, found in read)),
        moved(*alone),
        moved(*written),
        moved(*offered),
    )


# ---------------------------------------------------------------------------------------------- the ledger

BERT, GPT_2, T5 = "BERT base", "GPT-2 small", "T5 base"
SHOWN = (BERT, "RoBERTa large", GPT_2, "Llama 3 8B", "Transformer base (2017)", T5, "BART large")


@dataclass(frozen=True)
class Ledger:
    """What a layer of each stack holds, and how many attentions the whole model has: counted in what PyTorch builds."""

    d_model: int
    parameters: int
    stacks: tuple[dict[str, int], ...]  # by part: self-attention, cross-attention, feed-forward, norms
    self_attentions: int
    cross_attentions: int

    @property
    def cross(self) -> int:
        """The parameters of one cross-attention and its norm; 0 where there is none."""
        return self.stacks[-1]["cross-attention"] + self.stacks[-1]["its norm"]


PARTS = {
    "self-attention": ("attention",),
    "cross-attention": ("cross_attention",),
    "its norm": ("cross_norm",),
    "feed-forward": ("feed_forward",),
    "norms": ("norm",),
}


def with_cross_attention(a: Architecture) -> Architecture:
    """The same numbers as an encoder-decoder, whose decoder is the decoder-only model with cross-attention in every layer."""
    return replace(a, kind="encoder-decoder", decoder_layers=a.n_layers)


def counted(stack: Stack) -> dict[str, int]:
    """The parameters of one layer by part."""
    one = stack.get_submodule("block.0")
    children = dict(one.named_children())
    return {part: sum(count_built(children[n]) for n in names if n in children) for part, names in PARTS.items()}


def ledger_of(a: Architecture) -> Ledger:
    """Build the whole model, on a device that stores no numbers, and count."""
    model: Transformer = build(a)
    names = [name.rpartition(".")[2] for name, _ in model.named_modules()]
    return Ledger(
        a.d_model,
        count_built(model),
        tuple(counted(stack) for stack in model.stack),  # type: ignore[arg-type]
        names.count("attention"),
        names.count("cross_attention"),
    )


@remember
def ledger(name: str, cross: bool = False) -> Ledger:
    """Of a published model, by its name in `core.presets`; with `cross`, as if each of its layers had cross-attention too."""
    return ledger_of(with_cross_attention(preset(name)) if cross else preset(name))


def family_of(name: str) -> Family:
    """
    >>> [family_of(name) for name in (BERT, GPT_2, T5)]
    ['encoder', 'decoder', 'encoder-decoder']
    """
    return PRESETS[name].architecture.kind


@remember
def torchs_difference(d_model: int = 768, n_heads: int = 12, d_ff: int = 3072) -> int:
    """How many parameters more torch's decoder layer has than its encoder layer."""
    sizes = (d_model, n_heads, d_ff)
    return count_built(nn.TransformerDecoderLayer(*sizes, device="meta")) - count_built(
        nn.TransformerEncoderLayer(*sizes, device="meta")
    )
