"""Question 7: what the place of the norm changes before the first step, and which networks learn."""

import difflib
import inspect
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from core.experiments import pre_post_norm as norms
from core.experiments.pre_post_norm import Order
from core.ops.norms import post_norm, pre_norm
from core.say import number, percent
from core.training import pre_post_norm as training
from ui import figures
from ui.drawings import corners
from ui.figures import Figure, Frame, Series
from ui.palette import INK, MASKED, OCHRE, ROSE, WITH, WITHOUT

NAMES: dict[training.Order, str] = {
    "post": "Post-Norm",
    "pre": "Pre-Norm",
    "pre, no final norm": "Pre-Norm, no final norm",
}
COLOURS: dict[training.Order, str] = {"post": WITHOUT, "pre": WITH, "pre, no final norm": ROSE}
WIDTHS = {64: "64", 32: "32", 128: "128"}
STACKS = (2, 6, 12, 18)  # layers of each stack, of encoders and decoders
LAYERS = {12: "12", 8: "8", 4: "4", 2: "2"}  # of a trained network
RATES = {0.003: "0.003", 0.001: "0.001", 0.01: "0.01"}
WARMUPS = {0: "none", 100: "100 steps"}
SEEDS = (0, 3, 14, 9999)

DEPTH_AXIS: dict[str, Any] = {
    "x": torch.tensor(norms.DEPTHS, dtype=torch.float64),
    "x_title": "layers L",
    "log_x": True,
    "x_range": (1.8, 54),
    "x_ticks": (2, 4, 8, 16, 32, 48),
}
STEP_AXIS: dict[str, Any] = {
    "x_title": "training step",
    "log_x": True,
    "x_range": (0.9, 330),
    "x_ticks": (1, 3, 10, 30, 100, 300),
}


def signed(value: float) -> str:
    """A power of the depth: two digits, and its sign.

    >>> signed(0.0512), signed(-0.493), signed(0.0)
    ('+0.051', '−0.49', '0')
    """
    return ("+" if value > 0 else "") + number(value, 2)


def span(values: Tensor) -> tuple[float, float]:
    """A range for a logarithmic axis that holds all values."""
    return float(values.min()) / 1.3, float(values.max()) * 1.3


def here(depth: int) -> dict[str, tuple[float, str]]:
    """The rule at the depth of the slider."""
    return {f"L = {depth}": (float(depth), INK)}


def moved_line() -> str:
    """The two functions as a diff of their bodies."""
    bodies = [inspect.getsource(f).splitlines() for f in (post_norm, pre_norm)]
    lines = [next(line for line in body if line.strip().startswith("return")) for body in bodies]
    return "\n".join(
        line for line in difflib.ndiff([f"    {lines[0].strip()}"], [f"    {lines[1].strip()}"]) if line[0] != "?"
    )


# ------------------------------------------------------------------------------------------------ before the first step


@corners(width=tuple(WIDTHS), seed=SEEDS)
def start_frames(width: int, seed: int) -> list[Frame]:
    """One frame for each depth: the gradient of every layer, of the last layer, and how much the output moves."""
    begin = {order: norms.start(order, width, seed) for order in norms.ORDERS}
    moved = {
        order: norms.typical(norms.amplification(order, width, seed, r=norms.draws(width), depths=norms.DEPTHS))
        for order in norms.ORDERS
    }
    limits = span(torch.cat([norms_ for s in begin.values() for norms_ in s.by_layer]))
    return [
        Frame(
            (profile_figure(i, begin, limits), last_figure(i, begin, limits), moved_figure(i, moved)),
            start_reading(i, begin, moved),
        )
        for i in range(len(norms.DEPTHS))
    ]


def powers(begin: dict[Order, norms.Start]) -> dict[Order, str]:
    """The power of the depth that the last layer's gradient follows, as it is said."""
    return {order: signed(float(norms.slope(norms.DEPTHS, s.last))) for order, s in begin.items()}


def profile_figure(i: int, begin: dict[Order, norms.Start], limits: tuple[float, float]) -> Figure:
    depth = norms.DEPTHS[i]
    return figures.lines(
        [Series(NAMES[o], s.by_layer[i], COLOURS[o], markers=True) for o, s in begin.items()],
        x=torch.arange(1, depth + 1),
        title=f"Gradient of every layer, {depth} layers",
        x_title="layer, from the bottom",
        y_title="‖∂loss/∂W₂‖",
        x_range=(0, depth + 1),
        y_range=limits,
        log_y=True,
    )


