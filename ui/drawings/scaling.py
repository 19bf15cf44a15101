"""Question 2: logits, weights and gradients with and without the factor; the softmax's answer; the three that are trained."""

import torch

from core.experiments import scaling
from core.experiments.scaling import Distribution
from core.ops.attention import Divisor
from core.say import count, number, percent
from core.training import retrieval
from ui import figures
from ui.drawings import corners
from ui.figures import Frame, Series
from ui.palette import MASKED, OCHRE, QUERY, WITH, WITHOUT

DIVISORS: dict[Divisor, str] = {"sqrt": "√d_k", "none": "1 (none)", "d_k": "d_k"}
DISTRIBUTIONS: dict[Distribution, str] = {
    "normal": "normal, variance 1",
    "uniform": "uniform on −1 … 1",
    "rademacher": "±1",
    "shifted": "normal, mean ½",
}
KEYS = (2, 4, 8, 16, 32, 64, 128, 256, 512)
MOST_KEYS = 256
SEEDS = (0, 9999)
SCALED, UNSCALED = 1.0, 8.0  # standard deviations of random logits at d_k = 64


# ------------------------------------------------------------------------------------------------ one width after another


@corners(divisor=tuple(DIVISORS), n_keys=(64, 2, 3, 13, MOST_KEYS), distribution=tuple(DISTRIBUTIONS), seed=SEEDS)
def width_frames(divisor: Divisor, n_keys: int, distribution: Distribution, seed: int) -> list[Frame]:
    """One frame for each width: the same dot products as they are, and divided."""
    before, after = (scaling.attend(d, n_keys, distribution, seed) for d in ("none", divisor))
    name = f"divided by {DIVISORS[divisor]}"
    top = before.typical.shape[-1]

    def pair(what: str, i: int) -> list[Series]:
        rows = ((before, "q·k as it is", WITHOUT), (after, name, WITH))
        return [Series(words, getattr(row, what)[i], colour) for row, words, colour in rows]

    return [
        Frame(
            (
                figures.histogram(
                    pair("histogram", i),
                    limits=(-scaling.LIMIT, scaling.LIMIT),
                    counted=True,
                    title="The logits",
                    x_title="logit",
                    y_title="share of all logits",
                    y_range=(0, 0.42),
                ),
                figures.bars(
                    pair("typical", i),
                    labels=[str(rank + 1) for rank in range(top)],
                    title=f"The {top} largest weights of the median row",
                    x_title="key, by rank",
                    y_title="weight",
                    y_range=(0, 1),
                ),
                figures.histogram(
                    pair("jacobian", i),
                    limits=(0, 0.51),
                    bins=51,
                    title="What a row passes on: ‖∂softmax/∂logits‖ of 1024 rows",
                    x_title="Frobenius norm of the softmax Jacobian",
                    y_title="share of rows",
                    y_range=(0, 1),
                ),
            ),
            width_reading(d_k, divisor, before, after, i),
        )
        for i, d_k in enumerate(scaling.WIDTHS)
    ]


def width_reading(d_k: int, divisor: Divisor, before: scaling.Rows, after: scaling.Rows, i: int) -> str:
    spread, largest, worst = (
        [how(float(value[i])) for value in values]
        for how, values in (
            (lambda x: number(x, 2), (before.spread, after.spread)),
            (percent, (before.largest, after.largest)),
            (lambda x: number(x, 2), (before.quantile(0.1), after.quantile(0.1))),
        )
    )
    derivative = "In the worst tenth of rows the softmax's derivative, through which queries and keys learn, is at most"
    if divisor == "none" or d_k == 1:
        why = "Nothing is divided" if divisor == "none" else "At d_k = 1 the divisor is 1"
        return (
            f"{why}: the logits have standard deviation {spread[0]}, and the favourite key takes {largest[0]} of a row's "
            f"weight on average. {derivative} {worst[0]}."
        )
    return (
        f"At d_k = {d_k} the logits have standard deviation {spread[0]}, and the favourite key takes {largest[0]} of a row's "
        f"weight on average; divided by {DIVISORS[divisor]}, {spread[1]} and {largest[1]}. {derivative} {worst[0]}; divided, "
        f"{worst[1]}."
    )


# ------------------------------------------------------------------------------------------------ the softmax's answer


