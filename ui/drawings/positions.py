"""Question 13: the same words in two orders; what a mask tells; sinusoids and RoPE at an offset; which features RoPE turns."""

import unicodedata
from copy import copy
from itertools import accumulate

import numpy as np

from core.experiments import positions
from core.experiments.positions import DEPTHS, ORDER, REACH, ROUNDING, SENTENCE, START, STARTS, STORY, D, Orders, Scheme
from core.ops.positions import halves_order
from core.ops.words import JOINERS
from core.say import number
from ui import figures
from ui.drawings import corners
from ui.figures import Box, Figure, Frame, Label, Path, Series, escape, numbers
from ui.palette import MASKED, OCHRE, ROSE, SIGNED, VALUE, WITH, WITHOUT

SCHEMES: dict[Scheme, str] = {
    "none": "none",
    "sinusoidal": "sinusoids",
    "learned": "learned table",
    "rope": "RoPE",
    "alibi": "ALiBi",
}
IN_WORDS: dict[Scheme, str] = {**SCHEMES, "none": "no positions", "learned": "a learned table"}
HERO = 290  # pixels: question, prediction and hero fit one screen
ROW = 16  # pixels that a row of the hero needs at least: twelve words make the picture higher
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


def rest(value: float) -> str:
    """A difference of which nothing, rounding or something is left."""
    if value == 0:
        return "exactly 0"
    return number(value, 2) + (", which is rounding" if value <= ROUNDING else "")


# ------------------------------------------------------------------------------------------------ two orders

MATRIX = 0.66  # of the figure's width; arcs and Δ have the rest, also on a phone
GAP = 0.6  # between two blocks of rows, in rows
TITLE = "Each word’s output in both orders, then the mean over the words; Δ: largest difference along the arcs"


def arc(top: float, bottom: float, most: float) -> tuple[np.ndarray, np.ndarray]:
    """Half an ellipse on the right of the rows, from one to another; over `most` rows it reaches out farthest, by 1."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 25)
    reach = 0.15 + 0.85 * abs(bottom - top) / most
    return reach * np.cos(angle), (top + bottom) / 2 + (bottom - top) / 2 * np.sin(angle)


def orders_figure(both: Orders) -> Figure:
    """Each word's output as a row of colours, in both orders, and both means; arcs join what is compared.

    One range of colours for all rows of a scheme. Grey: nothing differs; in the accent: something does.
    """
    n = len(both.words)
    means = [positions.pool(both.first), positions.pool(both.second)]
    z = np.full((2 * n + 4, D), np.nan, np.float32)
    z[:n], z[n + 1 : 2 * n + 1] = numbers(both.first), numbers(both.second)
    z[2 * n + 2 :] = [numbers(mean) for mean in means]
    names = [*both.words, "", *both.order, "", "mean", "mean"]
    labels = [short(name) for name in names]
    shown = [i for i, name in enumerate(names) if name]
    edges = np.cumsum([0.0, *(1.0 if name else GAP for name in names)])
    middle = (edges[1:] + edges[:-1]) / 2
    limit = float(np.nanmax(np.abs(z)))
    figure = figures.heatmap(
        z,
        rows=labels,
        columns=[str(i) for i in range(D)],
        title=TITLE,
        colours=SIGNED,
        limits=(-limit, limit),
        row_title="",
        column_title="",
        height=max(HERO, round(ROW * edges[-1]) + 66),
    )
    heat = figure["data"][0]
    heat |= {"y": numbers(edges), "x": numbers(np.arange(D + 1) - 0.5)}
    heat["hovertemplate"] = "feature %{x}: %{z:.3g}<extra></extra>"
    del heat["customdata"]
    heat["colorbar"] |= {
        "orientation": "h",
        "x": 0,
        "xanchor": "left",
        "y": -0.01,
        "yanchor": "top",
        "len": MATRIX,
        "thickness": 8,
        "title": {"text": f"{D} features of the output", "side": "bottom"},
    }
    figure.lay_out(
        margin={"l": 72, "r": 14, "t": 10, "b": 56},
        xaxis={"domain": [0, MATRIX], "showticklabels": False, "ticks": "", "showline": False},
        xaxis2={"domain": [MATRIX + 0.01, 1], "range": [0, 2.4], "visible": False, "anchor": "y", "fixedrange": True},
        yaxis={
            # Ticks that are not seen keep the names off the cells.
            "ticks": "outside",
            "ticklen": 5,
            "tickcolor": "rgba(0,0,0,0)",
            "autorange": False,
            "range": [float(edges[-1]), 0.0],
            "tickvals": [float(middle[i]) for i in shown],
            "ticktext": [escape(labels[i]) for i in shown],
            "showline": False,
        },
    )
    joined = [(i, n + 1 + int(place), f"“{both.words[i]}”") for i, place in enumerate(both.place)]
    joined.append((2 * n + 2, 2 * n + 3, "the means"))
    for (above, below, name), apart in zip(joined, [*both.by_word.tolist(), both.pooled], strict=True):
        x, y = arc(float(middle[above]), float(middle[below]), 2 * n + GAP)
        figure.trace(
            "scatter",
            x=numbers(x),
            y=numbers(y),
            xaxis="x2",
            mode="lines",
            line={"color": told(apart), "width": 2.5 if n <= 6 else 1.5},
            hoverinfo="text",
            text=escape(f"{name}: Δ = {number(apart, 2)}"),
        )
    for (first, last), apart in (((0, 2 * n), both.largest), ((2 * n + 2, 2 * n + 3), both.pooled)):
        top, bottom = float(middle[first]), float(middle[last])
        figure.note(
            f"Δ = {number(apart, 2)}",
            x=float(arc(top, bottom, 2 * n + GAP)[0].max()) + 0.1,
            xref="x2",
            y=(top + bottom) / 2,
            xanchor="left",
            font={"size": 16, "color": told(apart)},
        )
    orders = ["1st" if i < n or i == 2 * n + 2 else "2nd" for i in range(len(names))]
    figure.tabulate(
        ["order", "output at", *(f"feature {i}" for i in range(D))],
        [[orders[i], names[i], *z[i].tolist()] for i in shown],
    )
    return figure


def told(apart: float) -> str:
    """The colour of a difference: in the accent where there is one."""
    return WITH if apart > ROUNDING else WITHOUT


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
    layers=(2, 1, 4),
    seed=SEEDS,
)
def order_frames(sentences: tuple[str, str], layers: int, seed: int) -> list[Frame]:
    """One frame for each way to put positions in: both orders' outputs, and what differs."""
    measured = {scheme: positions.two_orders(*sentences, scheme, layers, seed) for scheme in SCHEMES}
    return [Frame((orders_figure(both),), order_reading(scheme, both)) for scheme, both in measured.items()]


