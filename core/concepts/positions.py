"""Question 13: why must a Transformer be told the positions of its tokens?"""

import math
from typing import Literal

import torch

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.positions import (
    ORDER,
    REACH,
    ROUNDING,
    SCHEMES,
    SENTENCE,
    START,
    STARTS,
    STORY,
    Scheme,
    as_complex_pairs,
    counting_head,
    encode,
    longest_wavelength,
    pairings,
    pattern,
    shuffled_prefix,
    spread_at_an_offset,
    torch_encoder,
    turned_or_replaced,
    two_orders,
    usual_two_lines,
)
from core.ops import masks, positions
from core.ops.words import embed, tokens
from core.sources import HAVIV_2022, KAZEMNEJAD_2023, PRESS_2021, SU_2021, VASWANI_2017

concept = Concept(
    __name__,
    equation=r"f(PX) = P\,f(X) \quad\text{but}\quad f(PX + \disputed{E}) \neq P\,f(X + \disputed{E})",
    words=("f(X)", "P", "E", "equivariant", "invariant"),
)

SEEDS = range(4)  # random networks over which a claim takes the worst case
EPS = torch.finfo(torch.float64).eps
ROTATION = "bites man dog"  # neither the first order nor its reversal


def unshuffled(scheme: Scheme, layers: int = 4) -> float:
    """The largest difference after un-shuffling, over four random encoders, two for each of two other orders."""
    orders = (ORDER, ROTATION)
    return max(two_orders(SENTENCE, orders[seed % 2], scheme, layers, seed).largest for seed in SEEDS)


@concept.in_one_sentence(
    "Attention adds up what it sees, weighted by content alone, and a sum has no order: untold, an encoder gives every word "
    "of “man bites dog” the output that it had in “dog bites man”.",
    fails_if={"scheme": "sinusoidal"},
)
@concept.says(
    "Without positions an encoder reads a bag of words: shuffle them, and their outputs are shuffled alike, otherwise "
    "unchanged.",
    fails_if={"scheme": "sinusoidal"},
)
def outputs_follow_their_words(scheme: Literal["none", "sinusoidal"] = "none") -> Evidence:
    library = max(torch_encoder(SENTENCE, order, scheme) for order in (ORDER, ROTATION))
    return Evidence.near(
        "largest difference after un-shuffling, 4 layers, 4 random encoders", unshuffled(scheme), 0, within=ROUNDING
    ) & Evidence.near("the same for torch's nn.TransformerEncoder, 2 layers", library, 0, within=ROUNDING)


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "Without positions, turn “dog bites man” around: how far do outputs move, if another verb moves them by 1?",
    Option(
        "0",
        0.0,
        ROUNDING,
        "Each word sees the same words as before. Attention sums over them, and no score, weight or sum knows a place.",
    ),
    Option(
        "0.01",
        ROUNDING,
        0.1,
        "A faint trace of the order would have to enter somewhere, and deeper layers have nothing to make it from: what the "
        "first layer hands on is the same already.",
    ),
    Option("0.3", 0.1, 0.5, "That takes positions: added sinusoids move these outputs by about that much, or more."),
    Option(
        "1",
        0.5,
        math.inf,
        "So it should be, since turned around the sentence means something else. But that has to be told first.",
    ),
    shows="Measured just now, in the worst of four random encoders of four layers: the outputs move by {0}, if “chases” "
    "instead of “bites” moves them by 1.",
)
def turning_around() -> float:
    return max(turned_or_replaced(seed) for seed in SEEDS)


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "Their mean or maximum is the same for “dog bites man” and “man bites dog”.", fails_if={"summary": "first word"}
)
def the_mean_is_the_same(summary: Literal["symmetric", "first word"] = "symmetric") -> Evidence:
    both = two_orders(SENTENCE, ORDER, "none", 4)
    if summary == "symmetric":
        mean, most = both.pooled, float((both.second.amax(0) - both.first.amax(0)).abs().max())
    else:
        mean = most = float((both.second[0] - both.first[0]).abs().max())
    name = "over the words" if summary == "symmetric" else "replaced by the first word's output"
    return Evidence.near(f"difference of the two means {name}", mean, 0, within=ROUNDING) & Evidence.near(
        f"difference of the two maxima {name}", most, 0, within=ROUNDING
    )


