"""Two trainings: how wide should the feed-forward layer be if every model has equally many parameters, and how many facts does
one hold?

*Ratio*: decoders of one Pre-Norm block learn a text in which the two tokens before decide the probabilities of the next one, so
that the least possible loss is known. All have the same number of parameters to within a percent: a model with a wider feed-forward
layer is narrower elsewhere. What is measured is the excess, KL(true ‖ model), on texts that no step trains on.

*Facts*: a feed-forward layer alone learns which of 32 classes belongs to each of 512 random keys.

Runs of one shape are one tensor program: they share no weight, so the gradient of the sum is each one's own. Every copy draws
from its own generator, so that a run made again with fewer others beside it begins with the same weights and sees the same texts.

In float32. Training amplifies rounding: on another processor only a curve's beginning and the outcome are compared.
"""

import json
import math
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.memory import remember
from core.ops.activations import gated
from core.ops.markov import draw_text, stationary
from core.ops.positions import sinusoidal
from core.training.shipped import shipped

Activation = Literal["relu", "gelu", "swiglu"]
ACTIVATIONS: tuple[Activation, ...] = ("relu", "gelu", "swiglu")
RATIOS = (0.5, 1, 2, 4, 8, 16)
RATES = (0.0015, 0.003, 0.006, 0.012, 0.025, 0.05)
SEEDS = (0, 1, 2, 3, 4)
VOCABULARY, SHARPNESS, LENGTH, HEADS, PARAMETERS = 16, 1.5, 8, 2, 12_288
BATCH, STEPS, WARMUP, BETAS, EPS = 32, 800, 50, (0.9, 0.98), 1e-8
EVERY, OFTEN, TEST = 40, 4, 512  # steps between two points of a curve and between two yields; texts that measure

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Shape:
    """The widths of one model: what a ratio becomes if the number of parameters is given."""

    activation: Activation
    d_model: int
    d_ff: int

    @property
    def matrices(self) -> int:
        return 3 if self.activation == "swiglu" else 2

    @property
    def parameters(self) -> int:
        """Embedding and output 2 V d, attention 4 d², feed-forward 2 or 3 times d·d_ff; norms have none."""
        d = self.d_model
        return 2 * VOCABULARY * d + 4 * d * d + self.matrices * d * self.d_ff

    @property
    def ratio(self) -> float:
        """d_ff / d_model of two matrices with as many parameters: three count for 3/2 as much."""
        return self.matrices * self.d_ff / 2 / self.d_model


def shape_of(activation: Activation, ratio: float, parameters: int = PARAMETERS) -> Shape:
    """Of all even widths the one whose ratio is nearest, with the d_ff that comes nearest to so many parameters."""
    matrices, found = (3 if activation == "swiglu" else 2), []
    for d in range(4, 128, 2):
        d_ff = round((parameters - 2 * VOCABULARY * d - 4 * d * d) / (matrices * d))
        if d_ff > 0:
            found.append(Shape(activation, d, d_ff))
    return min(found, key=lambda shape: abs(math.log(shape.ratio / ratio)))


# ------------------------------------------------------------------------------------------------ the text


@remember
def chain() -> Float[Tensor, "a b c"]:
    """P(c | a, b): softmax of random logits of standard deviation 1.5."""
    g = torch.Generator().manual_seed(0)
    return (SHARPNESS * torch.randn(VOCABULARY, VOCABULARY, VOCABULARY, generator=g, dtype=torch.float64)).softmax(-1)


@remember
def pairs() -> Float[Tensor, "a b"]:
    """How often each pair of neighbours occurs."""
    return stationary(chain())


