"""Question 9: how does a Transformer handle sequences of different lengths in one batch?"""

import math
from typing import Literal

import torch

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.masking import TORCH
from core.experiments.padding import (
    LENGTHS,
    ROUNDING,
    SENTENCES,
    Batching,
    Denominator,
    Pad,
    Pool,
    Scheme,
    Setup,
    Way,
    conventions,
    cost,
    empty_sample,
    encoder,
    flops,
    lengths_of,
    losses,
    mask_as,
    pack,
    padded,
    pooled,
    side,
    tokens,
)
from core.sources import VASWANI_2017

concept = Concept(
    __name__,
    equation=r"\mathrm{softmax}\big(\query{Q}\key{K}^\top / \sqrt{d_k} + \disputed{M}\big)\,\value{V}, \quad "
    r"\allowbreak {M_{ij} = -\infty \text{ if } j \text{ is a pad, else } 0}",
    words=("pad", "keep-mask", "key", "logit", "RoPE"),
)

KRELL_2021 = Source(
    "Krell et al. 2021",
    "Efficient Sequence Packing without Cross-contamination: Accelerating Large Language Models without Impacting "
    "Performance",
    "arXiv 2107.02027",
)
DOCS = "https://docs.pytorch.org/docs/stable/"
TORCH_SDPA = Source(
    "PyTorch", "scaled_dot_product_attention", f"{DOCS}generated/torch.nn.functional.scaled_dot_product_attention.html"
)
TORCH_MODULE = Source("PyTorch", "nn.MultiheadAttention", f"{DOCS}generated/torch.nn.MultiheadAttention.html")
TORCH_LOSS = Source("PyTorch", "nn.CrossEntropyLoss", f"{DOCS}generated/torch.nn.CrossEntropyLoss.html")
TORCH_ENCODER = Source("PyTorch", "nn.TransformerEncoder", f"{DOCS}generated/torch.nn.TransformerEncoder.html")
TORCH_VARLEN = Source("PyTorch", "torch.nn.attention.varlen", f"{DOCS}nn.attention.varlen.html")
HF_GLOSSARY = Source("Hugging Face", "Glossary: attention mask", "https://huggingface.co/docs/transformers/glossary")
HF_PADDING = Source(
    "Hugging Face",
    "Generation with LLMs: wrong padding side",
    "https://huggingface.co/docs/transformers/llm_tutorial#wrong-padding-side",
)
HF_LOSS = Source("Hugging Face", "Fixing Gradient Accumulation", "https://huggingface.co/blog/gradient_accumulation")
ROWS_ASKED = Source(
    "PyTorch",
    "issue 41508, nn.MultiheadAttention causes gradients to become NaN under some use cases (comment of 8 February 2021)",
    "https://github.com/pytorch/pytorch/issues/41508",
)

ROWS_TOO = Source(
    "Kyubyong/transformer",
    "issue 3, Why doing Key and Query Masking?",
    "https://github.com/Kyubyong/transformer/issues/3",
)
ROWS_WANTED = Source(
    "pytorch-seq2seq",
    "issue 119, Confusion about masking in transformer",
    "https://github.com/bentrevett/pytorch-seq2seq/issues/119",
)

SEEDS = range(4)
FAR = 0.01  # of an output: what is farther off than this is no rounding, which stays below 1e-10

# ---------------------------------------------------------------------------------------------- the answer


def _worst(values: torch.Tensor) -> float:
    """The largest of the numbers that belong to words; NaN stands where there is none."""
    return float(values[~values.isnan()].max())


@concept.in_one_sentence(
    "The shorter ones are filled up with pads at the end, and nobody may look at a pad: its logits become −∞ before the softmax. "
    "So each word’s output is what its sentence gives alone, however many pads there are.",
    fails_if=({"hidden": False}, {"setup": "right, nothing"}, {"setup": "left, mask"}),
)
@concept.says(
    "Pad at the end to one length, give pads −∞ as keys: each word’s output is what its sentence gives alone.",
    fails_if=({"hidden": False}, {"setup": "right, nothing"}, {"setup": "left, mask"}),
)
def masked_pads_change_nothing(hidden: bool = True, setup: Setup = "right, mask") -> Evidence:
    made = [
        padded(extra=extra, pad=pad, seed=seed, hidden=hidden)
        for extra in (0, 12)
        for pad in ("zeros", "own")
        for seed in SEEDS
    ]
    what = "three sentences, up to 16 pads, zeros or a vector of their own, 4 random heads"
    return Evidence.near(
        f"largest difference of a word’s output from its sentence alone, relative: {what}",
        max(_worst(one.off_masked) for one in made),
        0,
        within=min(one.rounding for one in made),
    ) & Evidence.near(
        "the same in 4 small models of two layers with learned positions, pads at the end",
        max(side(setup, causal=False, seed=seed) for seed in SEEDS),
        0,
        within=ROUNDING,
    )


