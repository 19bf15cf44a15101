"""Question 6: the block whose numbers share a mean, and the word that moves; coins, noise, pads, running averages."""

import math
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.experiments import layer_norm as norms
from core.experiments.layer_norm import FEATURES, TEXTS, WORDS, Kind, Lengths
from core.say import count, number, percent
from core.training import layer_norm as training
from core.training.layer_norm import Norm
from ui import figures
from ui.drawings import corners
from ui.figures import Figure, Frame, Series
from ui.palette import INK, MASKED, WITH, WITHOUT, faded

RIVALS: dict[Kind, str] = {
    "batch": "BatchNorm",
    "place": "BN, texts only",
    "kept": "BN, evaluating",
    "instance": "InstanceNorm",
    "group": "GroupNorm",
    "rms": "RMSNorm",
}
SHORT: dict[Kind, str] = {
    "layer": "LayerNorm",
    "batch": "BatchNorm",
    "place": "BatchNorm",
    "kept": "BatchNorm",
    "instance": "InstanceNorm",
    "group": "GroupNorm",
    "rms": "RMSNorm",
}
SEEDS = (0, 7, 9999)
HERO = 298  # pixels: question, prediction and hero fit one screen
CELLS = tuple(range(TEXTS * WORDS * FEATURES))
SAID = (("the", "cat", "sat", "down"), ("rain", "fell", "all", "day"), ("she", "reads", "old", "books"))
NAMED = "ABC"  # the texts
PLACES = [*product(range(TEXTS), range(WORDS))]
ACROSS, UP = 2.6, 4.7  # from one text’s sheet to that of the next, behind it


def placed(cell: int) -> tuple[int, int, int]:
    """Text, word and feature of a number."""
    return cell // (WORDS * FEATURES), cell // FEATURES % WORDS, cell % FEATURES


LABELS = [f"“{SAID[b][t]}”, feature {f + 1}" for b, t, f in map(placed, CELLS)]


# ------------------------------------------------------------------------------------------------ who shares, who moves


def block_figure(kind: Kind, cell: int, lit: Tensor, colour: str, became: tuple[float, float]) -> Figure:
    """The block, a sheet for each text: lit are the numbers that enter the normalised value of the framed one.

    `became` is the framed number, before and after."""
    many = int(lit.sum())
    shared = (
        "no statistics of this batch" if kind == "kept" else f"{many} share one {'scale' if kind == 'rms' else 'mean'}"
    )
    figure = Figure(f"{SHORT[kind]}: {shared}", "", "", HERO)
    text, word, feature = placed(cell)
    for b in reversed(range(TEXTS)):
        figure.trace(
            "heatmap",
            z=figures.numbers(lit[b].flip(0)),
            x=figures.numbers(np.arange(FEATURES) + b * ACROSS),
            y=figures.numbers(np.arange(WORDS) + b * UP),
            zmin=0,
            zmax=1,
            colorscale=[[0, faded(MASKED, 0.22)], [1, colour]],
            showscale=False,
            xgap=2,
            ygap=2,
            hoverinfo="skip",
        )
    figure.trace(
        "scatter",
        x=figures.numbers([b * ACROSS - 0.6 for b, _ in PLACES]),
        y=figures.numbers([WORDS - 1 - t + b * UP for b, t in PLACES]),
        mode="text",
        text=[f"<b>{SAID[b][t]}</b>" if (b, t) == (text, word) else SAID[b][t] for b, t in PLACES],
        textposition="middle left",
        textfont={"color": INK, "size": 13},
        hoverinfo="skip",
    )
    left, low = feature + text * ACROSS - 0.5, WORDS - 1 - word + text * UP - 0.5
    figure.trace(
        "scatter",
        x=figures.numbers([left, left + 1, left + 1, left, left]),
        y=figures.numbers([low, low, low + 1, low + 1, low]),
        mode="lines",
        line={"color": INK, "width": 3},
        hoverinfo="skip",
    )
    changed = (text + 1) % TEXTS
    figure.trace(
        "scatter",
        x=figures.numbers([b * ACROSS + FEATURES - 0.2 for b in range(TEXTS)]),
        y=figures.numbers([b * UP + (WORDS - 1) / 2 for b in range(TEXTS)]),
        mode="text",
        text=[f"text {NAMED[b]}" + (":<br>changes" if b == changed else "") for b in range(TEXTS)],
        textposition="middle right",
        textfont={"color": INK, "size": 13},
        hoverinfo="skip",
    )
    below: dict[str, Any] = {"y": -0.55, "yanchor": "top"}
    figure.note(f"{FEATURES} features", x=(FEATURES - 1) / 2, font={"color": INK, "size": 13}, **below)
    figure.note(
        " → ".join(number(v, 2) for v in became),
        x=2 * ACROSS + FEATURES - 0.5,
        xanchor="right",
        font={"color": colour, "size": 16},
        **below,
    )
    plain = {"visible": False, "fixedrange": True}
    figure.lay_out(
        xaxis={**plain, "range": [-2.9, 2 * ACROSS + FEATURES + 3.2]},
        yaxis={**plain, "range": [-1.6, 2 * UP + WORDS - 0.3]},
        showlegend=False,
        margin={"l": 4, "r": 4, "t": 34, "b": 4},
    )
    figure.tabulate(
        ["text", "word", "features that share"],
        [
            [NAMED[b], SAID[b][t], " ".join(str(f + 1) for f, shares in enumerate(row) if shares)]
            for (b, t), row in zip(PLACES, lit.flatten(0, 1).tolist(), strict=True)
        ],
    )
    return figure


