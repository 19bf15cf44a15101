"""Question 17: the race with and without a warm-up; schedules, Adam's first steps, how long is long enough, where it hurts."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from core.experiments import warmup as experiments
from core.experiments.warmup import Shape
from core.ops import schedules
from core.say import count, number
from core.training import warmup as training
from core.training.warmup import DEEP, DEPTH, HIGH, Order, Progress
from ui import figures
from ui.drawings import corners
from ui.figures import Figure, Frame, Series
from ui.palette import INK, KEY, MASKED, QUERY, VALUE, WITH, WITHOUT, faded

NAMES: dict[Order, str] = {"post": "Post-Norm", "pre": "Pre-Norm"}
RATES = {HIGH: "0.008", 0.004: "0.004", 0.002: "0.002", 0.001: "0.001"}
BOTH: dict[int, tuple[str, str]] = {0: ("no warm-up", WITHOUT), training.WARMUP: ("warm-up", WITH)}
STOPS = (50, 100, 150, 200, 250, 300, 350, 400, 450, training.STEPS)
WARMUPS = {0: "none", training.WARMUP: f"{training.WARMUP} steps"}
SEEDS = (0, 3, 14, 9999)
TOP = 1.0  # nats: the plateau’s name stands above it
HERO = 300  # pixels: question, prediction and hero fit one screen
LOSS = "nats above the best possible"
PLATEAU, LOWER = "plateau {}: reads nothing", "{}: reads one token"


def between(values: Tensor) -> str:
    """The range over the seeds, as it is said.

    >>> between(torch.tensor([0.74, 0.749])), between(torch.tensor([0.0701, 0.0702]))
    ('0.74 to 0.75', 'about 0.070')
    """
    low, high = (number(float(v), 2) for v in (values.min(), values.max()))
    return f"{low} to {high}" if low != high else f"about {low}"


def curves(
    runs: Sequence[Progress], name: str, colour: str, until: int, *, width: float = 2, dash: str = "solid"
) -> list[Series]:
    """A line for each seed, up to a step, under one name."""
    return [
        Series(name, run.excess[run.at <= until], colour, dash, x=run.at[run.at <= until], width=width, legend=not i)
        for i, run in enumerate(runs)
    ]


def loss_panel(title: str, series: Sequence[Series], **more: Any) -> Figure:
    """Excess over steps, with the plateau at which failures get stuck, and the level below at which a model reads one token."""
    level, lower = training.plateau(), training.one_token()
    settings: dict[str, Any] = {
        "x": training.SNAPSHOTS,
        "title": title,
        "x_title": "training step",
        "y_title": LOSS,
        "x_range": (0, training.STEPS + 8),
        "y_range": (0, TOP),
        "levels": {PLATEAU.format(number(level)): (level, INK), LOWER.format(number(lower)): (lower, INK)},
        "height": 320,
    }
    figure = figures.lines(list(series), **settings | more)
    above, below = figure["layout"]["annotations"]
    above["yshift"] = 9  # above the curves that tremble around it
    below.update(yanchor="top", yshift=-2)  # what has read one token goes on down
    figure["layout"]["shapes"][1]["line"].update(width=1, dash="dot")
    return figure


# ------------------------------------------------------------------------------------------------ the race


@corners(step=STOPS[::-1])
def race_frames(step: int) -> list[Frame]:
    """One frame for each rate: what every seed of both orders has lost up to a step, with a warm-up and without; and the rates."""
    frames = []
    for rate in training.RATES:
        runs = {(o, w): training.trained(o, rate, w) for o in training.ORDERS for w in BOTH}
        panels = [
            loss_panel(
                f"Loss of {NAMES[order]}, {count(DEPTH, 'layer')}",
                [s for w, (name, colour) in BOTH.items() for s in curves(runs[order, w], name, colour, step)],
                height=HERO,
            )
            for order in training.ORDERS
        ]
        now = {cell: torch.stack([run.excess[run.at == step][0] for run in each]) for cell, each in runs.items()}
        frames.append(Frame((*panels, rate_figure(rate, step)), race_reading(step, rate, now)))
    return frames


def rate_figure(rate: float, step: int) -> Figure:
    """The learning rate of every step so far; one axis for all rates."""
    steps = torch.arange(1, step + 1)
    return figures.lines(
        [
            Series(name, [training.learning_rate(int(t), rate, w) for t in steps], colour, x=steps, width=3)
            for w, (name, colour) in BOTH.items()
        ],
        x=steps,
        title="Learning rate",
        x_title="training step",
        y_title="learning rate",
        x_range=(0, training.STEPS + 8),
        y_range=(0, 1.2 * HIGH),
        height=HERO,
    )


def race_reading(step: int, rate: float, now: Mapping[tuple[Order, int], Tensor]) -> str:
    """Where Post-Norm's curves end; and who is on the plateau, or else who is ahead."""
    warm, runs = training.WARMUP, len(training.SEEDS)
    at = {cell: training.on_plateau(each) for cell, each in now.items()}
    both = len(training.ORDERS) * runs
    said = (
        f"At step {step}, rate {RATES[rate]}, Post-Norm is at {between(now['post', 0])} nats without a warm-up and at "
        f"{between(now['post', warm])} with one."
    )
    if any(at.values()):
        without = " and ".join(f"{at[o, 0]} of {runs} {NAMES[o]}" for o in training.ORDERS)
        with_it = sum(at[o, warm] for o in training.ORDERS)
        return f"{said} On the plateau, within {training.NEAR:g}: {without} runs without, {with_it or 'none'} of {both} with."
    ahead = int(sum((now[o, warm] < now[o, 0]).sum() for o in training.ORDERS))
    return f"{said} No run of either order is on the plateau; seed by seed the one with a warm-up is lower in {ahead} of {both} pairs."


