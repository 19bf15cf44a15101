"""Question 13: why must a Transformer be told the positions of its tokens?"""

import math
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.course import Concept, Evidence, Option
from core.ops import masks, positions
from core.ops.attention import masked
from core.ops.words import MOST, embed, tokens
from core.sources import HAVIV_2022, KAZEMNEJAD_2023, PRESS_2021, SU_2021, VASWANI_2017

concept = Concept(__name__)

SENTENCE, ORDER = "dog bites man", "man bites dog"
STORY = "the dog that bit the man ran away"
D, HEADS, D_FF, DEPTHS = 16, 2, 64, (1, 2, 3, 4)
Scheme = Literal["none", "sinusoidal", "learned", "rope", "alibi"]
SCHEMES: tuple[Scheme, ...] = ("none", "sinusoidal", "learned", "rope", "alibi")
Summation = Literal["sorted", "plain"]
# float64 numbers of size 1 carry errors near 1e-15 here; what is larger than this is no rounding error.
ROUNDING = 1e-12

# ---------------------------------------------------------------------------------------------- experiments


def add_up(terms: Float[Tensor, "*b c"]) -> Float[Tensor, "*b"]:
    """The sum over the last axis, one term after the other.

    Each step is one elementwise addition, which IEEE 754 rounds alike wherever its numbers stand. `sum` promises no
    order: at the edge of a block it may add differently than inside.
    """
    return reduce(torch.add, terms.unbind(-1))


def multiply(x: Float[Tensor, "*b n c"], w: Float[Tensor, "c d"], summation: Summation) -> Float[Tensor, "*b n d"]:
    """`x @ w`. "sorted" adds each row's terms in the order of the features, wherever the row stands."""
    return x @ w if summation == "plain" else add_up(x[..., None, :] * w.mT)


def attend(
    query: Float[Tensor, "h n k"],
    key: Float[Tensor, "h n k"],
    value: Float[Tensor, "h n k"],
    bias: Float[Tensor, "#h n n"],
    summation: Summation,
) -> Float[Tensor, "h n k"]:
    r"""$\mathrm{softmax}(QK^\top / \sqrt{d_k} + B)\,V$

    The sums over keys are the only place where words meet, and floating-point sums depend a little on the order of
    their terms. "sorted" sorts the terms before adding them: the same words then give the same sum, to the last bit.
    For the same reason it takes e^s number by number: a vectorised exp may end in another last bit at the edge of a block.
    """
    root = math.sqrt(query.shape[-1])
    if summation == "plain":
        return (query @ key.mT / root + bias).softmax(-1) @ value
    scores = add_up(query[:, :, None] * key[:, None]) / root + bias
    raised = (scores - scores.amax(-1, keepdim=True)).apply_(math.exp)
    weights = raised / add_up(raised.sort(-1).values)[..., None]
    terms = weights[:, :, None] * value.mT[:, None]  # [h, q, feature, key]
    return add_up(terms.sort(-1).values)


def stack(
    words: list[str],
    scheme: Scheme = "none",
    layers: int = 1,
    seed: int = 0,
    causal: bool = False,
    summation: Summation = "sorted",
) -> Float[Tensor, "l n 16"]:
    r"""The outputs of random, untrained Transformers of 1 … `layers` layers, each one the start of the next.

    A layer is $x + \mathrm{Attn}(\mathrm{LN}(x))$, then $x + \mathrm{FFN}(\mathrm{LN}(x))$; a last LN makes the output.
    Width 16, 2 heads, a feed-forward layer of 64 ReLUs, all weights $N(0, 1/d_{in})$ from the seed, float64.
    Sinusoids and the learned table ($N(0, 1)$, as nn.Embedding starts) are added to the word vectors; RoPE turns
    queries and keys; ALiBi lowers the scores by slope · |i − j|, here symmetric, as an encoder uses it.
    """
    n = len(words)
    g = torch.Generator().manual_seed(seed)

    def matrix(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=g, dtype=torch.float64) / math.sqrt(rows)

    table = torch.randn(MOST, D, generator=g, dtype=torch.float64)
    x = embed(words, D)
    if scheme == "sinusoidal":
        x = x + positions.sinusoidal(n, D)
    elif scheme == "learned":
        x = x + table[:n]
    bias = torch.zeros(1, n, n, dtype=torch.float64)
    if scheme == "alibi":
        slopes = positions.alibi_slopes(HEADS).tolist()
        bias = torch.stack([positions.alibi(n, slope) for slope in slopes])
    if causal:
        bias = masked(bias, masks.causal(n))
    outputs = []
    for _ in range(layers):
        w_q, w_k, w_v, w_o = (matrix(D, D) for _ in range(4))
        w_up, w_down = matrix(D, D_FF), matrix(D_FF, D)
        h = F.layer_norm(x, (D,))
        query, key, value = (
            multiply(h, w, summation).unflatten(-1, (HEADS, -1)).transpose(0, 1) for w in (w_q, w_k, w_v)
        )
        if scheme == "rope":
            query, key = positions.rotate(query), positions.rotate(key)
        mixed = attend(query, key, value, bias, summation).transpose(0, 1).flatten(-2)
        x = x + multiply(mixed, w_o, summation)
        h = F.layer_norm(x, (D,))
        x = x + multiply(multiply(h, w_up, summation).relu(), w_down, summation)
        outputs.append(F.layer_norm(x, (D,)))
    return torch.stack(outputs)


