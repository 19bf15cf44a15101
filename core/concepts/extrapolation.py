"""Question 11: why do Transformers fail on sequences longer than those they were trained on, and what helps?"""

import math
from typing import Literal

import torch

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.extrapolation import (
    CHANCE,
    FAR,
    ROTARIES,
    Sees,
    biases,
    bloom_bias,
    by_distance,
    guessing,
    incomplete,
    lost,
    never_moved,
    peak,
    precision,
    read_now,
    recalled,
    remedy_lost,
    rope_held,
    rope_scores,
    unseen_share,
    weights_with,
)
from core.ops import masks, positions
from core.sources import KAZEMNEJAD_2023, PRESS_2021, RAFFEL_2020, SU_2021, VASWANI_2017
from core.training import extrapolation as training
from core.training.extrapolation import BUCKETS, LENGTH, REMEDIES, SEEDS, Encoding, Remedy

concept = Concept(
    __name__,
    equation=r"{\text{RoPE: } \query{q}_i \cdot R_{\disputed{j-i}}\, \key{k}_j / \sqrt{d_k}} \qquad\allowbreak "
    r"{\text{ALiBi: } \query{q}_i \cdot \key{k}_j / \sqrt{d_k} - m\,(\disputed{i-j})} \qquad\allowbreak {\text{in training } i - j < 32}",
    words=("RoPE", "ALiBi", "T5 bias", "guessing", "perplexity"),
)

CHEN_2023 = Source(
    "Chen et al. 2023",
    "Extending Context Window of Large Language Models via Positional Interpolation",
    "arXiv 2306.15595",
)
YARN = Source(
    "Peng et al. 2023", "YaRN: Efficient Context Window Extension of Large Language Models", "arXiv 2309.00071"
)
CHI_2022 = Source(
    "Chi et al. 2022",
    "Dissecting Transformer Length Extrapolation via the Lens of Receptive Field Analysis",
    "arXiv 2212.10356",
)
BARBERO_2024 = Source(
    "Barbero et al. 2024", "Round and Round We Go! What makes Rotary Positional Encodings useful?", "arXiv 2410.06205"
)
ALIBI_CODE = Source(
    "Press et al. 2021, the code of ALiBi", "README, FAQ", "https://github.com/ofirpress/attention_with_linear_biases"
)
BLOOM_CODE = Source(
    "Hugging Face transformers",
    "modeling_bloom.py, build_alibi_tensor",
    "https://github.com/huggingface/transformers/blob/main/src/transformers/models/bloom/modeling_bloom.py",
)

RUNS = len(SEEDS)
# The first weights are drawn again here, and on another processor torch.randn differs in the last bits of float32.
LAST_BITS = 4 * float(torch.finfo(torch.float32).eps)
SAID: dict[Encoding, str] = {
    "learned": "a learned table",
    "sinusoidal": "sinusoids",
    "rope": "RoPE",
    "t5": "T5 bias",
    "alibi": "ALiBi",
    "none": "no encoding",
}


def a_tenth() -> float:
    """What counts as nothing lost: a tenth of what guessing by frequency loses."""
    return guessing() / 10


def by_chance() -> float:
    """How often answers without knowledge may be right: 32 texts, whose last eight answers are nearly one and the same, make a
    share near 1/8 with a standard error of √(⅛ · ⅞ / 32)."""
    return CHANCE + 4 * math.sqrt(CHANCE * (1 - CHANCE) / training.RECALLED)


def least_over_guessing(encodings: tuple[Encoding, ...], sees: Sees = "whole", n: int = FAR) -> float:
    """The loss of the best run of these encodings ÷ that of guessing by frequency."""
    return min(float(lost(e, n, sees).min()) for e in encodings) / guessing()


def most_added(encoding: Encoding, sees: Sees = "whole") -> float:
    """What a run loses on texts of 8 L more than on texts of L, the most over all seeds."""
    return float((lost(encoding, FAR, sees) - lost(encoding, LENGTH)).max())


# ---------------------------------------------------------------------------------------------- what is new farther on


