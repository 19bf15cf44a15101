"""Question 1: why is self-attention O(N²), and when does that matter?"""

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.quadratic_cost import (
    BLOCKS,
    MODELS,
    TOKENS,
    Seen,
    blockwise_errors,
    bytes_stored,
    computed,
    counted,
    exponentials,
    keys_meet_values_first,
    largest_made,
    products_of_blocks,
    rounding_bound,
    runs_over,
    saved_for_backward,
    work,
    write,
)
from core.presets import CONTEXTS
from core.sources import (
    AINSLIE_2023,
    DAO_2022,
    GEMMA_2_2024,
    GEMMA_2024,
    LLAMA_2_2023,
    LLAMA_3_2024,
    RADFORD_2018,
    RADFORD_2019,
    VASWANI_2017,
)

concept = Concept(
    __name__,
    equation=r"\text{FLOPs of a layer} = 2N\,(\,2Nd\ \text{in}\ \key{K}\ \text{and}\ \value{V} \;+\; 12\,d^2\ \text{in the weights}\,) = \disputed{4N^2d} + 24\,Nd^2",
    words=("N, d", "FLOP", "score", "head", "KV cache"),
)

MILAKOV = Source("Milakov and Gimelshein 2018", "Online normalizer calculation for softmax", "arXiv 1805.02867")
RABE = Source("Rabe and Staats 2021", "Self-attention Does Not Need O(n²) Memory", "arXiv 2112.05682")
KELES = Source("Duman Keles et al. 2022", "On The Computational Complexity of Self-Attention", "arXiv 2209.04881")
KATHAROPOULOS = Source(
    "Katharopoulos et al. 2020",
    "Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention",
    "arXiv 2006.16236",
)
POPE = Source("Pope et al. 2022", "Efficiently Scaling Transformer Inference", "arXiv 2211.05102")
JELASSI = Source(
    "Jelassi et al. 2024",
    "Repeat After Me: Transformers are Better than State Space Models at Copying",
    "arXiv 2402.01032",
)
SHAH = Source(
    "Shah et al. 2024",
    "FlashAttention-3: Fast and Accurate Attention with Asynchrony and Low-precision",
    "arXiv 2407.08608",
)
D = 64  # the width of the layers that are really run while you wait

# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "A layer like GPT-2’s reads 6 d tokens, then 12 d, and computes all scores. By what factor do its FLOPs grow?",
    Option(
        "2",
        1.5,
        2.5,
        "The FLOPs of the weights double. But at N = 6 d the scores and weighted sums are half of the work, and they grow fourfold.",
    ),
    Option(
        "3",
        2.5,
        3.5,
        "Half of the work is in the weights and doubles, half is quadratic and grows fourfold: ½ · 2 + ½ · 4.",
    ),
    Option(
        "4",
        3.5,
        4.5,
        "O(N²) says what wins in the end. At N = 6 d half of the work is still in the weights, and that half only doubles.",
    ),
    Option("8", 7.5, 8.5, "Nothing here grows like N³: pairs of tokens are counted, not triples."),
    shows="Counted just now in a real layer of width 16, for 96 tokens and for 192: the FLOPs are multiplied by {0}.",
)
def growth_from_6d_to_12d() -> float:
    d = 16
    return counted(12 * d, d).total / counted(6 * d, d).total


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "Dense self-attention scores each of N tokens against all N: N² dot products per head.",
    fails_if=({"seen": "causal"}, {"seen": "window"}, {"causal": "window"}),
)
def every_pair_has_a_score(seen: Seen = "all", causal: Seen = "causal") -> Evidence:
    few, many, half = (computed(*of).scores for of in ((32, seen), (64, seen), (32, causal)))
    return (
        Evidence.exactly("dot products of a head for 32 tokens ÷ 32²", few / 32**2, 1)
        & Evidence.exactly("for 64 tokens ÷ for 32", many / few, 4)
        & Evidence.exactly("by a kernel that skips what a causal mask hides ÷ 32 · 33/2", half / (32 * 33 / 2), 1)
    )


