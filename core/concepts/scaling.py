"""Question 2: why are the attention logits divided by √dₖ?"""

import itertools
import math
from typing import Literal

import torch

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.scaling import (
    DEAD,
    TOKENS,
    Distribution,
    Init,
    Rows,
    at,
    attend,
    draw,
    first_step,
    gradients,
    initial_logit_variance,
    response,
)
from core.ops.attention import Divisor, logits, softmax
from core.say import number
from core.sources import GEMMA_2_2024, VASWANI_2017
from core.training.retrieval import VARIANTS, trained

concept = Concept(
    __name__,
    equation=r"\mathrm{softmax}\big(\query{Q}\key{K}^\top / \disputed{\sqrt{d_k}}\big)\,\value{V}",
    words=("dₖ", "logit", "row", "one-hot", "saturated"),
)


@concept.in_one_sentence(
    "A dot product of dₖ independent terms of mean 0 grows like √dₖ: divided by √dₖ, the softmax starts about equally soft at every "
    "width; without it, the wider the head, the closer it starts to one-hot.",
    fails_if=({"undivided": "sqrt"}, {"divided": "none"}, {"divided": "d_k"}),
)
def every_width_starts_alike(undivided: Divisor = "none", divided: Divisor = "sqrt") -> Evidence:
    without, scaled = attend(undivided), attend(divided)
    return (
        Evidence.between(
            "spread of the logits of 64 random keys without the factor, dₖ = 1024 ÷ dₖ = 4",
            float(without.spread[at(1024)] / without.spread[at(4)]),
            # √256, within four standard errors: at width 4 a variance over 512 queries has one of √((2 + 6/4) / 512) = 8 %,
            # and its root half of that. The rival law, 256, and none at all, 1, are far away.
            16 * 0.84,
            16 * 1.16,
        )
        & Evidence.above("least step of the mean largest weight, from each width to the next", _least_step(without), 0)
        & Evidence.above("mean largest weight at dₖ = 1024", float(without.largest[at(1024)]), 0.9)
        # Dividing by dₖ would let it fall to a quarter.
        & Evidence.between(
            "with the factor, the most over all widths ÷ the least",
            float(scaled.largest.max() / scaled.largest.min()),
            1,
            1.25,
        )
    )


def _least_step(rows: Rows) -> float:
    return float(rows.largest.diff().min())


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "64 keys of width 512, drawn from N(0, 1), and no factor: what share of its row does the favourite get?",
    Option("11 %", 0.0, 0.2, "That is what it gives *with* the factor, when the logits have standard deviation 1."),
    Option("78 %", 0.2, 0.85, "That is right at width 64. At width 512 the logits are √8 times as far apart."),
    Option(
        "93 %",
        0.85,
        0.97,
        "The logits have standard deviation 23: the largest of 64 is far enough ahead of the second to take nearly all of "
        "the weight in most rows, though not in all.",
    ),
    Option("100 %", 0.97, 1.01, "Saturation is not total: in some rows two keys happen to be close, and they share."),
    shows="Measured just now over 512 rows: on average the favourite key gets {percent} of a row’s weight. Set the width below to 512 to see it.",
)
def favourite_without_the_factor() -> float:
    return float(attend("none").largest[at(512)])


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "Two independent vectors of dₖ independent components, mean 0 and variance 1, have a dot product of variance dₖ.",
    fails_if=({"shift": 0.5}, {"same": True}, {"repeated": True}),
)
def variance_grows_with_width(
    shift: float = 0.0, same: bool = False, repeated: bool = False, pairs: int = 4096
) -> Evidence:
    g = torch.Generator().manual_seed(2)
    off: dict[float, float] = {}  # in standard errors → the standard error
    distributions: tuple[Distribution, ...] = ("normal", "rademacher")
    for d_k, distribution in itertools.product((4, 64, 512), distributions):
        query, key = (draw(distribution, pairs, d_k, generator=g) + shift for _ in "qk")
        key = query if same else key
        if repeated:  # one component, dₖ times
            query, key = query[:, :1].expand_as(query), key[:, :1].expand_as(key)
        # A sample variance of m independent draws has relative standard error √((kurtosis − 1) / m),
        # and the dot product has kurtosis 3 + 6/d_k for normal components, less for ±1.
        standard_error = math.sqrt((2 + 6 / d_k) / pairs)
        off[(float((query * key).sum(-1).var()) / d_k - 1) / standard_error] = standard_error
    worst = max(off, key=abs)
    what = "Var[q·k] / dₖ, the worst of dₖ = 4, 64, 512 with normal components and with ±1"
    return Evidence.near(what, 1 + worst * off[worst], 1, within=4 * off[worst])


