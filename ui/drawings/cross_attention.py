"""Question 12: where the decoder looks; what it writes when the link is changed; who acts on whom; masks; what is kept."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.experiments import cross_attention as cross
from core.ops.dates import FIRST, LAST, read
from core.say import NO_BREAK, count, number, percent
from core.training import cross_attention as model
from ui import figures
from ui.drawings import corners
from ui.figures import Figure, Frame, Rectangle, Series
from ui.palette import INK, KEY, MASKED, OCHRE, QUERY, WITH, WITHOUT, faded

LAYERS = {2: "layer 2 (last)", 1: "layer 1"}
HEADS = {1: "head 1", 2: "head 2", 0: "mean of both"}
STYLES_HELP = (
    "It was trained on sixteen styles, such as 3 May 1987, 3rd of May 1987, third of May 1987, May 3, 1987, Sunday 3 May 1987, "
    "3 May '87 and 03-May-87, with years from 1930 to 2029. It writes something for any text."
)
HERO = 300  # pixels: question, prediction and hero fit one screen
BOX = 0.86  # the width of a character's box, where a character has 1
SOURCE, TARGET = (0.8, 1.0), (0.0, 0.2)  # the lower and upper edges of both rows of boxes
TOLD = 0.1  # weights from here on are said at their character; of earlier tokens, only these are drawn
THICK = 22  # pixels: a line of weight 1
STUB = 0.06  # of the way, a line is upright at either end
DATES = (
    cross.EXAMPLE,
    "03-May-87",
    "twenty-seventh of September 1999",
    "hello world",
    "a",
    "31 February 1987",
    "    '-'",
)
OTHERS = (cross.OTHER, cross.EXAMPLE, "x")


def shown(character: str) -> str:
    """A character in its box; a space is seen as one."""
    return "␣" if character == " " else character


def quoted(character: str) -> str:
    return "the space" if character == " " else f"“{character}”"


def ordinal_label(written: str, step: int) -> str:
    """What the slider says: the character that is being written, and the text up to it."""
    text = written.replace("-", "\u2011").replace(" ", "␣")  # a hyphen at which no line ends
    return (
        f"{text[step]}{NO_BREAK}of{NO_BREAK}{text[: step + 1]}"
        if step < len(text)
        else f"the end of {text or 'nothing'}"
    )


def labels(found: cross.Translation) -> list[str]:
    return [ordinal_label(found.written, step) for step in range(len(found.certainty))]


def verdict(found: cross.Translation) -> str:
    """What to think of the text that was written, and whether its day was trained."""
    written = f"It writes {found.written or 'nothing'}"
    if not found.means:
        return f"{written}. The source means no date that this page can read; a model writes something all the same."
    day = date.fromisoformat(found.means)
    if not found.right:
        why = "" if FIRST <= day <= LAST else f" It was trained on {FIRST.year} to {LAST.year} only."
        return f"{written}; right would be {found.means}.{why}"
    if not FIRST <= day <= LAST:
        return f"{written}, which is right, though it was trained on {FIRST.year} to {LAST.year} only."
    seen = "was held out: never trained in any style" if day in model.split()[1] else "was among those to train on"
    return f"{written}, which is right; this day {seen}."


# ------------------------------------------------------------------------------------------------ the hero


def _boxes(
    figure: Figure,
    characters: Sequence[str],
    left: float,
    row: tuple[float, float],
    fills: Sequence[str],
    edges: Sequence[str],
    notes: Sequence[str],
    size: int = 17,
) -> None:
    """A row of boxes with a character in each: one trace of bars, one of text."""
    x = figures.numbers([left + i + 0.5 for i in range(len(characters))])
    low, high = row
    figure.trace(
        "bar",
        x=x,
        y=figures.numbers([high - low] * len(characters)),
        base=low,
        width=BOX,
        marker={"color": list(fills), "line": {"color": list(edges), "width": 1.5}},
        text=list(notes),
        textposition="none",
        hoverinfo="text",
        showlegend=False,
    )
    figure.trace(
        "scatter",
        x=x,
        y=figures.numbers([(low + high) / 2] * len(characters)),
        mode="text",
        text=[figures.escape(shown(c)) for c in characters],
        textfont={"color": INK, "size": [size if len(c) == 1 else 11 for c in characters]},  # “end” in a box on a phone
        hoverinfo="skip",
        showlegend=False,
    )


def _curves(ends: Sequence[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Lines from the source down to the target that leave and reach their boxes upright: (from, to)."""
    s = (1 - np.cos(np.linspace(0, np.pi, 23))) / 2  # more points where it bends
    across = s * s * (3 - 2 * s)  # a cubic Bézier curve of which both handles are upright and 3/4 as long as it is high
    down = 2.25 * s * (1 - s) ** 2 + 0.75 * s * s * (1 - s) + s**3
    across, down = np.array([0, *across, 1]), np.array([0, *(STUB + (1 - 2 * STUB) * down), 1])
    x = [np.append(above + (below - above) * across, np.nan) for above, below in ends]
    y = np.append(SOURCE[0] + (TARGET[1] - SOURCE[0]) * down, np.nan)
    if not ends:
        return figures.numbers([np.nan]), figures.numbers([np.nan])
    return figures.numbers(np.concatenate(x)[:-1]), figures.numbers(np.tile(y, len(ends))[:-1])


