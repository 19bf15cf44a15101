"""Question 4: what is masked self-attention, and why is the mask applied before the softmax?"""

import math
from typing import Literal

import torch
import torch.nn.functional as F

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.cross_attention import nothing_seen
from core.experiments.masking import (
    SENTENCE,
    TORCH,
    How,
    Kind,
    Where,
    append,
    changed,
    decoder_influence,
    head,
    inputs,
    late,
    libraries,
    rounding,
    spoiled,
    taught,
)
from core.ops import masks
from core.ops.words import tokens
from core.sources import RADFORD_2018, RAFFEL_2020, VASWANI_2017
from core.training import leak

concept = Concept(
    __name__,
    equation=r"\mathrm{softmax}\big(\query{Q}\key{K}^\top / \sqrt{d_k} + \disputed{M}\big)\,\value{V}, \quad "
    r"M_{ij} = 0 \text{ if } j \le i, \text{ else } {-\infty}",
    words=("query", "key", "logit", "row", "nats"),
)

DAO_2023 = Source(
    "Dao 2023", "FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning", "arXiv 2307.08691"
)
DOCS = "https://docs.pytorch.org/docs/stable/generated/torch.nn"
TORCH_SDPA = Source("PyTorch", "scaled_dot_product_attention", f"{DOCS}.functional.scaled_dot_product_attention.html")
TORCH_SAFE = Source(
    "PyTorch 2024", "pull request 131060: Add a private _safe_softmax", "https://github.com/pytorch/pytorch/pull/131060"
)
TORCH_MODULE = Source("PyTorch", "nn.MultiheadAttention", f"{DOCS}.MultiheadAttention.html")
TORCH_DECODER = Source("PyTorch", "nn.TransformerDecoderLayer", f"{DOCS}.TransformerDecoderLayer.html")
TORCH_BIAS = Source("PyTorch", "causal_lower_right", f"{DOCS}.attention.bias.causal_lower_right.html")

# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "In masked self-attention each position sees itself and what came before.",
    fails_if={"rows": "011111/001111/000111/000011/000001/000000"},
)
def output_depends_on_the_past(rows: str = "100000/110000/111000/111100/111110/111111") -> Evidence:
    found = head(rows=rows).influence != 0
    return Evidence.exactly(
        "of 36 derivatives ∂output_i / ∂input_j, how many break the rule “zero exactly if j > i”",
        float((found != masks.causal(6)).sum()),
        0,
    )


@concept.says(
    "Later logits become −∞ before the softmax: their weights are 0, the visible ones sum to 1.",
    fails_if=({"where": "multiply"}, {"where": "after"}),
)
def weights_are_redistributed(where: Where = "before") -> Evidence:
    weights = head(where=where).weights
    sums = weights.sum(-1)
    # A sum of n rounded quotients, each with the same rounded sum below it: 2n + 1 roundings of half of eps at most.
    return Evidence.exactly("largest weight of a later position", float(weights.triu(1).max()), 0) & Evidence.near(
        "the sum of a row that is farthest from 1",
        float(sums[(sums - 1).abs().argmax()]),
        1,
        within=2 * len(weights) * torch.finfo(weights.dtype).eps,
    )


@concept.says(
    "Zeroed after it, hidden words would still act: they stand in the sum that divides every weight.",
    fails_if=({"where": "before"}, {"repair": False}),
)
@concept.corrects(
    "Setting the weights to 0 after the softmax is the same.",
    better="The forbidden keys still act, through the sum that all weights were divided by, and their rows no longer sum "
    "to 1. Dividing each row by its new sum would repair both: that is exactly the masked softmax.",
    fails_if=({"where": "before"}, {"repair": False}),
)
def zeroing_afterwards_leaks(where: Where = "after", repair: bool = True) -> Evidence:
    one, masked = head(where=where), head(where="before")
    sums = one.weights.sum(-1, keepdim=True)
    repaired = one.weights / sums if repair else one.weights
    n, eps = len(sums), torch.finfo(sums.dtype).eps
    # Both ways round a difference of logits, an exponential, a sum and a quotient; repairing, one more sum and quotient.
    rounded = eps * (float(one.logits.max() - one.logits.min()) + 2 * n + 6)
    return (
        Evidence.exactly(
            "of 15 pairs with j > i, how many derivatives ∂output_i / ∂input_j are not 0",
            float((one.influence.triu(1) != 0).sum()),
            15,
        )
        & Evidence.above("the least that a row with a forbidden key lacks", float((1 - sums[:-1]).min()), rounded)
        & Evidence.near(
            "divided by their sums: largest distance from the masked softmax",
            float((repaired - masked.weights).abs().max()),
            0,
            within=rounded,
        )
    )


