"""Question 18: equal areas beside the published ratios; trained ratios, tuned and with one rate; facts; operations."""

import math

import torch
from torch import Tensor

from core.experiments import ffn_ratio as experiment
from core.experiments.ffn_ratio import LLAMAS, STOPS, Ratios, Rounded
from core.ops.widths import equal_ratio, matrix_parameters
from core.say import listed, number, percent
from core.training.ffn_ratio import ACTIVATIONS, FACTS, NOISES, RATES, RATIOS, WIDTHS, Activation
from ui import figures
from ui.drawings import corners
from ui.figures import Box, Figure, Frame, Label, Series
from ui.palette import INK, OCHRE, ROSE, WITH, WITHOUT, faded

HERO, PANEL = 320, 340  # pixels
MODELS = {name: name for name in LLAMAS}
NAMES: dict[Activation, str] = {"gelu": "GELU", "relu": "ReLU", "swiglu": "SwiGLU"}
RATIO_TITLE = "ratio d_ff ÷ d_model"
COUNTED_AS = "ratio of two matrices with as many weights, about"


def short(value: float) -> str:
    """A ratio, without zeros at the end.

    >>> short(8 / 3), short(4.0), short(2.6875), short(5.0001)
    ('2.67', '4', '2.69', '5')
    """
    said = number(value)
    return said.rstrip("0").rstrip(".") if "." in said else said


def dots(
    figure: Figure,
    x: Tensor,
    y: Tensor,
    colour: str,
    name: str,
    *,
    size: int = 8,
    symbol: str = "circle",
    legend: bool = True,
    hover: list[str] | None = None,
) -> None:
    figure.trace(
        "scatter",
        x=figures.numbers(x),
        y=figures.numbers(y),
        mode="markers",
        marker={"color": faded(colour, 0.6), "size": size, "symbol": symbol, "line": {"color": colour, "width": 1.5}},
        name=name,
        showlegend=legend,
        hovertext=hover,
    )


# ------------------------------------------------------------------------------------------------ areas, and what is published


def area_figure(ratio: int, name: str) -> Figure:
    """Every matrix d high and d_ff long, on one scale for all ratios; dashed, three as long as the two are."""
    three, r = equal_ratio(ratio), experiment.rounded(name, ratio)
    two_tops, three_tops = (6.6, 5.55), (3.55, 2.5, 1.45)
    boxes = [
        Box(0, top - 1, length, 1, label, colour, 0.35, note=f"{label}: d × {short(length)} d")
        for tops, length, labels in (
            (two_tops, ratio, (("W_up", OCHRE), ("W_down", ROSE))),
            (three_tops, three, (("W_gate", WITH), ("W_up", OCHRE), ("W_down", ROSE))),
        )
        for top, (label, colour) in zip(tops, labels, strict=True)
    ]
    boxes += [Box(three, top - 1, ratio - three, 1, "", INK, 0, "dot") for top in three_tops]
    # Numbers of weights at d = 3, ÷ d²: of two matrices, of three, and of three that are as long as the two.
    two_sum, three_sum, long_sum = (
        matrix_parameters(3, d_ff, n) / 9 for d_ff, n in ((3 * ratio, 2), (2 * ratio, 3), (3 * ratio, 3))
    )
    at, first, then = ratio + 0.2, *rounding_words(name, r, ratio)
    words = [
        Label(0, 7.0, f"Two matrices, d × {short(ratio)} d each", WITHOUT, "middle right", 17),
        Label(0, 3.95, f"Three (SwiGLU), d × {short(three)} d each", WITH, "middle right", 17),
        Label(at, 5.55, f"{short(two_sum)} d²", WITHOUT, "middle right", 30),
        Label(at, 2.45, f"{short(three_sum)} d²", WITH, "middle right", 30),
        Label(at, 1.25, f"at {ratio} d: {short(long_sum)} d²", INK, "middle right", 14),
        Label(0, 0.0, first, INK, "middle right", 14),
        Label(0, -0.55, then, INK, "middle right", 14),
    ]
    drawn = figures.diagram(
        [*boxes, *words],
        title="Equal areas, equal numbers of weights",
        x_range=(-0.15, max(STOPS) + 3.4),
        y_range=(-0.95, 7.4),
        height=HERO,
    )
    drawn.lay_out(margin={"l": 4, "r": 4, "t": 34, "b": 4})
    drawn.tabulate(
        ["layer", "matrices", "d_ff ÷ d_model", "parameters ÷ d²"],
        [
            ["two matrices", 2, ratio, two_sum],
            ["three, with a gate", 3, three, three_sum],
            ["three, as long as the two", 3, ratio, long_sum],
        ],
    )
    return drawn