@corners(source=DATES, layer=tuple(LAYERS), head=tuple(HEADS))
def translation_frames(source: str, layer: int, head: int) -> list[Frame]:
    """One frame for each token that is written: the source above, the text below, and where the head looks."""
    found = cross.translate(source)
    weights = found.looked(layer, head)
    return [
        Frame((_alignment(found, weights, layer, head, i),), step_reading(found, layer, head, i))
        for i in range(len(weights))
    ]


def who(layer: int, head: int) -> str:
    return f"layer {layer} (mean of both heads)" if head == 0 else f"head {head} of layer {layer}"


def _alignment(found: cross.Translation, weights: Tensor, layer: int, head: int, step: int) -> Figure:
    n, t = len(found.source), len(weights)
    wide = max(n, t)
    above, below = (wide - n) / 2, (wide - t) / 2
    row, size = weights[step].tolist(), 17 if wide <= 20 else 12
    figure = Figure(
        f"Where {who(layer, head)} looks: lines as thick as their weight (grey: earlier tokens)", "", "", HERO
    )
    earlier = [
        (above + j + 0.5, below + i + 0.5)
        for i in range(step)
        for j, weight in enumerate(weights[i].tolist())
        if weight >= TOLD
    ]
    strokes = [("earlier", earlier, 1.5, faded(WITHOUT, 0.45))] + [
        ("now", [(above + j + 0.5, below + step + 0.5)], THICK * weight, faded(WITH, 0.85))
        for j, weight in enumerate(row)
    ]
    for name, ends, width, colour in strokes:
        x, y = _curves(ends)
        figure.trace(
            "scatter", x=x, y=y, mode="lines", name=name,
            line={"width": round(width, 2), "color": colour, "simplify": False}, hoverinfo="skip", showlegend=False,
        )  # fmt: skip
    notes = [
        f"{quoted(c)}, character {j + 1}: {percent(w)}" for j, (c, w) in enumerate(zip(found.source, row, strict=True))
    ]
    _boxes(
        figure, found.source, above, SOURCE,
        [faded(WITH, round(0.04 + 0.5 * w, 3)) for w in row], [KEY] * n, notes, size,
    )  # fmt: skip
    text = [*found.written, *["end"] * (t - len(found.written))]
    _boxes(
        figure,
        [c if i <= step else "" for i, c in enumerate(text)],
        below,
        TARGET,
        [faded(QUERY, 0.22) if i == step else faded(WITHOUT, 0.12 if i < step else 0.02) for i in range(t)],
        [QUERY if i == step else faded(MASKED, 0.9 if i < step else 0.4) for i in range(t)],
        ["written" if i < step else "being written" if i == step else "not yet" for i in range(t)],
        size,
    )
    for j, weight in enumerate(row):
        if weight >= TOLD and weight == max(
            row[max(j - 1, 0) : j + 2]
        ):  # beside a larger one there is no room on a phone
            figure.note(
                percent(weight),
                x=above + j + 0.5,
                y=SOURCE[1] + 0.02,
                yanchor="bottom",
                font={"color": WITH, "size": 13},
            )
    figure.note(
        "source: all of it gives <b>keys</b> and <b>values</b>, once", x=0, xref="paper", xanchor="left", y=1.2, yanchor="middle",
        font={"color": KEY, "size": 13},
    )  # fmt: skip
    figure.note(
        "target: what is written so far makes the <b>query</b>", x=0, xref="paper", xanchor="left", y=-0.08, yanchor="middle",
        font={"color": QUERY, "size": 13},
    )  # fmt: skip
    plain = {"visible": False, "fixedrange": True}
    figure.lay_out(
        xaxis={**plain, "range": [-0.1, wide + 0.1]},
        yaxis={**plain, "range": [-0.15, 1.27]},
        barmode="overlay",
        showlegend=False,
        margin={"l": 4, "r": 4, "t": 34, "b": 4},
    )
    figure.tabulate(
        ["written", *[f"{j + 1} {c}" for j, c in enumerate(found.source)]],
        [[f"{i + 1} {c}", *weights[i].tolist()] for i, c in enumerate(text)],
    )
    return figure


