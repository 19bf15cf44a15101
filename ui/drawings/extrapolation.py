"""Question 11: what trained decoders lose on longer texts, what they meet there, RoPE's arrows, ALiBi's slopes, another task."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from core.experiments import extrapolation as longer
from core.experiments.extrapolation import FAR, ROTARIES, STOPS, Sees
from core.ops import positions
from core.say import count, listed, number, percent
from core.training import extrapolation as training
from core.training.extrapolation import BIN, ENCODINGS, LENGTH, REMEDIES, STRETCHES, Encoding, Remedy
from ui import figures
from ui.drawings import corners
from ui.figures import Figure, Frame, Label, Path, Series
from ui.palette import INK, KEY, MASKED, OCHRE, QUERY, ROSE, VALUE, WITH, WITHOUT, faded

NAMES: dict[Encoding, str] = {
    "learned": "learned",
    "sinusoidal": "sinusoidal",
    "rope": "RoPE",
    "t5": "T5 bias",
    "alibi": "ALiBi",
    "none": "no encoding",
}
COLOURS: dict[Encoding, str] = {
    "learned": WITHOUT,
    "sinusoidal": INK,
    "rope": KEY,
    "t5": OCHRE,
    "alibi": WITH,
    "none": VALUE,
}
DASHES: dict[Encoding, str] = {"learned": "dash", "sinusoidal": "solid", "none": "dot"}
SAYS: dict[Encoding, str] = {**NAMES, "learned": "a learned table", "sinusoidal": "sinusoids"}
SEEN: dict[Sees, str] = {"whole": "all before it", "window": "the last 32", "afresh": "32, afresh"}
WINDOWED: dict[Sees, str] = {
    "whole": "",
    "window": f"With each token seeing the last {LENGTH} only, a",
    "afresh": f"With each answer read from its last {LENGTH} tokens as a text of their own, a",
}
HERO = 262  # pixels
TOP, GAP = 1.45, 0.12  # nats: the highest loss, and how far apart the names of two lines stand at least
NOTHING = math.log(training.VOCABULARY)  # nats: recall without having seen the first token
GUESS = "guessing by frequency"
LOSS = "nats a token above the best guess"


def shade(figure: Figure, low: float, high: float) -> None:
    """The lengths, positions or distances that training had."""
    figure.shape(
        type="rect", x0=low, x1=high, y0=0, y1=1, yref="paper", fillcolor=faded(MASKED, 0.14), line={"width": 0},
        layer="below",
    )  # fmt: skip


def apart(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The heights of labels, moved as little as keeps neighbours `gap` apart and all between `low` and `high`.

    >>> apart([0.0, 0.0, 5.0], 1.0, 0.0, 10.0)
    [0.0, 1.0, 5.0]
    >>> [round(h, 2) for h in apart([9.9, 10.0], 1.0, 0.0, 10.0)]
    [9.0, 10.0]
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = dict.fromkeys(order, 0.0)
    floor = low
    for i in order:
        placed[i] = floor = max(heights[i], floor)
        floor += gap
    ceiling = high
    for i in reversed(order):
        placed[i] = ceiling = min(placed[i], ceiling)
        ceiling -= gap
    return [placed[i] for i in range(len(heights))]


# ------------------------------------------------------------------------------------------------ the hero


@corners(sees=tuple(SEEN))
def length_frames(sees: Sees) -> list[Frame]:
    """One frame for each length of a test text: the loss of every encoding up to it."""
    return [_length_frame(sees, i) for i in range(len(STOPS))]


def _length_frame(sees: Sees, i: int) -> Frame:
    n, guess = STOPS[i], longer.guessing()
    means = {e: longer.curves(e, sees).mean(0) for e in ENCODINGS}
    series = [
        Series(NAMES[e], mean[: i + 1], COLOURS[e], DASHES.get(e, "solid"), torch.tensor(STOPS[: i + 1]), width=3)
        for e, mean in means.items()
    ]
    series += [
        Series("", mean[i : i + 1], COLOURS[e], x=torch.tensor([n]), markers=True, legend=False)
        for e, mean in means.items()
    ]
    figure = figures.lines(
        series,
        x=torch.tensor(STOPS),
        title="Next-token loss on longer texts, six decoders that differ only in how they encode positions (mean of 3 seeds)",
        x_title="length of the text, in tokens",
        y_title=LOSS,
        log_x=True,
        x_ticks=(16, 32, 64, 128, 256),
        x_range=(15, 265),
        y_range=(-0.06, TOP),
        marks={f"trained on {LENGTH} tokens": (LENGTH, INK)},
        levels={f"guessing: {number(guess, 2)}": (guess, INK)},
        level_at="bottom left",
        height=HERO,
    )
    shade(figure, 15, LENGTH)
    heights = apart([float(mean[i]) for mean in means.values()], GAP, 0.0, TOP - GAP)
    for (e, mean), height in zip(means.items(), heights, strict=True):
        figure.note(
            f"<b>{NAMES[e]} {number(float(mean[i]), 2)}</b>",
            x=math.log10(n), y=height, xanchor="left", xshift=9, font={"color": COLOURS[e], "size": 13},
        )  # fmt: skip
    # On a phone, too, names need this much room beside the last length.
    figure.lay_out(showlegend=False, margin={"r": 116})
    return Frame((figure,), length_reading(sees, n, {e: float(mean[i]) for e, mean in means.items()}))


def length_reading(sees: Sees, n: int, means: dict[Encoding, float]) -> str:
    guess, least, most = longer.guessing(), min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    begin = (WINDOWED[sees] or "A") if n > LENGTH else "A"
    how_long = (
        f"t {n} tokens, {number(n / LENGTH)} times the trained length,"
        if n > LENGTH
        else f"t {n} tokens, as in training,"
        if n == LENGTH
        else f"t {n} tokens, fewer than in training,"
    )
    worse = [e for e in means if means[e] > guess]
    if worse:
        verb = "loses" if len(worse) == 1 and worse[0] != "sinusoidal" else "lose"
        what = f"{listed([SAYS[e] for e in worse])} {verb} more than guessing does ({number(guess, 2)} nats)"
        if sees != "whole":
            before = {e: float(longer.lost(e, n).mean()) for e in means}
            fell = max(means, key=lambda e: before[e] - means[e])
            falls = "fall" if fell == "sinusoidal" else "falls"
            return f"{begin}{how_long} {what}; {SAYS[fell]} {falls} most, from {number(before[fell], 2)} to {number(means[fell], 2)}."
        return f"{begin}{how_long} {what}; {SAYS[least]} {'lose' if least == 'sinusoidal' else 'loses'} least, {number(means[least], 2)}."
    return (
        f"{begin}{how_long} all lose less than guessing does ({number(guess, 2)} nats): from {number(means[least], 2)} with "
        f"{SAYS[least]} to {number(means[most], 2)} with {SAYS[most]}."
    )


# ------------------------------------------------------------------------------------------------ what lies beyond

MET: tuple[Encoding, ...] = ("learned", "sinusoidal", "rope", "t5", "alibi")


@corners()
def beyond_frames() -> list[Frame]:
    """One frame for each encoding: what its model meets at a position or a distance, and what it loses at a position."""
    return [Frame((_met(e), _lost_by_position(e)), beyond_reading(e)) for e in MET]


def _met(encoding: Encoding) -> Figure:
    place = torch.arange(FAR)
    shown: dict[str, Any] = {"x": place, "x_range": (0, FAR), "height": 300}
    if encoding == "learned":
        figure = figures.lines(
            [Series("row of the table", longer.rows_of_table(), WITHOUT)],
            title="A row of numbers for each position",
            x_title="position",
            y_title="length of the row",
            **shown,
        )
    elif encoding in ("sinusoidal", "rope"):
        d = training.WIDTH if encoding == "sinusoidal" else training.WIDTH // training.HEADS
        omega = longer.frequencies(d)
        first = int(longer.turns(d, LENGTH).ge(1).sum())
        chosen = (0, first, min(first + (len(omega) - first) // 3, len(omega) - 1))
        angle = "position" if encoding == "sinusoidal" else "distance"
        figure = figures.lines(
            [
                Series(
                    f"{number(float(longer.turns(d, LENGTH)[i]), 2)} turns in training",
                    (place * omega[i]).cos(),
                    c,
                    width=w,
                )
                for i, c, w in zip(chosen, (MASKED, COLOURS["rope"], WITH), (1.0, 2.5, 2.5), strict=True)
            ],
            title=f"Three of {len(omega)} cosines",
            x_title=angle,
            y_title=f"cos(ω · {angle})",
            y_range=(-1.1, 1.1),
            **shown,
        )
    else:
        bias = longer.biases("t5" if encoding == "t5" else "alibi")
        figure = figures.lines(
            [
                Series(f"head {h + 1}", row, colour)
                for h, (row, colour) in enumerate(zip(bias, (WITH, WITHOUT, ROSE, OCHRE), strict=True))
            ],
            title="Learned, one for each bucket of distances" if encoding == "t5" else "Fixed, −m · distance",
            x_title="distance",
            y_title="added to the score",
            **shown,
        )
    shade(figure, 0, LENGTH)
    return figure


def _lost_by_position(encoding: Encoding) -> Figure:
    by_position = training.outcome(encoding, "next", "whole")
    middle = torch.arange(by_position.shape[-1]) * BIN + (BIN - 1) / 2
    figure = figures.lines(
        [
            Series(f"seed {seed}", row, COLOURS[encoding], dash)
            for seed, row, dash in zip(training.SEEDS, by_position, ("solid", "dash", "dot"), strict=True)
        ],
        x=middle,
        title="What is lost there",
        x_title="position",
        y_title=LOSS,
        x_range=(0, FAR),
        y_range=(-0.06, 1.8),
        levels={GUESS: (longer.guessing(), INK)},
        level_at="bottom right",
        height=300,
    )
    shade(figure, 0, LENGTH)
    return figure


def beyond_reading(encoding: Encoding) -> str:
    by_position = training.outcome(encoding, "next", "whole").mean(0)
    near, far = (
        number(float(by_position[at].mean()), 2) for at in (slice(0, LENGTH // BIN), slice(-LENGTH // BIN, None))
    )
    loses = f"The loss is {near} at trained positions and {far} at the last {LENGTH}"
    if encoding == "learned":
        rows = longer.rows_of_table()
        seen, unseen = (number(float(part.mean()), 2) for part in (rows[:LENGTH], rows[LENGTH:]))
        return (
            f"Rows {LENGTH} to {FAR - 1} were never trained: their length is {unseen}, as drawn, that of trained rows {seen} on average; a row "
            f"{FAR} does not exist. {loses}."
        )
    if encoding in ("sinusoidal", "rope"):
        d = training.WIDTH if encoding == "sinusoidal" else training.WIDTH // training.HEADS
        never, pairs = longer.incomplete(d, LENGTH), d // 2
        what = "positions" if encoding == "sinusoidal" else "distances"
        return f"{never} of {pairs} pairs never complete a turn within {LENGTH} tokens: farther {what} bring them angles never seen. {loses}."
    if encoding == "t5":
        known = int(positions.t5_bucket(torch.tensor(LENGTH - 1)))
        return f"{training.BUCKETS - 1 - known} of {training.BUCKETS} buckets lie beyond the trained distances: their biases are still as drawn. {loses}."
    far_bias = longer.biases("alibi")[:, -1]
    return (
        f"The biases only grow with the distance: at {FAR - 1} they are {number(float(far_bias.max()), 2)} in the flattest head and "
        f"{number(float(far_bias.min()), 2)} in the steepest. {loses}."
    )


OFFSETS = (1, 3, 10, 100)


@corners(offset=OFFSETS, seed=(0, 9999))
def precision_frames(offset: int, seed: int) -> list[Frame]:
    """The score of one query and key at one distance, wherever they stand, turned in float64 and in bfloat16."""
    found = longer.precision(offset, seed=seed)
    off = (found.rough - found.exact).abs()
    worst, small = int(off.argmax()), found.at <= 256
    at = int(found.at[worst])
    reading = (
        f"Turned in float64 the score is {number(float(found.exact[0]))} wherever the two stand. Turned in bfloat16 it is "
        f"{number(float(found.rough[worst]))} at position {at:,}, and up to position 256 it is off by up to "
        f"{number(float(off[small].max()), 2)} already."
    )
    figure = figures.lines(
        [Series("turned in bfloat16", found.rough, WITHOUT, width=1.2), Series("turned in float64", found.exact, WITH)],
        x=found.at,
        title=f"RoPE’s score at distance {offset}, one random query and key, dₖ = 128",
        x_title="position of the query",
        y_title="score",
        x_range=(0, 8192),
        marks={"256": (256, INK)},
        height=280,
    )
    return [Frame((figure,), reading)]


# ------------------------------------------------------------------------------------------------ RoPE, turned

Far = Literal["beyond", "within", "most"]
HEADS_OF: dict[int, str] = {i: f"{r.name} (L = {r.length:,})" for i, r in enumerate(ROTARIES)}
REMEDY_NAMES: dict[Remedy, str] = {
    "nothing": "nothing",
    "interpolation": "interpolation",
    "NTK-aware": "NTK-aware",
    "base 500,000": "base 500,000",
}
STRETCHED: dict[int, str] = {8: "8 L", 4: "4 L", 2: "2 L"}
FARS: dict[Far, str] = {"beyond": "1.5 L", "within": "L / 2", "most": "end of text"}
KEY_AT = (0, 1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128)


def _pairs(rotary: longer.Rotary) -> tuple[int, int, int]:
    """The fastest pair, the fastest that never completes a turn in training, and one between it and the slowest."""
    never, n = longer.incomplete(rotary.d, rotary.length, rotary.base), rotary.d // 2
    return 0, n - never, n - never + max(1, never // 3)


def distance_of(rotary: longer.Rotary, far: Far, stretch: int) -> int:
    """A distance that a text of `stretch` times the trained length has; the farthest is one less than its tokens."""
    return {"within": rotary.length // 2, "beyond": round(1.5 * rotary.length), "most": stretch * rotary.length - 1}[
        far
    ]


@corners(which=tuple(HEADS_OF), remedy=REMEDIES, stretch=tuple(STRETCHED), far=tuple(FARS))
def turning_frames(which: int, remedy: Remedy, stretch: int, far: Far) -> list[Frame]:
    """One frame for each place of the key: three pairs of features as arrows, and how often every pair turns in training."""
    rotary = ROTARIES[which]
    base, divide = longer.read_as(rotary, remedy, stretch)
    distance = distance_of(rotary, far, stretch)
    omega = longer.frequencies(rotary.d, base) / divide
    trained = longer.frequencies(rotary.d, rotary.base)
    return [
        Frame(
            (_arrows(rotary, omega, trained, key_at, distance), _turns(rotary, remedy, stretch)),
            turning_reading(rotary, omega, trained, distance, remedy),
        )
        for key_at in KEY_AT
    ]


def _seen(rotary: longer.Rotary, omega: Tensor, trained: Tensor, distance: int) -> list[bool]:
    """Of each pair of features, whether the angle between query and key at this distance is one of those below L, the range
    into which interpolation brings all distances."""
    most = rotary.length * trained
    circle = 2 * math.pi
    return [
        m >= circle or w * distance % circle < m * (1 - 1e-9)
        for m, w in zip(most.tolist(), omega.tolist(), strict=True)
    ]


def _arrows(rotary: longer.Rotary, omega: Tensor, trained: Tensor, key_at: int, distance: int) -> Figure:
    parts: list[figures.Box | Path | Label] = []
    known = _seen(rotary, omega, trained, distance)
    for column, i in enumerate(_pairs(rotary)):
        x, w = 2.4 * column, float(omega[i])
        start = 0.6 - key_at * w  # clockwise, as a clock turns; the query stands `distance` farther on
        query, key = start - distance * w, start
        wide = min(rotary.length * float(trained[i]), 2 * math.pi)
        arc = [query + wide * t / 80 for t in range(81)]
        ring = [2 * math.pi * t / 60 for t in range(61)]
        parts += [
            Path(tuple((x + math.cos(a), math.sin(a)) for a in ring), MASKED, 1.0),
            Path(tuple((x + math.cos(a), math.sin(a)) for a in arc), WITH, 7.0, note="angles that training had"),
            Path(
                ((x, 0.0), (x + 0.92 * math.cos(query), 0.92 * math.sin(query))), QUERY, 3.0, arrow=True, note="query"
            ),
            Path(((x, 0.0), (x + 0.92 * math.cos(key), 0.92 * math.sin(key))), KEY, 3.0, arrow=True, note="key"),
            Label(x, 1.3, f"pair {i + 1} of {rotary.d // 2}"),
            Label(x, -1.3, "within training" if known[i] else "never seen", WITH if known[i] else INK),
        ]
    parts += [Label(-1.15, 1.62, "query", QUERY, "middle right"), Label(-0.4, 1.62, "key", KEY, "middle right")]
    parts.append(Label(0.15, 1.62, "angles between them that training had", WITH, "middle right"))
    figure = figures.diagram(
        parts,
        title=f"Key at {key_at}, query at {key_at + distance:,}: both arrows turn",
        x_range=(-1.2, 6.0),
        y_range=(-1.5, 1.8),
        height=250,
        moves=True,
    )
    figure.lay_out(xaxis={"constrain": "domain"}, yaxis={"scaleanchor": "x", "constrain": "domain"})
    return figure


def _turns(rotary: longer.Rotary, remedy: Remedy, stretch: int) -> Figure:
    base, divide = longer.read_as(rotary, remedy, stretch)
    pair = torch.arange(1, rotary.d // 2 + 1)
    in_training = longer.turns(rotary.d, rotary.length, rotary.base)
    read = longer.turns(rotary.d, stretch * rotary.length, base, divide)
    figure = figures.lines(
        [
            Series(f"in training, {rotary.length:,} tokens", in_training, WITH, markers=len(pair) < 20),
            Series(f"on {stretch * rotary.length:,} tokens", read, WITHOUT, "dash"),
        ],
        x=pair,
        title="Turns of each pair",
        x_title="pair, from the fastest",
        y_title="turns",
        log_y=True,
        x_range=(1, len(pair)),
        y_range=(1e-3, 1e5),
        levels={"one turn": (1.0, INK)},
        height=250,
    )
    return figure


def turning_reading(
    rotary: longer.Rotary, omega: Tensor, trained: Tensor, distance: int, remedy: Remedy = "nothing"
) -> str:
    never, pairs = longer.incomplete(rotary.d, rotary.length, rotary.base), rotary.d // 2
    unseen = _seen(rotary, omega, trained, distance).count(False)
    new = f"{unseen or 'none'} of {pairs} {'stands' if unseen == 1 else 'stand'} outside the angles that training had"
    own = remedy == "base 500,000" and rotary.base == 500_000
    begin = (
        "This head’s own base is 500,000: nothing changes."
        if own
        else "Wherever the two stand, the angles between them stay."
    )
    return f"{begin} {never} of {pairs} pairs never complete a turn in training; at distance {distance:,}, {new}."


@corners()
def remedy_frames() -> list[Frame]:
    """What our RoPE decoders lose on longer texts with each remedy, untuned and tuned."""
    columns = [
        *((f"{s * LENGTH} tokens", s, False, c) for s, c in zip(STRETCHES, (MASKED, WITHOUT, INK), strict=True)),
        (f"{FAR} tokens, tuned", STRETCHES[-1], True, WITH),
    ]
    found = {
        name: torch.stack([longer.remedy_lost(r, stretch, tuned) for r in REMEDIES])
        for name, stretch, tuned, _ in columns
    }
    figure = figures.bars(
        [Series(name, found[name].mean(-1), colour) for name, _, _, colour in columns],
        labels=list(REMEDY_NAMES.values()),
        title=f"Our RoPE decoders, trained on {LENGTH} tokens, read longer texts; whiskers: from seed to seed",
        x_title="remedy",
        y_title=LOSS,
        y_range=(0, TOP),
        height=320,
    )
    for trace, (name, *_) in zip(figure["data"], columns, strict=True):
        values = found[name]
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": figures.numbers(values.amax(-1) - values.mean(-1)),
            "arrayminus": figures.numbers(values.mean(-1) - values.amin(-1)),
            "thickness": 1.5,
            "width": 3,
            "color": INK,
        }
    guess = longer.guessing()
    figure.shape(
        type="line", x0=0, x1=1, xref="paper", y0=guess, y1=guess, line={"color": MASKED, "width": 1.5, "dash": "dash"}
    )
    figure.note(GUESS, x=1, xref="paper", xanchor="right", y=guess, yanchor="bottom", font={"color": MASKED})
    return [Frame((figure,), remedy_reading())]


def remedy_reading() -> str:
    plain, tuned = ({r: float(longer.remedy_lost(r, 8, t).mean()) for r in REMEDIES} for t in (False, True))
    best, tuned_best = min(plain, key=plain.__getitem__), min(tuned, key=tuned.__getitem__)
    return (
        f"Untuned, on {FAR} tokens, the best is {REMEDY_NAMES[best]} with {number(plain[best], 2)} nats, against "
        f"{number(plain['nothing'], 2)} with nothing. After {training.TUNED} steps on such texts the best is "
        f"{REMEDY_NAMES[tuned_best]} with {number(tuned[tuned_best], 2)}, and nothing but the steps gets {number(tuned['nothing'], 2)}."
    )


@corners(seed=(0, 9999))
def decay_frames(seed: int) -> list[Frame]:
    """RoPE's score by distance, of equal vectors and of a random query and key."""
    equal, other = longer.by_distance(True), longer.by_distance(False, seed=seed)
    at = torch.arange(len(equal))
    figure = figures.lines(
        [Series("q = k = (1, 1, …)", equal, WITH), Series("a random query and key", other, WITHOUT, width=1.2)],
        x=at,
        title="RoPE’s score by distance, dₖ = 128",
        x_title="distance",
        y_title="score ÷ (‖q‖ ‖k‖)",
        x_range=(0, len(equal)),
        y_range=(-0.5, 1.05),
        height=280,
    )
    peak = int(other.argmax())
    reading = (
        f"Of equal vectors the score is largest at distance 0 and falls, with ripples, to {number(float(equal[-1]), 2)} at "
        f"{len(equal) - 1:,}. Of this random pair it is largest at distance {peak:,}."
    )
    return [Frame((figure,), reading)]