@concept.says(
    "So positions are put in: added to the word vectors (sinusoids, a learned table) or brought into the attention scores "
    "(RoPE, ALiBi).",
    fails_if=({"also": "none"}, {"added": "rope"}, {"scored": "learned"}),
)
def positions_tell_orders_apart(also: Scheme = "rope", added: Scheme = "learned", scored: Scheme = "rope") -> Evidence:
    smallest = min(
        two_orders(SENTENCE, ROTATION, scheme, 1, seed).pooled for scheme in {*SCHEMES[1:], also} for seed in SEEDS
    )
    # Where all words are equal, so are all values, and no change of the attention scores can change their mean.
    equal = ["no", "no", "no"]
    placed = (encode(equal, scheme, 4)[-1] for scheme in ("sinusoidal", added))
    bare = encode(equal, "none", 4)[-1]
    return (
        Evidence.above(
            "“bites man dog”: smallest difference of the means over the words, 4 schemes, 4 random encoders",
            smallest,
            ROUNDING,
        )
        & Evidence.above(
            "“no no no”, added positions: difference of the first and the last output, the smaller of the two schemes",
            min(float((out[-1] - out[0]).abs().max()) for out in placed),
            ROUNDING,
        )
        & Evidence.near(
            "“no no no”, RoPE and ALiBi: largest difference to the outputs without positions",
            max(float((encode(equal, scheme, 4)[-1] - bare).abs().max()) for scheme in (scored, "alibi")),
            0,
            within=ROUNDING,
        )
    )


@concept.says(
    "A causal mask alone leaks a little: a head that looks for the start token can count.",
    fails_if=({"causal": False}, {"words": STORY}),
)
def a_causal_head_counts(causal: bool = True, words: str = f"{START} {STORY}") -> Evidence:
    row = tokens(words)  # the story's own first word, “the”, stands there twice: a head that looks for it counts wrong
    promised = 1 / torch.arange(1, len(row) + 1, dtype=torch.float64)
    off = (counting_head(row, causal) - promised).abs().max()
    seen = (masks.causal(len(row)) if causal else masks.full(len(row))).sum(-1)
    return Evidence.near(
        f"a uniform head: largest difference to 1/(t + 1), t = 0 … {len(row) - 1}", float(off), 0, within=EPS
    ) & Evidence.exactly(
        "largest difference between the number of keys seen and t + 1",
        int((seen - torch.arange(1, len(row) + 1)).abs().max()),
        0,
    )


# ---------------------------------------------------------------------------------------------- looks, an argument


@concept.looks_closer(
    "causal",
    "A causal mask alone leaks the order: to the last word in two layers or more, not in one.",
    fails_if=({"scheme": "sinusoidal"}, {"causal": False}),
)
def a_mask_leaks_the_order(scheme: Scheme = "none", causal: bool = True) -> Evidence:
    last = torch.stack([shuffled_prefix(STORY, seed, seed, causal, scheme).change[:, -1] for seed in SEEDS])
    unmasked = max(float(shuffled_prefix(STORY, seed, seed, False, scheme).change.max()) for seed in SEEDS)
    masked, bare = (
        [two_orders(SENTENCE, ORDER, scheme, 1, seed, causal=mask).pooled for seed in SEEDS] for mask in (causal, False)
    )
    return (
        Evidence.near(
            "shuffled before it, one layer's last output moves by", float(last[:, 0].max()), 0, within=ROUNDING
        )
        & Evidence.above("that of 2 to 4 layers at least by, 4 random models", float(last[:, 1:].min()), ROUNDING)
        & Evidence.near("without a mask any output, 1 to 4 layers, by", unmasked, 0, within=ROUNDING)
        & Evidence.above(
            "“dog bites man” and “man bites dog”, one layer, masked: least difference of the means",
            min(masked),
            ROUNDING,
        )
        & Evidence.near("the same without a mask, at most", max(bare), 0, within=ROUNDING)
    )


