"""Question 14: the ladder on which signal and gradient climb; tokens that fall together; training, lesions, the loss around."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from core.experiments import residuals as skips
from core.experiments.residuals import Norm
from core.ops.residuals import expected_growth
from core.say import number, percent
from core.training import residuals as training
from core.training.pre_post_norm import NOTHING
from core.training.residuals import Side, Skips
from ui import figures
from ui.drawings import corners
from ui.drawings.pre_post_norm import comparison
from ui.figures import Box, Figure, Frame, Label, Path, Series
from ui.palette import INK, KEY, MASKED, QUERY, WITH, WITHOUT, faded

NORMS: dict[Norm, str] = {"none": "none", "pre": "Pre-Norm", "post": "Post-Norm"}
GAINS = {0.5: "½ (Xavier)", 1.0: "1", 1 / 32: "1/32"}
DEPTHS = {32: "32", 16: "16", 8: "8"}
SEEDS = (0, 3, 14, 9999)
HERO = 290  # pixels: question, prediction and hero fit one screen

WIRINGS: dict[Skips, str] = {
    "none": "no skips",
    "feed-forward only": "none around attention",
    "attention only": "none around feed-forward",
}
NAMES: dict[Skips, str] = {"both": "both skips", **WIRINGS}
COLOURS: dict[Skips, str] = {"both": WITH, "none": WITHOUT, "feed-forward only": KEY, "attention only": QUERY}

# ------------------------------------------------------------------------------------------------ the ladder

USUAL, DECADE, THIN, THICK = 3.6, 0.7, 0.3, 10.0  # widths of 100: as it begins, for each factor of ten, the limits
LADDERS = (17, 50, 83), (12, 37, 62, 88)  # where they stand, of 100 across: three, or with a norm beside the full skip
BOTTOM, TOP = 12, 82


def widths(squares: Tensor) -> np.ndarray:
    """How wide a rail is drawn: each factor of ten in size, which is 100 in the square, adds or takes as much."""
    return np.clip(USUAL + DECADE * 0.5 * np.log10(squares.double().numpy()), THIN, THICK)


def rail(figure: Figure, x: float, squares: Tensor, colour: str, fill: float, note: str) -> None:
    """A line whose width is what it carries, from the bottom to the top."""
    half, y = widths(squares) / 2, np.linspace(BOTTOM, TOP, len(squares))
    figure.trace(
        "scatter",
        x=figures.numbers(np.concatenate([x - half, (x + half)[::-1]])),
        y=figures.numbers(np.concatenate([y, y[::-1]])),
        mode="lines",
        fill="toself",
        fillcolor=faded(colour, fill),
        line={"color": faded(colour, fill), "width": 0.5},
        hoveron="fills",
        hoverinfo="text",
        text=note,
    )


def ladder_figure(found: skips.Ladder, alpha: float, normed: skips.Ladder | None = None) -> Figure:
    """Ladders: without a skip, with the reader’s α, with a full skip, and if it is given with that and a norm.

    Left the signal, right the gradient.
    """
    depth, chosen = found.signal.shape[1] - 1, skips.ALPHAS.index(alpha)
    steps = min(depth, 16)
    parts: list[Box | Path | Label] = []
    at, beside = LADDERS[normed is not None], 5 if normed is None else 4.5
    for x in at:
        parts += [
            Path(((x - 2 * beside + 1, y), (x + 2 * beside - 1, y)), MASKED, 1)
            for y in (BOTTOM + (TOP - BOTTOM) * i / steps for i in range(steps + 1))
        ]
    of = [
        ("no skip", found, 0, WITHOUT),
        (f"skip × {alpha:g}", found, chosen, WITH),
        ("full skip", found, -1, INK),
        *([] if normed is None else [("full + LN", normed, -1, INK)]),
    ]
    for x, (name, one, row, colour) in zip(at, of, strict=True):
        parts += [
            Label(x, 106, name, colour, size=16 if normed is None else 14),
            Label(x, 96, "signal ↑", colour, size=13),
            Label(x, 88, short(float(one.signal[row, -1])), colour, size=14),
            Label(x, 5, "gradient ↓", colour, size=13),
            Label(x, -3, short(float(one.gradient[row, 0])), colour, size=14),
        ]
    figure = figures.diagram(
        parts,
        title=f"{depth} sublayers: squared size, 1 at the start",
        x_range=(0, 100),
        y_range=(-8, 111),
        height=HERO,
    )
    for x, (name, one, row, colour) in zip(at, of, strict=True):
        rail(figure, x - beside, one.signal[row], colour, 0.45, f"{name}: the signal, from the bottom up")
        rail(figure, x + beside, one.gradient[row], colour, 0.95, f"{name}: the gradient, from the top down")
    return figure


def short(value: float) -> str:
    """Two digits, or the power of ten where there is little room.

    >>> short(0.4235), short(1.6e-10), short(348561.0)
    ('0.42', '1.6·10⁻¹⁰', '3.5·10⁵')
    """
    if 1e-3 <= value < 1e4:
        return number(value, 2)
    mantissa, _, power = f"{value:.1e}".partition("e")
    return f"{mantissa}·10{str(int(power)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


FINEST = 1e-37  # below it float32, in which figures travel, loses its digits: lines leave the frame before


def seen(name: str, row: Tensor, colour: str, dash: Literal["solid", "dash", "dot"], width: float) -> Series:
    """A line over those rungs that float32 can carry."""
    x = torch.arange(len(row))
    return Series(name, row[row > FINEST], colour, dash, x=x[row > FINEST], width=width)


def rungs_figure(
    title: str, y_title: str, rows: Tensor, alpha: float, expected: Tensor | None, within: Sequence[Tensor]
) -> Figure:
    """The squared size at every rung: the reader’s α between none and all of the skip; dotted what is expected of α."""
    depth, chosen = rows.shape[1] - 1, skips.ALPHAS.index(alpha)
    named = {"no skip": (0, WITHOUT), "full skip": (-1, INK), f"skip × {alpha:g}": (chosen, WITH)}
    series = [
        seen(name, rows[row], colour, "dash" if row == -1 else "solid", width=4 if row == chosen else 2.5)
        for name, (row, colour) in named.items()
    ]
    if expected is not None:
        series.append(seen("expected, (r + α²)ᵏ", expected, INK, "dot", width=1.5))
    every = torch.cat([w.flatten() for w in within]).double()
    # Room for a name beyond either end; a line that falls below what can be drawn leaves the frame.
    low, high = max(float(every.min()), 30 * FINEST), float(every.max())
    room = max(100.0, (high / low) ** 0.14)
    figure = figures.lines(
        series,
        x=torch.arange(depth + 1),
        title=title + (" (dotted: expected)" if expected is not None else ""),
        x_title="sublayers below",
        y_title=y_title,
        x_range=(0, depth),
        log_y=True,
        y_range=(min(low / room if low > 30 * FINEST else low, 0.01), max(high * room, 100)),
        height=HERO,
    )
    figure.lay_out(showlegend=False)
    # Names stand where the lines part: at the end to which they run. Where they do not part, names would lie on each other.
    at_top = bool(rows[0, 0] == 1)
    end = -1 if at_top else 0
    for name, row, colour, above in (("no skip", 0, WITHOUT, False), ("full skip", -1, INK, True)):
        if abs(float((rows[row, end] / rows[0 if row else -1, end]).log10())) < 1:
            continue
        inside = torch.nonzero(rows[row] > low).flatten()
        left = bool(rows[row, end] < low)  # it leaves the frame before its end
        figure.note(
            name,
            x=float(inside[-1 if at_top else 0]),
            y=math.log10(low) if left else float(rows[row, end].log10()),
            xanchor="right" if at_top else "left",
            yanchor="bottom" if above or left else "top",
            xshift=(-1 if at_top else 1) * (14 if left else 6),
            yshift=8 if above else 4 if left else -6,
            font={"color": colour, "size": 14},
        )
    return figure


@corners(norm=skips.NORMS, depth=tuple(DEPTHS), r=tuple(GAINS), seed=SEEDS)
def ladder_frames(norm: Norm, depth: int, r: float, seed: int) -> list[Frame]:
    """One frame for each α on the skip: the ladders, and the gradient and the signal at every rung."""
    found, frames = skips.ladder(norm, depth, r, seed), []
    normed = skips.ladder("pre", depth, r, seed) if norm == "none" else None
    up = torch.arange(depth + 1, dtype=torch.float64)
    for alpha in skips.ALPHAS:
        expected = (r + alpha**2) ** up if norm == "none" else None
        frames.append(
            Frame(
                (
                    ladder_figure(found, alpha, normed),
                    rungs_figure(
                        "Gradient",
                        "‖g‖² ÷ ‖g‖² at the top",
                        found.gradient,
                        alpha,
                        None if expected is None else expected.flip(0),
                        (found.gradient, found.signal),
                    ),
                    rungs_figure(
                        "Signal: ‖x‖² = d after a norm" if norm == "post" else "Signal",
                        "‖x‖² ÷ ‖x‖² at the bottom",
                        found.signal,
                        alpha,
                        expected,
                        (found.gradient, found.signal),
                    ),
                ),
                ladder_reading(norm, depth, r, alpha, found, normed),
            )
        )
    return frames


NORMED = {"pre": "With a norm before each branch", "post": "With a norm after each sum"}


def two(value: float) -> str:
    """Two digits, also of whole numbers; a power of ten where that is easier to read.

    >>> two(0.4235), two(348561.0), two(65536.0), two(4294967296.0), two(1.0)
    ('0.42', '350,000', '66,000', '4.3·10⁹', '1')
    """
    return short(value) if value >= 1e6 else number(float(f"{value:.1e}") if value >= 100 else value, 2)


def ladder_reading(
    norm: Norm, depth: int, r: float, alpha: float, found: skips.Ladder, normed: skips.Ladder | None
) -> str:
    """By what the gradient is multiplied on its way down: at this α, without a skip, with a full one."""
    none, all_ = (two(float(found.gradient[row, 0])) for row in (0, -1))
    here = two(float(found.gradient[skips.ALPHAS.index(alpha), 0]))
    way = f"{depth} sublayers multiply the gradient’s squared size by"
    with_norm = "" if normed is None else two(float(normed.gradient[-1, 0]))
    if normed is not None:
        mean = two(expected_growth(r, alpha, depth))
        begin = f"Without norms, at α = {alpha:g}, {way} {here} (on average over weights: {mean})."
    else:
        begin = f"{NORMED[norm]}, at α = {alpha:g}, {way} {here}."
    full = f"by {all_}, with Pre-Norm by {with_norm}." if with_norm else f"by {all_}."
    normal = f"; a full skip with Pre-Norm: by {with_norm}." if with_norm else "."
    rest = {0.0: f"A full skip: {full}", 1.0: f"No skip: by {none}{normal}"}
    return f"{begin} {rest.get(alpha, f'No skip: by {none}; a full one: {full}')}"


# ------------------------------------------------------------------------------------------------ with a norm it does not vanish

HEIGHTS = {16: "16", 8: "8", 4: "4"}


@corners(depth=tuple(HEIGHTS), seed=SEEDS)
def gradient_frames(depth: int, seed: int) -> list[Frame]:
    """One frame for each place of the norm: the gradient at every height of Transformer blocks, with and without skips."""
    frames = []
    for norm in skips.NORMS:
        found = {each: skips.stack(norm, each, depth, seed=seed).gradient for each in ("both", "none")}
        every = torch.cat(list(found.values()))
        frames.append(
            Frame(
                (
                    figures.lines(
                        [
                            Series("with both skips", found["both"], WITH, markers=True, width=3),
                            Series("without skips", found["none"], WITHOUT, markers=True, width=3),
                        ],
                        x=torch.arange(depth + 1),
                        title=f"Gradient at every height, {depth} Transformer blocks, normalisation: {NORMS[norm]}",
                        x_title="blocks below",
                        y_title="‖g‖ ÷ ‖g‖ at the top",
                        x_range=(0, depth),
                        log_y=True,
                        y_range=(min(0.01, float(every.min()) / 2), max(100, float(every.max()) * 2)),
                    ),
                ),
                gradient_reading(norm, depth, found, float(skips.stack("none", "none", depth, seed=seed).gradient[0])),
            )
        )
    return frames


def gradient_reading(norm: Norm, depth: int, found: dict[Any, Tensor], bare: float) -> str:
    with_, without = (number(float(found[each][0]), 2) for each in ("both", "none"))
    where = {"none": "Without norms", "pre": "With Pre-Norm", "post": "With Post-Norm"}[norm]
    beside = "" if norm == "none" else f" (without norms too: {number(bare, 2)})"
    return (
        f"{where}, the gradient that reaches the bottom of {depth} blocks is {without} times the top’s without skips{beside}, "
        f"and {with_} times with them."
    )


# ------------------------------------------------------------------------------------------------ tokens that become alike

ALIKE_DEPTH = 12
PLACES: dict[Norm, str] = {"pre": "Pre-Norm", "post": "Post-Norm", "none": "none"}
ROUNDING = 1e-13  # in float64 nothing below it is told from 0
FLOOR = 1e-17


def points_figure(title: str, points: Tensor, colour: str) -> Figure:
    """One text's tokens without their mean."""
    figure = figures.lines(
        [Series("a token", points[:, 1], colour)],
        x=points[:, 0],
        title=title,
        x_title="first main axis",
        y_title="second main axis",
        x_range=(-1.3, 1.3),
        y_range=(-1.3, 1.3),
        height=320,
    )
    figure["data"][0].update(mode="markers", marker={"color": faded(colour, 0.6), "size": 12})
    return figure


