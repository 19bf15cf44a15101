"""Small decoders, one for each way to encode positions, trained on 32 tokens and asked about more: up to 256 and 2,048.

Two tasks whose best loss is known exactly. *Next token*: a text in which the two tokens before decide the probabilities of
the next one, so that nothing farther back helps. *Recall*: random tokens, and at each of them the first one is to be said, so
that only what is farthest back helps. Everything but the encoding is the same: data, first weights, optimiser, steps.

In float64: rounding begins nine decades lower than in float32. Training amplifies it all the same, so that on another
processor only the first steps of a curve and the outcome of a run are compared.
"""

import math
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.memory import remember
from core.ops import masks, positions
from core.ops.markov import draw_text, stationary
from core.training.shipped import shipped
from core.training.tensors import load, save

Encoding = Literal["learned", "sinusoidal", "rope", "t5", "alibi", "none"]
Task = Literal["next", "recall"]
ENCODINGS: tuple[Encoding, ...] = ("learned", "sinusoidal", "rope", "t5", "alibi", "none")
TASKS: tuple[Task, ...] = ("next", "recall")
VOCABULARY, LENGTH, WIDTH, HEADS, LAYERS, D_FF = 8, 32, 64, 4, 2, 128
BATCH, RATE, WARMUP, FADE, BETAS, SEEDS = 32, 0.003, 20, 0.4, (0.9, 0.98), (0, 1, 2)
STEPS: dict[Task, int] = {"next": 800, "recall": 150}
LONGEST: dict[Task, int] = {"next": 8 * LENGTH, "recall": 64 * LENGTH}
BIN = 8  # tokens: outcomes are averaged over so many positions
EVERY, ASKED_EVERY = 5, 50  # steps: a training yields so often, and is asked about longer texts so often
TABLE_NOISE = 0.02  # with which BERT and GPT-2 draw a learned table; rows beyond LENGTH stay as drawn
BASE, BUCKETS = 10_000.0, 32

Weights = dict[str, Tensor]


class Reading(NamedTuple):
    """How a trained model is made to read: all of the past or a window of it, RoPE's positions divided, its base changed."""

    window: int | None = None
    divide: float = 1.0
    base: float = BASE


PLAIN = Reading()


@remember
def chain() -> Float[Tensor, "a b c"]:
    """P(c | a, b) of the text: softmax of random logits of standard deviation 2."""
    g = torch.Generator().manual_seed(1)
    return (2 * torch.randn(VOCABULARY, VOCABULARY, VOCABULARY, generator=g, dtype=torch.float64)).softmax(-1)


@remember
def pairs() -> Float[Tensor, "a b"]:
    """How often each pair of neighbours occurs."""
    return stationary(chain())


# ------------------------------------------------------------------------------------------------ the data


def texts(task: Task, generator: torch.Generator, n_texts: int = BATCH, n: int = LENGTH) -> Int[Tensor, "b m"]:
    """So many texts of n tokens, and one token more: what follows the last one."""
    if task == "next":
        return draw_text(chain(), pairs(), n_texts, n + 1, generator)
    return torch.randint(0, VOCABULARY, (n_texts, n + 1), generator=generator)


def answers(task: Task, tokens: Int[Tensor, "b m"]) -> Int[Tensor, "b m-1"]:
    """What is to be said at each token but the last: the next one, or the first one."""
    return tokens[:, 1:] if task == "next" else tokens[:, :1].expand(-1, tokens.shape[-1] - 1)


def best(task: Task, tokens: Int[Tensor, "b m"]) -> Float[Tensor, "b m-1 v"]:
    """The true probabilities of the answer at each token, of somebody who knows the task."""
    if task == "recall":
        return F.one_hot(answers(task, tokens), VOCABULARY).double()
    after_one = pairs() / pairs().sum(-1, keepdim=True)
    return torch.cat([after_one[tokens[:, :1]], chain()[tokens[:, :-2], tokens[:, 1:-1]]], dim=1)


