"""Encoders of one design learn to read eight tokens backwards, once with ReLU and once with GELU: the same first weights,
data and steps. Which units of the feed-forward layers are never above 0 any more, and do these still get a gradient?

The design and the task are those of `core/training/pre_post_norm.py`, with Pre-Norm and two blocks, in float64.
"""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.memory import remember
from core.ops.activations import gelu, gelu_sigmoid, gelu_tanh, relu_squared, silu
from core.ops.norms import pre_norm
from core.ops.positions import sinusoidal
from core.training.pre_post_norm import (
    BATCH,
    BETAS,
    D_FF,
    LENGTH,
    PER_LAYER,
    VOCABULARY,
    WIDTH,
    Weights,
    attend,
    first_weights,
    learned_norm,
)
from core.training.shipped import shipped
from core.training.tensors import load, save

Form = Literal["exact", "tanh", "sigmoid", "silu", "relu", "relu2"]
FORMS: dict[Form, Callable[[Tensor], Tensor]] = {
    "exact": gelu,
    "tanh": gelu_tanh,
    "sigmoid": gelu_sigmoid,
    "silu": silu,
    "relu": torch.relu,
    "relu2": relu_squared,
}
TRAINED: tuple[Form, ...] = ("relu", "exact")
"""The axis of activations: without, and with GELU."""

DEPTH, STEPS, RATES, SEEDS = 2, 400, (0.001, 0.003, 0.01), (0, 1, 2, 3, 4)
UNITS = DEPTH * D_FF
EVERY, OFTEN = 10, 5  # steps between two snapshots, and between two results of the generator
SNAPSHOTS = (1, *range(EVERY, STEPS + 1, EVERY))
PROBE, TEST = 128, 1024  # texts that no step trains on: watched while training, and looked at in the end
FILE = "gelu.safetensors"  # the net of one seed, trained with GELU: the checkpoint that is run with other forms
CHECKPOINT = (0.001, 0)  # its rate and seed
WOKEN_RATE, WOKEN_SEEDS, HALF = (
    RATES[-1],
    tuple(range(10)),
    STEPS // 2,
)  # where silence is common: do silent units wake?
DIP = -0.7518  # left of this GELU’s slope is negative


@dataclass(frozen=True, eq=False)
class Progress:
    """One training with both activations so far. The axes: activation (as in TRAINED), time.

    `silent` counts the units that are above 0 nowhere on the probe; `reached` those of them that get any gradient from it.
    """

    at: Int[Tensor, " t"]
    loss: Float[Tensor, "a t"]  # nats a token, the mean since the snapshot before
    silent: Int[Tensor, "a t"]
    reached: Int[Tensor, "a t"]

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return int(self.at[-1]) / STEPS


def texts(n: int, seed: int) -> Int[Tensor, "b n"]:
    return torch.randint(0, VOCABULARY, (n, LENGTH), generator=torch.Generator().manual_seed(seed))


def probe() -> Int[Tensor, "b n"]:
    """The texts on which silence is watched; the same for every seed."""
    return texts(PROBE, 99)


def test_texts() -> Int[Tensor, "b n"]:
    return texts(TEST, 98)


def encode(
    weights: Weights, tokens: Int[Tensor, "b n"], form: Form
) -> tuple[Float[Tensor, "b n c"], list[Float[Tensor, "b n f"]]]:
    """The logits, and what enters the activation in each block."""
    x, entered = weights["embed"][tokens] + sinusoidal(tokens.shape[-1], WIDTH), []
    for qkv, out, up, up_bias, down, down_bias, gain, shift in zip(
        *(weights[name].unbind() for name in PER_LAYER), strict=True
    ):
        x = pre_norm(x, attend(qkv, out), learned_norm(gain[0], shift[0]))
        entered.append(learned_norm(gain[1], shift[1])(x) @ up + up_bias)
        x = x + FORMS[form](entered[-1]) @ down + down_bias  # pre_norm, written out
    return learned_norm(weights["final_gain"], weights["final_shift"])(x) @ weights["head"], entered


def loss_of(logits: Float[Tensor, "b n c"], tokens: Int[Tensor, "b n"]) -> Float[Tensor, ""]:
    return F.cross_entropy(logits.flatten(0, 1), tokens.flip(-1).flatten())


