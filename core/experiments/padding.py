"""What pads do to real outputs, whom a padding mask must hide, what libraries make of one mask, and what pads cost."""

import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from core.experiments.masking import D_MODEL, inputs, project, projections, rounding
from core.experiments.positions import HEADS, draw
from core.memory import remember
from core.ops import batching, masks, positions
from core.ops.attention import attention, logits, masked, softmax
from core.ops.words import JOINERS, embed

SENTENCES = ("the cat sat on the mat", "dogs bark", "birds sing at dawn")
MOST = 8  # words of a sentence; more would not fit the figures
EXTRA = tuple(range(9))  # pads beyond the longest sentence
PADS = 4  # of the shortest sentence, in the second looks
LAYERS = 2
# In float64 the longest sum has 64 terms, there are two layers of sums, and a layer makes a small error at most about
# ten times as large (as in question 13). What is larger than this is no rounding error.
ROUNDING = 10 * LAYERS * 64 * torch.finfo(torch.float64).eps
Pad = Literal["zeros", "own"]
Sentences = tuple[str, ...]

# ---------------------------------------------------------------------------------------------- the reader's words


def tokens(text: str) -> list[str]:
    """The words of a sentence, one to eight. Raises ValueError, in words.

    >>> tokens("dogs  bark"), tokens("no")
    (['dogs', 'bark'], ['no'])
    >>> tokens(" ")
    Traceback (most recent call last):
    ...
    ValueError: Write at least one word.
    """
    found = [word for part in text.split() if (word := part.strip(JOINERS))]
    if not found:
        raise ValueError("Write at least one word.")
    if len(found) > MOST:
        raise ValueError(f"That is {len(found)} words; the figures have room for {MOST}. Leave some out.")
    return found


def sentence_of(text: str, default: str) -> tuple[str, str]:
    """The reader's sentence; or the default, and the reason in words.

    >>> sentence_of("dogs bark", "no"), sentence_of("a b c d e f g h i", "no")[0]
    (('dogs bark', ''), 'no')
    """
    try:
        tokens(text)
    except ValueError as reason:
        return default, str(reason)
    return text, ""


def shortest(sentences: Sentences) -> str:
    """The sentence with the fewest words, which gets the most pads; of several the first.

    >>> shortest(SENTENCES)
    'dogs bark'
    """
    return min(sentences, key=lambda sentence: len(tokens(sentence)))


def pad_vector(pad: Pad) -> Float[Tensor, " d"]:
    """What stands in the place of a word: zeros, or a vector of its own as if “[PAD]” were a word. Without a position."""
    return embed(["[PAD]"], D_MODEL)[0] * (pad == "own")


@remember
def word_inputs(sentence: str) -> Float[Tensor, "n d"]:
    """The words of a sentence with their positions."""
    return inputs(tokens(sentence))


def fill(sentence: str, pads: int, pad: Pad = "zeros") -> Float[Tensor, "n d"]:
    """Words with their positions, and so many pads behind them."""
    return torch.cat([word_inputs(sentence), pad_vector(pad).expand(pads, -1)])


@remember
def alone(sentence: str, seed: int = 0) -> Float[Tensor, "n v"]:
    """The outputs of one head of random weights on a sentence by itself: what a batch should give as well."""
    return attention(*project(word_inputs(sentence), seed))


def apart(outputs: Float[Tensor, "*b d"], wanted: Float[Tensor, "*b d"]) -> Float[Tensor, "*b"]:
    r"""$\lVert o - o' \rVert / \lVert o' \rVert$: how far an output is from the wanted one, relative to that."""
    return (outputs - wanted).norm(dim=-1) / wanted.norm(dim=-1)


# ---------------------------------------------------------------------------------------------- a padded batch