@concept.says(
    "Unmasked, pads with zero key and value weigh e⁰ = 1 each: P leave Z/(Z+P) of the output, Z the words’ weight.",
    fails_if=({"law": "words"}, {"law": "nothing"}, {"sign": -1}, {"own": "zeros"}),
)
@concept.corrects(
    "Pads of zeros are harmless.",
    better="A key of zeros has the logit 0, and e⁰ = 1 is a full term of the softmax’s sum: P such pads shrink every output to "
    "Z/(Z+P) of itself (Z: the sum of exp(logit) over the real keys). With biases, added positions or a vector of its own a pad is not even zero, and turns the output as well.",
    fails_if=({"law": "words"}, {"law": "nothing"}, {"sign": -1}, {"own": "zeros"}),
)
def zero_pads_dilute(law: Literal["Z", "words", "nothing"] = "Z", sign: int = 1, own: Pad = "own") -> Evidence:
    off, left, said = [], [], []
    for extra in (0, 4, 12):
        for seed in SEEDS:
            one = padded(extra=extra, seed=seed)
            lengths, pads = one.keep.sum(-1, keepdim=True), (~one.keep).sum(-1, keepdim=True)
            off.append(one.off[one.keep])
            left.append(one.left[one.keep])
            # The rivals: every word counts for one, as every pad does; nothing happens; outputs grow (`sign`).
            rival = {"Z": one.law, "words": pads / (lengths + pads), "nothing": torch.zeros_like(one.law)}[law]
            said.append(rival.expand_as(one.law)[one.keep])
    rounded = max(padded(extra=12, seed=seed).rounding for seed in SEEDS)
    # Together: what is left of the length and how far it has moved add up to the whole, so it has not turned.
    return (
        Evidence.near(
            "length of an output ÷ alone, largest distance from Z/(Z+P), 3 sentences, 0 to 16 pads, 4 random heads",
            float((torch.cat(left) - (1 - sign * torch.cat(said))).abs().max()),
            0,
            within=rounded,
        )
        & Evidence.near(
            "its relative difference from alone, largest distance from 1 − Z/(Z+P)",
            float((torch.cat(off) - torch.cat(said)).abs().max()),
            0,
            within=rounded,
        )
        & Evidence.above(
            "with a vector of their own: 1 − cosine of the angle by which an output turns, the largest in each head, the least of 4 heads",
            min(_worst(padded(pad=own, seed=seed).turned) for seed in SEEDS),
            FAR,
        )
    )


@concept.says(
    "Pads’ outputs are junk: no loss, no pooling.",
    fails_if=({"over": "real"}, {"right": "all"}, {"denominator": "tokens"}, {"ignored": "pads too"}, {"way": "rows"}),
)
def pads_need_care_after_attention(
    over: Pool = "all",
    right: Pool = "real",
    denominator: Literal["tokens", "pads too"] = "pads too",
    ignored: Literal["tokens", "pads too"] = "tokens",
    way: Way = "columns",
) -> Evidence:
    fewer, more = losses(), losses(extra=100)
    rounded = 4 * torch.finfo(torch.float64).eps * 624  # a mean over 624 tokens, added in another order
    junk = mask_as(way, "sdpa").pads
    return (
        Evidence.above("largest output at a pad, masked as a key", junk, FAR)
        & Evidence.above("mean over all outputs: least relative difference from the sentence alone", _least(over), FAR)
        & Evidence.near(
            "mean over the real outputs: largest relative difference", float(pooled(right).max()), 0, within=1e-10
        )
        & Evidence.above(
            "cross-entropy with pads as targets: change by 100 more pads a sequence",
            abs(more[denominator] - fewer[denominator]),
            FAR,
        )
        & Evidence.near(
            "with pads ignored as targets: change by 100 more pads a sequence",
            abs(more[ignored] - fewer[ignored]),
            0,
            within=rounded,
        )
    )


