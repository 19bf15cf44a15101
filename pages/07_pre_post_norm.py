"""Question 7: Pre-Norm and Post-Norm."""

import difflib
import inspect
import math
from functools import partial

import streamlit as st

from ui.lesson import lesson, opening

opening(__file__)

import torch

from core.concepts import pre_post_norm as norms
from core.course import number
from core.ops.norms import layer_norm, post_norm, pre_norm
from core.training import pre_post_norm as training
from ui import controls, figures
from ui.figures import Series
from ui.palette import INK, MASKED, OCHRE, ROSE, WITH, WITHOUT
from ui.sweep import Frame, figure, sweep
from ui.training import live

NAMES = {"post": "Post-Norm", "pre": "Pre-Norm", "pre, no final norm": "Pre-Norm, no final norm"}
COLOURS = {"post": WITHOUT, "pre": WITH, "pre, no final norm": ROSE}
DEPTH_TICKS = (2, 4, 8, 16, 32, 48)


# ------------------------------------------------------------------------------------------------ before the first step


def start_frames(width: int, seed: int) -> list[Frame]:
    """One frame for each depth: the gradient of every layer, of the last layer, and how much the output moves."""
    begin = {order: norms.start(order, width, seed) for order in norms.ORDERS}
    last = {order: s.last.mean(-1) for order, s in begin.items()}
    fits = {order: float(norms.slope(norms.DEPTHS, values)) for order, values in last.items()}
    moved = {order: norms.typical(norms.amplification(order, width, seed)) for order in norms.ORDERS}
    depths = torch.tensor(norms.DEPTHS, dtype=torch.float64)
    theory = {order: last[order][0] * (depths / depths[0]) ** s for order, s in (("post", 0.0), ("pre", -0.5))}
    means = [layers.mean(0) for s in begin.values() for layers in s.by_layer]
    limits, reach = span(torch.cat(means)), span(torch.cat(list(moved.values())))
    frames = []
    for i, depth in enumerate(norms.DEPTHS):
        here = {f"L = {depth}": (float(depth), INK)}
        profiles = {order: begin[order].by_layer[i].mean(0) for order in norms.ORDERS}
        frames.append(
            Frame(
                (
                    figures.lines(
                        [
                            Series(NAMES[o], profiles[o], COLOURS[o], x=torch.arange(1, depth + 1), markers=True)
                            for o in norms.ORDERS
                        ],
                        x=depths,
                        title=f"Gradient of every layer, {depth} layers",
                        x_title="layer, from the bottom",
                        y_title="‖∂loss/∂W₂‖",
                        x_range=(0, depth + 1),
                        y_range=limits,
                        log_y=True,
                    ),
                    figures.lines(
                        [
                            *(
                                Series(f"{NAMES[o]}, slope {signed(fits[o])}", last[o], COLOURS[o], markers=True)
                                for o in norms.ORDERS
                            ),
                            Series("slopes 0 and −½ through L = 2", theory["post"], MASKED, "dot", width=1.5),
                            Series("", theory["pre"], MASKED, "dot", width=1.5, legend=False),
                        ],
                        x=depths,
                        title="Gradient of the last layer, against the depth",
                        x_title="layers L",
                        y_title="‖∂loss/∂W₂‖",
                        log_x=True,
                        log_y=True,
                        x_range=(1.8, 54),
                        y_range=limits,
                        x_ticks=DEPTH_TICKS,
                        marks=here,
                    ),
                    figures.lines(
                        [Series(NAMES[o], moved[o], COLOURS[o], markers=True) for o in norms.ORDERS],
                        x=depths,
                        title="Squared change of the output under 2 % noise on all weights",
                        x_title="layers L",
                        y_title="squared change ÷ 0.02²",
                        log_x=True,
                        log_y=True,
                        x_range=(1.8, 54),
                        y_range=reach,
                        x_ticks=DEPTH_TICKS,
                        marks=here,
                    ),
                ),
                start_reading(i, last, fits, profiles, moved),
            )
        )
    return frames


def start_reading(i: int, last: dict, fits: dict, profiles: dict, moved: dict) -> str:
    depth = norms.DEPTHS[i]
    first = {order: float(p[0] / p[-1]) for order, p in profiles.items()}
    return (
        f"With {depth} layers, the last layer's gradient is {number(float(last['post'][i]))} in Post-Norm and "
        f"{number(float(last['pre'][i]))} in Pre-Norm; the first layer's is {number(first['post'])} and {number(first['pre'])} "
        f"times the last one's. From 2 to 48 layers the last layer's follows the depth to the power {signed(fits['post'])} "
        f"and {signed(fits['pre'])}; in theory it is bounded by a constant and by 1/√L. The squared change of the output under "
        f"the same noise is {number(float(moved['post'][i] / moved['pre'][i]))} times as large in Post-Norm."
    )


def signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def moved_line() -> str:
    """The two functions as a diff of their bodies."""
    bodies = [inspect.getsource(f).splitlines() for f in (post_norm, pre_norm)]
    lines = [next(line for line in body if line.strip().startswith("return")) for body in bodies]
    return "\n".join(
        line for line in difflib.ndiff([f"    {lines[0].strip()}"], [f"    {lines[1].strip()}"]) if line[0] != "?"
    )


# ------------------------------------------------------------------------------------------------ the stream


def stream_frames(width: int, seed: int) -> list[Frame]:
    grown = {order: norms.growth(order, width, seed) for order in norms.ORDERS}
    blocks = torch.arange(1, norms.DEPTHS[-1] + 1)
    pre = grown["pre"]
    per_layer = float(pre.size[-1] - pre.size[0]) / norms.DEPTHS[-1]
    return [
        Frame(
            (
                figures.lines(
                    [Series(NAMES[o], g.size[1:], COLOURS[o]) for o, g in grown.items()],
                    x=blocks,
                    title="Size of the stream after each block",
                    x_title="block",
                    y_title="‖x‖² ÷ d",
                    x_range=(0, norms.DEPTHS[-1] + 1),
                    y_range=(0, 1.1 * float(pre.size.max())),
                ),
                figures.lines(
                    [Series(NAMES[o], 100 * g.change, COLOURS[o]) for o, g in grown.items()],
                    x=blocks,
                    title="How much each block still changes it",
                    x_title="block",
                    y_title="‖change‖ ÷ ‖stream‖, %",
                    x_range=(0, norms.DEPTHS[-1] + 1),
                    y_range=(0, 110 * max(1.0, float(grown["post"].change.max()))),
                ),
            ),
            f"Post-Norm's stream keeps ‖x‖²/d = {number(float(grown['post'].size[-1]))}. Pre-Norm's grows by about "
            f"{number(per_layer)} per block, to {number(float(pre.size[-1]))} after {norms.DEPTHS[-1]}. So its first block "
            f"changes the stream by {pre.change[0]:.0%} of its length, its last by {pre.change[-1]:.0%}; in Post-Norm the last "
            f"one still changes it by {grown['post'].change[-1]:.0%}.",
        )
    ]


def final_norm_frames(width: int, seed: int) -> list[Frame]:
    """One frame for each depth: what the head gets with and without the norm at the end."""
    kinds = {
        "pre": norms.start("pre", width, seed),
        "pre, no final norm": norms.start("pre", width, seed, False),
        "post": norms.start("post", width, seed),
    }
    guess = math.log(norms.VOCABULARY)
    depths = torch.tensor(norms.DEPTHS, dtype=torch.float64)
    worst = max(float(k.loss.mean(-1).max()) for k in kinds.values())
    widest = max(float(k.spread.mean(-1).max()) for k in kinds.values())
    frames = []
    for i, depth in enumerate(norms.DEPTHS):
        here = {f"L = {depth}": (float(depth), INK)}
        loss, spread = ({k: float(getattr(s, what)[i].mean()) for k, s in kinds.items()} for what in ("loss", "spread"))
        frames.append(
            Frame(
                (
                    figures.lines(
                        [Series(NAMES[k], s.spread.mean(-1), COLOURS[k], markers=True) for k, s in kinds.items()],
                        x=depths,
                        title="Spread of the logits before the first step",
                        x_title="layers L",
                        y_title="standard deviation",
                        log_x=True,
                        x_range=(1.8, 54),
                        y_range=(0, 1.1 * widest),
                        x_ticks=DEPTH_TICKS,
                        marks=here,
                    ),
                    figures.lines(
                        [Series(NAMES[k], s.loss.mean(-1), COLOURS[k], markers=True) for k, s in kinds.items()],
                        x=depths,
                        title="Loss before the first step",
                        x_title="layers L",
                        y_title="nats",
                        log_x=True,
                        x_range=(1.8, 54),
                        y_range=(0, 1.1 * worst),
                        x_ticks=DEPTH_TICKS,
                        marks=here,
                        levels={f"equal guesses: ln {norms.VOCABULARY}": (guess, INK)},
                        level_at="bottom right",
                    ),
                ),
                f"With {depth} layers and no final norm the logits have a standard deviation of "
                f"{number(spread['pre, no final norm'])} instead of {number(spread['pre'])}, and the loss begins at "
                f"{number(loss['pre, no final norm'])} nats instead of {number(loss['pre'])}; guessing all "
                f"{norms.VOCABULARY} answers equally would cost {number(guess)}. Trained on the task below, "
                f"{without_final_norm()}.",
            )
        )
    return frames


