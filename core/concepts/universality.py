"""Question 20: are Transformers universal approximators, or even Turing complete?"""

import math

import torch

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.universality import (
    ENCODERS,
    GAP,
    LENGTHS,
    LETTERS,
    MOST,
    PROGRAMS,
    READS,
    SWAPS,
    Program,
    astray,
    ceiling,
    first_merged,
    hardness,
    influence,
    passed,
    slope,
    wrong,
)
from core.sources import HAVIV_2022
from core.training.universality import ANSWERS, FEW, READ_AT, SHORT, WIDTHS, Scheme, parities, sizes, trained

concept = Concept(
    __name__,
    equation=r"{X \leftarrow X + \mathrm{softmax}(\query{Q}\key{K}^\top)\,\value{V},} \qquad\allowbreak "
    r"{X \leftarrow X + \mathrm{ReLU}(X W_1)\,W_2,} \qquad\allowbreak {\disputed{L} \text{ times}}",
    words=("Turing complete", "L", "BOS", "step written out"),
)

YUN_2020 = Source("Yun et al. 2020", "Are Transformers universal approximators of sequence-to-sequence functions?", "arXiv 1912.10077")  # fmt: skip
PEREZ_2019 = Source("Pérez et al. 2019", "On the Turing Completeness of Modern Neural Network Architectures", "arXiv 1901.03429")  # fmt: skip
PEREZ_2021 = Source("Pérez et al. 2021", "Attention is Turing-Complete", "https://jmlr.org/papers/v22/20-302.html")
HAHN_2020 = Source("Hahn 2020", "Theoretical Limitations of Self-Attention in Neural Sequence Models", "arXiv 1906.06755")  # fmt: skip
CHIANG_2022 = Source("Chiang and Cholak 2022", "Overcoming a Theoretical Limitation of Self-Attention", "arXiv 2202.12172")  # fmt: skip
MERRILL_2023 = Source("Merrill and Sabharwal 2023", "The Parallelism Tradeoff: Limitations of Log-Precision Transformers", "arXiv 2207.00729")  # fmt: skip
MERRILL_2024 = Source("Merrill and Sabharwal 2024", "The Expressive Power of Transformers with Chain of Thought", "arXiv 2310.07923")  # fmt: skip
LI_2024 = Source("Li et al. 2024", "Chain of Thought Empowers Transformers to Solve Inherently Serial Problems", "arXiv 2402.12875")  # fmt: skip
WEISS_2021 = Source("Weiss et al. 2021", "Thinking Like Transformers", "arXiv 2106.06981")
JIANG_2025 = Source("Jiang et al. 2025", "Softmax Transformers are Turing-Complete", "arXiv 2511.20038")
DEHGHANI_2019 = Source("Dehghani et al. 2019", "Universal Transformers", "arXiv 1807.03819")
BARRINGTON_1989 = Source("Barrington 1989", "Bounded-Width Polynomial-Size Branching Programs Recognize Exactly Those Languages in NC¹", "https://doi.org/10.1016/0022-0000(89)90037-8")  # fmt: skip
MERRILL_2025 = Source("Merrill and Sabharwal 2025", "A Little Depth Goes a Long Way: The Expressive Power of Log-Depth Transformers", "arXiv 2503.03961")  # fmt: skip
LINDNER_2023 = Source("Lindner et al. 2023", "Tracr: Compiled Transformers as a Laboratory for Interpretability", "arXiv 2301.05062")  # fmt: skip

SHIPPED = "of 5 shipped runs (`python -m core.training universality`)"
LONGEST = len(READ_AT) - 1
LEAP = 79  # a prime: every 79th of the 78,125 texts of seven letters, and of the shorter ones
GUESS = 0.5 + 4 * 0.5 / FEW**0.5
"""The share of 128 texts that a guess has right, and four standard errors; all right is far outside."""


# ---------------------------------------------------------------------------------------------- the answer


