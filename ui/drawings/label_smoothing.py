"""Question 16: targets and the best gap; which ε an example is; the floor; calibration of trained networks; gap and features."""

from collections.abc import Sequence

import torch
from torch import Tensor

from core.experiments import label_smoothing as smoothing
from core.experiments.label_smoothing import STOPS
from core.ops.losses import Convention, smoothed
from core.say import count, listed, number, percent
from core.training import label_smoothing as training
from core.training.label_smoothing import SEEDS, SIZES, SMOOTHINGS, TIMES, Noise, Stop
from ui import figures
from ui.drawings import corners
from ui.figures import Figure, Frame, Series
from ui.palette import INK, MASKED, OCHRE, QUERY, ROSE, SIGNED, WEIGHTS, WITH, WITHOUT, faded

SHARED: dict[Convention, str] = {"all": "all share ε", "wrong": "the wrong share ε"}
TINTS: dict[Convention, str] = {"all": WITH, "wrong": OCHRE}
DASHES: dict[Convention, str] = {"all": "solid", "wrong": "dash"}
HERO = 310  # pixels: question, prediction and hero fit one screen
SHOWN = 10  # classes whose bars are drawn; of more, the first ten
ROOMY = 5  # classes up to which the bars have room for their numbers


# ------------------------------------------------------------------------------------------------ targets and the best gap


@corners(classes=(3, 2, 5, 10, 100, 37_000))
def target_frames(classes: int) -> list[Frame]:
    """One frame for each ε: the loss against the gap with its least place, and the targets, in both conventions."""
    return [
        Frame((loss_figure(classes, epsilon), target_figure(classes, epsilon)), target_reading(classes, epsilon))
        for epsilon in STOPS
    ]


def tidy(value: float) -> float:
    """Without the last digits, which are rounding: 0.3 for 0.29999999999999993."""
    return round(value, 9)


def targets(classes: int, epsilon: float) -> dict[Convention, Tensor]:
    """Of the right class, which is the first, and of the next ones that are shown."""
    return {c: smoothed(torch.tensor(0), classes, epsilon, c)[:SHOWN] for c in SHARED}


def class_names(classes: int) -> list[str]:
    return ["right", *(str(i) for i in range(2, min(classes, SHOWN) + 1))]


def target_figure(classes: int, epsilon: float) -> Figure:
    each = targets(classes, epsilon)
    hard = torch.zeros(min(classes, SHOWN))
    hard[0] = 1
    of = f"{classes} classes" if classes <= SHOWN else f"the first {SHOWN} of {classes:,} classes"
    figure = figures.bars(
        [Series("hard", hard, WITHOUT), *(Series(SHARED[c], t, TINTS[c]) for c, t in each.items())],
        labels=class_names(classes),
        title=f"What the network is asked for, {of}",
        x_title="class",
        y_title="target",
        y_range=(0, 1.15),
        height=HERO,
    )
    if classes <= ROOMY:
        for trace in figure["data"]:
            trace |= {
                "text": [number(tidy(float(v)), 2) for v in trace["y"].astype(float).round(6)],
                "textposition": "outside",
                "textangle": 0,
                "cliponaxis": False,
                "textfont": {"color": trace["marker"]["color"], "size": 12},
            }
    figure.lay_out(xaxis={"automargin": False})
    return figure


def reach(classes: int) -> Tensor:
    """The gaps that are drawn: from 0, all classes alike, to where every smoothed loss rises again."""
    return torch.linspace(0, 7 + float(torch.tensor(float(classes - 1)).log()), 120, dtype=torch.float64)