def rounding_words(name: str, r: Rounded, ratio: int) -> tuple[str, str]:
    """As in “LLaMA 7B: 2⁄3 · 4 d → 10,922” and “→ 43 · 256 = 11,008 = 2.69 d”."""
    whose = name if ratio == 4 else f"{name}’s code with {ratio}"
    more = f"× {r.multiplier:g} → {r.multiplied:,} " if r.multiplied != r.cut else ""
    times = r.d_ff // r.multiple_of
    return (
        f"{whose}: 2⁄3 · {ratio} d → {r.cut:,}",
        f"{more}→ {times:,} · {r.multiple_of:,} = {r.d_ff:,}, {short(r.ratio)} d",
    )


TICKS = (1, 2, 2.67, 4, 8, 16, 32, 64)


def published_figure(ratio: int, name: str) -> Figure:
    """Every published model: how wide it is, and its ratio."""
    found, three = experiment.published(), equal_ratio(ratio)
    drawn = figures.lines(
        [],
        x=torch.zeros(0),
        title=f"What {len(found.names)} published dense models take",
        x_title="width of the model, d_model",
        y_title=RATIO_TITLE,
        log_x=True,
        log_y=True,
        x_range=(450, 22_000),
        y_range=(0.8, 90),
        x_ticks=(512, 1024, 2048, 4096, 8192, 16384),
        y_ticks=TICKS,
        height=HERO,
    )
    for gated, colour, symbol, words in (
        (False, WITHOUT, "square", "two matrices"),
        (True, WITH, "circle", "three matrices"),
    ):
        chosen = found.gated == gated
        names = [n for n, is_gated in zip(found.names, found.gated.tolist(), strict=True) if is_gated == gated]
        hover = [f"{n}: {short(r)}" for n, r in zip(names, found.ratio[chosen].tolist(), strict=True)]
        dots(drawn, found.d_model[chosen], found.ratio[chosen], colour, words, symbol=symbol, hover=hover)
    for value, colour, words in ((float(ratio), WITHOUT, "two"), (three, WITH, "three")):
        drawn.shape(
            type="line",
            x0=0,
            x1=1,
            xref="paper",
            y0=value,
            y1=value,
            line={"color": colour, "width": 2, "dash": "dash"},
        )
        drawn.note(
            f"{words}: {short(value)}",
            x=1,
            xref="paper",
            xanchor="left",
            xshift=4,
            y=math.log10(value),
            font={"size": 13, "color": colour},
        )
    at = found.names.index(name)
    for i in (found.names.index("T5 3B"), found.names.index("T5 11B")):
        drawn.note(
            f"{found.names[i]}: {short(float(found.ratio[i]))}",
            x=math.log10(int(found.d_model[i])),
            y=math.log10(float(found.ratio[i])),
            xanchor="left",
            xshift=10,
            font={"size": 13, "color": INK},
        )
    # In the empty band below all models, tied to its ring.
    wide = int(found.d_model[at])
    drawn.shape(
        type="line", x0=wide, x1=wide, y0=1.15, y1=0.93 * float(found.ratio[at]), line={"color": INK, "width": 1}
    )
    drawn.note(
        f"{name}: {short(float(found.ratio[at]))}",
        x=math.log10(wide),
        y=math.log10(1),
        xanchor="right" if wide > 10_000 else "center",
        font={"size": 13, "color": INK},
    )
    dots(drawn, found.d_model[[at]], found.ratio[[at]], INK, name, size=13, symbol="circle-open", legend=False)
    drawn.lay_out(showlegend=True, margin={"l": 56, "r": 78, "t": 58, "b": 46})
    return drawn