def moved_figure(kind: Kind, cell: int, own: norms.Moves, other: norms.Moves, highest: float) -> Figure:
    """How far the word of the framed number moves when another text, or the next word, gets other numbers.

    `highest` is the same for all that LayerNorm is compared with, so that bars of two comparisons compare."""
    text, word, _ = placed(cell)
    pairs = [torch.stack([m.text[text, word], m.after[text, word]]) for m in (own, other)]
    last = word == WORDS - 1
    figure = figures.bars(
        [Series("LayerNorm", pairs[0], WITH), Series(SHORT[kind], pairs[1], WITHOUT)],
        labels=[f"text {NAMED[(text + 1) % TEXTS]} changes", "no next word" if last else "next word changes"],
        title=f"How far all {FEATURES} numbers of “{SAID[text][word]}” move",
        x_title="what gets other numbers",
        y_title="move ÷ its length, after the norm",
        y_range=(0, 1.18 * highest),
        height=HERO,
    )
    for i, (pair, colour) in enumerate(zip(pairs, (WITH, WITHOUT), strict=True)):
        for j, value in enumerate(pair.tolist()):
            if not math.isnan(value):
                figure.note(
                    number(value, 2),
                    x=j + (-0.23, 0.23)[i],
                    y=value,
                    yanchor="bottom",
                    font={"color": colour, "size": 16},
                )
    figure.lay_out(xaxis={"automargin": False})
    return figure


@corners(kind=tuple(RIVALS), seed=SEEDS)
def block_frames(kind: Kind, seed: int) -> list[Frame]:
    """One frame for each number of the block: who shares its mean with LayerNorm, who with the other norm, and what moves it."""
    own, other = norms.moves("layer", seed), norms.moves(kind, seed)
    every = [torch.cat([m.text.flatten(), m.after[:, :-1].flatten()]) for m in (norms.moves(k, seed) for k in RIVALS)]
    highest = float(torch.cat(every).max())
    x = norms.block(seed)
    before, after, others = (v.flatten().tolist() for v in (x, norms.normalise("layer", x), norms.normalise(kind, x)))
    lit, rival = norms.shares("layer", seed), norms.shares(kind, seed)
    counts = [[int(n) for n in shares.flatten(1).sum(1).tolist()] for shares in (lit, rival)]
    return [
        Frame(
            (
                block_figure("layer", cell, lit[cell], WITH, (before[cell], after[cell])),
                block_figure(kind, cell, rival[cell], WITHOUT, (before[cell], others[cell])),
                moved_figure(kind, cell, own, other, highest),
            ),
            block_reading(kind, cell, few, many, own, other),
        )
        for cell, few, many in zip(CELLS, *counts, strict=True)
    ]


