"""Question 15: how many parameters does a Transformer layer have?"""

from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from math import ceil, sqrt
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from core.course import Concept, Evidence, Option, Source
from core.models import build, count_built, counted_flops
from core.ops.adam import adam_step
from core.ops.counting import (
    Architecture,
    Head,
    Term,
    flops_per_token,
    kv_cache_bytes,
    rule_error,
    rule_of_thumb,
    width_unit,
)
from core.presets import preset
from core.sources import GEVA_2021, VASWANI_2017

concept = Concept(__name__)

KAPLAN = Source("Kaplan et al. 2020", "Scaling Laws for Neural Language Models", "arXiv 2001.08361")
AINSLIE = Source(
    "Ainslie et al. 2023",
    "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints",
    "arXiv 2305.13245",
)
SHAZEER = Source("Shazeer 2020", "GLU Variants Improve Transformer", "arXiv 2002.05202")
PRESS_WOLF = Source("Press and Wolf 2017", "Using the Output Embedding to Improve Language Models", "arXiv 1608.05859")
ZERO = Source(
    "Rajbhandari et al. 2020",
    "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
    "arXiv 1910.02054",
)
MIXTRAL = Source("Jiang et al. 2024", "Mixtral of Experts", "arXiv 2401.04088")

GPT_2, LLAMA_3 = "GPT-2 small", "Llama 3 8B"
WIDTHS = tuple(range(512, 16_385, 512))  # whole heads of 128 in groups of four, and of 64
CONTEXTS = tuple(2**k for k in range(7, 21))

# ---------------------------------------------------------------------------------------------- experiments


@lru_cache(maxsize=512)
def scaled(a: Architecture, d_model: int) -> Architecture:
    """The same design at another width: same width of a head, same group size, same ratio d_ff / d_model.

    Raises ValueError in words if that would cut a head; multiples of `width_unit(a)` never do.
    """
    if d_model % width_unit(a):
        raise ValueError(f"d_model = {d_model:,} would cut a head: this design grows in steps of {width_unit(a):,}.")
    return replace(
        a,
        d_model=d_model,
        n_heads=a.n_heads * d_model // a.d_model,
        n_kv_heads=1 if a.kv_heads == 1 else a.kv_heads * d_model // a.d_model,
        head_dim=a.d_head,
        d_ff=max(1, round(a.d_ff * d_model / a.d_model)),
    )


@dataclass(frozen=True)
class Placed:
    """A weight matrix of a block as a rectangle in units of d_model, 1 high; `top` is counted downwards."""

    term: Term
    left: float
    top: float
    wide: float