@concept.says("Dividing by √dₖ brings it back to 1.", fails_if={"divisor": "none"})
def scaling_restores_unit_variance(divisor: Divisor = "sqrt", pairs: int = 4096) -> Evidence:
    g = torch.Generator().manual_seed(3)
    variances = []
    for d_k in (4, 64, 512):
        query, key = (draw("normal", pairs, 1, d_k, generator=g) for _ in range(2))
        variances.append(float(logits(query, key, divisor).var()))
    worst = max(variances, key=lambda v: abs(v - 1))
    return Evidence.near(
        "Var[q·k / √dₖ], the worst of dₖ = 4, 64, 512", worst, 1, within=4 * math.sqrt((2 + 6 / 4) / pairs)
    )


@concept.says(
    "Undivided, at dₖ = 64, the favourite of 64 random keys takes on average over two thirds of its row; divided, about a tenth.",
    fails_if={"divided": "none", "undivided": "sqrt"},
)
def softmax_saturates(undivided: Divisor = "none", divided: Divisor = "sqrt") -> Evidence:
    without, scaled = (float(attend(d).largest[at(64)]) for d in (undivided, divided))
    return Evidence.above("mean largest weight, dₖ = 64, 64 keys, without", without, 2 / 3) & Evidence.between(
        "with the factor", scaled, 0.05, 0.15
    )  # what rounds to a tenth


@concept.says("The most saturated rows pass almost no gradient to query and keys.", fails_if={"saturated": 1.0})
def saturated_rows_pass_no_gradient(saturated: float = 0.1) -> Evidence:
    without, scaled = gradients("none"), gradients("sqrt")
    rows = without.favourite >= without.favourite.quantile(1 - saturated)
    what = f"the gradient without ÷ with the factor in the {saturated:.0%} most saturated rows, at the query"
    return (
        Evidence.below(what, float(without.query[rows].mean() / scaled.query[rows].mean()), 0.1)
        & Evidence.below("at the keys", float(without.key[rows].mean() / scaled.key[rows].mean()), 0.1)
        # A row deals out the gradient of its output, here of norm 1, by its weights: ‖p‖ of it, at most 1.
        & Evidence.above("at the values, of 1, without the factor, the least", float(without.value[rows].min()), 0.99)
    )


@concept.says("W_Q can absorb the factor.", fails_if={"width": 512})
def the_factor_folds_into_the_weights(width: int = 64) -> Evidence:
    g = torch.Generator().manual_seed(4)
    x = torch.randn(10, 512, generator=g, dtype=torch.float64)
    w_q, w_k = (torch.randn(512, 64, generator=g, dtype=torch.float64) / math.sqrt(512) for _ in range(2))
    b_q = torch.randn(64, generator=g, dtype=torch.float64)
    scaled = logits(x @ w_q + b_q, x @ w_k, "sqrt")
    folded = logits(x @ (w_q / math.sqrt(width)) + b_q / math.sqrt(width), x @ w_k, "none")
    return Evidence.near("largest difference of the logits", float((scaled - folded).abs().max()), 0, within=1e-12)


# ---------------------------------------------------------------------------------------------- looks, an argument