# ------------------------------------------------------------------------------------------------ schedules

SHAPES: dict[Shape, str] = {
    "transformer": "1/√t (paper)",
    "linear": "linear",
    "cosine": "cosine",
    "stable": "stable, decay",
}
FORMULAS: dict[Shape, str] = {
    "transformer": r"\eta_t = d^{-0.5} \cdot \min(t^{-0.5},\; t\,w^{-1.5})",
    "linear": r"\eta_t = \eta \cdot \begin{cases} t/w & t < w \\ (T-t)/(T-w) & t \ge w \end{cases}",
    "cosine": r"\eta_t = \eta \cdot \begin{cases} t/w & t < w \\ \tfrac12\big(1+\cos\pi\tfrac{t-w}{T-w}\big) & t \ge w \end{cases}",
    "stable": r"\eta_t = \eta \cdot \begin{cases} t/w & t < w \\ 1 & t < T-D \\ \tfrac12\big(1+\cos\pi\tfrac{t-(T-D)}{D}\big) & \text{then} \end{cases}",
}
WIDTHS = {512: "512", 1024: "1,024", 4096: "4,096"}
PEAKS = {3e-4: "0.0003", 1e-3: "0.001", 1e-4: "0.0001"}
COUNTED = {"counted from 0": (WITHOUT, "dot"), "counted from 1": (WITH, "solid"), "0 taken for 1": (KEY, "dash")}
FIRST = 8  # updates


def peak_of(shape: Shape, warmup: int, width: int, peak: float) -> float:
    """The highest rate: of the original Transformer's schedule it follows from the width, of the others it is a choice."""
    return schedules.transformer(warmup, warmup, width) if shape == "transformer" else peak


@corners(shape=tuple(SHAPES), width=tuple(WIDTHS), peak=tuple(PEAKS))
def schedule_frames(shape: Shape, width: int, peak: float) -> list[Frame]:
    """One frame for each length of the warm-up: the whole training, and its first updates as three codes count them."""
    peaks = [peak_of(shape, w, width, peak) for w in experiments.WARMUPS]
    return [
        schedule_frame(shape, warmup, highest, 1.18 * max(peaks))
        for warmup, highest in zip(experiments.WARMUPS, peaks, strict=True)
    ]


