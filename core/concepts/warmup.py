"""Question 17: why does training begin with a learning-rate warm-up?"""

import itertools
import math
from typing import Literal

import torch

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.warmup import (
    AT,
    bits_apart,
    by_torch,
    first_step,
    linear_lr_refuses,
    noise_floor,
    noise_steps,
    torchs_own,
    wander,
)
from core.ops import schedules
from core.sources import LIU_2020, LLAMA_2023, VASWANI_2017, XIONG_2020
from core.training import warmup as training
from core.training.warmup import BETAS, DEEP, DEEP_RATES, HIGH, RATES, SEEDS, WARMUP, Optimiser, Order

concept = Concept(
    __name__,
    equation=r"\eta_t = \eta \cdot \disputed{\min(1,\; t/w)} \quad\allowbreak {\text{Adam: } \theta_t = \theta_{t-1} - \eta_t\, \hat m_t / (\sqrt{\hat v_t} + \epsilon)}",
    words=("t, η, w, θ", "m̂, v̂", "plateau", "Post-Norm", "amplification"),
)

RADAM = Source("Liu et al. 2020, RAdam", "On the Variance of the Adaptive Learning Rate and Beyond", "arXiv 1908.03265")
MA = Source("Ma and Yarats 2021", "On the Adequacy of Untuned Warmup for Adaptive Optimization", "arXiv 1910.04209")
KALRA = Source("Kalra and Barkeshli 2024", "Why Warmup the Learning Rate?", "arXiv 2406.09405")
GOYAL = Source("Goyal et al. 2017", "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", "arXiv 1706.02677")
HUGGING_FACE = Source(
    "Hugging Face",
    "transformers, optimization.py",
    "https://github.com/huggingface/transformers/blob/main/src/transformers/optimization.py",
)
T2T = Source(
    "Tensor2Tensor",
    "learning_rate.py",
    "https://github.com/tensorflow/tensor2tensor/blob/master/tensor2tensor/utils/learning_rate.py",
)
ANNOTATED = Source("The Annotated Transformer", "rate", "https://nlp.seas.harvard.edu/annotated-transformer/")

RUNS = len(SEEDS)
SHIPPED = "shipped runs (`python -m core.training warmup`)"
By = Literal["adam", "sgd"]


def ahead(order: Order, rate: float, warmup: int = WARMUP, sign: int = 1) -> int:
    """In how many pairs of the same seed the run with a warm-up ends lower; with sign −1, higher."""
    return int((sign * (training.ends(order, rate, 0) - training.ends(order, rate, warmup)) > 0).sum())


# ---------------------------------------------------------------------------------------------- in one sentence


@concept.in_one_sentence(
    "A warm-up keeps the first steps short (Adam’s very first moves each weight by about the learning rate, whatever its gradient) and "
    "lets our Post-Norm models learn at a rate at which they otherwise get stuck; length alone does not explain it.",
    fails_if=({"by": "sgd"}, {"warmup": 0}, {"rate": 0.004}, {"as_long": "post"}, {"cold": WARMUP}),
)
def short_first_steps(
    by: By = "adam", warmup: int = WARMUP, rate: float = HIGH, as_long: Order = "pre", cold: int = 0
) -> Evidence:
    return (
        whatever_the_gradient(by)
        & Evidence.between(f"with {WARMUP} steps of warm-up", first_step(1.0, by, warmup=warmup), 0.0, 0.01)
        & Evidence.exactly(
            f"Post-Norm at {rate:g}, no warm-up: {SHIPPED} that got stuck", training.stuck("post", rate, 0), RUNS
        )
        & Evidence.exactly("with a warm-up", training.stuck("post", rate, warmup), 0)
        & length_is_not_all(as_long, cold)
    )


def whatever_the_gradient(by: By) -> Evidence:
    """|g| ÷ (|g| + ε) with ε = 1e-8 beside a gradient of 1e-6: 1 % short of 1."""
    sizes = [first_step(g, by) for g in (1e-6, 1e-3, 1.0, 1e3)]
    return Evidence.between(
        "Adam’s first step ÷ learning rate for gradients from 10⁻⁶ to 10³, the least", min(sizes), 0.99, 1
    ) & Evidence.between("the most", max(sizes), 0.99, 1)