def loss_figure(classes: int, epsilon: float) -> Figure:
    gaps = reach(classes)
    at = tuple(gaps.tolist())
    top = 1.5 * float(torch.tensor(float(classes)).log())
    curves = {c: smoothing.loss_of_gap(classes, epsilon, c, at) for c in SHARED}
    figure = figures.lines(
        [
            Series("hard", smoothing.loss_of_gap(classes, 0.0, "all", at), WITHOUT),
            *(Series(SHARED[c], curve, TINTS[c], DASHES[c]) for c, curve in curves.items()),
        ],
        x=gaps,
        title="The loss of one example",
        x_title="logit gap: right class less each wrong",
        y_title="loss, nats",
        x_range=(0, float(gaps[-1])),
        y_range=(0, top),
        height=HERO,
    )
    best, wide = smoothing.best(classes, epsilon), float(gaps[-1])
    beside = "left" if 0.6 * wide < best.gap < wide else "right"  # where the curve of the hard target is far
    figure.note(
        "no best gap", x=float(beside == "right"), xref="paper", xanchor=beside, y=0, yanchor="bottom", yshift=4,
        xshift=4 if beside == "left" else 0, font={"color": WITHOUT, "size": 14},
    )  # fmt: skip
    if epsilon == 0:
        return figure
    for c in ("wrong", "all"):  # the convention of the equation last, on top
        found = smoothing.best(classes, epsilon, c)
        figure.trace(
            "scatter",
            x=figures.numbers([found.gap]),
            y=figures.numbers([found.loss]),
            name=f"least, {SHARED[c]}",
            showlegend=False,
            mode="markers",
            marker={"color": TINTS[c], "size": 13 if c == "all" else 9},
        )
    figure.trace(
        "scatter",
        x=figures.numbers([best.gap]),
        y=figures.numbers([best.plain]),
        name="plain loss at the best gap",
        showlegend=False,
        mode="markers+text",
        text=[number(best.plain, 2) if classes <= SHOWN else ""],  # of many, it would stand on the other curves
        textposition="top right",
        textfont={"color": WITHOUT, "size": 14},
        marker={"color": WITHOUT, "size": 11},
    )
    rule = {"color": WITH, "width": 1.5, "dash": "dot"}
    figure.shape(type="line", x0=best.gap, x1=best.gap, y0=best.plain, y1=0.86 * top, line=rule)
    flat = {"x0": best.gap - 0.12 * wide, "x1": best.gap + 0.12 * wide, "y0": best.loss, "y1": best.loss}
    figure.shape(type="line", **flat, line={"color": INK, "width": 1.5})
    side = "left" if best.gap < wide / 3 else "right" if best.gap > 2 * wide / 3 else "center"
    figure.note(
        f"best gap {number(tidy(best.gap))}: gradient {nothing(best.gradient)}", x=best.gap, xanchor=side, y=0.93, yref="paper",
        yanchor="top", font={"color": WITH, "size": 16},
    )  # fmt: skip
    return figure


def nothing(value: float) -> str:
    """A number that may be rounding: then it is 0.

    >>> nothing(2e-16), nothing(0.25)
    ('0', '0.25')
    """
    return "0" if abs(value) < 1e-12 else number(value, 2)


def target_reading(classes: int, epsilon: float) -> str:
    if epsilon == 0:
        return (
            f"With ε = 0 the target is hard, and the loss of {count(classes, 'class', 'classes')} falls with every gap: no finite one "
            "is best, so training pulls the logits apart for ever."
        )
    best = smoothing.best(classes, epsilon)
    return (
        f"With ε = {number(epsilon)} the loss is least at a gap of {number(tidy(best.gap))}: there its gradient is "
        f"{nothing(best.gradient)}, and the right class gets {number(tidy(best.probability))}. The price is a plain loss of "
        f"{number(tidy(best.plain), 2)}, which a hard target would push on towards 0."
    )


# ------------------------------------------------------------------------------------------------ which ε is it?

RIGHTS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5)
FEW = {3: "3", 2: "2", 5: "5", 10: "10"}


