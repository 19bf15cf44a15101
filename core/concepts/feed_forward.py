"""Question 10: what is the feed-forward layer for?"""

import math
from dataclasses import replace

import torch

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments import feed_forward as layers
from core.experiments.feed_forward import Part, Sees, reach
from core.experiments.masking import SENTENCE
from core.experiments.parameters import built_block
from core.experiments.residuals import NORMS, Norm, stack
from core.ops.counting import feed_forward_share, layer_weights
from core.ops.feedforward import Activation, xor_neurons
from core.presets import preset
from core.sources import GEVA_2021, LLAMA_3_2024, VASWANI_2017
from core.training import feed_forward as training
from core.training.feed_forward import FLOOR, SEEDS, VARIANTS, Variant
from core.training.residuals import Skips

concept = Concept(
    __name__,
    equation=r"{\mathrm{Attn}_i = \textstyle\sum_{\text{tokens } j} \mathrm{softmax}_j(\query{q_i} \cdot \key{k_j})\, \value{v_j}} "
    r"\quad\allowbreak {\mathrm{FFN}_i = \textstyle\sum_{\text{neurons } m} \disputed{\phi(x_i \cdot \key{k_m})}\, \value{v_m}}",
    words=("Attn, FFN", "neuron m", "φ", "lone token", "XOR"),
)

DONG_2021 = Source(
    "Dong et al. 2021",
    "Attention is not all you need: pure attention loses rank doubly exponentially with depth",
    "arXiv 2103.03404",
)
SUKHBAATAR_2019 = Source(
    "Sukhbaatar et al. 2019", "Augmenting Self-attention with Persistent Memory", "arXiv 1907.01470"
)
MIXTRAL_2024 = Source("Jiang et al. 2024", "Mixtral of Experts", "arXiv 2401.04088")
SWITCH_2021 = Source(
    "Fedus et al. 2021",
    "Switch Transformers: Scaling to Trillion Parameter Models with Simple and Efficient Sparsity",
    "arXiv 2101.03961",
)
SHAZEER_2020 = Source("Shazeer 2020", "GLU Variants Improve Transformer", "arXiv 2002.05202")
GOODFELLOW_2016 = Source(
    "Goodfellow et al. 2016", "Deep Learning", "https://www.deeplearningbook.org/contents/mlp.html"
)

RUNS = len(SEEDS)
LLAMA_3, GPT_2 = "Llama 3 8B", "GPT-2 small"
LEARNED = 0.01  # nats: far below ln 2, where a run stays that has not learned, and above where the others end
SAID: dict[Variant, str] = {
    "attention": "attention alone",
    "linear": "a feed-forward layer without activation",
    "relu": "one with ReLU",
}


def others(part: Part, sees: Sees = "all") -> int:
    """Through how many pairs of two different words a part acts."""
    acts = reach(SENTENCE, sees).acts(part)
    return int(acts.sum() - acts.diagonal().sum())


def losses(variant: Variant, sees: training.Sees = "itself") -> torch.Tensor:
    """The last loss of every shipped run."""
    return training.trained(sees).losses[VARIANTS.index(variant), :, -1]


def stays_at_a_guess(variant: Variant, sees: training.Sees) -> Evidence:
    """Every run is ln 2 as it is rounded to three digits: what ½ costs, in nats."""
    found = losses(variant, sees)
    farthest = float(found[(found - FLOOR).abs().argmax()])
    what = f"loss on XOR, {SAID[variant]}, tokens that see {sees}: of {RUNS} runs the one farthest from ln 2 (shipped)"
    return Evidence.near(what, farthest, FLOOR, within=5e-4)


# ---------------------------------------------------------------------------------------------- in one sentence


@concept.in_one_sentence(
    "To compute inside each token with what attention has brought there. With ReLU the layer learned XOR on a "
    "lone token; and it holds two thirds of the weights in a layer of GPT-2.",
    fails_if=({"part": "one block"}, {"brings": "feed-forward"}, {"bent": "linear"}, {"model": "Qwen2.5 7B"}),
)
def one_line(
    part: Part = "feed-forward", brings: Part = "attention", bent: Variant = "relu", model: str = GPT_2
) -> Evidence:
    return (
        Evidence.exactly(f"pairs of different words, of 30, that act through {part}", others(part), 0)
        & Evidence.exactly(f"through {brings}, without a mask", others(brings), 30)
        & Evidence.below(
            f"loss on XOR, {SAID[bent]}, tokens that see only themselves, the most", float(losses(bent).max()), LEARNED
        )
        & Evidence.near(
            f"share of the feed-forward layer in the matrices of a layer of {model}",
            feed_forward_share(preset(model)),
            2 / 3,
            within=1e-12,
        )
    )