@lru_cache(maxsize=32)
def placed(a: Architecture) -> tuple[Placed, ...]:
    """Every weight matrix of a block (of the decoder's, if there is one), drawn to scale.

    One side of each is d_model: with that side upright, widths can be compared and areas are parameters / d². The
    matrices of attention stand in a row, those of a feed-forward layer below each other, experts in a grid.
    """
    found: list[Placed] = []

    def put(term: Term, left: float, top: float) -> float:
        wide = term.rows * term.columns / a.d_model**2
        found.append(Placed(term, left, top, wide))
        return left + wide

    matrices = [t for t in a.terms if t.place != "model" and t.matrix]
    stack = [t for t in matrices if t.part == "feed-forward" and t.each == a.experts]
    row, top = [t for t in matrices if t.place == "block" and t not in stack], 0.0
    for line in (row, [t for t in matrices if t.place == "cross"]):
        left = 0.0
        for term in line:
            left = put(term, left, top)
        top += bool(line)
    tile = a.d_ff / a.d_model
    across = min(a.experts, ceil(sqrt(1.5 * a.experts * len(stack) / tile)))
    for expert in range(a.experts):
        for i, term in enumerate(stack):
            put(term, expert % across * tile, top + expert // across * len(stack) + i)
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Errors:
    """How far 12 d² is off, (12 d² − N) / N, for one design at growing widths."""

    width: Float[Tensor, " s"]
    matrices: Float[Tensor, " s"]  # N: the weight matrices of a block
    biases: Float[Tensor, " s"]  # N: with the biases of its layers
    block: Float[Tensor, " s"]  # N: with its norms too
    model: Float[Tensor, " s"]  # N: everything, against 12 d² times the number of layers


@lru_cache(maxsize=32)
def errors(a: Architecture) -> Errors:
    """The rule against the formula at every width at which the design keeps its heads whole."""
    step = width_unit(a)
    designs = [scaled(a, d) for d in range(step, max(WIDTHS[-1], step) + 1, step)]
    return Errors(
        torch.tensor([float(one.d_model) for one in designs]),
        torch.tensor([rule_error(one, "matrices") for one in designs]),
        torch.tensor([rule_error(one, "biases") for one in designs]),
        torch.tensor([rule_error(one, "block") for one in designs]),
        torch.tensor([rule_error(one, "model") for one in designs]),
    )


@dataclass(frozen=True, eq=False)
class Costs:
    """What a context of n tokens costs, for every n in CONTEXTS."""

    context: Float[Tensor, " s"]
    cache: Float[Tensor, " s"]  # bytes of keys and values, of one text
    weights: Float[Tensor, " s"]  # FLOPs of one token through the weights
    attention: Float[Tensor, " s"]  # FLOPs of one token between positions, seeing all n


@lru_cache(maxsize=32)
def costs(a: Architecture, bytes_each: int = 2) -> Costs:
    """KV cache and FLOPs against the length of the context."""
    flops = [flops_per_token(a, n) for n in CONTEXTS]
    return Costs(
        torch.tensor(CONTEXTS, dtype=torch.float64),
        torch.tensor([float(n * kv_cache_bytes(a, bytes_each)) for n in CONTEXTS], dtype=torch.float64),
        torch.tensor([float(f.weights) for f in flops], dtype=torch.float64),
        torch.tensor([float(f.attention) for f in flops], dtype=torch.float64),
    )


@lru_cache(maxsize=32)
def built_block(a: Architecture) -> tuple[int, int]:
    """One block built by PyTorch: all its parameters, and those in matrices."""
    block = build(replace(a, n_layers=1)).stack[0].get_submodule("block.0")
    matrices = sum(p.numel() for p in block.parameters() if p.dim() == 2)
    return count_built(block), matrices


@lru_cache(maxsize=4)
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


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "Llama 3 8B: d = 4096, 32 query heads that share 8 key/value heads, a gated feed-forward layer of width 14,336. "
    "How far off is 12 d² for the weight matrices of one layer?",
    Option(
        "it counts half of them",
        -0.6,
        -0.3,
        "Three matrices instead of two, each 3.5 d wide, make the feed-forward layer larger, but grouped heads make "
        "attention smaller: together it is no factor of two.",
    ),
    Option(
        "about 8 % too few",
        -0.15,
        -0.01,
        "The feed-forward layer has 3 · 3.5 = 10.5 d² instead of 8, attention 2.5 d² instead of 4: 13 d² in all.",
    ),
    Option(
        "it is exact",
        -0.01,
        0.01,
        "It would be with a width of 8/3 d and full multi-head attention, as in Phi-3 mini. Llama 3 keeps neither.",
    ),
    Option(
        "about 14 % too many",
        0.01,
        0.3,
        "Grouped heads alone, with the textbook's 8 d², would leave 10.5 d². But the gate brings a third matrix.",
    ),
    shows="Measured on a block just built: (12 d² − N) / N = {0}; N counts its weight matrices.",
)
def the_rule_for_llama_3() -> float:
    a = preset(LLAMA_3)
    return rule_of_thumb(a.d_model) / built_block(a)[1] - 1


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "Attention has four d × d matrices, a feed-forward layer of width 4d has two of d × 4d: together 4d² + 8d² = 12d² "
    "weights, exactly so in GPT-2 small.",
    fails_if={"gated": True},
)
def a_textbook_block(gated: bool = False) -> Evidence:
    a = replace(preset(GPT_2), gated=gated)
    return Evidence.exactly(
        "weight matrices of a block of GPT-2 small, built and counted, ÷ d²", built_block(a)[1] / a.d_model**2, 12
    )