# ------------------------------------------------------------------------------------------------ the model


def first_weights(encoding: Encoding, task: Task, seed: int) -> Weights:
    """As torch starts its encoder layers: W_Q, W_K, W_V Xavier as one matrix, the others U(±1/√d_in). No gains; biases, all
    0 at first, only in the feed-forward layers. Encodings are drawn last, so that all six models start with the same rest.
    """
    g = torch.Generator().manual_seed(seed)
    d, f = WIDTH, D_FF

    def uniform(bound: float, *shape: int) -> Tensor:
        return (torch.rand(*shape, generator=g) * 2 - 1) * bound

    weights = {
        "embed": torch.randn(VOCABULARY, d, generator=g),
        "qkv": uniform(math.sqrt(6 / (d + 3 * d)), LAYERS, d, 3 * d),
        "out": uniform(1 / math.sqrt(d), LAYERS, d, d),
        "up": uniform(1 / math.sqrt(d), LAYERS, d, f),
        "up_bias": torch.zeros(LAYERS, f),
        "down": uniform(1 / math.sqrt(f), LAYERS, f, d),
        "down_bias": torch.zeros(LAYERS, d),
        "head": uniform(1 / math.sqrt(d), d, VOCABULARY),
    }
    if encoding == "learned":
        weights["table"] = TABLE_NOISE * torch.randn(LONGEST[task], d, generator=g)
    if encoding == "t5":  # as Hugging Face's T5 draws it
        weights["bias"] = torch.randn(BUCKETS, HEADS, generator=g) / math.sqrt(d)
    return {name: weight.double().requires_grad_() for name, weight in weights.items()}


PER_LAYER = ("qkv", "out", "up", "up_bias", "down", "down_bias")


def visible(n: int, window: int | None) -> Bool[Tensor, "n n"]:
    """Who may be seen: all of the past, or a window of it."""
    return masks.causal(n) if window is None else masks.sliding_window(n, window)


def added_to_logits(
    weights: Weights, encoding: Encoding, n: int, window: int | None, dtype: torch.dtype
) -> Float[Tensor, "*h n n"]:
    """−∞ for what is hidden, and the bias of ALiBi or of T5 for what is seen."""
    bias = torch.zeros(n, n, dtype=dtype)
    if encoding == "alibi":
        bias = torch.stack([positions.alibi(n, float(m), dtype) for m in positions.alibi_slopes(HEADS)])
    elif encoding == "t5":
        place = torch.arange(n)
        back = positions.t5_bucket((place[:, None] - place).clamp_min(0), BUCKETS)
        bias = F.embedding(back, weights["bias"]).permute(2, 0, 1)
    return bias.masked_fill(~visible(n, window), -math.inf)


def answer(
    weights: Weights, tokens: Int[Tensor, "b n"], encoding: Encoding, how: Reading = PLAIN
) -> Float[Tensor, "b n v"]:
    """The logits of a decoder of two Pre-Norm layers. Raises IndexError where a learned table has no row any more."""
    n = tokens.shape[-1]
    x = F.embedding(tokens, weights["embed"])
    if encoding == "learned":
        x = x + F.embedding(torch.arange(n), weights["table"])
    elif encoding == "sinusoidal":
        x = x + positions.sinusoidal(n, WIDTH, dtype=x.dtype)
    bias = added_to_logits(weights, encoding, n, how.window, x.dtype)
    place = torch.arange(n, dtype=x.dtype) / how.divide
    # Taken apart once: an index into a stack would cost a whole stack of zeros in the backward pass.
    for qkv, out, up, up_bias, down, down_bias in zip(*(weights[name].unbind() for name in PER_LAYER), strict=True):
        heads = (F.layer_norm(x, (WIDTH,)) @ qkv).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = heads.unbind()
        if encoding == "rope":
            query, key = (positions.rotate(h, place, how.base) for h in (query, key))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        x = x + mixed.transpose(1, 2).flatten(2) @ out
        x = x + (F.layer_norm(x, (WIDTH,)) @ up + up_bias).relu() @ down + down_bias
    return F.layer_norm(x, (WIDTH,)) @ weights["head"]


