"""Question 13: the same words in two orders; the sinusoidal pattern beside RoPE; what a causal mask alone tells."""

import unicodedata
from itertools import accumulate
from typing import Any

from core.experiments import positions
from core.experiments.positions import DEPTHS, ORDER, REACH, ROUNDING, SENTENCE, START, STARTS, STORY, D, Orders, Scheme
from core.ops.words import JOINERS
from core.say import count, listed, number
from ui import figures
from ui.drawings import corners
from ui.figures import Figure, Frame, Series
from ui.palette import OCHRE, ROSE, SIGNED, WITH, WITHOUT

SCHEMES: dict[Scheme, str] = {
    "none": "none",
    "sinusoidal": "sinusoidal",
    "learned": "learned table",
    "rope": "RoPE",
    "alibi": "ALiBi",
}
IN_WORDS: dict[Scheme, str] = {
    "none": "no positions",
    "sinusoidal": "sinusoids",
    "learned": "a learned table",
    "rope": "RoPE",
    "alibi": "ALiBi",
}
BASES = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 500_000)
WIDTHS = (8, 64)
FEATURES = [str(i) for i in range(D)]
SEEDS = (0, 9999)
ROOM = 12  # letters of a word that a row of a heatmap has room for; a Chinese one takes the room of two

TWELVE = "one two three four five six seven eight nine ten eleven twelve"
BACKWARDS = " ".join(reversed(TWELVE.split()))
MIXED = "two one three four five six seven eight nine ten twelve eleven"


# ------------------------------------------------------------------------------------------------ labels


def letters(word: str) -> list[str]:
    """The letters that a reader sees: marks, joiners and what they join belong to the letter before them.

    >>> [len(letters(word)) for word in ("dog", "e\u0301te\u0301", "\U0001f469\u200d\U0001f469\u200d\U0001f467")]
    [3, 3, 1]
    """
    found: list[str] = []
    for sign in word:
        tone = "\U0001f3fb" <= sign <= "\U0001f3ff"
        if found and (unicodedata.category(sign)[0] in "MC" or tone or found[-1].endswith(JOINERS[1])):
            found[-1] += sign
        else:
            found.append(sign)
    return found


def short(word: str) -> str:
    """The whole word where a row has room for it, else its beginning; never half a letter.

    >>> short("transformers"), short("transformation")
    ('transformers', 'transformat…')
    """
    seen = letters(word)
    room = [2 if unicodedata.east_asian_width(letter[0]) in "WF" else 1 for letter in seen]
    if sum(room) <= ROOM:
        return word
    fits = sum(total < ROOM for total in accumulate(room))
    return "".join(seen[:fits]).rstrip(JOINERS) + "…"


def sparse(n: int, every: int) -> list[str]:
    """Numbers under a row of narrow cells: only as many as can be read."""
    return [str(i) if i % every == 0 else "" for i in range(n)]


def rest(value: float) -> str:
    """A difference of which nothing, rounding or something is left."""
    if value == 0:
        return "exactly 0"
    return number(value, 2) + (", which is rounding" if value <= ROUNDING else "")


# ------------------------------------------------------------------------------------------------ two orders


def outputs(z: Any, words: tuple[str, ...], title: str, limit: float) -> Figure:
    """One row per word at its position, one column per feature."""
    return figures.heatmap(
        z,
        rows=[f"{short(word)} {i}" for i, word in enumerate(words)],
        columns=sparse(D, 3),
        title=title,
        colours=SIGNED,
        limits=(-limit, limit),
        row_title="word and its position",
        column_title="feature",
    )


def difference(both: Orders) -> Figure:
    """What is left after un-shuffling, in colours of its own range; what is exactly 0 is crossed out.

    Each scheme has its own range: what counts is whether something is left, and a common range would leave the smaller
    of two blank. Rounding is not blown up to colours.
    """
    limit = both.largest if both.largest > ROUNDING else 1.0
    return figures.heatmap(
        both.difference,
        rows=[short(word) for word in both.words],
        columns=sparse(D, 3),
        title="Difference, un-shuffled (×: exactly 0)",
        colours=SIGNED,
        limits=(-limit, limit),
        row_title="word",
        column_title="feature",
        hatched=both.difference == 0,
        hatch_name="exactly 0",
    )