@concept.looks_closer(
    "offsets",
    "Dot products of sinusoids know the offset alone; W_Q and W_K lose that, and RoPE keeps it.",
    fails_if=({"table": "learned"}, {"places": "bfloat16"}, {"projected": False}, {"turn": "before"}),
)
@concept.corrects(
    "With sinusoids attention gets relative positions for free, since their dot product depends only on the offset.",
    better="Attention does not take that dot product: it sees the encodings through W_Q and W_K, and for general matrices "
    "the score of two positions at the same offset depends on where they stand. RoPE turns queries and keys *after* "
    "W_Q and W_K: there the score of two given words depends on their offset only.",
    fails_if=({"table": "learned"}, {"places": "bfloat16"}, {"projected": False}, {"turn": "before"}),
    source=SU_2021.at("§3.2"),
)
def projections_lose_the_offset(
    table: Literal["sinusoidal", "learned"] = "sinusoidal",
    places: Literal["float64", "bfloat16"] = "float64",
    projected: bool = True,
    turn: Literal["after", "before"] = "after",
) -> Evidence:
    d, last = 512, 999
    pe = positions.sinusoidal(last + 1, d)
    if table == "learned":
        pe = torch.randn(pe.shape, generator=torch.Generator().manual_seed(1), dtype=pe.dtype)
    if places == "bfloat16":  # positions counted in bfloat16: above 256 neighbours become one
        pe = pe[torch.arange(last + 1).bfloat16().long().clamp_max(last)]
    seen = [pattern(64, seed, turn).spread for seed in SEEDS]
    # An angle of p radians is rounded by up to p·ε, in the query and in the key; d/2 cosines add up, and RoPE's |q||k| is
    # at most ‖W_Q‖‖W_K‖·d/2, where matrices of N(0, 1/d) have norms close to 2.
    return (
        Evidence.near(
            "spread of ⟨PE_p, PE_p+k⟩ over p = 0 … 999, the worst of k = 1, 10, 100, d = 512",
            spread_at_an_offset(pe),
            0,
            within=4 * d * last * EPS,
        )
        & Evidence.exactly("different encodings of the positions 0 … 999", len(pe.unique(dim=0)), last + 1)
        & Evidence.above(
            "spread over p at one offset, d = 64, the smallest of 4 draws"
            + (", after W_Q and W_K" if projected else ""),
            min(one[1 if projected else 0] for one in seen),
            ROUNDING,
        )
        & Evidence.near(
            f"the same of RoPE's scores, turned {turn} W_Q and W_K, the largest of 4 draws",
            max(one[2] for one in seen),
            0,
            within=2 * 4 * (STARTS[-1] + REACH) * EPS,
        )
    )


# ---------------------------------------------------------------------------------------------- corrections

RELEASED_ALIBI = Source(
    "Press et al.", "The code of ALiBi", "https://github.com/ofirpress/attention_with_linear_biases", "get_slopes"
)
BLOOM = Source(
    "Hugging Face transformers",
    "The code of BLOOM",
    "https://github.com/huggingface/transformers/blob/main/src/transformers/models/bloom/modeling_bloom.py",
    "build_alibi_tensor",
)
LLAMA_ROPE = Source(
    "Hugging Face transformers",
    "LLaMA: rotary positional embedding differs with official implementation",
    "https://github.com/huggingface/transformers/issues/25199",
)
ODD_WIDTH = Source(
    "BERT-pytorch",
    "embedding/position.py with RuntimeError if d_model is odd",
    "https://github.com/codertimo/BERT-pytorch/issues/78",
)
TENSOR2TENSOR = Source(
    "Tensor2Tensor",
    "get_timing_signal_1d in common_attention.py",
    "https://github.com/tensorflow/tensor2tensor/blob/master/tensor2tensor/layers/common_attention.py",
)