def encode(
    words: list[str],
    scheme: Scheme = "none",
    layers: int = 1,
    seed: int = 0,
    causal: bool = False,
    summation: Summation = "sorted",
) -> Float[Tensor, "n 16"]:
    """The output of a random, untrained Transformer of `layers` layers."""
    return stack(words, scheme, layers, seed, causal, summation)[-1]


def pool(x: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """The mean over the words, its terms sorted before they are added."""
    return add_up(x.mT.sort(-1).values) / x.shape[0]


def matching(words: list[str], order: list[str]) -> Int[Tensor, " n"]:
    """For each word of the first order, its place in the second. Raises ValueError unless the words are the same.

    A word that occurs several times is matched in the order of its occurrence; or from the end, if the second order
    is the first one read backwards.

    >>> matching(["dog", "bites", "man"], ["man", "bites", "dog"]).tolist()
    [2, 1, 0]
    >>> matching(["dog", "bites", "man"], ["man", "bites", "cat"])
    Traceback (most recent call last):
    ...
    ValueError: The second order must use exactly the words of the first: add dog; take out cat.
    """
    missing, extra = list(words), []
    for word in order:
        if word in missing:
            missing.remove(word)
        else:
            extra.append(word)
    if missing or extra:
        wanted = [f"add {', '.join(missing)}"] if missing else []
        wanted += [f"take out {', '.join(extra)}"] if extra else []
        raise ValueError(f"The second order must use exactly the words of the first: {'; '.join(wanted)}.")
    if order != words and order == words[::-1]:
        return torch.arange(len(words) - 1, -1, -1)
    free = list(range(len(order)))
    places = []
    for word in words:
        place = next(i for i in free if order[i] == word)
        free.remove(place)
        places.append(place)
    return torch.tensor(places)


@dataclass(frozen=True, eq=False)
class Orders:
    """What one encoder makes of the same words in two orders."""

    words: tuple[str, ...]
    order: tuple[str, ...]
    place: Int[Tensor, " n"]
    first: Float[Tensor, "n d"]
    second: Float[Tensor, "n d"]

    @property
    def unshuffled(self) -> Float[Tensor, "n d"]:
        """The outputs of the second order, brought back into the order of the first."""
        return self.second[self.place]

    @property
    def difference(self) -> Float[Tensor, "n d"]:
        return self.unshuffled - self.first

    @property
    def largest(self) -> float:
        """The largest difference that is left after un-shuffling."""
        return float(self.difference.abs().max())

    @property
    def in_place(self) -> float:
        """The largest difference place by place, *without* un-shuffling."""
        return float((self.second - self.first).abs().max())

    @property
    def pooled(self) -> float:
        """The largest difference of the two means over the words."""
        return float((pool(self.second) - pool(self.first)).abs().max())

    @property
    def reversed(self) -> bool:
        return self.order == self.words[::-1]


@lru_cache(maxsize=64)
def two_orders(
    words: str = SENTENCE,
    order: str = ORDER,
    scheme: Scheme = "none",
    layers: int = 1,
    seed: int = 0,
    summation: Summation = "sorted",
) -> Orders:
    """Both orders through the same encoder. Raises ValueError, in words, for a sentence that cannot be used."""
    first, second = tokens(words), tokens(order)
    place = matching(first, second)
    x, y = (encode(row, scheme, layers, seed, False, summation) for row in (first, second))
    return Orders(tuple(first), tuple(second), place, x, y)


@dataclass(frozen=True, eq=False)
class Pattern:
    """The sinusoidal encodings, and their dot products with later and earlier positions."""

    table: Float[Tensor, "p d"]
    offsets: Int[Tensor, " o"]
    raw: Float[Tensor, "s o"]
    projected: Float[Tensor, "s o"]
    longest: float


STARTS = (64, 128, 256)  # positions from which the offsets are counted


@lru_cache(maxsize=64)
def pattern(width: int = 64, base: float = 10_000.0, seed: int = 0, reach: int = 48) -> Pattern:
    r"""$\langle PE_p, PE_{p+k} \rangle / (d/2)$ for three positions p and offsets k, raw and as $PE_p W_Q \cdot PE_{p+k} W_K$.

    $W_Q$ and $W_K$ are random, $N(0, 1/d)$. Divided by d/2, an encoding's product with itself is 1.
    """
    g = torch.Generator().manual_seed(seed)
    w_q, w_k = (torch.randn(width, width, generator=g, dtype=torch.float64) / math.sqrt(width) for _ in range(2))
    table = positions.sinusoidal(STARTS[-1] + reach + 1, width, base)
    offsets = torch.arange(-reach, reach + 1)
    near = table[torch.tensor(STARTS)[:, None] + offsets]  # [s, o, d]
    here = table[list(STARTS)]
    raw = (near * here[:, None]).sum(-1) / (width / 2)
    projected = ((near @ w_k) * (here @ w_q)[:, None]).sum(-1) / (width / 2)
    longest = 2 * math.pi * base ** ((width - 2) / width)
    return Pattern(table[: reach + 1], offsets, raw, projected, longest)


@dataclass(frozen=True, eq=False)
class Prefix:
    """The last output of models of 1 to 4 layers without positions, before and after a shuffle of what precedes."""

    words: tuple[str, ...]
    shuffled: tuple[str, ...]
    before: Float[Tensor, "l d"]
    after: Float[Tensor, "l d"]

    @property
    def change(self) -> Float[Tensor, " l"]:
        return (self.after - self.before).abs().amax(-1)


@lru_cache(maxsize=32)
def shuffled_prefix(sentence: str = STORY, order_seed: int = 0, seed: int = 0, causal: bool = True) -> Prefix:
    """Shuffle all words but the last. Raises ValueError, in words, if no other order of them exists."""
    words = tokens(sentence)
    if len(set(words[:-1])) < 2:
        raise ValueError("Write at least two different words before the last one: they are shuffled.")
    g = torch.Generator().manual_seed(order_seed)
    shuffled = words
    while shuffled == words:
        shuffled = [words[i] for i in torch.randperm(len(words) - 1, generator=g)] + words[-1:]
    before, after = (stack(row, "none", DEPTHS[-1], seed, causal)[:, -1] for row in (words, shuffled))
    return Prefix(tuple(words), tuple(shuffled), before, after)


def counting_head(n: int, causal: bool = True) -> Float[Tensor, " n"]:
    r"""A head with all scores 0 whose value is 1 at the first token and 0 elsewhere: with a causal mask it reads $1/(t+1)$."""
    scores = torch.zeros(n, n, dtype=torch.float64)
    if causal:
        scores = masked(scores, masks.causal(n))
    flag = torch.zeros(n, dtype=torch.float64)
    flag[0] = 1
    return scores.softmax(-1) @ flag


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "One layer of *causal* attention, no position encoding. You shuffle all words before the last one. How much does "
    "the output at the last word change, compared with replacing one of those words by another word?",
    Option(
        "not at all",
        0.0,
        ROUNDING,
        "The last word sees all the others, and one layer only adds up what it sees: a sum does not know an order.",
    ),
    Option(
        "a little, less than a tenth as much",
        ROUNDING,
        0.1,
        "A weak trace of the order would need a second layer, whose inputs already saw different prefixes.",
    ),
    Option(
        "clearly, but less",
        0.1,
        0.9,
        "That is what happens from two layers on: the words in between have seen different prefixes, and the last word "
        "reads them.",
    ),
    Option(
        "about as much",
        0.9,
        math.inf,
        "That would be a model that knows positions well. A causal mask gives the last word the same set of keys "
        "in every order.",
    ),
    shows="Measured just now: the shuffle changes it {0} times as much as the replacement.",
)
def one_causal_layer() -> float:
    words = tokens(STORY)
    replaced = ["the", "cat", *words[2:]]
    before, after = (encode(row, "none", 1, causal=True)[-1] for row in (words, replaced))
    return float(shuffled_prefix().change[0] / (after - before).abs().max())


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "A Transformer encoder without positions treats its input as a bag of words: shuffle the words, and the outputs "
    "are shuffled with them, otherwise unchanged.",
    fails_if={"scheme": "sinusoidal"},
)
def outputs_follow_their_words(scheme: Scheme = "none") -> Evidence:
    return Evidence.exactly(
        "largest difference after un-shuffling, 4 layers, sums over keys in sorted order",
        two_orders(SENTENCE, ORDER, scheme, 4).largest,
        0,
    )