def listen(
    weights: Weights, tokens: Int[Tensor, "b n"], form: Form
) -> tuple[Bool[Tensor, "l f"], Float[Tensor, "l f"]]:
    """Which units are above 0 nowhere on these texts, and the norm of the gradient of each unit's incoming weights."""
    logits, entered = encode(weights, tokens, form)
    (gradient,) = torch.autograd.grad(loss_of(logits, tokens), [weights["up"]])
    highest = torch.stack([h.detach().flatten(0, 1).amax(0) for h in entered])
    return highest <= 0, gradient.norm(dim=1)


def pull(quiet: Bool[Tensor, "l f"], gradient: Float[Tensor, "l f"]) -> float:
    """The gradient of a silent unit to that of the others, medians; 0 where none is silent."""
    return float(gradient[quiet].median() / gradient[~quiet].median()) if quiet.any() else 0.0


def steps_of(form: Form, rate: float, seed: int) -> Iterator[tuple[float, Weights]]:
    """Adam (β = 0.9, 0.98) on fresh batches of 32 texts; the loss of each step, and the weights after it."""
    weights = first_weights(DEPTH, seed)
    optimiser = torch.optim.Adam(weights.values(), lr=rate, betas=BETAS, fused=True)
    data = torch.Generator().manual_seed(10_000 + seed)
    while True:
        tokens = torch.randint(0, VOCABULARY, (BATCH, LENGTH), generator=data)
        loss = loss_of(encode(weights, tokens, form)[0], tokens)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield loss.item(), weights


Snapshot = tuple[list[float], list[int], list[int]]  # loss, silent, reached: a number for each activation


def _progress(kept: list[Snapshot]) -> Progress:
    loss, silent, reached = zip(*kept, strict=True)
    at = torch.tensor(SNAPSHOTS[: len(kept)])
    return Progress(at, torch.tensor(loss, dtype=torch.float64).T, torch.tensor(silent).T, torch.tensor(reached).T)


def _train(rate: float, seed: int) -> Iterator[tuple[Progress, list[Weights]]]:
    runs, watched = [steps_of(form, rate, seed) for form in TRAINED], probe()
    losses: list[list[float]] = []
    kept: list[Snapshot] = []
    for step in range(1, STEPS + 1):
        now = [next(run) for run in runs]
        losses.append([loss for loss, _ in now])
        if step in SNAPSHOTS:
            heard = [listen(weights, watched, form) for form, (_, weights) in zip(TRAINED, now, strict=True)]
            silent = [int(quiet.sum()) for quiet, _ in heard]
            reached = [int((quiet & (gradient > 0)).sum()) for quiet, gradient in heard]
            kept.append(([sum(run) / len(run) for run in zip(*losses, strict=True)], silent, reached))
            losses.clear()
        if step in SNAPSHOTS or step % OFTEN == 0:
            yield _progress(kept), [weights for _, weights in now]


def train(rate: float, seed: int) -> Iterator[Progress]:
    """Both nets, step by step side by side; yields every 5 steps, with a new snapshot every 10."""
    for progress, _ in _train(rate, seed):
        yield progress


# ------------------------------------------------------------------------------------------------ what is shipped

CELLS = tuple(product(RATES, SEEDS))


def _name(rate: float, seed: int) -> str:
    return f"{rate:g}/{seed}"


def run_with(weights: Weights, own: Form, tokens: Int[Tensor, "b n"]) -> dict[Form, dict[str, float]]:
    """What becomes of a net on these texts if another form takes the place of its own: of each form the loss, the share
    of right answers, the largest change of a logit, and the share of answers that change."""
    found: dict[Form, dict[str, float]] = {}
    with torch.no_grad():
        before = encode(weights, tokens, own)[0]
        for form in FORMS:
            logits = encode(weights, tokens, form)[0]
            found[form] = {
                "loss": float(loss_of(logits, tokens)),
                "right": float((logits.argmax(-1) == tokens.flip(-1)).double().mean()),
                "moved": float((logits - before).abs().max()),
                "changed": float((logits.argmax(-1) != before.argmax(-1)).double().mean()),
            }
    return found


def _short(values: Any) -> Any:
    """Five digits of each number that is not whole."""
    if isinstance(values, dict):
        return {name: _short(value) for name, value in values.items()}
    if isinstance(values, list):
        return [_short(value) for value in values]
    return values if isinstance(values, int) else float(f"{values:.5g}")