@concept.corrects(
    "Self-attention is permutation invariant.",
    better="It is permutation *equivariant*: f(PX) = P f(X), the outputs move with the words. Invariance, f(PX) = f(X), "
    "appears only after a symmetric pooling such as the mean.",
    fails_if=({"unshuffle": True}, {"scheme": "sinusoidal"}),
)
def it_is_equivariant(unshuffle: bool = False, scheme: Scheme = "none") -> Evidence:
    both = two_orders(SENTENCE, ORDER, scheme, 4)
    return (
        Evidence.above(
            f"largest difference of f(PX) and {'P f(X)' if unshuffle else 'f(X)'}, 4 layers",
            both.largest if unshuffle else both.in_place,
            ROUNDING,
        )
        & Evidence.near("largest difference of f(PX) and P f(X)", both.largest, 0, within=ROUNDING)
        & Evidence.near("largest difference of their means over the words", both.pooled, 0, within=ROUNDING)
    )


@concept.corrects(
    "Attention(A, B) = Attention(B, A): without positions attention is symmetric.",
    better="Swapping two words swaps their outputs. But how A scores B is in general not how B scores A, because W_Q and "
    "W_K differ: attention has a direction, only not one that comes from the order.",
    fails_if=({"tied": True}, {"scheme": "sinusoidal"}),
)
def scores_have_a_direction(tied: bool = False, scheme: Scheme = "none") -> Evidence:
    differences = []
    a, b = embed(["dog", "man"], 16)
    for seed in SEEDS:
        g = torch.Generator().manual_seed(seed)
        w_q, w_k = (torch.randn(16, 16, generator=g, dtype=torch.float64) / 4 for _ in range(2))
        w_k = w_q if tied else w_k
        a_asks_b, b_asks_a = ((x @ w_q) @ (y @ w_k) / 4 for x, y in ((a, b), (b, a)))
        differences.append(float((a_asks_b - b_asks_a).abs()))
    swapped = max(two_orders("dog man", "man dog", scheme, 4, seed).largest for seed in SEEDS)
    return Evidence.above(
        "|score of dog asking man − score of man asking dog|, the smallest of 4 draws", min(differences), ROUNDING
    ) & Evidence.near(
        "“dog man” and “man dog”: largest difference after swapping the outputs", swapped, 0, within=ROUNDING
    )


@concept.corrects(
    "Any position encoding tells “dog bites man” from “man bites dog”.",
    better="One that uses only the distance |i − j| does not, such as ALiBi in an encoder: the second is the first read "
    "backwards, and all distances stay the same. ALiBi was made for causal models; there the mask supplies the "
    "direction, and the two differ.",
    fails_if=({"scheme": "rope"}, {"causal": False}),
    source=PRESS_2021.at("§3"),
)
def distance_is_blind_to_reversal(scheme: Scheme = "alibi", causal: bool = True) -> Evidence:
    encoder = max(two_orders(SENTENCE, ORDER, scheme, 4, seed).largest for seed in SEEDS)
    decoder = min(two_orders(SENTENCE, ORDER, scheme, 4, seed, causal=causal).largest for seed in SEEDS)
    return Evidence.near(
        f"largest difference after un-shuffling a reversed sentence, {scheme}, 4 layers, no mask",
        encoder,
        0,
        within=ROUNDING,
    ) & Evidence.above(
        f"the same{' under a causal mask' if causal else ''}, the smallest of 4 random models", decoder, ROUNDING
    )