def texts(n_texts: int, seed: int) -> Int[Tensor, "b n"]:
    """So many texts, with the token that follows the last one."""
    return draw_text(chain(), pairs(), n_texts, LENGTH + 1, torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------------------------------ the models


def first_weights(shape: Shape, seeds: tuple[int, ...], copies: int) -> Weights:
    """N(0, 1/inputs), the embedding N(0, 1): each seed's, `copies` times over; `[runs, rows, columns]`."""
    d, f = shape.d_model, shape.d_ff
    sizes = {"embed": (VOCABULARY, d), "qkv": (d, 3 * d), "out": (d, d), "up": (d, (shape.matrices - 1) * f)}
    sizes |= {"down": (f, d), "head": (d, VOCABULARY)}
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    weights = {
        name: torch.stack([torch.randn(*size, generator=g) for g in generators])
        / (1 if name == "embed" else math.sqrt(size[0]))
        for name, size in sizes.items()
    }
    return {name: w.repeat_interleave(copies, 0).requires_grad_() for name, w in weights.items()}


def normed(x: Tensor) -> Tensor:
    """RMSNorm without parameters."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


def activate(entered: Float[Tensor, "*b u"], activation: Activation) -> Float[Tensor, "*b f"]:
    """What stands between the matrices; of SwiGLU the first half is the gate."""
    if activation == "swiglu":
        gate, up = entered.chunk(2, -1)
        return gated(F.silu(gate), up)
    return F.gelu(entered) if activation == "gelu" else F.relu(entered)


def logits_of(weights: Weights, tokens: Int[Tensor, "r b n"], activation: Activation) -> Float[Tensor, "r b n v"]:
    """What every run says of the next token, from each token and those before it."""
    (runs, b, n), d = tokens.shape, weights["embed"].shape[-1]
    places = sinusoidal(n, d).to(weights["embed"].dtype)
    x = (weights["embed"][torch.arange(runs)[:, None, None], tokens] + places).flatten(1, 2)
    query, key, value = (normed(x) @ weights["qkv"]).view(runs, b, n, 3, HEADS, -1).permute(3, 0, 1, 4, 2, 5)
    heard = F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(2, 3)
    x = x + heard.reshape(runs, b * n, d) @ weights["out"]
    x = x + activate(normed(x) @ weights["up"], activation) @ weights["down"]
    return (normed(x) @ weights["head"]).view(runs, b, n, -1)


def losses_of(weights: Weights, tokens: Int[Tensor, "r b m"], activation: Activation) -> Float[Tensor, " r"]:
    """Nats a token."""
    logits = logits_of(weights, tokens[..., :-1], activation)
    return (
        F.cross_entropy(logits.flatten(0, 2), tokens[..., 1:].flatten(), reduction="none")
        .view(len(logits), -1)
        .mean(-1)
    )


@torch.no_grad()
def excess_of(weights: Weights, activation: Activation) -> Float[Tensor, " r"]:
    """KL(true ‖ model) in nats a token, where two tokens before are seen: 0 is the best possible."""
    tokens = texts(TEST, 99)
    said = logits_of(weights, tokens[:, :-1].expand(len(weights["embed"]), -1, -1), activation)[:, :, 1:].log_softmax(
        -1
    )
    true = chain()[tokens[:, :-2], tokens[:, 1:-1]].to(said.dtype)
    return (torch.special.xlogy(true, true) - true * said).sum(-1).mean((1, 2))


# ------------------------------------------------------------------------------------------------ the training


@dataclass(frozen=True, eq=False)
class Progress:
    """The runs of one shape so far. The axes: seed, learning rate, time."""

    shape: Shape
    at: Int[Tensor, " t"]
    loss: Float[Tensor, "r e t"]  # nats a token, the mean since the point before; each step is on texts that are new
    excess: Float[Tensor, "r e"] | None = None  # at the end

    @property
    def done(self) -> float:
        """The share of the training that is over."""
        return int(self.at[-1]) / STEPS if len(self.at) else 0.0


def schedule(step: int) -> float:
    """The share of the learning rate in step 1, 2, …: up over 50 steps, and on a straight line towards 0."""
    return min(1.0, step / WARMUP) * (1 - (step - 1) / STEPS)


def train(
    activation: Activation, ratio: float, rates: tuple[float, ...] = RATES, seeds: tuple[int, ...] = SEEDS
) -> Iterator[Progress]:
    """Adam, every seed with every rate, all side by side; a seed's texts are the same for every rate and every shape."""
    shape = shape_of(activation, ratio)
    weights = first_weights(shape, seeds, len(rates))
    rate = torch.tensor(rates).repeat(len(seeds)).view(-1, 1, 1)
    first, second = ({name: torch.zeros_like(w) for name, w in weights.items()} for _ in range(2))
    lessons = torch.stack([texts(BATCH * STEPS, 1000 + seed).view(STEPS, BATCH, -1) for seed in seeds], 1)
    since: list[Tensor] = []
    points: list[Tensor] = []

    def progress(excess: Tensor | None = None) -> Progress:
        loss = torch.stack(points, -1) if points else torch.empty(len(seeds) * len(rates), 0)
        at = torch.arange(1, len(points) + 1) * EVERY
        return Progress(shape, at, loss.view(len(seeds), len(rates), -1), excess)

    for step in range(1, STEPS + 1):
        loss = losses_of(weights, lessons[step - 1].repeat_interleave(len(rates), 0), activation)
        gradients = torch.autograd.grad(loss.sum(), list(weights.values()))
        with torch.no_grad():
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
                m, v = first[name], second[name]
                m.lerp_(gradient, 1 - BETAS[0])
                v.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
                root = (v / (1 - BETAS[1] ** step)).sqrt_().add_(EPS)
                weight.sub_(schedule(step) * rate * (m / (1 - BETAS[0] ** step)) / root)
        since.append(loss.detach())
        if step % EVERY == 0:
            points.append(torch.stack(since).mean(0))
            since.clear()
        if step == STEPS:
            yield progress(excess_of(weights, activation).view(len(seeds), len(rates)))
        elif step % OFTEN == 0:
            yield progress()


# ------------------------------------------------------------------------------------------------ facts

FACTS, CLASSES, KEY_WIDTH = 512, 32, 32
WIDTHS = (4, 8, 16, 32, 64, 128, 256, 512)
NOISES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # the length of the noise on a query; a key has length 1
FACT_STEPS, FACT_RATE, ASKED = 600, 0.01, 4  # steps; Adam's rate; with noise, every fact is asked so often


def facts(seed: int) -> tuple[Float[Tensor, "n d"], Int[Tensor, " n"]]:
    """Random keys of length 1, and the class that belongs to each."""
    g = torch.Generator().manual_seed(500 + seed)
    keys = F.normalize(torch.randn(FACTS, KEY_WIDTH, generator=g, dtype=torch.float64), dim=-1)
    return keys, torch.randint(0, CLASSES, (FACTS,), generator=g)


def queries(keys: Float[Tensor, "n d"], noise: float, seed: int) -> Float[Tensor, "m n d"]:
    """Every key, with a random vector of expected squared length `noise`² added; without noise the keys themselves."""
    if not noise:
        return keys[None]
    g = torch.Generator().manual_seed(900 + seed)
    shape = (ASKED, *keys.shape)
    return keys + noise / math.sqrt(keys.shape[-1]) * torch.randn(shape, generator=g, dtype=torch.float64)


def learn(d_ff: int, seeds: tuple[int, ...] = SEEDS) -> Iterator[tuple[int, list[Tensor]]]:
    """Adam on all facts in each step: W₁ and b₁, W₂ and b₂ of every seed; yields the step and the weights."""
    shapes = ((KEY_WIDTH, d_ff), (1, d_ff), (d_ff, CLASSES), (1, CLASSES))
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    weights = [
        (
            torch.stack([torch.randn(*shape, generator=g, dtype=torch.float64) for g in generators])
            / math.sqrt(shape[0])
            * (shape[0] > 1)
        ).requires_grad_()
        for shape in shapes
    ]
    keys, classes = (torch.stack(both) for both in zip(*map(facts, seeds), strict=True))
    optimiser = torch.optim.Adam(weights, lr=FACT_RATE)
    for step in range(1, FACT_STEPS + 1):
        logits = say(weights, keys)
        loss = F.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none").view(len(seeds), -1).mean(-1)
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
        yield step, weights


def say(weights: list[Tensor], x: Float[Tensor, "r n d"]) -> Float[Tensor, "r n c"]:
    """max(0, x W₁ + b₁) W₂ + b₂."""
    return (x @ weights[0] + weights[1]).relu() @ weights[2] + weights[3]


@torch.no_grad()
def recall_of(weights: list[Tensor], seeds: tuple[int, ...] = SEEDS) -> Float[Tensor, "s r"]:
    """The share of facts that come back right, at each of NOISES and of each seed."""
    found = []
    for noise, (i, seed) in product(NOISES, enumerate(seeds)):
        keys, classes = facts(seed)
        asked = queries(keys, noise, seed)
        logits = say([w[i : i + 1] for w in weights], asked)
        found.append((logits.argmax(-1) == classes).double().mean())
    return torch.stack(found).view(len(NOISES), len(seeds))


# ------------------------------------------------------------------------------------------------ what is shipped

CELLS = tuple(product(ACTIVATIONS, RATIOS))


def _name(activation: Activation, ratio: float) -> str:
    return f"{activation}/{ratio:g}"


def _kept(name: str) -> Path:
    """Where an interrupted `result` keeps what it has: a folder of its own for these settings."""
    settings = (
        RATES,
        SEEDS,
        VOCABULARY,
        SHARPNESS,
        LENGTH,
        PARAMETERS,
        BATCH,
        STEPS,
        WARMUP,
        FACTS,
        FACT_STEPS,
        FACT_RATE,
    )
    folder = Path(tempfile.gettempdir()) / f"ffn_ratio_{zlib.crc32(repr((torch.__version__, settings)).encode()):08x}"
    folder.mkdir(exist_ok=True)
    return folder / f"{name.replace('/', '_')}.json"


def _short(values: Any) -> Any:
    """Five significant digits."""
    return [_short(value) for value in values] if isinstance(values, list) else float(f"{values:.5g}")


def _ratio(activation: Activation, ratio: float) -> dict[str, Any]:
    *_, last = train(activation, ratio)
    assert last.excess is not None
    return {"loss": _short(last.loss.tolist()), "excess": _short(last.excess.tolist())}


def _facts(d_ff: int) -> list[list[float]]:
    *_, (_, weights) = learn(d_ff)
    return _short(recall_of(weights).tolist())


def result() -> dict[str, Any]:
    """What `python -m core.training ffn_ratio` ships: every run, its curve and its end; and the recall of every width.

    One cell after the other, each kept as soon as it is there: who is interrupted goes on where it ended.
    """
    jobs: list[tuple[str, Callable[[], Any]]] = [(f"facts/{d_ff}", partial(_facts, d_ff)) for d_ff in WIDTHS]
    jobs += [(_name(*cell), partial(_ratio, *cell)) for cell in CELLS]
    found: dict[str, Any] = {}
    for i, (name, job) in enumerate(jobs, 1):
        path = _kept(name)
        if not path.exists():
            path.write_text(json.dumps(job()), "utf-8")
        found[name] = json.loads(path.read_text("utf-8"))
        print(f"\r{i} of {len(jobs)}: {name}      ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


@remember
def trained(activation: Activation, ratio: float) -> Progress:
    """The shipped runs of one shape, as `train` would end with them. Do not change them."""
    kept = shipped("ffn_ratio")["result"][_name(activation, ratio)]
    at = torch.arange(EVERY, STEPS + 1, EVERY)
    loss, excess = (torch.tensor(kept[name], dtype=torch.float64) for name in ("loss", "excess"))
    return Progress(shape_of(activation, ratio), at, loss, excess)


@remember
def recalled(d_ff: int) -> Float[Tensor, "s r"]:
    """The shipped recall of one width, as `recall_of` measures it. Do not change it."""
    return torch.tensor(shipped("ffn_ratio")["result"][f"facts/{d_ff}"], dtype=torch.float64)
