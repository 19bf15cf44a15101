"""Question 7: Pre-Norm or Post-Norm: where does the normalisation go, and what does it change?"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.pre_post_norm import (
    POOLED_DEPTHS,
    POOLED_DRAWS,
    WIRING,
    Kind,
    Order,
    amplification,
    early,
    first_loss,
    growth,
    last_gradients,
    profile,
    slope,
    start,
    torch_layer,
    typical,
)
from core.sources import GEMMA_2_2024, LIU_2020, LLAMA_2023, RADFORD_2019, SUN_2025, VASWANI_2017, XIONG_2020
from core.training import pre_post_norm as training

concept = Concept(
    __name__,
    equation=r"{\text{Post: }\ \disputed{\mathrm{LN}}(x + F(x))} \quad\allowbreak {\text{Pre: }\ x + F(\disputed{\mathrm{LN}}(x))}",
    words=("LN", "branch F", "stream x", "W₂", "warm-up"),
)

OLMO_2 = Source("OLMo team 2025", "2 OLMo 2 Furious", "arXiv 2501.00656")
TAKASE = Source(
    "Takase et al. 2023", "B2T Connection: Serving Stability and Performance in Deep Transformers", "arXiv 2206.00330"
)
DEEPNORM = Source("Wang et al. 2022", "DeepNet: Scaling Transformers to 1,000 Layers", "arXiv 2203.00555")
REZERO = Source(
    "Bachlechner et al. 2020", "ReZero is All You Need: Fast Convergence at Large Depth", "arXiv 2003.04887"
)

# ---------------------------------------------------------------------------------------------- in one sentence


def learned(order: Order, rate: float, warmup: int, depth: int = 12) -> int:
    return training.learned(order, depth, rate, warmup)


RUNS = len(training.SEEDS)


@concept.in_one_sentence(
    "Post-Norm normalises every sum, Pre-Norm what enters each branch: its stream is only added to, and a nudge to all weights "
    "moves a deep encoder’s output less.",
    fails_if={"free": "post", "on_the_path": "pre"},
)
def one_line_moves(free: Order = "pre", on_the_path: Order = "post") -> Evidence:
    x = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moved = typical(amplification(on_the_path)) / typical(amplification(free))
    return (
        Evidence.exactly(
            f"largest change of a vector by a {free}-norm sublayer whose weights are 0",
            float((WIRING[free](x, torch.zeros_like) - x).abs().max()),
            0,
        )
        # LN gives 1 but for its ε = 1e-5 beside a variance that is not below 1/10.
        & Evidence.near(
            f"‖x‖²/d after 12 layers, {on_the_path}-norm", float(start(12, 32)[on_the_path].size[-1]), 1, within=1e-4
        )
        & Evidence.above(
            f"squared movement of the output, 24 layers, {on_the_path}-norm ÷ {free}-norm", float(moved[-1]), 2
        )
    )


# ---------------------------------------------------------------------------------------------- prediction


# The options' borders lie half-way between all four runs of one order alone and as many of both.
@concept.predicts(
    "Without warm-up, at learning rate 0.003: which 12-layer encoders learn in 300 steps?",
    Option(
        "only Pre-Norm’s",
        2,
        math.inf,
        "In a deep Post-Norm encoder a nudge to all weights moves the output further, and Adam’s first steps change all "
        "weights at once. With a warm-up those four runs learn too.",
    ),
    Option(
        "only Post-Norm’s",
        -math.inf,
        -2,
        "Tempting, for Post-Norm’s gradients are the flat ones, and Pre-Norm’s last layers get little. But a gradient does "
        "not say how far a step throws the output.",
    ),
    Option(
        "both alike",
        -2,
        2,
        "Tempting, for before the first step neither order’s gradients explode or vanish. But that is a matter of one "
        "moment, and the steps that follow change all weights at once.",
    ),
    # Four more of four: that can only be all against none.
    shows="Trained beforehand, four runs of each: at step 300 Pre-Norm has {0} more whose loss is below 1 nat, all against none.",
)
def who_learns() -> float:
    return float(learned("pre", 0.003, 0) - learned("post", 0.003, 0))


def pooled(order: Order, low: int, high: int) -> Float[Tensor, " r"]:
    """By what the last layer's gradient is multiplied from `low` to `high` layers, for each of the pooled networks."""
    last = last_gradients(order)
    return last[POOLED_DEPTHS.index(high)] / last[POOLED_DEPTHS.index(low)]


