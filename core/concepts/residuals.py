"""Question 14: why does every sublayer of a Transformer have a residual connection?"""

import math
from itertools import pairwise
from statistics import median

import torch

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.pre_post_norm import torch_layer
from core.experiments.residuals import Norm, along_the_path, first_distinct, ladder, many, stack
from core.ops.residuals import expected_growth
from core.sources import VASWANI_2017, XIONG_2020
from core.training import residuals as training
from core.training.residuals import Side, Skips

concept = Concept(
    __name__,
    equation=r"{y = \disputed{\alpha x} + F(x)} \qquad\allowbreak {\partial y / \partial x = \disputed{\alpha} + \partial F / \partial x} \qquad\allowbreak "
    r"{\text{no norms, random feed-forward: }\ }\allowbreak {\mathbb{E}\lVert g_0 \rVert^2 = (r + \alpha^2)^L\, \lVert g_L \rVert^2}",
    words=("skip αx", "branch F", "gradient g", "share r", "Pre-Norm"),
)

HE_2015 = Source("He et al. 2015", "Deep Residual Learning for Image Recognition", "arXiv 1512.03385")
HE_2016 = Source("He et al. 2016", "Identity Mappings in Deep Residual Networks", "arXiv 1603.05027")
DONG_2021 = Source(
    "Dong et al. 2021",
    "Attention is not all you need: pure attention loses rank doubly exponentially with depth",
    "arXiv 2103.03404",
)
NOCI_2022 = Source(
    "Noci et al. 2022",
    "Signal Propagation in Transformers: Theoretical Perspectives and the Role of Rank Collapse",
    "arXiv 2206.03126",
)
LI_2018 = Source("Li et al. 2018", "Visualizing the Loss Landscape of Neural Nets", "arXiv 1712.09913")
VEIT_2016 = Source(
    "Veit et al. 2016", "Residual Networks Behave Like Ensembles of Relatively Shallow Networks", "arXiv 1605.06431"
)
SHORTCUTS = Source(
    "He et al. 2023",
    "Deep Transformers without Shortcuts: Modifying Self-attention for Faithful Signal Propagation",
    "arXiv 2302.10322",
)

RUNS = len(training.SEEDS)
SAID: dict[Norm, str] = {"none": "no norm", "pre": "Pre-Norm", "post": "Post-Norm"}


def arrives(norm: Norm, skips: Skips) -> float:
    """‖g‖ at the bottom of 16 Transformer blocks ÷ at the top, before training."""
    return float(stack(norm, skips).gradient[0])


DEEP = training.DEPTHS[1:]  # where no rate helped: 4 blocks and more


def deep_learned(skips: Skips) -> int:
    """How many runs of 4 to 16 blocks have learned, at all the rates that were tried."""
    return sum(training.learned(*cell) for cell in training.CELLS if cell[0] == skips and cell[1] in DEEP)


# ---------------------------------------------------------------------------------------------- in one sentence


@concept.in_one_sentence(
    "So that a sublayer adds to its input instead of replacing it: without skips, our untrained models make tokens alike within "
    "4 blocks, and those of 4 or more did not learn in 300 steps.",
    fails_if={"skips": "both", "other": "none"},
)
def one_line(skips: Skips = "none", other: Skips = "both") -> Evidence:
    return (
        Evidence.below(
            f"what tells tokens apart after 4 untrained blocks, Pre-Norm, skips: {skips}, most of {RUNS} seeds",
            float(first_distinct(skips, 4).max()),
            1e-6,
        )
        & Evidence.exactly(f"runs of 4 to 16 blocks that learned, skips: {skips} (shipped)", deep_learned(skips), 0)
        & Evidence.exactly(f"skips: {other}", deep_learned(other), RUNS * len(DEEP))
    )


# ---------------------------------------------------------------------------------------------- prediction