@concept.says(
    "Any summary that ignores order, such as the mean over the words, is then the same for “dog bites man” and “man "
    "bites dog”.",
    fails_if={"summary": "first"},
)
def the_mean_is_the_same(summary: Literal["mean", "first"] = "mean") -> Evidence:
    both = two_orders(SENTENCE, ORDER, "none", 4)
    first_word = float((both.second[0] - both.first[0]).abs().max())
    return Evidence.exactly(
        f"largest difference of the two summaries ({summary})", both.pooled if summary == "mean" else first_word, 0
    )


@concept.says(
    "So positions are put in: added to the word vectors (sinusoidal or learned), or brought into the attention scores "
    "(RoPE, ALiBi); with each of them “bites dog man” differs from “dog bites man”.",
    fails_if={"also": "none"},
)
def positions_tell_orders_apart(also: Scheme = "rope") -> Evidence:
    chosen = {*SCHEMES[1:], also}
    smallest = min(two_orders(SENTENCE, "bites dog man", scheme).pooled for scheme in chosen)
    return Evidence.above("smallest difference of the means over the schemes", smallest, ROUNDING)


@concept.says(
    "The sinusoids are absolute, but the dot product of two of them depends only on how far apart the positions are.",
    fails_if={"table": "learned"},
)
def the_dot_product_knows_the_offset(table: Literal["sinusoidal", "learned"] = "sinusoidal") -> Evidence:
    d, last = 512, 999
    pe = positions.sinusoidal(last + 1, d)
    if table == "learned":
        pe = torch.randn(pe.shape, generator=torch.Generator().manual_seed(1), dtype=pe.dtype)
    products = [(pe[:-k] * pe[k:]).sum(-1) for k in (1, 10, 100)]
    spread = max(float(p.max() - p.min()) for p in products)
    # An angle of p radians carries a relative error of a few ε, its d/2 cosines add up.
    return Evidence.near(
        "spread of ⟨PE_p, PE_p+k⟩ over p, the worst of k = 1, 10, 100, d = 512",
        spread,
        0,
        within=4 * d * last * torch.finfo(pe.dtype).eps,
    )