def step_reading(found: cross.Translation, layer: int, head: int, step: int) -> str:
    n, row = len(found.source), found.looked(layer, head)[step]
    before = f"“{found.written[:step]}” is written" if step else "Nothing is written yet"
    writes = f"writes {quoted(found.written[step])}" if step < len(found.written) else "ends"
    sure = f"it {writes}, {percent(float(found.certainty[step]))} sure"
    if n == 1:
        return f"{before}. The source has one character, so that gets 100\u00a0% of every head’s weight; {sure}."
    most = int(row.argmax())
    place = f"{quoted(found.source[most])}, character {most + 1} of {n}"
    if row[most] >= 0.5:
        looks = f"{who(layer, head)} gives {percent(float(row[most]))} of its weight to {place}"
        return f"{before}. To go on, {looks}; {sure}."
    # No character has half: then this picture alone does not say whence the token comes. Which head is the surest?
    each = found.weights[:, :, step]
    best = int(each.max(-1).values.argmax())
    surest = divmod(best, model.HEADS)
    peak, at = each[surest].max(-1)
    spread = (
        f"{who(layer, head)} spreads its weight, {percent(float(row[most]))} at most, on {quoted(found.source[most])}"
    )
    if surest == (layer - 1, head - 1):
        elsewhere = "and no other head is surer of a place"
    else:
        elsewhere = (
            f"and the surest of all, head {surest[1] + 1} of layer {surest[0] + 1}, gives {percent(float(peak))} to "
            f"{quoted(found.source[int(at)])}, character {int(at) + 1}"
        )
    return f"{before}; {sure}. {spread[0].upper()}{spread[1:]}, {elsewhere}."


# ------------------------------------------------------------------------------------------------ the link

CONDITIONS = {
    "whole": "as trained",
    "reordered": "memory rows shuffled",
    "shuffled": "source characters shuffled",
    "cut": "link cut",
    "swapped": "another’s memory",
}


MEMORIES = {"own": ("from its own memory", faded(WITH, 0.3)), "other": ("from the other’s", faded(OCHRE, 0.35)),
            "none": ("source spoilt or cut off", faded(WITHOUT, 0.12))}  # fmt: skip
"""Whose memory was there when a character was written, and its colour."""


@corners(source=DATES[::2][:3], other=OTHERS)
def link_frames(source: str, other: str) -> list[Frame]:
    """One frame for each number of characters after which the memory is swapped for the other’s."""
    found = cross.link(source, other)
    return [Frame((_written(found, k), _outcomes()), link_reading(found, k)) for k in range(model.WRITTEN)]


def _written(found: cross.Link, k: int) -> Figure:
    """What is written for the reader's own source, in rows; the colour says from whose memory."""
    own, other, handed = found.under["whole"], found.handed[0], found.handed[k]
    rows = {
        "its own memory": own,
        "memory rows shuffled": found.under["reordered"],
        "source characters shuffled": found.under["shuffled"],
        "link cut": found.under["cut"],
        "the other’s memory": other,
        f"the other’s after {count(k, 'character')}": handed,
    }
    figure = Figure("Your date: what is written with", "character", "", 320)
    places = model.WRITTEN - 1
    for name, colour in MEMORIES.values():
        empty = figures.numbers([np.nan])
        figure.trace("bar", x=empty, y=empty, name=name, marker={"color": colour}, hoverinfo="skip")
    whose = ("own", "own", "none", "none", "other", "")
    for i, (text, memory) in enumerate(zip(reversed(rows.values()), reversed(whose), strict=True)):
        characters = [*text[:places].ljust(places)]
        fills = [
            MEMORIES[memory or ("own" if j < k else "other")][1] if j < len(text) else faded(WITHOUT, 0)
            for j in range(places)
        ]
        _boxes(
            figure,
            [c if c != " " else "" for c in characters],
            0,
            (i + 0.1, i + 0.9),
            fills,
            [faded(MASKED, 0.6)] * places,
            [""] * places,
        )
    figure.lay_out(
        barmode="overlay",
        showlegend=True,
        margin={"l": 190, "t": 56},
        xaxis={
            "range": [-0.1, places + 0.1],
            "tickvals": [j + 0.5 for j in range(places)],
            "ticktext": [str(j + 1) for j in range(places)],
            "showgrid": False,
        },
        yaxis={
            "range": [0, len(rows)],
            "tickvals": [i + 0.5 for i in range(len(rows))],
            "ticktext": [*reversed(rows)],
            "showgrid": False,
        },
    )
    figure.tabulate(["with", "is written"], [[name, text] for name, text in rows.items()])
    return figure


