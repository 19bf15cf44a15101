"""Question 2: logits, weights and gradients with and without the factor; the softmax's answer; the two that are trained."""

import torch

from core.experiments import scaling
from core.experiments.scaling import Distribution
from core.ops.attention import Divisor
from core.say import number, percent
from core.training import retrieval
from ui import figures
from ui.drawings import corners
from ui.figures import Frame, Series
from ui.palette import KEY, MASKED, WITH, WITHOUT

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
    if divisor == "none" or d_k == 1:
        why = "Nothing is divided" if divisor == "none" else "At d_k = 1 the divisor is 1"
        return (
            f"{why}: the logits have standard deviation {spread[0]}, and the favourite key takes {largest[0]} of a row's "
            f"weight on average. The worst tenth of rows pass on less than {worst[0]} to queries and keys."
        )
    return (
        f"At d_k = {d_k} the logits q·k have standard deviation {spread[0]}; divided by {DIVISORS[divisor]}, {spread[1]}. On "
        f"average the favourite key takes {largest[0]} of a row's weight; divided, {largest[1]}. The worst tenth of rows pass on "
        f"less than {worst[0]} to queries and keys; divided, {worst[1]}."
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
                            Series("worst tenth: below this", r.tenth, KEY, "dot"),
                        ],
                        x=r.spread,
                        title=f"Strength of the softmax's answer, {n_keys} keys",
                        log_x=True,
                        x_title="standard deviation of the logits",
                        y_title="norm of the softmax Jacobian",
                        x_range=(0.0625, 32),
                        y_range=(0, 0.52),
                        marks={"scaled: 1": (1.0, WITH), "d_k = 64, unscaled: 8": (8.0, WITHOUT)},
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
        return (
            f"With {n_keys} keys the mean is {start} for nearly equal logits and only falls, to {end} at a standard deviation of "
            "32: two keys answer most strongly when they are equal."
        )
    return (
        f"With {n_keys} keys the mean rises from {start} for nearly equal logits to {top} at a standard deviation of about "
        f"{number(float(r.spread[peak]), 2)}, and falls to {end} at 32. The factor does not make attention as soft as possible: "
        "it starts it where the softmax still answers in every row."
    )


# ------------------------------------------------------------------------------------------------ trained


def training_frame(progress: retrieval.Progress) -> Frame:
    steps = progress.losses.shape[-1]
    series = [
        Series(f"{name}, seed {r}", progress.losses[v, r], colour, width=1.8)
        for v, (name, colour) in enumerate((("with 1/√d_k", WITH), ("without", WITHOUT)))
        for r in range(progress.losses.shape[1])
    ]
    limit = torch.full((steps,), retrieval.LEARNED)
    series.append(Series("learned: below this", limit, MASKED, "dot", width=1.5))
    said = [
        ", ".join(str(int(step)) if step >= 0 else f"not within {steps}" for step in row) for row in progress.learned
    ]
    first = [number(float(progress.losses[v, :, 0].mean())) for v in (0, 1)]
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
        f"Steps until the mean of five losses is below {retrieval.LEARNED}, seed by seed: with the factor {said[0]}; without "
        f"{said[1]}. At the first step the loss is {first[0]} with and {first[1]} without: above 1 is worse than answering with "
        "the average of all values.",
    )