@concept.says(
    "A causal mask alone already breaks the symmetry: token t, counted from 0, sees t + 1 keys, so a head that attends "
    "uniformly and looks for the first token reads exactly 1/(t + 1).",
    fails_if={"causal": False},
)
def a_causal_head_counts(causal: bool = True) -> Evidence:
    n = 64
    promised = 1 / torch.arange(1, n + 1, dtype=torch.float64)
    off = (counting_head(n, causal) - promised).abs().max()
    return Evidence.near(
        "largest difference to 1/(t + 1), t = 0 … 63", float(off), 0, within=torch.finfo(torch.float64).eps
    )


concept.cites(
    "Decoder-only language models trained without any position encoding do learn where their tokens stand; counting "
    "how many tokens each one sees is the conjectured way.",
    source=HAVIV_2022,
)

# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "Self-attention is permutation invariant.",
    better="It is permutation *equivariant*: f(PX) = P f(X), the outputs move with the words. Invariance, f(PX) = f(X), "
    "appears only after a symmetric pooling such as the mean.",
    fails_if={"unshuffle": True},
)
def it_is_equivariant(unshuffle: bool = False) -> Evidence:
    both = two_orders(SENTENCE, ORDER, "none", 4)
    return Evidence.above(
        f"largest difference of f(PX) and {'P f(X)' if unshuffle else 'f(X)'}, 4 layers",
        both.largest if unshuffle else both.in_place,
        ROUNDING,
    )


