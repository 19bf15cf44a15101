"""Question 9: a padded batch and what pads do to it; columns or rows; left or right; four conventions; what pads cost."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch

from core.experiments import padding
from core.experiments.padding import (
    BATCHINGS,
    DENOMINATORS,
    EXTRA,
    SETUPS,
    Batch,
    Batching,
    Empty,
    Masked,
    Pad,
    Scheme,
    Way,
    tokens,
)
from core.say import NO_BREAK, count, number, percent
from ui import figures
from ui.drawings import corners
from ui.drawings.masking import columns, labelled, letters, shown
from ui.figures import Figure, Frame, Series
from ui.palette import INK, KEY, MASKED, OCHRE, ROSE, WITH, WITHOUT, faded

FIRST, SECOND, THIRD = padding.SENTENCES
PAD_NAMES: dict[Pad, str] = {"zeros": "zeros", "own": "its own vector"}
PAD_HELP = (
    "What stands in a pad’s place: a vector of zeros, whose key and value are zeros too where there are no biases; or a vector of its own, "
    "as an embedding of [PAD] has. Neither gets a position here. The figures show one head of random weights without biases."
)
HERO = 290  # pixels: question, prediction and hero fit one screen
PAD_WIDE, ROOM, GAP = 2.0, 48.0, 0.35  # in letters: a pad's box, all that there is room for, and between boxes
STRIP = 0.7  # of the width, for the weights; the rest says what goes to pads
MOST_LETTERS = 9
STEP = 0.25  # of P, between the points of a law's curve

SENTENCES = (
    FIRST,
    "no",
    "a b c d e f g h",
    "no no no no",
    "👩‍👩‍👧 🇫🇷🇫🇷🇫🇷🇫🇷🇫🇷🇫🇷 naïveté",
    "<b>&amp;</b> supercalifragilistic a b c d e f",
)
SEEDS = (0, 9999)


# ------------------------------------------------------------------------------------------------ the batch


@corners(first=SENTENCES, second=(SECOND, FIRST, "no"), third=(THIRD, FIRST, "no"), pad=tuple(PAD_NAMES), seed=SEEDS)
def batch_frames(first: str, second: str, third: str, pad: Pad, seed: int) -> list[Frame]:
    """One frame for each number of pads: the batch with the weights of each last word, and how far outputs are off."""
    made = [padding.padded((first, second, third), extra, pad, seed) for extra in EXTRA]
    laws = [
        padding.law(sentence, torch.arange(0, max(made[-1].pads) + 0.1, STEP), pad, seed)[:, -1]
        for sentence in (first, second, third)
    ]
    return [
        Frame((batch_picture(one, made[-1]), difference_chart(one, made, laws, pad)), batch_reading(one, pad))
        for one in made
    ]


def cut(words: Sequence[str], room: int) -> list[str]:
    """The words with no more than so many letters; readings and the CSV give them in full.

    >>> cut(["the", "supercalifragilistic"], 5)
    ['the', 'supe…']
    """
    seen = [letters(word) for word in words]
    return ["".join(each) if len(each) <= room else "".join(each[: room - 1]) + "…" for each in seen]


def columns_of(last: Batch) -> tuple[list[list[str]], np.ndarray]:
    """The words as they fit, and where the columns begin and end: as wide as their longest word, in letters."""
    n, longest = last.keep.shape[1], max(map(len, last.words))
    for room in range(MOST_LETTERS, 1, -1):
        said = [cut(words, room) for words in last.words]
        wide = [max(len(letters(row[j])) for row in said if j < len(row)) + 1.6 for j in range(longest)]
        wide = [max(one, PAD_WIDE) for one in wide] + [PAD_WIDE] * (n - longest)
        if sum(wide) <= ROOM:
            break
    return said, np.concatenate([[0.0], np.cumsum(wide)])


def outlines(boxes: Sequence[tuple[float, float, float, float]]) -> dict[str, np.ndarray]:
    """Rectangles (left, right, bottom, top) as one line with gaps."""
    x = [v for a, b, _, _ in boxes for v in (a, b, b, a, a, math.nan)]
    y = [v for _, _, c, d in boxes for v in (c, c, d, d, c, math.nan)]
    return {"x": figures.numbers(x), "y": figures.numbers(y)}


def batch_picture(one: Batch, last: Batch) -> Figure:
    """Solid boxes are words, dashed ones pads, each with its entry of the keep-mask; under each sentence the weights of its
    last word as two strips of length 1, without a mask and with the pads masked as keys, and the pads' share in per cent."""
    said, edges = columns_of(last)
    rows, n = one.keep.shape
    end = float(edges[-1]) - GAP
    figure = Figure("Keep-mask 1 or 0; below, each last word’s weight on pads", "", "", HERO)
    keep = one.keep.numpy()
    words: list[tuple[float, float, float, float]] = []
    pads: list[tuple[float, float, float, float]] = []
    for b, j in np.ndindex(rows, n):
        low = rows - 1 - b
        box = (float(edges[j]), float(edges[j + 1]) - GAP, low + 0.55, low + (0.97 if keep[b, j] else 0.77))
        (words if keep[b, j] else pads).append(box)
    strips: dict[str, list[tuple[float, float, float, float]]] = {"free": [], "lost": [], "masked": []}
    notes, hints = [], []
    for b, each in enumerate(one.words):
        low = rows - 1 - b
        for name, weights, bottom in (("free", one.weights[b], low + 0.29), ("masked", one.masked[b], low + 0.05)):
            ends = (STRIP * end * np.concatenate([[0.0], weights.cumsum(0).numpy()])).tolist()
            strips[name] += [(ends[j], ends[j + 1], bottom, bottom + 0.2) for j in range(len(each))]
            hints += [
                ((ends[j] + ends[j + 1]) / 2, bottom + 0.1, f"{figures.escape(word)}: {shown(float(weights[j]))}")
                for j, word in enumerate(each)
            ]
            to_pads = float(weights[len(each) :].sum())
            if to_pads and name == "free":
                strips["lost"].append((ends[len(each)], STRIP * end, bottom, bottom + 0.2))
            notes.append((bottom + 0.1, f"{'no mask' if name == 'free' else 'masked'}: {percent(to_pads)}"))
    solid, dashed = {"color": INK, "width": 1.5}, {"color": MASKED, "width": 1.5, "dash": "3px,2px"}
    for name, parts, line in (("word: keep 1", words, solid), ("pad: keep 0", pads, dashed)):
        figure.trace("scatter", **outlines(parts), mode="lines", name=name, line=line, hoverinfo="skip")
    for name, colour in (("free", WITHOUT), ("masked", WITH)):
        figure.trace(
            "scatter",
            **outlines(strips[name]),
            mode="lines",
            fill="toself",
            fillcolor=faded(colour, 0.4),
            line={"color": faded(colour, 0.6), "width": 1},
            name="weights without a mask" if name == "free" else "weights with the pads masked",
            hoverinfo="skip",
        )
    figure.trace(
        "scatter",
        **outlines(strips["lost"]),
        mode="lines",
        name="weight that goes to pads",
        line={**dashed, "color": WITHOUT},
        hoverinfo="skip",
    )
    middle = (edges[:-1] + edges[1:] - GAP) / 2
    places = list(np.ndindex(rows, n))
    real, filled = ([(b, j) for b, j in places if keep[b, j] == kept] for kept in (True, False))
    first = [(b, len(each)) for b, each in enumerate(one.words) if len(each) < n]
    for at, x, texts, up, size in (
        (real, middle, [said[b][j] for b, j in real], 0.83, 12),
        (real, middle, ["1"] * len(real), 0.66, 12),
        (first, edges, ["pads" if n - j > 1 else "pad" for _, j in first], 0.87, 12),
        (filled, middle, ["0"] * len(filled), 0.66, 11),
    ):
        figure.trace(
            "scatter",
            x=figures.numbers([x[j] for _, j in at]),
            y=figures.numbers([rows - 1 - b + up for b, _ in at]),
            mode="text",
            textposition="middle right" if at is first else "middle center",
            text=[figures.escape(text) for text in texts],
            textfont={"color": INK, "size": size},
            hoverinfo="skip",
        )
    figure.trace(
        "scatter",
        x=figures.numbers([STRIP * end + 0.4] * len(notes)),
        y=figures.numbers([y for y, _ in notes]),
        mode="text",
        text=[text for _, text in notes],
        textposition="middle right",
        textfont={"color": INK, "size": 12},
        hoverinfo="skip",
    )
    figure.trace(
        "scatter",
        x=figures.numbers([x for x, _, _ in hints]),
        y=figures.numbers([y for _, y, _ in hints]),
        mode="markers",
        marker={"opacity": 0, "size": 14, "color": INK},
        text=[text for _, _, text in hints],
        hoverinfo="text",
    )
    plain = {"visible": False, "fixedrange": True}
    figure.lay_out(
        showlegend=False,
        xaxis={**plain, "range": [-0.2, end + 0.2]},
        yaxis={**plain, "range": [0, rows]},
        margin={"l": 2, "r": 2, "t": 6, "b": 4},
    )
    figure.tabulate(
        [
            "sentence",
            "token",
            "keep",
            "weight without a mask",
            "weight with the pads masked",
            "difference without a mask",
            "with the pads masked",
        ],
        [
            [
                b + 1,
                one.words[b][j] if keep[b, j] else "pad",
                int(keep[b, j]),
                float(one.weights[b, j]),
                float(one.masked[b, j]),
                *(float(off[b, j]) if keep[b, j] else None for off in (one.off, one.off_masked)),
            ]
            for b, j in places
        ],
    )
    return figure