# ---------------------------------------------------------------------------------------------- prediction


# The borders: what rounds to ln 2 = 0.69 or lies near it is a guess; a run that has learned ends far below 0.1.
@concept.predicts(
    "A token holds two bits and sees only itself. Attention alone, without a norm, trained to say whether exactly one bit is 1, ends …",
    Option(
        "right every time",
        0.0,
        0.1,
        "Tempting, for attention has a softmax. But over a single token its weight is always 1, and what is left, without a norm, is linear.",
    ),
    Option(
        "right in 3 of 4, loss lower",
        0.1,
        0.65,
        "Tempting, for a line can put three cases on the right side, 75 %. But its loss is higher for it: the fourth is "
        "wrong by more than the others gain.",
    ),
    Option(
        "no better than guessing",
        0.65,
        0.75,
        "A linear function can do no better than ½ for all four cases, which costs ln 2 = 0.69 nats (natural logarithm).",
    ),
    Option(
        "worse than guessing",
        0.75,
        10.0,
        "Tempting, for it must fail. But training finds the best that it can do, and answering ½ is always possible.",
    ),
    shows=f"All {RUNS} runs ended at a loss of {{0}} nats, what always answering ½ costs. To see them: Look closer, the first.",
)
def where_attention_alone_ends() -> float:
    return float(losses("attention").max())  # of the others as well: none can be below the floor


# ---------------------------------------------------------------------------------------------- the answer, and its looks


@concept.says(
    "Attention moves information between tokens; the feed-forward layer computes inside each, with the same weights.",
    fails_if=({"part": "one block"}, {"brings": "feed-forward"}, {"size": 3}),
)
def only_attention_crosses(part: Part = "feed-forward", brings: Part = "attention", size: int = 1) -> Evidence:
    replaced = layers.moved(part)
    return (
        Evidence.exactly(f"pairs of different words, of 30, that act through {part}, by derivatives", others(part), 0)
        & Evidence.exactly(
            "whose output changes in any bit when the other becomes “dog”",
            int(replaced.sum() - replaced.diagonal().sum()),
            0,
        )
        & Evidence.exactly(f"that act through {brings}, without a mask", others(brings), 30)
        & Evidence.exactly("with the causal mask", others(brings, "causal"), 15)
        & Evidence.near(
            f"difference from two of torch’s convolutions along the text, the first {size} wide",
            layers.as_convolution(size),
            0,
            within=1e-12,
        )
    )


XOR_MISTAKES = (
    {"sees": "all"},
    {"sees": "itself, normed"},
    {"bent": "linear"},
    {"activation": "none"},
    {"seen": 6},
    {"task": "and"},
)


@concept.looks_closer(
    "xor",
    "On a lone token, no norm, ReLU learns XOR; attention and linear layers end at a guess’s loss.",
    fails_if=XOR_MISTAKES,
)
@concept.says(
    "On a lone token attention without a norm is linear and could not learn XOR; ReLU could.", fails_if=XOR_MISTAKES
)
def xor_needs_a_bend(
    sees: training.Sees = "itself",
    bent: Variant = "relu",
    activation: Activation = "relu",
    seen: int = 1,
    task: layers.Task = "xor",
) -> Evidence:
    run = training.trained(sees)
    bits = torch.tensor(training.BITS, dtype=torch.float64)
    off = float((xor_neurons(bits, activation) - torch.tensor(training.TARGET)).abs().max())
    evidence = (
        Evidence.near(
            f"f(x + y) − f(x) − f(y) of one head that sees {seen} token, relative", layers.bent(seen), 0, within=1e-12
        )
        & Evidence.below(f"loss on XOR, {SAID[bent]}, the most of {RUNS} runs", float(losses(bent).max()), LEARNED)
        & Evidence.exactly("φ(a + b) − 2 φ(a + b − 1) less XOR, the four cases", off, 0)
        & Evidence.exactly(
            f"slope, where it is ln 2, of the loss of a plane over the bits ({task}); it is convex, so 0 makes ln 2 its least",
            layers.slope_at_a_guess(task),
            0,
        )
    )
    for variant in ("attention", "linear"):
        of = VARIANTS.index(variant)
        evidence &= stays_at_a_guess(variant, sees)
        evidence &= Evidence.exactly(
            f"cases right at once on the way, {SAID[variant]}, the most of all runs", 4 * float(run.right[of].max()), 3
        )
    return evidence