@concept.looks_closer(
    "rows",
    "No factor, 64 keys of width 64: the worst rows pass on almost nothing, yet the mean grows.",
    fails_if=({"divisor": "d_k"}, {"d_k": 1024}, {"late": 64}),
)
@concept.corrects(
    "Without the factor the gradients vanish everywhere.",
    better="They become uneven: some rows pass practically nothing to queries and keys, others more than before. At "
    "dₖ = 64 with 64 random keys the *mean* derivative of the softmax is even larger without the factor; the worst tenth "
    "of rows, where it falls to less than a tenth, shows the harm.",
    fails_if=({"divisor": "d_k"}, {"d_k": 1024}, {"late": 64}),
)
def the_mean_gradient_does_not_vanish(divisor: Divisor = "none", d_k: int = 64, late: int = 256) -> Evidence:
    without, scaled, i = attend(divisor), attend("sqrt"), at(d_k)
    worst, best = (float(without.quantile(q)[i] / scaled.quantile(q)[i]) for q in (0.1, 0.9))
    return (
        Evidence.above(f"share of rows with ‖J‖ < {number(DEAD)} without the factor", float(without.dead[i]), 0.05)
        & Evidence.above("‖J‖ without ÷ with the factor, 0.9 quantile over rows", best, 1)
        & Evidence.above(
            "‖J‖ without ÷ with the factor, mean over rows",
            float(without.jacobian[i].mean() / scaled.jacobian[i].mean()),
            1,
        )
        & Evidence.below("‖J‖ without ÷ with the factor, 0.1 quantile over rows", worst, 0.1)
        & Evidence.below(
            "‖J‖ without ÷ with the factor, mean over rows at dₖ = 256",
            float(without.jacobian[at(late)].mean() / scaled.jacobian[at(late)].mean()),
            0.9,
        )
    )


@concept.looks_closer(
    "softer",
    "Softer is not better: as the logits of 64 keys spread, the softmax’s gradient rises, then falls.",
    fails_if=({"n_keys": 2}, {"late": 2.0}),
)
def the_answer_rises_then_falls(n_keys: int = 64, late: float = 32.0) -> Evidence:
    r = response(n_keys, rows=200)
    peak, end = float(r.mean.max()), float(r.mean[(r.spread - late).abs().argmin()])
    tenth = float(r.tenth.max() / r.tenth[(r.spread - late).abs().argmin()])
    return (
        Evidence.above(f"mean answer of {n_keys} keys, peak ÷ at nearly equal logits", peak / float(r.mean[0]), 1.2)
        & Evidence.above("peak ÷ at a standard deviation of 32", peak / end, 1.2)
        & Evidence.above("of the worst tenth of rows, peak ÷ at 32", tenth, 10)
    )


@concept.looks_closer(
    "trained",
    "At width 64 our models learn sooner with the factor, and soonest with it folded into W_Q.",
    fails_if=({"left_out": "folded", "folded": "without"}, {"optimiser": "sgd"}, {"narrow": 64}),
)
@concept.says(
    "Left out, our width-64 models learn later.",
    fails_if=({"left_out": "folded", "folded": "without"}, {"optimiser": "sgd"}, {"narrow": 64}),
)
def the_factor_sets_the_start_and_the_step(
    left_out: str = "without", folded: str = "folded", optimiser: Literal["adam", "sgd"] = "adam", narrow: int = 16
) -> Evidence:
    def steps(width: int) -> dict[str, torch.Tensor]:
        """Until each run has learned; infinitely many where it has not within the cap."""
        learned = trained(width).learned.double()
        return dict(zip(VARIANTS, torch.where(learned < 0, math.inf, learned), strict=True))

    run, at_narrow, wide = steps(64), steps(narrow), steps(256)
    start = dict(zip(VARIANTS, trained(64).losses[..., 0], strict=True))
    reach = first_step(folded=True, optimiser=optimiser) / first_step(folded=False, optimiser=optimiser)
    of = "the least of 3 shipped runs (`python -m core.training retrieval`)"
    return (
        Evidence.above(f"first loss without ÷ with, {of}", float((start[left_out] / start["with"]).min()), 1)
        & Evidence.above("steps to learn, without ÷ with, the least", float((run[left_out] / run["with"]).min()), 1)
        & Evidence.below("folded ÷ with, the most", float((run[folded] / run["with"]).max()), 0.5)
        & Evidence.above("at width 256, without ÷ with, the least", float((wide[left_out] / wide["with"]).min()), 1)
        & Evidence.above(
            f"at width {narrow}, with ÷ without, the least", float((at_narrow["with"] / at_narrow[left_out]).min()), 1
        )
        & Evidence.above("without ÷ folded", float((at_narrow[left_out] / at_narrow[folded]).min()), 1)
        # Adam's step has one size whatever the gradient's, but for its ε = 1e-8 beside gradients of 1e-5 and more.
        & Evidence.near("first step of W_Q / √dₖ, folded ÷ with", reach, math.sqrt(64), within=1e-3 * math.sqrt(64))
    )


