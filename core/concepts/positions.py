"""Question 13: why must a Transformer be told the positions of its tokens?"""

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
    counting_head,
    encode,
    pairings,
    pattern,
    shuffled_prefix,
    spread_at_an_offset,
    torch_encoder,
    trained,
    two_orders,
)
from core.ops import masks, positions
from core.ops.words import embed, tokens
from core.sources import HAVIV_2022, KAZEMNEJAD_2023, PRESS_2021, SU_2021, VASWANI_2017

concept = Concept(
    __name__,
    equation=r"f(PX) = P\,f(X) \quad\allowbreak\text{but in general}\quad\allowbreak f(PX, \disputed{E}) \neq P\,f(X, \disputed{E})",
    words=("f(X)", "P", "E", "RoPE", "ALiBi"),
)

SEEDS = range(4)  # random networks over which a claim takes the worst case
TRAINED = range(2)  # those of them that are also trained
EPS = torch.finfo(torch.float64).eps
ROTATION = "bites man dog"  # neither the first order nor its reversal


Matched = Literal["rightly", "the wrong way"]


def unshuffled(causal: bool, matched: Matched) -> float:
    """The largest difference after un-shuffling, over four random encoders, two for each of two other orders."""
    orders = (ORDER, ROTATION)
    seen = [two_orders(SENTENCE, orders[seed % 2], "none", 4, seed, causal=causal) for seed in SEEDS]
    return max(
        float((one.second[one.place if matched == "rightly" else one.place.argsort()] - one.first).abs().max())
        for one in seen
    )


@concept.in_one_sentence(
    "Attention sums over the words, a sum has no order, and the rest of each layer treats each word by itself: an encoder that "
    "is not told gives each word of “man bites dog” the output it had in “dog bites man”.",
    fails_if=({"causal": True}, {"matched": "the wrong way"}),
)
@concept.says(
    "Attention is a sum, which has no order, and all else works word by word: shuffled words only shuffle an encoder’s "
    "outputs alike, trained or not.",
    fails_if=({"causal": True}, {"matched": "the wrong way"}),
)
def outputs_follow_their_words(causal: bool = False, matched: Matched = "rightly") -> Evidence:
    library = max(torch_encoder(SENTENCE, order, causal=causal, matched=matched) for order in (ORDER, ROTATION))
    return (
        Evidence.near(
            "largest difference after un-shuffling, 4 layers, 4 random encoders",
            unshuffled(causal, matched),
            0,
            within=ROUNDING,
        )
        & Evidence.near("the same for torch’s nn.TransformerEncoder, 2 layers", library, 0, within=ROUNDING)
        & Evidence.near(
            "the same for 2 encoders trained to tell the orders apart, 2 layers",
            max(trained(seed, causal).largest for seed in TRAINED),
            0,
            within=ROUNDING,
        )
    )


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "Let each word see only itself and those before it (a causal mask), still without positions, and train it to tell the two apart by its mean output: how sure does it get?",
    Option(
        "50 %",
        0.49,
        0.51,
        "Right without a mask: then both means are the same numbers, whatever the weights. Under a mask a word sees only itself and "
        "those before it, and the means differ.",
    ),
    Option("75 %", 0.51, 0.9, "A faint hint need not stay faint: training makes as much of it as it can."),
    Option(
        "99.9 %",
        0.99,
        1.01,
        "Under the mask a word’s output depends on which words stand before it. So the means differ, and training finds almost "
        "any difference: the first look below shows why.",
    ),
    shows="Trained just now, under the mask it gives the right sentence {percent}. Without the mask no training gets it over "
    "50 %: for any weights both means are the same.",
)
def trained_to_tell_under_a_mask() -> float:
    return trained(causal=True).sure


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "The mean of “man bites dog” is that of “dog bites man”.", fails_if=({"summary": "first word"}, {"causal": True})
)
def the_mean_is_the_same(summary: Literal["mean", "first word"] = "mean", causal: bool = False) -> Evidence:
    seen = [two_orders(SENTENCE, ORDER, "none", 4, seed, causal=causal) for seed in SEEDS]
    if summary == "mean":
        apart = max(both.pooled for both in seen)
    else:
        apart = max(float((both.second[0] - both.first[0]).abs().max()) for both in seen)
    name = "means over the words" if summary == "mean" else "outputs of the first word"
    return Evidence.near(
        f"largest difference of the two {name}, 4 random encoders", apart, 0, within=ROUNDING
    ) & Evidence.near(
        "trained to tell them apart by the mean, probability of the right one, the largest of 2 encoders",
        max(trained(seed, causal).sure for seed in TRAINED),
        0.5,
        within=1e-6,
    )