@concept.says("Its biases and two LayerNorms add 13d, at d = 768 a seventh of a per cent.", fails_if={"biases": False})
def biases_and_norms(biases: bool = True) -> Evidence:
    a = preset(GPT_2)
    a = a if biases else replace(a, qkv_bias=False, out_bias=False, ffn_bias=False)
    everything, _ = built_block(a)
    return Evidence.exactly(
        "(block of GPT-2 small − 12 d²) ÷ d", (everything - rule_of_thumb(a.d_model)) / a.d_model, 13
    )


@concept.says(
    "A model is more than its layers: with a last norm and embeddings of 50,257 tokens and 1,024 positions, GPT-2 "
    "small has 124,439,808 parameters.",
    fails_if={"head": "untied"},
)
def the_whole_of_gpt_2(head: Head = "tied") -> Evidence:
    return Evidence.exactly(
        "parameters of GPT-2 small as built, the tied matrix once",
        count_built(build(replace(preset(GPT_2), head=head))),
        124_439_808,
    )


@concept.says(
    "Today's layers leave the rule: grouped key/value heads shrink attention, a gate adds a third feed-forward matrix; "
    "Llama 3 8B has 2.5d² + 10.5d² = 13d².",
    fails_if={"n_kv_heads": 32},
)
def a_modern_block(n_kv_heads: int = 8) -> Evidence:
    a = replace(preset(LLAMA_3), n_kv_heads=n_kv_heads)
    return Evidence.exactly("weight matrices of a block of Llama 3 8B ÷ d²", built_block(a)[1] / a.d_model**2, 13)


@concept.says(
    "The count sets the memory: training with Adam in float32 holds 16 bytes per parameter, before any activation.",
    fails_if={"optimiser": "sgd"},
)
def memory_of_training(optimiser: Literal["adam", "sgd"] = "adam") -> Evidence:
    return Evidence.exactly(
        "bytes per parameter kept after one step: weight, gradient, the optimiser's moments",
        bytes_of_training(optimiser),
        16,
    )


@concept.says(
    "And the work: a token costs two operations per weight that multiplies it, and each layer of a GPT-2 adds 4d for "
    "every token attended to.",
    fails_if={"every_parameter": True},
)
def work_of_a_token(every_parameter: bool = False, n: int = 64) -> Evidence:
    a = replace(preset(GPT_2), d_model=96, n_layers=2, d_ff=384, vocab=1000)  # small enough to run
    one = flops_per_token(a, n)
    expected = n * (2 * a.parameters + one.attention if every_parameter else one.total)
    return Evidence.exactly(
        "FLOPs of the matrix products made ÷ by the formula (a GPT-2 with d = 96, 2 layers, 64 tokens)",
        counted_flops(a, n) / expected,
        1,
    )


# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "A layer has 12 d² parameters, so the model has 12 d² times the number of layers.",
    better="12 d² leaves out 13 d per layer, which is little, and the embeddings, which are not: in GPT-2 small the "
    "rule misses more than 30 % of the model. In OPT 175B it misses less than half a per cent.",
    fails_if={"model": "OPT 175B"},
)
def the_rule_misses_the_embeddings(model: str = GPT_2) -> Evidence:
    a = preset(model)
    return Evidence.below(
        f"12 d² × layers ÷ all parameters of {model}", rule_of_thumb(a.d_model) * a.blocks / count_built(build(a)), 0.7
    )


@concept.corrects(
    "Attention has 4 d² parameters.",
    better="With full multi-head attention whose heads are d/h wide. If g key/value heads serve h query heads, it is "
    "(2 + 2 g/h) d²: 2.5 d² in Llama 3 8B. And the heads may be wider: in Gemma 7B they make attention 16/3 d².",
    fails_if={"n_kv_heads": 32},
    source=AINSLIE,
)
def grouped_heads_are_fewer(n_kv_heads: int = 8) -> Evidence:
    a = replace(preset(LLAMA_3), n_kv_heads=n_kv_heads)
    attention = build(replace(a, n_layers=1)).stack[0].get_submodule("block.0.attention")
    return Evidence.exactly("parameters of attention in Llama 3 8B ÷ d²", count_built(attention) / a.d_model**2, 2.5)


