"""Question 18: why is the feed-forward layer four times as wide as the model, and 8/3 with SwiGLU?"""

from torch import nn

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.ffn_ratio import (
    LLAMAS,
    THRESHOLD,
    at_one_rate,
    counted,
    near,
    parameter_spread,
    planted_recall,
    published,
    recall,
    rounded,
    tuned,
)
from core.ops.widths import llama_width
from core.presets import preset
from core.sources import GEMMA_2024, GEVA_2021, GPT_OSS, LLAMA_2_2023, LLAMA_3_2024, LLAMA_2023, VASWANI_2017
from core.training.ffn_ratio import ACTIVATIONS, FACTS, RATIOS, SEEDS, WIDTHS

concept = Concept(
    __name__,
    equation=r"{\text{two matrices: } 2 \cdot d \cdot \disputed{4}\,d = 8\,d^2} \qquad\allowbreak "
    r"{\text{three, SwiGLU: } 3 \cdot d \cdot \disputed{\tfrac{8}{3}}\,d = 8\,d^2}",
    words=("d²", "gate", "left to learn"),
)

SHAZEER_2020 = Source("Shazeer 2020", "GLU Variants Improve Transformer", "arXiv 2002.05202")
PALM_2022 = Source("Chowdhery et al. 2022", "PaLM: Scaling Language Modeling with Pathways", "arXiv 2204.02311")
KAPLAN_2020 = Source("Kaplan et al. 2020", "Scaling Laws for Neural Language Models", "arXiv 2001.08361")
LLAMA_CODE = Source(
    "Meta 2023",
    "llama, model.py",
    "https://github.com/meta-llama/llama/blob/7565eb6fee2175b2d4fe2cfb45067a61b35d7f5e/llama/model.py",
)
LOW, HIGH = 0.0015, 0.05  # the lowest and the highest learning rate of the runs
RUNS = f"mean of {len(SEEDS)} shipped runs (`python -m core.training ffn_ratio`)"


# ---------------------------------------------------------------------------------------------- what several proofs measure


def weights_of(matrices: int, d_model: int, d_ff: int) -> int:
    """As PyTorch builds them: two linear layers, or three with a gate; without biases and without storing a number."""
    layers = [nn.Linear(d_model, d_ff, bias=False, device="meta") for _ in range(matrices - 1)]
    layers.append(nn.Linear(d_ff, d_model, bias=False, device="meta"))
    return sum(layer.weight.numel() for layer in layers)


def beside_four(ratio: float) -> list[float]:
    """What a ratio left to learn ÷ what 4 left, each with its best rate, for each activation."""
    means = [tuned(activation).mean for activation in ACTIVATIONS]
    return [float(mean[RATIOS.index(ratio)] / mean[RATIOS.index(4)]) for mean in means]


@concept.in_one_sentence(
    "Four is a convention: at equal size, 8 left our small decoders at most a tenth more to learn. SwiGLU "
    "has three matrices instead of two; at 8/3 they have as many weights.",
    fails_if=({"near": 0.5}, {"three": 4.0}),
)
def four_is_a_convention(near: float = 8, three: float = 8 / 3) -> Evidence:
    d = 3 * 1024
    return (
        Evidence.below(f"left to learn at {near:g} ÷ at 4, the most of three activations, {RUNS}", max(beside_four(near)), 1.1)
        & Evidence.exactly("weights of three matrices at 8/3 ÷ of two at 4, nn.Linear", weights_of(3, d, round(three * d)) / weights_of(2, d, 4 * d), 1)
    )  # fmt: skip


@concept.predicts(
    "Make the layer half as wide as the model instead of 4 times as wide, at equal size: how much is then left to learn?",
    Option(
        "as much", 0.8, 1.25, "At equal size the model itself becomes wider instead; it does not make up for the layer."
    ),
    Option(
        "about twice as much",
        1.25,
        3,
        "A narrow layer costs, but the model is wider elsewhere, and attention learns as well.",
    ),
    Option("5 times as much", 3, 8, "The ratio is an eighth, but the weights are as many: they have only moved."),
    Option("20 times as much", 8, 100, "The layer is where most is computed, but half the width is still a layer."),
    shows="With GELU and the best learning rate of each, the loss above the least possible was {0} times that at 4.",
)
def half_beside_four() -> float:
    found = tuned("gelu")
    return float(found.mean[RATIOS.index(0.5)] / found.mean[RATIOS.index(4)])


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "Four is the original Transformer’s; nearly all published models with two matrices kept it.",
    fails_if=({"first": "Gemma 7B"}, {"gated": True}),
)
def four_is_the_first_ones(first: str = "Transformer base (2017)", gated: bool = False) -> Evidence:
    ratios, a = published().of(gated), preset(first)
    return Evidence.exactly("its d_ff ÷ d_model", a.d_ff / a.d_model, 4) & Evidence.above(
        f"share of {len(ratios)} published models that have 4", float((ratios == 4).double().mean()), 0.9
    )