@concept.says(
    "So positions are added to word vectors (sinusoids, learned tables) or enter attention scores (RoPE, ALiBi).",
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
    "A causal mask alone breaks the symmetry: later tokens see more, so a decoder can count.",
    fails_if=({"causal": False}, {"words": STORY}),
)
def a_causal_head_counts(causal: bool = True, words: str = f"{START} {STORY}") -> Evidence:
    row = tokens(words)  # the story's own first word, “the”, stands there twice: marked instead, it counts wrong
    promised = 1 / torch.arange(1, len(row) + 1, dtype=torch.float64)
    off = (counting_head(row, causal) - promised).abs().max()
    seen = (masks.causal(len(row)) if causal else masks.full(len(row))).sum(-1)
    apart = min(two_orders(SENTENCE, ORDER, "none", 2, seed, causal=causal).pooled for seed in SEEDS)
    return (
        Evidence.above(
            "“dog bites man” and “man bites dog”, 2 layers: least difference of the means, 4 random decoders",
            apart,
            ROUNDING,
        )
        & Evidence.near(
            f"a head that averages evenly: largest difference to 1/(t + 1), t = 0 … {len(row) - 1}",
            float(off),
            0,
            within=EPS,
        )
        & Evidence.exactly(
            "largest difference between the number of keys seen and t + 1",
            int((seen - torch.arange(1, len(row) + 1)).abs().max()),
            0,
        )
        & Evidence.above(
            "trained to tell them apart by the mean, probability of the right one, the smaller of 2 decoders",
            min(trained(seed, causal).sure for seed in TRAINED),
            0.99,
        )
    )


concept.cites("Some decoders do without encodings.", source=(HAVIV_2022, KAZEMNEJAD_2023))


# ---------------------------------------------------------------------------------------------- looks, an argument