def block_reading(kind: Kind, cell: int, few: int, many: int, own: norms.Moves, other: norms.Moves) -> str:
    text, word, _ = placed(cell)
    said, changed = f"“{SAID[text][word]}”", f"text {NAMED[(text + 1) % TEXTS]}"
    last = word == WORDS - 1

    def by(value: float, whole: str = " of its length") -> str:
        return "exactly 0" if value == 0 else f"{percent(value)}{whole}"

    still = max(float(v) for v in (own.text[text, word], own.after[text, word]) if not v.isnan())
    begin = f"LayerNorm’s mean is that of {said} alone, {count(few, 'number')}: other words move {said} by {by(still)}."
    if kind == "kept":
        return f"{begin} In evaluation BatchNorm goes by running averages of the past: other words move nothing either."
    if kind == "rms":
        most = max(float(v) for v in (other.text[text, word], other.after[text, word]) if not v.isnan())
        return f"{begin} RMSNorm takes a scale from the same {many} numbers, and no mean: other words move {said} by {by(most)}, too."
    whose = {
        "batch": f"this feature in all {many} words",
        "place": f"this feature in the {many} words at this position",
        "instance": f"this feature in the {many} words of its text",
        "group": f"{FEATURES // norms.GROUPS} features in the {WORDS} words of its text",
    }[kind]
    moved = f"{said} moves by {by(float(other.text[text, word]))} when {changed} changes"
    after = (
        "; no word comes after it" if last else f", by {by(float(other.after[text, word]), '')} when the next word does"
    )
    return f"{begin} {SHORT[kind]}’s is that of {whose}: {moved}{after}."


# ------------------------------------------------------------------------------------------------ coins

NAMES: dict[Norm, str] = {
    "batch": "BatchNorm",
    "layer": "LayerNorm",
    "rms": "RMSNorm",
    "place": "BatchNorm, texts only",
}
RUNS = {seed: str(seed) for seed in training.SEEDS}
SHARERS = [f"{n} text" if n == 1 else f"{n} texts" for n in training.SHARING]
STEP_AXIS: dict[str, Any] = {"x_title": "training step", "x_range": (0, training.STEPS)}
LOWEST, HIGHEST = 0.5, 20.0  # nats, of evaluation
NO_LEAK = 0.002  # nats below ln 2: the runs of 16 texts, whose loss by position shows a leak, are 0.003 below it


def curves(name: str, runs: tuple[training.Progress, ...], what: str, colour: str) -> list[Series]:
    return [
        Series(name if i == 0 else f"{name}, seed {i}", getattr(run, what), colour, x=run.at, width=1.6, legend=not i)
        for i, run in enumerate(runs)
    ]


@corners()
def coin_frames() -> list[Frame]:
    """One frame for each number of texts that share BatchNorm's statistics; LayerNorm beside it."""
    own = training.trained("layer", 1)
    frames = []
    for sharing in training.SHARING:
        runs = training.trained("batch", sharing)
        pair = (("BatchNorm", runs, WITHOUT), ("LayerNorm", own, WITH))
        loss, evaluated = (
            [line for name, of, colour in pair for line in curves(name, of, what, colour)]
            for what in ("loss", "evaluated")
        )
        positions = [
            Series(name, torch.stack([run.by_position for run in of]).mean(0), colour) for name, of, colour in pair
        ]
        frames.append(
            Frame(
                (
                    figures.lines(
                        loss, x=own[0].at, title="In training", y_title="loss, nats a toss", y_range=(0, 0.85), height=320,
                        levels={"ln 2: nobody honest is lower": (training.ENTROPY, INK)}, level_at="bottom right", **STEP_AXIS,
                    ),
                    figures.lines(
                        evaluated, x=own[0].at, title="In evaluation, on fresh texts", y_title="loss, nats a toss", log_y=True,
                        y_range=(LOWEST, HIGHEST), y_ticks=(0.5, 1, 2, 5, 10, 20), height=320,
                        levels={"ln 2: guessing": (training.ENTROPY, INK)}, level_at="bottom right", **STEP_AXIS,
                    ),
                    figures.bars(
                        positions, labels=[str(i + 1) for i in range(training.LENGTH)], height=320,
                        title="In training, at the end, by position", x_title="position whose next toss is asked",
                        y_title="loss, nats a toss", y_range=(0, 0.85),
                    ),
                ),
                coin_reading(sharing, runs, own),
            )
        )  # fmt: skip
    return frames


def final(runs: tuple[training.Progress, ...], what: str) -> float:
    """Over the last ten steps, the mean of the seeds."""
    return float(torch.stack([getattr(run, what)[-1] for run in runs]).mean())


