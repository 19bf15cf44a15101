"""Question 15: how many parameters does a Transformer layer have?"""

from dataclasses import replace
from typing import Any, Literal

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.parameters import (
    GPT_2,
    LLAMA_3,
    buffered,
    built_block,
    built_model,
    bytes_of_training,
    cache_written,
    full_heads,
    numbers_in,
    settings,
    work,
)
from core.models import build, built_counts, count_built
from core.ops.counting import Architecture, Head, rule_of_thumb
from core.presets import preset
from core.sources import (
    AINSLIE_2023,
    GEMMA_2024,
    GEVA_2021,
    GPT_2_README,
    GPT_OSS,
    LLAMA_2_2023,
    LLAMA_3_2024,
    LLAMA_2023,
    RADFORD_2019,
    VASWANI_2017,
)

concept = Concept(
    __name__,
    equation=r"\underbrace{\query{d^2} + \key{d^2} + \value{d^2} + d^2}_{\text{attention}} \;+\; "
    r"\underbrace{2 \cdot 4d \cdot d}_{\text{feed-forward}} \;+\; \underbrace{13\,d}_{\text{biases, norms}} \;=\; "
    r"\disputed{12\,d^2} + 13\,d",
    words=("d²", "W_Q … W_O", "W_up, W_down"),
)

KAPLAN = Source("Kaplan et al. 2020", "Scaling Laws for Neural Language Models", "arXiv 2001.08361")
SHAZEER = Source("Shazeer 2020", "GLU Variants Improve Transformer", "arXiv 2002.05202")
PRESS_WOLF = Source("Press and Wolf 2017", "Using the Output Embedding to Improve Language Models", "arXiv 1608.05859")
ZERO = Source(
    "Rajbhandari et al. 2020",
    "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
    "arXiv 1910.02054",
)
LAN = Source(
    "Lan et al. 2020",
    "ALBERT: A Lite BERT for Self-supervised Learning of Language Representations",
    "arXiv 1909.11942",
)
# Where the dimensions of the models stand that sentences name.
# The report does not give the width of its feed-forward layer.
PHI_3_CONFIG = Source(
    "Microsoft 2024",
    "Phi-3-mini-4k-instruct, config.json",
    "https://huggingface.co/microsoft/Phi-3-mini-4k-instruct/blob/main/config.json",
)
STATE_DICT = Source(
    "PyTorch",
    "torch.nn.Module.state_dict",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.state_dict",
)
FALCON_REPORT = Source("Almazrouei et al. 2023", "The Falcon Series of Open Language Models", "arXiv 2311.16867")
OPT_REPORT = Source("Zhang et al. 2022", "OPT: Open Pre-trained Transformer Language Models", "arXiv 2205.01068")
MIXTRAL = Source("Jiang et al. 2024", "Mixtral of Experts", "arXiv 2401.04088")
MISTRAL = Source("Jiang et al. 2023", "Mistral 7B", "arXiv 2310.06825")

# ---------------------------------------------------------------------------------------------- in one sentence