def last_figure(i: int, begin: dict[Order, norms.Start], limits: tuple[float, float]) -> Figure:
    depths, said = DEPTH_AXIS["x"], powers(begin)
    theory = [begin[o].last[0] * (depths / depths[0]) ** s for o, s in zip(norms.ORDERS, (0.0, -0.5), strict=True)]
    return figures.lines(
        [
            *(Series(f"{NAMES[o]}, slope {said[o]}", s.last, COLOURS[o], markers=True) for o, s in begin.items()),
            Series("slopes 0 and −½ through L = 2", theory[0], MASKED, "dot", width=1.5),
            Series("", theory[1], MASKED, "dot", width=1.5, legend=False),
        ],
        title="Gradient of the last layer, against the depth",
        y_title="‖∂loss/∂W₂‖",
        log_y=True,
        y_range=limits,
        marks=here(norms.DEPTHS[i]),
        **DEPTH_AXIS,
    )


def moved_figure(i: int, moved: dict[Order, Tensor]) -> Figure:
    return figures.lines(
        [Series(NAMES[o], values, COLOURS[o], markers=True) for o, values in moved.items()],
        title="Squared change of the output under 2 % noise on all weights",
        y_title="squared change ÷ 0.02²",
        log_y=True,
        y_range=span(torch.cat(list(moved.values()))),
        marks=here(norms.DEPTHS[i]),
        **DEPTH_AXIS,
    )


def start_reading(i: int, begin: dict[Order, norms.Start], moved: dict[Order, Tensor]) -> str:
    post, pre = (begin[order].by_layer[i] for order in norms.ORDERS)
    power = powers(begin)
    times = number(float(moved["post"][i] / moved["pre"][i]), 2)
    return (
        f"With {norms.DEPTHS[i]} layers, the last layer's gradient is {number(float(post[-1]), 2)} in Post-Norm and "
        f"{number(float(pre[-1]), 2)} in Pre-Norm, the first layer's {number(float(post[0] / post[-1]), 2)} and "
        f"{number(float(pre[0] / pre[-1]), 2)} times that; under the same small noise on all weights, the squared change of "
        f"Post-Norm's output is {times} times Pre-Norm's. From 2 to 48 layers the last layer's gradient follows the depth to "
        f"the power {power['post']} and {power['pre']}."
    )


# ------------------------------------------------------------------------------------------------ the stream


@corners(width=tuple(WIDTHS), seed=SEEDS)
def stream_frames(width: int, seed: int) -> list[Frame]:
    """How large the stream is after each block, and how much the block has changed it."""
    grown = {order: norms.growth(order, width, seed) for order in norms.ORDERS}
    common: dict[str, Any] = {
        "x": torch.arange(1, norms.DEPTHS[-1] + 1),
        "x_title": "block",
        "x_range": (0, norms.DEPTHS[-1] + 1),
    }
    return [
        Frame(
            (
                figures.lines(
                    [Series(NAMES[o], g.size[1:], COLOURS[o]) for o, g in grown.items()],
                    title="Size of the stream after each block",
                    y_title="‖x‖² ÷ d",
                    y_range=(0, 1.1 * max(float(g.size.max()) for g in grown.values())),
                    **common,
                ),
                figures.lines(
                    [Series(NAMES[o], 100 * g.change, COLOURS[o]) for o, g in grown.items()],
                    title="How much each block still changes it",
                    y_title="‖change‖ ÷ ‖stream‖, %",
                    y_range=(0, 110 * max(float(g.change.max()) for g in grown.values())),
                    **common,
                ),
            ),
            stream_reading(grown["post"], grown["pre"]),
        )
    ]


def stream_reading(post: norms.Growth, pre: norms.Growth) -> str:
    per_block = float(pre.size[-1] - pre.size[0]) / len(pre.change)
    return (
        f"After {len(pre.change)} blocks Post-Norm's stream has ‖x‖² ÷ d = {number(float(post.size[-1]), 2)}, Pre-Norm's "
        f"{number(float(pre.size[-1]), 2)}: it has grown by about {number(per_block, 2)} per block. So Pre-Norm's first block "
        f"changes the stream by {percent(float(pre.change[0]))} of its length and its last by "
        f"{percent(float(pre.change[-1]))}; Post-Norm's last one by {percent(float(post.change[-1]))}."
    )


# ------------------------------------------------------------------------------------------------ the norm at the end


