"""Question 19: the mean of random masks settles on a curve; its relatives; units that fell silent; what numbers make of it."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from core.experiments import gelu as experiment
from core.experiments.gelu import COUNTS, Cube, Written
from core.ops.activations import gelu, gelu_slope
from core.say import count, number, percent
from core.training import gelu as training
from core.training.gelu import Form
from ui import figures
from ui.drawings import corners
from ui.figures import Figure, Frame, Series
from ui.palette import INK, MASKED, OCHRE, ROSE, WITH, WITHOUT, faded

SEEDS = (0, 9999)
HERO = 340  # pixels, the most that a hero is given
NEAR, FAR = 0.7, experiment.HIGH  # the right edge: as long as the tangent is left of ½, and farther right
USUAL = 50  # draws: enough to lie on GELU, not on ReLU
TOUCH = -0.3
TOUCHES = (TOUCH, -3.0, -0.8, 0.0, 1.4, 2.0)

# ------------------------------------------------------------------------------------------------ 0 or 1, drawn


def band(figure: Figure, x: Tensor, low: Tensor, high: Tensor, colour: str, name: str) -> None:
    """The area between two curves."""
    figure.trace(
        "scatter",
        x=figures.numbers(torch.cat([x, x.flip(0)])),
        y=figures.numbers(torch.cat([low, high.flip(0)])),
        mode="lines",
        fill="toself",
        fillcolor=faded(colour, 0.2),
        line={"color": faded(colour, 0.2), "width": 0.5},
        name=name,
        hoverinfo="skip",
    )


def smooth(figure: Figure) -> Figure:
    """The same with every point drawn: of thick lines Plotly leaves some out, and bends become corners."""
    for trace in figure["data"]:
        if "line" in trace:
            trace["line"]["simplify"] = False
    return figure


def curve(
    figure: Figure, x: Tensor, y: Tensor, colour: str, name: str, width: float, dash: str = "solid", legend: bool = True
) -> None:
    figure.trace(
        "scatter",
        x=figures.numbers(x),
        y=figures.numbers(y),
        mode="lines",
        line={"color": colour, "width": width, "dash": dash},
        name=name,
        showlegend=legend,
    )


def dots(figure: Figure, x: Tensor, y: Tensor, colour: str, name: str, size: int = 6, legend: bool = True) -> None:
    figure.trace(
        "scatter",
        x=figures.numbers(x),
        y=figures.numbers(y),
        mode="markers",
        marker={"color": colour, "size": size},
        name=name,
        showlegend=legend,
    )


@corners(touch=TOUCHES, seed=SEEDS)
def draw_frames(touch: float, seed: int) -> list[Frame]:
    """One frame for each number of draws: their means and the curve; beneath, the slopes of GELU and ReLU."""
    found = experiment.draws(seed)
    return [Frame((draw_figure(found, i, touch),), draw_reading(found, i, touch)) for i in range(len(COUNTS))]


RELU_SLOPE = torch.tensor([-9.0, 0.0, 0.0, 9.0]), torch.tensor([0.0, 0.0, 1.0, 1.0])
"""A step; at 0 itself ReLU has no slope, and torch takes 0."""


def edge(touch: float) -> float:
    """Where the picture ends on the right: the question is what happens about 0, unless the tangent is farther right."""
    return NEAR if touch <= 0.5 else FAR


def draw_figure(found: experiment.Draws, i: int, touch: float) -> Figure:
    """Values above, slopes beneath, over one axis. What is drawn at random lies under what is computed."""
    right = edge(touch)
    seen = found.x <= right + 1e-9
    x, error, value, mean = found.x[seen], found.error[i][seen], found.value[seen], found.mean[i][seen]
    at = torch.tensor([touch], dtype=torch.float64)
    steep, step = gelu_slope(at), experiment.slope("relu", at)
    reach = touch + torch.tensor([-0.9, 0.9], dtype=torch.float64)
    figure = figures.lines(
        [Series("ReLU", x.relu(), WITHOUT, "dash", width=3)],
        x=x,
        title=f"ReLU cuts, GELU dips: x kept with chance Φ(x), the mean of {count(COUNTS[i], 'draw')} for each x",
        x_title="input x",
        y_title="output",
        x_range=(experiment.LOW, right),
        y_range=(min(-0.4, float(mean.min()) - 0.1), right + 0.1),
        height=HERO,
    )
    curve(figure, x, value, WITH, "GELU = x Φ(x)", 3.5)
    band(figure, x, value - error, value + error, WITH, "± 1 standard error")
    dots(figure, x, mean, INK, "mean of draws", 5)
    curve(figure, reach, gelu(at) + gelu_slope(at) * (reach - at), OCHRE, "GELU’s tangent", 3)
    dots(figure, at, gelu(at), OCHRE, "where it touches", 11, legend=False)
    above = len(figure["data"])
    curve(figure, RELU_SLOPE[0], RELU_SLOPE[1], WITHOUT, "slope of ReLU", 3, "dash", legend=False)
    curve(figure, x, gelu_slope(x), WITH, "slope of GELU", 3.5, legend=False)
    dots(figure, at, step, WITHOUT, "slope of ReLU there", 11, legend=False)
    dots(figure, at, steep, OCHRE, "slope of GELU there", 11, legend=False)
    for trace in figure["data"][above:]:
        trace["yaxis"] = "y2"
    figure.lay_out(
        showlegend=True,
        xaxis={"anchor": "y2"},
        yaxis={"domain": [0.38, 1]},
        yaxis2={"title": {"text": "slope"}, "zeroline": False, "domain": [0, 0.32], "range": [-0.3, 1.3], "tickvals": [0, 1]},
    )  # fmt: skip
    figure.shape(
        type="line", x0=touch, x1=touch, y0=0, y1=1, yref="paper", line={"color": OCHRE, "width": 1.5, "dash": "dot"}
    )
    # Left of 0 both slopes are small: there is room for words, on that side of the tangent’s line where it does not pass.
    for y, words, colour in (
        (1.0, f"GELU: {steepness(float(steep))}", OCHRE),
        (0.5, f"ReLU: {number(float(step), 2)}", WITHOUT),
    ):
        figure.note(
            words,
            x=-2.9 if touch > -1.5 else -1.4,
            y=y,
            yref="y2",
            xanchor="left",
            yanchor="middle",
            font={"color": colour, "size": 18},
        )
    return smooth(figure)


def steepness(slope: float) -> str:
    """Two decimals, or two digits of what is less than that."""
    return number(slope, 3 if abs(slope) >= 1 else 2)


def draw_reading(found: experiment.Draws, i: int, touch: float) -> str:
    seen = found.x <= edge(touch) + 1e-9
    off = (found.mean[i] - found.value).abs()[seen]
    worst = int(off.argmax())
    steep = float(gelu_slope(torch.tensor(touch, dtype=torch.float64)))
    relu = "exactly 0" if touch <= 0 else "exactly 1"
    if touch == 0:
        relu = "0 on the left and 1 on the right"
    turned = ", negative," if steep < 0 else ""
    errors = float(off[worst] / found.error[i][seen][worst])
    return (
        f"At x = {number(touch)} GELU’s slope is {steepness(steep)}{turned} and ReLU’s {relu}. Of the {len(off)} means of "
        f"{count(COUNTS[i], 'draw')} here, the farthest from x\u00a0Φ(x) is {number(float(off[worst]), 2)} away, "
        f"{number(errors, 2)} standard errors."
    )


# ------------------------------------------------------------------------------------------------ relatives

Shown = Literal["tanh", "sigmoid", "silu", "relu", "relu2", "gate"]
FAMILY: dict[Shown, str] = {
    "tanh": "tanh form",
    "sigmoid": "sigmoid form",
    "silu": "SiLU",
    "relu": "ReLU",
    "relu2": "ReLU²",
    "gate": "gates",
}
USED: dict[Shown, str] = {
    "tanh": "GPT-2’s code computes it, and Google’s BERT code since 2019.",
    "sigmoid": "OpenAI’s CLIP computes it, as QuickGELU.",
    "silu": "LLaMA’s gates use it.",
    "relu": "The original Transformer had it, and the first T5.",
    "relu2": "An automatic search, Primer, came up with it.",
}
NAMES: Mapping[Form, str] = {"exact": "exact GELU", "relu": "ReLU", "relu2": "ReLU²", "silu": "SiLU", "tanh": "tanh form", "sigmoid": "sigmoid form"}  # fmt: skip
PANEL = 320


@corners()
def family_frames() -> list[Frame]:
    """One frame for each relative: beside exact GELU, and its difference from it; last the gates."""
    return [relative_frame(form) for form in FAMILY if form != "gate"] + [gate_frame()]


def _the(form: Form) -> str:
    """A form as a sentence begins with it."""
    return f"The {NAMES[form]}" if form in ("tanh", "sigmoid") else NAMES[form]


def relative_frame(form: Form) -> Frame:
    found, colour = experiment.relative(form), WITHOUT if form == "relu" else OCHRE
    edge = found.worst_at == experiment.WIDE
    most = 1.4 * found.worst
    marks = {f"largest: {number(found.worst, 2)}": (-found.worst_at, INK), "": (found.worst_at, INK)}
    difference = figures.lines(
        [Series(f"{NAMES[form]} − exact GELU", found.error, colour)],
        x=found.x,
        title=f"{_the(form)} minus exact GELU",
        x_title="input x",
        y_title="difference of outputs",
        x_range=(-experiment.WIDE, experiment.WIDE),
        y_range=(-most, most),
        marks={} if edge else marks,
        height=PANEL,
    )
    difference.lay_out(yaxis={"exponentformat": "power", "showexponent": "all"})
    beside = figures.lines(
        [Series("exact GELU", found.exact, WITH, width=4.5), Series(NAMES[form], found.value, colour, "dash")],
        x=found.x,
        title=f"{_the(form)} beside exact GELU",
        x_title="input x",
        y_title="output",
        x_range=(-experiment.WIDE, experiment.WIDE),
        y_range=(-0.6, 4.2),
        height=PANEL,
    )
    return Frame((smooth(beside), smooth(difference)), relative_reading(form, found, edge))


def relative_reading(form: Form, found: experiment.Relative, edge: bool) -> str:
    used = USED[form]  # type: ignore[index]
    if edge:
        return f"{_the(form)} is {number(found.worst)} above exact GELU at x = {number(found.worst_at)}, and farther beyond. {used}"
    at = number(abs(found.worst_at))
    return f"{_the(form)} and exact GELU differ most at x = ±{at}, by {number(found.worst, 2)}. {used}"


def gate_frame() -> Frame:
    x = experiment.relative("silu").x
    looks = {-1.0: (WITHOUT, "dash"), 0.5: (ROSE, "dot"), 1.0: (WITH, "solid"), 2.0: (OCHRE, "dashdot")}  # of each u
    through = gelu(torch.tensor(2.0, dtype=torch.float64))
    gates = figures.lines(
        [Series(f"u = {number(up)}", experiment.gate("exact", x, up), *look) for up, look in looks.items()],
        x=x,
        title="GEGLU: GELU(g) times u, another product of the input",
        x_title="gate’s input g",
        y_title="output GELU(g) · u",
        x_range=(-experiment.WIDE, experiment.WIDE),
        y_range=(-4.2, 8.2),
        height=PANEL,
    )
    equal = figures.lines(
        [
            Series("GEGLU", experiment.gate("exact", x, x), WITH),
            Series("SwiGLU (SiLU)", experiment.gate("silu", x, x), OCHRE, "dash"),
            Series("ReGLU (ReLU)", experiment.gate("relu", x, x), WITHOUT, "dot"),
        ],
        x=x,
        title="If both products are equal, u = g",
        x_title="gate’s input g",
        y_title="output",
        x_range=(-experiment.WIDE, experiment.WIDE),
        y_range=(-0.6, 4.2),
        height=PANEL,
    )
    return Frame(
        (smooth(gates), smooth(equal)),
        f"A gate has no one curve: what GELU lets through of g = 2 becomes {number(-float(through))} for u = −1 and "
        f"{number(2 * float(through))} for u = 2. LLaMA gates with SiLU (SwiGLU), Gemma 2 with GELU’s tanh form (GEGLU).",
    )


# ------------------------------------------------------------------------------------------------ its dip

SIGMAS = (0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0)


@corners()
def dip_frames() -> list[Frame]:
    """One frame for each width of the Gaussian: where x Φ(x/σ) is lowest, and where steepest."""
    x = torch.linspace(-4, 4, 401, dtype=torch.float64)
    frames = []
    for sigma in SIGMAS:
        found = experiment.extremes(sigma)
        (low_at, low), (steep_at, steep) = found.lowest, found.steepest
        name = "x Φ(x)" if sigma == 1 else f"x\u00a0Φ(x\u00a0/\u00a0{number(sigma)})"
        value = figures.lines(
            [Series("ReLU", x.relu(), WITHOUT, "dash"), Series(name, gelu(x, sigma), WITH, width=3)],
            x=x,
            title=f"The dip of {name}",
            x_title="input x",
            y_title="output",
            x_range=(-4, 4),
            y_range=(-0.45, 0.95),
            height=PANEL,
        )
        dots(value, torch.tensor([low_at]), torch.tensor([low]), OCHRE, "lowest", 11)
        slope = figures.lines(
            [
                Series("ReLU", RELU_SLOPE[1], WITHOUT, "dash", x=RELU_SLOPE[0]),
                Series(name, gelu_slope(x, sigma), WITH, width=3),
            ],
            x=x,
            title="Its slope",
            x_title="input x",
            y_title="slope",
            x_range=(-4, 4),
            y_range=(-0.25, 1.3),
            height=PANEL,
        )  # fmt: skip
        dots(slope, torch.tensor([steep_at]), torch.tensor([steep]), OCHRE, "steepest", 11)
        frames.append(Frame((smooth(value), smooth(slope)), dip_reading(sigma, found)))
    return frames


def dip_reading(sigma: float, found: experiment.Extremes) -> str:
    (low_at, low), (steep_at, steep) = found.lowest, found.steepest
    which = "GELU" if sigma == 1 else f"With a Gaussian of width {number(sigma)} the curve"
    return (
        f"{which} is lowest at x = {number(low_at)}, where it is {number(low)}, and steepest at x = {number(steep_at)}, "
        f"where its slope is {number(steep)}: more than ReLU’s 1."
    )


# ------------------------------------------------------------------------------------------------ silent units

RATES = {rate: f"{rate:g}" for rate in training.RATES}
COLOURS: Mapping[Form, str] = {"relu": WITHOUT, "exact": WITH}
WORDS: Mapping[Form, str] = {"relu": "ReLU", "exact": "GELU"}


def silent_figure(runs: list[training.Progress], title: str) -> Figure:
    """How many units are above 0 nowhere on the probe, step by step; a line for each run."""
    series = [
        Series(
            f"{WORDS[form]}, seed {r}" if r else WORDS[form], run.silent[a], COLOURS[form], x=run.at, width=1.8, legend=not r
        )
        for a, form in enumerate(training.TRAINED)
        for r, run in enumerate(runs)
    ]  # fmt: skip
    most = max(10, int(max(int(run.silent.max()) for run in runs) * 1.1))
    return figures.lines(
        series,
        x=runs[0].at,
        title=title,
        x_title="training step",
        y_title=f"of {training.UNITS} units, above 0 nowhere",
        x_range=(0, training.STEPS),
        y_range=(0, most),
        height=PANEL,
    )


@corners()
def silent_frames() -> list[Frame]:
    """One frame for each learning rate: every seed’s silent units, and how many of them still get a gradient."""
    frames = []
    for rate in training.RATES:
        runs = [training.trained(rate, seed) for seed in training.SEEDS]
        ends = {form: training.ends(form, rate) for form in training.TRAINED}
        silent, reached = ([_total(ends[form], what) for form in training.TRAINED] for what in ("silent", "reached"))
        bars = figures.bars(
            [
                Series("get a gradient", reached, WITH),
                Series("get none", [s - r for s, r in zip(silent, reached, strict=True)], MASKED),
            ],
            labels=[WORDS[form] for form in training.TRAINED],
            title=f"Silent at the end, on {training.TEST:,} texts: any gradient?",
            x_title="activation",
            y_title=f"of {training.UNITS * len(training.SEEDS):,} units, all seeds",
            y_range=(0, max(10, 1.1 * max(silent))),
            stacked=True,
            height=PANEL,
        )
        frames.append(
            Frame(
                (silent_figure(runs, f"Silent while training, on {training.PROBE} texts"), bars),
                silent_reading(rate, ends),
            )
        )
    return frames


def _total(ends: list[dict], what: str) -> int:
    return sum(end[what] for end in ends)


def silent_reading(rate: float, ends: Mapping[Form, list[dict]]) -> str:
    silent, reached = ({form: _total(ends[form], what) for form in ends} for what in ("silent", "reached"))
    units = training.UNITS * len(training.SEEDS)
    if not any(silent.values()):
        return f"At learning rate {rate:g} every unit is above 0 somewhere, with ReLU and with GELU: after {training.STEPS} steps none of {units:,} is silent on {training.TEST:,} new texts."
    said = "; ".join(_left(WORDS[form], silent[form], reached[form], units) for form in training.TRAINED)
    more = sum(a["silent"] < b["silent"] for a, b in zip(ends["relu"], ends["exact"], strict=True))
    which = (
        f"GELU’s number is the higher one in {number(more) if more else 'none'} of {count(len(ends['relu']), 'seed')}"
    )
    return f"At learning rate {rate:g}, on {training.TEST:,} new texts: {said}. {which}."


def _left(name: str, silent: int, reached: int, units: int) -> str:
    """What one activation left: a count where a percentage would be below one."""
    if not silent:
        return f"{name} left no unit silent"
    many = f"{percent(silent / units)} of all units" if silent >= units / 100 else f"{silent} of {units:,} units"
    if silent == 1:
        return f"{name} left {many} silent, which gets {'a' if reached else 'no'} gradient"
    who = (
        "none of them gets"
        if not reached
        else "all of them get"
        if reached == silent
        else f"{percent(reached / silent)} of them get"
    )
    return f"{name} left {many} silent, and {who} a gradient"


@corners()
def woken_frame() -> list[Frame]:
    """The units that were silent half way, seed by seed: who is above 0 again at the end?"""
    found = {form: training.woken(form) for form in training.TRAINED}
    most = 1.1 * max(end["half"] for ends in found.values() for end in ends)
    panels = tuple(
        figures.bars(
            [
                Series(f"above 0 again at step {training.STEPS}", [end["woke"] for end in ends], OCHRE),
                Series("silent still", [end["half"] - end["woke"] for end in ends], MASKED),
            ],
            labels=[str(seed) for seed in training.WOKEN_SEEDS],
            title=f"{WORDS[form]}: units silent at step {training.HALF}, and then",
            x_title="seed",
            y_title=f"of {training.UNITS} units",
            y_range=(0, most),
            stacked=True,
            height=PANEL,
        )
        for form, ends in found.items()
    )
    return [Frame(panels, woken_reading(found))]


def woken_reading(found: Mapping[Form, list[dict]]) -> str:
    half, woke = ({form: _total(ends, what) for form, ends in found.items()} for what in ("half", "woke"))
    left = _total(found["exact"], "left") / _total(found["exact"], "silent")
    return (
        f"A gradient need not bring a unit back: of GELU’s {half['exact']:,} units silent at step {training.HALF}, {woke['exact']} were above 0 somewhere at step "
        f"{training.STEPS}; of ReLU’s {half['relu']:,}, {woke['relu']}. Of GELU’s silent at the end, {percent(left)} were left of the dip on every text: there the slope is negative."
    )


def live_frame(progress: training.Progress) -> Frame:
    """One training with both: its loss, and the units that fell silent."""
    return Frame(
        (
            figures.lines(
                [
                    Series(WORDS[form], progress.loss[a], COLOURS[form])
                    for a, form in enumerate(training.TRAINED)
                ],
                x=progress.at,
                title="Loss while learning to read backwards",
                x_title="training step",
                y_title="cross-entropy, nats a token",
                x_range=(0, training.STEPS),
                y_range=(1e-5, 10),
                log_y=True,
                height=PANEL,
            ),
            silent_figure([progress], f"Silent while training, on {training.PROBE} texts"),
        ),
        live_reading(progress),
    )  # fmt: skip


def _gradient(silent: int, reached: int) -> str:
    """Who of the silent units gets one."""
    if silent < 2:
        return ["", f", which gets {'a' if reached else 'no'} gradient"][silent]
    return f", {'none' if not reached else 'all' if reached == silent else reached} of them with a gradient"


def live_reading(progress: training.Progress) -> str:
    step, silent, reached = int(progress.at[-1]), progress.silent[:, -1].tolist(), progress.reached[:, -1].tolist()
    losses = [number(float(loss), 2) for loss in progress.loss[:, -1]]
    since = step - (
        int(progress.at[-2]) if len(progress.at) > 1 else 0
    )  # a snapshot’s loss is the mean since the one before
    mean = f", by the mean loss of the last {since}" if since > 1 else ""
    said = [
        f"{WORDS[form]} has loss {losses[a]} and {count(silent[a], 'silent unit')}{_gradient(silent[a], reached[a])}"
        for a, form in enumerate(training.TRAINED)
    ]
    return f"After {count(step, 'step')}{mean}: {'; '.join(said)}."


# ------------------------------------------------------------------------------------------------ numbers

DTYPES = {"float32": "float32", "float64": "float64", "bfloat16": "bfloat16"}
WAYS: Mapping[Written, tuple[str, str, str]] = {
    "erf": ("½ x (1 + erf(x/√2))", WITHOUT, "dash"),
    "torch": (f"torch {experiment.TORCH}, gelu", OCHRE, "dot"),
    "erfc": ("½ x erfc(−x/√2)", WITH, "solid"),
}


@corners(dtype=tuple(DTYPES))
def cancel_frame(dtype: str) -> list[Frame]:
    """By what share of the true value each way of writing x Φ(x) is off, below 0."""
    found = {way: experiment.relative_error(way, dtype) for way in WAYS}
    x = found["erfc"][0]
    frame = Frame(
        (
            figures.lines(
                [
                    Series(name, torch.where(found[way][1] > 0, found[way][1], torch.nan), colour, dash)
                    for way, (name, colour, dash) in WAYS.items()
                ],
                x=x,
                title=f"Error of x Φ(x) in {dtype}, as a share of its value",
                x_title="input x",
                y_title="relative error",
                x_range=(-8, 0),
                y_range=(1e-12, 10),
                log_y=True,
                levels={"all of it": (1.0, MASKED)},
                level_at="bottom right",
                height=PANEL,
            ),
        ),
        cancel_reading(dtype, found),
    )
    return [frame]


def cancel_reading(dtype: str, found: Mapping[Written, tuple[Tensor, Tensor]]) -> str:
    x = found["erf"][0]
    i = int((x - -6).abs().argmin())
    share = {way: float(error[i]) for way, (_, error) in found.items()}
    lost = "all of it" if share["erf"] == 1 else f"{number(share['erf'], 2)} of it"
    by_erfc = f"erfc {number(share['erfc'], 2)} of it" if share["erfc"] else f"erfc in {dtype} is the measure here"
    most = float((found["erf"][1] * gelu(x)).abs().max())
    return (
        f"In {dtype} at x = −6, where GELU is {number(float(gelu(x[i])), 2)}, the sum 1 + erf loses {lost}; {by_erfc}. The sum’s "
        f"largest error from −8 to 0 is {number(most, 2)}: little beside outputs of size 1."
    )


CUBES = (10, 40, 41, 100, 147, 148, 200, 300)
CUBE: Mapping[Cube, str] = {"power": "with x³ as a power", "factored": "with x taken out of the bracket", "torch": f"torch {experiment.TORCH}’s own"}  # fmt: skip


@corners(written=tuple(CUBE))
def half_frames(written: Cube) -> list[Frame]:
    """One frame for each input: the tanh form in float16, and the slope that autograd finds."""
    every = [experiment.in_float16(float(x), written) for x in CUBES]
    xs = torch.tensor(CUBES, dtype=torch.float64)
    frames, below = [], below_figure(written)
    for i, x in enumerate(CUBES):
        cubes = torch.tensor([one.cube if np.isfinite(one.cube) else np.nan for one in every], dtype=torch.float64)
        figure = figures.lines(
            [
                Series("x³", cubes, WITHOUT, "dash", markers=True),
                Series("tanh form", torch.tensor([one.value for one in every]), WITH, markers=True),
                Series("its slope", torch.tensor([one.slope for one in every]), OCHRE, "dot", markers=True),
            ],
            x=xs,
            title=f"The tanh form in float16, {CUBE[written]}",
            x_title="input x",
            y_title="size",
            log_x=True,
            log_y=True,
            x_range=(9, 330),
            y_range=(0.3, 3e5),
            x_ticks=(10, 20, 41, 100, 147, 300),
            marks={f"x = {x}": (float(x), INK)},
            levels={"float16 ends: 65,504": (65504.0, INK)},
            level_at="bottom right",
            height=PANEL,
        )
        lost = [float(x) for x, one in zip(CUBES, every, strict=True) if np.isnan(one.slope)]
        if lost:
            crosses(figure, lost, [1.0] * len(lost), "its slope: not a number")
        frames.append(Frame((figure, below), half_reading(x, every[i], written)))
    return frames


BELOW = tuple(x / 4 for x in range(-28, -7))  # −7 … −2
DEAD = -4.0


def crosses(figure: Figure, x: list[float], y: list[float], name: str) -> None:
    """Where there is no number, or none that a logarithm can show."""
    figure.trace("scatter", x=figures.numbers(x), y=figures.numbers(y), mode="markers", marker={"color": ROSE, "size": 10, "symbol": "x"}, name=name)  # fmt: skip


def below_figure(written: Cube) -> Figure:
    """The size of the slope below 0, in float16 beside the true one; where it is exactly 0, a cross on the floor."""
    true, half = (
        [abs(experiment.in_float16(x, written, dtype).slope) for x in BELOW] for dtype in ("float64", "float16")
    )
    floor = 1e-12
    figure = figures.lines(
        [Series("true", true, WITH), Series("in float16", [h or np.nan for h in half], OCHRE, "dot", markers=True)],
        x=np.array(BELOW),
        title="Size of its slope below 0",
        x_title="input x",
        y_title="size of the slope",
        log_y=True,
        x_range=(-7.2, -1.8),
        y_range=(floor / 3, 1),
        height=PANEL,
    )
    dead = [x for x, h in zip(BELOW, half, strict=True) if not h]
    crosses(figure, dead, [floor] * len(dead), "in float16: exactly 0")
    return figure


def half_reading(x: int, found: experiment.Half, written: Cube) -> str:
    cube = "overflows" if np.isinf(found.cube) else f"is {number(found.cube)}"
    right = "right" if found.value == x else f"off by {number(abs(found.value - x))}"
    slope = "not a number, for 0 times ∞ is none" if np.isnan(found.slope) else number(found.slope)
    true, half = (experiment.in_float16(DEAD, written, dtype).slope for dtype in ("float64", "float16"))
    dead = f"exactly 0, where {number(true, 2)} is true" if half == 0 else f"{number(half, 2)}, as it should be"
    return (
        f"At x = {x} the cube {cube} in float16, the value, {number(found.value)}, is {right}, and its slope is {slope}. "
        f"At x\u00a0=\u00a0{number(DEAD)} its slope is {dead}."
    )


CHECKED: tuple[Form, ...] = ("exact", "tanh", "sigmoid", "silu", "relu", "relu2")


@corners()
def checkpoint_frames() -> list[Frame]:
    """One frame for each form in the place of exact GELU: how far the logits move, and how many answers change."""
    found = experiment.swapped()
    frames = []
    for form in CHECKED:
        logits, answers = (
            figures.bars(
                [
                    Series("chosen", [value if f == form else np.nan for f, value in values.items()], WITH),
                    Series("the others", [value if f != form else np.nan for f, value in values.items()], WITHOUT),
                ],
                labels=[NAMES[f].removesuffix(" form").removesuffix(" GELU") for f in CHECKED],
                title=title,
                x_title="form in the place of exact GELU",
                y_title=unit,
                y_range=limits,
                log_y=log,
                height=PANEL,
            )
            for values, title, unit, limits, log in (
                (
                    {f: found[f]["moved"] or np.nan for f in CHECKED},
                    "Largest change of a logit",
                    "change, powers of ten",
                    (1e-3, 100),
                    True,
                ),
                (
                    {f: 100 * found[f]["changed"] for f in CHECKED},
                    f"Answers that change, of {experiment.CHECKED * training.LENGTH:,}",
                    "% of the answers",
                    (0, 100),
                    False,
                ),
            )
        )
        for figure in (logits, answers):
            figure.lay_out(barmode="overlay")
        frames.append(Frame((logits, answers), checkpoint_reading(form, found)))
    return frames


def checkpoint_reading(form: Form, every: Mapping[Form, Mapping[str, float]]) -> str:
    found = every[form]
    if form == "exact":
        return f"With its own form the model reads {percent(found['right'])} of the tokens right."
    said = f"Run with {'the ' if form in ('tanh', 'sigmoid') else ''}{NAMES[form]}, the logit that moves most moves by {number(found['moved'], 2)}"
    if found["changed"]:
        return f"{said}, and {percent(found['changed'])} of the answers change."
    if every["relu"]["changed"]:
        return f"{said}, and no answer changes."
    too = "" if form == "relu" else ", nor with ReLU"
    return f"{said}. No answer changes{too}: this model is too sure for its answers to tell the forms apart."


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return draw_frames(TOUCH, 0)[COUNTS.index(USUAL)]