# ------------------------------------------------------------------------------------------------ training


@dataclass(frozen=True, eq=False)
class Progress:
    """One run so far: the training loss of each step, and at some steps the excess loss on longer texts."""

    steps: int
    losses: Float[Tensor, " t"]  # nats
    asked_at: Int[Tensor, " a"]  # the steps after which the model was asked about longer texts
    excess: Float[Tensor, "a p"]  # nats over the best possible loss, by position: the mean over each BIN tokens

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return len(self.losses) / self.steps


def learning_rate(step: int, steps: int, rate: float = RATE) -> float:
    """Up to `rate` in WARMUP equal steps, and down to 0 over the last FADE of all steps; step = 1, 2, …"""
    return rate * min(step / WARMUP, 1.0, (steps - step) / (FADE * steps))


def binned(by_position: Float[Tensor, "*b n"]) -> Float[Tensor, "*b p"]:
    """Means over BIN neighbouring positions."""
    return by_position.unflatten(-1, (-1, BIN)).mean(-1)


def excess_of(logits: Float[Tensor, "b n v"], task: Task, tokens: Int[Tensor, "b m"]) -> Float[Tensor, " n"]:
    r"""$\mathrm{KL}(p \Vert q)$ at each position, the mean over the texts: how much the model q loses to the best guess p.

    In nats. It is what its loss has above the least possible one, without the noise of the token that was drawn.
    """
    p = best(task, tokens)
    return (torch.special.xlogy(p, p) - p * logits.log_softmax(-1)).sum(-1).mean(0)


@torch.no_grad()
def excess_at(
    weights: Weights, task: Task, encoding: Encoding, tokens: Int[Tensor, "b m"], how: Reading = PLAIN
) -> Float[Tensor, " m-1"]:
    """What a model has lost at each position of these texts."""
    return excess_of(answer(weights, tokens[:, :-1], encoding, how), task, tokens)


@remember
def unseen(task: Task, n_texts: int, n: int) -> Int[Tensor, "b m"]:
    """Texts that no run has been trained on."""
    return texts(task, torch.Generator().manual_seed(99), n_texts, n)


def train(encoding: Encoding, task: Task, seed: int) -> Iterator[Progress]:
    """Adam (β = 0.9, 0.98) on fresh batches of 32 texts of 32 tokens; yields every few steps."""
    for progress, _ in _train(encoding, task, seed):
        yield progress