@corners(name=tuple(LLAMAS))
def ratio_frames(name: str) -> list[Frame]:
    """One frame for each ratio: the areas, and the published models."""
    return [Frame((area_figure(r, name), published_figure(r, name)), ratio_reading(r)) for r in STOPS]


def takers(ratios: Tensor, ratio: float) -> str:
    """As in “59 take 4”."""
    n = experiment.near(ratios, ratio)
    return f"{number(n) if n else 'none'} {'takes' if n == 1 else 'take'} {short(ratio)}"


def ratio_reading(ratio: int) -> str:
    found, three = experiment.published(), equal_ratio(ratio)
    two, gated = found.of(False), found.of(True)
    return (
        f"Both layers have {short(2 * ratio)} d² weights. Of {len(two)} published models with two matrices {takers(two, ratio)} "
        f"(to within {percent(experiment.NEAR)}); of the {len(gated)} with three, {takers(gated, three)}."
    )


# ------------------------------------------------------------------------------------------------ trained


def axis(title: str, most: float, height: int = PANEL) -> Figure:
    """An empty figure: the excess over the ratio."""
    drawn = figures.lines(
        [],
        x=torch.zeros(0),
        title=title,
        x_title=RATIO_TITLE + " (SwiGLU: times 3/2)",
        y_title="loss above the least possible, nats",
        log_x=True,
        x_range=(0.42, 21),
        y_range=(0, most),
        x_ticks=RATIOS,
        height=height,
    )
    drawn.lay_out(showlegend=True)
    return drawn


def runs(figure: Figure, found: Ratios, colour: str, name: str, dash: str = "solid", seeds: bool = True) -> None:
    """The mean of all seeds as a line, and every seed as a dot."""
    figure.trace(
        "scatter",
        x=figures.numbers(found.ratio),
        y=figures.numbers(found.mean),
        mode="lines",
        line={"color": colour, "width": 3 if seeds else 1.5, "dash": dash},
        name=f"{name}, mean",
    )
    if seeds:
        n = found.excess.shape[-1]
        x = found.ratio[:, None].expand(-1, n).flatten()
        dots(figure, x, found.excess.flatten(), colour, f"{n} seeds", size=7)


@corners()
def trained_frames() -> list[Frame]:
    """One frame for each activation: every ratio with the learning rate that suits it best, and all rates."""
    every = {activation: experiment.tuned(activation) for activation in NAMES}
    most = 1.08 * max(float(found.excess.max()) for found in every.values())
    frames = []
    for activation, name in NAMES.items():
        found = every[activation]
        drawn = axis("Equal parameters, each ratio with its best learning rate", most)
        for other, dash in zip((a for a in NAMES if a != activation), ("dash", "dot"), strict=True):
            runs(drawn, every[other], WITHOUT, NAMES[other], dash, seeds=False)
        runs(drawn, found, WITH, name)
        frames.append(Frame((drawn, rates_figure(activation)), trained_reading(name, found)))
    return frames


def rates_figure(activation: Activation) -> Figure:
    """Every ratio with every rate, the mean over seeds; of each ratio the best is framed."""
    mean = experiment.ends(activation).mean(1).T
    drawn = figures.heatmap(
        mean,
        title=f"{NAMES[activation]}: every learning rate, framed the best of each ratio",
        rows=[f"{rate:g}" for rate in RATES],
        columns=[f"{ratio:g}" for ratio in RATIOS],
        row_title="learning rate",
        column_title=COUNTED_AS if activation == "swiglu" else "ratio, about",
        limits=(0, float(mean.max())),
        text=".2f",
        colour_bar=False,
        height=PANEL,
    )
    for column, row in enumerate(mean.argmin(0).tolist()):
        drawn.shape(
            type="rect", x0=column - 0.5, x1=column + 0.5, y0=row - 0.5, y1=row + 0.5, line={"color": INK, "width": 3}
        )
    return drawn


def named_ratio(name: str, place: int) -> str:
    """As in “a ratio of about 4”; with three matrices, what two of as many weights would have, and its own.

    >>> named_ratio("GELU", 3)
    'a ratio of about 4'
    >>> named_ratio("SwiGLU", 3)
    'as many weights as two matrices at about 4 (its own d_ff is 2.9 d)'
    """
    if name != NAMES["swiglu"]:
        return f"a ratio of about {RATIOS[place]:g}"
    own = equal_ratio(1) * float(experiment.built("swiglu")[place])
    return f"as many weights as two matrices at about {RATIOS[place]:g} (its own d_ff is {number(own, 2)} d)"


