"""What a Transformer can compute: programs whose weights are written by hand, the best that a model without positions can do,
and where softmax and rounding end.

A program is an encoder in float64, with softmax attention, residuals and ReLU layers, one head and no norms. Its weights are
lists of the entries that are not 0. The columns of the residual stream have names: tokens, BOS, a constant 1, positions, and
room for what the layers find. W_K and W_O are the identity, so that W_Q says which key a query selects and W_V what is fetched.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.memory import remember
from core.ops.attention import logits, softmax
from core.ops.feedforward import feed_forward
from core.ops.positions import sinusoidal
from core.ops.programs import equivariant_most, interpolated
from core.ops.retrieval import match_weight
from core.training.universality import SYMBOLS, TEXTS, table, texts

Program = Literal["sort", "reverse", "histogram", "most frequent", "balanced", "parity"]
PROGRAMS: tuple[Program, ...] = ("sort", "reverse", "histogram", "most frequent", "balanced", "parity")
LETTERS, BRACKETS, BITS = "abcde", "()", "01"
READS = dict.fromkeys(PROGRAMS, LETTERS) | {"balanced": BRACKETS, "parity": BITS}
MOST = {program: 7 if symbols == LETTERS else 12 for program, symbols in READS.items()}
"""The longest text for which the weights of a program are built."""

USUAL = {LETTERS: "decade", BRACKETS: "(())()", BITS: "110100"}
SAID = {LETTERS: "the letters a to e", BRACKETS: "( and )", BITS: "0 and 1"}
GAP = 50
"""How far the selected keys' logits lie above the others: e⁻⁵⁰ is 2·10⁻²², which float64 rounds away beside 1."""

Entries = Mapping[tuple[str, str], float]


# ------------------------------------------------------------------------------------------------ weights, written by hand


@dataclass(frozen=True, eq=False)
class Layer:
    """Attention, which selects by W_Q and fetches by W_V (W_K and W_O are the identity), and a feed-forward layer."""

    query: Float[Tensor, "d d"]
    value: Float[Tensor, "d d"]
    up: Float[Tensor, "d f"]
    down: Float[Tensor, "f d"]
    said: str  # what is selected, in words
    found: str  # what the feed-forward layer makes of what was fetched, in words; empty where there is none


@dataclass(frozen=True, eq=False)
class Machine:
    """The weights of one program, and the names of the columns that they speak of."""

    columns: tuple[str, ...]
    embed: Float[Tensor, "s d"]  # a row for each symbol, the last for BOS
    place: Float[Tensor, "n d"]  # a row for each position, the first for BOS, which has none
    layers: tuple[Layer, ...]
    head: Float[Tensor, "d c"]
    answers: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """The entries that are not 0."""
        every = [
            self.embed,
            self.place,
            self.head,
            *(w for one in self.layers for w in (one.query, one.value, one.up, one.down)),
        ]
        return sum(int((w != 0).sum()) for w in every)


def matrix(rows: Sequence[str], columns: Sequence[str], entries: Entries) -> Float[Tensor, "r c"]:
    """Zeros, and the entries that are named.

    >>> matrix(("a", "b"), ("x",), {("b", "x"): 2}).tolist()
    [[0.0], [2.0]]
    """
    found = torch.zeros(len(rows), len(columns), dtype=torch.float64)
    for (row, column), value in entries.items():
        found[rows.index(row), columns.index(column)] = value
    return found


def bent(
    columns: Sequence[str], source: str, points: Sequence[float], values: Mapping[str, Sequence[float]]
) -> tuple[Tensor, Tensor]:
    """The two matrices of a ReLU layer that writes, for each named column, the piecewise linear function of `source` through the points."""
    knots, slopes = zip(*(interpolated(points, one) for one in values.values()), strict=True)
    units = [str(i) for i in range(len(knots[0]))]
    up = matrix(
        columns,
        units,
        {(source, u): 1.0 for u in units[1:]} | {("const", u): -k for u, k in zip(units, knots[0], strict=True)},
    )
    up[columns.index("const"), 0] = 1.0  # a unit that is always 1: where each function begins
    down = matrix(
        units,
        columns,
        {(u, name): s for name, each in zip(values, slopes, strict=True) for u, s in zip(units, each, strict=True)},
    )
    return up, down


def shares(most: int) -> list[float]:
    """What BOS keeps of a row’s weight when it shares it evenly with 0, 1, … tokens.

    >>> shares(2)
    [1.0, 0.5, 0.3333333333333333]
    """
    return [1 / (k + 1) for k in range(most + 1)]