@dataclass(frozen=True, eq=False)
class Batch:
    """Three sentences in one batch, all as long as the longest and some pads more. NaN where there is no word."""

    words: tuple[tuple[str, ...], ...]
    keep: Bool[Tensor, "b n"]
    weights: Float[Tensor, "b n"]  # of each sentence's last word, without a mask
    masked: Float[Tensor, "b n"]  # the same with the pads hidden as keys
    off: Float[Tensor, "b n"]  # of each real output from the same sentence run alone, without a mask
    off_masked: Float[Tensor, "b n"]
    left: Float[Tensor, "b n"]  # the length of each real output, unmasked, ÷ that of the sentence run alone
    turned: Float[Tensor, "b n"]  # 1 − cos of the angle by which the pads, unmasked, turn each real output
    law: Float[Tensor, "b n"]  # what the closed form says of `off`
    rounding: float  # how far rounding alone may take the masked ones, to first order

    @property
    def pads(self) -> list[int]:
        """Of each sentence."""
        return (~self.keep).sum(-1).tolist()


def law(sentence: str, pads: Float[Tensor, " p"], pad: Pad = "zeros", seed: int = 0) -> Float[Tensor, "p n"]:
    r"""$\Big(1 - \frac{Z}{Z + P e^{s}}\Big) \frac{\lVert o - v \rVert}{\lVert o \rVert}$ with $Z = \sum_{\mathrm{real}\,j} e^{s_j}$

    What P pads of one vector, unmasked, do to each output o of the sentence run alone: its words keep Z/(Z + P eˢ) of the
    weight, the rest goes to the pads' value v. Pads of zeros have the logit s = 0 and v = 0: the difference is
    1 − Z/(Z + P).
    """
    query, key, value = project(fill(sentence, 1, pad), seed)
    scores, output = logits(query[:-1], key), alone(sentence, seed)
    ahead = scores[:, :-1].logsumexp(-1) - scores[:, -1]  # ln Z − s
    lost = torch.sigmoid(pads.to(ahead.dtype).log()[:, None] - ahead)  # P eˢ / (Z + P eˢ), safe from overflow
    return lost * apart(value[-1:].expand_as(output), output)


@remember
def padded(
    sentences: Sentences = SENTENCES, extra: int = 4, pad: Pad = "zeros", seed: int = 0, hidden: bool = True
) -> Batch:
    """One head of random weights on the batch, without a mask and with the pads hidden as keys; and each sentence alone.

    `hidden=False` is the mistake of passing on a mask that hides nothing.
    """
    words = [tokens(sentence) for sentence in sentences]
    lengths = [len(each) for each in words]
    n = max(lengths) + extra
    keep = masks.keep_mask(lengths, n)
    filled = [fill(sentence, n - length, pad) for sentence, length in zip(sentences, lengths, strict=True)]
    query, key, value = (torch.stack(filled) @ w for w in projections(seed))
    scores = logits(query, key)
    free, shut = softmax(scores), softmax(masked(scores, masks.columns(keep) if hidden else None))
    off, off_masked, left, turned, closed = (torch.full(keep.shape, math.nan, dtype=scores.dtype) for _ in range(5))
    bounds = []
    for b, (sentence, length) in enumerate(zip(sentences, lengths, strict=True)):
        wanted, real = alone(sentence, seed), slice(length)
        unmasked = (free[b] @ value[b])[real]
        off[b, real] = apart(unmasked, wanted)
        left[b, real] = unmasked.norm(dim=-1) / wanted.norm(dim=-1)
        off_masked[b, real] = apart((shut[b] @ value[b])[real], wanted)
        turned[b, real] = 1 - F.cosine_similarity(unmasked, wanted)
        closed[b, real] = law(sentence, torch.tensor([float(n - length)]), pad, seed)[0]
        # Of each feature, so √d_v of it for the norm; relative to the smallest output.
        bounds.append(rounding(filled[b], seed) * math.sqrt(value.shape[-1]) / float(wanted.norm(dim=-1).min()))
    last = torch.arange(len(words)), torch.tensor(lengths) - 1
    made = off, off_masked, left, turned, closed
    return Batch(tuple(map(tuple, words)), keep, free[last], shut[last], *made, max(bounds))


# ---------------------------------------------------------------------------------------------- columns or rows

Way = Literal["none", "rows", "columns", "both"]
WAYS: tuple[Way, ...] = get_args(Way)
Empty = Literal["written", "sdpa", "lowest"]


