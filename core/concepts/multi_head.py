"""Question 3: why several attention heads instead of one wide one?"""

import torch

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.multi_head import (
    CONTEXT,
    D_MODEL,
    HEAD_WIDTHS,
    KEYS,
    SPLITS,
    STOPS,
    Code,
    cost,
    fetch_two,
    heads_as_a_sum,
    in_steps,
    inputs_seen,
    out_of_reach,
    spectra,
    split_or_small,
    through_w_o,
    weights_of_features,
    written,
)
from core.sources import AINSLIE_2023, VASWANI_2017
from core.training import multi_head as training
from core.training.multi_head import trained

concept = Concept(
    __name__,
    equation=r"\disputed{\textstyle\sum_{i=1}^{h}}\, \mathrm{softmax}\big(\query{Q_i}\key{K_i}^\top / \sqrt{d_k}\big)\,\value{V_i}\, W_O^{(i)}",
    words=("head", "W_O", "read-out", "squared error"),
)

ROUNDING = 1e-12  # of sums of a few hundred terms near 1 in float64; squares of residuals lie far below
SHIPPED = "shipped runs (`python -m core.training multi_head`)"


@concept.in_one_sentence(
    "One head is one weighted average: of two unrelated values in the same features a linear read-out of it loses half; several "
    "bring both, for the same parameters and matrix products.",
    fails_if=({"one": "two"}, {"own_features": True}, {"second": 0.5}, {"wide": True}),
)
def several_averages_for_the_price_of_one(
    one: str = "one", own_features: bool = False, second: float = 1.0, wide: bool = False
) -> Evidence:
    few, many = cost(1), cost(8, wide=wide)
    return (
        # The law is 1 at every weight; the rival, that some weight brings both, is 0.
        Evidence.near(
            f"errors of u and v together, one head, the least of {len(STOPS)} weights",
            float(getattr(fetch_two(), one).sum(-1).min()),
            1,
            within=ROUNDING,
        )
        & Evidence.near(
            "the same, 16 features, each read out of all",
            float(through_w_o(own_features).sum(-1).min()),
            1,
            within=ROUNDING,
        )
        & Evidence.near(
            "the most with a second head that gives u all its weight, first head’s weight 0 to 0.95",
            float(fetch_two(second).two[:-1].sum(-1).max()),
            0,
            within=ROUNDING,
        )
        & Evidence.exactly(f"parameters of 8 heads less those of 1, d = {D_MODEL}", many.parameters - few.parameters, 0)
        & Evidence.exactly(f"FLOPs of the matrix products, {CONTEXT} tokens", many.flops - few.flops, 0)
    )


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "Two heads that look almost alike, with weights 0.30 and 0.31 on u: what do they lose of u and v together, read linearly? (Guessing 0 "
    "costs 2.)",
    Option(
        "1, as one head",
        0.75,
        1.25,
        "One head loses that at any weight w: of u (1 − w)², of v w², each divided by w² + (1 − w)². But these two bring different mixtures.",
    ),
    Option(
        "½",
        0.25,
        0.75,
        "A head that is nearly the same seems to help a little. But a second equation is there, or it is not.",
    ),
    Option(
        "about 0.01",
        0.001,
        0.25,
        "The difference of the weights is no error: W_O scales the small difference of the two mixtures up again.",
    ),
    Option(
        "0",
        -0.001,
        0.001,
        "Two different mixtures of u and v are two equations for two unknowns: u is 70 times the second less 69 times the first. (Noise would grow as much; here is none.)",
    ),
    shows="Measured just now: together they lose {0}, to rounding.",
)
def error_of_two_nearly_alike_heads() -> float:
    return abs(round(float(fetch_two(0.31).two[STOPS.index(0.3)].sum()), 9))


# ---------------------------------------------------------------------------------------------- the first look


@concept.looks_closer(
    "trained",
    "Trained with the same 4,930 parameters, one head stays near 1 of 2; two and four bring both.",
    fails_if=({"one": 1}, {"more": 0}, {"width": 64}),
)
def one_head_stays_at_one_of_two(one: int = 0, more: int = 1, width: int = training.WIDTH) -> Evidence:
    final = 2 * trained().final  # training takes the mean of both values; here, as above, they are added up
    # With all weight on one place the error is v² of each question: standard deviation √2, over 50 batches of 128.
    off = 4 * 2**0.5 / (training.LAST * training.EVERY * training.BATCH) ** 0.5
    worst = float(final[one][(final[one] - 1).abs().argmax()])
    return (
        Evidence.near(
            f"errors of both values, one head whose weights know no values, the farthest from 1 of 5 {SHIPPED}",
            worst,
            1,
            within=off,
        )
        & Evidence.below("of two and four heads, the most", float(final[more:].max()), 2 * training.LEARNED)
        & Evidence.exactly("parameters of every run", training.parameters(width), 4930)
    )