@concept.looks_closer(
    "modules",
    "PyTorch’s own modules start elsewhere: with logits of variance ¼ and 1/9, not 1.",
    fails_if={"own": False},
)
def real_initialisations_start_elsewhere(own: bool = True, draws: int = 2) -> Evidence:
    # Four standard errors of the mean over draws: see initial_logit_variance.
    off = 4 * math.sqrt(8 / (768 * TOKENS)) / math.sqrt(draws)

    def mean(init: Init) -> float:
        return sum(initial_logit_variance(init if own else "lecun", seed) for seed in range(draws)) / draws

    what = f"logit variance at d_model = 768 with 12 heads, mean of {draws} draws"
    return Evidence.near(f"{what}, nn.MultiheadAttention", mean("multihead"), 1 / 4, within=off / 4) & Evidence.near(
        "nn.Linear", mean("linear"), 1 / 9, within=off / 9
    )


# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "The factor is there to prevent overflow in the exponential.",
    better="Subtracting the row’s maximum does that, with or without the factor. (In float16, which ends at 65,504, the "
    "product q·k itself can overflow: dividing q *before* the product helps there, dividing afterwards comes too late. "
    "bfloat16 reaches as far as float32.)",
    fails_if=({"subtract_max": False}, {"narrow": "float32"}, {"wide": "float16"}, {"first": False}),
)
def the_maximum_prevents_overflow(
    subtract_max: bool = True, narrow: str = "float16", wide: str = "bfloat16", first: bool = True
) -> Evidence:
    query = torch.full((1, 64), 30.0)
    key = torch.cat([query, -query])
    scores = logits(query, key, "none")  # ±57,600, while exp overflows float32 at 88.7
    weights = softmax(scores) if subtract_max else scores.exp() / scores.exp().sum(-1, keepdim=True)

    def product(dtype: str, before: bool) -> float:
        """30² · 128 / √128, divided before or after the product, as a share of the true value."""
        q = torch.full((1, 128), 30.0, dtype=getattr(torch, dtype))
        return float(logits(q / math.sqrt(128), q, "none") if before else logits(q, q, "sqrt")) / (900 * math.sqrt(128))

    return (
        Evidence.exactly("sum of the row with logits of ±57,600 and no factor", float(weights.sum()), 1)
        & Evidence.exactly("30² · 128 / √128 ÷ its true value: float16, divided last", product(narrow, False), math.inf)
        # The quotient is rounded, and the product: by 2⁻¹¹ each, in bfloat16 by 2⁻⁹.
        & Evidence.near("float16, divided first", product("float16", first), 1, within=2**-10)
        & Evidence.near("bfloat16, divided last", product(wide, False), 1, within=2**-8)
    )


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS,
    "Independent components of q and k, of mean 0 and variance 1, are enough: the dot product’s standard deviation is then √dₖ, 8 at width 64.",
    by=variance_grows_with_width,
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS_IF,
    "True of the most saturated rows, and of the gradient to queries and keys; that to the values is not cut off. Averaged over "
    "rows of 64 random keys, the softmax’s derivative is even larger at width 64, and smaller at 256.",
    by=the_mean_gradient_does_not_vanish,
)
concept.judges(
    concept.topic.usual[2],
    Verdict.HOLDS_IF,
    "At the start, and if the components of q and k are independent with variance 1. `nn.MultiheadAttention` starts "
    "at ¼ where q, k and v have one width, two fresh `nn.Linear` at 1/9.",
    by=real_initialisations_start_elsewhere,
)

# ---------------------------------------------------------------------------------------------- push-back