@concept.says(
    "Output i predicts token i+1, so one pass trains every position, and none sees its answer.",
    fails_if=({"shift": 0}, {"kind": "strict"}),
)
def no_position_sees_its_answer(shift: int = 1, kind: Kind = "causal") -> Evidence:
    acts = head(rows=kind).influence != 0
    # The answer of the last position is not among the inputs at all.
    return Evidence.exactly(
        "outputs that depend on the token they predict", float(acts.diagonal(shift).sum()), 0
    ) & Evidence.exactly(
        "positions of 6 whose own loss gives W_Q, W_K and W_V a gradient, in one pass", float(taught(kind).sum()), 6
    )


@concept.says(
    "An appended token changes no earlier output, so keys and values can be cached.", fails_if={"causal": False}
)
def appending_changes_nothing_before(causal: bool = True) -> Evidence:
    found = append(SENTENCE, "today", causal)
    return Evidence.near(
        "largest change of an earlier output", float(found.change.max()), 0, within=found.rounding
    ) & Evidence.near(
        "largest difference between decoding with a cache and the full pass", found.cache, 0, within=found.rounding
    )


@concept.in_one_sentence(
    "Each position attends only to itself and what came before, so it cannot copy the word it must predict: later logits "
    "become −∞ before the softmax, so that their weights are 0 and the visible ones sum to 1.",
    fails_if=({"where": "multiply"}, {"where": "after"}, {"rows": "strict"}, {"shift": 0}),
)
def nothing_hidden_acts(where: Where = "before", rows: Kind = "causal", shift: int = 1) -> Evidence:
    found = head(rows=rows, where=where).influence != 0
    return (
        Evidence.exactly(
            "of 36 pairs, how many break the rule “acts exactly if it is not later”",
            float((found != masks.causal(6)).sum()),
            0,
        )
        & no_position_sees_its_answer(shift, rows)
        & weights_are_redistributed(where)
    )


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "Zero the 15 hidden weights of six words *after* the softmax: in how many of the 15 does the hidden word still change the output?",
    Option(
        "None",
        0,
        1,
        "Their weights are 0, so their values do not arrive. But their keys do: every visible weight was divided by a sum "
        "in which they stand.",
    ),
    Option(
        "5",
        1,
        10,
        "That many stand directly right of the diagonal. But a row was divided by the sum over all its words, every hidden "
        "one included.",
    ),
    Option(
        "All 15",
        10,
        16,
        "Each hidden word stands in the sum that its row was divided by: change it, and every visible weight changes, and "
        "with it the output.",
    ),
    shows="Just now each word became “dog” in turn: in {0} of the 15 pairs the output changed though the word was hidden. "
    "With −∞ before the softmax it stays the same, to the last bit, in every one.",
)
def hidden_words_that_act() -> float:
    return float(changed("after").triu(1).sum())


# ---------------------------------------------------------------------------------------------- looks, an argument


@concept.looks_closer(
    "who",
    "Six words, causal: with −∞ before the softmax 21 of 36 pairs act. Both traps let all 36 through.",
    fails_if=({"before": "after"}, {"after": "before"}, {"multiply": "before"}),
)
def only_minus_infinity_keeps_to_the_mask(
    before: Where = "before", after: Where = "after", multiply: Where = "multiply"
) -> Evidence:
    return (
        Evidence.exactly("pairs that act, of 36: −∞ before the softmax", head(where=before).pairs, 21)
        & Evidence.exactly("0 after the softmax", head(where=after).pairs, 36)
        & Evidence.exactly("logits times 0", head(where=multiply).pairs, 36)
    )