# ---------------------------------------------------------------------------------------------- the answer, and its looks


@concept.says(
    "Post-Norm normalises each sum, LN(x + F(x)); Pre-Norm what enters a branch, x + F(LN(x)).",
    fails_if={"swapped": True},
)
def the_norm_moves(swapped: bool = False) -> Evidence:
    x = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def apart(norm_first: bool) -> float:
        """Between a layer of torch's and ours, with its own branches."""
        with torch.random.fork_rng(devices=[]):
            layer = torch_layer(norm_first).double()
        wire = WIRING["pre" if norm_first != swapped else "post"]
        ours = wire(x, lambda y: layer.self_attn(y, y, y, need_weights=False)[0])
        ours = wire(ours, lambda y: layer.linear2(layer.linear1(y).relu()))
        return float((ours - layer(x)).detach().abs().max())

    return Evidence.near(
        "nn.TransformerEncoderLayer(norm_first=False) − LN(x + F(x))", apart(False), 0, within=1e-12
    ) & Evidence.near("nn.TransformerEncoderLayer(norm_first=True) − (x + F(LN(x)))", apart(True), 0, within=1e-12)


@concept.looks_closer(
    "stream",
    "The free stream keeps growing: the last layer’s gradient (of W₂) falls about like 1/√depth.",
    fails_if=({"grows": "post"}, {"stays": "pre"}),
)
@concept.says(
    "Before training, with Xavier weights, Pre-Norm’s stream grows with depth and its last layer’s gradient falls; in Post-Norm both hardly change.",
    fails_if=({"grows": "post"}, {"stays": "pre"}),
)
def the_stream_grows(grows: Order = "pre", stays: Order = "post") -> Evidence:
    grown = growth(grows)
    power = slope(POOLED_DEPTHS, last_gradients(grows)).mean()
    # Each interval ends half-way to the rival claims, on a log scale: growth like a root or the power 3/2; the powers 0 and
    # −1 of the gradient; a halving or a doubling.
    return (
        Evidence.between(
            f"‖x‖² after 48 layers ÷ after 12, {grows}-norm", float(grown.size[48] / grown.size[12]), 2**1.5, 2**2.5
        )
        & Evidence.below(f"relative change of the stream by layer 48, {grows}-norm", float(grown.change[-1]), 0.25)
        & Evidence.between(
            f"power of the depth that the last layer’s gradient follows, {grows}-norm, mean of {POOLED_DRAWS} encoders",
            float(power),
            -0.75,
            -0.25,
        )
        & Evidence.between(
            f"last layer’s gradient at 24 layers ÷ at 6, {stays}-norm",
            float(pooled(stays, 6, 24).mean()),
            2**-0.5,
            2**0.5,
        )
        & Evidence.between(
            f"‖x‖² after 48 layers ÷ after 12, {stays}-norm",
            float(growth(stays).size[48] / growth(stays).size[12]),
            2**-0.5,
            2**0.5,
        )
    )


@concept.looks_closer(
    "amplification",
    "Nudge all Xavier weights: squared, Post’s output moves about like depth, Pre’s like its log.",
    fails_if=({"slow": "post"}, {"fast": "pre"}),
)
@concept.says(
    "A nudge to all these weights moves Pre-Norm’s output less: squared, about like log depth, Post-Norm’s like depth.",
    fails_if=({"slow": "post"}, {"fast": "pre"}),
)
def small_changes_are_amplified(slow: Order = "pre", fast: Order = "post") -> Evidence:
    two, four, eight, sixteen = (typical(amplification(slow))[POOLED_DEPTHS.index(d)] for d in (2, 4, 8, 16))
    # A logarithm adds the same with each doubling, a root √2 times as much as the one before, 2 times over two doublings.
    # The intervals end half-way to the rivals, on a log scale: the root; the powers 1/2 and 3/2.
    return (
        Evidence.between(
            f"squared movement, {slow}-norm: what 8 → 16 layers add ÷ what 2 → 4 add, typical of {POOLED_DRAWS} encoders",
            float((sixteen - eight) / (four - two)),
            2**-0.5,
            2**0.5,
        )
        & Evidence.between(
            f"power of the depth that it follows, {fast}-norm, mean",
            float(slope(POOLED_DEPTHS, amplification(fast)).mean()),
            0.75,
            1.25,
        )
        & Evidence.above(
            f"{fast}-norm ÷ {slow}-norm at the least of 4 to 24 layers",
            float((typical(amplification(fast)) / typical(amplification(slow)))[2:].min()),
            1,
        )
    )