@corners(
    sentences=(
        (SENTENCE, ORDER),
        (SENTENCE, SENTENCE),
        (SENTENCE, "bites man dog"),
        ("on off", "off on"),
        ("on off", "on off"),
        ("no no", "no no"),
        ("on off on", "on off on"),
        ("no no yes", "yes no no"),
        ("no yes no no", "no no yes no"),
        (TWELVE, BACKWARDS),
        (TWELVE, MIXED),
        (
            "\U0001f469\u200d\U0001f469\u200d\U0001f467 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 <b>",
            "<b> \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f469\u200d\U0001f469\u200d\U0001f467",
        ),
    ),
    layers=(1, 2, 4),
    seed=SEEDS,
)
def order_frames(sentences: tuple[str, str], layers: int, seed: int) -> list[Frame]:
    """One frame for each way to put positions in: both orders' outputs, what un-shuffling leaves, and the means."""
    measured = {scheme: positions.two_orders(*sentences, scheme, layers, seed) for scheme in SCHEMES}
    plain = positions.two_orders(*sentences, "none", layers, seed, "plain").largest
    apart = [scheme for scheme, both in measured.items() if both.largest > ROUNDING]
    means = {scheme: (positions.pool(both.first), positions.pool(both.second)) for scheme, both in measured.items()}
    reach = 1.1 * max(float(mean.abs().max()) for pair in means.values() for mean in pair)
    return [
        Frame(
            (
                outputs(both.first, both.words, "Outputs, first order", 4.0),
                outputs(both.second, both.order, "Outputs, second order", 4.0),
                difference(both),
                figures.bars(
                    [Series("first order", means[scheme][0], WITHOUT), Series("second order", means[scheme][1], WITH)],
                    labels=FEATURES,
                    title="The mean over the words",
                    x_title="feature",
                    y_title="mean output",
                    y_range=(-reach, reach),
                    height=340,
                ),
            ),
            order_reading(scheme, both, plain, apart),
        )
        for scheme, both in measured.items()
    ]


def order_reading(scheme: Scheme, both: Orders, plain: float, apart: list[Scheme]) -> str:
    """`plain` is what ordinary matrix products leave without positions, `apart` the schemes that leave something."""
    if both.order == both.words:
        if len(set(both.words)) == 1:
            return "All words are the same, so there is no other order, and nothing can differ. Write different words."
        also = " (which reads the same backwards)" if both.reversed else ""
        return f"Both boxes hold the same order{also}, so nothing differs. Write the words in another order."
    if scheme == "none":
        blind = [IN_WORDS[one] for one in SCHEMES if one not in ("none", *apart)]
        tell = listed([IN_WORDS[one] for one in apart])
        others = (
            f"{tell[0].upper()}{tell[1:]} tell the two orders apart; {listed(blind)} does not"
            if blind
            else "Each of the four ways to put positions in tells the two orders apart"
        )
        largest, pooled = rest(both.largest), rest(both.pooled)
        left = f"{largest}, and so is" if largest == pooled else f"{largest}, {pooled} is"
        ordinary = "ordinary matrix products leave " + ("nothing either" if plain == 0 else rest(plain))
        return (
            f"Without positions each output follows its word: the largest difference after un-shuffling is {left} that "
            f"of the means over the words ({ordinary}). {others}."
        )
    name = f"With {IN_WORDS[scheme]}"
    if both.largest <= ROUNDING:
        return (
            f"{name} nothing tells the two orders apart: the largest difference after un-shuffling is "
            f"{rest(both.largest)}, as without positions, since the second order is the first read backwards and all "
            "distances |i − j| stay as they are. Try an order that is not a reversal."
        )
    return (
        f"{name} the encoder tells the two orders apart: after un-shuffling, outputs differ by up to "
        f"{rest(both.largest)}, and the means over the words by up to {rest(both.pooled)}."
    )


# ------------------------------------------------------------------------------------------------ sinusoids and RoPE


