"""What longer texts bring that training never set, and what the decoders of question 11 make of it."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.memory import remember
from core.ops import positions
from core.ops.attention import logits
from core.ops.markov import entropy_rates
from core.training import extrapolation as training
from core.training.extrapolation import BIN, ENCODINGS, HEADS, LENGTH, SEEDS, WIDTH, Encoding, Reading, Remedy, Task

Sees = Literal["whole", "window", "afresh"]
SEES: tuple[Sees, ...] = ("whole", "window", "afresh")
STOPS = (16, 24, 32, 48, 64, 96, 128, 192, 256)  # tokens of a test text, whole bins
FAR = STOPS[-1]
CHANCE = 1 / training.VOCABULARY  # of saying the first token right without having seen it


# ------------------------------------------------------------------------------------------------ what the trained models lose


@remember
def guessing() -> float:
    """What guessing by how often each token occurs loses over the best possible guess, in nats a token."""
    by_frequency, _, least = entropy_rates(training.chain())
    return by_frequency - least


def lost(encoding: Encoding, n: int = FAR, sees: str = "whole", task: Task = "next") -> Float[Tensor, " r"]:
    """The excess loss of every seed on texts of n tokens, the mean over all of them, in nats."""
    by_position = training.outcome(encoding, task, sees)
    if sees == "afresh":  # as far as texts of training go, nothing is read afresh
        near = LENGTH // BIN
        by_position = torch.cat([training.outcome(encoding, task, "whole")[:, :near], by_position[:, near:]], dim=-1)
    return by_position[:, : n // BIN].mean(-1)


@remember
def curves(encoding: Encoding, sees: str = "whole") -> Float[Tensor, "r s"]:
    """The same for each length of STOPS."""
    return torch.stack([lost(encoding, n, sees) for n in STOPS], dim=-1)


def recalled(encoding: Encoding, n: int, what: str = "right") -> Float[Tensor, " r"]:
    """How often every seed says the first token right, over the last BIN of n tokens."""
    return training.outcome(encoding, "recall", what)[:, n // BIN - 1]


@remember
def read_now(encoding: Encoding, window: int | None = None, n: int = FAR, n_texts: int = 4) -> float:
    """What the shipped model of the first seed loses, measured now on a few texts of n tokens."""
    tokens = training.unseen("next", training.SHOWN, FAR)[:n_texts, : n + 1]
    how = Reading(window=window)
    return float(training.excess_at(training.trained(encoding), "next", encoding, tokens, how).mean())


@torch.no_grad()
def rope_held(most: int, n: int = FAR, n_texts: int = 4) -> float:
    """What the shipped RoPE model of the first seed loses if every token sees all before it, but none as farther than `most`."""
    tokens, weights = training.unseen("next", training.SHOWN, FAR)[:n_texts, : n + 1], training.trained("rope")
    distance = (torch.arange(n)[:, None] - torch.arange(n)).clamp(max=most)
    x = F.embedding(tokens[:, :-1], weights["embed"])
    for qkv, out, up, up_bias, down, down_bias in zip(*(weights[k].unbind() for k in training.PER_LAYER), strict=True):
        heads = (F.layer_norm(x, (WIDTH,)) @ qkv).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        query, key = (torch.view_as_complex(h.unflatten(-1, (-1, 2)).contiguous()) for h in heads[:2])
        scores = torch.zeros(*query.shape[:-1], n, dtype=x.dtype)
        for i, omega in enumerate(frequencies(WIDTH // HEADS)):  # a query ahead by δ is turned by δω against the key
            turned = torch.polar(torch.ones(n, n, dtype=x.dtype), distance * omega)
            scores += (query[..., :, None, i] * key[..., None, :, i].conj() * turned).real
        weight = (scores / math.sqrt(WIDTH // HEADS)).masked_fill(~training.visible(n, None), -math.inf).softmax(-1)
        x = x + (weight @ heads[2]).transpose(1, 2).flatten(2) @ out
        x = x + (F.layer_norm(x, (WIDTH,)) @ up + up_bias).relu() @ down + down_bias
    return float(training.excess_of(F.layer_norm(x, (WIDTH,)) @ weights["head"], "next", tokens).mean())


# ------------------------------------------------------------------------------------------------ what lies beyond


@remember
def rows_of_table() -> Float[Tensor, " p"]:
    """The length of each row of the trained table of positions."""
    return training.trained("learned")["table"].norm(dim=-1)


@remember
def never_moved(what: Literal["table", "bias"], start: int, end: int) -> float:
    """By how much training has moved these rows of the table, or these buckets of T5's bias, at most (first seed)."""
    encoding: Encoding = "learned" if what == "table" else "t5"
    first = training.first_weights(encoding, "next", SEEDS[0])[what].detach().float().double()
    return float((training.trained(encoding)[what] - first)[start:end].abs().max())


@remember
def biases(encoding: Literal["t5", "alibi"]) -> Float[Tensor, "h p"]:
    """What each head adds to a score, by distance."""
    distance = torch.arange(FAR)
    if encoding == "t5":
        return training.trained("t5")["bias"][positions.t5_bucket(distance, training.BUCKETS)].T
    return -positions.alibi_slopes(HEADS)[:, None] * distance


def frequencies(d: int, base: float = training.BASE) -> Float[Tensor, " i"]:
    """ω of each pair, in radians per token."""
    return base ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)


def turns(d: int, length: int, base: float = training.BASE, divide: float = 1.0) -> Float[Tensor, " i"]:
    """How often each pair turns within so many tokens."""
    return length * frequencies(d, base) / (divide * 2 * math.pi)


