"""Question 2: why are the attention logits divided by √d_k?"""

import math
from typing import Literal

import torch

from core.course import Concept, Evidence, Option, Source
from core.experiments.scaling import Distribution, Init, at, attend, draw, initial_logit_variance
from core.ops.attention import Divisor, logits, softmax
from core.sources import VASWANI_2017

concept = Concept(__name__)

# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "64 random keys of width d_k = 64, and the factor 1/√64 is left out. "
    "How much of its weight does a row give to its favourite key, on average?",
    Option(
        "about 11 %", 0.0, 0.2, "That is what it gives *with* the factor, when the logits have standard deviation 1."
    ),
    Option(
        "about 28 %", 0.2, 0.5, "That is right for keys of width 4. At width 64 the logits are four times as far apart."
    ),
    Option(
        "about 79 %",
        0.5,
        0.95,
        "The logits have standard deviation 8: the largest of 64 is far enough ahead of the second to take most of "
        "the weight in most rows, though not in all.",
    ),
    Option(
        "practically 100 %",
        0.95,
        1.01,
        "Saturation is not total: in many rows two keys happen to be close, and they share.",
    ),
    shows="Measured just now over 1024 rows: the favourite key gets {0} of a row's weight, where 1 would be all of it.",
)
def favourite_without_the_factor() -> float:
    return float(attend("none").largest[at(64)])


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "The dot product of a query and a key with d_k independent components of mean 0 and variance 1 has variance "
    "d_k: its standard deviation grows like √d_k.",
    fails_if={"distribution": "shifted"},
)
def variance_grows_with_width(distribution: Distribution = "normal", pairs: int = 8192) -> Evidence:
    g = torch.Generator().manual_seed(2)
    worst, error = 0.0, 0.0
    for d_k in (4, 64, 512):
        query, key = (draw(distribution, pairs, d_k, generator=g) for _ in range(2))
        off = float((query * key).sum(-1).var()) / d_k - 1
        # A sample variance of m independent draws has relative standard error √((kurtosis − 1) / m),
        # and the dot product of normal components has kurtosis 3 + 6/d_k.
        standard_error = math.sqrt((2 + 6 / d_k) / pairs)
        if abs(off) / standard_error >= abs(worst) / (error or 1):
            worst, error = off, standard_error
    return Evidence.near("Var[q·k] / d_k, the worst of d_k = 4, 64, 512", 1 + worst, 1, within=4 * error)


@concept.says("Dividing by √d_k brings that variance back to 1, whatever the width.", fails_if={"divisor": "none"})
def scaling_restores_unit_variance(divisor: Divisor = "sqrt", pairs: int = 8192) -> Evidence:
    g = torch.Generator().manual_seed(3)
    variances = []
    for d_k in (4, 64, 512):
        query, key = (draw("normal", pairs, 1, d_k, generator=g) for _ in range(2))
        variances.append(float(logits(query, key, divisor).var()))
    worst = max(variances, key=lambda v: abs(v - 1))
    return Evidence.near(
        "Var[q·k / √d_k], the worst of d_k = 4, 64, 512", worst, 1, within=4 * math.sqrt((2 + 6 / 4) / pairs)
    )


@concept.says(
    "Without it the softmax saturates: at d_k = 64, with 64 keys, one key takes more than two thirds of a row's "
    "weight on average; with it, about a tenth.",
    fails_if={"divisor": "sqrt"},
)
def softmax_saturates(divisor: Divisor = "none") -> Evidence:
    return Evidence.above("mean largest weight, d_k = 64, 64 keys", float(attend(divisor).largest[at(64)]), 2 / 3)


@concept.says(
    "A saturated row passes almost no gradient: in the tenth of rows that suffer most, the derivative of the "
    "softmax is less than a tenth of what it is with the factor.",
    fails_if={"statistic": "mean"},
)
def saturated_rows_pass_no_gradient(statistic: Literal["tenth", "mean"] = "tenth") -> Evidence:
    without, scaled = (
        r.quantile(0.1)[at(64)] if statistic == "tenth" else r.jacobian[at(64)].mean()
        for r in (attend("none"), attend("sqrt"))
    )
    return Evidence.below(f"‖J‖ without ÷ ‖J‖ with the factor, {statistic} of rows", float(without / scaled), 0.1)


concept.cites(
    "The original paper only suspected this: “We suspect that for large values of d_k, the dot products grow large "
    "in magnitude, pushing the softmax function into regions where it has extremely small gradients.”",
    source=VASWANI_2017.at("§3.2.1"),
)


@concept.says(
    "The factor is a choice of starting point and not a law: it can be folded into W_Q, and training is free to "
    "undo it.",
    fails_if={"fold": 512},
)
def the_factor_folds_into_the_weights(fold: int = 64) -> Evidence:
    g = torch.Generator().manual_seed(4)
    x = torch.randn(10, 512, generator=g, dtype=torch.float64)
    w_q, w_k = (torch.randn(512, 64, generator=g, dtype=torch.float64) / math.sqrt(512) for _ in range(2))
    scaled = logits(x @ w_q, x @ w_k, "sqrt")
    folded = logits(x @ (w_q / math.sqrt(fold)), x @ w_k, "none")
    return Evidence.near("largest difference of the logits", float((scaled - folded).abs().max()), 0, within=1e-12)


# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "The factor keeps the variance of the logits at 1.",
    better="It gives variance 1 for independent components of variance 1. Real initialisations do not have those: "
    "PyTorch's own nn.MultiheadAttention starts with logits of variance about 1/4, and training goes where it wants.",
    fails_if={"init": "lecun"},
)
def real_initialisations_start_elsewhere(init: Init = "multihead") -> Evidence:
    draws = torch.tensor([initial_logit_variance(init, seed) for seed in range(4)])
    # Each draw pools 12 heads × 256 × 256 logits that share 256 rows and columns; the spread of independent
    # draws of weights and inputs is the honest standard error.
    return Evidence.near(
        "logit variance at initialisation, d_model = 768, 12 heads, 4 draws",
        float(draws.mean()),
        0.25,
        within=4 * max(float(draws.std()) / 2, 0.25 * math.sqrt(2 / (256 * 4))),
    )


@concept.corrects(
    "Without the factor the gradients vanish everywhere.",
    better="They become uneven: some rows pass practically nothing, others more than before. At d_k = 64 with 64 keys "
    "the *mean* derivative of the softmax is even larger without the factor; the worst tenth of rows shows the harm.",
    fails_if={"statistic": "tenth"},
)
def the_mean_gradient_does_not_vanish(statistic: Literal["tenth", "mean"] = "mean") -> Evidence:
    without, scaled = (
        r.quantile(0.1)[at(64)] if statistic == "tenth" else r.jacobian[at(64)].mean()
        for r in (attend("none"), attend("sqrt"))
    )
    return Evidence.above(f"‖J‖ without ÷ ‖J‖ with the factor, {statistic} of rows", float(without / scaled), 1)


@concept.corrects(
    "The factor is there to prevent overflow in the exponential.",
    better="Subtracting the row's maximum does that, with or without the factor. (In half precision the product q·k "
    "itself can overflow; dividing q *before* the product helps there.)",
    fails_if={"subtract_max": False},
)
def the_maximum_prevents_overflow(subtract_max: bool = True) -> Evidence:
    query = torch.full((1, 64), 30.0)
    key = torch.cat([query, -query])
    scores = logits(query, key, "none")  # ±57,600, while exp overflows float32 at 88.7
    weights = softmax(scores) if subtract_max else scores.exp() / scores.exp().sum(-1, keepdim=True)
    return Evidence.exactly("sum of the row with logits of ±57,600 and no factor", float(weights.sum()), 1)


# ---------------------------------------------------------------------------------------------- push-back

T5 = Source("Raffel et al. 2020", "Exploring the Limits of Transfer Learning", "arXiv 1910.10683")
MUP = Source("Yang et al. 2022", "Tensor Programs V", "arXiv 2203.03466")

concept.pushes_back(
    "Why √d_k and not d_k?",
    "The standard deviation of a sum of d_k independent terms grows like √d_k. Dividing by d_k would leave logits of "
    "variance 1/d_k, and attention would start as a plain average. (Some recipes for very wide models do want 1/d_k.)",
    MUP,
)
concept.pushes_back(
    "Why d_k and not d_model?",
    "The sum inside the dot product runs over the width of one head. With 8 heads, √d_model is √8 too large: the code "
    "runs, the outputs differ, and no error tells you.",
)
concept.pushes_back(
    "Is it a temperature?",
    "Yes: softmax(q·k/T) with T = √d_k. Learned temperatures exist; the factor is the fixed one.",
)
concept.pushes_back(
    "Could a model do without it?",
    "Yes. T5 has no factor: its initialisation of W_Q is smaller by √d_k instead, which is the same starting point.",
    T5,
)
concept.pushes_back(
    "What keeps logits in range after training?",
    "Nothing in the factor does. Models that need it normalise queries and keys (QK-norm) or cap the logits.",
)

concept.reads(VASWANI_2017.at("§3.2.1 and footnote 4"), T5, MUP)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import math
import torch

d_k, n_keys, divisor, seed = $d_k, $n_keys, $divisor, $seed

g = torch.Generator().manual_seed(seed)
query = torch.randn(16, 64, 1024, generator=g)[..., :d_k]      # 16 sets of 64 queries
key = torch.randn(16, n_keys, 1024, generator=g)[..., :d_k]
scale = {"none": 1, "sqrt": math.sqrt(d_k), "d_k": d_k}[divisor]
logits = query @ key.mT / scale
weights = logits.softmax(-1)

print("standard deviation of the logits:", round(logits.std().item(), 3))
print("mean largest weight of a row:", round(weights.amax(-1).mean().item(), 4))
""",
    {"d_k": 64, "n_keys": 64, "divisor": "sqrt", "seed": 0},
    {"d_k": 1, "n_keys": 2, "divisor": "none", "seed": 7},
    {"d_k": 1024, "n_keys": 256, "divisor": "d_k", "seed": 1},
)
def mean_largest_weight(d_k: int, n_keys: int, divisor: Divisor, seed: int) -> float:
    return float(attend(divisor, n_keys, "normal", seed).largest[at(d_k)])