@concept.looks_closer(
    "memory",
    "A neuron is a key and a value; the strongest of our decoder’s last layer mostly says its output.",
    fails_if=({"neurons": 128}, {"paired": False}, {"layers_left": (1, 2)}),
)
@concept.says(
    "Each neuron is a key that fires and a value it adds.",
    fails_if=({"neurons": 128}, {"paired": False}, {"layers_left": (1, 2)}),
)
def neurons_are_keys_and_values(
    neurons: int | None = None, paired: bool = True, layers_left: tuple[int, ...] = ()
) -> Evidence:
    apart, rounding = layers.summed(neurons)
    found = layers.firing()
    names, wrongly = (
        float((one == found.written).double().mean())
        for one in ((found.strongest, found.wrongly) if paired else (found.wrongly, found.strongest))
    )
    return (
        Evidence.near("the layer’s output less the sum over its neurons", apart, 0, within=rounding)
        & Evidence.above(
            "written tokens that the strongest neuron’s value, read out by the last matrix, speaks for most, share",
            names,
            0.5,
        )
        & Evidence.below("if each key had another’s value", wrongly, 0.5)
        & Evidence.above("tokens right, each after the right ones, share", layers.right_without(layers_left), 0.9)
    )


SHARE_MISTAKES = (
    {"model": "Qwen2.5 7B"},
    {"other": GPT_2},
    {"gated": False},
    {"even": 64, "long": 64},
    {"window": False},
)


@concept.looks_closer(
    "share",
    "It has 2/3 of a GPT-2 layer’s weights; attention costs more only beyond what 7 of 9 models see.",
    fails_if=SHARE_MISTAKES,
)
@concept.says("Together they hold 2/3 of a GPT-2 layer’s weights, 81\u00a0% of Llama 3 8B’s.", fails_if=SHARE_MISTAKES)
def most_weights_are_here(
    model: str = GPT_2, other: str = LLAMA_3, gated: bool = True, even: int = 128, long: int = 256, window: bool = True
) -> Evidence:
    one, another = preset(model), replace(preset(other), gated=gated)
    built = built_block(preset(other))
    (a, f), (much, less) = layers.flops_made(even), layers.flops_made(long)
    return (
        Evidence.near(f"share of the matrices of a layer of {model}", feed_forward_share(one), 2 / 3, within=1e-12)
        & Evidence.between(f"of {other}", feed_forward_share(another), 0.805, 0.815)  # what rounds to 81 %
        & Evidence.exactly(
            f"numbers by formula less those in the layer of {other} that PyTorch builds",
            layer_weights(another)[0] - built.feed_forward,
            0,
        )
        & Evidence.exactly(f"FLOPs made, attention ÷ feed-forward, d = 64, N = {even}", a / f, 1)
        & Evidence.above(f"with N = {long}", much / less, 1)
        & Evidence.exactly(
            f"of {len(layers.SHOWN)} models, those that see fewer tokens than make attention cost more",
            sum(layers.share(preset(m)).even > (layers.WINDOWS[m] if window else math.inf) for m in layers.SHOWN),
            7,
        )
    )


COLLAPSE_MISTAKES = ({"skips": "both"}, {"other": "none"}, {"fast": "pre"})


@concept.looks_closer(
    "collapse",
    "It does not keep tokens apart in untrained stacks; skips slow their falling together.",
    fails_if=COLLAPSE_MISTAKES,
)
@concept.says(
    "Before training (Xavier weights) the layer does not keep tokens apart; skips slow their falling together.",
    fails_if=COLLAPSE_MISTAKES,
)
def skips_slow_what_the_layer_does_not_stop(
    skips: Skips = "none", other: Skips = "both", fast: Norm = "post"
) -> Evidence:
    def after_four(which: Skips, thinks: bool) -> list[float]:
        """For each place of the norm."""
        return [float(stack(norm, which, 4, thinks).distinct[-1]) for norm in NORMS]

    what = "what tells tokens apart after 4 blocks, most of no norm, Pre-Norm, Post-Norm"
    return (
        Evidence.below(f"{what}; skips: {skips}, with feed-forward layers", max(after_four(skips, True)), 1e-6)
        & Evidence.below(f"skips: {skips}, without them", max(after_four(skips, False)), 1e-6)
        & Evidence.above(f"the least; skips: {other}, with them", min(after_four(other, True)), 0.5)
        & Evidence.above(f"skips: {other}, without them", min(after_four(other, False)), 0.5)
        & Evidence.below(
            f"slowed and not stopped: after 16 blocks, norm: {fast}, skips: both, with feed-forward layers",
            float(stack(fast, "both").distinct[-1]),
            0.2,
        )
    )


# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "Attention is linear; only the feed-forward layer is not.",
    better="Attention is linear in its values while its weights are held, and for a token that sees only itself: there it is exactly "
    "x W_V W_O. But the weights follow the input: over several tokens it is not linear. When each token saw all four cases of XOR, attention alone "
    "learned it within 300 steps in 4 of our 5 runs.",
    fails_if=({"seen": 1}, {"held": False}, {"lone": 6}, {"sees": "itself"}),
)
def attention_bends_too(seen: int = 6, held: bool = True, lone: int = 1, sees: training.Sees = "all") -> Evidence:
    what = "f(x + y) − f(x) − f(y) of one head, relative"
    return (
        Evidence.above(f"{what}, {seen} tokens", layers.bent(seen), 0.1)
        & Evidence.near("with its weights held", layers.bent(6, held), 0, within=1e-12)
        & Evidence.near(f"with {lone} token", layers.bent(lone), 0, within=1e-12)
        & Evidence.near("there, the head less x W_V W_O, relative", layers.off_one_product(lone), 0, within=1e-12)
        & Evidence.exactly(
            f"runs of {RUNS} in which attention alone learned XOR, tokens that see {sees} (shipped)",
            int((losses("attention", sees) < LEARNED).sum()),
            4,
        )
    )


@concept.corrects(
    "What sets it apart is that it treats all positions alike.",
    better="Unmasked attention does so too: reverse the words’ vectors, and the outputs of both are reversed, up to rounding. "
    "Derivatives tell them apart: of 36 pairs of six words, 36 act through attention and 6 through the feed-forward layer.",
    fails_if=(
        {"sees": "causal"},
        {"alone": "attention"},
        {"alone": "one block", "sees": "causal"},
        {"mixes": "feed-forward"},
    ),
)
def derivatives_tell_them_apart(
    sees: Sees = "all", alone: Part = "feed-forward", mixes: Part = "attention"
) -> Evidence:
    what = "outputs of the reversed words less the reversed outputs"
    return (
        Evidence.near(f"{what}, {mixes}", layers.out_of_order(mixes, sees), 0, within=1e-12)
        & Evidence.near(f"{what}, {alone}", layers.out_of_order(alone, sees), 0, within=1e-12)
        & Evidence.exactly(f"pairs of 36 that act through {mixes}", reach(SENTENCE, sees).pairs(mixes), 36)
        & Evidence.exactly(f"through {alone}", reach(SENTENCE, sees).pairs(alone), 6)
    )


@concept.corrects(
    "Its size alone gives capacity; the activation is a detail.",
    better="Without it the two matrices are one: what our layer of 16 → 64 → 16 numbers does, W₁W₂ does, 256 weights instead of "
    "2,048. Its 64 neurons then give only 16 independent numbers; with ReLU, over 128 random inputs, all 64.",
    fails_if=({"without": "relu"}, {"with_": "none"}),
)
def two_matrices_are_one(without: Activation = "none", with_: Activation = "relu") -> Evidence:
    (apart, rank), (_, full) = layers.collapsed(without), layers.collapsed(with_)
    return (
        Evidence.near(f"outputs less those of W₁W₂, relative, activation: {without}", apart, 0, within=1e-12)
        & Evidence.exactly("rank of what the neurons give", rank, 16)
        & Evidence.exactly(f"activation: {with_}", full, 64)
    )