@concept.looks_closer(
    "beyond",
    "Beyond the trained length stand rows never trained, angles never seen, penalties that only grow.",
    fails_if=({"start": 0}, {"buckets": 0}, {"length": 10**6}, {"grow": "t5"}),
)
@concept.says(
    "Longer texts bring positions or distances that training never set.",
    fails_if=({"start": 0}, {"buckets": 0}, {"length": 10**6}, {"grow": "t5"}),
)
def nothing_was_trained_there(
    start: int = LENGTH, buckets: int | None = None, length: int = LENGTH, grow: Literal["alibi", "t5"] = "alibi"
) -> Evidence:
    known = int(positions.t5_bucket(torch.tensor(LENGTH - 1))) + 1
    d = ROTARIES[0].d
    return (
        Evidence.near(
            f"rows {start} to {FAR - 1} of the learned table: largest change by training",
            never_moved("table", start, FAR),
            0,
            within=LAST_BITS,
        )
        & Evidence.near(
            f"T5’s buckets beyond distance {LENGTH - 1}: largest change by training",
            never_moved("bias", known if buckets is None else buckets, BUCKETS),
            0,
            within=LAST_BITS,
        )
        & Evidence.above(
            f"RoPE, dₖ = {d}: pairs that never complete a turn within {length} tokens", incomplete(d, length), 0
        )
        & Evidence.below(
            f"{SAID[grow]}: largest step of a bias from one distance to the next", float(biases(grow).diff().max()), 0
        )
    )


# ---------------------------------------------------------------------------------------------- in one sentence


@concept.in_one_sentence(
    "A longer text brings positions or distances that training never set: at 8 times the trained length our small decoders with a learned "
    "table, sinusoids or RoPE did worse than guessing; ALiBi’s, or RoPE’s seeing the last 32 tokens only, stayed as good as before.",
    fails_if=({"worse": ("alibi",)}, {"flat": "rope", "rescued": "sinusoidal"}, {"n": LENGTH}, {"fades": "t5"}),
)
@concept.says(
    "At eight times the trained length, our decoders with a learned table, sinusoids or RoPE predicted next tokens worse than "
    "guessing; a window rescued RoPE; ALiBi, where far keys only fade, stayed flat.",
    fails_if=({"worse": ("alibi",)}, {"flat": "rope", "rescued": "sinusoidal"}, {"n": LENGTH}, {"fades": "t5"}),
)
def three_fail_two_stay(
    worse: tuple[Encoding, ...] = ("learned", "sinusoidal", "rope"),
    flat: Encoding = "alibi",
    rescued: Encoding = "rope",
    n: int = FAR,
    fades: Literal["alibi", "t5"] = "alibi",
) -> Evidence:
    now = min(read_now(e, n=n) for e in worse)
    return (
        Evidence.above(
            f"{', '.join(SAID[e] for e in worse)}: least loss of {RUNS} seeds each on {n} tokens ÷ that of guessing (shipped)",
            least_over_guessing(worse, n=n),
            1,
        )
        & Evidence.above("the same of the shipped models, seed 0, read now on 4 texts", now / guessing(), 1)
        & Evidence.below(f"{SAID[flat]}: loss added from {LENGTH} to {FAR} tokens, most", most_added(flat), a_tenth())
        & Evidence.below(
            f"{SAID[rescued]}, each token seeing the last {LENGTH}: the same", most_added(rescued, "window"), a_tenth()
        )
        & Evidence.above(f"share of pairs on {n} tokens at a distance that {LENGTH} do not have", unseen_share(n), 0)
        & Evidence.below(
            f"{SAID[fades]}: largest step of a bias, one distance farther", float(biases(fades).diff().max()), 0
        )
    )


# ---------------------------------------------------------------------------------------------- prediction


# The borders lie half-way, on a log scale, between what the options say: 1, 2, and half of guessing and guessing itself, which
# is some 40 times ALiBi's own loss.
@concept.predicts(
    f"ALiBi’s loss stays flat up to {FAR} tokens. Now each layer sees only the last 4 tokens: what does the loss do?",
    Option(
        "stays as it is",
        -math.inf,
        1.4,
        "Each next token depends on the two before it, and they are in view. A flat loss does not say that far tokens are used.",
    ),
    Option("doubles", 1.4, 6.3, "Tempting, since two layers now reach only six tokens back. But this task needs two."),
    Option(
        "comes halfway to guessing",
        6.3,
        28,
        "Tempting, if the far context were what keeps the loss flat. It only does no harm.",
    ),
    Option(
        "passes guessing",
        28,
        math.inf,
        "Tempting, since other encodings do so on long texts. But they fail on what training never had, and a window of 4 adds nothing new.",
    ),
    shows="On 256 tokens it is {0} times what it is with all tokens in view, counted from the best possible guess: the mean of three seeds.",
)
def alibi_through_four() -> float:
    return float(lost("alibi", FAR, "window 4").mean() / lost("alibi").mean())