# ------------------------------------------------------------------------------------------------ ALiBi's slopes

HEADS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 64, 112)


@corners()
def slope_frames() -> list[Frame]:
    """One frame for each number of heads: the slopes of the paper's formula and of its authors' code."""
    return [_slope_frame(n) for n in HEADS]


def _slope_frame(n: int) -> Frame:
    formula, released = positions.alibi_slopes(n), positions.alibi_slopes_as_released(n)
    head, distance = torch.arange(1, n + 1), torch.arange(FAR + 1)
    slopes = figures.lines(
        [
            Series("the paper’s formula, 2^(−8h/n)", formula, WITH, markers=True),
            Series("its authors’ code", released.sort(descending=True).values, WITHOUT, "dash", markers=True),
        ],
        x=head,
        title=f"Slopes of {count(n, 'head')}",
        x_title="head, from the steepest",
        y_title="slope m",
        log_y=True,
        x_range=(0.5, n + 0.5),
        y_range=(1e-3, 1.5),
        height=300,
    )
    slopes.lay_out(xaxis={"tickformat": "d"})
    reach = figures.lines(
        [
            Series("steepest head", (-released.max() * distance).exp(), WITHOUT),
            Series("flattest head", (-released.min() * distance).exp(), WITH),
        ],
        x=distance,
        title="Weight left of a key, by its distance",
        x_title="distance",
        y_title="e^(−m · distance)",
        x_range=(0, FAR),
        y_range=(0, 1.05),
        height=300,
    )
    shade(reach, 0, LENGTH)
    return Frame((slopes, reach), slope_reading(n, formula, released))