def right(positions: bool) -> torch.Tensor:
    """The answers that each shipped run has right in the end."""
    return trained().right[int(positions), :, -1]


@concept.says("Hand-written weights sort up to seven letters exactly.", fails_if=({"gap": 1.0},))
def programs_are_exact(gap: float = GAP) -> Evidence:
    def failed(programs: tuple[Program, ...], most: int) -> int:
        return sum(wrong(one, n, gap) for one in programs for n in range(1, most + 1))

    letters = tuple(one for one in PROGRAMS if READS[one] == LETTERS)
    others = tuple(one for one in PROGRAMS if one not in letters)
    return (
        Evidence.exactly(f"sort: of all texts of 1 to 4 letters and every {LEAP}th of 5 to 7, wrong ones", failed(("sort",), 4) + sum(wrong("sort", n, gap, LEAP) for n in (5, 6, 7)), 0)
        & Evidence.exactly("reverse, count, most frequent: of all texts of 1 to 4 letters, wrong ones", failed(tuple(one for one in letters if one != "sort"), 4), 0)
        & Evidence.exactly("balanced brackets, parity: of all texts of 1 to 8 tokens, wrong ones", failed(others, 8), 0)
    )  # fmt: skip


concept.cites(
    "With positions, Transformers approximate any continuous function of bounded, equally long inputs.",
    source=YUN_2020.at("abstract"),
)


@concept.says(
    "With positions a random table was learned; without, to its ceiling: 404 of 1,024.",
    fails_if=({"positions": False}, {"blind": True}),
)
@concept.looks_closer(
    "approximation",
    "Of 1,024 random answers all are learned with positions, and exactly 404, the ceiling, without.",
    fails_if=({"positions": False}, {"blind": True}),
)
def positions_decide(positions: bool = True, blind: bool = False) -> Evidence:
    without = right(blind)
    farthest = without[(without - ceiling(0).most).abs().argmax()]
    return (
        Evidence.exactly(f"with positions: answers right, the worst {SHIPPED}", float(right(positions).min()), ANSWERS)
        & Evidence.exactly("without positions: answers right, the run farthest from the ceiling", float(farthest), 404)
        & Evidence.exactly("… minus the most that a permutation-equivariant function can have right", float(farthest - ceiling(0).most), 0)
    )  # fmt: skip


concept.cites(
    "Pérez et al. prove Turing completeness by unboundedly many written steps with exact numbers.",
    source=(PEREZ_2019, PEREZ_2021),
)
concept.cites(
    "One pass of fixed depth and limited precision probably cannot follow a ball under five cups through arbitrarily many swaps.",
    source=(MERRILL_2023, LI_2024, BARRINGTON_1989),
)


@concept.says("Written out, one layer follows 300 swaps.", fails_if=({"steps": False}, {"relative": False}))
def one_layer_follows_the_ball(steps: bool = True, relative: bool = True) -> Evidence:
    """Five cups, one ball; its layer is written by hand, and only its own last answer and the next swap decide each step."""
    return Evidence.exactly(f"a ball under each of five cups, {SWAPS:,} swaps drawn at random: answers wrong of {5 * SWAPS:,}", astray(steps, relative), 0)  # fmt: skip


@concept.in_one_sentence(
    "Yes, with conditions: for texts of one length, given positions, weights exist that come as close as you like to any continuous function; "
    "those below, written by hand, sort up to seven letters exactly. They are Turing complete by writing out steps without bound, not in one pass.",
    fails_if=({"gap": 1.0}, {"positions": False}, {"blind": True}, {"steps": False}),
)
def positions_and_steps(gap: float = GAP, positions: bool = True, blind: bool = False, steps: bool = True) -> Evidence:
    return programs_are_exact(gap).parts[0] & positions_decide(positions, blind) & one_layer_follows_the_ball(steps)