def _train(encoding: Encoding, task: Task, seed: int) -> Iterator[tuple[Progress, Weights]]:
    weights = first_weights(encoding, task, seed)
    optimiser = torch.optim.Adam(list(weights.values()), lr=RATE, betas=BETAS, fused=True)
    data, steps = torch.Generator().manual_seed(10_000 + seed), STEPS[task]
    longer = unseen(task, 8, 8 * LENGTH)
    losses: list[float] = []
    asked: list[tuple[int, Tensor]] = []
    for step in range(1, steps + 1):
        tokens = texts(task, data)
        logits = answer(weights, tokens[:, :-1], encoding)
        loss = F.cross_entropy(logits.flatten(0, 1), answers(task, tokens).flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.param_groups[0]["lr"] = learning_rate(step, steps)
        optimiser.step()
        losses.append(loss.item())
        if step % ASKED_EVERY == 0 or step == EVERY:
            asked.append((step, binned(excess_at(weights, task, encoding, longer))))
        if step % EVERY == 0:
            at, excess = zip(*asked, strict=True)
            so_far = torch.tensor(losses, dtype=torch.float64)
            yield Progress(steps, so_far, torch.tensor(at), torch.stack(excess)), weights


# ------------------------------------------------------------------------------------------------ what is asked of a trained model

SHOWN, RECALLED = 64, 32  # texts on which a trained model is asked for the next token, and to recall the first
STRETCHES = (2, 4, 8)
Remedy = Literal["nothing", "interpolation", "NTK-aware", "base 500,000"]
REMEDIES: tuple[Remedy, ...] = ("nothing", "interpolation", "NTK-aware", "base 500,000")
TUNED, TUNE_RATE, TUNE_BATCH = 100, 0.001, 4  # steps, rate and texts of the fine-tuning on 8 L
NARROW = (2, 4, 8, 16)  # windows smaller than the training length
NOISES = (0.0, 0.02, 0.1, 0.3, 1.0, 3.0)  # of the rows that were never trained


def remedied(remedy: Remedy, stretch: float) -> Reading:
    """How RoPE is made to read texts `stretch` times as long as trained."""
    if remedy == "interpolation":
        return Reading(divide=stretch)
    if remedy == "NTK-aware":
        return Reading(base=positions.ntk_base(stretch, WIDTH // HEADS, BASE))
    return Reading(base=500_000.0) if remedy == "base 500,000" else PLAIN


@torch.no_grad()
def afresh(weights: Weights, encoding: Encoding, tokens: Int[Tensor, "b m"]) -> Float[Tensor, " p"]:
    """The excess loss of a model that reads, for each answer, only the LENGTH tokens before it, as a text of its own.

    At one position of each bin; before LENGTH as usual.
    """
    ends = range(BIN // 2, tokens.shape[-1] - 1, BIN)
    found = []
    for end in ends:
        read = tokens[:, max(0, end + 1 - LENGTH) : end + 2]
        found.append(excess_at(weights, "next", encoding, read)[-1])
    return torch.stack(found)


@torch.no_grad()
def recalled(weights: Weights, encoding: Encoding, how: Reading = PLAIN, n: int | None = None) -> tuple[Tensor, Tensor]:
    """Excess loss and share of right answers by position: [p] each."""
    excess, right = [], []
    asked, at_once = unseen("recall", RECALLED, n or LONGEST["recall"]), 2  # the scores of long texts are large
    for tokens in asked.split(at_once):
        logits = answer(weights, tokens[:, :-1], encoding, how)
        excess.append(excess_of(logits, "recall", tokens))
        right.append((logits.argmax(-1) == answers("recall", tokens)).double().mean(0))
    return binned(torch.stack(excess).mean(0)), binned(torch.stack(right).mean(0))


def tuned(weights: Weights, remedy: Remedy, seed: int) -> Weights:
    """A trained RoPE model after TUNED more steps on texts of 8 L tokens, read with the remedy."""
    how = remedied(remedy, STRETCHES[-1])
    weights = {name: w.detach().clone().requires_grad_() for name, w in weights.items()}
    optimiser = torch.optim.Adam(list(weights.values()), lr=TUNE_RATE, betas=BETAS, fused=True)
    data = torch.Generator().manual_seed(20_000 + seed)
    for step in range(1, TUNED + 1):
        tokens = texts("next", data, TUNE_BATCH, LONGEST["next"])
        loss = F.cross_entropy(answer(weights, tokens[:, :-1], "rope", how).flatten(0, 1), tokens[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.param_groups[0]["lr"] = learning_rate(step, TUNED, TUNE_RATE)
        optimiser.step()
    return weights


def outcomes(weights: Weights, encoding: Encoding, task: Task, seed: int) -> dict[str, Any]:
    """What a trained model does on longer texts: excess loss by position under each way to read."""
    if task == "recall":
        excess, right = recalled(weights, encoding)
        found: dict[str, Any] = {"whole": excess, "right": right}
        windowed, right = recalled(weights, encoding, Reading(window=LENGTH), LONGEST["next"])
        found |= {"window": windowed, "right in window": right}
        if encoding == "learned":
            g = torch.Generator().manual_seed(30_000 + seed)
            drawn = torch.randn(LONGEST["recall"], WIDTH, generator=g).double()
            for noise in NOISES:
                other = {**weights, "table": torch.cat([weights["table"][:LENGTH].detach(), noise * drawn[LENGTH:]])}
                found[f"right, rows {noise}"] = recalled(other, encoding, n=LONGEST["next"])[1]
        return found
    tokens = unseen("next", SHOWN, LONGEST["next"])

    def read(how: Reading, weights: Weights = weights, n: int = LONGEST["next"]) -> Tensor:
        return binned(excess_at(weights, task, encoding, tokens[:, : n + 1], how))

    found = {"whole": read(PLAIN), "window": read(Reading(window=LENGTH)), "afresh": afresh(weights, encoding, tokens)}
    for narrow in NARROW:
        found[f"window {narrow}"] = read(Reading(window=narrow))
    if encoding == "rope":
        for remedy, stretch in product(REMEDIES[1:], STRETCHES):
            found[f"{remedy}, {stretch}"] = read(remedied(remedy, stretch), n=stretch * LENGTH)
        for remedy in REMEDIES:
            found[f"{remedy}, tuned"] = read(remedied(remedy, STRETCHES[-1]), tuned(weights, remedy, seed))
    return found


# ------------------------------------------------------------------------------------------------ what is shipped


def rounded(weights: Weights) -> Weights:
    """As they are shipped: in float32, of a table for the next token all rows."""
    return {name: weight.detach().float().double() for name, weight in weights.items()}


def file_of(encoding: Encoding) -> str:
    """The weights of the first seed's model of the next token."""
    return f"extrapolation_{encoding}.safetensors"


def _run(cell: tuple[Encoding, Task, int]) -> dict[str, Any]:
    torch.set_num_threads(1)
    encoding, task, seed = cell
    *_, (last, weights) = _train(*cell)
    kept = rounded(weights)
    if task == "next" and seed == SEEDS[0]:
        save(file_of(encoding), kept)

    def short(values: Any) -> Any:
        return [short(v) for v in values] if isinstance(values, list) else float(f"{values:.3g}")

    curves = {"losses": last.losses, "asked_at": last.asked_at, "excess": last.excess}
    return {name: short(t.tolist()) for name, t in (curves | outcomes(kept, encoding, task, seed)).items()}


CELLS = tuple(product(ENCODINGS, TASKS, SEEDS))


def _name(encoding: Encoding, task: Task, seed: int) -> str:
    return f"{encoding}/{task}/{seed}"


def result() -> dict[str, Any]:
    """What `python -m core.training extrapolation` ships: every seed's curve and what each trained model does on longer texts.
    The weights of the first seed's models of the next token lie beside it, a file for each encoding.

    Runs are computed side by side, each for itself, so that a run made again alone gives the same curve.
    """
    found = {}
    with ProcessPoolExecutor() as pool:
        for i, (cell, run) in enumerate(zip(CELLS, pool.map(_run, CELLS), strict=True)):
            found[_name(*cell)] = run
            print(f"\r{i + 1} of {len(CELLS)} runs", end="", file=sys.stderr)
    print(file=sys.stderr)
    return found


@remember
def trained(encoding: Encoding) -> Weights:
    """The shipped weights of the first seed's model of the next token. Do not change them."""
    return {name: weight.double() for name, weight in load(file_of(encoding)).items()}


@remember
def trained_run(encoding: Encoding, task: Task, seed: int) -> Progress:
    """The shipped run of one seed, as `train` would end with it."""
    run = shipped("extrapolation")["result"][_name(encoding, task, seed)]
    losses, excess = (torch.tensor(run[k], dtype=torch.float64) for k in ("losses", "excess"))
    return Progress(STEPS[task], losses, torch.tensor(run["asked_at"]).long(), excess)


@remember
def outcome(encoding: Encoding, task: Task, what: str) -> Float[Tensor, "r p"]:
    """One of the shipped `outcomes`, of every seed, by position: means over BIN tokens. Do not change it."""
    runs = (shipped("extrapolation")["result"][_name(encoding, task, seed)] for seed in SEEDS)
    return torch.tensor([run[what] for run in runs], dtype=torch.float64)