# The borders: a factor of ten either way is “about as much”.
@concept.predicts(
    "16 blocks, LayerNorm before each sublayer, Xavier weights, untrained, no skips: how much of the top’s gradient reaches the bottom?",
    Option(
        "less than a thousandth",
        -math.inf,
        1e-3,
        "Tempting, for that is what skips are said to prevent. It is so where no norm sets sizes right again.",
    ),
    Option(
        "about a hundredth",
        1e-3,
        0.1,
        "Tempting as a middle way. But a norm divides by the size that it finds, on the way back too: what a branch shrinks "
        "is made up for.",
    ),
    Option(
        "about as much",
        0.1,
        10,
        "Each norm divides by the size that it finds, on the way back too. So the gradient survives, and something else must fail.",
    ),
    Option(
        "ten times or more",
        10,
        math.inf,
        "Tempting, for something must go wrong. Skips without norms do that: their sizes multiply.",
    ),
    shows="‖g‖ at the bottom of these whole blocks was {0} times that at the top. The ladder below shows ‖g‖², of sublayers.",
)
def what_reaches_the_bottom() -> float:
    return arrives("pre", "none")


# ---------------------------------------------------------------------------------------------- the answer, and its looks


@concept.says("A skip adds a sublayer’s input to its output.", fails_if={"norm_first": False})
def a_branch_of_zeros_changes_nothing(norm_first: bool = True) -> Evidence:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        layer = torch_layer(norm_first)
        for last in (layer.self_attn.out_proj, layer.linear2):
            last.weight.zero_()
            last.bias.zero_()
        x = torch.randn(2, 5, 64)
        changed = float((layer(x) - x).abs().max())
    return Evidence.exactly(
        f"change of x by nn.TransformerEncoderLayer(norm_first={norm_first}) whose branches give 0", changed, 0
    )


@concept.says(
    "Without norms, branches that halve squared sizes let signal and gradient die over 32 sublayers; with a full skip they explode.",
    fails_if=({"law": "path"}, {"none": 1.0, "full": 0.0}),
)
def sizes_multiply(law: str = "both", none: float = 0.0, full: float = 1.0) -> Evidence:
    alphas = (0.0, 0.7, 1.0)
    measured, found = many(0.5, alphas), ladder("none", 32)
    error = measured.std(0) / math.sqrt(len(measured))
    expected = [expected_growth(0.5, a, 8) if law == "both" else a**16 for a in alphas]
    low, high = (found.gradient[round(20 * a), 0] for a in (none, full))
    up_low, up_high = (found.signal[round(20 * a), -1] for a in (none, full))
    evidence = (
        Evidence.below(f"‖g‖² at the bottom of 32 sublayers ÷ at the top, α = {none:g}", float(low), 1e-3)
        & Evidence.above(f"α = {full:g}", float(high), 1e3)
        & Evidence.below(f"‖x‖² at the top ÷ at the bottom, α = {none:g}", float(up_low), 1e-3)
        & Evidence.above(f"‖x‖² at the top ÷ at the bottom, α = {full:g}", float(up_high), 1e3)
    )
    for i, a in enumerate(alphas):
        evidence &= Evidence.near(
            f"‖g‖² through 8 blocks with r = ½ and α = {a:g}, mean of {len(measured)} networks",
            float(measured[:, i].mean()),
            expected[i],
            within=4 * float(error[i]),
        )
    return evidence


@concept.looks_closer(
    "gradient",
    "With LayerNorm and Xavier weights, the gradient survives without skips, before training.",
    fails_if=({"norm": "none"}, {"skips": "both", "bare": "pre"}),
)
@concept.says(
    "With LayerNorm and Xavier weights the gradient survives without skips, before training.",
    fails_if=({"norm": "none"}, {"skips": "both", "bare": "pre"}),
)
def the_gradient_survives(norm: Norm = "pre", skips: Skips = "none", bare: Norm = "none") -> Evidence:
    # “Survives” is at least a tenth after 16 blocks; vanishing is what the same blocks do without norms.
    return (
        Evidence.between(
            f"‖g‖ at the bottom of 16 blocks ÷ at the top, {SAID[norm]}, no skips", arrives(norm, "none"), 0.1, 10
        )
        & Evidence.between(
            f"the same, {SAID['post' if norm == 'pre' else norm]}",
            arrives("post" if norm == "pre" else norm, "none"),
            0.1,
            10,
        )
        & Evidence.below(f"the same, {SAID[bare]}, skips: {skips}", arrives(bare, skips), 1e-3)
    )