def schedule_frame(shape: Shape, warmup: int, peak: float, top: float) -> Frame:
    share = experiments.share_of(shape, warmup)
    total = experiments.TOTAL
    steps = torch.unique(torch.cat((torch.arange(0, total + 1, 500), torch.tensor([warmup]))))
    whole = figures.lines(
        [Series("learning rate", [peak * share(int(t)) for t in steps], WITH, width=3)],
        x=steps,
        title=f"A training of {total:,} steps",
        x_title="update t",
        y_title="learning rate",
        x_range=(0, total),
        y_range=(0, top),
        marks={f"peak {number(peak)}": (float(warmup), INK)},
        x_ticks=(0, 25_000, 50_000, 75_000, 100_000),
    )
    first = first_updates(shape, warmup, peak)
    begin = figures.lines(
        [Series(name, first[name], colour, dash, markers=True, width=2.5) for name, (colour, dash) in COUNTED.items()],
        x=torch.arange(1, FIRST + 1),
        title=f"The first {FIRST} updates, by who counts",
        x_title="update, the first is 1",
        y_title="learning rate",
        x_range=(0.7, FIRST + 0.3),
        x_ticks=range(1, FIRST + 1),
        y_range=(-0.04 * FIRST * peak / warmup, 1.12 * FIRST * peak / warmup),
    )
    for figure in (whole, begin):
        figure.lay_out(yaxis={"exponentformat": "power"}, margin={"l": 84})
    return Frame((whole, begin), schedule_reading(shape, warmup, peak, first))


def first_updates(shape: Shape, warmup: int, peak: float) -> dict[str, list[float]]:
    """The rates of the first updates, by which number the first one has: what `LambdaLR` sets for such a function (tested)."""
    share = experiments.share_of(shape, warmup)
    numbers = {"counted from 0": range(FIRST), "counted from 1": range(1, FIRST + 1)}
    numbered = numbers | {"0 taken for 1": [max(1, s) for s in range(FIRST)]}
    return {name: [peak * share(t) for t in each] for name, each in numbered.items()}


def schedule_reading(shape: Shape, warmup: int, peak: float, first: Mapping[str, Sequence[float]]) -> str:
    """Whose counting it is, is said of the one schedule that the paper and the Annotated Transformer have."""
    zero, one = first["counted from 0"][0], first["counted from 1"][0]
    paper, annotated = (" (the paper)", " (Annotated Transformer)") if shape == "transformer" else ("", "")
    return (
        f"The rate rises for {count(warmup, 'step')}, to {number(peak)}. The first update is made at {number(zero)} if steps are "
        f"counted from 0, at {number(one)} if from 1{paper}; with 0 taken for 1{annotated} that rate comes twice."
    )


# ------------------------------------------------------------------------------------------------ Adam's first steps

BETAS_1 = {beta: f"{beta:g}" for beta in experiments.BETAS_1}
STEP_AXIS: dict[str, Any] = {
    "x_title": "step",
    "log_x": True,
    "x_range": (0.9, 1150),
    "x_ticks": (1, 10, 100, 1000),
    "height": 320,
}


@corners(beta_1=tuple(BETAS_1), seed=SEEDS)
def noise_frames(beta_1: float, seed: int) -> list[Frame]:
    """One frame for each β₂: Adam's steps on noise, the spread of what it divides by, and two ways to shorten the first ones."""
    return [noise_frame(beta_1, beta_2, seed) for beta_2 in experiments.BETAS_2]


def noise_frame(beta_1: float, beta_2: float, seed: int) -> Frame:
    found, at = experiments.noise_steps(beta_1, beta_2, seed), experiments.steps_at()
    floor = experiments.noise_floor(beta_1)
    update = figures.lines(
        [Series("step", found.update, WITH, markers=True)],
        x=at,
        title="Adam’s step when gradients are noise",
        y_title="mean |step| ÷ learning rate",
        y_range=(0, 1.1),
        levels={f"{number(floor, 2)}, once its averages are old": (floor, INK)},
        level_at="bottom left",
        **STEP_AXIS,
    )
    spread = figures.lines(
        [Series("spread", found.spread, KEY, markers=True)],
        x=at,
        title="How far weights’ own rates 1/√v̂ differ",
        y_title="1/√v̂: 99th percentile ÷ median",
        log_y=True,
        y_range=(0.9, 120),
        y_ticks=(1, 3, 10, 30, 100),
        **STEP_AXIS,
    )
    rule = schedules.rule_of_thumb(beta_2)
    shorter = figures.lines(
        [
            Series("RAdam’s factor r", experiments.rectified(beta_2), VALUE, markers=True),
            Series("warm-up of 2/(1−β₂) steps", (at / rule).clamp_max(1), QUERY, "dash"),
        ],
        x=at,
        title="Two ways to shorten Adam’s first steps",
        y_title="factor on the step",
        y_range=(0, 1.1),
        **STEP_AXIS,
    )
    return Frame((update, spread, shorter), noise_reading(beta_1, beta_2, found))