@concept.says(
    "At learning rate 0.003 Pre-Norm learned in 300 steps; 12-layer Post-Norm encoders only with a warm-up.",
    fails_if=({"needs_it": "pre", "does_not": "post"}, {"rate": 0.01}),
)
def deep_post_norm_may_need_a_warm_up(
    needs_it: Order = "post", does_not: Order = "pre", rate: float = 0.003
) -> Evidence:
    return (
        Evidence.exactly(
            f"12 layers, {needs_it}-norm runs that learned at {rate}, no warm-up (shipped)",
            learned(needs_it, rate, 0),
            0,
        )
        & Evidence.exactly(f"{needs_it}-norm, warm-up", learned(needs_it, rate, 100), RUNS)
        & Evidence.exactly(f"{does_not}-norm, no warm-up", learned(does_not, rate, 0), RUNS)
    )


concept.cites("GPT-2 and LLaMA are Pre-Norm.", source=(RADFORD_2019.at("§2.3"), LLAMA_2023.at("§2.2")))

# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "Post-Norm gradients explode.",
    better="With Xavier weights and 12 layers, an encoder’s gradients of W₂ are about flat before the first step: the first layer’s "
    "and the last layer’s are the same within a factor of 1.5, and the last’s more than twice a Pre-Norm encoder’s. In a decoder that looks at its "
    "encoder they fall towards the bottom more than fivefold; over random vectors in its place less than twofold. For such "
    "an encoder hands on vectors that have become alike: their mean cosine is above 0.9.",
    fails_if=({"flat": "decoder", "falling": "encoder", "random": "decoder"}, {"order": "pre"}),
)
def encoder_gradients_are_flat(
    flat: Kind = "encoder", falling: Kind = "decoder", random: Kind = "random memory", order: Order = "post"
) -> Evidence:
    def tilt(kind: Kind) -> float:
        return profile(order, kind, 12).tilt

    what, before = f"‖∂loss/∂W₂‖ of layer 12 ÷ of layer 1, {order}-norm", start(12, 32)
    return (
        Evidence.between(f"{what} {flat}", tilt(flat), 2 / 3, 3 / 2)
        & Evidence.above(f"{what} {falling}", tilt(falling), 5)
        & Evidence.below(f"{what} decoder over {random}", tilt(random), 2)
        & Evidence.above(
            f"mean cosine of two vectors that its {order}-norm encoder hands on",
            profile(order, "decoder", 12).alike,
            0.9,
        )
        & Evidence.above(
            f"squared movement of an encoder’s output when all weights change by 2 %, 24 layers, {order}-norm ÷ pre-norm",
            float(typical(amplification(order))[-1] / typical(amplification("pre"))[-1]),
            2,
        )
        & Evidence.above(
            f"‖∂loss/∂W₂‖ of layer 12, {order}-norm ÷ pre-norm encoder, uniform attention",
            float(before[order].gradient[-1] / before["pre"].gradient[-1]),
            2,
        )
    )


@concept.looks_closer(
    "steps",
    "In our 16 failures without a warm-up, ten steps unbalance the gradients more than tenfold.",
    fails_if={"warmup": 100, "other": 0},
)
@concept.corrects(
    "Unbalanced gradients are why Post-Norm is hard to train.",
    better="That is contested. Xiong et al. point at the large gradients near the output, Takase et al. at gradients that "
    "vanish on their way down, Liu et al. at neither: small updates are amplified. What we measure: in each of our 16 runs "
    "that had not learned by step 300 without a warm-up, the top layer’s gradient passed ten times the bottom layer’s within "
    "ten steps. Two runs that learned passed it too. And in the four runs that failed with a warm-up it stayed below 3 times "
    "for 100 steps: there it came between steps 150 and 250, after the warm-up.",
    fails_if={"warmup": 100, "other": 0},
    source=(XIONG_2020.at("§3.3"), TAKASE, LIU_2020),
    verdict=Verdict.CONTESTED,
)
def the_imbalance_comes_with_the_first_steps(warmup: int = 0, other: int = 100) -> Evidence:
    without, with_it = early("post", warmup), early("post", other)
    failed = [run.tilt for run in without if not run.learned]
    late = [run for run in with_it if not run.learned]
    came = [run.tenfold for run in late]
    return (
        Evidence.above(
            f"top ÷ bottom layer’s gradient, its largest in ten steps, the least of {len(failed)} failed runs (shipped)",
            min(failed),
            10,
        )
        & Evidence.exactly("runs that had not learned by step 300 without a warm-up", len(failed), 16)
        & Evidence.exactly(
            "runs above 10 that learned all the same", sum(r.learned and r.tilt > 10 for r in without), 2
        )
        & Evidence.exactly("runs that failed with a warm-up", len(late), 4)
        & Evidence.below("top ÷ bottom in their first 100 steps, at most", max(run.by_100 for run in late), 3)
        & Evidence.between("the step at which it passes 10, the earliest", min(came), 150, 250)
        & Evidence.between("the latest", max(came), 150, 250)
    )