def first_moves(order: Order, rate: float, optimiser: Optimiser = "adam", warmup: int = 0) -> list[float]:
    """By which share of their length the first step moves all weights: each shipped seed's."""
    return [float(run.update[0]) for run in training.trained(order, rate, warmup, optimiser=optimiser)]


EARLY = 20  # steps


def length_is_not_all(as_long: Order, cold: int) -> Evidence:
    """Steps as long as those that get stuck, after which no run is stuck: seed by seed, from the first to the twentieth."""
    pairs = zip(training.trained(as_long, HIGH, cold), training.trained("post", HIGH, 0), strict=True)
    ratios = torch.stack([one.update[one.at <= EARLY] / post.update[post.at <= EARLY] for one, post in pairs])
    return Evidence.above(
        f"step of all weights, {as_long}-norm ÷ post-norm, the least to step {EARLY} ({SHIPPED})",
        float(ratios.min()),
        0.95,
    ) & Evidence.exactly(f"{as_long}-norm, no warm-up: got stuck", training.stuck(as_long, HIGH, cold), 0)


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    f"Three Post-Norm runs of 500 steps at learning rate {HIGH:g}: how few steps of warm-up let all three learn?",
    Option(
        "25",
        -math.inf,
        25.5,
        "By then Adam’s steps have become short by themselves, and no run is stuck at once. But at the full rate two of the three are back on "
        "the plateau by step 450: the first steps are not all.",
    ),
    Option(
        "50",
        25.5,
        50.5,
        "A tenth of the training, half of what the rule 2/(1 − β₂) asks for. For these models: another rate or depth has another number.",
    ),
    Option(
        "100",
        50.5,
        100.5,
        "The rule 2/(1 − β₂) asks for 100, with β₂ = 0.98 as here. They are enough, and twice what was needed.",
    ),
    Option(
        "200",
        100.5,
        math.inf,
        "The figure’s warm-up is that long: four times what was needed. At the end it is level with 100 steps, within what the seeds differ.",
    ),
    shows="Of the lengths tried (25, 50, 100 and 200 steps), {0} is the least with which no run ends on the plateau.",
)
def fewest_steps() -> float:
    enough = [w for w in training.LENGTHS if w and not training.stuck("post", HIGH, w)]
    return float(min(enough, default=math.inf))


# ---------------------------------------------------------------------------------------------- the answer, and its looks


@concept.looks_closer(
    "steps",
    "On pure noise, with β₁ = 0.9, Adam’s first step is over five times those from step 30 on.",
    fails_if=({"beta_1": 0.0}, {"first": 10}, {"late": 20}, {"by": "sgd"}),
)
@concept.says(
    "Adam’s first step is about the learning rate, whatever the gradient; on noise (β₁ = 0.9) under a fifth from step 30 on.",
    fails_if=({"beta_1": 0.0}, {"first": 10}, {"late": 20}, {"by": "sgd"}),
)
def first_steps_are_long(beta_1: float = 0.9, first: int = 1, late: int = 30, by: By = "adam") -> Evidence:
    found = noise_steps(beta_1, BETAS[1])
    begin, long_after = AT.index(late), AT.index(300)
    update, error = (float(values[long_after]) for values in (found.update, found.error))
    return (
        Evidence.near(
            "mean |step| ÷ learning rate on noise at step 1", float(found.update[AT.index(first)]), 1, within=1e-4
        )
        & Evidence.below(
            f"from step {late} to 1,000, the largest, β₁ = {beta_1:g}", float(found.update[begin:].max()), 1 / 5
        )
        # With β₂ = 0.98 the root √v̂ is off by 1/√(2·99) = 7 %: on average its inverse by 3/8 · 2/99 = 0.8 %.
        & Evidence.near(
            "at step 300, beside √(2/π) √((1−0.9)/(1+0.9))", update, noise_floor(0.9), within=4 * error + 0.01 * update
        )
        & whatever_the_gradient(by)
    )