def steps_carry_on(steps: Scheme = "steps", one_pass: Scheme = "one pass", untrained: bool = False) -> Evidence:
    return (
        Evidence.exactly(f"steps with ALiBi, 40 bits: share of 128 texts right, the worst {SHIPPED}", float(parities(steps)[:, LONGEST].min()), 1)
        & Evidence.below("one pass, 40 bits: the best", float(parities(one_pass)[:, LONGEST].max()), GUESS)
        & Evidence.exactly("one pass, all texts of up to 6 bits: the worst", float(parities("one pass")[:, : LONGEST if untrained else SHORT].min()), 1)
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "An encoder without positions learns a random table, 1,024 answers of four kinds to texts of four tokens. How many are right in the end?",
    Option(
        "A quarter: it guesses",
        0.2,
        0.3,
        "One answer of four is right by chance. But it can still learn what depends on which tokens there are.",
    ),
    Option(
        "Four in ten",
        0.35,
        0.45,
        "Places that look alike, the same token with the same others in whatever order, must share one answer; the most frequent is right "
        "there.",
    ),
    Option(
        "Two in three",
        0.6,
        0.7,
        "So many would be right if few places looked alike. But four tokens in another order look alike to it, and random answers "
        "seldom agree.",
    ),
    Option(
        "All: it is universal",
        0.95,
        1.01,
        "With positions all are. Without them an encoder is universal only among functions that treat every order alike.",
    ),
    shows="Our runs without positions all ended with {percent} right, exactly the computable ceiling; with positions, with all.",
)
def right_without_positions() -> float:
    return float(right(False).double().mean()) / ANSWERS


# ---------------------------------------------------------------------------------------------- looks


@concept.looks_closer(
    "size",
    "Wider and deeper both buy answers: at width 4 at most 54 % are learned, at 16 at least 74 %.",
    fails_if=({"narrow": 16}, {"wide": 4}, {"depths": (2, 0)}),
)
def size_buys_answers(narrow: int = 4, wide: int = 16, depths: tuple[int, int] = (0, 2)) -> Evidence:
    share = sizes().double() / ANSWERS
    few, many = share[WIDTHS.index(narrow)], share[WIDTHS.index(wide)]
    shallow, deep = (share[:2, i] for i in depths)
    return (
        Evidence.below("width 4: the best share right of 9 runs, in 1, 2 and 4 layers", float(few.max()), 0.54)
        & Evidence.above("width 16: the worst of 9 runs", float(many.min()), 0.74)
        & Evidence.above("widths 4 and 8: the worst run of 4 layers, minus the best of 1 layer", float((deep.amin(-1) - shallow.amax(-1)).min()), 0)
    )  # fmt: skip


@concept.looks_closer(
    "limits",
    "One bit’s influence falls like 1/n, averages merge, and softmax softens as texts grow.",
    fails_if=({"own": True}, {"forms": ("float16", "float32", "bfloat16")}, {"gap": 1.0}, {"gap": 20.0}),
)
def long_texts_wash_out(
    own: bool = False, forms: tuple[str, ...] = ("bfloat16", "float16", "float32"), gap: float = 5.0
) -> Evidence:
    moves = influence(0, LENGTHS, own)
    # The slope of the means of ten encoders; its standard error by leaving out one encoder at a time.
    left_out = torch.tensor(
        [slope(LENGTHS, moves[:, [i for i in range(ENCODERS) if i != j]].mean(-1).tolist()) for j in range(ENCODERS)]
    )
    error = float((left_out - left_out.mean()).square().sum() * (ENCODERS - 1) / ENCODERS) ** 0.5
    merged = [first_merged(form) for form in forms]
    weights = hardness(gap, (100, 10_000))
    return (
        Evidence.near("slope of one bit’s influence against n, both logarithmic", slope(LENGTHS, moves.mean(-1).tolist()), -1, within=min(4 * error, 0.49))
        & Evidence.exactly("first power of two at which averages k/n from ½ upwards merge: bfloat16", merged[0], 512)
        & Evidence.exactly("float16", merged[1], 4096)
        & Evidence.exactly("float32", merged[2], 2**25)
        & Evidence.above("weight of a key that leads by 5, of 100", float(weights[0]), 0.5)
        & Evidence.below("of 10,000", float(weights[1]), 0.02)
    )  # fmt: skip