@concept.looks_closer(
    "alike",
    "What fails instead: tokens become alike, though that does not explain every missing skip.",
    fails_if=({"skips": "both"}, {"other": "none"}, {"lacking": "feed-forward only"}, {"lacking": "both"}),
)
def tokens_become_alike(skips: Skips = "none", other: Skips = "both", lacking: Skips = "attention only") -> Evidence:
    return (
        Evidence.below(
            f"what tells tokens apart after 4 blocks, Pre-Norm, skips: {skips}",
            float(stack("pre", skips).distinct[4]),
            1e-6,
        )
        & Evidence.above(f"skips: {other}", float(stack("pre", other).distinct[4]), 0.5)
        & Evidence.above(
            f"in the 4 blocks that were trained, before training, skips: {lacking}, least of {RUNS} seeds",
            float(first_distinct(lacking, 4).min()),
            0.05,
        )
        & Evidence.exactly("and of these have learned (shipped)", training.learned(lacking, 4), 0)
    )


@concept.looks_closer(
    "trained",
    "300 steps, 4 blocks or more: all learn with skips, none without. Deep ones bear deletions best.",
    fails_if=({"skips": "both", "other": "none"}, {"deeper": False}),
)
@concept.says(
    "But tokens become alike, and encoders of 4 to 16 blocks that learned with skips in 300 steps did not without.",
    fails_if=({"skips": "both", "other": "none"}, {"deeper": False}),
)
def skips_train(skips: Skips = "none", other: Skips = "both", deeper: bool = True) -> Evidence:
    left = [training.runs("both", d)["lesions"].mean(1) for d in (training.DEPTHS if deeper else training.DEPTHS[::-1])]
    return (
        Evidence.exactly(
            f"runs of 4 to 16 blocks that learned, skips: {skips}, three rates (shipped)", deep_learned(skips), 0
        )
        & Evidence.exactly(f"skips: {other}, at {training.RATE}", deep_learned(other), RUNS * len(DEEP))
        & Evidence.below(
            f"what tells tokens apart after 4 untrained blocks, skips: {skips}",
            float(stack("pre", skips).distinct[4]),
            1e-6,
        )
        & Evidence.above(f"skips: {other}", float(stack("pre", other).distinct[4]), 0.5)
        & Evidence.above(
            "tokens still right with one block deleted, mean over blocks: worst seed of twice as many blocks − best seed, the least "
            f"of {len(left) - 1} doublings",
            min(float(deep.min() - shallow.max()) for shallow, deep in pairwise(left)),
            0,
        )
    )


concept.cites(
    "ResNet’s authors thought vanishing gradients an unlikely cause of plain nets’ errors.", source=HE_2015.at("§4.1")
)

# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "Skips give the gradient a direct path in every Transformer.",
    better="In Pre-Norm they do: cut off what branches hand back, and the gradient of the last sum arrives at the bottom "
    "unchanged. In Post-Norm each sum is normalised, so its norms stand on that path and change the gradient.",
    fails_if=({"free": "post"}, {"blocked": "pre"}),
    source=(HE_2016.at("§2"), XIONG_2020),
)
def the_path_is_direct(free: Norm = "pre", blocked: Norm = "post") -> Evidence:
    what = "change of the gradient along the path of 12 blocks, relative"
    return Evidence.exactly(f"{what}, {SAID[free]}", along_the_path(free), 0) & Evidence.above(
        f"{what}, {SAID[blocked]}", along_the_path(blocked), 0.1
    )