@corners(classes=tuple(FEW))
def example_frames(classes: int) -> list[Frame]:
    """One frame for each target of the right class: the row of targets, and the ε that gives it in both conventions."""
    axis = torch.linspace(0, 1, 51, dtype=torch.float64)
    curves = {c: torch.stack([smoothed(torch.tensor(0), classes, float(e), c)[0] for e in axis]) for c in SHARED}
    frames = []
    for right in RIGHTS:
        wrong = (1 - right) / (classes - 1)
        row = torch.tensor([right, *[wrong] * (classes - 1)])
        bars = figures.bars(
            [Series("target", row, WITH)],
            labels=class_names(classes),
            title="The example’s targets",
            x_title="class",
            y_title="target",
            y_range=(0, 1.15),
            height=HERO,
        )
        bars["data"][0] |= {
            "text": [number(tidy(float(v)), 2) for v in (right, *[wrong] * (classes - 1))],
            "textposition": "outside",
            "cliponaxis": False,
        }
        found = {c: tidy(smoothing.needed(right, classes, c)) for c in SHARED}
        lines = figures.lines(
            [Series(SHARED[c], curve, TINTS[c], DASHES[c]) for c, curve in curves.items()],
            x=axis,
            title="The right class’s target for each ε",
            x_title="ε",
            y_title="target of the right class",
            x_range=(0, 1),
            y_range=(0, 1.05),
            levels={f"the example: {number(right)}": (right, INK)},
            height=HERO,
        )
        for c, epsilon in found.items():
            lines.trace(
                "scatter",
                x=figures.numbers([epsilon]),
                y=figures.numbers([right]),
                name=f"ε = {number(epsilon)}",
                mode="markers",
                marker={"color": TINTS[c], "size": 12},
            )
        frames.append(Frame((bars, lines), example_reading(classes, right, found)))
    return frames


def example_reading(classes: int, right: float, found: dict[Convention, float]) -> str:
    if right == 1:
        return "A target of 1 for the right class is hard: ε = 0 in both conventions."
    tenth = [number(tidy(float(smoothed(torch.tensor(0), classes, 0.1, c)[0]))) for c in SHARED]
    return (
        f"{number(right)} for the right one of {classes} classes is ε = {number(found['all'])} if all of them share it, and "
        f"ε = {number(found['wrong'])} if only the wrong {'one takes' if classes == 2 else 'ones take'} it. ε = 0.1 gives the right "
        f"class {tenth[0]} or {tenth[1]}."
    )


# ------------------------------------------------------------------------------------------------ the floor

VOCABULARIES = (2, 3, 10, 100, 1_000, 10_000, 37_000, 128_000)
EPSILONS = {0.1: "0.1", 0.05: "0.05", 0.2: "0.2", 0.3: "0.3", 0.0: "0 (hard)"}


@corners(epsilon=tuple(EPSILONS), loss=(1.4, 0.0, 0.5, 4.0))
def floor_frames(epsilon: float, loss: float) -> list[Frame]:
    """One frame for each number of classes: the least loss there is, and how far above it a loss lies."""
    axis = torch.tensor(VOCABULARIES)
    curves = {e: torch.tensor([smoothing.floor(k, e) for k in VOCABULARIES]) for e in EPSILONS}
    frames = []
    for i, classes in enumerate(VOCABULARIES):
        floor = float(curves[epsilon][i])
        lines = figures.lines(
            [
                Series(
                    f"ε = {EPSILONS[e]}", curve, WITH if e == epsilon else faded(WITHOUT, 0.6), width=3 if e == epsilon else 1.5,
                    markers=e == epsilon, legend=e == epsilon,
                )
                for e, curve in sorted(curves.items(), key=lambda item: item[0] == epsilon)
            ],
            x=axis,
            title="The least loss that any model can reach",
            x_title="classes K",
            y_title="entropy of the target, nats",
            log_x=True,
            x_range=(1.8, 150_000),
            y_range=(0, 4.2),
            marks={f"K = {classes:,}": (float(classes), INK)},
            height=HERO,
        )  # fmt: skip
        for e, curve in curves.items():
            lines.note(
                f"ε = {EPSILONS[e]}", x=2.5, xanchor="right", y=float(curve[3:5].mean()), yanchor="bottom",
                font={"color": WITH if e == epsilon else WITHOUT, "size": 12},
            )  # fmt: skip
        lines.lay_out(showlegend=False)
        bars = figures.bars(
            [
                Series("the floor", [min(floor, loss)], WITHOUT),
                Series("above it", [max(loss - floor, 0)], WITH),
                Series("missing", [max(floor - loss, 0)], faded(MASKED, 0.35)),
            ],
            labels=["your loss"],
            title=f"A loss of {number(loss)}",
            x_title=f"{classes:,} classes, ε = {EPSILONS[epsilon]}",
            y_title="nats",
            y_range=(0, max(4.2, loss * 1.05)),
            stacked=True,
            height=HERO,
        )
        bars.lay_out(bargap=0.6, legend={"traceorder": "normal"})
        bars.note(
            f"floor {number(floor)}",
            x=0.5,
            xref="paper",
            y=max(floor, loss),
            yanchor="bottom",
            font={"color": INK, "size": 14},
        )
        frames.append(Frame((lines, bars), floor_reading(classes, epsilon, loss, floor)))
    return frames