@concept.looks_closer(
    "length",
    "Length is not all: Pre-Norm’s first twenty steps are as long, or longer, and it learns.",
    fails_if=({"as_long": "post"}, {"cold": WARMUP}, {"by": "adam"}, {"warmed": 0}),
)
def as_long_a_step(as_long: Order = "pre", cold: int = 0, by: By = "sgd", warmed: int = WARMUP) -> Evidence:
    """And SGD, which is no counterexample: only its very first steps are short."""
    rate = training.SGD_RATE if by == "sgd" else HIGH

    def steps(optimiser: By, rate: float, warmup: int) -> torch.Tensor:
        return torch.stack([run.update for run in training.trained("post", rate, warmup, optimiser=optimiser)])

    at = training.trained("post", HIGH, 0)[0].at
    later = [i for i, t in enumerate(at.tolist()) if t in (7, 10)]
    other, adam = steps(by, rate, 0)[:, later], steps("adam", HIGH, 0)[:, later]
    return (
        length_is_not_all(as_long, cold)
        & Evidence.above(
            f"steps 7 and 10 by {by.upper()} at {rate:g}, the shortest ÷ the longest by Adam",
            float((other.amin(0) / adam.amax(0)).min()),
            1.5,
        )
        & Evidence.below(
            f"step by SGD ÷ weights with {warmed} steps of warm-up, the most",
            float(steps("sgd", training.SGD_RATE, warmed).nan_to_num(math.inf).max()),
            0.008,
        )
    )


@concept.looks_closer(
    "schedule",
    "Counted from 0, the first update moves nothing; counted from 1, it gets 1/w of the peak.",
    fails_if=({"begin": 1}, {"begin_other": 0}, {"shape": "constant"}),
)
@concept.says(
    "A linear warm-up raises the rate from near zero in equal steps.",
    fails_if=({"begin": 1}, {"begin_other": 0}, {"shape": "constant"}),
)
def first_updates(begin: int = 0, begin_other: int = 1, shape: str = "linear", warmup: int = 100) -> Evidence:
    def rates(counted_from: int) -> list[float]:
        return by_torch(
            lambda s: schedules.linear(s + counted_from, warmup, 1000) if shape == "linear" else 1.0, warmup
        )

    zero, one = rates(begin), rates(begin_other)
    rise = torch.tensor(one, dtype=torch.float64).diff()
    return (
        Evidence.exactly("rate ÷ peak of the first update, LambdaLR, counted from 0", zero[0], 0)
        & Evidence.near("counted from 1, times w", warmup * one[0], 1, within=1e-12)
        & Evidence.near("least rise of a step, times w", warmup * float(rise.min()), 1, within=1e-11)
        & Evidence.near("largest", warmup * float(rise.max()), 1, within=1e-11)
    )


@concept.looks_closer(
    "price",
    "At rate 0.001 every run ends at a higher loss with a warm-up; at 0.008 every one at a lower.",
    fails_if=({"low": HIGH}, {"high": 0.001}, {"warmup": 0}),
)
@concept.says(
    "At learning rate 0.008 our six-layer Post-Norm models all got stuck without one, none with one; at 0.001 it only cost time.",
    fails_if=({"low": HIGH}, {"high": 0.001}, {"warmup": 0}),
)
def it_depends_on_the_rate(low: float = 0.001, high: float = HIGH, warmup: int = WARMUP) -> Evidence:
    return (
        Evidence.exactly(
            f"Post-Norm at {high:g}, no warm-up: {SHIPPED} that got stuck", training.stuck("post", high, 0), RUNS
        )
        & Evidence.exactly("with a warm-up", training.stuck("post", high, warmup), 0)
        & Evidence.exactly("pairs in which it ends lower with one, Post-Norm", ahead("post", high, warmup), RUNS)
        & Evidence.exactly("Pre-Norm", ahead("pre", high, warmup), RUNS)
        & Evidence.exactly(f"at {low:g}: higher, Post-Norm", ahead("post", low, warmup, -1), RUNS)
        & Evidence.exactly("Pre-Norm", ahead("pre", low, warmup, -1), RUNS)
        & Evidence.exactly("runs that got stuck there without one", training.stuck("post", low, 0), 0)
    )