def _cell(cell: tuple[float, int]) -> tuple[dict[str, Any], dict[str, Tensor] | None]:
    torch.set_num_threads(1)
    *_, (progress, nets) = _train(*cell)
    found: dict[str, Any] = {name: getattr(progress, name).tolist() for name in ("loss", "silent", "reached")}
    tokens, ends = test_texts(), []
    for form, weights in zip(TRAINED, nets, strict=True):
        quiet, gradient = listen(weights, tokens, form)
        ends.append(
            {
                "silent": int(quiet.sum()),
                "reached": int((quiet & (gradient > 0)).sum()),
                "pull": pull(quiet, gradient),
                "with": run_with(weights, form, tokens),
            }
        )
    found["end"] = ends
    kept = {name: w.detach() for name, w in nets[1].items()} if cell == CHECKPOINT else None
    return _short(found), kept


def highest(weights: Weights, tokens: Int[Tensor, "b n"], form: Form) -> Float[Tensor, " u"]:
    """The largest input of every unit over all tokens of these texts."""
    with torch.no_grad():
        return torch.cat([h.flatten(0, 1).amax(0) for h in encode(weights, tokens, form)[1]])


def wake(seed: int, steps: int = STEPS, half: int = HALF) -> list[dict[str, float]]:
    """For each activation: the units that are silent half way on the test texts; those of them that are above 0 somewhere at
    the end; the units silent at the end; those of them that are left of the dip even where they are highest; and the loss."""
    found = []
    for form in TRAINED:
        before = torch.empty(0)
        for step, (_, weights) in zip(range(1, steps + 1), steps_of(form, WOKEN_RATE, seed), strict=False):
            if step == half:
                before = highest(weights, test_texts(), form) <= 0
        top = highest(weights, test_texts(), form)
        with torch.no_grad():
            loss = float(loss_of(encode(weights, test_texts(), form)[0], test_texts()))
        found.append(
            {
                "half": int(before.sum()),
                "woke": int((before & (top > 0)).sum()),
                "silent": int((top <= 0).sum()),
                "left": int((top < DIP).sum()),
                "loss": loss,
            }
        )
    return found


def _wake(seed: int) -> list[dict[str, float]]:
    torch.set_num_threads(1)
    return wake(seed)


def result() -> dict[str, Any]:
    """What `python -m core.training gelu` ships: every curve of every seed, and what the nets do in the end."""
    found: dict[str, Any] = {}
    with ProcessPoolExecutor() as pool:
        found["wake"] = [_short(ends) for ends in pool.map(_wake, WOKEN_SEEDS)]
        for i, (cell, (curves, weights)) in enumerate(zip(CELLS, pool.map(_cell, CELLS), strict=True), 1):
            found[_name(*cell)] = curves
            if weights is not None:
                save(FILE, weights)
            print(f"\r{i} of {len(CELLS)} trainings with both activations", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


@remember
def trained(rate: float, seed: int) -> Progress:
    """A shipped training, as `train` would end with it. Do not change it."""
    kept = shipped("gelu")["result"][_name(rate, seed)]
    loss = torch.tensor(kept["loss"], dtype=torch.float64)
    return Progress(torch.tensor(SNAPSHOTS), loss, torch.tensor(kept["silent"]), torch.tensor(kept["reached"]))


def ends(form: Form, rate: float) -> list[dict[str, Any]]:
    """What is shipped of the end of each seed's run, on the test texts."""
    index = TRAINED.index(form)
    return [shipped("gelu")["result"][_name(rate, seed)]["end"][index] for seed in SEEDS]


def woken(form: Form) -> list[dict[str, float]]:
    """What is shipped of `wake`, for each of WOKEN_SEEDS."""
    index = TRAINED.index(form)
    return [seed[index] for seed in shipped("gelu")["result"]["wake"]]


def final_losses(form: Form, rate: float) -> Float[Tensor, " r"]:
    """The last loss of each seed’s training: the mean of its last ten steps, each on texts that are new to it; nats a token."""
    index = TRAINED.index(form)
    return torch.stack([trained(rate, seed).loss[index, -1] for seed in SEEDS])


@remember
def checkpoint() -> Weights:
    """The shipped net that was trained with GELU. Do not change it."""
    return {name: weight.double() for name, weight in load(FILE).items()}
