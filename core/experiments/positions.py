"""What order does to random, untrained Transformers, and what position encodings know: measured, nothing claimed."""

import math
import unicodedata
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.memory import remember
from core.ops import masks, positions
from core.ops.attention import masked
from core.ops.words import MOST, embed
from core.ops.words import tokens as split

SENTENCE, ORDER = "dog bites man", "man bites dog"
STORY = "the dog that bit the man ran away"
STEPS = 30  # of training
START = "⟨s⟩"  # a token that stands first and nowhere else
D, HEADS, D_FF, DEPTHS = 16, 2, 64, (1, 2, 3, 4)
Scheme = Literal["none", "sinusoidal", "learned", "rope", "alibi"]
SCHEMES: tuple[Scheme, ...] = ("none", "sinusoidal", "learned", "rope", "alibi")
Summation = Literal["sorted", "plain"]
# In float64 the longest sum has D_FF terms, there are four layers of sums, and a layer makes a small error at most
# about ten times as large (measured: all of it stays below 4e-15). What is larger than this is no rounding error.
ROUNDING = 10 * DEPTHS[-1] * D_FF * torch.finfo(torch.float64).eps


def tokens(text: str) -> list[str]:
    """The words of a sentence; those that look the same are the same, however their accents were typed.

    >>> len(set(tokens("caf\u00e9 cafe\u0301")))
    1
    """
    return split(unicodedata.normalize("NFC", text))


# ------------------------------------------------------------------------------------------------ one encoder


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
    their terms. "sorted" sorts the terms before adding them: the same words then give the same sum, to the last bit,
    where each number is computed alike wherever it stands (so it is on x86). For the same reason it takes e^s number by
    number: a vectorised exp may end in another last bit at the edge of a block.
    """
    root = math.sqrt(query.shape[-1])
    if summation == "plain":
        return (query @ key.mT / root + bias).softmax(-1) @ value
    scores = add_up(query[:, :, None] * key[:, None]) / root + bias
    raised = (scores - scores.amax(-1, keepdim=True)).apply_(math.exp)
    weights = raised / add_up(raised.sort(-1).values)[..., None]
    terms = weights[:, :, None] * value.mT[:, None]  # [h, q, feature, key]
    return add_up(terms.sort(-1).values)


def draw(layers: int, seed: int) -> list[Tensor]:
    """A table of positions, N(0, 1), as nn.Embedding starts; then for each layer W_Q, W_K, W_V, W_O and the feed-forward
    layer's two matrices, N(0, 1/d_in). float64."""
    g = torch.Generator().manual_seed(seed)

    def matrix(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=g, dtype=torch.float64) / math.sqrt(rows)

    table = torch.randn(MOST, D, generator=g, dtype=torch.float64)
    shapes = [*[(D, D)] * 4, (D, D_FF), (D_FF, D)]
    return [table, *(matrix(*shape) for _ in range(layers) for shape in shapes)]


def encode(
    words: list[str],
    scheme: Scheme = "none",
    layers: int = 1,
    seed: int = 0,
    causal: bool = False,
    summation: Summation = "sorted",
    weights: list[Tensor] | None = None,
) -> Float[Tensor, "l n 16"]:
    r"""The outputs of Transformers of 1 … `layers` layers, each one the start of the next: `[-1]` is of all. Their weights
    are random and untrained, drawn from the seed, unless others are given.

    A layer is $x + \mathrm{Attn}(\mathrm{LN}(x))$, then $x + \mathrm{FFN}(\mathrm{LN}(x))$; a last LN makes the output.
    Width 16, 2 heads, a feed-forward layer of 64 ReLUs. Sinusoids or a learned table are added to the word vectors; RoPE
    turns queries and keys; ALiBi lowers the scores by slope · |i − j|, here symmetric, as an encoder uses it.
    """
    n = len(words)
    table, *matrices = draw(layers, seed) if weights is None else weights
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
    for layer in range(layers):
        w_q, w_k, w_v, w_o, w_up, w_down = matrices[6 * layer : 6 * layer + 6]
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