def _symbols(symbols: str) -> dict[tuple[str, str], float]:
    """Each symbol and BOS has a column of its own, and each token holds a 1."""
    return {(s, s): 1.0 for s in (*symbols, "BOS")} | {(s, "const"): 1.0 for s in (*symbols, "BOS")}


def _machine(
    symbols: str,
    most: int,
    place: Entries,
    room: Sequence[str],
    layers: Callable[[tuple[str, ...]], tuple[Layer, ...]],
    head: Entries,
    answers: Sequence[str],
) -> Machine:
    columns = (*symbols, "BOS", "const", *dict.fromkeys(column for _, column in place), *room)
    rows = ["BOS", *map(str, range(1, most + 1))]
    return Machine(
        columns,
        matrix((*symbols, "BOS"), columns, _symbols(symbols)),
        matrix(rows, columns, place),
        layers(columns),
        matrix(columns, answers, head),
        tuple(answers),
    )


def _nothing(columns: Sequence[str]) -> tuple[Tensor, Tensor]:
    """A feed-forward layer without units."""
    return torch.zeros(len(columns), 0, dtype=torch.float64), torch.zeros(0, len(columns), dtype=torch.float64)


LETTER_ROOM = tuple(f"out {t}" for t in LETTERS)
COPY: Entries = {(t, f"out {t}"): 1.0 for t in LETTERS}
READ: Entries = {(f"out {t}", t): 1.0 for t in LETTERS}


def _sort(gap: float) -> Machine:
    most = MOST["sort"]
    places, ranks = [f"p{i}" for i in range(1, most + 1)], [f"rank {a}" for a in range(most)]

    def layers(columns: tuple[str, ...]) -> tuple[Layer, ...]:
        smaller = {(t, s): gap for t in LETTERS for s in LETTERS if s < t}
        up, down = bent(
            columns, "w", shares(most - 1), {ranks[a]: [float(k == a) for k in range(most)] for a in range(most)}
        )
        fits = {(p, r): gap * a if a <= i else -gap for i, p in enumerate(places) for a, r in enumerate(ranks)}
        return (
            Layer(matrix(columns, columns, smaller | {("const", "BOS"): gap}), matrix(columns, columns, {("BOS", "w"): 1.0}), up, down, "the smaller letters, and BOS", "rank: how many are smaller"),
            Layer(matrix(columns, columns, fits | {("const", "BOS"): -gap}), matrix(columns, columns, COPY), *_nothing(columns), "the highest rank that fits this place", ""),
        )  # fmt: skip

    return _machine(
        LETTERS,
        most,
        {(str(i), p): 1.0 for i, p in enumerate(places, 1)},
        ("w", *ranks, *LETTER_ROOM),
        layers,
        READ,
        LETTERS,
    )


def _reverse(gap: float) -> Machine:
    most = MOST["reverse"]

    def layers(columns: tuple[str, ...]) -> tuple[Layer, ...]:
        up, down = bent(columns, "w", shares(most)[1:], {"n": list(range(1, most + 1))})
        # −(j − (n + 1 − i))², but for what is the same for all keys j: 2 (n + 1 − i) j − j²
        mirror = {("n", "i"): 2 * gap, ("const", "i"): 2 * gap, ("i", "i"): -2 * gap, ("const", "i²"): -gap}
        return (
            Layer(matrix(columns, columns, {}), matrix(columns, columns, {("BOS", "w"): 1.0}), up, down, "every token alike", "n: how many letters there are"),
            Layer(matrix(columns, columns, mirror), matrix(columns, columns, COPY), *_nothing(columns), "the place n + 1 − i", ""),
        )  # fmt: skip

    place = {(str(i), "i"): float(i) for i in range(1, most + 1)} | {
        (str(i), "i²"): float(i * i) for i in range(1, most + 1)
    }
    return _machine(LETTERS, most, place, ("w", "n", *LETTER_ROOM), layers, READ, LETTERS)


def _counting(columns: tuple[str, ...], gap: float, most: int) -> Layer:
    same = {(t, t): gap for t in LETTERS} | {("const", "BOS"): gap}
    up, down = bent(columns, "w", shares(most), {"count": list(range(most + 1))})
    return Layer(matrix(columns, columns, same), matrix(columns, columns, {("BOS", "w"): 1.0}), up, down, "the same letter, and BOS", "count: how often it occurs")  # fmt: skip