@concept.in_one_sentence(
    "A layer like GPT-2’s has 12 d² weights, a third of them in attention and two thirds in the feed-forward layer, and 13 d "
    "biases and norm parameters more: 7,087,872 in all at d = 768.",
    fails_if=({"gated": True}, {"n_kv_heads": 1}, {"biases": False}),
)
def a_layer_like_gpt_2s(gated: bool = False, n_kv_heads: int | None = None, biases: bool = True) -> Evidence:
    a = replace(preset(GPT_2), gated=gated, n_kv_heads=n_kv_heads, qkv_bias=biases)
    block = built_block(a)
    off = []
    for heads in (1, 12, 25, 96):  # of width 64, up to d = 6,144
        d = 64 * heads
        wider = built_block(replace(a, d_model=d, n_heads=heads, d_ff=4 * d))
        off.append(abs(wider.parameters - rule_of_thumb(d) - 13 * d))
    return (
        Evidence.exactly("parameters of one layer of GPT-2 small, built and counted", block.parameters, 7_087_872)
        & Evidence.exactly("its feed-forward matrices ÷ those of attention", block.feed_forward / block.attention, 2)
        & Evidence.exactly("layers of d = 64 to 6,144: the most that one is off from 12 d² + 13 d", max(off), 0)
    )


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "Llama 3 8B: 4 query heads per key/value head, 3 feed-forward matrices d × 3.5 d. How many d² a layer?",
    Option(
        "10.5",
        10.5,
        10.6,
        "The feed-forward layer alone, 3 · 3.5 d². Or, by chance as many, 2.5 d² of attention and 8 d² of the two matrices of "
        "the textbook: gate and width forgotten.",
    ),
    Option(
        "12",
        12,
        12.1,
        "The rule of thumb, 4 d² + 8 d². It is for full heads and two matrices of d × 4 d, and neither is so here.",
    ),
    Option(
        "13",
        13,
        13.1,
        "Attention keeps d² for queries, d² for the output, and a quarter each for keys and values, 2.5 d². The "
        "feed-forward layer has 3 · 3.5 d².",
    ),
    Option("14.5", 14.5, 14.6, "Full heads, 4 d² + 10.5 d². Or the width forgotten, 2.5 d² + 3 · 4 d²."),
    shows="Built by PyTorch and counted just now: exactly {0} d² in matrices; its two norms add 2 d. Move the slider to Llama 3 8B "
    "to see it.",
)
def a_layer_in_squares() -> float:
    a = preset(LLAMA_3)
    block = built_block(a)
    return (block.attention + block.feed_forward) / a.d_model**2


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "GPT-2’s layer has 12 d² weights: attention’s four matrices 4 d², the feed-forward layer’s two 8 d².",
    fails_if=({"gated": True}, {"n_kv_heads": 4}),
)
def a_textbook_block(gated: bool = False, n_kv_heads: int = 12) -> Evidence:
    a = replace(preset(GPT_2), gated=gated, n_kv_heads=n_kv_heads)
    block, (_, kinds) = built_block(a), built_model(a)
    matrices = {
        part: sum(path.startswith(f"{part}.") and path.endswith("weight") for path in kinds)
        for part in ("attention", "feed_forward")
    }
    return (
        Evidence.exactly(
            "matrices of attention in a layer of GPT-2 small, built and counted, ÷ d²",
            block.attention / a.d_model**2,
            4,
        )
        & Evidence.exactly("matrices of its feed-forward layer ÷ d²", block.feed_forward / a.d_model**2, 8)
        & Evidence.exactly("how many matrices, four and two", sum(matrices.values()), 6)
        & Evidence.exactly("attention’s less the other’s", matrices["attention"] - matrices["feed_forward"], 2)
    )


@concept.says("Biases and LayerNorms add 13 d.", fails_if={"biases": False})
def biases_and_norms(biases: bool = True) -> Evidence:
    a = preset(GPT_2)
    a = a if biases else replace(a, qkv_bias=False, out_bias=False, ffn_bias=False)
    rest = built_block(a).parameters - rule_of_thumb(a.d_model)
    return Evidence.exactly("(layer of GPT-2 small − 12 d²) ÷ d", rest / a.d_model, 13)


@concept.says("Embeddings included, GPT-2 small has 124,439,808.", fails_if={"head": "untied"})
def the_whole_of_gpt_2(head: Head = "tied") -> Evidence:
    return Evidence.exactly(
        "parameters of GPT-2 small as built, the tied matrix once",
        built_counts(replace(preset(GPT_2), head=head))[0],
        124_439_808,
    )


@concept.says(
    "In Llama 3 8B grouped heads leave attention 2.5 d², three matrices of width 3.5 d make 10.5 d²: 13 d².",
    fails_if=({"n_kv_heads": 32}, {"gated": False}, {"d_ff": 16_384}),
)
def a_modern_block(n_kv_heads: int = 8, gated: bool = True, d_ff: int = 14_336) -> Evidence:
    a = replace(preset(LLAMA_3), n_kv_heads=n_kv_heads, gated=gated, d_ff=d_ff)
    block, (_, kinds) = built_block(a), built_model(a)
    attention, feed_forward = (n / a.d_model**2 for n in (block.attention, block.feed_forward))
    three = kinds["feed_forward.up.weight"] / a.n_layers / a.d_model**2
    return (
        Evidence.exactly("matrices of attention in a layer of Llama 3 8B ÷ d²", attention, 2.5)
        & Evidence.exactly("matrices of its feed-forward layer ÷ d²", feed_forward, 10.5)
        & Evidence.exactly("width of one of them ÷ d", three, 3.5)
        & Evidence.exactly("how many they are", feed_forward / three, 3)
        & Evidence.exactly("all matrices of the layer ÷ d²", attention + feed_forward, 13)
    )