def _least(over: Pool) -> float:
    return float(pooled(over).min())


@concept.says(
    "Left pads shift added positions: pass position ids; RoPE needs none.",
    fails_if=({"added": "rope"}, {"setup": "left, mask"}, {"relative": "table"}),
)
def left_pads_shift_positions(
    added: Scheme = "table", setup: Setup = "left, mask and ids", relative: Scheme = "rope"
) -> Evidence:
    def farthest(setup: Setup, scheme: Scheme) -> list[float]:
        return [side(setup, causal, scheme, seed=seed) for causal in (True, False) for seed in SEEDS]

    of = "4 random models, causal or not"
    return (
        Evidence.above(f"learned positions, mask only: least difference, {of}", min(farthest("left, mask", added)), FAR)
        & Evidence.near("mask and position ids: largest difference", max(farthest(setup, "table")), 0, within=ROUNDING)
        & Evidence.near(
            "RoPE, mask only: largest difference", max(farthest("left, mask", relative)), 0, within=ROUNDING
        )
    )


@concept.says(
    "Dense attention pays for pads: bucket by length, or pack with block-diagonal masks.",
    fails_if=({"padding": False}, {"bucket": 4}, {"blocked": False}, {"reset": False}, {"way": "padded"}),
)
def pads_cost_like_words(
    padding: bool = True, bucket: int = 2, blocked: bool = True, reset: bool = True, way: Batching = "packed"
) -> Evidence:
    lengths, _ = lengths_of(LENGTHS)
    (attention, projections), alone = flops(padded=padding), flops(padded=False)
    usual = cost(lengths, "padded").slots
    return (
        Evidence.near(
            "lengths 64, 8, 4, 2, FLOPs of attention as torch counts them, alone ÷ padded and masked",
            alone[0] / attention,
            sum(n**2 for n in (64, 8, 4, 2)) / (4 * 64**2),
            within=1e-12,
        )
        & Evidence.near("of the projections", alone[1] / projections, 78 / 256, within=1e-12)
        & Evidence.below(
            f"lengths {LENGTHS}: places in buckets of two ÷ places padded",
            cost(lengths, "bucketed", bucket).slots / usual,
            1,
        )
        & Evidence.below("places packed ÷ places padded", cost(lengths, way).slots / usual, 1)
        & Evidence.near(
            "three sentences packed, positions counted anew: largest difference from each alone, 4 random models",
            max(pack(blocked, reset, seed=seed) for seed in SEEDS),
            0,
            within=ROUNDING,
        )
    )


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "Short sentences are filled up with zeros, unmasked. Attention’s outputs at the words …",
    Option(
        "stay the same",
        0.999,
        1.001,
        "Zeros add nothing to the weighted sum, but they take weight: a logit of 0 counts e⁰ = 1 in the softmax.",
    ),
    Option(
        "shrink",
        0.001,
        0.999,
        "Each pad takes weight from the words and has nothing to hand over: what is left of the output is the words’ share of the weight.",
    ),
    Option(
        "grow", 1.001, 100.0, "There are more terms, but the weights still sum to 1: what the pads get, the words lose."
    ),
    Option("become 0", 0.0, 0.001, "Only in the limit: the words’ share of the weight falls like 1/P and is never 0."),
    shows="Measured just now on the three sentences below, padded to 10 tokens: on average {percent} of an output’s size is left. Each "
    "pad takes weight and has nothing to hand over.",
)
def length_that_is_left() -> float:
    one = padded()
    return float(one.left[one.keep].mean())


# ---------------------------------------------------------------------------------------------- looks, an argument