@concept.corrects(
    "Attention(A, B) = Attention(B, A): without positions attention is symmetric.",
    better="Swapping two words swaps their outputs. But how A scores B is not how B scores A, because W_Q and W_K "
    "differ: attention has a direction, only not one that comes from the order.",
    fails_if={"tied": True},
)
def scores_have_a_direction(tied: bool = False) -> Evidence:
    g = torch.Generator().manual_seed(5)
    w_q, w_k = (torch.randn(D, D, generator=g, dtype=torch.float64) / math.sqrt(D) for _ in range(2))
    a, b = embed(["dog", "man"], D)
    w_k = w_q if tied else w_k
    a_asks_b, b_asks_a = ((x @ w_q) @ (y @ w_k) / math.sqrt(D) for x, y in ((a, b), (b, a)))
    return Evidence.above(
        "|score of dog asking man − score of man asking dog|", float((a_asks_b - b_asks_a).abs()), ROUNDING
    )


@concept.corrects(
    "With sinusoids attention gets relative positions for free, since their dot product depends only on the offset.",
    better="Only the raw dot product does. Attention sees the encodings through W_Q and W_K, and for general matrices "
    "the score of two positions at the same offset depends on where they stand. RoPE turns queries and keys *after* "
    "W_Q and W_K, so there it holds.",
    fails_if={"projected": False},
    source=SU_2021,
)
def projections_lose_the_offset(projected: bool = True) -> Evidence:
    seen = pattern()
    products = seen.projected if projected else seen.raw
    spread = float((products.amax(0) - products.amin(0)).max())
    return Evidence.above(
        "largest spread over p at one offset, d = 64" + (", after W_Q and W_K" if projected else ""), spread, ROUNDING
    )


@concept.corrects(
    "Any position encoding tells “dog bites man” from “man bites dog”.",
    better="One that uses only the distance |i − j| does not: the second is the first read backwards, and all distances "
    "stay the same. ALiBi was made for causal models, whose mask supplies the direction.",
    fails_if={"scheme": "rope"},
    source=PRESS_2021,
)
def distance_is_blind_to_reversal(scheme: Scheme = "alibi") -> Evidence:
    return Evidence.exactly(
        f"largest difference after un-shuffling a reversed sentence, {scheme}, 4 layers",
        two_orders(SENTENCE, ORDER, scheme, 4).largest,
        0,
    )


@concept.corrects(
    "The wavelengths of the sinusoids run from 2π to 10000 · 2π.",
    better="The last exponent is (d − 2)/d and not 1, so the longest wavelength stays below 10000 · 2π: at d = 512 it is "
    "about 60,600 instead of 62,832. Implementations that divide by d/2 − 1 instead of d/2 do reach it.",
    fails_if={"divide_by": "d/2 - 1"},
    source=VASWANI_2017.at("§3.5"),
)
def the_longest_wavelength(divide_by: Literal["d/2", "d/2 - 1"] = "d/2") -> Evidence:
    d = 512
    last = d // 2 - 1  # the pairs are counted from 0
    exponent = last / (d // 2 if divide_by == "d/2" else d // 2 - 1)
    wavelength = 2 * math.pi * 10_000.0**exponent
    return Evidence.below("longest wavelength in tokens, d = 512", wavelength, 10_000 * 2 * math.pi)


# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Then how do decoders work without position encodings?",
    "The mask gives token t exactly t + 1 keys, so one layer can count, and a second layer can use the counts. The order "
    "*within* the prefix is invisible to the last token of a one-layer model and visible from two layers on.",
    KAZEMNEJAD_2023,
)
concept.pushes_back(
    "Absolute or relative: what is the difference?",
    "Sinusoids and learned tables say where a token stands. RoPE makes the score of two tokens depend on their offset, "
    "ALiBi subtracts a penalty that grows with their distance; neither adds anything to the word vectors.",
    SU_2021,
)
concept.pushes_back(
    "Why add positions instead of concatenating them?",
    "W(x + p) = Wx + Wp: adding is concatenating with the two halves of the weight matrix tied, and it costs no "
    "width. The model can learn to keep the two apart in different directions.",
)
concept.pushes_back(
    "Learned or sinusoidal?",
    "The original paper found nearly the same quality. The difference is the limit: a learned table has no row beyond "
    "its length, a sinusoid is defined everywhere, which does not mean that the model copes there (question 11).",
    VASWANI_2017.at("§3.5 and Table 3(E)"),
)
concept.pushes_back(
    "Floating-point sums depend on the order of their terms. How can the difference be exactly 0?",
    "Here the terms of each sum over keys are sorted before they are added, so the same words give the same bits. With "
    "ordinary matrix products the difference is a rounding error, about 1e-15 in float64 and 1e-6 in float32.",
)

