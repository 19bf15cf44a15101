"""Question 7: Pre-Norm or Post-Norm: where does the normalisation go, and what does it change?"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.course import Concept, Evidence, Option, Source
from core.experiments.pre_post_norm import (
    DEPTHS,
    ORDERS,
    POOLED_DEPTHS,
    POOLED_DRAWS,
    WIRING,
    Kind,
    Order,
    amplification,
    draws,
    early,
    first_loss,
    growth,
    last_gradients,
    profile,
    slope,
    start,
    torch_layer,
)
from core.sources import LIU_2020, SUN_2025, VASWANI_2017, XIONG_2020
from core.training import pre_post_norm as training

concept = Concept(__name__)

RADFORD = Source(
    "Radford et al. 2019",
    "Language Models are Unsupervised Multitask Learners",
    "https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
)
TOUVRON = Source("Touvron et al. 2023", "LLaMA: Open and Efficient Foundation Language Models", "arXiv 2302.13971")
OLMO_2 = Source("OLMo team 2025", "2 OLMo 2 Furious", "arXiv 2501.00656")
GEMMA_2 = Source("Gemma team 2024", "Gemma 2: Improving Open Language Models at a Practical Size", "arXiv 2408.00118")
TAKASE = Source(
    "Takase et al. 2023", "B2T Connection: Serving Stability and Performance in Deep Transformers", "arXiv 2206.00330"
)
DEEPNORM = Source("Wang et al. 2022", "DeepNet: Scaling Transformers to 1,000 Layers", "arXiv 2203.00555")
REZERO = Source(
    "Bachlechner et al. 2020", "ReZero is All You Need: Fast Convergence at Large Depth", "arXiv 2003.04887"
)

# ---------------------------------------------------------------------------------------------- prediction


def pooled(order: Order, low: int, high: int) -> Float[Tensor, " r"]:
    """By what the last layer's gradient is multiplied from `low` to `high` layers, for each of the pooled networks."""
    last = last_gradients(order)
    return last[POOLED_DEPTHS.index(high)] / last[POOLED_DEPTHS.index(low)]


@concept.predicts(
    "An encoder grows from 12 to 24 layers. Before the first training step, what happens to the gradient of its last "
    "feed-forward matrix?",
    Option(
        "it halves in both orders",
        0.85,
        1.15,
        "The loss stands right above the last layer. More layers below do not dilute its gradient; only Pre-Norm's "
        "larger stream does.",
    ),
    Option(
        "Post-Norm: nothing. Pre-Norm: it falls to about 70 %",
        1.15,
        1.7,
        "Post-Norm hands the last layer a stream of constant size. Pre-Norm's has grown with the depth, and the final "
        "norm divides by its length, √2 times as long: 1/√2 is 71 %.",
    ),
    Option(
        "Post-Norm: it doubles. Pre-Norm: nothing",
        1.7,
        2.5,
        "Something of Post-Norm's does about double: the squared change of its output under a small change of *all* "
        "weights. That is not the gradient of one layer.",
    ),
    Option(
        "Post-Norm: it explodes exponentially",
        2.5,
        math.inf,
        "That is a network without any norm. Every norm sets the length of the stream back to the same number.",
    ),
    shows=f"Over {POOLED_DRAWS} random encoders, the change of the last layer's gradient in Post-Norm ÷ its change in "
    "Pre-Norm: {0}.",
)
def from_12_to_24() -> float:
    post, pre = (pooled(order, 12, 24).log().mean() for order in ORDERS)
    return float((post - pre).exp())


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "Post-Norm normalises the sum, LN(x + F(x)); Pre-Norm only what enters the branch, x + F(LN(x)), so that its path is "
    "the identity: a block whose weights are all zero returns its input.",
    fails_if={"swapped": True},
)
def the_path_is_the_identity(swapped: bool = False) -> Evidence:
    x = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def apart(norm_first: bool) -> float:
        """Between a layer of torch's and ours, with its own branches."""
        with torch.random.fork_rng(devices=[]):
            layer = torch_layer(norm_first).double()
        wire = WIRING["pre" if norm_first != swapped else "post"]
        ours = wire(x, lambda y: layer.self_attn(y, y, y, need_weights=False)[0])
        ours = wire(ours, lambda y: layer.linear2(layer.linear1(y).relu()))
        return float((ours - layer(x)).detach().abs().max())

    def of_zeros(order: Order) -> float:
        return float((WIRING[order](x, torch.zeros_like) - x).abs().max())

    return (
        Evidence.near("nn.TransformerEncoderLayer(norm_first=False) − LN(x + F(x))", apart(False), 0, within=1e-12)
        & Evidence.near("nn.TransformerEncoderLayer(norm_first=True) − (x + F(LN(x)))", apart(True), 0, within=1e-12)
        & Evidence.exactly(
            "largest change of a vector by a Pre-Norm block whose weights are 0",
            of_zeros("post" if swapped else "pre"),
            0,
        )
    )