@corners(seed=SEEDS)
def response_frames(seed: int) -> list[Frame]:
    """One frame for each number of keys: how strongly the softmax answers, against the spread of its logits."""
    frames = []
    for n_keys in KEYS:
        r = scaling.response(n_keys, seed)
        frames.append(
            Frame(
                (
                    figures.lines(
                        [
                            Series("mean over rows", r.mean, WITH),
                            Series("median row", r.median, WITHOUT, "dash"),
                            Series("worst tenth: at most this", r.tenth, OCHRE, "dot"),
                        ],
                        x=r.spread,
                        title=f"Strength of the softmax's answer, {n_keys} keys",
                        log_x=True,
                        x_title="standard deviation of the logits",
                        y_title="norm of the softmax Jacobian",
                        x_range=(0.0625, 32),
                        y_range=(0, 0.52),
                        marks={"scaled: 1": (SCALED, WITH), "d_k = 64, unscaled: 8": (UNSCALED, WITHOUT)},
                        height=380,
                    ),
                ),
                response_reading(n_keys, r),
            )
        )
    return frames


def response_reading(n_keys: int, r: scaling.Response) -> str:
    peak = int(r.mean.argmax())
    start, top, end = (number(float(r.mean[i])) for i in (0, peak, -1))
    if start == top:
        way = f"is {start} for nearly equal logits and only falls, to {end} at a standard deviation of 32"
    else:
        way = (
            f"rises from {start} for nearly equal logits to {top} at a standard deviation of about "
            f"{number(float(r.spread[peak]), 2)}, and falls to {end} at 32"
        )
    scaled, unscaled = (number(float(r.tenth[(r.spread - s).abs().argmin()]), 2) for s in (SCALED, UNSCALED))
    return (
        f"With {n_keys} keys the mean {way}. In the worst tenth of rows the answer is at most {scaled} at 1, where the factor "
        f"puts random logits, and {unscaled} at 8."
    )


# ------------------------------------------------------------------------------------------------ trained

NAMES = dict(zip(retrieval.VARIANTS, ("with 1/√d_k", "folded into W_Q", "without"), strict=True))
COLOURS = dict(zip(retrieval.VARIANTS, (WITH, QUERY, WITHOUT), strict=True))


def training_frame(progress: retrieval.Progress) -> Frame:
    """The loss of every run so far."""
    steps = progress.losses.shape[-1]
    series = [
        Series(f"{NAMES[v]}, seed {r}" if r else NAMES[v], curve, COLOURS[v], width=1.8, legend=not r)
        for v, curves in zip(retrieval.VARIANTS, progress.losses, strict=True)
        for r, curve in enumerate(curves)
    ]
    limit = torch.full((steps,), retrieval.LEARNED)
    series.append(Series("learned: below this", limit, MASKED, "dot", width=1.5))
    return Frame(
        (
            figures.lines(
                series,
                x=torch.arange(1, steps + 1),
                title="Soft retrieval: the loss while learning to look up a value",
                x_title="training step",
                y_title="mean squared error",
                x_range=(0, max(steps, 40)),
                y_range=(0, 2.1),
                height=380,
            ),
        ),
        training_reading(progress),
    )


def training_reading(progress: retrieval.Progress) -> str:
    steps = progress.losses.shape[-1]
    missing = f"not within {steps}" if steps >= progress.cap else "not yet"
    learned = dict(zip(retrieval.VARIANTS, progress.learned.tolist(), strict=True))
    said = {
        v: ", ".join(str(s) if s >= 0 else missing for s in row) if max(row) >= 0 else f"{missing} in any seed"
        for v, row in learned.items()
    }
    first = dict(zip(retrieval.VARIANTS, progress.losses[..., 0].mean(-1).tolist(), strict=True))
    if (progress.learned < 0).all():
        race = (
            f"After {count(steps, 'step')} no run has learned: the mean of five losses is not below {retrieval.LEARNED}"
        )
    else:
        race = (
            f"Steps until the mean of five losses is below {retrieval.LEARNED}, seed by seed: with the factor {said['with']}; "
            f"folded into W_Q {said['folded']}; without {said['without']}"
        )
    return (
        f"{race}. The first loss is {number(first['with'])} with the factor, folded or not, and {number(first['without'])} "
        "without; always answering 0 would cost 1, and a confident wrong answer 2."
    )


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return width_frames("sqrt", 64, "normal", 0)[scaling.WIDTHS.index(64)]