def _histogram(gap: float) -> Machine:
    most = MOST["histogram"]
    counts = [str(m) for m in range(1, most + 1)]
    head = {("count", m): 2.0 * int(m) for m in counts} | {
        ("const", m): -float(int(m) ** 2) for m in counts
    }  # −(count − m)², but for count²
    return _machine(LETTERS, most, {}, ("w", "count"), lambda columns: (_counting(columns, gap, most),), head, counts)


def _most_frequent(gap: float) -> Machine:
    most = MOST["most frequent"]

    def layers(columns: tuple[str, ...]) -> tuple[Layer, ...]:
        best = {("const", "count"): gap * len(LETTERS)} | {("const", t): -gap * i for i, t in enumerate(LETTERS) if i}
        return (
            _counting(columns, gap, most),
            Layer(matrix(columns, columns, best), matrix(columns, columns, COPY), *_nothing(columns), "the highest count; of equal ones the first letter", ""),
        )  # fmt: skip

    return _machine(LETTERS, most, {}, ("w", "count", *LETTER_ROOM), layers, READ, LETTERS)


def _balanced(gap: float) -> Machine:
    most = MOST["balanced"]
    places, least = [f"p{i}" for i in range(1, most + 1)], 1 / (most + 1)

    def layers(columns: tuple[str, ...]) -> tuple[Layer, ...]:
        before = {(p, q): gap for i, p in enumerate(places) for q in places[: i + 1]}
        dips = bent(columns, "height", (-1, -least, 0, 1), {"below": (1, 1, 0, 0)})
        open_ends = bent(columns, "end", (-1, -least, 0, least, 1), {"open": (1, 1, 0, 1, 1)})
        below = bent(columns, "falls", (0, least, 1), {"fell": (0, 1, 1)})
        heights = {("(", "height"): 1.0, (")", "height"): -1.0}
        whole = {("(", "end"): 1.0, (")", "end"): -1.0, ("below", "falls"): 1.0}
        up, down = torch.cat([open_ends[0], below[0]], 1), torch.cat([open_ends[1], below[1]], 0)
        return (
            Layer(matrix(columns, columns, before | {("const", "BOS"): gap}), matrix(columns, columns, heights), *dips, "itself and what came before, and BOS", "below: more closed than opened so far"),
            Layer(matrix(columns, columns, {}), matrix(columns, columns, whole), up, down, "every token alike", "open: not as many closed as opened; fell: below somewhere"),
        )  # fmt: skip

    head = {("const", "yes"): 0.5, ("open", "no"): 1.0, ("fell", "no"): 1.0}
    return _machine(
        BRACKETS,
        most,
        {(str(i), p): 1.0 for i, p in enumerate(places, 1)},
        ("height", "below", "end", "falls", "open", "fell"),
        layers,
        head,
        ("yes", "no"),
    )


def _parity(gap: float) -> Machine:
    most = MOST["parity"]

    def layers(columns: tuple[str, ...]) -> tuple[Layer, ...]:
        up, down = bent(columns, "w", shares(most), {"odd": [k % 2 for k in range(most + 1)]})
        ones = matrix(columns, columns, {("const", "1"): gap, ("const", "BOS"): gap})
        return (
            Layer(
                ones,
                matrix(columns, columns, {("BOS", "w"): 1.0}),
                up,
                down,
                "the ones, and BOS",
                "odd: whether their number is",
            ),
        )

    return _machine(
        BITS, most, {}, ("w", "odd"), layers, {("const", "even"): 0.5, ("odd", "odd"): 1.0}, ("even", "odd")
    )


BUILT: Mapping[Program, Callable[[float], Machine]] = {
    "sort": _sort, "reverse": _reverse, "histogram": _histogram, "most frequent": _most_frequent,
    "balanced": _balanced, "parity": _parity,
}  # fmt: skip


@remember
def machine(program: Program, gap: float = GAP) -> Machine:
    """The weights of a program. Do not change them."""
    return BUILT[program](gap)


# ------------------------------------------------------------------------------------------------ one forward pass


@dataclass(frozen=True, eq=False)
class Pass:
    """Everything that one forward pass makes, layer by layer; the axes of each: text, place (BOS first), column or key."""

    embedded: Float[Tensor, "b n d"]
    weights: tuple[Float[Tensor, "b n n"], ...]
    fetched: tuple[Float[Tensor, "b n d"], ...]  # A X W_V, before it is added
    stream: tuple[Float[Tensor, "b n d"], ...]  # the residual stream behind each layer
    logits: Float[Tensor, "b n c"]

    @property
    def answers(self) -> Int[Tensor, "b n"]:
        """The likeliest answer at every place, BOS left out; of answers that only rounding tells apart, the first."""
        return self.logits[:, 1:].round(decimals=9).argmax(-1)