@corners(norm=tuple(PLACES), skipped=tuple(WIRINGS), thinks=(True, False), seed=SEEDS)
def alike_frames(norm: Norm, skipped: Skips, thinks: bool, seed: int) -> list[Frame]:
    """One frame for each height: the tokens of a text with both skips and with fewer; how distinct they are at all heights."""
    sides: dict[Skips, skips.Stack] = {
        each: skips.stack(norm, each, ALIKE_DEPTH, thinks, seed) for each in ("both", skipped)
    }
    frames = []
    for height in range(ALIKE_DEPTH + 1):
        frames.append(
            Frame(
                (
                    *(
                        points_figure(
                            f"{skips.LENGTH} tokens after {height} of {ALIKE_DEPTH} blocks: {NAMES[each]}",
                            one.points[height],
                            COLOURS[each],
                        )
                        for each, one in sides.items()
                    ),
                    figures.lines(
                        [
                            Series(NAMES[each], one.distinct.clamp_min(FLOOR), COLOURS[each], markers=True)
                            for each, one in sides.items()
                        ],
                        x=torch.arange(ALIKE_DEPTH + 1),
                        title="How distinct the tokens are",
                        x_title="blocks below",
                        y_title="‖X − mean‖ ÷ ‖X‖",
                        x_range=(0, ALIKE_DEPTH),
                        log_y=True,
                        y_range=(FLOOR, 1e2),
                        marks={f"after {height}": (float(height), INK)},
                        height=320,
                    ),
                ),
                alike_reading(
                    height, skipped, thinks, {each: float(one.distinct[height]) for each, one in sides.items()}
                ),
            )
        )
    return frames