@concept.corrects(
    "Skips keep signal and gradient stable.",
    better="Not by themselves: without norms each feed-forward sublayer with a full skip multiplies the mean squared size by 1 + r, if its weights "
    "are random with mean 0. With Xavier weights, 16 Transformer blocks with skips and no norm hand down a gradient more than a "
    "thousand times the top’s; with Pre-Norm it stays below ten times.",
    fails_if=({"norm": "pre"}, {"held": "none"}, {"alpha": 0.7}),
)
def skips_alone_explode(norm: Norm = "none", held: Norm = "pre", alpha: float = 1.0) -> Evidence:
    what = "‖g‖ at the bottom of 16 blocks ÷ at the top, both skips"
    alphas = (0.0, 0.7, 1.0)
    measured = many(0.5, alphas)[:, alphas.index(alpha)]
    return (
        Evidence.near(
            f"‖g‖² through 8 blocks with r = ½ and α = {alpha:g}, mean of {len(measured)} networks",
            float(measured.mean()),
            (1 + 0.5) ** 8,
            within=4 * float(measured.std()) / math.sqrt(len(measured)),
        )
        & Evidence.above(f"{what}, {SAID[norm]}", arrives(norm, "both"), 1e3)
        & Evidence.below(f"{what}, {SAID[held]}", arrives(held, "both"), 10)
    )


@concept.corrects(
    "With LayerNorm, no gradient vanishes when the skips are gone.",
    better="The stream’s does not, but those of W_Q and W_K do: where all tokens are alike, it makes no difference where a "
    "query looks. In the last of 16 untrained Pre-Norm blocks without skips, their gradient is less than a billionth of "
    "W_V’s; with both skips it is more than a hundredth.",
    fails_if=({"skips": "both"}, {"other": "none"}),
    source=NOCI_2022,
)
def queries_get_no_gradient(skips: Skips = "none", other: Skips = "both") -> Evidence:
    what = "‖∂/∂(W_Q, W_K)‖ ÷ ‖∂/∂W_V‖ in block 16, Pre-Norm"
    return Evidence.below(f"{what}, skips: {skips}", float(stack("pre", skips).queries[-1]), 1e-9) & Evidence.above(
        f"{what}, skips: {other}", float(stack("pre", other).queries[-1]), 0.01
    )


def sharpness(side: Side, depth: int, scaled: bool = True) -> list[float]:
    """The largest curvature of the loss around the models of every seed."""
    found = [training.around(depth, seed) for seed in training.SEEDS]
    return [(one.scaled if scaled else one.hessian)[side][0] for one in found]


def contrasts(side: Side, scaled: bool, depths: tuple[int, ...] = training.AROUND_DEPTHS) -> list[float]:
    """How many times as curved the loss is around the models without skips, of every depth and seed."""
    return [
        bare / with_skips
        for depth in depths
        for bare, with_skips in zip(sharpness("none", depth, scaled), sharpness(side, depth, scaled), strict=True)
    ]


def mismatch(side: Side) -> float:
    """By how much the losses of the models that are compared differ at most, relative."""
    found = [training.around(d, s).loss for d in training.AROUND_DEPTHS for s in training.SEEDS]
    return max(abs(loss[side] / loss["none"] - 1) for loss in found)


@concept.looks_closer(
    "landscape",
    "At the same loss the sharpest direction is still sharper without skips: 12 of 12 pairs.",
    fails_if=({"side": "none"}, {"side": "ended"}, {"depths": (2, 4)}),
)
def sharper_at_the_same_loss(side: Side = "both", depths: tuple[int, ...] = training.AROUND_DEPTHS) -> Evidence:
    what = "largest eigenvalue of the Hessian without skips ÷ with (shipped)"
    plain, scaled = contrasts(side, False, depths), contrasts(side, True, depths)
    # “Three to fifteen times” and “two to thirty times”, as whole numbers and as tens.
    return (
        Evidence.exactly("pairs of models", len(plain), 12)
        & Evidence.below("difference of the losses that are compared, relative, at most", mismatch(side), 0.01)
        & Evidence.between(f"{what}, the least of {len(plain)} pairs", min(plain), 2.5, 3.5)
        & Evidence.between("the most", max(plain), 14.5, 15.5)
        & Evidence.between("in units of each filter’s size, the least", min(scaled), 1.5, 2.5)
        & Evidence.between("the most", max(scaled), 25, 35)
    )