def visible(keep: Bool[Tensor, " n"], way: Way) -> Bool[Tensor, "n n"]:
    """Who may look at whom: the pads are hidden as keys (columns), look at nobody (rows), both, or nothing is masked."""
    seen = masks.full(len(keep))
    if way in ("rows", "both"):
        seen = seen & masks.rows(keep)
    return seen & masks.columns(keep) if way in ("columns", "both") else seen


def attend(
    query: Tensor, key: Tensor, value: Tensor, seen: Bool[Tensor, "n n"], empty: Empty
) -> Float[Tensor, "*h n v"]:
    """Attention under a mask, by the softmax as written, by torch, or with the lowest finite number added."""
    if empty == "sdpa":
        return F.scaled_dot_product_attention(query[None], key[None], value[None], seen)[0]
    if empty == "lowest":
        return softmax(logits(query, key) + masks.additive(seen, query.dtype)) @ value
    return attention(query, key, value, seen)


@dataclass(frozen=True, eq=False)
class Masked:
    """One way to mask a padded sentence: the first layer's weights, and what becomes of the outputs."""

    weights: Float[Tensor, "n n"]
    seen: Bool[Tensor, "n n"]
    off: Float[Tensor, " l"]  # after each layer: the farthest real output from the sentence run alone, or NaN
    pads: float  # the largest number in the first layer's outputs at the pads, or NaN
    gradient: float  # the largest derivative of the first layer's real outputs with respect to a pad's input


@remember
def mask_as(
    way: Way, empty: Empty = "written", sentence: str = "dogs bark", seed: int = 0, pads: int = PADS, pad: Pad = "zeros"
) -> Masked:
    """Two layers x + Attention(x) W_O, all with the same mask, against the sentence run alone through the same layers."""
    words = tokens(sentence)
    n = len(words)
    keep = masks.keep_mask([n], n + pads)[0]
    seen = visible(keep, way)
    x = fill(sentence, pads, pad).requires_grad_()
    g = torch.Generator().manual_seed(seed + 1)
    w_o = [torch.randn(8, D_MODEL, generator=g, dtype=x.dtype) / math.sqrt(8) for _ in range(LAYERS)]

    def outputs(x: Tensor, seen: Tensor) -> list[Tensor]:
        found = []
        for layer, mixed in enumerate(w_o):
            found.append(attend(*project(x, seed + layer), seen, empty))
            x = x + found[-1] @ mixed
        return found

    made, wanted = outputs(x, seen), outputs(word_inputs(sentence), masks.full(n))
    (gradient,) = torch.autograd.grad(made[0][:n].square().sum(), x)
    query, key, _ = project(x.detach(), seed)
    return Masked(
        attend(query, key, torch.eye(n + pads, dtype=x.dtype), seen, empty),
        seen,
        torch.stack([apart(a[:n], b).max() for a, b in zip(made, wanted, strict=True)]).detach(),
        float(made[0][n:].detach().abs().max()),
        float(gradient[n:].abs().max()),
    )


Pool = Literal["all", "real"]


def pooled(over: Pool = "all", sentences: Sentences = SENTENCES, extra: int = 4, seed: int = 0) -> Float[Tensor, " b"]:
    """How far the mean output of each padded sentence is from that of the sentence alone, the pads masked as keys.

    The mean over `all` outputs, those at the pads included, or over the `real` ones.
    """
    lengths = [len(tokens(sentence)) for sentence in sentences]
    n = max(lengths) + extra
    means = []
    for sentence, length in zip(sentences, lengths, strict=True):
        keep = masks.keep_mask([length], n)[0]
        output = attention(*project(fill(sentence, n - length), seed), masks.columns(keep))
        means.append(apart((output if over == "all" else output[keep]).mean(0), alone(sentence, seed).mean(0)))
    return torch.stack(means)


# ---------------------------------------------------------------------------------------------- left or right