@concept.looks_closer(
    "steps",
    "Parity learned to 6 bits: at 40, one pass guesses; steps written out with ALiBi are all right.",
    fails_if=({"steps": "one pass"}, {"others": ("steps",)}, {"untrained": True}),
)
def only_relative_steps_carry_on(
    steps: Scheme = "steps",
    others: tuple[Scheme, ...] = ("one pass", "one pass, no positions", "one pass, ALiBi", "steps, sinusoids"),
    untrained: bool = False,
) -> Evidence:
    best = max(float(parities(scheme)[:, LONGEST].max()) for scheme in others)
    written, _, learned = steps_carry_on(steps, untrained=untrained).parts
    return (
        written
        & learned
        & Evidence.below(
            "40 bits, the best run of one pass with sinusoids, none or ALiBi, and of steps with sinusoids", best, GUESS
        )
    )


# ---------------------------------------------------------------------------------------------- the usual answer, and what else is said

concept.judges(
    concept.topic.usual[0],
    Verdict.OTHERWISE,
    "What the proofs add is steps, not depth: Pérez et al. keep the model fixed and let it write without bound, with hard attention (all weight on the largest logits) "
    "and numbers of any precision; Jiang et al. 2025 do it with softmax and relative positions. One pass of fixed depth, with numbers of about log n bits, stays within TC⁰, "
    "what circuits of fixed depth and polynomial size that count can do. To follow a ball under five cups through any number of swaps is believed to be beyond it "
    "(else TC⁰ = NC¹, circuits of two-input gates, about log n deep). Written out, one layer follows it through 300.",
    by=one_layer_follows_the_ball,
    source=(PEREZ_2021, JIANG_2025, MERRILL_2023, BARRINGTON_1989),
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS_IF,
    "If it is continuous, on a compact domain (bounded, edges included), at a fixed length, and the model has positions: then some model comes as close, on average, as you like. An encoder without positions reaches only "
    "functions that treat every order alike: 404 of 1,024 here.",
    by=positions_decide,
    source=YUN_2020,
)


@concept.corrects(
    "Transformers cannot compute parity.",
    better="They can. One layer written by hand does, for all texts of up to 12 bits; Chiang and Cholak construct two layers that do at every "
    "length (an encoder; positions i/n and (−1)^i). That no one model does so at every length, Hahn 2020 proves only for hard attention, here to one key each.",
    fails_if={"gap": 1.0},
    source=(CHIANG_2022, HAHN_2020),
)
def parity_by_hand(gap: float = GAP) -> Evidence:
    failed = sum(wrong("parity", n, gap) for n in range(1, MOST["parity"] + 1))
    return Evidence.exactly("of all 8,190 texts of 1 to 12 bits, how many a layer written by hand has wrong", failed, 0)


@concept.corrects(
    "A universal approximator can learn anything.",
    better="That weights exist does not say that training finds them. Weights written by hand compute the parity of 12 bits exactly. Five runs of another "
    "design, trained on all texts of up to 6 bits, have all of those right, and at 12 bits, which they were not shown, no more than a guess would: "
    "six bits do not say how to go on.",
    fails_if=({"gap": 1.0}, {"scheme": "steps"}, {"at": 15}),
)
def to_exist_is_not_to_be_learned(gap: float = GAP, scheme: Scheme = "one pass", at: int = SHORT) -> Evidence:
    guess = 0.5 + 4 * 0.5 / 1024**0.5  # 1,024 texts, four standard errors
    found = parities(scheme)
    return (
        Evidence.exactly("by hand, 12 bits: texts wrong of 4,096", wrong("parity", 12, gap), 0)
        & Evidence.exactly(f"trained, {at} bits: share right, the worst {SHIPPED}", float(found[:, READ_AT.index(at)].min()), 1)
        & Evidence.below("trained, 12 bits: the best", float(found[:, READ_AT.index(12)].max()), guess)
    )  # fmt: skip