# ---------------------------------------------------------------------------------------------- the answer, and its looks


@concept.looks_closer(
    "turns",
    "RoPE keeps the offset, but slow pairs never turn fully; stretching ours eightfold took training.",
    fails_if=(
        {"place": "random"},
        {"length": 10**6},
        {"tuned": False, "untuned": True},
        {"helps": "interpolation"},
        {"hurts": "NTK-aware"},
    ),
)
def rope_turns(
    place: Literal["offset", "random"] = "offset",
    length: int = 4096,
    tuned: bool = True,
    untuned: bool = False,
    helps: Remedy = "base 500,000",
    hurts: Remedy = "interpolation",
) -> Evidence:
    at = (0, 1, 10, 100, 1000)
    scores = rope_scores(at, 5) if place == "offset" else torch.cat([rope_scores((0,), 5 + p) for p in at])
    before = min(float(remedy_lost(r, 8, untuned).min()) for r in REMEDIES)
    after = max(float(remedy_lost(r, 8, tuned).max()) for r in REMEDIES)
    control = remedy_lost("nothing", 8, True)  # the same steps, and nothing stretched
    # An angle of p radians is rounded by up to p ε in query and key; d/2 terms, each at most |q||k|, about d.
    rounding = 4 * 16 * 1000 * float(torch.finfo(torch.float64).eps)
    return (
        Evidence.near(
            "RoPE’s score at distance 5: spread over positions 0 to 1,000",
            float(scores.max() - scores.min()),
            0,
            rounding,
        )
        & Evidence.above(
            f"Llama 2, dₖ = 128: pairs that never complete a turn in {length:,} tokens", incomplete(128, length), 0
        )
        & Evidence.above(
            f"on {FAR} tokens, not trained further: least loss, unstretched or with 3 remedies, ÷ guessing",
            before / guessing(),
            0.5,
        )
        & Evidence.below(f"after {training.TUNED} steps on such texts: most", after / guessing(), 0.5)
        & Evidence.below(
            f"{helps} − nothing but these steps: most",
            max(float((remedy_lost(r, 8, True) - control).max()) for r in (helps, "NTK-aware")),
            0,
        )
        & Evidence.above(
            f"{hurts} − nothing but these steps: least", float((remedy_lost(hurts, 8, True) - control).min()), 0
        )
    )


@concept.looks_closer(
    "slopes",
    "ALiBi fades far keys; its formula and its code part where the heads are no power of two.",
    fails_if=({"agree": (6, 12)}, {"part": (8, 64)}, {"fades": "t5"}),
)
def slopes_part(
    agree: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64),
    part: tuple[int, ...] = (3, 6, 12, 20, 40, 112),
    fades: Literal["alibi", "t5"] = "alibi",
) -> Evidence:
    def apart(n: int) -> float:
        """Sorted, for heads have no order."""
        formula, code = positions.alibi_slopes(n), positions.alibi_slopes_as_released(n)
        return float((formula.sort().values - code.sort().values).abs().max())

    return (
        Evidence.exactly(
            f"largest difference of the sorted slopes, {', '.join(map(str, agree))} heads", max(map(apart, agree)), 0
        )
        & Evidence.above(f"{', '.join(map(str, part))} heads: least of the largest", min(map(apart, part)), 0.001)
        & Evidence.below(
            f"{SAID[fades]}: largest step of a bias, one distance farther", float(biases(fades).diff().max()), 0
        )
    )