def incomplete(d: int, length: int, base: float = training.BASE) -> int:
    """How many pairs never complete a turn within so many tokens."""
    return int((turns(d, length, base) < 1).sum())


def unseen_share(n: int, window: int | None = None, length: int = LENGTH) -> float:
    """The share of all pairs (token, token seen) whose distance no text of `length` tokens has."""
    distance = torch.arange(n)[:, None] - torch.arange(n)
    seen = training.visible(n, window)
    return float(((distance >= length) & seen).sum() / seen.sum())


@dataclass(frozen=True, eq=False)
class Precision:
    """The RoPE score of one query and one key at a fixed distance, wherever they stand."""

    at: Int[Tensor, " p"]  # position of the query
    exact: Float[Tensor, " p"]  # in float64
    rough: Float[Tensor, " p"]  # turned in bfloat16, positions and all


@remember
def precision(offset: int = 3, d: int = 128, seed: int = 0, last: int = 8192, single: bool = False) -> Precision:
    """One random query and key, the key `offset` tokens before; with `single` turned in float32 instead of bfloat16."""
    g = torch.Generator().manual_seed(seed)
    query, key = (torch.randn(d, generator=g, dtype=torch.float64) for _ in range(2))
    at = torch.unique(torch.cat([torch.arange(offset, 512, 7), torch.arange(512, last, 61)]))

    def score(dtype: torch.dtype) -> Float[Tensor, " p"]:
        turned = (
            positions.rotate(x.to(dtype).expand(len(at), -1), place.to(torch.float64)).double()
            for x, place in ((query, at), (key, at - offset))
        )
        one, other = turned
        return (one * other).sum(-1) / math.sqrt(d)

    return Precision(at, score(torch.float64), score(torch.float32 if single else torch.bfloat16))


# ------------------------------------------------------------------------------------------------ RoPE, turned


@dataclass(frozen=True)
class Rotary:
    """A published head, or ours: its width, its base, and the longest text that it was trained on."""

    name: str
    d: int
    base: float
    length: int


ROTARIES = (
    Rotary("ours", WIDTH // HEADS, training.BASE, LENGTH),
    Rotary("Llama 2 7B", 128, 10_000.0, 4096),
    Rotary("Llama 3 8B", 128, 500_000.0, 8192),
)


def read_as(rotary: Rotary, remedy: Remedy, stretch: float) -> tuple[float, float]:
    """Base and divisor of positions with which a head reads texts `stretch` times as long as trained."""
    if remedy == "interpolation":
        return rotary.base, stretch
    if remedy == "NTK-aware":
        return positions.ntk_base(stretch, rotary.d, rotary.base), 1.0
    return (500_000.0 if remedy == "base 500,000" else rotary.base), 1.0


@remember
def rope_scores(key_at: tuple[int, ...], distance: int, d: int = 16, seed: int = 0) -> Float[Tensor, " p"]:
    """The score of one random query and key, for each place of the key, the query `distance` after it."""
    g = torch.Generator().manual_seed(seed)
    query, key = (torch.randn(d, generator=g, dtype=torch.float64) for _ in range(2))
    place = torch.tensor(key_at, dtype=torch.float64)
    one = positions.rotate(query.expand(len(place), -1), place + distance)
    other = positions.rotate(key.expand(len(place), -1), place)
    return (one * other).sum(-1) / math.sqrt(d)


@remember
def by_distance(equal: bool, d: int = 128, seed: int = 0, last: int = 4096) -> Float[Tensor, " p"]:
    r"""RoPE's score at each distance: of a vector of ones with itself, $\sum_i \cos(\delta\omega_i)$, or of a random query and key.

    Divided by what it is at distance 0 for equal vectors, and by $\lVert q \rVert \lVert k \rVert$ for others.
    """
    if equal:
        query = key = torch.ones(d, dtype=torch.float64)
    else:
        g = torch.Generator().manual_seed(seed)
        query, key = (torch.randn(d, generator=g, dtype=torch.float64) for _ in range(2))
    turned = positions.rotate(query.expand(last, -1))
    return turned @ key / (query.norm() * key.norm())


def peak(equal: bool, seed: int = 0) -> int:
    """The distance at which the score is largest."""
    return int(by_distance(equal, seed=seed).argmax())


def remedy_lost(remedy: Remedy, stretch: int, tuned: bool = False) -> Float[Tensor, " r"]:
    """What RoPE loses on texts `stretch` times as long as trained, read with a remedy; `tuned` for it on eight times."""
    if tuned:
        return training.outcome("rope", "next", f"{remedy}, tuned").mean(-1)
    if remedy == "nothing":
        return lost("rope", stretch * LENGTH)
    return training.outcome("rope", "next", f"{remedy}, {stretch}").mean(-1)


# ------------------------------------------------------------------------------------------------ ALiBi's slopes


def bloom_bias(n: int, slope: float) -> Float[Tensor, "n n"]:
    """What BLOOM's code adds: the slope times the key's position, the same in every row."""
    return (slope * torch.arange(n, dtype=torch.float64)).expand(n, n)


def weights_with(bias: Float[Tensor, "n n"], visible: Tensor, seed: int = 0) -> Float[Tensor, "n n"]:
    """Attention weights of random queries and keys, with something added to their logits."""
    g = torch.Generator().manual_seed(seed)
    query, key = (torch.randn(len(bias), 16, generator=g, dtype=torch.float64) for _ in range(2))
    return (logits(query, key) + bias).masked_fill(~visible, -math.inf).softmax(-1)


__all__ = ["ENCODINGS", "Encoding"]
