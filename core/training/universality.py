"""What gradient descent finds, where there is a table to be learned whole and a rule to be learned from short cases.

A table gives each of the 256 texts of four tokens four answers, drawn at random: 1,024 answers. An encoder learns it with
and without positions, and in several widths and depths. An encoder learns the parity of up to six bits; a decoder learns
the same from the running parity, written out after each bit. All are Pre-Norm, two heads, ReLU, read out after a norm.

Runs that share a design are one tensor program: they share no weight, so the gradient of the sum is each one's own.
"""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.memory import remember
from core.ops.positions import sinusoidal
from core.training.shipped import FOLDER, shipped

SYMBOLS, LENGTH, HEADS, SEEDS = 4, 4, 2, (0, 1, 2, 3, 4)
TEXTS, ANSWERS = SYMBOLS**LENGTH, LENGTH * SYMBOLS**LENGTH
WIDTH, DEPTH, STEPS, RATE = 32, 2, 600, 0.004
EVERY, OFTEN = 10, 2  # steps between two snapshots, and between two results of the generator
PLACED = (False, True)
"""The axis of positions: without, and with."""

WIDTHS, DEPTHS, SIZE_SEEDS, SIZE_STEPS = (4, 8, 16), (1, 2, 4), (0, 1, 2), 1500

SHORT, READ_AT = 6, (*range(1, 16), 20, 30, 40)  # bits at most in training, and when read
ALL_UP_TO, MANY, FEW = 10, 1024, 128  # all texts up to so many bits; then so many, and above 15 bits so many
Scheme = Literal["one pass", "one pass, no positions", "one pass, ALiBi", "steps", "steps, sinusoids"]
SCHEMES: tuple[Scheme, ...] = ("one pass", "one pass, no positions", "one pass, ALiBi", "steps", "steps, sinusoids")
ALIBI, CAUSAL = ("one pass, ALiBi", "steps"), ("one pass, ALiBi", "steps", "steps, sinusoids")
PARITY_WIDTH, PARITY_STEPS, PARITY_RATE = 32, 1000, 0.002
START = 2  # the token in front of the bits 0 and 1

Weights = dict[str, Tensor]


# ------------------------------------------------------------------------------------------------ the design


def first_weights(width: int, depth: int, seeds: tuple[int, ...], tokens: int, answers: int, places: int) -> Weights:
    """N(0, 1/inputs), biases 0, `[runs, …]`; a run's draws depend on its seed alone. Positions, if any, are N(0, 1)."""
    d, f = width, 4 * width
    shapes = {"embed": (tokens, d), "place": (places, d)}
    for i in range(depth):
        shapes |= {f"qkv{i}": (d, 3 * d), f"out{i}": (d, d), f"up{i}": (d, f), f"down{i}": (f, d)}
    shapes["head"] = (d, answers)
    drawn: dict[str, list[Tensor]] = {name: [] for name in shapes}
    for seed in seeds:
        g = torch.Generator().manual_seed(4021 * (seed + 1))
        for name, shape in shapes.items():
            scale = 1 if name in ("embed", "place") else math.sqrt(shape[0])
            drawn[name].append(torch.randn(*shape, generator=g) / scale)
    weights = {name: torch.stack(each) for name, each in drawn.items()}
    for i in range(depth):
        weights |= {f"up_bias{i}": torch.zeros(len(seeds), 1, f), f"down_bias{i}": torch.zeros(len(seeds), 1, d)}
    weights["head_bias"] = torch.zeros(len(seeds), 1, answers)
    return {name: w.requires_grad_() for name, w in weights.items()}


def parameters(width: int, depth: int) -> int:
    """The parameters of one encoder of the table, with its positions."""
    return sum(w[0].numel() for w in first_weights(width, depth, (0,), SYMBOLS, SYMBOLS, LENGTH).values())


def normed(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:])