@concept.says(
    "Flat is not far: cut to four tokens, ALiBi’s loss stayed; that task needs two.",
    fails_if=({"encoding": "none"}, {"window": 2}, {"task_sees": "right"}, {"recalls": "rope"}),
)
@concept.corrects(
    "Flat perplexity on long texts shows that the far context is used.",
    better="It shows that the far context does no harm. On our next-token task ALiBi’s loss stays flat up to eight times the trained length, also "
    "when each layer sees only the last 4 tokens. Of our decoders trained on recall (to say a text’s first token again), ALiBi’s gave back the first of 256 tokens always, and none "
    "better than chance through a window of the trained length: two layers of it reach 62 tokens back.",
    fails_if=({"encoding": "none"}, {"window": 2}, {"task_sees": "right"}, {"recalls": "rope"}),
    source=CHI_2022,
)
def flat_is_not_far(
    encoding: Encoding = "alibi", window: int = 4, task_sees: str = "right in window", recalls: Encoding = "alibi"
) -> Evidence:
    moved = (lost(encoding, FAR, f"window {window}") - lost(encoding)).abs().max()
    right = [float(recalled(e, FAR, task_sees).max()) for e in training.ENCODINGS]
    return (
        Evidence.below(
            f"{SAID[encoding]}, {FAR} tokens: change of the loss by a window of {window}, most of {RUNS} seeds",
            float(moved),
            a_tenth(),
        )
        & Evidence.below(
            f"{SAID[encoding]}: loss added from {LENGTH} to {FAR} tokens, most", most_added(encoding), a_tenth()
        )
        & Evidence.above(
            f"{SAID[recalls]}, recall of the first of {FAR} tokens: share right, least of {RUNS} seeds",
            float(recalled(recalls, FAR).min()),
            0.99,
        )
        & Evidence.below(f"through a window of {LENGTH}: most of all runs", max(right), by_chance())
    )


@concept.looks_closer(
    "task",
    "ALiBi leads on the next token; recalling the first of 2,048, decoders without an encoding do.",
    fails_if=({"first": "none"}, {"second": "alibi"}, {"untrained": "alibi"}),
)
@concept.says(
    "Recalling the first of 2,048 tokens, decoders without an encoding beat ALiBi’s.",
    fails_if=({"first": "none"}, {"second": "alibi"}, {"untrained": "alibi"}),
)
def the_order_flips(first: Encoding = "alibi", second: Encoding = "none", untrained: Encoding = "learned") -> Evidence:
    far = training.LONGEST["recall"]
    others = min(float(lost(e).min()) for e in training.ENCODINGS if e != first)

    def ahead(encoding: Encoding) -> float:
        return float(recalled(encoding, far).min() - recalled(first, far).max())

    return (
        Evidence.above(
            f"next token, {FAR} tokens: least loss of the other five − most of {SAID[first]}",
            others - float(lost(first).max()),
            0,
        )
        & Evidence.above(
            f"recall, {far:,} tokens: least share right of {SAID[second]} − most of {SAID[first]}", ahead(second), 0
        )
        & Evidence.above(f"the same of {SAID[untrained]}, those beyond {LENGTH} as drawn", ahead(untrained), 0)
    )


concept.cites("Stretching RoPE usually takes fine-tuning.", source=(CHEN_2023, YARN))

# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "A longer table lets a learned encoding read on.",
    better="Rows that were never trained stay as drawn, and our decoders with them lost more than guessing by frequency on the next token at four "
    "times the trained length. One row beyond the end, PyTorch raises an IndexError (on a CPU).",
    fails_if=({"n": FAR}, {"encoding": "alibi"}),
)
def learned_rows_end(n: int = FAR + 1, encoding: Encoding = "learned") -> Evidence:
    try:
        training.answer(training.trained(encoding), torch.zeros(1, n, dtype=torch.long), encoding)
        raised = 0
    except IndexError:
        raised = 1
    return Evidence.exactly(
        f"IndexErrors by a text of {n} tokens and a table of {FAR} rows", raised, 1
    ) & Evidence.above(
        f"{SAID[encoding]}, {4 * LENGTH} tokens: least loss of {RUNS} seeds ÷ that of guessing",
        least_over_guessing((encoding,), n=4 * LENGTH),
        1,
    )