concept.cites(
    "Why is contested: Post-Norm’s gradients or amplification, the variance of Adam’s divisor, its long updates, a flatter landscape.",
    source=(XIONG_2020, LIU_2020, RADAM, MA, KALRA),
)

# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "It helps because it keeps the first steps short.",
    better="Not by their length alone. At learning rate 0.008 the first step moves Pre-Norm’s weights as far as Post-Norm’s, by over 8 % of their "
    "length; up to step 20 Pre-Norm’s are never more than 5 % shorter, and it learns. What differs is what a step does: after the first, less than a "
    "tenth of Post-Norm’s logits differs from place to place (‖z − mean z‖ ÷ ‖z‖), of Pre-Norm’s 14 % or more, of Post-Norm’s with a "
    "warm-up of 50 steps over 40 %. That is measured; that it is the cause is not proved.",
    fails_if=({"as_long": "post"}, {"cold": WARMUP}, {"blind": "pre"}, {"sees": "post"}, {"short": 0}),
    source=(XIONG_2020.at("§3.3"), LIU_2020),
    verdict=Verdict.CONTESTED,
)
def an_equal_step_does_more(
    as_long: Order = "pre", cold: int = 0, blind: Order = "post", sees: Order = "pre", short: int = 50
) -> Evidence:
    def reads(order: Order, warmup: int) -> list[float]:
        return [training.still_reads(order, HIGH, warmup, seed) for seed in SEEDS]

    return (
        length_is_not_all(as_long, cold)
        & Evidence.above(
            "Pre-Norm’s first step ÷ its weights, the shortest", min(first_moves("pre", HIGH, warmup=cold)), 0.08
        )
        & Evidence.above("Post-Norm’s", min(first_moves("post", HIGH, warmup=cold)), 0.08)
        & Evidence.below(
            f"share of the logits that differs from place to place after it, {blind}-norm, the most",
            max(reads(blind, 0)),
            0.1,
        )
        & Evidence.above(f"{sees}-norm, the least", min(reads(sees, 0)), 0.14)
        & Evidence.above(f"Post-Norm with {short} steps of warm-up, the least", min(reads("post", short)), 0.4)
    )


@concept.corrects(
    "Without a warm-up the loss becomes NaN.",
    better="It can: by SGD at rate 0.3 two of our three Post-Norm runs end like that. With Adam ours fail quietly: the three that "
    "fail at 0.008 end, finite, within 3 % of the plateau, the loss of a model that knows how frequent each token is and reads "
    "nothing. At half that rate the same models learn.",
    fails_if=({"warmup": WARMUP}, {"half": HIGH}, {"by": "adam"}),
    verdict=Verdict.HOLDS_IF,
)
def failure_is_a_plateau(warmup: int = 0, half: float = HIGH / 2, by: By = "sgd") -> Evidence:
    level, ends = training.plateau(), training.ends("post", HIGH, warmup)
    sgd = training.lost("post", training.SGD_RATE if by == "sgd" else HIGH, 0, optimiser=by)
    return (
        Evidence.between("Adam’s loss at the end ÷ plateau, the lowest of three", float(ends.min()) / level, 0.97, 1.03)
        & Evidence.between("the highest", float(ends.max()) / level, 0.97, 1.03)
        & Evidence.exactly(f"runs that got stuck at {half:g}, no warm-up", training.stuck("post", half, 0), 0)
        & Evidence.exactly(f"by SGD at {training.SGD_RATE:g}, no warm-up: {SHIPPED} that end at NaN", sgd, 2)
    )


