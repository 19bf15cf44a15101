"""What a layer costs as its text grows: products counted, scores kept or not, seconds, bytes of published models, writing."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from core.memory import remember
from core.models import MatrixProducts, Transformer
from core.ops.attention import attention, blockwise_attention, logits, masked, softmax
from core.ops.counting import Architecture, Flops, flops_per_token, kv_cache_bytes, score_bytes
from core.ops.masks import causal
from core.presets import CONTEXTS, preset

LENGTHS = (*(n for k in range(5, 17) for n in (2**k, 3 * 2 ** (k - 1))), 2**17)
WIDTHS = (512, 1024, 4096, 16384)
HEADS = (1, 4, 16)

# ------------------------------------------------------------------------------------------------ one layer


@remember
def layer(d_model: int, n_heads: int = 1, gated: bool = False) -> Architecture:
    """One layer like GPT-2's and nothing around it: full heads, d_ff = 4 d, no gate unless one is asked for."""
    return Architecture(d_model, 1, n_heads, 4 * d_model, 1, gated=gated, final_norm=False, head="none")


def work(n: int, d_model: int) -> Flops:
    """The FLOPs of the layer over a text of n tokens, by formula: through the weights, and for attention's two products."""
    each = flops_per_token(layer(d_model), n)
    return Flops(n * each.weights, n * each.attention)


@remember
def counted(n: int, d_model: int, n_heads: int = 1, gated: bool = False) -> Flops:
    """The same in a layer that is really run: all its matrix products, and those of its attention alone."""
    model = Transformer(layer(d_model, n_heads, gated))
    heads = torch.zeros(n_heads, n, d_model // n_heads)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.01)  # any values: only shapes are counted
        with MatrixProducts() as everything:
            model(torch.zeros(1, n, dtype=torch.long))
        with MatrixProducts() as between:
            attention(heads, heads, heads)
    return Flops(everything.flops - between.flops, between.flops)


Seen = Literal["all", "causal", "window"]


@dataclass(frozen=True)
class Computed:
    """The dot products of queries with keys that were made, and how far the outputs are from plain attention's."""

    scores: float
    difference: float


@remember
def computed(n: int, seen: Seen = "all", skips: bool = True, d_k: int = 8) -> Computed:
    """One head over n tokens that see all, the past, or the last 4, by the products that it really makes.

    A kernel that `skips` what is hidden goes row by row to the keys that count; one that does not makes the whole
    square first and hides afterwards.
    """
    g = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, n, d_k, generator=g, dtype=torch.float64)
    visible = _visible(n, seen)
    with MatrixProducts() as made:
        if skips:
            rows = [(query[i : i + 1], key[row], value[row]) for i, row in enumerate(visible)]
            output = torch.cat([attention(*row) for row in rows])
        else:
            output = attention(query, key, value, visible)
    plain = attention(query, key, value, visible)
    return Computed(made.flops / (4 * d_k), float((output - plain).abs().max()))  # the weighted sums take as many


def _visible(n: int, seen: Seen) -> Tensor:
    past = causal(n)
    return {"all": torch.ones_like(past), "causal": past, "window": past & ~past.tril(-4)}[seen]


def exponentials(n: int, seen: Seen = "all", d_k: int = 8) -> int:
    """How many scores of a head get a weight above 0: the exponentials that a softmax cannot do without."""
    g = torch.Generator().manual_seed(0)
    query, key = (torch.randn(n, d_k, generator=g) for _ in "qk")
    return int((softmax(masked(logits(query, key), _visible(n, seen))) > 0).sum())


def bytes_stored(n: int, n_heads: int) -> int:
    """The bytes of all scores as a tensor in 16 bits: on the meta device it has a shape and no storage."""
    return torch.empty(n_heads, n, n, dtype=torch.bfloat16, device="meta").nbytes


# ------------------------------------------------------------------------------------------------ block by block

TOKENS, D_K = 256, 64
BLOCKS = tuple(2**k for k in range(9))
SAVED = (128, 256, 512, 1024, 2048)
Precision = Literal["float32", "float64"]