@concept.looks_closer(
    "causal",
    "A causal mask alone shows the order: to the last word in two layers or more, not in one.",
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
            "shuffled before it, one layer’s last output moves by", float(last[:, 0].max()), 0, within=ROUNDING
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
    "Sinusoids agree by distance alone, in general not after W_Q and W_K; RoPE keeps the offset.",
    fails_if=({"table": "learned"}, {"places": "bfloat16"}, {"projected": False}, {"turn": "before"}, {"tied": True}),
)
@concept.corrects(
    "With sinusoids attention gets relative positions for free, since their dot product depends only on the offset.",
    better="It depends on the distance only, not even on the direction, and attention does not take it: it sees the encodings "
    "through W_Q and W_K, and for general matrices the score of two positions at the same offset depends on where they "
    "stand. RoPE turns queries and keys *after* W_Q and W_K: there the score of two given words depends on their offset "
    "only, its sign included.",
    fails_if=({"table": "learned"}, {"places": "bfloat16"}, {"projected": False}, {"turn": "before"}, {"tied": True}),
    source=SU_2021.at("§3.2"),
)
def projections_lose_the_offset(
    table: Literal["sinusoidal", "learned"] = "sinusoidal",
    places: Literal["float64", "bfloat16"] = "float64",
    projected: bool = True,
    turn: Literal["after", "before"] = "after",
    tied: bool = False,
) -> Evidence:
    d, last = 512, 999
    pe = positions.sinusoidal(last + 1, d)
    if table == "learned":
        pe = torch.randn(pe.shape, generator=torch.Generator().manual_seed(1), dtype=pe.dtype)
    if places == "bfloat16":  # positions counted in bfloat16: above 256 neighbours become one
        pe = pe[torch.arange(last + 1).bfloat16().long().clamp_max(last)]
    drawn = [pattern(64, seed, turn, tied) for seed in SEEDS]
    seen = [one.spread for one in drawn]
    # What is lost, and what the sign of an offset does, are compared with what the offset itself does to a score.
    lost = min((one.spread[1] / one.variation[1]) if projected else (one.spread[0] / one.variation[0]) for one in drawn)
    signed = min(float((one.turned - one.turned.flip(-1)).abs().max()) / one.variation[2] for one in drawn)
    # Of eight features, six away agrees better than three; with a table of random numbers both agree alike.
    small = positions.sinusoidal(last + 1, 8) if table == "sinusoidal" else pe[:, :8]
    far, near = (float((small[:-k] * small[k:]).sum(-1).mean()) / 4 for k in (6, 3))
    # An angle of p radians is rounded by up to p·ε, in the query and in the key; d/2 cosines add up, and RoPE's |q||k| is
    # at most ‖W_Q‖‖W_K‖·d/2, where matrices of N(0, 1/d) have norms close to 2.
    return (
        Evidence.near(
            "spread of ⟨PE_p, PE_p+k⟩ over p = 0 … 999, the worst of k = ±1, ±10, ±100, d = 512",
            spread_at_an_offset(pe),
            0,
            within=4 * d * last * EPS,
        )
        & Evidence.exactly("different encodings of the positions 0 … 999", len(pe.unique(dim=0)), last + 1)
        & Evidence.above(
            "spread over p at one offset ÷ variation over k, d = 64, the smallest of 4 draws"
            + (", after W_Q and W_K" if projected else ""),
            lost,
            0.1,
        )
        & Evidence.near(
            f"spread over p of RoPE’s scores, turned {turn} W_Q and W_K, the largest of 4 draws",
            max(one[2] for one in seen),
            0,
            within=2 * 4 * (STARTS[-1] + REACH) * EPS,
        )
        & Evidence.above(
            "RoPE’s scores at k and −k: largest difference ÷ variation over k, the smallest of 4 draws", signed, 0.1
        )
        & Evidence.above("d = 8: product at distance 6 minus that at distance 3, ÷ (d/2)", far - near, 0.3)
    )


# ---------------------------------------------------------------------------------------------- corrections

LLAMA_ROPE = Source(
    "Hugging Face transformers",
    "LLaMA: rotary positional embedding differs with official implementation",
    "https://github.com/huggingface/transformers/issues/25199",
)


def directed(tied: bool) -> float:
    """How far the scores of two words asking each other are apart, the smallest of four random heads."""
    a, b = embed(["dog", "man"], 16)
    differences = []
    for seed in SEEDS:
        g = torch.Generator().manual_seed(seed)
        w_q, w_k = (torch.randn(16, 16, generator=g, dtype=torch.float64) / 4 for _ in range(2))
        w_k = w_q if tied else w_k
        a_asks_b, b_asks_a = ((x @ w_q) @ (y @ w_k) / 4 for x, y in ((a, b), (b, a)))
        differences.append(float((a_asks_b - b_asks_a).abs()))
    return min(differences)


@concept.corrects(
    "Self-attention is permutation invariant.",
    better="It is permutation *equivariant*: f(PX) = P f(X), the outputs move with the words. Invariance, f(PX) = f(X), holds "
    "after a symmetric pooling such as the mean; and the output at a word that keeps its place, such as [CLS], stays the same.",
    fails_if=({"unshuffle": True}, {"scheme": "sinusoidal"}, {"tied": True}),
)
def it_is_equivariant(unshuffle: bool = False, scheme: Scheme = "none", tied: bool = False) -> Evidence:
    both = two_orders(SENTENCE, ORDER, scheme, 4)
    led = two_orders(f"[CLS] {SENTENCE}", f"[CLS] {ORDER}", scheme, 4)
    return (
        Evidence.above(
            f"largest difference of f(PX) and {'P f(X)' if unshuffle else 'f(X)'}, 4 layers",
            both.largest if unshuffle else both.in_place,
            ROUNDING,
        )
        & Evidence.near("largest difference of f(PX) and P f(X)", both.largest, 0, within=ROUNDING)
        & Evidence.near("largest difference of their means over the words", both.pooled, 0, within=ROUNDING)
        & Evidence.near(
            "that of the outputs at [CLS], which stays first",
            float((led.second - led.first)[0].abs().max()),
            0,
            within=ROUNDING,
        )
        & Evidence.above(
            "|score of dog asking man − score of man asking dog|, the smallest of 4 draws", directed(tied), ROUNDING
        )
    )


