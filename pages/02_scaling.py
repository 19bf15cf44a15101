"""Question 2: the factor √d_k."""

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

import torch

from core.concepts import scaling
from core.course import number
from core.training import retrieval
from ui import controls, figures
from ui.figures import Series
from ui.palette import MASKED, WITH, WITHOUT
from ui.sweep import Frame, sweep
from ui.training import live

DIVISORS = {"sqrt": "√d_k", "none": "1 (none)", "d_k": "d_k"}
DISTRIBUTIONS = {
    "normal": "normal, variance 1",
    "uniform": "uniform on −1 … 1",
    "rademacher": "±1",
    "shifted": "normal, mean ½",
}


def main_frames(divisor: str, n_keys: int, distribution: str, seed: int) -> list[Frame]:
    before = scaling.attend("none", n_keys, distribution, seed)
    after = scaling.attend(divisor, n_keys, distribution, seed)
    name = f"divided by {DIVISORS[divisor]}"
    top = min(n_keys, 12)
    tallest = float(before.weights[:, 0].max())
    frames = []
    for i, d_k in enumerate(scaling.WIDTHS):
        row = [r.weights[i, 0].sort(descending=True).values[:top] for r in (before, after)]
        frames.append(
            Frame(
                (
                    figures.histogram(
                        [Series("q·k as it is", before.logits[i], WITHOUT), Series(name, after.logits[i], WITH)],
                        limits=(-32, 32),
                        bins=64,
                        title="The logits",
                        x_title="logit",
                        y_title="share of all logits",
                        y_range=(0, 0.42),
                    ),
                    figures.bars(
                        [Series("q·k as it is", row[0], WITHOUT), Series(name, row[1], WITH)],
                        labels=[str(k + 1) for k in range(top)],
                        title=f"The {top} largest weights of one row",
                        x_title="key, by rank",
                        y_title="weight",
                        y_range=(0, max(1.0, tallest)),
                    ),
                    figures.histogram(
                        [Series("q·k as it is", before.jacobian[i], WITHOUT), Series(name, after.jacobian[i], WITH)],
                        limits=(0, 0.51),
                        bins=51,
                        title="What a row passes on: ‖∂softmax/∂logits‖ of 1024 rows",
                        x_title="Frobenius norm of the softmax Jacobian",
                        y_title="share of rows",
                        y_range=(0, 1),
                    ),
                ),
                reading(d_k, name, before, after, i),
            )
        )
    return frames


def reading(d_k: int, name: str, before: scaling.Rows, after: scaling.Rows, i: int) -> str:
    return (
        f"At d_k = {d_k} the logits q·k have standard deviation {number(float(before.logits[i].std()))}; {name}, "
        f"{number(float(after.logits[i].std()))}. On average the favourite key takes {before.largest[i]:.0%} of a "
        f"row's weight; {name}, {after.largest[i]:.0%}. The worst tenth of rows pass on less than "
        f"{number(float(before.quantile(0.1)[i]))}; {name}, {number(float(after.quantile(0.1)[i]))}. "
        f"Practically dead rows (norm below {scaling.DEAD}): {before.dead[i]:.1%} and {after.dead[i]:.1%}."
    )


KEYS = (2, 4, 8, 16, 32, 64, 128, 256, 512)


def response_frames(seed: int) -> list[Frame]:
    frames = []
    for n_keys in KEYS:
        r = scaling.response(n_keys, seed)
        peak = int(r.mean.argmax())
        frames.append(
            Frame(
                (
                    figures.lines(
                        [
                            Series("mean over rows", r.mean, WITH),
                            Series("median row", r.median, WITHOUT, "dash"),
                            Series("worst tenth: below this", r.tenth, figures.palette.KEY, "dot"),
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
                f"With {n_keys} keys the mean rises from {number(float(r.mean[0]))} for nearly equal logits to "
                f"{number(float(r.mean[peak]))} at a standard deviation of about {number(float(r.spread[peak]))}, and "
                f"falls to {number(float(r.mean[-1]))} at 32. The factor does not make attention as soft as possible: "
                "it starts it where the softmax still answers in every row.",
            )
        )
    return frames


def training_frame(progress: retrieval.Progress) -> Frame:
    steps = progress.losses.shape[-1]
    series = [
        Series(f"{name}, seed {r}", progress.losses[v, r], colour, width=1.8)
        for v, (name, colour) in enumerate((("with 1/√d_k", WITH), ("without", WITHOUT)))
        for r in range(progress.losses.shape[1])
    ]
    series.append(Series("learned: below this", torch.full((steps,), retrieval.LEARNED), MASKED, "dot", width=1.5))
    said = [
        ", ".join(str(int(step)) if step >= 0 else f"not within {steps}" for step in row) for row in progress.learned
    ]
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
        f"{said[1]}. At the first step the loss is {number(float(progress.losses[0, :, 0].mean()))} with and "
        f"{number(float(progress.losses[1, :, 0].mean()))} without: above 1 is worse than answering with the average of all values.",
    )


with lesson(scaling.concept) as page:
    st.markdown(
        "Random queries meet random keys. Grey is the dot product as it is, purple is what the divisor makes of it: "
        "the same numbers, divided. Drag the width."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        divisor = controls.choice("Divide the dot products by", "divisor", DIVISORS)
        n_keys = controls.whole("Number of keys N", "keys", 2, 256, 64)
        distribution = controls.choice("Components of q and k", "components", DISTRIBUTIONS)
        seed = controls.seed("seed")
    with stage:
        d_k = sweep("d_k", "Width d_k", scaling.WIDTHS, main_frames, divisor, n_keys, distribution, seed, default=64)

    st.subheader("Softer is not better: the answer rises, then falls", anchor=False)
    st.markdown(
        "Draw logits with a chosen standard deviation and measure how strongly the softmax reacts to a small change. "
        "Equal logits react weakly, saturated ones hardly at all in the worst rows; the best is in between."
    )
    sweep("jacobian_keys", "Number of keys", KEYS, response_frames, seed, default=64)

    st.subheader("Train both", anchor=False)
    st.markdown(
        "Two models learn to find a key among 16 and return its value: same data, same start, with and without the factor. "
        "At width 16 the factor slows learning, at 64 and 256 it speeds it up."
    )
    width = controls.choice("Width of the trained models", "train_d_k", {64: "64", 16: "16", 256: "256"})
    live(
        "retrieval",
        "Train both now",
        retrieval.train,
        training_frame,
        width,
        share=lambda p: p.losses.shape[-1] / p.cap,
        shipped=retrieval.trained(width),
    )

    page.ran(scaling.draw, scaling.dot_products, scaling.attend, scaling.response, retrieval.train)
    page.takes(d_k=d_k, n_keys=n_keys, divisor=divisor, seed=seed)