def drawn(n: int = TOKENS, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of n tokens from N(0, 1), of width 64."""
    g = torch.Generator().manual_seed(seed)
    query, key, value = torch.randn(3, n, D_K, generator=g, dtype=torch.float64).to(dtype)
    return query, key, value


@remember
def blockwise_errors(seed: int = 0, rescale: bool = True, precision: Precision = "float64") -> Float[Tensor, " s"]:
    """For every size in BLOCKS the largest difference from plain attention, which is computed in float64."""
    truth = attention(*drawn(seed=seed))
    inputs = drawn(seed=seed, dtype=getattr(torch, precision))
    return torch.stack([(blockwise_attention(*inputs, b, rescale) - truth).abs().max() for b in BLOCKS])


def rounding_bound(seed: int = 0, precision: Precision = "float64") -> float:
    """What sums over all the keys may lose to rounding: a unit of the last place for each summand of scores and outputs.

    The factor |q| |k| / √dₖ on the error of a score is left out: errors cancel in part, and those measured are 300 times smaller.
    """
    value = drawn(seed=seed)[2]
    return 2 * (TOKENS + D_K) * torch.finfo(getattr(torch, precision)).eps * float(value.abs().max())


Way = Literal["plain", "fused"]


def torchs(way: Way) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Attention by torch's own functions: product, softmax, product, one after the other; or fused, in one kernel."""
    if way == "fused":
        return nn.functional.scaled_dot_product_attention
    return lambda query, key, value: (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1) @ value


@remember
def saved_for_backward(way: Way, n: int) -> int:
    """The bytes that autograd keeps after one head's forward pass in float32, in distinct storages."""
    inputs = [x[None, None].requires_grad_() for x in drawn(n, dtype=torch.float32)]
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        torchs(way)(*inputs)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def products_of_blocks(block: int, n: int = TOKENS, kept: float = 1.0) -> float:
    """The FLOPs of the products made block by block ÷ those made at once; `kept` is the share of the keys that are used."""
    query, key, value = drawn(n)
    with MatrixProducts() as plain:
        attention(query, key, value)
    with MatrixProducts() as blocks:
        blockwise_attention(query, key[: int(kept * n)], value[: int(kept * n)], block)
    return blocks.flops / plain.flops


class _Largest(TorchFunctionMode):
    """Notes the most numbers that one new tensor has."""

    numbers = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and not result._is_view():
            self.numbers = max(self.numbers, result.numel())
        return result


def largest_made(block: int, n: int = TOKENS) -> int:
    """How many numbers the largest tensor has that blockwise attention makes for n queries and keys; outputs have 2 n."""
    query, key, value = drawn(n)
    with _Largest() as seen:
        blockwise_attention(query, key, value[:, :2], block)
    return seen.numbers


@dataclass(frozen=True)
class Reordered:
    """(Q Kᵀ) V against Q (Kᵀ V): FLOPs of the second ÷ of the first, and the largest difference of the outputs."""

    flops: float
    difference: float


def keys_meet_values_first(n: int, with_softmax: bool = False) -> Reordered:
    """Without a softmax the product may be made in the other order; with one between, the first order is the only one."""
    query, key, value = (x / math.sqrt(n) for x in drawn(n))
    with MatrixProducts() as square:
        scores = query @ key.mT
        first = (softmax(scores) if with_softmax else scores) @ value
    with MatrixProducts() as narrow:
        second = query @ (key.mT @ value)
    return Reordered(narrow.flops / square.flops, float((first - second).abs().max()))


# ------------------------------------------------------------------------------------------------ on the clock

LAYERS = ("plain", "fused", "feed-forward")
TIMED = (512, 768, 1024, 1536, 2048, 3072)
RUNS = 8


@dataclass(frozen=True, eq=False)
class Timings:
    """Seconds of this machine, run by run, for every layer and length; `runs` of `of` are done."""

    lengths: tuple[int, ...]
    seconds: Float[Tensor, "layers lengths runs"]
    of: int

    @property
    def share(self) -> float:
        return self.seconds.shape[-1] / self.of

    @property
    def best(self) -> Float[Tensor, "layers lengths"]:
        """The shortest run: whatever else the machine does can only make a run longer."""
        return self.seconds.amin(-1)

    def slope(self, name: str) -> tuple[float, float]:
        """The power of N with which the seconds grow, by least squares on logarithms, and its standard error."""
        x, y = torch.tensor(self.lengths).double().log(), self.best[LAYERS.index(name)].log()
        x, y = x - x.mean(), y - y.mean()
        slope = (x * y).sum() / (x * x).sum()
        rest = (y - slope * x).square().sum() / max(len(x) - 2, 1)
        return float(slope), float((rest / (x * x).sum()).sqrt())


def timings(lengths: tuple[int, ...] = TIMED, runs: int = RUNS) -> Iterator[Timings]:
    """One head of width 64, and a feed-forward layer 64 → 256 → 64, over longer and longer texts, again and again.

    The clock is the processor time of this thread: what other visitors compute meanwhile is not counted. Layers and
    lengths take turns, so that a slow moment of the machine falls on all of them. The plain scores go into memory that is
    asked for once: fetching it from the system grows faster than N².
    """
    g = torch.Generator().manual_seed(0)
    up, down = torch.randn(D_K, 4 * D_K, generator=g), torch.randn(4 * D_K, D_K, generator=g)
    texts = [[x[None, None] for x in drawn(n, dtype=torch.float32)] for n in lengths]
    room = torch.empty(max(lengths) ** 2)

    def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        n = query.shape[-2]
        scores = torch.matmul(query / math.sqrt(D_K), key.mT, out=room[: n * n].view(1, 1, n, n))
        return torch.softmax(scores, -1, out=scores) @ value

    made: dict[str, Callable[..., Tensor]] = {
        "plain": plain,
        "fused": torchs("fused"),
        "feed-forward": lambda x, *_: (x @ up).relu() @ down,
    }
    done: list[Tensor] = []
    with torch.inference_mode():
        for run in range(-1, runs):  # the first run only warms up
            seconds = torch.tensor([[_seconds(made[name], text) for text in texts] for name in LAYERS])
            done += [seconds] if run >= 0 else []
            if done:
                yield Timings(lengths, torch.stack(done, dim=-1), runs)


def _seconds(layer: Callable[..., Tensor], text: list[Tensor]) -> float:
    start = time.thread_time()
    layer(*text)
    return max(time.thread_time() - start, 1e-9)  # a coarse clock may not have moved


# ------------------------------------------------------------------------------------------------ published models

MODELS = tuple(CONTEXTS)
GROWTH = tuple(2**k for k in range(7, 21))


@dataclass(frozen=True, eq=False)
class Sizes:
    """Bytes in 16 bits: of the weights, of one text's keys and values, and of one layer's scores if they were stored."""

    tokens: Float[Tensor, " s"]
    weights: int
    cache: Float[Tensor, " s"]
    scores: Float[Tensor, " s"]


def sizes(name: str, tokens: tuple[int, ...] = GROWTH) -> Sizes:
    """What a published model keeps for texts of so many tokens."""
    a = preset(name)
    columns = (tokens, [n * kv_cache_bytes(a) for n in tokens], [score_bytes(n, a.n_heads) for n in tokens])
    at, cache, scores = (torch.tensor([float(x) for x in column], dtype=torch.float64) for column in columns)
    return Sizes(at, 2 * a.parameters, cache, scores)


@remember
def runs_over(n: int, learned: int = 0) -> bool:
    """Whether a layer of width 8 runs over n tokens; with a table of so many `learned` positions, if they suffice."""
    x = torch.randn(1, n, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        if learned:
            try:
                x = x + nn.functional.embedding(torch.arange(n), torch.zeros(learned, 8))
            except IndexError:
                return False
        return bool(nn.functional.scaled_dot_product_attention(x, x, x).isfinite().all())


# ------------------------------------------------------------------------------------------------ writing, token by token


@dataclass(frozen=True, eq=False)
class Written:
    """How often each score of a head was computed while the text was written, the tokens sent through the weights, and
    the text: a vector for each token."""

    times: Float[Tensor, "q k"]
    through: int
    text: Float[Tensor, "n d"]


@remember
def write(n: int, cached: bool, d: int = 8, layers: int = 2, seed: int = 0) -> Written:
    """A small stack of attention layers writes n tokens, each made from the last output; with a KV cache or without.

    Without a cache every step sends the whole prefix through all layers again, since the rows of the upper layers are made
    of those below. With one, the new token alone goes through and meets the keys and values that are kept.
    """
    g = torch.Generator().manual_seed(seed)
    weights = torch.randn(layers, 3, d, d, generator=g, dtype=torch.float64) / math.sqrt(d)
    text = [torch.randn(d, generator=g, dtype=torch.float64)]
    times, through = torch.zeros(n, n), 0
    kept = [(torch.empty(0, d, dtype=torch.float64),) * 2 for _ in range(layers)]
    for t in range(1, n + 1):
        x = torch.stack(text[-1:] if cached else text)
        rows, through = slice(t - len(x), t), through + len(x)
        visible = causal(t)[rows]
        times[rows, :t] += visible  # in each layer alike
        for i, (w_q, w_k, w_v) in enumerate(weights):
            before = kept[i] if cached else (x[:0], x[:0])
            key, value = (torch.cat(pair) for pair in zip(before, (x @ w_k, x @ w_v), strict=True))
            kept[i] = (key, value)
            x = x + attention(x @ w_q, key, value, visible)
        text.append(x[-1] / x[-1].norm())
    return Written(times, through, torch.stack(text[1:]))