@concept.corrects(
    "The first update is made at a learning rate of 0.",
    better="It depends on who counts. Hugging Face’s linear, cosine and most other schedulers count from 0: their first update is made at rate 0 and "
    "moves nothing. The original Transformer’s formula has no value at t = 0 and counts from 1: it begins with 1/w of its peak, as Tensor2Tensor’s "
    "older scheme “noam” does; T2T’s later `linear_warmup` counts from 0. The Annotated Transformer takes 0 for 1, so that its first two updates have one rate. torch’s own `LinearLR` refuses to begin at 0. Apart from "
    "that, formulas of one shape agree to the last bit.",
    fails_if=({"begin": 1}, {"first": 2}, {"repeat": False}, {"off": 1}, {"late": 1}, {"start": 1e-9}),
    source=(
        HUGGING_FACE,
        VASWANI_2017.at("§5.3"),
        T2T.at("legacy_learning_rate_schedule, learning_rate_factor"),
        ANNOTATED,
    ),
)
def who_counts(
    begin: int = 0, first: int = 1, repeat: bool = True, off: int = 0, late: int = 0, start: float = 0.0
) -> Evidence:
    warmup, total, updates = 100, 1000, 300
    hugging_face = by_torch(lambda s: schedules.linear(s + begin, warmup, total), 1)
    paper = schedules.transformer(first, warmup, 512) * math.sqrt(512 * warmup)
    annotated = by_torch(lambda s: schedules.transformer(max(1, s) if repeat else s + 1, warmup, 512), 2)
    torchs = torchs_own(warmup, total, warmup - 1 + late, updates)
    ours = [schedules.cosine(t, warmup, total) for t in range(1, updates + 1)]
    return (
        Evidence.exactly("Hugging Face’s first rate ÷ peak, set by LambdaLR", hugging_face[0], 0)
        & Evidence.near("the paper’s, times w", warmup * paper, 1, within=1e-12)
        & Evidence.exactly("the Annotated Transformer’s second rate ÷ its first", annotated[1] / annotated[0], 1)
        & Evidence.exactly(
            "largest difference of our six schedules from the field’s formulas",
            max(bits_apart(warmup, off=off).values()),
            0,
        )
        # torch multiplies its way up and down: a hundred roundings.
        & Evidence.near(
            "LinearLR, then CosineAnnealingLR, beside ours",
            max(abs(a - b) for a, b in zip(torchs, ours, strict=True)),
            0,
            within=updates * 2**-52,
        )
        & Evidence.exactly("LinearLR(start_factor=0): refused", linear_lr_refuses(start), 1)
    )


@concept.corrects(
    "A warm-up is needed to stabilise the early variance.",
    better="That is one of several explanations. The variance is there: on noise, at step 1, one weight in a hundred has a rate 1/√v̂ over "
    "thirty times the median’s; at step 100 not even one and a half times. But the steps themselves, too, are over five times as long at step 1 as at step 100, and "
    "this is what Ma and Yarats blame. RAdam, made against the variance, saves our three runs without a warm-up, but it does not decide: "
    "it shortens the first steps as well. In these runs its first moves the weights by less than 0.1 % of their length, Adam’s by over 8 %.",
    fails_if=({"early": 100}, {"late": 1}, {"optimiser": "adam"}, {"long": "radam"}),
    source=(RADAM, MA, XIONG_2020, KALRA),
    verdict=Verdict.CONTESTED,
)
def two_explanations(
    early: int = 1, late: int = 100, optimiser: Optimiser = "radam", long: Optimiser = "adam"
) -> Evidence:
    found = noise_steps(0.9, BETAS[1])
    begin, end = AT.index(early), AT.index(late)
    return (
        Evidence.above("1/√v̂ on noise, 99th percentile ÷ median, at step 1", float(found.spread[begin]), 30)
        & Evidence.below("at step 100", float(found.spread[end]), 1.5)
        & Evidence.above("mean |step| at step 1 ÷ at step 100", float(found.update[begin] / found.update[end]), 5)
        & Evidence.exactly(
            f"Post-Norm at 0.008, no warm-up, RAdam: {SHIPPED} that got stuck",
            training.stuck("post", HIGH, 0, optimiser=optimiser),
            0,
        )
        & Evidence.below(
            "its first step ÷ the weights’ length, the longest", max(first_moves("post", HIGH, optimiser)), 0.001
        )
        & Evidence.above("Adam’s, the shortest", min(first_moves("post", HIGH, long)), 0.08)
    )