def _outcomes() -> Figure:
    """Over the test set, the mean of the shipped runs."""
    own, other = (torch.stack([cross.shipped(what, name).mean() for name in CONDITIONS]) for what in ("exact", "other"))
    figure = figures.bars(
        [Series("its own date", 100 * own, WITH), Series("the other’s date", 100 * other, OCHRE)],
        labels=["as trained", "rows<br>shuffled", "characters<br>shuffled", "link<br>cut", "another’s<br>memory"],
        names=list(CONDITIONS.values()),
        title=f"{cross.held_out():,} held-out dates, mean of {count(len(model.SEEDS), 'run')}",
        x_title="what is done",
        y_title="written exactly, %",
        y_range=(0, 114),
        height=320,
    )
    for i, share in enumerate(torch.maximum(own, other)):
        figure.note(percent(float(share)), x=i, y=100 * float(share), yanchor="bottom", font={"color": INK, "size": 13})
    # Over each other, so that a bar stands at its label: of two, one is always below a hundredth.
    figure.lay_out(margin={"t": 56}, barmode="overlay", yaxis={"tickvals": [0, 20, 40, 60, 80, 100]})
    return figure


def link_reading(found: cross.Link, k: int) -> str:
    own, other, handed = found.under["whole"], found.handed[0], found.handed[k]
    if own == other:
        return f"Both memories make it write {own or 'nothing'}, so a swap shows nothing: give the other source another date."
    if k == 0:
        return f"With the memory of “{found.other}” from the start, it writes {handed or 'nothing'}; with its own, {own or 'nothing'}."
    if k >= len(own) and handed == own:
        return f"It has written all of “{own}” when the memory becomes that of “{found.other}”: only the end is left, and it ends."
    goes_on = f"it goes on with “{handed[k:]}”" if handed[k:] else "it ends there"
    begun = f"After “{own[:k]}” the memory becomes that of “{found.other}”: {goes_on}"
    if handed[k:] == other[k:] == own[k:]:
        return f"{begun}, which both memories have."
    if handed[k:] == other[k:]:
        whose = "the other’s" if read(found.other) else "as that memory does from the start"
        return f"{begun}, {whose}. What is written stays, what is asked for next comes from the memory that is there."
    if handed[k:] == own[k:]:
        return f"{begun}, as if nothing had happened."
    late = next((m for m in range(k + 1, len(handed)) if handed[m:] == other[m:]), None)
    if late is not None and read(found.other):
        return f"{begun}. At first what stands there has its say; from “{handed[late:]}” on it is the other’s."
    return f"{begun}, which is neither text’s own."


# ------------------------------------------------------------------------------------------------ who acts on whom