def pool(x: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """The mean over the words, its terms sorted before they are added."""
    return add_up(x.mT.sort(-1).values) / x.shape[0]


# ------------------------------------------------------------------------------------------------ two orders


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
    def by_word(self) -> Float[Tensor, " n"]:
        """How far the two outputs of each word are apart, at most over the features."""
        return self.difference.abs().amax(-1)

    @property
    def largest(self) -> float:
        """The largest difference that is left after un-shuffling."""
        return float(self.by_word.max())

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


@remember
def two_orders(
    words: str = SENTENCE,
    order: str = ORDER,
    scheme: Scheme = "none",
    layers: int = 1,
    seed: int = 0,
    summation: Summation = "sorted",
    causal: bool = False,
) -> Orders:
    """Both orders through the same encoder. Raises ValueError, in words, for a sentence that cannot be used."""
    first, second = tokens(words), tokens(order)
    place = matching(first, second)
    x, y = (encode(row, scheme, layers, seed, causal, summation)[-1] for row in (first, second))
    return Orders(tuple(first), tuple(second), place, x, y)


@dataclass(frozen=True)
class Trained:
    """What training makes of a Transformer without positions."""

    sure: float  # the probability that it gives to the right order, on average over both
    largest: float  # the largest difference of its outputs after un-shuffling


@remember
def trained(seed: int = 0, causal: bool = False) -> Trained:
    """Train two layers to say by the mean of their outputs which of “dog bites man” and “man bites dog” they read.

    Every weight is trained, with Adam, and so is the row that reads the mean.
    """
    first, second = tokens(SENTENCE), tokens(ORDER)
    g = torch.Generator().manual_seed(seed)
    reader = torch.randn(D, generator=g, dtype=torch.float64) / math.sqrt(D)
    weights = [w.requires_grad_() for w in (*draw(2, seed), reader)]
    adam = torch.optim.Adam(weights, lr=0.03)

    def right() -> Float[Tensor, " 2"]:
        """The probability that each order is taken for what it is."""
        is_first = [
            (encode(row, "none", 2, seed, causal, "plain", weights[:-1])[-1].mean(0) @ weights[-1]).sigmoid()
            for row in (first, second)
        ]
        return torch.stack([is_first[0], 1 - is_first[1]])

    for _ in range(STEPS):
        adam.zero_grad()
        (-right().log().mean()).backward()
        adam.step()
    with torch.no_grad():
        x, y = (encode(row, "none", 2, seed, causal, "sorted", weights[:-1])[-1] for row in (first, second))
        return Trained(float(right().mean()), float((y[matching(first, second)] - x).abs().max()))


def comparable(words: str, order: str) -> tuple[tuple[str, str], str]:
    """The reader's two orders and "", or the two that are shown instead and the reason in words.

    >>> comparable("dog  bites man", "bites man dog")
    (('dog bites man', 'bites man dog'), '')
    >>> comparable("dog", "dog")[1]
    'Write at least two words. Until then, the picture shows “dog bites man” and “man bites dog”.'
    """
    try:
        first, second = tokens(words), tokens(order)
        matching(first, second)
    except ValueError as reason:
        return (SENTENCE, ORDER), f"{reason} Until then, the picture shows “{SENTENCE}” and “{ORDER}”."
    return (" ".join(first), " ".join(second)), ""


def torch_encoder(
    words: str = SENTENCE,
    order: str = ORDER,
    scheme: Literal["none", "sinusoidal"] = "none",
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    causal: bool = False,
    matched: Literal["rightly", "the wrong way"] = "rightly",
) -> float:
    """The largest difference after un-shuffling that torch's own nn.TransformerEncoder leaves: 2 layers, Post-Norm.

    All its matrices are drawn anew from the seed, N(0, 1/d_in), since nn.TransformerEncoder starts with equal layers;
    its biases are 0.
    """
    layer = nn.TransformerEncoderLayer(D, HEADS, D_FF, dropout=0.0, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).to(dtype).eval()
    g = torch.Generator().manual_seed(seed)
    first, second = tokens(words), tokens(order)
    table = positions.sinusoidal(len(first), D) if scheme == "sinusoidal" else torch.zeros(1, D, dtype=torch.float64)
    with torch.no_grad():
        for name, weights in encoder.named_parameters():
            if weights.dim() == 2:
                weights.normal_(std=weights.shape[1] ** -0.5, generator=g)
            elif name.endswith("bias"):
                weights.zero_()
        mask = ~masks.causal(len(first)) if causal else None
        x, y = (encoder((embed(row, D) + table).to(dtype)[None], mask)[0] for row in (first, second))
    place = matching(first, second)
    return float((y[place if matched == "rightly" else place.argsort()] - x).abs().max())


# ------------------------------------------------------------------------------------------------ sinusoids and RoPE

REACH = 24  # the largest offset
STARTS = tuple(range(REACH, 97, 3))  # positions from which the offsets are counted
WAVES = 6  # so many pairs can be told apart in a figure, whatever the width


@dataclass(frozen=True, eq=False)
class Waves:
    """The sines of a few pairs of the encoding, the fastest and the slowest among them, between the positions too."""

    pairs: Int[Tensor, " w"]
    lengths: Float[Tensor, " w"]  # in positions
    places: Float[Tensor, " p"]
    sines: Float[Tensor, "w p"]


@remember
def waves(width: int = 64, step: float = 0.25) -> Waves:
    r"""$\sin(p\,\omega_i)$ of pairs i spread evenly over all `width / 2`, from position 0 to the last that is used."""
    n = width // 2
    pairs = torch.linspace(0, n - 1, min(n, WAVES)).round().long()
    speeds = 10_000.0 ** (-pairs.double() / n)
    places = torch.arange(0, STARTS[-1] + REACH + step, step, dtype=torch.float64)
    return Waves(pairs, 2 * math.pi / speeds, places, (places * speeds[:, None]).sin())


@dataclass(frozen=True, eq=False)
class Pattern:
    """Products of encodings with later and earlier ones, raw and through matrices, and RoPE's scores, start by start."""

    offsets: Int[Tensor, " o"]
    raw: Float[Tensor, "s o"]
    projected: Float[Tensor, "s o"]
    turned: Float[Tensor, "s o"]

    @property
    def spread(self) -> tuple[float, float, float]:
        """How far the starts differ at one offset, at most: of `raw`, `projected` and `turned`."""
        raw, projected, turned = (
            float((product.amax(0) - product.amin(0)).max()) for product in (self.raw, self.projected, self.turned)
        )
        return raw, projected, turned

    @property
    def variation(self) -> tuple[float, float, float]:
        """How far one start's curve goes up and down over the offsets, at most: of `raw`, `projected` and `turned`."""
        raw, projected, turned = (
            float((product.amax(1) - product.amin(1)).max()) for product in (self.raw, self.projected, self.turned)
        )
        return raw, projected, turned

    def moved(self, start: int) -> tuple[float, float, float]:
        """How far the curves of one start lie from those of the first, at most: `raw`, `projected` and `turned`."""
        raw, projected, turned = (
            float((product[start] - product[0]).abs().max()) for product in (self.raw, self.projected, self.turned)
        )
        return raw, projected, turned


@remember
def pattern(width: int = 64, seed: int = 0, turn: Literal["after", "before"] = "after", tied: bool = False) -> Pattern:
    r"""$\langle PE_p, PE_{p+k} \rangle / (d/2)$ for each start p and offset k, raw and as $PE_p W_Q \cdot PE_{p+k} W_K$.

    `turned` is RoPE's score $R_p(x W_Q) \cdot R_{p+k}(x W_K) / (d/2)$ of one random word x, as long as an encoding, that
    stands at both places. (Turning x *before* $W_Q$ and $W_K$ would be another method.) $W_Q$ and $W_K$ are random,
    $N(0, 1/d)$. Divided by d/2, an encoding's product with itself is 1.
    """
    g = torch.Generator().manual_seed(seed)
    w_q, w_k = (torch.randn(width, width, generator=g, dtype=torch.float64) / math.sqrt(width) for _ in range(2))
    w_k = w_q if tied else w_k
    word = F.normalize(torch.randn(width, generator=g, dtype=torch.float64), dim=0) * math.sqrt(width / 2)
    table = positions.sinusoidal(STARTS[-1] + REACH + 1, width)
    offsets = torch.arange(-REACH, REACH + 1)
    starts = torch.tensor(STARTS)
    near = starts[:, None] + offsets  # [s, o]

    def products(query: Float[Tensor, "p d"], key: Float[Tensor, "p d"]) -> Float[Tensor, "s o"]:
        """Of each start with each place near it: [s, p], of which the offsets are taken."""
        return (query[starts] @ key.mT / (width / 2)).gather(1, near)

    def everywhere(row: Float[Tensor, " d"]) -> Float[Tensor, "p d"]:
        return positions.rotate(row.expand(len(table), -1))

    if turn == "after":
        rope = products(everywhere(word @ w_q), everywhere(word @ w_k))
    else:
        rope = products(everywhere(word) @ w_q, everywhere(word) @ w_k)
    return Pattern(offsets, products(table, table), products(table @ w_q, table @ w_k), rope)


def spread_at_an_offset(pe: Float[Tensor, "n d"]) -> float:
    """How far ⟨PE_p, PE_p+k⟩ moves with p, the worst of k = 1, 10, 100."""
    products = [(pe[:-k] * pe[k:]).sum(-1) for k in (1, 10, 100)]
    return max(float(p.max() - p.min()) for p in products)


@dataclass(frozen=True, eq=False)
class Pairings:
    """Attention scores under RoPE, of the same weights: [n, n] each."""

    neighbours: Float[Tensor, "n n"]  # pairs are neighbours
    converted: Float[Tensor, "n n"]  # pairs are halves, the columns of the weights reordered to suit
    mixed: Float[Tensor, "n n"]  # pairs are halves, the weights as they were


def pairings(
    d_k: int = 64, seed: int = 0, reordered: Literal["both", "queries only"] = "both", n: int = 16
) -> Pairings:
    """One head of width d_k on n random words of width 64: RoPE's pairs as neighbours and as halves."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 64, generator=g, dtype=torch.float64)
    w_q, w_k = (torch.randn(64, d_k, generator=g, dtype=torch.float64) / 8 for _ in range(2))
    order = positions.halves_order(d_k)

    def scores(w_q: Tensor, w_k: Tensor, pairs: positions.Pairs) -> Float[Tensor, "n n"]:
        query, key = (positions.rotate(x @ w, pairs=pairs) for w in (w_q, w_k))
        return query @ key.mT / math.sqrt(d_k)

    return Pairings(
        scores(w_q, w_k, "neighbours"),
        scores(w_q[:, order], w_k[:, order] if reordered == "both" else w_k, "halves"),
        scores(w_q, w_k, "halves"),
    )


# ------------------------------------------------------------------------------------------------ a causal mask alone


@dataclass(frozen=True, eq=False)
class Prefix:
    """The outputs of models of 1 to 4 layers, before and after a shuffle of all words but the last."""

    words: tuple[str, ...]
    shuffled: tuple[str, ...]
    place: Int[Tensor, " n"]  # of each word in the shuffled order
    before: Float[Tensor, "l n d"]
    after: Float[Tensor, "l n d"]

    @property
    def change(self) -> Float[Tensor, "l n"]:
        """How far each word's output moves, at most over the features."""
        return (self.after[:, self.place] - self.before).abs().amax(-1)


@remember
def shuffled_prefix(
    sentence: str = STORY, order_seed: int = 0, seed: int = 0, causal: bool = True, scheme: Scheme = "none"
) -> Prefix:
    """Shuffle all words but the last. Raises ValueError, in words, if no other order of them exists."""
    *prefix, last = tokens(sentence)
    if len(set(prefix)) < 2:
        raise ValueError("Write at least two different words before the last one: they are shuffled.")
    g = torch.Generator().manual_seed(order_seed)
    shuffled = prefix
    while shuffled == prefix:
        shuffled = [prefix[i] for i in torch.randperm(len(prefix), generator=g)]
    before, after = (encode([*row, last], scheme, DEPTHS[-1], seed, causal) for row in (prefix, shuffled))
    place = torch.cat([matching(prefix, shuffled), torch.tensor([len(prefix)])])
    return Prefix((*prefix, last), (*shuffled, last), place, before, after)


def shufflable(story: str) -> tuple[str, str]:
    """The reader's sentence and "", or the one that is shown instead and the reason in words.

    The figures put the start token before it; a second one would spoil the count.

    >>> shufflable("no no no")[1]
    'Write at least two different words before the last one: they are shuffled. Until then, the figure shows “the dog that bit the man ran away”.'
    """
    try:
        if START in tokens(story):
            raise ValueError(f"{START} is the start token, which the figure itself puts first: leave it out.")
        return " ".join(shuffled_prefix(story).words), ""
    except ValueError as reason:
        return STORY, f"{reason} Until then, the figure shows “{STORY}”."


def counting_head(words: list[str], causal: bool = True) -> Float[Tensor, " n"]:
    r"""A head with all scores 0, so that it averages evenly. Its value is 1 at the first word, wherever it stands, else 0.

    It knows words, not places. Under a causal mask it reads $1/(t+1)$ at token t, if the first word occurs only once.
    """
    n = len(words)
    scores = torch.zeros(n, n, dtype=torch.float64)
    if causal:
        scores = masked(scores, masks.causal(n))
    return scores.softmax(-1) @ torch.tensor([float(word == words[0]) for word in words], dtype=torch.float64)