@concept.says(
    "At initialisation, Pre-Norm is the stable one in two senses. The deeper it is, the smaller is the gradient near its "
    "output: that of the last layer falls about like 1/√depth, while Post-Norm's is about as large at 24 layers as at 6.",
    fails_if={"falls": "post", "stays": "pre"},
)
def gradients_near_the_output(falls: Order = "pre", stays: Order = "post") -> Evidence:
    power = slope(POOLED_DEPTHS, last_gradients(falls)).mean()
    # Each interval ends half-way to the rival claims: the powers 0 and −1; and a halving or doubling, on a log scale.
    return Evidence.between(
        f"power of the depth that the last layer's gradient follows, {falls}-norm, mean of {POOLED_DRAWS} encoders",
        float(power),
        -0.75,
        -0.25,
    ) & Evidence.between(
        f"last layer's gradient at 24 layers ÷ at 6, {stays}-norm, mean of {POOLED_DRAWS} encoders",
        float(pooled(stays, 6, 24).mean()),
        math.sqrt(0.5),
        math.sqrt(2),
    )


@concept.says(
    "And a small change of all weights moves its output less: from 2 to 24 layers, the squared movement typically grows "
    "about like √depth, in Post-Norm about in proportion to the depth.",
    fails_if={"slow": "post", "fast": "pre"},
)
def small_changes_are_amplified(slow: Order = "pre", fast: Order = "post") -> Evidence:
    def power(order: Order) -> float:
        return float(slope(POOLED_DEPTHS, amplification(order)).mean())

    # Half-way to the rivals: between no growth and proportion; between the root and the power 3/2.
    what = f"power of the depth that the squared movement follows, mean of {POOLED_DRAWS} encoders"
    return Evidence.between(f"{what}, {slow}-norm", power(slow), 0.25, 0.75) & Evidence.between(
        f"{what}, {fast}-norm", power(fast), 0.75, 1.25
    )


@concept.says(
    "At a learning rate at which Pre-Norm trains, a deep Post-Norm network may need a warm-up: of our four with 12 layers "
    "at 0.003, none learns in 300 steps to read eight tokens backwards; after 100 steps of warm-up all four do, and with "
    "Pre-Norm all four do without.",
    fails_if=({"needs_it": "pre", "does_not": "post"}, {"rate": 0.01}),
)
def deep_post_norm_may_need_a_warm_up(
    needs_it: Order = "post", does_not: Order = "pre", rate: float = 0.003
) -> Evidence:
    def learned(order: Order, warmup: int) -> int:
        return training.learned(order, 12, rate, warmup)

    runs = len(training.SEEDS)
    return (
        Evidence.exactly(f"{needs_it}-norm runs that learned, no warm-up (shipped)", learned(needs_it, 0), 0)
        & Evidence.exactly(f"{needs_it}-norm runs that learned, warm-up (shipped)", learned(needs_it, 100), runs)
        & Evidence.exactly(f"{does_not}-norm runs that learned, no warm-up (shipped)", learned(does_not, 0), runs)
    )


@concept.says(
    "Pre-Norm has its price: the squared length of its stream grows about in proportion to the depth, so that late layers "
    "change it little. Of 48 blocks, the last changes the stream by less than a quarter of its length.",
    fails_if={"order": "post"},
)
def late_layers_change_little(order: Order = "pre") -> Evidence:
    grown = growth(order)
    # In proportion: 4-fold. The interval ends half-way, on a log scale, to 2-fold (a root) and 8-fold (the power 3/2).
    return Evidence.between(
        f"‖x‖² after 48 blocks ÷ after 12, {order}-norm", float(grown.size[48] / grown.size[12]), 2**1.5, 2**2.5
    ) & Evidence.below(f"relative change of the stream by block 48, {order}-norm", float(grown.change[-1]), 0.25)