# ---------------------------------------------------------------------------------------------- looks, an argument


@concept.looks_closer(
    "whole",
    "A model is more than its layers: 12 d² × 12 leaves out 32 % of GPT-2 small.",
    fails_if=({"small": "OPT 175B"}, {"large": GPT_2}, {"positions": False}),
)
@concept.corrects(
    "A layer has 12 d² parameters, so the model has 12 d² times the number of layers.",
    better="12 d² leaves out biases and norms, which are little, and the embeddings, which need not be: with a tied output "
    "head N ≈ 12 L d² + V d + P d. Of GPT-2 small the rule misses 32 %, of OPT 175B less than half a per cent.",
    fails_if=({"small": "OPT 175B"}, {"large": GPT_2}, {"positions": False}),
    source=(RADFORD_2019, GPT_2_README, OPT_REPORT),
)
def the_rule_misses_the_embeddings(small: str = GPT_2, large: str = "OPT 175B", positions: bool = True) -> Evidence:
    missed, longer = {}, []
    for name in (small, large):
        a, (built, _) = preset(name), built_model(preset(name))
        layers = rule_of_thumb(a.d_model) * a.blocks
        missed[name] = 1 - layers / built
        longer.append(abs(1 - (layers + a.d_model * (a.vocab + (a.positions if positions else 0))) / built))
    return (
        Evidence.between(f"share of {small} that 12 d² × layers misses: 32 %, as rounded", missed[small], 0.315, 0.325)
        & Evidence.between(f"the same share of {large}", missed[large], 0, 0.005)
        & Evidence.below("the larger share that 12 L d² + V d + P d misses", max(longer), 0.001)
    )


@concept.looks_closer(
    "memory",
    "Training with Adam in float32 keeps 16 bytes per parameter, before any activation.",
    fails_if=({"optimiser": "sgd"}, {"bits": 16}),
)
@concept.says(
    "Training with Adam in float32 keeps 16 bytes per parameter.", fails_if=({"optimiser": "sgd"}, {"bits": 16})
)
def memory_of_training(optimiser: Literal["adam", "sgd"] = "adam", bits: int = 32) -> Evidence:
    return Evidence.exactly(
        "bytes per parameter kept after one step: weight, gradient, the optimiser’s moments",
        bytes_of_training(optimiser, bits),
        16,
    )


@concept.says(
    "Forward, a weight costs two FLOPs per token it meets; attention between positions adds more.",
    fails_if=({"lookups": True}, {"attention_counted": True}, {"seen": 0}),
)
def two_operations_per_weight(lookups: bool = False, attention_counted: bool = False, seen: int = 32) -> Evidence:
    a = small_enough_to_run()
    weights, attention = work(a)
    between = attention * seen
    multiplying = a.parameters - sum(
        t.total for t in a.terms if not t.matrix or (t.path.startswith("position") and not lookups)
    )
    return Evidence.exactly(
        "FLOPs of the matrix products made with weights ÷ weights that multiply (a GPT-2 with d = 96, 2 layers)",
        (weights + between if attention_counted else weights) / multiplying,
        2,
    ) & Evidence.above("FLOPs of the products between positions for a token that sees 32", between, 0)


def small_enough_to_run() -> Architecture:
    """A GPT-2 whose matrix products are really made while you wait."""
    return replace(preset(GPT_2), d_model=96, n_layers=2, d_ff=384, vocab=1000)