def coin_reading(sharing: int, runs: tuple[training.Progress, ...], own: tuple[training.Progress, ...]) -> str:
    train, evaluated, honest = final(runs, "loss"), final(runs, "evaluated"), final(own, "loss")
    who = "Normalised text by text" if sharing == 1 else f"Where {sharing} texts share statistics"
    below = training.ENTROPY - train
    digits = 3 if abs(below) < 0.01 else 2  # as many as tell it from ln 2
    said, level = number(train, digits), number(training.ENTROPY, digits)
    ends = f"{who}, BatchNorm ends at {said} nats in training"
    seeds = f"the mean of {count(len(runs), 'seed')}"
    if below < NO_LEAK:
        return f"{ends} and {number(evaluated, digits)} in evaluation, {seeds}: about ln 2 = {level}, so after {training.STEPS} steps no leak is seen."
    last = float(torch.stack([run.by_position[-1] for run in runs]).mean())
    little = "a little " if digits == 3 else ""
    return (
        f"{ends}, {little}below ln 2 = {level}, which only a leak explains, and at {number(evaluated, digits)} in evaluation, {seeds}. "
        f"At the last position, whose next toss is not read, it has {number(last, digits)}; LayerNorm has {number(honest, digits)} throughout."
    )


def live_frame(shipped: training.Progress, label: str, progress: training.Progress) -> Frame:
    """A run that is being trained, over the shipped run of the same seed."""
    now = progress is not shipped
    panels = []
    for what, title in (("loss", "In training"), ("evaluated", "In evaluation")):
        series = [Series("shipped", getattr(shipped, what), MASKED, width=5, x=shipped.at)]
        if now:
            series.append(Series("now", getattr(progress, what), WITH, width=2, x=progress.at))
        panels.append(
            figures.lines(
                series, x=shipped.at, title=title, y_title="loss, nats a toss", log_y=True, y_range=(0.05, HIGHEST),
                y_ticks=(0.1, 0.2, 0.5, 1, 2, 5, 10, 20), levels={"ln 2": (training.ENTROPY, INK)}, height=280, **STEP_AXIS,
            )
        )  # fmt: skip
    step, train, evaluated = int(progress.at[-1]), float(progress.loss[-1]), float(progress.evaluated[-1])
    said = f"{label}: after step {step} the loss is {number(train)} nats in training and {number(evaluated)} in evaluation."
    return Frame(tuple(panels), f"{said} {comparison(shipped, progress) if now else PROMISE}")


PROMISE = (
    "This is the shipped run; the button trains it again. On a processor of the same kind that gives the same curve; on "
    "another kind the first steps agree, and as a rule the outcome."
)


def comparison(shipped: training.Progress, progress: training.Progress) -> str:
    """Whether the run made now is the one that was shipped, in the digits that are."""
    before = shipped.loss[: len(progress.loss)]
    differs = (progress.loss - before).abs() > 1e-3 * before
    if not differs.any():
        return "So far it is the shipped curve." if progress.done < 1 else "It is the shipped curve again."
    first = int(progress.at[int(differs.int().argmax())])
    most = number(float((progress.loss - before).abs().max()), 2)
    return (
        f"From step {first} on it leaves the shipped curve, by up to {most} nats, as it may on another kind of processor, where sums "
        "are rounded in another order."
    )


def run_label(norm: Norm, sharing: int, seed: int) -> str:
    """What was trained."""
    shared = f" over {count(sharing, 'text')}" if norm in ("batch", "place") else ""
    return f"{'BatchNorm at each position' if norm == 'place' else NAMES[norm]}{shared}, seed {seed}"


# ------------------------------------------------------------------------------------------------ noise

ALIKE = (0.0, 0.01, 0.03, 0.1, 0.2, 0.5, 0.8, 1.0)
BATCHES = {8: "8", 1: "1", 32: "32"}
SPREAD: dict[Lengths, str] = {"equal": "all T", "mixed": "1 … 2T − 1"}


@corners(texts=tuple(BATCHES), lengths=tuple(SPREAD), seed=SEEDS)
def noise_frames(texts: int, lengths: Lengths, seed: int) -> list[Frame]:
    """One frame for each correlation ρ: how far the batch's mean strays, against the length of its texts."""
    frames = []
    long = torch.tensor(norms.LENGTHS)
    axis: dict[str, Any] = {
        "x": long, "x_title": "words of a text, T" if lengths == "equal" else "words of a text on average, T", "log_x": True,
        "x_range": (0.9, 600), "x_ticks": (1, 2, 8, 32, 128, 512), "log_y": True, "height": 320,
    }  # fmt: skip
    for rho in ALIKE:
        found = norms.noise(texts, rho, lengths, seed)
        frames.append(
            Frame(
                (
                    figures.lines(
                        [
                            Series("law of independent words", found.independent, MASKED, "dot"),
                            Series("law", found.law, WITH),
                            dots(f"measured on {found.batches:,} batches", found.measured),
                        ],
                        title=f"Spread of the mean of {count(texts, 'text')}",
                        y_title="standard deviation; a word’s is 1",
                        y_range=(0.005, 1.6),
                        **axis,
                    ),
                    figures.lines(
                        [
                            Series("all words, B · T", texts * long, MASKED, "dot"),
                            Series("law", found.law**-2, WITH),
                            dots("measured", found.measured**-2),
                        ],
                        title="Worth so many independent words",
                        y_title="1 ÷ variance of the mean",
                        y_range=(0.5, 30_000),
                        **axis,
                    ),
                ),
                noise_reading(texts, rho, lengths, found),
            )
        )
    return frames