def noise_reading(beta_1: float, beta_2: float, found: experiments.Steps) -> str:
    late = experiments.AT.index(100)
    paper, torchs = (experiments.switches(beta_2, above) for above in (4.0, 5.0))
    return (
        f"With β₁ = {beta_1:g} and β₂ = {beta_2:g}, Adam’s step on noise is as long as the learning rate at step 1, and "
        f"{number(float(found.update[late]), 2)} of it at step 100. RAdam’s factor begins at step {paper} (torch: {torchs}), before which it does not divide by √v̂; the rule 2/(1−β₂) "
        f"asks for a warm-up of {count(round(schedules.rule_of_thumb(beta_2)), 'step')}."
    )


# ------------------------------------------------------------------------------------------------ how long is long enough


@corners()
def length_frames() -> list[Frame]:
    """One frame for each length of the warm-up at the highest rate: its curves among the others', and where all of them end."""
    runs = {w: training.trained("post", HIGH, w) for w in training.LENGTHS}
    levels = {w: training.ends("post", HIGH, w) for w in training.LENGTHS}
    frames = []
    for chosen in training.LENGTHS:
        series = [
            s
            for w, each in runs.items()
            if w != chosen
            for s in curves(each, "other lengths", faded(MASKED, 0.6), training.STEPS, width=1.2)
        ]
        shown = [Series(s.name, s.y, s.colour, x=s.x, width=s.width, legend=not i) for i, s in enumerate(series)]
        shown += curves(runs[chosen], warmed(chosen), WITH if chosen else WITHOUT, training.STEPS, width=2.6)
        frames.append(
            Frame(
                (
                    loss_panel(f"Post-Norm, {count(DEPTH, 'layer')}, rate {RATES[HIGH]}", shown),
                    ends_figure(levels, chosen),
                ),
                length_reading(chosen, levels),
            )
        )
    return frames


def ends_figure(levels: Mapping[int, Tensor], chosen: int) -> Figure:
    """Where every seed ends, for every length."""
    level = training.plateau()
    figure = figures.lines(
        [],
        x=(),
        title="Where the seeds end",
        x_title="steps of warm-up",
        y_title=LOSS,
        x_range=(-10, 215),
        y_range=(0, TOP),
        x_ticks=training.LENGTHS,
        levels={number(level): (level, INK)},
        height=320,
    )
    for length, ends in levels.items():
        colour = (WITH if length else WITHOUT) if length == chosen else MASKED
        figure.trace(
            "scatter", x=figures.numbers([length] * len(ends)), y=figures.numbers(ends), mode="markers", name=warmed(length),
            marker={"color": colour, "size": 12 if length == chosen else 8}, showlegend=False,
        )  # fmt: skip
    return figure


def warmed(steps: int) -> str:
    return f"{count(steps, 'step')} of warm-up" if steps else "no warm-up"


def length_reading(chosen: int, levels: Mapping[int, Tensor]) -> str:
    ends = levels[chosen]
    at = int((ends > training.STUCK).sum())
    runs = len(ends)
    begins = f"With {warmed(chosen)} the {count(runs, 'seed')} end at {between(ends)} nats"
    if at:
        return f"{begins}: {at} of {runs} near the plateau."
    best = min(levels, key=lambda w: float(levels[w].mean()))
    if best == chosen:
        return f"{begins}. Of the lengths tried, this one ends lowest on average."
    return f"{begins}. Of the lengths tried, {count(best, 'step')} end lowest on average, at {between(levels[best])}."


EARLY = 100  # steps
SHORT = 50  # steps of warm-up that are enough