@concept.looks_closer(
    "work",
    "In layers of 12 d², attention’s own work would equal the weights’ at 6 d tokens seen.",
    fails_if=({"average": True}, {"head": "tied"}),
)
def attention_catches_up(average: bool = False, head: Head = "none") -> Evidence:
    a = replace(small_enough_to_run(), head=head)
    weights, attention = work(a)
    attention *= 0.5 if average else 1
    return Evidence.exactly(
        "FLOPs for one more token seen, per layer, ÷ d (a GPT-2 with d = 96, 2 layers)",
        attention / a.n_layers / a.d_model,
        4,
    ) & Evidence.exactly("FLOPs through the weights of the layers ÷ that, in d", weights / attention / a.d_model, 6)


@concept.looks_closer(
    "cache",
    "What is read costs memory too: in 16 bits, Llama 3 8B keeps 128 KiB of keys and values a token.",
    fails_if={"shared": False},
)
@concept.corrects(
    "The memory of serving a model is its weights.",
    better="And the keys and values of every token that it has read, the KV cache: in Llama 3 8B 128 KiB per token in 16 bits, and four "
    "times as much if its query heads did not share them.",
    fails_if={"shared": False},
    source=(AINSLIE_2023, LLAMA_3_2024),
)
def keys_and_values_are_kept(shared: bool = True) -> Evidence:
    a = preset(LLAMA_3)
    each = cache_written(a if shared else full_heads(a))
    return Evidence.exactly(
        "KiB that the key and value projections of the built model write per token, in bfloat16", each / 1024, 128
    ) & Evidence.exactly("with a key/value head for every query head ÷ that", cache_written(full_heads(a)) / each, 4)


# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "Attention has 4 d² parameters.",
    better="So it has with full multi-head attention whose heads are d/h wide, biases aside. If g key/value heads of that "
    "width serve h query heads, it is (2 + 2 g/h) d²: 2.5 d² in Llama 3 8B. And heads may be wider: those of Gemma 7B make "
    "it 16/3 d².",
    fails_if=({"n_kv_heads": 32}, {"head_dim": 192}),
    source=(AINSLIE_2023, LLAMA_3_2024, GEMMA_2024),
)
def attention_is_not_always_four(n_kv_heads: int = 8, head_dim: int = 256) -> Evidence:
    llama = replace(preset(LLAMA_3), n_kv_heads=n_kv_heads)
    gemma = replace(preset("Gemma 7B"), head_dim=head_dim)
    return Evidence.exactly(
        "matrices of attention in Llama 3 8B ÷ d²", built_block(llama).attention / llama.d_model**2, 2.5
    ) & Evidence.exactly("3 × those in Gemma 7B ÷ d²", 3 * built_block(gemma).attention / gemma.d_model**2, 16)


@concept.corrects(
    "The feed-forward layer has 8 d² parameters.",
    better="With two matrices of width 4 d, biases aside. A gate makes it three, 3·d·d_ff, which is 8 d² only for d_ff = 8/3 d (question 18), "
    "as in Phi-3 mini. Llama 3 8B takes 3.5 d and has 10.5 d².",
    fails_if={"gated": False},
    source=(SHAZEER, PHI_3_CONFIG, LLAMA_3_2024),
)
def a_gate_is_a_third_matrix(gated: bool = True) -> Evidence:
    phi, llama = (replace(preset(name), gated=gated) for name in ("Phi-3 mini", LLAMA_3))
    return Evidence.exactly(
        "matrices of the feed-forward layer of Phi-3 mini ÷ d²", built_block(phi).feed_forward / phi.d_model**2, 8
    ) & Evidence.exactly("of Llama 3 8B ÷ d²", built_block(llama).feed_forward / llama.d_model**2, 10.5)