Scheme = Literal["table", "sinusoidal", "rope"]
Setup = Literal[
    "right, nothing",
    "right, mask",
    "left, nothing",
    "left, ids",
    "left, mask",
    "left, mask and ids",
    "left, mask and ids, written",
    "end",
]
SETUPS: tuple[Setup, ...] = get_args(Setup)


def model(
    x: Float[Tensor, "n d"],
    ids: Int[Tensor, " n"],
    seen: Bool[Tensor, "n n"],
    scheme: Scheme = "table",
    seed: int = 0,
    empty: Empty = "sdpa",
) -> Float[Tensor, "n d"]:
    r"""A small random Transformer: two layers $x + \mathrm{Attn}(\mathrm{LN}(x))$, $x + \mathrm{FFN}(\mathrm{LN}(x))$, a last LN.

    Width 16, 2 heads, a feed-forward layer of 64 ReLUs. The positions `ids` enter as rows of a random table (as learned
    ones start), as sinusoids, or as RoPE. Attention is torch's `scaled_dot_product_attention`, where an `empty` row gives 0.
    """
    table, *matrices = draw(LAYERS, seed)
    if scheme == "sinusoidal":
        table = positions.sinusoidal(int(ids.max()) + 1, D_MODEL)
    if scheme != "rope":
        x = x + table[ids]
    for layer in range(LAYERS):
        w_q, w_k, w_v, w_o, w_up, w_down = matrices[6 * layer : 6 * layer + 6]
        h = F.layer_norm(x, (D_MODEL,))
        query, key, value = ((h @ w).unflatten(-1, (HEADS, -1)).transpose(0, 1) for w in (w_q, w_k, w_v))
        if scheme == "rope":
            query, key = (positions.rotate(one, ids.to(x.dtype)) for one in (query, key))
        mixed = attend(query, key, value, seen, empty)
        x = x + mixed.transpose(0, 1).flatten(-2) @ w_o
        x = x + (F.layer_norm(x, (D_MODEL,)) @ w_up).relu() @ w_down
    return F.layer_norm(x, (D_MODEL,))


@remember
def side(
    setup: Setup,
    causal: bool,
    scheme: Scheme = "table",
    sentence: str = "dogs bark",
    seed: int = 0,
    pads: int = PADS,
    itself: bool = False,
) -> float:
    """How far the farthest real output of the padded sentence is from the sentence run alone, in that small model.

    "…, written" takes the softmax as it is written: behind a causal mask the first pads on the left see nobody.
    With `itself` each token may look at itself, pads too, and no row is empty.
    "end" reads the output in the last place of a masked batch with the pads on the right, which belongs to a pad, as if it
    were the last word's.
    """
    words = tokens(sentence)
    n, total = len(words), len(words) + pads
    left = setup.startswith("left")
    keep = masks.keep_mask([n], total, "left" if left else "right")[0]
    x = torch.zeros(total, D_MODEL, dtype=torch.float64)
    x[keep] = embed(words, D_MODEL)
    x[~keep] = pad_vector("own")
    ids = masks.position_ids(keep) if "ids" in setup else torch.arange(total)
    order = masks.causal if causal else masks.full
    seen = order(total)
    if "mask" in setup or setup == "end":
        seen = seen & masks.columns(keep)
    if itself:
        seen = seen | torch.eye(total, dtype=torch.bool)
    output = model(x, ids, seen, scheme, seed, "written" if "written" in setup else "sdpa")
    wanted = model(embed(words, D_MODEL), torch.arange(n), order(n), scheme, seed)
    return float(apart(output[-1], wanted[-1]) if setup == "end" else apart(output[keep], wanted).max())


# ---------------------------------------------------------------------------------------------- four conventions

Convention = Literal["key_padding_mask", "sdpa bool", "sdpa float", "hugging face"]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)


@dataclass(frozen=True, eq=False)
class Conventions:
    """The weights of the last word, and how far the farthest real output is off, for each convention, right and wrong."""

    right: Float[Tensor, "4 n"]
    wrong: Float[Tensor, "4 n"]
    off_right: Float[Tensor, " 4"]
    off_wrong: Float[Tensor, " 4"]