@corners()
def alone_frames() -> list[Frame]:
    """How long the first steps are where runs learn and where they fail; and what the first one leaves of the reading."""
    kinds: dict[str, tuple[Sequence[Progress], str, str]] = {
        "Adam, Post-Norm": (training.trained("post", HIGH, 0), WITHOUT, "solid"),
        "Adam, Pre-Norm": (training.trained("pre", HIGH, 0), VALUE, "dot"),
        f"Adam, Post-Norm, {SHORT} steps of warm-up": (training.trained("post", HIGH, SHORT), WITH, "solid"),
        "SGD, Post-Norm": (training.trained("post", training.SGD_RATE, 0, optimiser="sgd"), KEY, "dash"),
    }
    lengths = figures.lines(
        [
            Series(
                name, 100 * run.update[run.at <= EARLY], colour, dash, x=run.at[run.at <= EARLY], width=2, legend=not i
            )
            for name, (runs, colour, dash) in kinds.items()
            for i, run in enumerate(runs)
        ],
        x=(),
        title="How far a step moves all weights",
        x_title="step",
        y_title="% of their length",
        log_x=True,
        x_range=(0.9, 1.1 * EARLY),
        x_ticks=(1, 10, 100),
        log_y=True,
        y_range=(0.1, 100),
        y_ticks=(0.1, 1, 10, 100),
        height=340,
    )
    orders: tuple[Order, ...] = ("post", "pre", "post")
    reads = {
        name: [[training.still_reads(order, HIGH, warmup, seed, t) for t in (0, 1)] for seed in training.SEEDS]
        for name, order, warmup in zip(kinds, orders, (0, 0, SHORT), strict=False)
    }
    left = figures.lines(
        [
            Series(name, each, kinds[name][1], kinds[name][2], markers=True, width=2, legend=not i)
            for name, seeds in reads.items()
            for i, each in enumerate(seeds)
        ],
        x=(0, 1),
        title="What of the logits differs from place to place",
        x_title="steps of Adam",
        y_title="‖z − mean z‖ ÷ ‖z‖",
        x_range=(-0.08, 1.08),
        x_ticks=(0, 1),
        y_range=(0, 1),
        height=340,
    )
    return [Frame((lengths, left), alone_reading({n: k[0] for n, k in kinds.items()}, reads))]


def alone_reading(runs: Mapping[str, Sequence[Progress]], reads: Mapping[str, Sequence[Sequence[float]]]) -> str:
    post, pre, _, sgd = (between(torch.stack([100 * run.update[0] for run in each])) for each in runs.values())
    tenth = between(torch.cat([100 * run.update[run.at == 10] for run in list(runs.values())[-1]]))
    blind, sees, warm = (between(torch.tensor([100 * after for _, after in each])) for each in reads.values())
    return (
        f"Without a warm-up the first step moves the weights by {post} % of their length in Post-Norm, by {pre} % in Pre-Norm, by {sgd} % "
        f"with SGD, whose tenth moves them by {tenth} %. After Adam’s first, {blind} % of Post-Norm’s logits differs from place to place and {sees} % of Pre-Norm’s; with {SHORT} steps of "
        f"warm-up, {warm} % of Post-Norm’s."
    )


@corners()
def optimiser_frames() -> list[Frame]:
    """RAdam in the place of a warm-up; and SGD, which needs one too."""
    end, warm = training.STEPS, training.WARMUP
    radam = [
        *curves(training.trained("post", HIGH, 0), "Adam, no warm-up", WITHOUT, end),
        *curves(training.trained("post", HIGH, warm), "Adam, warm-up", WITH, end),
        *curves(training.trained("post", HIGH, 0, optimiser="radam"), "RAdam, no warm-up", VALUE, end, dash="dot"),
    ]
    rate = training.SGD_RATE
    sgd = [
        *curves(training.trained("post", rate, 0, optimiser="sgd"), "SGD, no warm-up", WITHOUT, end),
        *curves(training.trained("post", rate, warm, optimiser="sgd"), "SGD, warm-up", WITH, end),
    ]
    layers = f"Post-Norm, {count(DEPTH, 'layer')}"
    return [
        Frame(
            (loss_panel(f"{layers}, rate {RATES[HIGH]}", radam), loss_panel(f"{layers}, SGD at rate {rate:g}", sgd)),
            optimiser_reading(),
        )
    ]