@concept.corrects(
    "The feed-forward layer has 8 d² parameters.",
    better="With two matrices of width 4d. A gate makes it three, 3·d·d_ff, which is 8 d² only for d_ff = 8/3 d, as in "
    "Phi-3 mini. Llama 3 8B takes 3.5 d and has 10.5 d².",
    fails_if={"model": "Phi-3 mini"},
    source=SHAZEER,
)
def a_gate_is_a_third_matrix(model: str = LLAMA_3) -> Evidence:
    a = preset(model)
    layer = build(replace(a, n_layers=1)).stack[0].get_submodule("block.0.feed_forward")
    return Evidence.above(f"parameters of the feed-forward layer of {model} ÷ d²", count_built(layer) / a.d_model**2, 8)


@concept.corrects(
    "More heads mean more parameters.",
    better="Heads divide the width: with h heads of width d/h the matrices stay d × d. GPT-2 small has as many "
    "parameters with 1 head as with 768. Only heads of a fixed width cost more.",
    fails_if={"fixed_width": 64},
    source=VASWANI_2017.at("§3.2.2"),
)
def heads_divide_the_width(fixed_width: int | None = None) -> Evidence:
    counts = [built_block(replace(preset(GPT_2), n_heads=h, head_dim=fixed_width))[0] for h in (1, 2, 12, 64, 768)]
    return Evidence.exactly(
        "largest − smallest block of GPT-2 small with 1, 2, 12, 64 and 768 heads", max(counts) - min(counts), 0
    )


@concept.corrects(
    "To count the parameters, add up the tensors of the state dict.",
    better="A tied matrix is in it under two names and is counted twice: 38.6 million too many for GPT-2 small. Buffers "
    "would be in it too. `sum(p.numel() for p in model.parameters())` counts every parameter once.",
    fails_if={"head": "untied"},
    source=PRESS_WOLF,
)
def a_state_dict_counts_twice(head: Head = "tied") -> Evidence:
    a = replace(preset(GPT_2), head=head, n_layers=1)
    model = build(a)
    return Evidence.exactly(
        "(numbers in the state dict − parameters) ÷ (V · d), GPT-2 small",
        (sum(t.numel() for t in model.state_dict().values()) - count_built(model)) / (a.vocab * a.d_model),
        1,
    )


@concept.corrects(
    "A 7B model has seven billion parameters.",
    better="The name is rounded, and not always to the nearest: Llama 2 7B has 6.74 billion, Gemma 7B 8.54 billion.",
    fails_if={"model": "Llama 2 7B"},
)
def a_name_is_not_a_count(model: str = "Gemma 7B") -> Evidence:
    return Evidence.above(f"parameters of {model}", count_built(build(preset(model))), 7.5e9)


# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Where do the 13 d come from?",
    "Biases of Q, K, V and O: 4d. Biases of the feed-forward layer: 4d and d. Two LayerNorms with scale and shift: 4d. "
    "Together 13d.",
)
concept.pushes_back(
    "And a decoder layer with cross-attention?",
    "Four more matrices, 4d² with full heads, so 16d² in all; with biases 4d more, and 2d for one more LayerNorm.",
    VASWANI_2017.at("§3.1"),
)
concept.pushes_back(
    "A mixture of experts has 47 billion parameters: does a token pay for all of them?",
    "In memory yes, in work no. Mixtral 8x7B keeps 8 feed-forward layers per block and sends each token to 2: of its "
    "46.7 billion parameters a token uses 12.9 billion.",
    MIXTRAL,
)
concept.pushes_back(
    "How much memory does the KV cache take?",
    "Two vectors per layer and token: 2 · L · g · d_h numbers. For Llama 3 8B in 16 bits that is 131 kB (128 KiB) per "
    "token, so a text of 8,192 tokens takes 1.07 GB (1 GiB). With one key/value head per query head it would be four times as much.",
    AINSLIE,
)
concept.pushes_back(
    "When does attention's own work outgrow that of the weights?",
    "For a token that sees n others, in blocks of 12 d²: at n = 6d, since 2 · 12 d² = 4·n·d; for d = 768 that is 4,608. "
    "Averaged over a causal text a token sees half of it, which makes it 12d, the figure of Kaplan et al. The output head "
    "multiplies too and postpones it: in GPT-2 small, as the lab shows, beyond 6,000.",
    KAPLAN.at("§2.1"),
)