def without_final_norm() -> str:
    """What the shipped grid says of it, counted."""
    cells = [c for c in training.CELLS if c[0] == "pre, no final norm"]
    learned, runs = sum(training.learned(*c) for c in cells), len(cells) * len(training.SEEDS)
    verdict = "they recover: " if learned > 0.9 * runs else ""
    return f"{verdict}{learned} of {runs} runs without the final norm learned"


# ------------------------------------------------------------------------------------------------ encoder and decoder

STACKS = (2, 6, 12, 18)
KIND_NAMES = {
    "encoder": ("encoder", INK, "solid"),
    "decoder": ("decoder on its encoder", OCHRE, "solid"),
    "random memory": ("decoder on random vectors", OCHRE, "dot"),
}


def profile_frames(seed: int) -> list[Frame]:
    frames = []
    for depth in STACKS:
        found = {(o, k): norms.profile(o, k, depth, seed) for o in norms.ORDERS for k in KIND_NAMES}
        ratio = {key: number(p.tilt) for key, p in found.items()}
        frames.append(
            Frame(
                tuple(
                    figures.lines(
                        [
                            Series(name, found[order, kind].gradient.mean(0), colour, dash, markers=True)
                            for kind, (name, colour, dash) in KIND_NAMES.items()
                        ],
                        x=torch.arange(1, depth + 1),
                        title=f"{NAMES[order]}: gradient of every layer, {depth} layers",
                        x_title="layer, from the bottom",
                        y_title="‖∂loss/∂W₂‖",
                        log_y=True,
                        x_range=(0, depth + 1),
                        y_range=(0.01, 3),
                        height=380,
                    )
                    for order in norms.ORDERS
                ),
                f"{depth} layers, top layer ÷ bottom layer. Post-Norm: encoder {ratio['post', 'encoder']}, decoder "
                f"{ratio['post', 'decoder']}; a decoder that looks at random vectors instead, {ratio['post', 'random memory']}. "
                f"Pre-Norm: {ratio['pre', 'encoder']}, {ratio['pre', 'decoder']} and {ratio['pre', 'random memory']}. Two vectors "
                f"of the encoder's output have a mean cosine of {number(found['post', 'decoder'].alike)} in Post-Norm, "
                f"{number(found['pre', 'decoder'].alike)} in Pre-Norm, and random ones of {number(round(found['post', 'random memory'].alike, 2))}.",
            )
        )
    return frames


# ------------------------------------------------------------------------------------------------ training


def warmed(steps: int) -> str:
    return f"{steps} steps of warm-up" if steps else "no warm-up"


def span(values: torch.Tensor) -> tuple[float, float]:
    """A range for a logarithmic axis that holds all values."""
    return float(values.min()) / 1.3, float(values.max()) * 1.3


def grid_frames() -> list[Frame]:
    """How many of the seeds learned, in every cell of the grid."""
    panels, said = [], []
    seeds = len(training.SEEDS)
    for order in norms.ORDERS:
        for warmup in training.WARMUPS:
            counts = [[training.learned(order, d, r, warmup) for r in training.RATES] for d in training.DEPTHS]
            panels.append(
                figures.heatmap(
                    counts,
                    title=f"{NAMES[order]}, {'warm-up' if warmup else 'no warm-up'}",
                    rows=[str(d) for d in training.DEPTHS],
                    columns=[f"{r:g}" for r in training.RATES],
                    row_title="layers",
                    column_title="learning rate",
                    limits=(0, seeds),
                    text=".0f",
                    colour_bar=False,
                    height=260,
                )
            )
            cells = [c for row in counts for c in row]
            said.append(f"{NAMES[order]} with {warmed(warmup)}: {sum(cells)} of {seeds * len(cells)}")
    return [Frame(tuple(panels), f"Runs that learned, of {seeds} seeds in each cell. {'; '.join(said)}.")]


STEP_AXIS = {"x_title": "training step", "log_x": True, "x_range": (0.9, 330), "x_ticks": (1, 3, 10, 30, 100, 300)}


def mean_of(runs: tuple[training.Progress, ...], name: str) -> torch.Tensor:
    return torch.stack([getattr(run, name) for run in runs]).mean(0)