@concept.looks_closer(
    "trained",
    "At equal parameters our decoders have a basin: 8 and 16 left 4 to 9 % more to learn than 4.",
    fails_if=({"ratios": (0.5,)}, {"low": 8}, {"alike": False}),
)
@concept.says(
    "No sharp optimum: at equal parameters, rate tuned, 8 and 16 left our decoders 4 to 9 % more to learn than 4; "
    "2 left 16 to 32 % more.",
    fails_if=({"ratios": (0.5,)}, {"low": 8}, {"alike": False}),
)
def a_basin(ratios: tuple[float, ...] = (8, 16), low: float = 2, alike: bool = True) -> Evidence:
    near_by, worse = [more for ratio in ratios for more in beside_four(ratio)], beside_four(low)
    # With equal widths instead, 30 and 129 units for two matrices and for three, the layers would be of two sizes.
    size = parameter_spread() if alike else weights_of(3, 30, 129) / weights_of(2, 30, 129) - 1
    return (
        Evidence.near(f"left to learn at 8 and 16 ÷ at 4, the least of three activations, {RUNS}", min(near_by), 1.04, within=0.005)
        & Evidence.near("the most", max(near_by), 1.09, within=0.005)
        & Evidence.near("at 2 ÷ at 4, the least", min(worse), 1.16, within=0.005)
        & Evidence.near("the most", max(worse), 1.32, within=0.005)
        & Evidence.below("largest difference in parameters", size, 0.01)
    )  # fmt: skip


@concept.looks_closer(
    "trap",
    "With GELU, one learning rate for all picks the ratio: up to 2 at the lowest, 16 at the highest.",
    fails_if=({"low": HIGH}, {"high": LOW}, {"own": False}),
)
@concept.corrects(
    "A sweep with one learning rate for all shows which ratio is best.",
    better="It shows which ratio suits that rate: in our GELU runs the lowest prefers ratios up to 2 and the highest 16. Tune it for "
    "each ratio.",
    fails_if=({"low": HIGH}, {"high": LOW}, {"own": False}),
)
def one_rate_picks_its_own_winner(low: float = LOW, high: float = HIGH, own: bool = True) -> Evidence:
    """The winners at two rates; and that the ratio which wins if each is tuned wins at neither."""
    first, last, best = at_one_rate("gelu", low), at_one_rate("gelu", high), tuned("gelu").best
    beaten = [float(found.mean[best if own else found.best] / found.mean[found.best]) for found in (first, last)]
    return (
        Evidence.between(
            f"winning ratio, about, with learning rate {low:g}, GELU, the largest of the seeds’ winners, {RUNS}",
            max(RATIOS[i] for i in first.excess.argmin(0).tolist()),
            0,
            2,
        )
        & Evidence.exactly(f"with {high:g}, of the mean", RATIOS[last.best], 16)
        & Evidence.above(
            f"loss above the least possible with {low:g} and {high:g}, of the ratio that wins if each is tuned ÷ the winner’s, the least",
            min(beaten),
            1,
        )
    )


@concept.corrects(
    "SwiGLU needs a ratio of 8/3.",
    better="It runs at any. At 8/3 its three matrices have 8 d² weights, as two at 4; at 4 they have 12 d², half as many again, as in PaLM (of a whole layer: question 15).",
    fails_if=({"matrices": 2}, {"ratio": 4.0}, {"two": 8 / 3}),
    source=(SHAZEER_2020.at("§2"), PALM_2022.at("table 1"), LLAMA_2023.at("§2.2")),
)
@concept.says(
    "SwiGLU has three matrices: at 8/3 they have 8 d² weights, as two at 4.",
    fails_if=({"matrices": 2}, {"ratio": 4.0}, {"two": 8 / 3}),
)
def eight_thirds_keeps_the_weights(matrices: int = 3, ratio: float = 8 / 3, two: float = 4.0) -> Evidence:
    d = 3 * 256
    return (
        Evidence.exactly("two nn.Linear at 4, ÷ d²", weights_of(2, d, round(two * d)) / d**2, 8)
        & Evidence.exactly("three at 8/3, ÷ d²", weights_of(3, d, round(ratio * d)) / d**2, 8)
        & Evidence.exactly("three at 4, ÷ d²", weights_of(matrices, d, 4 * d) / d**2, 12)
    )