@concept.corrects(
    "With Pre-Norm every layer gets the same gradient.",
    better="Before the first step, with Xavier weights, the first layer’s W₂ gets more than the last’s: in an encoder of 12 "
    "layers more than twice as much, with uniform attention as with full layers. It also acts through all the branches above "
    "it: cut their inputs off, and all layers get about the same. What Pre-Norm keeps quiet is the output: with "
    "24 layers a nudge to all weights moves it, squared, less than half as far as Post-Norm’s.",
    fails_if=({"order": "post"}, {"through_branches": True}),
)
def pre_norm_is_not_flat(order: Order = "pre", through_branches: bool = False) -> Evidence:
    uniform = start(12, 32)[order].gradient
    along_the_path = start(12, 32, through_branches=through_branches)[order].gradient
    what = f"‖∂loss/∂W₂‖ of layer 1 ÷ of layer 12, {order}-norm encoder"
    return (
        Evidence.above(f"{what}, uniform attention", float(uniform[0] / uniform[-1]), 2)
        & Evidence.above(f"{what}, full layers", 1 / profile(order, "encoder", 12).tilt, 2)
        # All 24 branches read a vector of one size: what is left apart is their chance. The interval ends half-way to 2.
        & Evidence.between(
            f"{what}, uniform attention, gradients along the path alone",
            float(along_the_path[0] / along_the_path[-1]),
            2**-0.5,
            2**0.5,
        )
        & Evidence.below(
            f"squared movement of the output when all weights change by 2 %, 24 layers, {order}-norm ÷ post-norm",
            float(typical(amplification(order))[-1] / typical(amplification("post"))[-1]),
            0.5,
        )
    )


@concept.looks_closer(
    "cells",
    "At rate 0.003 a warm-up saves 12 Post-Norm layers, at 0.01 not; Pre-Norm learns in every cell.",
    fails_if=({"order": "pre", "everywhere": "post"}, {"saved": 0.01}),
)
def which_cells_learn(order: Order = "post", everywhere: Order = "pre", saved: float = 0.003) -> Evidence:
    failed = [c for c in training.CELLS if c[0] == everywhere and training.learned(*c) < RUNS]
    return (
        Evidence.exactly(
            f"12 layers at {saved}, {order}-norm, no warm-up: runs that learned", learned(order, saved, 0), 0
        )
        & Evidence.exactly("with a warm-up", learned(order, saved, 100), RUNS)
        & Evidence.exactly("at 0.01, with a warm-up", learned(order, 0.01, 100), 0)
        & Evidence.exactly(f"{everywhere}-norm cells in which some run failed", len(failed), 0)
    )


@concept.corrects(
    "Post-Norm cannot be trained.",
    better="It can: with a warm-up, with fewer layers, or with smaller steps. At learning rate 0.003 our four runs with "
    "12 layers learn after a warm-up and those with 2 layers without one, and so do 12 layers at 0.001. At 0.01, 12 layers "
    "have not learned by step 300 even with the warm-up. The original Transformer is Post-Norm, and was trained with a warm-up.",
    fails_if=({"warmup": 0}, {"shallow": 12}, {"small": 0.003}, {"order": "pre"}),
    source=VASWANI_2017.at("§3.1 and §5.3"),
)
def post_norm_trains(order: Order = "post", warmup: int = 100, shallow: int = 2, small: float = 0.001) -> Evidence:
    return (
        Evidence.exactly("12 layers, 0.003, warm-up: runs that learned", learned(order, 0.003, warmup), RUNS)
        & Evidence.exactly(f"{shallow} layers, 0.003, none", learned(order, 0.003, 0, shallow), RUNS)
        & Evidence.exactly(f"12 layers, {small}, none", learned(order, small, 0), RUNS)
        & Evidence.exactly("12 layers, 0.01, warm-up", learned(order, 0.01, warmup), 0)
    )