def distinctness(share: float) -> str:
    """How much of the tokens is their own.

    >>> distinctness(0.74), distinctness(3e-16)
    ('0.74 of their length', 'no more than rounding')
    """
    return "no more than rounding" if share < ROUNDING else f"{number(share, 2)} of their length"


def alike_reading(height: int, skipped: Skips, thinks: bool, found: dict[Skips, float]) -> str:
    lacking = {
        "none": "without skips",
        "feed-forward only": "without the skip around attention",
        "attention only": "without the skip around feed-forward",
    }[skipped]
    if height == 0:
        return f"Before the first block the tokens are the same in both: {distinctness(found['both'])} is their own, not their mean’s."
    blocks = "1 block" if height == 1 else f"{height} blocks"
    if skipped == "attention only" and not thinks:
        return (
            f"Without feed-forward layers this skip has nothing to go around, and both are the same: after {blocks}, "
            f"{distinctness(found['both'])} tells the tokens apart."
        )
    return (
        f"After {blocks}, {distinctness(found['both'])} tells the tokens apart with {'both skips' if thinks else 'skips'}; "
        f"{lacking}, {distinctness(found[skipped])}."
    )


ABLATED = {4: "4", 8: "8"}


@corners(depth=tuple(ABLATED))
def ablation_frames(depth: int) -> list[Frame]:
    """Each skip taken away by itself: how distinct the tokens begin, and what the loss is after training; every seed."""
    found = {each: (skips.first_distinct(each, depth), training.final_losses(each, depth)) for each in training.SKIPS}
    figure = figures.lines(
        [Series(NAMES[each], loss, COLOURS[each], x=apart.clamp_min(FLOOR)) for each, (apart, loss) in found.items()],
        x=[1.0],
        title=f"Each skip removed, {depth} blocks, Pre-Norm: every seed",
        x_title="how distinct the tokens begin",
        y_title=f"loss after {training.STEPS} steps, nats",
        log_x=True,
        x_range=(FLOOR, 3),
        y_range=(0, 3.2),
        levels={f"ln {training.VOCABULARY}: guessing": (NOTHING, INK)},
        level_at="bottom left",
        height=300,
    )
    for trace in figure["data"]:
        trace.update(mode="markers", marker={**trace["marker"], "size": 12})
    return [Frame((figure,), ablation_reading(depth, found))]