LEAKS: tuple[dict[str, leak.Mask], ...] = (
    {"mask": "causal"},
    {"honest": "ahead"},
    {"after": "causal"},
    {"multiply": "causal"},
)


@concept.looks_closer(
    "leak",
    "Both traps betray themselves in training, as does one step too far: loss below the entropy.",
    fails_if=LEAKS,
)
@concept.corrects(
    "A very low training loss is a good sign.",
    better="Not below the entropy of the data (what guessing costs), if they are drawn afresh for every step, so that "
    "nothing can be memorised. With 16 different tokens and 16 positions, honest runs stay at it. A mask one step too far "
    "ends below a tenth of it, as all positions but the last copy their answer; logits times 0 end at about two thirds; "
    "and 0 after the softmax ends below it too, by 1 to 3 % in the three runs shown.",
    fails_if=LEAKS,
)
def a_leak_beats_the_entropy(
    mask: leak.Mask = "ahead",
    honest: leak.Mask = "causal",
    after: leak.Mask = "after",
    multiply: leak.Mask = "multiply",
) -> Evidence:
    of = "of 3 shipped runs on 16 different tokens and 16 positions (`python -m core.training leak`)"
    # A mean over 20 steps of 512 tokens, whose losses spread by 0.3 nats at most.
    noise = 4 * 0.3 / math.sqrt(leak.LAST * leak.TOKENS) / leak.HONEST
    final = {one: leak.final_losses(one) / leak.HONEST for one in leak.MASKS}

    def farthest(one: leak.Mask, target: float) -> float:
        return float(final[one][(final[one] - target).abs().argmax()])

    return (
        Evidence.below(f"loss ÷ entropy, one step too far, the worst {of}", float(final[mask].max()), 0.1)
        & Evidence.near("causal, the run that is farthest from 1", farthest(honest, 1), 1, within=noise)
        & Evidence.between("logits times 0, the run that is farthest from 2/3", farthest(multiply, 2 / 3), 0.62, 0.72)
        & Evidence.between("0 after the softmax, the worst", float(final[after].max()), 0.965, 1 - noise)
        & Evidence.between("0 after the softmax, the best", float(final[after].min()), 0.965, 1 - noise)
        & Evidence.below(
            "one step too far, the worst mean loss before the last position, ÷ entropy",
            float(leak.trained().by_position[leak.MASKS.index(mask), :, :-1].mean(-1).max()) / leak.HONEST,
            0.01,
        )
    )


@concept.looks_closer(
    "append",
    "An honest mask pays: an appended word changes nothing before it, so keys can be kept.",
    fails_if=({"causal": False}, {"without": True}),
)
def only_an_honest_mask_can_be_cached(causal: bool = True, without: bool = False) -> Evidence:
    unmasked = append(SENTENCE, "today", without)
    return (
        appending_changes_nothing_before(causal)
        & Evidence.above(
            "without a mask: least change of an earlier output", float(unmasked.change.min()), unmasked.rounding
        )
        & Evidence.above(
            "without a mask: distance of decoding with a cache from the full pass", unmasked.cache, unmasked.rounding
        )
    )


# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "The prediction for position i depends only on positions 0 … i−1, so row i of the mask stops at i−1.",
    better="Row i sees 0 … i, itself included. It is the shift of the targets that turns this into i−1: the output at i "
    "predicts token i+1. A mask that hides the diagonal as well leaves row 0 with nothing to look at, and its softmax "
    "is not a number.",
    fails_if=({"is_causal": False}, {"offset": 0}, {"shift": 0}, {"kind": "strict"}),
    source=VASWANI_2017.at("§3.1 and §3.2.3"),
)
def the_row_sees_itself(is_causal: bool = True, offset: int = -1, shift: int = 1, kind: Kind = "causal") -> Evidence:
    x = torch.zeros(1, 6, 6)
    torchs = F.scaled_dot_product_attention(x, x, torch.eye(6)[None], is_causal=is_causal)[0]
    return (
        Evidence.exactly(
            "keys with a weight in row 3, by scaled_dot_product_attention with is_causal=True",
            float((torchs[3] != 0).sum()),
            4,
        )
        & Evidence.exactly(
            "weights of row 0, of 6, that are not a number under the mask j ≤ i−1",
            float(libraries(offset=offset).row[0].isnan().sum()),
            6,
        )
        & no_position_sees_its_answer(shift, kind)
    )


@concept.corrects(
    "Multiplying the forbidden logits by 0 masks them.",
    better="A logit of 0 is not “no weight” but e⁰ = 1 before normalising: every forbidden key keeps a share. With −∞ the "
    "share is exactly 0.",
    fails_if=({"said": "before"}, {"better": "multiply"}),
)
def a_zero_logit_is_not_a_zero_weight(said: Where = "multiply", better: Where = "before") -> Evidence:
    wrong, right = (head(where=where).weights[~masks.causal(6)] for where in (said, better))
    return Evidence.above(
        "smallest weight of a forbidden key, logits times 0", float(wrong.min()), 0
    ) & Evidence.exactly("largest weight of a forbidden key, logits of −∞", float(right.max()), 0)


@concept.looks_closer(
    "nobody",
    "A row that may look at nobody is NaN, 0 or a plain average: it depends on the function.",
    fails_if=({"offset": 0}, {"visible": 1}),
)
@concept.corrects(
    "A row in which everything is masked gives 0.",
    verdict=Verdict.HOLDS_IF,
    better=f"It depends on the function. In torch {TORCH} on the CPU, scaled_dot_product_attention gives 0 (its reference "
    "code, as documented, gives NaN, not a number), nn.MultiheadAttention as it comes NaN (its output bias, at first 0, in training with need_weights=False). Adding the lowest finite number, in float32 or float64, "
    "gives every word the same weight, hidden or not. So leave no row empty.",
    fails_if=({"offset": 0}, {"visible": 1}),
    source=(TORCH_SAFE, TORCH_SDPA, TORCH_MODULE),
)
def an_empty_row_depends_on_the_function(offset: int = -1, visible: int = 0) -> Evidence:
    written, sdpa, module, quiet, fast, lowest = libraries(offset=offset).row
    return (
        Evidence.exactly(
            "weights of row 0 that are not a number, of 18: as written, nn.MultiheadAttention, its fast path",
            float(torch.stack([written, module, fast]).isnan().sum()),
            18,
        )
        & Evidence.exactly(
            "largest weight of row 0: scaled_dot_product_attention, nn.MultiheadAttention with need_weights=False",
            float(torch.stack([sdpa, quiet]).max()),
            0,
        )
        & Evidence.exactly(
            "nn.MultiheadAttention in training with need_weights=False: of 8 numbers of an output, those that are its output bias",
            float((nothing_seen(visible, weights=False) == 0).sum()),
            8,
        )
        & Evidence.exactly("lowest number added: largest distance from 1/6", float((lowest - 1 / 6).abs().max()), 0)
    )


@concept.corrects(
    "A NaN in row 0 does no harm if the loss ignores that row.",
    better="It does: on the way back the NaN weights are multiplied by a gradient of 0, and 0 · NaN is NaN. Through the "
    "values that reaches every word and every layer below; in nn.MultiheadAttention all its matrices. In training with "
    "need_weights=False nothing is NaN.",
    fails_if=({"offset": 0}, {"need_weights": True}),
    source=TORCH_MODULE,
)
def an_empty_row_spoils_all_gradients(offset: int = -1, need_weights: bool = False) -> Evidence:
    written, module = spoiled("written", offset), spoiled("need_weights=True", offset)
    quiet = spoiled("need_weights=True" if need_weights else "need_weights=False", offset)
    return (
        Evidence.exactly(
            f"as written: entries of ∂loss/∂x, of {len(written)}, that are not a number", float(written.sum()), 96
        )
        & Evidence.exactly(
            f"nn.MultiheadAttention: entries of all gradients, of {len(module):,}, that are not a number",
            float(module.sum()),
            96 + 4 * 16 * 16,
        )
        & Evidence.exactly("the same with need_weights=False", float(quiet.sum()), 0)
    )