@concept.says(
    "Most published models with a gate take another ratio: Llama 3 8B 3.5.",
    fails_if=({"gated": False}, {"name": "LLaMA 7B"}),
)
def most_take_another(gated: bool = True, name: str = "Llama 3 8B") -> Evidence:
    ratios, a = published().of(gated), preset(name)
    usual = near(ratios, 8 / 3 if gated else 4)
    return Evidence.below(
        f"share of {len(ratios)} that are within 2 % of the ratio with 8 d² weights", usual / len(ratios), 0.5
    ) & Evidence.exactly("d_ff ÷ d_model of Llama 3 8B", a.d_ff / a.d_model, 3.5)


concept.cites("PaLM kept 4.", source=PALM_2022.at("table 1"))


@concept.looks_closer(
    "memory",
    "More units, more facts: trained ones hold several each; noise costs them more than written ones.",
    fails_if=({"noise": 2.0}, {"wide": 4}, {"noisy": 0.0}),
)
def units_hold_facts(noise: float = 0.0, wide: int = 32, noisy: float = 1.0) -> Evidence:
    exact, asked = recall(noise), recall(noisy)
    at, last = WIDTHS.index(wide), len(WIDTHS) - 1
    return (
        Evidence.above(
            f"share of {FACTS} facts that {wide} trained units give back ÷ that of 4, {RUNS}",
            float(exact.trained[at].mean() / exact.trained[0].mean()),
            4,
        )
        & Evidence.above("facts a trained unit, of 32", float(exact.trained[WIDTHS.index(32)].mean()) * FACTS / 32, 2)
        & Evidence.exactly("facts that come back of 512 written in", float(exact.planted[last].mean()) * FACTS, FACTS)
        & Evidence.above(
            "with noise as long as a key, 512 units: share written in − share trained",
            float((asked.planted[last] - asked.trained[last]).mean()),
            0.2,
        )
    )


# ---------------------------------------------------------------------------------------------- looks and corrections


@concept.corrects(
    "Llama’s d_ff is 8/3 d.",
    better="It begins there: cut to a whole number, multiplied in some models (Llama 2 70B: by 1.3)"
    ", and rounded up to a multiple. LLaMA 7B has 2.69 d, Llama 3 8B 3.5 d.",
    fails_if=({"late": True}, {"small": "Llama 3 8B"}, {"large": "LLaMA 7B"}),
    source=(LLAMA_CODE, LLAMA_2_2023.at("appendix A.2.1"), LLAMA_3_2024.at("table 3")),
)
def llama_rounds(late: bool = False, small: str = "LLaMA 7B", large: str = "Llama 3 8B") -> Evidence:
    wrong = 0
    for name, (multiple_of, multiplier) in LLAMAS.items():
        a = preset(name)
        d_ff = llama_width(a.d_model, multiple_of, multiplier)
        if late:  # rounded up first, multiplied afterwards
            d_ff = int(multiplier * llama_width(a.d_model, multiple_of))
        wrong += d_ff != a.d_ff
    return (
        Evidence.exactly(f"of {len(LLAMAS)} Llamas, those with another d_ff than the formula’s", wrong, 0)
        & Evidence.near("d_ff ÷ d_model, LLaMA 7B", rounded(small).ratio, 2.69, within=0.005)
        & Evidence.exactly("Llama 3 8B", rounded(large).ratio, 3.5)
    )


@concept.corrects(
    "d_ff units hold at most d_ff facts.",
    better="Written in by hand, one a unit, they do. Trained, 32 units give back practically all of 512, if asked exactly as learned. How many facts a unit takes depends on the keys, the training and the noise.",
    fails_if=({"noise": 0.5}, {"threshold": 5.0}),
)
def several_facts_a_unit(noise: float = 0.0, threshold: float = THRESHOLD) -> Evidence:
    found = recall(noise)
    at = WIDTHS.index(32)
    written = sum(float(planted_recall(0.0, seed, threshold)[at]) for seed in SEEDS) / len(SEEDS)
    return Evidence.above(
        f"share of {FACTS} facts that 32 trained units give back, {RUNS}", float(found.trained[at].mean()), 0.99
    ) & Evidence.exactly("facts that 32 written ones give back, the mean of all seeds", written * FACTS, 32)