def trained_reading(name: str, found: Ratios) -> str:
    best = found.best
    after = range(best + 1, min(best + 3, len(RATIOS)))
    more = [percent(float(found.mean[i] / found.mean[best]) - 1) for i in after]
    wider = [
        f"{RATIOS[i]:g} {'' if n else 'leaves '}{more[n]}{'' if n else ' more to learn'}" for n, i in enumerate(after)
    ]
    beside = f"; {listed(wider)}" if wider else ""
    low = (
        ""
        if best == 0
        else f". {RATIOS[0]:g} leaves {number(float(found.mean[0] / found.mean[best]), 2)} times as much to learn"
    )
    if best > 2:  # as others count the loss
        more = [percent(float(found.whole[i] / found.whole[best]) - 1) for i in (0, 2)]
        low += f"; of the whole loss that is {more[0]} more, and {more[1]} at {RATIOS[2]:g}"
    edge = [f"{RATIOS[i]:g}" for i in range(len(RATIOS)) if found.edge[i]]
    at_edge = f" At {listed(edge)} the best learning rate lies at the edge of those tried." if edge else ""
    return f"{name} has its least mean with {named_ratio(name, best)}{beside}{low}.{at_edge}"


# ------------------------------------------------------------------------------------------------ one rate for all


def winners(activation: Activation) -> Tensor:
    """The place of the ratio that is best at each rate."""
    return torch.tensor([experiment.at_one_rate(activation, rate).best for rate in RATES])


@corners(activation=ACTIVATIONS)
def trap_frames(activation: Activation) -> list[Frame]:
    """One frame for each learning rate: all ratios with it, beside each with its own."""
    tuned, best = experiment.tuned(activation), winners(activation)
    ratios = torch.tensor(RATIOS, dtype=torch.float64)
    frames = []
    for i, rate in enumerate(RATES):
        found = experiment.at_one_rate(activation, rate)
        drawn = axis(
            f"{NAMES[activation]}: learning rate {rate:g} for every ratio",
            1.08 * float(experiment.ends(activation).max()),
        )
        runs(drawn, tuned, WITH, "each its best rate", seeds=False)
        runs(drawn, found, WITHOUT, f"{rate:g} for all")
        dots(
            drawn, found.ratio[[found.best]], found.mean[[found.best]], INK, "the winner", size=15, symbol="circle-open"
        )
        won = figures.lines(
            [Series("winner", ratios[best], WITHOUT, markers=True)],
            x=torch.tensor(RATES),
            title="Which ratio wins, if all share one rate",
            x_title="learning rate of all ratios",
            y_title=COUNTED_AS if activation == "swiglu" else "ratio with the least mean, about",
            log_x=True,
            log_y=True,
            x_range=(RATES[0] / 1.4, RATES[-1] * 1.4),
            y_range=(0.4, 20),
            x_ticks=RATES,
            y_ticks=RATIOS,
            height=PANEL,
        )
        dots(won, torch.tensor([rate]), ratios[best[[i]]], INK, "here", size=15, symbol="circle-open")
        frames.append(Frame((drawn, won), trap_reading(NAMES[activation], rate, found, tuned)))
    return frames


def trap_reading(name: str, rate: float, found: Ratios, tuned: Ratios) -> str:
    said = f"With learning rate {rate:g} for all, the winner has {named_ratio(name, found.best)}"
    if found.best == tuned.best:
        return f"{said}, as it has if each has its best rate."
    behind = float(found.mean[tuned.best] / found.mean[found.best]) - 1
    close = ", less than two standard errors" if float(found.apart(found.best)[tuned.best]) < 2 else ""
    return f"{said}; {RATIOS[tuned.best]:g}, which wins if each has its best rate, leaves {percent(behind)} more to learn here{close}."


# ------------------------------------------------------------------------------------------------ facts