def order_reading(scheme: Scheme, both: Orders) -> str:
    if both.order == both.words:
        if len(set(both.words)) == 1:
            return "All words are the same, so there is no other order, and nothing can differ. Write different words."
        also = " (which reads the same backwards)" if both.reversed else ""
        return f"Both boxes hold the same order{also}, so nothing differs. Write the words in another order."
    if scheme == "none":
        largest, mean = rest(both.largest), rest(both.pooled)
        return (
            f"Without positions rows only swap places (Δ is {largest}): no row hints at who stood where, nor does the mean"
            f"{'' if largest == mean else f' (Δ is {mean})'}. Choose a way to tell the positions."
        )
    if both.largest <= ROUNDING:
        other = (
            "Write three words: two can only be turned around."
            if len(both.words) == 2
            else "Try an order that is not the first read backwards."
        )
        return (
            f"{SCHEMES[scheme]}, here symmetric as encoders use it, adds distances |i − j| and no direction, and backwards these "
            f"stay as they are: Δ is {rest(both.largest)}, as without positions. {other}"
        )
    return (
        f"With {IN_WORDS[scheme]} the orders differ: the output at a word by up to Δ = {number(both.largest, 2)}, the mean by "
        f"{number(both.pooled, 2)}. That it differs counts, not how much: the weights are random."
    )


# ------------------------------------------------------------------------------------------------ a causal mask alone


@corners(
    story=(STORY, "on off end", "no no no yes no", "a b c a", TWELVE, "a a a a a a a a a a b c"),
    order_seed=(3, 0, 99),
    seed=SEEDS,
)
def prefix_frames(story: str, order_seed: int, seed: int) -> list[Frame]:
    """How far each word's output moves when all words before the last are shuffled, layer by layer."""
    seen = positions.shuffled_prefix(story, order_seed, seed)
    change = numbers(seen.change)
    chart = figures.heatmap(
        change,
        rows=[str(depth) for depth in DEPTHS],
        columns=[short(word) for word in seen.words],
        row_names=[str(depth) for depth in DEPTHS],
        column_names=list(seen.words),
        title="How far each word’s output moves (×: not at all)",
        row_title="layers",
        column_title="each word, wherever it now stands; all but the last were shuffled",
        limits=(0.0, float(change.max())),
        hatched=change <= ROUNDING,
        hatch_name="not at all",
        text=".2g",
        height=260,
    )
    return [Frame((chart,), prefix_reading(seen))]


def prefix_reading(seen: positions.Prefix) -> str:
    last = seen.change[:, -1].tolist()
    blind, most = rest(last[0]), number(max(last[1:]), 2)
    return (
        f"Before “{seen.words[-1]}” stands “{' '.join(seen.shuffled[:-1])}” instead: one layer’s output there moves by {blind}, "
        f"since it adds up the same keys. With more layers it moves by up to {most}: the words before it had seen other words "
        "before them."
    )