MUP = Source("Yang et al. 2022", "Tensor Programs V: Zero-Shot Hyperparameter Transfer", "arXiv 2203.03466")
T5_CODE = Source(
    "Mesh TensorFlow, the code of T5",
    "attention.py",
    "https://github.com/tensorflow/mesh/blob/01231bb059684023913f80d0298a3c16efd2c51c/mesh_tensorflow/transformer/attention.py",
)
ADAFACTOR = Source(
    "Shazeer and Stern 2018", "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", "arXiv 1804.04235"
)
HENRY_2020 = Source("Henry et al. 2020", "Query-Key Normalization for Transformers", "arXiv 2010.04245")
DEHGHANI_2023 = Source(
    "Dehghani et al. 2023", "Scaling Vision Transformers to 22 Billion Parameters", "arXiv 2302.05442"
)

concept.pushes_back(
    "Why √dₖ and not dₖ?",
    "The standard deviation of a sum of dₖ independent terms of equal variance grows like √dₖ. Dividing by dₖ would "
    "leave logits of variance 1/dₖ, and attention would start as nearly a plain average. µP, a recipe that carries "
    "hyperparameters from narrow models to wide ones, does want 1/dₖ: trained queries and keys are no longer independent.",
    MUP,
)
concept.pushes_back(
    "With 64 keys the softmax’s mean derivative is largest at a standard deviation near 3, not 1. Why not start there?",
    "The factor does not promise the best spread; it makes the spread independent of the width, and hardly a row starts saturated. "
    "Where the peak lies depends on the number of keys, which changes from text to text.",
)
concept.pushes_back(
    "Why dₖ and not d_model?",
    "The sum inside the dot product runs over the width of one head. With 8 heads that share d_model among them, √d_model "
    "is √8 times too large: the code runs, the outputs differ, and no error tells you.",
)
concept.pushes_back(
    "Could a model do without it?",
    "Yes, if it starts with smaller logits. The code of T5 has no factor: it draws W_Q with a standard deviation "
    "that is smaller by √dₖ. (T5 was trained with Adafactor, whose steps are proportional to the size of the weights, so that W_Q does not "
    "run ahead there as it does with Adam.)",
    (T5_CODE, ADAFACTOR),
)
concept.pushes_back(
    "What keeps logits in range after training?",
    "Nothing in the factor does. A vision Transformer of 8 billion parameters diverged with extremely large logits until "
    "its queries and keys were normalised; QK-norm, as first proposed, scales their product by a number that is learned. Gemma 2 "
    "caps its logits with a tanh instead.",
    (HENRY_2020, DEHGHANI_2023, GEMMA_2_2024),
)

concept.reads(
    VASWANI_2017.at("§3.2.1 and footnote 4"), MUP, T5_CODE, ADAFACTOR, HENRY_2020, DEHGHANI_2023, GEMMA_2_2024
)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import math
import torch

d_k, n_keys, divisor, seed = $d_k, $n_keys, $divisor, $seed

g = torch.Generator().manual_seed(seed)
draw = {
    "normal": lambda *shape: torch.randn(*shape, generator=g),
    "uniform": lambda *shape: 2 * torch.rand(*shape, generator=g) - 1,
    "rademacher": lambda *shape: 2.0 * torch.randint(0, 2, shape, generator=g) - 1,
    "shifted": lambda *shape: torch.randn(*shape, generator=g) + 0.5,
}[$distribution]
query = draw(8, 64, 1024)[..., :d_k]       # 8 sets of 64 queries
key = draw(8, n_keys, 1024)[..., :d_k]
scale = {"none": 1, "sqrt": math.sqrt(d_k), "d_k": d_k}[divisor]
logits = query @ key.mT / scale
weights = logits.softmax(-1)

print("standard deviation of the logits:", round(logits.std().item(), 3))
print("mean largest weight of a row:", round(weights.amax(-1).mean().item(), 4))
""",
    {"d_k": 64, "n_keys": 64, "divisor": "sqrt", "seed": 0, "distribution": "normal"},
    {"d_k": 1, "n_keys": 2, "divisor": "none", "seed": 7, "distribution": "uniform"},
    {"d_k": 256, "n_keys": 8, "divisor": "sqrt", "seed": 3, "distribution": "rademacher"},
    {"d_k": 1024, "n_keys": 256, "divisor": "d_k", "seed": 1, "distribution": "shifted"},
)
def mean_largest_weight(d_k: int, n_keys: int, divisor: Divisor, seed: int, distribution: Distribution) -> float:
    return float(attend(divisor, n_keys, distribution, seed).largest[at(d_k)])
