"""Whose numbers share a mean, and what follows: who moves whom, how noisy the mean is, what pads do, what is left to evaluate with."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.memory import remember
from core.ops.norms import layer_norm, moments, padded, rms_norm, running, scale, spread_of_mean

# ------------------------------------------------------------------------------------------------ who shares, who moves

Kind = Literal["layer", "rms", "batch", "place", "group", "instance", "kept"]
KINDS: tuple[Kind, ...] = ("layer", "rms", "batch", "place", "group", "instance", "kept")
TEXTS, WORDS, FEATURES, GROUPS = 3, 4, 6, 2
AXES: dict[Kind, tuple[int, ...]] = {"batch": (0, 1), "place": (0,), "instance": (1,)}  # over which the mean runs

Block = Float[Tensor, "b n d"]


def normalise(kind: Kind, x: Block) -> Block:
    """The block, normalised; without gain and shift. `kept` is BatchNorm in evaluation, with fresh running statistics."""
    if kind == "layer":
        return layer_norm(x)
    if kind == "rms":
        return rms_norm(x)
    if kind == "kept":
        return scale(x, torch.zeros(()), torch.ones(()))
    if kind == "group":
        groups = x.unflatten(-1, (GROUPS, -1))
        return scale(groups, *moments(groups, (1, 3))).flatten(-2)
    return scale(x, *moments(x, AXES[kind]))


def block(seed: int, salt: int = 0) -> Block:
    """Three texts of four words, six numbers each, drawn from N(0, 1)."""
    g = torch.Generator().manual_seed(10 * seed + salt)
    return torch.randn(TEXTS, WORDS, FEATURES, generator=g).double()


@remember
def shares(kind: Kind, seed: int) -> Float[Tensor, "i b n d"]:
    r"""For each number i of the block, 1 where a number of the block enters its normalised value: $\partial \hat x_i / \partial x_j \ne 0$

    By autograd, so that nobody says who shares a mean: it is what the derivative finds.
    """
    x = block(seed).requires_grad_()
    out = normalise(kind, x).flatten()
    rows = [torch.autograd.grad(number, x, retain_graph=True)[0] != 0 for number in out]
    return torch.stack(rows).float()


@dataclass(frozen=True, eq=False)
class Moves:
    """By how much of its length each word's output moves when other words get other numbers."""

    text: Float[Tensor, "b n"]  # another text of the batch
    after: Float[Tensor, "b n"]  # the next word of its own text; not a number for a last word


def moved(kind: Kind, x: Block, y: Block) -> Float[Tensor, "b n"]:
    r"""$\lVert \hat y - \hat x \rVert / \lVert \hat x \rVert$ of each word."""
    before, after = normalise(kind, x), normalise(kind, y)
    return (after - before).norm(dim=-1) / before.norm(dim=-1)


@remember
def moves(kind: Kind, seed: int) -> Moves:
    """The text after a word's own is drawn again (after the last, the first); then the next word is."""
    x, other = block(seed), block(seed, salt=1)
    text, after = (torch.full((TEXTS, WORDS), math.nan).double() for _ in range(2))
    for b, t in product(range(TEXTS), range(WORDS)):
        changed = (b + 1) % TEXTS
        y = x.clone()
        y[changed] = other[changed]
        text[b, t] = moved(kind, x, y)[b, t]
        if t + 1 < WORDS:
            y = x.clone()
            y[b, t + 1] = other[b, t + 1]
            after[b, t] = moved(kind, x, y)[b, t]
    return Moves(text, after)


def others_move(norm: Callable[[Block], Block], seed: int = 0) -> float:
    """The most that a number of a word moves through a norm when every other word of the block is drawn again."""
    x, other = block(seed), block(seed, salt=1)
    before, worst = norm(x), 0.0
    for b, t in product(range(TEXTS), range(WORDS)):
        y = other.clone()
        y[b, t] = x[b, t]
        worst = max(worst, float((norm(y) - before)[b, t].abs().max()))
    return worst


# ------------------------------------------------------------------------------------------------ how noisy a mean is

Lengths = Literal["equal", "mixed"]
POOL = 3200  # texts; they make 3,200 / B batches
LONGEST = 512
LENGTHS = tuple(2**i for i in range(10))  # T = 1 … 512


@dataclass(frozen=True, eq=False)
class Pool:
    """Texts of words whose numbers are partly the text's own: what is needed for any ρ."""

    own: Float[Tensor, " r"]  # the part that all words of a text share
    equal: Float[Tensor, "s r"]  # the sum of its words' other parts, for each T of LENGTHS
    mixed: Float[Tensor, "s r"]
    drawn: Int[Tensor, "s r"]  # its length where lengths are mixed: 1 … 2T − 1, all equally likely


@remember
def pool(seed: int) -> Pool:
    """3,200 texts of N(0, 1) numbers, summed up to each length."""
    g = torch.Generator().manual_seed(seed)
    own, chance = torch.randn(POOL, generator=g).double(), torch.rand(POOL, generator=g).double()
    upto = torch.randn(POOL, 2 * LONGEST, generator=g).cumsum(1)
    at = torch.tensor(LENGTHS)
    drawn = 1 + (chance * (2 * at - 1)[:, None]).long()
    return Pool(own, upto[:, at - 1].T.double(), upto.gather(1, drawn.T - 1).T.double(), drawn)


@dataclass(frozen=True, eq=False)
class Noise:
    """How far the mean of one feature over a batch strays from its true value 0, for each T of LENGTHS."""

    measured: Float[Tensor, " s"]
    law: Float[Tensor, " s"]
    independent: Float[Tensor, " s"]  # the law where words of a text do not correlate and lengths are equal
    batches: int