@concept.looks_closer(
    "columns",
    "Mask the pads’ columns: as if alone. Rows too: nothing gained; by the plain softmax NaN spreads.",
    fails_if=({"columns": "none"}, {"rows": "columns"}, {"both": "columns"}),
)
@concept.corrects(
    "A padding mask must hide the pads’ rows as well.",
    better="Columns are enough: nobody sees a pad, and what a pad sees concerns nobody if loss and pooling skip it. Rows alone leave the words of the "
    "first layer as wrong as without a mask. Rows as well gain nothing and leave rows with nobody to look at (question 4): NaN by the softmax as "
    "written, and in the next layer at every word, as 0 · NaN is NaN. (torch’s scaled_dot_product_attention gives 0 there.)",
    fails_if=({"columns": "none"}, {"rows": "columns"}, {"both": "columns"}),
    source=(ROWS_ASKED, ROWS_WANTED, ROWS_TOO),
)
def columns_not_rows(columns: Way = "columns", rows: Way = "rows", both: Way = "both") -> Evidence:
    right, only, doubled, nothing = (mask_as(way) for way in (columns, rows, both, "none"))
    return (
        Evidence.near(
            "columns: largest relative difference of a real output, two layers",
            float(right.off.max()),
            0,
            within=ROUNDING,
        )
        & Evidence.exactly("columns: largest derivative of a real output by a pad’s input", right.gradient, 0)
        & Evidence.near(
            "rows only: difference of a real output in the first layer ÷ without a mask",
            float(only.off[0] / nothing.off[0]),
            1,
            within=ROUNDING,
        )
        & Evidence.near(
            "both: largest difference in the first layer",
            float(doubled.off[0]) if doubled.off[1].isnan() else math.nan,
            0,
            within=ROUNDING,
        )
        & Evidence.exactly(
            "rows, or both: of four numbers (at the pads; at the words, one layer later) that are not numbers",
            float(sum(math.isnan(x) for one in (only, doubled) for x in (one.pads, float(one.off[1])))),
            4,
        )
    )


SIDE_MISTAKES = (
    {"causal": False},
    {"setup": "left, mask"},
    {"only_ids": "left, mask and ids"},
    {"added": "rope"},
    {"relative": "table"},
    {"end": "right, mask"},
    {"empty": "left, mask and ids"},
    {"itself": False},
)


@concept.looks_closer(
    "sides",
    "Causal, pads right: no mask. Pads left: mask, position ids (not with RoPE), and no empty rows.",
    fails_if=SIDE_MISTAKES,
)
@concept.corrects(
    "A causal mask takes care of the pads.",
    verdict=Verdict.HOLDS_IF,
    better="Of those on the right, at the real words: these come before. Pads on the left come first, and every word sees them. "
    "Hidden by a mask, the first of them see nobody (question 4): let each pad see itself. And on the right the last place "
    "belongs to a pad: whoever reads the next word there reads junk.",
    fails_if=SIDE_MISTAKES,
)
def sides(
    causal: bool = True,
    setup: Setup = "left, mask and ids",
    only_ids: Setup = "left, ids",
    added: Scheme = "table",
    relative: Scheme = "rope",
    end: Setup = "end",
    empty: Setup = "left, mask and ids, written",
    itself: bool = True,
) -> Evidence:
    both: tuple[Scheme, ...] = ("table", "rope")
    right = max(side("right, nothing", causal, scheme, seed=seed) for scheme in both for seed in SEEDS)
    rows = [side(empty, True, scheme, seed=seed) for scheme in both for seed in SEEDS]
    seen = [
        side("left, mask and ids, written", True, scheme, seed=seed, itself=itself) for scheme in both for seed in SEEDS
    ]
    return (
        Evidence.near("right, causal, no mask: largest difference, 4 random models", right, 0, within=ROUNDING)
        & left_pads_shift_positions(added, setup, relative)
        & Evidence.above(
            "left, position ids without a mask: least difference",
            min(side(only_ids, mask, "table", seed=seed) for mask in (True, False) for seed in SEEDS),
            FAR,
        )
        & Evidence.above(
            "right, masked, read at the last place: least difference",
            min(side(end, mask, "table", seed=seed) for mask in (True, False) for seed in SEEDS),
            FAR,
        )
        & Evidence.exactly(
            "left, causal, mask and ids, the softmax as written: of 8 models, those whose words are not numbers",
            float(sum(map(math.isnan, rows))),
            8,
        )
        & Evidence.near(
            "the same, each pad sees itself: largest difference", float(torch.tensor(seen).max()), 0, within=ROUNDING
        )
    )