@concept.corrects(
    "The wavelengths of the sinusoids run from 2π to 10000 · 2π.",
    better="The last exponent is (d − 2)/d and not 1, so the longest wavelength stays below 10000 · 2π: at d = 512 it is "
    "about 60,600 instead of 62,832. Code that divides by d/2 − 1 instead of d/2 does reach it, such as Tensor2Tensor, by "
    "the paper's authors.",
    fails_if=({"paper": "d/2 - 1"}, {"code": "d/2"}),
    source=(VASWANI_2017.at("§3.5"), TENSOR2TENSOR),
)
def the_longest_wavelength(
    paper: Literal["d/2", "d/2 - 1"] = "d/2", code: Literal["d/2", "d/2 - 1"] = "d/2 - 1"
) -> Evidence:
    most = 10_000 * 2 * math.pi
    return Evidence.between(
        "longest wavelength in tokens, d = 512", longest_wavelength(512, divide_by=paper), 60_550, 60_650
    ) & Evidence.near(
        f"the same with {code} in the exponent", longest_wavelength(512, divide_by=code), most, within=4 * EPS * most
    )


@concept.corrects(
    "Sinusoids are given by a formula, so any d_model will do.",
    better="They come in pairs, a sine and a cosine. With an odd d_model the usual two lines of PyTorch stop with an error: "
    "they make one cosine more than there are columns. The usual repair leaves it out; then one sine stands alone, and "
    "the dot product of two encodings no longer depends on their offset only. RoPE turns pairs and has no such repair: "
    "the features that it turns must be even in number.",
    fails_if={"widths": "even"},
    source=ODD_WIDTH,
)
def sines_and_cosines_come_in_pairs(widths: Literal["odd", "even"] = "odd") -> Evidence:
    first = 3 if widths == "odd" else 4
    run = {"lines": 0, "pairs": 0}
    for d in range(first, 64, 2):
        for name, code in (
            ("lines", lambda d=d: usual_two_lines(2, d)),
            ("pairs", lambda d=d: as_complex_pairs(torch.zeros(2, d))),
        ):
            try:
                code()
                run[name] += 1
            except RuntimeError:
                pass
    d, n = first + 12, 1000
    spread = spread_at_an_offset(usual_two_lines(n, d, drop_last_cosine=True))
    return (
        Evidence.exactly(f"{widths} widths up to 63 at which the two lines run", run["lines"], 0)
        & Evidence.above(
            f"spread of ⟨PE_p, PE_p+k⟩ over p, d = {d}{', the last cosine left out' if d % 2 else ''}",
            spread,
            4 * d * n * EPS,
        )
        & Evidence.exactly(f"{widths} widths up to 63 at which Meta's Llama could form RoPE's pairs", run["pairs"], 0)
    )


@concept.looks_closer(
    "pairs",
    "RoPE turns neighbours or halves: either is right, and mixing them is wrong without an error.",
    fails_if=({"reordered": "queries only"}, {"d_k": 2}),
)
@concept.corrects(
    "RoPE turns neighbouring features; code that pairs the two halves of a head, such as Hugging Face's Llama, computes "
    "something else.",
    better="Which features form a pair is a matter of naming: with the columns of W_Q and W_K reordered alike, both ways give "
    "the same scores. A model trained with either is equally right. What fails is to mix them: weights made for one "
    "under code for the other give other scores, and no error says so.",
    fails_if=({"reordered": "queries only"}, {"d_k": 2}),
    source=(SU_2021.at("equation 34"), LLAMA_ROPE),
)
def pairs_are_a_matter_of_naming(reordered: Literal["both", "queries only"] = "both", d_k: int = 64) -> Evidence:
    # At d_k = 2 there is only one pair: a test with such heads does not notice a mix.
    seen = [pairings(d_k, seed, reordered) for seed in SEEDS]
    return Evidence.near(
        f"RoPE on neighbours and on halves, columns reordered ({reordered}): largest difference of the scores, 4 draws",
        max(float((one.converted - one.neighbours).abs().max()) for one in seen),
        0,
        within=ROUNDING,
    ) & Evidence.above(
        f"weights for neighbours under code for halves, d_k = {d_k}: the same, the smallest of 4 draws",
        min(float((one.mixed - one.neighbours).abs().max()) for one in seen),
        ROUNDING,
    )