@corners(story=(STORY, "on off end", TWELVE))
def counting_frames(story: str) -> list[Frame]:
    """A head that averages evenly and whose value marks the start token, which stands before the story."""
    words = [START, *story.split()]
    last = len(words) - 1
    causal, full = (positions.counting_head(words, mask) for mask in (True, False))
    return [
        Frame(
            (
                figures.lines(
                    [Series("causal mask", causal, WITH, markers=True), Series("no mask", full, WITHOUT, "dash")],
                    x=range(last + 1),
                    title=f"A head that averages evenly; its value is 1 at the start token {START}, else 0",
                    x_title=f"position t ({START} stands at 0)",
                    y_title="what the head reads",
                    y_range=(0, 1.05),
                    height=260,
                ),
            ),
            f"Under the causal mask the head reads 1/(t + 1), down to {number(float(causal[-1]), 2)} at t = {last}, another number "
            "at each place: it counts. "
            f"Without a mask it reads {number(float(full[0]), 2)} everywhere.",
        )
    ]


# ------------------------------------------------------------------------------------------------ sinusoids and RoPE


@corners(width=(64, 8, 16, 24, 512), seed=SEEDS)
def offset_frames(width: int, seed: int) -> list[Frame]:
    """One frame for each position p: where it cuts the waves, and the scores of the positions around it."""
    seen, drawn = positions.pattern(width, seed), positions.waves(width)
    shared = waves_figure(drawn, width)
    scores = (seen.raw, seen.projected, seen.turned)
    low, high = min(float(s.min()) for s in scores), max(float(s.max()) for s in scores)
    return [
        Frame(
            (
                cut(shared, drawn, p),
                figures.lines(
                    [
                        Series("the sinusoids themselves", seen.raw[i], WITHOUT),
                        Series("after W_Q and W_K", seen.projected[i], OCHRE),
                        Series(f"after W_Q and W_K, p = {STARTS[0]}", seen.projected[0], OCHRE, "dot", width=2.0),
                        Series("RoPE", seen.turned[i], WITH),
                    ],
                    x=seen.offsets,
                    title=f"Scores of the positions around p = {p}",
                    x_title="offset k",
                    y_title="score of p and p + k, ÷ (d/2)",
                    x_range=(-REACH, REACH),
                    y_range=(low - 0.1 * (high - low), high + 0.1 * (high - low)),
                    height=360,
                ),
            ),
            offset_reading(p, seen.moved(i)),
        )
        for i, p in enumerate(STARTS)
    ]


def waves_figure(drawn: positions.Waves, width: int) -> Figure:
    """A few pairs, the fastest on top, each as its sine, one below the other."""
    n = len(drawn.pairs)
    shift, sines = shifts(n), numbers(drawn.sines)
    labels = [f"pair {int(i)}" for i in drawn.pairs]
    figure = figures.lines(
        [Series(f"{labels[i]}, sine", sines[i] + shift[i], WITHOUT, width=1.6) for i in range(n)],
        x=drawn.places,
        title=f"{'All' if n == width // 2 else f'{n} of the'} {width // 2} pairs of features: the sine, and how long a wave is",
        x_title="position",
        y_title="",
        x_range=(0, float(drawn.places[-1])),
        y_range=(float(shift[-1]) - 1.4, 1.4),
        height=360,
    )
    figure.lay_out(
        showlegend=False,
        margin={"l": 112},
        yaxis={
            "tickvals": shift.tolist(),
            "ticktext": [
                f"{name}<br>{number(float(w), 2)} positions" for name, w in zip(labels, drawn.lengths, strict=True)
            ],
            "showgrid": False,
        },
    )
    figure.tabulate(
        ["pair", "wavelength in positions", "position", "sine"],
        [
            [int(pair), float(length), float(place), float(value)]
            for pair, length, sines in zip(drawn.pairs, drawn.lengths, drawn.sines, strict=True)
            for place, value in zip(drawn.places[::12], sines[::12], strict=True)
        ],
    )
    return figure


def shifts(n: int) -> np.ndarray:
    """How far below the first wave each of n waves is drawn."""
    return -2.6 * np.arange(n)


def cut(figure: Figure, drawn: positions.Waves, p: int) -> Figure:
    """The same waves, and where position p cuts them. What all positions share is not copied."""
    at, n = int((drawn.places - p).abs().argmin()), len(drawn.pairs)
    other = copy(figure)
    other.update(data=[*figure["data"]], layout={**figure["layout"]})
    other.shape(type="line", x0=p, x1=p, y0=0, y1=1, yref="paper", line={"color": WITH, "width": 2, "dash": "dot"})
    other.trace(
        "scatter",
        x=numbers([p] * n),
        y=numbers(drawn.sines[:, at]) + numbers(shifts(n)),
        name=f"position {p}: its sines",
        mode="markers",
        marker={"color": WITH, "size": 9},
    )
    return other