# ---------------------------------------------------------------------------------------------- the answer


@concept.says("One head mixes all features with the same weights.", fails_if={"n_heads": 2})
def all_features_are_mixed_alike(n_heads: int = 1) -> Evidence:
    weights = weights_of_features(n_heads)
    return Evidence.exactly(
        "∂ of an output feature by its value, the largest difference between 16 features over 8 keys",
        float((weights - weights[:1]).abs().max()),
        0,
    )


@concept.says(
    "Of two unrelated values in the same features a linear read-out of it loses half, at any weighting.",
    fails_if=({"heads": "two"}, {"own_features": True}),
)
def what_one_gains_the_other_loses(heads: str = "one", own_features: bool = False) -> Evidence:
    off = torch.cat([(getattr(fetch_two(features=c), heads).sum(-1) - 1).abs() for c in (1, 16)])
    what = f"errors of u and v less 1, the farthest of {len(STOPS)} weights, with"
    all_of_them = float((through_w_o(own_features).sum(-1) - 1).abs().max())
    return Evidence.near(f"{what} 1 and with 16 features", float(off.max()), 0, within=ROUNDING) & Evidence.near(
        f"{what} 16 features, each read out of all", all_of_them, 0, within=ROUNDING
    )


@concept.says("Two heads with different weights bring both; W_O un-mixes them.", fails_if={"alike": True})
def different_heads_bring_both(alike: bool = False) -> Evidence:
    found = []
    for second in (0.0, 0.5, 1.0):
        errors = fetch_two(second).two.sum(-1)
        found += [float(e) for w, e in zip(STOPS, errors, strict=True) if (w == second) == alike]
    return Evidence.near(
        "errors of u and v together, the most over 60 pairs of weights", max(found), 0, within=ROUNDING
    )


@concept.looks_closer(
    "cost",
    "From 1 head to 64, parameters and FLOPs of matrix products stay the same; only the scores grow.",
    fails_if=({"wide": True}, {"averaged": True}),
)
@concept.corrects(
    "h heads cost h times as much.",
    better="Each is h times narrower, so that a layer’s parameters and the FLOPs of its matrix products do not depend on h. "
    "What grows are the scores: h softmaxes, and h times the memory, where they are stored.",
    fails_if=({"wide": True}, {"averaged": True}),
)
@concept.says(
    "They share the width: same parameters and matrix products, only more scores.",
    fails_if=({"wide": True}, {"averaged": True}),
)
def heads_share_the_width(wide: bool = False, averaged: bool = False) -> Evidence:
    first, *others = (cost(h, wide=wide) for h in (1, 8, 64))
    # `average_attn_weights=True`, the module's default, hands back one map for all heads.
    kept = others[-1].score_bytes / (64 if averaged else 1)

    def farthest(field: str) -> int:
        """The largest difference to one head."""
        return max(abs(getattr(c, field) - getattr(first, field)) for c in others)

    return (
        Evidence.exactly(
            f"parameters of nn.MultiheadAttention({D_MODEL}, h), h = 8 and 64 less h = 1, at most",
            farthest("parameters"),
            0,
        )
        & Evidence.exactly(f"FLOPs of the same products over {CONTEXT} tokens", farthest("flops"), 0)
        & Evidence.exactly("bytes of keys and values, per token", farthest("cache_bytes"), 0)
        & Evidence.exactly("bytes of the module’s weights, h = 64 ÷ h = 1", kept / first.score_bytes, 64)
    )


@concept.says("Training finds roles; nobody assigns them.", fails_if=({"training_done": False}, {"runs": 1}))
def roles_are_found(training_done: bool = True, runs: int = len(training.SEEDS)) -> Evidence:
    if training_done:
        maps = trained().maps[1][:runs]
    else:
        maps = training.look(training.first_weights(training.SEEDS), 2, keys_see_values=False)[:runs]
    first, second = maps[..., 0], maps[..., 1]
    # One head for each place, whichever way round.
    either = torch.stack([torch.minimum(first[:, 0], second[:, 1]), torch.minimum(first[:, 1], second[:, 0])], -1)
    return Evidence.above(
        f"two heads: least weight that a place gets from its own head, {runs} {SHIPPED}",
        float(either.amax(-1).min()),
        0.5,  # most of the weight
    ) & Evidence.exactly(
        "ways to deal the two places to the two heads that occur", either.argmax(-1).unique().numel(), 2
    )