@concept.corrects(
    "ALiBi needs a power of two of heads.",
    better="The paper's slopes, 2^(−8h/n) for the heads h = 1 … n, are a geometric sequence for any n. It is its authors' code "
    "that treats other numbers apart: it takes the slopes of the next lower power of two and then every other slope of "
    "twice as many heads. BLOOM-176B, with 112 heads, uses those; at a power of two there is no difference.",
    fails_if=({"slopes": "as released"}, {"equal_at": 112}),
    source=(PRESS_2021.at("§3"), RELEASED_ALIBI, BLOOM),
)
def alibi_takes_any_number_of_heads(
    slopes: Literal["as in the paper", "as released"] = "as in the paper", equal_at: int = 128
) -> Evidence:
    released = positions.alibi_slopes_as_released
    paper = positions.alibi_slopes if slopes == "as in the paper" else released
    ratios = [paper(n)[1:] / paper(n)[:-1] for n in (6, 12, 112)]
    powers = [2**i for i in range(7)] + [equal_at]
    # An exponent of up to 8 is rounded by up to 4 ε, so is a slope, relatively; a ratio has two, a spread four of them.
    return (
        Evidence.near(
            f"slopes {slopes}, 6, 12 and 112 heads: largest spread of the ratio of neighbours",
            max(float(r.max() - r.min()) for r in ratios),
            0,
            within=16 * EPS,
        )
        & Evidence.above(
            "largest difference to the released code's at 112 heads",
            float((paper(112) - released(112)).abs().max()),
            4 * EPS,
        )
        & Evidence.near(
            f"the same at 1, 2, 4 … 64 and {equal_at} heads",
            max(float((positions.alibi_slopes(n) - released(n)).abs().max()) for n in powers),
            0,
            within=4 * EPS,
        )
    )


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.OTHERWISE,
    "It is *equivariant*: in another order the outputs move with their words. Only a summary without order, such as their "
    "mean, is invariant.",
    by=it_is_equivariant,
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS_IF,
    "To an encoder, which sees everything: the same outputs, in another order. A causal mask tells the two apart.",
    by=a_mask_leaks_the_order,
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Then how do decoders work without position encodings?",
    "The mask gives token t, counted from 0, exactly t + 1 keys, so a first layer that recognises the start token can count, "
    "and later layers can use the counts. Trained without any encoding, decoders do learn where their tokens stand; "
    "counting is the conjectured way.",
    (HAVIV_2022, KAZEMNEJAD_2023.at("theorems 1 and 2")),
)
concept.pushes_back(
    "Absolute or relative: what is the difference?",
    "Sinusoids and learned tables are added to the word vectors and say where a token stands. RoPE makes the score of two "
    "given words depend on their offset, ALiBi subtracts a penalty that grows with their distance; neither touches the "
    "word vectors or the values.",
    (SU_2021, PRESS_2021),
)
concept.pushes_back(
    "Why add positions instead of concatenating them?",
    "W(x + p) = Wx + Wp: adding is concatenating with the two halves of the weight matrix tied, and it costs no "
    "width. The model can learn to keep the two apart in different directions.",
)
concept.pushes_back(
    "Learned or sinusoidal?",
    "The original paper found nearly the same quality. The difference is the limit: a learned table has no row beyond "
    "its length, a sinusoid is defined everywhere, which does not mean that the model copes there (question 11).",
    VASWANI_2017.at("§3.5 and Table 3(E)"),
)
concept.pushes_back(
    "Floating-point sums depend on the order of their terms. How can the difference be exactly 0?",
    "Here the terms of each sum over keys are sorted before they are added, so the same words give the same bits, at least "
    "on x86, where a number is computed alike wherever it stands. With ordinary matrix products a rounding error is "
    "left, about 10⁻¹⁵ in float64 and 10⁻⁶ in float32; the proofs allow for one.",
)