@corners(source=DATES)
def influence_frames(source: str) -> list[Frame]:
    """Who acts on queries, keys and values; and on each written token, by source and by target."""
    found, written = cross.influence(source), cross.translate(source)
    rows = {
        f"queries, layer {i + 1}": (found.queries_target[i], found.queries_source[i]) for i in range(model.LAYERS)
    } | {f"keys, values, layer {i + 1}": (found.memory_target[i], found.memory_source[i]) for i in range(model.LAYERS)}
    acting = [[int((one != 0).sum()) for one in pair] for pair in rows.values()]
    pairs = [[one.numel() for one in pair] for pair in rows.values()]
    share = torch.tensor(acting, dtype=torch.float64) / torch.tensor(pairs)
    who_acts = figures.heatmap(
        share,
        title="Who reaches whom: pairs that act",
        rows=list(rows),
        columns=["target", "source"],
        row_title="",
        column_title="input",
        limits=(0, 1.6),
        hatched=share == 0,
        hatch_name="exactly 0",
        colour_bar=False,
        height=380,
    )
    cells = who_acts["data"][0]
    cells["text"] = [
        [f"{a} of {p}" if a else "" for a, p in zip(*row, strict=True)] for row in zip(acting, pairs, strict=True)
    ]
    cells["texttemplate"] = "%{text}"
    strokes = who_acts["data"][1]
    strokes.update(mode="text", text="none", textfont={"color": WITHOUT, "size": 13})
    text = [*written.written, *["end"] * (len(found.source) - len(written.written))]
    names = [f"{i + 1} {c}" for i, c in enumerate(text)]
    t, n = found.source.shape
    high = max(float(found.source.max()), float(found.target.max()), 1e-9)
    grids = []
    for what, z, columns, title in (
        ("source", found.source, [*source], f"Derivative of its logit by the source: {t} × {n}"),
        ("target", found.target, ["start", *text[:-1]], "and by the target (×: exactly 0)"),
    ):
        grid = figures.heatmap(
            z,
            title=title,
            rows=[shown(c) for c in text],
            columns=[shown(c) for c in columns],
            row_title="output: token being written",
            column_title=f"input: character of the {what}",
            limits=(0, high),
            hatched=z == 0,
            hatch_name="exactly 0",
            colour_bar=what == "target",
            row_names=names,
            column_names=[f"{j + 1} {c}" for j, c in enumerate(columns)],
            height=380,
        )
        _every_tick(grid, columns)
        grids.append(grid)
    return [Frame((who_acts, *grids), influence_reading(found))]


def _every_tick(grid: Figure, columns: Sequence[str]) -> None:
    """Single characters have room at every column; they stand upright. Two grids of equal columns are equally wide."""
    ticks, rows = [figures.escape(shown(c)) for c in columns], len(grid["data"][0]["z"])
    grid.lay_out(
        xaxis={
            "tickvals": list(range(len(columns))), "ticktext": ticks, "tickangle": 0, "range": [-0.5, len(columns) - 0.5]
        },
        yaxis={"range": [rows - 0.5, -0.5], "autorange": False},
    )  # fmt: skip


def influence_reading(found: cross.Influence) -> str:
    t, n = found.source.shape
    by_source, by_target = int((found.source != 0).sum()), int((found.target != 0).sum())
    first, second = (int((one != 0).sum()) for one in found.queries_source)
    touched = int((found.memory_target != 0).sum())
    return (
        f"{'Nothing written touches' if not touched else f'{touched} pairs of a written token touch'} the source’s keys and values; the source reaches the "
        f"queries of layer 2 (pairs that act: {second} of {t} × {n}), {'not those of layer 1' if not first else f'in layer 1 {first}'}. "
        f"Each token that is written depends on {'every' if by_source == t * n else 'some'} source character ({by_source} of {t} × {n}) and on no later "
        f"token: {by_target} of {t} × {t}."
    )


# ------------------------------------------------------------------------------------------------ masks


@corners(source=DATES[::2][:3])
def mask_frames(source: str) -> list[Frame]:
    """One frame for each number of pads: the test set, and where the last layer looks, with the mask and without."""
    return [_mask_frame(source, i) for i in range(len(model.PADS))]