@concept.corrects(
    "Pre-Norm is free.",
    better="A layer late in the stack adds a vector of the usual size to a stream that has grown: before the first step, with "
    "Xavier weights, layer 48 changes it by less than a third of what layer 1 does. Sun et al. find it in trained models too, whose deep "
    "layers contribute less than they could.",
    fails_if={"order": "post"},
    source=SUN_2025,
)
def late_layers_change_less(order: Order = "pre") -> Evidence:
    change = growth(order).change
    return Evidence.below(
        f"relative change of the stream by layer 48 ÷ by layer 1, {order}-norm", float(change[-1] / change[0]), 1 / 3
    )


@concept.corrects(
    "For Pre-Norm it is enough to move the norm: `norm_first=True`.",
    better="Pre-Norm has one more norm at the end. `nn.TransformerEncoder` adds none unless you pass `norm=`; `nn.Transformer` "
    "adds one to each stack that it builds itself, in Post-Norm a second one right behind the last layer’s own. Without it the stream meets the last matrix at "
    "the size to which it has grown: with 12 fresh layers, each drawn by itself, at about twice the squared length, and the "
    "first loss over 100 classes is about half a nat higher. Training can repair it: all our small models without the final "
    "norm learn.",
    fails_if=({"final_norm": True}, {"order": "post"}, {"whole": False}),
    source=XIONG_2020.at("table 1"),
)
def norm_first_has_no_final_norm(
    final_norm: bool = False, order: training.Order = "pre, no final norm", whole: bool = True, seeds: int = 2
) -> Evidence:
    found = [(first_loss(final_norm, seed), first_loss(True, seed)) for seed in range(seeds)]
    size, more = (sum(each) / seeds for each in zip(*((a.size, a.loss - b.loss) for a, b in found), strict=True))
    with torch.random.fork_rng(devices=[]):
        layer = torch_layer(True)
        both = nn.Transformer(8, 2, 1, 1, 8, batch_first=True)
        bare = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
    ends = [both.encoder.norm, both.decoder.norm] if whole else [bare.norm]
    cells = [c for c in training.CELLS if c[0] == order]
    failed = len(cells) * RUNS - sum(training.learned(*c) for c in cells)
    return (
        Evidence.between("‖x‖²/d of what nn.TransformerEncoder(norm_first=True) returns, 12 layers", size, 1.5, 2.5)
        & Evidence.between("its first loss without the norm − with it, nats", more, 0.25, 0.75)
        & Evidence.exactly(
            "norms at the end of nn.Transformer’s encoder and decoder", sum(n is not None for n in ends), 2
        )
        & Evidence.exactly(f"runs of “{order}” that did not learn (shipped)", failed, 0)
    )


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.OTHERWISE,
    "The place is right. But with Xavier weights and 12 layers an encoder’s gradients of W₂ neither explode nor vanish: they are "
    "about flat, though larger near the output than Pre-Norm’s, which Xiong et al. blame. A decoder’s fall towards the bottom. What "
    "is touchy is the output, when all weights change a little.",
    by=encoder_gradients_are_flat,
    source=XIONG_2020.at("§3.3"),
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS_IF,
    "If stable means: change all weights a little, and a deep encoder’s output moves less than Post-Norm’s. Equal "
    "the gradients are not: with Xavier weights, of 12 layers the first W₂ gets more than twice the last’s. One more norm stands at the end. Standard, yes, but OLMo 2 "
    "normalises what leaves a branch instead, and Gemma 2 both.",
    by=pre_norm_is_not_flat,
    source=(LLAMA_2023.at("§2.2"), OLMO_2, GEMMA_2_2024.at("§2")),
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Why does a warm-up help, and why do Pre-Norm models still have one?",
    "Adam’s first step is about the learning rate per weight, whatever the gradient; a deep Post-Norm model amplifies such "
    "changes, say Liu et al., while Xiong et al. blame the large gradients near the output. Pre-Norm needs it less, and can still end lower with it: "
    "question 17 measures at which rates. LLaMA’s takes 2,000 steps.",
    (LIU_2020, XIONG_2020, LLAMA_2023.at("§2.3")),
)
concept.pushes_back(
    "How can Post-Norm be kept at a hundred layers?",
    "By giving the path more weight than the branch: DeepNorm multiplies x by a constant and starts the branches smaller; "
    "Admin sets such a weight for each layer. ReZero goes further: it drops the norm and starts every branch at zero.",
    (DEEPNORM, LIU_2020, REZERO),
)
concept.pushes_back(
    "And in a decoder?",
    "There, with Xavier weights, Post-Norm’s gradients of W₂ do fall towards the bottom, with 12 layers more than fivefold; hardly, "
    "if random vectors stand in for the encoder’s output. For such an encoder hands on vectors that are nearly alike: whatever "
    "cross-attention looks at, it brings back about the same.",
)
concept.pushes_back(
    "Which newer models are neither Pre- nor Post-Norm?",
    "OLMo 2 normalises the output of each branch and not its input, x + LN(F(x)). Gemma 2 normalises both, "
    "x + LN(F(LN(x))); both use RMSNorm (question 6) for LN. In both the path itself stays free, as in Pre-Norm.",
    (OLMO_2, GEMMA_2_2024.at("§2")),
)
concept.pushes_back(
    "Which one is better, when both train?",
    "With six layers or fewer, Takase et al. report, Post-Norm has consistently come out ahead; with ten or more its "
    "training is often unstable, and so recent Transformers tend to be Pre-Norm.",
    TAKASE,
)