def floor_reading(classes: int, epsilon: float, loss: float, floor: float) -> str:
    if epsilon == 0:
        return f"Hard targets have entropy 0, so their loss may come as near to 0 as it likes: {number(loss)} can fall by {number(loss)}." if loss else (
            "Hard targets have entropy 0. A loss of exactly 0 would take an infinite gap."
        )  # fmt: skip
    least = f"With {classes:,} classes and ε = {number(epsilon)} the least loss is {number(floor)} nats"
    plain = number(
        tidy(-float(torch.tensor(smoothing.best(classes, epsilon).probability, dtype=torch.float64).log())), 2
    )
    there = f"where the plain loss is {plain}"
    if round(loss, 2) == round(floor, 2):
        return f"{least}, {there}. To the digits given, that floor is your loss of {number(loss)}."
    if loss < floor:
        return f"{least}, {there}. A mean loss of {number(loss)} lies below: it is not this smoothed loss, but a plain one, or one whose floor was subtracted."
    return f"{least}, {there}. A loss of {number(loss)} lies {number(loss - floor, 2)} above it, and at most that can still be learned: uncertain data leave a part of it."


# ------------------------------------------------------------------------------------------------ trained

NOISES: dict[Noise, str] = {"low": "little", "high": "much"}
NAMED: dict[Noise, str] = {"low": "Little overlap", "high": "Much overlap"}
EXAMPLES = {n: f"{n:,}" for n in sorted(SIZES, reverse=True)}
STOPPED: dict[Stop, str] = {"loss": "by loss", "accuracy": "by accuracy", "end": "at the end"}
WHEN: dict[Stop, str] = {
    "loss": "stopped where the plain validation loss is least",
    "accuracy": "stopped where the validation accuracy is highest",
    "end": f"after {training.STEPS:,} steps",
}
FEWEST = 25  # answers of a bin that is drawn: of fewer, the share of right ones says little
CELLS = [f"{NOISES[noise]}, {n:,}" for noise in training.SCALES for n in SIZES]


@corners(noise=tuple(NOISES), n=tuple(EXAMPLES), stop=tuple(STOPPED))
def trained_frames(noise: Noise, n: int, stop: Stop) -> list[Frame]:
    """One frame for each ε: the reliability diagram of one cell, and three measures of all 30."""
    row = list(training.SCALES).index(noise) * len(SIZES) + SIZES.index(n)
    grids = (
        grid_figure(stop, "ece", "Calibration error", ".3f", row),
        grid_figure(stop, "nll", "Plain test loss, minus hard targets’", ".3f", row),
        grid_figure(stop, "accuracy", "Accuracy, minus hard targets’, points", ".1f", row),
    )
    return [
        Frame((reliability_figure(noise, n, stop, e), *grids), trained_reading(noise, n, stop, e))
        for e in range(len(SMOOTHINGS))
    ]


def reliability_figure(noise: Noise, n: int, stop: Stop, e: int) -> Figure:
    found = smoothing.reliability(noise, n, stop)
    series = [Series("as sure as right", [0, 1], MASKED, "dash", x=[0, 1], width=1.5)]
    for which, name, colour in ((0, "hard targets", WITHOUT), (e, f"ε = {SMOOTHINGS[e]:g}", WITH))[: 1 + (e > 0)]:
        kept = found.size[which] >= FEWEST
        series.append(Series(name, found.right[which][kept], colour, x=found.confidence[which][kept], markers=True))
    figure = figures.lines(
        series,
        x=[0, 1],
        title=f"Reliability, {count(int(found.size[0].sum()), 'answer')} of {count(len(SEEDS), 'run')}",
        x_title="confidence: probability of the class named",
        y_title="share that is right",
        x_range=(0, 1),
        y_range=(0, 1),
        height=320,
    )
    for words, x, y, side in (
        ("above the line: too unsure", 0.04, 0.95, "left"),
        ("below: too sure", 0.98, 0.05, "right"),
    ):
        figure.note(words, x=x, y=y, xanchor=side, font={"color": INK, "size": 12})
    return figure