def forward(built: Machine, symbols: Int[Tensor, "b n"]) -> Pass:
    """One forward pass over texts of one length, a BOS in front of each."""
    tokens = torch.nn.functional.pad(symbols, (1, 0), value=len(built.embed) - 1)
    x = embedded = built.embed[tokens] + built.place[: tokens.shape[1]]
    weights, fetched, stream = [], [], []
    for layer in built.layers:
        weights.append(softmax(logits(x @ layer.query, x, "none")))
        fetched.append(weights[-1] @ x @ layer.value)
        x = x + fetched[-1]
        x = x + feed_forward(x, layer.up, layer.down)
        stream.append(x)
    return Pass(embedded, tuple(weights), tuple(fetched), tuple(stream), x @ built.head)


def text_of(program: Program, text: str) -> tuple[str, str]:
    """The text that a program reads, and in words what is wrong with the one that was asked for, if anything is.

    >>> text_of("sort", "De cade"), text_of("balanced", "(x)")[1]
    (('decade', ''), 'This program reads only ( and ).')
    """
    asked, symbols = "".join(text.lower().split()), READS[program]
    if not set(asked) <= set(symbols):
        return USUAL[symbols], f"This program reads only {SAID[symbols]}."
    if len(asked) > MOST[program]:
        return USUAL[symbols], f"That is {len(asked)} tokens; these weights are built for at most {MOST[program]}."
    return (asked, "") if asked else (USUAL[symbols], "Write at least one token.")


def encoded(program: Program, text: str) -> Int[Tensor, "1 n"]:
    return torch.tensor([[READS[program].index(c) for c in text]])


@remember
def passed(program: Program, text: str, gap: float = GAP) -> Pass:
    """One text through one program. Do not change it."""
    return forward(machine(program, gap), encoded(program, text))


def written(program: Program, text: str, gap: float = GAP) -> list[str]:
    """What the program answers at each place."""
    built = machine(program, gap)
    return [built.answers[i] for i in passed(program, text, gap).answers[0].tolist()]


def truth(program: Program, text: str) -> list[str]:
    """What it should answer, by a few lines of Python.

    >>> truth("sort", "cab"), truth("histogram", "aba"), truth("most frequent", "bab"), truth("balanced", ")(")
    (['a', 'b', 'c'], ['2', '1', '2'], ['b', 'b', 'b'], ['no', 'no'])
    """
    match program:
        case "sort":
            return sorted(text)
        case "reverse":
            return list(reversed(text))
        case "histogram":
            return [str(text.count(t)) for t in text]
        case "most frequent":
            return [max(sorted(set(text)), key=text.count)] * len(text)
        case "parity":
            return ["odd" if text.count("1") % 2 else "even"] * len(text)
    heights = list(itertools.accumulate(1 if c == "(" else -1 for c in text))
    return ["yes" if min(heights) >= 0 and heights[-1] == 0 else "no"] * len(text)


def due(program: Program, symbols: Int[Tensor, "b n"]) -> Int[Tensor, "b n"]:
    """What it should answer to many texts at once, as indices of its answers, without attention: by torch’s own sort, flip, sums."""
    count = (symbols[:, :, None] == symbols[:, None, :]).sum(-1)
    match program:
        case "sort":
            return symbols.sort(-1).values
        case "reverse":
            return symbols.flip(-1)
        case "histogram":
            return count - 1  # the first answer is “1”
        case "most frequent":
            return (
                (count * len(LETTERS) - symbols)
                .max(-1, keepdim=True)
                .values.neg()
                .remainder(len(LETTERS))
                .expand_as(symbols)
            )
        case "parity":
            return (symbols.sum(-1, keepdim=True) % 2).expand_as(symbols)
    height = (1 - 2 * symbols).cumsum(-1)
    return ((height.amin(-1, keepdim=True) < 0) | (height[:, -1:] != 0)).long().expand_as(symbols)


@remember
def wrong(program: Program, n: int, gap: float = GAP, leap: int = 1) -> int:
    """Of all texts of n tokens, or of every `leap`th, how many a program answers wrongly in some place."""
    size = len(READS[program])
    every = torch.arange(0, size**n, leap)[:, None] // size ** torch.arange(n) % size
    return sum(
        int((forward(machine(program, gap), some).answers != due(program, some)).any(-1).sum())
        for some in every.split(1000)  # so many stay in a processor’s cache
    )


