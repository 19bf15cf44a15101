"""Question 8: a soft dictionary in the plane; how soft it is; right and pure; what changes nothing; one weight written out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from core.experiments import query_key_value as qkv
from core.experiments.query_key_value import D_K, LAWS, TOKENS, Law
from core.say import listed, number, percent
from ui import figures
from ui.drawings import corners
from ui.figures import Box, Figure, Frame, Label, Series
from ui.palette import INK, KEY, MASKED, OCHRE, QUERY, VALUE, WITH, WITHOUT, faded

HERO = 290  # pixels: question, prediction and hero fit one screen
THIN, THICK = 1.5, 9.0  # pixels of a line that carries no weight, and all of it
LONGEST = 6.0  # of the query
NAME = 0.16  # how far a name stands from its point, of what the picture reaches
SEEDS = (0, 9999)
ROUNDING = 1e-12  # of the small head's numbers, which are at most 60: beyond it something has really changed

MANY = "abcdefghij klm <b>&amp; é 🐈 z"
CASES = (
    (qkv.NAMES, qkv.KEYS, qkv.VALUES),
    ("one", "4 -4", "0 0"),
    ("a b", "0 0, 0 0", "1 1, 1 1"),  # nothing to tell them apart, and values in one place
    ("up down", "0 1, 0 -1", "-4 0, 4 0"),
    ("a b c", "1 0, 1 0, -1 0.5", "1 1, 2 2, 3 3"),  # two keys that tie, values on a line
    (MANY, "4 0, 0 4, -4 0, 0 -4, 0.001 0, 2 2", "4 4, -4 4, 0 0, 4 -4, -4 -4, 1 0"),
)


# ------------------------------------------------------------------------------------------------ the plane


@corners(dictionary=CASES, length=(qkv.LENGTH, 0.0, 0.5, LONGEST))
def plane_frames(dictionary: tuple[str, str, str], length: float) -> list[Frame]:
    """One frame for each angle of the query: keys and query, the weights, and the output inside the hull of the values."""
    found = qkv.turn(*dictionary, length)
    labels = [figures.escape(name) for name in found.names]
    reach = 1.25 * max(float(found.key.norm(dim=-1).max()), length, 1.0)
    corners_, middle = qkv.hull(found.value), (found.value.amax(0) + found.value.amin(0)) / 2
    spread = 0.68 * max(float((found.value.amax(0) - found.value.amin(0)).max()), 2.0)
    return [
        Frame(
            (_keys(found, i, labels, reach), _values(found, i, labels, corners_, middle, spread)),
            plane_reading(found, angle, length, i),
        )
        for i, angle in enumerate(qkv.ANGLES)
    ]


def _plane(title: str, x_title: str, middle: Sequence[float], reach: float) -> Figure:
    """A plane in which a step to the right is as long as one upwards."""
    figure = Figure(title, x_title, "second number", HERO)
    x, y = middle
    even = {"constrain": "domain", "zeroline": True, "zerolinecolor": faded(MASKED, 0.6), "nticks": 6}
    figure.lay_out(
        showlegend=False,
        xaxis={**even, "range": [x - reach, x + reach]},
        yaxis={**even, "range": [y - reach, y + reach], "scaleanchor": "x"},
    )
    return figure


def _arrow(figure: Figure, to: Sequence[float], colour: str, width: float, note: str) -> None:
    figure.trace(
        "scatter",
        x=figures.numbers([0, to[0]]),
        y=figures.numbers([0, to[1]]),
        mode="lines+markers",
        line={"color": colour, "width": width},
        marker={
            "symbol": "arrow" if any(to) else "circle",
            "angleref": "previous",
            "size": [0, 6 + 1.6 * width],
            "color": colour,
            "opacity": 1,
        },
        text=note,
        hoverinfo="text",
    )


def _words(
    figure: Figure, points: Tensor, labels: Sequence[str], colour: str, away: float, across: bool = False
) -> None:
    """Names beside their points, on the side that looks away from the middle of the picture; or `across`, beside it."""
    out = torch.nn.functional.normalize(points, dim=-1) * away
    if across:
        out = torch.stack([-out[:, 1], out[:, 0]], -1)
    figure.trace(
        "scatter",
        x=figures.numbers(points[:, 0] + out[:, 0]),
        y=figures.numbers(points[:, 1] + out[:, 1]),
        mode="text",
        text=list(labels),
        textfont={"color": colour, "size": 13},
        hoverinfo="skip",
    )


def _thick(weight: float) -> float:
    return THIN + (THICK - THIN) * weight


def _point(point: Tensor) -> str:
    """Its two numbers, without what is only rounding."""
    return f"({', '.join(number(round(x, 12) + 0.0, 2) for x in point.tolist())})"


def _keys(found: qkv.Turn, i: int, labels: Sequence[str], reach: float) -> Figure:
    figure = _plane("Keys, as thick as their softmax weight", "first number of a key", (0, 0), reach)
    weights = found.weights[i].tolist()
    for name, key, weight in zip(labels, found.key, weights, strict=True):
        _arrow(figure, key.tolist(), KEY, _thick(weight), f"{name}: key {_point(key)}")
    _arrow(figure, found.query[i].tolist(), QUERY, 3, f"query {_point(found.query[i])}")
    _words(figure, found.key, labels, KEY, NAME * reach)
    query = found.query[i]
    meets = float(torch.cdist(query[None], found.key).min()) < 1.5 * NAME * reach  # its name would lie on a key’s
    _words(figure, (0.5 if meets else 1.0) * query[None], ["q"], QUERY, 0.09 * reach, across=meets)
    # The weights as bars beside the plane, in the same figure: a third panel would be out of a phone's sight.
    figure.trace(
        "bar",
        x=figures.numbers(weights),
        y=list(labels),
        orientation="h",
        xaxis="x2",
        yaxis="y2",
        name="weight",
        marker={"color": WITH},
    )
    ends = [len(weights) - 0.5, -0.5]
    figure.lay_out(
        xaxis={"domain": [0, 0.6]},
        xaxis2={
            "domain": [0.76, 1],
            "anchor": "y2",
            "range": [0, 1],
            "tickvals": [0, 0.5, 1],
            "title": {"text": "weight"},
        },
        yaxis2={"anchor": "x2", "type": "category", "range": ends},
    )
    figure.tabulate(
        ["entry", "key, first number", "key, second number", "logit", "weight"],
        [
            [name, *key, logit, weight]
            for name, key, logit, weight in zip(
                found.names, found.key.tolist(), found.logits[i].tolist(), weights, strict=True
            )
        ]
        + [["query", *found.query[i].tolist(), None, None]],
    )
    return figure


def _values(
    found: qkv.Turn, i: int, labels: Sequence[str], corners_: list[tuple[float, float]], middle: Tensor, spread: float
) -> Figure:
    figure = _plane(
        "The output in the hull of the values", "first number (dotted: outputs at all angles)", middle.tolist(), spread
    )
    around = [*corners_, corners_[0]]
    figure.trace(
        "scatter",
        x=figures.numbers([x for x, _ in around]),
        y=figures.numbers([y for _, y in around]),
        mode="lines",
        fill="toself",
        fillcolor=faded(VALUE, 0.1),
        line={"color": VALUE, "width": 1},
        hoverinfo="skip",
    )
    path = torch.cat([found.output, found.output[:1]])
    figure.trace(
        "scatter",
        x=figures.numbers(path[:, 0]),
        y=figures.numbers(path[:, 1]),
        mode="lines",
        line={"color": faded(WITH, 0.9), "width": 2, "dash": "dot"},
        hoverinfo="skip",
    )
    output, weights = found.output[i], found.weights[i].tolist()
    for value, weight in zip(found.value.tolist(), weights, strict=True):
        figure.trace(
            "scatter",
            x=figures.numbers([output[0], value[0]]),
            y=figures.numbers([output[1], value[1]]),
            mode="lines",
            line={"color": faded(VALUE, 0.55), "width": _thick(weight)},
            hoverinfo="skip",
        )
    for points, colour, size, notes in (
        (found.value, VALUE, 9, [f"{n}: value {_point(v)}" for n, v in zip(labels, found.value, strict=True)]),
        (output[None], WITH, 15, [f"output {_point(output)}"]),
    ):
        figure.trace(
            "scatter",
            x=figures.numbers(points[:, 0]),
            y=figures.numbers(points[:, 1]),
            mode="markers",
            marker={"color": colour, "size": size},
            text=notes,
            hoverinfo="text",
        )
    _words(figure, found.value - middle, labels, VALUE, NAME * spread)
    for axis, shift in zip("xy", middle.tolist(), strict=True):
        figure["data"][-1][axis] += shift
    figure.tabulate(
        ["entry", "value, first number", "value, second number", "weight"],
        [[name, *value, weight] for name, value, weight in zip(found.names, found.value.tolist(), weights, strict=True)]
        + [["output", *output.tolist(), None]],
    )
    return figure


def plane_reading(found: qkv.Turn, angle: int, length: float, i: int) -> str:
    scores, weights, n = found.logits[i], found.weights[i], len(found.names)
    where = f"the output is {_point(found.output[i])}"
    if n == 1:
        return f"With one entry there is nothing to weigh: it gets 100 % whatever the query, and {where}, its value."
    if float(scores.max() - scores.min()) < ROUNDING:
        why = "A query of length 0 makes all logits 0" if length == 0 else f"At {angle}° all logits are equal"
        return f"{why}: each of the {n} keys gets {percent(1 / n)}, and {where}, the plain mean of the values."
    best = int(scores.argmax())
    first = [name for name, score in zip(found.names, scores, strict=True) if float(scores[best] - score) < ROUNDING]
    # The others hold something however little that is, also where float64 rounds the best one's weight to 1.
    share, least = percent(min(float(weights[best]), 1 - 1e-9)), percent(float(weights.min()))
    if float(weights[best]) > 0.99:
        where = where.replace("is", "is about", 1)
    gets = f"{listed(first)} {f'gets {share}' if len(first) == 1 else f'get {share} each'}"
    every = "both values" if n == 2 else f"all {n} values"
    if float(scores.max()) < -ROUNDING:
        return (
            f"At {angle}° every key points away: all logits are negative. Still 100 % is dealt out: {gets}, the smallest weight is "
            f"{least}, and {where}."
        )
    return f"At {angle}° {gets}; the smallest weight is {least}, not 0. So {where}, the weighted mean of {every}."


# ------------------------------------------------------------------------------------------------ how soft


SHARES = {"50 %": (0.5, WITHOUT, "dash"), "90 %": (0.9, WITH, "solid"), "99 %": (0.99, OCHRE, "dot")}


@corners()
def soft_frames() -> list[Frame]:
    """One frame for each number of entries: what a match weighs, and how far it must lead."""
    leads = {name: [qkv.lead_needed(share, n) for n in qkv.SIZES] for name, (share, *_) in SHARES.items()}
    return [
        Frame(
            (
                figures.lines(
                    [Series("weight of the match", qkv.softness(n), WITH)],
                    x=qkv.LEADS,
                    title=f"The weight of a match among {n:,} entries",
                    x_title="lead of its logit over the others",
                    y_title="weight",
                    x_range=(0, float(qkv.LEADS[-1])),
                    y_range=(0, 1.2),  # room for the name of the rule above the line
                    y_ticks=(0, 0.25, 0.5, 0.75, 1),
                    marks={f"lead {number(leads['90 %'][i])}": (leads["90 %"][i], WITH)},
                    levels={"90 %": (0.9, MASKED)},
                    level_at="bottom right",
                    height=340,
                ),
                figures.lines(
                    [
                        Series(f"for {name}", leads[name], colour, dash, markers=True)
                        for name, (_, colour, dash) in SHARES.items()
                    ],
                    x=qkv.SIZES,
                    title="The lead that a match needs",
                    log_x=True,
                    x_title="entries N",
                    y_title="lead of its logit",
                    x_range=(qkv.SIZES[0] / 1.3, qkv.SIZES[-1] * 1.3),
                    x_ticks=qkv.SIZES,
                    y_range=(-0.5, 14),
                    marks={f"N = {n:,}": (n, INK)},
                    height=340,
                ),
            ),
            soft_reading(n, leads["90 %"][i]),
        )
        for i, n in enumerate(qkv.SIZES)
    ]


def soft_reading(n: int, lead: float) -> str:
    held = float(qkv.softness(n)[qkv.LEADS == 8.0])
    return (
        f"Among {n:,} entries a match must lead its equal rivals by {number(lead)} to hold 90 % of the weight. With a lead of "
        f"√64 = 8 it holds {percent(held)}."
    )


# ------------------------------------------------------------------------------------------------ right, and pure


@corners(seed=SEEDS)
def pure_frames(seed: int) -> list[Frame]:
    """One frame for each width: how often the right key wins, and how much of the weight it gets."""
    frames = []
    for d_k in qkv.WIDTHS:
        recall = qkv.recall(d_k, seed)
        frames.append(
            Frame(
                (
                    figures.lines(
                        [
                            Series("right: the key that equals the query wins", recall.accuracy, KEY, markers=True),
                            Series("pure: the weight that it gets, in the mean", recall.purity, VALUE, markers=True),
                        ],
                        x=qkv.DICTIONARIES,
                        title=f"{qkv.ASKED:,} queries, each one of the random keys",
                        log_x=True,
                        x_title="keys N",
                        y_title="share",
                        x_range=(qkv.DICTIONARIES[0] / 1.2, qkv.DICTIONARIES[-1] * 1.2),
                        x_ticks=qkv.DICTIONARIES,
                        y_range=(0, 1.03),
                        height=360,
                    ),
                ),
                pure_reading(d_k, recall),
            )
        )
    return frames


def pure_reading(d_k: int, recall: qkv.Recall) -> str:
    wins, gets = float(recall.accuracy[-1]), percent(float(recall.purity[-1]))
    often = "always wins" if wins == 1 else f"wins for {percent(wins)} of the queries"
    return (
        f"At width {d_k}, among {qkv.DICTIONARIES[-1]:,} keys, the key that equals the query {often}, and gets {gets} of the weight in "
        f"the mean. Among 2 keys it gets {percent(float(recall.purity[0]))}."
    )


# ------------------------------------------------------------------------------------------------ laws

LAW_NAMES: dict[Law, str] = {
    "all_keys": "K + c",
    "all_queries": "Q + c",
    "all_values": "V + c",
    "pairs": "reorder pairs",
    "keys": "reorder keys",
    "twice": "key 0 twice",
    "gauge": "QA, KA⁻ᵀ",
    "shared": "K = Q",
}


def shown(change: float) -> str:
    """In a cell: what is exactly 0, what is rounding, and what has changed.

    >>> shown(0.0), shown(1.1e-16), shown(0.4461)
    ('0', 'rounding', '0.45')
    """
    return "0" if change == 0 else "rounding" if change < ROUNDING else number(change, 2)


@corners(seed=SEEDS)
def law_frames(seed: int) -> list[Frame]:
    """One frame for each law: what it changes, beside what all the others do; and the weights before and after."""
    every = {name: qkv.law(name, seed) for name in LAWS}
    most = torch.tensor([changed.most for changed in every.values()], dtype=torch.float64)
    names = [LAW_NAMES[name] for name in LAWS]
    frames = []
    for i, (name, changed) in enumerate(every.items()):
        table = figures.heatmap(
            (most > ROUNDING).double() + 0.3 * ((most > 0) & (most <= ROUNDING)),
            title="Largest change (0 is exact)",
            rows=names,
            columns=["logits", "weights", "outputs"],
            row_title="what is done",
            column_title="largest change of",
            limits=(0, 2.2),
            colour_bar=False,
            chosen_row=i,
            text=".1f",
            height=340,
        )
        table["data"][0].update(
            text=[[shown(x) for x in row] for row in most.tolist()],
            texttemplate="%{text}",
            hovertemplate="%{text}<extra></extra>",
        )
        table.lay_out(meta={"widest": 8})
        table.tabulate(
            ["what is done", "largest change of a logit", "of a weight", "of an output"],
            [[law, *row] for law, row in zip(names, most.tolist(), strict=True)],
        )
        grids = [
            _weights(title, weights)
            for title, weights in (
                ("Weights before", changed.before[1]),
                (f"Weights after: {names[i]}", changed.after[1]),
            )
        ]
        frames.append(Frame((table, *grids), law_reading(name, changed, seed)))
    return frames


def _weights(title: str, weights: Tensor) -> Figure:
    places = [str(i) for i in range(TOKENS)]
    grid = figures.heatmap(
        weights, title=title, rows=places, columns=places, limits=(0, 1), text=".2f", colour_bar=False, height=340
    )
    said = [[f"{w:.2f}" if w >= 0.005 else "&lt;.01" for w in row] for row in weights.tolist()]
    grid["data"][0].update(text=said, texttemplate="%{text}")
    return grid


def law_reading(name: Law, changed: qkv.Changed, seed: int) -> str:
    logit, weight, output = changed.most
    c = f"c = ({', '.join(number(x) for x in qkv.shift(seed).tolist())})"

    def do(what: str, change: float) -> str:
        if change == 0:
            return f"{what} do not change"
        return f"{what} change by {'rounding alone' if change < ROUNDING else f'up to {number(change, 2)}'}"

    def asymmetry(x: Tensor) -> str:
        return number(float((x - x.mT).abs().max()), 2)

    match name:
        case "all_keys":
            same = do("weights", weight)
            return (
                f"Add {c} to every key, as a bias does: {do('logits', logit)}, but each row by one number, so {same}."
            )
        case "all_queries":
            return f"Add {c} to every query: each key’s logits move by its own c·k/√dₖ, and {do('weights', weight)}."
        case "all_values":
            return f"Add {c} to every value: {do('weights', weight)}, and every output moves by c."
        case "pairs":
            together = "Reorder keys and values together: each weight follows its key"
            return f"{together}, so {do('weights', weight)} and {do('outputs', output)}."
        case "keys":
            return (
                f"Reorder the keys but not the values: each weight falls on another value, and {do('outputs', output)}."
            )
        case "twice":
            return (
                f"Store key 0 and its value twice: {do('logits', logit)}, but e^s counts double, so {do('weights', weight)} "
                "(column 0 shows both copies together)."
            )
        case "gauge":
            both = f"{do('logits', logit)}, and {do('weights', weight)}"
            return f"Multiply the queries by A and the keys by A⁻ᵀ: {both}."
        case "shared":
            return (
                f"With W_Q = W_K, sᵢⱼ = sⱼᵢ exactly, where they were up to {asymmetry(changed.before[0])} apart. Weights are still "
                f"not mutual (up to {asymmetry(changed.after[1])} apart): each row is divided by its own Σ eˢ."
            )


# ------------------------------------------------------------------------------------------------ term by term


@corners(row=(2, 0, 4), column=(3, 0, 4), seed=SEEDS)
def arithmetic_frames(row: int, column: int, seed: int) -> list[Frame]:
    """All logits, of which one is chosen; and its weight, written out."""
    places = [str(i) for i in range(TOKENS)]
    grid = figures.heatmap(
        qkv.law("gauge", seed).before[0],
        title="Logits: click one",
        rows=places,
        columns=places,
        colours=figures.SIGNED,
        text=".1f",
        colour_bar=False,
        clickable=True,
        height=340,
    )
    scores = qkv.law("gauge", seed).before[0].tolist()
    grid["data"][0].update(text=[[number(s) for s in one] for one in scores], texttemplate="%{text}")
    a = 0.5
    grid.shape(type="rect", x0=column - a, x1=column + a, y0=row - a, y1=row + a, line={"color": INK, "width": 3})
    written = qkv.term_by_term(row, column, seed)
    return [Frame((grid, _written(written, row, column)), arithmetic_reading(written, row, column))]


def _written(w: qkv.Written, row: int, column: int) -> Figure:
    parts: list[Box | Label] = []
    lines = ((f"q{_below(row)}", w.query, QUERY), (f"k{_below(column)}", w.key, KEY), ("q·k", w.products, INK))
    for y, (name, terms, colour) in zip((3.3, 2.3, 1.3), lines, strict=True):
        parts.append(Label(-0.35, y + 0.35, name, colour, size=15))
        parts += [Box(x, y, 0.8, 0.7, number(term), colour) for x, term in enumerate(terms)]
    parts += [Label(x + 0.9, 1.65, "+") for x in range(D_K - 1)]
    total = sum(w.products)
    parts += [
        Label(D_K + 0.1, 1.65, "="),
        Box(D_K + 0.4, 1.3, 0.9, 0.7, number(total), INK),
        Label(D_K + 0.85, 0.95, f"÷ √{D_K}"),
        Box(D_K + 0.4, 0.0, 0.9, 0.7, number(w.logit), WITH, 0.15),
        Label(D_K / 2 - 0.3, 0.35, f"weight = exp({number(w.logit)}) ÷ Σ exp(s) = {percent(w.weight)}", WITH, size=15),
    ]
    figure = figures.diagram(
        parts, title="The chosen logit, term by term", x_range=(-0.8, D_K + 1.5), y_range=(-0.2, 4.3), height=340
    )
    rows: list[list[str | float | None]] = [
        [str(i), *terms] for i, terms in enumerate(zip(w.query, w.key, w.products, strict=True))
    ]
    rows += [["sum", None, None, total], ["logit", None, None, w.logit], ["weight", None, None, w.weight]]
    figure.tabulate(["component", f"query {row}", f"key {column}", "product"], rows)
    return figure


def _below(i: int) -> str:
    return "₀₁₂₃₄"[i]


def arithmetic_reading(w: qkv.Written, row: int, column: int) -> str:
    terms = " + ".join(f"{_signed(a)}·{_signed(b)}" for a, b in zip(w.query, w.key, strict=True))
    others = ", ".join(number(s) for s in w.row)
    return (
        f"Query {row} on key {column}: {terms} = {number(sum(w.products))}, divided by √{D_K} = {number(w.logit)}. Among its row’s "
        f"logits {others} the softmax gives it {percent(w.weight)}."
    )


def _signed(x: float) -> str:
    """A factor inside a sum: in brackets if it is negative."""
    return f"({number(x)})" if x < 0 else number(x)


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return plane_frames(CASES[0], qkv.LENGTH)[qkv.ANGLES.index(40)]