@concept.corrects(
    "In a decoder, is_causal=True is always right.",
    better="Not with a cache. torch’s scaled_dot_product_attention starts the triangle at the top left: of 2 new queries "
    "against 5 keys the first sees 1 key and the second 2, where 4 and 5 are right. causal_lower_right (in "
    "torch.nn.attention.bias) is; a single new query needs no mask.",
    fails_if=({"said": "lower_right"}, {"right": "is_causal"}, {"alone": "is_causal"}),
    source=(TORCH_SDPA, TORCH_BIAS),
)
def the_triangle_stands_at_the_other_corner(
    said: How = "is_causal", right: How = "lower_right", alone: How = "no mask"
) -> Evidence:
    sentence = "the cat sat on the"
    rounded = rounding(inputs(tokens(sentence)), seed=0, unit_values=True)
    first, second = (late(said, 2, sentence) != 0).sum(-1).tolist()

    def off(how: How, new: int) -> float:
        return float((late(how, new, sentence) - late("full pass", new, sentence)).abs().max())

    return (
        Evidence.exactly("is_causal=True: keys that the first of 2 queries sees, of 5", first, 1)
        & Evidence.exactly("is_causal=True: keys that the second one sees", second, 2)
        & Evidence.near("causal_lower_right: distance from the full pass", off(right, 2), 0, within=rounded)
        & Evidence.near("one query without a mask: distance from the full pass", off(alone, 1), 0, within=rounded)
    )