@corners(width=tuple(WIDTHS), seed=SEEDS)
def final_norm_frames(width: int, seed: int) -> list[Frame]:
    """One frame for each depth: what the head gets with and without the norm at the end."""
    kinds: dict[training.Order, norms.Start] = {
        "pre": norms.start("pre", width, seed),
        "pre, no final norm": norms.start("pre", width, seed, False),
        "post": norms.start("post", width, seed),
    }
    return [
        Frame((spread_figure(depth, kinds), first_loss_figure(depth, kinds)), final_norm_reading(i, kinds))
        for i, depth in enumerate(norms.DEPTHS)
    ]


def spread_figure(depth: int, kinds: dict[training.Order, norms.Start]) -> Figure:
    return figures.lines(
        [Series(NAMES[k], s.spread, COLOURS[k], markers=True) for k, s in kinds.items()],
        title="Spread of the logits before the first step",
        y_title="standard deviation",
        y_range=(0, 1.1 * max(float(s.spread.max()) for s in kinds.values())),
        marks=here(depth),
        **DEPTH_AXIS,
    )


def first_loss_figure(depth: int, kinds: dict[training.Order, norms.Start]) -> Figure:
    return figures.lines(
        [Series(NAMES[k], s.loss, COLOURS[k], markers=True) for k, s in kinds.items()],
        title="Loss before the first step",
        y_title="nats",
        y_range=(0, 1.1 * max(float(s.loss.max()) for s in kinds.values())),
        marks=here(depth),
        levels={f"equal guesses: ln {norms.VOCABULARY}": (math.log(norms.VOCABULARY), INK)},
        level_at="bottom right",
        **DEPTH_AXIS,
    )


def final_norm_reading(i: int, kinds: dict[training.Order, norms.Start]) -> str:
    with_norm, without = kinds["pre"], kinds["pre, no final norm"]
    spread, loss = (
        [number(float(getattr(s, what)[i]), 2) for s in (without, with_norm)] for what in ("spread", "loss")
    )
    return (
        f"With {norms.DEPTHS[i]} layers, Pre-Norm's logits have a standard deviation of {spread[0]} without the final norm and "
        f"{spread[1]} with it; the loss begins at {loss[0]} and {loss[1]} nats, where guessing all {norms.VOCABULARY} answers "
        f"equally costs {number(math.log(norms.VOCABULARY), 2)}. {without_final_norm()}"
    )


def without_final_norm() -> str:
    """What the shipped grid says of it, counted."""
    cells = [c for c in training.CELLS if c[0] == "pre, no final norm"]
    learned, runs = sum(training.learned(*c) for c in cells), len(cells) * len(training.SEEDS)
    many = f"all {runs}" if learned == runs else f"{learned} of {runs}"
    return f"Trained on the task below, {many} runs without the final norm learned."


# ------------------------------------------------------------------------------------------------ encoder and decoder

KINDS: dict[norms.Kind, tuple[str, str, str]] = {
    "encoder": ("encoder", INK, "solid"),
    "decoder": ("decoder on its encoder", OCHRE, "solid"),
    "random memory": ("decoder on random vectors", OCHRE, "dot"),
}


@corners(seed=SEEDS)
def profile_frames(seed: int) -> list[Frame]:
    """One frame for each depth: the gradient of every layer of encoders and decoders."""
    frames = []
    for depth in STACKS:
        found = {o: {k: norms.profile(o, k, depth, seed) for k in KINDS} for o in norms.ORDERS}
        frames.append(
            Frame(
                tuple(stack_figure(order, depth, profiles) for order, profiles in found.items()),
                profile_reading(depth, found["post"], found["pre"]),
            )
        )
    return frames


