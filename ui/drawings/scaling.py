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
from ui.palette import MASKED, OCHRE, QUERY, ROSE, WITH, WITHOUT

DIVISORS: dict[Divisor, str] = {"sqrt": "√dₖ", "none": "1 (none)", "d_k": "dₖ"}
DISTRIBUTIONS: dict[Distribution, str] = {
    "normal": "normal",
    "uniform": "uniform",
    "rademacher": "±1",
    "shifted": "mean ½",
}
KEYS = (2, 4, 8, 16, 32, 64, 128, 256, 512)
ROW_KEYS = KEYS[:-1]  # of the rows that are drawn key by key; 512 would make a move of the divisor wait
SEEDS = (0, 9999)
HERO = 290  # pixels: question, prediction and hero fit one screen
SCALED, UNSCALED = 1.0, 8.0  # standard deviations of random logits at d_k = 64


# ------------------------------------------------------------------------------------------------ one width after another


@corners(divisor=tuple(DIVISORS), n_keys=(64, 2, 4, 16, ROW_KEYS[-1]), distribution=tuple(DISTRIBUTIONS), seed=SEEDS)
def width_frames(divisor: Divisor, n_keys: int, distribution: Distribution, seed: int) -> list[Frame]:
    """One frame for each width: the same dot products as they are, and divided."""
    before, after = (scaling.attend(d, n_keys, distribution, seed) for d in ("none", divisor))
    name = f"divided by {DIVISORS[divisor]}"
    high = 1.05 * float(torch.stack([before.histogram, after.histogram]).max())
    top, n_rows = before.typical.shape[-1], before.jacobian.shape[-1]

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
                    title="The logits spread",
                    x_title="logit" if distribution != "shifted" else "logit, counted from their mean",
                    y_title="share of all logits",
                    y_range=(0, high),
                    height=HERO,
                ),
                figures.bars(
                    pair("typical", i),
                    labels=[str(rank + 1) for rank in range(top)],
                    title=f"A row’s {top} largest weights, the mean of {n_rows} rows",
                    x_title="key, by rank",
                    y_title="weight",
                    y_range=(0, 1),
                    height=HERO,
                ),
            ),
            width_reading(d_k, divisor, before, after, i),
        )
        for i, d_k in enumerate(scaling.WIDTHS)
    ]


def width_reading(d_k: int, divisor: Divisor, before: scaling.Rows, after: scaling.Rows, i: int) -> str:
    spread = [_spread(rows, i) for rows in (before, after)]
    largest = [percent(float(rows.largest[i])) for rows in (before, after)]
    if divisor == "none" or d_k == 1:
        why = "Nothing is divided" if divisor == "none" else "At width 1 the divisor is 1"
        return f"{why}: the logits have standard deviation {spread[0]}, and on average the favourite key takes {largest[0]} of its row."
    return (
        f"At width {d_k} the logits have standard deviation {spread[0]}; divided by {DIVISORS[divisor]}, {spread[1]}. On "
        f"average the favourite key takes {largest[0]} of its row; divided, {largest[1]}."
    )


def _spread(rows: scaling.Rows, i: int) -> str:
    """A standard deviation; and what the picture does not show of it."""
    said, outside = number(float(rows.spread[i]), 2), 1 - float(rows.histogram[i].sum())
    return said if outside < 0.01 else f"{said} ({percent(outside)} outside the picture)"


# ------------------------------------------------------------------------------------------------ row by row


@corners(divisor=tuple(DIVISORS), n_keys=(64, 2, 4, 16, ROW_KEYS[-1]), distribution=tuple(DISTRIBUTIONS), seed=SEEDS)
def gradient_frames(divisor: Divisor, n_keys: int, distribution: Distribution, seed: int) -> list[Frame]:
    """One frame for each width: how strongly the softmax of each row answers, as it is and divided."""
    before, after = (scaling.attend(d, n_keys, distribution, seed) for d in ("none", divisor))
    n_rows = before.jacobian.shape[-1]
    fullest = max(
        float(torch.histogram(row, 51, range=(0, 0.51)).hist.max()) for r in (before, after) for row in r.jacobian
    )
    high = 1.05 * fullest / n_rows
    return [
        Frame(
            (
                figures.histogram(
                    [
                        Series("q·k as it is", before.jacobian[i], WITHOUT),
                        Series(f"divided by {DIVISORS[divisor]}", after.jacobian[i], WITH),
                    ],
                    limits=(0, 0.51),
                    bins=51,
                    title=f"Gradient through the softmax of {n_rows} rows",
                    x_title="‖J‖, all derivatives of a row’s weights by its logits",
                    y_title="share of rows",
                    y_range=(0, high),
                    height=HERO,
                ),
            ),
            gradient_reading(d_k, divisor, before, after, i),
        )
        for i, d_k in enumerate(scaling.WIDTHS)
    ]