def scrub_frames(depth: int, rate: float, warmup: int) -> list[Frame]:
    """One frame for each snapshot: all seeds of both orders, and the gradient of every layer at that step."""
    runs = {order: training.trained(order, depth, rate, warmup) for order in norms.ORDERS}
    at = runs["post"][0].at
    layers = {order: mean_of(r, "by_layer") for order, r in runs.items()}

    def curves(name: str) -> list[Series]:
        return [
            Series(NAMES[order], getattr(run, name), COLOURS[order], width=1.6, legend=seed == 0)
            for order, seeds in runs.items()
            for seed, run in enumerate(seeds)
        ]

    everyone = [run for seeds in runs.values() for run in seeds]
    ranges = {name: span(torch.cat([getattr(run, name) for run in everyone])) for name in ("gradient", "update")}
    tilted = span(torch.cat(list(layers.values())))
    top = max(3.5, *(1.05 * float(run.loss.max()) for run in everyone))
    common = {"x": at, "height": 320, **STEP_AXIS}
    frames = []
    for i, step in enumerate(at.tolist()):
        here = {f"step {step}": (float(step), INK)}
        frames.append(
            Frame(
                (
                    figures.lines(
                        curves("loss"),
                        title="Loss, every seed",
                        y_title="nats",
                        y_range=(0, top),
                        marks=here,
                        levels={"ln 16": (training.NOTHING, INK)},
                        level_at="bottom left",
                        **common,
                    ),
                    figures.lines(
                        [Series(NAMES[o], layers[o][i], COLOURS[o], markers=True) for o in norms.ORDERS],
                        x=torch.arange(1, depth + 1),
                        title=f"Gradient of every layer at step {step}, mean over seeds",
                        x_title="layer, from the bottom",
                        y_title="gradient norm",
                        log_y=True,
                        x_range=(0, depth + 1),
                        y_range=tilted,
                        height=320,
                    ),
                    figures.lines(
                        curves("gradient"),
                        title="Gradient of all weights",
                        y_title="gradient norm",
                        log_y=True,
                        y_range=ranges["gradient"],
                        marks=here,
                        **common,
                    ),
                    figures.lines(
                        curves("update"),
                        title="Size of the step",
                        y_title="‖step‖ ÷ ‖weights‖",
                        log_y=True,
                        y_range=ranges["update"],
                        marks=here,
                        **common,
                    ),
                ),
                scrub_reading(i, step, runs, layers),
            )
        )
    return frames


def nats(loss: float) -> str:
    return "below 0.001" if loss < 0.001 else number(round(loss, 3))


def scrub_reading(i: int, step: int, runs: dict, layers: dict) -> str:
    parts = []
    for order, seeds in runs.items():
        losses = [float(run.loss[i]) for run in seeds]
        tilt = float(layers[order][i, -1] / layers[order][i, 0])
        times = number(float(f"{tilt:.3g}")) if tilt < 1e6 else "more than a million"
        parts.append(
            f"{NAMES[order]}: loss {nats(min(losses))} to {nats(max(losses))}, last layer's gradient {times} times the first one's, "
            f"a step of {100 * float(mean_of(seeds, 'update')[i]):.2g} % of the weights"
        )
    return f"At step {step}. {'. '.join(parts)}."


def live_frame(shipped: training.Progress, label: str, progress: training.Progress) -> Frame:
    """A run that is being trained, over the shipped run of the same seed."""
    trained_now = progress is not shipped

    def both(name: str) -> list[Series]:
        before = Series("shipped", getattr(shipped, name), MASKED, width=5, x=shipped.at)
        return [before, *([Series("now", getattr(progress, name), WITH, width=2)] if trained_now else [])]

    common = {"x": progress.at, "height": 280, **STEP_AXIS}
    top = max(3.5, 1.1 * float(shipped.loss.max()))
    known = min(len(progress.at), len(shipped.at))
    apart = float((progress.loss[:known] - shipped.loss[:known]).abs().max())
    return Frame(
        (
            figures.lines(both("loss"), title="Loss", y_title="nats", y_range=(0, top), **common),
            figures.lines(
                both("gradient"),
                title="Gradient of all weights",
                y_title="gradient norm",
                log_y=True,
                y_range=span(shipped.gradient),
                **common,
            ),
            figures.lines(
                both("update"),
                title="Size of the step",
                y_title="‖step‖ ÷ ‖weights‖",
                log_y=True,
                y_range=span(shipped.update),
                **common,
            ),
        ),
        f"{label}: after step {int(progress.at[-1])} the loss is {nats(float(progress.loss[-1]))} nats. "
        + (
            f"So far it differs from the shipped curve of the same seed by at most {number(round(apart, 4))}; the shipped numbers have three digits."
            if trained_now
            else "This is the shipped run; the button trains it again, and both curves should coincide."
        ),
    )