@concept.corrects(
    "Sinusoids and RoPE extrapolate, since they are defined at every position.",
    better="Defined is not trained. In our decoders sinusoids did no better than a learned table, both worse than guessing by frequency at four "
    "times the trained length. RoPE was less bad at twice (under half of guessing), and worse than guessing at eight times.",
    fails_if=({"fixed": "alibi"}, {"rotary": "alibi"}, {"twice": "sinusoidal"}),
    source=(VASWANI_2017.at("§3.5"), PRESS_2021.at("figure 1")),
)
def defined_is_not_trained(
    fixed: Encoding = "sinusoidal", rotary: Encoding = "rope", twice: Encoding = "rope"
) -> Evidence:
    return (
        Evidence.above(
            f"{SAID[fixed]}, {4 * LENGTH} tokens: least loss of {RUNS} seeds ÷ that of guessing",
            least_over_guessing((fixed,), n=4 * LENGTH),
            1,
        )
        & Evidence.below(
            f"{SAID['learned']} − {SAID[fixed]}, {FAR} tokens: mean loss",
            float(lost("learned").mean() - lost(fixed).mean()),
            a_tenth(),
        )
        & Evidence.above(f"{SAID[rotary]}, {FAR} tokens: least ÷ guessing", least_over_guessing((rotary,)), 1)
        & Evidence.below(
            f"{SAID[twice]}, {2 * LENGTH} tokens: most ÷ guessing",
            float(lost(twice, 2 * LENGTH).max()) / guessing(),
            0.5,
        )
    )


@concept.corrects(
    "A sliding window makes any model read on.",
    better="It helps where the trouble is unseen distances: RoPE read on as in training (and so did our first seed "
    "seeing all tokens, with none counted as farther than 31). Sinusoids and a learned table did not, for "
    "positions stay new inside a window. All three read on where each window was read as a text of its own, its positions "
    "counted from 0; that costs a whole pass for each token.",
    fails_if=({"sees": "whole"}, {"lost_still": "rope"}, {"own": "window"}, {"held": FAR}),
    source=ALIBI_CODE,
)
def a_window_helps_distances(
    sees: Sees = "window", lost_still: Encoding = "sinusoidal", own: Sees = "afresh", held: int = LENGTH - 1
) -> Evidence:
    absolute: tuple[Encoding, ...] = ("learned", lost_still)
    return (
        Evidence.below(
            f"RoPE, window of {LENGTH}: loss added from {LENGTH} to {FAR} tokens, most",
            most_added("rope", sees),
            a_tenth(),
        )
        & Evidence.above(
            f"{' and '.join(SAID[e] for e in absolute)}, window: least loss ÷ that of guessing",
            least_over_guessing(absolute, "window"),
            1,
        )
        & Evidence.below(
            "a learned table, sinusoids and RoPE, each window a text of its own: loss added, most",
            max(most_added(e, own) for e in ("learned", "sinusoidal", "rope")),
            a_tenth(),
        )
        & Evidence.below(
            f"RoPE, first seed, {FAR} tokens, all seen, distances at most {held}: loss above that on {LENGTH}, read now on 4 texts",
            rope_held(held) - rope_held(held, LENGTH),
            a_tenth(),
        )
    )


@concept.corrects(
    "On recall a learned table extrapolates best.",
    better="Rows that were never trained happen to be nearly nothing, and recall needs no encoding: with rows of zeros our decoders did as "
    "well. With rows redrawn 50 times as large, they recalled the first of 256 tokens nine times in ten or more; 150 times as large, no "
    "better than chance.",
    fails_if=({"small": 3.0}, {"fifty": 3.0}, {"large": 0.0}),
)
def untrained_rows_are_small(small: float = 0.0, fifty: float = 1.0, large: float = 3.0) -> Evidence:
    what = f"recall of the first of {FAR} tokens, untrained rows drawn with standard deviation"

    def right(noise: float) -> torch.Tensor:
        return training.outcome("learned", "recall", f"right, rows {noise}")[:, -1]

    return (
        Evidence.above(f"{what} {small:g}: share right, least of {RUNS} seeds", float(right(small).min()), 0.99)
        & Evidence.above(f"{what} {fifty:g}: least", float(right(fifty).min()), 0.9)
        & Evidence.below(f"{what} {large:g}: most", float(right(large).max()), by_chance())
    )