concept.cites(
    "The first Transformer is Post-Norm; GPT-2 moved the norm to the input of each sublayer and added one after the last "
    "block; LLaMA normalises the inputs too, with RMSNorm.",
    source=(VASWANI_2017.at("§3.1"), RADFORD.at("§2.3"), TOUVRON.at("§2.2")),
)

# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "Post-Norm gradients explode.",
    better="In an encoder they are about flat before the first step: with 12 layers, the first layer's and the last layer's "
    "are the same within a factor of 1.5. In a decoder that looks at its encoder they fall towards the bottom, with 12 "
    "layers more than five-fold.",
    fails_if={"flat": "decoder", "falling": "encoder"},
)
def encoder_gradients_are_flat(flat: Kind = "encoder", falling: Kind = "decoder") -> Evidence:
    what = "‖∂loss/∂W₂‖ of layer 12 ÷ of layer 1, post-norm"
    return Evidence.between(f"{what} {flat}", profile("post", flat, 12).tilt, 2 / 3, 3 / 2) & Evidence.above(
        f"{what} {falling}", profile("post", falling, 12).tilt, 5
    )


@concept.corrects(
    "Unbalanced gradients are why Post-Norm is hard to train.",
    better="That is contested. Xiong et al. point at the large gradients near the output, Takase et al. at gradients that "
    "vanish on their way down, Liu et al. at neither: small updates are amplified. What we measure: in each of our 16 runs "
    "that failed without a warm-up the bottom layer's gradient fell below a tenth of the top layer's within ten steps. But "
    "so it did in two runs that learned, and four runs with a warm-up failed without it: a companion of the failure rather "
    "than its proof.",
    fails_if={"warmup": 100, "other": 0},
    source=(XIONG_2020.at("§3.3"), TAKASE, LIU_2020),
)
def the_imbalance_comes_with_the_first_steps(warmup: int = 0, other: int = 100) -> Evidence:
    without, with_it = early("post", warmup), early("post", other)
    failed = [run.tilt for run in without if not run.learned]
    return (
        Evidence.above(
            f"top ÷ bottom layer's gradient, its largest in ten steps, the least of {len(failed)} failed runs (shipped)",
            min(failed),
            10,
        )
        & Evidence.exactly("runs that failed without a warm-up", len(failed), 16)
        & Evidence.exactly(
            "runs above 10 that learned all the same", sum(r.learned and r.tilt > 10 for r in without), 2
        )
        & Evidence.exactly(
            "runs with a warm-up that failed and stayed below 10",
            sum(not r.learned and r.tilt < 10 for r in with_it),
            4,
        )
    )


@concept.corrects(
    "With Pre-Norm every layer gets the same gradient.",
    better="Before the first step the first gets more than the last: in an encoder of 12 layers more than twice as much, "
    "with uniform attention as with full blocks.",
    fails_if={"order": "post"},
)
def pre_norm_is_not_flat(order: Order = "pre") -> Evidence:
    (uniform,) = start(order, 32, depths=(12,)).by_layer
    what = f"‖∂loss/∂W₂‖ of layer 1 ÷ of layer 12, {order}-norm encoder"
    return Evidence.above(f"{what}, uniform attention", float(uniform[0] / uniform[-1]), 2) & Evidence.above(
        f"{what}, full blocks", 1 / profile(order, "encoder", 12).tilt, 2
    )


@concept.corrects(
    "Post-Norm cannot be trained.",
    better="It can: with a warm-up, with fewer layers, or with smaller steps. At a learning rate of 0.003 our four runs with "
    "12 layers learn after a warm-up and those with 2 layers without one, and so do 12 layers at 0.001. At 0.01 even the "
    "warm-up does not save 12 layers. The first Transformer is Post-Norm, and was trained with a warm-up.",
    fails_if=({"warmup": 0}, {"shallow": 12}, {"small": 0.003}, {"order": "pre"}),
    source=VASWANI_2017.at("§3.1 and §5.3"),
)
def post_norm_trains(order: Order = "post", warmup: int = 100, shallow: int = 2, small: float = 0.001) -> Evidence:
    runs = len(training.SEEDS)
    return (
        Evidence.exactly(
            "12 layers, 0.003, warm-up: runs that learned", training.learned(order, 12, 0.003, warmup), runs
        )
        & Evidence.exactly(f"{shallow} layers, 0.003, none", training.learned(order, shallow, 0.003, 0), runs)
        & Evidence.exactly(f"12 layers, {small}, none", training.learned(order, 12, small, 0), runs)
        & Evidence.exactly("12 layers, 0.01, warm-up", training.learned(order, 12, 0.01, warmup), 0)
    )


