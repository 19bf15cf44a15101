"""Attention as a soft dictionary: the reader's own in the plane; how soft it is, what it obeys, and one logit term by term."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.memory import remember
from core.ops.attention import attention, logits, softmax

# ---------------------------------------------------------------------------------------------- the reader's dictionary

NAMES, KEYS, VALUES = "cat dog car bus", "2 1, 1 2, -1 2, -2 1", "2 2, 1 -2, -2 -1, -2 2"
MOST = 6  # entries; more would not fit the figures
LETTERS = 10  # of a name
BOUND = 4.0  # of a key's or a value's numbers
LENGTH = 3.0  # of the query
ANGLES = tuple(range(0, 360, 5))  # of the query, in degrees


def named(text: str) -> list[str]:
    """The names of the entries. Raises ValueError, in words, for none, too many, too long ones, or one that stands twice.

    >>> named("cat, dog  car")
    ['cat', 'dog', 'car']
    """
    found = text.replace(",", " ").split()
    if not found:
        raise ValueError("Write at least one name.")
    if len(found) > MOST:
        raise ValueError(f"That is {len(found)} names; the figures have room for {MOST}. Leave some out.")
    if len(set(found)) < len(found):
        raise ValueError("Give each entry a name of its own.")
    long = [name for name in found if len(name) > LETTERS]
    if long:
        raise ValueError(f"“{long[0]}” is too long for the figures: {LETTERS} letters at most.")
    return found


def pairs(text: str, n: int, what: str) -> list[tuple[float, float]]:
    """Two numbers for each of n entries. Raises ValueError, in words, where something is missing, too large or no number.

    >>> pairs("2 1, −1 .5", 2, "key")
    [(2.0, 1.0), (-1.0, 0.5)]
    >>> pairs("2 1", 2, "key")
    Traceback (most recent call last):
    ...
    ValueError: Each of the 2 names needs its key, with a comma between entries; there is 1.
    """
    parts = [part for part in text.replace("−", "-").replace(";", ",").split(",") if part.strip()]
    if len(parts) != n:
        need, there = ("The name needs" if n == 1 else f"Each of the {n} names needs"), len(parts)
        is_are = f"there {'is' if there == 1 else 'are'} {there or 'none'}"
        raise ValueError(f"{need} its {what}, with a comma between entries; {is_are}.")
    found = []
    for part in parts:
        try:
            x, y = map(float, part.split())
        except ValueError:
            raise ValueError(f"A {what} is two numbers with a space between, such as 2 −0.5.") from None
        if not max(abs(x), abs(y)) <= BOUND:  # also where one is not a number
            raise ValueError(f"The numbers of a {what} lie between −{BOUND:g} and {BOUND:g}.")
        found.append((x, y))
    return found


def dictionary_of(names: str, keys: str, values: str) -> tuple[tuple[str, str, str], str]:
    """The reader's dictionary; or the default one, and the reason in words.

    >>> dictionary_of("a", "1 0", "0 1"), dictionary_of("a b", "1 0", "0 1")[1]
    ((('a', '1 0', '0 1'), ''), 'Each of the 2 names needs its key, with a comma between entries; there is 1.')
    """
    try:
        n = len(named(names))
        pairs(keys, n, "key")
        pairs(values, n, "value")
    except ValueError as reason:
        return (NAMES, KEYS, VALUES), str(reason)
    return (names, keys, values), ""


def settings(names: str, keys: str, values: str) -> dict[str, list]:
    """The entries as lists, for the program to take away.

    >>> settings("a", "1 0", "0 .5")
    {'names': ['a'], 'keys': [[1.0, 0.0]], 'values': [[0.0, 0.5]]}
    """
    words = named(names)
    numbers = (list(map(list, pairs(text, len(words), what))) for text, what in ((keys, "key"), (values, "value")))
    return dict(zip(("names", "keys", "values"), (words, *numbers), strict=True))


@dataclass(frozen=True, eq=False)
class Turn:
    """A query that turns once round, and what a dictionary in the plane answers at each of ANGLES."""

    names: tuple[str, ...]
    key: Float[Tensor, "n 2"]
    value: Float[Tensor, "n 2"]
    query: Float[Tensor, "a 2"]
    logits: Float[Tensor, "a n"]
    weights: Float[Tensor, "a n"]
    output: Float[Tensor, "a 2"]

    def at(self, angle: int) -> "Answer":
        """What one of ANGLES gets."""
        i = ANGLES.index(angle)
        return Answer(self.query[i], self.logits[i], self.weights[i], self.output[i])


@dataclass(frozen=True, eq=False)
class Answer:
    """What one query gets."""

    query: Float[Tensor, " 2"]
    logits: Float[Tensor, " n"]
    weights: Float[Tensor, " n"]
    output: Float[Tensor, " 2"]


@remember
def turn(names: str = NAMES, keys: str = KEYS, values: str = VALUES, length: float = LENGTH) -> Turn:
    """One query of this length at every angle, against all keys; in float64.

    Raises ValueError, in words, for a dictionary that cannot be used.
    """
    words = named(names)
    key, value = (
        torch.tensor(pairs(text, len(words), what), dtype=torch.float64)
        for text, what in ((keys, "key"), (values, "value"))
    )
    angle = torch.tensor(ANGLES, dtype=torch.float64).deg2rad()
    query = length * torch.stack([angle.cos(), angle.sin()], -1)
    scores = logits(query, key)
    return Turn(tuple(words), key, value, query, scores, softmax(scores), attention(query, key, value))


def hull(points: Float[Tensor, "n 2"]) -> list[tuple[float, float]]:
    """The corners of the convex hull, anticlockwise: where a weighted mean can lie. Of points on a line, its two ends.

    Andrew 1979, the monotone chain
    """
    ordered = sorted({(x, y) for x, y in points.tolist()})
    if len(ordered) < 3:
        return ordered

    def chain(along: list[tuple[float, float]]) -> list[tuple[float, float]]:
        kept: list[tuple[float, float]] = []
        for x, y in along:
            while len(kept) > 1:
                (ax, ay), (bx, by) = kept[-2:]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                kept.pop()
            kept.append((x, y))
        return kept[:-1]

    return chain(ordered) + chain(ordered[::-1])


def outside(corners: list[tuple[float, float]], point: Float[Tensor, " 2"]) -> float:
    """How far a point lies outside of a convex polygon given anticlockwise; 0 or less if it does not."""
    x, y = point.tolist()
    return max(
        ((bx - ax) * (ay - y) - (ax - x) * (by - ay)) / math.hypot(bx - ax, by - ay)
        for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True)
    )


# ---------------------------------------------------------------------------------------------- who does what

Part = Literal["query", "key", "value"]
TOKENS, D_K = 5, 4  # of the small head; √4 is 2, so that with whole numbers its logits are exact


def head(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of five tokens: whole numbers from −2 to 2, so that their logits are not even rounded."""
    g = torch.Generator().manual_seed(seed)
    query, key, value = torch.randint(-2, 3, (3, TOKENS, D_K), generator=g).double()
    return query, key, value


