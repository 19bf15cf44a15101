"""A layer's matrices to scale, counted by formula and in what PyTorch builds; other numbers of a design; what the count costs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import ceil, sqrt
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.memory import remember
from core.models import Transformer, build, count_built, count_by_path, counted_flops
from core.ops.adam import adam_step
from core.ops.counting import BYTES, Architecture, Term, flops_per_token, kv_cache_bytes

GPT_2, LLAMA_3 = "GPT-2 small", "Llama 3 8B"
# From the textbook's layer, at three widths, to those that leave it: fewer key/value heads, a gate, wide heads, experts.
SHOWN = (
    *(GPT_2, "GPT-2 XL", "OPT 175B", "Falcon 7B", "Phi-3 mini", "Llama 2 7B"),
    *(LLAMA_3, "Qwen2.5 7B", "Gemma 7B", "Mixtral 8x7B"),
)
CONTEXTS = tuple(2**k for k in range(7, 21))

# ------------------------------------------------------------------------------------------------ other numbers of a design


def followed(a: Architecture, typed: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields that are left blank become when others are typed: a new width takes its heads along.

    A new d_model keeps the width of a head where that divides it, how many query heads share a key/value head, and the
    ratio d_ff / d_model. A new number of heads keeps the key/value heads if they divide it, or else the size of their
    groups. A token is sent to no more experts than there are. Whether all that fits, `Architecture` says.

    >>> gpt_2 = Architecture(768, 12, 12, 3072, 50257)
    >>> followed(gpt_2, {"d_model": 1024})
    {'n_heads': 16, 'n_kv_heads': None, 'd_ff': 4096, 'experts_used': 1}
    """
    d, experts = typed.get("d_model", a.d_model), typed.get("experts", a.experts)
    heads = a.n_heads
    if a.n_heads * d % a.d_model == 0:
        heads = max(1, a.n_heads * d // a.d_model)
    h = typed.get("n_heads", heads)
    shared, group = a.n_kv_heads, a.n_heads // a.kv_heads
    if shared is not None and shared > 1 and (d != a.d_model or h % shared) and h % group == 0:
        shared = max(1, h // group)
    return {
        "n_heads": heads,
        "n_kv_heads": shared,
        "d_ff": max(1, round(a.d_ff * d / a.d_model)),
        "experts_used": min(a.experts_used, max(1, experts)),
    }


def blank(a: Architecture, typed: Mapping[str, Any]) -> dict[str, Any]:
    """What a box that is left blank stands for, given what is typed in others: the number that it shows in grey."""
    found = {**asdict(a), **followed(a, typed), **typed}
    found["n_kv_heads"] = found["n_kv_heads"] or found["n_heads"]
    found["head_dim"] = found["head_dim"] or found["d_model"] // max(1, found["n_heads"])
    found["embedding_width"] = found["embedding_width"] or found["d_model"]
    return found


def changed(a: Architecture, typed: Mapping[str, Any]) -> Architecture:
    """The design with what was typed and what follows from it; raises ValueError with the reason in words."""
    return replace(a, **{**followed(a, typed), **typed})


def asked(published: Architecture, typed: Mapping[str, Any]) -> tuple[Architecture, bool, ValueError | None]:
    """The design that was asked for and whether it is another than the published one; or why there is none such."""
    try:
        a = changed(published, typed)
    except ValueError as reason:
        return published, False, reason
    return a, a != published, None


def settings(a: Architecture) -> dict[str, Any]:
    """The values of an architecture for the lesson's program, with nothing left to a default."""
    return {
        **asdict(a),
        "n_kv_heads": a.kv_heads,
        "head_dim": a.d_head,
        "k_bias": a.key_bias,
        "embedding_width": a.embedding,
    }


# ------------------------------------------------------------------------------------------------ a block to scale


@dataclass(frozen=True, eq=False)
class Placed:
    """A weight matrix of a block, of which there may be several, as rectangles in units of d_model.

    Each is `wide` × 1; the corners are (left, top), the top counted downwards.
    """

    term: Term
    wide: float
    corners: Float[Tensor, "each 2"]


def placed(a: Architecture) -> tuple[Placed, ...]:
    """Every weight matrix of a block (of the decoder's, if there is one), drawn to scale.

    One side of each is d_model: with that side upright, widths can be compared and areas are parameters / d². The
    matrices of attention stand in a row, those of a feed-forward layer below each other, experts in a grid, their router
    at the end of its first line.
    """
    found: list[Placed] = []
    matrices = [t for t in a.terms if t.place != "model" and t.matrix]
    stack = [t for t in matrices if t.part == "feed-forward" and t.each == a.experts]
    routers = [t for t in matrices if t.part == "feed-forward" and t not in stack]
    row, top = [t for t in matrices if t.place == "block" and t.part == "attention"], 0.0
    for line in (row, [t for t in matrices if t.place == "cross"]):
        left = 0.0
        for term in line:
            wide = term.rows * term.columns / a.d_model**2
            found.append(Placed(term, wide, torch.tensor([[left, top]], dtype=torch.float64)))
            left += wide
        top += bool(line)
    tile, n = a.d_ff / a.d_model, len(stack)
    across = min(a.experts, ceil(sqrt(1.5 * a.experts * n / tile)))
    expert = torch.arange(a.experts)
    for router in routers:
        wide, corner = router.rows * router.columns / a.d_model**2, [[min(across, a.experts) * tile, top]]
        found.append(Placed(router, wide, torch.tensor(corner, dtype=torch.float64)))
    for i, term in enumerate(stack):
        left_of, top_of = expert % across * tile, top + expert // across * n + i
        found.append(Placed(term, tile, torch.stack([left_of, top_of], -1).double()))
    return tuple(found)


# ------------------------------------------------------------------------------------------------ what it costs


@dataclass(frozen=True, eq=False)
class Costs:
    """What a context of n tokens costs, for every n in CONTEXTS."""

    context: Float[Tensor, " s"]
    weights: Float[Tensor, " s"]  # FLOPs of one token through the weights, in a forward pass
    attention: Float[Tensor, " s"]  # FLOPs of one token between positions, seeing all n, in a forward pass
    cache: Float[Tensor, " s"]  # bytes of keys and values of one text, in bfloat16
    full: Float[Tensor, " s"]  # the same with keys and values of its own for every query head


@remember
def costs(a: Architecture) -> Costs:
    """FLOPs and KV cache against the length of the context."""
    flops = [flops_per_token(a, n) for n in CONTEXTS]
    each = [kv_cache_bytes(one, BYTES["bfloat16"]) for one in (a, full_heads(a))]
    columns = (
        CONTEXTS,
        [f.weights for f in flops],
        [f.attention for f in flops],
        *([n * per_token for n in CONTEXTS] for per_token in each),
    )
    return Costs(*(torch.tensor([float(x) for x in column], dtype=torch.float64) for column in columns))


def full_heads(a: Architecture) -> Architecture:
    """The same design with a key/value head for every query head."""
    return replace(a, n_kv_heads=a.n_heads)


# ------------------------------------------------------------------------------------------------ counted in what is built


@dataclass(frozen=True)
class Block:
    """The parameters of one block that PyTorch built: all of them, and the weight matrices of its two layers."""

    parameters: int
    attention: int
    feed_forward: int


def matrices_of(module: nn.Module) -> int:
    """The parameters of its weight matrices: neither biases nor the weights of norms, which are vectors."""
    return sum(p.numel() for name, p in module.named_parameters() if p.dim() > 1 and not name.endswith("bias"))


def one_of_each(a: Architecture) -> Transformer:
    """The model with one block in each stack."""
    return build(replace(a, n_layers=1, decoder_layers=min(1, a.decoder_layers)))


@remember
def built_block(a: Architecture) -> Block:
    """Build one block (of the decoder's, if there is one) and count it; the attention counted is self-attention."""
    block = one_of_each(a).stack[-1].get_submodule("block.0")
    return Block(count_built(block), *(matrices_of(block.get_submodule(p)) for p in ("attention", "feed_forward")))


@remember
def built_model(a: Architecture) -> tuple[int, dict[str, int]]:
    """The whole model and its kinds of tensors, counted in what PyTorch built: one block of each stack, as often as it
    stands there. `core.models.built_counts` really builds them all, which takes up to a second; the tests compare the two.
    """
    model = one_of_each(a)
    by_path = count_by_path(model)
    for stack, layers in zip(model.stack, (a.n_layers, a.decoder_layers), strict=False):
        for path, each in count_by_path(stack.get_submodule("block.0")).items():
            by_path[path] += 0 if a.shared_layers else (layers - 1) * each
    return by_path.total(), dict(by_path)


@remember
def cache_written(a: Architecture, bytes_each: int = 2) -> int:
    """The bytes that a token leaves in the cache: what the key and value projections write, in every layer."""
    block = one_of_each(a).stack[-1].get_submodule("block.0.attention")
    return (
        bytes_each
        * (a.decoder_layers or a.n_layers)
        * sum(len(block.get_parameter(f"{name}.weight")) for name in ("key", "value"))
    )


@remember
def work(a: Architecture, n: int = 32) -> tuple[float, float]:
    """FLOPs of one token in a forward pass that is really made: through the weights, and per visible token.

    All n tokens see all n. The matrix products of n and of 2n tokens are counted: what grows with n is attention's.
    """
    one, two = counted_flops(a, n) / n, counted_flops(a, 2 * n) / (2 * n)
    return 2 * one - two, (two - one) / n


@remember
def bytes_of_training(optimiser: Literal["adam", "sgd"] = "adam", bits: int = 32) -> float:
    """Bytes per parameter that must stay from one step to the next: weight, gradient, and the optimiser's own."""
    dtype = {32: torch.float32, 16: torch.bfloat16}[bits]
    weight = torch.ones(64, 64, dtype=dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad(weight.square().sum(), weight)
    kept = [weight.detach(), gradient]
    if optimiser == "adam":
        nothing = torch.zeros_like(gradient)
        kept[0], *moments = adam_step(kept[0], gradient, nothing, nothing, step=1)
        kept += moments
    return sum(tensor.nbytes for tensor in kept) / weight.numel()


def numbers_in(model: nn.Module) -> int:
    """All numbers in the state dict of a model, under every name once."""
    return sum(tensor.numel() for tensor in model.state_dict().values())


def buffered(persistent: bool = True) -> int:
    """How many numbers more than parameters a state dict has that holds a causal mask of 8 × 8 as a buffer."""
    layer = nn.Linear(8, 8, device="meta")
    layer.register_buffer("mask", torch.ones(8, 8), persistent=persistent)
    return numbers_in(layer) - count_built(layer)