def grid_figure(stop: Stop, name: str, title: str, text: str, row: int) -> Figure:
    """All 30 cells, the mean of the five runs each; a loss or an accuracy as what it differs from hard targets’."""
    values = smoothing.grid(stop, name)
    if name != "ece":
        values = (values - values[:, :1]) * (100 if name == "accuracy" else 1)
    figure = figures.heatmap(
        values,
        title=title,
        rows=CELLS,
        columns=[f"{e:g}" for e in SMOOTHINGS],
        row_title="overlap, examples",
        column_title="ε",
        colours=WEIGHTS if name == "ece" else SIGNED,
        limits=(0, 0.45) if name == "ece" else None,
        text=text,
        colour_bar=False,
        chosen_row=row,
        height=320,
    )
    if name == "accuracy":  # less is worse, as more loss is: one colour for worse
        figure["data"][0]["reversescale"] = True
    if name != "ece":  # signs as in print, and none where nothing is compared
        said = [["0", *(f"{v:+{text}}".replace("-", "−") for v in cells[1:])] for cells in values.tolist()]
        figure["data"][0] |= {"text": said, "texttemplate": "%{text}"}
    return figure


def trained_reading(noise: Noise, n: int, stop: Stop, e: int) -> str:
    cell = smoothing.cell(noise, n, stop)
    sure, right, ece, nll = (getattr(cell, name).mean(0) for name in ("sure", "accuracy", "ece", "nll"))
    where = f"{NAMED[noise]}, {n:,} examples, {WHEN[stop]}"
    told = [
        f"{percent(float(sure[i]))} sure, {percent(float(right[i]))} right, calibration error {number(float(ece[i]), 2)}"
        for i in (0, e)
    ]
    if e == 0:
        return f"{where}: with hard targets the networks are on average {told[0]}."
    return (
        f"{where}: with ε = {SMOOTHINGS[e]:g} on average {told[1]}; with hard targets {told[0]}. The plain test loss is "
        f"{number(float(nll[e]))}, with hard targets {number(float(nll[0]))}."
    )


TINT = dict(zip(SMOOTHINGS, (WITHOUT, QUERY, WITH, OCHRE, ROSE), strict=True))


def live_frame(shipped: training.Progress, label: str, progress: training.Progress) -> Frame:
    """The plain validation loss of one training, all ε side by side, over the shipped one."""
    series = []
    for e, epsilon in enumerate(SMOOTHINGS):
        series.append(
            Series(
                f"shipped, ε = {epsilon:g}",
                shipped.plain[:, e],
                faded(TINT[epsilon], 0.45),
                "dot",
                shipped.at,
                width=1.5,
                legend=False,
            )
        )
        name = "hard" if epsilon == 0 else f"ε = {epsilon:g}"
        series.append(Series(name, progress.plain[:, e], TINT[epsilon], x=progress.at, width=2))
    figure = figures.lines(
        series,
        x=shipped.at,
        title=f"{label}: plain validation loss (dotted: shipped)",
        x_title="training step",
        y_title="plain loss, nats",
        log_x=True,
        x_range=(5, training.STEPS),
        y_range=(0, 1.1 * float(shipped.plain.max())),
        height=360,
    )
    return Frame((figure,), live_reading(shipped, progress))


def live_reading(shipped: training.Progress, progress: training.Progress) -> str:
    steps = len(progress.at)
    least, at = progress.plain.min(0)
    each = listed(
        [
            f"{number(float(v))} with {f'ε = {e:g}' if e else 'hard targets'} (step {int(progress.at[i]):,})"
            for e, v, i in zip(SMOOTHINGS, least, at, strict=True)
        ]
    )
    off = float((progress.plain - shipped.plain[:steps]).abs().max())
    if progress is shipped:
        return f"The least plain validation loss is {each}."
    same = "those that were shipped" if off < 1e-4 else f"at most {number(off, 2)} off the shipped ones"
    return (
        f"After {count(int(progress.at[-1]), 'step')} the least plain validation loss is {each}; the curves are {same}."
    )


# ------------------------------------------------------------------------------------------------ gap and features