@concept.corrects(
    "Pictures of trained networks show how much smoother skips make the loss.",
    better="They compare networks with different losses. Around our models at the end of their training, in units of each filter’s size, "
    "the sharpest direction is typically (the median) more than ten times as sharp without skips; around models at the same loss, "
    "to a hundredth, less than six times. Part of the contrast is the loss.",
    fails_if=({"same": "ended"}, {"end": "both"}),
    source=LI_2018,
)
def unequal_losses_exaggerate(same: Side = "both", end: Side = "ended") -> Evidence:
    what = "largest eigenvalue in units of filters, without skips ÷ with, the median of all models"
    return (
        Evidence.below("difference of the losses that are compared, relative, at most", mismatch(same), 0.01)
        & Evidence.above(f"{what}, after training", median(contrasts(end, True)), 10)
        & Evidence.below(f"{what}, at the same loss", median(contrasts(same, True)), 6)
    )


@concept.corrects(
    "So vanishing gradients have nothing to do with it.",
    better="They come back with training, in deep models and at high rates. At learning rate 0.001 the first of 16 Pre-Norm blocks "
    "without skips gets more than a hundredth of the last one’s gradient at step 1, and less than a millionth at step 300; with "
    "skips it stays above a half. Cause or companion, these runs do not say: 4 blocks at 0.001 keep above a tenth, one model of 16 at 0.0003 "
    "ends above a half, and they did not learn either.",
    fails_if=(
        {"skips": "both"},
        {"other": "none"},
        {"shallow": 16},
        {"first": -1},
        {"rate": 0.0003},
        {"slow": 0.001},
        {"high": 0.001},
    ),
)
def they_vanish_in_training(
    skips: Skips = "none",
    other: Skips = "both",
    shallow: int = 4,
    first: int = 0,
    rate: float = 0.001,
    slow: float = 0.0003,
    high: float = 0.003,
) -> Evidence:
    def balance(which: Skips, depth: int, at: float = training.RATE) -> torch.Tensor:
        found = training.runs(which, depth, at)
        return found["first"] / found["last"]

    what = "gradient of the first block’s weights ÷ the last’s"
    deep, end = balance(skips, 16, rate if skips == "none" else training.RATE), f"step {training.STEPS}"
    kept = balance("none", 16, slow)[:, -1] > 0.5
    return (
        Evidence.above(
            f"{what}, 16 blocks, skips: {skips}, rate {rate:g}, step 1, least of {RUNS} seeds (shipped)",
            float(deep[:, first].min()),
            0.01,
        )
        & Evidence.below(f"{end}, most", float(deep[:, -1].max()), 1e-6)
        & Evidence.below(f"8 blocks, rate {high:g}, {end}, most", float(balance("none", 8, high)[:, -1].max()), 1e-4)
        & Evidence.above(
            f"{shallow} blocks, skips: none, rate {rate:g}, least of all snapshots",
            float(balance("none", shallow, rate).min()),
            0.1,
        )
        & Evidence.exactly(f"16 blocks, rate {slow:g}, {end}: runs above a half", int(kept.sum()), 1)
        & Evidence.exactly(f"runs of 4 to 16 blocks that learned, skips: {skips}, all rates", deep_learned(skips), 0)
        & Evidence.above(f"16 blocks, skips: {other}, least of all snapshots", float(balance(other, 16).min()), 0.5)
    )


@concept.corrects(
    "Skips keep the tokens apart.",
    better="They slow the tokens’ falling together; how much depends on the norm. With both skips and Xavier weights, after 16 "
    "untrained Pre-Norm blocks half of the tokens’ length is still their own, in Post-Norm a tenth. Without skips it is no more "
    "than rounding in both.",
    fails_if=({"slow": "post", "fast": "pre"}, {"skips": "both"}, {"kept": "none"}),
    source=NOCI_2022,
)
def skips_slow_the_collapse(
    slow: Norm = "pre", fast: Norm = "post", skips: Skips = "none", kept: Skips = "both"
) -> Evidence:
    what = "what tells tokens apart after 16 blocks"
    evidence = Evidence.between(
        f"{what}, {SAID[slow]}, skips: {kept}", float(stack(slow, kept).distinct[-1]), 0.45, 0.55
    ) & Evidence.between(f"{SAID[fast]}, skips: {kept}", float(stack(fast, kept).distinct[-1]), 0.05, 0.15)
    for norm in (slow, fast):
        evidence &= Evidence.below(f"{SAID[norm]}, skips: {skips}", float(stack(norm, skips).distinct[-1]), 1e-13)
    return evidence