@concept.corrects(
    "A layer has about 12 d² parameters, whatever the model.",
    better="GPT-2 small has 0.14 % more, Llama 2 7B 0.52 %. For Llama 3 8B the rule counts 7.7 % too few, for Mixtral 8x7B, which keeps eight "
    "feed-forward layers, 86 % too few; for Falcon 7B, whose query heads share one key/value head, 20 % too many.",
    source=(RADFORD_2019, LLAMA_2_2023, LLAMA_2023, LLAMA_3_2024, MIXTRAL, FALCON_REPORT),
    fails_if=(
        {"llama": {"gated": False}},
        {"mixtral": {"experts": 1, "experts_used": 1}},
        {"falcon": {"n_kv_heads": 71}},
        {"biases": False},
        {"llama_2": {"gated": False}},
    ),
)
def twelve_is_one_design(
    llama: dict[str, Any] | None = None,
    mixtral: dict[str, Any] | None = None,
    falcon: dict[str, Any] | None = None,
    biases: bool = True,
    llama_2: dict[str, Any] | None = None,
) -> Evidence:
    def off(name: str, **change: Any) -> float:
        a = replace(preset(name), **change)
        return 100 * (rule_of_thumb(a.d_model) / built_block(a).parameters - 1)

    more = {} if biases else {"qkv_bias": False, "out_bias": False, "ffn_bias": False}
    return (
        Evidence.between("12 d² ÷ layer of GPT-2 small − 1, in per cent", off(GPT_2, **more), -0.145, -0.135)
        & Evidence.between("of Llama 2 7B: −0.52", off("Llama 2 7B", **(llama_2 or {})), -0.525, -0.515)
        & Evidence.between("of Llama 3 8B: −7.7, as rounded", off(LLAMA_3, **(llama or {})), -7.75, -7.65)
        & Evidence.between("of Mixtral 8x7B: −86", off("Mixtral 8x7B", **(mixtral or {})), -86.5, -85.5)
        & Evidence.between("of Falcon 7B: 20", off("Falcon 7B", **(falcon or {})), 19.5, 20.5)
    )


@concept.corrects(
    "More heads mean more parameters.",
    better="Heads divide the width (question 3): with h full heads of width d/h the matrices stay d × d. GPT-2 small has as many "
    "parameters with 1 head as with 768. More full heads cost more if their width does not shrink as fast: if it is fixed, or "
    "if 24 of 48 take the place of 12 of 64.",
    fails_if=({"divided": 64}, {"fixed": None}, {"narrower": 32}),
    source=VASWANI_2017.at("§3.2.2"),
)
def heads_divide_the_width(divided: int | None = None, fixed: int | None = 64, narrower: int = 48) -> Evidence:
    more = built_block(replace(preset(GPT_2), n_heads=24, head_dim=narrower)).parameters

    def blocks(width: int | None) -> list[int]:
        return [built_block(replace(preset(GPT_2), n_heads=h, head_dim=width)).parameters for h in (1, 12, 768)]

    counts, few_to_many = blocks(divided), blocks(fixed)
    return (
        Evidence.exactly(
            "largest − smallest layer of GPT-2 small with 1, 12 and 768 heads", max(counts) - min(counts), 0
        )
        & Evidence.above("layer with 768 heads of width 64 ÷ layer with 12 of them", few_to_many[2] / few_to_many[1], 1)
        & Evidence.above(
            f"layer with 24 heads of width {narrower} ÷ layer with 12 of width 64", more / few_to_many[1], 1
        )
    )


@concept.corrects(
    "To count the parameters, add up the tensors of the state dict.",
    better="A tied matrix is in it under two names and is counted twice: 38.6 million too many for GPT-2 small. Persistent "
    "buffers, such as a mask, are in it too. `sum(p.numel() for p in model.parameters())` counts every parameter once.",
    fails_if=({"head": "untied"}, {"persistent": False}),
    source=(STATE_DICT, PRESS_WOLF),
)
def a_state_dict_counts_twice(head: Head = "tied", persistent: bool = True) -> Evidence:
    model = build(replace(preset(GPT_2), head=head))
    twice = numbers_in(model) - count_built(model)
    return Evidence.exactly(
        "numbers in the state dict of GPT-2 small − its parameters", twice, 38_597_376
    ) & Evidence.exactly("the same for a layer that keeps a mask of 8 × 8 as a buffer", buffered(persistent), 64)


@concept.corrects(
    "A 7B model has seven billion parameters.",
    better="The name is rounded, and not always to the nearest: Llama 2 7B has 6.74 billion, Gemma 7B 8.54 billion.",
    fails_if=({"llama": "Gemma 7B"}, {"gemma": "Llama 2 7B"}),
    source=(LLAMA_2023.at("table 2"), LLAMA_2_2023, GEMMA_2024.at("table 1")),
)
def a_name_is_not_a_count(llama: str = "Llama 2 7B", gemma: str = "Gemma 7B") -> Evidence:
    built = [built_model(preset(name))[0] for name in (llama, gemma)]
    return Evidence.exactly(f"parameters of {llama}", built[0], 6_738_415_616) & Evidence.exactly(
        f"parameters of {gemma}", built[1], 8_537_680_896
    )