@corners(width=(64, 8, 16, 24, 32, 56), seed=SEEDS)
def pattern_frames(width: int, seed: int) -> list[Frame]:
    """One frame for each base: the encodings, their dot products, the same through W_Q and W_K, and RoPE's scores."""
    seen = [positions.pattern(width, float(base), seed) for base in BASES]
    top = 1.1 * max(float(scores.abs().max()) for one in seen for scores in (one.projected, one.turned))
    styles = list(zip(STARTS, (WITH, OCHRE, ROSE), ("solid", "dash", "dot"), (5.0, 3.0, 2.5), strict=True))

    def curves(y: Any, offsets: Any, title: str, y_title: str, limit: float) -> Figure:
        return figures.lines(
            [Series(f"p = {p}", y[i], colour, dash, width=w) for i, (p, colour, dash, w) in enumerate(styles)],
            x=offsets,
            title=title,
            x_title="offset k",
            y_title=y_title,
            y_range=(-limit, limit),
            height=380,
        )

    return [
        Frame(
            (
                figures.heatmap(
                    one.table,
                    rows=[str(p) for p in range(REACH + 1)],
                    columns=sparse(width, 4 * max(1, -(-width // 24))),
                    row_title="position",
                    column_title="feature (sine, cosine, sine …)",
                    colours=SIGNED,
                    limits=(-1, 1),
                    title=f"The encodings of positions 0 … {REACH}",
                    height=380,
                ),
                curves(one.raw, one.offsets, "PE_p · PE_p+k", "dot product ÷ (d/2)", 1.05),
                curves(one.projected, one.offsets, "The same after random W_Q and W_K", "score ÷ (d/2)", top),
                curves(one.turned, one.offsets, "RoPE: turned after W_Q and W_K", "score ÷ (d/2)", top),
            ),
            pattern_reading(width, base, one),
        )
        for base, one in zip(BASES, seen, strict=True)
    ]


def pattern_reading(width: int, base: int, one: positions.Pattern) -> str:
    raw, projected, turned = one.spread

    def agree(spread: float) -> str:
        return "exactly" if spread == 0 else f"up to {'rounding ' if spread <= ROUNDING else ''}({number(spread, 2)})"

    return (
        f"Counted from p = {listed([str(p) for p in STARTS])}, the dot products at one offset agree {agree(raw)}, and "
        f"RoPE's scores {agree(turned)}; through W_Q and W_K they differ by up to {number(projected, 2)}. With d = {width} "
        f"and base {base:,} the slowest pair needs {number(one.longest)} positions for one turn."
    )


# ------------------------------------------------------------------------------------------------ a causal mask alone


@corners(
    story=(STORY, "on off end", "no no no yes no", TWELVE, "a a a a a a a a a a b c"), order_seed=(0, 1, 99), seed=SEEDS
)
def prefix_frames(story: str, order_seed: int, seed: int) -> list[Frame]:
    """One frame for each depth: the last word's output, as written and with all words before it shuffled."""
    seen = positions.shuffled_prefix(story, order_seed, seed)
    unmasked = float(positions.shuffled_prefix(story, order_seed, seed, False).change.max())
    changes = seen.change.tolist()
    top = 1.1 * max(changes)
    frames = []
    for i, layers in enumerate(DEPTHS):
        deep = count(layers, "layer")
        by_depth = figures.bars(
            # Stacked, so that each bar keeps its place.
            [
                Series("this depth", [v if j == i else 0.0 for j, v in enumerate(changes)], WITH),
                Series("other depths", [0.0 if j == i else v for j, v in enumerate(changes)], WITHOUT),
            ],
            labels=[str(depth) for depth in DEPTHS],
            title="Largest change of that output",
            x_title="layers",
            y_title="largest change",
            y_range=(0, top or 1.0),
            stacked=True,
        )
        for j, change in enumerate(changes):
            if change <= ROUNDING:  # an empty place says that it is meant
                by_depth.note("exactly 0" if change == 0 else "rounding", x=j, y=0, yanchor="bottom")
        frames.append(
            Frame(
                (
                    figures.bars(
                        [
                            Series("as written", seen.before[i], WITHOUT),
                            Series("shuffled before it", seen.after[i], WITH),
                        ],
                        labels=FEATURES,
                        title=f"Output at the last word, {deep}",
                        x_title="feature",
                        y_title="output",
                        y_range=(-4, 4),
                    ),
                    by_depth,
                ),
                prefix_reading(seen, deep, changes[i], unmasked),
            )
        )
    return frames


def prefix_reading(seen: positions.Prefix, deep: str, change: float, unmasked: float) -> str:
    why = (
        "the last word sees the same keys, and one layer adds them up without regard to order"
        if change <= ROUNDING
        else "the words before it have seen different prefixes, and it reads what they saw"
    )
    return (
        f"“{' '.join(seen.words)}” becomes “{' '.join(seen.shuffled)}”: with {deep} the last output changes by "
        f"{rest(change)}, since {why}. Without the mask, 1 to {DEPTHS[-1]} layers change it by {rest(unmasked)}."
    )


@corners(story=(STORY, "on off end", TWELVE))
def counting_frames(story: str) -> list[Frame]:
    """A uniform head that looks for the start token, which stands before the story."""
    words = [START, *story.split()]
    last = len(words) - 1
    causal, full = (positions.counting_head(words, mask) for mask in (True, False))
    return [
        Frame(
            (
                figures.lines(
                    [Series("causal mask", causal, WITH, markers=True), Series("no mask", full, WITHOUT, "dash")],
                    x=range(last + 1),
                    title=f"A uniform head that looks for a start token {START}",
                    x_title=f"position t ({START} stands at 0)",
                    y_title="what the head reads",
                    y_range=(0, 1.05),
                    height=300,
                ),
            ),
            f"Under the causal mask the head reads 1 at t = 0, {number(float(causal[1]))} at t = 1 and "
            f"{number(float(causal[-1]))} at t = {last}: 1/(t + 1), so the position can be read off, as long as the start "
            f"token is found nowhere else. Without a mask it reads {number(float(full[0]))} everywhere.",
        )
    ]


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return order_frames((positions.SENTENCE, positions.ORDER), 1, 0)[list(SCHEMES).index("none")]