@concept.corrects(
    "Tokens that become alike explain why each skip is needed.",
    better="At most the one around attention: without it, tokens of 4 untrained blocks differ by no more than rounding. Without "
    "the skip around the feed-forward layer a twentieth or more is still their own, and yet no run of 4 blocks learned in 300 steps; "
    "with 8 blocks these models end at a higher loss than those without the skip around attention. What fails there, this lesson does "
    "not know.",
    fails_if=(
        {"collapsed": "both"},
        {"apart": "none"},
        {"apart": "both"},
        {"collapsed": "attention only", "apart": "feed-forward only"},
        {"worse": 4},
    ),
)
def collapse_is_not_all(
    collapsed: Skips = "feed-forward only", apart: Skips = "attention only", worse: int = 8
) -> Evidence:
    what = f"what tells tokens apart after 4 untrained blocks, {RUNS} seeds"
    return (
        Evidence.below(f"{what}, skips: {collapsed}, most", float(first_distinct(collapsed, 4).max()), 1e-13)
        & Evidence.above(f"{what}, skips: {apart}, least", float(first_distinct(apart, 4).min()), 0.05)
        & Evidence.exactly(f"runs of 4 blocks that learned, skips: {collapsed}", training.learned(collapsed, 4), 0)
        & Evidence.exactly(f"skips: {apart}", training.learned(apart, 4), 0)
        & Evidence.above(
            f"loss of {worse} blocks at step {training.STEPS}, nats: skips: {apart}, least − skips: {collapsed}, most",
            float(training.final_losses(apart, worse).min() - training.final_losses(collapsed, worse).max()),
            0,
        )
    )


@concept.corrects(
    "Without skips a Transformer cannot learn.",
    better="Shallow ones did, more slowly: our four models of 2 blocks without skips all learned in 2,000 steps at learning rate 0.001; "
    "those with skips had learned after 300. At 0.003 three of them had more than half of the tokens right after 300. With 4 blocks none had "
    "learned after 2,000 at 0.001.",
    fails_if=({"learner": 4}, {"stuck": 2}, {"skips": "none"}, {"rate": 0.001}),
)
def two_blocks_learn_slowly(learner: int = 2, stuck: int = 4, rate: float = 0.003, skips: Skips = "both") -> Evidence:
    def late(depth: int) -> int:
        return int((training.long_losses(depth)[:, -1] < training.LEARNED).sum())

    what = f"blocks without skips, {training.LONG} steps at {training.RATE}: runs that learned (shipped)"
    right = training.runs("none", 2, rate)["accuracy"] > 0.5
    return (
        Evidence.exactly(f"{learner} {what}", late(learner), RUNS)
        & Evidence.exactly(f"{stuck} {what}", late(stuck), 0)
        & Evidence.exactly(f"2 blocks, skips: {skips}, 300 steps", training.learned(skips, 2), RUNS)
        & Evidence.exactly(
            f"2 blocks without skips, 300 steps at {rate}: runs with more than half of the tokens right",
            int(right.sum()),
            3,
        )
    )


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS_IF,
    "Where there is no normalisation and branches shrink what they get. With LayerNorm and Xavier weights the gradient "
    "survives without skips, before training; in training at learning rate 0.001, our models of 16 blocks lost it.",
    by=the_gradient_survives,
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS_IF,
    "Directly, where the path is the identity: in Pre-Norm, where ∂y/∂x = 1 + ∂F/∂x. In Post-Norm a norm stands on the path after every sublayer (question 7).",
    by=the_path_is_direct,
    source=HE_2016.at("§2, §4"),
)
concept.judges(
    concept.topic.usual[2],
    Verdict.HOLDS_IF,
    "For our models of 2 to 8 blocks, if smoother means that the sharpest direction is less sharp: at the same loss the loss curves two "
    "to thirty times as much without skips in units of each filter’s size (the weights that make one number), three to fifteen times in plain weights. Pictures of "
    "networks at different losses show more than that.",
    by=sharper_at_the_same_loss,
    source=LI_2018,
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "What do the authors of ResNet say of vanishing gradients?",
    "That they are an unlikely cause: their plain nets, without skips, had BatchNorm, and gradients of healthy norms. What "
    "they saw was degradation: the deeper plain net had the higher training error, though its extra layers only had to do "
    "nothing. With a skip that takes F = 0; without one, F has to learn the identity.",
    HE_2015.at("§3.1, §4.1"),
)
concept.pushes_back(
    "Then why still normalise?",
    "Because a full skip adds: with random weights of mean 0 each feed-forward branch multiplies the mean squared size by 1 + r, and so 32 of them "
    "with r = ½ by (3/2)³². Scaling branches down instead works too: with r = 1/32 it is (33/32)³², less than e.",
)
concept.pushes_back(
    "If the gradient begins healthy without skips, what fails?",
    "Attention averages, and with nothing added the tokens become alike, doubly exponentially fast for attention alone. Feed-forward layers do not keep them apart (question 10). Then W_Q and W_K "
    "get hardly any gradient. But a missing skip around the feed-forward layer also stopped our models while their tokens still differed: that is not the whole story.",
    (DONG_2021, NOCI_2022),
)
concept.pushes_back(
    "Can a deep Transformer be trained without any skips?",
    "Yes, with care: Bobby He et al. change attention and its initialisation so that signals survive. Without norms too, such models needed "
    "about five times as many iterations for the same performance.",
    SHORTCUTS,
)
concept.pushes_back(
    "What happens if you delete a block of a trained model?",
    "With skips the stream passes by. In our 16-block models more of the tokens stay right, on average over the blocks, than in those with "
    "2, of which a deleted block is a larger part. Veit et al. deleted single layers of a ResNet with little loss, and read it as an "
    "ensemble of many, mostly short, paths.",
    VEIT_2016,
)