def _mask_frame(source: str, i: int) -> Frame:
    pads = model.PADS[i]
    found = cross.padded(source, pads)
    masked, forgotten = (100 * cross.shipped_padded(m) for m in (True, False))
    series = [
        Series(name, run, colour, width=2, legend=r == 0, markers=True)
        for name, runs, colour in (("hidden here too", masked, WITH), ("mask forgotten here", forgotten, WITHOUT))
        for r, run in enumerate(runs)
    ]
    causal = 100 * cross.shipped("exact", "causal").mean()
    level = torch.full((len(model.PADS),), float(causal))
    series.append(Series("causal mask, not trained (mean)", level, KEY, dash="dash", width=2, legend=False))
    lines = figures.lines(
        series,
        x=torch.tensor(model.PADS),
        title=f"{cross.held_out():,} held-out dates, {count(len(model.SEEDS), 'run')}",
        x_title="tokens of padding behind each source",
        y_title="written exactly, %",
        x_range=(-0.5, 16.5),
        y_range=(0, 116),
        marks={"here": (float(pads), INK)},
        height=360,
    )
    lines.note(
        f"causal: {percent(float(causal) / 100)}",
        x=12,
        y=float(causal) + 1,
        yanchor="bottom",
        font={"color": KEY, "size": 13},
    )
    lines.lay_out(yaxis={"tickvals": [0, 20, 40, 60, 80, 100]})
    panels = [lines]
    for title, z, text in (
        ("Mask forgotten", found.forgotten, found.written[1]),
        ("Padding hidden", found.masked, found.written[0]),
    ):
        columns = [*source, *["·"] * pads]
        hidden = torch.zeros_like(z, dtype=torch.bool)
        if z is found.masked:
            hidden[:, len(source) :] = True
        grid = figures.heatmap(
            z,
            title=f"{title}: {figures.escape(text) or 'nothing'}",
            rows=[shown(c) for c in [*text, *["end"] * (len(z) - len(text))]],
            columns=columns,
            row_title="token being written",
            column_title="source, then padding (·)" if pads else "source",
            limits=(0, 1),
            hatched=hidden,
            hatch_name="hidden: exactly 0",
            colour_bar=False,
            height=360,
        )
        _every_tick(grid, columns)
        panels.append(grid)
    return Frame(
        tuple(panels), mask_reading(found, pads, float(masked[:, i].mean()), float(forgotten[:, i].mean()), len(source))
    )


def mask_reading(found: cross.Padded, pads: int, masked: float, forgotten: float, n: int) -> str:
    if pads == 0:
        return (
            f"Without padding there is nothing to hide: {percent(masked / 100)} of the held-out dates are right either way (mean of "
            f"{count(len(model.SEEDS), 'run')}). In a batch, shorter sources are filled up."
        )
    each = found.forgotten[:, n:].sum(-1)
    lost, most = float(each.mean()), int(each.argmax())
    token = quoted(found.written[1][most]) if most < len(found.written[1]) else "the end"
    same = found.written[0] == found.written[1]
    yours = "your date comes out the same" if same else f"yours becomes “{found.written[1]}”"
    return (
        f"{count(pads, 'pad').capitalize()} that cross-attention sees take{'s' if pads == 1 else ''} {percent(lost)} of the last layer’s weight, "
        f"{percent(float(each[most]))} where it writes {token}: {yours}. Of the held-out dates {percent(forgotten / 100)} are right, and {percent(masked / 100)} with the "
        f"padding hidden (means of {count(len(model.SEEDS), 'run')})."
    )


# ------------------------------------------------------------------------------------------------ what is kept


@corners(source=DATES)
def cache_frames(source: str) -> list[Frame]:
    """One frame for each written token: both caches so far; beside them the parameters of a layer of each stack."""
    found = cross.caches(source)
    return [Frame((_caches(found, i), _layers()), cache_reading(found, len(source), i)) for i in range(len(found.own))]


def _caches(found: cross.Caches, i: int) -> Figure:
    x = torch.arange(1, i + 2)
    top = 1.15 * float(torch.cat([found.own, found.source]).max())
    return figures.lines(
        [
            Series("decoder’s own", found.own[: i + 1], QUERY, markers=True),
            Series("source’s", found.source[: i + 1], KEY, markers=True),
        ],
        x=x,
        title="Keys and values kept, both layers",
        x_title="tokens written",
        y_title="numbers",
        x_range=(0.5, len(found.own) + 0.5),
        y_range=(0, top),
        height=340,
    )