def stack_figure(order: Order, depth: int, profiles: dict[norms.Kind, norms.Profile]) -> Figure:
    return figures.lines(
        [
            Series(name, profiles[kind].gradient, colour, dash, markers=True)
            for kind, (name, colour, dash) in KINDS.items()
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


def profile_reading(depth: int, post: dict[norms.Kind, norms.Profile], pre: dict[norms.Kind, norms.Profile]) -> str:
    tilts = [[number(p.tilt, 2) for p in profiles.values()] for profiles in (post, pre)]
    alike = [number(p["decoder"].alike) for p in (post, pre)]
    return (
        f"{depth} layers, top layer's gradient ÷ bottom layer's. Post-Norm: encoder {tilts[0][0]}, decoder {tilts[0][1]}, and "
        f"{tilts[0][2]} if it looks at random vectors instead; Pre-Norm: {tilts[1][0]}, {tilts[1][1]} and {tilts[1][2]}. Two "
        f"vectors of what a decoder looks at have a mean cosine of {alike[0]} in Post-Norm and {alike[1]} in Pre-Norm."
    )


# ------------------------------------------------------------------------------------------------ which cells learn


def warmed(steps: int) -> str:
    return f"{steps} steps of warm-up" if steps else "no warm-up"


@corners()
def grid_frames() -> list[Frame]:
    """How many of the seeds learned, in every cell of the shipped grid."""
    panels, said, seeds = [], [], len(training.SEEDS)
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


# ------------------------------------------------------------------------------------------------ one cell, step by step

Runs = dict[Order, tuple[training.Progress, ...]]


def mean_of(runs: Sequence[training.Progress], name: str) -> Tensor:
    return torch.stack([getattr(run, name) for run in runs]).mean(0)


@corners(depth=tuple(LAYERS), rate=tuple(RATES), warmup=tuple(WARMUPS))
def scrub_frames(depth: int, rate: float, warmup: int) -> list[Frame]:
    """One frame for each snapshot: all seeds of both orders, and the gradient of every layer at that step."""
    runs: Runs = {order: training.trained(order, depth, rate, warmup) for order in norms.ORDERS}
    layers = {order: mean_of(r, "by_layer") for order, r in runs.items()}
    everyone = [run for seeds in runs.values() for run in seeds]
    ranges = {name: span(torch.cat([getattr(run, name) for run in everyone])) for name in ("gradient", "update")}
    top = max(3.5, *(1.05 * float(run.loss.max()) for run in everyone))
    frames = []
    for i, step in enumerate(training.SNAPSHOTS):
        common: dict[str, Any] = {
            "x": everyone[0].at,
            "marks": {f"step {step}": (float(step), INK)},
            "height": 320,
            **STEP_AXIS,
        }
        frames.append(
            Frame(
                (
                    figures.lines(
                        curves(runs, "loss"),
                        title="Loss, every seed",
                        y_title="nats",
                        y_range=(0, top),
                        levels={f"ln {training.VOCABULARY}": (training.NOTHING, INK)},
                        level_at="bottom left",
                        **common,
                    ),
                    layers_figure(i, layers),
                    figures.lines(
                        curves(runs, "gradient"),
                        title="Gradient of all weights",
                        y_title="gradient norm",
                        log_y=True,
                        y_range=ranges["gradient"],
                        **common,
                    ),
                    figures.lines(
                        curves(runs, "update"),
                        title="Size of the step",
                        y_title="‖step‖ ÷ ‖weights‖",
                        log_y=True,
                        y_range=ranges["update"],
                        **common,
                    ),
                ),
                scrub_reading(i, runs, layers),
            )
        )
    return frames


def curves(runs: Runs, name: str) -> list[Series]:
    """One line for each seed; those of one order share a colour and a name."""
    return [
        Series(NAMES[order], getattr(run, name), COLOURS[order], width=1.6, legend=seed == 0)
        for order, seeds in runs.items()
        for seed, run in enumerate(seeds)
    ]


def layers_figure(i: int, layers: dict[Order, Tensor]) -> Figure:
    depth = layers["post"].shape[-1]
    return figures.lines(
        [Series(NAMES[order], values[i], COLOURS[order], markers=True) for order, values in layers.items()],
        x=torch.arange(1, depth + 1),
        title=f"Gradient of every layer at step {training.SNAPSHOTS[i]}, mean over seeds",
        x_title="layer, from the bottom",
        y_title="gradient norm",
        log_y=True,
        x_range=(0, depth + 1),
        y_range=span(torch.cat(list(layers.values()))),
        height=320,
    )


def scrub_reading(i: int, runs: Runs, layers: dict[Order, Tensor]) -> str:
    parts = []
    for order, seeds in runs.items():
        low, high = (number(how(float(run.loss[i]) for run in seeds)) for how in (min, max))
        loss = f"{low} to {high}" if low != high else f"about {low} in all runs"
        first, last = (float(layers[order][i, at]) for at in (0, -1))
        times = f"{tilt(last / first)} times the first one's" if first else f"{number(last, 2)}, the first one's 0"
        step = percent(float(mean_of(seeds, "update")[i]))
        parts.append(f"{NAMES[order]}: loss {loss}, last layer's gradient {times}, a step of {step} of the weights")
    return f"At step {training.SNAPSHOTS[i]}. {'. '.join(parts)}."


def tilt(ratio: float) -> str:
    """Two digits; of a ratio beyond all measure, that it is.

    >>> tilt(0.914), tilt(11.123), tilt(2345.6), tilt(3.2e7)
    ('0.91', '11', '2,300', 'more than a million')
    """
    return number(ratio, 2) if ratio < 1e6 else "more than a million"


# ------------------------------------------------------------------------------------------------ a run of now


def run_label(order: training.Order, depth: int, rate: float, warmup: int, seed: int) -> str:
    """Which run it is, in words."""
    return f"{NAMES[order]}, {depth} layers, learning rate {rate:g}, {warmed(warmup)}, seed {seed}"


SURE = 4  # the first steps: on any kind of processor they are the shipped ones, to rounding


def live_frame(shipped: training.Progress, label: str, progress: training.Progress) -> Frame:
    """A run that is being trained, over the shipped run of the same seed."""
    trained_now = progress is not shipped

    def both(name: str) -> list[Series]:
        before = Series("shipped", getattr(shipped, name), MASKED, width=5, x=shipped.at)
        return [before, *([Series("now", getattr(progress, name), WITH, width=2)] if trained_now else [])]

    common: dict[str, Any] = {"x": progress.at, "height": 280, **STEP_AXIS}
    return Frame(
        (
            figures.lines(
                both("loss"),
                title="Loss",
                y_title="nats",
                y_range=(0, max(3.5, 1.1 * float(shipped.loss.max()), 1.1 * float(progress.loss.max()))),
                **common,
            ),
            figures.lines(
                both("gradient"),
                title="Gradient of all weights",
                y_title="gradient norm",
                log_y=True,
                y_range=span(torch.cat([shipped.gradient, progress.gradient])),
                **common,
            ),
            figures.lines(
                both("update"),
                title="Size of the step",
                y_title="‖step‖ ÷ ‖weights‖",
                log_y=True,
                y_range=span(torch.cat([shipped.update, progress.update])),
                **common,
            ),
        ),
        f"{label}: after step {int(progress.at[-1])} the loss is {number(float(progress.loss[-1]))} nats. "
        + (comparison(shipped, progress) if trained_now else PROMISE),
    )


PROMISE = (
    "This is the shipped run; the button trains it again. On a processor of the same kind that gives the same curve; on "
    "another kind the first steps agree, and as a rule the outcome, but the curves may part in between."
)


def apart(shipped: training.Progress, progress: training.Progress) -> Tensor:
    """At which snapshots the losses differ by more than the shipped numbers' rounding to three digits, so far."""
    known = min(len(progress.loss), len(shipped.loss))
    ours, theirs = progress.loss[:known].double(), shipped.loss[:known].double()
    unit = 10 ** (theirs.clamp_min(1e-30).log10().floor() - 2)
    return (ours - theirs).abs() > unit


def comparison(shipped: training.Progress, progress: training.Progress) -> str:
    """What both curves, as far as they go, say of the machines that made them."""
    differs = apart(shipped, progress)
    now_done, outcome = progress.done >= 1, [bool(p.loss[-1] < training.LEARNED) for p in (shipped, progress)]
    if now_done and outcome[0] != outcome[1]:
        ended = "The outcome is another one: here the run has " + ("learned" if outcome[1] else "not learned")
        ended += ", the shipped one has not." if outcome[1] else ", the shipped one has."
    elif now_done:
        ended = f"The outcome is the same: {'both have' if outcome[1] else 'neither has'} learned."
    else:
        ended = ""
    if not differs.any():
        same = "So far it is the shipped curve, in all three digits that are shipped."
        return same if not ended else f"It is the shipped curve, in all three digits that are shipped. {ended}"
    first = int(progress.at[int(differs.int().argmax())])
    largest = number(float((progress.loss - shipped.loss[: len(progress.loss)]).abs().max()), 2)
    since = f"From step {first} on it leaves the shipped curve, by up to {largest} nats"
    if first <= SURE:
        why = ", and rounding alone does not explain that so early."
    else:
        why = ", as it may on another kind of processor, where sums are rounded in another order."
    return f"{since}{why} {ended}".strip()


# ------------------------------------------------------------------------------------------------ the front door


def card() -> Frame:
    """The hero as it is at its defaults: its small picture stands on the front door (`make cards`)."""
    return start_frames(64, 0)[norms.DEPTHS.index(12)]