# ------------------------------------------------------------------------------------------------ the lab

with lesson(norms.concept) as page:
    st.markdown(
        "Two encoders, the same weights, input and targets. Nothing is trained yet: uniform attention, feed-forward layers, and "
        "a loss on random targets, as in the proof of Xiong et al. From Post-Norm to Pre-Norm one line moves, in every sublayer:"
    )
    # Streamlit's colours for the language "diff" are too pale to read.
    st.code(moved_line(), language=None, wrap_lines=True)
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        width = controls.choice("Width d", "norm_width", {64: "64", 32: "32", 128: "128"})
        seed = controls.seed("norm_seed")
    with stage:
        depth = sweep("norm_depth", "Layers L", norms.DEPTHS, start_frames, width, seed, default=12)

    st.subheader("The stream that Pre-Norm leaves alone", anchor=False)
    st.markdown(
        "Post-Norm sets the stream back to the same size after every addition. Pre-Norm only adds to it: it grows about in "
        "proportion to the depth, and a late block changes it less."
    )
    figure("stream", stream_frames, width, seed, panel_width=360)

    st.subheader("The norm at the end", anchor=False)
    st.markdown(
        "Moving the line is not all. After the last block Pre-Norm has one more, `x = norm(x)`, so that what has grown meets the "
        "head at an ordinary size. `nn.TransformerEncoder` does not add it by itself, whatever `norm_first` says."
    )
    sweep("final_depth", "Layers L", norms.DEPTHS, final_norm_frames, width, seed, default=48, panel_width=360)

    st.subheader("Encoder and decoder", anchor=False)
    st.markdown(
        "Full blocks now: four heads, masks, cross-attention, Xavier as `nn.Transformer` starts it. In an encoder Post-Norm's "
        "gradients are about flat. In a decoder they fall towards the bottom, the more the deeper it is, and not because of its "
        "mask: a deep Post-Norm encoder hands it vectors that have become alike, so that their mean is as long as they are; "
        "cross-attention adds it to every token, and the norm after it shrinks the path's share. The gradient of the other "
        "share leaves for the encoder."
    )
    sweep("stack_depth", "Layers of each stack", STACKS, profile_frames, seed, default=12, panel_width=360)

    st.subheader("Train them: which cells learn?", anchor=False)
    st.markdown(
        f"Encoders of width {training.WIDTH} learn to read {training.LENGTH} tokens backwards, {training.STEPS} steps with Adam: "
        f"every depth, order, learning rate and warm-up, {len(training.SEEDS)} seeds each. Trained beforehand, every curve kept; "
        f"guessing evenly costs ln {training.VOCABULARY} nats, and a run has learned when its loss is below {training.LEARNED:g}."
    )
    figure("norm_grid", grid_frames, panel_width=215)

    st.markdown(
        "Choose a cell, and drag through its training. The two differ in the moved line and in Pre-Norm's one norm at the end."
    )
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        layers = controls.choice("Layers", "train_depth", {12: "12", 8: "8", 4: "4", 2: "2"})
        rate = controls.choice("Learning rate", "train_rate", {0.003: "0.003", 0.001: "0.001", 0.01: "0.01"})
        warmup = controls.choice("Warm-up", "train_warmup", {0: "none", 100: "100 steps"})
    with stage:
        sweep(
            "train_step",
            "Training step",
            training.SNAPSHOTS,
            scrub_frames,
            layers,
            rate,
            warmup,
            default=7,
            panel_width=340,
        )

    st.subheader("Train one again, now", anchor=False)
    side, stage = st.columns([1, 3.4], gap="large")
    with side:
        order = controls.choice("Order", "train_order", {order: NAMES[order] for order in training.ORDERS})
        run = controls.choice("Seed of the run", "train_seed", {s: str(s) for s in training.SEEDS})
    with stage:
        cell = (order, layers, rate, warmup)
        before = training.trained(*cell)[run]
        label = f"{NAMES[order]}, {layers} layers, learning rate {rate:g}, {warmed(warmup)}, seed {run}"
        live(
            "norm_run",
            "Train this cell",
            training.train,
            partial(live_frame, before, label),
            *cell,
            run,
            share=lambda p: p.done,
            shipped=before,
        )

    page.ran(
        post_norm,
        pre_norm,
        layer_norm,
        norms.stream,
        norms.start,
        norms.amplification,
        norms.growth,
        norms.profile,
        training.encode,
        training.train,
    )
    page.takes(depth=depth, width=width, seed=seed)