def _layers() -> Figure:
    """A layer of each stack, tile by tile: a square is d × d."""
    d = model.WIDTH
    parts = {"self-attention": (4, WITHOUT), "cross-attention": (4, WITH), "feed-forward": (8, OCHRE)}
    stacks = {"encoder": ("self-attention", "feed-forward"), "decoder": tuple(parts)}
    tiles, tops = [], {}
    for left, (stack, names) in zip((0, 5), stacks.items(), strict=True):
        kinds = [(name, parts[name][1]) for name in names for _ in range(parts[name][0])]
        tiles += [
            Rectangle(name, d, d, colour, "d × d", at=((left + i % 4) * d, i // 4 * d))
            for i, (name, colour) in enumerate(kinds)
        ]
        tops[stack] = (left * d, len(kinds) / 4 * d)
    total = {stack: cross.layer_parameters(stack) for stack in stacks}
    figure = figures.rectangles(
        tiles, title=f"A layer’s parameters, d = {d}: a square is d × d", x_title="", y_title="", height=340
    )
    for stack, (x, y) in tops.items():
        figure.note(
            f"{stack}: {number(total[stack] / d**2)} d² = {total[stack]:,}",
            x=x,
            xanchor="left",
            y=y + 0.08 * d,
            yanchor="bottom",
            font={"color": INK, "size": 13},
        )
    plain = {"visible": False}
    figure.lay_out(xaxis=plain, yaxis={**plain, "range": [-0.1 * d, 4.6 * d]}, margin={"l": 8, "t": 56, "b": 8})
    figure.tabulate(["stack", "parameters of a layer"], [[stack, many] for stack, many in total.items()])
    return figure


def cache_reading(found: cross.Caches, n: int, i: int) -> str:
    each = int(found.own[0])
    own, source = int(found.own[i]), int(found.source[i])
    than = "as large as" if own == source else "larger than" if own > source else "still smaller than"
    return (
        f"After {count(i + 1, 'token')} the decoder’s own cache holds {own:,} numbers, {each} a token: {than} the source’s, {source:,} for "
        f"{count(n, 'character')}. That one does not change: {number(float(found.multiplied[i]))} matrix products, two in each "
        "layer, made it before the first token."
    )


# ------------------------------------------------------------------------------------------------ training


def training_frame(shipped: model.Progress, seed: int, progress: model.Progress) -> Frame:
    """A run that is being trained over the shipped one, and where the probe's characters look by now."""
    now = progress is not shipped

    def smooth(losses: Tensor) -> tuple[Tensor, Tensor]:
        """Means of ten steps each, and where they end."""
        whole = len(losses) // 10 * 10
        if not whole:
            return torch.tensor([len(losses)]), losses.mean()[None]
        return torch.arange(10, whole + 1, 10), losses[:whole].unflatten(0, (-1, 10)).mean(-1)

    curves = [("shipped", shipped, MASKED, 5.0)] + ([("now", progress, WITH, 2.0)] if now else [])
    axis: dict[str, Any] = {"x_title": "training step", "x_range": (0, shipped.steps), "height": 300}
    losses = [(name, *smooth(p.losses), colour, width) for name, p, colour, width in curves]
    loss = figures.lines(
        [Series(name, y, colour, width=width, x=x) for name, x, y, colour, width in losses],
        x=losses[0][1],
        title="Loss, means of 10 steps",
        y_title="nats a token",
        log_y=True,
        y_range=(1e-5, 10),
        **axis,
    )
    exact = figures.lines(
        [
            Series(name, 100 * p.exact, colour, width=width, x=p.checked_at, markers=True)
            for name, p, colour, width in curves
        ],
        x=shipped.checked_at,
        title=f"{model.CHECKED} held-out dates",
        y_title="written exactly, %",
        y_range=(0, 105),
        **axis,
    )
    text = [*"1987-05-03", "end"]
    grid = figures.heatmap(
        progress.alignment,
        title="Last layer, mean of both heads, now" if now else "Last layer, mean of both heads, at the end",
        rows=text,
        columns=[shown(c) for c in model.PROBE],
        row_title="token to be written",
        column_title="source",
        limits=(0, 1),
        colour_bar=False,
        height=300,
    )
    _every_tick(grid, model.PROBE)
    return Frame((loss, exact, grid), training_reading(shipped, seed, progress))


def training_reading(shipped: model.Progress, seed: int, progress: model.Progress) -> str:
    at, last = len(progress.losses), progress.losses[-10:]
    many = round(float(progress.exact[-1]) * model.CHECKED)
    of = "all" if many == model.CHECKED else str(many) if many else "none"
    checked = int(progress.checked_at[-1])
    then = "" if checked == at else f"at step {checked:,} "
    said = f"Seed {seed}, step {at:,}: the loss is {number(float(last.mean()))} nats, and {then}{of} of {model.CHECKED} held-out dates {'was' if many == 1 else 'were'} written right. "
    if progress is shipped:
        return f"{said}This is the shipped run; the button trains it again, which takes minutes and can be stopped."
    return f"{said}On another kind of processor the curves may part on the way; the outcome is the same as a rule."


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return translation_frames(cross.EXAMPLE, 2, 1)[6]