@concept.corrects(
    "Pre-Norm is free.",
    better="A layer late in the stack adds a vector of the usual size to a stream that has grown: before the first step, "
    "block 48 changes it by less than a third of what block 1 does. Sun et al. find it in trained models too, whose deep "
    "layers contribute less than they could.",
    fails_if={"order": "post"},
    source=SUN_2025,
)
def late_layers_change_less(order: Order = "pre") -> Evidence:
    change = growth(order).change
    return Evidence.below(
        f"relative change of the stream by block 48 ÷ by block 1, {order}-norm", float(change[-1] / change[0]), 1 / 3
    )


@concept.corrects(
    "For Pre-Norm it is enough to move the norm: norm_first=True.",
    better="Pre-Norm has one more norm at the end. nn.TransformerEncoder adds none unless you pass `norm=`; nn.Transformer "
    "always adds one, in Post-Norm a second one right behind the last layer's own. Without it the stream meets the head at "
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
    failed = len(cells) * len(training.SEEDS) - sum(training.learned(*c) for c in cells)
    return (
        Evidence.between("‖x‖²/d of what nn.TransformerEncoder(norm_first=True) returns, 12 layers", size, 1.5, 2.5)
        & Evidence.between("its first loss without the norm − with it, nats", more, 0.25, 0.75)
        & Evidence.exactly(
            "norms at the end of nn.Transformer's encoder and decoder", sum(n is not None for n in ends), 2
        )
        & Evidence.exactly(f"runs of “{order}” that did not learn (shipped)", failed, 0)
    )


# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Why does a warm-up help?",
    "Adam's first steps have the same length whatever the gradient: about the learning rate per weight. A deep Post-Norm "
    "network amplifies such changes, say Liu et al.: small first steps keep its output from jumping. Xiong et al. blame "
    "the large gradients near the output.",
    (LIU_2020, XIONG_2020),
)
concept.pushes_back(
    "How can Post-Norm be kept at a hundred layers?",
    "By giving the path more weight than the branch: DeepNorm multiplies x by a constant and starts the branches smaller; "
    "Admin sets such a weight for each layer. ReZero goes further: it drops the norm and starts every branch at zero.",
    (DEEPNORM, LIU_2020, REZERO),
)
concept.pushes_back(
    "What is Pre-Norm's final norm for?",
    "The stream is a sum of as many branches as there are sublayers, so before training its length grows like √depth, and "
    "so would the logits. The norm brings both back, whatever the depth.",
    XIONG_2020.at("table 1"),
)
concept.pushes_back(
    "Which current models are neither Pre- nor Post-Norm?",
    "OLMo 2 normalises the output of each branch and not its input, x + Norm(F(x)). Gemma 2 normalises both, "
    "x + Norm(F(Norm(x))). In both the path itself stays free, as in Pre-Norm.",
    (OLMO_2, GEMMA_2.at("§2")),
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
    RADFORD.at("§2.3"),
    TAKASE,
    SUN_2025,
    DEEPNORM,
    REZERO,
    TOUVRON.at("§2.2"),
    OLMO_2,
    GEMMA_2.at("§2"),
)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import torch
import torch.nn.functional as F

depth, width, seed = $depth, $width, $seed
draws, batch, length, vocabulary, deepest = 512 // width, 2, 16, 100, 48


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
v, w_1, w_2 = (torch.randn(draws, deepest, width, width, generator=g) / width**0.5 for _ in range(3))
w_2.requires_grad_()


def last_gradient(block):
    x = tokens
    for layer in range(depth):
        # Attention before the first step, if W_Q = W_K = 0: every token gets the mean of all values.
        x = block(x, lambda y: (y.mean(-2, keepdim=True) @ v[:, None, layer]).expand_as(y))
        x = block(x, lambda y: (y @ w_1[:, None, layer]).relu() @ w_2[:, None, layer])
    if block is pre:
        x = norm(x)  # the final norm that Pre-Norm needs
    loss = F.cross_entropy((x @ head).flatten(0, 2), target, reduction="sum") / (batch * length)
    (gradient,) = torch.autograd.grad(loss, w_2)
    by_layer = gradient[:, :depth].flatten(2).norm(dim=-1).mean(0)  # the mean over the draws
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
    post, pre = (last_gradients(order, width, seed, draws(width), DEPTHS) for order in ORDERS)
    at = DEPTHS.index(depth)
    return float(post[at].mean() / pre[at].mean())