@concept.corrects(
    "A decoder layer is causal by itself.",
    better="In PyTorch only if you pass `tgt_mask`: without it nn.TransformerDecoderLayer lets every word of the target act "
    "on every output. And only its self-attention is masked: its cross-attention sees the whole source.",
    fails_if=({"masked": False}, {"unmasked": True}, {"source": "target"}),
    source=TORCH_DECODER,
)
def a_decoder_layer_masks_what_it_is_told(
    masked: bool = True, unmasked: bool = False, source: Literal["source", "target"] = "source"
) -> Evidence:
    ours, theirs = decoder_influence(masked)
    seen = theirs if source == "source" else ours
    return (
        Evidence.exactly(
            "nn.TransformerDecoderLayer with tgt_mask: of 36 pairs, how many break the rule “acts exactly if it is not later”",
            float((ours != masks.causal(6)).sum()),
            0,
        )
        & Evidence.exactly("without it: pairs that act", float(decoder_influence(unmasked)[0].sum()), 36)
        & Evidence.exactly("share of pairs with a word of the source that act", float(seen.double().mean()), 1)
    )


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS_IF,
    "True of the decoder’s self-attention, in GPT and in the original Transformer; cross-attention sees the whole source.",
    by=a_decoder_layer_masks_what_it_is_told,
    source=(VASWANI_2017.at("§3.2.3"), RADFORD_2018.at("§4.1")),
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS_IF,
    "Two things together give i−1: the mask (0 to i) and the targets shifted by one.",
    by=the_row_sees_itself,
    source=VASWANI_2017.at("§3.1"),
)
concept.judges(
    concept.topic.usual[2],
    Verdict.HOLDS_IF,
    "If positions count from 1 to N (from 0, they are i+1 to N−1), and before the softmax, where −∞ means weight 0.",
    by=weights_are_redistributed,
    source=VASWANI_2017.at("§3.2.3"),
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Zero after the softmax, then divide by the new sum: identical, so why before?",
    "Identical in exact arithmetic: the hidden words cancel. −∞ needs one step instead of two, and is safer: where rounding "
    "makes all visible weights 0 beside a much larger hidden one, dividing them by their sum is 0/0.",
)
concept.pushes_back(
    "Does causality survive many layers?",
    "Yes: each masked layer passes on from a position to itself and to later ones only, so no chain of such steps brings a "
    "later word to an earlier output; residual connections (question 14), norms of single positions and feed-forward layers mix no positions. One leaking "
    "layer breaks it.",
)
concept.pushes_back(
    "Minus infinity or −1e9?",
    "Beside ordinary logits both give weight 0 in float32. They differ in a row that is hidden entirely: NaN "
    "against weights for hidden words. Converted to float16, −1e9 becomes −∞, and in float16, bfloat16, float32 and float64 two added masks of the "
    "lowest finite number overflow to −∞. A boolean mask leaves the number to the library.",
)
concept.pushes_back(
    "Which way round is a boolean mask?",
    "Both ways, in torch alone: True means “may look” for scaled_dot_product_attention, “may not look” for nn.MultiheadAttention "
    "(padding masks: question 9). Test it: change a later token, and no earlier output may move.",
    (TORCH_SDPA, TORCH_MODULE),
)
concept.pushes_back(
    "Does the mask halve the cost?",
    "About, that of the logits and weighted sums (the part that is quadratic: question 1), but only if the kernel skips the hidden blocks. FlashAttention-2 does: it "
    "reports 1.7 to 1.8 times the speed of attention without a mask. Computing all logits and hiding half of them saves "
    "nothing, and the projections and feed-forward layers cost the same in any case.",
    DAO_2023.at("§3.1"),
)
concept.reads(
    VASWANI_2017.at("§3.1 and §3.2.3"),
    RADFORD_2018.at("§4.1"),
    RAFFEL_2020.at("§3.2.1"),
    DAO_2023.at("§3.1"),
    TORCH_SDPA,
    TORCH_SAFE,
    TORCH_MODULE,
    TORCH_DECODER,
    TORCH_BIAS,
)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import math
import zlib
import torch

sentence, visible_rows, where, seed = $sentence, $rows, $where, $seed

words = sentence.split()
n, d, d_k = len(words), 16, 8
x = torch.stack([
    torch.randn(d, generator=torch.Generator().manual_seed(zlib.crc32(w.encode())), dtype=torch.float64)
    for w in words
])
angle = torch.arange(n)[:, None] * 10000.0 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
x = x + torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)

g = torch.Generator().manual_seed(seed)
w_q, w_k, w_v = (torch.randn(d, d_k, generator=g, dtype=torch.float64) / math.sqrt(d) for _ in range(3))
visible = torch.tensor([[c == "1" for c in row] for row in visible_rows.split("/")])

def output(x):
    logits = (x @ w_q) @ (x @ w_k).T / math.sqrt(d_k)
    if where == "before":      # masking
        weights = logits.masked_fill(~visible, -torch.inf).softmax(-1)
        weights = torch.where(~visible.any(-1, keepdim=True), 0.0, weights)
    elif where == "after":     # a mistake: the denominator still knows the hidden keys
        weights = logits.softmax(-1) * visible
    else:                      # a mistake: a logit of 0 is a weight of e**0
        weights = (logits * visible).softmax(-1)
    return weights @ (x @ w_v)

jacobian = torch.autograd.functional.jacobian(output, x)
influence = jacobian.square().sum((1, 3)).sqrt()
print("pairs with any influence:", int((influence != 0).sum()))
""",
    {"sentence": SENTENCE, "rows": "100000/110000/111000/111100/111110/111111", "where": "before", "seed": 0},
    {"sentence": "a b c", "rows": "000/100/110", "where": "before", "seed": 3},
    {"sentence": 'it\'s a "b"', "rows": "100/110/111", "where": "after", "seed": 1},
)
def influencing_pairs(sentence: str, rows: str, where: Where, seed: int) -> float:
    return float(head(sentence, rows, where, seed).pairs)