@concept.looks_closer(
    "rank",
    "Too many heads are too narrow: logits have rank dₖ at most, their softmax may have more.",
    fails_if=({"of_logits": "weights"}, {"of_weights": "logits"}, {"d_k": 64}),
)
@concept.says(
    "Too many are too narrow: logits have rank dₖ at most.",
    fails_if=({"of_logits": "weights"}, {"of_weights": "logits"}, {"d_k": 64}),
)
def narrow_heads_have_low_rank(of_logits: str = "logits", of_weights: str = "weights", d_k: int = 8) -> Evidence:
    beyond = max(spectra(w).rank(of_logits) - w for w in HEAD_WIDTHS)  # type: ignore[arg-type]
    return (
        Evidence.exactly(f"rank of the logits of {KEYS} random tokens less dₖ, the most of 7 widths", beyond, 0)
        & Evidence.above("rank of their softmax less dₖ, dₖ = 4", spectra(4).rank(of_weights) - 4, 0)  # type: ignore[arg-type]
        # More than rounding: something is lost.
        & Evidence.above(f"share of a random pattern’s log-odds out of reach, dₖ = {d_k}", float(out_of_reach()[d_k]), 1e-9)
    )  # fmt: skip


concept.cites("In the original paper, one head cost 0.9 BLEU.", source=VASWANI_2017.at("§6.2 and table 3, rows A"))


# ---------------------------------------------------------------------------------------------- the last look


@concept.looks_closer(
    "split",
    "One wide projection, split, is h small ones: 0 apart in whole numbers. A wrong view differs.",
    fails_if=({"code": "view"}, {"wrong": "right"}),
)
def a_split_projection_is_small_ones(code: Code = "right", wrong: Code = "view") -> Evidence:
    return (
        Evidence.exactly(
            "whole numbers: split less small, the largest of 1 to 8 heads",
            max(split_or_small(h, code) for h in SPLITS),
            0,
        )
        & Evidence.near("output, ‖ours − torch’s‖ ÷ ‖torch’s‖, 4 heads", written(code, 4).error, 0, within=ROUNDING)
        # Far more than rounding, and yet no exception: this line is reached.
        & Evidence.above("the same with view(h, n, dₖ)", written(wrong, 4).error, 0.1)
    )


# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "Each head sees a slice of the input.",
    better="Each head projects *all* d features of a token; what is cut into slices is the result.",
    fails_if={"sliced": True},
)
def every_head_sees_every_feature(sliced: bool = False) -> Evidence:
    what = f"input features of {D_MODEL} on which the first of 8 heads’ queries depend"
    return Evidence.exactly(what, inputs_seen(sliced), D_MODEL)


@concept.corrects(
    "The outputs of the heads are averaged.",
    better="They are concatenated and multiplied by W_O, which adds up one map for each head. So their order means nothing: "
    "move a head’s columns of W_Q, W_K, W_V and its rows of W_O together, and the output stays.",
    fails_if=({"averaged": True}, {"moved_together": False}),
)
def the_heads_are_added_up(averaged: bool = False, moved_together: bool = True) -> Evidence:
    added, reordered = heads_as_a_sum(averaged, moved_together)
    return Evidence.near(
        "the sum of the heads’ own maps less nn.MultiheadAttention, relative", added, 0, within=ROUNDING
    ) & Evidence.near("the module with its heads in reverse order less itself", reordered, 0, within=ROUNDING)


@concept.corrects(
    "A Transformer with one head can never bring both.",
    better="One attention, read linearly, cannot where both stand in the same features and the weights do not depend on them. Where each has features of its "
    "own it can: the average only scales them, and W_O scales back. And two layers can: the first brings u, the second v, each into "
    "features of its own. Heads do side by side what layers do one after the other.",
    fails_if=({"layers": 1}, {"own_features": False}),
)
def two_layers_can(layers: int = 2, own_features: bool = True) -> Evidence:
    what = f"errors of u and v together after {layers} layers of one head"
    inner = through_w_o(own_features)[1:-1].sum(-1)
    return Evidence.near(what, float(in_steps(layers).sum()), 0, within=ROUNDING) & Evidence.near(
        f"after one layer, each in 8 features of its own, the most of {len(inner)} weights",
        float(inner.max()),
        0,
        within=ROUNDING,
    )


# ---------------------------------------------------------------------------------------------- the usual answer

MICHEL = Source("Michel et al. 2019", "Are Sixteen Heads Really Better than One?", "arXiv 1905.10650")
VOITA = Source(
    "Voita et al. 2019",
    "Analyzing Multi-Head Self-Attention: Specialized Heads Do the Heavy Lifting, the Rest Can Be Pruned",
    "arXiv 1905.09418",
)
BHOJANAPALLI = Source(
    "Bhojanapalli et al. 2020", "Low-Rank Bottleneck in Multi-head Attention Models", "arXiv 2002.07028"
)
BROWN = Source("Brown et al. 2020", "Language Models are Few-Shot Learners", "arXiv 2005.14165")
SHAZEER = Source("Shazeer 2019", "Fast Transformer Decoding: One Write-Head is All You Need", "arXiv 1911.02150")

concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS,
    "Both halves. Each head has a W_Q and a W_K of its own, hence its positions, which are what is measured here; and a W_V of its own, "
    "hence its subspace, of dₖ features.",
    by=several_averages_for_the_price_of_one,
    source=VASWANI_2017.at("§3.2.2"),
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS_IF,
    "If training finds it. With two heads, each of our runs gave each place a head of its own, but not the same one in every "
    "seed; with four, some look at several places. In trained translation models some heads have a role that can be named, and many can go.",
    by=roles_are_found,
    source=(VOITA, MICHEL),
)
concept.judges(
    concept.topic.usual[2],
    Verdict.HOLDS_IF,
    "If both stand in the same features. How much it costs depends on the task: here half of what is asked, in the original paper’s "
    "ablation 0.9 BLEU (a score of translations) to the best setting.",
    by=what_one_gains_the_other_loses,
    source=VASWANI_2017.at("§6.2 and table 3, rows A"),
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Could the feed-forward layer not pull one head’s mixture apart?",
    "If values come from a short list, yes: with u and v = ±1 and weights 0.3 and 0.7 the mixture’s sign is v, and what is left tells u. "
    "Of Gaussian values no function of the mixture knows more than the linear read-out: given it, the expected u is linear in it.",
)
concept.pushes_back(
    "Why W_O?",
    "Without it head i could only write into its own dₖ features of what is handed on. With it, each head writes anywhere, "
    "through its own dₖ rows of W_O, and the results add up: that is how two mixtures of u and v become u and v again.",
)
concept.pushes_back(
    "Can heads be pruned?",
    "Often. In an English–Russian model, trained on while a penalty closed the gates of heads, 38 of 48 encoder heads went for 0.15 BLEU; in "
    "another, without further training, some layers did with a single head. That does not show that heads were useless in training; "
    "and some matter much more than others.",
    (VOITA, MICHEL),
)
concept.pushes_back(
    "What are MQA and GQA?",
    "Each query head keeps its own pattern, but heads share keys and values: all of them one head in multi-query attention, "
    "each group one in grouped-query attention. That makes W_K and W_V smaller and, more important, the KV cache (question 1), each by the "
    "number of heads that share. The scores stay as many.",
    (SHAZEER, AINSLIE_2023),
)
concept.pushes_back(
    "How many heads, then?",
    "As many as the width affords. The original paper found 8 and 16 best at d = 512; 1 and 32 were worse. A head much "
    "narrower than the number of tokens cannot form every pattern, whatever is trained. So wider models get more heads rather than much wider ones: the eight sizes of GPT-3 have 12 to 96 heads, "
    "with dₖ from 64 to 128.",
    (VASWANI_2017.at("table 3, rows A"), BHOJANAPALLI, BROWN.at("table 2.1")),
)

concept.reads(VASWANI_2017.at("§3.2.2"), MICHEL, VOITA, BHOJANAPALLI, BROWN, SHAZEER, AINSLIE_2023)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import torch

w, second, features = $w, $second, $features  # weights on u of the first and the second head; the width of a value

# Draws of u and v with variance 1, made exactly uncorrelated: [draws, 2, features].
g = torch.Generator().manual_seed(3)
q, _ = torch.linalg.qr(torch.randn(128, 2 * features, generator=g, dtype=torch.float64))
values = (128**0.5 * q).unflatten(-1, (2, features))


def errors(*weights_on_u):
    weights = torch.tensor([[u, 1 - u] for u in weights_on_u], dtype=torch.float64)
    brought = (weights.log().softmax(-1) @ values).transpose(0, 1).flatten(1)  # what each head returns
    wanted = values.transpose(0, 1).flatten(1)
    w_o = wanted @ torch.linalg.pinv(brought, rtol=1e-10)  # the best linear read-out
    return (w_o @ brought - wanted).square().mean(-1)


print("one head, errors of u and v:", [round(e, 4) for e in errors(w).tolist()])
print("two heads, together:", abs(round(errors(w, second).sum().item(), 4)))
""",
    {"w": 0.3, "second": 1.0, "features": 1},
    {"w": 0.5, "second": 0.5, "features": 16},
    {"w": 0.0, "second": 0.05, "features": 4},
)
def what_two_heads_lose(w: float, second: float, features: int) -> float:
    return float(fetch_two(second, features).two[STOPS.index(w)].sum())