def gradient_reading(d_k: int, divisor: Divisor, before: scaling.Rows, after: scaling.Rows, i: int) -> str:
    worst = [number(float(rows.quantile(0.1)[i]), 2) for rows in (before, after)]
    mean = [number(float(rows.jacobian[i].mean()), 2) for rows in (before, after)]
    if divisor == "none" or d_k == 1:
        why = "Nothing is divided" if divisor == "none" else "At width 1 the divisor is 1"
        return f"{why}: ‖J‖ is {mean[0]} on average and at most {worst[0]} in the worst tenth."
    return (
        f"At width {d_k} ‖J‖ is {mean[0]} on average; divided, {mean[1]}. In the worst tenth of rows it is at most "
        f"{worst[0]}; divided, {worst[1]}."
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
                        title=f"Gradient through the softmax, {n_keys} keys",
                        log_x=True,
                        x_title="standard deviation of the logits",
                        y_title="‖J‖",
                        x_range=(0.0625, 32),
                        y_range=(0, 0.52),
                        marks={"scaled: 1": (SCALED, WITH), "dₖ = 64, unscaled: 8": (UNSCALED, WITHOUT)},
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
        f"With {n_keys} keys the mean {way}. In the worst tenth of rows ‖J‖ is at most {scaled} at 1, where the factor "
        f"puts random logits, and {unscaled} at 8."
    )


# ------------------------------------------------------------------------------------------------ trained

NAMES = dict(zip(retrieval.VARIANTS, ("with 1/√dₖ", "folded into W_Q", "without"), strict=True))
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


# ------------------------------------------------------------------------------------------------ freshly built modules

INITS: dict[scaling.Init, tuple[str, str]] = {
    "multihead": ("nn.MultiheadAttention", OCHRE),
    "linear": ("nn.Linear", ROSE),
    "gpt2": ("N(0, 0.02²), as GPT-2", WITHOUT),
    "lecun": ("N(0, 1/d)", WITH),
}


@corners(seed=SEEDS)
def modules_frame(seed: int) -> list[Frame]:
    """The variance of divided logits in freshly built heads, against the width of the model."""
    measured = {init: scaling.initial_variances(init, seed) for init in INITS}
    one = torch.ones(len(scaling.MODEL_WIDTHS))
    frame = Frame(
        (
            figures.lines(
                [
                    *(Series(INITS[init][0], measured[init], INITS[init][1]) for init in INITS),
                    Series("what the factor promises: 1", one, MASKED, "dot", width=1.5),
                ],
                x=torch.tensor(scaling.MODEL_WIDTHS),
                title="Variance of the divided logits before any training",
                x_title="d_model",
                y_title="variance of q·k/√dₖ",
                log_x=True,
                log_y=True,
                x_range=(scaling.MODEL_WIDTHS[0], scaling.MODEL_WIDTHS[-1]),
                x_ticks=scaling.MODEL_WIDTHS,
                y_range=(0.001, 10),
                height=360,
            ),
        ),
        modules_reading(measured),
    )
    return [frame]


def modules_reading(measured: dict[scaling.Init, torch.Tensor]) -> str:
    widest, narrowest = scaling.MODEL_WIDTHS[-1], scaling.MODEL_WIDTHS[0]
    of = {init: [number(float(values[i]), 2) for i in (0, -1)] for init, values in measured.items()}
    return (
        f"At d_model = {widest} the logits of nn.MultiheadAttention start with variance {of['multihead'][1]}, those of two "
        f"nn.Linear with {of['linear'][1]}. Weights of one size for every width, as GPT-2’s, give {of['gpt2'][0]} at "
        f"{narrowest} and {of['gpt2'][1]} at {widest}."
    )


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return width_frames("sqrt", 64, "normal", 0)[scaling.WIDTHS.index(64)]