# ---------------------------------------------------------------------------------------------- the usual answer, checked

concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS_IF,
    "If the heads together are d wide and each query head has keys and values of its own; biases aside. With g key/value "
    "heads for h query heads it is (2 + 2 g/h) d²: 2.5 d² in Llama 3 8B. The wider heads of Gemma 7B make it 16/3 d².",
    by=attention_is_not_always_four,
    source=(AINSLIE_2023, LLAMA_3_2024, GEMMA_2024),
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS_IF,
    "If it has two matrices; biases aside. A gate makes it three, and 8 d² only at a width of 8/3 d, as in Phi-3 mini: "
    "Llama 3 8B takes 3.5 d and has 10.5 d².",
    by=a_gate_is_a_third_matrix,
    source=(SHAZEER, PHI_3_CONFIG, LLAMA_3_2024),
)
concept.judges(
    concept.topic.usual[2],
    Verdict.HOLDS_IF,
    "With full heads, together d wide, and a feed-forward layer of about 8 d²: GPT-2 small has 0.14 % more, Llama 2 7B 0.52 %. For Llama 3 8B the rule counts 7.7 % "
    "too few, for Mixtral 8x7B with its eight feed-forward layers 86 % too few, for Falcon 7B with one key/value head 20 % "
    "too many.",
    by=twelve_is_one_design,
    source=(RADFORD_2019, LLAMA_2_2023, LLAMA_2023, LLAMA_3_2024, MIXTRAL, FALCON_REPORT),
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Where do the 13 d come from, and what does cross-attention add?",
    "Biases of Q, K, V and O: 4 d. Biases of the feed-forward layer: 4 d and d. Two LayerNorms with scale and shift: 4 d. "
    "Together 13 d. Cross-attention: four more matrices with biases, and a LayerNorm: 4 d² + 6 d with full heads (questions 5 and 12).",
    VASWANI_2017.at("§3.1"),
)
concept.pushes_back(
    "Why is the feed-forward layer twice attention?",
    "Because d_ff = 4 d, in the original Transformer 2,048 for d = 512, and the heads together are d wide: 2 · 4 d² against 4 d². Counting does not ask for it: Llama 3 8B has 10.5 d² "
    "against 2.5 d². What the ratio is good for is question 18.",
    (VASWANI_2017.at("§3.3"), LLAMA_3_2024),
)
concept.pushes_back(
    "From 13 d² to all of Llama 3 8B: is 32 · 13 d² the eight billion?",
    "That is 6.98 billion. The embedding is V d with V = 128,256, and the output head is a matrix of its own, so V d once "
    "more: 1.05 billion together. With the norms 8,030,261,248. A longer context adds none: its positions are rotated, not "
    "learned.",
    LLAMA_3_2024,
)
concept.pushes_back(
    "The GPT-2 paper says 117M. Which is right?",
    "124,439,808. The paper’s table says 117M, and OpenAI’s repository later called those counts an error. Its dimensions, 12 "
    "layers and d = 768, add up to 124 million. Had the output head not been tied, it would be 163 million.",
    (RADFORD_2019, GPT_2_README),
)
concept.pushes_back(
    "A mixture of experts has 47 billion parameters: does a token pay for all of them?",
    "In memory yes, in work no. Mixtral 8x7B keeps 8 feed-forward layers where others have one, and sends each token to 2: of its "
    "46.7 billion parameters, embedding and output head included, a token uses 12.9 billion.",
    MIXTRAL,
)

concept.reads(
    VASWANI_2017.at("§3.2.2 and §3.3"),
    KAPLAN,
    GEVA_2021.at("§1"),
    AINSLIE_2023,
    SHAZEER,
    PRESS_WOLF,
    ZERO,
    LAN.at("§3.1"),
    RADFORD_2019,
    GPT_2_README,
    OPT_REPORT,
    FALCON_REPORT,
    LLAMA_2023,
    LLAMA_2_2023,
    LLAMA_3_2024,
    GEMMA_2024,
    PHI_3_CONFIG,
    MIXTRAL,
    MISTRAL,
    GPT_OSS,
    STATE_DICT,
)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import torch
from torch import nn