def dots(name: str, y: Tensor) -> Series:
    """Measured points, without a line of their own that could be read as a law."""
    return Series(name, y, WITHOUT, markers=True, width=0)


def noise_reading(texts: int, rho: float, lengths: Lengths, found: norms.Noise) -> str:
    short, long = (norms.LENGTHS.index(t) for t in (128, 512))
    ratio = float(found.law[long] / found.law[short])
    spread = [number(float(found.law[i]), 3 if ratio > 0.9 else 2) for i in (short, long)]
    worth = round(float(found.law[short]) ** -2)
    mean = "" if lengths == "equal" else " on average"
    whole = texts * 128
    if rho == 0:
        return (
            f"Independent words: the mean of {count(texts, 'text')} of 128 words{mean} strays by {spread[0]} of a word’s spread, at 512 words by {spread[1]}. "
            "Longer texts help."
        )
    how = "do not" if math.isclose(ratio, 1) else "hardly" if ratio > 0.9 else "still"
    helps = f"longer texts {how} help"
    about = "" if how == "do not" else "about "
    at_long = f"at 512 words by {about}as much" if ratio > 0.99 else f"at 512 words by {spread[1]}"
    return (
        f"Where two words of a text correlate by ρ = {number(rho)}, the mean of {count(texts, 'text')} of 128 words{mean} strays by {spread[0]}, "
        f"{at_long}: {helps}. {whole:,} words are worth {count(worth, 'independent one')}."
    )


# ------------------------------------------------------------------------------------------------ pads

MEANS, STDS = (2.0, -3.0, 0.0, 3.0), (1.5, 0.5, 3.0)


@corners(mean=MEANS, std=STDS, seed=SEEDS)
def pads_frames(mean: float, std: float, seed: int) -> list[Frame]:
    """One frame for each share of pads: mean and variance with the pads counted, and what that makes of the real words."""
    found = norms.pads(mean, std, seed)
    at = 100 * torch.tensor(norms.SHARES)
    frames = []
    for i, share in enumerate(norms.SHARES):
        panels = []
        for j, (name, measured) in enumerate((("Mean", found.mean), ("Variance", found.variance))):
            every = torch.cat([measured, found.own[:, j], found.law[:, j]])
            low, high = min(0.0, float(every.min())), max(0.0, float(every.max()))
            room = 0.15 * (high - low)
            panels.append(
                figures.lines(
                    [
                        Series("pads counted, law", found.law[:, j], WITHOUT),
                        dots("pads counted, measured", measured),
                        Series("pads left out, measured", found.own[:, j], WITH),
                    ],
                    x=at, title=f"{name} of one feature of a batch", x_title="places that hold a pad, %", y_title=name.lower(),
                    x_range=(0, 92), y_range=(low - (room if low < 0 else 0), high + room),
                    marks={percent(share): (100 * share, INK)}, height=320,
                )
            )  # fmt: skip
        panels.append(
            figures.histogram(
                [
                    Series("pads counted", found.counted[i], WITHOUT),
                    Series("pads left out", found.masked[i], WITH),
                ],
                limits=(-norms.LIMIT, norms.LIMIT),
                counted=True,
                title="The real words, normalised", x_title="normalised number", y_title="share of the words",
                height=320,
            )
        )  # fmt: skip
        frames.append(Frame(tuple(panels), pads_reading(i, found)))
    return frames


def pads_reading(i: int, found: norms.Pads) -> str:
    share = norms.SHARES[i]
    mean, variance = number(float(found.mean[i]), 3), number(float(found.variance[i]), 3)
    if share == 0:
        return f"Without pads the feature has mean {mean} and variance {variance}; a quarter of pads, counted, makes the variance {number(float(found.variance[norms.SHARES.index(0.25)]))}."
    centre, spread = (number(round(float(v), 3), 3) for v in found.output[i])
    own, law = ([number(float(v), 3) for v in row[i]] for row in (found.own, found.law))
    centre += "" if centre == "0" else " instead of 0"
    spread += "" if spread == "1" else " instead of 1"
    return (
        f"With {percent(share)} of pads, counted, the mean is {mean} and the variance {variance} (by the law {law[0]} and {law[1]}); of the real "
        f"words alone {own[0]} and {own[1]}. So the real words come out with mean {centre} and standard deviation {spread}."
    )