concept.reads(
    HE_2015.at("§4.1"),
    HE_2016,
    VASWANI_2017.at("§3.1"),
    DONG_2021,
    NOCI_2022,
    LI_2018,
    VEIT_2016,
    XIONG_2020,
    SHORTCUTS,
)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import torch
import torch.nn.functional as F

alpha, norm, depth, r, seed = $alpha, $norm, $depth, $r, $seed
nets, tokens, width = 8, 4, 64


def ln(x):
    return F.layer_norm(x, (width,))


def block(x, w_1, w_2):
    def branch(y):  # weights N(0, 1/d); the ReLU lets half of the squared size through, so that r of it comes back
        return (2 * r) ** 0.5 * (y @ w_1).relu() @ w_2 / width

    if norm == "pre":
        return alpha * x + branch(ln(x))
    y = alpha * x + branch(x)
    return ln(y) if norm == "post" else y


g = torch.Generator().manual_seed(seed)
x = torch.randn(nets, 1, tokens, width, generator=g)[:, 0].requires_grad_()
top = torch.randn(nets, 1, tokens, width, generator=g)[:, 0]
y = x
for _ in range(depth):
    y = block(y, *torch.randn(2, nets, width, width, generator=g))
(bottom,) = torch.autograd.grad((y * top).sum(), x)
ratio = (bottom.square().sum(-1) / top.square().sum(-1)).mean()
if norm == "none":
    print("expected, the mean over all weights:", (r + alpha**2) ** depth)
print("squared size of the gradient, bottom ÷ top:")
print(f"{ratio.item():.4g}")
""",
    {"alpha": 0.7, "norm": "none", "depth": 32, "r": 0.5, "seed": 0},
    {"alpha": 1.0, "norm": "pre", "depth": 8, "r": 1.0, "seed": 3},
    {"alpha": 0.0, "norm": "post", "depth": 16, "r": 0.5, "seed": 1},
)
def gradient_at_the_bottom(alpha: float, norm: Norm, depth: int, r: float, seed: int) -> float:
    return float(ladder(norm, depth, r, seed).gradient[round(20 * alpha), 0])