def offset_reading(p: int, moved: tuple[float, float, float]) -> str:
    if p == STARTS[0]:
        return (
            f"Move p: the sinusoids’ own curve and RoPE’s stay where they are at p = {p}, and the one after W_Q and W_K leaves its "
            "dotted place."
        )
    raw, projected, turned = moved

    def stays(by: float) -> str:
        return "exactly" if by == 0 else f"up to {'rounding, ' if by <= ROUNDING else ''}{number(by, 2)}"

    return (
        f"Move p: the sinusoids’ own curve stays where it is at p = {STARTS[0]} ({stays(raw)}), and so does RoPE’s "
        f"({stays(turned)}). The one after W_Q and W_K has left its dotted place, at p = {p} by up to {number(projected, 2)}."
    )


# ------------------------------------------------------------------------------------------------ neighbours or halves

CODES = ("neighbours", "mixed", "converted")
CODE_NAMES = ("neighbours", "halves, columns as they were", "halves, columns reordered")
PAIR_WIDTH = 8  # of the head that is drawn
PAIR_COLOURS = (ROSE, OCHRE, VALUE, WITHOUT)


@corners(seed=SEEDS)
def pairing_frames(seed: int) -> list[Frame]:
    """One frame for each code: which columns it turns together, and the scores that come out."""
    seen = positions.pairings(PAIR_WIDTH, seed)
    right = seen.neighbours[-1].flip(0)
    top = 1.15 * max(float(getattr(seen, code)[-1].abs().max()) for code in CODES)
    return [
        Frame(
            (
                columns_figure(code),
                figures.lines(
                    [
                        Series("made for neighbours", right, WITHOUT, width=6.0),
                        Series("this code", getattr(seen, code)[-1].flip(0), WITH, markers=True),
                    ],
                    x=range(len(right)),
                    title="Scores of the last of 16 words, with itself and each word before it",
                    x_title="words back",
                    y_title="score",
                    y_range=(-top, top),
                    height=280,
                ),
            ),
            pairing_reading(code, float((getattr(seen, code) - seen.neighbours)[-1].abs().max())),
        )
        for code in CODES
    ]


def columns_figure(code: str) -> Figure:
    """The columns of W_Q and W_K, with the pair that each was made for, and arcs over those that are turned together."""
    half = PAIR_WIDTH // 2
    order = halves_order(PAIR_WIDTH).tolist() if code == "converted" else list(range(PAIR_WIDTH))
    turned = [(2 * i, 2 * i + 1) if code == "neighbours" else (i, i + half) for i in range(half)]
    parts: list[Box | Path | Label] = []
    for column in range(PAIR_WIDTH):  # a part is a column, wherever it stands: it slides from frame to frame
        colour = PAIR_COLOURS[column // 2]
        name = "abcd"[column // 2] + "₁₂"[column % 2]
        parts.append(Box(order.index(column) + 0.08, 0.0, 0.84, 0.8, name, colour, 0.3))
    for left, right in turned:
        fits = order[left] // 2 == order[right] // 2
        angle = np.linspace(np.pi, 0, 17)
        wide = (right - left) / 2
        points = [(left + 0.5 + wide + wide * float(np.cos(a)), 0.9 + 0.42 * wide * float(np.sin(a))) for a in angle]
        parts.append(Path(tuple(points), WITH if fits else MASKED, 3.0, "solid" if fits else "dot"))
    words = "each with its partner" if code != "mixed" else "none with its partner"
    parts.append(Label(PAIR_WIDTH / 2, 2.25, f"turned together: {words}"))
    parts.append(Label(PAIR_WIDTH / 2, -0.35, "columns of W_Q and W_K; a₁ and a₂ were made to be partners"))
    return figures.diagram(
        parts,
        title="Which columns of a head of width 8 RoPE turns together",
        x_range=(-0.2, PAIR_WIDTH + 0.2),
        y_range=(-0.7, 2.6),
        height=280,
        moves=True,
    )


def pairing_reading(code: str, off: float) -> str:
    if code == "neighbours":
        return "The weights were made for code that turns neighbours: these are the scores that are meant."
    if code == "mixed":
        return (
            "Code that turns halves takes weights made for neighbours without an error, and the scores are off by up to "
            f"{number(off, 2)}: no column is turned with its partner."
        )
    return (
        f"Code that turns halves is as right: with the columns of W_Q and W_K reordered alike, partners meet again, and the "
        "scores are those that are meant, "
        f"{'exactly' if off == 0 else f'up to rounding ({number(off, 2)})'}."
    )


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return order_frames((SENTENCE, ORDER), 2, 0)[list(SCHEMES).index("none")]