@concept.corrects(
    "RoPE makes attention decay with distance.",
    better="For equal vectors the score is largest at distance 0 and falls, though not at every step. A query and a key may differ, and "
    "then it may be largest anywhere: for four random pairs of width 128 it was not at 0.",
    fails_if=({"random": False}, {"equal": False}, {"envelope": True}),
    source=(SU_2021.at("§3.4.3"), BARBERO_2024),
)
def decay_is_no_law(random: bool = True, equal: bool = True, envelope: bool = False) -> Evidence:
    ones = by_distance(equal).cummin(0).values if envelope else by_distance(equal)
    return (
        Evidence.exactly("equal vectors: distance of the largest score" if equal else "a random pair", peak(equal), 0)
        & Evidence.above("largest step upwards from one distance to the next", float(ones.diff().max()), 0)
        & Evidence.above(
            "random queries and keys: distance of the largest score, least of 4",
            min(peak(not random, seed) for seed in range(4)),
            0,
        )
    )


@concept.corrects(
    "RoPE needs offsets only, so bfloat16 positions are good enough.",
    better="The offset is a difference of two angles, each of which must be right. bfloat16 keeps 8 significant bits: above 256 neighbouring positions "
    "become one, and angles are rounded even before. Turned in bfloat16, a score at distance 3 moved by more than half; in float32 it stayed.",
    fails_if=({"single": True}, {"rough": True}),
)
def bfloat16_positions(single: bool = False, rough: bool = False) -> Evidence:
    found, fine = precision(single=single), precision(single=not rough)
    off, kind = (found.rough - found.exact).abs() / found.exact[0].abs(), torch.float32 if single else torch.bfloat16
    whole = torch.arange(8193)
    first = int((whole.to(kind).long() != whole).nonzero()[0]) if not single else len(whole)
    return (
        Evidence.above(
            f"largest error of a score at distance 3, positions to 8,192, {'float32' if single else 'bfloat16'}",
            float(off.max()),
            0.5,
        )
        & Evidence.above("the same, positions to 256 only", float(off[found.at <= 256].max()), 0.1)
        & Evidence.exactly("first position that is no number of this kind", first, 257)
        & Evidence.below(
            f"the same, {'bfloat16' if rough else 'float32'}",
            float((fine.rough - fine.exact).abs().max() / fine.exact[0].abs()),
            0.01,
        )
    )