@concept.looks_closer(
    "conventions",
    "One keep-mask, four conventions. Turned round, words see only pads, and no error says so.",
    fails_if=({"right": "wrong"}, {"wrong": "right"}),
)
@concept.corrects(
    "A padding mask is True where there is a word.",
    verdict=Verdict.HOLDS_IF,
    better="For torch’s scaled_dot_product_attention, and as a 1 for Hugging Face’s attention_mask. nn.MultiheadAttention’s "
    "key_padding_mask is True where there is a *pad*; and a mask of numbers is added to the logits, so that ones and "
    "zeros hide nothing. Test it: change a pad, and no real output may move.",
    fails_if=({"right": "wrong"}, {"wrong": "right"}),
    source=(TORCH_SDPA, TORCH_MODULE, HF_GLOSSARY),
)
def four_conventions(
    right: Literal["right", "wrong"] = "right", wrong: Literal["right", "wrong"] = "wrong"
) -> Evidence:
    found = [conventions(seed=seed, pad="own") for seed in SEEDS]
    n = len(tokens("dogs bark"))
    weights = torch.stack([getattr(one, wrong) for one in found])
    turned, added = weights[:, [0, 1, 3]], weights[:, 2]
    return (
        Evidence.near(
            f"torch {TORCH}: the four as documented, largest difference from the sentence alone, 4 random heads",
            max(float(getattr(one, f"off_{right}").max()) for one in found),
            0,
            within=1e-10,
        )
        & Evidence.above(
            "the wrong way: least difference", min(float(getattr(one, f"off_{wrong}").min()) for one in found), FAR
        )
        & Evidence.exactly("turned round, three conventions: largest weight of a word", float(turned[..., :n].max()), 0)
        & Evidence.above("ones and zeros added: least weight of a pad", float(added[..., n:].min()), 0)
    )


@concept.looks_closer(
    "waste",
    "512, 64, 32, 16 padded: 30 % of the places and 26 % of the pairs are real. Packed: 61 and 51 %.",
    fails_if=({"lengths": "512 512 512 512"}, {"way": "padded"}),
)
def padding_wastes(lengths: str = LENGTHS, way: Batching = "packed") -> Evidence:
    given, _ = lengths_of(lengths)
    loose, tight = cost(given, "padded"), cost(given, way)
    half = 0.005
    return (
        Evidence.near("tokens ÷ places, padded", loose.real / loose.slots, 0.30, within=half)
        & Evidence.near("pairs ÷ scores, padded", loose.pairs / loose.scores, 0.26, within=half)
        & Evidence.near("tokens ÷ places, packed", tight.real / tight.slots, 0.61, within=half)
        & Evidence.near("pairs ÷ scores, packed", tight.pairs / tight.scores, 0.51, within=half)
    )


# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "The attention mask also masks the loss.",
    better="It hides pads as keys, nothing else: their outputs exist, and a loss that does not skip them counts pads as "
    "targets: at a model’s first weights another number, and once it has learned that pads follow pads, one that looks too "
    "good. `ignore_index` (−100 in torch) skips them and divides by the real tokens; the same losses divided by all places, or "
    "averaged by sequence first, are other numbers.",
    fails_if=(
        {"pads": "tokens"},
        {"slots": "tokens"},
        {"sequences": "tokens"},
        {"ignored": "pads too"},
        {"learned": False},
    ),
    source=TORCH_LOSS,
)
def the_loss_needs_its_own_mask(
    pads: Denominator = "pads too",
    slots: Denominator = "slots",
    sequences: Denominator = "sequences",
    ignored: Denominator = "tokens",
    learned: bool = True,
) -> Evidence:
    found, more = losses(), losses(extra=100)
    lengths, _ = lengths_of(LENGTHS)
    rounded = 4 * torch.finfo(torch.float64).eps * sum(lengths)  # sums of so many terms
    return (
        Evidence.above(
            "lengths 512, 64, 32, 16, random logits at pads: |cross-entropy with pads as targets ÷ without − 1|",
            abs(found[pads] / found["tokens"] - 1),
            FAR,
        )
        & Evidence.below(
            "pads predicted at e¹⁰⁰ to 1: with pads as targets ÷ without",
            losses(learned=learned)["pads too"] / found["tokens"],
            1 - FAR,
        )
        & Evidence.near(
            "divided by all places ÷ by real tokens: 624 of 2,048",
            found[slots] / found["tokens"],
            624 / 2048,
            within=rounded,
        )
        & Evidence.above("|averaged by sequence ÷ by token − 1|", abs(found[sequences] / found["tokens"] - 1), FAR)
        & Evidence.near(
            "with `ignore_index`: change by 100 more pads a sequence", more[ignored] - found[ignored], 0, within=rounded
        )
    )