concept.reads(VASWANI_2017.at("§3.5"), SU_2021, PRESS_2021, HAVIV_2022, KAZEMNEJAD_2023)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import math
import zlib
import torch
import torch.nn.functional as F

words, order = $words.split(), $order.split()
scheme, layers, seed = $scheme, $layers, $seed      # none, sinusoidal, learned, rope, alibi
d, heads = 16, 2
torch.set_default_dtype(torch.float64)


def embed(word):                                    # the same word, the same vector
    return torch.randn(d, generator=torch.Generator().manual_seed(zlib.crc32(word.encode())))


def angles(n, d):
    return torch.arange(float(n))[:, None] * 10_000 ** (-torch.arange(0, d, 2.0) / d)


def turn(x):                                        # RoPE
    a, even, odd = angles(*x.shape[-2:]), x[..., 0::2], x[..., 1::2]
    return torch.stack([even * a.cos() - odd * a.sin(), even * a.sin() + odd * a.cos()], -1).flatten(-2)


def encode(words):                                  # random weights, nothing is trained
    n, g = len(words), torch.Generator().manual_seed(seed)
    matrix = lambda rows, columns: torch.randn(rows, columns, generator=g) / math.sqrt(rows)
    table = torch.randn(12, d, generator=g)
    x, bias = torch.stack([embed(w) for w in words]), torch.zeros(1, n, n)
    if scheme == "sinusoidal":
        x = x + torch.stack([angles(n, d).sin(), angles(n, d).cos()], -1).flatten(-2)
    if scheme == "learned":
        x = x + table[:n]
    if scheme == "alibi":
        place = torch.arange(float(n))
        slope = 2 ** (-8 * torch.arange(1.0, heads + 1) / heads)
        bias = -slope[:, None, None] * (place[:, None] - place).abs()
    for _ in range(layers):
        w_q, w_k, w_v, w_o = (matrix(d, d) for _ in range(4))
        w_up, w_down = matrix(d, 4 * d), matrix(4 * d, d)
        h = F.layer_norm(x, (d,))
        q, k, v = ((h @ w).unflatten(-1, (heads, -1)).transpose(0, 1) for w in (w_q, w_k, w_v))
        if scheme == "rope":
            q, k = turn(q), turn(k)
        weights = (q @ k.mT / math.sqrt(d // heads) + bias).softmax(-1)
        x = x + (weights @ v).transpose(0, 1).flatten(-2) @ w_o
        x = x + (F.layer_norm(x, (d,)) @ w_up).relu() @ w_down
    return F.layer_norm(x, (d,))


a, b = encode(words).mean(0), encode(order).mean(0)
torch.set_default_dtype(torch.float32)
print("largest difference of the means over the words:", round((a - b).abs().max().item(), 6))
""",
    {"words": SENTENCE, "order": ORDER, "scheme": "none", "layers": 1, "seed": 0},
    {"words": SENTENCE, "order": ORDER, "scheme": "sinusoidal", "layers": 2, "seed": 0},
    {"words": 'it\'s a "<b>" $x', "order": '$x a it\'s "<b>"', "scheme": "learned", "layers": 4, "seed": 7},
    {"words": "a b c d e f", "order": "f a d e c b", "scheme": "rope", "layers": 3, "seed": 1},
    {"words": "a b c d e f", "order": "b a c f e d", "scheme": "alibi", "layers": 4, "seed": 9999},
)
def pooled_difference(words: str, order: str, scheme: Scheme, layers: int, seed: int) -> float:
    return two_orders(words, order, scheme, layers, seed).pooled