@concept.corrects(
    "With a large gap between logits, softmax is hard attention.",
    verdict=Verdict.HOLDS_IF,
    better="If the length is given, nearly. A given gap does not last: a key that leads by 5 has 60 % of the weight among 100 keys, "
    "and 1.5 % among 10,000. To stay hard, the gap must grow like log n (question 8). Our hand-written weights are built for a longest text.",
    fails_if=({"gap": 1.0}, {"gap": 20.0}, {"grows": False}),
)
def a_fixed_gap_softens(gap: float = 5.0, grows: bool = True) -> Evidence:
    few, many = (float(w) for w in hardness(gap, (100, 10_000)))
    lead = gap + (math.log(9999 / 99) if grows else 0.0)
    return (
        Evidence.between("weight of the leading key among 100", few, 0.595, 0.605)
        & Evidence.between("among 10,000", many, 0.0145, 0.0155)
        & Evidence.near("among 10,000 with a gap larger by ln(9,999/99), minus that among 100", float(hardness(lead, (10_000,))[0]) - few, 0, within=1e-12)
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "So can a GPT give the parity of a million bits in one pass?",
    "For this one length nothing that is proved forbids it. For every length precision decides: with numbers of about log n bits some encoder can (“Also often said”), which is not a GPT; with a constant "
    "number of bits, as in bfloat16, one pass stays in AC⁰ (TC⁰ without counting), where parity is not (Li et al.). Written out, each step is a look-up.",
    (CHIANG_2022, LI_2024),
)
concept.pushes_back(
    "Does a chain of thought really add power, or only accuracy?",
    "Power, if TC⁰ ≠ NC¹, as is believed: in one pass with log precision Transformers stay in TC⁰; with linearly many steps decoders recognise all regular languages (their model: averaging hard "
    "attention, Pre-Norm, generalised), with polynomially many exactly P (polynomial time). Layers that grow help too: about log n of them recognise regular languages, and one layer repeated as "
    "often as needed is Turing complete, given memory enough (argued in Universal Transformers).",
    (MERRILL_2024, LI_2024, MERRILL_2025, DEHGHANI_2019),
)
concept.pushes_back(
    "Do decoders need positions, too?",
    "The ceiling is that of encoders, where every token sees every token. A causal mask shows the order (question 13): decoders "
    "without positions do learn where a token stands.",
    HAVIV_2022,
)
concept.pushes_back(
    "Then is sorting by hand-written weights not a trick?",
    "It is a proof by example, as RASP and Tracr (such programs) give them, with its price said openly: a BOS token to rest on, positions, a logit gap of 50, float64, and a longest "
    "text.",
    (WEISS_2021, LINDNER_2023),
)
concept.reads(YUN_2020, PEREZ_2019, PEREZ_2021, JIANG_2025, DEHGHANI_2019, BARRINGTON_1989, MERRILL_2025, HAHN_2020, CHIANG_2022, MERRILL_2023, MERRILL_2024, LI_2024, WEISS_2021, LINDNER_2023)  # fmt: skip


# ---------------------------------------------------------------------------------------------- a program to take away