d, layers, decoder_layers, kind = $d_model, $n_layers, $decoder_layers, $kind
heads, kv_heads, d_head = $n_heads, $n_kv_heads, $head_dim
d_ff, gated, experts, experts_used = $d_ff, $gated, $experts, $experts_used
qkv_bias, k_bias, out_bias, ffn_bias = $qkv_bias, $k_bias, $out_bias, $ffn_bias
router_bias, sinks, shared_layers = $router_bias, $sinks, $shared_layers
norm, block_norms, final_norm, embedding_norm, qk_norm = (
    $norm, $block_norms, $final_norm, $embedding_norm, $qk_norm
)
vocab, positions, buckets, token_types = $vocab, $positions, $relative_buckets, $token_types
embedding, narrow = $embedding_width, $narrow
head, head_bias, pooler = $head, $head_bias, $pooler

wide, shared = heads * d_head, kv_heads * d_head
projected = embedding != d
summed = projected and narrow == "sum"  # what is projected to d: the sum with positions and types, or the tokens alone
inside = embedding if summed else d


def norm_of(width=d):
    if norm == "rms":
        return nn.RMSNorm(width)
    return nn.LayerNorm(width, elementwise_affine=norm != "no parameters", bias=norm == "layer")


def attention():
    shapes = [(d, wide, qkv_bias), (d, shared, k_bias), (d, shared, qkv_bias), (wide, d, out_bias)]
    widths = {"none": (), "head": (d_head, d_head), "full": (wide, shared)}[qk_norm]
    parts = [nn.Linear(i, o, bias=b) for i, o, b in shapes] + [nn.RMSNorm(w) for w in widths]
    return parts + ([nn.ParameterList([torch.empty(heads)])] if sinks else [])


def feed_forward():
    shapes = [(d, d_ff)] * (2 if gated else 1) + [(d_ff, d)]
    if experts == 1:
        return [nn.Linear(i, o, bias=ffn_bias) for i, o in shapes]
    # One tensor for the same matrix of all experts, as libraries keep them.
    parts = [torch.empty(experts, o, i) for i, o in shapes]
    parts += [torch.empty(experts, o) for _, o in shapes] if ffn_bias else []
    return [nn.ParameterList(parts), nn.Linear(d, experts, bias=router_bias)]


def block(cross):
    parts = attention() + feed_forward() + [norm_of() for _ in range(block_norms)]
    return nn.ModuleList(parts + ([*attention(), norm_of()] if cross else []))


def stack(depth, cross):
    parts = [block(cross) for _ in range(1 if shared_layers else depth)]
    parts += [nn.Embedding(positions, inside)] if positions else []
    parts += [nn.Embedding(buckets, heads)] if buckets else []
    parts += [norm_of(inside)] if embedding_norm else []
    parts += [nn.Linear(embedding, d, bias=summed)] if projected else []
    parts += [norm_of()] if final_norm else []
    return nn.ModuleList(parts)


with torch.device("meta"):  # shapes without storage: 70 billion parameters cost nothing
    model = nn.ModuleList([nn.Embedding(vocab, embedding), stack(layers, cross=False)])
    if decoder_layers:
        model.append(stack(decoder_layers, cross=True))
    if token_types:
        model.append(nn.Embedding(token_types, inside))
    if pooler:
        model.append(nn.Linear(d, d))
    if head == "tied" and projected:
        model.append(nn.Linear(d, embedding, bias=summed))
    if head != "none":
        model.append(nn.Linear(embedding if head == "tied" else d, vocab, bias=head_bias))
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
    settings(preset("ALBERT base v2")),
    settings(preset("OPT 350M")),
    settings(preset("gpt-oss 20B")),
    settings(preset("Qwen3 235B-A22B")),
    settings(replace(preset("Phi-1.5"), norm="no parameters", qk_norm="full", k_bias=False)),
)
def total_parameters(**architecture: Any) -> float:
    return float(Architecture(**architecture).parameters)