@concept.corrects(
    "Inside a token only the activation is non-linear.",
    better="The norm is too. Two linear maps with a LayerNorm between them can compute XOR: put a + b − 1 beside a constant, and "
    "the constant comes out of the norm large where a + b − 1 is 0. Behind a LayerNorm, attention alone learned XOR on a lone token in "
    "all 5 of our runs. That is why the others have no norm.",
    fails_if=({"norm": False}, {"sees": "itself"}),
)
def a_norm_bends_too(norm: bool = True, sees: training.Sees = "itself, normed") -> Evidence:
    case = layers.normed_xor(norm)  # for 00, 01, 10, 11
    return Evidence.above(
        "after the norm: the least where one bit is 1 less the most elsewhere",
        float(case[1:3].min() - case[[0, 3]].max()),
        0.5,
    ) & Evidence.below(
        f"loss on XOR, attention alone, tokens that see {sees}: the most of {RUNS} runs (shipped)",
        float(losses("attention", sees).max()),
        LEARNED,
    )


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS,
    "Only attention lets one word act on another: of the 36 pairs of six words all 36 act, under a causal mask 21. (Its W_V and "
    "W_O mix features as well.)",
    by=only_attention_crosses,
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS,
    "Exactly: every derivative by another token is 0, and all positions share the same weights, as in a convolution that is one "
    "token wide.",
    by=only_attention_crosses,
)
concept.judges(
    concept.topic.usual[2],
    Verdict.HOLDS,
    "Both, and its activation gives both: with ReLU the 64 neurons of our small layer give 64 independent numbers; without it the layer "
    "does what one d × d matrix does. (Attention over several tokens is non-linear too, and so is the norm: “Also often said”.)",
    by=two_matrices_are_one,
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Does a gated layer, as SwiGLU, have keys and values too?",
    "Yes, but two keys: it has three matrices, and a neuron adds φ(x·k)(x·k′) v. Its neurons are often fewer, so that it does not grow by "
    "as much: Llama 3 8B’s are 3.5 d, not 4 d (question 18).",
    (SHAZEER_2020, LLAMA_3_2024),
)
concept.pushes_back(
    "Does each position have feed-forward weights of its own?",
    "No: one set of matrices per layer, used at every position; other layers have others. The original paper also calls it two "
    "convolutions with kernel size 1. So a longer text needs no more of them.",
    VASWANI_2017.at("§3.3"),
)
concept.pushes_back(
    "What does a mixture of experts replace?",
    "This layer, in the usual design. It works on each token alone, so a router can send each token to a few of many such layers. "
    "Mixtral 8x7B has 8 in each layer and uses 2 (question 15).",
    (SWITCH_2021.at("§2"), MIXTRAL_2024),
)
concept.pushes_back(
    "Could one do without it?",
    "Its job can move. Sukhbaatar et al. gave attention learned keys and values that do not depend on the text, dropped the "
    "feed-forward layer, and report no loss in language modelling. Those vectors are a fixed memory, as its neurons are.",
    SUKHBAATAR_2019,
)

concept.reads(
    VASWANI_2017.at("§3.3"),
    GEVA_2021,
    DONG_2021,
    SUKHBAATAR_2019,
    MIXTRAL_2024,
    SWITCH_2021.at("§2"),
    GOODFELLOW_2016.at("§6.1"),
    SHAZEER_2020,
    LLAMA_3_2024,
)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import math
import zlib
import torch

sentence, sees, part, seed = $sentence, $sees, $part, $seed

words = sentence.split()
n, d, n_heads, d_ff = len(words), 16, 2, 64
x = torch.stack([
    torch.randn(d, generator=torch.Generator().manual_seed(zlib.crc32(w.encode())), dtype=torch.float64)
    for w in words
])
angle = torch.arange(n)[:, None] * 10000.0 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
x = x + torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)

g = torch.Generator().manual_seed(seed)
normal = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64) / math.sqrt(shape[0])
block = lambda: ([normal(d, d) for _ in range(4)], normal(d, d_ff), normal(d_ff, d))
first, second = block(), block()
past = torch.ones(n, n, dtype=torch.bool).tril()
near = (torch.arange(n)[:, None] - torch.arange(n)).abs() <= 1
visible = {"all": past | past.T, "causal": past, "near": near}[sees]

norm = lambda x: torch.nn.functional.layer_norm(x, (d,))

def attend(weights, x):
    q, k, v = (((x @ w).unflatten(-1, (n_heads, -1)).transpose(0, 1)) for w in weights[:3])
    scores = (q @ k.mT / math.sqrt(d // n_heads)).masked_fill(~visible, -torch.inf)
    return (scores.softmax(-1) @ v).transpose(0, 1).flatten(-2) @ weights[3]

def think(w_1, w_2, x):
    return (x @ w_1).relu() @ w_2

def run(block, x):
    x = x + attend(block[0], norm(x))
    return x + think(*block[1:], norm(x))

output = {
    "attention": lambda x: attend(first[0], norm(x)),
    "feed-forward": lambda x: think(*first[1:], norm(x)),
    "one block": lambda x: run(first, x),
    "two blocks": lambda x: run(second, run(first, x)),
}[part]

jacobian = torch.autograd.functional.jacobian(output, x)     # [n, d, n, d]
acts = (jacobian != 0).any(3).any(1)                         # row: whose output, column: whose input
print("words:", n, " pairs:", n * n)
print("pairs that act:", int(acts.sum()))
""",
    {"sentence": SENTENCE, "sees": "all", "part": "feed-forward", "seed": 0},
    {"sentence": "a b c d e", "sees": "near", "part": "two blocks", "seed": 3},
    {"sentence": 'it\'s a "b"', "sees": "causal", "part": "one block", "seed": 1},
)
def pairs_that_act(sentence: str, sees: Sees, part: Part, seed: int) -> float:
    return float(reach(sentence, sees, seed).pairs(part))