def optimiser_reading() -> str:
    adam, radam = training.ends("post", HIGH, 0), training.ends("post", HIGH, 0, optimiser="radam")
    without, with_it = (training.ends("post", training.SGD_RATE, w, optimiser="sgd") for w in BOTH)
    lost, runs = int(without.isnan().sum()), len(without)
    fate = f" ({lost} of {runs} runs end at NaN)" if lost else ""
    return (
        f"Without a warm-up RAdam ends at {between(radam)} nats where Adam ends at {between(adam)}. SGD at rate {training.SGD_RATE:g} ends at "
        f"{between(without[without.isfinite()])} without{fate} and at {between(with_it)} with one."
    )


@corners()
def depth_frames() -> list[Frame]:
    """A deeper model at two lower rates."""
    end, warm = training.STEPS, training.WARMUP
    panels = tuple(
        loss_panel(
            f"Post-Norm, {count(DEEP, 'layer')}, rate {RATES[rate]}",
            [s for w, named in BOTH.items() for s in curves(training.trained("post", rate, w, DEEP), *named, end)],
        )
        for rate in training.DEEP_RATES[::-1]
    )
    runs = len(training.SEEDS)
    stuck = {(r, w): training.stuck("post", r, w, DEEP) for r in training.DEEP_RATES for w in BOTH}
    without = " and ".join(f"{stuck[r, 0]} of {runs} runs at {RATES[r]}" for r in training.DEEP_RATES[::-1])
    with_it = sum(stuck[r, warm] for r in training.DEEP_RATES)
    six = sum(training.stuck("post", r, 0) for r in training.DEEP_RATES)
    return [
        Frame(
            panels,
            f"With {count(DEEP, 'layer')}, {without} end near the plateau without a warm-up; with one, {with_it or 'none'}. With "
            f"{count(DEPTH, 'layer')} at these rates, {six or 'none'} do, without one.",
        )
    ]


# ------------------------------------------------------------------------------------------------ where it hurts


BUDGETS = (100, 200, 300, 400, training.STEPS)


@corners()
def budget_frames() -> list[Frame]:
    """One frame for each end of the training: the level of every seed against the learning rate, both orders."""
    frames = []
    for step in BUDGETS:
        levels = {
            (o, w): torch.stack([training.ends(o, r, w, step=step) for r in training.RATES])
            for o in training.ORDERS
            for w in BOTH
        }
        panels = tuple(budget_figure(order, {w: levels[order, w] for w in BOTH}) for order in training.ORDERS)
        frames.append(Frame(panels, budget_reading(step, levels)))
    return frames


def budget_figure(order: Order, levels: Mapping[int, Tensor]) -> Figure:
    level = training.plateau()
    series = [
        Series(BOTH[w][0], run, BOTH[w][1], markers=True, width=1.8, legend=not i)
        for w, each in levels.items()
        for i, run in enumerate(each.T)
    ]
    return figures.lines(
        series,
        x=training.RATES,
        title=f"{NAMES[order]}, every seed",
        x_title="learning rate",
        y_title=LOSS,
        log_x=True,
        x_range=(0.0009, 0.009),
        x_ticks=training.RATES,
        log_y=True,
        y_range=(0.04, 1.4),
        y_ticks=(0.05, 0.1, 0.2, 0.5, 1),
        levels={PLATEAU.format(number(level)): (level, INK)},
        height=320,
    )


def budget_reading(step: int, levels: Mapping[tuple[Order, int], Tensor]) -> str:
    """In how many pairs of seeds the warm-up is behind, at the lowest and at the highest rate."""
    runs = len(training.ORDERS) * len(training.SEEDS)
    behind = [
        int(sum((levels[o, training.WARMUP][i] > levels[o, 0][i]).sum() for o in training.ORDERS)) for i in (0, -1)
    ]
    low, high = RATES[training.RATES[0]], RATES[HIGH]
    return (
        f"Around step {step}, seed by seed, a warm-up is behind in {behind[0]} of {runs} pairs at rate {low} and in {behind[1]} of {runs} "
        f"at {high}."
    )