@concept.corrects(
    "Position interpolation lets RoPE read longer texts for free.",
    better="Not for free: stretched eight times and not trained further, our decoders lost more than guessing by frequency, even on the first "
    "32 tokens. A hundred steps on long texts took more than half of that away; the same steps without interpolation left still less.",
    fails_if=({"remedy": "base 500,000"}, {"tuned": True, "after": False}),
    source=(CHEN_2023, YARN),
)
def interpolation_is_not_free(remedy: Remedy = "interpolation", tuned: bool = False, after: bool = True) -> Evidence:
    near = training.outcome("rope", "next", f"{remedy}, 8")[:, : LENGTH // training.BIN].mean(-1)
    if tuned:
        near = training.outcome("rope", "next", f"{remedy}, tuned")[:, : LENGTH // training.BIN].mean(-1)
    return (
        Evidence.above(
            f"{remedy}, {FAR} tokens: least loss ÷ that of guessing",
            float(remedy_lost(remedy, 8, tuned).min()) / guessing(),
            1,
        )
        & Evidence.above(f"on the first {LENGTH} tokens: least ÷ guessing", float(near.min()) / guessing(), 1)
        & Evidence.below(
            f"after {training.TUNED} steps ÷ before: most",
            float((remedy_lost(remedy, 8, after) / remedy_lost(remedy, 8, tuned)).max()),
            0.5,
        )
        & Evidence.above(
            f"{remedy} − nothing, both after these steps: least",
            float((remedy_lost(remedy, 8, True) - remedy_lost("nothing", 8, True)).min()),
            0,
        )
    )


@concept.corrects(
    "BLOOM does not use ALiBi: it adds slope × position of the key, without the query’s.",
    better="Under a causal mask the two are the same: in a row the query’s position is one number for all keys, and the softmax "
    "drops it. In an encoder they differ: there ALiBi takes the distance to both sides.",
    fails_if=({"causal": False}, {"both": "causal"}),
    source=BLOOM_CODE,
)
def bloom_is_alibi(causal: bool = True, both: Literal["full", "causal"] = "full") -> Evidence:
    n, slope = 32, 0.25

    def apart(visible: torch.Tensor) -> float:
        return float(
            (weights_with(bloom_bias(n, slope), visible) - weights_with(positions.alibi(n, slope), visible)).abs().max()
        )

    return Evidence.near(
        "largest difference of a weight, causal" if causal else "without a mask",
        apart(masks.causal(n) if causal else masks.full(n)),
        0,
        within=n * float(torch.finfo(torch.float64).eps),
    ) & Evidence.above(f"{both} mask", apart(masks.full(n) if both == "full" else masks.causal(n)), 0.01)


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS,
    "And stronger: beyond the table there is no row at all; with rows never trained, our decoders predicted the next token worse than "
    "guessing at four times the trained length.",
    by=learned_rows_end,
)
concept.judges(
    concept.topic.usual[1],
    Verdict.OTHERWISE,
    "Defined everywhere, but not trained there. In our decoders sinusoids did no better than a learned table. RoPE did better at twice the "
    "trained length, yet worse than guessing at eight times.",
    by=defined_is_not_trained,
    source=PRESS_2021.at("figure 1"),
)
concept.judges(
    concept.topic.usual[2],
    Verdict.HOLDS_IF,
    "If one says for what: ALiBi’s next-token loss stays flat; asked to recall the first of 2,048 tokens, decoders without an encoding, "
    "or with rows never trained, did better.",
    by=the_order_flips,
    source=(KAZEMNEJAD_2023, CHI_2022),
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Does a sliding window help sinusoids?",
    "Hardly: inside the window the positions are still new, and ALiBi’s authors report the same.",
    ALIBI_CODE,
)
concept.pushes_back(
    "And no encoding at all (NoPE)?",
    "It extrapolates where order matters little: ours recalled the first of 2,048 tokens, and lost ground on the next token: 0.3 nats at the end of the 32 "
    "trained, 0.7 at the end of 256. Kazemnejad et al. found decoders without encodings ahead on reasoning and arithmetic tasks.",
    KAZEMNEJAD_2023,
)
concept.pushes_back(
    "How are RoPE models stretched in practice?",
    "Divide positions (interpolation), slow the slow pairs (bloc97’s NTK-aware, YaRN) or raise the base; then train a little on long texts. "
    "In ours the steps did most: a hundred, with nothing stretched, brought the loss at eight times from 1.0 to 0.08 nats; with NTK-aware "
    "or a raised base it came to 0.04 to 0.05, with interpolation only to 0.22.",
    (CHEN_2023, YARN),
)

concept.reads(
    VASWANI_2017.at("§3.5"),
    SU_2021.at("§3.4.3"),
    PRESS_2021,
    RAFFEL_2020.at("§2.1"),
    KAZEMNEJAD_2023,
    CHI_2022,
    CHEN_2023,
    YARN,
    BARBERO_2024,
    ALIBI_CODE,
    BLOOM_CODE,
)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import torch

n, sees, trained = $n, $sees, 32  # tokens read; "whole", "window" or "afresh"; tokens in training

place = torch.arange(n)
distance = place[:, None] - place  # row = query, column = key
seen = distance >= 0               # causal
if sees != "whole":
    seen &= distance < trained     # a sliding window

turns = trained * 10_000.0 ** (-torch.arange(0, 16, 2) / 16) / (2 * torch.pi)
new = (place >= trained) & (sees != "afresh")  # read afresh, positions begin at 0 again
print("turns of RoPE's pairs in training:", [round(t, 3) for t in turns.tolist()])
print("share of positions that training never had:", new.double().mean().item())
print("share of distances that training never had:", (seen & (distance >= trained)).sum().item() / seen.sum().item())
""",
    {"n": 256, "sees": "whole"},
    {"n": 256, "sees": "window"},
    {"n": 48, "sees": "afresh"},
    {"n": 16, "sees": "whole"},
)
def share_of_new_distances(n: int, sees: Sees) -> float:
    return unseen_share(n, None if sees == "whole" else LENGTH)