def spread(values: Tensor) -> str:
    low, high = number(float(values.min()), 2), number(float(values.max()), 2)
    return f"about {low}" if low == high else f"{low} to {high}"


def ablation_reading(depth: int, found: dict[Skips, tuple[Tensor, Tensor]]) -> str:
    apart, loss = found["attention only"]
    return (
        f"Without the skip around feed-forward {percent(float(apart.min()))} to {percent(float(apart.max()))} of the tokens’ length is their own after {depth} untrained blocks, "
        f"and the loss ends at {spread(loss)} nats; with both skips at {spread(found['both'][1])}."
    )


# ------------------------------------------------------------------------------------------------ trained

RATES = {0.001: "0.001", 0.0003: "0.0003", 0.003: "0.003"}
STEP_AXIS: dict[str, Any] = {"x_title": "training step", "x_range": (0, training.STEPS + 5)}
AT = torch.tensor(training.SNAPSHOTS)


@corners(rate=tuple(RATES))
def trained_frames(rate: float) -> list[Frame]:
    """One frame for each depth: the loss of every seed with and without skips, and what is left without one block."""
    frames = []
    every = [training.runs("none", depth, rate) for depth in training.DEPTHS]
    lowest = min(0.1, *(float((runs["first"] / runs["last"]).min()) for runs in every))
    for depth in training.DEPTHS:
        sides: dict[Skips, dict[str, Tensor]] = {
            "none": training.runs("none", depth, rate),
            "both": training.runs("both", depth),
        }
        curves, balance = [], []
        lesions: list[Series] = []
        for each, runs in sides.items():
            name = {"both": "with both skips", "none": "without skips"}[each]
            for row in range(len(training.SEEDS)):
                curves.append(Series(name, runs["loss"][row], COLOURS[each], width=1.8, legend=not row))
                ratio = runs["first"][row] / runs["last"][row]
                balance.append(Series(name, ratio, COLOURS[each], width=1.8, legend=not row))
                if runs["loss"][row, -1] < training.LEARNED:  # the others were guessing before anything was deleted
                    first = not any(one.name == name for one in lesions)
                    lesions.append(
                        Series(name, runs["lesions"][row], COLOURS[each], markers=True, width=1.2, legend=first)
                    )
        frames.append(
            Frame(
                (
                    figures.lines(
                        curves,
                        x=AT,
                        title=f"Loss, {depth} blocks, every seed",
                        y_title="nats",
                        y_range=(0, 3.3),
                        levels={f"ln {training.VOCABULARY}: guessing": (NOTHING, INK)},
                        level_at="top right",
                        **STEP_AXIS,
                    ),
                    figures.lines(
                        balance,
                        x=AT,
                        title="First block’s gradient ÷ last’s",
                        y_title="‖gradient of its weights‖, ratio",
                        log_y=True,
                        y_range=(lowest / 10, 1e3),
                        **STEP_AXIS,
                    ),
                    figures.lines(
                        lesions,
                        x=torch.arange(1, depth + 1),
                        title="Models that learned, one block deleted",
                        x_title="the block that is deleted",
                        y_title="share of the tokens that are right",
                        x_range=(0.5, depth + 0.5),
                        y_range=(0, 1.05),
                        levels={"guessing": (1 / training.VOCABULARY, INK)},
                        x_ticks=tuple(range(1, depth + 1)) if depth < 9 else (1, 4, 8, 12, 16),
                    ),
                ),
                trained_reading(depth, sides),
            )
        )
    return frames