# ------------------------------------------------------------------------------------------------ running averages

STOPS = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100)
MOMENTA = {0.1: "0.1, as PyTorch", 0.01: "0.01", 0.5: "0.5", 1.0: "1"}
DRIFTS = {0.05: "0.05 a batch", 0.0: "none", 0.5: "0.5 a batch"}


@corners(momentum=tuple(MOMENTA), drift=tuple(DRIFTS), seed=SEEDS)
def running_frames(momentum: float, drift: float, seed: int) -> list[Frame]:
    """One frame for each number of batches seen: what is kept, what each batch has, and what evaluation makes of the last one."""
    found = norms.follow(momentum, drift, seed)
    at = torch.arange(norms.SEEN + 1)
    axis: dict[str, Any] = {"x": at, "x_title": "batches seen", "x_range": (0, norms.SEEN + 4), "height": 320}
    frames = []
    for k in STOPS:
        marks = {count(k, "batch", "batches"): (float(k), INK)}
        highest = 1.2 * float(torch.cat([found.batch[1:, 0], found.true]).max())
        frames.append(
            Frame(
                (
                    figures.lines(
                        [
                            Series("of each batch", found.batch[:, 0], WITHOUT, width=1.2),
                            Series("true", found.true, MASKED, "dot"),
                            Series("running", found.kept[:, 0], WITH),
                        ],
                        title="Mean of one feature", y_title="mean", y_range=(0, highest), marks=marks, **axis,
                    ),
                    figures.lines(
                        [
                            Series("of each batch", found.batch[:, 1], WITHOUT, width=1.2),
                            Series("running", found.kept[:, 1], WITH),
                        ],
                        title="Its variance", y_title="variance", marks=marks,
                        y_range=(0, 1.2 * float(torch.cat([found.batch[1:, 1], found.kept[:, 1]]).max())), **axis,
                    ),
                    figures.lines(
                        [
                            Series("mean", found.output[:, 0], WITH),
                            Series("standard deviation", found.output[:, 1], WITH, "dash"),
                        ],
                        title="Each batch, normalised as in evaluation", y_title="mean, standard deviation", marks=marks,
                        y_range=(
                            min(-0.6, 1.1 * float(found.output[1:].min())), max(2.0, 1.2 * float(found.output[1:].max())),
                        ),
                        levels={"training: 1": (1.0, WITHOUT), "training: 0": (0.0, WITHOUT)},
                        x_ticks=(0, 50, 100), **{**axis, "x_range": (0, norms.SEEN + 42)},  # the levels’ names stand free
                    ),
                ),
                running_reading(k, momentum, drift, found),
            )
        )  # fmt: skip
    return frames


def running_reading(k: int, momentum: float, drift: float, found: norms.Running) -> str:
    if k == 0:
        return "Before the first batch nothing is known: the running mean is 0 and the running variance 1, as PyTorch starts them."
    kept, batch = (number(float(v[k, 0]), 3) for v in (found.kept, found.batch))
    mean, std = (number(round(float(v), 12), 2) for v in found.output[k])  # 0 is 0, not a rest of rounding
    if momentum == 1:
        return (
            f"With momentum 1 only the last batch is kept, mean {batch}: evaluation gives it mean {mean} and standard deviation {std}, just below "
            "training’s 1, since the kept variance is the unbiased one."
        )
    begin = (
        f"After {count(k, 'batch', 'batches')} the running mean is {kept}, the true one {number(float(found.true[k]), 3)}; this batch’s is {batch}, so evaluation "
        f"gives it mean {mean} and standard deviation {std}, training 0 and 1."
    )
    start = (1 - momentum) ** k
    if start > 0.01:
        return f"{begin} The 0 that it started from still weighs {percent(start)}."
    if drift and k == norms.SEEN:
        late = float(found.true[k] - found.law[k])
        lag = round(late / drift, 1)
        batches = f"{number(lag, 2)} {'batch' if lag == 1 else 'batches'}"
        return f"{begin} On average the running mean now trails the true one by what that drifts in {batches}, {number(late, 2)}."
    return begin


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return block_frames("batch", 0)[CELLS.index(8)]