@remember
def conventions(sentence: str = "dogs bark", seed: int = 0, pads: int = PADS, pad: Pad = "zeros") -> Conventions:
    """One keep-mask (True = real) handed to each convention, the right way and by the usual slip.

    torch's `nn.MultiheadAttention` as it comes, and `scaled_dot_product_attention` with the same matrices, are called; of
    Hugging Face's `attention_mask` the documented convention, 1 = keep, is computed as its code for plain attention does:
    (1 − mask) times the lowest number of the dtype is added to the logits. The slip is the mask turned round; for a mask of numbers, which is added
    to the logits, it is the ones and zeros themselves.
    """
    n = len(tokens(sentence))
    keep = masks.keep_mask([n], n + pads)[0]
    x = fill(sentence, pads, pad)
    module = nn.utils.skip_init(nn.MultiheadAttention, D_MODEL, 1, batch_first=True, bias=False, dtype=x.dtype)
    g = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=D_MODEL**-0.5, generator=g)
    w_q, w_k, w_v = module.in_proj_weight.detach().chunk(3)
    query, key, value = (x @ w.T for w in (w_q, w_k, w_v))
    unit = torch.eye(n + pads, dtype=x.dtype)

    def by_module(mask: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            output, weights = module(x[None], x[None], x[None], key_padding_mask=mask[None])
        return output[0], weights[0]

    def by_torch(mask: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.cat([value, unit], -1)[None, None]  # with unit vectors as values the outputs are the weights
        found = F.scaled_dot_product_attention(query[None, None], key[None, None], both, mask.expand(n + pads, -1))
        mixed, weights = found[0, 0].split([D_MODEL, n + pads], -1)
        return mixed @ module.out_proj.weight.detach().T, weights

    ones, added = keep.to(x.dtype), torch.zeros(n + pads, dtype=x.dtype).masked_fill(~keep, -torch.inf)
    right = by_module(~keep), by_torch(keep), by_torch(added), by_torch(masks.additive(keep, x.dtype))
    wrong = by_module(keep), by_torch(~keep), by_torch(ones), by_torch(masks.additive(~keep, x.dtype))
    wanted = attention(query[:n], key[:n], value[:n]) @ module.out_proj.weight.detach().T
    return Conventions(
        *(torch.stack([weights[n - 1] for _, weights in found]) for found in (right, wrong)),
        *(torch.stack([apart(output[:n], wanted).max() for output, _ in found]) for found in (right, wrong)),
    )


def empty_sample(training: bool, need_weights: bool, gradients: bool, bias: float = 0.0) -> float:
    """The largest number that nn.MultiheadAttention gives for a sample of only pads, or NaN. Random weights, 2 heads, one output bias.

    In training or in evaluation, with gradients on or off: the module has a fast path for evaluation without gradients.
    """
    x = torch.randn(1, 4, D_MODEL, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    module = nn.utils.skip_init(nn.MultiheadAttention, D_MODEL, 2, batch_first=True, dtype=x.dtype)
    g = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=D_MODEL**-0.5 * (parameter.dim() > 1), generator=g)  # biases are 0
    nn.init.constant_(module.out_proj.bias, bias)
    with torch.set_grad_enabled(gradients):
        pads = torch.ones(1, 4, dtype=torch.bool)
        output = module.train(training)(x, x, x, key_padding_mask=pads, need_weights=need_weights)[0]
    return float(output.detach().abs().max())


class _Counting(nn.TransformerEncoderLayer):
    """Torch's layer, which notes how many tokens come in."""

    def forward(self, src: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self.came = src.numel() // D_MODEL
        return super().forward(src, *args, **kwargs)


def encoder(lengths: tuple[int, ...] = (6, 2, 4), training: bool = False) -> tuple[int, float, float]:
    """What nn.TransformerEncoder, as it comes, makes of a padded batch and its mask, in evaluation without gradients.

    The number of tokens that its second layer gets, the largest output at a pad, and how far the farthest output at a
    word is from its sequence alone. Random weights, 2 layers, 2 heads; no dropout.
    """
    g = torch.Generator().manual_seed(0)
    layer = nn.utils.skip_init(_Counting, D_MODEL, 2, 64, dropout=0.0, batch_first=True, dtype=torch.float64)
    stack = nn.TransformerEncoder(layer, LAYERS).train(training)
    for parameter in stack.parameters():
        nn.init.normal_(parameter, std=D_MODEL**-0.5, generator=g)
    keep = masks.keep_mask(lengths, max(lengths))
    x = torch.randn(*keep.shape, D_MODEL, generator=g, dtype=torch.float64)
    with torch.set_grad_enabled(training), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nested tensors are a prototype
        output = stack(x, src_key_padding_mask=~keep).detach()
        came = int(stack.layers[-1].came)
        wanted = torch.cat([stack(x[b : b + 1, :n])[0] for b, n in enumerate(lengths)]).detach()
    return came, float(output[~keep].abs().max()), float(apart(output[keep], wanted).max())


# ---------------------------------------------------------------------------------------------- what pads cost

LENGTHS = "512 64 32 16"
MOST_LENGTHS, LONGEST = 16, 2048
Batching = Literal["padded", "bucketed", "packed", "skipped"]
BATCHINGS: tuple[Batching, ...] = get_args(Batching)


def lengths_of(text: str) -> tuple[tuple[int, ...], str]:
    """The reader's lengths; or the default ones, and the reason in words.

    >>> lengths_of("4, 2 1"), lengths_of("4 x")[1], lengths_of("0 4")[1]
    (((4, 2, 1), ''), 'Lengths are whole numbers from 1 to 2,048, and the 2nd is not.', 'Lengths are whole numbers from 1 to 2,048, and the 1st is not.')
    """
    default = tuple(map(int, LENGTHS.split()))
    found = text.replace(",", " ").split()
    if not 2 <= len(found) <= MOST_LENGTHS:
        return default, f"Write 2 to {MOST_LENGTHS} lengths; here {'is' if len(found) == 1 else 'are'} {len(found)}."
    for i, one in enumerate(found, start=1):
        if not (one.isascii() and one.isdigit() and len(one) < 9 and 1 <= int(one) <= LONGEST):
            th = {1: "1st", 2: "2nd", 3: "3rd"}.get(i, f"{i}th")
            return default, f"Lengths are whole numbers from 1 to {LONGEST:,}, and the {th} is not."
    return tuple(map(int, found)), ""


@dataclass(frozen=True, eq=False)
class Cost:
    """Rows as they are stored, and how much of tokens and pairs is real."""

    batches: list[batching.Rows]
    real: int  # tokens
    slots: int  # places for tokens, with pads
    pairs: int  # of two tokens of one sequence
    scores: int  # computed by one head


def cost(lengths: tuple[int, ...], how: Batching, size: int = 2) -> Cost:
    """What a batch costs: padded to the longest, sorted into batches of `size`, or packed into rows of the longest.

    "skipped" is for a kernel of variable lengths, which takes the sequences end to end and computes nothing between them.
    """
    batches = {
        "padded": batching.padded(lengths),
        "bucketed": batching.bucketed(lengths, size),
        "packed": batching.packed(lengths),
        "skipped": batching.bucketed(lengths, 1),
    }[how]
    return Cost(batches, sum(lengths), batching.slots(batches), batching.pairs(lengths), batching.scores(batches))


def packed_weights(sentences: Sentences = SENTENCES, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The weights of one head over sentences packed into one row, and the block-diagonal mask that keeps them apart."""
    each = [word_inputs(sentence) for sentence in sentences]
    query, key, _ = project(torch.cat(each), seed)
    seen = masks.block_diagonal([len(one) for one in each])
    return softmax(masked(logits(query, key), seen)), seen


@remember
def pack(
    blocked: bool = True, reset: bool = True, sentences: Sentences = SENTENCES, scheme: Scheme = "table", seed: int = 0
) -> float:
    """How far the farthest output of sentences packed into one row is from each run alone, in the small model.

    `blocked`: the mask is block-diagonal (else causal over the whole row). `reset`: positions count each from 0.
    """
    words = [tokens(sentence) for sentence in sentences]
    lengths = [len(each) for each in words]
    ids = torch.cat([torch.arange(n) for n in lengths]) if reset else torch.arange(sum(lengths))
    seen = masks.causal(sum(lengths))
    if blocked:
        seen = seen & masks.block_diagonal(lengths)
    output = model(embed([word for each in words for word in each], D_MODEL), ids, seen, scheme, seed)
    wanted = [
        model(embed(each, D_MODEL), torch.arange(len(each)), masks.causal(len(each)), scheme, seed) for each in words
    ]
    return float(apart(output, torch.cat(wanted)).max())


VOCABULARY = 16
Denominator = Literal["tokens", "slots", "sequences", "pads too"]
DENOMINATORS: tuple[Denominator, ...] = get_args(Denominator)


@remember
def losses(
    lengths: tuple[int, ...] = (512, 64, 32, 16), extra: int = 0, seed: int = 0, learned: bool = False
) -> dict[Denominator, float]:
    """One padded batch's cross-entropy, by torch: four numbers from the same logits.

    A stand-in for a model: 16 tokens, random logits, and the right one grows with the logarithm of the position, as if
    who has read more guesses better. "tokens" is `ignore_index`, the mean over real tokens; "slots" divides the same sum by
    all places; "sequences" is the mean over sequences of their means; "pads too" has no `ignore_index`: pads are targets,
    and the logits there are as random as a model's first, or e¹⁰⁰ to 1 for the pad, as of one that has `learned` pads.
    """
    g = torch.Generator().manual_seed(seed)
    n = max(lengths) + extra
    keep = masks.keep_mask(lengths, n)
    # Drawn for the real tokens first: more pads leave these as they are.
    drawn = torch.empty(len(lengths), n, VOCABULARY)
    target = torch.zeros(len(lengths), n, dtype=torch.long)
    drawn[keep] = torch.randn(sum(lengths), VOCABULARY, generator=g)
    target[keep] = torch.randint(1, VOCABULARY, (sum(lengths),), generator=g)  # token 0 is the pad
    drawn[~keep] = torch.randn(len(lengths) * n - sum(lengths), VOCABULARY, generator=g)
    drawn = drawn.double()
    if learned:
        drawn[~keep] = 100.0 * F.one_hot(torch.tensor(0), VOCABULARY).double()
    rising = torch.arange(1, n + 1, dtype=torch.float64).log().expand(len(lengths), -1) * keep
    drawn.scatter_add_(-1, target[..., None], rising[..., None])
    ignored = target.masked_fill(~keep, -100)
    each = F.cross_entropy(drawn.mT, ignored, reduction="none", ignore_index=-100)
    return {
        "tokens": float(F.cross_entropy(drawn.mT, ignored, ignore_index=-100)),
        "slots": float(each.sum() / each.numel()),
        "sequences": float((each.sum(-1) / keep.sum(-1)).mean()),
        "pads too": float(F.cross_entropy(drawn.mT, target)),
    }


def flops(lengths: tuple[int, ...] = (64, 8, 4, 2), padded: bool = True) -> tuple[int, int]:
    """FLOPs of one head, counted by torch while it runs: of the products of attention, and of the projections.

    All sequences in one padded batch with the pads masked as keys, or each alone.
    """
    g = torch.Generator().manual_seed(0)
    weights = [w.float() for w in projections(0)]
    longest = max(lengths)
    keep = masks.keep_mask(lengths, longest)
    x = torch.randn(len(lengths), longest, D_MODEL, generator=g)
    each = [(x, masks.columns(keep))] if padded else [(x[b : b + 1, :n], None) for b, n in enumerate(lengths)]
    counted = {"attention": 0, "projections": 0}
    for one, seen in each:
        with FlopCounterMode(display=False) as projecting:
            query, key, value = (one @ w for w in weights)
        with FlopCounterMode(display=False) as attending:
            attention(query, key, value, seen)
        counted["projections"] += projecting.get_total_flops()
        counted["attention"] += attending.get_total_flops()
    return counted["attention"], counted["projections"]