@concept.corrects(
    "Attention(A, B) = Attention(B, A): without positions attention is symmetric.",
    better="Swapping two words swaps their outputs. But how A scores B is in general not how B scores A, because W_Q and "
    "W_K differ: attention has a direction, only not one that comes from the order.",
    fails_if=({"tied": True}, {"scheme": "sinusoidal"}),
)
def scores_have_a_direction(tied: bool = False, scheme: Scheme = "none") -> Evidence:
    swapped = max(two_orders("dog man", "man dog", scheme, 4, seed).largest for seed in SEEDS)
    return Evidence.above(
        "|score of dog asking man − score of man asking dog|, the smallest of 4 draws", directed(tied), ROUNDING
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


@concept.looks_closer(
    "pairs",
    "RoPE turns neighbours or halves: either is right, and mixing them is wrong without an error.",
    fails_if=({"reordered": "queries only"}, {"d_k": 2}),
)
@concept.corrects(
    "RoPE turns neighbouring features; code that pairs the two halves of a head, such as Hugging Face’s Llama, computes "
    "something else.",
    better="Which features form a pair is a matter of naming: with the columns of W_Q and W_K (and their biases, if any) "
    "reordered alike, both ways give the same scores. A model trained with either is equally right. What fails is to mix them: weights made for one "
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


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.OTHERWISE,
    "As a map from words to outputs it is *equivariant*: in another order the outputs move with their words. *Invariant* is what "
    "does not move along: their mean, or the output at a word that stays, such as [CLS].",
    by=it_is_equivariant,
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS_IF,
    "To an encoder, in which every word sees all: the same outputs, in another order. A causal mask tells the two apart.",
    by=a_mask_leaks_the_order,
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Then how do decoders work without position encodings?",
    "The mask gives token t, counted from 0, exactly t + 1 keys. A head that averages evenly over them, and whose value marks "
    "the start token, reads 1/(t + 1), and later layers can use that. Trained without any encoding, decoders do learn where "
    "their tokens stand; counting is the conjectured way, while what they attend to looks more like a relative encoding.",
    (HAVIV_2022, KAZEMNEJAD_2023.at("theorems 1 and 2, §5.2")),
)
concept.pushes_back(
    "Why does an RNN not need this?",
    "It reads one word after another, and each state is made from the one before: the order is in the recursion. Attention "
    "has no recursion and takes in all words at once, so their order must come in some other way.",
    VASWANI_2017.at("§3.5"),
)
concept.pushes_back(
    "Absolute or relative, learned or sinusoidal: what is the difference?",
    "Sinusoids and learned tables are added to the word vectors and say where a token stands. RoPE makes the score of two "
    "given words depend on their offset only, ALiBi subtracts a penalty that grows with their distance; neither touches the "
    "word vectors or the values (turned, a value would carry its absolute place into the sum). A learned table ends at its length; a sinusoid is defined everywhere, which does not mean "
    "that the model copes there (question 11). In the original paper the two were nearly equal.",
    (SU_2021, PRESS_2021, VASWANI_2017.at("§3.5 and table 3(E)")),
)
concept.pushes_back(
    "Why add positions instead of concatenating them?",
    "To a linear map, W(x + p) = Wx + Wp: adding is concatenating with the two halves of the weight matrix tied, and it costs "
    "no width. A LayerNorm before the map centres both and scales them by one common number.",
)
concept.pushes_back(
    "Floating-point sums depend on the order of their terms. How can the difference be exactly 0?",
    "Here the terms of each sum over keys are sorted before they are added, so the same words give the same bits, at least "
    "on x86, where a number is computed alike wherever it stands. With ordinary matrix products a rounding error is "
    "left, about 10⁻¹⁵ in float64 and 10⁻⁶ in float32; the proofs allow for one.",
)

concept.reads(VASWANI_2017.at("§3.5"), SU_2021, PRESS_2021, HAVIV_2022, KAZEMNEJAD_2023, LLAMA_ROPE)

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