RUNS = {seed: str(seed) for seed in SEEDS}
CLASS_TINTS = (OCHRE, ROSE, INK)
ARMS = ("Hard targets", f"ε = {training.FOLLOWED[1]:g}")


@corners(seed=tuple(RUNS))
def gap_frames(seed: int) -> list[Frame]:
    """One frame for each snapshot: the gap so far of all runs, and the features of three classes."""
    run = training.followed(seed)
    others = [training.followed(s) for s in SEEDS if s != seed]
    return [gap_frame(run, others, i) for i in range(len(TIMES))]


def following_frame(progress: training.Gaps) -> Frame:
    """A training so far, at its last snapshot."""
    return gap_frame(progress, [], len(progress.at) - 1)


def gap_frame(run: training.Gaps, others: Sequence[training.Gaps], i: int) -> Frame:
    return Frame(
        (gap_figure(run, others, i), *(feature_figure(run, arm, i) for arm in range(len(ARMS)))), gap_reading(run, i)
    )


def gap_figure(run: training.Gaps, others: Sequence[training.Gaps], i: int) -> Figure:
    series = [
        Series(
            f"{ARMS[arm]}, another run",
            each.gap[:, arm],
            faded((WITHOUT, WITH)[arm], 0.4),
            x=each.at,
            width=1.2,
            legend=False,
        )
        for each in others
        for arm in (0, 1)
    ]
    series += [Series(ARMS[arm], run.gap[:, arm], (WITHOUT, WITH)[arm], x=run.at) for arm in (0, 1)]
    best = smoothing.best(training.CLASSES, training.FOLLOWED[1]).gap
    return figures.lines(
        series,
        x=run.at,
        title="Logit gap of the examples, mean",
        x_title="step t",
        y_title="right logit less the mean of the others",
        log_x=True,
        x_range=(1, training.FULL_STEPS),
        y_range=(0, 20),
        levels={f"best gap {number(best)}": (best, WITH)},
        level_at="bottom right",
        marks={f"t = {int(run.at[i]):,}": (float(run.at[i]), INK)},
        height=340,
    )


def feature_figure(run: training.Gaps, arm: int, i: int) -> Figure:
    scattered = [float(training.scatter(points[i, arm])) for points in (run.seen, run.fresh)]
    figure = Figure(f"{ARMS[arm]}: features, 3 classes", "plane of the three columns, one direction", "the other", 340)
    for k, colour in enumerate(CLASS_TINTS):
        for name, points, symbol in (("trained on", run.seen, "circle"), ("fresh", run.fresh, "circle-open")):
            x, y = points[i, arm, k].T
            figure.trace(
                "scatter",
                x=figures.numbers(x),
                y=figures.numbers(y),
                name=f"class {k + 1}, {name}" if k else name,
                showlegend=k == 0,
                mode="markers",
                marker={
                    "color": colour,
                    "symbol": symbol,
                    "size": 7,
                    "opacity": 1,
                    "line": {"width": 1.3, "color": colour},
                },
            )
    span = {"range": [-2.1, 2.1], "fixedrange": True}
    figure.lay_out(xaxis={**span, "constrain": "domain"}, yaxis={**span, "scaleanchor": "x"}, showlegend=True)
    figure.note(
        f"scatter {number(scattered[0], 2)}, fresh {number(scattered[1], 2)}",
        x=0.99, xref="paper", xanchor="right", y=0.01, yref="paper", yanchor="bottom", font={"color": INK, "size": 13},
    )  # fmt: skip
    return figure


def gap_reading(run: training.Gaps, i: int) -> str:
    hard, soft = (number(float(g)) for g in run.gap[i])
    best = number(smoothing.best(training.CLASSES, training.FOLLOWED[1]).gap)
    seen, fresh = ([number(float(s), 2) for s in training.scatter(points[i])] for points in (run.seen, run.fresh))
    return (
        f"At step {int(run.at[i]):,} the mean gap is {hard} with hard targets and {soft} with ε = {training.FOLLOWED[1]:g}, whose best gap "
        f"is {best}. Relative to the distance of the classes, training examples scatter by {seen[0]} and {seen[1]}, fresh ones by "
        f"{fresh[0]} and {fresh[1]}."
    )


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return target_frames(3)[STOPS.index(0.1)]