concept.reads(VASWANI_2017.at("§3.5"), SU_2021, PRESS_2021, HAVIV_2022, KAZEMNEJAD_2023)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import math
import zlib
import torch
import torch.nn.functional as F

words, order = $words.split(), $order.split()
scheme, layers, seed = $scheme, $layers, $seed      # none, sinusoidal, learned, rope, alibi
d, heads = 16, 2
torch.set_default_dtype(torch.float64)


def embed(word):                                    # the same word, the same vector
    return torch.randn(d, generator=torch.Generator().manual_seed(zlib.crc32(word.encode())))


def angles(n, d):
    return torch.arange(float(n))[:, None] * 10_000 ** (-torch.arange(0, d, 2.0) / d)


def turn(x):                                        # RoPE
    a, even, odd = angles(*x.shape[-2:]), x[..., 0::2], x[..., 1::2]
    return torch.stack([even * a.cos() - odd * a.sin(), even * a.sin() + odd * a.cos()], -1).flatten(-2)


def encode(words):                                  # random weights, nothing is trained
    n, g = len(words), torch.Generator().manual_seed(seed)
    matrix = lambda rows, columns: torch.randn(rows, columns, generator=g) / math.sqrt(rows)
    table = torch.randn(12, d, generator=g)
    x, bias = torch.stack([embed(w) for w in words]), torch.zeros(1, n, n)
    if scheme == "sinusoidal":
        x = x + torch.stack([angles(n, d).sin(), angles(n, d).cos()], -1).flatten(-2)
    if scheme == "learned":
        x = x + table[:n]
    if scheme == "alibi":
        place = torch.arange(float(n))
        slope = 2 ** (-8 * torch.arange(1.0, heads + 1) / heads)
        bias = -slope[:, None, None] * (place[:, None] - place).abs()
    for _ in range(layers):
        w_q, w_k, w_v, w_o = (matrix(d, d) for _ in range(4))
        w_up, w_down = matrix(d, 4 * d), matrix(4 * d, d)
        h = F.layer_norm(x, (d,))
        q, k, v = ((h @ w).unflatten(-1, (heads, -1)).transpose(0, 1) for w in (w_q, w_k, w_v))
        if scheme == "rope":
            q, k = turn(q), turn(k)
        weights = (q @ k.mT / math.sqrt(d // heads) + bias).softmax(-1)
        x = x + (weights @ v).transpose(0, 1).flatten(-2) @ w_o
        x = x + (F.layer_norm(x, (d,)) @ w_up).relu() @ w_down
    return F.layer_norm(x, (d,))


a, b = encode(words).mean(0), encode(order).mean(0)
torch.set_default_dtype(torch.float32)
print("largest difference of the means over the words:", round((a - b).abs().max().item(), 6))
""",
    {"words": SENTENCE, "order": ORDER, "scheme": "none", "layers": 1, "seed": 0},
    {"words": SENTENCE, "order": ORDER, "scheme": "sinusoidal", "layers": 2, "seed": 0},
    {"words": 'it\'s a "<b>" $x', "order": '$x a it\'s "<b>"', "scheme": "learned", "layers": 4, "seed": 7},
    {"words": "a b c d e f", "order": "f a d e c b", "scheme": "rope", "layers": 3, "seed": 1},
    {"words": "a b c d e f", "order": "b a c f e d", "scheme": "alibi", "layers": 4, "seed": 9999},
    {
        "words": "\U0001f469\u200d\U0001f467 a b",
        "order": "b \U0001f469\u200d\U0001f467 a",
        "scheme": "rope",
        "layers": 1,
        "seed": 0,
    },
)
def pooled_difference(words: str, order: str, scheme: Scheme, layers: int, seed: int) -> float:
    return two_orders(words, order, scheme, layers, seed).pooled