@concept.looks_closer(
    "flops",
    "If d_model stays, the ratio adds FLOPs; if the parameters stay, it takes them from attention.",
    fails_if=({"narrow": 64}, {"context": 0}, {"wider": 64}),
)
def ratio_moves_operations(narrow: int = 32, context: int = 128, wider: int = 640) -> Evidence:
    """Ratio 1 at d = 64 and ratio 10 at d = 32 have the same number of weights."""
    weights, flops = counted(64, 64, context)
    same, fewer = counted(narrow, 10 * narrow, context)
    _, more = counted(64, wider, context)
    return (
        Evidence.exactly("weights of a layer, d = 32 and ratio 10 ÷ d = 64 and ratio 1", same / weights, 1)
        & Evidence.exactly(
            f"attention’s FLOPs with {context} keys, as PyTorch counts them, ÷ before",
            (fewer - 2 * same) / (flops - 2 * weights) if context else 0.0,
            0.5,
        )
        & Evidence.above("all FLOPs with d = 64 and ratio 10 ÷ ratio 1", more / flops, 1.5)
    )


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS_IF,
    "If it means that experiments allow 4, and no theory asks for it. The original Transformer gives 512 and 2,048 without a reason, and its "
    "table tries other widths at other sizes. At equal size 8 and 16 left ours 4 to 9 % more to learn than 4 (SwiGLU: two thirds of "
    "these ratios).",
    by=a_basin,
    source=VASWANI_2017.at("§3.3 and table 3"),
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS_IF,
    "If meant as a reading of what the units do (question 10). Wider layers hold more, but nothing in it asks for 4.",
    by=units_hold_facts,
    source=GEVA_2021.at("§2"),
)
concept.judges(
    concept.topic.usual[2],
    Verdict.HOLDS_IF,
    "If 8/3 is taken as what keeps the number of weights. PaLM kept 4, LLaMA rounds 8/3 up, and Gemma 7B (with GELU in the gate) takes 8 "
    "for each matrix: its table counts two of them together.",
    by=eight_thirds_keeps_the_weights,
    source=(PALM_2022.at("table 1"), LLAMA_CODE, GEMMA_2024.at("table 1")),
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Then which ratio would you take?",
    "One near those in use that suits the hardware: in Kaplan et al.’s models of equal size (embeddings not counted) the whole loss "
    "changes by a few percent over a wide range.",
    KAPLAN_2020.at("§3.1 and figure 5"),
)
concept.pushes_back(
    "Why 11,008 in LLaMA 7B, and not 10,923? And why times 1.3 in Llama 2 70B?",
    "2/3 · 4 · 4,096 is 10,922.67: int() cuts it, and 43 · 256 is the next multiple of 256. In Llama 2 70B the cut 21,845 becomes 28,398, "
    "and that 7 · 4,096 = 28,672. The 1.3 gives back the weights that grouped heads save (question 3), so that sizes stay comparable.",
    (LLAMA_CODE, LLAMA_2_2023.at("appendix A.2.1")),
)
concept.pushes_back(
    "Must the layer be wider than the model at all?",
    "No rule says so, but narrow is not free: the prediction measured it. In mixtures of experts (question 10) a single expert may be no wider than the model, as in gpt-oss (2,880 and 2,880); but a token is "
    "sent to four of them, four widths in all.",
    GPT_OSS,
)

concept.reads(
    VASWANI_2017.at("§3.3"),
    SHAZEER_2020,
    KAPLAN_2020.at("§3.1"),
    GEVA_2021,
    PALM_2022.at("table 1"),
    LLAMA_2023.at("§2.2"),
    LLAMA_2_2023.at("appendix A.2.1"),
    LLAMA_3_2024.at("table 3"),
    LLAMA_CODE,
    GEMMA_2024.at("table 1"),
    GPT_OSS,
)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import torch

ratio, d_model, multiple_of, multiplier = $ratio, $d_model, $multiple_of, $multiplier

# Llama's code: cut, multiplied, cut, rounded up
hidden = int(2 * (ratio * d_model) / 3)
hidden = int(multiplier * hidden)
d_ff = multiple_of * ((hidden + multiple_of - 1) // multiple_of)


def weights(*widths):
    linear = (torch.nn.Linear(*w, bias=False, device="meta") for w in widths)
    return sum(layer.weight.numel() for layer in linear)


two = weights((d_model, ratio * d_model), (ratio * d_model, d_model))
three = weights((d_model, d_ff), (d_model, d_ff), (d_ff, d_model))
print("weights of two matrices, of three:", f"{two:,} {three:,}")
print("three of", round(d_ff / d_model, 4), "d; in all, d_ff =")
print(d_ff)
""",
    {"ratio": 4, "d_model": 4096, "multiple_of": 256, "multiplier": 1.0},
    {"ratio": 1, "d_model": 8192, "multiple_of": 4096, "multiplier": 1.3},
    {"ratio": 8, "d_model": 16384, "multiple_of": 4096, "multiplier": 1.2},
)
def width_of_three(ratio: int, d_model: int, multiple_of: int, multiplier: float) -> float:
    return llama_width(d_model, multiple_of, multiplier, ratio)