@concept.corrects(
    "A sample of only pads gives zeros.",
    verdict=Verdict.HOLDS_IF,
    better=f"In torch {TORCH} on the CPU, nn.MultiheadAttention gives NaN for it as it comes (need_weights=True); with "
    "need_weights=False it gives NaN on its fast path (evaluation, no gradients), and its output bias, at first 0, off it. Leave such a sample out, or let "
    "it keep one token.",
    fails_if=({"need_weights": False}, {"training": True}, {"gradients": True}, {"quiet": True}),
    source=TORCH_MODULE,
)
def an_empty_sample_is_not_a_number(
    need_weights: bool = True, training: bool = False, gradients: bool = False, quiet: bool = False
) -> Evidence:
    ways = [(mode, on) for mode in (True, False) for on in (True, False)]  # of training, and of gradients
    usual = [empty_sample(mode, need_weights, on) for mode, on in ways]
    slow = [[empty_sample(mode, quiet, on, bias) for mode, on in ways[:3]] for bias in (0.0, 1.0)]
    fast = empty_sample(training, False, gradients)
    return (
        Evidence.exactly(
            "as it comes: of training or evaluation, gradients on or off, those that give NaN",
            float(sum(map(math.isnan, usual))),
            4,
        )
        & Evidence.exactly(
            "need_weights=False, evaluation without gradients: NaN (1 = yes)", float(math.isnan(fast)), 1
        )
        & Evidence.exactly("need_weights=False, the other three: largest output", float(torch.tensor(slow[0]).max()), 0)
        & Evidence.exactly("with an output bias of 1: least of the three", float(torch.tensor(slow[1]).min()), 1)
    )


@concept.corrects(
    "A masked pad costs nothing.",
    verdict=Verdict.HOLDS_IF,
    better="In dense attention it costs like a word: its logits are computed and then set to −∞. Code that works by lengths saves it: "
    f"nn.TransformerEncoder (torch {TORCH}, CPU), in evaluation without gradients, drops pads at the end (in training it computes them); "
    "torch’s varlen_attn on a GPU takes sequences laid end to end and computes only the pairs within each.",
    fails_if=({"training": True}, {"padding": False}, {"slow": False}),
    source=(TORCH_ENCODER, TORCH_VARLEN),
)
def a_masked_pad_costs(training: bool = False, padding: bool = True, slow: bool = True) -> Evidence:
    (dense, _), (alone, _) = flops(padded=padding), flops(padded=False)
    return (
        Evidence.near(
            "lengths 64, 8, 4, 2, FLOPs of attention as torch counts them, alone ÷ padded and masked",
            alone / dense,
            sum(n**2 for n in (64, 8, 4, 2)) / (4 * 64**2),
            within=1e-12,
        )
        & Evidence.exactly(
            "lengths 6, 2, 4, evaluation: tokens that the encoder’s second layer gets",
            encoder(training=training)[0],
            12,
        )
        & Evidence.exactly("in training: tokens that its second layer gets", encoder(training=slow)[0], 18)
    )


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS_IF,
    "As a device for batches, not as a property of the model: attention has no length in its weights. The longest of the "
    "batch is enough, and laid end to end behind a block-diagonal mask (each sequence sees only itself) sequences need no "
    "common length.",
    by=pads_cost_like_words,
    source=(VASWANI_2017.at("§5.1"), KRELL_2021.at("§3.2.2")),
)


@concept.corrects(
    "A padding mask makes padding harmless.",
    better="In attention, where the pads stand at the end. Loss and pooling do not know it, and on the left added positions shift.",
    fails_if=(
        *(
            {"hidden": False},
            {"setup": "right, nothing"},
            {"added": "rope"},
            {"ids": "left, mask"},
            {"relative": "table"},
        ),
        *({"over": "real"}, {"right": "all"}, {"denominator": "tokens"}, {"ignored": "pads too"}, {"way": "rows"}),
    ),
)
def a_mask_is_not_all(
    hidden: bool = True,
    setup: Setup = "right, mask",
    added: Scheme = "table",
    ids: Setup = "left, mask and ids",
    relative: Scheme = "rope",
    over: Pool = "all",
    right: Pool = "real",
    denominator: Literal["tokens", "pads too"] = "pads too",
    ignored: Literal["tokens", "pads too"] = "tokens",
    way: Way = "columns",
) -> Evidence:
    return (
        masked_pads_change_nothing(hidden, setup)
        & left_pads_shift_positions(added, ids, relative)
        & pads_need_care_after_attention(over, right, denominator, ignored, way)
    )


concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS_IF,
    "If the pads stand at the end and are hidden as keys (in cross-attention the source’s), and if loss and pooling get their own "
    "care: attention’s mask reaches neither. On the left added positions need care as well.",
    by=a_mask_is_not_all,
    source=HF_GLOSSARY,
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Left or right padding?",
    "For training right is simplest: behind a causal mask the words need no padding mask, and the loss skips the pads. For "
    "writing in batches left: the last place of every sequence is a word, whose output predicts the next. Then with a mask, with "
    "position ids if positions are added, and with no pad that sees nobody (let each see itself).",
    HF_PADDING,
)
concept.pushes_back(
    "Do masked pads get or give gradients?",
    "Through attention exactly 0: a real output’s derivative by a pad’s input is a product with a weight of 0. What remains "
    "comes from the pads’ own outputs, if the loss or a mean includes them.",
)
concept.pushes_back(
    "What can go wrong with packing?",
    "Three things: sequences see each other without a block-diagonal mask; positions run on where they should count anew (RoPE, "
    "being relative, does not mind); and the last token of one must not be trained to predict the first of the next.",
    KRELL_2021.at("§3.2, masks and positions"),
)
concept.pushes_back(
    "Mean loss over tokens or over sequences?",
    "Over tokens a long sequence counts more, over sequences each counts alike; with lengths that differ these are different "
    "numbers. And means of small batches, averaged, are not the token mean of all: gradient accumulation had this bug.",
    HF_LOSS,
)
concept.reads(
    VASWANI_2017.at("§5.1"),
    KRELL_2021.at("§3.2"),
    TORCH_SDPA,
    TORCH_MODULE,
    TORCH_LOSS,
    TORCH_ENCODER,
    TORCH_VARLEN,
    HF_GLOSSARY,
    HF_PADDING,
    HF_LOSS,
    ROWS_ASKED,
    ROWS_WANTED,
    ROWS_TOO,
)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import math
import zlib
import torch

sentences, extra, pad, seed = $sentences, $extra, $pad, $seed

def vector(word):
    g = torch.Generator().manual_seed(zlib.crc32(word.encode()))
    return torch.randn(16, generator=g, dtype=torch.float64)

def embed(words):                          # word vectors and sinusoidal positions
    place = torch.arange(len(words))[:, None]
    angle = place * 10000.0 ** (-torch.arange(0, 16, 2, dtype=torch.float64) / 16)
    return torch.stack([vector(w) for w in words]) + torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)

g = torch.Generator().manual_seed(seed)
w_q, w_k, w_v = (torch.randn(16, 8, generator=g, dtype=torch.float64) / 4 for _ in range(3))

def attention(x, keep=None):               # keep: True = a word, False = a pad
    logits = (x @ w_q) @ (x @ w_k).T / math.sqrt(8)
    if keep is not None:
        logits = logits.masked_fill(~keep[None, :], -torch.inf)    # the pads' columns
    return logits.softmax(-1) @ (x @ w_v)

words = [s.split() for s in sentences]
length = max(map(len, words)) + extra
filler = vector("[PAD]") * (pad == "own")
off = {"no mask": [], "pads masked as keys": []}
for each in words:
    n = len(each)
    alone = attention(embed(each))
    x = torch.cat([embed(each), filler.expand(length - n, -1)])
    keep = torch.arange(length) < n
    for name, mask in (("pads masked as keys", keep), ("no mask", None)):
        off[name].append(((attention(x, mask)[:n] - alone).norm(dim=-1) / alone.norm(dim=-1)).max())

for name in ("pads masked as keys", "no mask"):
    print(name, "- largest relative difference of a word's output from its sentence alone:")
    print(round(max(off[name]).item(), 6))
""",
    {"sentences": SENTENCES, "extra": 4, "pad": "zeros", "seed": 0},
    {"sentences": ("no", "a b c d e f g h", "it’s <b>"), "extra": 12, "pad": "own", "seed": 7},
    {"sentences": ("same same", "same same", "a b"), "extra": 1, "pad": "zeros", "seed": 3},
)
def largest_difference(sentences: tuple[str, ...], extra: int, pad: Pad, seed: int) -> float:
    return _worst(padded(tuple(sentences), extra, pad, seed).off)