concept.reads(
    XIONG_2020,
    LIU_2020,
    VASWANI_2017.at("§3.1 and §5.3"),
    RADFORD_2019.at("§2.3"),
    TAKASE,
    SUN_2025,
    DEEPNORM,
    REZERO,
    LLAMA_2023.at("§2.2"),
    OLMO_2,
    GEMMA_2_2024.at("§2"),
)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import torch
import torch.nn.functional as F

depth, width, seed = $depth, $width, $seed
draws, batch, length, vocabulary = 512 // width, 2, 16, 100


def norm(x):
    return F.layer_norm(x, (width,))


def post(x, sublayer):
    return norm(x + sublayer(x))


def pre(x, sublayer):
    return x + sublayer(norm(x))


g = torch.Generator().manual_seed(seed)
tokens = torch.randn(draws, batch, length, width, generator=g)
head = torch.randn(draws, 1, width, vocabulary, generator=g) / width**0.5
target = torch.randint(0, vocabulary, (draws * batch * length,), generator=g)
layers = [[torch.randn(draws, width, width, generator=g) / width**0.5 for _ in range(3)] for _ in range(depth)]
second = [w_2.requires_grad_() for _, _, w_2 in layers]


def last_gradient(block):
    x = tokens
    for v, w_1, w_2 in layers:
        # Attention before the first step, if W_Q = W_K = 0: every token gets the mean of all values.
        x = block(x, lambda y: (y.mean(-2, keepdim=True) @ v[:, None]).expand_as(y))
        x = block(x, lambda y: (y @ w_1[:, None]).relu() @ w_2[:, None])
    if block is pre:
        x = norm(x)  # the final norm that Pre-Norm needs
    loss = F.cross_entropy((x @ head).flatten(0, 2), target, reduction="sum") / (batch * length)
    gradients = torch.autograd.grad(loss, second)
    by_layer = torch.stack([gradient.flatten(1).norm(dim=1).mean() for gradient in gradients])  # the mean over the draws
    rounded = [round(norm, 3) for norm in by_layer.tolist()]
    print(f"{block.__name__}-norm, gradient norm of W_2 from layer 1 to {depth}:", rounded)
    return by_layer[-1].item()


print("last layer, Post-Norm ÷ Pre-Norm:")
print(round(last_gradient(post) / last_gradient(pre), 3))
""",
    {"depth": 12, "width": 64, "seed": 0},
    {"depth": 2, "width": 32, "seed": 3},
)
def post_over_pre(depth: int, width: int, seed: int) -> float:
    found = start(depth, width, seed)
    return float(found["post"].gradient[-1] / found["pre"].gradient[-1])