@concept.corrects(
    "The rule 2/(1 − β₂) says how long it must be.",
    better="It is Ma and Yarats’ default and no law. With β₂ = 0.98 it asks for 100 steps. At learning rate 0.008, 25 are too few for our three Post-Norm "
    "runs, and 50 enough: with 25, none is on the plateau around step 200, and two are around step 450.",
    fails_if=({"short": 50}, {"enough": 25}, {"none": 100}, {"longer": 0}, {"begun": 450}, {"beta_2": 0.999}),
    source=MA,
)
def fifty_steps_are_enough(
    none: int = 0, short: int = 25, enough: int = 50, longer: int = 100, begun: int = 200, beta_2: float = BETAS[1]
) -> Evidence:
    return (
        Evidence.near("2/(1 − β₂), steps", schedules.rule_of_thumb(beta_2), 100, within=1e-9)
        & Evidence.exactly(f"Post-Norm at 0.008, no warm-up: {SHIPPED} that got stuck", _stuck(none), RUNS)
        & Evidence.exactly(f"{short} steps of warm-up", _stuck(short), RUNS - 1)
        & Evidence.exactly(
            f"of these, within {training.NEAR:g} of the plateau around step {begun}",
            training.on_plateau(training.ends("post", HIGH, short, step=begun)),
            0,
        )
        & Evidence.exactly(
            "around step 450", training.on_plateau(training.ends("post", HIGH, short, step=450)), RUNS - 1
        )
        & Evidence.exactly(f"{enough} steps", _stuck(enough), 0)
        & Evidence.exactly(f"{longer} steps", _stuck(longer), 0)
    )


def _stuck(warmup: int) -> int:
    return training.stuck("post", HIGH, warmup)


@concept.corrects(
    "Pre-Norm needs no warm-up.",
    better="At moderate rates ours does not: at 0.001 and 0.002 every Pre-Norm run ends at a higher loss with one. At 0.008 every one ends at a lower: without "
    "a warm-up the runs are on average over 1.5 times as far above the best possible. Xiong et al. leave it out; LLaMA, Pre-Norm "
    "too, keeps one of 2,000 steps.",
    fails_if=({"high": 0.001}, {"low": HIGH}),
    source=(XIONG_2020, LLAMA_2023.at("§2.3")),
    verdict=Verdict.HOLDS_IF,
)
def pre_norm_at_a_high_rate(high: float = HIGH, low: float = 0.002) -> Evidence:
    without, with_it = (float(training.ends("pre", high, w).mean()) for w in (0, WARMUP))
    return (
        Evidence.exactly(
            f"Pre-Norm at {low:g}: pairs of {SHIPPED} that end higher with one", ahead("pre", low, sign=-1), RUNS
        )
        & Evidence.exactly("at 0.001", ahead("pre", low / 2, sign=-1), RUNS)
        & Evidence.exactly(f"at {high:g}: lower", ahead("pre", high), RUNS)
        & Evidence.above("mean loss at the end, without ÷ with", without / with_it, 1.5)
    )


@concept.corrects(
    "Only Adam needs a warm-up.",
    better="SGD with momentum can need one too: at rate 0.3 none of our three Post-Norm runs learns without it (one gets stuck, two end at NaN), "
    "and all three learn with it. Goyal et al. use it for SGD with large batches. Kalra and Barkeshli find, with SGD and with Adam, that "
    "its main benefit is a model that bears a larger rate. Adam may add a reason of its own: its first step is about the learning rate, whatever the gradient.",
    fails_if=({"warmup": WARMUP}, {"then": 0}, {"long": "sgd"}),
    source=(GOYAL.at("§2.2"), KALRA),
)
def sgd_needs_it_too(warmup: int = 0, then: int = WARMUP, long: By = "adam") -> Evidence:
    rate = training.SGD_RATE
    return (
        Evidence.exactly(
            f"SGD at {rate:g}, Post-Norm, no warm-up: {SHIPPED} that got stuck",
            training.stuck("post", rate, warmup, optimiser="sgd"),
            1,
        )
        & Evidence.exactly("that end at NaN", training.lost("post", rate, warmup, optimiser="sgd"), 2)
        & Evidence.exactly(
            f"with {WARMUP} steps of warm-up: below {training.STUCK:g}",
            int((training.ends("post", rate, then, optimiser="sgd") < training.STUCK).sum()),
            RUNS,
        )
        & whatever_the_gradient(long)
    )