@corners()
def falling_frames() -> list[Frame]:
    """The highest rate with a warm-up, and lower ones without, where the rate falls to 0 afterwards."""
    colours = {HIGH: WITH, 0.004: KEY, 0.002: WITHOUT}
    names = {rate: f"{RATES[rate]}, {warmed(warmup)}" for _, _, rate, warmup, _ in training.FALLING}
    runs = {rate: training.trained("post", rate, warmup, falls=True) for _, _, rate, warmup, _ in training.FALLING}
    loss = figures.lines(
        [s for rate, each in runs.items() for s in curves(each, names[rate], colours[rate], training.STEPS)],
        x=training.SNAPSHOTS,
        title=f"Post-Norm, {count(DEPTH, 'layer')}, the rate falls to 0",
        x_title="training step",
        y_title=LOSS,
        x_range=(0, training.STEPS + 8),
        log_y=True,
        y_range=(0.012, 2),
        y_ticks=(0.02, 0.05, 0.1, 0.2, 0.5, 1),
        height=340,
    )
    steps = torch.arange(1, training.STEPS + 1)
    rates = figures.lines(
        [
            Series(
                names[rate],
                [rate * schedules.linear(int(t), warmup, training.STEPS) for t in steps],
                colours[rate],
                width=3,
            )
            for _, _, rate, warmup, _ in training.FALLING
        ],
        x=steps,
        title="Learning rate",
        x_title="training step",
        y_title="learning rate",
        x_range=(0, training.STEPS + 8),
        y_range=(0, 1.1 * HIGH),
        height=340,
    )
    ends = {rate: training.ends("post", rate, w, falls=True) for _, _, rate, w, _ in training.FALLING}
    high, *lower = (f"at {between(each)} with {RATES[rate]}" for rate, each in ends.items())
    said = f"Where the rate falls to 0, Post-Norm ends {high} and a warm-up; without one {' and '.join(lower)}."
    return [Frame((loss, rates), said)]


# ------------------------------------------------------------------------------------------------ a run of now

SURE = 4  # the first steps: on any kind of processor they are the shipped ones, to rounding


def run_label(order: Order, rate: float, warmup: int, seed: int) -> str:
    """Which run it is, in words."""
    return f"{NAMES[order]}, rate {RATES[rate]}, {warmed(warmup)}, seed {seed}"


def live_frame(shipped: Progress, label: str, progress: Progress) -> Frame:
    """A run that is being trained, over the shipped run of the same seed."""
    series = [Series("shipped", shipped.excess, MASKED, width=5)]
    if progress is not shipped:
        series.append(Series("now", progress.excess, WITH, width=2, x=progress.at))
    figure = loss_panel("Loss", series, height=280)
    now = f"{label}: after step {int(progress.at[-1])} it is at {number(float(progress.excess[-1]), 2)} nats."
    return Frame((figure,), f"{now} {PROMISE if progress is shipped else comparison(shipped, progress)}")


PROMISE = (
    "This is the shipped run; the button trains it again. On a processor of the same kind that gives the same curve; on "
    "another kind the first steps agree, and the curves may part later."
)


def comparison(shipped: Progress, progress: Progress) -> str:
    """What both curves, as far as they go, say of the machines that made them."""
    known = len(progress.excess)
    ours, theirs = progress.excess.double(), shipped.excess[:known].double()
    unit = 10 ** (theirs.abs().clamp_min(1e-30).log10().floor() - 3)  # four digits are shipped
    differs = (ours - theirs).abs() > unit
    if not differs.any():
        return "It is the shipped curve, in all digits that are shipped."
    first = int(progress.at[int(differs.int().argmax())])
    largest = number(float((ours - theirs).abs().max()), 2)
    why = (
        ", and rounding alone does not explain that so early."
        if first <= SURE
        else ", as it may on another kind of processor, where sums are rounded in another order."
    )
    return f"From step {first} on it leaves the shipped curve, by up to {largest} nats{why}"


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return race_frames(training.STEPS)[-1]