concept.reads(
    VASWANI_2017.at("§3.2.2 and §3.3"), KAPLAN, GEVA_2021.at("§1"), AINSLIE, SHAZEER, PRESS_WOLF, ZERO, MIXTRAL
)

# ---------------------------------------------------------------------------------------------- to take away


def settings(a: Architecture) -> dict[str, Any]:
    """The values of an architecture for the program below, with nothing left to a default."""
    return {**asdict(a), "n_kv_heads": a.kv_heads, "head_dim": a.d_head}


@concept.writes(
    """
import torch
from torch import nn

d, layers, decoder_layers, kind = $d_model, $n_layers, $decoder_layers, $kind
heads, kv_heads, d_head = $n_heads, $n_kv_heads, $head_dim
d_ff, gated, experts, experts_used = $d_ff, $gated, $experts, $experts_used
qkv_bias, out_bias, ffn_bias = $qkv_bias, $out_bias, $ffn_bias
norm, block_norms, final_norm, embedding_norm, qk_norm = (
    $norm, $block_norms, $final_norm, $embedding_norm, $qk_norm
)
vocab, positions, buckets, token_types = $vocab, $positions, $relative_buckets, $token_types
head, head_bias, pooler = $head, $head_bias, $pooler

wide, narrow = heads * d_head, kv_heads * d_head
norm_of = {
    "layer": lambda: nn.LayerNorm(d),
    "layer, no bias": lambda: nn.LayerNorm(d, bias=False),
    "rms": lambda: nn.RMSNorm(d),
    "no parameters": lambda: nn.LayerNorm(d, elementwise_affine=False),
}[norm]


def attention():
    shapes = [(d, wide, qkv_bias), (d, narrow, qkv_bias), (d, narrow, qkv_bias), (wide, d, out_bias)]
    widths = {"none": (), "head": (d_head, d_head), "full": (wide, narrow)}[qk_norm]
    return [nn.Linear(i, o, bias=b) for i, o, b in shapes] + [nn.RMSNorm(w) for w in widths]


def feed_forward():
    inner = [nn.Linear(d, d_ff, bias=ffn_bias) for _ in range(2 if gated else 1)]
    return [*inner, nn.Linear(d_ff, d, bias=ffn_bias)]


def block(cross):
    parts = attention() + [norm_of() for _ in range(block_norms)]
    if cross:
        parts += [*attention(), norm_of()]
    for _ in range(experts):
        parts += feed_forward()
    if experts > 1:
        parts.append(nn.Linear(d, experts, bias=False))  # the router
    return nn.ModuleList(parts)


def stack(depth, cross):
    parts = [block(cross) for _ in range(depth)]
    parts += [nn.Embedding(positions, d)] if positions else []
    parts += [nn.Embedding(buckets, heads)] if buckets else []
    parts += [norm_of() for _ in range(embedding_norm + final_norm)]
    return nn.ModuleList(parts)


with torch.device("meta"):  # shapes without storage: 70 billion parameters cost nothing
    model = nn.ModuleList([nn.Embedding(vocab, d), stack(layers, cross=False)])
    if decoder_layers:
        model.append(stack(decoder_layers, cross=True))
    if token_types:
        model.append(nn.Embedding(token_types, d))
    if pooler:
        model.append(nn.Linear(d, d))
    if head != "none":
        model.append(nn.Linear(d, vocab, bias=head_bias))
        if head == "tied":
            model[-1].weight = model[0].weight  # one matrix: parameters() yields it once

for name, part in zip(("encoder", "decoder") if decoder_layers else (kind,), model[1:], strict=False):
    print(f"one {name} block: {sum(p.numel() for p in part[0].parameters()):,}")
print(f"the rule of thumb 12 d**2: {12 * d**2:,}")
if experts > 1:
    print(f"experts: {experts}, used by a token: {experts_used}")
print(f"all parameters: {sum(p.numel() for p in model.parameters()):,}")
""",
    settings(preset(GPT_2)),
    settings(preset(LLAMA_3)),
    settings(preset("T5 small")),
    settings(preset("Mixtral 8x7B")),
    settings(preset("BERT base")),
    settings(replace(preset("Phi-1.5"), norm="no parameters", qk_norm="full")),
)
def total_parameters(**architecture: Any) -> float:
    return float(Architecture(**architecture).parameters)
