"""Question 16: what does label smoothing do, and what does it cost?"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.label_smoothing import (
    VOCABULARY,
    best,
    cell,
    descend,
    disagreement,
    floor,
    loss_of_gap,
    mass_of_the_pad,
    smoothed_cells,
    split_of_the_loss,
    standard_error,
)
from core.experiments.masking import TORCH
from core.ops.losses import Convention, best_gap, cross_entropy, divergence, smoothed
from core.sources import VASWANI_2017
from core.training import label_smoothing as training
from core.training.label_smoothing import SEEDS, SIZES, SMOOTHINGS, Noise, Stop, followed, scatter

concept = Concept(
    __name__,
    equation=r"{L = -\textstyle\sum_j q_j \log p_j} \quad\allowbreak {q_j = \disputed{(1-\epsilon)\,[j = y] + \epsilon/K}}",
    words=("qⱼ, pⱼ", "[j = y]", "logit gap", "plain loss", "calibrated"),
)

SZEGEDY = Source("Szegedy et al. 2016", "Rethinking the Inception Architecture", "arXiv 1512.00567")
MULLER = Source("Müller et al. 2019", "When Does Label Smoothing Help?", "arXiv 1906.02629")
GUO = Source("Guo et al. 2017", "On Calibration of Modern Neural Networks", "arXiv 1706.04599")
SHEN = Source(
    "Shen et al. 2021", "Is Label Smoothing Truly Incompatible with Knowledge Distillation", "arXiv 2104.00676"
)
T2T = Source(
    "Tensor2Tensor",
    "common_layers.py, smoothing_cross_entropy",
    "https://github.com/tensorflow/tensor2tensor/blob/master/tensor2tensor/layers/common_layers.py",
)
THREADS = tuple(
    Source(
        "The Annotated Transformer", f"thread {n}", f"https://github.com/harvardnlp/annotated-transformer/{kind}/{n}"
    )
    for n, kind in ((38, "issues"), (39, "issues"), (109, "issues"), (115, "pull"))
)

ROUNDING = 1e-12  # of sums of at most a few hundred terms near 1 in float64
SHIPPED = "shipped runs (`python -m core.training label_smoothing`)"
Pick = Literal["the mean", "the best run"]
Rule = Literal["nearer", "too sure"]
STOPS: tuple[Stop, ...] = ("loss", "accuracy", "end")
TENTH = SMOOTHINGS.index(0.1)
RUNS = len(SEEDS)


def change(noise: Noise, name: str, stop: Stop = "loss", sizes: tuple[int, ...] = SIZES, hard: int = 0) -> Tensor:
    """What ε = 0.1 changes, each run against the same run with hard targets: `[n, r]`."""
    return torch.stack(
        [getattr(cell(noise, n, stop), name)[:, TENTH] - getattr(cell(noise, n, stop), name)[:, hard] for n in sizes]
    )


def the_sign_is_that_of_the_distance(rule: Rule) -> Evidence:
    """Does calibration gain just where confidence ends nearer to accuracy? The rival: where it was more than 2 points too sure."""
    agree = 0
    for noise in training.SCALES:
        for n in SIZES:
            for stop in STOPS:
                over, ece = (getattr(cell(noise, n, stop), name).mean(0) for name in ("over", "ece"))
                said = over[1:].abs() < over[0].abs() if rule == "nearer" else (over[0] > 0.02).expand(len(over) - 1)
                agree += int((said == (ece[1:] < ece[0])).sum())
    return Evidence.exactly(
        "means of five runs in which calibration gains if, and only if, mean confidence ends nearer to accuracy, of 72",
        agree,
        72,
    )


# ---------------------------------------------------------------------------------------------- in one sentence


@concept.in_one_sentence(
    "Label smoothing shares a part ε of the target among all K classes. The best logit gap becomes finite, plain loss stays above 0, "
    "and networks are less sure: calibration gains if confidence ends nearer to accuracy, and suffers if it falls too far below.",
    fails_if=({"formula": "wrong"}, {"hard": 0.1}, {"price": 0.0}, {"compared": TENTH}, {"rule": "too sure"}),
)
def a_finite_gap_and_its_price(
    formula: Convention = "all", hard: float = 0.0, price: float = 0.1, compared: int = 0, rule: Rule = "nearer"
) -> Evidence:
    logits = torch.zeros(1, 10, dtype=torch.float64)
    logits[0, 0] = best_gap(10, 0.1, formula)
    logits.requires_grad_()
    loss = F.cross_entropy(logits, torch.tensor([0]), label_smoothing=0.1)
    (gradient,) = torch.autograd.grad(loss, logits)
    falls = loss_of_gap(10, hard, "all", tuple(float(g) for g in range(31))).diff()
    surer = torch.stack([change(noise, "sure", "end", hard=compared) for noise in training.SCALES])
    return (
        Evidence.near(
            "largest gradient of PyTorch’s smoothed loss at the gap of the formula, 10 classes, ε = 0.1",
            float(gradient.abs().max()),
            0,
            within=ROUNDING,
        )
        & Evidence.below(
            "with hard targets, the loss from one gap to the next, 0 to 30, at most", float(falls.max()), 0
        )
        & Evidence.above("the plain loss at the best gap, 10 classes, ε = 0.1", best(10, price).plain, 0)
        & Evidence.below(
            f"mean confidence, ε = 0.1 less hard, at the end, the most of 30 {SHIPPED}", float(surer.max()), 0
        )
        & the_sign_is_that_of_the_distance(rule)
    )


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "PyTorch, ten classes, `label_smoothing=0.1`, a perfect fit: how probable is each right answer?",
    Option("0.9", 0.85, 0.905, "That is ε shared by the nine wrong classes only, as Tensor2Tensor counts it."),
    Option("0.91", 0.905, 0.955, "1 − ε, and the right class’s own part of ε, which is shared by all ten: ε/K."),
    Option(
        "0.99", 0.955, 0.995, "That takes off one share, ε/K; but nine shares are given away, one to each wrong class."
    ),
    Option("1", 0.995, 1.01, "That is the fit to hard targets, which no finite logits reach. Smoothed, 1 is too sure."),
    shows="Measured just now: gradient descent on the logits of one example ends at {0}.",
)
def probability_of_a_perfect_fit() -> float:
    gap = descend(0.1, 10)
    return 1 / (1 + 9 * math.exp(-gap))


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "The right class’s target falls to 1 − ε + ε/K, each other’s rises to ε/K.",
    fails_if=({"convention": "wrong"}, {"divisor": "rows"}),
)
def the_targets_are_torchs(convention: Convention = "all", divisor: str = "weights") -> Evidence:
    what = "largest difference to torch’s cross_entropy(label_smoothing=), ε = 0, 0.1, 0.5 and 1"
    return (
        Evidence.near(what, disagreement(False, False, convention), 0, within=ROUNDING)
        & Evidence.near(
            "with weights of the classes", disagreement(True, False, convention, divisor), 0, within=ROUNDING
        )
        & Evidence.near(
            "with weights and answers to ignore", disagreement(True, True, convention, divisor), 0, within=ROUNDING
        )
    )


@concept.looks_closer(
    "example",
    "[0.1, 0.8, 0.1] is ε = 0.3 shared by all, or 0.2 shared by the wrong ones; it is never 0.1.",
    fails_if=({"smoothing": 0.1}, {"over": "wrong"}),
)
def what_the_example_is(smoothing: float = 0.3, over: Convention = "all") -> Evidence:
    target = torch.tensor([0.1, 0.8, 0.1], dtype=torch.float64)
    one, other = torch.tensor(1), 2 / 3 * smoothing

    def off(epsilon: float, convention: Convention) -> float:
        return float((smoothed(one, 3, epsilon, convention) - target).abs().max())

    return (
        Evidence.near("largest difference to ε/K over all three", off(smoothing, over), 0, within=ROUNDING)
        & Evidence.near(
            "to ε/(K−1) over the two wrong, at two thirds of that ε", off(other, "wrong"), 0, within=ROUNDING
        )
        & Evidence.above(
            "the least difference of ε = 0.1, over both conventions",
            min(off(0.1 if over == "all" else 0.2, c) for c in ("all", "wrong")),
            0.05,
        )
    )


@concept.looks_closer(
    "floor",
    "The floor is the target’s entropy: with 37,000 classes and ε = 0.1, no loss is below 1.38.",
    fails_if=({"smoothing": 0.0}, {"gap": 20.0}, {"plain": True}),
)
@concept.says(
    "The loss is then least at a finite logit gap, never below the target’s entropy.",
    fails_if=({"smoothing": 0.0}, {"gap": 20.0}, {"plain": True}),
)
def the_floor_is_the_entropy(smoothing: float = 0.1, gap: float | None = None, plain: bool = False) -> Evidence:
    finite = best_gap(VOCABULARY, smoothing)
    reached = best(VOCABULARY, smoothing).loss
    if gap is not None:
        reached = float(loss_of_gap(VOCABULARY, smoothing, "all", (gap,)))
    g = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(200, 50, generator=g, dtype=torch.float64)
    loss = cross_entropy(smoothed(torch.zeros(200, dtype=torch.long), 50, 0.0 if plain else 0.1), logits)
    return (
        Evidence.between("the best gap with 37,000 classes", finite, 0, 20)
        & Evidence.between("the loss there", reached, 1.35, 1.4)
        & Evidence.near("less the target’s entropy", reached - floor(VOCABULARY, 0.1), 0, within=1e-10)
        & Evidence.above(
            "loss less entropy, the least of 200 random outputs over 50 classes", float(loss.min()) - floor(50, 0.1), 0
        )
    )


CALIBRATION_MISTAKES = (
    {"swapped": True},
    {"early": ("end",)},
    {"against": 0.3},
    {"rule": "too sure"},
    {"smoothing": 0.3},
    {"smoothing": 0.05},
)


@concept.looks_closer(
    "trained",
    "ε = 0.1: with much overlap calibration gains; with little, stopped early, it suffers.",
    fails_if=CALIBRATION_MISTAKES,
)
@concept.says(
    "Networks end less sure. On average, ours with ε = 0.1 were better calibrated where classes overlap much; with little overlap, stopped "
    "early, worse.",
    fails_if=CALIBRATION_MISTAKES,
)
@concept.corrects(
    "Label smoothing improves calibration.",
    better="It lowers confidence, and calibration gains only where that ends nearer to accuracy. In our networks with little overlap, 2,000 or 8,000 "
    "examples and stopped early, ε = 0.1 more than doubles the calibration error, and the error is now "
    "under-confidence.",
    verdict=Verdict.HOLDS_IF,
    source=MULLER.at("§3"),
    fails_if=CALIBRATION_MISTAKES,
)
def it_only_lowers_confidence(
    swapped: bool = False,
    early: tuple[Stop, ...] = ("loss", "accuracy"),
    against: float = 0.0,
    rule: Rule = "nearer",
    smoothing: float = 0.1,
) -> Evidence:
    """Early: stopped where the plain validation loss is least, and where the validation accuracy is highest."""
    noises: tuple[Noise, Noise] = ("low", "high") if swapped else ("high", "low")
    hard, smoothed = SMOOTHINGS.index(against), SMOOTHINGS.index(smoothing)

    def ratio(noise: Noise, n: int, stop: Stop) -> float:
        ece = cell(noise, n, stop).ece.mean(0)
        return float(ece[smoothed] / ece[0])

    at_the_end = torch.stack([change(noise, "sure", "end", hard=hard) for noise in training.SCALES])
    surer = torch.stack([change(noise, "sure", stop, hard=hard) for noise in training.SCALES for stop in early])
    by_loss = [cell(noises[1], n, early[0]).over.mean(0) for n in SIZES]
    few = cell(noises[0], SIZES[0], "end").over.mean(0)
    return (
        Evidence.below(
            f"mean confidence, ε = 0.1 less hard, at the end, the most of 30 {SHIPPED}", float(at_the_end.max()), 0
        )
        & Evidence.below(
            "stopped early, mean of the runs, the most of 6 cells, both stops", float(surer.mean(-1).max()), 0
        )
        & Evidence.below(
            f"calibration error, ε = {smoothing:g} ÷ hard, much overlap, the most of 3 sizes, however stopped",
            max(ratio(noises[0], n, stop) for n in SIZES for stop in STOPS),
            1,
        )
        & Evidence.above(
            "little overlap, stopped early, the least of 3 sizes, both stops",
            min(ratio(noises[1], n, stop) for n in SIZES for stop in early),
            1,
        )
        & Evidence.above(
            "with 2,000 and 8,000 examples", min(ratio(noises[1], n, stop) for n in SIZES[1:] for stop in early), 2
        )
        & Evidence.below(
            "there mean confidence less accuracy with ε = 0.1, the most of 30 runs",
            max(float(cell(noises[1], n, stop).over[:, TENTH].max()) for n in SIZES for stop in early),
            -0.03,
        )
        & Evidence.between(
            "little overlap, stopped by plain loss, hard: confidence less accuracy, the least of 3 sizes",
            min(float(o[0]) for o in by_loss),
            0.015,
            0.04,
        )
        & Evidence.between("the most", max(float(o[0]) for o in by_loss), 0.015, 0.04)
        & Evidence.between("with ε = 0.1, the least", min(float(o[TENTH]) for o in by_loss), -0.105, -0.085)
        & Evidence.between("the most", max(float(o[TENTH]) for o in by_loss), -0.105, -0.085)
        & Evidence.between(f"much overlap, {SIZES[0]} examples, at the end, hard", float(few[0]), 0.445, 0.455)
        & Evidence.between(f"with ε = {smoothing:g}", float(few[smoothed]), 0.215, 0.225)
        & the_sign_is_that_of_the_distance(rule)
    )


def gains(pick: Pick = "the mean", stops: tuple[Stop, ...] = STOPS) -> tuple[float, float]:
    """The worst and the best change of accuracy of the 24 smoothed cells, in points: of the mean over runs, or of any run."""
    all_runs = torch.stack([smoothed_cells(noise, s, "gained") for noise in training.SCALES for s in stops])
    each = 100 * (all_runs.mean(2) if pick == "the mean" else all_runs)
    return float(each.min()), float(each.max())


concept.cites("In the original paper perplexity worsened, BLEU rose.", source=VASWANI_2017.at("§5.4 and table 3"))


@concept.says(
    "Our accuracies, on average: under one point gained, up to 9.3 lost.",
    fails_if=({"stops": ("loss", "accuracy")}, {"pick": "the best run"}, {"examples": 8000}),
)
@concept.corrects(
    "Label smoothing improves accuracy.",
    better="The original paper says so, and prints BLEU, which is not accuracy. Our small networks do not "
    "show it: of 24 smoothed cells, stopped in each of three ways, none gains one point on average, and with little overlap "
    "and 500 examples every ε loses.",
    verdict=Verdict.CONTESTED,
    source=VASWANI_2017.at("§5.4 and table 3"),
    fails_if=({"stops": ("loss", "accuracy")}, {"pick": "the best run"}, {"examples": 8000}),
)
def the_papers_gain_did_not_appear(
    stops: tuple[Stop, ...] = STOPS, pick: Pick = "the mean", examples: int = 500
) -> Evidence:
    worst, largest = gains(pick, stops)
    lost = [100 * cell("low", examples, stop).gained[:, 1:] for stop in STOPS]
    what = f"change of accuracy, mean of {RUNS} {SHIPPED}, stopped by plain loss, by accuracy, at the end"
    return (
        Evidence.between(f"{what}, the best of 24 cells, points", largest, 0, 1)
        & Evidence.between("the worst cell", worst, -9.35, -9.25)
        & Evidence.below(
            "little overlap, 500 examples, the best ε and stop, two standard errors added",
            max(float((each.mean(0) + 2 * standard_error(each)).max()) for each in lost),
            0,
        )
    )


# ---------------------------------------------------------------------------------------------- the gap over time


@concept.looks_closer(
    "gap",
    "Hard targets: the gap grows like log t. Smoothed: it stops at 4.5, and training points gather.",
    fails_if=({"hard": 0.1}, {"smoothed_run": 0}),
)
def the_gap_grows_or_stops(hard: float = 0.0, smoothed_run: int = 1) -> Evidence:
    runs = [followed(seed) for seed in SEEDS]
    at = runs[0].at.tolist()
    which = training.FOLLOWED.index(hard)

    def decade(run: training.Gaps) -> float:
        """What the gap gains from step 300 to 3,000, ÷ from 30 to 300: 1 for a logarithm, √10 for a root, 0 for a stop."""
        low, middle, high = (float(run.gap[at.index(t), which]) for t in (30, 300, 3000))
        return (high - middle) / (middle - low)

    each = [decade(run) for run in runs]
    single = [descend(hard, 10, t) for t in (100, 1000, 10_000)]
    ends = [float(run.gap[-1, smoothed_run]) for run in runs]
    gathered = max(float(scatter(run.seen[-1])[smoothed_run] / scatter(run.seen[-1])[0]) for run in runs)
    return (
        # Between no growth, 0, and the fourth root's 1.78.
        Evidence.between(
            f"hard targets, the gap gained from step 300 to 3,000 ÷ from 30 to 300, the least of {RUNS} {SHIPPED}",
            min(each),
            0.75,
            1.25,
        )
        & Evidence.between("the most", max(each), 0.75, 1.25)
        # One example: dg/dt = 10 / (e^g + 9), so that g = ln(10 t) − 9 g/e^g …, within 1 % of the slope from step 1,000.
        & Evidence.near(
            "one example, the gap gained from step 1,000 to 10,000 ÷ ln 10",
            (single[2] - single[1]) / math.log(10),
            1,
            within=0.01,
        )
        & Evidence.between(
            "ε = 0.1, the gap at step 3,000, the farthest from 4.5", max(ends, key=lambda g: abs(g - 4.5)), 4.45, 4.55
        )
        & Evidence.below("scatter of the training points in the plane, smoothed ÷ hard, the most", gathered, 0.5)
    )


# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "The features of a class become one tight cluster.",
    better="Those of the training examples do, in the plane through the three classes’ columns of the last matrix: all are asked for the same distance from the "
    "other classes. In our small network, fresh ones scatter more than with hard targets.",
    verdict=Verdict.HOLDS_IF,
    source=MULLER.at("§2"),
    fails_if=({"seen": "fresh"}, {"fresh": "seen"}),
)
def seen_points_gather_and_fresh_ones_do_not(seen: str = "seen", fresh: str = "fresh") -> Evidence:
    def ratios(which: str) -> list[float]:
        each = [scatter(getattr(followed(seed), which)[-1]) for seed in SEEDS]
        return [float(s[1] / s[0]) for s in each]

    return Evidence.below(
        f"scatter of the training examples, ε = 0.1 ÷ hard, step 3,000, the most of {RUNS} {SHIPPED}",
        max(ratios(seen)),
        0.5,
    ) & Evidence.above("of fresh ones, the least", min(ratios(fresh)), 1.1)


@concept.corrects(
    "A training loss above the validation loss is a bug.",
    better="Not if one is smoothed and the other plain: the smoothed loss has a floor, 0.50 for ten classes and ε = 0.1. In all "
    "our 15 runs with little overlap and that ε, stopped where the plain loss is least, it was above that loss. Compare plain with plain.",
    fails_if=({"smoothing": 0.0}, {"wrong_floor": True}),
)
def training_and_validation_are_two_losses(smoothing: float = 0.1, wrong_floor: bool = False) -> Evidence:
    e = SMOOTHINGS.index(smoothing)
    above = torch.stack([(cell("low", n).loss - cell("low", n).plain)[:, e] for n in SIZES])
    return Evidence.above(
        f"smoothed training loss less plain validation loss, ε = {smoothing:g}, little overlap, the least of 15 {SHIPPED}",
        float(above.min()),
        0,
    ) & Evidence.between("the floor", 0.0 if wrong_floor else floor(10, 0.1), 0.495, 0.505)


@concept.corrects(
    "`ignore_index` keeps padding out of label smoothing.",
    better="It leaves out the places where the answer is a pad (question 9). At all other places the pad’s class still gets ε/K, and the best "
    "model predicts pads with that probability. To give it none, share ε over the real classes and pass soft targets.",
    fails_if=({"shared": "real"}, {"real": "all"}),
)
def the_pad_keeps_its_mass(shared: str = "all", real: str = "real") -> Evidence:
    return Evidence.near(
        "torch’s best probability of the pad’s class at a real token, 10 classes, ε = 0.1, pads ignored",
        mass_of_the_pad(ignore=True, shared=shared),
        0.1 / 10,
        within=ROUNDING,
    ) & Evidence.below("with ε shared over the nine real classes", mass_of_the_pad(shared=real), 1e-15)


@concept.corrects(
    "As a divergence: sum q · (log q − log p).",
    better=f"Where q is 0, log q is −∞ and the product NaN; the limit is 0. And where p is 0, torch {TORCH} gives ∞, or NaN "
    "if q is 0 there too: four threads show such a p, typed into an example of the Annotated Transformer. A model’s p comes "
    "from logits: take their log-softmax, and the cross-entropy, which has the same gradient.",
    source=THREADS,
    fails_if=({"written_out": False}, {"from_logits": False}, {"typed": False}),
)
def the_divergence_of_a_zero_target(written_out: bool = True, from_logits: bool = True, typed: bool = True) -> Evidence:
    target = torch.tensor([0.0, 0.9, 0.1], dtype=torch.float64)
    logits = torch.tensor([-800.0, 1.0, 0.0], dtype=torch.float64)
    logs = logits.log_softmax(-1) if from_logits else logits.softmax(-1).log()
    naive = float(divergence(target, logits, safe=not written_out))
    p = torch.tensor([0.0, 0.2, 0.7, 0.1, 0.0] if typed else [0.05, 0.2, 0.6, 0.1, 0.05], dtype=torch.float64)
    q = smoothed(torch.tensor(2), 5, 0.1)
    without = torch.tensor([0.0, *smoothed(torch.tensor(1), 4, 0.1).tolist()], dtype=torch.float64)  # a pad's column
    # −0.9 log 0.731 − 0.1 log 0.269 less the entropy, 0.325: between 0.05 and 0.1.
    return (
        Evidence.exactly("the product is a number (1) or is not (0)", float(math.isfinite(naive)), 0)
        & Evidence.exactly(
            "torch’s kl_div from the logarithm of a p that is typed in, twice 0, ε = 0.1",
            float(F.kl_div(p.log(), q, reduction="sum")),
            math.inf,
        )
        & Evidence.exactly(
            "with a target of 0 where p is 0 too: a number (1) or not (0)",
            float(not F.kl_div(p.log(), without, reduction="sum").isnan()),
            0,
        )
        & Evidence.between(
            "from log-softmax, with the target of the product",
            float(F.kl_div(logs, target, reduction="sum")),
            0.05,
            0.1,
        )
    )


# ---------------------------------------------------------------------------------------------- the usual answer


@concept.corrects(
    "Smoothing the labels is adding noise to them.",
    better="On average over random labels, drawn even with probability ε, the loss is the same; smoothing has no such noise. It is "
    "(1 − ε) times the plain loss plus ε times the cross-entropy of the even distribution: a penalty on confident outputs.",
    fails_if=({"smoothing": 0.0}, {"penalty": "entropy"}),
    verdict=Verdict.HOLDS_IF,
    source=SZEGEDY.at("§7"),
)
def it_is_a_penalty(smoothing: float = 0.1, penalty: str = "even") -> Evidence:
    parts = split_of_the_loss(0.1)
    built = (1 - smoothing) * parts["plain"] + smoothing * parts[penalty]
    drawn = split_of_the_loss(smoothing)["drawn"]
    return Evidence.near(
        "torch’s smoothed loss less (1 − ε) · plain − ε · even", parts["torch"] - built, 0, within=ROUNDING
    ) & Evidence.near(
        "less the expected plain loss of labels drawn even with probability ε, all 10 outcomes summed",
        parts["torch"] - drawn,
        0,
        within=ROUNDING,
    )


concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS,
    "ε = 0.1, §5.4. The smoothed loss is (1 − ε) times the plain one plus ε times the cross-entropy of the even distribution: a "
    "penalty on confident outputs.",
    by=it_is_a_penalty,
    source=(VASWANI_2017.at("§5.4"), SZEGEDY.at("§7")),
)
concept.judges(
    concept.topic.usual[1],
    Verdict.OTHERWISE,
    "That is ε = 0.3 if all three classes share it, as in Szegedy et al. and PyTorch, or 0.2 if only the two wrong ones do. With the "
    "paper’s ε = 0.1 it would be [0.033, 0.933, 0.033] or [0.05, 0.9, 0.05].",
    by=what_the_example_is,
    source=SZEGEDY.at("§7"),
)
concept.judges(
    concept.topic.usual[2],
    Verdict.HOLDS_IF,
    "At the end it lowered our networks’ confidence in every run, stopped early on average; it does not ask by how much it was too "
    "high. With little overlap, stopped by plain loss, 2 to 4 points too sure became 9 to 10 points too unsure with ε = 0.1. With much "
    "overlap and 500 examples, 45 points too sure at the end became 22.",
    by=it_only_lowers_confidence,
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Does PyTorch’s `label_smoothing` do just this, also with class weights and `ignore_index`?",
    f"Yes, to rounding (torch {TORCH}): ε/K over all classes, ignored answers left out. With weights, each −log pⱼ is multiplied by the "
    "weight of its own class j, and the sum is divided by the weights of the right answers, not by their number.",
)
concept.pushes_back(
    "Derive the best gap. What is the lowest loss?",
    "The gradient by the logit zⱼ is pⱼ − qⱼ: 0 where p = q, at a gap of ln(q right ÷ q wrong) = ln(1 + K(1 − ε)/ε). The loss there "
    "is the entropy of q, not 0: 0.50 nats for ten classes and ε = 0.1, 1.38 for 37,000. Tensor2Tensor subtracts that of its own targets.",
    T2T,
)
concept.pushes_back(
    "Would you train a teacher for distillation with it?",
    "Contested. Müller et al. found that students learn less from a smoothed teacher, whose logits keep less of which "
    "classes resemble each other. Shen et al. dispute that smoothing and distillation are incompatible. Try it without first.",
    (MULLER.at("§4"), SHEN),
)
concept.pushes_back(
    "The paper gained BLEU, your networks gained nothing. Who is right?",
    "Both may be. The paper’s ablation: BLEU 25.3 without, 25.8 with ε = 0.1, perplexity 4.67 and 4.92. That is translation with "
    "beam search, one number each. Ours are small classifiers, five runs a cell; they do not show it, and do not refute it.",
    VASWANI_2017.at("table 3"),
)
concept.pushes_back(
    "If calibration is the aim, is there another way?",
    "Temperature scaling: divide the trained network’s logits by one number, fitted on validation data. It can lower confidence or "
    "raise it, and no answer changes, so neither does accuracy.",
    GUO.at("§4.2"),
)

concept.reads(VASWANI_2017.at("§5.4 and table 3"), SZEGEDY.at("§7"), MULLER, GUO, SHEN, T2T, *THREADS)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import math
import torch
import torch.nn.functional as F

K, eps = $classes, $smoothing

target = torch.full((K,), eps / K, dtype=torch.float64)
target[0] += 1 - eps                        # class 0 is right
gap = math.log(((1 - eps) + eps / K) / (eps / K)) if eps else math.inf
logits = torch.zeros(1, K, dtype=torch.float64)
logits[0, 0] = min(gap, 40.0)                # ∞, for hard targets, is never reached: 40 is far
logits.requires_grad_()

loss = F.cross_entropy(logits, torch.tensor([0]), label_smoothing=eps)
loss.backward()
print("target of the right class and of each other:", target[0].item(), target[1].item())
print("best gap:", gap, "largest gradient there:", logits.grad.abs().max().item())
print("the loss there, which is the floor:", round(loss.item(), 4))
""",
    {"classes": 10, "smoothing": 0.1},
    {"classes": 2, "smoothing": 0.0},
    {"classes": 37_000, "smoothing": 0.5},
)
def least_loss(classes: int, smoothing: float) -> float:
    return floor(classes, smoothing)