# ------------------------------------------------------------------------------------------------ steps written out

CUPS, SWAPS = 5, 300
PAIRS = tuple(itertools.combinations(range(CUPS), 2))
BALL_COLUMNS = (*(f"swap {a}{b}" for a, b in PAIRS), *(f"ball {c}" for c in range(CUPS)), "said", *(f"was {c}" for c in range(CUPS)), *(f"now {c}" for c in range(CUPS)), "const")  # fmt: skip


def ball_layer(gap: float = GAP) -> Layer:
    """One layer of a decoder that says under which cup the ball is after a swap: the last saying, looked up with the swap.

    A swap selects what says where the ball is, by 2·gap, less gap for each token of distance (as ALiBi does): so the nearest
    such token leads by gap at least, at every length. A ReLU unit for each cup and swap is the look-up.
    """
    query = matrix(BALL_COLUMNS, BALL_COLUMNS, {("const", "said"): 2 * gap})
    value = matrix(BALL_COLUMNS, BALL_COLUMNS, {(f"ball {c}", f"was {c}"): 1.0 for c in range(CUPS)})
    units = [f"{c}: {a}{b}" for c in range(CUPS) for a, b in PAIRS]
    both: dict[tuple[str, str], float] = {}
    told: dict[tuple[str, str], float] = {}
    for c, (a, b) in itertools.product(range(CUPS), PAIRS):
        unit = f"{c}: {a}{b}"
        both |= {(f"was {c}", unit): 1.0, (f"swap {a}{b}", unit): 1.0, ("const", unit): -1.0}
        told[unit, f"now {b if c == a else a if c == b else c}"] = 1.0
    return Layer(query, value, matrix(BALL_COLUMNS, units, both), matrix(units, BALL_COLUMNS, told), "the last saying of where the ball is", "now: where it is")  # fmt: skip


@remember
def astray(steps: bool = True, relative: bool = True, gap: float = GAP, swaps: int = SWAPS) -> int:
    """A ball under each of the five cups, the same swaps: how many of the answers, one after each swap, are wrong.

    With steps the layer reads what it wrote itself; without, only where the ball was at first. Without `relative` it knows no distance.
    """
    layer, columns = ball_layer(gap), list(BALL_COLUMNS)
    drawn = torch.randint(len(PAIRS), (swaps,), generator=torch.Generator().manual_seed(0)).tolist()

    def token(name: str) -> Tensor:
        x = torch.zeros(len(columns), dtype=torch.float64)
        x[[columns.index(name), columns.index("const")]] = 1
        if name.startswith("ball"):
            x[columns.index("said")] = 1
        return x

    balls = torch.stack([token(f"ball {c}") for c in range(CUPS)])
    moves = torch.stack([token(f"swap {a}{b}") for a, b in PAIRS])
    now = [columns.index(f"now {c}") for c in range(CUPS)]
    text = torch.zeros(CUPS, 1 + 2 * swaps, len(columns), dtype=torch.float64)
    text[:, 0], length, true, missed = balls, 1, list(range(CUPS)), 0
    back = gap * torch.arange(text.shape[1], dtype=torch.float64).flip(0) * relative
    for move in drawn:
        text[:, length] = x = moves[move].expand(CUPS, -1)
        length += 1
        keys = text[:, :length]
        asked = (keys @ (x[0] @ layer.query)) - back[-length:]  # the same swap asks in all five
        x = x + (softmax(asked[:, None]) @ keys)[:, 0] @ layer.value
        answers = feed_forward(x, layer.up, layer.down)[:, now].argmax(-1)
        a, b = PAIRS[move]
        true = [b if c == a else a if c == b else c for c in true]
        missed += sum(one != other for one, other in zip(answers.tolist(), true, strict=True))
        if steps:
            text[:, length] = balls[answers]
            length += 1
    return missed


# ------------------------------------------------------------------------------------------------ a ceiling without positions

KINDS = ("aaaa", "aaab", "aabb", "aabc", "abcd")
"""Texts by how often tokens repeat in them."""


@dataclass(frozen=True, eq=False)
class Ceiling:
    """What a table asks, and the most that a function without positions has right, by the kind of text (as in KINDS)."""

    asked: Int[Tensor, " k"]
    right: Int[Tensor, " k"]
    loss: float  # nats: the lowest mean loss without positions, the entropy of the answers within their class

    @property
    def most(self) -> int:
        return int(self.right.sum())