def trained_reading(depth: int, sides: dict[Skips, dict[str, Tensor]]) -> str:
    left = sides["both"]["lesions"]
    mean, lowest = (
        percent(float(left.mean())),
        percent(float(left.min())) if left.min() > 0 else f"exactly {percent(0)}",
    )
    ends = sides["none"]["loss"][:, -1]
    some = int((ends < training.LEARNED).sum())
    among = f" ({some} of {len(ends)} models below {training.LEARNED:g})" if 0 < some < len(ends) else ""
    return (
        f"After {training.STEPS} steps the loss of {depth} blocks is {spread(sides['both']['loss'][:, -1])} nats with skips and "
        f"{spread(ends)} without{among}. Delete one block of a model with skips: {mean} of the tokens are still right "
        f"on average, {lowest} in the worst case of all models and blocks."
    )


@corners()
def long_frames() -> list[Frame]:
    """Without skips, over many more steps."""
    at = torch.arange(1, training.LONG // 100 + 1) * 100 - 50
    series, said = [], []
    for depth, colour, dash in zip(training.LONG_DEPTHS, (QUERY, WITHOUT, KEY), ("solid", "dash", "dot"), strict=True):
        losses = training.long_losses(depth)
        series += [
            Series(f"{depth} blocks without skips", row, colour, dash, width=1.8, legend=not i)
            for i, row in enumerate(losses)
        ]
        said.append(f"{spread(losses[:, -1])} nats with {depth} blocks")
    figure = figures.lines(
        series,
        x=at,
        title=f"Without skips, {training.LONG:,} steps, every seed",
        x_title="training step",
        y_title="loss, mean of 100 steps, nats",
        x_range=(0, training.LONG),
        y_range=(0, 3.3),
        levels={f"ln {training.VOCABULARY}: guessing": (NOTHING, INK)},
        height=280,
    )
    return [
        Frame(
            (figure,),
            f"Over the last hundred of {training.LONG:,} steps without skips the loss is {' and '.join(said)}.",
        )
    ]


def run_label(each: Skips, depth: int, rate: float, seed: int) -> str:
    return f"{NAMES[each].capitalize()}, {depth} blocks, learning rate {rate:g}, seed {seed}"


def live_frame(shipped: training.Progress, label: str, progress: training.Progress) -> Frame:
    """A run that is being trained, over the shipped run of the same seed."""
    trained_now = progress is not shipped
    series = [Series("shipped", shipped.loss, MASKED, width=5, x=shipped.at)]
    if trained_now:
        series.append(Series("now", progress.loss, WITH, width=2, x=progress.at))
    figure = figures.lines(
        series, x=shipped.at, title="Loss", y_title="nats", y_range=(0, 3.3), height=280, **STEP_AXIS
    )
    text = f"{label}: after step {int(progress.at[-1])} the loss is {number(float(progress.loss[-1]))} nats."
    # The progress of question 7 has the same at, loss and done, which is all that is compared.
    said = comparison(shipped, progress) if trained_now else PROMISE  # type: ignore[arg-type]
    return Frame((figure,), f"{text} {said}")


PROMISE = (
    "This is the shipped run; the button trains it again. On a processor of the same kind that gives the same curve; on "
    "another kind the first steps agree, and as a rule the outcome."
)

# ------------------------------------------------------------------------------------------------ the loss around

AROUND = {4: "4", 2: "2", 8: "8"}
WHEN: dict[Side, str] = {"both": "at the same loss", "ended": "when trained"}
ALONG = np.linspace(-training.REACH, training.REACH, training.SIDE, dtype=np.float32)


def surface(z: Tensor, title: str, colour: str, limits: tuple[float, float]) -> Figure:
    """The loss over two directions, a surface that can be turned. `ui.figures` has no verb for it: only this lesson draws one."""
    figure = Figure(title, "", "", 340)
    del figure["layout"]["xaxis"], figure["layout"]["yaxis"]
    figure.trace(
        "surface",
        x=ALONG,
        y=ALONG,
        z=figures.numbers(z),
        cmin=limits[0],
        cmax=limits[1],
        colorscale=[[0, faded(colour, 0.95)], [1, faded(colour, 0.35)]],
        showscale=False,
        contours={"z": {"show": True, "color": INK, "width": 1, "start": limits[0], "end": limits[1], "size": 0.25}},
        hovertemplate="%{z:.3g} nats<extra></extra>",
    )
    axis = {"color": INK, "gridcolor": MASKED, "showbackground": False, "tickfont": {"size": 11}, "nticks": 5}
    figure.lay_out(
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        scene={
            "xaxis": {**axis, "title": {"text": "direction 1", "font": {"size": 12}}},
            "yaxis": {**axis, "title": {"text": "direction 2", "font": {"size": 12}}},
            "zaxis": {**axis, "title": {"text": "nats", "font": {"size": 12}}, "range": list(limits)},
            "aspectratio": {"x": 1, "y": 1, "z": 0.8},
            "camera": {"eye": {"x": 1.85, "y": -1.85, "z": 1.0}, "center": {"x": 0, "y": 0, "z": -0.2}},
        },
        meta={"alt": f"{title}. Surface: the loss in nats over two random directions of all weights."},
    )
    figure.tabulate(
        ("direction 1", "direction 2", "loss, nats"),
        [(float(a), float(b), float(z[i, j])) for i, a in enumerate(ALONG) for j, b in enumerate(ALONG)],
    )
    return figure


@corners(depth=tuple(AROUND), when=tuple(WHEN))
def around_frames(depth: int, when: Side) -> list[Frame]:
    """One frame for each seed: the loss around the model without skips and the one with them, and how curved it is there."""
    every = [training.around(depth, seed) for seed in training.SEEDS]
    shown = torch.stack([one.surface[side] for one in every for side in ("none", when)])
    limits = float(shown.min()) - 0.05, float(shown.max()) + 0.05
    bars = figures.bars(
        [
            Series(name, [of["none"][0] / of[when][0] for of in found], colour)
            for name, found, colour in (
                ("in units of filters", [one.scaled for one in every], INK),
                ("in plain weights", [one.hessian for one in every], MASKED),
            )
        ],
        labels=[str(seed) for seed in training.SEEDS],
        title="How many times as sharp without skips",
        x_title="seed",
        y_title="largest curvature, without ÷ with",
        height=340,
    )
    return [
        Frame(
            (
                surface(one.surface["none"], f"Loss without skips: {number(one.loss['none'])} nats", WITHOUT, limits),
                surface(one.surface[when], f"Loss with skips: {number(one.loss[when])} nats", WITH, limits),
                bars,
            ),
            around_reading(seed, when, one),
        )
        for seed, one in zip(training.SEEDS, every, strict=True)
    ]


def around_reading(seed: int, when: Side, one: training.Around) -> str:
    where = (
        f"Both have a loss of {number(one.loss['none'])} nats, with skips after {one.step:.0f} steps"
        if when == "both"
        else f"Without skips the loss is {number(one.loss['none'])} nats, with them {number(one.loss[when])}"
    )
    filters, plain = (times(of["none"][0] / of[when][0]) for of in (one.scaled, one.hessian))
    return (
        f"{where}. Along its sharpest direction the loss curves {filters} times as much without skips in units of filters, "
        f"{plain} times in plain weights (seed {seed})."
    )


def times(ratio: float) -> str:
    """Two digits.

    >>> times(2.94), times(13.1)
    ('2.9', '13')
    """
    return number(ratio * (1 + 1e-9), 2)


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return ladder_frames("none", 32, 0.5, 0)[skips.ALPHAS.index(0.7)]