def difference_chart(one: Batch, made: Sequence[Batch], laws: Sequence[torch.Tensor], pad: Pad) -> Figure:
    """Of each sentence's last word: measured points on the law without a mask, and points at 0 with the pads masked."""
    figure = Figure(
        "How far each last word’s output is from the sentence run alone",
        "P, pads of the sentence",
        "difference ÷ output alone",
        HERO,
    )
    ends = [len(words) - 1 for words in one.words]
    most = max(made[-1].pads)
    top = max(float(law.max()) for law in laws)
    law_x = np.concatenate([np.append(STEP * np.arange(len(law)), np.nan) for law in laws])
    law_y = np.concatenate([np.append(law.numpy(), np.nan) for law in laws])
    name = "law: weight on pads" if pad == "zeros" else "law with the pad’s own logit"
    line = {"color": INK, "width": 1.5}
    figure.trace("scatter", x=figures.numbers(law_x), y=figures.numbers(law_y), mode="lines", name=name, line=line)

    def points(batches: Sequence[Batch], masked: bool, name: str, size: int) -> None:
        x = [each.pads[b] for b in range(len(ends)) for each in batches]
        off = [
            float((each.off_masked if masked else each.off)[b, end]) for b, end in enumerate(ends) for each in batches
        ]
        colour = WITH if masked else WITHOUT
        figure.trace(
            "scatter",
            x=figures.numbers(x),
            y=figures.numbers(off),
            mode="markers",
            name=name,
            marker={"color": colour, "size": size, "line": {"color": INK, "width": 0 if size < 9 else 1.5}},
            showlegend=size < 9,
            hovertemplate="%{x} pads: %{y:.3g}",
        )

    points(made, False, "no mask", 7)
    points(made, True, "pads masked", 7)
    points([one], False, "no mask, now", 13)
    points([one], True, "pads masked, now", 13)
    figure.trace(
        "scatter",
        x=figures.numbers([most] * len(ends)),
        y=figures.numbers(spread([float(law[-1]) for law in laws], 0.08 * top)),
        mode="text",
        text=[f"{NO_BREAK * 4}…{figures.escape(cut([words[-1]], 7)[0])}" for words in one.words],
        textposition="middle right",
        textfont={"color": INK, "size": 12},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.lay_out(
        xaxis={"range": [-0.6, 1.25 * most + 0.6], "dtick": 4 if most > 8 else 2},
        yaxis={"range": [-0.06 * top, 1.1 * top], "rangemode": "normal"},
        margin={"l": 58, "r": 8, "t": 30, "b": 46},
    )
    figure.tabulate(
        ["sentence", "pads", "difference without a mask", "law", "difference with the pads masked"],
        [
            [
                " ".join(words),
                each.pads[b],
                float(each.off[b, end]),
                float(each.law[b, end]),
                float(each.off_masked[b, end]),
            ]
            for b, (words, end) in enumerate(zip(one.words, ends, strict=True))
            for each in made
        ],
    )
    return figure


def spread(values: Sequence[float], least: float) -> list[float]:
    """The values, those too near to one above pushed down, so that their labels do not touch.

    >>> spread([1.0, 0.5, 0.95], 0.25)
    [1.0, 0.5, 0.75]
    """
    found, below = [0.0] * len(values), math.inf
    for i in sorted(range(len(values)), key=lambda i: -values[i]):
        found[i] = below = min(values[i], below)
        below -= least
    return found


def batch_reading(one: Batch, pad: Pad) -> str:
    length = one.keep.shape[1]
    beside = one.keep & (~one.keep).any(-1, keepdim=True)
    n = int(beside.sum())
    masked = float(one.off_masked[beside if n else one.keep].max())
    exact = "by exactly 0" if masked == 0 else f"by at most {number(masked, 2)}, which is rounding"
    if not n:
        return (
            f"All three sentences have {count(length, 'word')} and nobody needs a pad: in the batch each output differs from the "
            f"sentence alone {exact}."
        )
    off = one.off[beside]
    low, high = percent(float(off.min())), percent(float(off.max()))
    between = f"by {low}" if low == high else f"by {low} to {high}"
    said = ": as much as its weight on pads" if pad == "zeros" else ", as the law with the pads’ own logit says"
    if n > 1 and pad == "zeros":
        said = ": each by its weight on pads"
    words = (
        "the one word beside pads has an output that differs"
        if n == 1
        else f"the outputs of the {n} words beside pads differ"
    )
    return (
        f"Padded to {count(length, 'token')}, {words} from the sentence alone {between} without a mask{said}. With the pads "
        f"masked {'it differs' if n == 1 else 'they differ'} {exact}."
    )


# ------------------------------------------------------------------------------------------------ tables of differences


def table(
    values: Sequence[Sequence[float]],
    *,
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    row_title: str,
    column_title: str,
    plain: int = 0,
    height: int = 340,
) -> Figure:
    """Differences in cells, the darker the farther off, each with its number; what is no number says so.

    So many columns on the right are `plain`: they hold no differences and have no colour.
    """
    z = np.array(values, float)
    drawn = figures.heatmap(
        z, title=title, rows=rows, columns=columns, row_title=row_title, column_title=column_title,
        limits=(0, 1.5), text=".2f", colour_bar=False, height=height,
    )  # fmt: skip
    drawn.lay_out(xaxis={"ticktext": [name.replace(", ", "<br>") for name in columns], "tickangle": 0})
    if plain:
        shades = drawn["data"][0]["z"]
        shades[:, -plain:] = np.where(np.isnan(shades[:, -plain:]), np.nan, 0)
    text = [["" if math.isnan(v) else number(v, 2) for v in line] for line in z.tolist()]
    drawn["data"][0].update(text=text, texttemplate="%{text}")
    drawn.lay_out(meta={"widest": max(len(one) for line in text for one in line)})
    _lost(drawn, z)
    return drawn


def _lost(drawn: Figure, z: np.ndarray) -> None:
    """Cells that are not a number say so."""
    row, column = np.isnan(z).nonzero()
    if len(row):
        place = {"x": figures.numbers(column), "y": figures.numbers(row)}
        drawn.trace("scatter", **place, mode="text", text="NaN", textfont={"color": KEY, "size": 13}, hoverinfo="skip")


def weights_grid(
    weights: torch.Tensor, hidden: torch.Tensor, *, title: str, rows: Sequence[str], columns: Sequence[str],
    names: tuple[Sequence[str], Sequence[str]], row_title: str = figures.ROWS_ASK, height: int = 320,
) -> Figure:  # fmt: skip
    """Weights in cells; what is hidden and exactly 0 is crossed out, what is not a number says so."""
    drawn = figures.heatmap(
        weights, title=title, rows=rows, columns=columns, row_title=row_title, limits=(0, 1),
        hatched=hidden & (weights == 0), hatch_name="hidden: exactly 0", text=".2f", colour_bar=False,
        row_names=names[0], column_names=names[1], height=height,
    )  # fmt: skip
    cells = drawn["data"][0]
    cells.update(
        text=[[figures.escape(shown(v)) for v in line] for line in cells["z"].tolist()], texttemplate="%{text}"
    )
    _lost(drawn, figures.numbers(weights))
    return drawn


def padded_names(sentence: str) -> list[str]:
    return [*labelled(tokens(sentence)), *["pad"] * padding.PADS]


def padded_columns(sentence: str) -> list[str]:
    """The same under cells, or only the positions of words where there is no room."""
    words = tokens(sentence)
    return [*(columns(words) if len(words) < 5 else [str(i) for i in range(len(words))]), *["pad"] * padding.PADS]


# ------------------------------------------------------------------------------------------------ columns or rows

WAYS: dict[Way, str] = {"none": "nothing masked", "rows": "rows", "columns": "columns", "both": "rows and columns"}
EMPTY: dict[Empty, str] = {"written": "as written", "sdpa": "torch SDPA", "lowest": "lowest number"}
EMPTY_HELP = (
    "How a row with nobody to look at is computed: by the softmax as it is written; by torch’s "
    "scaled_dot_product_attention (SDPA); or with the lowest finite number added to the logits in place of −∞."
)


@corners(sentence=(SECOND, *SENTENCES), empty=tuple(EMPTY), seed=SEEDS)
def ways_frames(sentence: str, empty: Empty, seed: int) -> list[Frame]:
    made = {way: padding.mask_as(way, empty, sentence, seed) for way in WAYS}
    names = padded_names(sentence)
    grids = [
        weights_grid(
            made[way].weights, ~made[way].seen, title=f"Pads masked as {WAYS[way]}", rows=names, columns=padded_columns(sentence),
            names=(names, names),
        )
        for way in ("rows", "columns", "both")
    ]  # fmt: skip
    values = [[*one.off.tolist(), one.pads] for one in made.values()]
    told = table(
        values,
        title="What comes out, farthest word",
        rows=list(WAYS.values()),
        columns=["words, layer 1", "words, layer 2", "pads, size"],
        row_title="masked",
        column_title="words: difference from alone; pads: largest output",
        plain=1,
        height=320,
    )
    return [Frame((*grids, told), ways_reading(made, empty))]


def alike(off: float) -> str:
    """How near the farthest word is to its sentence alone.

    >>> alike(0.0), alike(3.1e-16)
    ('exactly as alone', 'within 3.1·10⁻¹⁶ of its sentence alone')
    """
    return f"within {number(off, 2)} of its sentence alone" if off else "exactly as alone"


def ways_reading(made: dict[Way, Masked], empty: Empty) -> str:
    right, only, both = made["columns"], made["rows"], made["both"]
    start = (
        f"With the pads’ columns masked, each word is {alike(float(right.off.max()))}; with rows only the farthest is "
        f"{percent(float(only.off[0]))} off after one layer, as without a mask. Rows as well "
    )
    if empty == "written":
        return start + "bring the words nothing, make the pads NaN, and one layer later every word."
    if empty == "sdpa":
        return start + "change nothing for the words; torch gives the pads an output of exactly 0."
    return (
        start
        + f"change nothing for the words; the pads get a plain average over words and pads, up to {number(both.pads, 2)}."
    )


# ------------------------------------------------------------------------------------------------ left or right

SIDES = (
    "right, no mask",
    "right, mask",
    "left, nothing",
    "left, position ids",
    "left, mask",
    "left, mask and position ids",
    "left, mask, position ids, plain softmax",
    "right, mask, read at the last place",
)
ADDED: dict[Scheme, str] = {"table": "a learned table", "sinusoidal": "sinusoids"}


@corners(sentence=(SECOND, *SENTENCES), scheme=tuple(ADDED), seed=SEEDS)
def sides_frames(sentence: str, scheme: Scheme, seed: int) -> list[Frame]:
    values = [
        [padding.side(setup, causal, way, sentence, seed) for way in (scheme, "rope") for causal in (True, False)]
        for setup in SETUPS
    ]
    drawn = table(
        values,
        title=f"Farthest word from its sentence alone, {padding.PADS} pads",
        rows=SIDES,
        columns=[f"{name}, {order}" for name in ("added", "RoPE") for order in ("causal", "not causal")],
        row_title="pads, and what is done",
        column_title="positions and mask of the small model",
        height=390,
    )
    return [Frame((drawn,), sides_reading(values, len(tokens(sentence))))]


def sides_reading(values: list[list[float]], words: int) -> str:
    right, shifted = max(values[0][0], values[0][2]), max(values[4][:2])
    full, rope = max(values[5][:2]), max(values[4][2:])
    word = "the word is" if words == 1 else "words are"
    return (
        f"Behind a causal mask pads on the right need no mask (off by {number(right, 2)}). With pads on the left and added positions "
        f"{word} up to {percent(shifted)} off by the mask alone, {number(full, 2)} with position ids too and RoPE {number(rope, 2)} "
        "by the mask alone; but on the left behind a causal mask the plain softmax makes each word NaN."
    )


# ------------------------------------------------------------------------------------------------ four conventions

NAMES = (  # a convention, what it wants, and the usual slip
    ("nn.MultiheadAttention", "True = pad", "True = word"),
    ("torch SDPA, bool", "True = word", "True = pad"),
    ("torch SDPA, float", "0 or −∞, added", "1 or 0, added"),
    ("Hugging Face", "1 = word", "1 = pad"),
)


@corners(sentence=(SECOND, *SENTENCES), pad=tuple(PAD_NAMES), seed=SEEDS)
def convention_frames(sentence: str, pad: Pad, seed: int) -> list[Frame]:
    found = padding.conventions(sentence, seed, pad=pad)
    names, last = padded_names(sentence), tokens(sentence)[-1]
    n = len(tokens(sentence))
    place = torch.arange(n + padding.PADS).expand(4, -1)
    turned = torch.tensor([[True], [True], [False], [True]])  # ones and zeros that are added hide nobody
    grids = [
        weights_grid(
            weights, hidden, title=title, rows=[one for one, _ in labels], columns=padded_columns(sentence),
            names=([f"{one}, {two}" for one, two in labels], names), row_title="handed over as", height=330,
        )
        for title, weights, hidden, labels in (
            (f"As documented: weights of “{figures.escape(cut([last], 8)[0])}”", found.right, place >= n, [(a, b) for a, b, _ in NAMES]),
            ("The usual slip: three of four see only pads", found.wrong, (place < n) & turned, [(a, c) for a, _, c in NAMES]),
        )
    ]  # fmt: skip
    for grid, which in zip(grids, (1, 2), strict=True):
        grid.lay_out(yaxis={"ticktext": [f"{one[0]}<br>{one[which]}" for one in NAMES]})
    told = table(
        torch.stack([found.off_right, found.off_wrong], 1).tolist(),
        title="Farthest word from its sentence alone",
        rows=[one for one, _, _ in NAMES],
        columns=["as documented", "the usual slip"],
        row_title="convention",
        column_title="the mask",
        height=240,
    )
    return [Frame((*grids, told), convention_reading(found, n))]


def convention_reading(found: padding.Conventions, n: int) -> str:
    right, wrong = float(found.off_right.max()), float(found.off_wrong[[0, 1, 3]].max())
    pads = float(found.wrong[2, n:].sum())
    return (
        f"One keep-mask, handed over as documented, gives four times the same (within {number(right, 2)}). Turned round, all the "
        f"weight goes to pads and outputs are up to {percent(wrong)} off; ones and zeros, added, leave the pads {percent(pads)} of it."
    )


# ------------------------------------------------------------------------------------------------ what pads cost

KINDS: dict[Batching, str] = {
    "padded": "padded",
    "bucketed": "in buckets",
    "packed": "packed",
    "skipped": "variable-length kernel",
}
LENGTHS = ((512, 64, 32, 16), (1, 1), (7, 7, 7), (2048,) * 16, (1, 2048), (300, 299, 2, 1, 1))


@corners(lengths=LENGTHS, size=(2, 1, 8))
def waste_frames(lengths: tuple[int, ...], size: int) -> list[Frame]:
    """One frame for each way: the rows as they are stored, and how much of tokens and pairs is real in all four."""
    costs = {how: padding.cost(lengths, how, size) for how in BATCHINGS}
    real = [[one.real / one.slots for one in costs.values()], [one.pairs / one.scores for one in costs.values()]]
    shares = figures.bars(
        [Series("tokens", real[0], WITH), Series("pairs of tokens", real[1], OCHRE)],
        labels=[name.replace(" ", "<br>", 1) for name in KINDS.values()],
        names=list(KINDS.values()),
        title="What is real of what is computed",
        x_title="batch",
        y_title="share",
        y_range=(0, 1.15),
        height=330,
    )
    for bars, values in zip(shares["data"], real, strict=True):
        bars.update(
            text=[percent(v) for v in values], textposition="outside", textfont={"color": INK, "size": 10}, textangle=0
        )
    return [
        Frame((rows_picture(how, one, max(lengths)), shares), waste_reading(how, one, size))
        for how, one in costs.items()
    ]


def rows_picture(how: Batching, one: padding.Cost, longest: int) -> Figure:
    """The rows to scale, with the sequences in them; what is left over are pads."""
    figure = Figure(f"The batch, {KINDS[how]}: {one.slots:,} places", "tokens", "sequence, as stored", 330)
    rows = [(row, max(map(sum, batch))) for batch in one.batches for row in batch]
    real: list[tuple[float, float, int]] = []
    pads: list[tuple[float, float, int]] = []
    for i, (row, wide) in enumerate(rows):
        ends = np.cumsum([0, *row]).tolist()
        real += [(a, b, i) for a, b in itertools.pairwise(ends)]
        pads += [(ends[-1], wide, i)] if wide > ends[-1] else []
    for name, parts, colour, dash in (("tokens", real, WITH, "solid"), ("pads", pads, MASKED, "dash")):
        x = [v for a, b, _ in parts for v in (a, b, b, a, a, math.nan)]
        y = [v for _, _, i in parts for v in (i - 0.4, i - 0.4, i + 0.4, i + 0.4, i - 0.4, math.nan)]
        figure.trace(
            "scatter",
            x=figures.numbers(x),
            y=figures.numbers(y),
            mode="lines",
            fill="toself",
            fillcolor=faded(colour, 0.35 if name == "tokens" else 0.06),
            line={"color": colour, "width": 1.5, "dash": dash},
            name=name,
            hoverinfo="skip",
        )
    figure.lay_out(
        showlegend=True,
        xaxis={"range": [-0.01 * longest, 1.02 * longest]},
        yaxis={
            "range": [len(rows) - 0.4, -0.6],
            "tickvals": list(range(len(rows))),
            "ticktext": [str(i + 1) for i in range(len(rows))],
        },
    )
    figure.tabulate(
        ["sequence, as stored", "tokens", "pads"],
        [[i + 1, sum(row), wide - sum(row)] for i, (row, wide) in enumerate(rows)],
    )
    return figure


def waste_reading(how: Batching, one: padding.Cost, size: int) -> str:
    places, scores = one.real / one.slots, one.pairs / one.scores
    ways = {
        "padded": "Padded to the longest",
        "bucketed": f"In buckets of {size}, sorted by length",
        "packed": "Packed into sequences as long as the longest",
        "skipped": "End to end, for a kernel that skips what is between sequences",
    }
    if places == scores == 1:
        return f"{ways[how]}, nothing is wasted: every place is a token and every score a pair of one sequence."
    rest = "" if how != "packed" else " The mask hides the other pairs; only a kernel that skips them saves their cost."
    return (
        f"{ways[how]}, {percent(places)} of {count(one.slots, 'place')} are tokens, and of each head’s "
        f"{count(one.scores, 'score')} {percent(scores)} join two tokens of one sequence.{rest}"
    )


LOSSES = ("pads skipped", "pads skipped, ÷ all places", "sequence by sequence", "pads as targets")


@corners(first=SENTENCES, second=(SECOND, "no"), third=(THIRD, SENTENCES[2]), lengths=LENGTHS, seed=SEEDS)
def packed_frames(first: str, second: str, third: str, lengths: tuple[int, ...], seed: int) -> list[Frame]:
    """Three sentences in one row behind a block-diagonal mask; and one batch's loss by four denominators."""
    sentences = (first, second, third)
    weights, seen = padding.packed_weights(sentences, seed)
    words = [word for sentence in sentences for word in tokens(sentence)]
    n = len(words)
    grid = figures.heatmap(
        weights,
        title="Your sentences packed into one sequence",
        rows=labelled(words) if n <= 14 else [str(i) for i in range(n)],
        columns=[str(i) for i in range(n)],
        limits=(0, 1),
        hatched=~seen,
        hatch_name="hidden: exactly 0",
        row_names=labelled(words),
        column_names=labelled(words),
        height=340,
    )
    grid["data"][1]["marker"].update(size=8)
    loss = padding.losses(lengths, seed=seed)
    drawn = figures.bars(
        [Series("cross-entropy", [loss[one] for one in DENOMINATORS], ROSE)],
        labels=[name.replace(" ", "<br>", 1) for name in LOSSES],
        names=LOSSES,
        title="One batch’s loss, four ways to average",
        x_title="what is averaged",
        y_title="cross-entropy, nats",
        y_range=(0, 1.15 * max(loss.values())),
        height=340,
    )
    drawn["data"][0].update(
        text=[number(loss[one]) for one in DENOMINATORS], textposition="outside", textfont={"color": INK}
    )
    return [Frame((grid, drawn), packed_reading(sentences, lengths, loss, seed))]


def packed_reading(
    sentences: tuple[str, ...], lengths: tuple[int, ...], loss: dict[padding.Denominator, float], seed: int
) -> str:
    right, on, open_ = (
        padding.pack(blocked, reset, sentences, "sinusoidal", seed)
        for blocked, reset in ((True, True), (True, False), (False, True))
    )
    said = (
        f"Packed, each word is {alike(right)}; with positions that run on up to {percent(on)} off, with sentences that see "
        f"earlier ones {percent(open_)}. "
    )
    if len(set(lengths)) == 1:
        return (
            said
            + f"All sequences are equally long, so the loss is {number(loss['tokens'])} nats however it is averaged."
        )
    return (
        said
        + f"The loss is {number(loss['tokens'])} nats per real token, {number(loss['slots'])} divided by all places, "
        f"{number(loss['sequences'])} averaged sequence by sequence, and {number(loss['pads too'])} with pads as targets."
    )


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return batch_frames(FIRST, SECOND, THIRD, "zeros", 0)[EXTRA.index(4)]