def slope_reading(n: int, formula: Tensor, released: Tensor) -> str:
    left = f"beside an equal key close by, one {FAR} tokens back keeps {percent(float((-released.min() * FAR).exp()))} in the flattest head"
    if torch.allclose(formula, released):
        return f"With {count(n, 'head')}, a power of two, formula and code agree; {left}."
    # Heads have no order: what counts is the set of slopes.
    others = int((released[:, None] - formula).abs().amin(-1).gt(1e-12).sum())
    lower = 2 ** (n.bit_length() - 1)
    return (
        f"With {n} heads the code takes the slopes of {lower} heads, then every other slope of {2 * lower}: {others} of its {n} slopes are not "
        f"the formula’s; {left}."
    )


# ------------------------------------------------------------------------------------------------ another task

RECALL = tuple(range(BIN, training.LONGEST["recall"] + 1, BIN))
MIDDLE = 512  # tokens of a recalled text, between the lengths of the two tasks
TASK_SEES: dict[Sees, str] = {"whole": "all before it", "window": "the last 32"}


@corners(sees=tuple(TASK_SEES))
def task_frames(sees: Sees) -> list[Frame]:
    """One frame for each encoding: every seed on both tasks, the other encodings in grey."""
    return [Frame((_next(e, sees), _recall(e, sees)), task_reading(e, sees)) for e in ENCODINGS]