@concept.corrects(
    "A learning rate that is safe for a small model is safe for a deep one.",
    better="Not in our Post-Norm models (no deep Pre-Norm was tried). At 0.004 our six-layer models learn without a warm-up, all three; with twelve layers all three get stuck, and with "
    "200 steps of warm-up all three learn.",
    fails_if=({"deep": 6}, {"shallow": 12}, {"warmup": 0}),
)
def depth_lowers_the_limit(deep: int = DEEP, shallow: int = training.DEPTH, warmup: int = WARMUP) -> Evidence:
    rate = max(DEEP_RATES)
    return (
        Evidence.exactly(
            f"{shallow} layers at {rate:g}, no warm-up: {SHIPPED} that got stuck",
            training.stuck("post", rate, 0, shallow),
            0,
        )
        & Evidence.exactly(f"{deep} layers", training.stuck("post", rate, 0, deep), RUNS)
        & Evidence.exactly("12 layers with a warm-up", training.stuck("post", rate, warmup, DEEP), 0)
    )


# ---------------------------------------------------------------------------------------------- the usual answer


@concept.corrects(
    "A warm-up is always crucial for Transformers.",
    better="It is above a learning rate. Of our six-layer runs without one, all three of Post-Norm get stuck at 0.008 and none at 0.001, 0.002 or "
    "0.004; of Pre-Norm none at any of the four. And the higher rate has to pay. Held constant it does not: the lowest loss of these runs is reached at "
    "0.002, without a warm-up. Where the rate then falls to 0 it does: every Post-Norm run at 0.008 with a warm-up ends lower than those at 0.002 and 0.004 without.",
    fails_if=(
        {"needs_it": "pre"},
        {"warmup": WARMUP},
        {"safe": HIGH},
        {"does_not": "post"},
        {"best": 0.004},
        {"falls": False},
    ),
)
def crucial_above_a_rate(
    needs_it: Order = "post",
    does_not: Order = "pre",
    warmup: int = 0,
    safe: float = 0.004,
    best: float = 0.002,
    falls: bool = True,
) -> Evidence:
    below = sum(training.stuck(needs_it, rate, warmup) for rate in RATES if rate <= safe)
    level = {
        (o, r, w): float(training.ends(o, r, w).mean())
        for o, r, w in itertools.product(training.ORDERS, RATES, (0, WARMUP))
    }
    rival = min(mean for (_, r, w), mean in level.items() if (r, w) != (best, 0))
    lowest = min(level[o, best, 0] for o in training.ORDERS)
    highest = training.ends("post", HIGH, WARMUP, falls=falls)
    others = torch.cat([training.ends("post", rate, 0, falls=falls) for rate in (0.002, 0.004)])
    return (
        Evidence.exactly(
            f"{needs_it}-norm at {HIGH:g}, no warm-up: {SHIPPED} that got stuck",
            training.stuck(needs_it, HIGH, warmup),
            RUNS,
        )
        & Evidence.exactly("at 0.001 to 0.004", below, 0)
        & Evidence.exactly(
            f"{does_not}-norm at all four rates", sum(training.stuck(does_not, rate, warmup) for rate in RATES), 0
        )
        & Evidence.below(f"lowest mean loss at {best:g} without a warm-up ÷ the lowest elsewhere", lowest / rival, 1)
        & Evidence.below(
            "rate falls to 0, Post-Norm: the highest end at 0.008 with a warm-up ÷ the lowest at 0.002 and 0.004 without",
            float(highest.max() / others.min()),
            1,
        )
    )


concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS_IF,
    "For the original Transformer’s recipe: linear, 4,000 steps, but from 1/4,000 of the peak; most of Hugging Face’s schedulers do start from 0. "
    "A few thousand is also what Ma and Yarats’ rule 2/(1 − β₂) asks for with Adam’s usual β₂ = 0.999: 2,000.",
    by=who_counts,
    source=(VASWANI_2017.at("§5.3"), MA),
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS_IF,
    "“Crucial” holds above a learning rate, which is lower in Post-Norm: at 0.008 all three of our six-layer Post-Norm runs get stuck without it, "
    "no Pre-Norm run does; at 0.004 none at all. “Variance” is one explanation of several, and contested.",
    by=crucial_above_a_rate,
    source=(RADAM, MA),
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Pre-Norm takes the same first step. Why does it not get stuck?",
    "Because length is not all: the same step does more to Post-Norm. Why is contested: Xiong et al. point at Post-Norm’s large gradients "
    "near the output, Liu et al. (of Admin, a repair of Post-Norm) at small changes that it amplifies. Question 7 measures both.",
    (XIONG_2020.at("§3.3"), LIU_2020),
)
concept.pushes_back(
    "From exactly 0? And per step or per epoch?",
    "Most of Hugging Face’s schedulers begin with 0, and the first update moves nothing: harmless, one step of thousands. The paper’s formula "
    "begins with 1/w of the peak. The rate rises per update, also where the length is given in epochs (Goyal et al.: five). Call a scheduler that "
    "counts from 0 once per epoch by mistake, and the whole first epoch moves nothing.",
    (HUGGING_FACE, VASWANI_2017.at("§5.3"), GOYAL.at("§2.2")),
)
concept.pushes_back(
    "How long should it be?",
    "No rule settles it: 2/(1 − β₂) asks here for 100, twice the 50 steps that were enough at 0.008. Longer costs time at the low rate: in a training of 500 steps, 200 of them are felt; of 100,000 they hardly are.",
    MA,
)
concept.pushes_back(
    "Can one do without?",
    "Yes: with a lower rate, with Pre-Norm at a moderate rate, or with an optimiser that shortens its own first steps. Here six "
    "Post-Norm layers learn at 0.004 without it, and with RAdam even at 0.008. What it buys is the higher rate. Held constant, that does "
    "not pay in our models: the lowest loss is reached at 0.002 without a warm-up. Where the rate falls to 0 afterwards, as recipes have it, it does.",
    (RADAM, XIONG_2020),
)

concept.reads(
    VASWANI_2017.at("§5.3"),
    RADAM,
    MA,
    XIONG_2020,
    LIU_2020,
    KALRA,
    GOYAL.at("§2.2"),
    HUGGING_FACE,
    T2T,
    ANNOTATED,
    LLAMA_2023.at("§2.3"),
)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import torch

rate, step, warmup = $rate, $step, 200
betas = (0.9, 0.98)


def wander(warmup):
    # Gradients that are noise alone: nothing is to be learned, so every step is a step too far.
    g = torch.Generator().manual_seed(0)
    weight = torch.zeros(1000, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([weight], lr=rate, betas=betas)
    # LambdaLR counts from 0: with t + 1 the first update gets 1/w of the rate, with t it would get 0.
    scheduler = torch.optim.lr_scheduler.LambdaLR(adam, lambda t: min(1.0, (t + 1) / warmup) if warmup else 1.0)
    for t in range(step):
        before = weight.detach().clone()
        weight.grad = torch.randn(1000, generator=g, dtype=torch.float64)
        adam.step()
        if t in (0, 9, step - 1):
            length = (weight - before).abs().mean().item()
            print(f"  update {t + 1}: rate {adam.param_groups[0]['lr']:.2g}, mean |step| {length:.2g}")
        scheduler.step()
    return weight.abs().mean().item()


print("without a warm-up:")
without = wander(0)
print(f"with {warmup} steps of warm-up:")
with_it = wander(warmup)
print(f"how far the weights have wandered after {step} updates, with ÷ without:")
print(round(with_it / without, 4))
""",
    {"rate": 0.008, "step": 500},
    {"rate": 0.001, "step": 50},
)
def wandered(rate: float, step: int) -> float:
    return wander(rate, WARMUP, step) / wander(rate, 0, step)