@remember
def ceiling(seed: int) -> Ceiling:
    """The table of a seed, without positions. Do not change it."""
    tokens, answers = texts(), table(seed)
    right = equivariant_most(tokens, answers)
    repeats = [tuple(sorted(Counter(text).values(), reverse=True)) for text in tokens.tolist()]
    shapes = [tuple(sorted(Counter(kind).values(), reverse=True)) for kind in KINDS]
    kind = torch.tensor([shapes.index(one) for one in repeats])
    classes: dict[tuple[int, ...], Counter[int]] = {}
    for text, due in zip(tokens.tolist(), answers.tolist(), strict=True):
        for token, one in zip(text, due, strict=True):
            classes.setdefault((token, *sorted(text)), Counter())[one] += 1
    surprise = -sum(c * math.log(c / each.total()) for each in classes.values() for c in each.values())
    asked = torch.bincount(kind, minlength=len(KINDS)) * tokens.shape[1]
    return Ceiling(
        asked, torch.stack([right[kind == i].sum() for i in range(len(KINDS))]), surprise / (SYMBOLS * TEXTS)
    )


# ------------------------------------------------------------------------------------------------ limits

LENGTHS = (8, 16, 32, 64, 128, 256, 512)  # tokens, where an encoder runs
WIDTH, ENCODERS = 16, 10
FORMATS = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
NEIGHBOURS = 32  # pairs of averages that are compared, from a half upwards


@remember
def influence(seed: int = 0, lengths: tuple[int, ...] = LENGTHS, own: bool = False) -> Float[Tensor, "n e"]:
    """How far the first token's output moves when one other bit flips, in ten random encoders of two layers, by length.

    One head, softmax attention with 1/√d, ReLU layers, residuals, no norms, sinusoids; weights N(0, 1/inputs), bits and the
    flipped one drawn evenly. The move is a norm. With `own` it is the first token’s own bit that flips. Do not change it.
    """
    g = torch.Generator().manual_seed(seed)
    d, f = WIDTH, 4 * WIDTH

    def drawn(*shape: int) -> Tensor:
        return torch.randn(ENCODERS, 1, *shape, generator=g, dtype=torch.float64) / math.sqrt(shape[0])

    embed = torch.randn(ENCODERS, 2, d, generator=g, dtype=torch.float64)
    layers = [[drawn(d, d), drawn(d, d), drawn(d, d), drawn(d, f), drawn(f, d)] for _ in range(2)]
    moves = []
    for n in lengths:
        bits = torch.randint(0, 2, (ENCODERS, n), generator=g)
        flipped = bits.clone()
        where = torch.randint(1, n, (ENCODERS,), generator=g)
        flipped[torch.arange(ENCODERS), torch.zeros_like(where) if own else where] ^= 1
        x = embed[torch.arange(ENCODERS)[:, None, None], torch.stack([bits, flipped], 1)] + sinusoidal(n, d)
        for i, (query, key, value, up, down) in enumerate(layers):
            asks = x[..., :1, :] if i else x  # of the last layer only the first token's output is read
            x = asks + softmax(logits(asks @ query, x @ key)) @ x @ value
            x = x + feed_forward(x, up, down)
        moves.append((x[:, 1, 0] - x[:, 0, 0]).norm(dim=-1))
    return torch.stack(moves)


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The slope of the best straight line on two logarithmic axes."""
    a, b = (torch.tensor(v, dtype=torch.float64).log() for v in (x, y))
    return float(((a - a.mean()) * (b - b.mean())).sum() / (a - a.mean()).square().sum())


def merged(n: int, form: str) -> float:
    """Of neighbouring averages k/n and (k + 1)/n, from k = n/2 upwards, the share that the format rounds to one number.

    >>> merged(128, "bfloat16"), merged(512, "bfloat16") > 0
    (0.0, True)
    """
    k = torch.arange(n // 2, n // 2 + min(NEIGHBOURS, n // 2) + 1, dtype=torch.float64)
    rounded = (k / n).to(FORMATS[form])
    return float((rounded[1:] == rounded[:-1]).double().mean())


def first_merged(form: str) -> int:
    """The first power of two at which two neighbouring averages from a half upwards are one number."""
    return next(2**p for p in range(1, 60) if merged(2**p, form) > 0)


def hardness(gap: float, lengths: Sequence[int]) -> Float[Tensor, " n"]:
    """The weight of the one key whose logit leads by the gap, among n."""
    return torch.stack([match_weight(torch.tensor(gap, dtype=torch.float64), n) for n in lengths])