@remember
def noise(texts: int, rho: float, lengths: Lengths, seed: int) -> Noise:
    r"""The root mean square of $\bar x$ over batches of B texts, with $x_{bt} = \sqrt\rho\, z_b + \sqrt{1 - \rho}\, e_{bt}$; and its law."""
    p = pool(seed)
    sums = p.equal if lengths == "equal" else p.mixed
    many = torch.tensor(LENGTHS)[:, None].expand_as(p.drawn) if lengths == "equal" else p.drawn
    whole = math.sqrt(rho) * p.own * many + math.sqrt(1 - rho) * sums
    means = whole.unflatten(1, (-1, texts)).sum(-1) / many.unflatten(1, (-1, texts)).sum(-1)
    law = spread_of_mean(many.unflatten(1, (-1, texts)), rho).square().mean(-1).sqrt()
    even = torch.tensor(LENGTHS)[:, None].expand(-1, texts)
    return Noise(means.square().mean(-1).sqrt(), law, spread_of_mean(even, 0.0), POOL // texts)


# ------------------------------------------------------------------------------------------------ what pads do

SHARES = tuple(round(0.05 * i, 2) for i in range(19))  # of the places that hold a pad
PLACES = 20_000  # in the batch, of one feature
LIMIT, BINS = 6.0, 48  # of the normalised numbers that are counted


@dataclass(frozen=True, eq=False)
class Pads:
    """One feature of a batch of which a share is pads, for each share of SHARES."""

    mean: Float[Tensor, " f"]
    variance: Float[Tensor, " f"]
    own: Float[Tensor, "f 2"]  # mean and variance of the real words alone
    law: Float[Tensor, "f 2"]  # mean and variance with the pads counted
    output: Float[Tensor, "f 2"]  # mean and standard deviation of the real words, normalised with the pads counted
    counted: Float[Tensor, "f bins"]  # shares of the real words, by their normalised number
    masked: Float[Tensor, "f bins"]  # the same with the pads left out


@remember
def pads(mean: float, std: float, seed: int) -> Pads:
    """Words drawn from N(μ, σ²), then a share of the places set to 0."""
    words = mean + std * torch.randn(PLACES, generator=torch.Generator().manual_seed(seed)).double()
    found = []
    for share in SHARES:
        x = words.clone()
        real = PLACES - round(share * PLACES)
        x[real:] = 0
        every, own = moments(x, (0,)), moments(x[:real], (0,))
        law = torch.tensor(padded(mean, std**2, share), dtype=torch.float64)
        with_pads = scale(x[:real], *every)
        output = torch.stack([with_pads.mean(), with_pads.std(correction=0)])
        shares_ = (
            torch.histogram(each, BINS, range=(-LIMIT, LIMIT)).hist / real
            for each in (with_pads, scale(x[:real], *own))
        )
        found.append((torch.cat(every), torch.cat(own), law, output, *shares_))
    both, *rest = (torch.stack(each) for each in zip(*found, strict=True))
    return Pads(both[:, 0], both[:, 1], *rest)


# ------------------------------------------------------------------------------------------------ what evaluation goes by

SEEN = 100  # batches
NUMBERS = 64  # in a batch, of one feature


@dataclass(frozen=True, eq=False)
class Running:
    """One feature over the batches of a training: what each batch has, what is kept, what is true. Row 0 is before the first."""

    batch: Float[Tensor, "k 2"]  # mean and biased variance; row 0 is not a number
    kept: Float[Tensor, "k 2"]
    true: Float[Tensor, " k"]  # mean
    law: Float[Tensor, " k"]  # of the kept mean
    output: Float[Tensor, "k 2"]  # mean and standard deviation of the batch as evaluation would normalise it


@remember
def follow(momentum: float, drift: float, seed: int, mean: float = 5.0, std: float = 1.5) -> Running:
    r"""Batches from $N(\mu + k v, \sigma^2)$, and the running mean and variance as PyTorch keeps them, from 0 and 1.

    The law: $\mathbb{E}\hat\mu_k = \mu\,(1 - q^k) + v \sum_{i=1}^{k} m\,q^{k-i}\, i$ with $q = 1 - m$; so it ends $v\,q/m$ behind.
    """
    g = torch.Generator().manual_seed(seed)
    steps = torch.arange(SEEN + 1).double()
    true = mean + drift * steps
    kept = torch.tensor([0.0, 1.0]).double()
    rows = [(torch.full((2,), math.nan).double(), kept, torch.full((2,), math.nan).double())]
    for k in range(1, SEEN + 1):
        x = true[k] + std * torch.randn(NUMBERS, generator=g).double()
        found = torch.cat(moments(x, (0,)))
        kept = running(kept, found * torch.tensor([1, NUMBERS / (NUMBERS - 1)]).double(), momentum)
        evaluated = scale(x, *kept)
        rows.append((found, kept, torch.stack([evaluated.mean(), evaluated.std(correction=0)])))
    expected = [torch.zeros(()).double()]
    for k in range(1, SEEN + 1):
        expected.append(running(expected[-1], true[k], momentum))
    batch, keeps, output = (torch.stack(each) for each in zip(*rows, strict=True))
    return Running(batch, keeps, true, torch.stack(expected), output)


# ------------------------------------------------------------------------------------------------ what a count would tell


def count_leak(n: int) -> float:
    r"""$\ln 2 - H(\mathrm{Bin}(n - 1, \tfrac12)) / n$: the loss a bit if only the number of ones among n fair bits leaked

    n bits are read, each one's successor is predicted, the last of them is never read. Knowing how many of the others are 1
    is worth the entropy of that number, once a text.
    """
    chances = [math.comb(n - 1, k) / 2 ** (n - 1) for k in range(n)]
    return math.log(2) + sum(p * math.log(p) for p in chances) / n