@dataclass(frozen=True)
class Touched:
    """How many of the five logits' rows and columns, weights' rows and outputs change with one vector; no threshold."""

    rows: int
    columns: int
    weights: int
    outputs: int


def touched(part: Part, seed: int = 0) -> Touched:
    """Change one query, one key or one value (each of its numbers by 1), and see what moves."""
    parts = dict(zip(("query", "key", "value"), head(seed), strict=True))
    before = _attended(*parts.values())
    changed = parts[part].clone()
    changed[2] += torch.tensor([1.0, -1.0, 1.0, 1.0])
    after = _attended(*(parts | {part: changed}).values())
    scores, weights, outputs = (a != b for a, b in zip(before, after, strict=True))
    return Touched(*(int(x.sum()) for x in (scores.any(1), scores.any(0), weights.any(1), outputs.any(1))))


def _attended(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    scores = logits(query, key)
    return scores, softmax(scores), softmax(scores) @ value


def module(seed: int | None, d_model: int = 16, add_zero_attn: bool = False) -> nn.MultiheadAttention:
    """torch's own, one head, without biases, float64: random matrices, or with no seed identities."""
    theirs = nn.utils.skip_init(
        nn.MultiheadAttention,
        d_model,
        1,
        bias=False,
        add_zero_attn=add_zero_attn,
        batch_first=True,
        dtype=torch.float64,
    )
    g = torch.Generator().manual_seed(seed or 0)
    with torch.no_grad():
        for matrix in (*theirs.in_proj_weight.chunk(3), theirs.out_proj.weight):
            drawn = torch.randn(d_model, d_model, generator=g, dtype=torch.float64) / math.sqrt(d_model)
            matrix.copy_(torch.eye(d_model) if seed is None else drawn)
    return theirs


# ---------------------------------------------------------------------------------------------- how soft

SIZES = (2, 4, 16, 64, 256, 1024, 4096)
LEADS = torch.linspace(0, 14, 113, dtype=torch.float64)


@remember
def softness(n: int) -> Float[Tensor, " s"]:
    """The weight of a match whose logit leads by each of LEADS: orthogonal keys of one length, so the others tie."""
    scores = torch.zeros(len(LEADS), n, dtype=torch.float64)
    scores[:, 0] = LEADS
    return softmax(scores)[:, 0].clone()  # a column alone would keep the whole matrix


@remember
def lead_needed(share: float, n: int) -> float:
    """The lead at which a match gets this share of the weight, found by halving an interval of the softmax itself."""
    low, high = 0.0, 64.0
    scores = torch.zeros(n, dtype=torch.float64)
    for _ in range(60):
        scores[0] = (low + high) / 2
        low, high = (low, float(scores[0])) if float(softmax(scores)[0]) >= share else (float(scores[0]), high)
    return high


# ---------------------------------------------------------------------------------------------- right, and pure

WIDTHS = (4, 8, 16, 32, 64, 128, 256)
DICTIONARIES = (2, 4, 16, 64, 256, 1024)
ASKED = 1024  # queries behind each point


def recall_of(key: Float[Tensor, "k d_k"], n: int, hard: bool = False) -> tuple[float, float]:
    """Of keys cut into dictionaries of n, each asked for by itself: how often it wins, and the mean weight that it gets.

    `hard` gives all the weight to the winner, as a lookup would.
    """
    stored = key.unflatten(0, (-1, n))
    weights = softmax(logits(stored, stored))
    won = weights.argmax(-1) == torch.arange(n)
    got = won.double() if hard else weights.diagonal(dim1=-2, dim2=-1)
    return float(won.double().mean()), float(got.mean())


def random_keys(d_k: int, seed: int) -> Float[Tensor, "k d_k"]:
    """1,024 keys of $N(0, 1)$."""
    return torch.randn(ASKED, d_k, generator=torch.Generator().manual_seed(seed)).double()


@dataclass(frozen=True, eq=False)
class Recall:
    """For each size of DICTIONARIES, over 1,024 queries that equal one of the keys."""

    accuracy: Float[Tensor, " s"]  # how often that key gets the largest weight
    purity: Float[Tensor, " s"]  # the mean weight that it gets


@remember
def recall(d_k: int, seed: int = 0) -> Recall:
    """1,024 random keys, cut into dictionaries of each size; each key is asked for by itself."""
    key = random_keys(d_k, seed)
    accuracy, purity = torch.tensor([recall_of(key, n) for n in DICTIONARIES], dtype=torch.float64).T
    return Recall(accuracy, purity)


@remember
def pooled(d_k: int = 64, n: int = 1024, hard: bool = False, draws: int = 4, unit: bool = False) -> tuple[float, float]:
    """Accuracy and purity over several draws of keys, which `unit` would bring to length 1."""
    keys = (random_keys(d_k, seed) for seed in range(draws))
    each = torch.tensor(
        [recall_of(nn.functional.normalize(key, dim=-1) if unit else key, n, hard) for key in keys], dtype=torch.float64
    )
    accuracy, purity = each.mean(0).tolist()
    return accuracy, purity


# ---------------------------------------------------------------------------------------------- laws

Law = Literal["pairs", "keys", "all_keys", "all_queries", "all_values", "twice", "gauge", "shared"]
LAWS: tuple[Law, ...] = ("all_keys", "all_queries", "all_values", "pairs", "keys", "twice", "gauge", "shared")


@dataclass(frozen=True, eq=False)
class Changed:
    """The small head before and after one change; columns in the order of the entries before it."""

    before: tuple[Tensor, Tensor, Tensor]  # logits, weights, outputs
    after: tuple[Tensor, Tensor, Tensor]

    @property
    def most(self) -> tuple[float, float, float]:
        """The largest change of a logit, a weight and an output."""
        logit, weight, output = (float((a - b).abs().max()) for a, b in zip(self.before, self.after, strict=True))
        return logit, weight, output


def shift(seed: int) -> Tensor:
    """The vector that is added: whole numbers from 1 to 3, with signs."""
    g = torch.Generator().manual_seed(seed + 1_000_000)
    sizes, signs = torch.randint(1, 4, (D_K,), generator=g), torch.randint(0, 2, (D_K,), generator=g)
    return (sizes * (2 * signs - 1)).double()


ORDER = (1, 2, 3, 4, 0)
# Of determinant 1, so that its inverse has whole numbers too.
MIX = torch.tensor([[1, 1, 0, 2], [0, 1, 1, 0], [0, 0, 1, -1], [0, 0, 0, 1]], dtype=torch.float64)
UNMIX = torch.tensor([[1, -1, 1, -1], [0, 1, -1, -1], [0, 0, 1, 1], [0, 0, 0, 1]], dtype=torch.float64)


@remember
def law(name: Law, seed: int = 0) -> Changed:
    """What one change to queries, keys or values does to logits, weights and outputs of the small head."""
    query, key, value = head(seed)
    before = _attended(query, key, value)
    order, c = list(ORDER), shift(seed)
    if name == "pairs":
        scores, weights, output = _attended(query, key[order], value[order])
        back = torch.tensor(order).argsort()
        return Changed(before, (scores[:, back], weights[:, back], output))
    if name == "twice":
        scores, weights, output = _attended(query, *(torch.cat([x, x[:1]]) for x in (key, value)))
        # The two copies stand for one entry: it gets the weight of both.
        shared = weights[:, :TOKENS].clone()
        shared[:, 0] += weights[:, TOKENS]
        return Changed(before, (scores[:, :TOKENS], shared, output))
    changed = {
        "keys": lambda: (query, key[order], value),
        "all_keys": lambda: (query, key + c, value),
        "all_queries": lambda: (query + c, key, value),
        "all_values": lambda: (query, key, value + c),
        "gauge": lambda: (query @ MIX, key @ UNMIX.T, value),
        "shared": lambda: (query, query, value),
    }[name]()
    return Changed(before, _attended(*changed))


# ---------------------------------------------------------------------------------------------- term by term


@dataclass(frozen=True)
class Written:
    """One weight of the small head, written out."""

    query: tuple[float, ...]
    key: tuple[float, ...]
    products: tuple[float, ...]
    logit: float
    row: tuple[float, ...]  # the logits of the query with every key
    weight: float


def term_by_term(i: int, j: int, seed: int = 0, *, terms: int = D_K, divide: bool = True) -> Written:
    """The weight of query i on key j with nothing but Python's own arithmetic: multiply, add, divide, exponentiate."""
    query, key, _ = (x.tolist() for x in head(seed))
    root = math.sqrt(D_K) if divide else 1.0
    row = [sum(a * b for a, b in zip(query[i][:terms], one[:terms], strict=True)) / root for one in key]
    top = max(row)
    weight = math.exp(row[j] - top) / sum(math.exp(logit - top) for logit in row)
    products = tuple(a * b for a, b in zip(query[i], key[j], strict=True))
    return Written(tuple(query[i]), tuple(key[j]), products, row[j], tuple(row), weight)