@corners()
def recall_frames() -> list[Frame]:
    """One frame for each noise on the queries: how many facts come back, written in and trained, over the width."""
    widths = torch.tensor(WIDTHS, dtype=torch.float64)
    frames = []
    for noise in NOISES:
        found = experiment.recall(noise)
        drawn = figures.lines(
            [
                Series("trained, mean", found.trained.mean(-1), WITH, width=3),
                Series("written in, one fact a unit, mean", found.planted.mean(-1), WITHOUT, "dash", width=3),
            ],
            x=widths,
            title=f"{FACTS} facts asked with noise of length {number(noise)} (a key’s length is 1)",
            x_title="units of the feed-forward layer, d_ff",
            y_title="share of the facts that come back",
            log_x=True,
            x_range=(3.4, 600),
            y_range=(0, 1.08),
            x_ticks=WIDTHS,
            levels={f"guessing: {percent(experiment.chance())}": (experiment.chance(), INK)},
            level_at="top right",
            height=PANEL,
        )
        for recalled, colour in ((found.trained, WITH), (found.planted, WITHOUT)):
            n = recalled.shape[-1]
            x = widths[:, None].expand(-1, n).flatten()
            dots(drawn, x, recalled.flatten(), colour, f"{n} seeds", size=6, legend=colour == WITH)
        frames.append(Frame((drawn,), recall_reading(noise, found)))
    return frames


def recall_reading(noise: float, found: experiment.Recall) -> str:
    written, trained = (r.mean(-1) for r in (found.planted, found.trained))
    i, last = WIDTHS.index(32), WIDTHS[-1]
    before = float(experiment.recall(0.0).trained[i].mean())
    how = f"With noise of length {number(noise)}" if noise else "Asked exactly as learned"
    without = f" ({percent(before)} without noise)" if noise else ""
    by_luck = f" Guessing gives {percent(experiment.chance())}." if noise else ""
    return (
        f"{how}, {WIDTHS[i]} trained units give back {percent(float(trained[i]))} of {FACTS} facts{without} and {WIDTHS[i]} written "
        f"ones {percent(float(written[i]))}; {last} units give back {percent(float(trained[-1]))} trained and "
        f"{percent(float(written[-1]))} written.{by_luck}"
    )


# ------------------------------------------------------------------------------------------------ operations


def work_figure(context: int, held: experiment.Held, title: str, most: float) -> Figure:
    found = experiment.work(context, held)
    drawn = figures.bars(
        [
            Series("through the weights", found.weights / 1e6, WITH),
            Series("between tokens (attention)", found.attention / 1e6, ROSE),
        ],
        labels=[f"{ratio:g}" for ratio in experiment.LINE],
        title=title,
        x_title=RATIO_TITLE,
        y_title="million FLOPs a token and layer",
        y_range=(0, most),
        stacked=True,
        height=PANEL,
    )
    drawn.lay_out(xaxis={"showgrid": False})
    return drawn


@corners()
def work_frames() -> list[Frame]:
    """One frame for each number of tokens in sight: the model’s width held, and the number of parameters held."""
    frames = []
    for context in experiment.CONTEXTS:
        each = {held: experiment.work(context, held) for held in ("width", "parameters")}
        most = 1.08 * max(float(found.total.max()) for found in each.values()) / 1e6
        drawn = (
            work_figure(context, "width", f"A token’s FLOPs: d_model stays {experiment.USUAL_WIDTH:,}", most),
            work_figure(context, "parameters", "A token’s FLOPs: the parameters stay, d_model shrinks", most),
        )
        frames.append(Frame(drawn, work_reading(context, each["width"], each["parameters"])))
    return frames


def work_reading(context: int, width: experiment.Work, parameters: experiment.Work) -> str:
    low, high = experiment.LINE.index(4), experiment.LINE.index(16)
    more = float(width.total[high] / width.total[low])
    less = 1 - float(parameters.total[high] / parameters.total[low])
    kept = 1 - float(parameters.cache[high] / parameters.cache[low])
    return (
        f"With {context:,} tokens in sight, going from 4 to 16 costs {number(more, 2)} times the FLOPs if d_model stays. If the "
        f"parameters stay, it saves {percent(less)} of them, all between tokens, and the keys and values to keep are {percent(kept)} fewer."
    )


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return ratio_frames(next(iter(LLAMAS)))[STOPS.index(4)]