def _highlit(chosen: Encoding, rows: dict[Encoding, Tensor], x: Tensor) -> list[Series]:
    """All seeds of all encodings, those of the chosen one on top."""
    others = [
        Series("the other five", row, MASKED, x=x, width=0.8, legend=not (k or r))
        for k, e in enumerate(e for e in ENCODINGS if e != chosen)
        for r, row in enumerate(rows[e])
    ]
    return others + [
        Series(f"{NAMES[chosen]}, 3 seeds", row, COLOURS[chosen], x=x, width=2.5, legend=not r)
        for r, row in enumerate(rows[chosen])
    ]


def _next(encoding: Encoding, sees: Sees) -> Figure:
    figure = figures.lines(
        _highlit(encoding, {e: longer.curves(e, sees) for e in ENCODINGS}, torch.tensor(STOPS)),
        x=torch.tensor(STOPS),
        title="Say the next token",
        x_title="length of the text, in tokens",
        y_title=LOSS,
        log_x=True,
        x_ticks=(16, 32, 64, 128, 256),
        x_range=(16, FAR),
        y_range=(-0.06, TOP),
        levels={GUESS: (longer.guessing(), INK)},
        level_at="bottom left",
        height=320,
    )
    shade(figure, 16, LENGTH)
    return figure


def _recall(encoding: Encoding, sees: Sees) -> Figure:
    what = "right" if sees == "whole" else "right in window"
    rows = {e: training.outcome(e, "recall", what) for e in ENCODINGS}
    last = max(row.shape[-1] for row in rows.values()) * BIN
    figure = figures.lines(
        _highlit(encoding, rows, torch.tensor(RECALL[: last // BIN])),
        x=torch.tensor(RECALL[: last // BIN]),
        title="Recall the first token",
        x_title="length of the text, in tokens",
        y_title="share of right answers",
        log_x=True,
        x_ticks=(8, 32, 128, 512, 2048),
        x_range=(BIN, 1.1 * training.LONGEST["recall"]),
        y_range=(0, 1.15),
        levels={"chance": (longer.CHANCE, INK)},
        level_at="bottom left",
        height=320,
    )
    shade(figure, BIN, LENGTH)
    perfect = [NAMES[e] for e, row in rows.items() if e != encoding and bool((row == 1).all())]
    if perfect:
        figure.note(
            f"always 1: {', '.join(perfect)}", x=math.log10(last), y=1.0, xanchor="right", yanchor="bottom", yshift=3,
            font={"color": INK},
        )  # fmt: skip
    return figure


def between(shares: Tensor) -> str:
    """The least and the most of all seeds."""
    low, high = percent(float(shares.min())), percent(float(shares.max()))
    return low if low == high else f"{low} to {high}"


def task_reading(encoding: Encoding, sees: Sees) -> str:
    name = SAYS[encoding][0].upper() + SAYS[encoding][1:]
    far = training.LONGEST["recall"] if sees == "whole" else FAR
    right = longer.recalled(encoding, far, "right" if sees == "whole" else "right in window")
    ranked = sorted(ENCODINGS, key=lambda e: float(longer.lost(e, FAR, sees).mean()))
    place = ranked.index(encoding) + 1
    shares = f"{between(right)} right"
    if sees == "whole":
        middle = longer.recalled(encoding, MIDDLE)
        shares = f"{shares} (at {MIDDLE}: {between(middle)})"
    rank = {1: "least", 2: "second least", len(ranked): "most", len(ranked) - 1: "second most"}.get(
        place, f"{'third' if place == 3 else 'fourth'} least"
    )
    window = "" if sees == "whole" else f", seeing the last {LENGTH} only"
    return (
        f"{name}{window}: at {FAR} tokens it loses {rank} of the six on the next token, {number(float(longer.lost(encoding, FAR, sees).mean()), 2)} "
        f"nats; recalling the first of {far:,}, it gets {shares}; chance is {percent(longer.CHANCE, 3)}."
    )


PROMISE = (
    "This is the shipped run; the button trains it again. On a processor of the same kind that gives the same curve; on another kind the "
    "first steps agree, and as a rule the outcome."
)
AS_SHIPPED = 6e-3  # relative: the shipped curves have three digits


def live_frame(shipped: training.Progress, encoding: Encoding, seed: int, now: training.Progress) -> Frame:
    """A recall training as it goes, and what it loses farther on; behind it the shipped run."""
    trained_now = now is not shipped
    last = int(now.asked_at[-1])
    place = torch.arange(now.excess.shape[-1]) * BIN + (BIN - 1) / 2
    losses = [Series("shipped", shipped.losses, MASKED, x=torch.arange(1, shipped.steps + 1), width=5)]
    farther = [Series("shipped, at the end", shipped.excess[-1], MASKED, width=5)]
    if trained_now:
        losses.append(Series("now", now.losses, WITH, x=torch.arange(1, len(now.losses) + 1), width=2))
        farther.append(Series(f"now, after step {last}", now.excess[-1], WITH, width=2))
    left = figures.lines(
        losses,
        x=torch.arange(1, shipped.steps + 1),
        title=f"Recall within {LENGTH} tokens: the training loss",
        x_title="training step",
        y_title="loss in nats",
        x_range=(0, shipped.steps),
        y_range=(0, 2.6),
        height=280,
    )
    right = figures.lines(
        farther,
        x=place,
        title="Recall farther on",
        x_title="position",
        y_title="loss in nats",
        x_range=(0, FAR),
        y_range=(-0.25, 6.5),
        levels={"knowing nothing": (NOTHING, INK)},
        height=280,
    )
    shade(right, 0, LENGTH)
    near, far = (
        number(float(part.mean()), 2) for part in (now.excess[-1][: LENGTH // BIN], now.excess[-1][-LENGTH // BIN :])
    )
    text = (
        f"{SAYS[encoding][0].upper()}{SAYS[encoding][1:]}, seed {seed}: after step {last} it loses {near} nats within {LENGTH} tokens and "
        f"{far} at the last {LENGTH} of {FAR} (knowing nothing: {number(NOTHING, 2)})."
    )
    return Frame((left, right), f"{text} {_comparison(shipped, now) if trained_now else PROMISE}")


def _comparison(shipped: training.Progress, now: training.Progress) -> str:
    """Whether a run is the shipped one; judged by every step so far."""
    n = len(now.losses)
    if torch.allclose(now.losses, shipped.losses[:n], rtol=AS_SHIPPED, atol=0):
        return f"{'So far it' if now.done < 1 else 'It'} is the shipped curve."
    alike = math.isclose(float(now.excess[-1].mean()), float(shipped.excess[-1].mean()), rel_tol=0.5, abs_tol=0.1)
    if now.done < 1 or alike:
        return "It is not the shipped curve to the last digit: this processor adds in another order."
    return "It ends elsewhere than the shipped run: this processor adds in another order, and training amplifies it."


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return length_frames("whole")[-1]