def run(
    weights: Weights,
    x: Float[Tensor, "r b n d"],
    bias: Float[Tensor, "h n n"] | None,
    padded: Bool[Tensor, "b n"] | None,
) -> Float[Tensor, "r b n c"]:
    """Every run's logits. `bias` is added to the scores of each head; padded keys are hidden."""
    runs, batch, n, d = x.shape
    flat = (runs, batch * n, d)
    for i in range(sum(name.startswith("qkv") for name in weights)):
        heads = torch.bmm(normed(x).reshape(flat), weights[f"qkv{i}"]).view(runs, batch, n, 3, HEADS, d // HEADS)
        query, key, value = heads.permute(3, 0, 1, 4, 2, 5)
        scores = query @ key.mT / math.sqrt(d // HEADS)
        if bias is not None:
            scores = scores + bias
        if padded is not None:
            scores = scores.masked_fill(padded[:, None, None, :], -torch.inf)
        heard = (scores.softmax(-1) @ value).transpose(2, 3).reshape(flat)
        x = x + torch.bmm(heard, weights[f"out{i}"]).view_as(x)
        inner = torch.bmm(normed(x).reshape(flat), weights[f"up{i}"]) + weights[f"up_bias{i}"]
        x = x + (torch.bmm(inner.relu(), weights[f"down{i}"]) + weights[f"down_bias{i}"]).view_as(x)
    logits = torch.bmm(normed(x).reshape(flat), weights["head"]) + weights["head_bias"]
    return logits.view(runs, batch, n, -1)


# ------------------------------------------------------------------------------------------------ a table


def table(seed: int) -> Int[Tensor, "256 4"]:
    """Four answers to each text of four tokens, every one drawn evenly from {0, 1, 2, 3}."""
    return torch.randint(0, SYMBOLS, (TEXTS, LENGTH), generator=torch.Generator().manual_seed(seed))


def texts() -> Int[Tensor, "256 4"]:
    """All texts of four tokens, in the order of the table."""
    return torch.cartesian_prod(*[torch.arange(SYMBOLS)] * LENGTH)


def answer(weights: Weights, tokens: Int[Tensor, "b n"], placed: Float[Tensor, "r 1 1 1"]) -> Float[Tensor, "r b n c"]:
    """The logits of encoders; `placed` is 1 where a run sees its positions and 0 where it does not."""
    return run(weights, weights["embed"][:, tokens] + placed * weights["place"][:, None], None, None)


@dataclass(frozen=True, eq=False)
class Progress:
    """Encoders that learn one table, so far. The axes: positions (as in PLACED), run, time."""

    at: Int[Tensor, " t"]
    loss: Float[Tensor, "p r t"]  # nats, the mean of the 1,024 answers
    right: Int[Tensor, "p r t"]  # of the 1,024

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return int(self.at[-1]) / STEPS


def _rate(step: int, steps: int, peak: float) -> float:
    """Up in 50 steps, then down to 0 on half a cosine."""
    return peak * min(1, step / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))


def fit(
    weights: Weights, logits_of: Any, target: Tensor, steps: int, peak: float
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Adam on all cases in each step; step, logits and the loss of each run."""
    optimiser = torch.optim.Adam(weights.values(), lr=peak, betas=(0.9, 0.98), fused=True)
    for step in range(1, steps + 1):
        logits = logits_of()
        each = F.cross_entropy(logits.flatten(1, -2).transpose(1, 2), target, ignore_index=-1, reduction="none")
        loss = each.sum(-1) / (target >= 0).sum(-1)
        yield step, logits.detach(), loss.detach()
        optimiser.param_groups[0]["lr"] = _rate(step, steps, peak)
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()


def train(table_seed: int = 0, seeds: tuple[int, ...] = (0,)) -> Iterator[Progress]:
    """One table, without and with positions from the same first weights; yields every 2 steps, with a new snapshot every 10."""
    pair = seeds * 2
    weights = first_weights(WIDTH, DEPTH, pair, SYMBOLS, SYMBOLS, LENGTH)
    placed = torch.tensor([float(p) for p in PLACED for _ in seeds])[:, None, None, None]
    tokens, answers = texts(), table(table_seed)
    target = answers.flatten().expand(len(pair), -1)
    at, losses, right = [], [], []
    for step, logits, loss in fit(weights, lambda: answer(weights, tokens, placed), target, STEPS, RATE):
        if step == 1 or step % EVERY == 0:
            at.append(step)
            losses.append(loss.view(2, -1).double())
            right.append((logits.argmax(-1) == answers).sum((1, 2)).view(2, -1))
        if step % OFTEN == 0 or step == 1:
            yield Progress(torch.tensor(at), torch.stack(losses, -1), torch.stack(right, -1))


def size_of(width: int, depth: int) -> list[int]:
    """How many of the 1,024 answers of table 0 encoders of one size have right in the end; one number for each seed."""
    weights = first_weights(width, depth, SIZE_SEEDS, SYMBOLS, SYMBOLS, LENGTH)
    tokens, answers, placed = texts(), table(0), torch.ones(1, 1, 1, 1)
    target = answers.flatten().expand(len(SIZE_SEEDS), -1)
    *_, (_, logits, _) = fit(weights, lambda: answer(weights, tokens, placed), target, SIZE_STEPS, RATE)
    return (logits.argmax(-1) == answers).sum((1, 2)).tolist()


# ------------------------------------------------------------------------------------------------ parity


def bits_of(n: int) -> Int[Tensor, "b n"]:
    """All texts of n bits, up to 10; else 1,024 drawn evenly, or 128 of more than 15 bits."""
    if n <= ALL_UP_TO:
        return (torch.arange(2**n)[:, None] >> torch.arange(n)) & 1
    many = MANY if n <= 15 else FEW
    return torch.randint(0, 2, (many, n), generator=torch.Generator().manual_seed(n))


def parity_logits(weights: Weights, tokens: Int[Tensor, "b n"], scheme: Scheme, padded: Tensor | None) -> Tensor:
    """What each place answers, in every run. With steps, bits and running parities take turns, and a place sees what came before it."""
    n = tokens.shape[-1]
    x = weights["embed"][:, tokens]
    if scheme in ("one pass", "steps, sinusoids"):
        x = x + sinusoidal(n, x.shape[-1]).float()
    bias = None
    if scheme in CAUSAL:
        back = torch.arange(n)[:, None] - torch.arange(n)
        slopes = torch.tensor([1.0, 0.25])[:, None, None] * (scheme in ALIBI)  # ALiBi: a multiple of the distance
        bias = (-slopes * back).masked_fill(back < 0, -torch.inf)
    return run(weights, x, bias, padded)


def spoken(bits: Int[Tensor, "b n"]) -> Int[Tensor, "b m"]:
    """A start, then each bit and behind it the parity so far; parities are tokens of their own, 3 and 4."""
    steps = torch.stack([bits, 3 + bits.cumsum(-1) % 2], -1).flatten(1)
    return F.pad(steps, (1, 0), value=START)


def place_of(scheme: Scheme) -> int:
    """Where one pass answers: at the start token, or, where a place sees only what came before it, at the last bit."""
    return -1 if scheme in CAUSAL else 0


def lessons(scheme: Scheme) -> tuple[Int[Tensor, "b n"], Bool[Tensor, "b n"], Int[Tensor, "b n"]]:
    """All texts of 1 to 6 bits, padded: tokens, what is padding, and the answer due at each place (−1 for none)."""
    rows, due = [], []
    width = 2 * SHORT + 1 if scheme.startswith("steps") else SHORT + 1
    for n in range(1, SHORT + 1):
        bits = bits_of(n)
        if scheme.startswith("steps"):
            tokens, answers = spoken(bits), torch.full((len(bits), 2 * n + 1), -1)
            answers[:, 1::2] = bits.cumsum(-1) % 2  # behind each bit
        else:
            tokens, answers = F.pad(bits, (1, 0), value=START), torch.full((len(bits), n + 1), -1)
            answers[:, place_of(scheme)] = bits.sum(-1) % 2
        rows.append(F.pad(tokens, (0, width - tokens.shape[1]), value=-1))
        due.append(F.pad(answers, (0, width - answers.shape[1]), value=-1))
    tokens = torch.cat(rows)
    return tokens.clamp(min=0), tokens < 0, torch.cat(due)


def read(weights: Weights, scheme: Scheme, bits: Int[Tensor, "b n"]) -> Float[Tensor, " r"]:
    """The share of these texts whose parity each run ends with; with steps it reads what it wrote itself."""
    n, right = bits.shape[1], bits.sum(-1) % 2
    if not scheme.startswith("steps"):
        logits = parity_logits(weights, F.pad(bits, (1, 0), value=START), scheme, None)
        return (logits[:, :, place_of(scheme)].argmax(-1) == right).double().mean(-1)
    shares = []
    for r in range(len(weights["embed"])):
        one = {name: w[r : r + 1] for name, w in weights.items()}
        tokens = spoken(bits)
        for t in range(n):
            written = parity_logits(one, tokens[:, : 2 * t + 2], scheme, None)[0, :, -1].argmax(-1)
            tokens[:, 2 * t + 2] = 3 + written
        shares.append((written == right).double().mean())
    return torch.stack(shares)


def parity(
    scheme: Scheme, seeds: tuple[int, ...] = SEEDS, steps: int = PARITY_STEPS
) -> Iterator[tuple[int, Tensor, Weights]]:
    """Training on all texts of 1 to 6 bits; step, the loss of each run, and the weights."""
    weights = first_weights(PARITY_WIDTH, DEPTH, seeds, 5, 2, 1)
    tokens, padded, due = lessons(scheme)
    target = due.flatten().expand(len(seeds), -1)
    for step, _, loss in fit(
        weights, lambda: parity_logits(weights, tokens, scheme, padded), target, steps, PARITY_RATE
    ):
        yield step, loss, weights


# ------------------------------------------------------------------------------------------------ what is shipped

PARTS = FOLDER / "universality.part.json"
"""What an interrupted training has kept; gone when all is done."""


def _kept(parts: dict[str, Any], key: str, make: Any) -> Any:
    """A part that is there already, or one that is made now and kept."""
    if key not in parts:
        parts[key] = make()
        FOLDER.mkdir(parents=True, exist_ok=True)
        PARTS.write_text(json.dumps(parts), "utf-8")
    print(f"{key}: done", file=sys.stderr)
    return parts[key]


def _table_run() -> dict[str, Any]:
    *_, last = train(0, SEEDS)
    losses = [[[float(f"{x:.5g}") for x in run] for run in runs] for runs in last.loss.tolist()]
    return {"at": last.at.tolist(), "loss": losses, "right": last.right.tolist()}


def _parity_run(scheme: Scheme) -> list[list[float]]:
    """The share right of every seed at each length, as in READ_AT."""
    *_, (_, _, weights) = parity(scheme)
    with torch.no_grad():
        return torch.stack([read(weights, scheme, bits_of(n)) for n in READ_AT], -1).tolist()


def result() -> dict[str, Any]:
    """What `python -m core.training universality` ships: the table with every seed, all sizes, and parity by length.

    Interrupted, it goes on behind the last part that was finished.
    """
    parts = json.loads(PARTS.read_text("utf-8")) if PARTS.exists() else {}
    resumed = bool(parts)  # then the seconds that are shipped are those of the last leg
    found: dict[str, Any] = {"resumed": resumed, "table": _kept(parts, "table", _table_run), "parity": {}, "sizes": {}}
    for scheme in SCHEMES:
        found["parity"][scheme] = _kept(parts, f"parity/{scheme}", lambda scheme=scheme: _parity_run(scheme))
    for width, depth in product(WIDTHS, DEPTHS):
        key = f"{width}/{depth}"
        found["sizes"][key] = _kept(parts, key, lambda width=width, depth=depth: size_of(width, depth))
    PARTS.unlink(missing_ok=True)
    return found


@remember
def trained() -> Progress:
    """The shipped training of table 0, every seed, as `train` would end with it. Do not change it."""
    kept = shipped("universality")["result"]["table"]
    return Progress(
        torch.tensor(kept["at"]), torch.tensor(kept["loss"], dtype=torch.float64), torch.tensor(kept["right"])
    )


@remember
def sizes() -> Int[Tensor, "w l s"]:
    """The shipped answers right of 1,024, by width, depth and seed. Do not change it."""
    kept = shipped("universality")["result"]["sizes"]
    return torch.tensor([[kept[f"{width}/{depth}"] for depth in DEPTHS] for width in WIDTHS])


@remember
def parities(scheme: Scheme) -> Float[Tensor, "s n"]:
    """The shipped share of texts whose parity is right, by seed and number of bits (as in READ_AT). Do not change it."""
    return torch.tensor(shipped("universality")["result"]["parity"][scheme], dtype=torch.float64)