@concept.says(
    "With weighted sums that is 4 N² d FLOPs a layer, however many heads share d.",
    fails_if=({"wide_heads": True}, {"products": 1}, {"stored": 1}),
)
@concept.corrects(
    "h heads cost h times as much as one.",
    better="Their two products do not, 4 N² d FLOPs for any h, where the heads share the width (question 3). What h multiplies is the number of "
    "scores, h N²: the softmax over them, and their memory if they are stored.",
    fails_if=({"wide_heads": True}, {"products": 1}, {"stored": 1}),
    source=VASWANI_2017.at("§3.2.2"),
)
def heads_share_the_products(wide_heads: bool = False, products: int = 2, stored: int = 16) -> Evidence:
    n = D

    def scores(heads: int) -> float:
        each = counted(n, D * heads if wide_heads else D, heads).attention
        return each * products / 2

    return (
        Evidence.exactly("FLOPs of one head’s two products ÷ N² d, d = 64", scores(1) / (n**2 * D), 4)
        & Evidence.exactly("of 16 heads ÷ of one", scores(16) / scores(1), 1)
        & Evidence.exactly("bytes of the scores of 16 heads ÷ of one", bytes_stored(n, stored) / bytes_stored(n, 1), 16)
    )


@concept.in_one_sentence(
    "Dense attention scores each of N tokens against all N: with the weighted sums that takes 4 N² d FLOPs a layer, or about half "
    "if each skips the later ones. The weights of a layer like GPT-2’s take 24 N d², so the square is the larger part only beyond N = 6 d.",
    fails_if=(
        {"gated": True},
        {"crossover": 1},
        {"products": 1},
        {"skips": True},
        {"hidden": "all"},
        {"crossover": 12},
    ),
)
@concept.says(
    "In layers like GPT-2’s the weights take 24 N d²: the full square equals that at N = 6 d.",
    fails_if=(
        {"gated": True},
        {"crossover": 1},
        {"products": 1},
        {"skips": True},
        {"hidden": "all"},
        {"crossover": 12},
    ),
)
def the_square_meets_the_weights(
    gated: bool = False, crossover: int = 6, products: int = 2, skips: bool = False, hidden: Seen = "causal"
) -> Evidence:
    d = 16

    def at(n: int, seen: Seen = "causal", skips: bool = skips) -> tuple[int, float]:
        """A mask changes nothing as long as the whole square is computed, and hidden afterwards."""
        layer = counted(n, d, gated=gated)
        return layer.weights, layer.attention * products / 2 * computed(n, seen, skips).scores / n**2

    def share(n: int) -> float:
        weights, square = at(n)
        return square / (weights + square)

    off = [abs(a - b) for n in (d // 2, d) for a, b in zip(at(n), (24 * n * d**2, 4 * n**2 * d), strict=True)]
    weights, half = at(12 * d, hidden, skips=True)
    return (
        Evidence.exactly(
            "FLOPs of a real causal layer of d = 16, the most that it is off 24 N d² or 4 N² d", max(off), 0
        )
        & Evidence.exactly("share of attention’s products at N = 6 d", share(crossover * d), 0.5)
        & Evidence.below("at N = 5 d", share(crossover * d * 5 // 6), 0.5)
        & Evidence.above("at N = 7 d", share(crossover * d * 7 // 6), 0.5)
        & Evidence.exactly(
            "a kernel that skips what is hidden, at N = 12 d: its products ÷ the weights' · N/(N + 1)",
            half * 12 * d / (12 * d + 1) / weights,
            1,
        )
    )


# ---------------------------------------------------------------------------------------------- looks, an argument


@concept.looks_closer(
    "blocks",
    "The N × N matrix need not exist: block by block the outputs are the same, to rounding.",
    fails_if=({"rescale": False}, {"held": "whole"}, {"way": "plain"}, {"doubled": "fused"}),
)
@concept.says(
    "The N × N matrix need not be stored: block by block, attention is exact.",
    fails_if=({"rescale": False}, {"held": "whole"}, {"way": "plain"}, {"doubled": "fused"}),
)
def the_square_need_not_exist(
    rescale: bool = True, held: str = "a block", way: str = "fused", doubled: str = "plain"
) -> Evidence:
    def doubling(which: str) -> float:
        long, short = (saved_for_backward("fused" if which == "fused" else "plain", n) for n in (2048, 1024))
        return long / short

    return (
        Evidence.near(
            f"largest difference of the outputs from plain attention’s, float64, blocks of 1 to {BLOCKS[-1]} keys",
            float(blockwise_errors(rescale=rescale).max()),
            0,
            within=rounding_bound(),
        )
        & Evidence.exactly(
            "numbers in the largest tensor made, in blocks of 32 keys, ÷ 32 N",
            largest_made(TOKENS if held == "whole" else 32) / (32 * TOKENS),
            1,
        )
        & Evidence.exactly("bytes kept for the backward pass, 2,048 ÷ 1,024 tokens: fused kernel", doubling(way), 2)
        & Evidence.between("plain, one matrix after the other: 3.7, as rounded", doubling(doubled), 3.65, 3.75)
    )


concept.cites("Memory is then linear in N; time stays quadratic.", source=DAO_2022.at("theorem 1"))


# What the clock says is shown and not asserted: a busy machine may say anything.
@concept.looks_closer(
    "clock",
    "But the work stays quadratic: N doubled, four times the products, in blocks too.",
    fails_if=({"scores": "weights"}, {"kept": 0.5}, {"linear": "attention"}),
)
def the_work_stays_quadratic(scores: str = "attention", kept: float = 1.0, linear: str = "weights") -> Evidence:
    def doubled(part: str) -> float:
        return getattr(counted(2 * D, D), part) / getattr(counted(D, D), part)

    return (
        Evidence.exactly("FLOPs of attention’s two products, N doubled", doubled(scores), 4)
        & Evidence.exactly("in blocks of 32 keys, ÷ plain attention’s", products_of_blocks(32, kept=kept), 1)
        & Evidence.exactly("the same for twice as many tokens", products_of_blocks(32, 2 * TOKENS, kept=kept), 1)
        & Evidence.exactly("FLOPs of the weights, N doubled", doubled(linear), 2)
    )


@concept.looks_closer(
    "length",
    "Nothing in attention stops at 4,096: these models were published for 512 to 131,072 tokens.",
    fails_if=({"learned": 1024}, {"latest": "Llama 2 7B"}, {"first": "Llama 2 7B"}),
)
def no_length_is_built_in(learned: int = 0, first: str = MODELS[0], latest: str = MODELS[-1]) -> Evidence:
    return (
        Evidence.exactly("whether attention runs over 4,097 tokens, 1 = yes", float(runs_over(4097, learned)), 1)
        & Evidence.exactly(f"tokens that {first} was published for", CONTEXTS[first].tokens, 512)
        & Evidence.exactly(f"tokens that {latest} was published for", CONTEXTS[latest].tokens, 131_072)
    )


@concept.looks_closer(
    "writing",
    "With a KV cache, writing N tokens costs attention N² instead of N³; each step alone is linear.",
    fails_if=({"cached": False}, {"without": True}),
)
@concept.corrects(
    "With a KV cache, generating N tokens is linear in N.",
    better="One step is: token t meets t keys. All N steps together compute N(N+1)/2 scores per head and layer, still "
    "quadratic; without the cache, where every step computes all rows of its prefix, it would be N(N+1)(N+2)/6.",
    fails_if=({"cached": False}, {"without": True}),
    source=POPE,
)
def a_cache_takes_one_power_away(cached: bool = True, without: bool = False) -> Evidence:
    n = 24
    kept, anew = write(n, cached), write(n, without)
    last = float(write(n, cached).times.sum() - write(n - 1, cached).times.sum())
    return (
        Evidence.exactly(
            "scores computed while 24 tokens are written with a cache ÷ N(N+1)/2",
            float(kept.times.sum()) * 2 / (n * (n + 1)),
            1,
        )
        & Evidence.exactly("the last step alone ÷ N", last / n, 1)
        & Evidence.exactly("without a cache ÷ N(N+1)(N+2)/6", float(anew.times.sum()) * 6 / (n * (n + 1) * (n + 2)), 1)
    )


# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "FlashAttention is an approximation that makes attention linear.",
    better="It is exact, to rounding, and linear in memory only. Block by block the same products are made, 4 N² d FLOPs without a mask, and in training the "
    "scores are computed once more for the gradients. It is faster since less is read from and written to slow memory.",
    fails_if=({"rescale": False}, {"kept": 0.5}),
    source=DAO_2022.at("theorems 1 and 2"),
)
def blocks_make_the_same_products(rescale: bool = True, kept: float = 1.0) -> Evidence:
    return Evidence.near(
        "largest difference of the outputs from plain attention’s, float64",
        float(blockwise_errors(rescale=rescale).max()),
        0,
        within=rounding_bound(),
    ) & Evidence.exactly(
        "FLOPs of its products, in blocks of 32 keys, ÷ plain attention’s", products_of_blocks(32, kept=kept), 1
    )


@concept.corrects(
    "The softmax is the quadratic part.",
    better="Product, softmax, product: all three are. At dₖ = 64 the products make 256 operations for each exponential, but an H100 "
    "computes exponentials some 250 times more slowly. What keeps it quadratic is where the softmax stands: without it the keys could meet "
    "the values first, Q (KᵀV), for dₖ/N of the work. Linear attention does that, with another function in its place.",
    fails_if=({"with_softmax": True}, {"n": 64}, {"d_k": 32}, {"seen": "window"}),
    source=(KATHAROPOULOS.at("§3.2"), SHAH),
)
def the_softmax_stands_between(with_softmax: bool = False, n: int = 256, d_k: int = 64, seen: Seen = "all") -> Evidence:
    other = keys_meet_values_first(n, with_softmax)
    layer = counted(32, d_k)
    return (
        Evidence.exactly("FLOPs of the two products ÷ exponentials, dₖ = 64", layer.attention / exponentials(32), 256)
        & Evidence.exactly("exponentials of a head, N doubled", exponentials(64, seen) / exponentials(32, seen), 4)
        & Evidence.near(
            "largest difference of (QKᵀ)V and Q(KᵀV), float64", other.difference, 0, within=rounding_bound()
        )
        & Evidence.exactly("FLOPs of the second ÷ of the first, N = 256", other.flops, 64 / 256)
    )


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS,
    "In dense attention, of each token with itself too. A causal mask (question 4) lets N(N+1)/2 of them count: code that "
    "skips the rest does about half the work, still quadratic.",
    by=every_pair_has_a_score,
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS_IF,
    "One such matrix for each head, layer and text, if it is stored. Block by block it never exists as a whole, and the outputs are the same.",
    by=the_square_need_not_exist,
    source=(RABE, DAO_2022),
)
concept.judges(
    concept.topic.usual[2],
    Verdict.OTHERWISE,
    "No length is built into attention. 4,096 is what Llama 2 was trained for; GPT (2018) had 512, Llama 3.1 has 131,072, with dense attention "
    "in every layer. What limits a model is the length it was trained for and its positions, the memory of keys and values, and time.",
    by=no_length_is_built_in,
    source=(RADFORD_2018, LLAMA_2_2023.at("table 1"), LLAMA_3_2024.at("§3.4.2")),
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Does FlashAttention make it O(N)?",
    "Its memory, yes; its time, no. Can anything? Under the strong exponential time hypothesis (a conjecture) no algorithm computes softmax attention, "
    "exactly or nearly, in time N²⁻ᵋ for any ε > 0, if dₖ grows faster than log N.",
    (DAO_2022.at("theorems 1 and 2"), KELES),
)
concept.pushes_back(
    "How can models then read 128,000 tokens?",
    "They pay for them. Memory: fused kernels store no square, and grouped heads shrink the KV cache, in Llama 3.1 405B sixteen "
    "times. Positions: Llama 3 turns its rotations more slowly and ends its training with long texts. Time: a text is split over many "
    "processors. Other models let some layers see only a window.",
    (LLAMA_3_2024.at("§3.2, §3.3.2 and §3.4.2"), AINSLIE_2023, GEMMA_2_2024),
)
concept.pushes_back(
    "When is attention not the bottleneck?",
    "In FLOPs of a layer like GPT-2’s, below N = 6 d the weights take more; below about 12 d if the kernel skips the half that a causal "
    "mask hides. Where a text is written token by token in a small batch, the limit is reading memory: the weights, as long as the KV "
    "cache is smaller than they are. Beyond that it is attention again.",
    POPE,
)
concept.pushes_back(
    "Why not a linear or a sparse attention?",
    "They compute something else: with another function in place of the softmax, or with fewer pairs. A layer with a window does not see "
    "beyond it, and a state of fixed size cannot hold every earlier token exactly, so copying and exact recall suffer first.",
    (KATHAROPOULOS, JELASSI),
)
concept.pushes_back(
    "And a recurrent layer?",
    "It costs N d² against attention’s N² d: attention alone is cheaper while N is less than d, as sentences in translation were. "
    "And a recurrent layer needs N steps one after the other, attention a constant number, whatever N.",
    VASWANI_2017.at("§4 and table 1"),
)

concept.reads(
    VASWANI_2017.at("§4 and table 1"), MILAKOV, RABE, DAO_2022, KELES, KATHAROPOULOS, JELASSI, POPE, AINSLIE_2023
)
concept.reads(SHAH, RADFORD_2018, RADFORD_2019, LLAMA_2_2023, LLAMA_3_2024, GEMMA_2024, GEMMA_2_2024)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import math
import torch

n, d_model, n_heads = $n, $d_model, $n_heads

weights = 24 * n * d_model**2          # Q, K, V, O and a feed-forward layer 4 d wide: 12 d² weights, 2 FLOPs each
square = 4 * n**2 * d_model            # Q K^T and P V over all heads: K and V are 2 n d numbers, met by n tokens
print("FLOPs of a layer:", weights + square, "; stored scores, MiB in 16 bits:", n_heads * n**2 * 2 / 2**20)

# The same attention without the square, on the first tokens of one head: 16 keys at a time.
q, k, v = torch.randn(3, min(n, 256), d_model // n_heads, generator=torch.Generator().manual_seed(0)).double()
largest, total, output = torch.full((len(q), 1), -torch.inf).double(), 0, 0
for keys, values in zip(k.split(16), v.split(16)):
    s = q @ keys.T / math.sqrt(q.shape[-1])
    before, largest = largest, torch.maximum(largest, s.amax(-1, keepdim=True))
    p, kept = (s - largest).exp(), (before - largest).exp()
    total, output = kept * total + p.sum(-1, keepdim=True), kept * output + p @ values
plain = torch.nn.functional.scaled_dot_product_attention(q, k, v)
assert torch.allclose(output / total, plain, atol=1e-10, rtol=0)

print("quadratic share:", round(square / (weights + square), 6))
""",
    {"n": 1024, "d_model": 512, "n_heads": 1},
    {"n": 32, "d_model": 1024, "n_heads": 4},
    {"n": 131072, "d_model": 16384, "n_heads": 16},
)
def share_of_the_square(n: int, d_model: int, n_heads: int) -> float:
    flops = work(n, d_model)
    return flops.attention / flops.total