@concept.writes(
    """
import torch

program, text, gap = $program, $text, $gap

symbols = {"balanced": "()", "parity": "01"}.get(program, "abcde")
most = 7 if symbols == "abcde" else 12             # the longest text
n = len(text)
s = torch.tensor([-1] + [symbols.index(t) for t in text])        # BOS stands in front, and is no symbol
one_hot = torch.eye(len(symbols) + 1, dtype=torch.float64)[s, :-1]   # a row of zeros for BOS
place = torch.arange(n + 1)
bos = place == 0

def attend(logits):
    return (logits.double() * gap).softmax(-1)

def bend(x, points, values):                       # piecewise linear, as ReLU units are
    p, order = torch.tensor(points, dtype=torch.float64).sort()
    v = torch.tensor(values, dtype=torch.float64)[order]
    x = x.clamp(min=p[0])
    i = torch.searchsorted(p, x.contiguous()).clamp(1, len(p) - 1)
    return v[i - 1] + (v[i] - v[i - 1]) * (x - p[i - 1]) / (p[i] - p[i - 1])

shares = [1 / (k + 1) for k in range(most + 1)]    # BOS, beside k selected tokens
equal = (s[:, None] == s) & ~bos
if program == "sort":                              # layer 1: how many are smaller; layer 2: the highest rank that fits
    weights = attend((s < s[:, None]) | bos)
    ranks = torch.stack([bend(weights[:, 0], shares[:-1], [float(k == a) for k in range(most)]) for a in range(most)], 1)
    fits = torch.tensor([[a if a < p else -1 for a in range(most)] for p in place.tolist()]).double()
    answer = (attend(fits @ ranks.T - 1.0 * bos) @ one_hot).round(decimals=9).argmax(-1)
elif program == "reverse":                         # layer 1: n; layer 2: place n + 1 - i
    weights = attend(torch.zeros(n + 1, n + 1))
    target = bend(weights[:, :1], shares[1:], list(range(1, most + 1))) + 1 - place[:, None]
    answer = (attend(2 * target * place - place**2) @ one_hot).round(decimals=9).argmax(-1)
elif program == "balanced":                        # layer 1: heights; layer 2: the end, and any fall below 0
    weights = attend(place <= place[:, None])
    sign = one_hot[:, 0] - one_hot[:, 1]
    below = bend(weights @ sign, [-1, -1 / (most + 1), 0, 1], [1, 1, 0, 0])
    fell = bend(below.mean(-1, keepdim=True), [0, 1 / (most + 1), 1], [0, 1, 1])
    open = bend(sign.mean(-1, keepdim=True), [-1, -1 / (most + 1), 0, 1 / (most + 1), 1], [1, 1, 0, 1, 1])
    answer = (fell + open > 0.5).long().expand(n + 1)
else:                                              # layer 1: how often; layer 2, if any: the highest count
    weights = attend((equal if program != "parity" else (s == 1).expand(n + 1, n + 1)) | bos)
    count = bend(weights[:, 0], shares, [k % 2 if program == "parity" else k for k in range(most + 1)])
    answer = (count > 0.5).long() if program == "parity" else count.round().clamp(1, most).long() - 1
    if program == "most frequent":
        answer = (attend((len(symbols) * count - s.clamp(min=0)).expand(n + 1, n + 1)) @ one_hot).round(decimals=9).argmax(-1)
names = {"balanced": ["yes", "no"], "parity": ["even", "odd"], "histogram": range(1, most + 1)}.get(program, symbols)
print("answers:", *[names[a] for a in answer[1:].tolist()])
print(f"weight of BOS in the last row of layer 1: {weights[-1, 0].item():.6f}")
""",
    {"program": "sort", "text": "decade", "gap": 50.0},
    {"program": "balanced", "text": "(())()", "gap": 50.0},
    {"program": "parity", "text": "110100", "gap": 2.0},
    {"program": "reverse", "text": "abc", "gap": 10.0},
    {"program": "histogram", "text": "abba", "gap": 1.0},
    {"program": "most frequent", "text": "abbae", "gap": 5.0},
)
def weight_of_bos(program: Program, text: str, gap: float) -> float:
    return float(passed(program, text, gap).weights[0][0, -1, 0])
